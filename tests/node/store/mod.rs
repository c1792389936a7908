//! Every method of the store against a real database in a folder of its own, and small arrangements
//! of accounts, devices and tokens. All randomness is seeded, and time stands still until a test
//! moves it.

mod accounts;
mod device_grants;
mod directory;
mod durability;
mod flows;
mod invitations;
mod mailboxes;
mod members;
mod once;
mod prekeys;
mod room_keys;
mod room_log;
mod rooms;
mod sessions;
mod tickets;
mod vault;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use conclave::ids::{AccountId, DeviceAddress, DeviceId, EnvelopeId, InvitationId, KeyId, LogEpoch, RoomId, SessionId};
use conclave::node::store::{
    NewInvitation, NewRoom, NewSession, NewTokens, ProviderIdentity, Store, StoreError, StoreOptions,
    VerifiedPublication,
};
use conclave::node::tokens::{AccessToken, InvitationToken, RefreshToken, TokenHash};
use conclave::protocol::identity::{AccountRoot, DeviceIdentity, DeviceKeys};
use conclave::protocol::public::{
    VerifiedDevice, VerifiedDeviceList, agreement_key_id, kem_key_id, kem_prekey_signed_bytes,
    signed_prekey_signed_bytes, verify_device_list,
};
use conclave::protocol::secret::{AgreementSecretKey, KemSecretKey};
use conclave::wire::{
    ByteString, Bytes, Destination, DeviceCertificate, Envelope, KemPrekey, KemPrekeyUse, LogPage, OneTimePrekey,
    PageLimit, Position, PrekeyPublication, RoomPolicy, SignedPrekey, Timestamp,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rusqlite::Connection;
use tokio::task::JoinSet;

/// When every test begins.
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

const MINUTE: Duration = Duration::from_secs(60);

/// How long an access token holds, a session may be idle, and a session may last.
const ACCESS: Duration = Duration::from_secs(15 * 60);
const IDLE: Duration = Duration::from_secs(14 * 86_400);
const ABSOLUTE: Duration = Duration::from_secs(90 * 86_400);

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A folder that goes when the test does.
struct Folder(PathBuf);

#[expect(clippy::disallowed_methods, reason = "these tests are about a file")]
impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("conclave-store-{}-{number}", std::process::id()));
        // What a killed run left behind under the same number.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    /// The database's files as they are at this moment.
    fn copy(&self) -> Self {
        let copy = Self::new();
        for name in self.file_names() {
            std::fs::copy(self.0.join(&name), copy.0.join(&name)).unwrap();
        }
        copy
    }

    /// The bytes of all files.
    fn bytes(&self) -> Vec<u8> {
        self.file_names().into_iter().flat_map(|name| std::fs::read(self.0.join(name)).unwrap()).collect()
    }

    fn file_names(&self) -> Vec<PathBuf> {
        let mut names: Vec<PathBuf> =
            std::fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into()).collect();
        names.sort();
        names
    }

    async fn open(&self) -> Store {
        Store::open(&self.0).await.unwrap()
    }

    /// The file, past the store.
    fn raw(&self) -> Connection {
        Connection::open(self.0.join(Store::FILE_NAME)).unwrap()
    }
}

impl Drop for Folder {
    #[expect(clippy::disallowed_methods, reason = "these tests are about a file")]
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A folder and the store in it.
async fn store() -> (Folder, Store) {
    let folder = Folder::new();
    let store = folder.open().await;
    (folder, store)
}

/// Runs all at once and returns their results, in no order.
async fn all<T: Send + 'static>(futures: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    futures.into_iter().collect::<JoinSet<T>>().join_all().await
}

/// Holds the writer up, with one write in its hands, until what is given back is dropped: by the lock of another program.
async fn hold(folder: &Folder, store: &Store) -> Connection {
    let other = folder.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let first = store.clone();
    tokio::spawn(async move { first.remove_expired(START).await.unwrap() });
    tokio::task::yield_now().await;
    while store.writes_waiting() > 0 {
        tokio::task::yield_now().await;
    }
    other
}

/// What writes come to that wait for the writer together, one of each future: they are in one commit.
async fn together<T: Send + 'static>(
    folder: &Folder,
    store: &Store,
    futures: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let held = hold(folder, store).await;
    let futures: JoinSet<T> = futures.into_iter().collect();
    while store.writes_waiting() < futures.len() {
        tokio::task::yield_now().await;
    }
    drop(held);
    futures.join_all().await
}

fn identity(subject: &str) -> ProviderIdentity {
    ProviderIdentity::new("https://issuer.example", subject).unwrap()
}

