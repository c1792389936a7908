//! `/api/auth/device`: sign-in of a device that has no browser. `/device`: the page where somebody types its code.

use actix_web::http::StatusCode;
use actix_web::http::header::{LOCATION, SET_COOKIE};
use actix_web::web::{Data, Form, Json};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::Body;
use super::browser;
use super::document::{Calls, about};
use super::error::ApiError;
use super::extract::Visitor;
use super::page::page;
use super::state::NodeState;
use crate::node::auth::{DEVICE_PATH, SignInError};
use crate::node::entropy;
use crate::node::tokens::BrowserSecret;
use crate::wire::{AskDevice, DeviceStarted, ErrorCode, SecretText, SessionTokens, StartDevice};

pub(super) fn routes(calls: &mut Calls<'_>) {
    let begin = about("Begins the sign-in of a device that has no browser (RFC 8628): a device code and a user code.");
    let tokens = about("The device asks whether somebody has signed it in: its tokens, once.");
    let waits =
        [ErrorCode::AuthorizationPending, ErrorCode::SlowDown, ErrorCode::ExpiredToken, ErrorCode::AccessDenied];
    let typed = about("Takes the user code, and sends the browser to the provider.").sends_on().page(403).page(422);
    calls
        .at("/api/auth/device", |at| at.post(start, begin.refuses(&[ErrorCode::UnknownProvider])))
        .at("/api/auth/device/token", |at| at.post(ask, tokens.refuses(&waits)))
        .at(DEVICE_PATH, |at| {
            at.get(show, about("The page where somebody types the user code of a device."))
                .post(enter, typed.refuses(&[ErrorCode::UnknownProvider, ErrorCode::ProviderUnavailable]))
        });
}

async fn start(_: Visitor, state: Data<NodeState>, body: Body<StartDevice>) -> Result<Json<DeviceStarted>, ApiError> {
    Ok(Json(state.sign_in.start_device(&body).await?))
}

async fn ask(_: Visitor, state: Data<NodeState>, body: Body<AskDevice>) -> Result<Json<SessionTokens>, ApiError> {
    Ok(Json(state.sign_in.ask_device(&body).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CodeForm {
    user_code: SecretText,
}

async fn show(_: Visitor, request: HttpRequest, state: Data<NodeState>) -> Result<HttpResponse, ApiError> {
    form(&request, &state, StatusCode::OK, None)
}

/// A form that another site sends comes without the cookie, and begins nothing.
async fn enter(
    _: Visitor,
    request: HttpRequest,
    state: Data<NodeState>,
    body: Form<CodeForm>,
) -> Result<HttpResponse, ApiError> {
    state.limits.user_code()?;
    let Some(browser) = browser::secret(&request, &state.public_url).filter(|_| is_from_here(&request)) else {
        return form(&request, &state, StatusCode::FORBIDDEN, Some("Type the code here, with cookies allowed."));
    };
    match state.sign_in.enter_user_code(body.user_code.expose(), &browser).await {
        Ok(location) => Ok(HttpResponse::SeeOther().insert_header((LOCATION, location.expose())).finish()),
        Err(SignInError::DeviceUnknown) => {
            let error = "No device waits with this code. Look at it again, or let the device show a new one.";
            form(&request, &state, StatusCode::UNPROCESSABLE_ENTITY, Some(error))
        }
        Err(error) => Err(error.into()),
    }
}

/// What browsers say of where a request comes from, if they say it.
fn is_from_here(request: &HttpRequest) -> bool {
    request.headers().get("sec-fetch-site").is_none_or(|site| site == "same-origin")
}

fn form(
    request: &HttpRequest,
    state: &NodeState,
    status: StatusCode,
    error: Option<&str>,
) -> Result<HttpResponse, ApiError> {
    let (alert, described) = match error {
        None => (String::new(), "code-hint"),
        Some(error) => (format!("<p id=\"code-error\" role=\"alert\">{error}</p>\n"), "code-error code-hint"),
    };
    let invalid = if error.is_some() { " aria-invalid=\"true\"" } else { "" };
    let mut response = page(
        status,
        "Sign in a device",
        &format!(
            "<p><strong>Go on only if you yourself just began this on a device of your own.</strong> If somebody sent you \
             the code, they would be signed in as you.</p>\n{alert}\
             <form method=\"post\">\n<label for=\"code\">Code</label>\n\
             <input id=\"code\" name=\"user_code\" required maxlength=\"16\" autocomplete=\"off\" \
             autocapitalize=\"characters\" spellcheck=\"false\" aria-describedby=\"{described}\"{invalid}>\n\
             <p id=\"code-hint\">The eight letters that your device shows.</p>\n<button>Go on</button>\n</form>\n"
        ),
    );
    if browser::secret(request, &state.public_url).is_none() {
        let cookie = browser::cookie(&BrowserSecret::generate(&mut entropy::generator()?), &state.public_url);
        let cookie = cookie
            .try_into()
            .map_err(|error: actix_web::http::header::InvalidHeaderValue| ApiError::internal(&error))?;
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(response)
}
