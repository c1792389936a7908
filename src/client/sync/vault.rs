//! What the worker has for the vault: the key, the heads that were seen, and calls with a good token. The calls themselves are
//! made elsewhere, so that a long list keeps no message waiting.
//!
//! A device that was linked asks the account's others for the key, and gets it like a message: sealed for it alone. A device that
//! is revoked later keeps the key; what it lacks then is the ciphertext, which the node gives to signed-in devices.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::letters::To;
use super::{Api, ClientError, Letter, Worker, encode, survive};
use crate::client::content::Body;
use crate::client::entropy;
use crate::client::events::Event;
use crate::client::message::Conversation;
use crate::ids::{CollectionName, DeviceAddress, DeviceId, MessageId, WriterId};
use crate::protocol::backup::AccountSecrets;
use crate::protocol::vault::{CollectionKey, Head, VaultKey};
use crate::wire::SecretText;

/// What the names of the records begin with that hold the newest head seen of each collection.
pub(super) const VAULT_HEAD: &str = "vault-head/";

/// What the names of the records begin with that say as which writer this device writes each collection.
pub(super) const VAULT_WRITER: &str = "vault-writer/";

/// The record of the key, on a device that has it of another one.
pub(super) const VAULT_KEY: &str = "vault-key";

/// What is known of the vault here.
#[derive(Debug)]
pub(super) struct Known {
    /// The key, on a device that has it of another one.
    pub(super) given_key: Option<VaultKey>,
    /// Whether it was asked for since the start.
    pub(super) has_asked: bool,
    /// To which devices it was given since the start, and in which letter.
    pub(super) shared: BTreeMap<DeviceId, MessageId>,
    /// The newest head that was seen of each collection.
    pub(super) heads: BTreeMap<CollectionName, Head>,
    /// As whom this device writes each collection.
    pub(super) writers: BTreeMap<CollectionName, VaultWriter>,
}

/// As whom this device writes a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::client) struct VaultWriter {
    pub(in crate::client) id: WriterId,
    /// The revision of a write that has left, until the node has confirmed it.
    pub(in crate::client) unconfirmed: Option<u64>,
}

/// What is saved of a collection: the newest head that was seen of it, and as whom it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::client) struct SeenCollection {
    pub(in crate::client) head: Head,
    pub(in crate::client) writer: Option<VaultWriter>,
}

impl Worker {
    /// The vault's key: of the account's secrets where they are, else as another device has given it.
    pub(in crate::client) fn vault_key(&self) -> Option<&VaultKey> {
        self.secrets.as_ref().map(AccountSecrets::vault_key).or(self.vault.given_key.as_ref())
    }

    /// Asks this account's other devices for the vault's key, once, if it is not here.
    pub(super) async fn want_vault_key(&mut self) -> Result<(), ClientError> {
        if self.vault_key().is_some() || self.vault.has_asked {
            return Ok(());
        }
        self.vault.has_asked = true;
        let own = self.machine.device().address().account_id;
        self.tell_own(To::Account(own), None, Body::VaultKeyWanted {}).await.map(|_| ())
    }

    /// A device wants the vault's key. It is given to those of this account, which its root key has certified.
    pub(super) async fn vault_key_wanted(&mut self, by: DeviceAddress) -> Result<(), ClientError> {
        let Some(key) = self.vault_key().filter(|_| self.is_own(by)) else { return Ok(()) };
        let key = SecretText::new(Zeroizing::new(BASE64URL_NOPAD.encode(&key.encode_secret())));
        let id = MessageId::generate(&mut entropy::generator()?);
        if self.tell_own(To::Device(by), Some(id), Body::VaultKey { key }).await? {
            self.vault.shared.insert(by.device_id, id);
        }
        Ok(())
    }

    /// Another device says what the vault's key is.
    pub(super) fn take_vault_key(&mut self, from: DeviceAddress, key: &SecretText) {
        if self.vault_key().is_some() || !self.is_own(from) {
            return;
        }
        let Ok(bytes) = BASE64URL_NOPAD.decode(key.expose().as_bytes()).map(Zeroizing::new) else { return };
        if let Ok(key) = VaultKey::decode(&bytes) {
            self.batch.put(VAULT_KEY, bytes);
            self.vault.given_key = Some(key);
            // It opens what is kept of rooms.
            self.is_synced = false;
            self.event(Event::VaultOpened);
        }
    }

    /// Whether the key was given to a device, and the node has it.
    pub(in crate::client) fn has_shared_vault_key(&self, with: DeviceId) -> bool {
        let own = Conversation::Direct(self.machine.device().address().account_id);
        self.vault.shared.get(&with).is_some_and(|id| !self.is_waiting(own, *id))
    }

    fn is_own(&self, device: DeviceAddress) -> bool {
        device.account_id == self.machine.device().address().account_id
    }

    /// False if it could not even be kept.
    async fn tell_own(&mut self, to: To, id: Option<MessageId>, body: Body) -> Result<bool, ClientError> {
        let conversation = Conversation::Direct(self.machine.device().address().account_id);
        let posted = self.post(Letter::new(conversation, to, id, body)).await;
        Ok(survive(posted)?.is_some())
    }

    /// A collection's key, and what is saved of it.
    pub(in crate::client) fn collection(
        &self,
        name: &CollectionName,
    ) -> Result<(CollectionKey, SeenCollection), ClientError> {
        let account = self.machine.device().address().account_id;
        let key = self.vault_key().ok_or(ClientError::NoVaultKey)?.collection_key(account, name);
        let Known { heads, writers, .. } = &self.vault;
        let seen =
            SeenCollection { head: heads.get(name).cloned().unwrap_or_default(), writer: writers.get(name).copied() };
        Ok((key, seen))
    }

    /// Saves what was seen of a collection.
    pub(in crate::client) fn keep_collection(&mut self, name: CollectionName, seen: SeenCollection) {
        let SeenCollection { head, writer } = seen;
        self.batch.put(format!("{VAULT_HEAD}{name}"), head.save());
        self.vault.heads.insert(name.clone(), head);
        let record = format!("{VAULT_WRITER}{name}");
        if let Some(writer) = writer {
            self.batch.put(record, encode(&writer));
            self.vault.writers.insert(name, writer);
        } else {
            self.batch.delete(record);
            self.vault.writers.remove(&name);
        }
    }

    /// The node's calls.
    pub(in crate::client) fn calls(&self) -> Result<Api, ClientError> {
        if self.session.is_ended { Err(ClientError::SignedOut) } else { Ok(self.api.clone()) }
    }

    /// As [`calls`](Self::calls), with another token than the one that the node has refused.
    pub(in crate::client) async fn calls_after(&mut self, refused: Option<SecretText>) -> Result<Api, ClientError> {
        let is_newest = refused.is_some_and(|refused| refused.expose() == self.session.tokens.access_token.expose());
        if is_newest && !self.session.is_ended {
            self.refresh().await?;
        }
        self.calls()
    }
}
