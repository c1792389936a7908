//! The state of one session's Double Ratchet, and its two operations.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::error::RatchetError;
use super::header::{Header, SealedMessage, bound};
use super::receiving_chain::ReceivingChain;
use super::root_key::RootKey;
use super::sending_chain::SendingChain;
use crate::protocol::agreement::SessionSecret;
use crate::protocol::public::{AgreementPublicKey, RatchetPublicKey, limits};
use crate::protocol::secret::AgreementSecretKey;
use crate::wire::Timestamp;

/// One side of a Double Ratchet session.
pub struct DoubleRatchet {
    pub(super) root_key: RootKey,
    pub(super) turn: Turn,
    /// `PN`: how many messages our previous sending chain had.
    pub(super) previous_chain_length: u32,
    /// Oldest first, at most [`RECEIVING_CHAINS_MAX`](limits::RECEIVING_CHAINS_MAX). All but the last are closed.
    pub(super) receiving: Vec<ReceivingChain>,
}

/// Whose ratchet key is the newest.
pub(super) enum Turn {
    /// Theirs: our next message brings a new key of ours.
    Theirs(RatchetPublicKey),
    /// Ours: we send on.
    Ours(SendingChain),
}

/// The change of state that belongs to a prepared message. Before it is taken it holds what comes,
/// afterwards what was: either is wiped where it lies.
pub(in crate::protocol) struct SendingStep {
    /// A new root key, if the message brings a new ratchet key.
    root_key: Option<RootKey>,
    turn: Turn,
}

impl DoubleRatchet {
    /// The initiator's side (`RatchetInitAlice`). `their_key` is the responder's signed prekey.
    #[must_use]
    pub fn initiate(secret: &SessionSecret, their_key: &AgreementPublicKey) -> Self {
        Self {
            root_key: RootKey::from_bytes(secret.as_bytes()),
            turn: Turn::Theirs(their_key.as_ratchet_key().clone()),
            previous_chain_length: 0,
            receiving: Vec::new(),
        }
    }

    /// The responder's side (`RatchetInitBob`), up to the chain that the first message is on.
    /// `our_key` is the signed prekey, `their_key` the one in the first message's header.
    ///
    /// # Errors
    /// [`RatchetError::RatchetKey`] if `their_key` is not acceptable.
    pub fn respond(
        secret: &SessionSecret,
        our_key: &AgreementSecretKey,
        their_key: &[u8; 32],
    ) -> Result<Self, RatchetError> {
        let ratchet_key = RatchetPublicKey::parse(their_key).map_err(RatchetError::RatchetKey)?;
        let shared = our_key.agree_ratchet(&ratchet_key).map_err(RatchetError::RatchetKey)?;
        let (root_key, chain_key) = RootKey::from_bytes(secret.as_bytes()).step(&shared);
        Ok(Self {
            root_key,
            turn: Turn::Theirs(ratchet_key),
            previous_chain_length: 0,
            receiving: vec![ReceivingChain::new(*their_key, chain_key)],
        })
    }

