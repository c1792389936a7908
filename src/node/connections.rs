//! How many connections an address has, and what ends one: those past its share are closed as soon as they are taken, and one
//! whose client does not take an answer when it has waited for long enough.
//!
//! Whoever opens connections and asks for nothing, or reads no answer, would otherwise take the places of everybody else.

use core::future::{Future, ready};
use core::pin::Pin;

use actix_service::{Service, ServiceFactory, forward_ready};
use actix_web::web::Data;
use futures_util::FutureExt;
use tokio::net::TcpStream;
use tracing::debug;

use super::http::{NodeState, Writing, address};

/// A service for connections, or the factory of one, that takes no more of an address than its share.
#[derive(Debug)]
pub struct Shared<S> {
    inner: S,
    state: Data<NodeState>,
}

impl<S> Shared<S> {
    /// Shares out what a service takes.
    pub const fn new(inner: S, state: Data<NodeState>) -> Self {
        Self { inner, state }
    }
}

impl<S> ServiceFactory<TcpStream> for Shared<S>
where
    S: ServiceFactory<TcpStream, Config = (), Response = ()>,
    S::Error: 'static,
    S::Future: 'static,
    <S::Service as Service<TcpStream>>::Future: 'static,
{
    type Response = ();
    type Error = S::Error;
    type Config = ();
    type Service = Shared<S::Service>;
    type InitError = S::InitError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Service, S::InitError>>>>;

    fn new_service(&self, (): ()) -> Self::Future {
        let (inner, state) = (self.inner.new_service(()), self.state.clone());
        Box::pin(async move { Ok(Shared::new(inner.await?, state)) })
    }
}

impl<S> Service<TcpStream> for Shared<S>
where
    S: Service<TcpStream, Response = ()>,
    S::Error: 'static,
    S::Future: 'static,
{
    type Response = ();
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<(), S::Error>>>>;

    forward_ready!(inner);

    /// Ends when the connection does, and its session if it has become one: until then its place is taken.
    fn call(&self, stream: TcpStream) -> Self::Future {
        let Some(place) = self.state.limits.connection(address(stream.peer_addr().ok())) else {
            return Box::pin(ready(Ok(())));
        };
        // Not an async block: it would hold the connection's future twice, of which each idle one takes kilobytes.
        let served = Writing::watch(&self.state.settings.server, self.inner.call(stream));
        Box::pin(served.map(move |ended| {
            drop(place);
            ended.unwrap_or_else(|| {
                debug!(target: "http", "a client does not take its answer");
                Ok(())
            })
        }))
    }
}
