//! Who somebody is known as here, and how two people see that nobody stands between them.

use super::error::ClientError;
use super::handle::Client;
use crate::ids::AccountId;
use crate::protocol::public::SigningPublicKey;
use crate::protocol::safety_number::{AccountKey, SafetyNumber, Sides};

/// An account as it is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownAccount {
    /// The root key that is pinned: messages are sealed for the devices that it certifies.
    pub root_key: SigningPublicKey,
    /// A root key that the node shows in its place. Nothing is sent until it is accepted.
    pub changed_to: Option<SigningPublicKey>,
}

impl Client {
    /// How an account is known here; none if it has no devices.
    ///
    /// # Errors
    /// Those of the call, if nothing is known yet.
    pub async fn known_account(&self, account: AccountId) -> Result<Option<KnownAccount>, ClientError> {
        let keys = self.ask(move |worker| Box::pin(worker.root_keys(account))).await?;
        Ok(keys.map(|(root_key, changed_to)| KnownAccount { root_key, changed_to }))
    }

    /// The safety number with an account, by the root key that is pinned: sixty digits that both sides read alike. None
    /// if it has no devices.
    ///
    /// # Errors
    /// As [`known_account`](Self::known_account).
    pub async fn safety_number(&self, account: AccountId) -> Result<Option<SafetyNumber>, ClientError> {
        Ok(self.known_account(account).await?.map(|known| self.number_with(account, known.root_key)))
    }

    /// The safety number that an account would have with its new identity, to be compared before it is accepted. None if
    /// there is no new one.
    ///
    /// # Errors
    /// As [`known_account`](Self::known_account).
    pub async fn changed_safety_number(&self, account: AccountId) -> Result<Option<SafetyNumber>, ClientError> {
        let known = self.known_account(account).await?;
        Ok(known.and_then(|known| known.changed_to).map(|root_key| self.number_with(account, root_key)))
    }

    /// Takes an account's new identity, which the user was shown: `root_key` is that of
    /// [`known_account`](Self::known_account)'s `changed_to`. Sessions with the old one are forgotten, and what came
    /// from the new one meanwhile is opened.
    ///
    /// # Errors
    /// [`MachineError::NoSuchIdentity`](crate::protocol::machine::MachineError::NoSuchIdentity) if another one waits, or
    /// none.
    pub async fn accept_identity(&self, account: AccountId, root_key: SigningPublicKey) -> Result<(), ClientError> {
        self.ask(move |worker| Box::pin(worker.accept(account, root_key))).await
    }

    fn number_with(&self, account: AccountId, root_key: SigningPublicKey) -> SafetyNumber {
        let ours = AccountKey { account_id: self.account_id(), root_key: self.root_key().clone() };
        SafetyNumber::of(&Sides { ours, theirs: AccountKey { account_id: account, root_key } })
    }
}
