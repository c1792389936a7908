//! Secrets are not printed, not copied, not serialised, and wiped.

use conclave::ids::{AccountId, DeviceId};
use conclave::protocol::agreement::{Agreed, Initiated, SessionSecret, initiate};
use conclave::protocol::backup::{AccountSecrets, OpenedBackup, RecoveryKey, open_backup, seal_backup};
use conclave::protocol::identity::{AccountRoot, DeviceIdentity, DeviceKeys};
use conclave::protocol::keystore::Passphrase;
use conclave::protocol::machine::{Changes, Encrypt, Input, Machine, Opened, Outputs, Place};
use conclave::protocol::ratchet::{ChainKey, DoubleRatchet, MessageKey, RootKey};
use conclave::protocol::secret::{
    AgreementSecretKey, KemSecretKey, KemSeed, KemSharedSecret, SharedSecret, SigningSecretKey,
};
use conclave::protocol::session::PairwiseSession;
use conclave::protocol::vault::{CollectionKey, VaultKey};
use conclave::wire::{Reader, Writer};
use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use zeroize::ZeroizeOnDrop;

use crate::pair::{CONTEXT, Pair, Responder, identity};
use crate::support::{POLICY, ROOM, START, rng, two_devices};

/// Fails if a part of `secret` stands in `text`: any four bytes in hexadecimal, as a list of numbers
/// or as they are, any six in base64 of either alphabet at any offset. (Of four bytes base64 shows as
/// little as 24 bits, which public keys have in common with a secret now and then.)
fn assert_not_in(secret: &[u8], text: &str) {
    let mut forms = Vec::new();
    for window in secret.windows(4) {
        let decimal: Vec<String> = window.iter().map(u8::to_string).collect();
        forms.extend([HEXLOWER.encode(window), HEXUPPER.encode(window)]);
        forms.extend([", ", ",", " ", "\n"].map(|separator| decimal.join(separator)));
        forms.extend(String::from_utf8(window.to_vec()).ok());
    }
    for window in secret.windows(6) {
        for shift in 0..3 {
            // The characters that these bytes alone decide, with `shift` bytes before them.
            let bytes = [&[0, 0][..shift], window].concat();
            let (from, to) = ((shift * 8).div_ceil(6), bytes.len() * 8 / 6);
            forms.extend([BASE64_NOPAD, BASE64URL_NOPAD].map(|base64| base64.encode(&bytes)[from..to].to_owned()));
        }
    }
    for form in forms {
        assert!(!text.contains(&form), "{form:?} of a secret stands in what is printed");
    }
}

/// How a value prints, in one line and in many.
fn printed(value: &impl core::fmt::Debug) -> [String; 2] {
    [format!("{value:?}"), format!("{value:#?}")]
}

#[test]
fn a_printed_secret_is_found() {
    let secret = [0xde, 0xad, 0xbe, 0xef, 0x01, 0x02, 0x03, 0x04];
    let leaks = [
        HEXLOWER.encode(&secret),
        HEXUPPER.encode(&secret[1..5]),
        format!("{secret:?}"),
        BASE64URL_NOPAD.encode(&secret),
        BASE64_NOPAD.encode(&[&[9][..], &secret].concat()),
        BASE64_NOPAD.encode(&[&[9, 9][..], &secret].concat()),
    ];
    for leak in leaks {
        let found = std::panic::catch_unwind(|| assert_not_in(&secret, &leak));
        assert!(found.is_err(), "{leak}");
    }
    assert_not_in(&secret, "SharedSecret(..)");
}

