//! Sign-in of a device that has no browser (RFC 8628): an agent, a server, a terminal.
//!
//! The device begins and gets two codes. It shows one, the user code; somebody types it at a page of the node, in
//! a browser, which goes through the usual sign-in at the provider. The device asks by its own code meanwhile and
//! gets its tokens when that is done, once.
//!
//! What an attacker can still do: talk somebody into typing the attacker's user code, and be signed in as them. The page
//! says so. They get no key by it and no device: only the account's root key adds one. Sending somebody the
//! provider's address in place of the code does not do: the browser that comes back has to be the one that the code was
//! typed in.

use core::time::Duration;

use super::SignIn;
use super::error::SignInError;
use super::redirect::callback_path;
use super::user_code::UserCode;
use crate::node::audit::{self, Event};
use crate::node::entropy;
use crate::node::store::{Decision, DeviceFlow, DeviceGrant, DeviceGrantAnswer};
use crate::node::tokens::{BrowserSecret, DeviceCode};
use crate::wire::{AskDevice, DeviceStarted, SecretText, SessionTokens, StartDevice};

/// Where a user code is typed.
pub const DEVICE_PATH: &str = "/device";

/// How long a device waits between two questions, and how much longer after it did not (RFC 8628, section 3.5).
const INTERVAL: Duration = Duration::from_secs(5);

impl SignIn {
    /// Begins the sign-in of a device.
    ///
    /// # Errors
    /// [`SignInError::UnknownProvider`], or the store's.
    pub async fn start_device(&self, request: &StartDevice) -> Result<DeviceStarted, SignInError> {
        let provider = self.provider(&request.provider)?;
        let rng = &mut entropy::generator()?;
        let (device_code, user_code) = (DeviceCode::generate(rng), UserCode::generate(rng));
        let now = self.clock.now();
        let expires_at = now.plus(self.settings.flow_seconds_max.seconds());
        let grant = DeviceGrant {
            device_code: device_code.hash(),
            user_code: user_code.hash(),
            provider: provider.name().to_owned(),
            interval: INTERVAL,
            expires_at,
        };
        self.store.save_device_grant(grant, now).await?;
        Ok(DeviceStarted {
            device_code: SecretText::new(device_code.to_text()),
            user_code: SecretText::new(user_code.to_text()),
            verification_uri: self.public_url.join(DEVICE_PATH).as_str().to_owned(),
            interval: INTERVAL.as_secs(),
            expires_at,
        })
    }

    /// Somebody typed a user code in this browser. Returns where the browser goes to sign in.
    ///
    /// # Errors
    /// [`SignInError::DeviceUnknown`] for a code that no device waits with, or that was typed too often; those of
    /// [`start`](Self::start); or the store's.
    pub async fn enter_user_code(&self, typed: &str, browser: &BrowserSecret) -> Result<SecretText, SignInError> {
        let user_code: UserCode = typed.parse().map_err(|_| SignInError::DeviceUnknown)?;
        let entered = self.store.enter_user_code(user_code.hash(), self.clock.now()).await?;
        let (device_code, provider) = entered.ok_or(SignInError::DeviceUnknown)?;
        let provider = self.provider(&provider)?;
        let redirect_uri = self.public_url.join(&callback_path(provider.name()));
        let device = DeviceFlow { device_code, browser: browser.hash() };
        Ok(self.begin(provider, &redirect_uri, Some(device)).await?.authorization_url)
    }

    /// A device asks whether it is signed in. Its session is told once.
    ///
    /// # Errors
    /// [`SignInError::DevicePending`], [`SignInError::DeviceTooSoon`], [`SignInError::DeviceUnknown`],
    /// [`SignInError::DeviceDenied`], or the store's.
    pub async fn ask_device(&self, request: &AskDevice) -> Result<SessionTokens, SignInError> {
        let code: DeviceCode = request.device_code.expose().parse().map_err(|_| SignInError::DeviceUnknown)?;
        let (decision, provider) = match self.store.ask_device_grant(code.hash(), INTERVAL, self.clock.now()).await? {
            DeviceGrantAnswer::Decided { decision, provider } => (decision, provider),
            DeviceGrantAnswer::Pending => return Err(SignInError::DevicePending),
            DeviceGrantAnswer::TooSoon => return Err(SignInError::DeviceTooSoon),
            DeviceGrantAnswer::Unknown => return Err(SignInError::DeviceUnknown),
        };
        let Decision::SignedIn(account) = decision else { return Err(SignInError::DeviceDenied) };
        let tokens = self.open_session(account).await?;
        self.count(&provider, "signed_in");
        audit::record(Event::SignedIn { account, session: tokens.session_id, provider: &provider });
        Ok(tokens)
    }
}
