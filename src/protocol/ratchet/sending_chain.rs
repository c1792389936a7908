//! A sending chain: the messages of one of our ratchet keys.

use super::chain_key::ChainKey;
use super::error::RatchetError;
use super::header::{Header, SealedMessage, bound};
use crate::protocol::public::limits;
use crate::protocol::secret::AgreementSecretKey;

/// Our newest ratchet key, and how far we have sent with it.
pub(super) struct SendingChain {
    pub(super) ratchet_key: AgreementSecretKey,
    /// The chain key of the next message.
    pub(super) chain_key: ChainKey,
    /// The number of the next message.
    pub(super) next: u32,
}

impl SendingChain {
    /// Seals the next message, and gives the chain after it. This chain is unchanged: of the two, one
    /// is kept, for a message key that seals twice gives both messages away.
    pub(super) fn seal(
        &self,
        previous_chain_length: u32,
        plaintext: &[u8],
        associated_data: &[u8],
    ) -> Result<(SealedMessage, Self), RatchetError> {
        let Self { ratchet_key, chain_key, next } = self;
        if *next == limits::CHAIN_LENGTH_MAX {
            return Err(RatchetError::ChainExhausted);
        }
        let header = Header { ratchet_key: *ratchet_key.public_bytes(), previous_chain_length, message_number: *next };
        let (message_key, chain_key) = chain_key.step();
        let ciphertext = message_key.seal(&bound(associated_data, &header), plaintext)?;
        let after = Self { ratchet_key: ratchet_key.clone(), chain_key, next: *next + 1 };
        Ok((SealedMessage { header, ciphertext }, after))
    }
}
