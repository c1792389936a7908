use super::*;
use conclave::node::store::Appended;
use conclave::node::store::limits::{PAGE_BYTES_MAX, PAGE_ENTRIES_MAX, PAGE_SCAN_MAX};
use conclave::wire::LogEntry;
use conclave::wire::limits::PAYLOAD_BYTES_MAX;

/// A room with two members, on a device each.
async fn two(store: &Store) -> (RoomId, [DeviceAddress; 2]) {
    let (ada, bob) = (account(store, 1).await, account(store, 2).await);
    let room = room(store, 1, ada).await;
    join(store, room, ada, bob).await;
    (room, [device_of(ada, 1), device_of(bob, 2)])
}

fn at(seq: u64) -> Position {
    Position { epoch: epoch(1), seq }
}

#[tokio::test]
async fn envelopes_come_back_in_their_order_as_they_were_sent() {
    let (_folder, store) = store().await;
    let (room, [ada, bob]) = two(&store).await;
    let sent = vec![
        room_envelope(ada, room, 1),
        Envelope { signature: Some(Bytes([7; 64])), epoch: Some(3), ..room_envelope(bob, room, 2) },
        envelope(ada, Destination::Room(room), Some(bob), 3),
    ];

    let first = store.append(room, sent[..1].to_vec(), START).await.unwrap();
    let rest = store.append(room, sent[1..].to_vec(), START).await.unwrap();

    assert_eq!(first, [Appended::Stored(at(1))]);
    assert_eq!(rest, [Appended::Stored(at(2)), Appended::Stored(at(3))]);
    let page = store.room_page(room, bob, 0, PageLimit::default()).await.unwrap();
    let entries = (1..).zip(sent).map(|(seq, envelope)| LogEntry { seq, envelope }).collect();
    assert_eq!(page, LogPage { epoch: epoch(1), entries, read_to: 3, head: 3 });
    assert_eq!(store.room(room).await.unwrap().unwrap().head, 3);
    assert_eq!(store.append(room, Vec::new(), START).await.unwrap(), []);
}

#[tokio::test]
async fn the_same_envelope_again_has_the_same_answer_and_is_stored_once() {
    let (_folder, store) = store().await;
    let (room, [ada, bob]) = two(&store).await;
    let first = room_envelope(ada, room, 1);
    let altered = Envelope { payload: ByteString(b"other".to_vec()), ..first.clone() };
    // The same id of another sender, or device, is another envelope.
    let others =
        [Envelope { sender: bob, ..first.clone() }, Envelope { sender: device_of(ada.account_id, 9), ..first.clone() }];
    store.append(room, vec![first.clone()], START).await.unwrap();

    let mixed = vec![altered, others[0].clone(), first.clone(), others[0].clone(), others[1].clone()];
    let answers = store.append(room, mixed, START).await.unwrap();

    let (known, stored) = (Appended::Known, Appended::Stored);
    assert_eq!(answers, [known(at(1)), stored(at(2)), known(at(1)), known(at(2)), stored(at(3))]);
    let page = store.room_page(room, ada, 0, PageLimit::default()).await.unwrap();
    let envelopes: Vec<_> = page.entries.into_iter().map(|entry| entry.envelope).collect();
    assert_eq!(envelopes, [&[first], &others[..]].concat());
}

#[tokio::test]
async fn of_many_who_append_at_once_each_has_a_number_and_none_is_left_out() {
    let (_folder, store) = store().await;
    let (room, devices) = two(&store).await;

    // Two of each batch were in the one before: whichever comes second knows them.
    let batches = (0..40).map(|batch| {
        let (store, sender) = (store.clone(), devices[usize::from(batch % 2 == 1)]);
        let numbers = batch / 2 * 3..batch / 2 * 3 + 5;
        let envelopes: Vec<_> = numbers.map(|number| room_envelope(sender, room, number)).collect();
        async move {
            let answers = store.append(room, envelopes.clone(), START).await.unwrap();
            envelopes.into_iter().zip(answers).collect::<Vec<_>>()
        }
    });
    let answers: Vec<_> = all(batches).await.into_iter().flatten().collect();

    let page = store.room_page(room, devices[0], 0, PageLimit::default()).await.unwrap();
    // Of each sender 19 steps of three numbers, and the last five.
    let count = 2 * (19 * 3 + 5);
    assert_eq!(numbers(&page), (1..=count).collect::<Vec<_>>());
    assert_eq!((page.read_to, page.head), (count, count));
    let stored = |answer: &&(Envelope, Appended)| matches!(answer.1, Appended::Stored(_));
    assert_eq!(answers.iter().filter(stored).count() as u64, count);
    for (envelope, answer) in answers {
        let (Appended::Stored(position) | Appended::Known(position)) = answer else { panic!("{answer:?}") };
        assert_eq!(page.entries[usize::try_from(position.seq).unwrap() - 1].envelope, envelope);
    }
}

