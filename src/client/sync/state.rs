//! The records that a worker keeps beside its machine's, and how it begins from them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::repair::{CARRIED, Carried, HELD, Held, RECEIPTS, REPAIRS};
use super::rotation::{RENEWED, ROTATED};
use super::tokens::Session;
use super::vault::{self, VAULT_HEAD, VAULT_KEY, VAULT_WRITER};
use super::{BackOff, Events, Job, Letter, Link, Lookups, NodeTime, Outbox, Room, Tell, Typing, UnderWay, Worker};
use crate::client::api::{Api, Http};
use crate::client::clock::Clock;
use crate::client::error::ClientError;
use crate::client::events::Event;
use crate::client::message::Message;
use crate::client::store::{Batch, LocalStore, MACHINE, MessagePage, Records, Store, StoreError};
use crate::ids::{AccountId, DeviceAddress, RoomId};
use crate::protocol::backup::AccountSecrets;
use crate::protocol::machine::{Machine, RecordKey};
use crate::protocol::membership::MembershipKey;
use crate::protocol::vault::{Head, VaultKey};
use crate::wire::{Position, SessionTokens, Timestamp};

/// Where the node is.
pub(in crate::client) const NODE: &str = "node";
/// The session's tokens.
pub(in crate::client) const TOKENS: &str = "tokens";
/// The account's root and vault key, on devices that have them.
pub(in crate::client) const SECRETS: &str = "account-secrets";
/// There while the user of a new account has no recovery kit yet.
pub(in crate::client) const KIT_DUE: &str = "kit-due";
/// How far the app has taken its messages.
pub(super) const TOLD: &str = "told";
/// How far the mailbox was read.
pub(super) const MAILBOX: &str = "mailbox";
/// What this device is told to behave like.
pub(in crate::client) const SETTINGS: &str = "settings";
const ROOM: &str = "room/";
/// The key that a room's members share.
const ROOM_KEY: &str = "room-key/";
/// How far a room was read: it changes with each message, and its members do not.
const READ: &str = "read/";
/// What is kept of a room that was left.
const LEFT: &str = "left/";
const DRAFT: &str = "draft/";
const OUTBOX: &str = "outbox/";

/// Whether the user has a recovery kit of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Kit {
    /// Not yet: the account was made here.
    Due,
    /// It was given, or is another device's to give.
    Given,
}

/// A device as its store has it. Secret.
pub(in crate::client) struct Saved {
    pub(in crate::client) store: Box<dyn LocalStore>,
    pub(in crate::client) records: Records,
    pub(in crate::client) last_message: u64,
}

impl core::fmt::Debug for Saved {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { store: _, records, last_message: _ } = self;
        write!(f, "Saved({} records, ..)", records.len())
    }
}

impl Saved {
    pub(in crate::client) async fn load(store: Store) -> Result<Self, ClientError> {
        let mut store = store.into_inner();
        let (records, last_message) = store.load().await?;
        Ok(Self { store, records, last_message })
    }

    /// Whether a device was set up here.
    pub(in crate::client) fn has_device(&self) -> bool {
        self.records.contains_key(&format!("{MACHINE}{}", RecordKey::Identity))
    }

    /// Writes, and has it in the records too.
    pub(in crate::client) async fn commit(&mut self, batch: Batch) -> Result<(), ClientError> {
        for (name, value) in &batch.records {
            match value {
                Some(value) => drop(self.records.insert(name.clone(), value.clone())),
                None => drop(self.records.remove(name)),
            }
        }
        Ok(self.store.commit(batch).await?)
    }

    fn machine(&self) -> Result<Machine, ClientError> {
        let mut records = Vec::new();
        for (name, value) in &self.records {
            if let Some(key) = name.strip_prefix(MACHINE) {
                records.push((key.parse::<RecordKey>().map_err(|_| StoreError::Broken)?, value.as_slice()));
            }
        }
        Ok(Machine::load(records)?)
    }

    pub(in crate::client) fn tokens(&self) -> Result<SessionTokens, ClientError> {
        self.get(TOKENS)?.ok_or(ClientError::NotSetUp)
    }

    fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ClientError> {
        Ok(self.records.get(name).map(|value| decode(value)).transpose()?)
    }

