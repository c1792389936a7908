//! What the worker has for the vault: the key, the heads that were seen, and calls with a good token. The calls themselves are
//! made elsewhere, so that a long list keeps no message waiting.

use super::{Api, ClientError, Worker};
use crate::ids::CollectionName;
use crate::protocol::vault::{CollectionKey, Head};
use crate::wire::SecretText;

/// What the names of the records begin with that hold the newest head seen of each collection.
pub(super) const VAULT_HEAD: &str = "vault-head/";

impl Worker {
    /// A collection's key, and the newest head that was seen of it.
    pub(in crate::client) fn collection(&self, name: &CollectionName) -> Result<(CollectionKey, Head), ClientError> {
        let account = self.machine.device().address().account_id;
        let secrets = self.secrets.as_ref().ok_or(ClientError::NoVaultKey)?;
        let key = secrets.vault_key().collection_key(account, name);
        Ok((key, self.vault_heads.get(name).cloned().unwrap_or_default()))
    }

    /// Keeps the newest head that was seen of a collection.
    pub(in crate::client) fn see_vault_head(&mut self, name: CollectionName, head: Head) {
        self.batch.put(format!("{VAULT_HEAD}{name}"), head.save());
        self.vault_heads.insert(name, head);
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
