//! The two calls of a sign-in.

use super::error::SignInError;
use super::{AuthorizationRequest, Claims, SignIn};
use crate::ids::AccountId;
use crate::node::audit::{self, Event};
use crate::node::entropy;
use crate::node::store::{Flow, ProviderIdentity};
use crate::node::tokens::{CodeVerifier, FlowState, Nonce};
use crate::wire::{CompleteFlow, FlowStarted, SecretText, SessionTokens, StartFlow};

impl SignIn {
    /// Begins a sign-in.
    ///
    /// # Errors
    /// [`SignInError::UnknownProvider`], [`SignInError::RedirectRefused`], or the store's.
    pub async fn start(&self, request: &StartFlow) -> Result<FlowStarted, SignInError> {
        let provider = self.provider(&request.provider)?;
        let redirect_uri = self.redirects.choose(request.redirect_uri.as_deref())?;
        let rng = &mut entropy::generator()?;
        let state = FlowState::generate(rng);
        let code_verifier = CodeVerifier::generate(rng);
        let nonce = Nonce::generate(rng);
        let now = self.clock.now();
        let expires_at = now.plus(self.settings.flow_seconds_max.seconds());
        let state_text = SecretText::new(state.to_text());
        let authorization_url = provider.authorization_url(&AuthorizationRequest {
            redirect_uri: &redirect_uri,
            state: &state_text,
            nonce,
            code_challenge: code_verifier.challenge(),
        });
        let flow = Flow {
            state_hash: state.hash(),
            provider: provider.name().to_owned(),
            redirect_uri: redirect_uri.as_str().to_owned(),
            code_verifier,
            nonce,
            expires_at,
        };
        self.store.save_flow(flow, now).await?;
        Ok(FlowStarted { authorization_url, state: state_text, expires_at })
    }

    /// Completes a sign-in: opens a session of the account, and makes the account at its first sign-in. The flow is gone
    /// whatever comes of it.
    ///
    /// # Errors
    /// [`SignInError::FlowRefused`] for a state that is not under way, [`SignInError::CodeRefused`] for a
    /// code that the provider does not take with this flow, or the store's.
    pub async fn complete(&self, request: &CompleteFlow) -> Result<SessionTokens, SignInError> {
        let state: FlowState = request.state.expose().parse().map_err(|_| SignInError::FlowRefused)?;
        let now = self.clock.now();
        let flow = self.store.take_flow(state.hash(), now).await?.ok_or(SignInError::FlowRefused)?;
        // A provider that was taken out of the settings meanwhile signs nobody in.
        let provider = self.provider(&flow.provider).map_err(|_| SignInError::FlowRefused)?;
        let claims = provider.exchange(&request.code, &flow.code_verifier, &flow.redirect_uri).await?;
        let Claims { issuer, subject, nonce } = claims;
        if nonce != flow.nonce {
            return Err(SignInError::CodeRefused);
        }
        let identity = ProviderIdentity::new(issuer, subject).map_err(|_| SignInError::CodeRefused)?;
        let candidate = AccountId::generate(&mut entropy::generator()?);
        let account_id = self.store.find_or_create_account(&identity, candidate, now).await?;
        let tokens = self.open_session(account_id).await?;
        audit::record(Event::SignedIn { account: account_id, session: tokens.session_id, provider: provider.name() });
        Ok(tokens)
    }
}