    /// The records of one kind, by what stands behind `prefix` in their names.
    fn each<K: Ord + core::str::FromStr, T>(
        &self,
        prefix: &str,
        load: impl Fn(&[u8]) -> Result<T, StoreError>,
    ) -> Result<BTreeMap<K, T>, ClientError> {
        let mut all = BTreeMap::new();
        for (name, value) in &self.records {
            if let Some(key) = name.strip_prefix(prefix) {
                all.insert(key.parse().map_err(|_| StoreError::Broken)?, load(value)?);
            }
        }
        Ok(all)
    }

    fn rooms(&self) -> Result<BTreeMap<RoomId, Room>, ClientError> {
        let mut rooms: BTreeMap<RoomId, Room> = self.each(ROOM, decode)?;
        let mut read: BTreeMap<RoomId, Position> = self.each(READ, decode)?;
        let key = |bytes: &[u8]| bytes.try_into().map(MembershipKey::decode).map_err(|_| StoreError::Broken);
        let mut keys: BTreeMap<RoomId, MembershipKey> = self.each(ROOM_KEY, key)?;
        for (room_id, room) in &mut rooms {
            room.read = read.remove(room_id);
            room.key = keys.remove(room_id).map(Box::new);
        }
        Ok(rooms)
    }

    fn vault(&self) -> Result<vault::Known, ClientError> {
        let given_key = self.records.get(VAULT_KEY).map(|bytes| VaultKey::decode(bytes));
        Ok(vault::Known {
            given_key: given_key.transpose().map_err(|_| StoreError::Broken)?,
            has_asked: false,
            shared: BTreeMap::new(),
            heads: self.each(VAULT_HEAD, |bytes| Head::load(bytes).map_err(|_| StoreError::Broken))?,
            writers: self.each(VAULT_WRITER, decode)?,
        })
    }

    fn secrets(&self, own: AccountId) -> Result<Option<AccountSecrets>, StoreError> {
        let secrets = self.records.get(SECRETS).map(|bytes| AccountSecrets::decode(own, bytes));
        secrets.transpose().map_err(|_| StoreError::Broken)
    }

    /// A worker that goes on from here, the place where the app is told, and the one where it asks.
    pub(in crate::client) async fn start(
        mut self,
        http: Http,
        clock: Clock,
    ) -> Result<(Worker, Events, mpsc::Sender<Job>), ClientError> {
        if !self.has_device() {
            return Err(ClientError::NotSetUp);
        }
        let machine = self.machine()?;
        let own = machine.device().address().account_id;
        let tokens = self.tokens()?;
        let url: String = self.get(NODE)?.ok_or(ClientError::NotSetUp)?;
        let mut api = Api::new(http, &url);
        api.set_token(tokens.access_token.clone());
        let secrets = self.secrets(own)?;
        let rooms = self.rooms()?;
        let drafts: BTreeMap<u64, Letter> = self.each(DRAFT, decode)?;
        let outbox = Outbox::load(self.each(OUTBOX, |bytes| Ok(bytes.to_vec()))?)?;
        let held: BTreeMap<u64, Held> = self.each(HELD, Held::load)?;
        let carried: BTreeMap<u64, Carried> = self.each(CARRIED, Carried::load)?;
        let told: u64 = self.get(TOLD)?.unwrap_or(0);
        let numbers = [self.last_message, outbox.last_number(), last(&drafts), last(&held), last(&carried)];
        let (mut tell, events) = Tell::new(told);
        for message in untold(&mut *self.store, told, machine.device().address()).await? {
            tell.push(Event::Message(Box::new(message)));
        }
        let (ask, jobs) = mpsc::channel(JOBS_MAX);
        let worker = Worker {
            machine,
            secrets,
            kit: if self.records.contains_key(KIT_DUE) { Kit::Due } else { Kit::Given },
            vault: self.vault()?,
            api,
            session: Session { tokens, is_ended: false },
            settings: self.get(SETTINGS)?.unwrap_or_default(),
            batch: Batch::default(),
            staged: Vec::new(),
            next_number: numbers.into_iter().max().unwrap_or_default() + 1,
            tell,
            rooms,
            left: self.each(LEFT, decode)?,
            mailbox: self.get(MAILBOX)?,
            outbox,
            drafts,
            delays: BTreeMap::new(),
            owed: self.get(RECEIPTS)?.unwrap_or_default(),
            held,
            lookups: Lookups::default(),
            carried,
            repairs: self.get(REPAIRS)?.unwrap_or_default(),
            renewed: self.each(RENEWED, decode)?,
            rotated: self.each(ROTATED, decode)?,
            link: Link::Down { retry_at: Some(tokio::time::Instant::now()) },
            back_off: BackOff::default(),
            under_way: UnderWay::default(),
            next_command: 1,
            ack_due: false,
            reconnect_at: None,
            is_registered: false,
            is_synced: false,
            fresh: BTreeMap::new(),
            typing: Typing::default(),
            moved: BTreeSet::new(),
            node_time: NodeTime::default(),
            clock,
            // Once the mailbox was read.
            maintain_at: Timestamp::from_millis(u64::MAX),
            retry_at: None,
            jobs,
            closing: None,
            failed: None,
            store: self.store,
        };
        Ok((worker, events, ask))
    }
}

