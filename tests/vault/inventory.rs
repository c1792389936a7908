//! What is in a collection: writers who agree through a node that stores, and a node that lies.

use std::collections::BTreeMap;

use conclave::ids::{AccountId, ItemId, WriterId};
use conclave::protocol::backup::AccountSecrets;
use conclave::protocol::public::limits::VAULT_WRITERS_MAX;
use conclave::protocol::public::vault_digest;
use conclave::protocol::vault::{
    Change, CollectionKey, Head, Inventory, ItemContext, Listing, PreparedWrite, SealedItem, VaultError,
};
use conclave::wire::{Bytes, SealedContent, SealedHeadBytes, Timestamp, VaultEntry, WireError};
use proptest::prelude::*;

use crate::{account, rng, with_each_byte_changed};

fn key_of(account_id: AccountId, collection: &str) -> CollectionKey {
    let secrets = AccountSecrets::generate(account_id, &mut rng(1));
    secrets.vault_key().collection_key(account_id, &collection.parse().unwrap())
}

fn key() -> CollectionKey {
    key_of(account(1), "memories")
}

fn writer_id(number: u8) -> WriterId {
    WriterId::from_bytes([number; 16])
}

fn item_id(number: u8) -> ItemId {
    ItemId::from_bytes([number; 16])
}

/// A node that keeps what it is given, in memory. A copy of it is the node as it was.
#[derive(Clone, Default)]
struct Node {
    revision: u64,
    head: Option<SealedHeadBytes>,
    entries: BTreeMap<ItemId, VaultEntry>,
    items: BTreeMap<ItemId, SealedItem>,
}

impl Node {
    fn list(&self, after: u64) -> Listing {
        let mut entries: Vec<_> = self.entries.values().filter(|entry| entry.revision > after).cloned().collect();
        entries.sort_by_key(|entry| entry.revision);
        Listing { revision: self.revision, head: self.head.clone(), entries }
    }

    fn store(&mut self, item: ItemId, write: &PreparedWrite, sealed: Option<SealedItem>) {
        assert_eq!(write.revision(), self.revision + 1);
        assert_eq!(write.after, self.entries.get(&item).map_or(0, |entry| entry.version));
        (self.revision, self.head) = (write.revision(), Some(write.sealed_head.clone()));
        let mut committed = Inventory::open(&key(), &Head::default(), &Listing::default()).unwrap();
        committed.commit(write.clone(), Timestamp::from_millis(7));
        self.entries.insert(item, committed.entry(item).unwrap().clone());
        match sealed {
            Some(sealed) => drop(self.items.insert(item, sealed)),
            None => drop(self.items.remove(&item)),
        }
    }
}

/// What a node does to a list.
type Lie<'a> = &'a dyn Fn(&mut Vec<VaultEntry>);

/// A device with what it knows of the collection.
#[derive(Clone, Debug)]
struct Writer {
    id: WriterId,
    inventory: Inventory,
    seed: u64,
}

impl Writer {
    fn new(number: u8, node: &Node) -> Self {
        let inventory = Inventory::open(&key(), &Head::default(), &node.list(0)).unwrap();
        Self { id: writer_id(number), inventory, seed: u64::from(number) * 1_000 }
    }

    fn sync(&mut self, node: &Node) -> Result<(), VaultError> {
        self.inventory.update(&key(), &node.list(self.inventory.head().revision()))
    }

    /// As after a restart: of what it knew, the head alone was saved.
    fn restart(&self, node: &Node) -> Result<Self, VaultError> {
        let seen = Head::load(&self.inventory.head().save()).unwrap();
        Ok(Self { inventory: Inventory::open(&key(), &seen, &node.list(0))?, ..self.clone() })
    }

    fn write(&mut self, node: &mut Node, number: u8, text: Option<&str>) {
        self.sync(node).unwrap();
        self.seed += 1;
        let (item_id, item_type, mut rng) = (item_id(number), "memory".parse().unwrap(), rng(self.seed));
        let version = self.inventory.entry(item_id).map_or(0, |entry| entry.version) + 1;
        let context = ItemContext { item_id, item_type, version };
        let sealed = text.map(|text| key().seal(&context, text.as_bytes(), &mut rng).unwrap());
        let change = Change { item_id, item_type: context.item_type.clone(), sealed: sealed.as_ref() };
        let write = self.inventory.prepare(&key(), self.id, change, &mut rng).unwrap();
        assert_eq!(write.version(), version);
        node.store(item_id, &write, sealed);
        self.inventory.commit(write, Timestamp::from_millis(7));
    }
}

