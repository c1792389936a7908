//! Rooms and mailboxes over real sockets: what a client sends is on disk before it is answered, and reaches whom it is
//! for once and in order, whatever happens to a connection in between.

mod outsiders;

use std::collections::BTreeSet;
use std::iter;
use std::time::Duration;

use conclave::ids::{AccountId, EnvelopeId, RoomId};
use conclave::node::config::Bounded;
use conclave::protocol::machine::{Encrypt, Input, Outputs, Place};
use conclave::wire::{
    ByteString, Command, Credential, Delivery, Encoding, Entry, Envelope, ErrorCode, InvitationCreated, Joined, Log,
    Membership, Message, Outcome, Position, PrekeyBundle, Presence, RoomPolicy, RoomSummary, SessionTokens, SignalKind,
    Signatures, SocketTicket, Timestamp, TypingState,
};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::client::User;
use crate::metrics::Numbers;
use crate::server::TestNode;
use crate::socket::{End, Socket};
use crate::support::POLICY;

/// Two users who know each other's devices, and a room that both are in.
struct Pair {
    node: TestNode,
    ada: User,
    grace: User,
    room: RoomId,
}

impl Pair {
    async fn new() -> Self {
        let node = TestNode::start().await;
        let (mut ada, mut grace) = (User::join(&node, "ada", 10).await, User::join(&node, "grace", 20).await);
        let (ada_id, grace_id) = (ada.address().account_id, grace.address().account_id);
        ada.learn(&node, grace_id).await;
        grace.learn(&node, ada_id).await;
        let room = create_room(&node, &ada).await;
        invite(&node, room, &ada, &grace).await;
        Self { node, ada, grace, room }
    }

    /// What Ada writes to Grace in the room: one envelope, for her one device.
    async fn ada_writes(&mut self, text: &str) -> Envelope {
        let to = self.grace.address().account_id;
        only(write(&self.node, &mut self.ada, to, Place::Room(self.room), text).await)
    }

    async fn ada_writes_direct(&mut self, text: &str) -> Envelope {
        let to = self.grace.address().account_id;
        only(write(&self.node, &mut self.ada, to, Place::Direct, text).await)
    }

    fn grace_reads(&mut self, entry: &Entry) -> String {
        String::from_utf8(self.grace.device.try_read(&entry.envelope, POLICY).unwrap()).unwrap()
    }

    async fn restart(self) -> Self {
        let Self { node, ada, grace, room } = self;
        Self { node: node.restart().await, ada, grace, room }
    }
}

async fn create_room(node: &TestNode, owner: &User) -> RoomId {
    node.post("/api/rooms", Some(owner.person.token()), &json!({})).await.ok::<RoomSummary>().room_id
}

async fn invite(node: &TestNode, room: RoomId, owner: &User, guest: &User) {
    let path = format!("/api/rooms/{room}/invitations");
    let invitation: InvitationCreated = node.post(&path, Some(owner.person.token()), &json!({})).await.ok();
    let join = json!({ "token": invitation.token });
    let joined: Joined = node.post("/api/rooms/join", Some(guest.person.token()), &join).await.ok();
    assert_eq!((joined.room_id, joined.is_new), (room, true));
}

/// Encrypts for an account, claiming from the node what is missing.
async fn write(node: &TestNode, from: &mut User, to: AccountId, place: Place, text: &str) -> Vec<Envelope> {
    let encrypt = Encrypt { accounts: &[to], except: &[], place, policy: POLICY, plaintext: text.as_bytes() };
    let mut outputs: Outputs = from.device.handle(Input::Encrypt(encrypt)).unwrap();
    for device in std::mem::take(&mut outputs.claim) {
        let bundle: PrekeyBundle = from.person.claim(node, device).await.ok();
        from.device.handle(Input::Bundle(&bundle)).unwrap();
        outputs = from.device.handle(Input::Encrypt(encrypt)).unwrap();
    }
    outputs.send
}

fn only(envelopes: Vec<Envelope>) -> Envelope {
    let [envelope] = <[Envelope; 1]>::try_from(envelopes).unwrap();
    envelope
}

#[actix_web::test]
async fn what_one_sends_the_other_reads_in_order_in_either_encoding() {
    for (ours, theirs) in [(Encoding::Json, Encoding::Cbor), (Encoding::Cbor, Encoding::Json)] {
        let mut pair = Pair::new().await;
        let mut ada = Socket::open_as(&pair.node, &pair.ada, ours).await;
        let mut grace = Socket::open_as(&pair.node, &pair.grace, theirs).await;
        let start = ada.join(pair.room, None).await.unwrap();
        assert_eq!(grace.join(pair.room, None).await.unwrap(), start);

        for number in 1..=5 {
            let text = format!("message {number}");
            let envelope = pair.ada_writes(&text).await;
            let position = ada.send(&envelope).await.unwrap();
            assert_eq!(position, Position { epoch: start.epoch, seq: number });
            let entry = grace.envelope().await;
            assert_eq!(entry, Entry { position, envelope });
            assert_eq!(pair.grace_reads(&entry), text);
        }
        pair.node.stop().await;
    }
}

