//! The key that the members of a room share.

use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::MembershipProof;
use super::proof::NONCE_LENGTH;
use crate::ids::{AccountId, RoomId};
use crate::protocol::derive::{self, HmacKey};
use crate::protocol::public::{SigningPublicKey, labels, limits};
use crate::protocol::seal::one_use::{self, Purpose};
use crate::protocol::secret::symmetric_key;
use crate::protocol::vault::VaultKey;
use crate::wire::{Bytes, KeptMembership, MemberMark, Reader, RoomPolicy, WireError, Writer};

symmetric_key! {
    /// What the members of a room share and the node has not: who has it can vouch for members.
    pub MembershipKey
}

impl MembershipKey {
    /// Draws a new key, uniformly.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut key = Self::from_bytes(&[0; Self::LENGTH]);
        rng.fill_bytes(&mut key.0);
        key
    }

    /// The key in the clear, for a store that is sealed: 32 bytes.
    #[must_use]
    pub fn encode_secret(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(*self.as_bytes())
    }

    /// Reads what [`encode_secret`](Self::encode_secret) wrote; the caller wipes `bytes`.
    #[must_use]
    pub const fn decode(bytes: &[u8; 32]) -> Self {
        Self::from_bytes(bytes)
    }

    /// Vouches for an account that has this root key. Each proof is another one.
    #[must_use]
    pub fn prove(
        &self,
        room: RoomId,
        account: AccountId,
        root_key: &SigningPublicKey,
        rng: &mut impl CryptoRng,
    ) -> MembershipProof {
        let mut nonce = [0; NONCE_LENGTH];
        rng.fill_bytes(&mut nonce);
        MembershipProof::new(root_key.to_wire(), nonce, *self.tag(room, account, &root_key.to_wire(), &nonce))
    }

    /// Whether a proof was made with this key for an account in a room.
    #[must_use]
    pub fn has_proven(&self, room: RoomId, account: AccountId, proof: &MembershipProof) -> bool {
        let tag = self.tag(room, account, proof.root_key(), proof.nonce());
        bool::from(tag.ct_eq(proof.tag()))
    }

    /// What the account's messages in the room carry.
    #[must_use]
    pub fn mark(&self, room: RoomId, account: AccountId, root_key: &SigningPublicKey) -> MemberMark {
        let code = self.tag_key().mac(&place(labels::MEMBER_MARK, room, account, &root_key.to_wire()).finish());
        let mut mark = [0; 16];
        for (byte, from) in mark.iter_mut().zip(code.iter()) {
            *byte = *from;
        }
        Bytes(mark)
    }

    /// Whether a mark is that of an account in a room.
    #[must_use]
    pub fn has_marked(&self, room: RoomId, account: AccountId, root_key: &SigningPublicKey, mark: &MemberMark) -> bool {
        bool::from(self.mark(room, account, root_key).0.ct_eq(&mark.0))
    }

    /// Seals the key for the other devices of `account`, with the room's policy.
    #[must_use]
    pub fn keep(
        &self,
        vault_key: &VaultKey,
        (account, room): (AccountId, RoomId),
        policy: RoomPolicy,
        rng: &mut impl CryptoRng,
    ) -> KeptMembership {
        let kept = Writer::with_capacity(KEPT_LENGTH).u8(VERSION).bytes(&policy.to_bytes()).bytes(self.as_bytes());
        seal_kept(vault_key, &kept_context(account, room), &kept.finish_secret(), rng)
    }

    /// Opens what [`keep`](Self::keep) sealed with the same vault key, account and room.
    ///
    /// # Errors
    /// [`NotKept`] for everything else.
    pub fn open_kept(
        vault_key: &VaultKey,
        (account, room): (AccountId, RoomId),
        kept: &KeptMembership,
    ) -> Result<(Self, RoomPolicy), NotKept> {
        let context = kept_context(account, room);
        let kept = one_use::open(vault_key.as_bytes(), kept_purpose(&context), &kept.0).map_err(|_| NotKept)?;
        Self::read_kept(&kept).map_err(|_| NotKept)
    }

    fn read_kept(kept: &[u8]) -> Result<(Self, RoomPolicy), WireError> {
        let mut reader = Reader::new(kept);
        reader.version(VERSION)?;
        let policy = RoomPolicy::read(&mut reader)?;
        let key = Self::from_bytes(reader.array()?);
        reader.end()?;
        Ok((key, policy))
    }
}

impl MembershipKey {
    fn tag(&self, room: RoomId, account: AccountId, root_key: &Bytes<32>, nonce: &[u8]) -> Zeroizing<[u8; 32]> {
        self.tag_key().mac(&place(labels::MEMBERSHIP_PROOF, room, account, root_key).bytes(nonce).finish())
    }

    fn tag_key(&self) -> HmacKey {
        HmacKey::new(&derive::hkdf(&[], &[self.as_bytes()], &[labels::MEMBERSHIP_TAG_KEY]))
    }
}

