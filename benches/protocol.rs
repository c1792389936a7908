//! What the protocol costs, beside vodozemac's Olm and beside the bare operations it stands on.
//!
//! `make bench` runs this and prints the table of the README from what criterion measured.

#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::unwrap_used, reason = "a broken arrangement should stop the run")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::time::Duration;

use conclave::protocol::agreement::{ResponderPrekeys, initiate, respond};
use conclave::protocol::identity::{AccountRoot, DeviceIdentity, DeviceKeys};
use conclave::protocol::keystore::{Argon2Parameters, Passphrase, open_keystore, seal_keystore};
use conclave::protocol::machine::{Encrypt, Input, Place};
use conclave::protocol::public::{AgreementPublicKey, VerifiedPrekeyBundle};
use conclave::protocol::secret::{AgreementSecretKey, KemSeed, SigningSecretKey};
use conclave::protocol::session::{MessageContext, PairwiseMessage, PairwiseSession};
use conclave::wire::Destination;
use conclave::{ids::AccountId, ids::DeviceId};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use support::{POLICY, ROOM, START, rng, signed_bundle, two_devices};
use vodozemac::olm::{Account as OlmAccount, OlmMessage, Session as OlmSession, SessionConfig};

const CONTEXT: MessageContext = MessageContext { destination: Destination::Room(ROOM), policy: POLICY };
const SIZES: [usize; 3] = [256, 1024, 16 * 1024];

fn keys(c: &mut Criterion) {
    let mut rng = rng(1);
    let mut group = c.benchmark_group("keys");
    group.bench_function("x25519_generate", |b| b.iter(|| AgreementSecretKey::generate(&mut rng)));
    group.bench_function("ed25519_generate", |b| b.iter(|| SigningSecretKey::generate(&mut rng)));
    group.bench_function("ml_kem_1024_generate", |b| b.iter(|| KemSeed::generate(&mut rng).expand()));
    let (ours, theirs) = (AgreementSecretKey::generate(&mut rng), AgreementSecretKey::generate(&mut rng));
    let their_key = *theirs.public_bytes();
    group.bench_function("x25519_parse", |b| b.iter(|| AgreementPublicKey::parse(black_box(&their_key))));
    let parsed = theirs.public_key();
    group.bench_function("x25519_agree", |b| b.iter(|| ours.agree(black_box(&parsed))));
    group.bench_function("x25519_ladder", |b| {
        let secret = x25519_dalek::StaticSecret::from([7; 32]);
        let public = x25519_dalek::PublicKey::from(their_key);
        b.iter(|| secret.diffie_hellman(black_box(&public)));
    });
    let signing = SigningSecretKey::generate(&mut rng);
    let public = signing.public_key();
    let message = [7; 512];
    let signature = signing.sign(&message);
    group.bench_function("ed25519_sign", |b| b.iter(|| signing.sign(black_box(&message))));
    group.bench_function("ed25519_verify", |b| b.iter(|| public.has_signed(black_box(&message), &signature)));
    group.finish();
}

/// A device, and the prekeys that a bundle of it is made of.
struct Responder {
    identity: DeviceIdentity,
    signed_prekey: AgreementSecretKey,
    one_time_prekey: AgreementSecretKey,
    kem_seed: KemSeed,
}

impl Responder {
    fn new(seed: u64) -> Self {
        let mut rng = rng(seed);
        Self {
            identity: identity(seed),
            signed_prekey: AgreementSecretKey::generate(&mut rng),
            one_time_prekey: AgreementSecretKey::generate(&mut rng),
            kem_seed: KemSeed::generate(&mut rng),
        }
    }

    fn bundle(&self) -> VerifiedPrekeyBundle {
        let Self { identity, signed_prekey, one_time_prekey, kem_seed } = self;
        let kem_prekey = kem_seed.expand().public_key();
        signed_bundle(identity, &signed_prekey.public_key(), &kem_prekey, &one_time_prekey.public_key())
    }
}

fn identity(seed: u64) -> DeviceIdentity {
    let mut rng = rng(seed);
    let root = AccountRoot::generate(AccountId::generate(&mut rng), &mut rng);
    let keys = DeviceKeys::generate(&mut rng);
    let (signing, agreement) = (keys.signing.public_key(), keys.agreement.public_key());
    let certificate = root.certify(DeviceId::generate(&mut rng), &signing, &agreement, START);
    DeviceIdentity::new(keys, &certificate).unwrap()
}