#[test]
fn secret_keys_print_their_public_half_or_nothing() {
    let seed = [0xa5; 32];
    let signing = SigningSecretKey::from_seed(&seed);
    let agreement = AgreementSecretKey::from_bytes(&seed);
    let kem_seed = KemSeed::from_bytes(&[0xa5; 64]);
    let kem = kem_seed.expand();
    let shared = agreement.agree(&AgreementSecretKey::from_bytes(&[3; 32]).public_key()).unwrap();
    let (ciphertext, kem_shared) = kem.public_key().encapsulate(&mut rng(500));
    assert_eq!(kem.decapsulate(&ciphertext).as_bytes(), kem_shared.as_bytes());
    let shown = [
        format!("{signing:?}"),
        format!("{agreement:?}"),
        format!("{kem_seed:?}"),
        format!("{kem:?}"),
        format!("{shared:?}"),
        format!("{kem_shared:?}"),
    ];
    assert_eq!(
        shown,
        [
            "SigningSecretKey(public: Bytes<32>(KeWDOpFaZCk..), ..)",
            "AgreementSecretKey(public: Bytes<32>(X-8T_HYCOp4..), ..)",
            "KemSeed(..)",
            "KemSecretKey(public: KemPublicKey(Bytes<1568>(PkVvZHYktoA..)), ..)",
            "SharedSecret(..)",
            "KemSharedSecret(..)",
        ]
    );
    for text in &shown {
        for secret in [&seed[..], shared.as_bytes(), kem_shared.as_bytes()] {
            assert_not_in(secret, text);
        }
    }
}

#[test]
fn identities_print_no_secret() {
    let mut rng = rng(501);
    let account_id = AccountId::from_bytes([1; 16]);
    let seed = [0xa5; 32];
    let root = AccountRoot::from_key(account_id, SigningSecretKey::from_seed(&seed));
    let keys = DeviceKeys {
        signing: SigningSecretKey::from_seed(&[0xb6; 32]),
        agreement: AgreementSecretKey::from_bytes(&[0xc7; 32]),
    };
    let signing = keys.signing.public_key();
    let root_key = "SigningSecretKey(public: Bytes<32>(KeWDOpFaZCk..), ..)";
    assert_eq!(
        format!("{root:?}"),
        format!("AccountRoot {{ account_id: AccountId(AQEBAQEBAQEBAQEBAQEBAQ), key: {root_key} }}")
    );
    let printed_keys = "DeviceKeys { signing: SigningSecretKey(public: Bytes<32>(gFRA7kgFH8g..), ..), \
                        agreement: AgreementSecretKey(public: Bytes<32>(rPzX6uLtOqg..), ..) }";
    assert_eq!(format!("{keys:?}"), printed_keys);
    let certificate = root.certify(DeviceId::from_bytes([2; 16]), &signing, &keys.agreement.public_key(), START);
    let identity = DeviceIdentity::new(keys, &certificate).unwrap();
    let device = format!("{:?}", identity.device());
    assert_eq!(format!("{identity:?}"), format!("DeviceIdentity {{ device: {device}, keys: {printed_keys} }}"));

    let secrets = AccountSecrets::generate(account_id, &mut rng);
    let printed_secrets = format!("AccountSecrets(root: {:?}, ..)", secrets.root().public_key().to_wire());
    assert_eq!(format!("{secrets:?}"), printed_secrets);
    let recovery_key = RecoveryKey::generate(&mut rng);
    let backup = seal_backup(&recovery_key, 1, &secrets, &mut rng).unwrap();
    let opened = open_backup(&recovery_key, account_id, &backup).unwrap();
    assert_eq!(format!("{recovery_key:?}"), "RecoveryKey(..)");
    assert_eq!(format!("{opened:?}"), format!("OpenedBackup {{ generation: 1, secrets: {printed_secrets} }}"));
    for text in &printed(&(&identity, &root, &secrets, &recovery_key, &opened)) {
        for secret in [&[0xa5; 32], &[0xb6; 32], &[0xc7; 32]] {
            assert_not_in(secret, text);
        }
        assert_not_in(&secrets.encode_secret()[1..], text);
        let written = recovery_key.to_written();
        for group in written.split('-') {
            assert!(!text.contains(group));
        }
    }
}

