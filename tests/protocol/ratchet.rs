//! The ratchet's limits, each at its last good value and one past it, and what a header can do.

use conclave::protocol::public::{KeyError, RatchetPublicKey, limits};
use conclave::protocol::ratchet::{Header, RatchetError, SealedMessage};
use conclave::protocol::secret::AgreementSecretKey;
use conclave::protocol::session::{PairwiseMessage, PairwiseSession, SessionError};
use core::time::Duration;
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::montgomery::MontgomeryPoint;

use crate::pair::{CONTEXT, Pair, Responder, identity, open};
use crate::support::rng;

const SKIP_MAX: usize = limits::SKIP_MAX as usize;
const MILLISECOND: Duration = Duration::from_millis(1);

fn ratchet(error: RatchetError) -> Result<Vec<u8>, SessionError> {
    Err(SessionError::Ratchet(error))
}

#[test]
fn a_message_may_run_2000_ahead_and_not_2001() {
    let mut pair = Pair::new(1);
    pair.lose(SKIP_MAX);
    let ahead = pair.a_writes(b"2,000 ahead");
    let too_far = pair.a_writes(b"2,001 ahead");
    assert_eq!(pair.b_reads(&too_far), ratchet(RatchetError::TooFarAhead));
    assert_eq!(pair.b_reads(&ahead).unwrap(), b"2,000 ahead");
    assert_eq!(pair.b.ratchet().skipped_keys(), SKIP_MAX);
    assert_eq!(pair.b_reads(&too_far).unwrap(), b"2,001 ahead", "it was only early");
}

#[test]
fn a_message_on_a_new_chain_may_run_2000_ahead_and_not_2001() {
    let mut pair = Pair::new(2);
    pair.answer();
    pair.lose(SKIP_MAX);
    let ahead = pair.a_writes(b"2,000 ahead");
    let too_far = pair.a_writes(b"2,001 ahead");
    assert_eq!(pair.b_reads(&too_far), ratchet(RatchetError::TooFarAhead));
    assert_eq!(pair.b_reads(&ahead).unwrap(), b"2,000 ahead");
}

/// A message that brings a new chain leaves room for at most 2,000 keys over both chains; what is
/// lost at the end of the old one beyond that is given up, and does not stand against the new one.
#[test]
fn late_messages_of_the_chain_before_have_the_room_that_the_new_one_leaves() {
    for (old, new) in [(0, SKIP_MAX), (1, SKIP_MAX - 1), (1_200, 800), (SKIP_MAX, 0), (SKIP_MAX + 1, 0), (1, SKIP_MAX)]
    {
        let mut pair = Pair::new(3);
        let lost = pair.lose(old);
        pair.answer();
        pair.lose(new);
        let message = pair.a_writes(b"on a new chain");
        assert_eq!(message.header.previous_chain_length as usize, old + 1);
        assert_eq!(pair.b_reads(&message).unwrap(), b"on a new chain");
        let kept = old.min(SKIP_MAX - new);
        assert_eq!(pair.b.ratchet().skipped_keys(), new + kept);
        for message in &lost[..kept] {
            pair.b_reads(message).unwrap();
        }
        for message in &lost[kept..] {
            assert_eq!(pair.b_reads(message), ratchet(RatchetError::ChainGone));
        }
    }
}