/// What is kept is not of this key, account and room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what is kept of a membership does not open")]
pub struct NotKept;

fn place(label: &[u8], room: RoomId, account: AccountId, root_key: &Bytes<32>) -> Writer {
    Writer::with_capacity(128).bytes(label).bytes(room.as_bytes()).bytes(account.as_bytes()).bytes(&root_key.0)
}

fn kept_context(account: AccountId, room: RoomId) -> Vec<u8> {
    Writer::with_capacity(32).bytes(account.as_bytes()).bytes(room.as_bytes()).finish()
}

fn seal_kept(vault_key: &VaultKey, context: &[u8], kept: &[u8], rng: &mut impl CryptoRng) -> KeptMembership {
    let sealed = one_use::seal(vault_key.as_bytes(), kept_purpose(context), kept, rng);
    #[expect(clippy::expect_used, reason = "the length is the only error, and it is asserted below")]
    sealed.ok().and_then(|sealed| sealed.try_into().ok()).map(Bytes).expect("length")
}

fn kept_purpose(context: &[u8]) -> Purpose<'_> {
    Purpose { label: labels::MEMBERSHIP_KEPT, context, plaintext_bytes_max: KEPT_LENGTH }
}

const VERSION: u8 = 1;

/// Version 1, policy 3, key 32.
const KEPT_LENGTH: usize = 1 + RoomPolicy::LENGTH + MembershipKey::LENGTH;

const _: () = assert!(KEPT_LENGTH + limits::ONE_USE_OVERHEAD_BYTES == size_of::<KeptMembership>());

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::protocol::backup::AccountSecrets;
    use crate::wire::Signatures;

    #[test]
    fn a_proof_and_a_mark_are_of_one_key_room_account_and_root_alone() {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        let [key, other_key] = [(); 2].map(|()| MembershipKey::generate(rng));
        let [room, other_room] = [(); 2].map(|()| RoomId::generate(rng));
        let [ours, theirs] = [(); 2].map(|()| AccountSecrets::generate(AccountId::generate(rng), rng));
        let [key_of_ours, key_of_theirs] = [&ours, &theirs].map(|secrets| secrets.root().public_key());
        let account = ours.account_id();

        let proof = key.prove(room, account, &key_of_ours, rng);
        assert!(key.has_proven(room, account, &proof));
        assert!(!other_key.has_proven(room, account, &proof));
        assert!(!key.has_proven(other_room, account, &proof));
        assert!(!key.has_proven(room, theirs.account_id(), &proof));
        for at in 0..size_of::<crate::wire::MembershipProofBytes>() {
            let mut bytes = proof.to_wire();
            bytes.0[at] ^= 1;
            let altered = MembershipProof::parse(&bytes);
            assert!(altered.is_err() || !key.has_proven(room, account, &altered.unwrap()), "{at}");
        }
        assert_ne!(proof.id(), key.prove(room, account, &key_of_ours, rng).id());

        let mark = key.mark(room, account, &key_of_ours);
        assert!(key.has_marked(room, account, &key_of_ours, &mark));
        assert!(!other_key.has_marked(room, account, &key_of_ours, &mark));
        assert!(!key.has_marked(other_room, account, &key_of_ours, &mark));
        assert!(!key.has_marked(room, theirs.account_id(), &key_of_ours, &mark));
        assert!(!key.has_marked(room, account, &key_of_theirs, &mark));
    }

    #[test]
    fn what_is_kept_opens_in_its_place_alone() {
        let rng = &mut ChaCha20Rng::seed_from_u64(2);
        let key = MembershipKey::generate(rng);
        let [ours, theirs] = [(); 2].map(|()| AccountSecrets::generate(AccountId::generate(rng), rng));
        let [room, other_room] = [(); 2].map(|()| RoomId::generate(rng));
        let policy = RoomPolicy { signatures: Signatures::Off, ..RoomPolicy::default() };
        let (account, vault_key) = (ours.account_id(), ours.vault_key());

        let kept = key.keep(vault_key, (account, room), policy, rng);
        let open = |vault_key, place, kept: &KeptMembership| MembershipKey::open_kept(vault_key, place, kept);
        let (opened, shown) = open(vault_key, (account, room), &kept).unwrap();
        assert_eq!((opened, shown), (key, policy));
        assert_eq!(open(vault_key, (account, other_room), &kept), Err(NotKept));
        assert_eq!(open(vault_key, (theirs.account_id(), room), &kept), Err(NotKept));
        assert_eq!(open(theirs.vault_key(), (account, room), &kept), Err(NotKept));
        for at in 0..kept.0.len() {
            let mut altered = kept;
            altered.0[at] ^= 1;
            assert_eq!(open(vault_key, (account, room), &altered), Err(NotKept), "{at}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let key = MembershipKey::generate(&mut ChaCha20Rng::seed_from_u64(3));
        assert_eq!(format!("{key:?}"), "MembershipKey(..)");
    }
}
