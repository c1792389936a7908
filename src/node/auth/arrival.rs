//! A browser comes back from a provider.
//!
//! The provider sends it to one address of the node, which is registered there, with a code and the state of
//! a sign-in that is under way. From there the node sends it on to where whoever began the sign-in wants it.
//! Nothing is taken or exchanged on the way: whoever began compares the state and brings both back. The sign-in
//! of a device that has no browser is completed here, for the browser that began it.

use serde::Deserialize;

use super::SignIn;
use super::error::SignInError;
use super::oauth::plain;
use super::redirect::percent_encoded;
use crate::node::store::{Decision, DeviceFlow};
use crate::node::tokens::{BrowserSecret, FlowState};
use crate::wire::SecretText;

/// What a provider sends a browser with: others may add to it (RFC 6749, sections 4.1.2 and 4.1.2.1; RFC 9207).
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
pub struct Arrival {
    state: SecretText,
    code: Option<SecretText>,
    iss: Option<String>,
    error: Option<String>,
}

/// What becomes of the browser.
#[derive(Clone, Debug)]
pub enum Arrived {
    /// It goes on to this address.
    SendOn(SecretText),
    /// It has signed in a device.
    DeviceSignedIn,
    /// It has refused to sign in a device.
    DeviceDenied,
}

impl SignIn {
    /// Takes a browser that comes back from a provider; `browser` is its cookie, if it has one.
    ///
    /// # Errors
    /// [`SignInError::FlowRefused`] for a state that is not under way, or not at this provider, or not in this
    /// browser; those of [`complete`](Self::complete) where a device is signed in; or the store's.
    pub async fn arrive(
        &self,
        provider: &str,
        arrival: &Arrival,
        browser: Option<&BrowserSecret>,
    ) -> Result<Arrived, SignInError> {
        let state: FlowState = arrival.state.expose().parse().map_err(|_| SignInError::FlowRefused)?;
        let pending = self.store.pending_flow(state.hash(), self.clock.now()).await?;
        let pending = pending.filter(|flow| flow.provider == provider).ok_or(SignInError::FlowRefused)?;
        match pending.device {
            None => Ok(Arrived::SendOn(send_on(&pending.redirect_uri, arrival))),
            Some(device) => self.sign_in_device(&state, device, arrival, browser).await,
        }
    }

    async fn sign_in_device(
        &self,
        state: &FlowState,
        device: DeviceFlow,
        arrival: &Arrival,
        browser: Option<&BrowserSecret>,
    ) -> Result<Arrived, SignInError> {
        // Somebody else's browser is not asked twice: the flow stays for the one that began it.
        if browser.is_none_or(|browser| browser.hash() != device.browser) {
            return Err(SignInError::FlowRefused);
        }
        let flow = self.store.take_flow(state.hash(), self.clock.now()).await?.ok_or(SignInError::FlowRefused)?;
        let (decision, arrived) = match &arrival.code {
            Some(code) => {
                let account = self.identify(&flow, code, arrival.iss.as_deref()).await?;
                (Decision::SignedIn(account), Arrived::DeviceSignedIn)
            }
            None => (Decision::Denied, Arrived::DeviceDenied),
        };
        let is_first = self.store.decide_device_grant(device.device_code, decision, self.clock.now()).await?;
        if is_first { Ok(arrived) } else { Err(SignInError::DeviceUnknown) }
    }
}

/// The address with what the provider said.
fn send_on(redirect_uri: &str, arrival: &Arrival) -> SecretText {
    let Arrival { state, code, iss, error } = arrival;
    let said = match (code, error) {
        (Some(code), _) => format!("code={}", percent_encoded(code.expose())),
        (None, error) => format!("error={}", plain(error.as_deref().unwrap_or("invalid_request"))),
    };
    let state = percent_encoded(state.expose());
    let iss = iss.as_deref().map_or_else(String::new, |iss| format!("&iss={}", percent_encoded(iss)));
    SecretText::new(format!("{redirect_uri}?{said}&state={state}{iss}"))
}
