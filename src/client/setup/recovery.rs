//! The recovery kit: what brings an account back when every device is lost.
//!
//! It holds a recovery key and the backup that it opens (`protocol::backup`). Whoever has the kit is the account: it is
//! kept on paper, or in a file that is kept as well as paper.

use core::fmt;

use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use super::{further_device, keep_device};
use crate::client::clock::Clock;
use crate::client::entropy;
use crate::client::error::ClientError;
use crate::client::sign_in::SignedIn;
use crate::client::store::Batch;
use crate::client::sync::{SECRETS, Saved};
use crate::ids::{AccountId, DeviceId};
use crate::protocol::backup::{AccountSecrets, Backup, RecoveryKey, open_backup, seal_backup};
use crate::protocol::identity::{DeviceIdentity, DeviceKeys};

/// A recovery key, and the backup that it opens. Secret.
pub struct RecoveryKit {
    account: AccountId,
    key: RecoveryKey,
    backup: Backup,
}

/// A text is no recovery kit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a recovery kit, or a mistyped one")]
pub struct RecoveryKitError;

impl RecoveryKit {
    /// Makes a kit of an account's secrets, with a key of its own.
    pub(in crate::client) fn of(secrets: &AccountSecrets) -> Result<Self, ClientError> {
        let rng = &mut entropy::generator()?;
        let key = RecoveryKey::generate(rng);
        let backup = seal_backup(&key, GENERATION, secrets, rng)?;
        Ok(Self { account: secrets.account_id(), key, backup })
    }

    /// The account.
    #[must_use]
    pub const fn account_id(&self) -> AccountId {
        self.account
    }

    /// The kit as a text to print or to keep: secret, wiped when dropped.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let Self { account, key, backup } = self;
        let (key, backup) = (key.to_written(), BASE64URL_NOPAD.encode(&backup.to_bytes()));
        // Large enough from the start: a text that grows leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(TITLE.len() + 64 + key.len() + backup.len()));
        let account = account.to_string();
        for (name, value) in [("", TITLE), ("account: ", &*account), ("key: ", &**key), ("backup: ", &*backup)] {
            text.push_str(name);
            text.push_str(value);
            text.push('\n');
        }
        text
    }

    /// Reads a kit; the caller wipes `text`.
    ///
    /// # Errors
    /// [`RecoveryKitError`].
    pub fn parse(text: &str) -> Result<Self, RecoveryKitError> {
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.trim().strip_prefix(name));
            value.map(str::trim).ok_or(RecoveryKitError)
        };
        let account = field("account:")?.parse().map_err(|_| RecoveryKitError)?;
        let key = RecoveryKey::parse(field("key:")?).map_err(|_| RecoveryKitError)?;
        let backup = BASE64URL_NOPAD.decode(field("backup:")?.as_bytes()).map_err(|_| RecoveryKitError)?;
        let backup = Backup::parse(&backup).map_err(|_| RecoveryKitError)?;
        Ok(Self { account, key, backup })
    }
}

impl fmt::Debug for RecoveryKit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, .. } = self;
        write!(f, "RecoveryKit({account}, ..)")
    }
}

/// Makes a further device of an account from its kit, and keeps it. The other devices stay.
///
/// # Errors
/// [`ClientError::AlreadySetUp`], [`ClientError::OtherAccount`], [`ClientError::Backup`]; [`ClientError::OtherRootKey`] if
/// the node shows another root key than the kit's.
pub(in crate::client) async fn recover(
    saved: &mut Saved,
    signed_in: &SignedIn,
    kit: &RecoveryKit,
    clock: &Clock,
) -> Result<(), ClientError> {
    if saved.has_device() {
        return Err(ClientError::AlreadySetUp);
    }
    let account = signed_in.account_id();
    if kit.account != account {
        return Err(ClientError::OtherAccount);
    }
    let secrets = open_backup(&kit.key, account, &kit.backup)?.secrets;
    let shown = signed_in.api.device_list(account).await?;
    let (identity, list) = {
        let rng = &mut entropy::generator()?;
        let keys = DeviceKeys::generate(rng);
        let (signing_key, agreement_key) = (keys.signing.public_key(), keys.agreement.public_key());
        let certificate = secrets.root().certify(DeviceId::generate(rng), &signing_key, &agreement_key, clock.now());
        let list = further_device(&secrets, shown.as_ref(), certificate.clone())?;
        (DeviceIdentity::new(keys, &certificate)?, list)
    };
    let mut batch = Batch::default();
    batch.put(SECRETS, secrets.encode_secret());
    keep_device(saved, signed_in, identity, &list, batch, clock.now()).await
}

const TITLE: &str = "conclave recovery kit, version 1. Whoever has this is the account.";

/// The backup stands in the kit and nowhere else, so there is one of each key.
const GENERATION: u64 = 1;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn a_kit_is_read_as_it_was_written_and_shows_nothing_in_debug() {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        let secrets = AccountSecrets::generate(AccountId::generate(rng), rng);
        let kit = RecoveryKit::of(&secrets).unwrap();
        let text = kit.to_text();
        let read = RecoveryKit::parse(&text.replace('\n', "\r\n  ")).unwrap();
        let opened = open_backup(&read.key, read.account, &read.backup).unwrap();
        assert_eq!(opened.secrets.root().public_key(), secrets.root().public_key());
        assert_eq!(format!("{kit:?}"), format!("RecoveryKit({}, ..)", secrets.account_id()));
        for broken in ["", &text[..text.len() - 3], &text.replace("key: ", "key: Q")] {
            assert_eq!(RecoveryKit::parse(broken).err(), Some(RecoveryKitError));
        }
    }
}