/// Makes an account in the store.
async fn account(store: &Store, seed: u64) -> AccountId {
    let id = AccountId::generate(&mut rng(seed));
    store.find_or_create_account(&identity(&format!("subject {seed}")), id, START).await.unwrap()
}

/// The last moment before that one.
fn just_before(time: Timestamp) -> Timestamp {
    Timestamp::from_millis(time.as_millis() - 1)
}

/// An account with its root and devices.
struct Owner {
    root: AccountRoot,
    devices: Vec<DeviceIdentity>,
}

impl Owner {
    /// Makes an account in the store; its devices are not published.
    async fn new(store: &Store, seed: u64, devices: u64) -> Self {
        let root = AccountRoot::generate(account(store, seed).await, &mut rng(seed));
        let devices = (1..=devices).map(|number| device(&root, seed * 1_000 + number)).collect();
        Self { root, devices }
    }

    /// As [`new`](Self::new), with the devices on a published list of version 1.
    async fn published(store: &Store, seed: u64, devices: u64) -> Self {
        let owner = Self::new(store, seed, devices).await;
        store.put_device_list(owner.id(), &owner.list(1), START).await.unwrap();
        owner
    }

    fn id(&self) -> AccountId {
        self.root.account_id()
    }

    fn list(&self, version: u64) -> VerifiedDeviceList {
        let certificates = self.devices.iter().map(|device| device.device().certificate().clone()).collect();
        sign(&self.root, version, certificates)
    }
}

fn sign(root: &AccountRoot, version: u64, certificates: Vec<DeviceCertificate>) -> VerifiedDeviceList {
    verify_device_list(&root.sign_device_list(version, certificates)).unwrap()
}

fn device(root: &AccountRoot, seed: u64) -> DeviceIdentity {
    device_with_id(root, DeviceId::generate(&mut rng(seed)), seed)
}

fn device_with_id(root: &AccountRoot, id: DeviceId, seed: u64) -> DeviceIdentity {
    let keys = DeviceKeys::generate(&mut rng(seed + 500_000));
    let certificate = root.certify(id, &keys.signing.public_key(), &keys.agreement.public_key(), START);
    DeviceIdentity::new(keys, &certificate).unwrap()
}

/// Keys of a session that can be told apart by their number.
fn tokens(number: u64, now: Timestamp) -> NewTokens {
    NewTokens {
        access: access(number),
        access_expires_at: now.plus(ACCESS),
        refresh: refresh(number),
        refresh_expires_at: now.plus(IDLE),
    }
}

fn access(number: u64) -> TokenHash {
    AccessToken::generate(&mut rng(number)).hash()
}

fn refresh(number: u64) -> TokenHash {
    RefreshToken::generate(&mut rng(number)).hash()
}

fn new_session(account_id: AccountId, number: u64, now: Timestamp) -> NewSession {
    NewSession {
        session_id: session_id(number),
        account_id,
        tokens: tokens(number, now),
        absolute_expires_at: now.plus(ABSOLUTE),
        created_at: now,
    }
}

fn session_id(number: u64) -> SessionId {
    SessionId::generate(&mut rng(number + 900_000))
}

/// A session of the account with the tokens of that number.
async fn open_session(store: &Store, account_id: AccountId, number: u64) {
    assert_eq!(store.open_session(&new_session(account_id, number, START)).await.unwrap(), []);
}

/// Makes the session of that number the device's.
async fn bind(store: &Store, number: u64, device: &DeviceIdentity) -> Result<(), StoreError> {
    let device = device.device();
    store.bind_device(session_id(number), device.address().device_id, device.signing_key()).await
}

fn signed_prekey(device: &DeviceIdentity, seed: u64) -> SignedPrekey {
    let key = AgreementSecretKey::generate(&mut rng(seed)).public_key();
    let message = signed_prekey_signed_bytes(device.address(), &key.to_wire(), START);
    SignedPrekey {
        key_id: agreement_key_id(&key),
        public_key: key.to_wire(),
        created_at: START,
        signature: device.keys().signing.sign(&message),
    }
}

fn kem_prekey(device: &DeviceIdentity, usage: KemPrekeyUse, seed: u64) -> KemPrekey {
    let key = KemSecretKey::generate(&mut rng(seed)).public_key();
    let public_key = Box::new(key.to_bytes().into());
    let message = kem_prekey_signed_bytes(device.address(), usage, &public_key, START);
    KemPrekey {
        key_id: kem_key_id(&key),
        usage,
        public_key,
        created_at: START,
        signature: device.keys().signing.sign(&message),
    }
}

