//! The OpenAPI document, made of what the calls are: a handler's arguments and answer say what it takes and gives, and
//! with its place among the calls stands what it is for and which codes it refuses with.
//!
//! A call is registered by [`Calls`] alone, which serves it and describes it: so there is none that the document does not
//! have, and none in it that is not served. Errors are named by code; status and title come from the one table
//! (`error.rs`).
//!
//! Source: OpenAPI 3.1.0; RFC 9457.

mod call;
mod handler;
mod kinds;

use core::future::ready;

use actix_web::dev::Handler;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, HttpResponse, Resource, ResponseError, Route};
use utoipa::openapi::path::{HttpMethod, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, Paths};

use super::error::ApiError;
use crate::wire::ErrorCode;

pub(super) use call::{Call, about};
pub(super) use kinds::{Asset, NoContent, SeeOther, Tagged};

use call::Described;
use handler::Documented;

/// The calls of the node, as they are registered: they are served, or described.
pub(super) struct Calls<'a> {
    tag: &'static str,
    into: Into<'a>,
}

enum Into<'a> {
    Service(&'a mut ServiceConfig),
    Document(&'a mut Document),
}

impl<'a> Calls<'a> {
    /// Registers calls to be served.
    pub(super) const fn serve(config: &'a mut ServiceConfig) -> Self {
        Self { tag: "", into: Into::Service(config) }
    }

    /// What comes belongs together, under this name.
    pub(super) fn of(&mut self, tag: &'static str, routes: fn(&mut Calls<'_>)) -> &mut Self {
        self.tag = tag;
        routes(self);
        self
    }

    /// Registers what there is at a path; parts in braces are parameters.
    pub(super) fn at(&mut self, path: &'static str, calls: impl FnOnce(At) -> At) -> &mut Self {
        let At { resource, calls, methods, .. } =
            calls(At { path, tag: self.tag, resource: web::resource(path), calls: Vec::new(), methods: String::new() });
        match &mut self.into {
            Into::Service(config) => {
                config.service(resource.default_service(web::to(move || ready(refuse_method(&methods)))));
            }
            Into::Document(document) => calls.into_iter().for_each(|(method, call)| document.add(path, method, call)),
        }
        self
    }
}

/// Another method than those of a path: they are named (RFC 9110, section 15.5.6).
fn refuse_method(methods: &str) -> HttpResponse {
    let mut response = ApiError::new(ErrorCode::MethodNotAllowed).error_response();
    if let Ok(methods) = HeaderValue::try_from(methods) {
        response.headers_mut().insert(ALLOW, methods);
    }
    response
}

/// The calls at one path.
pub(super) struct At {
    path: &'static str,
    tag: &'static str,
    resource: Resource,
    calls: Vec<(HttpMethod, Call)>,
    methods: String,
}

impl At {
    /// Something that the handlers of the path find beside the request: another limit for bodies.
    pub(super) fn with<T: 'static>(self, data: T) -> Self {
        Self { resource: self.resource.app_data(data), ..self }
    }

    pub(super) fn get<F: Handler<A> + Documented<A>, A: FromRequest + 'static>(self, handler: F, about: Call) -> Self
    where
        F::Output: actix_web::Responder + 'static,
    {
        self.add(HttpMethod::Get, "GET", web::get(), handler, about)
    }

    pub(super) fn post<F: Handler<A> + Documented<A>, A: FromRequest + 'static>(self, handler: F, about: Call) -> Self
    where
        F::Output: actix_web::Responder + 'static,
    {
        self.add(HttpMethod::Post, "POST", web::post(), handler, about)
    }

    pub(super) fn put<F: Handler<A> + Documented<A>, A: FromRequest + 'static>(self, handler: F, about: Call) -> Self
    where
        F::Output: actix_web::Responder + 'static,
    {
        self.add(HttpMethod::Put, "PUT", web::put(), handler, about)
    }

    pub(super) fn delete<F: Handler<A> + Documented<A>, A: FromRequest + 'static>(self, handler: F, about: Call) -> Self
    where
        F::Output: actix_web::Responder + 'static,
    {
        self.add(HttpMethod::Delete, "DELETE", web::delete(), handler, about)
    }

    fn add<F: Handler<A> + Documented<A>, A: FromRequest + 'static>(
        mut self,
        method: HttpMethod,
        name: &str,
        route: Route,
        handler: F,
        about: Call,
    ) -> Self
    where
        F::Output: actix_web::Responder + 'static,
    {
        let mut call = about.named::<F>(self.tag, self.path);
        F::describe(&mut call);
        self.calls.push((method, call));
        self.methods.push_str(if self.methods.is_empty() { "" } else { ", " });
        self.methods.push_str(name);
        Self { resource: self.resource.route(route.to(handler)), ..self }
    }
}

/// The document, as it grows.
pub(super) struct Document {
    paths: Paths,
    components: ComponentsBuilder,
}

impl Document {
    /// Of these calls.
    pub(super) fn of(routes: impl FnOnce(&mut Calls<'_>)) -> OpenApi {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An access token, as a completed sign-in or a refresh answers it."));
        let bearer = SecurityScheme::Http(bearer.build());
        let components = ComponentsBuilder::new().security_scheme(call::BEARER, bearer);
        let mut document = Self { paths: Paths::new(), components };
        routes(&mut Calls { tag: "", into: Into::Document(&mut document) });
        let Self { paths, components } = document;
        let info = InfoBuilder::new()
            .title("Conclave")
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some(DESCRIPTION))
            .license(Some(LicenseBuilder::new().name(env!("CARGO_PKG_LICENSE")).build()))
            .build();
        let mut api = OpenApi::new(info, paths);
        api.components = Some(components.build());
        api
    }

    fn add(&mut self, path: &str, method: HttpMethod, call: Call) {
        let Described { operation, schemas, responses } = call.into_described();
        let components = core::mem::take(&mut self.components);
        self.components = components.schemas_from_iter(schemas).responses_from_iter(responses);
        let item = PathItem::new(method, operation);
        match self.paths.paths.get_mut(path) {
            Some(known) => known.merge_operations(item),
            None => drop(self.paths.paths.insert(path.to_owned(), item)),
        }
    }
}

const DESCRIPTION: &str = "\
A messaging node for end-to-end encrypted rooms, direct messages and memories. It routes, orders, stores and replays what \
it cannot read.

Errors are `application/problem+json` (RFC 9457) with a stable `code`; branch on it, not on the text. Bytes are base64url \
without padding. Fields that a call does not know are refused. Lists are paged: the next page begins `after` what the last \
one says.

Messages go over the socket at `/ws` (subprotocols `conclave.v1.json` and `conclave.v1.cbor`), which is no part of this document.";