#[tokio::test]
async fn batches_of_many_rooms_share_a_commit_and_one_that_is_refused_harms_no_other() {
    let (folder, store) = store().await;
    let (ada, bob) = (account(&store, 1).await, account(&store, 2).await);
    let mut rooms = Vec::new();
    for number in 0..20 {
        rooms.push(room(&store, number, ada).await);
    }
    rooms.push(room_id(99));
    store.close_room(rooms[3], ada, START).await.unwrap();
    let append = |index: usize, sender: AccountId, numbers: core::ops::Range<u64>| {
        let (store, room) = (store.clone(), rooms[index]);
        let envelopes = numbers.map(|number| room_envelope(device_of(sender, 1), room, number)).collect();
        async move { (index, store.append(room, envelopes, START).await) }
    };
    let before = store.write_counts().commits;

    // Room 3 is closed, 4 is not bob's, and 20 is none.
    let first = (0..=20).map(|index| append(index, if index == 4 { bob } else { ada }, 0..70));
    let first = together(&folder, &store, first).await;
    // Three that room 5 is sent are known.
    let second = (5..20).map(|index| append(index, ada, if index == 5 { 67..72 } else { 70..72 }));
    let second = together(&folder, &store, second).await;

    // Each time another write was in the writer's hands.
    assert_eq!(store.write_counts().commits - before, 4);
    let at = |index: usize, seq| Position { epoch: epoch(index as u64), seq };
    let stored = |index, numbers: core::ops::RangeInclusive<u64>| {
        numbers.map(|seq| Appended::Stored(at(index, seq))).collect::<Vec<_>>()
    };
    for (index, outcome) in first {
        match (index, outcome) {
            (3, outcome) => assert_eq!(outcome.unwrap(), [Appended::Closed; 70]),
            (4, outcome) => assert_eq!(outcome.unwrap(), [Appended::NotMember; 70]),
            (20, outcome) => assert!(matches!(outcome, Err(StoreError::UnknownRoom { .. })), "{outcome:?}"),
            (_, outcome) => assert_eq!(outcome.unwrap(), stored(index, 1..=70)),
        }
    }
    for (index, outcome) in second {
        let known = if index == 5 { vec![68, 69, 70] } else { Vec::new() };
        let known = known.into_iter().map(|seq| Appended::Known(at(index, seq)));
        assert_eq!(outcome.unwrap(), known.chain(stored(index, 71..=72)).collect::<Vec<_>>());
    }
    for (index, head) in [(0, 70), (3, 0), (4, 0), (5, 72), (19, 72)] {
        let page = store.room_page(rooms[index], device_of(ada, 1), 0, PageLimit::default()).await.unwrap();
        assert_eq!((page.head, numbers(&page)), (head, (1..=head).collect::<Vec<_>>()), "room {index}");
    }
}

#[tokio::test]
async fn whoever_is_no_member_stores_and_reads_nothing() {
    let (_folder, store) = store().await;
    let (room, [ada, bob]) = two(&store).await;
    let eve = device_of(account(&store, 3).await, 3);
    let before = room_envelope(bob, room, 1);
    store.append(room, vec![before.clone()], START).await.unwrap();
    store.remove_member(room, ada.account_id, bob.account_id).await.unwrap();

    let mixed = vec![room_envelope(eve, room, 2), room_envelope(ada, room, 3), room_envelope(bob, room, 4), before];
    let answers = store.append(room, mixed, START).await.unwrap();

    // What was stored in time has its answer all the same.
    let expected = [Appended::NotMember, Appended::Stored(at(2)), Appended::NotMember, Appended::Known(at(1))];
    assert_eq!(answers, expected);
    for device in [bob, eve] {
        let page = store.room_page(room, device, 0, PageLimit::default()).await;
        assert!(matches!(page, Err(StoreError::UnknownRoom { room_id }) if room_id == room), "{page:?}");
    }
    let page = store.room_page(room, ada, 0, PageLimit::default()).await.unwrap();
    assert_eq!(numbers(&page), [1, 2]);
}

