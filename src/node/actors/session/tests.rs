//! A session whose socket is in memory, on a worker of the test's own.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use actix::Arbiter;
use ed25519_dalek::{Signer, SigningKey};
use tokio::io::{AsyncReadExt, DuplexStream};

use super::*;
use crate::ids::DeviceId;
use crate::node::actors::one_room::{OWNER, OneRoom, PATIENCE, ROOM, START, fell, until, with};
use crate::node::actors::room::{IDLE_CHECK_EVERY, Room};
use crate::node::actors::routes::Device;
use crate::node::actors::shard::Level;
use crate::protocol::public::{certificate_signed_bytes, verify_device};
use crate::wire::limits::COMMAND_BYTES_MAX;
use crate::wire::{Bytes, Command, DeviceCertificate, Message as Told, Presence, TypingState};

/// A node with a room, and a session of its one member that follows it.
struct Following {
    one: OneRoom,
    room: Arc<Addr<Room>>,
    parts: Rc<SessionParts>,
    session: Addr<Session>,
    /// The client's end of the socket.
    client: DuplexStream,
    is_over: oneshot::Receiver<()>,
}

impl Following {
    async fn new(name: &str) -> Self {
        let one = OneRoom::new(name).await;
        // On one of the node's own threads: the test's is no worker yet.
        one.room().await;
        Self::of(one).await
    }

    /// The same on that node; the join starts the room if it does not run.
    async fn of(one: OneRoom) -> Self {
        let state = one.node.state();
        let (hall, shard) = Shard::start_with(state);
        let parts = Rc::new(SessionParts {
            routes: state.routes.clone(),
            store: state.store.clone(),
            clock: state.clock.clone(),
            nonce_ttl: Duration::from_secs(300),
            state: state.clone(),
            hall,
            shard,
        });
        let (near, client) = tokio::io::duplex(SOCKET_BYTES);
        let turn = Rc::clone(&parts.hall.turn);
        let connection = Connection::new(turn, Box::new(near), &[], COMMAND_BYTES_MAX);
        let (over, is_over) = oneshot::channel();
        let id = state.routes.next_connection();
        let mut session = Session::new(id, Encoding::Json, connection, Rc::clone(&parts), None, over);
        let who = owners_device();
        let (device, session_id, has_missed) = (who.device, who.session_id, Arc::clone(&session.has_missed));
        session.stage = Stage::Open(Box::new(who));
        let session = session.start();
        let route = Device { connection: id, session_id, session: Arc::new(session.clone()), has_missed };
        state.routes.add_device(device, route);
        let join = Command::Join { id: 1, room_id: ROOM, after: None }.to_bytes(Encoding::Json);
        with(&session, move |session, context| session.take(&join, context)).await.unwrap();
        until(async || has_joined(&session).await).await;
        let room = parts.routes.live_room(ROOM).unwrap();
        Self { one, room, parts, session, client, is_over }
    }

    /// Has the session take a command of its client.
    async fn take(&self, command: Command) {
        let bytes = command.to_bytes(Encoding::Json);
        with(&self.session, move |session, context| session.take(&bytes, context)).await.unwrap();
    }

    async fn has_joined(&self) -> bool {
        has_joined(&self.session).await
    }

    fn routes(&self) -> &Routes {
        &self.parts.routes
    }

    async fn online(&self) -> Vec<AccountId> {
        with(&self.room, |room, _| room.online()).await.unwrap()
    }
}

async fn has_joined(session: &Addr<Session>) -> bool {
    with(session, |session, _| session.followed.borrow().policy(ROOM).is_some()).await.unwrap()
}

fn owners_device() -> Identified {
    let [root, device] = [1, 2].map(|seed| SigningKey::from_bytes(&[seed; 32]));
    let base_point = core::array::from_fn(|place| if place == 0 { 9 } else { 0 });
    let mut certificate = DeviceCertificate {
        account_id: OWNER,
        root_key: Bytes(root.verifying_key().to_bytes()),
        device_id: DeviceId::from_bytes([3; 16]),
        signing_key: Bytes(device.verifying_key().to_bytes()),
        agreement_key: Bytes(base_point),
        created_at: Timestamp::from_millis(0),
        signature: Bytes([0; 64]),
    };
    certificate.signature = Bytes(root.sign(&certificate_signed_bytes(&certificate)).to_bytes());
    Identified {
        device: certificate.address(),
        verified: verify_device(&certificate).unwrap(),
        session_id: SessionId::from_bytes([4; 16]),
        expires_at: START.plus(Duration::from_secs(3_600)),
        was_warned: false,
    }
}

