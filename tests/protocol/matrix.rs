//! Everything that is sealed or signed, shown where something else belongs: nothing opens, and
//! nothing holds. What two kinds have in common (a key, a header, a form) is given to the wrong one
//! too, so that only what should tell them apart does.

use conclave::ids::{AccountId, DeviceAddress, DeviceId, ItemId, RoomId};
use conclave::protocol::backup::{AccountSecrets, Backup, BackupError, RecoveryKey, open_backup, seal_backup};
use conclave::protocol::identity::{AccountRoot, DeviceIdentity, DeviceKeys};
use conclave::protocol::keystore::{Argon2Parameters, KeystoreError, Passphrase, open_keystore, seal_keystore};
use conclave::protocol::machine::{MachineError, Place};
use conclave::protocol::public::{
    VerifyError, agreement_key_id, certificate_signed_bytes, envelope_signed_bytes, kem_key_id,
    kem_prekey_signed_bytes, list_signed_bytes, signed_prekey_signed_bytes, signing_key_id, verify_device,
    verify_device_list, verify_envelope, verify_kem_prekey, verify_signed_prekey,
};
use conclave::protocol::ratchet::RatchetError;
use conclave::protocol::secret::{AgreementSecretKey, KemSecretKey, SigningSecretKey};
use conclave::protocol::session::{MessageContext, PairwiseMessage, SessionError};
use conclave::protocol::vault::{CollectionKey, ItemContext, SealedItem, VaultError};
use conclave::wire::{
    ByteString, Bytes, Custody, Destination, DeviceCertificate, DeviceList, Envelope, KemPrekey, KemPrekeyUse,
    Protection, RoomPolicy, Signatures, SignedPrekey, WireError,
};
use rand_chacha::ChaCha20Rng;

use crate::pair::{CONTEXT, Pair};
use crate::support::{Account, Device, Directory, POLICY, ROOM, START, rng, two_devices};

/// No signature: what refuses a message here is its sealing alone.
const UNSIGNED: RoomPolicy = RoomPolicy { signatures: Signatures::Off, ..POLICY };

const DOES_NOT_OPEN: MachineError = MachineError::Session(SessionError::Ratchet(RatchetError::Open));

/// Somebody who holds a key of every kind, and one ciphertext of each for them.
struct Holder {
    device: Device,
    /// What arrives at the device when nobody interferes: of a session that is under way.
    message: Envelope,
    opening: Envelope,
    collection: CollectionKey,
    item_context: ItemContext,
    item: Vec<u8>,
    passphrase: Passphrase,
    keystore: Vec<u8>,
    recovery_key: RecoveryKey,
    account: AccountId,
    backup: Vec<u8>,
}

impl Holder {
    fn new() -> Self {
        let (mut directory, alice, mut a, bob, mut b) = two_devices(400);
        let write = |from: &mut Device, directory: &mut Directory, to: &Account| {
            from.try_write(directory, &[to.root.account_id()], Place::Room(ROOM), UNSIGNED, b"pairwise")
                .unwrap()
                .remove(0)
        };
        let first = write(&mut a, &mut directory, &bob);
        b.learn(&directory, alice.root.account_id()).unwrap();
        b.try_read(&first, UNSIGNED).unwrap();
        let answer = write(&mut b, &mut directory, &alice);
        a.try_read(&answer, UNSIGNED).unwrap();
        let message = write(&mut a, &mut directory, &bob);
        let bundle = directory.claim(b.address());
        a.handle(conclave::protocol::machine::Input::Bundle(&bundle)).unwrap();
        let opening = write(&mut a, &mut directory, &bob);

        let mut rng = rng(401);
        let account = bob.root.account_id();
        let secrets = AccountSecrets::generate(account, &mut rng);
        let collection = secrets.vault_key().collection_key(account, &"memories".parse().unwrap());
        let item_context =
            ItemContext { item_id: ItemId::generate(&mut rng), item_type: "memory".parse().unwrap(), version: 1 };
        let item = collection.seal(&item_context, b"vault item", &mut rng).unwrap().into_bytes();
        let passphrase = Passphrase::new("correct horse battery staple".to_owned()).unwrap();
        let keystore = seal_keystore(&passphrase, Argon2Parameters::default(), b"keystore", &mut rng).unwrap();
        let recovery_key = RecoveryKey::generate(&mut rng);
        let backup = seal_backup(&recovery_key, 1, &secrets, &mut rng).unwrap().to_bytes();
        let device = b;
        Self {
            device,
            message,
            opening,
            collection,
            item_context,
            item,
            passphrase,
            keystore,
            recovery_key,
            account,
            backup,
        }
    }

