//! From a request to a session: the service that takes over connections which ask for a socket.

use core::future::{Future, Ready, ready};
use core::iter;
use core::pin::Pin;
use std::io;
use std::rc::Rc;

use actix::Actor;
use actix_codec::{Framed, FramedParts};
use actix_http::header::AUTHORIZATION;
use actix_http::{HttpMessage, Request, h1};
use actix_service::{Service, ServiceFactory};
use actix_web::ResponseError;
use actix_web::body::to_bytes;
use actix_web::web::Data;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;

use super::session::{Session, SessionParts};
use super::shard::Shard;
use crate::node::http::{ApiError, NodeState, Place, Writing, address, authenticate};
use crate::node::store;
use crate::node::ws::Connection;
use crate::node::ws::handshake::Accepted;
use crate::wire::ErrorCode;
use crate::wire::limits::COMMAND_BYTES_MAX;

/// Makes the upgrade service of each worker.
#[derive(Clone, Debug)]
pub struct Upgrades {
    state: Data<NodeState>,
}

impl Upgrades {
    /// For a node.
    #[must_use]
    pub const fn new(state: Data<NodeState>) -> Self {
        Self { state }
    }
}

impl<T> ServiceFactory<(Request, Framed<T, h1::Codec>)> for Upgrades
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    type Response = ();
    type Error = actix_web::Error;
    type Config = ();
    type Service = Upgrade;
    type InitError = ();
    type Future = Ready<Result<Upgrade, ()>>;

    /// Runs on the worker's thread.
    fn new_service(&self, (): ()) -> Self::Future {
        let (hall, shard) = Shard::start_with(&self.state);
        let state = &self.state;
        ready(Ok(Upgrade(Rc::new(SessionParts {
            routes: state.routes.clone(),
            store: state.store.clone(),
            clock: state.clock.clone(),
            nonce_ttl: state.settings.custody.nonce_ttl_seconds.seconds(),
            state: state.clone(),
            hall,
            shard,
        }))))
    }
}

/// The upgrade service of one worker.
#[derive(Debug)]
pub struct Upgrade(Rc<SessionParts>);

impl<T> Service<(Request, Framed<T, h1::Codec>)> for Upgrade
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    type Response = ();
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<(), actix_web::Error>>>>;

    actix_service::always_ready!();

    /// Ends when the session does: the connection counts against the worker's limit until then.
    fn call(&self, (request, framed): (Request, Framed<T, h1::Codec>)) -> Self::Future {
        let parts = Rc::clone(&self.0);
        Box::pin(async move {
            // From here on the session looks after who does not read.
            Writing::begin();
            // In a box of its own: request, buffers and all are gone before the wait, which may last for days.
            let opened = Box::pin(open(&parts, request, framed)).await?;
            // The place is held as long as the socket is there.
            if let Some((is_over, _place)) = opened {
                // An error is the end too: the session has dropped its half.
                let _ = is_over.await;
            }
            Ok(())
        })
    }
}

/// Starts the session of a request that gets a socket. What tells its end, and the socket's place.
async fn open<T>(
    parts: &Rc<SessionParts>,
    mut request: Request,
    framed: Framed<T, h1::Codec>,
) -> io::Result<Option<(oneshot::Receiver<()>, Place)>>
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let FramedParts { io: mut stream, read_buf: arrived, .. } = framed.into_parts();
    let state = &parts.state;
    let admitted = admit(state, &request).await;
    // actix keeps requests to use them again; the token is not to stay with them.
    request.headers_mut().clear();
    drop(request);
    let (accepted, session, place) = match admitted {
        Ok(admitted) => admitted,
        Err(refused) => {
            state.metrics.sockets.refused.of([refused.code().as_str()]).increment(1);
            refuse(&mut stream, &refused).await?;
            return Ok(None);
        }
    };
    stream.write_all(&accepted.response()).await?;
    let connection = Connection::new(Rc::clone(&parts.hall.turn), Box::new(stream), &arrived, COMMAND_BYTES_MAX);
    let (over, is_over) = oneshot::channel();
    state.metrics.sockets.opened.increment(1);
    let id = state.routes.next_connection();
    Session::new(id, accepted.encoding, connection, Rc::clone(parts), session, over).start();
    Ok(Some((is_over, place)))
}

/// Checks a request for a socket, and its token if it has one.
async fn admit(state: &NodeState, request: &Request) -> Result<(Accepted, Option<store::Session>, Place), ApiError> {
    if state.readiness.is_stopping() {
        return Err(ApiError::new(ErrorCode::Unavailable));
    }
    let origins = iter::once(&state.public_url).chain(&state.settings.server.origins);
    let accepted = Accepted::check(request.head(), origins).map_err(ApiError::new)?;
    let address = address(request.peer_addr());
    let visitor = || state.limits.visitor(address);
    match authenticate(state, request.headers().get(AUTHORIZATION)).await {
        Ok(session) => {
            state.limits.account(session.account_id)?;
            Ok((accepted, Some(session), state.limits.socket(address)?))
        }
        Err(error) if error.code() == ErrorCode::TokenMissing => {
            visitor()?;
            Ok((accepted, None, state.limits.socket(address)?))
        }
        Err(error) => visitor().and(Err(error)),
    }
}

/// Answers a request that gets no socket, in the form that errors have over REST.
async fn refuse(stream: &mut (impl AsyncWrite + Unpin), refused: &ApiError) -> io::Result<()> {
    let response = refused.error_response();
    let status = response.status();
    let reason = status.canonical_reason().unwrap_or_default();
    let mut head = format!("HTTP/1.1 {} {reason}\r\nconnection: close\r\n", status.as_u16()).into_bytes();
    for (name, value) in response.headers() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    // The body is in memory: it cannot fail.
    let body = to_bytes(response.into_body()).await.unwrap_or_default();
    head.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    stream.write_all(&head).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await
}