#[test]
fn the_oldest_of_2001_late_messages_is_given_up() {
    let mut pair = Pair::new(4);
    let late = pair.lose(limits::SKIPPED_KEYS_MAX);
    let message = pair.a_writes(b"");
    pair.b_reads(&message).unwrap();
    assert_eq!(pair.b.ratchet().skipped_keys(), limits::SKIPPED_KEYS_MAX);

    let one_more = pair.lose(1);
    let message = pair.a_writes(b"");
    pair.b_reads(&message).unwrap();
    assert_eq!(pair.b.ratchet().skipped_keys(), limits::SKIPPED_KEYS_MAX);
    assert_eq!(pair.b_reads(&late[0]), ratchet(RatchetError::KeyGivenUp));
    assert_eq!(pair.b_reads(&late[1]).unwrap(), 1_usize.to_be_bytes());
    assert_eq!(pair.b_reads(&one_more[0]).unwrap(), 0_usize.to_be_bytes());
    // That a key was given up is saved; what was read behind it is not asked for again.
    let saved = pair.b.save();
    pair.b = PairwiseSession::load(&saved).unwrap();
    assert_eq!(pair.b.save(), saved);
    assert_eq!(pair.b_reads(&late[0]), ratchet(RatchetError::KeyGivenUp));
    assert_eq!(pair.b_reads(&late[1]), ratchet(RatchetError::KeyGone));
    assert_eq!(pair.b.ratchet().skipped_keys(), limits::SKIPPED_KEYS_MAX - 2);
}

#[test]
fn the_oldest_goes_first_over_chains_too() {
    let mut pair = Pair::new(5);
    let on_first_chain = pair.lose(2);
    pair.answer();
    let on_second_chain = pair.lose(limits::SKIPPED_KEYS_MAX - 2);
    let message = pair.a_writes(b"");
    pair.b_reads(&message).unwrap();
    pair.lose(1);
    let message = pair.a_writes(b"");
    pair.b_reads(&message).unwrap();
    assert_eq!(pair.b_reads(&on_first_chain[0]), ratchet(RatchetError::KeyGivenUp));
    pair.b_reads(&on_first_chain[1]).unwrap();
    pair.b_reads(&on_second_chain[0]).unwrap();
}

#[test]
fn late_messages_of_five_chains_are_read_and_of_a_sixth_not() {
    let mut pair = Pair::new(6);
    let mut late = Vec::new();
    for _ in 0..=limits::RECEIVING_CHAINS_MAX {
        late.extend(pair.lose(1));
        let message = pair.a_writes(b"");
        pair.b_reads(&message).unwrap();
        pair.answer();
    }
    // Its chain is unknown now, so it looks like one to come.
    assert_eq!(pair.b_reads(&late[0]), ratchet(RatchetError::Open));
    for message in &late[1..] {
        pair.b_reads(message).unwrap();
    }
}

#[test]
fn the_key_of_a_late_message_is_kept_for_30_days_and_no_millisecond_longer() {
    let mut pair = Pair::new(7);
    let late = pair.lose(2);
    let message = pair.a_writes(b"");
    pair.b_reads(&message).unwrap();

    let last_moment = pair.now.plus(limits::SKIPPED_KEY_KEPT);
    pair.b.expire(last_moment);
    assert_eq!(pair.b.ratchet().skipped_keys(), 2);
    pair.now = last_moment;
    pair.b_reads(&late[0]).unwrap();
    pair.b.expire(last_moment.plus(MILLISECOND));
    assert_eq!(pair.b.ratchet().skipped_keys(), 0);
    assert_eq!(pair.b_reads(&late[1]), ratchet(RatchetError::KeyGivenUp));
}

#[test]
fn opening_another_message_gives_up_what_is_over_30_days_old() {
    let mut pair = Pair::new(8);
    let late = pair.lose(1);
    let message = pair.a_writes(b"");
    pair.b_reads(&message).unwrap();
    pair.now = pair.now.plus(limits::SKIPPED_KEY_KEPT).plus(MILLISECOND);
    let message = pair.a_writes(b"");
    pair.b_reads(&message).unwrap();
    assert_eq!(pair.b_reads(&late[0]), ratchet(RatchetError::KeyGivenUp));
}

