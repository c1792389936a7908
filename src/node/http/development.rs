//! The page of the development provider: it asks for a name. A program without a browser sends the form
//! itself: `curl --data name=ada "$authorization_url"`, and reads code and state from the redirect.

use actix_web::http::StatusCode;
use actix_web::http::header::{HOST, LOCATION};
use actix_web::http::uri::Authority;
use actix_web::web::{Data, Form, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use utoipa::ToSchema;

use super::document::{Calls, about};
use super::error::ApiError;
use super::extract::Visitor;
use super::page::page;
use super::state::NodeState;
use crate::node::auth::{AUTHORIZE_PATH, AuthorizationQuery, DevelopmentProvider, Name, NameError};
use crate::node::config::is_loopback_host;
use crate::wire::ErrorCode;

pub(super) fn routes(calls: &mut Calls<'_>) {
    let refused = [ErrorCode::NotFound, ErrorCode::RedirectRefused];
    let named = about("Signs in whoever gives a name, and sends the browser back.").sends_on().page(422);
    calls.at(AUTHORIZE_PATH, |at| {
        at.get(ask, about("The page of the development provider: it asks for a name.").refuses(&refused))
            .post(answer, named.refuses(&refused))
    });
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NameForm {
    name: String,
}

async fn ask(
    _: Visitor,
    request: HttpRequest,
    state: Data<NodeState>,
    query: Query<AuthorizationQuery>,
) -> Result<HttpResponse, ApiError> {
    provider(&state, &request)?.check(&query)?;
    Ok(form(StatusCode::OK, None))
}

async fn answer(
    _: Visitor,
    request: HttpRequest,
    state: Data<NodeState>,
    query: Query<AuthorizationQuery>,
    body: Form<NameForm>,
) -> Result<HttpResponse, ApiError> {
    let provider = provider(&state, &request)?;
    provider.check(&query)?;
    let name: Name = match body.name.parse() {
        Ok(name) => name,
        Err(error) => return Ok(form(StatusCode::UNPROCESSABLE_ENTITY, Some(error))),
    };
    let location = provider.authorize(&query, &name).await?;
    Ok(HttpResponse::SeeOther().insert_header((LOCATION, location.expose())).finish())
}

/// The provider, for whoever reached it under a loopback name: a page elsewhere whose name was turned to
/// a loopback address (DNS rebinding) sends its own.
fn provider<'a>(state: &'a NodeState, request: &HttpRequest) -> Result<&'a DevelopmentProvider, ApiError> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let is_loopback = host.is_some_and(|host| is_loopback_host(host.host()));
    state.development.as_ref().filter(|_| is_loopback).ok_or(ApiError::new(ErrorCode::NotFound))
}

/// The form goes back to the address that it came from, query included.
fn form(status: StatusCode, error: Option<NameError>) -> HttpResponse {
    let (alert, described) = match error {
        None => (String::new(), "name-hint"),
        Some(error) => (format!("<p id=\"name-error\" role=\"alert\">{error}</p>\n"), "name-error name-hint"),
    };
    let invalid = if error.is_some() { " aria-invalid=\"true\"" } else { "" };
    page(
        status,
        "Sign in for development",
        &format!(
            "<p>This node believes every name. It is for trying things out on this machine.</p>\n{alert}\
             <form method=\"post\">\n<label for=\"name\">Name</label>\n\
             <input id=\"name\" name=\"name\" required maxlength=\"64\" pattern=\"[a-z0-9._\\-]+\" \
             autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\" \
             aria-describedby=\"{described}\"{invalid}>\n\
             <p id=\"name-hint\">Lowercase letters, digits, hyphens, underscores and dots. The same name is the \
             same account.</p>\n<button>Sign in</button>\n</form>\n"
        ),
    )
}