#[actix_web::test]
async fn many_are_sent_before_the_first_is_answered_and_keep_their_order() {
    let mut pair = Pair::new().await;
    let mut ada = Socket::open(&pair.node, &pair.ada).await;
    let mut grace = Socket::open(&pair.node, &pair.grace).await;
    ada.join(pair.room, None).await.unwrap();
    grace.join(pair.room, None).await.unwrap();

    let mut asked = Vec::new();
    for number in 0..200 {
        let envelope = pair.ada_writes(&number.to_string()).await;
        asked.push(ada.begin(|id| Command::Send { id, envelope }).await);
    }
    for (asked, seq) in asked.into_iter().zip(1..) {
        let Ok(Some(Outcome::Sent(position))) = ada.answer(asked).await else { panic!("{asked}") };
        assert_eq!(position.seq, seq);
    }
    for number in 0..200 {
        let entry = grace.envelope().await;
        assert_eq!((pair.grace_reads(&entry), entry.position.seq), (number.to_string(), number + 1));
    }
    pair.node.stop().await;
}

#[actix_web::test]
async fn many_are_delivered_before_the_first_is_answered_and_keep_their_order() {
    let mut pair = Pair::new().await;
    let mut ada = Socket::open(&pair.node, &pair.ada).await;
    let mut grace = Socket::open(&pair.node, &pair.grace).await;

    let mut envelopes = Vec::new();
    for number in 0..200 {
        envelopes.push(pair.ada_writes_direct(&number.to_string()).await);
    }
    let mut asked = Vec::new();
    for envelope in envelopes {
        asked.push(ada.begin(|id| Command::Deliver { id, envelopes: vec![envelope] }).await);
    }
    for number in 0..200 {
        let entry = grace.direct().await;
        assert_eq!((pair.grace_reads(&entry), entry.position.seq), (number.to_string(), number + 1));
    }
    for asked in asked {
        let Ok(Some(Outcome::Delivered(deliveries))) = ada.answer(asked).await else { panic!("{asked}") };
        assert!(matches!(deliveries[..], [Delivery::Stored(_)]), "{deliveries:?}");
    }
    pair.node.stop().await;
}

#[actix_web::test]
async fn who_was_away_gets_what_was_missed_once_and_then_what_is_new() {
    let mut pair = Pair::new().await;
    let mut ada = Socket::open(&pair.node, &pair.ada).await;
    let start = ada.join(pair.room, None).await.unwrap();
    for number in 1..=300 {
        let envelope = pair.ada_writes(&number.to_string()).await;
        ada.send(&envelope).await.unwrap();
    }

    // Two pages of history come, while more is sent.
    let mut grace = Socket::open(&pair.node, &pair.grace).await;
    let head = grace.join(pair.room, Some(start)).await.unwrap();
    assert_eq!(head.seq, 300);
    for number in 301..=350 {
        let envelope = pair.ada_writes(&number.to_string()).await;
        ada.begin(|id| Command::Send { id, envelope }).await;
    }
    for number in 1..=350 {
        let entry = grace.envelope().await;
        assert_eq!((entry.position.seq, pair.grace_reads(&entry)), (number, number.to_string()));
    }

    // From the position that was saved, nothing comes twice.
    drop(grace);
    let mut grace = Socket::open(&pair.node, &pair.grace).await;
    let saved = Position { epoch: start.epoch, seq: 348 };
    grace.join(pair.room, Some(saved)).await.unwrap();
    assert_eq!(grace.envelope().await.position.seq, 349);
    assert_eq!(grace.envelope().await.position.seq, 350);
    let Some(end) = grace.caught_up(Log::Room(pair.room)).await else { panic!("no position") };
    assert_eq!(end.seq, 350);
    pair.node.stop().await;
}

