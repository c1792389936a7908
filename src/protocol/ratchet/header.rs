//! The clear header of a message, and the message as it travels.

use crate::wire::{Reader, WireError, Writer};

/// A message's header. Binary form, 40 bytes: ratchet key 32, `PN` u32, `N` u32, both big-endian.
///
/// The key is not parsed yet: it is looked up by its bytes, and checked if it is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The sender's ratchet key, X25519.
    pub ratchet_key: [u8; 32],
    /// `PN`: how many messages the sender's previous chain had.
    pub previous_chain_length: u32,
    /// `N`: which message of its chain this is, from 0.
    pub message_number: u32,
}

impl Header {
    /// Length of the binary form in bytes.
    pub const LENGTH: usize = 40;

    /// Appends the binary form.
    #[must_use]
    pub fn write(&self, writer: Writer) -> Writer {
        writer.bytes(&self.to_bytes())
    }

    /// The binary form.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LENGTH] {
        let Self { ratchet_key, previous_chain_length, message_number } = self;
        let mut bytes = [0; Self::LENGTH];
        let (key, numbers) = bytes.split_at_mut(32);
        let (previous, number) = numbers.split_at_mut(4);
        key.copy_from_slice(ratchet_key);
        previous.copy_from_slice(&previous_chain_length.to_be_bytes());
        number.copy_from_slice(&message_number.to_be_bytes());
        bytes
    }

    /// Reads the binary form.
    ///
    /// # Errors
    /// [`WireError::Truncated`] if fewer than 40 bytes are left.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self { ratchet_key: *reader.array()?, previous_chain_length: reader.u32()?, message_number: reader.u32()? })
    }
}

/// A sealed message: its header, and the ciphertext with its tag of 16 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedMessage {
    /// The header; the ciphertext is bound to it.
    pub header: Header,
    /// Ciphertext and tag.
    pub ciphertext: Vec<u8>,
}

/// The associated data of a message: what the caller binds, then the header.
pub(super) fn bound(associated_data: &[u8], header: &Header) -> Vec<u8> {
    [associated_data, &header.to_bytes()].concat()
}
