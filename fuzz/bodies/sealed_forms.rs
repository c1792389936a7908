//! What is sealed under keys that serve once, and what people type or scan: vault items, backups,
//! keystores, account secrets, recovery keys, safety numbers, names, heads of collections.
//!
//! Input: kind 1 (0 item, 1 backup, 2 keystore, 3 account secrets, 4 recovery key, 5 safety number,
//! 6 name, 7 saved head, 8 sealed head), then its bytes.
//!
//! - What parses has the one form that it was parsed from; a recovery key, the one that is written.
//! - Nothing opens but what the fixed keys have sealed, and that in its own place.
//! - A keystore's parameters are within their bounds before anything is done with them. No passphrase
//!   is tried here: that takes as long as it should.

use std::sync::OnceLock;

use conclave::ids::{AccountId, CollectionName, ItemId, ItemType, WriterId};
use conclave::protocol::backup::{AccountSecrets, Backup, RecoveryKey, open_backup, seal_backup};
use conclave::protocol::keystore::{Argon2Costs, Argon2Parameters, Passphrase, keystore_parameters, seal_keystore};
use conclave::protocol::public::limits;
use conclave::protocol::safety_number::{AccountKey, SafetyNumber, Sides};
use conclave::protocol::vault::{
    Change, CollectionKey, Head, Inventory, ItemContext, Listing, PreparedWrite, SealedItem,
};
use conclave::wire::{SealedHeadBytes, Timestamp};

use super::Seed;
use super::parties::{Party, alice, bob};
use super::support::rng;

const KINDS: [fn(&[u8]); 9] = [
    check_item,
    check_backup,
    check_keystore,
    check_account_secrets,
    check_recovery_key,
    check_safety_number,
    check_name,
    check_saved_head,
    check_sealed_head,
];

/// Runs one input.
pub fn run(data: &[u8]) {
    if let Some((kind, input)) = data.split_first()
        && let Some(check) = KINDS.get(usize::from(*kind))
    {
        check(input);
    }
}

/// One genuine example of each kind, and a few that are near to one.
pub fn seeds() -> Vec<Seed> {
    let Genuine { items, backup, recovery_key, secrets, safety_number, scanned, write, .. } = genuine();
    let keystore = seal_keystore(
        &Passphrase::new("correct horse battery staple".to_owned()).unwrap(),
        Argon2Parameters::default(),
        b"a secret",
        &mut rng(31),
    );
    let written = recovery_key.to_written();
    [
        ("item", 0, items[0].1.as_bytes().to_vec()),
        ("item-long", 0, items[1].1.as_bytes().to_vec()),
        ("backup", 1, backup.to_bytes()),
        ("keystore", 2, keystore.unwrap()),
        ("account-secrets", 3, secrets.encode_secret().to_vec()),
        ("recovery-key", 4, written.as_bytes().to_vec()),
        ("recovery-key-as-typed", 4, written.to_lowercase().replace('-', " ").replace('0', "o").into_bytes()),
        ("safety-number", 5, safety_number.qr_bytes().to_vec()),
        ("safety-number-of-the-other", 5, scanned.to_vec()),
        ("name", 6, b"memories_2-old".to_vec()),
        ("head-saved", 7, write.head().save()),
        ("head-sealed", 8, write.sealed_head.as_bytes().to_vec()),
    ]
    .map(|(name, kind, bytes)| (name.to_owned(), [vec![kind], bytes].concat()))
    .to_vec()
}

fn check_item(input: &[u8]) {
    let Ok(item) = SealedItem::parse(input.to_vec()) else { return };
    assert_eq!(item.as_bytes(), input);
    let Genuine { key, items, .. } = genuine();
    for (context, genuine, content) in items {
        if let Ok(opened) = key.open(context, &item) {
            assert!(item == *genuine, "a forged item opens, or a genuine one in another place");
            assert_eq!(*opened, *content);
        }
    }
}

fn check_backup(input: &[u8]) {
    let Ok(backup) = Backup::parse(input) else { return };
    assert_eq!(backup.to_bytes(), input);
    let genuine = genuine();
    if let Ok(opened) = open_backup(&genuine.recovery_key, account(), &backup) {
        assert!(backup == genuine.backup, "a forged backup opens");
        assert_eq!(opened.secrets.encode_secret(), genuine.secrets.encode_secret());
    }
}

fn check_keystore(input: &[u8]) {
    let Ok(parameters) = keystore_parameters(input) else { return };
    let Argon2Costs { memory_kib, iterations, lanes } = parameters.costs();
    assert!((limits::ARGON2_MEMORY_KIB_MIN..=limits::ARGON2_MEMORY_KIB_MAX).contains(&memory_kib));
    assert!((limits::ARGON2_ITERATIONS_MIN..=limits::ARGON2_ITERATIONS_MAX).contains(&iterations));
    assert!((limits::ARGON2_LANES_MIN..=limits::ARGON2_LANES_MAX).contains(&lanes));
    assert!((77..=77 + limits::KEYSTORE_BYTES_MAX).contains(&input.len()));
}

