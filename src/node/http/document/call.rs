//! What the document says of one call.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Ref, RefOr, Required, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::node::http::error::shape;
use crate::wire::{ErrorCode, Problem};

/// The name of the one way to say who asks.
pub(super) const BEARER: &str = "bearer";

/// What every call may be refused with.
const ALWAYS: [ErrorCode; 3] = [ErrorCode::RequestTimeout, ErrorCode::Internal, ErrorCode::Unavailable];

type Schemas = Vec<(String, RefOr<Schema>)>;

/// A call as the document has it, and what it refers to by name.
pub(super) struct Described {
    pub(super) operation: Operation,
    pub(super) schemas: Schemas,
    pub(super) responses: Vec<(String, RefOr<Response>)>,
}

/// One call.
pub(in crate::node::http) struct Call {
    summary: &'static str,
    tag: &'static str,
    id: String,
    /// Names in the path's braces, that are not described yet: first to last.
    path_names: Vec<&'static str>,
    parameters: Vec<Parameter>,
    body: Option<RequestBody>,
    answers: BTreeMap<u16, Response>,
    codes: BTreeSet<ErrorCode>,
    needs_token: bool,
    schemas: Schemas,
}

/// A call and what it is for, in a sentence.
pub(in crate::node::http) fn about(summary: &'static str) -> Call {
    Call {
        summary,
        tag: "",
        id: String::new(),
        path_names: Vec::new(),
        parameters: Vec::new(),
        body: None,
        answers: BTreeMap::new(),
        codes: ALWAYS.into(),
        needs_token: false,
        schemas: Vec::new(),
    }
}

impl Call {
    /// Codes that the call is refused with, beside those that its arguments bring.
    pub(in crate::node::http) fn refuses(mut self, codes: &[ErrorCode]) -> Self {
        self.codes.extend(codes);
        self
    }

    /// A page for a person that comes with this status.
    pub(in crate::node::http) fn page(mut self, status: u16) -> Self {
        self.answer(status, ResponseBuilder::new().description("A page.").content("text/html", anything()).build());
        self
    }

    /// The browser may be sent elsewhere.
    pub(in crate::node::http) fn sends_on(mut self) -> Self {
        self.answer(303, Response::new("The browser is sent on."));
        self
    }

    /// Where it is, and what it is called: by the path of its handler.
    pub(super) fn named<F>(self, tag: &'static str, path: &'static str) -> Self {
        let name = core::any::type_name::<F>();
        let start = name.find("http::").map_or(0, |at| at + "http::".len());
        let id = name.get(start..).unwrap_or(name).replace("::", ".");
        let path_names = path.split('{').skip(1).filter_map(|part| part.split(['}', ':']).next()).collect();
        Self { tag, id, path_names, ..self }
    }

    pub(super) fn code(&mut self, code: ErrorCode) {
        self.codes.insert(code);
    }

    pub(super) fn needs_token(&mut self) {
        self.needs_token = true;
        self.codes.extend([ErrorCode::TokenMissing, ErrorCode::TokenRefused, ErrorCode::RateLimited]);
    }

    /// The next part of the path that is in braces.
    pub(super) fn path_part(&mut self, schema: RefOr<Schema>) {
        if !self.path_names.is_empty() {
            let name = self.path_names.remove(0);
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path);
            self.parameters.push(parameter.required(Required::True).schema(Some(schema)).build());
        }
    }

    pub(super) fn parameter(&mut self, parameter: Parameter) {
        self.parameters.push(parameter);
    }

    pub(super) fn body<T: ToSchema>(&mut self, media_type: &str) {
        let content = ContentBuilder::new().schema(Some(self.schema_of::<T>())).build();
        let body = RequestBodyBuilder::new().content(media_type, content).required(Some(Required::True));
        self.body = Some(body.build());
        self.codes.extend([ErrorCode::MalformedRequest, ErrorCode::BodyTooLarge, ErrorCode::UnsupportedMediaType]);
    }

    pub(super) fn body_may_be_left_out(&mut self) {
        if let Some(body) = &mut self.body {
            body.required = Some(Required::False);
        }
    }

    pub(super) fn answer_with<T: ToSchema>(&mut self, media_type: &str) {
        let content = ContentBuilder::new().schema(Some(self.schema_of::<T>())).build();
        self.answer(200, ResponseBuilder::new().description("Done.").content(media_type, content).build());
    }

    pub(super) fn answer(&mut self, status: u16, response: Response) {
        self.answers.insert(status, response);
    }

    /// A reference to a type's schema, which the document has then.
    pub(super) fn schema_of<T: ToSchema>(&mut self) -> RefOr<Schema> {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        Ref::from_schema_name(T::name()).into()
    }

    /// What the document has of it. Refusals with the same codes are named once.
    pub(super) fn into_described(mut self) -> Described {
        let problem = self.schema_of::<Problem>();
        let mut by_status = BTreeMap::<u16, Vec<ErrorCode>>::new();
        for code in &self.codes {
            by_status.entry(shape(*code).0).or_default().push(*code);
        }
        let mut responses = Vec::new();
        let mut answers: BTreeMap<u16, RefOr<Response>> =
            self.answers.into_iter().map(|(status, answer)| (status, answer.into())).collect();
        for (status, codes) in by_status {
            let error = refusal(&codes, &problem);
            if let Some(RefOr::T(page)) = answers.get_mut(&status) {
                page.content.extend(error.content);
                continue;
            }
            let name = codes.iter().map(|code| code.as_str()).collect::<Vec<_>>().join("-");
            answers.insert(status, Ref::from_response_name(&name).into());
            responses.push((name, error.into()));
        }
        let mut operation = OperationBuilder::new()
            .tag(self.tag)
            .summary(Some(self.summary))
            .operation_id(Some(self.id))
            .request_body(self.body);
        for parameter in self.parameters {
            operation = operation.parameter(parameter);
        }
        for (status, answer) in answers {
            operation = operation.response(status.to_string(), answer);
        }
        if self.needs_token {
            operation = operation.security(SecurityRequirement::new(BEARER, [""; 0]));
        }
        Described { operation: operation.build(), schemas: self.schemas, responses }
    }
}

/// An answer with one of these codes.
fn refusal(codes: &[ErrorCode], problem: &RefOr<Schema>) -> Response {
    let titles = codes.iter().map(|code| format!("- `{code}`: {}", shape(*code).1));
    let names = codes.iter().map(|code| json!(code.as_str()));
    let code = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).build();
    let schema = AllOfBuilder::new().item(problem.clone()).item(ObjectBuilder::new().property("code", code)).build();
    let content = ContentBuilder::new().schema(Some(Schema::AllOf(schema))).build();
    let description = titles.collect::<Vec<_>>().join("\n");
    ResponseBuilder::new().description(description).content(Problem::MEDIA_TYPE, content).build()
}

/// Text of any form.
pub(super) fn anything() -> utoipa::openapi::Content {
    ContentBuilder::new().schema(Some(String::schema())).build()
}
