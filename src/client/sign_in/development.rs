//! Sign-in at the development provider, which believes every name: for tests and for trying things out.

use super::{SignIn, SignInError, SignedIn};
use crate::wire::{CompleteFlow, SecretText, StartFlow};

impl SignIn {
    /// Signs in as whoever has this name at the development provider.
    ///
    /// # Errors
    /// [`SignInError::Name`]; [`SignInError::Api`], also where the node has no such provider; [`SignInError::Refused`].
    pub async fn development(self, name: &str) -> Result<SignedIn, SignInError> {
        let is_name =
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte));
        if name.is_empty() || !is_name {
            return Err(SignInError::Name);
        }
        let flow = self.api.start_flow(&StartFlow { provider: "development".to_owned(), redirect_uri: None }).await?;
        let location = self.api.give_name(flow.authorization_url.expose(), name).await?;
        // Both are base64url: nothing in them is percent-encoded.
        let (_, query) = location.split_once('?').ok_or(SignInError::Refused)?;
        let parameter = |name: &str| query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        let (Some(code), Some(state)) = (parameter("code"), parameter("state")) else {
            return Err(SignInError::Refused);
        };
        if state != flow.state.expose() {
            return Err(SignInError::Refused);
        }
        let complete = CompleteFlow { code: SecretText::new(code.to_owned()), state: flow.state, iss: None };
        let tokens = self.api.complete_flow(&complete).await?;
        Ok(self.signed_in(tokens))
    }
}