/// Bytes that the socket itself holds.
const SOCKET_BYTES: usize = 1_024;

#[actix_web::test]
async fn a_session_that_panics_leaves_nothing_behind() {
    let following = Following::new("session-falls").await;
    assert_eq!(following.online().await, [OWNER]);
    assert_eq!((following.routes().devices(), following.parts.hall.present().len()), (1, 1));

    fell(&following.session).await;

    assert_eq!((following.routes().devices(), following.parts.hall.present().len()), (0, 0));
    assert!(following.parts.hall.is_empty(), "it still follows");
    until(async || following.online().await.is_empty()).await;
    // What holds the connection's place lets go of it.
    assert!(following.is_over.await.is_err());
    following.one.stop().await;
}

#[actix_web::test]
async fn a_room_that_nobody_uses_ends_and_the_next_join_starts_it_again() {
    let one = OneRoom::new("unused").await;
    one.looks_for_use_every(Duration::from_millis(10)).await;
    let first = one.room().await;
    until(async || !first.connected()).await;
    assert_eq!(one.node.state().routes.rooms(), 0);
    one.looks_for_use_every(IDLE_CHECK_EVERY).await;

    let following = Following::of(one).await;

    assert!(*following.room != *first);
    assert_eq!((following.routes().rooms(), following.online().await), (1, vec![OWNER]));
    following.one.stop().await;
}

#[actix_web::test]
async fn a_room_whose_mailbox_is_full_still_hears_who_has_gone() {
    let following = Following::new("goes-unheard").await;
    let thread = with(&following.room, |_, _| Arbiter::current()).await.unwrap();
    let (release, held) = std::sync::mpsc::channel::<()>();
    assert!(thread.spawn_fn(move || {
        let _ = held.recv();
    }));
    let nobody = Depart { account_id: OWNER, connection: ConnectionId(u64::MAX) };
    while following.routes().offer(&following.room, nobody).is_ok() {}

    following.take(Command::Leave { id: 2, room_id: ROOM }).await;
    assert!(!following.has_joined().await);
    release.send(()).unwrap();

    until(async || following.online().await.is_empty()).await;
    following.one.stop().await;
}

/// It was not heard that the socket left, and it has come again since.
#[actix_web::test]
async fn who_comes_again_is_there_whatever_is_still_to_be_told() {
    let following = Following::new("comes-again").await;
    let thread = with(&following.room, |_, _| Arbiter::current()).await.unwrap();
    let (release, held) = std::sync::mpsc::channel::<()>();
    assert!(thread.spawn_fn(move || {
        let _ = held.recv();
    }));
    let nobody = Depart { account_id: OWNER, connection: ConnectionId(u64::MAX) };
    while following.routes().offer(&following.room, nobody).is_ok() {}

    following.take(Command::Leave { id: 2, room_id: ROOM }).await;
    following.take(Command::Join { id: 3, room_id: ROOM, after: None }).await;
    release.send(()).unwrap();
    until(async || following.has_joined().await).await;
    following.parts.hall.tell_departed(following.routes());

    assert_eq!(following.online().await, [OWNER]);
    following.one.stop().await;
}

#[actix_web::test]
async fn what_lasts_is_told_again_to_a_worker_whose_mailbox_was_full() {
    let mut following = Following::new("told-again").await;
    let routes = following.routes().clone();
    // Nothing of this thread runs until it waits: neither its shard nor this session.
    let level = Level { room_id: ROOM, head: 0 };
    while routes.offer(&following.parts.shard, level).is_ok() {}
    let refused = routes.refused();
    routes.announce(ROOM, Told::RoomClosed { room_id: ROOM });
    while routes.refused() == refused {
        std::thread::yield_now();
    }

    following.hears("room_closed").await;
    following.one.stop().await;
}

#[actix_web::test]
async fn who_is_there_is_told_again_to_a_worker_whose_mailbox_was_full() {
    let mut following = Following::new("presence-again").await;
    let connection = with(&following.session, |session, _| session.id).await.unwrap();
    let routes = following.routes().clone();
    let level = Level { room_id: ROOM, head: 0 };
    while routes.offer(&following.parts.shard, level).is_ok() {}
    let refused = routes.refused();
    // It has gone, and has come again: the last word is told.
    assert!(routes.offer(&following.room, Depart { account_id: OWNER, connection }).is_ok());
    while routes.refused() == refused {
        std::thread::yield_now();
    }

    following.hears("offline").await;
    following.one.stop().await;
}