    fn open_pairwise(&self, envelope: &Envelope, payload: &[u8]) -> Result<Vec<u8>, MachineError> {
        let mut device = self.device.copy(402);
        let before = device.held();
        let envelope = Envelope { payload: ByteString(payload.to_vec()), ..envelope.clone() };
        let result = device.try_read(&envelope, UNSIGNED);
        assert!(result.is_ok() || device.held() == before);
        result
    }

    fn open_item(&self, bytes: &[u8]) -> Result<Vec<u8>, VaultError> {
        let opened = self.collection.open(&self.item_context, &SealedItem::parse(bytes.to_vec())?)?;
        Ok(opened.to_vec())
    }

    fn open_keystore(&self, bytes: &[u8]) -> Result<Vec<u8>, KeystoreError> {
        open_keystore(&self.passphrase, bytes).map(|opened| opened.to_vec())
    }

    fn open_backup(&self, bytes: &[u8]) -> Result<u64, BackupError> {
        open_backup(&self.recovery_key, self.account, &Backup::parse(bytes)?).map(|opened| opened.generation)
    }
}

/// The start of one ciphertext with the end of another, as long as the other.
fn spliced(start: &[u8], length: usize, end: &[u8]) -> Vec<u8> {
    [&start[..length], end.get(length..).unwrap_or_default()].concat()
}

#[test]
fn every_ciphertext_opens_where_it_belongs() {
    let holder = Holder::new();
    assert_eq!(holder.open_pairwise(&holder.message, &holder.message.payload.0).unwrap(), b"pairwise");
    assert_eq!(holder.open_pairwise(&holder.opening, &holder.opening.payload.0).unwrap(), b"pairwise");
    assert_eq!(holder.open_item(&holder.item).unwrap(), b"vault item");
    assert_eq!(holder.open_keystore(&holder.keystore).unwrap(), b"keystore");
    assert_eq!(holder.open_backup(&holder.backup).unwrap(), 1);
}

#[test]
fn nothing_else_opens_as_a_pairwise_message() {
    let holder = Holder::new();
    let message = &holder.message.payload.0;
    let opening = &holder.opening.payload.0;
    let opening_length = opening.len() - message.len();
    for foreign in [&holder.item, &holder.keystore, &holder.backup] {
        // As it is, it begins with 1 like a message, and has some bytes in the place of the header.
        let error = holder.open_pairwise(&holder.message, foreign).unwrap_err();
        let is_refused = matches!(
            error,
            MachineError::Session(SessionError::Ratchet(
                RatchetError::RatchetKey(_) | RatchetError::TooFarAhead | RatchetError::Open
            ))
        );
        assert!(is_refused, "{error}");
        // With a genuine header, and with a genuine opening and header.
        let with_header = spliced(message, 41, foreign);
        assert_eq!(holder.open_pairwise(&holder.message, &with_header), Err(DOES_NOT_OPEN));
        let with_opening = [&opening[..opening_length + 41], &foreign[41..]].concat();
        assert_eq!(holder.open_pairwise(&holder.opening, &with_opening), Err(DOES_NOT_OPEN));
        // As a first message it is cut short.
        let as_opening = spliced(opening, 1, foreign);
        let error = holder.open_pairwise(&holder.opening, &as_opening).unwrap_err();
        assert!(matches!(error, MachineError::Session(SessionError::Opening(_))), "{error}");
    }
}

