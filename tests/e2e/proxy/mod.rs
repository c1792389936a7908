//! What stands between clients and a node. It passes on what comes until a test says otherwise.
//!
//! - It can be led to another node, closed, and cut wherever a test wants: at a byte, or before a command or message.
//! - It changes or loses the answers to calls, tells something else over sockets, and answers commands itself.
//! - It keeps what its clients have sent.

mod frame;
mod http;
mod kept;
mod relay;

use std::sync::{Arc, Mutex};

use conclave::ids::DeviceAddress;
use conclave::wire::{Command, Entry, Envelope, Message};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

pub(crate) use http::Passing;
use kept::Kept;

use crate::process::NodeProcess;
use crate::user::PATIENCE;

/// An address that stays while nodes come and go.
pub(crate) struct Proxy {
    pub(crate) url: String,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// What all connections go by.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    has_passed: Notify,
}

#[derive(Default)]
struct State {
    /// Where connections lead; none are taken without it.
    target: Option<String>,
    /// Bytes that pass before a connection is cut, once.
    cut_after: Option<usize>,
    answers: Option<Answers>,
    tells: Option<Tells>,
    hears: Option<Hears>,
    cut_at: Option<CutAt>,
    kept: Kept,
    secrets: Option<Secrets>,
    connections: JoinSet<()>,
    /// What is written to the clients of open sockets.
    sockets: Vec<mpsc::UnboundedSender<Vec<u8>>>,
}

