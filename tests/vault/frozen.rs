//! Sealed forms that another implementation made (`tests/python/frozen_vault.py`): they open as long as version 1 is
//! known.

use conclave::ids::{AccountId, ItemId};
use conclave::protocol::backup::{AccountSecrets, Backup, RecoveryKey, open_backup};
use conclave::protocol::identity::DeviceKeys;
use conclave::protocol::keystore::{Passphrase, open_keystore};
use conclave::protocol::public::{SigningPublicKey, vault_digest};
use conclave::protocol::safety_number::{AccountKey, SafetyNumber, Sides};
use conclave::protocol::vault::{Head, Inventory, ItemContext, Listing, SealedItem};
use conclave::wire::{SealedContent, SealedHeadBytes, Timestamp, VaultContent, VaultEntry};
use data_encoding::HEXLOWER;
use serde_json::Value;

fn frozen(part: &str) -> Value {
    let frozen: Value = serde_json::from_str(include_str!("frozen.json")).unwrap();
    frozen[part].clone()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(text(value).as_bytes()).unwrap()
}

fn account_id(value: &Value) -> AccountId {
    AccountId::try_from(bytes(value).as_slice()).unwrap()
}

#[test]
fn a_vault_item_opens() {
    let case = frozen("vault");
    let account_id = account_id(&case["account_id"]);
    let secrets = AccountSecrets::decode(account_id, &bytes(&case["account_secrets"])).unwrap();
    let key = secrets.vault_key().collection_key(account_id, &text(&case["collection"]).parse().unwrap());
    let context = ItemContext {
        item_id: ItemId::try_from(bytes(&case["item_id"]).as_slice()).unwrap(),
        item_type: text(&case["item_type"]).parse().unwrap(),
        version: case["version"].as_u64().unwrap(),
    };
    let sealed = SealedItem::parse(bytes(&case["sealed"])).unwrap();
    assert_eq!(*key.open(&context, &sealed).unwrap(), bytes(&case["content"]));
}

#[test]
fn a_collection_is_as_its_head_says() {
    let case = frozen("collection");
    let account_id = account_id(&case["account_id"]);
    let secrets = AccountSecrets::decode(account_id, &bytes(&case["account_secrets"])).unwrap();
    let key = secrets.vault_key().collection_key(account_id, &text(&case["collection"]).parse().unwrap());
    let sealed = SealedContent::new(bytes(&case["sealed_item"])).unwrap();
    let content = VaultContent { bytes: 400, digest: vault_digest(sealed.as_bytes()) };
    let entry = |index: usize, content| {
        let entry = &case["entries"][index];
        VaultEntry {
            item_id: ItemId::try_from(bytes(&entry["item_id"]).as_slice()).unwrap(),
            item_type: text(&case["item_type"]).parse().unwrap(),
            version: entry["version"].as_u64().unwrap(),
            revision: entry["revision"].as_u64().unwrap(),
            updated_at: Timestamp::from_millis(0),
            content,
        }
    };
    let entries = vec![entry(0, Some(content)), entry(1, None)];
    let head = Some(SealedHeadBytes::new(bytes(&case["sealed_head"])).unwrap());
    let listing = Listing { revision: 4, head, entries: entries.clone() };

    let saved = Head::load(&bytes(&case["saved_head"])).unwrap();
    let inventory = Inventory::open(&key, &saved, &listing).unwrap();
    assert_eq!(inventory.head().save(), bytes(&case["saved_head"]));
    assert_eq!(inventory.check(entries[0].item_id, &sealed), Ok(&entries[0]));
}

#[test]
fn a_keystore_opens() {
    let case = frozen("keystore");
    let passphrase = Passphrase::new(text(&case["passphrase"]).to_owned()).unwrap();
    assert_eq!(*open_keystore(&passphrase, &bytes(&case["keystore"])).unwrap(), bytes(&case["content"]));
}

#[test]
fn a_backup_opens_with_its_written_key() {
    let case = frozen("backup");
    let key = RecoveryKey::parse(text(&case["recovery_key"])).unwrap();
    assert_eq!(*key.to_written(), text(&case["recovery_key"]));
    let backup = Backup::parse(&bytes(&case["backup"])).unwrap();
    let opened = open_backup(&key, account_id(&case["account_id"]), &backup).unwrap();
    assert_eq!(opened.generation, case["generation"].as_u64().unwrap());
    assert_eq!(*opened.secrets.encode_secret(), bytes(&case["account_secrets"]));
}

#[test]
fn a_safety_number_has_its_digits_and_code() {
    let case = frozen("safety_number");
    let side = |index: usize| {
        let side = &case["sides"][index];
        let root_key = SigningPublicKey::parse(&bytes(&side["root_key"]).try_into().unwrap()).unwrap();
        (AccountKey { account_id: account_id(&side["account_id"]), root_key }, bytes(&side["fingerprint"]))
    };
    let ((ada, ada_fingerprint), (bob, bob_fingerprint)) = (side(0), side(1));
    let number = SafetyNumber::of(&Sides { ours: bob, theirs: ada });
    assert_eq!(number.to_string(), text(&case["number"]));
    assert_eq!(number.qr_bytes().to_vec(), [vec![1], bob_fingerprint, ada_fingerprint].concat());
}

#[test]
fn device_keys_load() {
    let case = frozen("device_keys");
    let keys = DeviceKeys::load(&bytes(&case["saved"])).unwrap();
    assert_eq!(keys.signing.public_key().as_bytes().to_vec(), bytes(&case["signing_key"]));
    assert_eq!(keys.agreement.public_bytes().to_vec(), bytes(&case["agreement_key"]));
    assert_eq!(*keys.save(), bytes(&case["saved"]));
}