#[tokio::test]
async fn a_room_that_is_closed_or_none_takes_no_envelope() {
    let (_folder, store) = store().await;
    let (room, [ada, _]) = two(&store).await;
    let envelope = room_envelope(ada, room, 1);
    store.append(room, vec![envelope.clone()], START).await.unwrap();
    store.close_room(room, ada.account_id, START).await.unwrap();

    let answers = store.append(room, vec![room_envelope(ada, room, 2), envelope], START).await.unwrap();
    let unknown = store.append(room_id(7), vec![room_envelope(ada, room_id(7), 1)], START).await;
    let foreign = store.append(room, vec![room_envelope(ada, room_id(7), 1)], START).await;

    assert_eq!(answers, [Appended::Closed, Appended::Known(at(1))]);
    assert!(matches!(unknown, Err(StoreError::UnknownRoom { room_id: id }) if id == room_id(7)), "{unknown:?}");
    assert!(matches!(foreign, Err(StoreError::Bug { .. })), "{foreign:?}");
    assert_eq!(store.room(room).await.unwrap().unwrap().head, 1);
}

#[tokio::test]
async fn a_device_reads_what_is_for_all_for_it_and_from_it() {
    let (_folder, store) = store().await;
    let (room, [ada, bob]) = two(&store).await;
    let second = device_of(bob.account_id, 8);
    let to = |sender, recipient, number| envelope(sender, Destination::Room(room), recipient, number);
    let sent = vec![
        to(ada, None, 1),
        to(ada, Some(bob), 2),
        to(ada, Some(second), 3),
        to(bob, Some(ada), 4),
        to(bob, Some(second), 5),
        to(ada, Some(second), 6),
    ];
    store.append(room, sent, START).await.unwrap();
    let read = async |device, after| store.room_page(room, device, after, PageLimit::default()).await.unwrap();

    for (device, expected) in [(ada, &[1, 2, 3, 4, 6][..]), (bob, &[1, 2, 4, 5]), (second, &[1, 3, 5, 6])] {
        let page = read(device, 0).await;
        assert_eq!(numbers(&page), expected);
        assert_eq!((page.read_to, page.head), (6, 6));
    }
    // What is another's is looked past.
    let page = read(bob, 5).await;
    assert_eq!((numbers(&page), page.read_to), (vec![], 6));
    let ahead = store.room_page(room, bob, 7, PageLimit::default()).await;
    assert!(matches!(ahead, Err(StoreError::PositionAhead { head: 6 })), "{ahead:?}");
}

#[tokio::test]
async fn pages_follow_each_other_without_a_hole() {
    let (_folder, store) = store().await;
    let (room, [ada, bob]) = two(&store).await;
    let count = PAGE_ENTRIES_MAX as u64 * 2 + 1;
    // Every second one is for somebody else.
    let recipient = |number| if number % 2 == 0 { Some(device_of(bob.account_id, 8)) } else { None };
    let sent = (1..=count).map(|number| envelope(ada, Destination::Room(room), recipient(number), number)).collect();
    store.append(room, sent, START).await.unwrap();

    let (mut after, mut read, mut pages) = (0, Vec::new(), Vec::new());
    while after < count {
        let page = store.room_page(room, bob, after, at_most(100)).await.unwrap();
        read.extend(numbers(&page));
        pages.push((page.entries.len(), page.read_to));
        after = page.read_to;
    }

    assert_eq!(read, (1..=count).step_by(2).collect::<Vec<_>>());
    assert_eq!(pages, [(100, 199), (100, 399), (57, 513)]);
    let full = store.room_page(room, bob, 0, PageLimit::default()).await.unwrap();
    assert_eq!((full.entries.len(), full.read_to), (PAGE_ENTRIES_MAX, 511));
}

