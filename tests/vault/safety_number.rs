use conclave::protocol::public::SigningPublicKey;
use conclave::protocol::safety_number::{AccountKey, SafetyNumber, SafetyNumberError, Sides};
use conclave::protocol::secret::SigningSecretKey;

use super::{account, rng};

fn root_key(seed: u64) -> SigningPublicKey {
    SigningSecretKey::generate(&mut rng(seed)).public_key()
}

/// The number of two sides, each given as an account and a seed of its root key.
fn number(ours: (u8, u64), theirs: (u8, u64)) -> SafetyNumber {
    let [ours, theirs] =
        [ours, theirs].map(|(id, seed)| AccountKey { account_id: account(id), root_key: root_key(seed) });
    SafetyNumber::of(&Sides { ours, theirs })
}

#[test]
fn both_sides_read_the_same_60_digits() {
    let (at_ada, at_bob) = (number((1, 1), (2, 2)).to_string(), number((2, 2), (1, 1)).to_string());
    assert_eq!(at_ada, at_bob);
    let groups: Vec<_> = at_ada.split(' ').collect();
    assert_eq!(groups.len(), 12);
    assert!(groups.iter().all(|group| group.len() == 5 && group.bytes().all(|byte| byte.is_ascii_digit())));
}

#[test]
fn another_key_or_account_on_either_side_changes_the_number() {
    let numbers =
        [((1, 1), (2, 2)), ((1, 3), (2, 2)), ((1, 1), (2, 3)), ((3, 1), (2, 2)), ((1, 1), (3, 2)), ((2, 1), (1, 2))]
            .map(|(ours, theirs)| number(ours, theirs).to_string());
    for (index, first) in numbers.iter().enumerate() {
        for second in &numbers[index + 1..] {
            assert_ne!(first, second);
        }
    }
}

#[test]
fn scanning_confirms_the_same_keys_and_says_which_differ() {
    let at_ada = number((1, 1), (2, 2));
    let scan_of = |ours, theirs| at_ada.verify_qr(&number(ours, theirs).qr_bytes());
    assert_eq!(scan_of((2, 2), (1, 1)), Ok(()));
    assert_eq!(scan_of((2, 3), (1, 1)), Err(SafetyNumberError::TheirKey));
    assert_eq!(scan_of((2, 2), (1, 3)), Err(SafetyNumberError::OurKey));
    assert_eq!(scan_of((3, 3), (4, 4)), Err(SafetyNumberError::BothKeys));
    // One's own code is no confirmation.
    assert_eq!(at_ada.verify_qr(&at_ada.qr_bytes()), Err(SafetyNumberError::BothKeys));
}

#[test]
fn a_code_with_any_changed_byte_is_refused() {
    let at_ada = number((1, 1), (2, 2));
    for (index, changed) in super::with_each_byte_changed(&number((2, 2), (1, 1)).qr_bytes()).enumerate() {
        let expected = match index {
            0 => SafetyNumberError::UnknownVersion { version: 0 },
            1..=32 => SafetyNumberError::TheirKey,
            _ => SafetyNumberError::OurKey,
        };
        assert_eq!(at_ada.verify_qr(&changed), Err(expected), "byte {index}");
    }
}

#[test]
fn a_code_of_another_length_or_version_is_named() {
    let at_ada = number((1, 1), (2, 2));
    let code = number((2, 2), (1, 1)).qr_bytes().to_vec();
    for length in 0..code.len() {
        let expected = SafetyNumberError::Length { expected: 65, actual: length };
        assert_eq!(at_ada.verify_qr(&code[..length]), Err(expected));
    }
    let longer = [code, vec![0]].concat();
    assert_eq!(at_ada.verify_qr(&longer), Err(SafetyNumberError::Length { expected: 65, actual: 66 }));
    assert_eq!(at_ada.verify_qr(b"\x02"), Err(SafetyNumberError::UnknownVersion { version: 2 }));
    assert_eq!(at_ada.verify_qr(b"https://example.org"), Err(SafetyNumberError::UnknownVersion { version: b'h' }));
}
