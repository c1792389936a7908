//! What stands around every call: its time limit, the headers of its answer, its log line, and the
//! form of errors that no handler made.

use core::time::Duration;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, ResponseError};
use tracing::debug;

use super::error::ApiError;
use super::extract::let_go_of_received_bytes;
use super::state::NodeState;
use super::writing::{Parts, Writing};
use crate::node::metrics::Calls;
use crate::wire::{ErrorCode, Problem};

/// Ends a call that takes longer than the settings say. What it did is done: writes are whole.
///
/// # Errors
/// `request_timeout`, and whatever the call itself ends with.
pub async fn within_time(
    state: Data<NodeState>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let limit = state.settings.server.request_seconds_max.seconds();
    let answer = tokio::time::timeout(limit, next.call(request)).await;
    answer.unwrap_or_else(|_| Err(ApiError::new(ErrorCode::RequestTimeout).into()))
}

/// Does what a call asks to its end, also if the caller is gone or its time is over meanwhile: what the store has taken is
/// told to the sockets that it concerns.
///
/// # Errors
/// Those of the work.
pub(super) async fn to_the_end<T: 'static>(
    work: impl Future<Output = Result<T, ApiError>> + 'static,
) -> Result<T, ApiError> {
    actix_web::rt::spawn(work).await.unwrap_or_else(|error| Err(ApiError::internal(&error)))
}

/// Sets the headers that every answer has, gives errors their form, and writes the log line. A line has
/// the route and not the path: a query may hold a code. The answer goes out in parts, whose writing is watched.
///
/// # Errors
/// Those of the call that no handler answered.
pub async fn framed(
    state: Data<NodeState>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    Writing::begin();
    let started = state.clock.running();
    let_go_of_received_bytes(&mut request);
    let method = request.method().clone();
    let mut response = as_problem(next.call(request).await?);
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if state.readiness.is_stopping() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let took = state.clock.running().saturating_sub(started);
    let millis = took.as_millis();
    let route = response.request().match_pattern().unwrap_or_default();
    let status = response.status().as_u16();
    count(&state.metrics.calls, &method, &route, status, took);
    debug!(target: "http", %method, route, status, millis, "answered");
    Ok(response.map_body(|_, body| Parts::of(body)))
}

/// Counts an answer. What a stranger may choose freely, the path and the name of the method, is no label.
fn count(calls: &Calls, method: &Method, route: &str, status: u16, took: Duration) {
    let method = match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    };
    let route = if route.is_empty() { "none" } else { route };
    let class = match status {
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    };
    calls.answered.of([method.to_owned(), route.to_owned(), class.to_owned()]).increment(1);
    calls.duration.of([method.to_owned(), route.to_owned()]).record(took);
}

/// Gives an error that no handler made its code: no such path, no such method. Pages are left as they are.
fn as_problem<B: MessageBody>(response: ServiceResponse<B>) -> ServiceResponse<EitherBody<B, BoxBody>> {
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let is_formed = kind == Problem::MEDIA_TYPE.as_bytes() || kind.starts_with(b"text/html");
    if is_formed || !(status.is_client_error() || status.is_server_error()) {
        return response.map_into_left_body();
    }
    let code = match status {
        StatusCode::NOT_FOUND => ErrorCode::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => ErrorCode::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::BodyTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ErrorCode::UnsupportedMediaType,
        StatusCode::REQUEST_TIMEOUT => ErrorCode::RequestTimeout,
        status if status.is_client_error() => ErrorCode::MalformedRequest,
        _ => ErrorCode::Internal,
    };
    response.into_response(ApiError::new(code).error_response()).map_into_right_body()
}