fn check_account_secrets(input: &[u8]) {
    if let Ok(secrets) = AccountSecrets::decode(account(), input) {
        assert_eq!(*secrets.encode_secret(), input);
    }
}

fn check_recovery_key(input: &[u8]) {
    let Ok(text) = core::str::from_utf8(input) else { return };
    let Ok(key) = RecoveryKey::parse(text) else { return };
    let written = key.to_written();
    assert!(RecoveryKey::parse(&written).unwrap() == key);
    let typed = text.chars().filter(|character| *character != '-' && !character.is_whitespace());
    let read = typed.map(|character| match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    });
    assert_eq!(written.replace('-', ""), read.collect::<String>());
}

fn check_safety_number(input: &[u8]) {
    let Genuine { safety_number, scanned, .. } = genuine();
    assert_eq!(safety_number.verify_qr(input).is_ok(), input == scanned);
}

fn check_name(input: &[u8]) {
    let Ok(text) = core::str::from_utf8(input) else { return };
    let (collection, item_type) = (text.parse::<CollectionName>(), text.parse::<ItemType>());
    assert_eq!(collection.is_ok(), item_type.is_ok());
    if let Ok(name) = collection {
        assert_eq!(name.as_str(), text);
        assert!((1..=CollectionName::BYTES_MAX).contains(&text.len()));
    }
}

fn check_saved_head(input: &[u8]) {
    if let Ok(head) = Head::load(input) {
        assert_eq!(head.save(), input);
        assert!(input.len() <= Head::ENCODED_LENGTH_MAX);
    }
}

fn check_sealed_head(input: &[u8]) {
    let Ok(sealed) = SealedHeadBytes::new(input.to_vec()) else { return };
    let Genuine { key, write, inventory, .. } = genuine();
    let entries = inventory.entries().cloned().collect();
    let is_genuine = sealed == write.sealed_head;
    let listing = Listing { revision: 1, head: Some(sealed), entries };
    assert_eq!(Inventory::open(key, &Head::default(), &listing).is_ok(), is_genuine, "a forged head opens");
}

struct Genuine {
    key: CollectionKey,
    /// The first write of a collection, and the collection with it.
    write: PreparedWrite,
    inventory: Inventory,
    /// Items with their places and contents. Two of them stand in one place, as two versions.
    items: Vec<(ItemContext, SealedItem, Vec<u8>)>,
    secrets: AccountSecrets,
    recovery_key: RecoveryKey,
    backup: Backup,
    safety_number: SafetyNumber,
    /// The code on the other side's screen.
    scanned: [u8; SafetyNumber::QR_BYTES],
}

fn genuine() -> &'static Genuine {
    static GENUINE: OnceLock<Genuine> = OnceLock::new();
    GENUINE.get_or_init(|| {
        let rng = &mut rng(30);
        let secrets = AccountSecrets::generate(account(), rng);
        let key = secrets.vault_key().collection_key(account(), &"memories".parse().unwrap());
        let item_id = ItemId::generate(rng);
        let contents = [(1, b"tea without milk".to_vec()), (2, vec![b'x'; 600])];
        let items = contents.map(|(version, content)| {
            let context = ItemContext { item_id, item_type: "memory".parse().unwrap(), version };
            let sealed = key.seal(&context, &content, rng).unwrap();
            (context, sealed, content)
        });
        let recovery_key = RecoveryKey::generate(rng);
        let backup = seal_backup(&recovery_key, 1, &secrets, rng).unwrap();
        let change = Change { item_id, item_type: items[0].0.item_type.clone(), sealed: Some(&items[0].1) };
        let mut inventory = Inventory::default();
        let write = inventory.prepare(&key, WriterId::from_bytes([7; 16]), change, rng).unwrap();
        inventory.commit(write.clone(), Timestamp::from_millis(0));
        let safety_number = safety_number_of(alice(), bob());
        let scanned = safety_number_of(bob(), alice()).qr_bytes();
        Genuine { key, write, inventory, items: items.to_vec(), secrets, recovery_key, backup, safety_number, scanned }
    })
}

/// The account that everything here belongs to.
fn account() -> AccountId {
    alice().root.account_id()
}

fn safety_number_of(ours: &Party, theirs: &Party) -> SafetyNumber {
    let [ours, theirs] = [ours, theirs]
        .map(|party| AccountKey { account_id: party.root.account_id(), root_key: party.root.public_key() });
    SafetyNumber::of(&Sides { ours, theirs })
}
