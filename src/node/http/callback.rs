//! `/auth/callback`: where a browser arrives that was sent nowhere else. It shows code and state, for
//! the program that began the sign-in.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, Query, ServiceConfig};
use serde::Deserialize;

use super::extract::Visitor;
use super::page::{escaped, page};
use crate::node::auth::CALLBACK_PATH;
use crate::wire::SecretText;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(web::resource(CALLBACK_PATH).route(web::get().to(show)));
}

/// What the provider sends: others may add to it (RFC 6749, section 4.1.2).
#[derive(Debug, Deserialize)]
struct Arrival {
    code: SecretText,
    state: SecretText,
}

async fn show(_: Visitor, arrival: Query<Arrival>) -> HttpResponse {
    let (code, state) = (escaped(arrival.code.expose()), escaped(arrival.state.expose()));
    page(
        StatusCode::OK,
        "One more step",
        &format!(
            "<p>Give these two to the program that you are signing in with, and to nobody else.</p>\n\
             <p>Code: <code>{code}</code></p>\n<p>State: <code>{state}</code></p>\n"
        ),
    )
}
