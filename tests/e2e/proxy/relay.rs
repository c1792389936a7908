//! One connection: calls and their answers, and the messages of a socket.

use conclave::ids::DeviceAddress;
use conclave::wire::{Command, Encoding, Message};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

use super::frame::{self, Frame};
use super::http::Passing;
use super::{Shared, Step};

/// Passes on what two sides say, until one of them ends it.
pub(super) async fn relay(client: TcpStream, node: TcpStream, shared: &Shared) {
    let (from_client, mut to_client) = client.into_split();
    let (from_node, mut to_node) = node.into_split();
    let (mut from_client, mut from_node) = (BufReader::new(from_client), BufReader::new(from_node));
    loop {
        let asked = tokio::select! {
            asked = Passing::read(&mut from_client) => asked,
            // A node says nothing unasked: it is gone.
            _ = from_node.fill_buf() => return,
        };
        let Some(asked) = asked else { return };
        let bytes = asked.to_bytes();
        shared.state.lock().unwrap().kept.bytes.extend_from_slice(&bytes);
        if !shared.pass(&mut to_node, &bytes).await {
            return;
        }
        let Some(mut answer) = Passing::read(&mut from_node).await else { return };
        if let Some(answers) = &mut shared.state.lock().unwrap().answers {
            answers(asked.asks(), &mut answer);
        }
        if answer.is_lost || !shared.pass(&mut to_client, &answer.to_bytes()).await {
            return;
        }
        if answer.is_upgrade() {
            let (say, said) = mpsc::unbounded_channel();
            shared.state.lock().unwrap().sockets.push(say.clone());
            return tokio::select! {
                () = up(from_client, to_node, &say, shared) => {}
                _ = async { tokio::join!(down(from_node, &say, shared), write(said, to_client, shared)) } => {}
            };
        }
    }
}

/// Commands on their way to the node.
async fn up(
    mut from: BufReader<OwnedReadHalf>,
    mut to: OwnedWriteHalf,
    say: &mpsc::UnboundedSender<Vec<u8>>,
    shared: &Shared,
) {
    while let Some(frame) = Frame::read(&mut from).await {
        let is_passed = match frame.binary.map_or(Passes::AsItIs, |command| shared.hear(&command)) {
            Passes::AsItIs => shared.pass(&mut to, &frame.bytes).await,
            Passes::As(answer) => answer.into_iter().all(|frame| say.send(frame).is_ok()),
            Passes::Not => false,
        };
        if !is_passed {
            return;
        }
    }
}

/// What the node tells, and that it has ended.
async fn down(mut from: BufReader<OwnedReadHalf>, say: &mpsc::UnboundedSender<Vec<u8>>, shared: &Shared) {
    let mut device = None;
    while let Some(Frame { bytes, binary }) = Frame::read(&mut from).await {
        let told = binary.map(|message| Message::parse(&message, Encoding::Cbor).unwrap());
        if let Some(Message::Welcome { device: welcome, .. }) = &told {
            device = Some(*welcome);
        }
        let frames = match told.map_or(Passes::AsItIs, |message| shared.tell(device, message)) {
            Passes::AsItIs => vec![bytes],
            Passes::As(frames) => frames,
            Passes::Not => break,
        };
        if frames.into_iter().any(|frame| say.send(frame).is_err()) {
            return;
        }
    }
    let _ = say.send(END);
}

/// Writes to the client what comes from the node and what is said beside it. What the node told before it ended is written still.
async fn write(mut said: mpsc::UnboundedReceiver<Vec<u8>>, mut to: OwnedWriteHalf, shared: &Shared) {
    while let Some(bytes) = said.recv().await {
        if bytes == END || !shared.pass(&mut to, &bytes).await {
            return;
        }
    }
}

/// In the place of a frame: none comes any more.
const END: Vec<u8> = Vec::new();

/// What becomes of a frame.
enum Passes {
    AsItIs,
    /// These go to the client in its place.
    As(Vec<Vec<u8>>),
    /// The connection is cut.
    Not,
}

impl Shared {
    /// Keeps a command. It may be answered here; then the node does not hear of it.
    fn hear(&self, command: &[u8]) -> Passes {
        let mut state = self.state.lock().unwrap();
        state.kept.bytes.extend_from_slice(command);
        let command = Command::parse(command, Encoding::Cbor).unwrap();
        if state.ends_at(Step::Asks(&command)) {
            self.has_passed.notify_waiters();
            return Passes::Not;
        }
        let answer = state.hears.as_mut().and_then(|hears| hears(&command));
        state.kept.commands.push(command);
        self.has_passed.notify_waiters();
        answer.map_or(Passes::AsItIs, |answer| Passes::As(vec![frame::of(&answer)]))
    }

    /// Keeps what is told of a log. Somebody may change it.
    fn tell(&self, to: Option<DeviceAddress>, message: Message) -> Passes {
        let mut state = self.state.lock().unwrap();
        if state.cut_at.is_some() {
            let asked = state.kept.asked(&message);
            if state.ends_at(Step::Tells(&message, asked.as_ref())) {
                self.has_passed.notify_waiters();
                return Passes::Not;
            }
        }
        if let Message::Envelope(entry) | Message::Direct(entry) = &message {
            state.kept.told.push(entry.clone());
            self.has_passed.notify_waiters();
        }
        let Some(tells) = state.tells.as_mut() else { return Passes::AsItIs };
        Passes::As(tells(to, message).iter().map(frame::of).collect())
    }
}
