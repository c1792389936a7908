//! A node's front that does one thing wrong, once: what comes from the node passes through it, and an envelope on its way to a
//! reader is lost, given twice, swapped with the next of the same sender, or altered.

use std::sync::{Arc, Mutex};

use conclave::ids::DeviceAddress;
use conclave::wire::{Encoding, Entry, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Drop,
    Repeat,
    Swap,
    Alter,
}

/// Envelopes that pass before the fault: sessions are under way then, both ways.
const PASS: usize = 150;

/// A proxy. It ends with this.
pub(crate) struct Proxy {
    port: u16,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    fault: Option<Fault>,
    passed: usize,
    is_done: bool,
}

impl Proxy {
    /// A proxy before the node at an address.
    pub(crate) async fn start(node: &str, fault: Option<Fault>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let node = node.strip_prefix("http://").unwrap().to_owned();
        let state = Arc::new(Mutex::new(State { fault, ..State::default() }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let node = TcpStream::connect(&node).await.unwrap();
                for stream in [&client, &node] {
                    stream.set_nodelay(true).unwrap();
                }
                let (from_client, to_client) = client.into_split();
                let (from_node, to_node) = node.into_split();
                tokio::spawn(up(from_client, to_node));
                tokio::spawn(Down::new(to_client, Arc::clone(&shared)).run(from_node));
            }
        });
        Self { port, state, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn did_wrong(&self) -> bool {
        self.state.lock().unwrap().is_done
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// From a client to the node nothing is touched.
async fn up(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let _ = copy(&mut from, &mut to).await;
}

/// From the node to a client.
struct Down {
    to: OwnedWriteHalf,
    state: Arc<Mutex<State>>,
    /// Whose socket this is.
    device: Option<DeviceAddress>,
    /// A frame that waits for the next of the same sender.
    held: Option<(DeviceAddress, Vec<u8>)>,
}

impl Down {
    fn new(to: OwnedWriteHalf, state: Arc<Mutex<State>>) -> Self {
        Self { to, state, device: None, held: None }
    }

    /// HTTP as it comes; frames, once the node has switched to them.
    async fn run(mut self, mut from: OwnedReadHalf) {
        let (mut buffer, mut is_socket) = (Vec::new(), false);
        while matches!(from.read_buf(&mut buffer).await, Ok(1..)) {
            if !is_socket && buffer.starts_with(b"HTTP/1.1 101") {
                let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
                let head: Vec<u8> = buffer.drain(..end + 4).collect();
                is_socket = true;
                if self.to.write_all(&head).await.is_err() {
                    return;
                }
            }
            let out = if is_socket { self.frames(&mut buffer) } else { core::mem::take(&mut buffer) };
            if self.to.write_all(&out).await.is_err() {
                return;
            }
        }
    }

    /// Takes the whole frames out of what has come; what is to be passed on for them.
    fn frames(&mut self, buffer: &mut Vec<u8>) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some((head, length)) = frame(buffer) {
            let frame: Vec<u8> = buffer.drain(..head + length).collect();
            let message = (frame[0] == BINARY).then(|| Message::parse(&frame[head..], Encoding::Cbor).unwrap());
            match message {
                Some(Message::Welcome { device, .. }) => {
                    self.device = Some(device);
                    out.extend(frame);
                }
                Some(Message::Envelope(entry)) if entry.envelope.recipient == self.device => {
                    out.extend(self.envelope(entry, frame));
                }
                _ => out.extend(frame),
            }
        }
        out
    }

    fn envelope(&mut self, mut entry: Entry, frame: Vec<u8>) -> Vec<u8> {
        let sender = entry.envelope.sender;
        let mut state = self.state.lock().unwrap();
        state.passed += 1;
        if let Some((_, held)) = self.held.take_if(|(of, _)| *of == sender) {
            return [frame, held].concat();
        }
        if state.is_done || state.passed <= PASS {
            return frame;
        }
        state.is_done = state.fault.is_some();
        match state.fault {
            None => frame,
            Some(Fault::Drop) => Vec::new(),
            Some(Fault::Repeat) => frame.repeat(2),
            Some(Fault::Swap) => {
                self.held = Some((sender, frame));
                Vec::new()
            }
            Some(Fault::Alter) => {
                *entry.envelope.payload.0.last_mut().unwrap() ^= 1;
                framed(&Message::Envelope(entry).to_bytes(Encoding::Cbor))
            }
        }
    }
}

/// A whole binary message.
const BINARY: u8 = 0x82;

/// The bytes of the head and of the payload of the frame at the beginning, if all of it is there. A node's frames are not
/// masked: RFC 6455, section 5.1.
fn frame(buffer: &[u8]) -> Option<(usize, usize)> {
    let (head, length) = match *buffer.get(1)? {
        126 => (4, u64::from(u16::from_be_bytes(buffer.get(2..4)?.try_into().unwrap()))),
        127 => (10, u64::from_be_bytes(buffer.get(2..10)?.try_into().unwrap())),
        short => (2, u64::from(short)),
    };
    let length = usize::try_from(length).unwrap();
    (buffer.len() >= head + length).then_some((head, length))
}

fn framed(payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    let head = match u8::try_from(length) {
        Ok(short @ ..126) => vec![BINARY, short],
        _ => [&[BINARY, 126], length.to_be_bytes().as_slice()].concat(),
    };
    [head.as_slice(), payload].concat()
}
