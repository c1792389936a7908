//! The least that delivers a frame to many: a loop over epoll, which writes the bytes that it has read.
//!
//! No handshake, no store, no checks. Whatever is ready is read; all frames that one turn has brought go to every other
//! connection in one write, and are answered then. Connections are dealt to the threads in turn; a thread hands what it
//! has read to the others.

use std::env;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream as StdStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use conclave::node::ws;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

use crate::process::Process;
use crate::{author, frame};

/// Starts it in a process of its own.
pub(crate) fn start(threads: usize) -> Process {
    Process::start(Command::new(env::current_exe().unwrap()).args(["--serve-epoll", &threads.to_string()]))
}

/// Opens connections to it.
pub(crate) fn connect(address: SocketAddr, count: usize) -> Vec<StdStream> {
    (0..count).map(|_| StdStream::connect(address).unwrap()).collect()
}

/// The process itself.
pub(crate) fn serve(threads: usize) {
    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    println!("The epoll server listens on http://{}", listener.local_addr().unwrap());
    let (mut loops, peers): (Vec<Loop>, Vec<Peer>) = (0..threads).map(|_| Loop::new()).unzip();
    for (index, one) in loops.iter_mut().enumerate() {
        one.peers =
            peers.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, peer)| peer.clone()).collect();
    }
    let mut first = loops.remove(0);
    first.poll.registry().register(first.listener.insert(listener), LISTENER, Interest::READABLE).unwrap();
    for one in loops {
        thread::spawn(move || one.run());
    }
    first.run();
}

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);

/// One thread.
struct Loop {
    poll: Poll,
    listener: Option<TcpListener>,
    accepted: usize,
    inbox: Receiver<Task>,
    peers: Vec<Peer>,
    connections: Vec<Connection>,
    answer: Vec<u8>,
}

/// Another thread, as one sees it.
#[derive(Clone)]
struct Peer {
    outbox: Sender<Task>,
    waker: Arc<Waker>,
}

enum Task {
    Adopt(TcpStream),
    Write(Arc<[u8]>),
}

struct Connection {
    /// None when it has gone.
    stream: Option<TcpStream>,
    read: Vec<u8>,
    unsent: Vec<u8>,
}

impl Loop {
    fn new() -> (Self, Peer) {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).unwrap());
        let (outbox, inbox) = channel();
        let answer = ws::frame::binary(&author::answer()).to_vec();
        let one = Self { poll, listener: None, accepted: 0, inbox, peers: Vec::new(), connections: Vec::new(), answer };
        (one, Peer { outbox, waker })
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(4_096);
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled.unwrap(),
            }
            let mut batch = Batch::default();
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(),
                    WAKER => self.take_tasks(),
                    Token(index) => {
                        let connection = &mut self.connections[index];
                        connection.flush();
                        if event.is_readable() {
                            connection.read(&mut buffer, index, &mut batch);
                        }
                    }
                }
            }
            if !batch.bytes.is_empty() {
                self.publish(&batch);
            }
        }
    }

    fn accept(&mut self) {
        let listener = self.listener.take().unwrap();
        while let Ok((stream, _)) = listener.accept() {
            stream.set_nodelay(true).unwrap();
            match self.accepted % (self.peers.len() + 1) {
                0 => self.adopt(stream),
                index => self.peers[index - 1].tell(Task::Adopt(stream)),
            }
            self.accepted += 1;
        }
        self.listener = Some(listener);
    }

    fn adopt(&mut self, mut stream: TcpStream) {
        let token = Token(self.connections.len());
        self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE).unwrap();
        self.connections.push(Connection { stream: Some(stream), read: Vec::new(), unsent: Vec::new() });
    }

    fn take_tasks(&mut self) {
        let mut merged = Vec::new();
        while let Ok(task) = self.inbox.try_recv() {
            match task {
                Task::Adopt(stream) => self.adopt(stream),
                Task::Write(bytes) => merged.extend_from_slice(&bytes),
            }
        }
        if !merged.is_empty() {
            for connection in &mut self.connections {
                connection.write(&merged);
            }
        }
    }

    fn publish(&mut self, batch: &Batch) {
        if !self.peers.is_empty() {
            let shared: Arc<[u8]> = batch.bytes.as_slice().into();
            for peer in &self.peers {
                peer.tell(Task::Write(Arc::clone(&shared)));
            }
        }
        for (index, connection) in self.connections.iter_mut().enumerate() {
            let frames = batch.senders.iter().filter(|sender| **sender == index).count();
            if frames == 0 {
                connection.write(&batch.bytes);
            } else {
                // Nobody else has sent anything.
                connection.write(&self.answer.repeat(frames));
            }
        }
    }
}

impl Peer {
    fn tell(&self, task: Task) {
        self.outbox.send(task).unwrap();
        self.waker.wake().unwrap();
    }
}

/// The frames of one turn, and which connection has sent each.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    senders: Vec<usize>,
}

impl Connection {
    fn read(&mut self, buffer: &mut [u8], index: usize, batch: &mut Batch) {
        let Some(stream) = &mut self.stream else { return };
        let length = match stream.read(buffer) {
            Ok(0) => return self.stream = None,
            Ok(length) => length,
            Err(_) => return,
        };
        self.read.extend_from_slice(&buffer[..length]);
        let mut end = 0;
        while let Some((_, length)) = frame::first(&self.read[end..]) {
            end += length;
            batch.senders.push(index);
        }
        batch.bytes.extend(self.read.drain(..end));
    }

    fn write(&mut self, bytes: &[u8]) {
        if !self.unsent.is_empty() {
            return self.unsent.extend_from_slice(bytes);
        }
        let written = self.try_write(bytes).unwrap_or(bytes.len());
        self.unsent.extend_from_slice(&bytes[written..]);
    }

    fn flush(&mut self) {
        if !self.unsent.is_empty() {
            let unsent = core::mem::take(&mut self.unsent);
            let written = self.try_write(&unsent).unwrap_or(unsent.len());
            self.unsent.extend_from_slice(&unsent[written..]);
        }
    }

    /// How much was written; an error if nobody is there any more.
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(stream) = &mut self.stream else { return Ok(bytes.len()) };
        match stream.write(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            written => written,
        }
    }
}
