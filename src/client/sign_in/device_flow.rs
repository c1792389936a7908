//! Sign-in of a device without a browser (RFC 8628): it shows a code, which somebody types elsewhere.

use core::time::Duration;

use tokio::time::sleep;

use super::{SignIn, SignInError, SignedIn};
use crate::wire::{ErrorCode, SecretText, Timestamp};

/// What is shown to whoever signs the device in.
#[derive(Clone, Debug)]
pub struct UserCode {
    /// The page where the code is typed.
    pub verification_uri: String,
    /// The code.
    pub code: SecretText,
    /// Until when.
    pub expires_at: Timestamp,
}

impl SignIn {
    /// Signs in at a provider with a browser elsewhere. `show` is called once; then it waits until somebody has typed
    /// the code.
    ///
    /// # Errors
    /// [`SignInError::Refused`] if they say no; [`SignInError::Expired`] if nobody comes; [`SignInError::Api`].
    pub async fn device_flow(self, provider: &str, show: impl FnOnce(&UserCode)) -> Result<SignedIn, SignInError> {
        let started = self.api.start_device(provider).await?;
        let mut interval = Duration::from_secs(started.interval.min(INTERVAL_SECONDS_MAX));
        show(&UserCode {
            verification_uri: started.verification_uri,
            code: started.user_code,
            expires_at: started.expires_at,
        });
        loop {
            sleep(interval).await;
            match self.api.ask_device(&started.device_code).await {
                Ok(tokens) => return Ok(self.signed_in(tokens)),
                Err(error) => match error.code() {
                    Some(ErrorCode::AuthorizationPending) => {}
                    // Section 3.5.
                    Some(ErrorCode::SlowDown) => interval += Duration::from_secs(5),
                    Some(ErrorCode::AccessDenied) => return Err(SignInError::Refused),
                    Some(ErrorCode::ExpiredToken) => return Err(SignInError::Expired),
                    _ if error.is_transient() => {}
                    _ => return Err(error.into()),
                },
            }
        }
    }
}

/// A node that asks for a longer wait between two questions is not believed.
const INTERVAL_SECONDS_MAX: u64 = 60;
