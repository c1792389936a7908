//! The exchange between two members whose keys are both here: `PQXDH`, and a message each way, so that the session is
//! answered on both sides before anybody writes.
//!
//! The KEM key is made for this one session and wiped after it. What a thief of the keys can do later is what the Double
//! Ratchet leaves them: the session's first root key is gone with the two messages.

use rand_core::CryptoRng;

use super::error::CustodyError;
use super::participant::SessionKeys;
use crate::protocol::agreement::ResponderPrekeys;
use crate::protocol::public::{
    agreement_key_id, kem_key_id, kem_prekey_signed_bytes, signed_prekey_signed_bytes, verify_prekey_bundle,
};
use crate::protocol::secret::KemSecretKey;
use crate::protocol::session::{MessageContext, PairwiseMessage, PairwiseSession};
use crate::wire::{Bytes, KemPrekey, KemPrekeyUse, PrekeyBundle, SignedPrekey, Timestamp};

/// Both ends of one session.
pub(super) struct Exchanged {
    pub(super) initiator: PairwiseSession,
    pub(super) responder: PairwiseSession,
}

/// Agrees on a session. Neither side's keys change.
pub(super) fn exchange(
    from: &SessionKeys,
    to: &SessionKeys,
    context: &MessageContext,
    now: Timestamp,
    rng: &mut impl CryptoRng,
) -> Result<Exchanged, CustodyError> {
    let kem_key = KemSecretKey::generate(rng);
    let bundle = verify_prekey_bundle(&bundle(to, &kem_key, now), to.identity.device())?;
    let mut initiator = PairwiseSession::initiate(&from.identity, &bundle, rng)?;
    let first = PairwiseMessage::parse(&initiator.seal(&[], context, rng)?)?;
    let opening = first.opening.ok_or(CustodyError::Internal { what: "a first message without an opening" })?;
    let prekeys = ResponderPrekeys { signed_prekey: &to.prekey, one_time_prekey: None, kem_prekey: &kem_key };
    let mut responder =
        PairwiseSession::respond(&to.identity, from.identity.device(), &opening, &first.sealed, &prekeys)?;
    responder.open_sealed(&first.sealed, context, now)?;
    let answer = responder.seal(&[], context, rng)?;
    initiator.open(&answer, context, now)?;
    Ok(Exchanged { initiator, responder })
}

/// What a device would publish, checked like any bundle.
fn bundle(of: &SessionKeys, kem_key: &KemSecretKey, now: Timestamp) -> PrekeyBundle {
    let (device, signing) = (of.identity.address(), &of.identity.keys().signing);
    let (prekey, kem_public) = (of.prekey.public_key(), kem_key.public_key());
    let (prekey_bytes, kem_bytes, usage) = (prekey.to_wire(), Bytes(kem_public.to_bytes()), KemPrekeyUse::OneTime);
    PrekeyBundle {
        device,
        signed_prekey: SignedPrekey {
            key_id: agreement_key_id(&prekey),
            public_key: prekey_bytes,
            created_at: now,
            signature: signing.sign(&signed_prekey_signed_bytes(device, &prekey_bytes, now)),
        },
        kem_prekey: KemPrekey {
            key_id: kem_key_id(&kem_public),
            usage,
            created_at: now,
            signature: signing.sign(&kem_prekey_signed_bytes(device, usage, &kem_bytes, now)),
            public_key: Box::new(kem_bytes),
        },
        one_time_prekey: None,
    }
}
