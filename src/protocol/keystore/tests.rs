#![expect(clippy::unwrap_used, reason = "a test may panic")]

use argon2::{Algorithm, Argon2, AssociatedData, ParamsBuilder, Version};
use data_encoding::HEXLOWER;

use super::argon2id::run;
use super::sealed::{HEADER_LENGTH, purpose};
use crate::protocol::seal::one_use::{OneUseKey, OpenError};

/// RFC 9106, section 5.3.
#[test]
fn argon2id_gives_the_tag_of_the_rfc() {
    let params = ParamsBuilder::new()
        .m_cost(32)
        .t_cost(3)
        .p_cost(4)
        .data(AssociatedData::new(&[4; 12]).unwrap())
        .output_len(32)
        .build()
        .unwrap();
    let argon2 = Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params).unwrap();
    let tag = run(&argon2, &[1; 32], &[2; 16]).unwrap();
    assert_eq!(HEXLOWER.encode(&*tag), "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659");
}

/// The passphrase's output is held fixed here, so that what refuses a changed header is the header's
/// place in the key and in the associated data, not Argon2id.
#[test]
fn any_changed_bit_of_header_or_body_is_refused() {
    let (salt, secret) = ([9; 16], [5; 32]);
    let header = [0x40; HEADER_LENGTH];
    let keystore = OneUseKey::derive(&salt, &secret, purpose(&header)).seal(&header, b"keys").unwrap();
    let open = |keystore: &[u8]| {
        let (header, body) = keystore.split_at(HEADER_LENGTH);
        OneUseKey::derive(&salt, &secret, purpose(header)).open(body)
    };
    assert_eq!(open(&keystore).unwrap().as_slice(), b"keys");
    for bit in 0..keystore.len() * 8 {
        let mut changed = keystore.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(&changed), Err(OpenError), "bit {bit}");
    }
}
