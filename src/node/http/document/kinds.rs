//! What handlers of the node take and answer.

use actix_web::body::BoxBody;
use actix_web::http::header::{ETAG, LOCATION};
use actix_web::web::{Data, Form, Json, Path, Query};
use actix_web::{HttpRequest, HttpResponse, Responder};
use serde::Serialize;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Required, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::call::{Call, anything};
use super::handler::{Answers, Takes};
use crate::ids::{AccountId, CollectionName, DeviceId, InvitationId, ItemId, KeyId, RoomId, SessionId};
use crate::node::http::body::{Body, OptionalBody, PageQuery};
use crate::node::http::error::ApiError;
use crate::node::http::extract::{SignedIn, Visitor};
use crate::node::http::idempotency::{IdempotencyKey, KEY_MAX};
use crate::node::http::precondition::Precondition;
use crate::wire::{ErrorCode, PageLimit};

impl Takes for Visitor {
    fn describe(call: &mut Call) {
        call.code(ErrorCode::RateLimited);
    }
}

impl Takes for SignedIn {
    fn describe(call: &mut Call) {
        call.needs_token();
    }
}

impl Takes for IdempotencyKey {
    fn describe(call: &mut Call) {
        let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[!#-+\\--\\[\\]-~]+$"));
        let schema = schema.min_length(Some(1)).max_length(Some(KEY_MAX)).build();
        let parameter = ParameterBuilder::new().name("Idempotency-Key").parameter_in(ParameterIn::Header);
        let parameter = parameter.required(Required::False).description(Some(
            "The same call with the same key acts once and is answered the same, for a day. Another call with it is refused.",
        ));
        call.parameter(parameter.schema(Some(schema)).build());
        for code in [ErrorCode::MalformedRequest, ErrorCode::IdempotencyKeyReused, ErrorCode::TooManyIdempotencyKeys] {
            call.code(code);
        }
    }
}

impl Takes for Precondition {
    fn describe(call: &mut Call) {
        let forms = [
            ("If-Match", "^\"[1-9][0-9]*\"$", "The version that the call is for, in quotes."),
            ("If-None-Match", "^\\*$", "In its place: there is no such thing yet."),
        ];
        for (name, pattern, description) in forms {
            let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).build();
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header);
            let parameter = parameter.required(Required::False).description(Some(description));
            call.parameter(parameter.schema(Some(schema)).build());
        }
        call.code(ErrorCode::MalformedRequest);
        call.code(ErrorCode::PreconditionMissing);
    }
}

impl Takes for HttpRequest {
    fn describe(_: &mut Call) {}
}

impl<T> Takes for Data<T> {
    fn describe(_: &mut Call) {}
}

impl<T: ToSchema> Takes for Body<T> {
    fn describe(call: &mut Call) {
        call.body::<T>("application/json");
    }
}

impl<T: ToSchema> Takes for OptionalBody<T> {
    fn describe(call: &mut Call) {
        call.body::<T>("application/json");
        call.body_may_be_left_out();
    }
}

impl<T: ToSchema> Takes for Form<T> {
    fn describe(call: &mut Call) {
        call.body::<T>("application/x-www-form-urlencoded");
    }
}

impl<T: IntoParams> Takes for Query<T> {
    fn describe(call: &mut Call) {
        for parameter in T::into_params(|| Some(ParameterIn::Query)) {
            call.parameter(parameter);
        }
        call.code(ErrorCode::MalformedRequest);
    }
}

impl<T: PartialSchema> IntoParams for PageQuery<T> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameter = |name: &str, description: &str, schema: RefOr<Schema>| {
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
            let parameter = parameter.required(Required::False).description(Some(description));
            parameter.schema(Some(schema)).build()
        };
        vec![
            parameter("after", "What the page begins after; without it, at the beginning.", T::schema()),
            parameter("limit", "How much the page has at most.", PageLimit::schema()),
        ]
    }
}

/// One part of a path.
trait PathPart: ToSchema {}

impl PathPart for AccountId {}
impl PathPart for CollectionName {}
impl PathPart for DeviceId {}
impl PathPart for InvitationId {}
impl PathPart for ItemId {}
impl PathPart for KeyId {}
impl PathPart for RoomId {}
impl PathPart for SessionId {}

impl<A: PathPart> Takes for Path<A> {
    fn describe(call: &mut Call) {
        let part = call.schema_of::<A>();
        call.path_part(part);
        call.code(ErrorCode::MalformedRequest);
    }
}

impl<A: PathPart, B: PathPart> Takes for Path<(A, B)> {
    fn describe(call: &mut Call) {
        for part in [call.schema_of::<A>(), call.schema_of::<B>()] {
            call.path_part(part);
        }
        call.code(ErrorCode::MalformedRequest);
    }
}

impl Takes for Path<String> {
    fn describe(call: &mut Call) {
        call.path_part(String::schema());
    }
}

impl<T: Answers> Answers for Result<T, ApiError> {
    fn describe(call: &mut Call) {
        T::describe(call);
    }
}

impl<T: ToSchema> Answers for Json<T> {
    fn describe(call: &mut Call) {
        call.answer_with::<T>("application/json");
    }
}

/// What has versions; the answer's `ETag` is the version.
#[derive(Clone, Copy, Debug)]
pub(in crate::node::http) struct Tagged<T> {
    pub(in crate::node::http) version: u64,
    pub(in crate::node::http) body: T,
}

impl<T: ToSchema> Answers for Tagged<T> {
    fn describe(call: &mut Call) {
        let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^\"[1-9][0-9]*\"$"));
        let tag =
            HeaderBuilder::new().schema(Some(schema.build())).description(Some("The version, in quotes.")).build();
        let content = ContentBuilder::new().schema(Some(call.schema_of::<T>())).build();
        let answer = ResponseBuilder::new().description("Done.").content("application/json", content);
        call.answer(200, answer.header("ETag", tag).build());
    }
}

impl<T: Serialize> Responder for Tagged<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().insert_header((ETAG, format!("\"{}\"", self.version))).json(self.body)
    }
}

impl Answers for &'static str {
    fn describe(call: &mut Call) {
        call.answer(200, ResponseBuilder::new().description("It is so.").content("text/plain", anything()).build());
    }
}

/// A page for a person: `Call::page` has its other statuses.
impl Answers for HttpResponse {
    fn describe(call: &mut Call) {
        call.answer(200, ResponseBuilder::new().description("A page.").content("text/html", anything()).build());
    }
}

/// It is done, and there is nothing to say.
#[derive(Clone, Copy, Debug)]
pub(in crate::node::http) struct NoContent;

impl Answers for NoContent {
    fn describe(call: &mut Call) {
        call.answer(204, Response::new("Done."));
    }
}

impl Responder for NoContent {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::NoContent().finish()
    }
}

/// The browser goes elsewhere, and nothing else.
pub(in crate::node::http) struct SeeOther(pub(in crate::node::http) &'static str);

impl Answers for SeeOther {
    fn describe(call: &mut Call) {
        call.answer(303, Response::new("The browser is sent on."));
    }
}

impl Responder for SeeOther {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::SeeOther().insert_header((LOCATION, self.0)).finish()
    }
}

/// A file that is part of the program.
pub(in crate::node::http) struct Asset(pub(in crate::node::http) HttpResponse);

impl Answers for Asset {
    fn describe(call: &mut Call) {
        let content = ContentBuilder::new().build();
        call.answer(200, ResponseBuilder::new().description("The file.").content("*/*", content).build());
    }
}

impl Responder for Asset {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.0
    }
}
