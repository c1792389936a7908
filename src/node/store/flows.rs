//! Sign-ins that have begun, and the codes of the built-in development provider. Both are taken
//! once.

use rusqlite::{Connection, params};

use super::Store;
use super::columns::{Blob, Integer, check_text, is_over};
use super::error::StoreError;
use super::limits::{FLOWS_MAX, PROVIDER_BYTES_MAX, REDIRECT_URI_BYTES_MAX, SUBJECT_BYTES_MAX};
use super::sql::Sql;
use crate::node::tokens::{CodeChallenge, CodeVerifier, Nonce, TokenHash};
use crate::wire::Timestamp;

/// A sign-in that has begun: what the node has to remember until the provider sends somebody back.
#[derive(Debug)]
pub struct Flow {
    /// What it is found by: the hash of the `state` that the browser or app carries.
    pub state_hash: TokenHash,
    /// The provider's name in the configuration.
    pub provider: String,
    /// The address that the provider was told to return to.
    pub redirect_uri: String,
    /// The PKCE verifier. It is the one secret that the store holds, for as long as the flow is
    /// pending.
    pub code_verifier: CodeVerifier,
    /// What the ID token has to carry.
    pub nonce: Nonce,
    /// When it is given up.
    pub expires_at: Timestamp,
    /// The device that it signs in, if it is not the one that began it.
    pub device: Option<DeviceFlow>,
}

/// Whose sign-in it is, where a browser signs in a device that has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceFlow {
    /// The device that waits.
    pub device_code: TokenHash,
    /// The browser that began, and has to come back.
    pub browser: TokenHash,
}

/// A sign-in that is under way, as far as it is seen without being taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingFlow {
    /// The provider's name in the configuration.
    pub provider: String,
    /// Where the browser is to be sent.
    pub redirect_uri: String,
    /// The device that it signs in, if it is not the one that began it.
    pub device: Option<DeviceFlow>,
}

/// An authorization code of the development provider: what it was given out for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeGrant {
    /// What it is found by.
    pub code_hash: TokenHash,
    /// Who signed in at the provider.
    pub subject: String,
    /// What the verifier has to hash to.
    pub code_challenge: CodeChallenge,
    /// The address that it was sent to; the one who trades it in has to name the same.
    pub redirect_uri: String,
    /// What goes into the ID token.
    pub nonce: Nonce,
    /// When it stops being worth anything.
    pub expires_at: Timestamp,
}

impl Store {
    /// Remembers a sign-in that begins, and forgets those that have expired.
    ///
    /// # Errors
    /// [`StoreError::TooManyFlows`] at the limit, [`StoreError::OutOfRange`] for a text that is too
    /// long, [`StoreError::IdInUse`] for a state that was drawn twice, or a failure of the store.
    pub async fn save_flow(&self, flow: Flow, now: Timestamp) -> Result<(), StoreError> {
        check_text(&flow.provider, PROVIDER_BYTES_MAX, "provider")?;
        check_text(&flow.redirect_uri, REDIRECT_URI_BYTES_MAX, "redirect address")?;
        self.writer.write(move |db| save_flow(db, flow, now)).await
    }

    /// A pending sign-in, which stays. None if there is none, or if it has expired.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn pending_flow(&self, state_hash: TokenHash, now: Timestamp) -> Result<Option<PendingFlow>, StoreError> {
        self.readers.read(move |db| pending_flow(db, state_hash, now)).await
    }

    /// Takes a pending sign-in out of the store: a second call finds nothing. None if there is
    /// none, or if it has expired; then too it is gone.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn take_flow(&self, state_hash: TokenHash, now: Timestamp) -> Result<Option<Flow>, StoreError> {
        let flow = self.writer.write(move |db| take_flow(db, state_hash)).await?;
        Ok(flow.filter(|flow| flow.expires_at > now))
    }

    /// Remembers a code of the development provider, and forgets those that have expired.
    ///
    /// # Errors
    /// As [`save_flow`](Self::save_flow).
    pub async fn save_code(&self, code: CodeGrant, now: Timestamp) -> Result<(), StoreError> {
        check_text(&code.subject, SUBJECT_BYTES_MAX, "subject")?;
        check_text(&code.redirect_uri, REDIRECT_URI_BYTES_MAX, "redirect address")?;
        self.writer.write(move |db| save_code(db, code, now)).await
    }

    /// Takes a code out of the store, as [`take_flow`](Self::take_flow) does. Whether verifier and
    /// address fit is for the caller to check; if they do not, the code is spent all the same.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn take_code(&self, code_hash: TokenHash, now: Timestamp) -> Result<Option<CodeGrant>, StoreError> {
        let code = self.writer.write(move |db| take_code(db, code_hash)).await?;
        Ok(code.filter(|code| code.expires_at > now))
    }
}

