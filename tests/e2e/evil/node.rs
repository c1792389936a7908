//! The node that lies, as a test has it.

use std::sync::{Arc, Mutex};

use conclave::client::Event;
use conclave::ids::RoomId;
use conclave::wire::{Command, Encoding, Entry, Envelope, Log, Message, Position, RoomPolicy};
use data_encoding::BASE64URL_NOPAD;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, broadcast};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::http::Passing;
use crate::front::Front;
use crate::process::NodeProcess;
use crate::user::{PATIENCE, User};

/// A node that is honest until it is told to lie.
pub(crate) struct EvilNode {
    pub(crate) url: String,
    front: Front,
    liar: Arc<Liar>,
}

/// What is done to all that passes, and what has passed.
pub(crate) struct Liar {
    state: Mutex<State>,
    /// Told to every socket that is open.
    says: broadcast::Sender<Message>,
    has_heard: Notify,
}

#[derive(Default)]
struct State {
    answers: Option<Answers>,
    tells: Option<Tells>,
    hears: Option<Hears>,
    /// What the client has sent: bodies and heads of calls, and commands.
    bytes: Vec<u8>,
    commands: Vec<Command>,
    told: Vec<Entry>,
}

type Answers = Box<dyn FnMut(&str, &mut Passing) + Send>;
type Tells = Box<dyn FnMut(Message) -> Vec<Message> + Send>;
type Hears = Box<dyn FnMut(&Command) -> Option<Message> + Send>;

impl EvilNode {
    pub(crate) async fn before(node: &NodeProcess) -> Self {
        let (says, _) = broadcast::channel(64);
        let liar = Arc::new(Liar { state: Mutex::default(), says, has_heard: Notify::new() });
        let front = Front::before(node).await;
        front.lie_with(Arc::clone(&liar));
        Self { url: front.url.clone(), front, liar }
    }

    /// Changes the answers to calls, which are known by method and path.
    pub(crate) fn answers(&self, lie: impl FnMut(&str, &mut Passing) + Send + 'static) {
        self.liar.state.lock().unwrap().answers = Some(Box::new(lie));
    }

    /// Changes what is told over sockets: each message becomes none, one or several.
    pub(crate) fn tells(&self, lie: impl FnMut(Message) -> Vec<Message> + Send + 'static) {
        self.liar.state.lock().unwrap().tells = Some(Box::new(lie));
    }

    /// Answers commands itself; the real node does not hear of those.
    pub(crate) fn hears(&self, lie: impl FnMut(&Command) -> Option<Message> + Send + 'static) {
        self.liar.state.lock().unwrap().hears = Some(Box::new(lie));
    }

    /// Says something on the sockets that are open.
    pub(crate) fn says(&self, message: Message) {
        self.liar.says.send(message).unwrap();
    }

    /// Ends its connections. The client comes again.
    pub(crate) fn cut(&self) {
        self.front.cut();
    }

    /// Ends its connections and takes no new ones.
    pub(crate) fn close(&self) {
        self.front.close();
    }

    pub(crate) fn open(&self, node: &NodeProcess) {
        self.front.lead_to(node);
    }

    /// The envelopes that its client has sent, in their order.
    pub(crate) fn envelopes(&self) -> Vec<Envelope> {
        let state = self.liar.state.lock().unwrap();
        let each = state.commands.iter().flat_map(|command| match command {
            Command::Send { envelope, .. } => vec![envelope.clone()],
            Command::Deliver { envelopes, .. } => envelopes.clone(),
            _ => Vec::new(),
        });
        each.collect()
    }

    /// What it has told of logs, as it was before it was changed.
    pub(crate) fn told(&self) -> Vec<Entry> {
        self.liar.state.lock().unwrap().told.clone()
    }

    /// Waits for a command.
    pub(crate) async fn has_heard(&self, is_it: impl Fn(&Command) -> bool) {
        let wait = async {
            loop {
                let heard = self.liar.has_heard.notified();
                if self.liar.state.lock().unwrap().commands.iter().any(&is_it) {
                    return;
                }
                heard.await;
            }
        };
        timeout(PATIENCE, wait).await.unwrap();
    }

    /// Whether bytes have left the client as they are, or as a part of something in base64url.
    pub(crate) fn has_seen(&self, secret: &[u8]) -> bool {
        let state = self.liar.state.lock().unwrap();
        let is_in = |needle: &[u8]| state.bytes.windows(needle.len()).any(|window| window == needle);
        // Where it begins in a group of three is not known: the whole groups are looked for.
        let in_base64 = (0..3).map(|skip| {
            let groups = &secret[skip..];
            BASE64URL_NOPAD.encode(&groups[..groups.len() / 3 * 3])
        });
        is_in(secret) || in_base64.into_iter().any(|text| is_in(text.as_bytes()))
    }
}

