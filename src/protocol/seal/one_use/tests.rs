#![expect(clippy::unwrap_used, reason = "a test may panic")]

use data_encoding::HEXLOWER;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::protocol::public::labels;

const KEY: [u8; 32] = [7; 32];

fn purpose(context: &[u8]) -> Purpose<'_> {
    Purpose { label: labels::VAULT_ITEM, context, plaintext_bytes_max: 100 }
}

fn sealed(plaintext: &[u8]) -> Vec<u8> {
    seal(&KEY, purpose(b"here"), plaintext, &mut ChaCha20Rng::seed_from_u64(1)).unwrap()
}

fn bytes(value: &serde_json::Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

#[test]
fn what_was_sealed_opens_for_its_purpose_and_key_alone() {
    let sealed = sealed(b"secret");
    assert_eq!(sealed.len(), 6 + limits::ONE_USE_OVERHEAD_BYTES);
    assert_eq!(open(&KEY, purpose(b"here"), &sealed).unwrap().as_slice(), b"secret");

    let other_label = Purpose { label: labels::BACKUP, ..purpose(b"here") };
    assert_eq!(open(&KEY, purpose(b"there"), &sealed), Err(OpenError));
    assert_eq!(open(&KEY, other_label, &sealed), Err(OpenError));
    assert_eq!(open(&[8; 32], purpose(b"here"), &sealed), Err(OpenError));
}

#[test]
fn each_sealing_draws_its_own_salt() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let [first, second] = [(); 2].map(|()| seal(&KEY, purpose(b"here"), b"secret", &mut rng).unwrap());
    let parts = |sealed: &[u8]| (sealed[1..33].to_vec(), sealed[33..65].to_vec(), sealed[65..].to_vec());
    let (a, b) = (parts(&first), parts(&second));
    assert!(a.0 != b.0 && a.1 != b.1 && a.2 != b.2);
}

#[test]
fn any_changed_bit_is_refused() {
    let sealed = sealed(b"secret");
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(&KEY, purpose(b"here"), &changed), Err(OpenError), "bit {bit}");
    }
}

#[test]
fn any_other_length_is_refused() {
    let sealed = sealed(b"secret");
    for length in 0..sealed.len() {
        assert_eq!(open(&KEY, purpose(b"here"), &sealed[..length]), Err(OpenError), "{length} bytes");
    }
    assert_eq!(open(&KEY, purpose(b"here"), &[sealed, vec![0]].concat()), Err(OpenError));
}

#[test]
fn the_form_is_checked_without_a_key() {
    let sealed = sealed(b"");
    assert_eq!(sealed.len(), 81);
    assert_eq!(check_form(&sealed, "thing", 81), Ok(()));
    assert_eq!(check_form(&sealed, "thing", 80), Err(WireError::OverLimit { field: "thing", limit: 80 }));
    assert_eq!(check_form(&sealed[..80], "thing", 81), Err(WireError::Truncated));
    assert_eq!(check_form(&[], "thing", 81), Err(WireError::Truncated));
    assert_eq!(check_form(&[2; 81], "thing", 81), Err(WireError::UnknownVersion { version: 2 }));
}

#[test]
fn the_limit_holds_on_both_sides() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let longest = seal(&KEY, purpose(b"here"), &[1; 100], &mut rng).unwrap();
    assert_eq!(open(&KEY, purpose(b"here"), &longest).unwrap().as_slice(), [1; 100]);
    assert_eq!(seal(&KEY, purpose(b"here"), &[1; 101], &mut rng), Err(TooLong { actual: 101, limit: 100 }));

    let wider = Purpose { plaintext_bytes_max: 101, ..purpose(b"here") };
    let longer = seal(&KEY, wider, &[1; 101], &mut rng).unwrap();
    assert!(open(&KEY, wider, &longer).is_ok());
    assert_eq!(open(&KEY, purpose(b"here"), &longer), Err(OpenError));
}

/// `tests/python/frozen_vault.py` solves for one ciphertext and tag that two keys open. The commitment says
/// which of the two was meant, and the other refuses it.
#[test]
fn a_ciphertext_made_for_two_keys_opens_under_one_only() {
    let frozen: serde_json::Value = serde_json::from_str(FROZEN).unwrap();
    let case = &frozen["two_keys"];
    let (context, salt, body) = (bytes(&case["context"]), bytes(&case["salt"]), bytes(&case["body"]));
    let sides = case["sides"].as_array().unwrap();
    let associated_data = [labels::VAULT_ITEM, &context].concat();

    for (index, side) in sides.iter().enumerate() {
        let array = |name: &str| <[u8; 32]>::try_from(bytes(&side[name])).unwrap();
        let nonce: [u8; 12] = bytes(&side["nonce"]).try_into().unwrap();
        let derived = OneUseKey::derive(&salt, &array("secret"), purpose(&context));
        assert_eq!((*derived.key, derived.nonce, derived.commitment), (array("key"), nonce, array("commitment")));

        // The AEAD alone opens the same bytes under either key.
        let mut opened = body.clone();
        aead::open_in_place(&array("key"), &nonce, &associated_data, &mut opened).unwrap();
        assert_eq!(opened, bytes(&side["plaintext"]));

        for (other_index, other) in sides.iter().enumerate() {
            let sealed = [&[VERSION], &salt[..], &bytes(&other["commitment"]), &body].concat();
            let result = open(&array("secret"), purpose(&context), &sealed);
            if index == other_index {
                assert_eq!(result.unwrap().as_slice(), bytes(&side["plaintext"]));
            } else {
                assert_eq!(result, Err(OpenError));
            }
        }
    }
}

#[test]
fn debug_shows_no_key() {
    assert_eq!(format!("{:?}", OneUseKey::derive(b"salt", &KEY, purpose(b"here"))), "OneUseKey(..)");
}

proptest! {
    #[test]
    fn any_plaintext_comes_back(
        key: [u8; 32],
        context in prop::collection::vec(any::<u8>(), 0..80),
        plaintext in prop::collection::vec(any::<u8>(), 0..=100),
        seed: u64,
    ) {
        let sealed = seal(&key, purpose(&context), &plaintext, &mut ChaCha20Rng::seed_from_u64(seed)).unwrap();
        prop_assert_eq!(&*open(&key, purpose(&context), &sealed).unwrap(), &plaintext);
    }

    #[test]
    fn any_bytes_are_refused(sealed in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(open(&KEY, purpose(b"here"), &[&[VERSION], &sealed[..]].concat()), Err(OpenError));
    }
}

const FROZEN: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vault/frozen.json"));