fn save_flow(db: &Connection, flow: Flow, now: Timestamp) -> Result<(), StoreError> {
    let Flow { state_hash, provider, redirect_uri, code_verifier, nonce, expires_at, device } = flow;
    db.run("DELETE FROM flows WHERE expires_at <= ?", params![Integer::time(now, "time")?])?;
    db.run(
        "INSERT INTO flows (state_hash, provider, redirect_uri, code_verifier, nonce, expires_at, device_code_hash,
         browser_hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            Blob(*state_hash.as_bytes()),
            provider,
            redirect_uri,
            Blob(*code_verifier.as_bytes()),
            Blob(*nonce.as_bytes()),
            Integer::time(expires_at, "expiry")?,
            device.map(|device| Blob(*device.device_code.as_bytes())),
            device.map(|device| Blob(*device.browser.as_bytes())),
        ],
    )?;
    let (count,): (i64,) = db.one("SELECT count(*) FROM flows", [])?;
    refuse_over_limit(count)
}

fn pending_flow(db: &Connection, state_hash: TokenHash, now: Timestamp) -> Result<Option<PendingFlow>, StoreError> {
    type Row = (String, String, Option<Blob<32>>, Option<Blob<32>>);
    let row: Option<Row> = db.first(
        "SELECT provider, redirect_uri, device_code_hash, browser_hash FROM flows
         WHERE state_hash = ? AND expires_at > ?",
        params![Blob(*state_hash.as_bytes()), Integer::time(now, "time")?],
    )?;
    Ok(row.map(|(provider, redirect_uri, device_code, browser)| PendingFlow {
        provider,
        redirect_uri,
        device: device_flow(device_code, browser),
    }))
}

fn take_flow(db: &Connection, state_hash: TokenHash) -> Result<Option<Flow>, StoreError> {
    type Row = (String, String, Blob<32>, Blob<32>, Integer, Option<Blob<32>>, Option<Blob<32>>);
    let row: Option<Row> = db.first(
        "DELETE FROM flows WHERE state_hash = ?
         RETURNING provider, redirect_uri, code_verifier, nonce, expires_at, device_code_hash, browser_hash",
        params![Blob(*state_hash.as_bytes())],
    )?;
    Ok(row.map(|(provider, redirect_uri, Blob(code_verifier), Blob(nonce), expires_at, device_code, browser)| Flow {
        state_hash,
        provider,
        redirect_uri,
        code_verifier: CodeVerifier::from_bytes(code_verifier),
        nonce: Nonce::from_bytes(nonce),
        expires_at: expires_at.timestamp(),
        device: device_flow(device_code, browser),
    }))
}

/// Both are there, or none.
fn device_flow(device_code: Option<Blob<32>>, browser: Option<Blob<32>>) -> Option<DeviceFlow> {
    let (Blob(device_code), Blob(browser)) = (device_code?, browser?);
    Some(DeviceFlow { device_code: TokenHash::from_bytes(device_code), browser: TokenHash::from_bytes(browser) })
}

fn save_code(db: &Connection, code: CodeGrant, now: Timestamp) -> Result<(), StoreError> {
    let CodeGrant { code_hash, subject, code_challenge, redirect_uri, nonce, expires_at } = code;
    db.run("DELETE FROM codes WHERE expires_at <= ?", params![Integer::time(now, "time")?])?;
    db.run(
        "INSERT INTO codes (code_hash, subject, code_challenge, redirect_uri, nonce, expires_at)
         VALUES (?, ?, ?, ?, ?, ?)",
        params![
            Blob(*code_hash.as_bytes()),
            subject,
            Blob(*code_challenge.as_bytes()),
            redirect_uri,
            Blob(*nonce.as_bytes()),
            Integer::time(expires_at, "expiry")?,
        ],
    )?;
    let (count,): (i64,) = db.one("SELECT count(*) FROM codes", [])?;
    refuse_over_limit(count)
}

fn take_code(db: &Connection, code_hash: TokenHash) -> Result<Option<CodeGrant>, StoreError> {
    type Row = (String, Blob<32>, String, Blob<32>, Integer);
    let row: Option<Row> = db.first(
        "DELETE FROM codes WHERE code_hash = ?
         RETURNING subject, code_challenge, redirect_uri, nonce, expires_at",
        params![Blob(*code_hash.as_bytes())],
    )?;
    Ok(row.map(|(subject, Blob(code_challenge), redirect_uri, Blob(nonce), expires_at)| CodeGrant {
        code_hash,
        subject,
        code_challenge: CodeChallenge::from_bytes(code_challenge),
        redirect_uri,
        nonce: Nonce::from_bytes(nonce),
        expires_at: expires_at.timestamp(),
    }))
}

/// The row just written goes again with the savepoint.
pub(super) fn refuse_over_limit(count: i64) -> Result<(), StoreError> {
    if is_over(count, FLOWS_MAX) { Err(StoreError::TooManyFlows { limit: FLOWS_MAX }) } else { Ok(()) }
}
