//! Whether a client takes its answers.
//!
//! actix-http bounds how long a client sends the head of a request and how long it idles, and not how long it takes an answer:
//! whoever reads none would hold its connection, and what was to be written, for ever. So an answer goes out in parts, the next
//! of which is asked for when what was before it is written; and the connection is given up if that takes too long.
//!
//! What is less than a part goes without being asked about. After it a connection either begins its next call or is closed
//! within the time that it may idle; a client that has not taken it does neither.

use core::cell::Cell;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::rc::Rc;

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use tokio::time::Sleep;

use crate::node::config;

tokio::task_local! {
    static WRITING: Writing;
}

/// What is being written to a connection. Clones are handles of the same.
#[derive(Clone, Debug, Default)]
pub struct Writing(Rc<Cell<Step>>);

/// Each has another number.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    number: u64,
    waits_for: Wait,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, Default)]
enum Wait {
    /// The client's request, the node's answer, or whatever a socket does.
    #[default]
    Other,
    /// A part of an answer to be written.
    Part,
    /// The end of an answer to be written, and then the next request.
    End,
}

impl Writing {
    /// Serves a connection to its end. None if its client does not take an answer in time.
    pub fn watch<F: Future>(settings: &config::Server, served: F) -> impl Future<Output = Option<F::Output>> + use<F> {
        let writing = Self::default();
        let part = settings.answer_seconds_max.seconds();
        let end = part + settings.keep_alive_seconds.seconds();
        let mut served = Box::pin(WRITING.scope(writing.clone(), served));
        let (mut seen, mut patience) = (0, None);
        poll_fn(move |context| {
            if let Poll::Ready(output) = served.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            // It changes by what the connection does, and nothing else.
            let Step { number, waits_for } = writing.0.get();
            if number != seen {
                (seen, patience) = (number, waits_for.patience([part, end]));
            }
            match &mut patience {
                Some(patience) => patience.as_mut().poll(context).map(|()| None),
                None => Poll::Pending,
            }
        })
    }

    /// The connection that the running task serves begins something else than the end of an answer: a call, or a socket.
    pub fn begin() {
        Self::now(Wait::Other);
    }

    fn now(waits_for: Wait) {
        // Outside of a connection nobody watches.
        let _ = WRITING.try_with(|Self(step)| step.set(Step { number: step.get().number + 1, waits_for }));
    }
}

impl Wait {
    fn patience(self, [part, end]: [Duration; 2]) -> Option<Pin<Box<Sleep>>> {
        let limit = match self {
            Self::Other => return None,
            Self::Part => part,
            Self::End => end,
        };
        Some(Box::pin(tokio::time::sleep(limit)))
    }
}

/// The body of an answer, in parts.
#[derive(Debug)]
pub(super) struct Parts<B> {
    body: Pin<Box<B>>,
    /// What is left of what the body has brought.
    rest: Bytes,
}

impl<B> Parts<B> {
    /// Of a body.
    pub(super) fn of(body: B) -> Self {
        Self { body: Box::pin(body), rest: Bytes::new() }
    }
}

impl<B: MessageBody> MessageBody for Parts<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, B::Error>>> {
        // All that it has brought so far is written, but for less than a part.
        Writing::now(Wait::Other);
        while self.rest.is_empty() {
            match ready!(self.body.as_mut().poll_next(context)) {
                Some(Ok(bytes)) => self.rest = bytes,
                other => return Poll::Ready(other),
            }
        }
        Writing::now(Wait::Part);
        let length = self.rest.len().min(PART_BYTES);
        Poll::Ready(Some(Ok(self.rest.split_to(length))))
    }
}

impl<B> Drop for Parts<B> {
    fn drop(&mut self) {
        Writing::now(Wait::End);
    }
}

/// Bytes of a part: as many as actix-http gathers before it writes.
const PART_BYTES: usize = 32 * 1024;
