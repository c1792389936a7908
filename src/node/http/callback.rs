//! `/auth/{provider}/callback`: where providers send browsers back to; the node sends them on. `/auth/callback`:
//! where a browser arrives that is to be sent nowhere else. It shows code and state, for the program that began the
//! sign-in.

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde::Deserialize;
use utoipa::IntoParams;

use super::browser;
use super::document::{Calls, about};
use super::error::ApiError;
use super::extract::Visitor;
use super::page::{escaped, page};
use super::state::NodeState;
use crate::node::auth::{Arrival, Arrived, CALLBACK_PATH, SignInError};
use crate::wire::SecretText;

pub(super) fn routes(calls: &mut Calls<'_>) {
    let arrives = about("Where a provider sends the browser back to; it is sent on to who began the sign-in.");
    calls
        .at(CALLBACK_PATH, |at| at.get(show, about("Shows code and state to a person without a program that waits.")))
        .at("/auth/{provider}/callback", |at| at.get(arrive, arrives.sends_on().page(400).page(503)));
}

async fn arrive(
    _: Visitor,
    request: HttpRequest,
    state: Data<NodeState>,
    provider: Path<String>,
    arrival: Query<Arrival>,
) -> HttpResponse {
    let browser = browser::secret(&request, &state.public_url);
    match state.sign_in.arrive(&provider, &arrival, browser.as_ref()).await {
        Ok(Arrived::SendOn(location)) => HttpResponse::SeeOther().insert_header((LOCATION, location.expose())).finish(),
        Ok(Arrived::DeviceSignedIn) => {
            page(StatusCode::OK, "Signed in", "<p>Your device is signed in. You may close this page.</p>\n")
        }
        Ok(Arrived::DeviceDenied) => page(
            StatusCode::OK,
            "Not signed in",
            "<p>The device is told that you refused. You may close this page.</p>\n",
        ),
        Err(error) => refusal(error),
    }
}

/// A page for a person, with the status of the error.
fn refusal(error: SignInError) -> HttpResponse {
    let text = match &error {
        SignInError::FlowRefused | SignInError::DeviceUnknown => {
            "This sign-in is not under way in this browser: it was completed, took too long, or was begun elsewhere."
        }
        error if error.is_refusal() => "The sign-in provider does not vouch for this sign-in.",
        _ => "The sign-in cannot be completed now.",
    };
    let status = ApiError::from(error).status_code();
    page(status, "Not signed in", &format!("<p>{text} Start again.</p>\n"))
}

/// What a browser is sent on with.
#[derive(Debug, Deserialize, IntoParams)]
struct Shown {
    code: Option<SecretText>,
    state: SecretText,
    iss: Option<String>,
}

async fn show(_: Visitor, shown: Query<Shown>) -> HttpResponse {
    let Some(code) = &shown.code else {
        return page(StatusCode::OK, "Not signed in", "<p>The sign-in provider gave no code. Start again.</p>\n");
    };
    let (code, state) = (escaped(code.expose()), escaped(shown.state.expose()));
    let iss = shown.iss.as_deref().map(|iss| format!("<p>Issuer: <code>{}</code></p>\n", escaped(iss)));
    page(
        StatusCode::OK,
        "One more step",
        &format!(
            "<p>Give these to the program that you are signing in with, and to nobody else.</p>\n\
             <p>Code: <code>{code}</code></p>\n<p>State: <code>{state}</code></p>\n{}",
            iss.unwrap_or_default()
        ),
    )
}
