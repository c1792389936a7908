//! Learning whom there is to write to: device lists and bundles, as the machine asks for them.

use core::time::Duration;

use tokio::time::Instant;

use super::Worker;
use crate::client::error::ClientError;
use crate::client::events::Event;
use crate::ids::{AccountId, DeviceAddress};
use crate::protocol::machine::{Input, MachineError};
use crate::protocol::public::{SigningPublicKey, VerifiedDeviceList};
use crate::wire::DeviceList;

impl Worker {
    /// Has an account's device list, as new as it has to be. False if the account has no devices.
    ///
    /// # Errors
    /// Those of the call, if nothing is known of the account; those of the machine, if the list is refused.
    pub(super) async fn learn(&mut self, account: AccountId) -> Result<bool, ClientError> {
        let is_known = self.machine.device_list(account).is_some();
        if is_known && self.is_fresh(account) {
            return Ok(true);
        }
        match self.fetch_devices(account).await {
            Ok(has_devices) => Ok(has_devices || is_known),
            // Better an old list than no message: the node refuses what is for a device that is gone.
            Err(error) if is_known && (error.is_transient() || matches!(error, ClientError::SignedOut)) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Whether an account's list was fetched a moment ago, or would have been told of if there were a newer one.
    fn is_fresh(&self, account: AccountId) -> bool {
        let Some(fetched) = self.fresh.get(&account) else { return false };
        let is_told = || self.rooms.values().any(|room| room.is_followed() && room.members.contains_key(&account));
        self.link.socket().is_some() && (fetched.elapsed() < FRESH || is_told())
    }

    /// Fetches an account's device list. False if it has none.
    pub(in crate::client) async fn fetch_devices(&mut self, account: AccountId) -> Result<bool, ClientError> {
        let fetched = self.rest(|api| async move { api.device_list(account).await }).await?;
        match fetched {
            Some(list) => self.take_devices(account, &list).map(|()| true),
            None => Ok(false),
        }
    }

    /// Takes an account's device list, as the node shows it.
    ///
    /// # Errors
    /// Those of the machine, if the list is refused; [`ClientError::OtherRootKey`] if nothing is known of the account, and
    /// members of a room have let it in with another one.
    fn take_devices(&mut self, account: AccountId, list: &DeviceList) -> Result<(), ClientError> {
        let before = self.machine.device_list(account).map(VerifiedDeviceList::version);
        if before.is_none() && self.is_let_in_with_another(account, &list.root_key) {
            return Err(ClientError::OtherRootKey);
        }
        let was_changed = self.machine.identity_change(account).is_some();
        let outputs = match self.handle(Input::DeviceList(list)) {
            // The node is behind; what is known stands.
            Err(ClientError::Machine(MachineError::StaleDeviceList { .. })) => return Ok(()),
            outputs => outputs?,
        };
        self.fresh.insert(account, Instant::now());
        if let Some(account) = outputs.identity_changed {
            if !was_changed {
                self.event(Event::IdentityChanged { account });
            }
        } else if before.is_some_and(|before| before != list.version) {
            if self.outbox.parts().any(|part| part.recipient.account_id == account) {
                self.moved.insert(account);
            }
            self.event(Event::DevicesChanged { account });
        }
        Ok(())
    }

    /// Forgets an account of which nothing was known, if what it has sent came to nothing: a node could have any number sent.
    pub(super) fn forget_stranger(&mut self, account: AccountId) -> Result<(), ClientError> {
        let list = self.machine.device_list(account).into_iter();
        let has_sessions =
            list.flat_map(VerifiedDeviceList::devices).any(|device| self.machine.session_count(device.address()) > 0);
        if has_sessions { Ok(()) } else { self.forget(account) }
    }

    /// Forgets an account, with its sessions.
    pub(super) fn forget(&mut self, account: AccountId) -> Result<(), ClientError> {
        self.handle(Input::ForgetAccount(account))?;
        self.fresh.remove(&account);
        Ok(())
    }

    /// Begins a session with a device. False if the node has no bundle of it.
    pub(super) async fn meet(&mut self, device: DeviceAddress) -> Result<bool, ClientError> {
        let Some(bundle) = self.rest(|api| async move { api.claim(device).await }).await? else { return Ok(false) };
        self.handle(Input::Bundle(&bundle))?;
        Ok(true)
    }

    /// Takes an account's new identity, which the user was shown.
    pub(in crate::client) async fn accept(
        &mut self,
        account: AccountId,
        root_key: SigningPublicKey,
    ) -> Result<(), ClientError> {
        self.handle(Input::AcceptIdentity { account, root_key: &root_key })?;
        self.admit_with_new_root(account);
        // What waits for the old devices is for the new ones.
        self.moved.insert(account);
        self.retry_at = None;
        self.open_held().await
    }

    /// The root key by which an account is known, and one that waits to be accepted. Fetches the list if it must.
    pub(in crate::client) async fn root_keys(
        &mut self,
        account: AccountId,
    ) -> Result<Option<(SigningPublicKey, Option<SigningPublicKey>)>, ClientError> {
        self.learn(account).await?;
        let pinned = self.machine.device_list(account).map(|list| list.root_key().clone());
        Ok(pinned.map(|pinned| (pinned, self.machine.identity_change(account).cloned())))
    }
}

/// How long a device list is taken for the newest, where nobody would tell of a newer one.
const FRESH: Duration = Duration::from_secs(300);
