//! The places in a pairwise message where the other side's public key arrives, fed with every bad key.
//!
//! The ephemeral key of an opening has to be of prime order. A ratchet key need not be: in another
//! guise it is no bad key, but the message is bound to its bytes and does not open.

use conclave::ids::{AccountId, DeviceId, RoomId};
use conclave::protocol::agreement::{OpeningError, ResponderPrekeys};
use conclave::protocol::identity::{AccountRoot, DeviceIdentity, DeviceKeys};
use conclave::protocol::public::{KeyError, verify_prekey_bundle};
use conclave::protocol::ratchet::{RatchetError, SealedMessage};
use conclave::protocol::session::{MessageContext, PairwiseMessage, PairwiseSession, SessionError};
use conclave::wire::{Custody, Destination, Protection, RoomPolicy, Signatures};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::key_slots::{NOW, Sender};
use crate::x25519;

const CONTEXT: MessageContext = MessageContext {
    destination: Destination::Room(RoomId::from_bytes([7; 16])),
    policy: RoomPolicy { custody: Custody::Client, protection: Protection::Ratchet, signatures: Signatures::On },
};

/// Two devices that have not met: one that writes first, and one whose prekeys are claimed.
struct Strangers {
    initiator: DeviceIdentity,
    responder: DeviceIdentity,
    prekeys: Sender,
    rng: ChaCha20Rng,
}

impl Strangers {
    fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let root = AccountRoot::generate(AccountId::generate(&mut rng), &mut rng);
        let keys = DeviceKeys::generate(&mut rng);
        let (signing, agreement) = (keys.signing.public_key(), keys.agreement.public_key());
        let certificate = root.certify(DeviceId::generate(&mut rng), &signing, &agreement, NOW);
        let initiator = DeviceIdentity::new(keys, &certificate).unwrap();
        let prekeys = Sender::new();
        Self { initiator, responder: prekeys.identity(), prekeys, rng }
    }

    /// The initiator's session, and its first payload.
    fn write_first(&mut self) -> (PairwiseSession, Vec<u8>) {
        let Self { initiator, prekeys, rng, .. } = self;
        let bundle = verify_prekey_bundle(&prekeys.bundle(), &prekeys.device()).unwrap();
        let mut session = PairwiseSession::initiate(initiator, &bundle, rng).unwrap();
        let payload = session.seal(b"first", &CONTEXT, rng).unwrap();
        (session, payload)
    }

    fn respond(&self, first: &PairwiseMessage) -> Result<PairwiseSession, SessionError> {
        let Sender { agreement, kem, .. } = &self.prekeys;
        // The bundle of these tests has one X25519 key in both places.
        let prekeys = ResponderPrekeys { signed_prekey: agreement, one_time_prekey: Some(agreement), kem_prekey: kem };
        let opening = first.opening.as_ref().unwrap();
        PairwiseSession::respond(&self.responder, self.initiator.device(), opening, &first.sealed, &prekeys)
    }

    /// Both sides of a session; each has read a message of the other.
    fn session(&mut self) -> (PairwiseSession, PairwiseSession) {
        let (mut ours, payload) = self.write_first();
        let first = PairwiseMessage::parse(&payload).unwrap();
        let mut theirs = self.respond(&first).unwrap();
        theirs.open_sealed(&first.sealed, &CONTEXT, NOW).unwrap();
        let answer = self.seal(&mut theirs);
        ours.open_sealed(&answer, &CONTEXT, NOW).unwrap();
        (ours, theirs)
    }

    fn seal(&mut self, session: &mut PairwiseSession) -> SealedMessage {
        PairwiseMessage::parse(&session.seal(b"next", &CONTEXT, &mut self.rng).unwrap()).unwrap().sealed
    }
}

fn with_ratchet_key(message: &SealedMessage, ratchet_key: [u8; 32]) -> SealedMessage {
    let mut changed = message.clone();
    changed.header.ratchet_key = ratchet_key;
    changed
}

/// What becomes of a message whose ratchet key is one that is bad where prime order is asked for.
fn refused_ratchet_key(error: KeyError) -> SessionError {
    match error {
        KeyError::MixedOrder => RatchetError::Open.into(),
        KeyError::NonCanonical | KeyError::NotOnCurve | KeyError::LowOrder | KeyError::KemModulus => {
            RatchetError::RatchetKey(error).into()
        }
    }
}