#[actix_web::test]
async fn a_position_that_the_log_does_not_have_is_told_as_a_gap() {
    let mut pair = Pair::new().await;
    let mut ada = Socket::open(&pair.node, &pair.ada).await;
    let start = ada.join(pair.room, None).await.unwrap();
    let envelope = pair.ada_writes("one").await;
    let sent = ada.send(&envelope).await.unwrap();

    for (claimed, goes_on) in [
        (Position { epoch: start.epoch, seq: 9 }, sent),
        (Position { epoch: conclave::ids::LogEpoch::from_bytes([7; 8]), seq: 0 }, start),
        (Position { epoch: conclave::ids::LogEpoch::from_bytes([7; 8]), seq: 1 }, start),
    ] {
        let mut grace = Socket::open(&pair.node, &pair.grace).await;
        grace.join(pair.room, Some(claimed)).await.unwrap();
        let gap =
            grace.until(|event| if let Message::Gap { log, position } = event { Some((log, position)) } else { None });
        assert_eq!(gap.await, (Log::Room(pair.room), Some(goes_on)));
        if goes_on == start {
            assert_eq!(grace.envelope().await.position, sent);
        }
        assert_eq!(grace.caught_up(Log::Room(pair.room)).await, Some(sent));
    }
    pair.node.stop().await;
}

#[actix_web::test]
async fn the_same_envelope_again_has_the_same_answer_and_is_delivered_once() {
    let mut pair = Pair::new().await;
    let mut ada = Socket::open(&pair.node, &pair.ada).await;
    let mut grace = Socket::open(&pair.node, &pair.grace).await;
    ada.join(pair.room, None).await.unwrap();
    grace.join(pair.room, None).await.unwrap();
    let (first, second) = (pair.ada_writes("first").await, pair.ada_writes("second").await);

    let position = ada.send(&first).await.unwrap();
    assert_eq!(ada.send(&first).await.unwrap(), position);
    ada.send(&second).await.unwrap();

    assert_eq!(grace.envelope().await.envelope, first);
    assert_eq!(grace.envelope().await.envelope, second);

    // Neither a restart nor a later stamp makes it another one.
    drop((ada, grace));
    let mut pair = pair.restart().await;
    let mut ada = Socket::open(&pair.node, &pair.ada).await;
    ada.join(pair.room, None).await.unwrap();
    assert_eq!(ada.send(&first).await.unwrap(), position);
    pair.node.clock.advance(Duration::from_secs(271));
    pair.ada.device.now = pair.node.clock.now();
    assert_eq!(ada.send(&first).await, Err(ErrorCode::TimestampTooOld));
    let restamp = Input::Restamp { envelope: &first, policy: POLICY };
    let again = only(pair.ada.device.handle(restamp).unwrap().send);
    assert_eq!(ada.send(&again).await.unwrap(), position);
    pair.node.stop().await;
}

#[actix_web::test]
async fn an_envelope_that_is_not_as_it_should_be_is_refused_without_effect() {
    let mut pair = Pair::new().await;
    let mut ada = Socket::open(&pair.node, &pair.ada).await;
    let mut grace = Socket::open(&pair.node, &pair.grace).await;
    ada.join(pair.room, None).await.unwrap();
    grace.join(pair.room, None).await.unwrap();
    let good = pair.ada_writes("good").await;

    let altered = |change: &dyn Fn(&mut Envelope)| {
        let mut envelope = good.clone();
        change(&mut envelope);
        envelope
    };
    let theirs = pair.grace.address();
    for (envelope, code) in [
        (altered(&|envelope| envelope.payload.0[0] ^= 1), ErrorCode::SignatureInvalid),
        (altered(&|envelope| envelope.recipient = None), ErrorCode::SignatureInvalid),
        (altered(&|envelope| envelope.signature = None), ErrorCode::SignatureMissing),
        (altered(&|envelope| envelope.sender = theirs), ErrorCode::OwnerMismatch),
        (
            altered(&|envelope| envelope.destination = conclave::wire::Destination::Room(RoomId::from_bytes([9; 16]))),
            ErrorCode::NotJoined,
        ),
    ] {
        assert_eq!(ada.send(&envelope).await, Err(code));
    }
    // Grace may not send what Ada has signed.
    assert_eq!(grace.send(&good).await, Err(ErrorCode::OwnerMismatch));

    // None of them has used the nonce, or is in the log.
    assert_eq!(ada.send(&good).await.unwrap().seq, 1);
    assert_eq!(grace.envelope().await.envelope, good);
    pair.node.stop().await;
}

#[actix_web::test]
async fn a_refresh_token_that_comes_twice_closes_the_socket_of_its_session_at_once() {
    let pair = Pair::new().await;
    let mut ada = Socket::open(&pair.node, &pair.ada).await;
    let mut grace = Socket::open(&pair.node, &pair.grace).await;
    let token = &pair.ada.person.tokens.refresh_token;

    let _: SessionTokens = pair.node.refresh(token).await.ok();
    pair.node.refresh(token).await.refused(401, ErrorCode::RefreshReused);

    assert_eq!(ada.closed().await, 4102);
    grace.ask(|id| Command::Ping { id }).await.unwrap();
    pair.node.stop().await;
}