/// The entry of a log with another position.
pub(crate) fn at(position: Position, entry: &Entry) -> Entry {
    Entry { position, envelope: entry.envelope.clone() }
}

/// A room that its maker follows: who comes in from now on is told.
pub(crate) async fn found_room(maker: &mut User, policy: RoomPolicy) -> RoomId {
    let room = maker.client.create_room(policy).await.unwrap();
    maker.until(|event| matches!(event, Event::CaughtUp { log } if *log == Log::Room(room)).then_some(())).await;
    room
}

/// Passes on what two sides say, through the liar's hands.
pub(crate) async fn relay(client: TcpStream, node: TcpStream, liar: &Liar) {
    let (from_client, mut to_client) = client.into_split();
    let (from_node, mut to_node) = node.into_split();
    let (mut from_client, mut from_node) = (BufReader::new(from_client), BufReader::new(from_node));
    while let Some(asked) = Passing::read(&mut from_client).await {
        let bytes = asked.to_bytes();
        liar.state.lock().unwrap().bytes.extend_from_slice(&bytes);
        if to_node.write_all(&bytes).await.is_err() {
            return;
        }
        let Some(mut answer) = Passing::read(&mut from_node).await else { return };
        if let Some(answers) = &mut liar.state.lock().unwrap().answers {
            answers(asked.asks(), &mut answer);
        }
        if to_client.write_all(&answer.to_bytes()).await.is_err() {
            return;
        }
        if answer.is_upgrade() {
            let client = socket(from_client, to_client, Role::Server).await;
            let node = socket(from_node, to_node, Role::Client).await;
            return relay_socket(client, node, liar).await;
        }
    }
}

/// A connection as a socket, with what was read of it already.
async fn socket(from: BufReader<OwnedReadHalf>, to: OwnedWriteHalf, role: Role) -> WebSocketStream<TcpStream> {
    let read = from.buffer().to_vec();
    let stream = from.into_inner().reunite(to).unwrap();
    WebSocketStream::from_partially_read(stream, read, role, None).await
}

async fn relay_socket(mut client: WebSocketStream<TcpStream>, mut node: WebSocketStream<TcpStream>, liar: &Liar) {
    let mut says = liar.says.subscribe();
    loop {
        let is_passed = tokio::select! {
            frame = client.next() => match frame {
                Some(Ok(Frame::Binary(bytes))) => match liar.hear(&bytes) {
                    Some(answer) => client.send(frame_of(&answer)).await,
                    None => node.send(Frame::Binary(bytes)).await,
                },
                Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => Ok(()),
                Some(Ok(frame)) => node.send(frame).await,
                Some(Err(_)) | None => return,
            },
            frame = node.next() => match frame {
                Some(Ok(Frame::Binary(bytes))) => {
                    let mut frames = futures_util::stream::iter(liar.tell(&bytes).iter().map(frame_of).map(Ok).collect::<Vec<_>>());
                    client.send_all(&mut frames).await
                }
                Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => Ok(()),
                Some(Ok(frame)) => client.send(frame).await,
                Some(Err(_)) | None => return,
            },
            message = says.recv() => client.send(frame_of(&message.unwrap())).await,
        };
        if is_passed.is_err() {
            return;
        }
    }
}

fn frame_of(message: &Message) -> Frame {
    Frame::binary(message.to_bytes(Encoding::Cbor))
}

impl Liar {
    /// Keeps a command. The answer, if the node is not to hear of it.
    fn hear(&self, bytes: &[u8]) -> Option<Message> {
        let command = Command::parse(bytes, Encoding::Cbor).unwrap();
        let mut state = self.state.lock().unwrap();
        let answer = state.hears.as_mut().and_then(|hears| hears(&command));
        state.bytes.extend_from_slice(bytes);
        state.commands.push(command);
        self.has_heard.notify_waiters();
        answer
    }

    fn tell(&self, bytes: &[u8]) -> Vec<Message> {
        let message = Message::parse(bytes, Encoding::Cbor).unwrap();
        let mut state = self.state.lock().unwrap();
        if let Message::Envelope(entry) | Message::Direct(entry) = &message {
            state.told.push(entry.clone());
        }
        match &mut state.tells {
            Some(tells) => tells(message),
            None => vec![message],
        }
    }
}