/// What passes is dropped, and what lasts has room of its own; without room for that either the client is to come again.
#[actix_web::test]
async fn a_client_that_would_miss_what_lasts_is_cut_off() {
    let typing = Told::Typing { room_id: ROOM, device: owners_device().device, state: TypingState::Started };
    let left = Told::MemberLeft { room_id: ROOM, account_id: OWNER };
    let gone = Told::Presence { room_id: ROOM, account_id: OWNER, state: Presence::Offline };
    for (name, lasting) in [("cut-off-left", left), ("cut-off-gone", gone)] {
        let mut following = Following::new(name).await;
        following.fill(&typing).await;
        assert!(following.is_open().await, "for what passes");
        let before = following.queued_bytes();
        following.tell(&lasting).await;
        assert!(following.is_open().await && following.queued_bytes() > before);
        following.fill(&lasting).await;

        until(async || !following.is_open().await).await;
        let heard = following.heard_to_the_end().await;
        assert!(heard.ends_with(&[0x88, 2, 0x0f, 0xa2]), "closed with 4002");
        following.one.stop().await;
    }
}

#[actix_web::test]
async fn a_client_that_says_nothing_is_pinged_and_then_closed() {
    let mut following = Following::new("silent").await;
    // It takes what is written, and says nothing.
    let beats = following.beats_until_closed(async || until(async || following.queued_bytes() == 0).await).await;
    assert!((SILENT_BEATS_MAX / 2..=SILENT_BEATS_MAX).contains(&beats), "{beats}");

    let heard = following.heard_to_the_end().await;
    assert_eq!(heard.windows(2).filter(|frame| *frame == [0x89, 0]).count(), 1, "pings");
    assert!(heard.ends_with(&[0x88, 2, 0x0f, 0xa1]), "closed with 4001");
    following.one.stop().await;
}

#[actix_web::test]
async fn a_client_that_does_not_read_is_closed() {
    let mut following = Following::new("stalled").await;
    let typing = Told::Typing { room_id: ROOM, device: owners_device().device, state: TypingState::Started };
    following.fill(&typing).await;
    let beats = following.beats_until_closed(async || ()).await;
    assert!((STALLED_BEATS_MAX / 2..=STALLED_BEATS_MAX).contains(&beats), "{beats}");

    let heard = following.heard_to_the_end().await;
    assert!(heard.ends_with(&[0x88, 2, 0x0f, 0xa2]), "closed with 4002");
    following.one.stop().await;
}

impl Session {
    /// Lets a second go by, in which the store is not asked for the session: it knows nothing of this one. Whether the socket
    /// is closed after it.
    fn beats_once(&mut self, _: &mut Context<Self>) -> bool {
        if let Some(code) = self.beat(1) {
            self.close(code);
        }
        self.who().is_none()
    }
}

impl Following {
    /// Lets seconds go by until the socket is closed, and something happen after each. How many.
    async fn beats_until_closed(&self, after_each: impl AsyncFn()) -> u32 {
        let mut beats = 1;
        while !with(&self.session, Session::beats_once).await.unwrap() {
            beats += 1;
            after_each().await;
        }
        beats
    }

    /// What the client reads until its socket ends.
    /// Reads until it has been told something with these words.
    async fn hears(&mut self, words: &str) {
        let mut heard = Vec::new();
        let told = async {
            while !String::from_utf8_lossy(&heard).contains(words) {
                assert!(self.client.read_buf(&mut heard).await.unwrap() > 0, "it has ended");
            }
        };
        tokio::time::timeout(PATIENCE, told).await.unwrap();
    }

    async fn heard_to_the_end(&mut self) -> Vec<u8> {
        let mut heard = Vec::new();
        self.client.read_to_end(&mut heard).await.unwrap();
        heard
    }

    /// Tells those in the room something, and waits until this worker has heard it.
    async fn tell(&self, message: &Told) {
        self.routes().announce(ROOM, message.clone());
        // One after the other, by the same ways.
        with(&self.room, |_, _| ()).await.unwrap();
        self.parts.shard.send(Level { room_id: ROOM, head: 0 }).await.unwrap();
    }

    /// Tells it until there is no room for it.
    async fn fill(&self, message: &Told) {
        let mut before = None;
        // At first the socket itself takes all.
        while self.queued_bytes() == 0 || before != Some(self.queued_bytes()) {
            before = Some(self.queued_bytes());
            self.tell(message).await;
        }
    }

    fn queued_bytes(&self) -> usize {
        self.parts.hall.present().values().map(|present| present.connection.queued_bytes()).sum()
    }

    async fn is_open(&self) -> bool {
        with(&self.session, |session, _| session.who().is_some()).await.unwrap()
    }
}