#[actix_web::test]
async fn a_nonce_is_good_for_one_envelope_and_a_time_for_some_minutes() {
    let mut pair = Pair::new().await;
    let mut ada = Socket::open(&pair.node, &pair.ada).await;
    ada.join(pair.room, None).await.unwrap();
    let first = pair.ada_writes("first").await;
    ada.send(&first).await.unwrap();

    // Where nothing is signed, the node can be shown an envelope under another id.
    let unsigned = RoomPolicy { signatures: Signatures::Off, ..POLICY };
    let body = json!({ "policy": unsigned });
    let room = pair.node.post("/api/rooms", Some(pair.ada.person.token()), &body).await.ok::<RoomSummary>().room_id;
    ada.join(room, None).await.unwrap();
    let accounts = &[pair.grace.address().account_id];
    let place = Place::Room(room);
    let encrypt = Encrypt { accounts, except: &[], place, policy: unsigned, plaintext: b"once" };
    let mut envelope = only(pair.ada.device.handle(Input::Encrypt(encrypt)).unwrap().send);
    ada.send(&envelope).await.unwrap();
    envelope.id = EnvelopeId::from_bytes([1; 16]);
    assert_eq!(ada.send(&envelope).await, Err(ErrorCode::EnvelopeReplayed));
    assert_eq!(Numbers::of(&pair.node).await.count("conclave_replays_refused_total"), 1);

    pair.ada.device.now = pair.node.clock.now().plus(Duration::from_secs(31));
    let early = pair.ada_writes("early").await;
    assert_eq!(ada.send(&early).await, Err(ErrorCode::TimestampTooFarAhead));
    pair.node.clock.advance(Duration::from_secs(1));
    assert_eq!(ada.send(&early).await.unwrap().seq, 2);
    pair.node.stop().await;
}

#[actix_web::test]
async fn a_mailbox_keeps_what_its_device_has_not_acknowledged() {
    let mut pair = Pair::new().await;
    let mut ada = Socket::open(&pair.node, &pair.ada).await;
    let mut envelopes = Vec::new();
    for number in 1..=3 {
        envelopes.push(pair.ada_writes_direct(&number.to_string()).await);
    }
    let deliveries = ada.deliver(envelopes.clone()).await;
    let positions: Vec<Position> = deliveries
        .into_iter()
        .map(|delivery| if let Delivery::Stored(position) = delivery { position } else { panic!("{delivery:?}") })
        .collect();
    assert_eq!(positions.iter().map(|position| position.seq).collect::<Vec<_>>(), [1, 2, 3]);

    // Grace was offline. She reads two, saves them, says so, and is gone.
    let mut grace = Socket::open(&pair.node, &pair.grace).await;
    for number in 1..=2 {
        let entry = grace.direct().await;
        assert_eq!(pair.grace_reads(&entry), number.to_string());
    }
    grace.ask(|id| Command::Ack { id, position: positions[1] }).await.unwrap();
    drop(grace);

    // What she has not acknowledged comes again, also from another life of the node; what she has, never.
    drop(ada);
    let mut pair = pair.restart().await;
    let mut grace = Socket::open(&pair.node, &pair.grace).await;
    let third = grace.direct().await;
    assert_eq!((third.position, pair.grace_reads(&third)), (positions[2], "3".to_owned()));
    assert_eq!(grace.caught_up(Log::Mailbox).await, Some(positions[2]));
    grace.ask(|id| Command::Ack { id, position: positions[2] }).await.unwrap();

    // What was acknowledged and is sent again is still known.
    let mut ada = Socket::open(&pair.node, &pair.ada).await;
    assert_eq!(ada.deliver(vec![envelopes[0].clone()]).await, [Delivery::Stored(positions[0])]);
    // And now it comes as it is sent.
    let fourth = pair.ada_writes_direct("4").await;
    ada.deliver(vec![fourth.clone()]).await;
    assert_eq!(grace.direct().await.envelope, fourth);
    pair.node.stop().await;
}