#[test]
fn a_message_is_no_first_message_and_a_first_message_no_other() {
    let holder = Holder::new();
    let message = &holder.message.payload.0;
    let opening = &holder.opening.payload.0;
    let opening_length = opening.len() - message.len();
    // A first message without its opening: no session has its chain.
    let bare = [&[1][..], &opening[opening_length + 1..]].concat();
    assert_eq!(holder.open_pairwise(&holder.opening, &bare), Err(DOES_NOT_OPEN));
    // Another session's message behind an opening.
    let joined = [&opening[..=opening_length], &message[1..]].concat();
    assert_eq!(holder.open_pairwise(&holder.opening, &joined), Err(DOES_NOT_OPEN));
    // The kinds exchanged.
    let error = holder.open_pairwise(&holder.message, &spliced(&[2], 1, message)).unwrap_err();
    assert!(matches!(error, MachineError::Session(SessionError::Opening(_))), "{error}");
    let error = holder.open_pairwise(&holder.opening, &spliced(&[1], 1, opening)).unwrap_err();
    assert!(matches!(error, MachineError::Session(SessionError::Ratchet(_))), "{error}");
    let error = holder.open_pairwise(&holder.message, &spliced(&[3], 1, message)).unwrap_err();
    assert_eq!(error, MachineError::Session(SessionError::Form(WireError::UnknownVersion { version: 3 })));
}

#[test]
fn nothing_else_opens_as_a_vault_item() {
    let holder = Holder::new();
    let (message, opening) = (&holder.message.payload.0, &holder.opening.payload.0);
    // The part of a backup that is sealed has the very form of an item.
    let backup_sealed = &holder.backup[9..].to_vec();
    for foreign in [message, &holder.keystore, &holder.backup, backup_sealed] {
        assert_eq!(holder.open_item(foreign), Err(VaultError::Open));
        assert_eq!(holder.open_item(&spliced(&holder.item, 65, foreign)), Err(VaultError::Open));
    }
    assert_eq!(holder.open_item(opening), Err(VaultError::Malformed(WireError::UnknownVersion { version: 2 })));
}

#[test]
fn nothing_else_opens_as_a_keystore() {
    const HEADER: usize = 29;
    let holder = Holder::new();
    let (message, opening) = (&holder.message.payload.0, &holder.opening.payload.0);
    for foreign in [message, &holder.item, &holder.backup] {
        // The costs are read from where random bytes stand.
        let error = holder.open_keystore(foreign).unwrap_err();
        let is_refused = matches!(error, KeystoreError::BelowFloor { .. } | KeystoreError::AboveCeiling { .. });
        assert!(is_refused, "{error}");
        let with_header = spliced(&holder.keystore, HEADER, foreign);
        assert_eq!(holder.open_keystore(&with_header), Err(KeystoreError::Open));
    }
    let unknown = KeystoreError::Malformed(WireError::UnknownVersion { version: 2 });
    assert_eq!(holder.open_keystore(opening), Err(unknown));
}

#[test]
fn nothing_else_opens_as_a_backup() {
    let holder = Holder::new();
    let (message, opening) = (&holder.message.payload.0, &holder.opening.payload.0);
    for foreign in [message, &holder.item] {
        assert_eq!(holder.open_backup(foreign), Err(BackupError::Malformed(WireError::Trailing)));
        // Its sealed part as long as a backup's, with and without the start of the genuine one.
        let sealed = &foreign[..Backup::LENGTH - 9];
        for start in [9, 9 + 65] {
            let bytes = [&holder.backup[..start], &sealed[start - 9..]].concat();
            assert_eq!(holder.open_backup(&bytes), Err(BackupError::Open));
        }
    }
    assert_eq!(holder.open_backup(&holder.keystore), Err(BackupError::Malformed(WireError::Truncated)));
    let unknown = BackupError::Malformed(WireError::UnknownVersion { version: 2 });
    assert_eq!(holder.open_backup(opening), Err(unknown));
}