    /// Seals one message (`RatchetEncrypt`); on `Err` the ratchet is unchanged.
    ///
    /// The ciphertext is padded, longer by a tag of 16 bytes, and bound to `associated_data` and the
    /// header. The new state must be saved before the message leaves.
    ///
    /// # Errors
    /// [`RatchetError::ChainExhausted`] after 2^32 - 1 messages without an answer, [`RatchetError::TooLong`]
    /// past [`MESSAGE_BYTES_MAX`](limits::MESSAGE_BYTES_MAX).
    pub fn seal(
        &mut self,
        plaintext: &[u8],
        associated_data: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<SealedMessage, RatchetError> {
        let (message, mut step) = self.prepare(plaintext, associated_data, rng)?;
        self.advance(&mut step);
        Ok(message)
    }

    /// As [`seal`](Self::seal), without the change of state: that is the step, for
    /// [`advance`](Self::advance). For a message to many devices, which is sent to all or to none. A
    /// message whose step is not taken must not leave: the next one has the same key.
    pub(in crate::protocol) fn prepare(
        &self,
        plaintext: &[u8],
        associated_data: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<(SealedMessage, SendingStep), RatchetError> {
        let previous_chain_length = self.previous_chain_length;
        match &self.turn {
            Turn::Theirs(theirs) => {
                let (root_key, chain) = self.answer(theirs, rng)?;
                let (message, chain) = chain.seal(previous_chain_length, plaintext, associated_data)?;
                Ok((message, SendingStep { root_key: Some(root_key), turn: Turn::Ours(chain) }))
            }
            Turn::Ours(chain) => {
                let (message, chain) = chain.seal(previous_chain_length, plaintext, associated_data)?;
                Ok((message, SendingStep { root_key: None, turn: Turn::Ours(chain) }))
            }
        }
    }

    /// Moves past the message that was prepared; nothing was sealed or opened in between. The step is
    /// taken once: it is exchanged with the state, for a move would leave its keys behind in its place.
    pub(in crate::protocol) fn advance(&mut self, step: &mut SendingStep) {
        let SendingStep { root_key, turn } = step;
        if let Some(root_key) = root_key {
            core::mem::swap(&mut self.root_key, root_key);
        }
        core::mem::swap(&mut self.turn, turn);
    }

    /// The sending half of a DH ratchet step: a new key of ours, and the chain that it begins.
    fn answer(
        &self,
        theirs: &RatchetPublicKey,
        rng: &mut impl CryptoRng,
    ) -> Result<(RootKey, SendingChain), RatchetError> {
        let ratchet_key = AgreementSecretKey::generate(rng);
        let shared = ratchet_key.agree_ratchet(theirs).map_err(RatchetError::RatchetKey)?;
        let (root_key, chain_key) = self.root_key.step(&shared);
        Ok((root_key, SendingChain { ratchet_key, chain_key, next: 0 }))
    }

    /// Opens one message (`RatchetDecrypt`) and moves past it; on `Err` the ratchet is unchanged.
    ///
    /// Messages may arrive in any order. The new state must be saved before the plaintext is shown.
    ///
    /// # Errors
    /// [`RatchetError`] says why; only [`RatchetError::Open`] speaks of the ciphertext, and has no detail.
    pub fn open(
        &mut self,
        message: &SealedMessage,
        associated_data: &[u8],
        now: Timestamp,
    ) -> Result<Zeroizing<Vec<u8>>, RatchetError> {
        let key = &message.header.ratchet_key;
        let plaintext = match self.receiving.iter_mut().rev().find(|chain| chain.ratchet_key == *key) {
            Some(chain) => chain.open(message, &bound(associated_data, &message.header), now)?,
            None => self.open_on_new_chain(message, associated_data, now)?,
        };
        self.expire(now);
        self.trim(limits::SKIPPED_KEYS_MAX);
        Ok(plaintext)
    }

    /// The receiving half of a DH ratchet step, with the message that brings it.
    fn open_on_new_chain(
        &mut self,
        message: &SealedMessage,
        associated_data: &[u8],
        now: Timestamp,
    ) -> Result<Zeroizing<Vec<u8>>, RatchetError> {
        // The peer takes a step only after it has seen our newest key.
        let Turn::Ours(ours) = &self.turn else {
            return Err(RatchetError::ChainGone);
        };
        let Header { ratchet_key, previous_chain_length, message_number } = &message.header;
        let theirs = RatchetPublicKey::parse(ratchet_key).map_err(RatchetError::RatchetKey)?;
        // The new chain has the first call on the limit. What is then missing at the end of the old one
        // is given up: refusing the message for it would refuse every message after it too.
        let room = limits::SKIP_MAX.checked_sub(*message_number).ok_or(RatchetError::TooFarAhead)?;
        let skip = match self.receiving.last() {
            Some(newest) => newest.skip_at_most(*previous_chain_length, room, now)?.keys,
            None => Vec::new(),
        };
        // The step's agreement comes after the cheap checks: a forged header costs as little as can be.
        let shared = ours.ratchet_key.agree_ratchet(&theirs).map_err(RatchetError::RatchetKey)?;
        let (root_key, chain_key) = self.root_key.step(&shared);
        let mut chain = ReceivingChain::new(*ratchet_key, chain_key);
        let plaintext = chain.open(message, &bound(associated_data, &message.header), now)?;

        if let Some(newest) = self.receiving.last_mut() {
            newest.close(skip);
        }
        if self.receiving.len() == limits::RECEIVING_CHAINS_MAX {
            self.receiving.remove(0);
        }
        self.receiving.push(chain);
        self.previous_chain_length = ours.next;
        self.root_key = root_key;
        self.turn = Turn::Theirs(theirs);
        Ok(plaintext)
    }

    /// Whether a message with this ratchet key is on a chain that is known.
    #[must_use]
    pub fn knows_chain(&self, ratchet_key: &[u8; 32]) -> bool {
        self.receiving.iter().any(|chain| chain.ratchet_key == *ratchet_key)
    }

    /// Whether the next message that is sealed brings a new ratchet key of ours.
    #[must_use]
    pub const fn answers_next(&self) -> bool {
        matches!(self.turn, Turn::Theirs(_))
    }

    /// How many keys of late messages are kept.
    #[must_use]
    pub fn skipped_keys(&self) -> usize {
        self.receiving.iter().map(|chain| chain.skipped.len()).sum()
    }

    /// Gives up the oldest keys of late messages, until at most `keys_max` are kept.
    pub fn trim(&mut self, keys_max: usize) {
        let mut excess = self.skipped_keys().saturating_sub(keys_max);
        for chain in &mut self.receiving {
            excess -= chain.trim(excess);
        }
    }

    /// Gives up the keys of messages awaited for longer than
    /// [`SKIPPED_KEY_KEPT`](limits::SKIPPED_KEY_KEPT).
    pub fn expire(&mut self, now: Timestamp) {
        for chain in &mut self.receiving {
            chain.expire(now);
        }
    }
}

impl core::fmt::Debug for DoubleRatchet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { root_key: _, turn, previous_chain_length, receiving } = self;
        let turn = match turn {
            Turn::Theirs(_) => "theirs",
            Turn::Ours(_) => "ours",
        };
        f.debug_struct("DoubleRatchet")
            .field("turn", &turn)
            .field("previous_chain_length", previous_chain_length)
            .field("receiving_chains", &receiving.len())
            .field("skipped_keys", &self.skipped_keys())
            .finish_non_exhaustive()
    }
}
