use super::*;
use conclave::node::store::Delivered;
use conclave::node::store::limits::{
    MAILBOX_BYTES_MAX, MAILBOX_ENVELOPES_MAX, MAILBOX_IDS_KEPT, MAILBOX_SHARE_BYTES_MAX, MAILBOX_SHARE_ENVELOPES_MAX,
    PAGE_ENTRIES_MAX,
};
use conclave::wire::LogEntry;
use conclave::wire::limits::PAYLOAD_BYTES_MAX;

/// An account with devices on its list, and a device of somebody else who writes.
async fn owner_and_sender(store: &Store, devices: u64) -> (Owner, DeviceAddress) {
    (Owner::published(store, 1, devices).await, device_of(account(store, 2).await, 2))
}

fn at(seq: u64) -> Position {
    Position { epoch: epoch(1), seq }
}

async fn page(store: &Store, device: DeviceAddress, after: u64) -> LogPage {
    store.mailbox_page(device, after, PageLimit::default()).await.unwrap().unwrap()
}

/// Rows of mailbox logs, whatever is in them.
fn rows(folder: &Folder) -> (i64, i64) {
    let sql = "SELECT count(*), count(envelope) FROM mailbox_log";
    folder.raw().query_row(sql, [], |row| <(i64, i64)>::try_from(row)).unwrap()
}

/// Shares of mailboxes: of whom, envelopes, bytes, and the bytes of the whole mailbox.
fn shares(folder: &Folder) -> Vec<(String, i64, i64, i64)> {
    let raw = folder.raw();
    let sql = "SELECT hex(sender_account), envelopes, bytes, waiting_bytes FROM mailbox_shares
        JOIN mailboxes USING (account_id, device_id) ORDER BY 1";
    let mut statement = raw.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| <(String, i64, i64, i64)>::try_from(row)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// A device of each of these accounts.
async fn senders(store: &Store, seeds: core::ops::RangeInclusive<u64>) -> Vec<DeviceAddress> {
    let mut senders = Vec::new();
    for seed in seeds {
        senders.push(device_of(account(store, seed).await, seed));
    }
    senders
}

/// As many of a sender's, of the largest payload, as fit into so many bytes.
fn large(sender: DeviceAddress, device: DeviceAddress, bytes: u64) -> Vec<Envelope> {
    let large = |number| Envelope { payload: ByteString(vec![9; PAYLOAD_BYTES_MAX]), ..mail(sender, device, number) };
    let each = large(0).to_cbor().len() as u64;
    (1..=bytes / each).map(large).collect()
}

/// How many were stored, of which none stood behind one that was refused.
fn stored(answers: &[Delivered]) -> usize {
    let stored = answers.iter().take_while(|answer| matches!(answer, Delivered::Stored(_))).count();
    assert!(answers[stored..].iter().all(|answer| *answer == Delivered::Full), "{answers:?}");
    stored
}

#[tokio::test]
async fn what_is_delivered_waits_in_its_order() {
    let (_folder, store) = store().await;
    let (owner, sender) = owner_and_sender(&store, 2).await;
    let [first, second] = [0, 1].map(|index: usize| owner.devices[index].address());
    assert_eq!(store.mailbox_page(first, 0, PageLimit::default()).await.unwrap(), None);

    let sent = vec![mail(sender, first, 1), mail(sender, second, 2), mail(sender, first, 3)];
    let answers = store.deliver(sent.clone(), epoch(1), START).await.unwrap();
    let more = store.deliver(vec![mail(sender, first, 4)], epoch(2), START).await.unwrap();

    let stored = |seq| Delivered::Stored(at(seq));
    assert_eq!(answers, [stored(1), stored(1), stored(2)]);
    // It is the same mailbox, whatever epoch a new one would have had.
    assert_eq!(more, [stored(3)]);
    let entries = [(1, 0), (2, 2)].map(|(seq, index): (u64, usize)| LogEntry { seq, envelope: sent[index].clone() });
    let page_of_two = store.mailbox_page(first, 0, at_most(2)).await.unwrap().unwrap();
    assert_eq!(page_of_two, LogPage { epoch: epoch(1), entries: entries.to_vec(), read_to: 2, head: 3 });
    assert_eq!(numbers(&page(&store, first, 2).await), [3]);
    assert!(page(&store, first, 3).await.entries.is_empty());
    assert_eq!(numbers(&page(&store, second, 0).await), [1]);
    let ahead = store.mailbox_page(first, 4, PageLimit::default()).await;
    assert!(matches!(ahead, Err(StoreError::PositionAhead { head: 3 })), "{ahead:?}");
}

#[tokio::test]
async fn the_same_envelope_again_is_known_and_not_stored() {
    let (folder, store) = store().await;
    let (owner, sender) = owner_and_sender(&store, 1).await;
    let device = owner.devices[0].address();
    let first = mail(sender, device, 1);
    let of_another = Envelope { sender: device_of(sender.account_id, 9), ..first.clone() };

    let sent = vec![first.clone(), first.clone(), of_another.clone(), first, of_another];
    let answers = store.deliver(sent, epoch(1), START).await.unwrap();

    let (known, stored) = (Delivered::Known, Delivered::Stored);
    assert_eq!(answers, [stored(at(1)), known(at(1)), stored(at(2)), known(at(1)), known(at(2))]);
    assert_eq!(rows(&folder), (2, 2));
    assert_eq!(page(&store, device, 0).await.head, 2);
}

#[tokio::test]
async fn of_many_who_deliver_at_once_each_has_a_number_and_none_is_left_out() {
    let (_folder, store) = store().await;
    let (owner, sender) = owner_and_sender(&store, 1).await;
    let device = owner.devices[0].address();

    let answers = all((0..60).map(|number| {
        let store = store.clone();
        // Each is sent twice.
        async move { store.deliver(vec![mail(sender, device, number / 2)], epoch(number), START).await.unwrap()[0] }
    }))
    .await;

    let mut stored: Vec<_> = answers
        .iter()
        .filter_map(|answer| if let Delivered::Stored(position) = answer { Some(position.seq) } else { None })
        .collect();
    stored.sort_unstable();
    assert_eq!(stored, (1..=30).collect::<Vec<_>>());
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Delivered::Known(_))).count(), 30);
    assert_eq!(numbers(&page(&store, device, 0).await), stored);
}