#[actix_web::test]
async fn a_delivery_is_refused_by_itself() {
    let mut pair = Pair::new().await;
    let mut ada = Socket::open(&pair.node, &pair.ada).await;
    let good = pair.ada_writes_direct("good").await;
    let mut altered = good.clone();
    altered.payload.0[0] ^= 1;
    let in_room = pair.ada_writes("in the room").await;
    let on_time = pair.ada.device.now;
    pair.ada.device.now = on_time.plus(Duration::from_secs(31));
    let early = pair.ada_writes_direct("early").await;
    pair.ada.device.now = Timestamp::from_millis(on_time.as_millis() - 271_000);
    let late = pair.ada_writes_direct("late").await;

    let deliveries = ada.deliver(vec![altered, in_room, early, late, good]).await;

    assert!(
        matches!(
            deliveries[..],
            [
                Delivery::Refused(ErrorCode::SignatureInvalid),
                Delivery::Refused(ErrorCode::EnvelopeMalformed),
                Delivery::Refused(ErrorCode::TimestampTooFarAhead),
                Delivery::Refused(ErrorCode::TimestampTooOld),
                Delivery::Stored(Position { seq: 1, .. })
            ]
        ),
        "{deliveries:?}"
    );
    let head = Position { epoch: conclave::ids::LogEpoch::from_bytes([1; 8]), seq: 1 };
    assert_eq!(ada.ask(|id| Command::Ack { id, position: head }).await, Err(ErrorCode::OtherLogEpoch));
    pair.node.stop().await;
}

#[actix_web::test]
async fn a_socket_says_first_and_once_who_it_is_of() {
    let pair = Pair::new().await;
    let token = pair.ada.person.token();
    let ticket = async || {
        let answer = pair.node.post("/api/ws/ticket", Some(token), &json!({})).await;
        Credential::Ticket(answer.ok::<SocketTicket>().ticket)
    };
    let connect = async || Socket::connect(&pair.node, Encoding::Json, None).await;

    let mut socket = connect().await;
    assert_eq!(socket.ask(|id| Command::Ping { id }).await, Err(ErrorCode::HelloExpected));
    assert_eq!(socket.closed().await, 4100);

    let mut socket = connect().await;
    assert_eq!(socket.hello(None, None).await, Err(ErrorCode::TokenMissing));
    assert_eq!(socket.closed().await, 4100);

    let mut socket = connect().await;
    socket.hello(Some(Credential::Token(token.clone())), None).await.unwrap();
    assert!(matches!(socket.event().await, Message::Welcome { device, .. } if device == pair.ada.address()));
    assert_eq!(socket.hello(Some(Credential::Token(token.clone())), None).await, Err(ErrorCode::HelloTwice));
    socket.ask(|id| Command::Ping { id }).await.unwrap();

    // A ticket is good once, and not for long.
    let used = ticket().await;
    connect().await.hello(Some(used.clone()), None).await.unwrap();
    assert_eq!(connect().await.hello(Some(used), None).await, Err(ErrorCode::TokenRefused));
    let old = ticket().await;
    pair.node.clock.advance(Duration::from_secs(30));
    assert_eq!(connect().await.hello(Some(old), None).await, Err(ErrorCode::TokenRefused));

    // A session that is no device's has no socket.
    let unbound = pair.node.sign_in("ada").await;
    let token = Credential::Token(unbound.access_token);
    assert_eq!(connect().await.hello(Some(token), None).await, Err(ErrorCode::DeviceNotBound));
    pair.node.stop().await;
}

#[actix_web::test]
async fn who_comes_into_a_room_is_told_with_what_proves_it() {
    let pair = Pair::new().await;
    let joan = User::join(&pair.node, "joan", 30).await;
    let mut ada = Socket::open(&pair.node, &pair.ada).await;
    ada.join(pair.room, None).await.unwrap();
    let (room_id, account_id) = (pair.room, joan.address().account_id);
    for byte in [1, 2] {
        let path = format!("/api/rooms/{room_id}/invitations");
        let invitation: InvitationCreated = pair.node.post(&path, Some(pair.ada.person.token()), &json!({})).await.ok();
        let membership = Membership { proof: [byte; 81].into(), kept: [byte; 117].into() };
        let join = json!({ "token": invitation.token, "membership": membership });
        pair.node.post("/api/rooms/join", Some(joan.person.token()), &join).await.ok::<Joined>();
        // The second time she is a member already, and proves it anew.
        let joined = Message::MemberJoined { room_id, account_id, proof: Some(membership.proof) };
        ada.until(|event| (event == joined).then_some(())).await;
    }
}