#[test]
fn a_message_opens_in_its_place_and_under_its_policy_alone() {
    let device_of_room = DeviceId::from_bytes(*ROOM.as_bytes());
    let contexts = [
        MessageContext { destination: Destination::Room(RoomId::from_bytes([9; 16])), ..CONTEXT },
        MessageContext { destination: Destination::Mailbox(device_of_room), ..CONTEXT },
        MessageContext { policy: RoomPolicy { custody: Custody::Node, ..POLICY }, ..CONTEXT },
        MessageContext { policy: RoomPolicy { protection: Protection::Mls, ..POLICY }, ..CONTEXT },
        MessageContext { policy: RoomPolicy { signatures: Signatures::Off, ..POLICY }, ..CONTEXT },
    ];
    let mut pair = Pair::new(410);
    let refused = Err(SessionError::Ratchet(RatchetError::Open));
    for context in contexts {
        // On the chain that is known, and on one that it begins.
        for _ in 0..2 {
            let message = pair.a_writes(b"here");
            let before = pair.b.save();
            assert_eq!(pair.b.open_sealed(&message, &context, START).map(drop), refused, "{context:?}");
            assert_eq!(pair.b.save(), before);
            assert_eq!(pair.b_reads(&message).unwrap(), b"here");
            pair.answer();
        }
        let payload = pair.a.seal(b"there", &context, &mut pair.rng).unwrap();
        assert_eq!(pair.b.open(&payload, &CONTEXT, START).map(drop), refused, "{context:?}");
    }
}

#[test]
fn a_machine_reads_a_message_in_its_place_and_under_its_policy_alone() {
    for policy in [POLICY, UNSIGNED] {
        let (mut directory, alice, mut a, bob, mut b) = two_devices(411);
        b.learn(&directory, alice.root.account_id()).unwrap();
        let sealing = if policy == UNSIGNED {
            DOES_NOT_OPEN
        } else {
            MachineError::Verify(VerifyError::Signature { part: "envelope" })
        };
        for place in [Place::Room(ROOM), Place::Direct] {
            let sent = a.try_write(&mut directory, &[bob.root.account_id()], place, policy, b"here").unwrap().remove(0);
            let other_room = Destination::Room(RoomId::from_bytes([9; 16]));
            let elsewhere = Envelope { destination: other_room, ..sent.clone() };
            assert_eq!(b.try_read(&elsewhere, policy), Err(sealing));
            let mailbox = Envelope { destination: Destination::Mailbox(a.address().device_id), ..sent.clone() };
            assert_eq!(b.try_read(&mailbox, policy), Err(MachineError::NotForThisDevice));
            if place != Place::Direct {
                let mailbox = Envelope { destination: Destination::Mailbox(b.address().device_id), ..sent.clone() };
                assert_eq!(b.try_read(&mailbox, policy), Err(sealing));
            }
            for other in
                [RoomPolicy { custody: Custody::Node, ..policy }, RoomPolicy { protection: Protection::Mls, ..policy }]
            {
                assert_eq!(b.try_read(&sent, other), Err(MachineError::OtherPolicy { policy: other }));
            }
            if policy == UNSIGNED {
                assert_eq!(b.try_read(&sent, POLICY), Err(MachineError::Verify(VerifyError::SignatureMissing)));
            } else {
                let error = MachineError::Verify(VerifyError::SignatureUnexpected);
                assert_eq!(b.try_read(&sent, UNSIGNED), Err(error));
                // The signature taken off: what was sealed for one policy opens under no other.
                let stripped = Envelope { signature: None, ..sent.clone() };
                assert_eq!(b.try_read(&stripped, UNSIGNED), Err(DOES_NOT_OPEN));
            }
            assert_eq!(b.held(), b.records);
            assert_eq!(b.try_read(&sent, policy).unwrap(), b"here");
        }
    }
}

