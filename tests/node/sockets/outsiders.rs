//! What is thrown at a socket that was opened rightly.

use conclave::node::store::limits::MAILBOX_SHARE_BYTES_MAX;
use conclave::wire::PageLimit;
use conclave::wire::limits::{COMMAND_BYTES_MAX, PAYLOAD_BYTES_MAX};

use super::*;

#[actix_web::test]
async fn a_device_that_was_removed_says_nothing_more_over_the_socket_that_it_has() {
    let mut pair = Pair::new().await;
    let mut ada = Socket::open(&pair.node, &pair.ada).await;
    let mut grace = Socket::open(&pair.node, &pair.grace).await;
    ada.join(pair.room, None).await.unwrap();
    grace.join(pair.room, None).await.unwrap();
    let envelope = pair.ada_writes("after all").await;
    let person = &mut pair.ada.person;
    person.account.certificates.clear();
    person.certify_device(99);
    let without = person.next_list();
    person.put_list(&pair.node, &without).await.done();

    let command = Command::Send { id: 9, envelope }.to_bytes(Encoding::Json);
    // The node may have closed already.
    let _ = ada.try_send_frame(Frame::text(String::from_utf8(command).unwrap())).await;

    assert_eq!(ada.closed().await, 4102);
    let room_id = pair.room;
    let page = grace.ask(|id| Command::History { id, room_id, after: 0, limit: PageLimit::default() }).await.unwrap();
    assert!(matches!(&page, Some(Outcome::Page(page)) if page.head == 0), "{page:?}");
    pair.node.stop().await;
}

#[actix_web::test]
async fn nobody_delivers_in_the_name_of_another() {
    let mut pair = Pair::new().await;
    let mut grace = Socket::open(&pair.node, &pair.grace).await;
    let of_ada = pair.ada_writes_direct("in her own name").await;
    let mut named_grace = of_ada.clone();
    named_grace.sender = pair.grace.address();

    let deliveries = grace.deliver(vec![of_ada.clone(), named_grace]).await;

    assert!(
        matches!(
            deliveries[..],
            [Delivery::Refused(ErrorCode::OwnerMismatch), Delivery::Refused(ErrorCode::KeyIdMismatch)]
        ),
        "{deliveries:?}"
    );
    // Neither is in the mailbox, or has used up what Ada may send.
    let mut ada = Socket::open(&pair.node, &pair.ada).await;
    let deliveries = ada.deliver(vec![of_ada]).await;
    assert!(matches!(deliveries[..], [Delivery::Stored(Position { seq: 1, .. })]), "{deliveries:?}");
    pair.node.stop().await;
}

/// Ada knows where in Grace's mailbox her messages are: the node has told her.
#[actix_web::test]
async fn nobody_acknowledges_what_is_in_the_mailbox_of_another() {
    let mut pair = Pair::new().await;
    let mut ada = Socket::open(&pair.node, &pair.ada).await;
    let envelopes = [pair.ada_writes_direct("one").await, pair.ada_writes_direct("two").await];
    let [Delivery::Stored(_), Delivery::Stored(last)] = ada.deliver(envelopes.to_vec()).await[..] else {
        panic!("two envelopes")
    };
    assert_eq!(ada.ask(|id| Command::Ack { id, position: last }).await, Err(ErrorCode::OtherLogEpoch));

    // Nor when her own mailbox has as much in it.
    let mut grace = Socket::open(&pair.node, &pair.grace).await;
    let ada_id = pair.ada.address().account_id;
    let mut to_ada = Vec::new();
    for text in ["three", "four"] {
        to_ada.push(only(write(&pair.node, &mut pair.grace, ada_id, Place::Direct, text).await));
    }
    grace.deliver(to_ada.clone()).await;
    for position in [last, Position { seq: 1, ..last }] {
        assert_eq!(ada.ask(|id| Command::Ack { id, position }).await, Err(ErrorCode::OtherLogEpoch));
    }

    // Both have all that was written to them, also from another life of the node.
    drop((ada, grace));
    let pair = pair.restart().await;
    for (user, written) in [(&pair.grace, &envelopes[..]), (&pair.ada, &to_ada)] {
        let mut socket = Socket::open(&pair.node, user).await;
        for envelope in written {
            assert_eq!(socket.direct().await.envelope, *envelope);
        }
    }
    pair.node.stop().await;
}

#[actix_web::test]
async fn who_fills_a_mailbox_fills_a_share_of_it_and_others_get_through() {
    let mut pair = Pair::new().await;
    let mut eve = User::join(&pair.node, "eve", 30).await;
    let grace_id = pair.grace.address().account_id;
    eve.learn(&pair.node, grace_id).await;
    let good = pair.ada_writes_direct("to be read").await;
    let of_eve = only(write(&pair.node, &mut eve, grace_id, Place::Direct, "junk").await);
    // Nothing in them opens, which the node cannot see.
    let junk = |number: u64| Envelope {
        id: EnvelopeId::from_bytes((u128::from(number) + 1).to_be_bytes()),
        payload: ByteString(vec![0; PAYLOAD_BYTES_MAX]),
        signature: None,
        ..of_eve.clone()
    };
    let each = junk(0).to_cbor().len();
    let mut stored = 0;

    let mut socket = Socket::open_as(&pair.node, &eve, Encoding::Cbor).await;
    let refused = 'full: loop {
        let envelopes = (0..(COMMAND_BYTES_MAX / each) as u64).map(|number| junk(stored + number)).collect();
        for delivery in socket.deliver(envelopes).await {
            match delivery {
                Delivery::Stored(_) => stored += 1,
                Delivery::Refused(code) => break 'full code,
            }
        }
    };

    assert_eq!((refused, stored), (ErrorCode::MailboxFull, MAILBOX_SHARE_BYTES_MAX / each as u64));
    let mut ada = Socket::open(&pair.node, &pair.ada).await;
    let deliveries = ada.deliver(vec![good]).await;
    assert!(matches!(deliveries[..], [Delivery::Stored(Position { seq, .. })] if seq == stored + 1), "{deliveries:?}");
    pair.node.stop().await;
}

#[actix_web::test]
async fn what_is_no_command_in_cbor_closes_the_socket() {
    let pair = Pair::new().await;
    let good = Command::Ping { id: 1 }.to_bytes(Encoding::Cbor);
    let cut = good[..good.len() - 1].to_vec();
    let longer = [&good[..], &[0]].concat();
    // Nothing, a break alone, a map without its entry, lists in lists, a text longer than what there is.
    let others =
        [vec![], vec![0xff], vec![0xa1], vec![0x81; 2_000], vec![0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]];
    for bytes in [cut, longer].into_iter().chain(others) {
        let mut socket = Socket::open_as(&pair.node, &pair.ada, Encoding::Cbor).await;
        socket.send_bytes(bytes).await;
        let refused = Message::Error { id: 0, code: ErrorCode::CommandMalformed, retry_after_ms: None };
        socket.until(|event| (event == refused).then_some(())).await;
        assert_eq!(socket.receive().await, Err(End::Closed(4201)));
    }
    let mut socket = Socket::open_as(&pair.node, &pair.ada, Encoding::Cbor).await;
    socket.send_frame(Frame::text("{\"ping\":{\"id\":1}}")).await;
    assert_eq!(socket.closed().await, 4201);
    pair.node.stop().await;
}
