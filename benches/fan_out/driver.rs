//! The clients: one thread that writes for a few sockets and reads of thousands.
//!
//! It counts what comes and looks into little of it: its own time is not measured, but it runs beside the servers. Each
//! socket's deliveries are counted; of one socket in each crowd the messages are kept, for the caller to read.

use std::io::{ErrorKind, Read, Write};
use std::ops::Range;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::frame::{self, Frames};
use crate::stopwatch::Stopwatch;

/// All clients of all servers.
pub(crate) struct Driver {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    buffer: Vec<u8>,
    crowds: Vec<Tally>,
}

/// Clients of one server. The first ones send.
#[derive(Clone)]
pub(crate) struct Crowd {
    index: usize,
    pub(crate) clients: Range<usize>,
}

/// How many messages of a kind have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) deliveries: u64,
    pub(crate) answers: u64,
    /// A log of the client's was read to its end.
    pub(crate) caught_up: u64,
}

struct Client {
    stream: TcpStream,
    crowd: usize,
    frames: Frames,
    unsent: Vec<u8>,
    tally: Tally,
    /// The messages that were delivered, where they are kept.
    kept: Option<Vec<Vec<u8>>>,
}

impl Driver {
    pub(crate) fn new() -> Self {
        Self {
            poll: Poll::new().unwrap(),
            events: Events::with_capacity(4_096),
            clients: Vec::new(),
            buffer: vec![0; 256 * 1024],
            crowds: Vec::new(),
        }
    }

    /// A crowd of nobody.
    pub(crate) fn crowd(&mut self) -> Crowd {
        self.crowds.push(Tally::default());
        Crowd { index: self.crowds.len() - 1, clients: self.clients.len()..self.clients.len() }
    }

    /// Takes over connections to the crowd's server. No other crowd may have grown since this one began.
    pub(crate) fn grow(&mut self, crowd: &mut Crowd, streams: Vec<std::net::TcpStream>) {
        assert_eq!(crowd.clients.end, self.clients.len(), "another crowd came after it");
        for stream in streams {
            stream.set_nonblocking(true).unwrap();
            stream.set_nodelay(true).unwrap();
            let mut stream = TcpStream::from_std(stream);
            let token = Token(self.clients.len());
            self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE).unwrap();
            let (frames, tally) = (Frames::default(), Tally::default());
            self.clients.push(Client { stream, crowd: crowd.index, frames, unsent: Vec::new(), tally, kept: None });
        }
        crowd.clients.end = self.clients.len();
    }

    /// Keeps the messages that are delivered to the crowd's last client from now on.
    pub(crate) fn keep(&mut self, crowd: &Crowd) {
        self.clients[crowd.clients.end - 1].kept = Some(Vec::new());
    }

    /// What the whole crowd has got.
    pub(crate) fn tally(&self, crowd: &Crowd) -> Tally {
        self.crowds[crowd.index]
    }

    /// What one client has got.
    pub(crate) fn tally_of(&self, client: usize) -> Tally {
        self.clients[client].tally
    }

    /// The messages that have come to the crowd's last client since they were taken last.
    pub(crate) fn take_kept(&mut self, crowd: &Crowd) -> Vec<Vec<u8>> {
        self.clients[crowd.clients.end - 1].kept.replace(Vec::new()).unwrap()
    }

    /// Sends bytes; what does not fit goes later.
    pub(crate) fn send(&mut self, client: usize, bytes: &[u8]) {
        let client = &mut self.clients[client];
        client.unsent.extend_from_slice(bytes);
        client.flush();
    }

    /// Waits at most so long until something comes, and takes it.
    pub(crate) fn turn(&mut self, wait: Duration) {
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return,
            polled => polled.unwrap(),
        }
        for event in &self.events {
            let Some(client) = self.clients.get_mut(event.token().0) else { continue };
            if event.is_writable() && !client.unsent.is_empty() {
                client.flush();
            }
            if event.is_readable() {
                client.read(&mut self.buffer, &mut self.crowds);
            }
        }
    }

    /// Takes what comes until `is_done`.
    pub(crate) fn run_until(&mut self, what: &str, mut is_done: impl FnMut(&Self) -> bool) {
        let clock = Stopwatch::start();
        while !is_done(self) {
            assert!(clock.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}, {:?}", self.crowds);
            self.turn(Duration::from_millis(100));
        }
    }

    /// Takes what comes for so long.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let clock = Stopwatch::start();
        while let Some(rest) = time.checked_sub(clock.elapsed()) {
            self.turn(rest);
        }
    }
}

impl Client {
    fn flush(&mut self) {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("a server has gone: {error}"),
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8], crowds: &mut [Tally]) {
        loop {
            let length = match self.stream.read(buffer) {
                Ok(0) => panic!("a server has closed a connection"),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("a server has gone: {error}"),
            };
            let (tally, kept, unsent) = (&mut self.tally, &mut self.kept, &mut self.unsent);
            let before = *tally;
            self.frames.take(&buffer[..length], |first, payload| match first {
                0x82 => tally.count(payload, kept),
                0x89 => unsent.extend(frame::pong(payload)),
                _ => panic!("a frame that begins with {first:#x}: {payload:?}"),
            });
            let crowd = &mut crowds[self.crowd];
            crowd.deliveries += tally.deliveries - before.deliveries;
            crowd.answers += tally.answers - before.answers;
            crowd.caught_up += tally.caught_up - before.caught_up;
            if !self.unsent.is_empty() {
                self.flush();
            }
            // Less than there was room for: nothing is left, and what comes next is told.
            if length < buffer.len() {
                return;
            }
        }
    }
}

impl Tally {
    /// Counts a message by the name that it begins with: a map of one entry (0xa1), then a text of 2, 8 and 9 bytes (0x62,
    /// 0x68, 0x69; RFC 8949, section 3).
    fn count(&mut self, payload: &[u8], kept: &mut Option<Vec<Vec<u8>>>) {
        if payload.starts_with(b"\xa1\x68envelope") {
            self.deliveries += 1;
            if let Some(kept) = kept {
                kept.push(payload.to_vec());
            }
        } else if payload.starts_with(b"\xa1\x62ok") {
            self.answers += 1;
        } else if payload.starts_with(b"\xa1\x69caught_up") {
            self.caught_up += 1;
        } else if payload.starts_with(b"\xa1\x65error") {
            panic!("refused: {}", String::from_utf8_lossy(payload));
        }
    }
}

/// How long what has to come may take.
const PATIENCE: Duration = Duration::from_secs(60);
