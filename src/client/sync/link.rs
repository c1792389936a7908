//! The connection: up, on its way, or to be tried again.

use core::future::pending;
use core::time::Duration;

use rand_core::Rng;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::socket::{Incoming, Socket};
use crate::client::api::ApiError;
use crate::client::entropy;

/// The connection to the node.
#[derive(Debug)]
pub(super) enum Link {
    /// To be tried at some time; never, if the app has to do something first.
    Down { retry_at: Option<Instant> },
    /// Being made.
    Connecting(JoinHandle<Result<Socket, ApiError>>),
    /// Open. It is welcome once `hello` is answered.
    Up { socket: Socket, is_welcome: bool },
}

/// What a connection brings.
#[derive(Debug)]
pub(super) enum Arrival {
    Connected(Result<Socket, ApiError>),
    Incoming(Incoming),
}

impl Link {
    /// The next that it brings.
    pub(super) async fn next(&mut self) -> Arrival {
        match self {
            Self::Down { .. } => pending().await,
            Self::Connecting(task) => Arrival::Connected(task.await.unwrap_or(Err(ApiError::Malformed))),
            Self::Up { socket, .. } => Arrival::Incoming(socket.next().await),
        }
    }

    /// What has come already.
    pub(super) fn try_next(&mut self) -> Option<Arrival> {
        match self {
            Self::Up { socket, .. } => socket.try_next().map(Arrival::Incoming),
            Self::Down { .. } | Self::Connecting(_) => None,
        }
    }

    pub(super) const fn socket(&self) -> Option<&Socket> {
        match self {
            Self::Up { socket, is_welcome: true } => Some(socket),
            Self::Up { .. } | Self::Down { .. } | Self::Connecting(_) => None,
        }
    }

    pub(super) const fn retry_at(&self) -> Option<Instant> {
        match self {
            Self::Down { retry_at } => *retry_at,
            Self::Connecting(_) | Self::Up { .. } => None,
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Self::Connecting(task) = self {
            task.abort();
        }
    }
}

/// How long to wait before the next try: twice as long each time, a part of it by chance, so that the clients of a
/// node that comes back do not all come at once.
#[derive(Debug, Default)]
pub(super) struct BackOff {
    tries: u32,
}

impl BackOff {
    pub(super) fn next(&mut self) -> Duration {
        let longest = FIRST.saturating_mul(1 << self.tries.min(16)).min(LONGEST);
        self.tries = self.tries.saturating_add(1);
        // Without randomness all wait the longest.
        let chance = entropy::generator().map_or(255, |mut rng| rng.next_u32() % 256);
        longest / 2 + longest * chance / 510
    }

    pub(super) fn reset(&mut self) {
        self.tries = 0;
    }
}

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_minute_and_begin_anew() {
        let mut back_off = BackOff::default();
        for n in 0..40 {
            let longest = FIRST.saturating_mul(1 << n.min(16)).min(LONGEST);
            let wait = back_off.next();
            assert!(wait >= longest / 2 && wait <= longest, "{n}: {wait:?}");
        }
        back_off.reset();
        assert!(back_off.next() <= FIRST);
    }
}