#[test]
fn vault_keys_and_passphrases_print_no_secret() {
    let secrets = AccountSecrets::generate(AccountId::from_bytes([1; 16]), &mut rng(502));
    let vault_key = secrets.vault_key();
    let collection = vault_key.collection_key(secrets.account_id(), &"memories".parse().unwrap());
    let passphrase = Passphrase::new("correct horse battery staple".to_owned()).unwrap();
    assert_eq!(format!("{vault_key:?}"), "VaultKey(..)");
    assert_eq!(format!("{collection:?}"), "CollectionKey(AQEBAQEBAQEBAQEBAQEBAQ/memories, ..)");
    assert_eq!(format!("{passphrase:?}"), "Passphrase(..)");
}

#[test]
fn an_agreement_prints_no_secret() {
    let mut rng = rng(503);
    let (initiator, responder) = (identity(&mut rng), Responder::new(&mut rng));
    let Initiated { agreed, opening } = initiate(&initiator, &responder.bundle(), &mut rng).unwrap();
    assert_eq!(format!("{:?}", agreed.secret), "SessionSecret(..)");
    let text = format!("{:?}", Initiated { agreed, opening });
    assert!(
        text.starts_with("Initiated { agreed: Agreed { secret: SessionSecret(..), binding: SessionBinding("),
        "{text}"
    );
}

/// Where secrets stand in a saved session: its root key, and the rest of a session that was answered
/// and whose turn it is, with one chain and one late message.
struct SavedSecrets {
    root_key: Vec<u8>,
    ratchet_secret: Vec<u8>,
    sending_chain: Vec<u8>,
    receiving_chain: Vec<u8>,
    skipped: Vec<u8>,
}

impl SavedSecrets {
    fn read(saved: &[u8]) -> Self {
        let mut reader = Reader::new(saved);
        let mut take = |skipped: usize, length: usize| {
            reader.bytes(skipped).unwrap();
            reader.bytes(length).unwrap().to_vec()
        };
        Self {
            root_key: take(1 + 16 + 32 + 1, 32),
            ratchet_secret: take(1, 32),
            sending_chain: take(32, 32),
            receiving_chain: take(4 + 4 + 4 + 32 + 1, 32),
            skipped: take(4 + 4 + 4 + 8, 32),
        }
    }

    fn all(&self) -> [&[u8]; 5] {
        let Self { root_key, ratchet_secret, sending_chain, receiving_chain, skipped } = self;
        [root_key, ratchet_secret, sending_chain, receiving_chain, skipped]
    }
}

#[test]
fn a_session_prints_its_counts_alone() {
    let mut pair = Pair::new(504);
    pair.lose(1);
    let message = pair.a_writes(b"a plaintext");
    pair.b_reads(&message).unwrap();
    pair.answer();
    let ratchet =
        "DoubleRatchet { turn: \"ours\", previous_chain_length: 0, receiving_chains: 1, skipped_keys: 1, .. }";
    assert_eq!(format!("{:?}", pair.b.ratchet()), ratchet);
    assert_eq!(
        format!("{:?}", pair.b),
        format!("PairwiseSession {{ id: {:?}, answered: true, ratchet: {ratchet}, .. }}", pair.b.id())
    );
    let secrets = SavedSecrets::read(&pair.b.save());
    for text in printed(&pair.b) {
        for secret in secrets.all() {
            assert_not_in(secret, &text);
        }
    }
}