#[actix_web::test]
async fn a_room_is_heard_by_its_members_alone() {
    let mut pair = Pair::new().await;
    let eve = User::join(&pair.node, "eve", 30).await;
    let mut evil = Socket::open(&pair.node, &eve).await;
    assert_eq!(evil.join(pair.room, None).await, Err(ErrorCode::UnknownRoom));
    assert_eq!(evil.join(RoomId::from_bytes([3; 16]), None).await, Err(ErrorCode::UnknownRoom));
    let room_id = pair.room;
    let history = |id| Command::History { id, room_id, after: 0, limit: conclave::wire::PageLimit::default() };
    assert_eq!(evil.ask(history).await, Err(ErrorCode::NotJoined));

    // Who is removed hears that, and nothing after it.
    let mut ada = Socket::open(&pair.node, &pair.ada).await;
    let mut grace = Socket::open(&pair.node, &pair.grace).await;
    ada.join(pair.room, None).await.unwrap();
    grace.join(pair.room, None).await.unwrap();
    let grace_id = pair.grace.address().account_id;
    let path = format!("/api/rooms/{room_id}/members/{grace_id}");
    pair.node.send(reqwest::Method::DELETE, &path, Some(pair.ada.person.token()), &json!({})).await.done();
    let left = Message::MemberLeft { room_id, account_id: grace_id };
    grace.until(|event| (event == left).then_some(())).await;
    ada.until(|event| (event == left).then_some(())).await;
    let secret = pair.ada_writes("not for her").await;
    ada.send(&secret).await.unwrap();
    assert_eq!(grace.ask(|id| Command::Leave { id, room_id }).await, Err(ErrorCode::NotJoined));
    assert_eq!(grace.join(pair.room, None).await, Err(ErrorCode::UnknownRoom));

    // A closed room takes nothing more.
    pair.node
        .send(reqwest::Method::DELETE, &format!("/api/rooms/{room_id}"), Some(pair.ada.person.token()), &json!({}))
        .await
        .done();
    ada.until(|event| (event == Message::RoomClosed { room_id }).then_some(())).await;
    let late = pair.ada_writes("too late").await;
    assert_eq!(ada.send(&late).await, Err(ErrorCode::RoomClosed));
    pair.node.stop().await;
}

#[actix_web::test]
async fn presence_is_told_when_the_first_socket_comes_and_the_last_goes() {
    let pair = Pair::new().await;
    let (room_id, account_id) = (pair.room, pair.grace.address().account_id);
    let mut ada = Socket::open(&pair.node, &pair.ada).await;
    ada.join(room_id, None).await.unwrap();
    let presence = |event| match event {
        Message::Presence { account_id: who, state, .. } if who == account_id => Some(state),
        _ => None,
    };

    let mut grace = Socket::open(&pair.node, &pair.grace).await;
    let joined = grace.ask(|id| Command::Join { id, room_id, after: None }).await.unwrap();
    let Some(Outcome::Joined { online, policy, .. }) = joined else { panic!("{joined:?}") };
    assert_eq!((online, policy), (vec![pair.ada.address().account_id], POLICY));
    assert_eq!(ada.until(presence).await, Presence::Online);

    // A connection that breaks without a word leaves no ghost.
    drop(grace);
    assert_eq!(ada.until(presence).await, Presence::Offline);

    // A newer socket of the same device takes over.
    let mut first = Socket::open(&pair.node, &pair.grace).await;
    first.join(room_id, None).await.unwrap();
    assert_eq!(ada.until(presence).await, Presence::Online);
    let mut second = Socket::open(&pair.node, &pair.grace).await;
    assert_eq!(first.closed().await, 4200);
    assert_eq!(ada.until(presence).await, Presence::Offline);
    second.join(room_id, None).await.unwrap();
    assert_eq!(ada.until(presence).await, Presence::Online);
    pair.node.stop().await;
}

#[actix_web::test]
async fn who_is_gone_before_the_room_answers_leaves_no_ghost() {
    let pair = Pair::new().await;
    let room_id = pair.room;
    for _ in 0..5 {
        let mut grace = Socket::open(&pair.node, &pair.grace).await;
        grace.begin(|id| Command::Join { id, room_id, after: None }).await;
        grace.send_frame(Frame::Close(None)).await;
        assert_eq!(grace.closed().await, 1000);
    }
    // Whom the room has let in too late is taken out a moment later, when their worker says so; a ghost would stay for a minute.
    let mut ada = Socket::open(&pair.node, &pair.ada).await;
    let nobody_is_there = async {
        loop {
            let joined = ada.ask(|id| Command::Join { id, room_id, after: None }).await.unwrap();
            let Some(Outcome::Joined { online, .. }) = joined else { panic!("{joined:?}") };
            if online.is_empty() {
                return;
            }
            ada.ask(|id| Command::Leave { id, room_id }).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), nobody_is_there).await.unwrap();
    pair.node.stop().await;
}

