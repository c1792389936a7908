//! Getting a session on the node: who somebody is. It gives no keys.

mod development;
mod device_flow;
mod error;
mod loopback;

pub use device_flow::UserCode;
pub use error::SignInError;

use super::api::{Api, Http};
use crate::ids::AccountId;
use crate::wire::{SecretText, SessionTokens};

/// A sign-in that is to be done. The ways are its methods; each gives [`SignedIn`].
#[derive(Clone, Debug)]
pub struct SignIn {
    api: Api,
}

/// A session on a node: what [`Client::set_up`](super::Client::set_up) takes.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub(super) api: Api,
    pub(super) tokens: SessionTokens,
}

impl SignIn {
    /// A sign-in at the node at `node_url`, such as `https://node.example`.
    #[must_use]
    pub fn new(http: Http, node_url: &str) -> Self {
        Self { api: Api::new(http, node_url) }
    }

    /// The providers that the node has.
    ///
    /// # Errors
    /// [`SignInError::Api`].
    pub async fn providers(&self) -> Result<Vec<String>, SignInError> {
        Ok(self.api.providers().await?.providers.into_iter().map(|provider| provider.name).collect())
    }

    /// With a refresh token that somebody else's sign-in has given. It is used up.
    ///
    /// # Errors
    /// [`SignInError::Api`].
    pub async fn token(self, refresh_token: SecretText) -> Result<SignedIn, SignInError> {
        let tokens = self.api.refresh(&refresh_token).await?;
        Ok(self.signed_in(tokens))
    }

    /// With tokens that were issued before and not used.
    #[must_use]
    pub fn tokens(self, tokens: SessionTokens) -> SignedIn {
        self.signed_in(tokens)
    }

    fn signed_in(mut self, tokens: SessionTokens) -> SignedIn {
        self.api.set_token(tokens.access_token.clone());
        SignedIn { api: self.api, tokens }
    }
}

impl SignedIn {
    /// Who signed in.
    #[must_use]
    pub const fn account_id(&self) -> AccountId {
        self.tokens.account_id
    }

    /// The tokens, for whoever keeps them elsewhere. Secret.
    #[must_use]
    pub const fn tokens(&self) -> &SessionTokens {
        &self.tokens
    }
}