fn pqxdh(c: &mut Criterion) {
    let mut rng = rng(2);
    let (initiator, responder) = (identity(3), Responder::new(4));
    let bundle = responder.bundle();
    let opening = initiate(&initiator, &bundle, &mut rng).unwrap().opening;
    let kem_prekey = responder.kem_seed.expand();
    let prekeys = ResponderPrekeys {
        signed_prekey: &responder.signed_prekey,
        one_time_prekey: Some(&responder.one_time_prekey),
        kem_prekey: &kem_prekey,
    };
    let mut group = c.benchmark_group("pqxdh");
    group.bench_function("initiate", |b| b.iter(|| initiate(&initiator, &bundle, &mut rng).unwrap()));
    group.bench_function("initiate_bare", |b| {
        b.iter(|| {
            let ephemeral = AgreementSecretKey::generate(&mut rng);
            let (_, signed_prekey) = bundle.signed_prekey();
            (
                initiator.keys().agreement.agree(signed_prekey).unwrap(),
                ephemeral.agree(bundle.device().agreement_key()).unwrap(),
                ephemeral.agree(signed_prekey).unwrap(),
                ephemeral.agree(bundle.one_time_prekey().unwrap().1).unwrap(),
                bundle.kem_prekey().1.encapsulate(&mut rng),
            )
        });
    });
    let device = initiator.device();
    group.bench_function("respond", |b| {
        b.iter(|| respond(&responder.identity, device, &opening, &prekeys).unwrap());
    });
    group.bench_function("respond_bare", |b| {
        b.iter(|| {
            (
                responder.signed_prekey.agree(device.agreement_key()).unwrap(),
                responder.identity.keys().agreement.agree(&opening.ephemeral_key).unwrap(),
                responder.signed_prekey.agree(&opening.ephemeral_key).unwrap(),
                responder.one_time_prekey.agree(&opening.ephemeral_key).unwrap(),
                kem_prekey.decapsulate(&opening.kem_ciphertext),
            )
        });
    });
    group.finish();
}

/// Two sides of a session that has been answered.
fn sessions() -> (PairwiseSession, PairwiseSession) {
    let mut rng = rng(5);
    let (initiator, responder) = (identity(6), Responder::new(7));
    let mut ours = PairwiseSession::initiate(&initiator, &responder.bundle(), &mut rng).unwrap();
    let first = PairwiseMessage::parse(&ours.seal(b"first", &CONTEXT, &mut rng).unwrap()).unwrap();
    let prekeys = ResponderPrekeys {
        signed_prekey: &responder.signed_prekey,
        one_time_prekey: Some(&responder.one_time_prekey),
        kem_prekey: &responder.kem_seed.expand(),
    };
    let opening = first.opening.as_ref().unwrap();
    let mut theirs =
        PairwiseSession::respond(&responder.identity, initiator.device(), opening, &first.sealed, &prekeys).unwrap();
    theirs.open_sealed(&first.sealed, &CONTEXT, START).unwrap();
    let answer = theirs.seal(b"answer", &CONTEXT, &mut rng).unwrap();
    ours.open(&answer, &CONTEXT, START).unwrap();
    (ours, theirs)
}

/// The same of vodozemac's.
fn olm_sessions() -> (OlmSession, OlmSession) {
    let (alice, mut bob) = (OlmAccount::new(), OlmAccount::new());
    bob.generate_one_time_keys(1);
    let one_time_key = *bob.one_time_keys().values().next().unwrap();
    let mut ours =
        alice.create_outbound_session(SessionConfig::version_1(), bob.curve25519_key(), one_time_key).unwrap();
    let OlmMessage::PreKey(first) = ours.encrypt("first").unwrap() else { unreachable!("the first message opens") };
    let mut theirs =
        bob.create_inbound_session(SessionConfig::version_1(), alice.curve25519_key(), &first).unwrap().session;
    let answer = theirs.encrypt("answer").unwrap();
    ours.decrypt(&answer).unwrap();
    (ours, theirs)
}

