//! REST: one file for each resource, and what stands around every call.
//!
//! A handler takes what the extractors made of the request, makes one call and answers. Errors are
//! `application/problem+json` with a stable code (`error.rs`). Every body has a limit; everybody who
//! asks counts against one (`rate_limit.rs`). Who asks is said by a bearer token and by no cookie, so that
//! a page of another origin cannot act for anybody. The one cookie there is says which browser signs in a device.

mod body;
mod browser;
mod callback;
mod development;
mod device;
mod devices;
mod error;
mod extract;
mod frame;
mod health;
mod history;
mod invitations;
mod members;
mod page;
mod prekeys;
mod rate_limit;
mod room_keys;
mod rooms;
mod sessions;
mod sign_in;
mod state;
mod tickets;
mod turn;

pub use error::ApiError;
pub use extract::{SignedIn, Visitor, address, authenticate};
pub use frame::{framed, within_time};
pub use rate_limit::{PRUNE_EVERY, RateLimits, Seat};
pub use state::{Custody, NodeState, Readiness};

use actix_web::web::ServiceConfig;

use crate::wire::limits::REQUEST_BYTES_MAX;

/// Everything that the node serves, but for the development provider, which not every node has.
pub fn routes(config: &mut ServiceConfig) {
    config
        .app_data(body::json(REQUEST_BYTES_MAX))
        .app_data(body::form(REQUEST_BYTES_MAX))
        .app_data(body::payload(REQUEST_BYTES_MAX))
        .app_data(body::path())
        .app_data(body::query())
        .configure(health::routes)
        .configure(sign_in::routes)
        .configure(callback::routes)
        .configure(device::routes)
        .configure(sessions::routes)
        .configure(tickets::routes)
        .configure(turn::routes)
        .configure(devices::routes)
        .configure(prekeys::routes)
        // Before the rooms: what is there to join is no room's id.
        .configure(invitations::routes)
        .configure(members::routes)
        .configure(history::routes)
        .configure(rooms::routes)
        .configure(room_keys::routes);
}

/// The pages of the development provider.
pub fn development_routes(config: &mut ServiceConfig) {
    config.configure(development::routes);
}
