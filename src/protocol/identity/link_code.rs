//! Linking a further device: a code that goes from its screen to a device that holds the account's root.
//!
//! ```text
//! code      = text with a checksum of: version 1 ∥ account 16 ∥ signing key 32 ∥ agreement key 32 ∥ secret 16
//!             134 characters
//! device id = first 16 bytes of HKDF-SHA-256(secret, info = label ∥ account 16 ∥ root key 32 ∥ both keys)
//! ```
//!
//! Each side has to know that the other's keys are right, and the code is carried one way only. The root's device has the
//! new one's keys from the code. The new device finds itself on a list that the node shows, under an id that only
//! somebody who has read the code can derive, and that is of this account and root key alone. So a node that certifies
//! the keys with a root of its own is found out, and the root key does not travel.
//!
//! What an attacker can still do: one who sees the code and is the node can take the new device in for another account's.

use core::fmt;

use rand_core::CryptoRng;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::ids::{AccountId, DeviceId};
use crate::protocol::carried_text;
use crate::protocol::derive;
use crate::protocol::public::{AgreementPublicKey, SigningPublicKey, labels};
use crate::wire::{Reader, WireError, Writer};

const VERSION: u8 = 1;
const SECRET_LENGTH: usize = 16;

/// A new device's account and public keys, and a secret between it and whoever reads the code.
pub struct LinkCode {
    account_id: AccountId,
    signing_key: SigningPublicKey,
    agreement_key: AgreementPublicKey,
    secret: Zeroizing<[u8; SECRET_LENGTH]>,
}

/// A text is no link code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a link code, or a mistyped one")]
pub struct LinkCodeError;

impl LinkCode {
    /// A code for a device of this account with these keys.
    #[must_use]
    pub fn generate(
        account_id: AccountId,
        signing_key: SigningPublicKey,
        agreement_key: AgreementPublicKey,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let mut secret = Zeroizing::new([0; SECRET_LENGTH]);
        rng.fill_bytes(&mut *secret);
        Self { account_id, signing_key, agreement_key, secret }
    }

    /// The account that the device is signed in to.
    #[must_use]
    pub const fn account_id(&self) -> AccountId {
        self.account_id
    }

    /// The device's signing key.
    #[must_use]
    pub const fn signing_key(&self) -> &SigningPublicKey {
        &self.signing_key
    }

    /// The device's agreement key.
    #[must_use]
    pub const fn agreement_key(&self) -> &AgreementPublicKey {
        &self.agreement_key
    }

    /// The id under which the device is certified by its account's root, if that is this one.
    #[must_use]
    pub fn device_id(&self, root_key: &SigningPublicKey) -> DeviceId {
        let Self { account_id, signing_key, agreement_key, secret } = self;
        let [root_key, signing_key] = [root_key.as_bytes(), signing_key.as_bytes()];
        let info = [labels::LINKED_DEVICE, account_id.as_bytes(), root_key, signing_key, agreement_key.as_bytes()];
        let id = derive::hkdf(&[], &[&**secret], &info);
        DeviceId::from_bytes(*id)
    }

    /// The code as a text: to be shown to its user alone. Wiped when dropped.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let Self { account_id, signing_key, agreement_key, secret } = self;
        let writer = Writer::with_capacity(128).u8(VERSION).bytes(account_id.as_bytes()).bytes(signing_key.as_bytes());
        let content = writer.bytes(agreement_key.as_bytes()).bytes(&**secret).finish_secret();
        carried_text::write(labels::LINK_CHECKSUM, &content)
    }

    /// Reads a code; white space does not count. The caller wipes `text`.
    ///
    /// # Errors
    /// [`LinkCodeError`].
    pub fn parse(text: &str) -> Result<Self, LinkCodeError> {
        let content = carried_text::read(labels::LINK_CHECKSUM, text).ok_or(LinkCodeError)?;
        Self::read(&content).ok_or(LinkCodeError)
    }

    fn read(content: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(content);
        let mut read = || {
            reader.version(VERSION)?;
            Ok::<_, WireError>((*reader.array()?, reader.array()?, reader.array()?, Zeroizing::new(*reader.array()?)))
        };
        let (account_id, signing_key, agreement_key, secret) = read().ok()?;
        reader.end().ok()?;
        let signing_key = SigningPublicKey::parse(signing_key).ok()?;
        let agreement_key = AgreementPublicKey::parse(agreement_key).ok()?;
        Some(Self { account_id: AccountId::from_bytes(account_id), signing_key, agreement_key, secret })
    }
}

// `Zeroizing` wipes the secret; the keys are public.
impl ZeroizeOnDrop for LinkCode {}

impl fmt::Debug for LinkCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account_id, signing_key: _, agreement_key: _, secret: _ } = self;
        write!(f, "LinkCode({account_id}, ..)")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::protocol::identity::{AccountRoot, DeviceKeys};

    fn code(seed: u64) -> LinkCode {
        let rng = &mut ChaCha20Rng::seed_from_u64(seed);
        let keys = DeviceKeys::generate(rng);
        let account = AccountId::from_bytes([7; 16]);
        LinkCode::generate(account, keys.signing.public_key(), keys.agreement.public_key(), rng)
    }

    #[test]
    fn a_code_is_read_as_it_was_shown_and_typing_errors_are_seen() {
        let code = code(1);
        let text = code.to_text();
        assert_eq!(text.len(), 134);
        let (left, right) = text.split_at(50);
        assert_eq!(*LinkCode::parse(&format!(" {left}\n{right} ")).unwrap().to_text(), *text);
        for at in 0..text.len() {
            let mut typed = text.as_bytes().to_vec();
            let byte = typed.get_mut(at).unwrap();
            *byte = if *byte == b'A' { b'B' } else { b'A' };
            assert!(LinkCode::parse(&String::from_utf8(typed).unwrap()).is_err(), "{at}");
        }
        assert!(LinkCode::parse("").is_err());
    }

    #[test]
    fn the_id_is_of_one_account_root_and_code_alone() {
        let rng = &mut ChaCha20Rng::seed_from_u64(2);
        let [ours, theirs] = [(); 2].map(|()| AccountRoot::generate(AccountId::generate(rng), rng).public_key());
        let read = LinkCode::parse(&code(1).to_text()).unwrap();
        assert_eq!(read.account_id(), code(1).account_id());
        let id = code(1).device_id(&ours);
        assert_eq!(read.device_id(&ours), id);
        assert_ne!(read.device_id(&theirs), id);
        assert_ne!(LinkCode { account_id: AccountId::generate(rng), ..code(1) }.device_id(&ours), id);
        assert_ne!(code(2).device_id(&ours), id);
        let other_secret = LinkCode { secret: Zeroizing::new([0; SECRET_LENGTH]), ..code(1) };
        assert_ne!(other_secret.device_id(&ours), id);
    }
}
