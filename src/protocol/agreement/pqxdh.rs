//! Both sides of PQXDH (revision 3, section 3.3 and 3.4).

use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::opening::Opening;
use crate::protocol::derive;
use crate::protocol::identity::DeviceIdentity;
use crate::protocol::public::{KemPublicKey, KeyError, VerifiedDevice, VerifiedPrekeyBundle, labels};
use crate::protocol::secret::{AgreementSecretKey, KemSecretKey, KemSharedSecret, SharedSecret, symmetric_key};
use crate::wire::{DeviceCertificate, Writer};

symmetric_key! {
    /// What an agreement yields: the ratchet's first root key.
    pub SessionSecret
}

/// What every message of a session is bound to: SHA-256 over the label, both device certificates
/// (initiator's, responder's), SHA-256 of the KEM key, and the opening. 32 bytes, public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionBinding(pub(in crate::protocol) [u8; 32]);

/// Why an agreement failed. No state changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgreementError {
    /// An agreement gave no secret; the peer sent a bad key.
    #[error("an agreement was not contributory: {0}")]
    NonContributory(#[from] KeyError),
    /// A one-time prekey was given where the opening names none, or the other way round; a mistake of
    /// the caller.
    #[error("a one-time prekey is given exactly if the opening names one")]
    OneTimePrekey,
}

/// The outcome of an agreement, on either side.
#[derive(Debug)]
pub struct Agreed {
    /// The ratchet's first root key. Secret.
    pub secret: SessionSecret,
    /// What messages are bound to.
    pub binding: SessionBinding,
}

/// The outcome on the initiator's side.
#[derive(Debug)]
pub struct Initiated {
    /// The secret and the binding.
    pub agreed: Agreed,
    /// What the first message has to carry.
    pub opening: Opening,
}

/// Agrees with a device that may be offline, from a verified bundle of its prekeys.
///
/// # Errors
/// [`AgreementError::NonContributory`] if an agreement yields no secret.
pub fn initiate(
    identity: &DeviceIdentity,
    bundle: &VerifiedPrekeyBundle,
    rng: &mut impl CryptoRng,
) -> Result<Initiated, AgreementError> {
    let ephemeral = AgreementSecretKey::generate(rng);
    let (kem_ciphertext, kem_secret) = bundle.kem_prekey.encapsulate(rng);
    let one_time = bundle.one_time_prekey.as_ref();
    let agreements = Agreements {
        dh1: identity.keys().agreement.agree(&bundle.signed_prekey)?,
        dh2: ephemeral.agree(bundle.device.agreement_key())?,
        dh3: ephemeral.agree(&bundle.signed_prekey)?,
        dh4: one_time.map(|(_, key)| ephemeral.agree(key)).transpose()?,
    };
    let opening = Opening {
        ephemeral_key: ephemeral.public_key(),
        signed_prekey_id: bundle.signed_prekey_id,
        one_time_prekey_id: one_time.map(|(id, _)| *id),
        kem_prekey_id: bundle.kem_prekey_id,
        kem_ciphertext,
    };
    let certificates = [identity.device().certificate(), bundle.device.certificate()];
    let binding = SessionBinding::of(certificates, &bundle.kem_prekey, &opening);
    Ok(Initiated { agreed: Agreed { secret: agreements.secret(&kem_secret), binding }, opening })
}

/// The secret prekeys that an opening names; the responder finds them by their ids.
#[derive(Debug)]
pub struct ResponderPrekeys<'a> {
    /// The signed prekey.
    pub signed_prekey: &'a AgreementSecretKey,
    /// The one-time prekey; present exactly if the opening names one.
    pub one_time_prekey: Option<&'a AgreementSecretKey>,
    /// The KEM prekey.
    pub kem_prekey: &'a KemSecretKey,
}

/// Agrees with `initiator` from the opening in its first message.
///
/// A false opening gives a secret that nobody else has: the message that came with it will not open.
///
/// # Errors
/// [`AgreementError::NonContributory`] if an agreement yields no secret, [`AgreementError::OneTimePrekey`] if a
/// one-time prekey is missing or given without need.
pub fn respond(
    identity: &DeviceIdentity,
    initiator: &VerifiedDevice,
    opening: &Opening,
    prekeys: &ResponderPrekeys<'_>,
) -> Result<Agreed, AgreementError> {
    let ResponderPrekeys { signed_prekey, one_time_prekey, kem_prekey } = prekeys;
    if one_time_prekey.is_some() != opening.one_time_prekey_id.is_some() {
        return Err(AgreementError::OneTimePrekey);
    }
    let agreements = Agreements {
        dh1: signed_prekey.agree(initiator.agreement_key())?,
        dh2: identity.keys().agreement.agree(&opening.ephemeral_key)?,
        dh3: signed_prekey.agree(&opening.ephemeral_key)?,
        dh4: one_time_prekey.map(|key| key.agree(&opening.ephemeral_key)).transpose()?,
    };
    let kem_secret = kem_prekey.decapsulate(&opening.kem_ciphertext);
    let certificates = [initiator.certificate(), identity.device().certificate()];
    let binding = SessionBinding::of(certificates, &kem_prekey.public_key(), opening);
    Ok(Agreed { secret: agreements.secret(&kem_secret), binding })
}

impl SessionBinding {
    /// Length in bytes.
    pub const LENGTH: usize = 32;

    fn of([initiator, responder]: [&DeviceCertificate; 2], kem_key: &KemPublicKey, opening: &Opening) -> Self {
        let kem_key_hash: [u8; 32] = Sha256::digest(kem_key.to_bytes()).into();
        let certificates = responder.write(initiator.write(Writer::with_capacity(2 * DeviceCertificate::LENGTH)));
        let digest = Sha256::new()
            .chain_update(labels::SESSION_BINDING)
            .chain_update(certificates.finish())
            .chain_update(kem_key_hash)
            .chain_update(opening.write(Writer::with_capacity(2048)).finish())
            .finalize();
        Self(digest.into())
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The three or four X25519 agreements, named as in the source.
pub(in crate::protocol) struct Agreements {
    pub(in crate::protocol) dh1: SharedSecret,
    pub(in crate::protocol) dh2: SharedSecret,
    pub(in crate::protocol) dh3: SharedSecret,
    pub(in crate::protocol) dh4: Option<SharedSecret>,
}

impl Agreements {
    /// `F`: makes the input differ from any encoded curve point (X3DH, section 2.2).
    const F: [u8; 32] = [0xff; 32];

    /// `SK` of PQXDH.
    pub(in crate::protocol) fn secret(&self, kem_secret: &KemSharedSecret) -> SessionSecret {
        self.derive(kem_secret.as_bytes(), labels::PQXDH_SECRET)
    }

    /// The derivation itself. `tail` is what stands behind the agreements: the KEM's secret.
    pub(super) fn derive(&self, tail: &[u8], label: &[u8]) -> SessionSecret {
        let Self { dh1, dh2, dh3, dh4 } = self;
        let dh4 = dh4.as_ref().map_or(&[][..], |dh4| dh4.as_bytes());
        let secret: Zeroizing<[u8; 32]> =
            derive::hkdf(&[0; 32], &[&Self::F, dh1.as_bytes(), dh2.as_bytes(), dh3.as_bytes(), dh4, tail], &[label]);
        SessionSecret::from_bytes(&secret)
    }
}
