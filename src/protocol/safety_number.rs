//! Safety numbers: how two people see that no one stands between them.
//!
//! Each account has a fingerprint of its id and root key; the number is made of both. Read aloud or
//! scanned, it tells whether both sides know the same two keys. It changes only if a root key does.
//!
//! ```text
//! h[0]        = label ∥ account_id 16 ∥ root_key 32
//! h[i]        = SHA-512(h[i-1] ∥ root_key)                   i = 1 .. 5,200
//! fingerprint = first 32 bytes of h[5200]
//! digits      = of the first 30 bytes, each 5 as a big-endian number modulo 100,000     30 digits
//! number      = digits of the lower fingerprint, then of the higher                     60 digits
//! QR code     = version 1 ∥ our fingerprint 32 ∥ their fingerprint 32                   65 bytes
//! ```
//!
//! The form and the 5,200 rounds are those of Signal's numeric fingerprint (libsignal,
//! `rust/protocol/src/fingerprint.rs`): 30 digits are almost 100 bits, the rounds add 12 more
//! against somebody who searches for a key with a given number. Everything here is public.
//!
//! What an attacker can still do: nothing against those who compare; everything against those who
//! do not.

use core::fmt;

use sha2::{Digest, Sha512};

use crate::ids::AccountId;
use crate::protocol::public::{SigningPublicKey, labels};
use crate::wire::ErrorCode;

/// An account, and the root key that it is known by here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountKey {
    /// The account.
    pub account_id: AccountId,
    /// Its root key.
    pub root_key: SigningPublicKey,
}

/// The two accounts that are compared. Both sides read the same digits; which side is ours matters to
/// the QR code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sides {
    /// The account whose user compares here.
    pub ours: AccountKey,
    /// The account that is compared with.
    pub theirs: AccountKey,
}

/// The safety number of two accounts, seen from one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafetyNumber {
    ours: Fingerprint,
    theirs: Fingerprint,
}

impl SafetyNumber {
    /// Bytes of the QR code's content.
    pub const QR_BYTES: usize = 1 + 2 * FINGERPRINT_LENGTH;

    /// Computes the number of two accounts from their ids and root keys: 10,400 hashes.
    ///
    /// ```
    /// use conclave::ids::AccountId;
    /// use conclave::protocol::safety_number::{AccountKey, SafetyNumber, Sides};
    /// use conclave::protocol::secret::SigningSecretKey;
    /// # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
    /// # let mut rng = ChaCha20Rng::seed_from_u64(1);
    /// let [ada, bob] = [(); 2].map(|()| AccountKey {
    ///     account_id: AccountId::generate(&mut rng),
    ///     root_key: SigningSecretKey::generate(&mut rng).public_key(),
    /// });
    ///
    /// let at_ada = SafetyNumber::of(&Sides { ours: ada.clone(), theirs: bob.clone() });
    /// let at_bob = SafetyNumber::of(&Sides { ours: bob, theirs: ada });
    /// assert_eq!(at_ada.to_string(), at_bob.to_string());
    /// assert_eq!(at_ada.verify_qr(&at_bob.qr_bytes()), Ok(()));
    /// ```
    #[must_use]
    pub fn of(sides: &Sides) -> Self {
        let Sides { ours, theirs } = sides;
        Self { ours: Fingerprint::of(ours), theirs: Fingerprint::of(theirs) }
    }

    /// What our QR code holds: version, our fingerprint, theirs.
    #[must_use]
    pub fn qr_bytes(&self) -> [u8; Self::QR_BYTES] {
        let Self { ours, theirs } = self;
        let mut bytes = [QR_VERSION; Self::QR_BYTES];
        let (_, fingerprints) = bytes.split_at_mut(1);
        let (first, second) = fingerprints.split_at_mut(FINGERPRINT_LENGTH);
        first.copy_from_slice(&ours.0);
        second.copy_from_slice(&theirs.0);
        bytes
    }

