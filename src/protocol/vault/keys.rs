//! The account's vault key and the keys of its collections.

use core::fmt;

use rand_core::CryptoRng;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::{Head, ItemContext, SealedItem, VaultError};
use crate::ids::{AccountId, CollectionName, ItemId};
use crate::protocol::derive::{self, HmacKey};
use crate::protocol::public::{labels, limits};
use crate::protocol::seal::one_use::{self, Purpose};
use crate::protocol::seal::padding;
use crate::protocol::secret::symmetric_key;
use crate::wire::{Reader, SealedHeadBytes, VaultContent, VaultEntry, WireError, Writer};

const VERSION: u8 = 1;

symmetric_key! {
    /// The secret that every collection of one account's vault is sealed under.
    ///
    /// It is a part of [`AccountSecrets`](crate::protocol::backup::AccountSecrets), which makes and saves it.
    pub VaultKey
}

impl VaultKey {
    /// Draws a new key, uniformly.
    pub(in crate::protocol) fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut key = Self::from_bytes(&[0; Self::LENGTH]);
        rng.fill_bytes(&mut key.0);
        key
    }

    /// The key in the clear, to be sealed: version 1, key 32. It opens every collection of the account.
    #[must_use]
    pub fn encode_secret(&self) -> Zeroizing<Vec<u8>> {
        Writer::with_capacity(1 + Self::LENGTH).u8(VERSION).bytes(self.as_bytes()).finish_secret()
    }

    /// Reads what [`encode_secret`](Self::encode_secret) wrote; the caller wipes `bytes`.
    ///
    /// # Errors
    /// [`WireError::UnknownVersion`], [`WireError::Truncated`] or [`WireError::Trailing`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        reader.version(VERSION)?;
        let key = Self::from_bytes(reader.array()?);
        reader.end()?;
        Ok(key)
    }

    /// Derives the key of one collection of `account_id`; the same arguments give the same key.
    #[must_use]
    pub fn collection_key(&self, account_id: AccountId, collection: &CollectionName) -> CollectionKey {
        let place = Writer::default().bytes(account_id.as_bytes()).variable(collection.as_str().as_bytes()).finish();
        let secret = derive::hkdf(&[], &[self.as_bytes()], &[labels::VAULT_COLLECTION, &place]);
        let entries = HmacKey::new(&derive::hkdf(&[], &[&*secret], &[labels::VAULT_ENTRIES]));
        CollectionKey { secret, entries, account_id, collection: collection.clone() }
    }
}

/// Seals and opens the items of one collection of one account. It knows which, so that no item can
/// be sealed for another.
pub struct CollectionKey {
    secret: Zeroizing<[u8; 32]>,
    /// Of the codes that entries add up by, and of ids that names have.
    entries: HmacKey,
    account_id: AccountId,
    collection: CollectionName,
}

impl CollectionKey {
    /// The account whose collection it is.
    #[must_use]
    pub const fn account_id(&self) -> AccountId {
        self.account_id
    }

    /// The collection.
    #[must_use]
    pub const fn collection(&self) -> &CollectionName {
        &self.collection
    }

    /// Seals an item's content, at most [`limits::VAULT_ITEM_BYTES_MAX`] bytes, padded to its bucket.
    ///
    /// ```
    /// use conclave::ids::{AccountId, ItemId};
    /// use conclave::protocol::backup::AccountSecrets;
    /// use conclave::protocol::vault::{ItemContext, VaultError};
    /// # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
    /// # let mut rng = ChaCha20Rng::seed_from_u64(1);
    /// let secrets = AccountSecrets::generate(AccountId::generate(&mut rng), &mut rng);
    /// let memories = secrets.vault_key().collection_key(secrets.account_id(), &"memories".parse()?);
    ///
    /// let context = ItemContext { item_id: ItemId::generate(&mut rng), item_type: "memory".parse()?, version: 1 };
    /// let sealed = memories.seal(&context, b"Ada takes her tea without milk", &mut rng)?;
    /// assert_eq!(memories.open(&context, &sealed)?.as_slice(), b"Ada takes her tea without milk");
    ///
    /// let next = ItemContext { version: 2, ..context };
    /// assert_eq!(memories.open(&next, &sealed), Err(VaultError::Open));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`VaultError::TooLong`] past the limit.
    pub fn seal(
        &self,
        context: &ItemContext,
        plaintext: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<SealedItem, VaultError> {
        let too_long = VaultError::TooLong { actual: plaintext.len(), limit: limits::VAULT_ITEM_BYTES_MAX };
        let padded = padding::pad(plaintext, limits::VAULT_ITEM_PADDED_BYTES_MAX).map_err(|_| too_long)?;
        let place = context.encode(self.account_id, &self.collection);
        one_use::seal(&self.secret, purpose(&place), &padded, rng).map(SealedItem::of_own).map_err(|_| too_long)
    }

    /// Opens an item that stands in `context`; the content is wiped when it is dropped.
    ///
    /// # Errors
    /// [`VaultError::Open`] if it was not sealed with this key for this context, byte for byte.
    pub fn open(&self, context: &ItemContext, sealed: &SealedItem) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let place = context.encode(self.account_id, &self.collection);
        let mut plaintext =
            one_use::open(&self.secret, purpose(&place), sealed.as_bytes()).map_err(|_| VaultError::Open)?;
        padding::unpad(&mut plaintext).map_err(|_| VaultError::Open)?;
        Ok(plaintext)
    }

