//! A node that is killed under load, again and again: what it has acknowledged is there, once, where it said, and nothing
//! is there that nobody has sent.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use conclave::ids::{EnvelopeId, KeyId, RoomId};
use conclave::protocol::public::{SigningPublicKey, signing_key_id};
use conclave::wire::{
    Answer, ByteString, Bytes, Command, Destination, Encoding, Envelope, LogPage, Message, Outcome, Position,
    RoomPolicy, RoomSummary, Signatures, Timestamp,
};
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use serde_json::json;

use crate::client::User;
use crate::server::{Api, DataFolder};
use crate::socket::Socket;
use crate::support::{POLICY, rng};

const KILLS: usize = 50;

/// Envelopes that are sent before an answer is awaited.
const BURST: usize = 48;

/// A node in a process of its own.
struct Killable {
    child: Child,
    api: Api,
}

impl Killable {
    fn start(data: &Path) -> Self {
        let mut child = Process::new(env!("CARGO_BIN_EXE_conclave"))
            .arg("serve")
            .env("CONCLAVE__SERVER__ADDRESS", "127.0.0.1:0")
            .env("CONCLAVE__METRICS__ADDRESS", "127.0.0.1:0")
            .env("CONCLAVE__STORE__FOLDER", data)
            .env("CONCLAVE__LIMITS__COMMANDS_PER_MINUTE", "1000000")
            .env("CONCLAVE__LIMITS__REQUESTS_PER_MINUTE", "100000")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
        let url = first.trim().split_once("listens on ").unwrap().1;
        Self { api: Api::at(url), child }
    }

    /// SIGKILL: nothing in the process runs after it.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Who sends, and what was sent and acknowledged.
struct Sender {
    user: User,
    key_id: KeyId,
    room: RoomId,
    rng: ChaCha20Rng,
    sent: BTreeSet<EnvelopeId>,
    acknowledged: BTreeMap<EnvelopeId, Position>,
}

impl Sender {
    /// An envelope of an id, stamped now. The room has no signatures, so it is the id that tells one from another.
    fn envelope(&mut self, id: EnvelopeId) -> Envelope {
        let mut nonce = [0; 12];
        self.rng.fill_bytes(&mut nonce);
        Envelope {
            id,
            destination: Destination::Room(self.room),
            sender: self.user.address(),
            recipient: Some(self.user.address()),
            key_id: self.key_id,
            epoch: None,
            nonce: Bytes(nonce),
            timestamp: now(),
            payload: ByteString(id.as_bytes().to_vec()),
            signature: None,
        }
    }

    /// Sends what was not acknowledged, and new envelopes; kills the node after some answers.
    async fn send_until_killed(&mut self, node: Killable) {
        let mut socket = Socket::open_as(&node.api, &self.user, Encoding::Cbor).await;
        socket.join(self.room, None).await.unwrap();
        let again: Vec<EnvelopeId> =
            self.sent.iter().filter(|id| !self.acknowledged.contains_key(*id)).copied().collect();
        let new = (again.len()..BURST).map(|_| EnvelopeId::generate(&mut self.rng)).collect::<Vec<_>>();
        let mut asked = BTreeMap::new();
        for id in again.into_iter().chain(new) {
            let envelope = self.envelope(id);
            self.sent.insert(id);
            asked.insert(socket.begin(|command| Command::Send { id: command, envelope }).await, id);
        }
        let answers_until_kill = self.rng.next_u32() as usize % BURST;
        let mut node = Some(node);
        let mut answers = 0;
        loop {
            if answers >= answers_until_kill
                && let Some(node) = node.take()
            {
                node.kill();
            }
            // What was written before the kill still arrives.
            let Ok(message) = socket.receive().await else { break };
            if let Message::Ok(Answer { id, result: Some(Outcome::Sent(position)) }) = message {
                let id = asked[&id];
                assert!(self.acknowledged.insert(id, position).is_none_or(|before| before == position));
                answers += 1;
            }
        }
        assert!(node.is_none(), "the node has ended by itself");
    }

    /// The whole log, over REST.
    async fn log(&self, node: &Killable) -> Vec<(Position, EnvelopeId)> {
        let mut log = Vec::new();
        let mut after = 0;
        loop {
            let path = format!("/api/rooms/{}/history?after={after}", self.room);
            let page: LogPage = node.api.get(&path, Some(self.user.person.token())).await.ok();
            let position = |seq| Position { epoch: page.epoch, seq };
            log.extend(page.entries.iter().map(|entry| (position(entry.seq), entry.envelope.id)));
            after = page.read_to;
            if page.read_to == page.head {
                return log;
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the node is a process of its own, with the system's clock")]
fn now() -> Timestamp {
    Timestamp::from_millis(0).plus(SystemTime::now().duration_since(UNIX_EPOCH).unwrap())
}

#[actix_web::test]
async fn what_was_acknowledged_is_there_once_after_every_kill() {
    let folder = DataFolder::new();
    let mut node = Killable::start(folder.path());
    let user = User::join_without_prekeys(&node.api, "ada", 10).await;
    let policy = RoomPolicy { signatures: Signatures::Off, ..POLICY };
    let token = Some(user.person.token());
    let room = node.api.post("/api/rooms", token, &json!({ "policy": policy })).await.ok::<RoomSummary>().room_id;
    let key = SigningPublicKey::parse(user.person.account.certificates[0].signing_key.as_array()).unwrap();
    let mut sender = Sender {
        user,
        key_id: signing_key_id(&key),
        room,
        rng: rng(7),
        sent: BTreeSet::new(),
        acknowledged: BTreeMap::new(),
    };

    for _ in 0..KILLS {
        sender.send_until_killed(node).await;
        node = Killable::start(folder.path());
    }

    let log = sender.log(&node).await;
    let positions: Vec<u64> = log.iter().map(|(position, _)| position.seq).collect();
    assert!(positions.iter().copied().eq(1..=log.len() as u64), "the numbers have holes: {positions:?}");
    let by_id: BTreeMap<EnvelopeId, Position> = log.iter().map(|(position, id)| (*id, *position)).collect();
    assert_eq!(by_id.len(), log.len(), "an envelope is there twice");
    assert!(by_id.keys().all(|id| sender.sent.contains(id)), "nobody has sent that");
    for (id, position) in &sender.acknowledged {
        assert_eq!(by_id.get(id), Some(position), "an acknowledged envelope is not where it was said to be");
    }
    assert!(sender.acknowledged.len() > KILLS, "{} acknowledged", sender.acknowledged.len());
    node.kill();
}