/// A node with five items that two devices have written, one of them deleted, and the two.
fn written() -> (Node, Writer, Writer) {
    let mut node = Node::default();
    let (mut ada, mut bob) = (Writer::new(1, &node), Writer::new(2, &node));
    for number in 1..=5 {
        let writer = if number % 2 == 0 { &mut bob } else { &mut ada };
        writer.write(&mut node, number, Some("first"));
    }
    ada.write(&mut node, 2, Some("second"));
    bob.write(&mut node, 3, None);
    ada.sync(&node).unwrap();
    (node, ada, bob)
}

#[test]
fn devices_that_follow_the_node_agree() {
    let (node, ada, bob) = written();
    let late = Writer::new(3, &node);

    assert_eq!(ada.inventory, bob.inventory);
    assert_eq!(ada.inventory, late.inventory);
    assert_eq!(ada.inventory.head().revision(), 7);
    assert_eq!(ada.restart(&node).unwrap().inventory, ada.inventory);
    let versions: Vec<_> =
        ada.inventory.entries().map(|entry| (entry.version, entry.revision, entry.content.is_some())).collect();
    assert_eq!(versions, [(1, 1, true), (2, 6, true), (2, 7, false), (1, 4, true), (1, 5, true)]);
}

#[test]
fn item_that_is_handed_out_is_the_one_that_is_listed() {
    let (node, ada, _) = written();
    let content = |number| SealedContent::new(node.items[&item_id(number)].as_bytes().to_vec()).unwrap();

    for number in [1, 2, 4, 5] {
        let entry = ada.inventory.check(item_id(number), &content(number)).unwrap();
        assert_eq!(Some(entry), node.entries.get(&item_id(number)));
    }
    assert_eq!(ada.inventory.check(item_id(1), &content(2)), Err(VaultError::OtherItem));
    assert_eq!(ada.inventory.check(item_id(3), &content(2)), Err(VaultError::OtherItem), "it was deleted");
    assert_eq!(ada.inventory.check(item_id(9), &content(2)), Err(VaultError::OtherItem), "there is none");
}

#[test]
fn rollback_is_refused_also_after_a_restart() {
    let (mut node, mut ada, _) = written();
    let before = node.clone();
    ada.write(&mut node, 1, Some("newest"));

    let rolled_back = VaultError::RolledBack { seen: 8, shown: 7 };
    assert_eq!(ada.sync(&before), Err(rolled_back));
    assert_eq!(ada.restart(&before).unwrap_err(), rolled_back);
    assert_eq!(ada.sync(&Node::default()), Err(VaultError::RolledBack { seen: 8, shown: 0 }));
    // Under the newer number it is no head of it.
    let renumbered = Node { revision: 8, ..before.clone() };
    assert_eq!(ada.sync(&renumbered), Err(VaultError::Head));
    let without_head = Node { head: None, ..node.clone() };
    assert_eq!(ada.sync(&without_head), Err(VaultError::Head));
    ada.sync(&node).unwrap();
}

/// The node lets two devices write apart; whoever has seen one branch never takes the other.
#[test]
fn devices_that_were_kept_apart_do_not_come_together_unseen() {
    let (mut node, mut ada, mut bob) = written();
    let mut other = node.clone();
    ada.write(&mut node, 1, Some("in one branch"));
    bob.write(&mut other, 4, Some("in the other"));
    assert_eq!(ada.sync(&other), Err(VaultError::Forked), "at the same revision");

    // Both write the same items on, so that no entry of one branch is missing in the other.
    for number in 1..=5 {
        bob.write(&mut other, number, Some("on"));
        bob.write(&mut other, number, Some("and on"));
    }
    assert_eq!(ada.sync(&other), Err(VaultError::Forked));
    assert_eq!(ada.restart(&other).unwrap_err(), VaultError::Forked);
    assert_eq!(bob.restart(&node).unwrap_err(), VaultError::RolledBack { seen: 18, shown: 8 });

    // Somebody who has seen the first branch and written nothing knows as well.
    let mut reader = Writer::new(3, &node);
    assert_eq!(reader.sync(&other), Err(VaultError::Forked));
}

/// The node has stored a write, shows it to others, and hides it from whoever made it.
#[test]
fn a_write_that_is_hidden_from_its_writer_is_missed_by_who_has_seen_it() {
    let (mut node, ada, _) = written();
    let mut other = node.clone();
    ada.clone().write(&mut node, 1, Some("hidden"));
    let mut reader = Writer::new(3, &node);

    // She does not know what became of it, and goes on as another writer. No entry of the reader's is missing.
    let mut ada = Writer { id: writer_id(4), ..ada };
    for _ in 0..3 {
        ada.write(&mut other, 1, Some("goes on"));
    }
    assert_eq!(reader.sync(&other), Err(VaultError::Forked));
    assert_eq!(reader.restart(&other).unwrap_err(), VaultError::Forked);
}

