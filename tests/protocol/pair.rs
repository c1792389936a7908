//! Two sides of one session, without the machines around them: fast enough for thousands of messages.

use conclave::ids::{AccountId, DeviceId};
use conclave::protocol::agreement::ResponderPrekeys;
use conclave::protocol::identity::{AccountRoot, DeviceIdentity, DeviceKeys};
use conclave::protocol::public::VerifiedPrekeyBundle;
use conclave::protocol::ratchet::SealedMessage;
use conclave::protocol::secret::{AgreementSecretKey, KemSecretKey};
use conclave::protocol::session::{MessageContext, PairwiseMessage, PairwiseSession, SessionError};
use conclave::wire::{Destination, Timestamp};
use rand_chacha::ChaCha20Rng;

use crate::support::{POLICY, ROOM, START, rng, signed_bundle};

/// Where the messages of these sessions stand.
pub(crate) const CONTEXT: MessageContext = MessageContext { destination: Destination::Room(ROOM), policy: POLICY };

/// Makes the identity of a device of a new account.
pub(crate) fn identity(rng: &mut ChaCha20Rng) -> DeviceIdentity {
    let root = AccountRoot::generate(AccountId::generate(rng), rng);
    let keys = DeviceKeys::generate(rng);
    let device_id = DeviceId::generate(rng);
    let certificate = root.certify(device_id, &keys.signing.public_key(), &keys.agreement.public_key(), START);
    DeviceIdentity::new(keys, &certificate).unwrap()
}

/// A device with one prekey of each kind.
pub(crate) struct Responder {
    pub(crate) identity: DeviceIdentity,
    signed: AgreementSecretKey,
    one_time: AgreementSecretKey,
    kem: KemSecretKey,
}

impl Responder {
    pub(crate) fn new(rng: &mut ChaCha20Rng) -> Self {
        Self {
            identity: identity(rng),
            signed: AgreementSecretKey::generate(rng),
            one_time: AgreementSecretKey::generate(rng),
            kem: KemSecretKey::generate(rng),
        }
    }

    pub(crate) fn bundle(&self) -> VerifiedPrekeyBundle {
        let Self { identity, signed, one_time, kem } = self;
        signed_bundle(identity, &signed.public_key(), &kem.public_key(), &one_time.public_key())
    }

    pub(crate) fn respond(
        &self,
        initiator: &DeviceIdentity,
        first: &PairwiseMessage,
    ) -> Result<PairwiseSession, SessionError> {
        let prekeys = ResponderPrekeys {
            signed_prekey: &self.signed,
            one_time_prekey: Some(&self.one_time),
            kem_prekey: &self.kem,
        };
        let opening = first.opening.as_ref().unwrap();
        PairwiseSession::respond(&self.identity, initiator.device(), opening, &first.sealed, &prekeys)
    }
}

/// Two devices and their session, after the first message.
pub(crate) struct Pair {
    pub(crate) a: PairwiseSession,
    pub(crate) b: PairwiseSession,
    /// The message that made `b`'s side.
    pub(crate) first: SealedMessage,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) now: Timestamp,
}

impl Pair {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = rng(seed);
        let (initiator, responder) = (identity(&mut rng), Responder::new(&mut rng));
        let mut a = PairwiseSession::initiate(&initiator, &responder.bundle(), &mut rng).unwrap();
        let first = PairwiseMessage::parse(&a.seal(b"first", &CONTEXT, &mut rng).unwrap()).unwrap();
        let mut b = responder.respond(&initiator, &first).unwrap();
        assert_eq!(&**b.open_sealed(&first.sealed, &CONTEXT, START).unwrap(), b"first");
        Self { a, b, first: first.sealed, rng, now: START }
    }

    /// A message from `a`, sealed and not yet opened.
    pub(crate) fn a_writes(&mut self, plaintext: &[u8]) -> SealedMessage {
        seal(&mut self.a, plaintext, &mut self.rng)
    }

    pub(crate) fn b_writes(&mut self, plaintext: &[u8]) -> SealedMessage {
        seal(&mut self.b, plaintext, &mut self.rng)
    }

    pub(crate) fn a_reads(&mut self, message: &SealedMessage) -> Result<Vec<u8>, SessionError> {
        open(&mut self.a, message, self.now)
    }

    pub(crate) fn b_reads(&mut self, message: &SealedMessage) -> Result<Vec<u8>, SessionError> {
        open(&mut self.b, message, self.now)
    }

    /// `a` seals messages that do not arrive (yet).
    pub(crate) fn lose(&mut self, count: usize) -> Vec<SealedMessage> {
        (0..count).map(|number| self.a_writes(&number.to_be_bytes())).collect()
    }

    /// `b` writes and `a` reads it: `a`'s next message begins a new chain.
    pub(crate) fn answer(&mut self) {
        let message = self.b_writes(b"answer");
        assert_eq!(self.a_reads(&message).unwrap(), b"answer");
    }
}

/// Seals the session's next message.
pub(crate) fn seal(session: &mut PairwiseSession, plaintext: &[u8], rng: &mut ChaCha20Rng) -> SealedMessage {
    PairwiseMessage::parse(&session.seal(plaintext, &CONTEXT, rng).unwrap()).unwrap().sealed
}

/// Opens a message; if that fails, the session's saved form is byte for byte as before.
pub(crate) fn open(
    session: &mut PairwiseSession,
    message: &SealedMessage,
    now: Timestamp,
) -> Result<Vec<u8>, SessionError> {
    let before = session.save();
    let result = session.open_sealed(message, &CONTEXT, now).map(|plaintext| plaintext.to_vec());
    if result.is_err() {
        assert_eq!(session.save(), before, "a message that fails changes nothing");
    }
    result
}