#[test]
fn a_message_opens_on_its_own_session_alone() {
    let (mut one, mut other) = (Pair::new(412), Pair::new(413));
    let known_chain = [one.a_writes(b"one"), other.a_writes(b"other")];
    one.answer();
    other.answer();
    let new_chain = [one.a_writes(b"one"), other.a_writes(b"other")];
    for [of_one, of_other] in [known_chain, new_chain] {
        assert_eq!(one.b_reads(&of_other), Err(SessionError::Ratchet(RatchetError::Open)));
        // With the header of its own session too.
        let mut joined = of_other.clone();
        joined.header = of_one.header;
        assert_eq!(one.b_reads(&joined), Err(SessionError::Ratchet(RatchetError::Open)));
        assert_eq!(one.b_reads(&of_one).unwrap(), b"one");
    }
}

#[test]
fn a_message_does_not_open_on_the_session_of_its_own_sender() {
    let mut pair = Pair::new(414);
    for _ in 0..3 {
        let message = pair.a_writes(b"to b");
        pair.a_reads(&message).unwrap_err();
        pair.b_reads(&message).unwrap();
        let message = pair.b_writes(b"to a");
        pair.b_reads(&message).unwrap_err();
        pair.a_reads(&message).unwrap();
    }
}

/// Two accounts with two devices each; the first device of each has written to both of the other's.
struct Crowd {
    directory: Directory,
    alice: [Device; 2],
    bob: [Device; 2],
}

impl Crowd {
    fn new() -> Self {
        let mut directory = Directory::default();
        let (mut alice, mut bob) = (Account::new(&mut rng(420)), Account::new(&mut rng(421)));
        let alice_devices = [422, 423].map(|seed| alice.add_device(&mut directory, seed));
        let bob_devices = [424, 425].map(|seed| bob.add_device(&mut directory, seed));
        let mut crowd = Self { directory, alice: alice_devices, bob: bob_devices };
        for account in [alice.root.account_id(), bob.root.account_id()] {
            for device in crowd.alice.iter_mut().chain(&mut crowd.bob) {
                device.learn(&crowd.directory, account).unwrap();
            }
        }
        crowd
    }

    /// From a device of Alice to both of Bob's.
    fn write(&mut self, from: usize) -> [Envelope; 2] {
        let account = [self.bob[0].address().account_id];
        let sent = self.alice[from].try_write(&mut self.directory, &account, Place::Room(ROOM), UNSIGNED, b"to bob");
        let sent = sent.unwrap();
        [0, 1].map(|to| sent.iter().find(|sent| sent.recipient == Some(self.bob[to].address())).unwrap().clone())
    }

    /// From a device of Bob to Alice's first.
    fn answer(&mut self, from: usize) -> Envelope {
        let account = [self.alice[0].address().account_id];
        let sent = self.bob[from].try_write(&mut self.directory, &account, Place::Room(ROOM), UNSIGNED, b"to alice");
        sent.unwrap().into_iter().find(|sent| sent.recipient == Some(self.alice[0].address())).unwrap()
    }
}

/// As if another device had sent it; no signature stands against that.
fn renamed(envelope: &Envelope, sender: &Device) -> Envelope {
    let key_id = signing_key_id(sender.machine.device().signing_key());
    Envelope { sender: sender.address(), key_id, ..envelope.clone() }
}

#[test]
fn a_first_message_opens_from_its_sender_and_for_its_recipient_alone() {
    let mut crowd = Crowd::new();
    let [to_first, to_second] = crowd.write(0);
    // From the sender's other device, and from the reader's: the agreement gives another secret.
    for envelope in [renamed(&to_first, &crowd.alice[1]), renamed(&to_first, &crowd.bob[1])] {
        let before = crowd.bob[0].held();
        assert_eq!(crowd.bob[0].try_read(&envelope, UNSIGNED), Err(DOES_NOT_OPEN));
        assert_eq!(crowd.bob[0].held(), before, "no prekey is used up");
    }
    // For the recipient's other device, which has other prekeys.
    let readdressed = Envelope { recipient: Some(crowd.bob[1].address()), ..to_first.clone() };
    let error = crowd.bob[1].try_read(&readdressed, UNSIGNED).unwrap_err();
    assert!(matches!(error, MachineError::PrekeyGone { .. }), "{error}");
    // Back to its sender.
    let reflected = Envelope { recipient: Some(crowd.alice[0].address()), ..renamed(&to_first, &crowd.bob[0]) };
    crowd.alice[0].try_read(&reflected, UNSIGNED).unwrap_err();

    assert_eq!(crowd.bob[0].try_read(&to_first, UNSIGNED).unwrap(), b"to bob");
    assert_eq!(crowd.bob[1].try_read(&to_second, UNSIGNED).unwrap(), b"to bob");
}

