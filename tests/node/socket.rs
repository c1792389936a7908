//! A client of the node's sockets, on a WebSocket implementation that is not the node's.

use std::collections::VecDeque;
use std::time::Duration;

use conclave::ids::RoomId;
use conclave::wire::{
    Command, Credential, Delivery, Encoding, Entry, Envelope, ErrorCode, Log, Message, Outcome, Position, SecretText,
};
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error, Message as Frame};

use crate::client::User;
use crate::server::{Api, Connection};

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// One socket.
pub(crate) struct Socket {
    stream: WebSocketStream<Box<dyn Connection>>,
    encoding: Encoding,
    next_id: u32,
    /// Events that came while an answer was awaited.
    events: VecDeque<Message>,
}

/// What ends a wait for a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed(u16),
    Gone,
}

/// A request for a socket, with headers beside the usual.
pub(crate) fn request(node: &Api, subprotocols: &str, headers: &[(&str, &str)]) -> Request {
    let mut request = format!("{}/ws", node.url.replacen("http", "ws", 1)).into_client_request().unwrap();
    let all = [("sec-websocket-protocol", subprotocols)];
    for (name, value) in all.iter().chain(headers).filter(|(_, value)| !value.is_empty()) {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
    }
    request
}

/// Opens a stream and asks for a socket. The status of the refusal, if it is refused.
pub(crate) async fn open(node: &Api, request: Request) -> Result<WebSocketStream<Box<dyn Connection>>, u16> {
    match tokio_tungstenite::client_async(request, node.connect().await).await {
        Ok((stream, _)) => Ok(stream),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

impl Socket {
    /// A socket that has not said who it is of.
    pub(crate) async fn connect(node: &Api, encoding: Encoding, token: Option<&SecretText>) -> Self {
        Self::connect_over(node.connect().await, node, encoding, token).await
    }

    /// The same over that connection.
    pub(crate) async fn connect_over(
        connection: Box<dyn Connection>,
        node: &Api,
        encoding: Encoding,
        token: Option<&SecretText>,
    ) -> Self {
        let bearer = token.map(|token| format!("Bearer {}", token.expose())).unwrap_or_default();
        let request = request(node, encoding.subprotocol(), &[("authorization", &bearer)]);
        let (stream, _) = tokio_tungstenite::client_async(request, connection).await.unwrap();
        Self { stream, encoding, next_id: 1, events: VecDeque::new() }
    }

    /// A socket of a user's device that is welcome, and has read its whole mailbox.
    pub(crate) async fn open(node: &Api, user: &User) -> Self {
        Self::open_as(node, user, Encoding::Json).await
    }

    pub(crate) async fn open_as(node: &Api, user: &User, encoding: Encoding) -> Self {
        let mut socket = Self::connect(node, encoding, Some(user.person.token())).await;
        socket.hello(None, None).await.unwrap();
        socket
    }

    pub(crate) async fn hello(
        &mut self,
        credential: Option<Credential>,
        mailbox: Option<Position>,
    ) -> Result<Option<Outcome>, ErrorCode> {
        self.ask(|id| Command::Hello { id, credential, mailbox }).await
    }

    /// Sends a command without waiting for its answer.
    pub(crate) async fn begin(&mut self, command: impl FnOnce(u32) -> Command) -> u32 {
        let (id, sent) = self.try_begin(command).await;
        sent.unwrap();
        id
    }

    /// The same, where the node may have closed.
    pub(crate) async fn try_begin(&mut self, command: impl FnOnce(u32) -> Command) -> (u32, Result<(), Error>) {
        let id = self.next_id;
        self.next_id += 1;
        let frame = self.frame(command(id).to_bytes(self.encoding));
        (id, self.stream.send(frame).await)
    }

    pub(crate) async fn send_bytes(&mut self, bytes: Vec<u8>) {
        let frame = self.frame(bytes);
        self.stream.send(frame).await.unwrap();
    }

    fn frame(&self, bytes: Vec<u8>) -> Frame {
        match self.encoding {
            Encoding::Json => Frame::text(String::from_utf8(bytes).unwrap()),
            Encoding::Cbor => Frame::binary(bytes),
        }
    }

    pub(crate) async fn send_frame(&mut self, frame: Frame) {
        self.try_send_frame(frame).await.unwrap();
    }

    /// The same, where the node may have closed.
    pub(crate) async fn try_send_frame(&mut self, frame: Frame) -> Result<(), Error> {
        self.stream.send(frame).await
    }

    /// Sends a command and waits for its answer. Events that come first are kept.
    pub(crate) async fn ask(&mut self, command: impl FnOnce(u32) -> Command) -> Result<Option<Outcome>, ErrorCode> {
        let asked = self.begin(command).await;
        self.answer(asked).await
    }

    pub(crate) async fn answer(&mut self, asked: u32) -> Result<Option<Outcome>, ErrorCode> {
        let is_answer = |message: &Message| match message {
            Message::Ok(answer) => answer.id == asked,
            Message::Error { id, .. } => *id == asked,
            _ => false,
        };
        if let Some(index) = self.events.iter().position(is_answer) {
            return outcome(self.events.remove(index).unwrap());
        }
        loop {
            let message = self.receive().await.unwrap();
            if is_answer(&message) {
                return outcome(message);
            }
            self.events.push_back(message);
        }
    }

    /// The next event.
    pub(crate) async fn event(&mut self) -> Message {
        self.try_event().await.unwrap()
    }

    /// The same, where the node may close.
    pub(crate) async fn try_event(&mut self) -> Result<Message, End> {
        match self.events.pop_front() {
            Some(event) => Ok(event),
            None => self.receive().await,
        }
    }

    /// An event that has come already.
    pub(crate) fn pending(&mut self) -> Option<Message> {
        self.events.pop_front()
    }

    /// Events up to the first that is one of these, which is returned; the others are dropped.
    pub(crate) async fn until<T>(&mut self, mut is_it: impl FnMut(Message) -> Option<T>) -> T {
        loop {
            if let Some(found) = is_it(self.event().await) {
                return found;
            }
        }
    }

    /// The next message of the node.
    pub(crate) async fn receive(&mut self) -> Result<Message, End> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.stream.next()).await.unwrap();
            let bytes = match (frame, self.encoding) {
                (Some(Ok(Frame::Text(text))), Encoding::Json) => text.as_bytes().to_vec(),
                (Some(Ok(Frame::Binary(bytes))), Encoding::Cbor) => bytes.to_vec(),
                (Some(Ok(Frame::Ping(_) | Frame::Pong(_))), _) => continue,
                (Some(Ok(Frame::Close(Some(close)))), _) => return Err(End::Closed(close.code.into())),
                (Some(Ok(frame)), _) => panic!("{frame:?}"),
                (Some(Err(_)) | None, _) => return Err(End::Gone),
            };
            return Ok(Message::parse(&bytes, self.encoding).unwrap());
        }
    }

    /// The code that the node closes with; what comes before is dropped.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            match self.receive().await {
                Ok(_) => {}
                Err(End::Closed(code)) => return code,
                Err(End::Gone) => panic!("no close"),
            }
        }
    }

    pub(crate) async fn join(&mut self, room_id: RoomId, after: Option<Position>) -> Result<Position, ErrorCode> {
        match self.ask(|id| Command::Join { id, room_id, after }).await? {
            Some(Outcome::Joined { head, .. }) => Ok(head),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn send(&mut self, envelope: &Envelope) -> Result<Position, ErrorCode> {
        match self.ask(|id| Command::Send { id, envelope: envelope.clone() }).await? {
            Some(Outcome::Sent(position)) => Ok(position),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn deliver(&mut self, envelopes: Vec<Envelope>) -> Vec<Delivery> {
        match self.ask(|id| Command::Deliver { id, envelopes }).await.unwrap() {
            Some(Outcome::Delivered(deliveries)) => deliveries,
            other => panic!("{other:?}"),
        }
    }

    /// The next envelope of a room.
    pub(crate) async fn envelope(&mut self) -> Entry {
        self.until(|event| if let Message::Envelope(entry) = event { Some(entry) } else { None }).await
    }

    /// The next envelope of the mailbox.
    pub(crate) async fn direct(&mut self) -> Entry {
        self.until(|event| if let Message::Direct(entry) = event { Some(entry) } else { None }).await
    }

    pub(crate) async fn caught_up(&mut self, of: Log) -> Option<Position> {
        self.until(|event| match event {
            Message::CaughtUp { log, position } if log == of => Some(position),
            _ => None,
        })
        .await
    }
}

fn outcome(message: Message) -> Result<Option<Outcome>, ErrorCode> {
    match message {
        Message::Ok(answer) => Ok(answer.result),
        Message::Error { code, .. } => Err(code),
        other => panic!("{other:?}"),
    }
}