#[tokio::test]
async fn a_page_has_so_many_bytes_and_no_more() {
    let (_folder, store) = store().await;
    let (room, [ada, bob]) = two(&store).await;
    let large =
        |number| Envelope { payload: ByteString(vec![9; PAYLOAD_BYTES_MAX]), ..room_envelope(ada, room, number) };
    store.append(room, (1..=20).map(large).collect(), START).await.unwrap();
    let fitting = PAGE_BYTES_MAX / large(1).to_cbor().len();

    let first = store.room_page(room, bob, 0, PageLimit::default()).await.unwrap();
    let second = store.room_page(room, bob, first.read_to, PageLimit::default()).await.unwrap();

    assert_eq!((first.entries.len(), first.read_to), (fitting, fitting as u64));
    assert_eq!((second.entries.len(), second.read_to), (20 - fitting, 20));
}

#[tokio::test]
async fn a_page_looks_so_far_and_no_further() {
    let (_folder, store) = store().await;
    let (room, [ada, bob]) = two(&store).await;
    let other = device_of(bob.account_id, 8);
    let to_other = |number| envelope(ada, Destination::Room(room), Some(other), number);
    store.append(room, (1..=PAGE_SCAN_MAX).map(to_other).collect(), START).await.unwrap();
    store.append(room, vec![room_envelope(ada, room, 0)], START).await.unwrap();

    let first = store.room_page(room, bob, 0, PageLimit::default()).await.unwrap();
    let second = store.room_page(room, bob, first.read_to, PageLimit::default()).await.unwrap();

    assert_eq!((numbers(&first), first.read_to, first.head), (vec![], PAGE_SCAN_MAX, PAGE_SCAN_MAX + 1));
    assert_eq!((numbers(&second), second.read_to), (vec![PAGE_SCAN_MAX + 1], PAGE_SCAN_MAX + 1));
}

/// The files as they stand while the store is open are what a killed process leaves behind.
#[tokio::test]
async fn a_crash_keeps_everything_acknowledged_and_the_next_number_follows() {
    let (folder, store) = store().await;
    let (room, [ada, bob]) = two(&store).await;
    store.append(room, (1..=3).map(|number| room_envelope(ada, room, number)).collect(), START).await.unwrap();
    let before = store.room_page(room, bob, 0, PageLimit::default()).await.unwrap();

    let after_crash = folder.copy();
    let reopened = after_crash.open().await;

    assert_eq!(reopened.room_page(room, bob, 0, PageLimit::default()).await.unwrap(), before);
    let answers = reopened.append(room, vec![room_envelope(ada, room, 3), room_envelope(bob, room, 4)], START).await;
    assert_eq!(answers.unwrap(), [Appended::Known(at(3)), Appended::Stored(at(4))]);
    drop(store);
}

#[tokio::test]
async fn a_full_database_stores_nothing_of_a_batch_and_leaves_no_hole() {
    let folder = Folder::new();
    let store = Store::open_with(folder.path(), StoreOptions { pages_max: Some(250), ..StoreOptions::default() })
        .await
        .unwrap();
    let (room, [ada, bob]) = two(&store).await;
    let large =
        |number| Envelope { payload: ByteString(vec![9; PAYLOAD_BYTES_MAX]), ..room_envelope(ada, room, number) };
    let mut stored = 0;

    let error = loop {
        match store.append(room, vec![large(stored + 1), large(stored + 2)], START).await {
            Ok(_) => stored += 2,
            Err(error) => break error,
        }
    };

    assert!(matches!(error, StoreError::Full), "{error:?}");
    assert!(stored > 0, "it was full from the start");
    assert_eq!(store.room(room).await.unwrap().unwrap().head, stored);
    let small = store.append(room, vec![room_envelope(bob, room, 1)], START).await.unwrap();
    assert_eq!(small, [Appended::Stored(at(stored + 1))]);
}

#[tokio::test]
async fn a_damaged_envelope_is_an_error() {
    let (folder, store) = store().await;
    let (room, [ada, bob]) = two(&store).await;
    store.append(room, vec![room_envelope(ada, room, 1)], START).await.unwrap();
    let raw = folder.raw();

    raw.execute("UPDATE room_log SET envelope = substr(envelope, 2)", []).unwrap();
    let page = store.room_page(room, bob, 0, PageLimit::default()).await;
    assert!(matches!(page, Err(StoreError::Corrupt { what: "envelope" })), "{page:?}");

    raw.execute("UPDATE rooms SET policy = x'000000'", []).unwrap();
    let damaged = store.room(room).await;
    assert!(matches!(damaged, Err(StoreError::Corrupt { what: "policy" })), "{damaged:?}");
}
