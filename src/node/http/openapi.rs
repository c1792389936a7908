//! `/api/openapi.json`: the document of all calls. `/api/docs/`: a page to read and try them, which loads nothing from
//! elsewhere.

use std::sync::{Arc, OnceLock};

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ContentType, HeaderValue};
use actix_web::web::{Data, Path};
use utoipa_swagger_ui::{Config, serve};

use super::document::{Asset, Calls, Document, SeeOther, about};
use super::error::ApiError;
use super::extract::Visitor;
use super::state::NodeState;
use crate::wire::ErrorCode;

const DOCUMENT_PATH: &str = "/api/openapi.json";
const PAGE_PATH: &str = "/api/docs/";

/// The page runs scripts of the node alone, and calls nobody else. It sets styles of its elements.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Files do not change while the node runs, and are named the same in the next version.
const CACHE: &str = "max-age=300";

pub(super) fn routes(calls: &mut Calls<'_>) {
    calls
        .at(DOCUMENT_PATH, |at| at.get(document, about("This document.")))
        .at(PAGE_PATH, |at| at.get(index, about("A page to read and try all calls.")))
        .at("/api/docs", |at| at.get(to_index, about("Sends to the page.")))
        .at("/api/docs/{file}", |at| at.get(file, about("A part of the page.").refuses(&[ErrorCode::NotFound])));
}

/// The document in JSON. It is made when somebody asks for the first time.
async fn document(_: Visitor, state: Data<NodeState>) -> Asset {
    static WITH_DEVELOPMENT: OnceLock<String> = OnceLock::new();
    static WITHOUT: OnceLock<String> = OnceLock::new();
    let cell = if state.development.is_some() { &WITH_DEVELOPMENT } else { &WITHOUT };
    let text = cell.get_or_init(|| describe(state.development.is_some()));
    Asset(HttpResponse::Ok().content_type(ContentType::json()).body(text.as_str()))
}

fn describe(has_development: bool) -> String {
    let document = Document::of(|calls| {
        super::register(calls);
        if has_development {
            super::register_development(calls);
        }
    });
    document.to_json().unwrap_or_default()
}

async fn to_index(_: Visitor) -> SeeOther {
    SeeOther(PAGE_PATH)
}

async fn index(_: Visitor) -> Result<Asset, ApiError> {
    asset("index.html")
}

async fn file(_: Visitor, file: Path<String>) -> Result<Asset, ApiError> {
    asset(&file)
}

fn asset(name: &str) -> Result<Asset, ApiError> {
    let config = Config::from(DOCUMENT_PATH).validator_url("none").try_it_out_enabled(true);
    let found = serve(name, Arc::new(config)).ok().flatten().ok_or(ApiError::new(ErrorCode::NotFound))?;
    let mut response = HttpResponse::Ok();
    response.content_type(found.content_type);
    response.insert_header((CONTENT_SECURITY_POLICY, POLICY)).insert_header((CACHE_CONTROL, CACHE));
    if found.gzpipped {
        // Every browser takes it; there is no other form of it in the program.
        response.insert_header((CONTENT_ENCODING, HeaderValue::from_static("gzip")));
    }
    Ok(Asset(response.body(found.bytes.into_owned())))
}