#[test]
fn a_message_opens_from_its_sender_and_for_its_recipient_alone() {
    let mut crowd = Crowd::new();
    for from in [0, 1] {
        let [to_first, to_second] = crowd.write(from);
        crowd.bob[0].try_read(&to_first, UNSIGNED).unwrap();
        crowd.bob[1].try_read(&to_second, UNSIGNED).unwrap();
    }
    // Once answered, messages have no opening, and the next one begins a new chain.
    for from in [0, 1] {
        let answer = crowd.answer(from);
        crowd.alice[0].try_read(&answer, UNSIGNED).unwrap();
    }
    for _ in 0..2 {
        let [to_first, to_second] = crowd.write(0);
        assert_eq!(PairwiseMessage::parse(&to_first.payload.0).unwrap().opening, None);
        let refuse = |reader: &mut Device, envelope: &Envelope| {
            let before = reader.held();
            let error = reader.try_read(envelope, UNSIGNED).unwrap_err();
            assert_eq!(reader.held(), before);
            error
        };
        let from_other = renamed(&to_first, &crowd.alice[1]);
        let error = refuse(&mut crowd.bob[0], &from_other);
        assert!(matches!(error, MachineError::Session(SessionError::Ratchet(_))), "{error}");
        let readdressed = Envelope { recipient: Some(crowd.bob[1].address()), ..to_first.clone() };
        let error = refuse(&mut crowd.bob[1], &readdressed);
        assert!(matches!(error, MachineError::Session(SessionError::Ratchet(_))), "{error}");
        let reflected = Envelope { recipient: Some(crowd.alice[0].address()), ..renamed(&to_first, &crowd.bob[0]) };
        assert_eq!(refuse(&mut crowd.alice[0], &reflected), DOES_NOT_OPEN);
        let own = Envelope { recipient: Some(crowd.alice[0].address()), ..to_first.clone() };
        assert_eq!(refuse(&mut crowd.alice[0], &own), MachineError::NoSession { device: crowd.alice[0].address() });

        crowd.bob[0].try_read(&to_first, UNSIGNED).unwrap();
        crowd.bob[1].try_read(&to_second, UNSIGNED).unwrap();
    }
}

/// One key that is a root key and a device's signing key at once, so that no difference of keys
/// stands against anything, and one signed structure of each kind.
struct Signer {
    identity: DeviceIdentity,
    certificate: DeviceCertificate,
    list: DeviceList,
    signed_prekey: SignedPrekey,
    one_time: KemPrekey,
    last_resort: KemPrekey,
    envelope: Envelope,
}

const KINDS: usize = 6;