#[actix_web::test]
async fn an_account_that_asks_too_much_is_told_to_wait() {
    let node = TestNode::start_with(|settings| settings.limits.commands_per_minute = Bounded::of::<3>()).await;
    let ada = User::join_without_prekeys(&node, "ada", 10).await;
    let mut socket = Socket::open(&node, &ada).await;
    for _ in 0..3 {
        socket.ask(|id| Command::Ping { id }).await.unwrap();
    }
    let asked = socket.begin(|id| Command::Ping { id }).await;
    let refused = Message::Error { id: asked, code: ErrorCode::RateLimited, retry_after_ms: Some(20_000) };
    socket.until(|event| (event == refused).then_some(())).await;
    node.clock.advance(Duration::from_secs(20));
    socket.ask(|id| Command::Ping { id }).await.unwrap();
    node.stop().await;
}

#[actix_web::test]
async fn signals_and_typing_reach_whom_they_are_for() {
    let pair = Pair::new().await;
    let room_id = pair.room;
    let mut ada = Socket::open(&pair.node, &pair.ada).await;
    let mut grace = Socket::open(&pair.node, &pair.grace).await;
    let joan = User::join_without_prekeys(&pair.node, "joan", 30).await;
    invite(&pair.node, room_id, &pair.ada, &joan).await;
    let mut third = Socket::open(&pair.node, &joan).await;
    let (from, to) = (pair.ada.address(), pair.grace.address());
    let payload = ByteString(b"sealed, and for grace's device alone".to_vec());
    let signal = |kind| {
        let payload = payload.clone();
        move |id| Command::Signal { id, room_id, to, kind, payload }
    };
    assert_eq!(ada.ask(signal(SignalKind::Offer)).await, Err(ErrorCode::NotJoined));
    for socket in [&mut ada, &mut grace, &mut third] {
        socket.join(room_id, None).await.unwrap();
    }

    let kinds = [SignalKind::Offer, SignalKind::Answer, SignalKind::Candidate];
    for kind in kinds {
        ada.ask(signal(kind)).await.unwrap();
    }
    ada.ask(|id| Command::Typing { id, room_id, state: TypingState::Started }).await.unwrap();

    let signalled = kinds.map(|kind| Message::Signal { room_id, from, kind, payload: payload.clone() });
    for signalled in &signalled {
        grace.until(|event| (event == *signalled).then_some(())).await;
    }
    let typing = Message::Typing { room_id, device: from, state: TypingState::Started };
    grace.until(|event| (event == typing).then_some(())).await;
    // The third hears what comes after them alone, and the sender neither.
    let mut of_third = Vec::new();
    third
        .until(|event| {
            let is_last = event == typing;
            of_third.push(event);
            is_last.then_some(())
        })
        .await;
    assert!(!of_third.iter().any(|event| matches!(event, Message::Signal { .. })), "{of_third:?}");
    ada.ask(|id| Command::Ping { id }).await.unwrap();
    ada.ask(|id| Command::Leave { id, room_id }).await.unwrap();
    let heard: Vec<Message> = iter::from_fn(|| ada.pending()).collect();
    assert!(!heard.iter().any(|event| *event == typing || matches!(event, Message::Signal { .. })), "{heard:?}");
    pair.node.stop().await;
}

/// Nobody is told to sign in again for what the node cannot look up.
#[actix_web::test]
async fn a_socket_whose_session_cannot_be_looked_up_is_to_come_again() {
    let pair = Pair::new().await;
    let mut socket = Socket::connect(&pair.node, Encoding::Json, Some(pair.ada.person.token())).await;
    let database = pair.node.database();
    database.execute_batch("ALTER TABLE sessions RENAME TO lost").unwrap();

    assert_eq!(socket.hello(None, None).await, Err(ErrorCode::Unavailable));
    assert_eq!(socket.closed().await, 4003);

    database.execute_batch("ALTER TABLE lost RENAME TO sessions").unwrap();
    Socket::open(&pair.node, &pair.ada).await;
    pair.node.stop().await;
}

#[actix_web::test]
async fn a_socket_that_does_not_say_in_time_who_it_is_of_is_closed() {
    let node = TestNode::start().await;
    let ada = User::join_without_prekeys(&node, "ada", 10).await;
    let mut with_token = Socket::connect(&node, Encoding::Json, Some(ada.person.token())).await;
    let mut without = Socket::connect(&node, Encoding::Cbor, None).await;
    let mut welcome = Socket::open(&node, &ada).await;

    assert_eq!([with_token.closed().await, without.closed().await], [4100; 2]);

    welcome.ask(|id| Command::Ping { id }).await.unwrap();
    node.stop().await;
}

#[actix_web::test]
async fn a_session_that_ends_takes_its_socket_with_it() {
    let pair = Pair::new().await;
    let mut socket = Socket::open(&pair.node, &pair.ada).await;
    pair.node.post("/api/auth/sign-out", Some(pair.ada.person.token()), &json!({})).await.done();
    assert_eq!(socket.closed().await, 4102);
    pair.node.stop().await;
}