#[test]
fn a_chain_ends_after_2_to_the_32_less_one_messages() {
    const NEXT_AT: usize = 1 + 16 + 32 + 1 + 32 + 1 + 96;
    let mut pair = Pair::new(9);
    pair.answer();
    let first = pair.a_writes(b"the first of its chain");
    let mut saved = pair.a.save();
    assert_eq!(saved[NEXT_AT..NEXT_AT + 4], 1_u32.to_be_bytes(), "the place of the counter");
    saved[NEXT_AT..NEXT_AT + 4].copy_from_slice(&(u32::MAX - 1).to_be_bytes());

    let mut a = PairwiseSession::load(&saved).unwrap();
    let last = a.seal(b"the last", &CONTEXT, &mut pair.rng).unwrap();
    assert_eq!(PairwiseMessage::parse(&last).unwrap().sealed.header.message_number, u32::MAX - 1);
    let before = a.save();
    let error = a.seal(b"one more", &CONTEXT, &mut pair.rng).unwrap_err();
    assert_eq!(error, SessionError::Ratchet(RatchetError::ChainExhausted));
    assert_eq!(a.save(), before);
    // An answer begins a new chain.
    pair.b_reads(&first).unwrap();
    let answer = pair.b_writes(b"answer");
    open(&mut a, &answer, pair.now).unwrap();
    a.seal(b"on a new chain", &CONTEXT, &mut pair.rng).unwrap();
}

#[test]
fn the_longest_message_is_sealed_and_one_byte_more_is_not() {
    let mut pair = Pair::new(10);
    let longest = vec![7; limits::MESSAGE_BYTES_MAX];
    let message = pair.a_writes(&longest);
    assert_eq!(pair.b_reads(&message).unwrap(), longest);
    let before = pair.a.save();
    let error = pair.a.seal(&vec![7; limits::MESSAGE_BYTES_MAX + 1], &CONTEXT, &mut pair.rng).unwrap_err();
    assert_eq!(error, SessionError::Ratchet(RatchetError::TooLong));
    assert_eq!(pair.a.save(), before);
}

#[test]
fn a_forged_header_leaves_the_ratchet_unchanged() {
    // Once on a chain that is known, once on one that the message begins.
    for is_new_chain in [false, true] {
        let mut pair = Pair::new(11);
        if is_new_chain {
            pair.answer();
        }
        let message = pair.a_writes(b"genuine");
        for bit in 0..Header::LENGTH * 8 {
            let mut bytes = message.header.to_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let header = Header::read(&mut conclave::wire::Reader::new(&bytes)).unwrap();
            // `open` compares the saved forms.
            pair.b_reads(&SealedMessage { header, ..message.clone() }).unwrap_err();
        }
        assert_eq!(pair.b_reads(&message).unwrap(), b"genuine");
    }
}

#[test]
fn a_forged_ciphertext_leaves_the_ratchet_unchanged() {
    let mut pair = Pair::new(12);
    pair.answer();
    let message = pair.a_writes(b"genuine");
    for index in 0..message.ciphertext.len() {
        let mut forged = message.clone();
        forged.ciphertext[index] ^= 0x80;
        assert_eq!(pair.b_reads(&forged), ratchet(RatchetError::Open));
        forged.ciphertext.truncate(index);
        assert_eq!(pair.b_reads(&forged), ratchet(RatchetError::Open));
    }
    let mut longer = message.clone();
    longer.ciphertext.push(0);
    assert_eq!(pair.b_reads(&longer), ratchet(RatchetError::Open));
    assert_eq!(pair.b_reads(&message).unwrap(), b"genuine");
}

/// The same key in another guise gives the same secret, so only the associated data can tell.
#[test]
fn a_ratchet_key_of_mixed_order_does_not_open_in_place_of_its_equal() {
    let mut pair = Pair::new(13);
    pair.answer();
    let message = pair.a_writes(b"genuine");
    let genuine = RatchetPublicKey::parse(&message.header.ratchet_key).unwrap();
    let point = MontgomeryPoint(message.header.ratchet_key).to_edwards(0).unwrap();
    let anybody = AgreementSecretKey::generate(&mut pair.rng);
    for torsion in &EIGHT_TORSION[1..] {
        let guise = (point + torsion).to_montgomery().to_bytes();
        let parsed = RatchetPublicKey::parse(&guise).unwrap();
        assert_eq!(
            anybody.agree_ratchet(&parsed).unwrap().as_bytes(),
            anybody.agree_ratchet(&genuine).unwrap().as_bytes()
        );
        let mut forged = message.clone();
        forged.header.ratchet_key = guise;
        assert_eq!(pair.b_reads(&forged), ratchet(RatchetError::Open));
    }
    assert_eq!(pair.b_reads(&message).unwrap(), b"genuine");
}

