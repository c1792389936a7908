//! Accounts: who somebody is at a provider, and the id that others know them by.

use core::fmt;

use rusqlite::{Connection, params};

use super::Store;
use super::columns::{Blob, Integer};
use super::error::StoreError;
use super::limits::{ISSUER_BYTES_MAX, SUBJECT_BYTES_MAX};
use super::sql::Sql;
use crate::ids::AccountId;
use crate::wire::Timestamp;

/// Who somebody is: an issuer, and the subject that it knows them by. Never an e-mail address,
/// which changes hands.
///
/// Its `Debug` prints the issuer alone: the subject names a person.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderIdentity {
    issuer: String,
    subject: String,
}

/// Why a pair of texts is no identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {field} of an identity has 1 to {bytes_max} bytes, not {actual}")]
pub struct IdentityError {
    /// Issuer or subject.
    pub field: &'static str,
    /// Bytes that it has at most.
    pub bytes_max: usize,
    /// Bytes that were given.
    pub actual: usize,
}

impl ProviderIdentity {
    /// An identity, its texts compared byte by byte.
    ///
    /// # Errors
    /// [`IdentityError`] if one is empty or too long.
    pub fn new(issuer: impl Into<String>, subject: impl Into<String>) -> Result<Self, IdentityError> {
        let check = |field, text: String, bytes_max| match text.len() {
            actual if actual == 0 || actual > bytes_max => Err(IdentityError { field, bytes_max, actual }),
            _ => Ok(text),
        };
        Ok(Self {
            issuer: check("issuer", issuer.into(), ISSUER_BYTES_MAX)?,
            subject: check("subject", subject.into(), SUBJECT_BYTES_MAX)?,
        })
    }

    /// The provider's identifier: for OpenID Connect the `iss` of its tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Who somebody is there.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

impl fmt::Debug for ProviderIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { issuer, subject: _ } = self;
        f.debug_struct("ProviderIdentity").field("issuer", issuer).finish_non_exhaustive()
    }
}

impl Store {
    /// The account of an identity; if there is none, one is made with the id `candidate`, drawn
    /// anew. Of several that are made at once for one identity, one stands and all get its id.
    ///
    /// # Errors
    /// [`StoreError::IdInUse`] if another identity's account has the id, or a failure of the store.
    pub async fn find_or_create_account(
        &self,
        identity: &ProviderIdentity,
        candidate: AccountId,
        now: Timestamp,
    ) -> Result<AccountId, StoreError> {
        let ProviderIdentity { issuer, subject } = identity.clone();
        let known: Option<(Blob<16>,)> =
            self.readers.read(move |db| db.first(SELECT, params![issuer, subject])).await?;
        if let Some((Blob(id),)) = known {
            return Ok(AccountId::from_bytes(id));
        }
        let identity = identity.clone();
        self.writer.write(move |db| create(db, &identity, candidate, now)).await
    }
}

fn create(
    db: &Connection,
    ProviderIdentity { issuer, subject }: &ProviderIdentity,
    candidate: AccountId,
    now: Timestamp,
) -> Result<AccountId, StoreError> {
    db.run(
        "INSERT INTO accounts (account_id, issuer, subject, created_at) VALUES (?, ?, ?, ?)
         ON CONFLICT (issuer, subject) DO NOTHING",
        params![Blob(*candidate.as_bytes()), issuer, subject, Integer::time(now, "creation time")?],
    )?;
    let (Blob(id),): (Blob<16>,) = db.one(SELECT, params![issuer, subject])?;
    Ok(AccountId::from_bytes(id))
}

const SELECT: &str = "SELECT account_id FROM accounts WHERE issuer = ? AND subject = ?";
