//! Sign-in and sessions.

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, LOCATION};

use super::{Api, ApiError, NONE, answer};
use crate::wire::{
    AskDevice, BindDevice, CompleteFlow, DeviceStarted, FlowStarted, Providers, Refresh, SecretText, SessionTokens,
    StartDevice, StartFlow,
};

impl Api {
    pub(in crate::client) async fn providers(&self) -> Result<Providers, ApiError> {
        self.get("/api/auth/providers").await
    }

    pub(in crate::client) async fn start_flow(&self, flow: &StartFlow) -> Result<FlowStarted, ApiError> {
        self.post("/api/auth/flows", flow).await
    }

    pub(in crate::client) async fn complete_flow(&self, flow: &CompleteFlow) -> Result<SessionTokens, ApiError> {
        self.post("/api/auth/flows/complete", flow).await
    }

    pub(in crate::client) async fn start_device(&self, provider: &str) -> Result<DeviceStarted, ApiError> {
        self.post("/api/auth/device", &StartDevice { provider: provider.to_owned() }).await
    }

    pub(in crate::client) async fn ask_device(&self, device_code: &SecretText) -> Result<SessionTokens, ApiError> {
        self.post("/api/auth/device/token", &AskDevice { device_code: device_code.clone() }).await
    }

    /// Trades a refresh token, which is good once.
    pub(in crate::client) async fn refresh(&self, refresh_token: &SecretText) -> Result<SessionTokens, ApiError> {
        self.post("/api/auth/refresh", &Refresh { refresh_token: refresh_token.clone() }).await
    }

    pub(in crate::client) async fn bind_device(&self, proof: &BindDevice) -> Result<(), ApiError> {
        self.done(Method::PUT, "/api/session/device", Some(proof)).await
    }

    pub(in crate::client) async fn sign_out(&self) -> Result<(), ApiError> {
        self.done(Method::POST, "/api/auth/sign-out", NONE).await
    }

    /// Fills in the form of the development provider, as a browser would. Where that sends the browser.
    pub(in crate::client) async fn give_name(&self, authorization_url: &str, name: &str) -> Result<String, ApiError> {
        let form = self.http.post(authorization_url).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let response = form.body(format!("name={name}")).send().await?;
        let location = response.headers().get(LOCATION).and_then(|value| Some(value.to_str().ok()?.to_owned()));
        match location {
            Some(location) if response.status().is_redirection() => Ok(location),
            _ => Err(answer(response).await.err().unwrap_or(ApiError::Malformed)),
        }
    }
}
