//! Argon2id takes a fifth of a second at its floor, so few of these tests run it.

use conclave::protocol::keystore::{
    Argon2Costs, Argon2Parameter, Argon2Parameters, KeystoreError, Passphrase, keystore_parameters, open_keystore,
    seal_keystore,
};
use conclave::protocol::public::limits::{KEYSTORE_BYTES_MAX, PASSPHRASE_BYTES_MAX};
use conclave::wire::WireError;
use proptest::prelude::*;

use super::{assert_wiped_on_drop, rng};

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned()).unwrap()
}

fn parameters(memory_kib: u32, iterations: u32, lanes: u32) -> Result<Argon2Parameters, KeystoreError> {
    Argon2Costs { memory_kib, iterations, lanes }.try_into()
}

/// A header of version 1 with these parameters and zeros after it: enough to be looked at.
fn unopenable(memory_kib: u32, iterations: u32, lanes: u32, body_length: usize) -> Vec<u8> {
    let parameters = [memory_kib, iterations, lanes].map(u32::to_be_bytes).concat();
    [&[1], &parameters[..], &vec![0; 16 + body_length]].concat()
}

#[test]
fn the_right_passphrase_opens_and_nothing_else_does() {
    let parameters = parameters(64 * 1024, 3, 2).unwrap();
    let keystore = seal_keystore(&passphrase("tea"), parameters, b"", &mut rng(1)).unwrap();
    assert_eq!(keystore.len(), 77);
    assert_eq!(keystore_parameters(&keystore), Ok(parameters));
    assert!(open_keystore(&passphrase("tea"), &keystore).unwrap().is_empty());
    assert_eq!(open_keystore(&passphrase("Tea"), &keystore), Err(KeystoreError::Open));

    // Another parameter that is allowed, a changed tag, one byte more.
    let mut changed = [keystore.clone(), keystore.clone(), keystore.clone()];
    changed[0][12] = 1;
    changed[1][76] ^= 1;
    changed[2].push(0);
    for changed in changed {
        assert_eq!(open_keystore(&passphrase("tea"), &changed), Err(KeystoreError::Open));
    }

    for length in 0..keystore.len() {
        assert_eq!(
            open_keystore(&passphrase("tea"), &keystore[..length]),
            Err(KeystoreError::Malformed(WireError::Truncated)),
            "{length} bytes"
        );
    }
}

#[test]
fn weak_and_ruinous_parameters_are_refused_in_settings_and_in_files() {
    use Argon2Parameter::{Iterations, Lanes, MemoryKib};
    let below = |parameter, actual, floor| KeystoreError::BelowFloor { parameter, actual, floor };
    let above = |parameter, actual, ceiling| KeystoreError::AboveCeiling { parameter, actual, ceiling };
    let cases = [
        ((65_535, 3, 1), below(MemoryKib, 65_535, 65_536)),
        ((0, 0, 0), below(MemoryKib, 0, 65_536)),
        ((1_048_577, 3, 1), above(MemoryKib, 1_048_577, 1_048_576)),
        ((u32::MAX, 3, 1), above(MemoryKib, u32::MAX, 1_048_576)),
        ((65_536, 2, 1), below(Iterations, 2, 3)),
        ((65_536, 17, 1), above(Iterations, 17, 16)),
        ((65_536, 3, 0), below(Lanes, 0, 1)),
        ((65_536, 3, 9), above(Lanes, 9, 8)),
    ];
    for ((memory_kib, iterations, lanes), error) in cases {
        assert_eq!(parameters(memory_kib, iterations, lanes), Err(error));
        let file = unopenable(memory_kib, iterations, lanes, 48);
        assert_eq!(keystore_parameters(&file), Err(error));
        assert_eq!(open_keystore(&passphrase("tea"), &file), Err(error));
    }
    assert!(parameters(65_536, 3, 1).is_ok());
    assert!(parameters(1_048_576, 16, 8).is_ok());
}

#[test]
fn content_over_the_limit_is_refused_on_both_sides() {
    let (limit, parameters) = (KEYSTORE_BYTES_MAX, Argon2Parameters::default());
    assert_eq!(
        seal_keystore(&passphrase("tea"), parameters, &vec![1; limit + 1], &mut rng(1)),
        Err(KeystoreError::TooLong { actual: limit + 1, limit })
    );
    let over = KeystoreError::Malformed(WireError::OverLimit { field: "keystore content", limit });
    assert_eq!(keystore_parameters(&unopenable(65_536, 3, 1, 48 + limit)), Ok(parameters));
    assert_eq!(keystore_parameters(&unopenable(65_536, 3, 1, 48 + limit + 1)), Err(over));

    let longest = seal_keystore(&passphrase("tea"), parameters, &vec![1; limit], &mut rng(1)).unwrap();
    assert_eq!(*open_keystore(&passphrase("tea"), &longest).unwrap(), vec![1; limit]);
}

#[test]
fn unknown_versions_are_named() {
    let mut file = unopenable(65_536, 3, 1, 48);
    file[0] = 2;
    assert_eq!(
        open_keystore(&passphrase("tea"), &file),
        Err(KeystoreError::Malformed(WireError::UnknownVersion { version: 2 }))
    );
}

#[test]
fn passphrases_have_1_to_1024_bytes() {
    let refusal = |text: String| Passphrase::new(text).err();
    assert_eq!(refusal(String::new()), Some(KeystoreError::PassphraseEmpty));
    assert_eq!(refusal("x".repeat(PASSPHRASE_BYTES_MAX)), None);
    assert_eq!(
        refusal("x".repeat(PASSPHRASE_BYTES_MAX + 1)),
        Some(KeystoreError::PassphraseTooLong { actual: 1025, limit: 1024 })
    );
}

#[test]
fn a_passphrase_is_not_printed_and_is_wiped() {
    assert_eq!(format!("{:?}", passphrase("tea")), "Passphrase(..)");
    assert_wiped_on_drop::<Passphrase>();
}

proptest! {
    #[test]
    fn parsing_any_bytes_gives_parameters_within_bounds_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        version in prop_oneof![Just(1_u8), any::<u8>()],
    ) {
        if let Ok(parameters) = keystore_parameters(&[&[version], &bytes[..]].concat()) {
            prop_assert!((65_536..=1_048_576).contains(&parameters.costs().memory_kib));
            prop_assert!((3..=16).contains(&parameters.costs().iterations));
            prop_assert!((1..=8).contains(&parameters.costs().lanes));
        }
    }
}