#[tokio::test]
async fn what_is_acknowledged_is_deleted_and_its_id_is_known_for_a_while() {
    let (folder, store) = store().await;
    let (owner, sender) = owner_and_sender(&store, 1).await;
    let device = owner.devices[0].address();
    let sent: Vec<_> = (1..=4).map(|number| mail(sender, device, number)).collect();
    store.deliver(sent.clone(), epoch(1), START).await.unwrap();

    store.acknowledge(device, at(3), START).await.unwrap();
    // Less than before changes nothing.
    store.acknowledge(device, at(1), START).await.unwrap();
    store.acknowledge(device, at(0), START).await.unwrap();

    assert_eq!(numbers(&page(&store, device, 0).await), [4]);
    assert_eq!(rows(&folder), (4, 1));
    let end = START.plus(MAILBOX_IDS_KEPT);
    assert_eq!(store.remove_expired(just_before(end)).await.unwrap(), 0);
    let again = store.deliver(vec![sent[0].clone()], epoch(1), just_before(end)).await.unwrap();
    assert_eq!(again, [Delivered::Known(at(1))]);
    // What is not acknowledged stays, however old it is.
    assert_eq!(store.remove_expired(end).await.unwrap(), 3);
    assert_eq!(rows(&folder), (1, 1));
    assert_eq!(numbers(&page(&store, device, 0).await), [4]);
    // Then it would be new: whoever admits it has to see that it is old.
    let forgotten = store.deliver(vec![sent[0].clone()], epoch(1), end).await.unwrap();
    assert_eq!(forgotten, [Delivered::Stored(at(5))]);
    // What was stored long ago goes at once.
    store.acknowledge(device, at(5), end).await.unwrap();
    assert_eq!(rows(&folder), (1, 0));
    let empty = LogPage { epoch: epoch(1), entries: vec![], read_to: 5, head: 5 };
    assert_eq!(page(&store, device, 0).await, empty);
}

