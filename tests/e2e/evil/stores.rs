//! Weak parameters for a passphrase. The node gives none: what it keeps of an account is sealed under keys of 256 bits, and
//! Argon2id stands before the store's file alone.

use conclave::client::{Store, StoreError};
use conclave::protocol::keystore::{Argon2Parameter, KeystoreError};

use crate::direct::passphrase;
use crate::process::DataFolder;

/// Where the three parameters stand in a keystore: behind its version, 4 bytes each.
const PLACES: [(Argon2Parameter, usize); 3] =
    [(Argon2Parameter::MemoryKib, 1), (Argon2Parameter::Iterations, 5), (Argon2Parameter::Lanes, 9)];

#[tokio::test]
async fn a_store_with_weak_or_ruinous_parameters_is_refused_before_any_work() {
    let folder = DataFolder::new();
    let path = folder.path().join("ada");
    drop(Store::create(&path, passphrase()).await.unwrap());
    let read = |database: &rusqlite::Connection| -> Vec<u8> {
        database.query_row("SELECT keystore FROM store", [], |row| row.get(0)).unwrap()
    };
    let write = |keystore: &[u8]| {
        let database = rusqlite::Connection::open(&path).unwrap();
        assert_eq!(database.execute("UPDATE store SET keystore = ?", [keystore]).unwrap(), 1);
    };
    let truth = read(&rusqlite::Connection::open(&path).unwrap());
    for (parameter, place) in PLACES {
        for value in [0, u32::MAX] {
            let mut changed = truth.clone();
            changed[place..place + 4].copy_from_slice(&u32::to_be_bytes(value));
            write(&changed);
            let refused = Store::open(&path, passphrase()).await.unwrap_err();
            let StoreError::Keystore(error) = refused else { panic!("{refused:?}") };
            match error {
                KeystoreError::BelowFloor { parameter: named, actual, .. } => {
                    assert_eq!((named, actual, value), (parameter, value, 0));
                }
                KeystoreError::AboveCeiling { parameter: named, actual, .. } => {
                    assert_eq!((named, actual, value), (parameter, value, u32::MAX));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    // A little less than what is asked for, and otherwise what somebody may choose.
    let mut changed = truth.clone();
    changed[1..5].copy_from_slice(&u32::to_be_bytes(64 * 1024 - 1));
    write(&changed);
    let refused = Store::open(&path, passphrase()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Keystore(KeystoreError::BelowFloor { .. })), "{refused:?}");
    write(&truth);
    Store::open(&path, passphrase()).await.unwrap();
}
