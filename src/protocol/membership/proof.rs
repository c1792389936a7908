//! That a member was let in by somebody who has the room's key.

use crate::wire::{Bytes, MembershipProofBytes, Reader, WireError, Writer};

pub(super) const NONCE_LENGTH: usize = 16;
const TAG_LENGTH: usize = 32;
const VERSION: u8 = 1;

/// That an account was let into a room, with the root key that it had then. To be held against the room's key before it
/// means anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MembershipProof {
    root_key: Bytes<32>,
    nonce: [u8; NONCE_LENGTH],
    tag: Bytes<TAG_LENGTH>,
}

/// What one proof is told from another of the same account by: 16 random bytes.
pub type ProofId = Bytes<NONCE_LENGTH>;

impl MembershipProof {
    pub(super) const fn new(root_key: Bytes<32>, nonce: [u8; NONCE_LENGTH], tag: [u8; TAG_LENGTH]) -> Self {
        Self { root_key, nonce, tag: Bytes(tag) }
    }

    /// Reads a proof as the node carries it.
    ///
    /// # Errors
    /// [`WireError::UnknownVersion`].
    pub fn parse(bytes: &MembershipProofBytes) -> Result<Self, WireError> {
        let mut reader = Reader::new(&bytes.0);
        reader.version(VERSION)?;
        let (root_key, nonce, tag) = (Bytes(*reader.array()?), *reader.array()?, *reader.array()?);
        reader.end()?;
        Ok(Self::new(root_key, nonce, tag))
    }

    /// The proof as the node carries it: version 1, root key 32, nonce 16, tag 32.
    #[must_use]
    pub fn to_wire(&self) -> MembershipProofBytes {
        let Self { root_key, nonce, tag } = self;
        let mut bytes = [0; size_of::<MembershipProofBytes>()];
        let written = Writer::with_capacity(bytes.len()).u8(VERSION).bytes(&root_key.0).bytes(nonce).bytes(&tag.0);
        for (byte, from) in bytes.iter_mut().zip(written.finish()) {
            *byte = from;
        }
        Bytes(bytes)
    }

    /// The account's root key, as it was when it was let in.
    #[must_use]
    pub const fn root_key(&self) -> &Bytes<32> {
        &self.root_key
    }

    /// Which proof it is.
    #[must_use]
    pub const fn id(&self) -> ProofId {
        Bytes(self.nonce)
    }

    pub(super) const fn nonce(&self) -> &[u8; NONCE_LENGTH] {
        &self.nonce
    }

    pub(super) const fn tag(&self) -> &[u8; TAG_LENGTH] {
        &self.tag.0
    }
}
