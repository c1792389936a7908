//! PQXDH, with and without a one-time prekey, and the test mode's plain X3DH.

use rand_chacha::ChaCha20Rng;
use sha2::{Digest, Sha256};

use super::Fields;
use super::parties::Prekeys;
use crate::protocol::agreement::{Agreements, Initiated, ResponderPrekeys, initiate, respond, x3dh_secret};
use crate::protocol::identity::DeviceIdentity;
use crate::protocol::public::{VerifiedPrekeyBundle, verify_prekey_bundle};
use crate::protocol::secret::{AgreementSecretKey, KemSecretKey, SharedSecret};
use crate::protocol::session::{PairwiseMessage, PairwiseSession};
use crate::wire::{PrekeyBundle, Writer};

/// Both sides of an agreement, and what comes of it.
pub(super) struct Agreement<'a> {
    pub(super) name: &'static str,
    pub(super) initiator: &'a DeviceIdentity,
    pub(super) responder: &'a DeviceIdentity,
    pub(super) initiated: Initiated,
    /// The initiator's session, before its first message.
    pub(super) session: PairwiseSession,
    pub(super) signed_prekey: &'a AgreementSecretKey,
    one_time_prekey: Option<&'a AgreementSecretKey>,
    kem_prekey: KemSecretKey,
}

pub(super) fn agree<'a>(
    initiator: &'a DeviceIdentity,
    responder: &'a DeviceIdentity,
    prekeys: &'a Prekeys,
    is_one_time: bool,
    rng: &mut ChaCha20Rng,
) -> (Agreement<'a>, Fields) {
    let (kem_seed, published_kem_prekey) = if is_one_time { &prekeys.one_time_kem } else { &prekeys.last_resort_kem };
    let bundle = PrekeyBundle {
        device: responder.address(),
        signed_prekey: prekeys.signed.clone(),
        kem_prekey: published_kem_prekey.clone(),
        one_time_prekey: is_one_time.then(|| prekeys.one_time.clone()),
    };
    let bundle = verify_prekey_bundle(&bundle, responder.device()).unwrap();
    // `initiate` draws the ephemeral key first; the same generator gives the same key here.
    let ephemeral = AgreementSecretKey::generate(&mut rng.clone());
    let session = PairwiseSession::initiate(initiator, &bundle, &mut rng.clone()).unwrap();
    let initiated = initiate(initiator, &bundle, rng).unwrap();
    assert_eq!(*initiated.opening.ephemeral_key.as_bytes(), *ephemeral.public_bytes());

    let name = if is_one_time { "with one-time prekey" } else { "without one-time prekey" };
    let inputs = Fields::default()
        .value("name", name)
        .hex("ephemeral_secret", ephemeral.secret_bytes())
        .value("one_time_prekeys", if is_one_time { "used" } else { "exhausted" })
        .hex("kem_ciphertext", initiated.opening.kem_ciphertext.as_bytes());
    let agreement = Agreement {
        name,
        initiator,
        responder,
        initiated,
        session,
        signed_prekey: &prekeys.signed_secret,
        one_time_prekey: is_one_time.then_some(&prekeys.one_time_secret),
        kem_prekey: kem_seed.expand(),
    };
    let expected = agreement.expected(&bundle, &ephemeral);
    (agreement, Fields::case(inputs, expected))
}

impl Agreement<'_> {
    /// The initiator's computation step by step, held against what both sides' functions gave.
    fn expected(&self, bundle: &VerifiedPrekeyBundle, ephemeral: &AgreementSecretKey) -> Fields {
        let Initiated { agreed, opening } = &self.initiated;
        let one_time = bundle.one_time_prekey.as_ref();
        let agreements = Agreements {
            dh1: self.initiator.keys().agreement.agree(&bundle.signed_prekey).unwrap(),
            dh2: ephemeral.agree(bundle.device.agreement_key()).unwrap(),
            dh3: ephemeral.agree(&bundle.signed_prekey).unwrap(),
            dh4: one_time.map(|(_, key)| ephemeral.agree(key).unwrap()),
        };
        let kem_secret = self.kem_prekey.decapsulate(&opening.kem_ciphertext);
        let secret = agreements.secret(&kem_secret);
        let responded = respond(self.responder, self.initiator.device(), opening, &self.responder_prekeys()).unwrap();
        assert_eq!(secret, agreed.secret);
        assert_eq!(secret, responded.secret);
        assert_eq!(agreed.binding, responded.binding);
        assert_eq!(self.session.id(), opening.id());
        Fields::default()
            .hex("ephemeral_key", ephemeral.public_bytes())
            .hex("dh1", agreements.dh1.as_bytes())
            .hex("dh2", agreements.dh2.as_bytes())
            .hex("dh3", agreements.dh3.as_bytes())
            .hex_if("dh4", agreements.dh4.as_ref().map(SharedSecret::as_bytes))
            .hex("kem_shared_secret", kem_secret.as_bytes())
            .hex("secret", secret.as_bytes())
            .hex("x3dh_test_mode_secret", x3dh_secret(&agreements).as_bytes())
            .hex("opening", opening.write(Writer::default()).finish())
            .hex("session_id", opening.id().as_bytes())
            .hex("kem_key_hash", Sha256::digest(bundle.kem_prekey.to_bytes()))
            .hex("session_binding", agreed.binding.as_bytes())
            .hex("initiator_saved", &*self.session.save())
    }

    fn responder_prekeys(&self) -> ResponderPrekeys<'_> {
        let Self { signed_prekey, one_time_prekey, kem_prekey, .. } = self;
        ResponderPrekeys { signed_prekey, one_time_prekey: *one_time_prekey, kem_prekey }
    }

    /// The responder's session, made from a first message by the public path.
    pub(super) fn respond(&self, payload: &[u8]) -> PairwiseSession {
        let PairwiseMessage { opening, sealed } = PairwiseMessage::parse(payload).unwrap();
        let opening = opening.unwrap();
        assert_eq!(opening, self.initiated.opening);
        let (initiator, prekeys) = (self.initiator.device(), self.responder_prekeys());
        PairwiseSession::respond(self.responder, initiator, &opening, &sealed, &prekeys).unwrap()
    }
}
