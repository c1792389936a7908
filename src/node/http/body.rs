//! How bodies, paths and queries are read: their limits, and the errors of what does not parse.

use core::fmt;
use core::future::{Future, ready};
use core::marker::PhantomData;
use core::ops::Deref;
use core::pin::Pin;

use actix_web::dev::Payload;
use actix_web::error::{JsonPayloadError, PayloadError, UrlencodedError};
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::{FormConfig, Json, JsonConfig, PathConfig, PayloadConfig, QueryConfig};
use actix_web::{Error, FromRequest, HttpRequest};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::error::ApiError;
use super::one_form::OneForm;
use crate::wire::{ErrorCode, PageLimit};

/// Characters of what is said about a body that does not parse: it may quote the body.
const DETAIL_CHARACTERS_MAX: usize = 200;

/// The query of a call that answers a page: what it begins after, and how much it may have.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, bound = "T: Deserialize<'de>")]
pub(super) struct PageQuery<T> {
    #[serde(default = "beginning")]
    pub(super) after: Option<T>,
    #[serde(default)]
    pub(super) limit: PageLimit,
}

const fn beginning<T>() -> Option<T> {
    None
}

impl<T> PageQuery<T> {
    /// What the next page begins after, if this one is full: it may then be the last all the same.
    pub(super) fn next<E>(&self, page: &[E], id: impl Fn(&E) -> T) -> Option<T> {
        if page.len() < usize::from(self.limit.get()) { None } else { page.last().map(id) }
    }
}

/// What a call is asked with: a JSON object. An array with the same values in order, which serde would take for one here or
/// further in, is malformed: there is one form of each request.
#[derive(Clone, Debug)]
pub(super) struct Body<T>(T);

impl<T> Body<T> {
    /// What it holds.
    pub(super) fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Body<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let json = Json::<Object<T>>::from_request(request, payload);
        Box::pin(async move { Ok(Self(json.await?.into_inner().0)) })
    }
}

/// A map, and nothing else that could be read as its fields.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(OneForm(fields)))
    }
}

/// Reads JSON of at most this many bytes. The content type must be JSON, which also keeps pages of
/// other origins out: a browser asks before it sends that, and the node does not agree.
pub(super) fn json(bytes_max: usize) -> JsonConfig {
    JsonConfig::default().limit(bytes_max).content_type_required(true).error_handler(json_error)
}

/// A JSON body that may be left out: then it is the default.
#[derive(Debug)]
pub(super) struct OptionalBody<T>(pub(super) T);

impl<T: DeserializeOwned + Default + 'static> FromRequest for OptionalBody<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_empty = request.headers().get(CONTENT_LENGTH).is_some_and(|length| length == "0");
        if is_empty || matches!(payload, Payload::None) {
            return Box::pin(ready(Ok(Self(T::default()))));
        }
        let body = Body::<T>::from_request(request, payload);
        Box::pin(async move { Ok(Self(body.await?.into_inner())) })
    }
}

/// Reads an HTML form of at most this many bytes.
pub(super) fn form(bytes_max: usize) -> FormConfig {
    FormConfig::default().limit(bytes_max).error_handler(form_error)
}

/// Reads parts of a path.
pub(super) fn path() -> PathConfig {
    PathConfig::default().error_handler(|error, _| malformed(&error.to_string()).into())
}

/// Reads a query.
pub(super) fn query() -> QueryConfig {
    QueryConfig::default().error_handler(|error, _| malformed(&error.to_string()).into())
}

/// The limit of what is read as bytes.
pub(super) fn payload(bytes_max: usize) -> PayloadConfig {
    PayloadConfig::new(bytes_max)
}

fn json_error(error: JsonPayloadError, _: &HttpRequest) -> Error {
    match error {
        JsonPayloadError::OverflowKnownLength { .. } | JsonPayloadError::Overflow { .. } => {
            ApiError::new(ErrorCode::BodyTooLarge)
        }
        JsonPayloadError::ContentType => ApiError::new(ErrorCode::UnsupportedMediaType),
        JsonPayloadError::Payload(error) => payload_error(&error),
        error => malformed(&error.to_string()),
    }
    .into()
}

fn form_error(error: UrlencodedError, _: &HttpRequest) -> Error {
    match error {
        UrlencodedError::Overflow { .. } => ApiError::new(ErrorCode::BodyTooLarge),
        UrlencodedError::ContentType => ApiError::new(ErrorCode::UnsupportedMediaType),
        UrlencodedError::Payload(error) => payload_error(&error),
        error => malformed(&error.to_string()),
    }
    .into()
}

fn payload_error(error: &PayloadError) -> ApiError {
    match error {
        PayloadError::Overflow => ApiError::new(ErrorCode::BodyTooLarge),
        error => malformed(&error.to_string()),
    }
}

fn malformed(detail: &str) -> ApiError {
    ApiError::with_detail(ErrorCode::MalformedRequest, detail.chars().take(DETAIL_CHARACTERS_MAX).collect::<String>())
}
