//! What the first message carries beside the ratchet's header: the responder's way to the secret.

use sha2::{Digest, Sha256};

use crate::ids::{KeyId, OpeningId};
use crate::protocol::public::{AgreementPublicKey, KemCiphertext, KeyError, labels};
use crate::wire::{Reader, WireError, Writer};

/// The initiator's part of an agreement.
///
/// Binary form, 1,617 or 1,625 bytes: ephemeral key 32, signed prekey id 8, one-time prekey 1 and
/// then its id 8 if it is 1, KEM prekey id 8, KEM ciphertext 1,568.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The initiator's ephemeral key `EK_A`.
    pub ephemeral_key: AgreementPublicKey,
    /// Which signed prekey of the responder was used.
    pub signed_prekey_id: KeyId,
    /// Which one-time prekey was used, if any.
    pub one_time_prekey_id: Option<KeyId>,
    /// Which KEM prekey was used.
    pub kem_prekey_id: KeyId,
    /// The KEM's ciphertext for it.
    pub kem_ciphertext: KemCiphertext,
}

impl Opening {
    /// Length of the longest binary form in bytes.
    pub const LENGTH_MAX: usize = 32 + 8 + 9 + 8 + KemCiphertext::LENGTH;

    /// Which opening it is: the first 16 bytes of SHA-256 over the label, the ephemeral key and the
    /// prekey ids (signed, KEM, one-time if any). The KEM ciphertext is left out: it follows from the
    /// rest, or nothing opens.
    #[must_use]
    pub fn id(&self) -> OpeningId {
        let Self { ephemeral_key, signed_prekey_id, one_time_prekey_id, kem_prekey_id, kem_ciphertext: _ } = self;
        let digest: [u8; 32] = Sha256::new()
            .chain_update(labels::SESSION_ID)
            .chain_update(ephemeral_key.as_bytes())
            .chain_update(signed_prekey_id.as_bytes())
            .chain_update(kem_prekey_id.as_bytes())
            .chain_update(one_time_prekey_id.as_ref().map_or(&[][..], |id| id.as_bytes()))
            .finalize()
            .into();
        let mut id = [0; OpeningId::LENGTH];
        id.copy_from_slice(&digest[..OpeningId::LENGTH]);
        OpeningId::from_bytes(id)
    }

    /// Appends the binary form.
    #[must_use]
    pub fn write(&self, writer: Writer) -> Writer {
        let Self { ephemeral_key, signed_prekey_id, one_time_prekey_id, kem_prekey_id, kem_ciphertext } = self;
        let writer = writer.bytes(ephemeral_key.as_bytes()).bytes(signed_prekey_id.as_bytes());
        let writer = match one_time_prekey_id {
            None => writer.u8(0),
            Some(id) => writer.u8(1).bytes(id.as_bytes()),
        };
        writer.bytes(kem_prekey_id.as_bytes()).bytes(kem_ciphertext.as_bytes())
    }

    /// Reads the binary form.
    ///
    /// # Errors
    /// [`OpeningError::EphemeralKey`] for an unacceptable key, [`OpeningError::Form`] for malformed bytes.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, OpeningError> {
        Ok(Self {
            ephemeral_key: AgreementPublicKey::parse(reader.array()?)?,
            signed_prekey_id: reader.key_id()?,
            one_time_prekey_id: if reader.flag("one-time prekey")? { Some(reader.key_id()?) } else { None },
            kem_prekey_id: reader.key_id()?,
            kem_ciphertext: KemCiphertext::from_bytes(reader.array()?),
        })
    }
}

/// Why bytes are no opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpeningError {
    /// The ephemeral key is not acceptable.
    #[error("bad ephemeral key: {0}")]
    EphemeralKey(#[from] KeyError),
    /// The bytes are malformed.
    #[error("malformed opening: {0}")]
    Form(#[from] WireError),
}
