//! REST: one file for each resource, and what stands around every call.
//!
//! A handler takes what the extractors made of the request, makes one call and answers. Errors are
//! `application/problem+json` with a stable code (`error.rs`). What calls there are stands in the OpenAPI document, which is
//! made of their handlers (`document`). Every body has a limit; everybody who
//! asks counts against one (`rate_limit.rs`). Who asks is said by a bearer token and by no cookie, so that
//! a page of another origin cannot act for anybody. The one cookie there is says which browser signs in a device.

mod body;
mod browser;
mod callback;
mod development;
mod device;
mod devices;
mod document;
mod error;
mod extract;
mod frame;
mod health;
mod history;
mod idempotency;
mod invitations;
mod members;
mod one_form;
mod openapi;
mod page;
mod places;
mod precondition;
mod prekeys;
mod rate_limit;
mod room_keys;
mod rooms;
mod sessions;
mod sign_in;
mod state;
mod tickets;
mod turn;
mod vault;
mod writing;

pub use error::ApiError;
pub use extract::{SignedIn, Visitor, address, authenticate};
pub use frame::{framed, within_time};
pub use health::takes_traffic;
pub use places::{Place, Places};
pub use rate_limit::{PRUNE_EVERY, RateLimits};
pub use state::{Custody, NodeState, Readiness};
pub use writing::Writing;

use actix_web::web::ServiceConfig;

use document::Calls;

use crate::wire::limits::REQUEST_BYTES_MAX;

/// Everything that the node serves, but for the development provider, which not every node has.
pub fn routes(config: &mut ServiceConfig) {
    config
        .app_data(body::json(REQUEST_BYTES_MAX))
        .app_data(body::form(REQUEST_BYTES_MAX))
        .app_data(body::payload(REQUEST_BYTES_MAX))
        .app_data(body::path())
        .app_data(body::query());
    register(&mut Calls::serve(config));
}

/// The pages of the development provider.
pub fn development_routes(config: &mut ServiceConfig) {
    register_development(&mut Calls::serve(config));
}

fn register(calls: &mut Calls<'_>) {
    calls
        .of("node", health::routes)
        .of("node", openapi::routes)
        .of("sign-in", sign_in::routes)
        .of("pages", callback::routes)
        .of("sign-in", device::routes)
        .of("sessions", sessions::routes)
        .of("sessions", tickets::routes)
        .of("calls", turn::routes)
        .of("directory", devices::routes)
        .of("directory", prekeys::routes)
        // Before the rooms: what is there to join is no room's id.
        .of("rooms", invitations::routes)
        .of("rooms", members::routes)
        .of("rooms", history::routes)
        .of("rooms", rooms::routes)
        .of("room keys", room_keys::routes)
        .of("vault", vault::routes);
}

fn register_development(calls: &mut Calls<'_>) {
    calls.of("pages", development::routes);
}