fn messages(c: &mut Criterion) {
    let mut rng = rng(8);
    let mut group = c.benchmark_group("in_order");
    for size in SIZES {
        let plaintext = vec![7; size];
        let (mut ours, mut theirs) = sessions();
        group.bench_function(BenchmarkId::new("conclave", size), |b| {
            b.iter(|| {
                let payload = ours.seal(&plaintext, &CONTEXT, &mut rng).unwrap();
                theirs.open(&payload, &CONTEXT, START).unwrap()
            });
        });
        let (mut ours, mut theirs) = olm_sessions();
        group.bench_function(BenchmarkId::new("vodozemac", size), |b| {
            b.iter(|| {
                let message = ours.encrypt(&plaintext).unwrap();
                theirs.decrypt(&message).unwrap()
            });
        });
        let (mut ours, _) = sessions();
        group.bench_function(BenchmarkId::new("conclave_encrypt", size), |b| {
            b.iter(|| ours.seal(&plaintext, &CONTEXT, &mut rng).unwrap());
        });
    }
    group.finish();
}

fn ping_pong(c: &mut Criterion) {
    let mut rng = rng(9);
    let plaintext = vec![7; 256];
    let mut group = c.benchmark_group("ping_pong");
    let (mut ours, mut theirs) = sessions();
    group.bench_function("conclave", |b| {
        b.iter(|| {
            let payload = ours.seal(&plaintext, &CONTEXT, &mut rng).unwrap();
            core::mem::swap(&mut ours, &mut theirs);
            ours.open(&payload, &CONTEXT, START).unwrap()
        });
    });
    let (mut ours, mut theirs) = olm_sessions();
    group.bench_function("vodozemac", |b| {
        b.iter(|| {
            let message = ours.encrypt(&plaintext).unwrap();
            core::mem::swap(&mut ours, &mut theirs);
            ours.decrypt(&message).unwrap()
        });
    });
    group.finish();
}

fn storage(c: &mut Criterion) {
    let (session, _) = sessions();
    let saved = session.save();
    let mut group = c.benchmark_group("storage");
    group.bench_function("session_save", |b| b.iter(|| session.save()));
    group.bench_function("session_load", |b| b.iter(|| PairwiseSession::load(black_box(&saved)).unwrap()));
    group.sample_size(10);
    let passphrase = Passphrase::new(String::from("correct horse battery staple")).unwrap();
    let mut rng = rng(10);
    group.bench_function("keystore_seal", |b| {
        b.iter(|| seal_keystore(&passphrase, Argon2Parameters::default(), &[7; 256], &mut rng).unwrap());
    });
    let sealed = seal_keystore(&passphrase, Argon2Parameters::default(), &[7; 256], &mut rng).unwrap();
    group.bench_function("keystore_open", |b| b.iter(|| open_keystore(&passphrase, black_box(&sealed)).unwrap()));
    group.finish();
}

/// A signed envelope through two machines: seal, sign, save; verify, open, save.
fn machines(c: &mut Criterion) {
    let (mut directory, alice, mut a, bob, mut b) = two_devices(11);
    let (alice, bob) = (alice.root.account_id(), bob.root.account_id());
    let first = a.write(&mut directory, &[bob], b"first");
    b.read(&directory, &first[0]).unwrap();
    let answer = b.write(&mut directory, &[alice], b"answer");
    a.read(&directory, &answer[0]).unwrap();
    let plaintext = vec![7; 256];
    let mut group = c.benchmark_group("machine");
    group.bench_function("encrypt_and_open_signed_256", |bencher| {
        bencher.iter(|| {
            let accounts = [bob];
            let encrypt = Encrypt {
                accounts: &accounts,
                except: &[],
                place: Place::Room(ROOM),
                policy: POLICY,
                plaintext: &plaintext,
            };
            let sent = a.machine.handle(Input::Encrypt(encrypt), START, &mut a.rng).unwrap();
            let envelope = &sent.send[0];
            b.machine.handle(Input::Open { envelope, policy: POLICY }, START, &mut b.rng).unwrap()
        });
    });
    group.finish();
}

criterion_group! {
    name = protocol;
    config = Criterion::default()
        .sample_size(60)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    targets = keys, pqxdh, messages, ping_pong, storage, machines
}
criterion_main!(protocol);