/// It says that somebody else was faster, and shows the write all the same.
#[test]
fn a_revision_that_has_become_somebody_elses_is_noticed() {
    let (mut node, mut ada, mut bob) = written();
    let mut other = node.clone();
    ada.clone().write(&mut node, 1, Some("hidden"));
    let mut reader = Writer::new(3, &node);
    bob.write(&mut other, 1, Some("faster"));
    ada.write(&mut other, 1, Some("goes on"));
    assert_eq!(reader.sync(&other), Err(VaultError::Forked));
    assert_eq!(reader.restart(&other).unwrap_err(), VaultError::Forked);

    // A bound that the module's text names: a head knows the last write of each alone.
    bob.write(&mut other, 1, Some("and again"));
    assert_eq!(reader.sync(&other), Ok(()));
}

#[test]
fn entries_that_are_not_those_of_the_head_are_refused() {
    let (node, mut ada, _) = written();
    let (seen, honest) = (Head::default(), node.list(0));
    let older = {
        let mut entry = honest.entries.iter().find(|entry| entry.item_id == item_id(2)).unwrap().clone();
        entry.version = 1;
        entry
    };
    let changes: [(&str, Lie<'_>); 12] = [
        ("one is missing", &|entries| drop(entries.remove(0))),
        ("a deletion is missing", &|entries| entries.retain(|entry| entry.content.is_some())),
        ("all are missing", &|entries| entries.clear()),
        ("one is older", &|entries| {
            entries.retain(|entry| entry.item_id != item_id(2));
            entries.push(older.clone());
        }),
        ("one is invented", &|entries| {
            let entry = VaultEntry { item_id: item_id(9), ..entries[0].clone() };
            entries.push(entry);
        }),
        ("two are swapped", &|entries| {
            let (one, other) = (entries[0].content, entries[1].content);
            (entries[0].content, entries[1].content) = (other, one);
        }),
        ("one is said to be deleted", &|entries| entries[0].content = None),
        ("one has another version", &|entries| entries[0].version += 1),
        ("one has another revision", &|entries| entries[0].revision += 1),
        ("one is of another type", &|entries| entries[0].item_type = "chat".parse().unwrap()),
        ("one has another length", &|entries| entries[0].content.as_mut().unwrap().bytes += 1),
        ("one has another digest", &|entries| entries[0].content.as_mut().unwrap().digest.0[31] ^= 1),
    ];
    for (what, change) in changes {
        let mut listing = honest.clone();
        change(&mut listing.entries);
        assert_eq!(Inventory::open(&key(), &seen, &listing).unwrap_err(), VaultError::Entries, "{what}");
        // Who knows them needs no list of what has not changed.
        let result = ada.inventory.clone().update(&key(), &listing);
        assert_eq!(result.is_err(), !what.ends_with("missing"), "{what}");
    }
    // Of a collection that was never written nothing is listed.
    let invented = Listing { revision: 0, head: None, entries: honest.entries.clone() };
    assert_eq!(Inventory::open(&key(), &seen, &invented).unwrap_err(), VaultError::Entries);
    ada.sync(&node).unwrap();
}

#[test]
fn update_that_is_refused_changes_nothing() {
    let (mut node, mut ada, mut bob) = written();
    let before = ada.inventory.clone();
    bob.write(&mut node, 1, Some("newer"));
    let mut lying = node.clone();
    lying.entries.get_mut(&item_id(1)).unwrap().version += 1;

    assert_eq!(ada.sync(&lying), Err(VaultError::Entries));
    assert_eq!(ada.inventory, before);
    ada.sync(&node).unwrap();
    assert_eq!(ada.inventory, bob.inventory);
}

#[test]
fn head_opens_in_its_place_alone() {
    let (node, ..) = written();
    let listing = node.list(0);
    let sealed = listing.head.clone().unwrap();
    let seen = Head::default();
    for other in [key_of(account(1), "chats"), key_of(account(2), "memories")] {
        assert_eq!(Inventory::open(&other, &seen, &listing).unwrap_err(), VaultError::Head);
    }
    for changed in with_each_byte_changed(sealed.as_bytes()) {
        let head = Some(SealedHeadBytes::new(changed).unwrap());
        let listing = Listing { head, ..listing.clone() };
        assert_eq!(Inventory::open(&key(), &seen, &listing).unwrap_err(), VaultError::Head);
    }
    // An item is no head, and a head no item.
    let item = Some(SealedHeadBytes::new(node.items[&item_id(1)].as_bytes().to_vec()).unwrap());
    let listing = Listing { head: item, ..listing };
    assert_eq!(Inventory::open(&key(), &seen, &listing).unwrap_err(), VaultError::Head);
    let context = ItemContext { item_id: item_id(1), item_type: "memory".parse().unwrap(), version: 1 };
    let as_item = SealedItem::parse(sealed.into_bytes()).unwrap();
    assert_eq!(key().open(&context, &as_item), Err(VaultError::Open));
}

/// An account has had more devices than a head knows: those that wrote last count, and nobody is locked out.
#[test]
fn of_many_writers_the_newest_are_known() {
    let mut node = Node::default();
    let mut first = Writer::new(1, &node);
    first.write(&mut node, 1, Some("long ago"));
    let (early, seen_by_away) = (node.clone(), first.inventory.clone());
    let writers = u8::try_from(VAULT_WRITERS_MAX).unwrap();
    for number in 2..=writers + 2 {
        Writer::new(number, &node).write(&mut node, number, Some("x"));
    }

    assert_eq!(first.inventory.head().save().len(), 1 + 8 + 32 + 4 + 24);
    first.sync(&node).unwrap();
    assert_eq!(first.inventory.head().save().len(), Head::ENCODED_LENGTH_MAX);
    assert_eq!(first.sync(&early), Err(VaultError::RolledBack { seen: u64::from(writers) + 2, shown: 1 }));

    // One of those who are known, on a branch where it has not written.
    let mut fork = early;
    for number in 100..100 + writers + 3 {
        Writer::new(number, &fork).write(&mut fork, 1, Some("y"));
    }
    assert_eq!(first.sync(&fork), Err(VaultError::Forked));

    // The other bound: who has not looked while all of them came knows none of them.
    let mut away = Writer { inventory: seen_by_away, ..first };
    assert_eq!(away.sync(&fork), Ok(()));
}

#[test]
fn saved_head_is_read_strictly() {
    let (_, ada, _) = written();
    let saved = ada.inventory.head().save();
    assert_eq!(Head::load(&saved).unwrap(), *ada.inventory.head());
    assert_eq!(Head::load(&Head::default().save()).unwrap(), Head::default());

    for length in 0..saved.len() {
        assert_eq!(Head::load(&saved[..length]).unwrap_err(), WireError::Truncated);
    }
    assert_eq!(Head::load(&[&saved[..], &[0]].concat()).unwrap_err(), WireError::Trailing);
    assert_eq!(Head::load(&[&[2], &saved[1..]].concat()).unwrap_err(), WireError::UnknownVersion { version: 2 });
    // Revision, sum and number of writers stand before the first writer.
    let (start, writers) = saved.split_at(45);
    let (one, other) = writers.split_at(24);
    for writers in [[other, one].concat(), [one, one].concat()] {
        assert_eq!(Head::load(&[start, &writers].concat()).unwrap_err(), WireError::Invalid { field: "writers" });
    }
    let other_revision = [&[1][..], &9_u64.to_be_bytes(), &saved[9..]].concat();
    assert_eq!(Head::load(&other_revision).unwrap_err(), WireError::Invalid { field: "writers" });
    assert_eq!(format!("{:?}", ada.inventory.head()), "Head(7, 2 writers, ..)");
}

#[test]
fn digest_is_of_the_sealed_bytes() {
    assert_ne!(vault_digest(b"one"), vault_digest(b"other"));
    assert_ne!(vault_digest(b""), Bytes([0; 32]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever two devices write in turn, a third that lists now and then comes to the same as one that lists at the end;
    /// and of a listing with an entry less nothing is taken.
    #[test]
    fn listing_in_parts_or_at_once_is_the_same(
        writes in prop::collection::vec((any::<bool>(), 1..6_u8, any::<bool>(), any::<bool>()), 1..24),
        missing in any::<prop::sample::Index>(),
    ) {
        let mut node = Node::default();
        let (mut ada, mut bob, mut reader) = (Writer::new(1, &node), Writer::new(2, &node), Writer::new(3, &node));
        for (number, (by_ada, item, is_deletion, is_read)) in writes.into_iter().enumerate() {
            let writer = if by_ada { &mut ada } else { &mut bob };
            writer.sync(&node).unwrap();
            let is_there = writer.inventory.entry(item_id(item)).is_some_and(|entry| entry.content.is_some());
            let text = number.to_string();
            writer.write(&mut node, item, if is_deletion && is_there { None } else { Some(&text) });
            if is_read {
                reader.sync(&node).unwrap();
            }
        }
        reader.sync(&node).unwrap();
        let at_once = Writer::new(4, &node);
        prop_assert_eq!(&reader.inventory, &at_once.inventory);

        let mut listing = node.list(0);
        listing.entries.remove(missing.index(listing.entries.len()));
        prop_assert_eq!(Inventory::open(&key(), &Head::default(), &listing).unwrap_err(), VaultError::Entries);
    }

    #[test]
    fn no_bytes_make_a_head_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(head) = Head::load(&bytes) {
            prop_assert_eq!(head.save(), bytes);
        }
    }
}