#[tokio::test]
async fn a_position_of_another_log_or_past_its_head_acknowledges_nothing() {
    let (_folder, store) = store().await;
    let (owner, sender) = owner_and_sender(&store, 2).await;
    let [device, other] = [0, 1].map(|index: usize| owner.devices[index].address());
    store.deliver(vec![mail(sender, device, 1)], epoch(1), START).await.unwrap();

    let of_another = store.acknowledge(device, Position { epoch: epoch(2), seq: 1 }, START).await;
    let ahead = store.acknowledge(device, at(2), START).await;
    let no_mailbox = store.acknowledge(other, at(0), START).await;

    assert!(matches!(of_another, Err(StoreError::OtherLogEpoch)), "{of_another:?}");
    assert!(matches!(ahead, Err(StoreError::PositionAhead { head: 1 })), "{ahead:?}");
    assert!(matches!(no_mailbox, Err(StoreError::OtherLogEpoch)), "{no_mailbox:?}");
    assert_eq!(numbers(&page(&store, device, 0).await), [1]);
}

#[tokio::test]
async fn a_mailbox_holds_so_many_and_no_more() {
    let (_folder, store) = store().await;
    let (owner, _) = owner_and_sender(&store, 2).await;
    let [device, other] = [0, 1].map(|index: usize| owner.devices[index].address());
    let senders = senders(&store, 2..=6).await;
    let share = 1..=MAILBOX_SHARE_ENVELOPES_MAX;
    let fill = senders[..4].iter().flat_map(|sender| share.clone().map(|number| mail(*sender, device, number)));
    let filled = store.deliver(fill.collect(), epoch(1), START).await.unwrap();
    assert_eq!(filled.last(), Some(&Delivered::Stored(at(MAILBOX_ENVELOPES_MAX))));
    let (first, last) = (senders[0], senders[4]);

    let over = vec![mail(last, device, 0), mail(last, other, 0), mail(first, device, 1)];
    let answers = store.deliver(over, epoch(3), START).await.unwrap();

    let elsewhere = Delivered::Stored(Position { epoch: epoch(3), seq: 1 });
    assert_eq!(answers, [Delivered::Full, elsewhere, Delivered::Known(at(1))]);
    let read = page(&store, device, 0).await;
    assert_eq!((read.entries.len(), read.read_to), (PAGE_ENTRIES_MAX, PAGE_ENTRIES_MAX as u64));
    store.acknowledge(device, at(1), START).await.unwrap();
    let fits = store.deliver(vec![mail(last, device, 0), mail(last, device, 20_000)], epoch(1), START).await;
    assert_eq!(fits.unwrap(), [Delivered::Stored(at(MAILBOX_ENVELOPES_MAX + 1)), Delivered::Full]);
}

#[tokio::test]
async fn a_mailbox_holds_so_many_bytes_and_no_more() {
    let (_folder, store) = store().await;
    let (owner, _) = owner_and_sender(&store, 1).await;
    let device = owner.devices[0].address();
    let senders = senders(&store, 2..=6).await;
    let share = large(senders[0], device, MAILBOX_SHARE_BYTES_MAX).len();
    for sender in &senders[..4] {
        let answers = store.deliver(large(*sender, device, MAILBOX_BYTES_MAX), epoch(1), START).await.unwrap();
        assert_eq!(stored(&answers), share, "of one account");
    }

    // What is left of each share fits into what is left of the mailbox, and no whole envelope does.
    let over = store.deliver(large(senders[4], device, MAILBOX_BYTES_MAX), epoch(1), START).await.unwrap();
    let small = store.deliver(vec![mail(senders[4], device, 9_000)], epoch(1), START).await.unwrap();

    let waiting = 4 * share;
    assert_eq!(stored(&over), large(senders[4], device, MAILBOX_BYTES_MAX).len() - waiting);
    assert_eq!(stored(&small), 1);
}

