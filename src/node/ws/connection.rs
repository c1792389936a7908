//! One connection: its stream, what has arrived of it, and the queue of what is to be written.
//!
//! It belongs to one worker's thread. Whoever has something to say puts whole frames into its queue; the
//! worker writes each queue once in a turn ([`Turn`]), so that frames that were queued together leave
//! together. What the peer does not take stays in the queue, which is bounded: an event that does not fit
//! is refused ([`Full`]), and the session reads it from the log once there is room again. Answers to
//! commands always fit, because a connection whose queue is long reads no further commands.
//!
//! A read goes into a buffer of the worker; the connection keeps only the bytes of an incomplete message.
//!
//! What the protocol itself asks for is done here: a ping is answered, a close is answered by a close, and who breaks
//! the protocol is closed with the code that says so. After a close nothing more is queued.

use core::cell::{Cell, RefCell};
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker, ready};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::rc::Rc;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::unconstrained;

use super::close::CloseCode;
use super::frame::{self, FrameError, FrameReader, Incoming};

/// A stream of bytes to a client: TCP, or TLS over it.
pub trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// The queue has no room for another event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A message of the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A text; it is UTF-8.
    Text(Bytes),
    /// Bytes.
    Binary(Bytes),
    /// Nothing more for now: what was read is dealt with, or no more may be read.
    Rest,
}

/// Why a connection ends from below.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The stream has ended or failed.
    #[error("the connection is gone")]
    Gone,
    /// The peer has closed. The answer is queued, unless the peer was closed before.
    #[error("the peer has closed")]
    Closed,
    /// The peer does not speak the protocol. The close is queued.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl From<io::Error> for ConnectionError {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// One connection.
pub struct Connection {
    turn: Rc<Turn>,
    stream: RefCell<Box<dyn Stream>>,
    reader: RefCell<FrameReader>,
    queue: RefCell<Queue>,
    /// Wakes the session: the socket can be written again, or commands may be read again.
    waker: RefCell<Option<Waker>>,
    is_queued: Cell<bool>,
    /// A close was queued.
    is_closing: Cell<bool>,
    is_cut_off: Cell<bool>,
    /// Commands that are under way.
    commands: Cell<usize>,
    /// How many bytes have come and gone: who is silent, and who does not read.
    received: Cell<u64>,
    sent: Cell<u64>,
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<Bytes>,
    bytes: usize,
}

impl core::fmt::Debug for Connection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Connection").field("queued", &self.queue.borrow().bytes).finish_non_exhaustive()
    }
}

impl Connection {
    /// Takes over a stream that brings messages of up to `message_bytes_max` bytes; `arrived` is what was read of it
    /// already.
    pub fn new(turn: Rc<Turn>, stream: Box<dyn Stream>, arrived: &[u8], message_bytes_max: usize) -> Rc<Self> {
        let mut reader = FrameReader::new(message_bytes_max);
        reader.feed(arrived);
        Rc::new(Self {
            turn,
            stream: RefCell::new(stream),
            reader: RefCell::new(reader),
            queue: RefCell::default(),
            waker: RefCell::default(),
            is_queued: Cell::new(false),
            is_closing: Cell::new(false),
            is_cut_off: Cell::new(false),
            commands: Cell::new(0),
            received: Cell::new(0),
            sent: Cell::new(0),
        })
    }

    /// Queues an event.
    ///
    /// # Errors
    /// [`Full`] if it does not fit; nothing was queued then.
    pub fn offer(self: &Rc<Self>, frame: Bytes) -> Result<(), Full> {
        if self.queue.borrow().bytes + frame.len() > QUEUE_BYTES_MAX {
            return Err(Full);
        }
        self.push(frame);
        Ok(())
    }

    /// Queues an event that can be read nowhere else, in room of its own. Where that is full too, the connection
    /// [is cut off](Self::is_cut_off).
    ///
    /// # Errors
    /// [`Full`] if it does not fit; nothing was queued then.
    pub fn insist(self: &Rc<Self>, frame: Bytes) -> Result<(), Full> {
        if self.queue.borrow().bytes + frame.len() > QUEUE_BYTES_MAX + INSISTED_BYTES_MAX {
            self.cut_off();
            return Err(Full);
        }
        self.push(frame);
        Ok(())
    }

    /// Its client has missed something that it cannot know of: the session closes the connection.
    pub fn cut_off(&self) {
        self.is_cut_off.set(true);
        self.wake();
    }