impl Signer {
    fn new(rng: &mut ChaCha20Rng) -> Self {
        let seed = [7; 32];
        let root = AccountRoot::from_key(AccountId::generate(rng), SigningSecretKey::from_seed(&seed));
        let keys =
            DeviceKeys { signing: SigningSecretKey::from_seed(&seed), agreement: AgreementSecretKey::generate(rng) };
        let device_id = DeviceId::generate(rng);
        let certificate = root.certify(device_id, &keys.signing.public_key(), &keys.agreement.public_key(), START);
        let identity = DeviceIdentity::new(keys, &certificate).unwrap();
        let key = AgreementSecretKey::generate(rng).public_key();
        let signed_prekey = SignedPrekey {
            key_id: agreement_key_id(&key),
            public_key: key.to_wire(),
            created_at: START,
            signature: Bytes([0; 64]),
        };
        let key = KemSecretKey::generate(rng).public_key();
        let kem = |usage| KemPrekey {
            key_id: kem_key_id(&key),
            usage,
            public_key: key.to_wire(),
            created_at: START,
            signature: Bytes([0; 64]),
        };
        let envelope = Envelope {
            id: conclave::ids::EnvelopeId::generate(rng),
            destination: Destination::Room(ROOM),
            sender: identity.address(),
            recipient: Some(DeviceAddress { account_id: AccountId::generate(rng), device_id }),
            key_id: signing_key_id(identity.device().signing_key()),
            epoch: None,
            nonce: Bytes([1; 12]),
            timestamp: START,
            payload: ByteString(vec![2; 32]),
            signature: None,
        };
        let list = root.sign_device_list(1, vec![certificate.clone()]);
        let (one_time, last_resort) = (kem(KemPrekeyUse::OneTime), kem(KemPrekeyUse::LastResort));
        Self { identity, certificate, list, signed_prekey, one_time, last_resort, envelope }
    }

    /// What is signed of each kind.
    fn signed_bytes(&self) -> [Vec<u8>; KINDS] {
        let owner = self.identity.address();
        let kem =
            |prekey: &KemPrekey| kem_prekey_signed_bytes(owner, prekey.usage, &prekey.public_key, prekey.created_at);
        [
            certificate_signed_bytes(&self.certificate),
            list_signed_bytes(&self.list),
            signed_prekey_signed_bytes(owner, &self.signed_prekey.public_key, self.signed_prekey.created_at),
            kem(&self.one_time),
            kem(&self.last_resort),
            envelope_signed_bytes(&self.envelope, POLICY),
        ]
    }

    /// Shows a signature as that of each kind.
    fn verify(&self, signature: Bytes<64>) -> [Result<(), VerifyError>; KINDS] {
        let device = self.identity.device();
        let certificate = DeviceCertificate { signature, ..self.certificate.clone() };
        let list = DeviceList { signature, ..self.list.clone() };
        let signed_prekey = SignedPrekey { signature, ..self.signed_prekey.clone() };
        let one_time = KemPrekey { signature, ..self.one_time.clone() };
        let last_resort = KemPrekey { signature, ..self.last_resort.clone() };
        let envelope = Envelope { signature: Some(signature), ..self.envelope.clone() };
        [
            verify_device(&certificate).map(drop),
            verify_device_list(&list).map(drop),
            verify_signed_prekey(&signed_prekey, device).map(drop),
            verify_kem_prekey(&one_time, device).map(drop),
            verify_kem_prekey(&last_resort, device).map(drop),
            verify_envelope(&envelope, POLICY, device).map(drop),
        ]
    }
}

#[test]
fn a_signature_holds_for_its_own_kind_alone() {
    const PARTS: [&str; KINDS] =
        ["device certificate", "device list", "signed prekey", "KEM prekey", "KEM prekey", "envelope"];
    let signer = Signer::new(&mut rng(430));
    for (made_as, message) in signer.signed_bytes().iter().enumerate() {
        let verified = signer.verify(signer.identity.keys().signing.sign(message));
        for (shown_as, result) in verified.into_iter().enumerate() {
            let part = PARTS[shown_as];
            let expected = if made_as == shown_as { Ok(()) } else { Err(VerifyError::Signature { part }) };
            assert_eq!(result, expected, "{} shown as {part}", PARTS[made_as]);
        }
    }
}

#[test]
fn the_bytes_that_are_signed_are_never_those_of_another_kind() {
    let signer = Signer::new(&mut rng(431));
    let kinds = signer.signed_bytes();
    for (index, one) in kinds.iter().enumerate() {
        for other in &kinds[index + 1..] {
            assert!(!one.starts_with(other) && !other.starts_with(one));
        }
    }
}