#[tokio::test]
async fn one_account_fills_its_share_of_a_mailbox_and_another_still_gets_through() {
    let (_folder, store) = store().await;
    let (owner, sender) = owner_and_sender(&store, 2).await;
    let [device, other] = [0, 1].map(|index: usize| owner.devices[index].address());
    let second = device_of(sender.account_id, 9);
    let friend = device_of(account(&store, 3).await, 3);
    let all = (1..=MAILBOX_SHARE_ENVELOPES_MAX).map(|number| mail(sender, device, number)).collect();
    let filled = store.deliver(all, epoch(1), START).await.unwrap();
    assert_eq!(stored(&filled) as u64, MAILBOX_SHARE_ENVELOPES_MAX);
    let head = MAILBOX_SHARE_ENVELOPES_MAX;

    // Its devices share it, and each mailbox has shares of its own.
    let sent = vec![
        mail(sender, device, 0),
        mail(second, device, 0),
        mail(sender, device, 1),
        mail(sender, other, 0),
        mail(friend, device, 0),
    ];
    let answers = store.deliver(sent, epoch(1), START).await.unwrap();

    let (stored, known, full) = (Delivered::Stored, Delivered::Known, Delivered::Full);
    assert_eq!(answers, [full, full, known(at(1)), stored(at(1)), stored(at(head + 1))]);
    // What is acknowledged frees the share that it was of, once.
    store.acknowledge(device, at(2), START).await.unwrap();
    store.acknowledge(device, at(2), START).await.unwrap();
    let again = (0..3).map(|number| mail(second, device, number)).collect();
    let answers = store.deliver(again, epoch(1), START).await.unwrap();
    assert_eq!(answers, [stored(at(head + 2)), stored(at(head + 3)), full]);
}

#[tokio::test]
async fn what_waited_before_there_were_shares_counts_in_them() {
    let (folder, store) = store().await;
    let (owner, sender) = owner_and_sender(&store, 1).await;
    let device = owner.devices[0].address();
    let friend = device_of(account(&store, 3).await, 3);
    store.deliver(vec![mail(friend, device, 0), mail(sender, device, 0)], epoch(1), START).await.unwrap();
    store.deliver(large(sender, device, MAILBOX_SHARE_BYTES_MAX / 2), epoch(1), START).await.unwrap();
    store.acknowledge(device, at(3), START).await.unwrap();
    let before = shares(&folder);
    store.close().await;

    let older = "DROP TABLE mailbox_shares; ALTER TABLE mailboxes DROP COLUMN waiting_bytes;
        ALTER TABLE vault_items DROP COLUMN head_digest; PRAGMA user_version = 8";
    folder.raw().execute_batch(older).unwrap();
    folder.open().await.close().await;

    let after = shares(&folder);
    let waiting = large(sender, device, MAILBOX_SHARE_BYTES_MAX / 2);
    let bytes: usize = waiting[1..].iter().map(|envelope| envelope.to_cbor().len()).sum();
    assert_eq!(after, before);
    let [(_, envelopes, of_sender, of_all)] = &after[..] else { panic!("{after:?}") };
    assert_eq!(
        [*envelopes, *of_sender, *of_all],
        [waiting.len() - 1, bytes, bytes].map(|number| i64::try_from(number).unwrap())
    );
}