    /// Compares what was scanned from the other side's screen, where the two fingerprints stand the
    /// other way round.
    ///
    /// # Errors
    /// [`SafetyNumberError`]. [`TheirKey`](SafetyNumberError::TheirKey), [`OurKey`](SafetyNumberError::OurKey)
    /// and [`BothKeys`](SafetyNumberError::BothKeys) are alarms: the two sides know different keys.
    pub fn verify_qr(&self, scanned: &[u8]) -> Result<(), SafetyNumberError> {
        // The version comes first: another one may have another length.
        match scanned.first() {
            Some(&version) if version != QR_VERSION => return Err(SafetyNumberError::UnknownVersion { version }),
            _ if scanned.len() != Self::QR_BYTES => {
                return Err(SafetyNumberError::Length { expected: Self::QR_BYTES, actual: scanned.len() });
            }
            _ => {}
        }
        let (_, fingerprints) = scanned.split_at(1);
        let (first, second) = fingerprints.split_at(FINGERPRINT_LENGTH);
        match (first == self.theirs.0, second == self.ours.0) {
            (true, true) => Ok(()),
            (false, true) => Err(SafetyNumberError::TheirKey),
            (true, false) => Err(SafetyNumberError::OurKey),
            (false, false) => Err(SafetyNumberError::BothKeys),
        }
    }
}

/// Twelve groups of five digits, the same on both sides.
impl fmt::Display for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lower, higher) =
            if self.ours <= self.theirs { (&self.ours, &self.theirs) } else { (&self.theirs, &self.ours) };
        for (index, group) in lower.groups().chain(higher.groups()).enumerate() {
            let separator = if index == 0 { "" } else { " " };
            write!(f, "{separator}{group:05}")?;
        }
        Ok(())
    }
}

/// Why a scanned code does not confirm a safety number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SafetyNumberError {
    /// Not as long as a code is: some other QR code.
    #[error("a safety number's code has {expected} bytes, not {actual}")]
    Length {
        /// Bytes that a code has.
        expected: usize,
        /// Bytes that were scanned.
        actual: usize,
    },
    /// A version that this build does not know.
    #[error("unknown version {version}")]
    UnknownVersion {
        /// The byte that stood there.
        version: u8,
    },
    /// Their root key is another than the one we know: somebody may stand between.
    #[error("their key is not the one known here")]
    TheirKey,
    /// They know another root key for us than ours: somebody may stand between.
    #[error("they know another key for this account")]
    OurKey,
    /// Neither key is the one known here: somebody stands between who shows each side a key of his
    /// own, or this is the code of two other accounts, which no byte in it can tell apart.
    #[error("neither key is the one known here")]
    BothKeys,
}

impl SafetyNumberError {
    /// The code that stands for it where errors cross a boundary.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Length { .. } => ErrorCode::SafetyNumberMalformed,
            Self::UnknownVersion { .. } => ErrorCode::SafetyNumberVersionUnknown,
            Self::TheirKey => ErrorCode::SafetyNumberTheirKey,
            Self::OurKey => ErrorCode::SafetyNumberOurKey,
            Self::BothKeys => ErrorCode::SafetyNumberBothKeys,
        }
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Fingerprint([u8; FINGERPRINT_LENGTH]);

impl Fingerprint {
    fn of(account: &AccountKey) -> Self {
        let AccountKey { account_id, root_key } = account;
        let first = [labels::SAFETY_NUMBER, account_id.as_bytes(), root_key.as_bytes()].concat();
        let round = |input: &[u8]| Sha512::new().chain_update(input).chain_update(root_key.as_bytes()).finalize();
        let hash = (1..ROUNDS).fold(round(&first), |hash, _| round(&hash));
        let (start, _) = hash.split_at(FINGERPRINT_LENGTH);
        let mut fingerprint = [0; FINGERPRINT_LENGTH];
        fingerprint.copy_from_slice(start);
        Self(fingerprint)
    }

    /// Six numbers of five digits each.
    fn groups(&self) -> impl Iterator<Item = u64> {
        self.0.chunks_exact(5).map(|chunk| chunk.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)) % 100_000)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::wire::Bytes(self.0).fmt(f)
    }
}

const QR_VERSION: u8 = 1;
const FINGERPRINT_LENGTH: usize = 32;
const ROUNDS: usize = 5_200;