    /// The id of the item that an application knows by a name: the same name has the same one, and without the key nothing
    /// of the name can be told from it.
    #[must_use]
    pub fn item_id(&self, name: &str) -> ItemId {
        let code = self.entries.mac(&Writer::default().bytes(labels::VAULT_ITEM_NAME).bytes(name.as_bytes()).finish());
        let mut id = [0; ItemId::LENGTH];
        for (byte, from) in id.iter_mut().zip(code.iter()) {
            *byte = *from;
        }
        ItemId::from_bytes(id)
    }

    /// Seals the collection's head.
    pub(super) fn seal_head(&self, head: &Head, rng: &mut impl CryptoRng) -> Result<SealedHeadBytes, VaultError> {
        let place = self.head_place(head.revision());
        let sealed =
            one_use::seal(&self.secret, head_purpose(&place), &head.save(), rng).map_err(|_| VaultError::Head)?;
        SealedHeadBytes::new(sealed).map_err(|_| VaultError::Head)
    }

    /// Opens the collection's head at a revision.
    pub(super) fn open_head(&self, revision: u64, sealed: &SealedHeadBytes) -> Result<Head, VaultError> {
        let place = self.head_place(revision);
        let saved =
            one_use::open(&self.secret, head_purpose(&place), sealed.as_bytes()).map_err(|_| VaultError::Head)?;
        let head = Head::load(&saved).map_err(|_| VaultError::Head)?;
        if head.revision() == revision { Ok(head) } else { Err(VaultError::Head) }
    }

    fn head_place(&self, revision: u64) -> Vec<u8> {
        Writer::default()
            .bytes(self.account_id.as_bytes())
            .variable(self.collection.as_str().as_bytes())
            .u64(revision)
            .finish()
    }

    /// What an entry adds to the sum of a head. When it was written is the node's word alone, and not in it.
    pub(super) fn entry_code(&self, entry: &VaultEntry) -> Zeroizing<[u8; 32]> {
        let VaultEntry { item_id, item_type, version, revision, updated_at: _, content } = entry;
        let writer = Writer::default()
            .bytes(labels::VAULT_ENTRY)
            .bytes(item_id.as_bytes())
            .variable(item_type.as_str().as_bytes())
            .u64(*version)
            .u64(*revision);
        let writer = match content {
            None => writer.u8(0),
            Some(VaultContent { bytes, digest }) => writer.u8(1).u32(*bytes).bytes(&digest.0),
        };
        self.entries.mac(&writer.finish())
    }
}

// The name and the account are public; the keys wipe themselves.
impl ZeroizeOnDrop for CollectionKey {}

impl fmt::Debug for CollectionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secret: _, entries: _, account_id, collection } = self;
        write!(f, "CollectionKey({account_id}/{collection}, ..)")
    }
}

fn head_purpose(place: &[u8]) -> Purpose<'_> {
    Purpose { label: labels::VAULT_HEAD, context: place, plaintext_bytes_max: Head::ENCODED_LENGTH_MAX }
}

fn purpose(place: &[u8]) -> Purpose<'_> {
    Purpose { label: labels::VAULT_ITEM, context: place, plaintext_bytes_max: limits::VAULT_ITEM_PADDED_BYTES_MAX }
}