/// Ratchet keys that are no good, and what is wrong with them.
fn bad_ratchet_keys() -> Vec<([u8; 32], KeyError)> {
    let mut one = [0; 32];
    one[0] = 1;
    let mut top_bit = [9; 32];
    top_bit[31] = 0x80;
    let mut prime = [0xff; 32];
    (prime[0], prime[31]) = (0xed, 0x7f);
    let mut on_twist = [0; 32];
    on_twist[0] = 2;
    let mut keys = vec![
        ([0; 32], KeyError::LowOrder),
        (one, KeyError::LowOrder),
        (top_bit, KeyError::NonCanonical),
        (prime, KeyError::NonCanonical),
        ([0xff; 32], KeyError::NonCanonical),
        (on_twist, KeyError::NotOnCurve),
    ];
    keys.extend(EIGHT_TORSION[1..].iter().map(|torsion| (torsion.to_montgomery().to_bytes(), KeyError::LowOrder)));
    keys
}

#[test]
fn a_bad_ratchet_key_is_refused_by_name() {
    let mut pair = Pair::new(14);
    pair.answer();
    let message = pair.a_writes(b"genuine");
    for (key, error) in bad_ratchet_keys() {
        let mut forged = message.clone();
        forged.header.ratchet_key = key;
        assert_eq!(pair.b_reads(&forged), ratchet(RatchetError::RatchetKey(error)), "{key:02x?}");
    }
    assert_eq!(pair.b_reads(&message).unwrap(), b"genuine");
}

#[test]
fn a_bad_ratchet_key_in_a_first_message_makes_no_session() {
    let mut rng = rng(15);
    let (initiator, responder) = (identity(&mut rng), Responder::new(&mut rng));
    let mut a = PairwiseSession::initiate(&initiator, &responder.bundle(), &mut rng).unwrap();
    let first = PairwiseMessage::parse(&a.seal(b"first", &CONTEXT, &mut rng).unwrap()).unwrap();
    for (key, error) in bad_ratchet_keys() {
        let mut forged = first.clone();
        forged.sealed.header.ratchet_key = key;
        let refused = responder.respond(&initiator, &forged).unwrap_err();
        assert_eq!(refused, SessionError::Ratchet(RatchetError::RatchetKey(error)), "{key:02x?}");
    }
    responder.respond(&initiator, &first).unwrap();
}

#[test]
fn a_saved_session_in_order_is_below_one_kibibyte() {
    let mut pair = Pair::new(16);
    for _ in 0..2 * limits::RECEIVING_CHAINS_MAX {
        let message = pair.a_writes(b"");
        pair.b_reads(&message).unwrap();
        pair.answer();
    }
    assert!(pair.a.save().len() < 1024 && pair.b.save().len() < 1024);
}

#[test]
fn a_saved_session_is_refused_when_it_is_cut_or_lengthened() {
    let mut pair = Pair::new(17);
    pair.lose(3);
    let message = pair.a_writes(b"");
    pair.b_reads(&message).unwrap();
    let saved = pair.b.save();
    assert_eq!(PairwiseSession::load(&saved).unwrap().save(), saved);
    for length in 0..saved.len() {
        PairwiseSession::load(&saved[..length]).unwrap_err();
    }
    PairwiseSession::load(&[&saved[..], &[0]].concat()).unwrap_err();
    let mut other_version = saved.to_vec();
    other_version[0] = 2;
    PairwiseSession::load(&other_version).unwrap_err();
}