fn last<T>(numbered: &BTreeMap<u64, T>) -> u64 {
    numbered.last_key_value().map_or(0, |(number, _)| *number)
}

/// Messages that came and that the app had not taken when the program ended.
async fn untold(store: &mut dyn LocalStore, told: u64, device: DeviceAddress) -> Result<Vec<Message>, ClientError> {
    let mut untold = Vec::new();
    let mut after = told;
    loop {
        let page = store.messages(MessagePage::After { number: after, limit: PAGE }).await?;
        let Some(last) = page.last() else { return Ok(untold) };
        after = last.number;
        for stored in &page {
            let message = Message::load(stored)?;
            if message.sender != device {
                untold.push(message);
            }
        }
    }
}

impl Worker {
    pub(super) fn save_room(&mut self, room_id: RoomId) {
        let (name, left) = (format!("{ROOM}{room_id}"), format!("{LEFT}{room_id}"));
        match self.left.get(&room_id) {
            Some(kept) => self.batch.put(left, encode(kept)),
            None => self.batch.delete(left),
        }
        let key = format!("{ROOM_KEY}{room_id}");
        match self.rooms.get(&room_id) {
            Some(room) => {
                self.batch.put(name, encode(room));
                match &room.key {
                    Some(secret) => self.batch.put(key, Zeroizing::new(secret.encode_secret().to_vec())),
                    None => self.batch.delete(key),
                }
            }
            None => [name, key, format!("{READ}{room_id}")].into_iter().for_each(|name| self.batch.delete(name)),
        }
    }

    pub(super) fn save_read(&mut self, room_id: RoomId) {
        let name = format!("{READ}{room_id}");
        match self.rooms.get(&room_id).and_then(|room| room.read) {
            Some(position) => self.batch.put(name, encode(&position)),
            None => self.batch.delete(name),
        }
    }

    pub(super) fn save_draft(&mut self, number: u64) {
        let name = format!("{DRAFT}{number}");
        match self.drafts.get(&number) {
            Some(letter) => self.batch.put(name, encode(letter)),
            None => self.batch.delete(name),
        }
    }

    pub(super) fn save_waiting(&mut self, number: u64) {
        let name = format!("{OUTBOX}{number}");
        match self.outbox.saved_form(number) {
            Some(bytes) => self.batch.put(name, bytes),
            None => self.batch.delete(name),
        }
    }
}

/// The saved form of small records: version 1, then JSON.
pub(in crate::client) fn encode(value: &impl Serialize) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(vec![VERSION]);
    // Into memory, and of types that all have a JSON form.
    let _ = serde_json::to_writer(&mut *bytes, value);
    bytes
}

pub(in crate::client) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    let Some((&VERSION, json)) = bytes.split_first() else { return Err(StoreError::Broken) };
    serde_json::from_slice(json).map_err(|_| StoreError::Broken)
}

const VERSION: u8 = 1;

/// Messages that are read at a time.
const PAGE: u32 = 256;

/// Calls of the app that wait for their turn.
const JOBS_MAX: usize = 64;