/// What must not leave a client, with its name.
pub(crate) type Secret = (String, Vec<u8>);
type Secrets = Box<dyn Fn() -> Vec<Secret> + Send>;
type Answers = Box<dyn FnMut(&str, &mut Passing) + Send>;
type Tells = Box<dyn FnMut(Option<DeviceAddress>, Message) -> Vec<Message> + Send>;
type Hears = Box<dyn FnMut(&Command) -> Option<Message> + Send>;
type CutAt = Box<dyn FnMut(Step<'_>) -> bool + Send>;

/// What is about to pass over a socket.
#[derive(Clone, Copy)]
pub(crate) enum Step<'a> {
    Asks(&'a Command),
    /// With the command that it answers. Of several clients that have the same ids, the last one's.
    Tells(&'a Message, Option<&'a Command>),
}

impl Proxy {
    pub(crate) async fn before(node: &NodeProcess) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared::default());
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        let proxy = Self { url, shared, accepting };
        proxy.lead_to(node);
        proxy
    }

    /// Where new connections lead.
    pub(crate) fn lead_to(&self, node: &NodeProcess) {
        self.change(|state| state.target = Some(node.url.trim_start_matches("http://").to_owned()));
    }

    /// Cuts what there is and takes nothing new.
    pub(crate) fn close(&self) {
        self.change(|state| state.target = None);
        self.cut();
    }

    /// Cuts what there is. Clients come again.
    pub(crate) fn cut(&self) {
        self.change(|state| state.connections.abort_all());
    }

    /// Cuts one connection, when so many more bytes have passed on all and in either direction.
    pub(crate) fn cut_after(&self, bytes: usize) {
        self.change(|state| state.cut_after = Some(bytes));
    }

    /// Cuts one connection, in the place of what passes on it.
    pub(crate) fn cut_at(&self, is_it: impl FnMut(Step<'_>) -> bool + Send + 'static) {
        self.change(|state| state.cut_at = Some(Box::new(is_it)));
    }

    /// Whether the cut that was asked for has happened.
    pub(crate) fn was_cut(&self) -> bool {
        self.change(|state| state.cut_after.is_none())
    }

    /// Changes the answers to calls, which are known by method and path.
    pub(crate) fn answers(&self, change: impl FnMut(&str, &mut Passing) + Send + 'static) {
        self.change(|state| state.answers = Some(Box::new(change)));
    }

    /// Changes what is told over sockets: each message becomes none, one or several. Whose socket it is, is said as well, once
    /// the node has.
    pub(crate) fn tells(&self, change: impl FnMut(Option<DeviceAddress>, Message) -> Vec<Message> + Send + 'static) {
        self.change(|state| state.tells = Some(Box::new(change)));
    }

    /// Answers commands itself; the node does not hear of those.
    pub(crate) fn hears(&self, answer: impl FnMut(&Command) -> Option<Message> + Send + 'static) {
        self.change(|state| state.hears = Some(Box::new(answer)));
    }

    /// Says something on the sockets that are open.
    pub(crate) fn says(&self, message: &Message) {
        self.writes(&frame::of(message));
    }

    /// Closes the sockets that are open, as a node does: with a code.
    pub(crate) fn closes(&self, code: u16) {
        self.writes(&frame::close(code));
    }

    fn writes(&self, frame: &[u8]) {
        self.change(|state| state.sockets.retain(|socket| socket.send(frame.to_vec()).is_ok()));
    }

    /// The envelopes that its clients have sent, in their order.
    pub(crate) fn envelopes(&self) -> Vec<Envelope> {
        self.change(|state| state.kept.envelopes())
    }

    /// What it has told of logs, as it was before it was changed.
    pub(crate) fn told(&self) -> Vec<Entry> {
        self.change(|state| state.kept.told.clone())
    }

    /// Whether bytes have left a client as they are, or as a part of something in base64url.
    pub(crate) fn has_seen(&self, secret: &[u8]) -> bool {
        self.change(|state| state.kept.has(secret))
    }

    /// Fails the test when it ends, if one of these has left a client by then.
    pub(crate) fn must_not_see(&self, secrets: impl Fn() -> Vec<Secret> + Send + 'static) {
        self.change(|state| state.secrets = Some(Box::new(secrets)));
    }

    /// Waits for a command.
    pub(crate) async fn has_heard(&self, is_it: impl Fn(&Command) -> bool) {
        self.has_kept(|kept| kept.commands.iter().any(&is_it)).await;
    }

    /// Waits until something of a device was told.
    pub(crate) async fn is_told_of(&self, sender: DeviceAddress) {
        self.has_kept(|kept| kept.told.iter().any(|entry| entry.envelope.sender == sender)).await;
    }

    /// Waits for the cut that was asked for.
    pub(crate) async fn has_been_cut(&self) {
        self.comes_to(|state| state.cut_at.is_none()).await;
    }

    async fn has_kept(&self, is_it: impl Fn(&Kept) -> bool) {
        self.comes_to(|state| is_it(&state.kept)).await;
    }

    async fn comes_to(&self, is_it: impl Fn(&State) -> bool) {
        let wait = async {
            loop {
                let passes = self.shared.has_passed.notified();
                if self.change(|state| is_it(state)) {
                    return;
                }
                passes.await;
            }
        };
        timeout(PATIENCE, wait).await.unwrap();
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.shared.state.lock().unwrap())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let secrets = self.change(|state| state.secrets.as_ref().map(|secrets| secrets()).unwrap_or_default());
            for (name, secret) in secrets {
                assert!(!self.has_seen(&secret), "a secret of {name} has left");
            }
        }
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let Some(target) = shared.state.lock().unwrap().target.clone() else { continue };
        let connection = connect(client, target, Arc::clone(&shared));
        shared.state.lock().unwrap().connections.spawn(connection);
    }
}

async fn connect(client: TcpStream, target: String, shared: Arc<Shared>) {
    let Ok(node) = TcpStream::connect(target).await else { return };
    for stream in [&client, &node] {
        stream.set_nodelay(true).unwrap();
    }
    relay::relay(client, node, &shared).await;
}

impl Shared {
    /// Passes bytes on. False if the connection is at its end.
    async fn pass(&self, to: &mut OwnedWriteHalf, bytes: &[u8]) -> bool {
        let (passing, is_cut) = self.state.lock().unwrap().count(bytes.len());
        to.write_all(&bytes[..passing]).await.is_ok() && !is_cut
    }
}

impl State {
    /// How many of these bytes pass, and whether that is the end.
    fn count(&mut self, length: usize) -> (usize, bool) {
        match self.cut_after {
            Some(left) if left <= length => {
                self.cut_after = None;
                (left, true)
            }
            Some(left) => {
                self.cut_after = Some(left - length);
                (length, false)
            }
            None => (length, false),
        }
    }

    /// Whether the connection is cut here.
    fn ends_at(&mut self, step: Step<'_>) -> bool {
        let is_it = self.cut_at.as_mut().is_some_and(|is_it| is_it(step));
        if is_it {
            self.cut_at = None;
        }
        is_it
    }
}
