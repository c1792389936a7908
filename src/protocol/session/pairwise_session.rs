//! One session between two devices.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::context::MessageContext;
use super::error::SessionError;
use super::message::{PairwiseMessage, encode};
use crate::ids::OpeningId;
use crate::protocol::agreement::{Agreed, Initiated, Opening, ResponderPrekeys, SessionBinding, initiate, respond};
use crate::protocol::identity::DeviceIdentity;
use crate::protocol::public::{VerifiedDevice, VerifiedPrekeyBundle};
use crate::protocol::ratchet::{DoubleRatchet, SealedMessage, SendingStep};
use crate::wire::{Reader, Timestamp, Writer};

/// A pairwise session.
pub struct PairwiseSession {
    id: OpeningId,
    binding: SessionBinding,
    /// The opening, while the responder has not answered; it goes with every message until then.
    unanswered: Option<Box<Opening>>,
    ratchet: DoubleRatchet,
}

/// The change of state that belongs to a prepared message. Boxed: steps are gathered for many devices,
/// and moving one about leaves no copy of its keys.
pub(in crate::protocol) struct SessionStep(Box<SendingStep>);

const _: () = assert!(size_of::<SessionStep>() == size_of::<usize>(), "a list of steps would hold their keys itself");

impl PairwiseSession {
    /// Version of the saved form.
    const SAVED_VERSION: u8 = 1;

    /// Starts a session with a device that may be offline.
    ///
    /// # Errors
    /// [`SessionError::Agreement`].
    pub fn initiate(
        identity: &DeviceIdentity,
        bundle: &VerifiedPrekeyBundle,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, SessionError> {
        let Initiated { agreed: Agreed { secret, binding }, opening } = initiate(identity, bundle, rng)?;
        Ok(Self {
            id: opening.id(),
            binding,
            ratchet: DoubleRatchet::initiate(&secret, &bundle.signed_prekey),
            unanswered: Some(Box::new(opening)),
        })
    }

    /// Makes the other side of a session from its first message. Only when a message opens on it is
    /// it known to be `initiator`'s: until then nothing may be kept of it.
    ///
    /// # Errors
    /// [`SessionError::Agreement`], or [`SessionError::Ratchet`] for an unacceptable ratchet key.
    pub fn respond(
        identity: &DeviceIdentity,
        initiator: &VerifiedDevice,
        opening: &Opening,
        first: &SealedMessage,
        prekeys: &ResponderPrekeys<'_>,
    ) -> Result<Self, SessionError> {
        let Agreed { secret, binding } = respond(identity, initiator, opening, prekeys)?;
        let ratchet = DoubleRatchet::respond(&secret, prekeys.signed_prekey, &first.header.ratchet_key)?;
        Ok(Self { id: opening.id(), binding, unanswered: None, ratchet })
    }

    /// Which session it is; the same on both sides.
    #[must_use]
    pub const fn id(&self) -> OpeningId {
        self.id
    }

    /// Whether the other side is known to hold the session too.
    #[must_use]
    pub const fn is_answered(&self) -> bool {
        self.unanswered.is_none()
    }

    /// The ratchet's public side: chains and kept keys.
    #[must_use]
    pub const fn ratchet(&self) -> &DoubleRatchet {
        &self.ratchet
    }

    /// Gives up the oldest keys of late messages, until at most `keys_max` are kept.
    pub fn trim(&mut self, keys_max: usize) {
        self.ratchet.trim(keys_max);
    }

    /// Gives up keys of messages that have been awaited for too long.
    pub fn expire(&mut self, now: Timestamp) {
        self.ratchet.expire(now);
    }

    /// Seals one message into a payload; on `Err` the session is unchanged.
    ///
    /// # Errors
    /// [`SessionError::Ratchet`].
    pub fn seal(
        &mut self,
        plaintext: &[u8],
        context: &MessageContext,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, SessionError> {
        let (payload, step) = self.prepare(plaintext, context, rng)?;
        self.advance(step);
        Ok(payload)
    }

    /// As [`seal`](Self::seal), without the change of state: that is the step, for
    /// [`advance`](Self::advance). A payload whose step is not taken must not leave.
    pub(in crate::protocol) fn prepare(
        &self,
        plaintext: &[u8],
        context: &MessageContext,
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, SessionStep), SessionError> {
        let (sealed, step) = self.ratchet.prepare(plaintext, &context.associated_data(&self.binding), rng)?;
        Ok((encode(self.unanswered.as_deref(), &sealed), SessionStep(Box::new(step))))
    }

    /// Moves past the message that was prepared; nothing was sealed or opened in between.
    pub(in crate::protocol) fn advance(&mut self, mut step: SessionStep) {
        self.ratchet.advance(&mut step.0);
    }

    /// Opens one payload; on `Err` the session is unchanged.
    ///
    /// # Errors
    /// [`SessionError`] if the payload is malformed, or the ratchet refuses the message.
    pub fn open(
        &mut self,
        payload: &[u8],
        context: &MessageContext,
        now: Timestamp,
    ) -> Result<Zeroizing<Vec<u8>>, SessionError> {
        self.open_sealed(&PairwiseMessage::parse(payload)?.sealed, context, now)
    }

    /// As [`open`](Self::open), of a parsed message.
    ///
    /// # Errors
    /// [`SessionError::Ratchet`].
    pub fn open_sealed(
        &mut self,
        sealed: &SealedMessage,
        context: &MessageContext,
        now: Timestamp,
    ) -> Result<Zeroizing<Vec<u8>>, SessionError> {
        let plaintext = self.ratchet.open(sealed, &context.associated_data(&self.binding), now)?;
        self.unanswered = None; // Whoever sent this has the session's secret.
        Ok(plaintext)
    }

    /// The saved form: version 1, id 16, binding 32, opening 1 and then itself if it is unanswered,
    /// ratchet. Secret. Below 1 KiB when the session is answered and no message is awaited.
    #[must_use]
    pub fn save(&self) -> Zeroizing<Vec<u8>> {
        let Self { id, binding, unanswered, ratchet } = self;
        let opening_length = if unanswered.is_some() { Opening::LENGTH_MAX } else { 0 };
        let capacity = 2 + OpeningId::LENGTH + SessionBinding::LENGTH + opening_length + ratchet.saved_length();
        let writer =
            Writer::with_capacity(capacity).u8(Self::SAVED_VERSION).bytes(id.as_bytes()).bytes(binding.as_bytes());
        let writer = match unanswered {
            None => writer.u8(0),
            Some(opening) => opening.write(writer.u8(1)),
        };
        ratchet.write(writer).finish_secret()
    }

    /// Reads the saved form.
    ///
    /// # Errors
    /// [`SessionError`] for malformed bytes.
    pub fn load(saved: &[u8]) -> Result<Self, SessionError> {
        let mut reader = Reader::new(saved);
        reader.version(Self::SAVED_VERSION)?;
        let session = Self {
            id: OpeningId::from_bytes(*reader.array()?),
            binding: SessionBinding(*reader.array()?),
            unanswered: if reader.flag("opening")? { Some(Box::new(Opening::read(&mut reader)?)) } else { None },
            ratchet: DoubleRatchet::read(&mut reader)?,
        };
        reader.end()?;
        Ok(session)
    }
}

impl core::fmt::Debug for PairwiseSession {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { id, binding: _, unanswered, ratchet } = self;
        f.debug_struct("PairwiseSession")
            .field("id", id)
            .field("answered", &unanswered.is_none())
            .field("ratchet", ratchet)
            .finish_non_exhaustive()
    }
}