#[test]
fn secrets_stand_in_a_saved_session_where_these_tests_look() {
    let mut pair = Pair::new(505);
    let late = pair.lose(1);
    let message = pair.a_writes(b"");
    pair.b_reads(&message).unwrap();
    let on_known_chain = pair.a_writes(b"");
    pair.answer();
    let on_new_chain = pair.a_writes(b"");
    let saved = pair.b.save();
    let SavedSecrets { root_key, ratchet_secret, sending_chain, receiving_chain, skipped } = SavedSecrets::read(&saved);

    let with_changed = |secret: &[u8]| {
        let mut changed = saved.to_vec();
        let at = changed.windows(32).position(|window| window == secret).unwrap();
        changed[at] ^= 0x40;
        PairwiseSession::load(&changed).unwrap()
    };
    // Each secret is what one message needs.
    for (secret, message) in [
        (&root_key, &on_new_chain),
        (&ratchet_secret, &on_new_chain),
        (&receiving_chain, &on_known_chain),
        (&skipped, &late[0]),
    ] {
        with_changed(secret).open_sealed(message, &CONTEXT, START).unwrap_err();
        PairwiseSession::load(&saved).unwrap().open_sealed(message, &CONTEXT, START).unwrap();
    }
    let payload = with_changed(&sending_chain).seal(b"", &CONTEXT, &mut pair.rng).unwrap();
    pair.a.open(&payload, &CONTEXT, START).unwrap_err();
}

#[test]
fn a_machine_and_its_outputs_print_no_secret() {
    let (mut directory, alice, mut a, bob, mut b) = two_devices(506);
    let (to_alice, to_bob) = ([alice.root.account_id()], [bob.root.account_id()]);
    let plaintext = b"Ada takes her tea without milk";
    let late = a.write(&mut directory, &to_bob, b"late");
    let first = a.write(&mut directory, &to_bob, plaintext);
    b.read(&directory, &first[0]).unwrap();
    b.write(&mut directory, &to_alice, plaintext);
    let outputs = b.machine.handle(Input::Open { envelope: &late[0], policy: POLICY }, b.now, &mut b.rng).unwrap();
    let encrypt = Encrypt { accounts: &to_alice, except: &[], place: Place::Room(ROOM), policy: POLICY, plaintext };
    let sending = b.machine.handle(Input::Encrypt(encrypt), b.now, &mut b.rng).unwrap();
    assert!(!sending.changes.is_empty() && sending.send.len() == 1);

    let shown = [
        printed(&b.machine),
        printed(&outputs),
        printed(&sending),
        printed(&b.machine.save()),
        printed(&Input::Encrypt(encrypt)),
        printed(&outputs.opened),
    ];
    let mut secrets: Vec<Vec<u8>> = vec![plaintext.to_vec(), b"late".to_vec()];
    for (key, value) in b.records.iter().map(|(key, value)| (key.to_string(), value)) {
        if key == "identity" {
            secrets.extend([value[1..33].to_vec(), value[33..65].to_vec()]);
        } else if key.contains("prekey") {
            // Behind version 1, time 8 and the time of publishing 9.
            secrets.push(value[18..].to_vec());
        } else if key.starts_with("session") {
            // Behind version 1, rank 8 and time 8.
            PairwiseSession::load(&value[17..]).unwrap();
            secrets.extend(SavedSecrets::read(&value[17..]).all().map(<[u8]>::to_vec));
        }
    }
    assert!(secrets.len() > 200);
    // The start of each will do: whatever prints a secret prints that.
    for text in shown.as_flattened() {
        for secret in &secrets {
            assert_not_in(&secret[..secret.len().min(9)], text);
        }
    }
    let room = format!("{ROOM:?}");
    assert_eq!(
        format!("{encrypt:?}"),
        format!(
            "Encrypt {{ accounts: [{:?}], except: [], place: Room({room}), policy: RoomPolicy {{ custody: Client, \
             protection: Ratchet, signatures: On }}, plaintext: 30 bytes }}",
            to_alice[0]
        )
    );
    let opened = outputs.opened.as_ref().unwrap();
    assert_eq!(
        format!("{opened:?}"),
        format!(
            "Opened {{ envelope_id: {:?}, sender: {:?}, destination: Room({room}), timestamp: {:?}, .. }}",
            late[0].id,
            a.address(),
            START
        )
    );
    let session = outputs.changes.iter().next().unwrap().0;
    assert_eq!(format!("{:?}", outputs.changes), format!("{{{session:?}: \"put\"}}"));
}

