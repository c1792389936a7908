//! One socket: reqwest's connection, upgraded, and two tasks that read and write frames.
//!
//! Source: RFC 6455, section 4.1.

use core::time::Duration;

use data_encoding::BASE64;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use rand_core::Rng;
use reqwest::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use reqwest::{StatusCode, Upgraded};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::client::api::{Api, ApiError, refusal};
use crate::client::entropy;
use crate::wire::{Command, Encoding, Message};

/// An open socket. It is closed when this is dropped.
#[derive(Debug)]
pub(super) struct Socket {
    incoming: mpsc::Receiver<Incoming>,
    outgoing: mpsc::Sender<Vec<u8>>,
    _tasks: JoinSet<()>,
}

/// What comes.
#[derive(Debug)]
pub(super) enum Incoming {
    Message(Box<Message>),
    /// The socket is gone; with the node's code, if it gave one.
    Closed(Option<u16>),
}

impl Socket {
    /// Asks the node for a socket.
    ///
    /// # Errors
    /// [`ApiError`], as of a call.
    pub(super) async fn connect(api: Api) -> Result<Self, ApiError> {
        let stream = timeout(HANDSHAKE_TIMEOUT, upgrade(&api)).await.map_err(|_| ApiError::Malformed)??;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let stream = WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await;
        let (sink, stream) = stream.split();
        let (send_incoming, incoming) = mpsc::channel(INCOMING_MAX);
        let (outgoing, receive_outgoing) = mpsc::channel(OUTGOING_MAX);
        let mut tasks = JoinSet::new();
        tasks.spawn(read(stream, send_incoming));
        tasks.spawn(write(sink, receive_outgoing));
        Ok(Self { incoming, outgoing, _tasks: tasks })
    }

    /// The next that comes.
    pub(super) async fn next(&mut self) -> Incoming {
        self.incoming.recv().await.unwrap_or(Incoming::Closed(None))
    }

    /// What has come already.
    pub(super) fn try_next(&mut self) -> Option<Incoming> {
        self.incoming.try_recv().ok()
    }

    /// Sends a command. Whether there was room: the node does not read, otherwise.
    pub(super) fn send(&self, command: &Command) -> bool {
        self.outgoing.try_send(command.to_bytes(ENCODING)).is_ok()
    }

    /// Places for commands that are not taken.
    pub(super) fn room(&self) -> usize {
        self.outgoing.capacity()
    }
}

async fn upgrade(api: &Api) -> Result<Upgraded, ApiError> {
    let mut key = [0; 16];
    entropy::generator().map_err(|_| ApiError::Malformed)?.fill_bytes(&mut key);
    let key = BASE64.encode(&key);
    let request = api
        .with_token(api.http().get(format!("{}/ws", api.url())))
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, &key)
        .header(SEC_WEBSOCKET_PROTOCOL, ENCODING.subprotocol());
    let response = request.send().await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refusal(response).await);
    }
    let has =
        |name, value: &str| response.headers().get(name).is_some_and(|given| given.as_bytes() == value.as_bytes());
    if !has(SEC_WEBSOCKET_ACCEPT, &derive_accept_key(key.as_bytes()))
        || !has(SEC_WEBSOCKET_PROTOCOL, ENCODING.subprotocol())
    {
        return Err(ApiError::Malformed);
    }
    Ok(response.upgrade().await?)
}

/// Reads until the socket ends. While nobody takes what came, nothing more is read: the node then waits, and reads the
/// log for us later.
async fn read(mut stream: SplitStream<WebSocketStream<Upgraded>>, incoming: mpsc::Sender<Incoming>) {
    let code = loop {
        let bytes = match timeout(SILENCE_MAX, stream.next()).await {
            Ok(Some(Ok(Frame::Binary(bytes)))) => bytes,
            Ok(Some(Ok(Frame::Ping(_) | Frame::Pong(_)))) => continue,
            Ok(Some(Ok(Frame::Close(close)))) => break close.map(|close| close.code.into()),
            Ok(Some(Ok(Frame::Text(_) | Frame::Frame(_)) | Err(_)) | None) | Err(_) => break None,
        };
        let Ok(message) = Message::parse(&bytes, ENCODING) else { break None };
        if incoming.send(Incoming::Message(Box::new(message))).await.is_err() {
            return;
        }
    };
    let _ = incoming.send(Incoming::Closed(code)).await;
}

async fn write(mut sink: SplitSink<WebSocketStream<Upgraded>, Frame>, mut outgoing: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = outgoing.recv().await {
        match timeout(SILENCE_MAX, sink.send(Frame::binary(bytes))).await {
            Ok(Ok(())) => {}
            // The reader sees it too.
            Ok(Err(_)) | Err(_) => return,
        }
    }
    let _ = timeout(CLOSE_TIMEOUT, sink.close()).await;
}

/// What the SDK speaks: less than half the bytes of JSON.
const ENCODING: Encoding = Encoding::Cbor;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);

/// The node sends a ping more often than that.
const SILENCE_MAX: Duration = Duration::from_secs(120);

const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The library's usual 128 KiB are too many for a program with a thousand clients.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// Bytes of the longest message that the node sends: a few envelopes' worth.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// Messages that were read and wait.
const INCOMING_MAX: usize = 64;

/// Commands that wait to be written: more than are ever under way.
const OUTGOING_MAX: usize = 128;
