//! The binary form of a pairwise message.

use crate::protocol::agreement::Opening;
use crate::protocol::ratchet::{Header, SealedMessage};
use crate::wire::{Reader, WireError, Writer};

use super::error::SessionError;

/// A pairwise message, parsed and not yet opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairwiseMessage {
    /// In a first message: how the responder gets to the session's secret.
    pub opening: Option<Opening>,
    /// The ratchet's message.
    pub sealed: SealedMessage,
}

const KIND_MESSAGE: u8 = 1;
const KIND_OPENING: u8 = 2;

impl PairwiseMessage {
    /// Parses an envelope's payload.
    ///
    /// # Errors
    /// [`SessionError::Form`] or [`SessionError::Opening`].
    pub fn parse(payload: &[u8]) -> Result<Self, SessionError> {
        let mut reader = Reader::new(payload);
        let opening = match reader.u8()? {
            KIND_MESSAGE => None,
            KIND_OPENING => Some(Opening::read(&mut reader)?),
            version => return Err(WireError::UnknownVersion { version }.into()),
        };
        let header = Header::read(&mut reader)?;
        Ok(Self { opening, sealed: SealedMessage { header, ciphertext: reader.rest().to_vec() } })
    }

    /// The form that [`parse`](Self::parse) reads.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { opening, sealed } = self;
        encode(opening.as_ref(), sealed)
    }
}

/// Joins an opening and a sealed message into a payload.
pub(super) fn encode(opening: Option<&Opening>, sealed: &SealedMessage) -> Vec<u8> {
    let SealedMessage { header, ciphertext } = sealed;
    let writer = match opening {
        None => Writer::with_capacity(1 + Header::LENGTH + ciphertext.len()).u8(KIND_MESSAGE),
        Some(opening) => {
            let capacity = 1 + Opening::LENGTH_MAX + Header::LENGTH + ciphertext.len();
            opening.write(Writer::with_capacity(capacity).u8(KIND_OPENING))
        }
    };
    header.write(writer).bytes(ciphertext).finish()
}
