use conclave::ids::{AccountId, ItemId};
use conclave::protocol::backup::AccountSecrets;
use conclave::protocol::public::limits::{VAULT_ITEM_BYTES_MAX, VAULT_ITEM_SEALED_BYTES_MAX};
use conclave::protocol::vault::{CollectionKey, ItemContext, SealedItem, VaultError, VaultKey};
use conclave::wire::WireError;
use proptest::prelude::*;

use super::{account, assert_wiped_on_drop, rng, with_each_byte_changed};

fn secrets() -> AccountSecrets {
    AccountSecrets::generate(account(1), &mut rng(1))
}

fn key(account_id: AccountId, collection: &str) -> CollectionKey {
    secrets().vault_key().collection_key(account_id, &collection.parse().unwrap())
}

fn memories() -> CollectionKey {
    key(account(1), "memories")
}

fn context() -> ItemContext {
    ItemContext { item_id: ItemId::from_bytes([3; 16]), item_type: "memory".parse().unwrap(), version: 7 }
}

fn sealed(content: &[u8]) -> SealedItem {
    memories().seal(&context(), content, &mut rng(2)).unwrap()
}

#[test]
fn an_item_opens_under_the_same_key_derived_again() {
    let sealed = SealedItem::parse(sealed(b"tea").into_bytes()).unwrap();
    assert_eq!(memories().open(&context(), &sealed).unwrap().as_slice(), b"tea");
}

#[test]
fn an_item_is_refused_in_every_other_place() {
    let sealed = sealed(b"tea");
    let other_contexts = [
        ItemContext { item_id: ItemId::from_bytes([4; 16]), ..context() },
        ItemContext { item_type: "memor".parse().unwrap(), ..context() },
        ItemContext { version: 6, ..context() },
        ItemContext { version: 7 << 32, ..context() },
    ];
    for other in &other_contexts {
        assert_eq!(memories().open(other, &sealed), Err(VaultError::Open), "{other:?}");
    }
    let other_vault = AccountSecrets::generate(account(1), &mut rng(9));
    let other_vault = other_vault.vault_key().collection_key(account(1), &"memories".parse().unwrap());
    for other in [key(account(2), "memories"), key(account(1), "memorie"), other_vault] {
        assert_eq!(other.open(&context(), &sealed), Err(VaultError::Open), "{other:?}");
    }
}

#[test]
fn the_key_is_read_as_it_was_written_and_not_otherwise() {
    let secrets = secrets();
    let bytes = secrets.vault_key().encode_secret();
    assert!(VaultKey::decode(&bytes).unwrap() == *secrets.vault_key());
    assert_eq!(VaultKey::decode(&bytes[..32]).unwrap_err(), WireError::Truncated);
    assert_eq!(VaultKey::decode(&[&bytes[..], &[0]].concat()).unwrap_err(), WireError::Trailing);
    assert_eq!(VaultKey::decode(&[&[2], &bytes[1..]].concat()).unwrap_err(), WireError::UnknownVersion { version: 2 });
}

#[test]
fn a_name_has_one_id_in_its_collection() {
    let id = memories().item_id("session 7");
    assert_eq!(memories().item_id("session 7"), id);
    let others =
        [memories().item_id("session 8"), memories().item_id(""), key(account(1), "chats").item_id("session 7")];
    assert!(others.iter().all(|other| *other != id));
    assert_ne!(key(account(2), "memories").item_id("session 7"), id);
}

#[test]
fn any_changed_byte_is_refused() {
    for changed in with_each_byte_changed(sealed(b"tea").as_bytes()) {
        match SealedItem::parse(changed) {
            Ok(item) => assert_eq!(memories().open(&context(), &item), Err(VaultError::Open)),
            Err(error) => assert_eq!(error, WireError::UnknownVersion { version: 0 }),
        }
    }
}

#[test]
fn any_shorter_item_is_refused() {
    let sealed = sealed(b"tea").into_bytes();
    for length in 0..sealed.len() {
        match SealedItem::parse(sealed[..length].to_vec()) {
            Ok(item) => {
                assert!(length >= 81);
                assert_eq!(memories().open(&context(), &item), Err(VaultError::Open));
            }
            Err(error) => {
                assert!(length < 81);
                assert_eq!(error, WireError::Truncated);
            }
        }
    }
}

#[test]
fn length_shows_only_its_bucket() {
    for (length, bucket) in [(0, 256), (255, 256), (256, 512), (300, 512), (1_000, 1_024)] {
        assert_eq!(sealed(&vec![1; length]).as_bytes().len(), bucket + 81);
    }
}

#[test]
fn the_longest_item_is_taken_and_one_byte_more_is_not() {
    let content = vec![5; VAULT_ITEM_BYTES_MAX + 1];
    let longest = sealed(&content[1..]);
    assert_eq!(longest.as_bytes().len(), VAULT_ITEM_SEALED_BYTES_MAX);
    assert_eq!(memories().open(&context(), &longest).unwrap().as_slice(), &content[1..]);
    assert_eq!(
        memories().seal(&context(), &content, &mut rng(2)),
        Err(VaultError::TooLong { actual: VAULT_ITEM_BYTES_MAX + 1, limit: VAULT_ITEM_BYTES_MAX })
    );

    let mut bytes = longest.into_bytes();
    assert!(SealedItem::parse(bytes.clone()).is_ok());
    bytes.push(0);
    assert_eq!(
        SealedItem::parse(bytes),
        Err(WireError::OverLimit { field: "sealed item", limit: VAULT_ITEM_SEALED_BYTES_MAX })
    );
}

#[test]
fn debug_shows_no_secret() {
    assert_eq!(format!("{:?}", secrets().vault_key()), "VaultKey(..)");
    assert_eq!(format!("{:?}", memories()), "CollectionKey(AQEBAQEBAQEBAQEBAQEBAQ/memories, ..)");
    assert_eq!(format!("{:?}", sealed(b"tea")), "SealedItem(337 bytes)");
}

#[test]
fn keys_are_wiped() {
    assert_wiped_on_drop::<VaultKey>();
    assert_wiped_on_drop::<CollectionKey>();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_content_comes_back(
        content in prop::collection::vec(prop_oneof![Just(0), Just(0x80), any::<u8>()], 0..2_000),
        collection in "[a-z0-9_-]{1,64}",
        item_type in "[a-z0-9_-]{1,64}",
        item_id: [u8; 16],
        version: u64,
        seed: u64,
    ) {
        let context =
            ItemContext { item_id: ItemId::from_bytes(item_id), item_type: item_type.parse().unwrap(), version };
        let key = key(account(1), &collection);
        let sealed = key.seal(&context, &content, &mut rng(seed)).unwrap();
        prop_assert_eq!(&*key.open(&context, &sealed).unwrap(), &content);
    }

    /// Letters moved from the end of one name to the front of the next do not make the same place.
    #[test]
    fn no_two_places_are_the_same(text in "[a-z]{4,20}", first in 1_usize..3, second in 1_usize..3) {
        let at = |split: usize| {
            let (collection, item_type) = text.split_at(split);
            (key(account(1), collection), ItemContext { item_type: item_type.parse().unwrap(), ..context() })
        };
        let ((first_key, first_context), (second_key, second_context)) = (at(first), at(second));
        let sealed = first_key.seal(&first_context, b"tea", &mut rng(2)).unwrap();
        prop_assert_eq!(second_key.open(&second_context, &sealed).is_ok(), first == second);
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let bytes = [&[1], &bytes[..]].concat();
        prop_assert!(SealedItem::parse(bytes).map_or(true, |item| memories().open(&context(), &item).is_err()));
    }
}