    /// Whether the client has missed something that it cannot know of.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.is_cut_off.get()
    }

    /// Queues an answer or a control frame; nothing after a close.
    pub fn push(self: &Rc<Self>, frame: Bytes) {
        if self.is_closing.get() {
            return;
        }
        let mut queue = self.queue.borrow_mut();
        queue.bytes += frame.len();
        queue.frames.push_back(frame);
        if !self.is_queued.replace(true) {
            self.turn.enlist(Rc::clone(self));
        }
    }

    /// Queues a close, once; what is queued is still written before it.
    pub fn close(self: &Rc<Self>, code: CloseCode) {
        self.close_with(code.as_u16());
    }

    fn close_with(self: &Rc<Self>, code: u16) {
        self.push(frame::close(code));
        self.is_closing.set(true);
    }

    /// Whether events that did not fit before would fit now: half of the queue is free.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.queue.borrow().bytes <= QUEUE_BYTES_MAX / 2
    }

    /// Bytes that are not written yet.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.queue.borrow().bytes
    }

    /// Whether everything is written.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.queue.borrow().frames.is_empty()
    }

    /// Bytes received and sent since the beginning.
    #[must_use]
    pub fn traffic(&self) -> (u64, u64) {
        (self.received.get(), self.sent.get())
    }

    /// Counts a command that is under way, by its weight. Past [`COMMANDS_MAX`] no further ones are read.
    pub fn begin_command(&self, weight: usize) {
        self.commands.set(self.commands.get() + weight);
    }

    /// A command of that weight has been answered.
    pub fn end_command(&self, weight: usize) {
        self.commands.set(self.commands.get().saturating_sub(weight));
        self.wake();
    }

    /// Writes what is queued, as far as the peer takes it; wakes the task of `context` when it takes more.
    ///
    /// # Errors
    /// [`ConnectionError::Gone`].
    pub fn poll_write(&self, context: &mut Context<'_>) -> Result<(), ConnectionError> {
        let is_known = self.waker.borrow().as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
        if !is_known {
            self.waker.replace(Some(context.waker().clone()));
        }
        self.write(context)
    }

    /// The same at the end of a turn, on behalf of the session. An error is met again by the session's own call.
    fn write_queued(&self) {
        self.is_queued.set(false);
        if let Some(waker) = &*self.waker.borrow()
            && self.write(&mut Context::from_waker(waker)).is_err()
        {
            waker.wake_by_ref();
        }
    }

    fn write(&self, context: &mut Context<'_>) -> Result<(), ConnectionError> {
        let had_room = self.has_room();
        self.write_out(context)?;
        if !had_room && self.has_room() {
            // The session has events that did not fit.
            context.waker().wake_by_ref();
        }
        Ok(())
    }

    fn write_out(&self, context: &mut Context<'_>) -> Result<(), ConnectionError> {
        let mut queue = self.queue.borrow_mut();
        let mut stream = self.stream.borrow_mut();
        while !queue.frames.is_empty() {
            match queue.poll_write(Pin::new(&mut **stream), context)? {
                Poll::Ready(0) => return Err(ConnectionError::Gone),
                Poll::Ready(written) => {
                    self.sent.set(self.sent.get() + written as u64);
                    queue.advance(written);
                }
                Poll::Pending => return Ok(()),
            }
        }
        match Pin::new(&mut **stream).poll_flush(context)? {
            Poll::Ready(()) | Poll::Pending => Ok(()),
        }
    }

    /// Ends the writing side, once everything is written.
    ///
    /// # Errors
    /// [`ConnectionError::Gone`].
    pub fn poll_shutdown(&self, context: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        Pin::new(&mut **self.stream.borrow_mut()).poll_shutdown(context).map_err(Into::into)
    }

    /// The next message; what the protocol asks for on the way is done.
    fn poll_next(self: &Rc<Self>, context: &mut Context<'_>) -> Poll<Result<Arrival, ConnectionError>> {
        loop {
            match ready!(self.poll_incoming(context)) {
                Ok(Incoming::Text(bytes)) => return Poll::Ready(Ok(Arrival::Text(bytes))),
                Ok(Incoming::Binary(bytes)) => return Poll::Ready(Ok(Arrival::Binary(bytes))),
                Ok(Incoming::Ping(payload)) => self.push(frame::pong(&payload)),
                Ok(Incoming::Pong) => {}
                Ok(Incoming::Close(code)) => {
                    self.close_with(code.unwrap_or(CloseCode::Normal.as_u16()));
                    return Poll::Ready(Err(ConnectionError::Closed));
                }
                Err(error) => {
                    if let ConnectionError::Frame(broken) = &error {
                        self.close(broken.close_code());
                    }
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    fn poll_incoming(&self, context: &mut Context<'_>) -> Poll<Result<Incoming, ConnectionError>> {
        let may_read = self.commands.get() < COMMANDS_MAX && self.queue.borrow().bytes < QUEUE_BYTES_MAX;
        if !may_read {
            // Woken by `end_command`, or by the socket when it takes more.
            self.waker.replace(Some(context.waker().clone()));
            return Poll::Pending;
        }
        let mut reader = self.reader.borrow_mut();
        loop {
            if let Some(incoming) = reader.read()? {
                return Poll::Ready(Ok(incoming));
            }
            let mut scratch = self.turn.scratch.borrow_mut();
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut **self.stream.borrow_mut()).poll_read(context, &mut buffer)? {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) => {
                    let bytes = buffer.filled();
                    if bytes.is_empty() {
                        return Poll::Ready(Err(ConnectionError::Gone));
                    }
                    self.received.set(self.received.get() + bytes.len() as u64);
                    reader.feed(bytes);
                    // The buffer stays, and what came may have been a token.
                    buffer.filled_mut().fill(0);
                }
            }
        }
    }

    /// Has the session look after the connection.
    pub fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

impl Queue {
    /// Writes some of it, in one call.
    fn poll_write(&self, stream: Pin<&mut dyn Stream>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let (1, Some(only)) = (self.frames.len(), self.frames.front()) {
            return stream.poll_write(context, only);
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = self.frames.iter().zip(&mut slices).fold(0, |count, (frame, slice)| {
            *slice = IoSlice::new(frame);
            count + 1
        });
        stream.poll_write_vectored(context, slices.get(..count).unwrap_or_default())
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes = self.bytes.saturating_sub(written);
        while let Some(front) = self.frames.front_mut() {
            if written < front.len() {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.frames.pop_front();
        }
        if self.frames.capacity() > FRAMES_KEPT {
            // A burst is no reason to hold memory for ever.
            self.frames = VecDeque::new();
        }
    }
}

/// What arrives on a connection, in order; it ends with the first error.
#[derive(Debug)]
pub struct Incomings {
    connection: Rc<Connection>,
    /// A message has come since the last rest.
    is_busy: bool,
    is_over: bool,
}

impl Incomings {
    /// Of a connection, which has one reader.
    #[must_use]
    pub const fn of(connection: Rc<Connection>) -> Self {
        Self { connection, is_busy: false, is_over: false }
    }
}

impl futures_core::Stream for Incomings {
    type Item = Result<Arrival, ConnectionError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let next = self.connection.poll_next(context);
        self.is_over = matches!(next, Poll::Ready(Err(_)));
        let was_busy = core::mem::replace(&mut self.is_busy, matches!(next, Poll::Ready(Ok(_))));
        if was_busy && next.is_pending() {
            return Poll::Ready(Some(Ok(Arrival::Rest)));
        }
        next.map(Some)
    }
}

/// A worker's turn: which of its connections have something to write, and the buffer that it reads into.
pub struct Turn {
    scratch: RefCell<Box<[u8]>>,
    queued: RefCell<Vec<Rc<Connection>>>,
    waker: RefCell<Option<Waker>>,
}

impl core::fmt::Debug for Turn {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Turn").field("queued", &self.queued.borrow().len()).finish_non_exhaustive()
    }
}

impl Turn {
    /// Of the calling thread's worker. Its [`poll_write`](Self::poll_write) is to be polled by a task of that thread.
    #[must_use]
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            scratch: RefCell::new(vec![0; READ_BYTES_MAX].into_boxed_slice()),
            queued: RefCell::default(),
            waker: RefCell::default(),
        })
    }

    fn enlist(&self, connection: Rc<Connection>) {
        let mut queued = self.queued.borrow_mut();
        queued.push(connection);
        // The others find it awake.
        if queued.len() == 1
            && let Some(waker) = &*self.waker.borrow()
        {
            waker.wake_by_ref();
        }
    }

    /// Writes what was queued. It runs after the tasks that were ready before it: what they queue leaves in one write
    /// for each connection.
    pub fn poll_write(&self, context: &mut Context<'_>) {
        self.waker.replace(Some(context.waker().clone()));
        // Without tokio's budget, which lasts for 128 writes of a task: each session past it would be woken to write for itself.
        let write = pin!(unconstrained(poll_fn(|_| {
            self.write_queued();
            Poll::Ready(())
        })));
        let _ = write.poll(context);
    }

    fn write_queued(&self) {
        // A list of its own: nothing that a write does may find it borrowed.
        let mut queued = core::mem::take(&mut *self.queued.borrow_mut());
        for connection in queued.drain(..) {
            connection.write_queued();
        }
        // Nothing was queued meanwhile, as a rule: the next turn has the memory of this one.
        let mut later = self.queued.borrow_mut();
        if later.is_empty() {
            *later = queued;
        }
    }
}

/// Bytes that a queue holds for events: some of the largest, or a thousand small ones.
const QUEUE_BYTES_MAX: usize = 512 * 1024;

/// Bytes beyond them for what can be read nowhere else: so many that who misses some does not read at all.
const INSISTED_BYTES_MAX: usize = 64 * 1024;

/// Commands of one connection that are under way, by their weight; most weigh 1.
pub const COMMANDS_MAX: usize = 64;

/// Bytes that one read takes.
const READ_BYTES_MAX: usize = 64 * 1024;

/// Frames in one write; the system takes 1,024 at most.
const SLICES_MAX: usize = 64;

/// Places that an empty queue keeps.
const FRAMES_KEPT: usize = 4;
