//! `GET /metrics`, on an address of its own.

use std::io;
use std::net::TcpListener;

use actix_web::dev::Server;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};

use crate::node::http::NodeState;

/// Serves the numbers of a node, by a thread of its own: a worker that is busy keeps nobody from seeing that it is.
///
/// # Errors
/// If the listener cannot be used.
pub fn serve(listener: TcpListener, state: &Data<NodeState>) -> io::Result<Server> {
    let settings = &state.settings.server;
    let (header, keep_alive) = (settings.header_seconds_max.seconds(), settings.keep_alive_seconds.seconds());
    let state = state.clone();
    let app = move || App::new().app_data(state.clone()).route("/metrics", web::get().to(show));
    let server = HttpServer::new(app)
        .workers(1)
        .max_connections(CONNECTIONS_MAX)
        .client_request_timeout(header)
        .keep_alive(keep_alive)
        .disable_signals()
        .shutdown_timeout(1);
    Ok(server.listen(listener)?.run())
}

async fn show(state: Data<NodeState>) -> HttpResponse {
    let text = state.metrics.scrape(&state).await;
    HttpResponse::Ok().insert_header((CONTENT_TYPE, TEXT_FORMAT)).insert_header((CACHE_CONTROL, "no-store")).body(text)
}

/// The text format of Prometheus.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Those who watch are few.
const CONNECTIONS_MAX: usize = 64;