#[actix_web::test]
async fn a_live_socket_takes_the_next_token_or_is_closed_when_the_old_one_expires() {
    let pair = Pair::new().await;
    let mut ada = Socket::open(&pair.node, &pair.ada).await;
    let mut grace = Socket::open(&pair.node, &pair.grace).await;
    let expires_at = pair.ada.person.tokens.access_expires_at;
    pair.node.clock.advance(expires_at.since(pair.node.clock.now()).saturating_sub(Duration::from_secs(59)));
    ada.until(|event| (event == Message::SessionExpiring { expires_at }).then_some(())).await;

    let refreshed: conclave::wire::SessionTokens = pair.node.refresh(&pair.ada.person.tokens.refresh_token).await.ok();
    let token = refreshed.access_token.clone();
    ada.ask(|id| Command::Refresh { id, token }).await.unwrap();
    // Another session's token is none of this socket's.
    let other = pair.grace.person.token().clone();
    assert_eq!(ada.ask(|id| Command::Refresh { id, token: other }).await, Err(ErrorCode::TokenRefused));
    pair.node.clock.advance(Duration::from_secs(60));

    assert_eq!(grace.closed().await, 4101);
    ada.ask(|id| Command::Ping { id }).await.unwrap();
    pair.node.stop().await;
}

#[actix_web::test]
async fn a_reader_that_falls_behind_loses_nothing() {
    let mut pair = Pair::new().await;
    let mut ada = Socket::open(&pair.node, &pair.ada).await;
    let mut grace = Socket::open(&pair.node, &pair.grace).await;
    ada.join(pair.room, None).await.unwrap();
    grace.join(pair.room, None).await.unwrap();

    // More than the system's buffers and the node's queue together hold.
    let text = "x".repeat(60_000);
    let count = 250;
    for _ in 0..count {
        let envelope = pair.ada_writes(&text).await;
        ada.send(&envelope).await.unwrap();
    }
    let mut seen = BTreeSet::new();
    for seq in 1..=count {
        let entry = grace.envelope().await;
        assert_eq!(entry.position.seq, seq);
        assert!(seen.insert(entry.envelope.id));
    }
    let read = Numbers::of(&pair.node).await.count("conclave_envelopes_delivered_total{log=\"room\",way=\"read\"}");
    assert!(read > 0, "it has never fallen behind");
    pair.node.stop().await;
}

#[actix_web::test]
async fn what_is_no_command_closes_the_socket() {
    let pair = Pair::new().await;
    for bytes in
        [&b"{"[..], b"[]", b"{\"nothing\":{\"id\":1}}", b"{\"ping\":{\"id\":1,\"more\":1}}", b"{\"ping\":{\"id\":-1}}"]
    {
        let mut socket = Socket::open(&pair.node, &pair.ada).await;
        socket.send_bytes(bytes.to_vec()).await;
        let refused = Message::Error { id: 0, code: ErrorCode::CommandMalformed, retry_after_ms: None };
        socket.until(|event| (event == refused).then_some(())).await;
        assert_eq!(socket.receive().await, Err(End::Closed(4201)));
    }
    let mut socket = Socket::open(&pair.node, &pair.ada).await;
    socket.send_bytes(vec![b' '; 256 * 1024 + 1]).await;
    assert_eq!(socket.closed().await, 1009);
    pair.node.stop().await;
}

#[actix_web::test]
async fn a_node_that_stops_tells_its_sockets_to_come_again() {
    let mut pair = Pair::new().await;
    let mut ada = Socket::open(&pair.node, &pair.ada).await;
    let mut grace = Socket::open(&pair.node, &pair.grace).await;
    let start = ada.join(pair.room, None).await.unwrap();
    let envelope = pair.ada_writes("before").await;
    let sent = ada.send(&envelope).await.unwrap();

    let stopped = Box::pin(pair.restart());
    let (pair, ()) = futures_util::future::join(stopped, async {
        let after =
            ada.until(|event| if let Message::Reconnect { after_ms, .. } = event { Some(after_ms) } else { None });
        assert!(after.await <= 5_000);
        assert_eq!(ada.closed().await, 4000);
        assert_eq!(grace.closed().await, 4000);
    })
    .await;

    let mut grace = Socket::open(&pair.node, &pair.grace).await;
    grace.join(pair.room, Some(start)).await.unwrap();
    assert_eq!(grace.envelope().await, Entry { position: sent, envelope });
    pair.node.stop().await;
}
