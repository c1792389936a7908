//! The account's devices, and what brings it back.

use super::api::Api;
use super::clock::Clock;
use super::error::ClientError;
use super::handle::Client;
use super::setup::{self, RecoveryKit};
use super::sign_in::SignedIn;
use super::store::Store;
use super::sync::{Events, KIT_DUE, Kit, Saved, Worker};
use crate::ids::{AccountId, DeviceId};
use crate::protocol::machine::Input;
use crate::protocol::public::VerifiedDevice;
use crate::wire::DeviceList;

impl Client {
    /// Sets up a further device of an account with its recovery kit. The other devices stay.
    ///
    /// # Errors
    /// [`ClientError::AlreadySetUp`], [`ClientError::OtherAccount`], [`ClientError::Backup`];
    /// [`ClientError::OtherRootKey`] if the node shows another root key than the kit's.
    pub async fn recover(store: Store, signed_in: SignedIn, kit: &RecoveryKit) -> Result<(Self, Events), ClientError> {
        let (mut saved, clock) = (Saved::load(store).await?, Clock::system());
        setup::recover(&mut saved, &signed_in, kit, &clock).await?;
        Self::begin(saved, signed_in.api.http().clone(), clock).await
    }

    /// A recovery kit of this account, with a new key. Kits that were made before stay good.
    ///
    /// # Errors
    /// [`ClientError::NoRootKey`].
    pub async fn recovery_kit(&self) -> Result<RecoveryKit, ClientError> {
        self.tell(|worker| RecoveryKit::of(worker.secrets.as_ref().ok_or(ClientError::NoRootKey)?)).await
    }

    /// Whether the account was made on this device and its user has no recovery kit yet. That is kept with its keys, and stays
    /// until [`kit_is_given`](Self::kit_is_given), also if the set-up was broken off.
    ///
    /// # Errors
    /// [`ClientError::Stopped`].
    pub async fn is_kit_due(&self) -> Result<bool, ClientError> {
        self.tell(|worker| Ok(worker.kit == Kit::Due)).await
    }

    /// Keeps that the user has a recovery kit: it was written down, printed or put into a file.
    ///
    /// # Errors
    /// [`ClientError::Store`], [`ClientError::Stopped`].
    pub async fn kit_is_given(&self) -> Result<(), ClientError> {
        self.tell(|worker| {
            worker.batch.delete(KIT_DUE);
            worker.kit = Kit::Given;
            Ok(())
        })
        .await
    }

    /// The devices of an account: the newest list that the node has.
    ///
    /// # Errors
    /// Those of the call, if none is known.
    pub async fn devices(&self, account: AccountId) -> Result<Vec<VerifiedDevice>, ClientError> {
        self.ask(move |worker| Box::pin(worker.devices(account))).await
    }

    /// Whether this device has the key of the account's vault, which opens its rooms too. A device that was linked gets it from
    /// another one.
    ///
    /// # Errors
    /// [`ClientError::Stopped`].
    pub async fn has_vault_key(&self) -> Result<bool, ClientError> {
        self.tell(|worker| Ok(worker.vault_key().is_some())).await
    }

    /// Whether this device has given the vault's key to another one of the account since it was started, and the node has it.
    ///
    /// # Errors
    /// [`ClientError::Stopped`].
    pub async fn has_shared_vault_key(&self, with: DeviceId) -> Result<bool, ClientError> {
        self.tell(move |worker| Ok(worker.has_shared_vault_key(with))).await
    }

    /// Takes a device off the account's list: it is signed out, and nobody who sees the list writes to it any more.
    ///
    /// # Errors
    /// [`ClientError::NoRootKey`]; [`ClientError::DeviceList`] if it is not on the list, or is this one; those of the calls.
    pub async fn revoke_device(&self, device: DeviceId) -> Result<(), ClientError> {
        self.ask(move |worker| Box::pin(worker.revoke_device(device))).await
    }

    /// Ends this device's session on the node. Keys and messages stay in the store.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn sign_out(&self) -> Result<(), ClientError> {
        self.ask(|worker| Box::pin(worker.end_session())).await
    }
}

impl Worker {
    async fn devices(&mut self, account: AccountId) -> Result<Vec<VerifiedDevice>, ClientError> {
        match self.fetch_devices(account).await {
            Ok(_) => {}
            Err(error) if error.is_transient() && self.machine.device_list(account).is_some() => {}
            Err(error) => return Err(error),
        }
        Ok(self.machine.device_list(account).map(|list| list.devices().to_vec()).unwrap_or_default())
    }

    async fn revoke_device(&mut self, device: DeviceId) -> Result<(), ClientError> {
        let own = self.machine.device().address();
        self.fetch_devices(own.account_id).await?;
        let known = self.machine.device_list(own.account_id).ok_or(ClientError::NotSetUp)?;
        let mut devices = known.list().devices.clone();
        let before = devices.len();
        devices.retain(|certificate| certificate.device_id != device);
        if device == own.device_id || devices.len() == before {
            return Err(ClientError::DeviceList);
        }
        let secrets = self.secrets.as_ref().ok_or(ClientError::NoRootKey)?;
        let list = secrets.root().sign_device_list(known.version() + 1, devices);
        self.publish_devices(list).await
    }

    /// Has the node and this device take the account's next list.
    pub(super) async fn publish_devices(&mut self, list: DeviceList) -> Result<(), ClientError> {
        self.rest(|api| put_list(api, list.clone())).await?;
        self.handle(Input::DeviceList(&list))?;
        Ok(())
    }
}

async fn put_list(api: Api, list: DeviceList) -> Result<(), super::ApiError> {
    api.publish_list(&list).await
}