#[tokio::test]
async fn a_device_that_is_not_listed_has_no_mailbox_and_one_that_goes_loses_it() {
    let (folder, store) = store().await;
    let (mut owner, sender) = owner_and_sender(&store, 2).await;
    let [device, other] = [0, 1].map(|index: usize| owner.devices[index].address());
    let unlisted = device_of(owner.id(), 9);
    let send = async |epoch_number| {
        let sent = vec![mail(sender, device, 1), mail(sender, unlisted, 2), mail(sender, other, 3)];
        store.deliver(sent, epoch(epoch_number), START).await.unwrap()
    };
    let stored = Delivered::Stored(at(1));
    assert_eq!(send(1).await, [stored, Delivered::UnknownDevice, stored]);

    let removed = owner.devices.remove(0);
    store.put_device_list(owner.id(), &owner.list(2), START).await.unwrap();

    assert_eq!(store.mailbox_page(device, 0, PageLimit::default()).await.unwrap(), None);
    assert_eq!(rows(&folder), (1, 1));
    assert_eq!(send(2).await, [Delivered::UnknownDevice, Delivered::UnknownDevice, Delivered::Known(at(1))]);
    // Listed again, it begins anew, and nobody takes old positions for new ones.
    owner.devices.push(removed);
    store.put_device_list(owner.id(), &owner.list(3), START).await.unwrap();
    let anew = Delivered::Stored(Position { epoch: epoch(3), seq: 1 });
    assert_eq!(send(3).await, [anew, Delivered::UnknownDevice, Delivered::Known(at(1))]);
    assert!(matches!(store.acknowledge(device, at(1), START).await, Err(StoreError::OtherLogEpoch)));
}

#[tokio::test]
async fn an_envelope_without_recipient_is_our_own_error_and_stores_nothing() {
    let (_folder, store) = store().await;
    let (owner, sender) = owner_and_sender(&store, 1).await;
    let device = owner.devices[0].address();

    let nameless = Envelope { recipient: None, ..mail(sender, device, 2) };
    let result = store.deliver(vec![mail(sender, device, 1), nameless], epoch(1), START).await;

    assert!(matches!(result, Err(StoreError::Bug { .. })), "{result:?}");
    assert_eq!(store.mailbox_page(device, 0, PageLimit::default()).await.unwrap(), None);
}

/// The files as they stand while the store is open are what a killed process leaves behind.
#[tokio::test]
async fn a_crash_keeps_what_waits_and_what_is_acknowledged() {
    let (folder, store) = store().await;
    let (owner, sender) = owner_and_sender(&store, 1).await;
    let device = owner.devices[0].address();
    let sent: Vec<_> = (1..=3).map(|number| mail(sender, device, number)).collect();
    store.deliver(sent.clone(), epoch(1), START).await.unwrap();
    store.acknowledge(device, at(1), START).await.unwrap();

    let after_crash = folder.copy();
    let reopened = after_crash.open().await;

    assert_eq!(numbers(&page(&reopened, device, 0).await), [2, 3]);
    let again = reopened.deliver(sent, epoch(9), START).await.unwrap();
    assert_eq!(again, [1, 2, 3].map(|seq| Delivered::Known(at(seq))));
    drop(store);
}

#[tokio::test]
async fn the_files_keep_nothing_of_what_was_acknowledged() {
    let (folder, store) = store().await;
    let (owner, sender) = owner_and_sender(&store, 1).await;
    let device = owner.devices[0].address();
    let canary = b"canary of a sealed payload";
    let envelope = Envelope { payload: ByteString(canary.to_vec()), ..mail(sender, device, 1) };
    let holds = |bytes: Vec<u8>| bytes.windows(canary.len()).any(|window| window == canary);
    store.deliver(vec![envelope], epoch(1), START).await.unwrap();
    assert!(holds(folder.bytes()), "the search finds nothing at all");

    store.acknowledge(device, at(1), START).await.unwrap();
    store.close().await;

    assert!(!holds(folder.bytes()));
}