/// Offers a message with every bad key to a session, which stays as it is, and opens the good one in
/// the end. Returns how many keys were refused as such (273), and how many, of mixed order, made a
/// message that does not open (214 of Wycheproof, 28 in another guise).
fn refuse_in_session(session: &mut PairwiseSession, message: &SealedMessage) -> (usize, usize) {
    let (bad, before) = (x25519::bad_keys(), session.save());
    for key in &bad {
        let refused = session.open_sealed(&with_ratchet_key(message, key.bytes), &CONTEXT, NOW).unwrap_err();
        assert_eq!(refused, refused_ratchet_key(key.error), "{}", key.name);
        assert!(session.save() == before, "{}: the session has changed", key.name);
    }
    assert_eq!(&**session.open_sealed(message, &CONTEXT, NOW).unwrap(), b"next");
    let mixed = bad.iter().filter(|key| key.error == KeyError::MixedOrder).count();
    (bad.len() - mixed, mixed)
}

#[test]
fn every_bad_ephemeral_key_is_refused_where_a_first_message_is_parsed() {
    let mut strangers = Strangers::new();
    let (mut session, payload) = strangers.write_first();
    let opening = PairwiseMessage::parse(&payload).unwrap().opening.unwrap();
    // The key stands behind the message's kind.
    assert_eq!(payload[1..33], *opening.ephemeral_key.as_bytes());
    let (bad, before) = (x25519::bad_keys(), session.save());
    for key in &bad {
        let mut changed = payload.clone();
        changed[1..33].copy_from_slice(&key.bytes);
        let expected = SessionError::Opening(OpeningError::EphemeralKey(key.error));
        assert_eq!(PairwiseMessage::parse(&changed), Err(expected), "{}", key.name);
        assert_eq!(session.open(&changed, &CONTEXT, NOW).unwrap_err(), expected, "{}", key.name);
        assert!(session.save() == before, "{}: the session has changed", key.name);
    }
    assert_eq!(bad.len(), 515);
}

#[test]
fn every_bad_ratchet_key_in_a_first_message_makes_no_session() {
    let mut strangers = Strangers::new();
    let (_, payload) = strangers.write_first();
    let first = PairwiseMessage::parse(&payload).unwrap();
    let mut refused = 0;
    for key in x25519::bad_keys() {
        let sealed = with_ratchet_key(&first.sealed, key.bytes);
        let result = strangers.respond(&PairwiseMessage { sealed: sealed.clone(), ..first.clone() });
        if key.error == KeyError::MixedOrder {
            // A session as far as the key tells; nothing opens on it, so it is not kept.
            let error = result.unwrap().open_sealed(&sealed, &CONTEXT, NOW).unwrap_err();
            assert_eq!(error, RatchetError::Open.into(), "{}", key.name);
        } else {
            assert_eq!(result.unwrap_err(), refused_ratchet_key(key.error), "{}", key.name);
            refused += 1;
        }
    }
    assert_eq!(refused, 273);
    let mut session = strangers.respond(&first).unwrap();
    assert_eq!(&**session.open_sealed(&first.sealed, &CONTEXT, NOW).unwrap(), b"first");
}

#[test]
fn every_bad_ratchet_key_in_the_first_answer_is_refused() {
    let mut strangers = Strangers::new();
    let (mut ours, payload) = strangers.write_first();
    let mut theirs = strangers.respond(&PairwiseMessage::parse(&payload).unwrap()).unwrap();
    theirs.open(&payload, &CONTEXT, NOW).unwrap();
    let answer = strangers.seal(&mut theirs);
    assert_eq!(refuse_in_session(&mut ours, &answer), (273, 242));
}

#[test]
fn every_bad_ratchet_key_in_a_known_session_is_refused() {
    let mut strangers = Strangers::new();
    let (mut ours, mut theirs) = strangers.session();
    let message = strangers.seal(&mut ours);
    assert_eq!(refuse_in_session(&mut theirs, &message), (273, 242));
}