fn one_time_prekeys(seed: u64, count: u64) -> Vec<OneTimePrekey> {
    let key = |number| AgreementSecretKey::generate(&mut rng(seed * 10_000 + number)).public_key();
    let prekey = |key| OneTimePrekey { key_id: agreement_key_id(&key), public_key: key.to_wire() };
    (0..count).map(key).map(prekey).collect()
}

fn one_time_kem_prekeys(device: &DeviceIdentity, seed: u64, count: u64) -> Vec<KemPrekey> {
    (0..count).map(|number| kem_prekey(device, KemPrekeyUse::OneTime, seed * 10_000 + number)).collect()
}

/// A signed prekey, a last-resort key, and one-time keys in the given numbers.
fn publication(device: &DeviceIdentity, seed: u64, one_time: u64, one_time_kem: u64) -> PrekeyPublication {
    PrekeyPublication {
        signed_prekey: Some(signed_prekey(device, seed)),
        last_resort_kem_prekey: Some(kem_prekey(device, KemPrekeyUse::LastResort, seed)),
        one_time_prekeys: one_time_prekeys(seed, one_time),
        one_time_kem_prekeys: one_time_kem_prekeys(device, seed, one_time_kem),
    }
}

fn verified(publication: PrekeyPublication, device: &VerifiedDevice) -> VerifiedPublication {
    VerifiedPublication::verify(publication, device).unwrap()
}

fn room_id(number: u64) -> RoomId {
    RoomId::generate(&mut rng(number + 1_000_000))
}

fn epoch(number: u64) -> LogEpoch {
    LogEpoch::generate(&mut rng(number + 2_000_000))
}

fn new_room(number: u64, owner: AccountId) -> NewRoom {
    NewRoom {
        room_id: room_id(number),
        policy: RoomPolicy::default(),
        owner,
        membership: None,
        epoch: epoch(number),
        created_at: START,
    }
}

/// A room of that number with its owner.
async fn room(store: &Store, number: u64, owner: AccountId) -> RoomId {
    store.create_room(&new_room(number, owner)).await.unwrap();
    room_id(number)
}

fn invitation_token(number: u64) -> TokenHash {
    InvitationToken::generate(&mut rng(number)).hash()
}

/// An invitation for whoever has the token of that number, once, for a minute.
fn new_invitation(number: u64, room_id: RoomId, created_by: AccountId) -> NewInvitation {
    NewInvitation {
        invitation_id: InvitationId::generate(&mut rng(number)),
        token: invitation_token(number),
        room_id,
        created_by,
        for_account: None,
        expires_at: START.plus(MINUTE),
        uses: 1,
    }
}

/// Lets an account into a room.
pub(crate) async fn join(store: &Store, room_id: RoomId, owner: AccountId, account_id: AccountId) {
    let number = u64::from_be_bytes(*account_id.as_bytes().first_chunk().unwrap());
    store.create_invitation(&new_invitation(number, room_id, owner), START).await.unwrap();
    assert!(store.accept_invitation(invitation_token(number), account_id, None, START).await.unwrap().is_new);
}

/// A device of that account; the store does not know it.
fn device_of(account_id: AccountId, number: u64) -> DeviceAddress {
    DeviceAddress { account_id, device_id: DeviceId::generate(&mut rng(number + 3_000_000)) }
}

/// The envelope of that number: another number, another id.
fn envelope(
    sender: DeviceAddress,
    destination: Destination,
    recipient: Option<DeviceAddress>,
    number: u64,
) -> Envelope {
    Envelope {
        id: EnvelopeId::generate(&mut rng(number + 4_000_000)),
        destination,
        sender,
        recipient,
        key_id: KeyId::from_bytes([5; 8]),
        epoch: None,
        nonce: Bytes([6; 12]),
        timestamp: START,
        payload: ByteString(number.to_be_bytes().to_vec()),
        signature: None,
    }
}

/// An envelope for a whole room.
fn room_envelope(sender: DeviceAddress, room_id: RoomId, number: u64) -> Envelope {
    envelope(sender, Destination::Room(room_id), None, number)
}

/// An envelope for one mailbox.
fn mail(sender: DeviceAddress, recipient: DeviceAddress, number: u64) -> Envelope {
    envelope(sender, Destination::Mailbox(recipient.device_id), Some(recipient), number)
}

fn at_most(number: u16) -> PageLimit {
    PageLimit::try_from(number).unwrap()
}

/// The numbers of a page's entries.
fn numbers(page: &LogPage) -> Vec<u64> {
    page.entries.iter().map(|entry| entry.seq).collect()
}
