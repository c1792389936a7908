//! The two calls of a sign-in.

use super::SignIn;
use super::error::SignInError;
use super::provider::{AuthorizationRequest, Claims, Exchange, Provider};
use crate::ids::AccountId;
use crate::node::audit::{self, Event};
use crate::node::config::WebAddress;
use crate::node::entropy;
use crate::node::store::{DeviceFlow, Flow, ProviderIdentity};
use crate::node::tokens::{CodeVerifier, FlowState, Nonce};
use crate::wire::{CompleteFlow, FlowStarted, SecretText, SessionTokens, StartFlow};

impl SignIn {
    /// Begins a sign-in.
    ///
    /// # Errors
    /// [`SignInError::UnknownProvider`], [`SignInError::RedirectRefused`], [`SignInError::Provider`] if it cannot
    /// be used, or the store's.
    pub async fn start(&self, request: &StartFlow) -> Result<FlowStarted, SignInError> {
        let provider = self.provider(&request.provider)?;
        let redirect_uri = self.redirects.choose(request.redirect_uri.as_deref())?;
        self.begin(provider, &redirect_uri, None).await
    }

    /// As [`start`](Self::start); for a device that has no browser, where one is given.
    pub(super) async fn begin(
        &self,
        provider: &Provider,
        redirect_uri: &WebAddress,
        device: Option<DeviceFlow>,
    ) -> Result<FlowStarted, SignInError> {
        let rng = &mut entropy::generator()?;
        let state = FlowState::generate(rng);
        let code_verifier = CodeVerifier::generate(rng);
        let nonce = Nonce::generate(rng);
        let now = self.clock.now();
        let expires_at = now.plus(self.settings.flow_seconds_max.seconds());
        let state_text = SecretText::new(state.to_text());
        let request = AuthorizationRequest { redirect_uri, state: &state_text, nonce, code_verifier: &code_verifier };
        let authorization_url = provider.authorization_url(&request).await?;
        let flow = Flow {
            state_hash: state.hash(),
            provider: provider.name().to_owned(),
            redirect_uri: redirect_uri.as_str().to_owned(),
            code_verifier,
            nonce,
            expires_at,
            device,
        };
        self.store.save_flow(flow, now).await?;
        Ok(FlowStarted { authorization_url, state: state_text, expires_at })
    }

    /// Completes a sign-in: opens a session of the account, and makes the account at its first sign-in. The flow is gone
    /// whatever comes of it.
    ///
    /// # Errors
    /// [`SignInError::FlowRefused`] for a state that is not under way, [`SignInError::CodeRefused`] or
    /// [`SignInError::Provider`] for a code that the provider does not take with this flow, or the store's.
    pub async fn complete(&self, request: &CompleteFlow) -> Result<SessionTokens, SignInError> {
        let state: FlowState = request.state.expose().parse().map_err(|_| SignInError::FlowRefused)?;
        let Some(flow) = self.store.take_flow(state.hash(), self.clock.now()).await? else {
            self.count("unknown", "refused");
            return Err(SignInError::FlowRefused);
        };
        // A browser completes the sign-in of a device, and nobody else.
        if flow.device.is_some() {
            return Err(SignInError::FlowRefused);
        }
        let account_id = self.identify(&flow, &request.code, request.iss.as_deref()).await?;
        let tokens = self.open_session(account_id).await?;
        self.count(&flow.provider, "signed_in");
        audit::record(Event::SignedIn { account: account_id, session: tokens.session_id, provider: &flow.provider });
        Ok(tokens)
    }

    /// Who signed in, by a flow that was taken.
    pub(super) async fn identify(
        &self,
        flow: &Flow,
        code: &SecretText,
        responder: Option<&str>,
    ) -> Result<AccountId, SignInError> {
        // A provider that was taken out of the settings meanwhile signs nobody in.
        let provider = self.provider(&flow.provider).map_err(|_| SignInError::FlowRefused)?;
        let exchange = Exchange { code, responder, code_verifier: &flow.code_verifier, nonce: flow.nonce };
        let claims = provider.exchange(&exchange, &flow.redirect_uri).await.inspect_err(|error| {
            self.count(&flow.provider, if error.is_refusal() { "refused" } else { "failed" });
        });
        let Claims { issuer, subject } = claims?;
        let identity = ProviderIdentity::new(issuer, subject).map_err(|_| SignInError::CodeRefused)?;
        let candidate = AccountId::generate(&mut entropy::generator()?);
        Ok(self.store.find_or_create_account(&identity, candidate, self.clock.now()).await?)
    }
}