#[test]
fn a_writer_and_a_reader_print_their_length() {
    let writer = Writer::default().bytes(&[0xa5; 32]);
    assert_eq!(format!("{writer:?}"), "Writer(32 bytes)");
    let written = writer.finish_secret();
    assert_eq!(format!("{:?}", Reader::new(&written)), "Reader(32 bytes left)");
}

#[test]
fn secrets_are_wiped_when_they_are_dropped() {
    fn assert_wiped<T: ZeroizeOnDrop>() {}
    assert_wiped::<SigningSecretKey>();
    assert_wiped::<AgreementSecretKey>();
    assert_wiped::<KemSeed>();
    assert_wiped::<KemSecretKey>();
    assert_wiped::<SharedSecret>();
    assert_wiped::<KemSharedSecret>();
    assert_wiped::<SessionSecret>();
    assert_wiped::<RootKey>();
    assert_wiped::<ChainKey>();
    assert_wiped::<MessageKey>();
    assert_wiped::<VaultKey>();
    assert_wiped::<CollectionKey>();
    assert_wiped::<AccountSecrets>();
    assert_wiped::<AccountRoot>();
    assert_wiped::<DeviceKeys>();
    assert_wiped::<DeviceIdentity>();
    assert_wiped::<RecoveryKey>();
    assert_wiped::<Passphrase>();
    // What these hold is wiped because its type is.
    let opened: fn(Opened) -> zeroize::Zeroizing<Vec<u8>> = |opened| opened.plaintext;
    let saved: fn(&PairwiseSession) -> zeroize::Zeroizing<Vec<u8>> = PairwiseSession::save;
    let keys: fn(&DeviceKeys) -> zeroize::Zeroizing<Vec<u8>> = DeviceKeys::save;
    let identity: fn(&DeviceIdentity) -> zeroize::Zeroizing<Vec<u8>> = DeviceIdentity::save;
    let secrets: fn(&AccountSecrets) -> zeroize::Zeroizing<Vec<u8>> = AccountSecrets::encode_secret;
    let written: fn(&RecoveryKey) -> zeroize::Zeroizing<String> = RecoveryKey::to_written;
    let _ = (opened, saved, keys, identity, secrets, written);
}

/// Does not compile if the type has the trait: then both implementations apply, and `PROOF` is
/// ambiguous.
macro_rules! assert_lacks {
    ($trait:path: $($type:ty),+ $(,)?) => {
        $(const _: () = {
            struct HasIt;
            trait Ambiguous<Marker> {
                const PROOF: () = ();
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            impl<T: ?Sized + $trait> Ambiguous<HasIt> for T {}
            <$type as Ambiguous<_>>::PROOF
        };)+
    };
}

macro_rules! assert_secret {
    ($($type:ty),+ $(,)?) => {
        assert_lacks!(Clone: $($type),+);
        assert_lacks!(core::fmt::Display: $($type),+);
        assert_lacks!(serde::Serialize: $($type),+);
    };
}

assert_secret!(
    SigningSecretKey,
    KemSeed,
    KemSecretKey,
    SharedSecret,
    KemSharedSecret,
    SessionSecret,
    RootKey,
    ChainKey,
    MessageKey,
    DeviceKeys,
    DeviceIdentity,
    AccountRoot,
    Agreed,
    Initiated,
    DoubleRatchet,
    PairwiseSession,
    Machine,
    Changes,
    Outputs,
    Opened,
    Writer,
    VaultKey,
    CollectionKey,
    AccountSecrets,
    RecoveryKey,
    OpenedBackup,
    Passphrase,
);
// A prekey's secret is cloned for the agreement that uses it.
assert_lacks!(Copy: AgreementSecretKey);
assert_lacks!(core::fmt::Display: AgreementSecretKey);
assert_lacks!(serde::Serialize: AgreementSecretKey, Encrypt<'static>, Input<'static>);
