//! What the node holds of one room: its rules, without a runtime.

use core::time::Duration;
use std::collections::BTreeMap;

use rand_core::CryptoRng;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::error::CustodyError;
use super::exchange::{Exchanged, exchange};
use super::limits::{PARTICIPANTS_PER_ROOM_MAX, SKIPPED_KEYS_MAX};
use super::participant::{Identity, Participant, SessionKeys};
use super::retired::{Reason, Retired};
use super::seats::Seats;
use crate::ids::{AccountId, DeviceAddress, DeviceId, EnvelopeId, KeyId, RoomId};
use crate::node::nonces::Nonces;
use crate::protocol::public::{VerifiedDevice, VerifyError, envelope_signed_bytes, verify_envelope};
use crate::protocol::session::MessageContext;
use crate::wire::limits::HELD_MESSAGE_BYTES_MAX;
use crate::wire::{
    ByteString, Bytes, DecryptedMessage, Destination, Envelope, RoomKey, RoomKeyType, RoomKeys, RoomPolicy, Signatures,
    Timestamp,
};

/// What a member asks.
pub(super) enum Request {
    Generate(RoomKeyType),
    Exchange(AccountId),
    Show(AccountId),
    Rotate(RoomKeyType),
    Revoke(KeyId),
    Encrypt(AccountId, Map<String, Value>),
    Decrypt(Box<Envelope>),
}

/// What is answered. Public halves of keys alone.
pub(super) enum Answer {
    /// The key that was asked for, and all that were made with it.
    Made { key: RoomKey, made: Vec<RoomKey> },
    /// The key that was asked for, and all that were made with it.
    Rotated { key: RoomKey, made: Vec<RoomKey> },
    /// Keys that count no more.
    Revoked(Vec<KeyId>),
    /// Somebody's keys.
    Keys(RoomKeys),
    /// The other's keys, and whether there was no session before.
    Exchanged { keys: RoomKeys, is_new: bool },
    /// An envelope, and whether there was no session before.
    Encrypted { envelope: Box<Envelope>, is_new: bool },
    /// A message.
    Decrypted(DecryptedMessage),
}

/// How long keys and nonces count.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// How long a key counts.
    pub key_age_max: Duration,
    /// How old session keys become before they are made anew; none: they are not, but by hand.
    pub key_rotation: Option<Duration>,
    /// How long a nonce is remembered.
    pub nonce_ttl: Duration,
}

/// A room whose keys the node holds.
#[derive(Debug)]
pub(super) struct HeldRoom {
    room_id: RoomId,
    policy: RoomPolicy,
    times: Times,
    seats: Seats,
    participants: BTreeMap<AccountId, Participant>,
    /// Of what members have opened. Those of one who leaves stay for their time.
    nonces: Nonces,
    retired: Retired,
}

impl HeldRoom {
    pub(super) fn new(room_id: RoomId, policy: RoomPolicy, times: Times, seats: Seats) -> Self {
        let (participants, nonces, retired) = (BTreeMap::new(), Nonces::new(times.nonce_ttl), Retired::default());
        Self { room_id, policy, times, seats, participants, nonces, retired }
    }

    pub(super) const fn room_id(&self) -> RoomId {
        self.room_id
    }

    /// Whether no key is held.
    pub(super) fn is_empty(&self) -> bool {
        self.participants.is_empty()
    }

    #[cfg(test)]
    pub(super) const fn nonces(&self) -> &Nonces {
        &self.nonces
    }

    #[cfg(test)]
    pub(super) fn participants(&self) -> impl Iterator<Item = &Participant> {
        self.participants.values()
    }

    /// With what key a member signs, and until when it counts.
    pub(super) fn signer(&self, account: AccountId) -> Option<(&VerifiedDevice, Timestamp)> {
        let keys = self.participants.get(&account)?.session_keys.as_ref()?;
        Some((keys.identity.device(), keys.public.expires_at))
    }

    /// Carries out what a member asks; after an error everything is as it was, but for what has expired.
    ///
    /// # Errors
    /// [`CustodyError`].
    pub(super) fn handle(
        &mut self,
        asker: DeviceAddress,
        request: Request,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<Answer, CustodyError> {
        match request {
            Request::Generate(key_type) => self.generate(asker, key_type, now, rng),
            Request::Exchange(peer) => {
                let is_new = self.agree(asker, peer, now, rng)?;
                Ok(Answer::Exchanged { keys: self.show(peer, now)?, is_new })
            }
            Request::Show(account) => Ok(Answer::Keys(self.show(account, now)?)),
            Request::Rotate(key_type) => {
                self.own(asker)?;
                let (key, made) = self.make(asker, key_type, now, rng)?;
                Ok(Answer::Rotated { key, made })
            }
            Request::Revoke(key_id) => self.revoke(asker, key_id),
            Request::Encrypt(recipient, message) => self.encrypt(asker, recipient, &message, now, rng),
            Request::Decrypt(envelope) => self.decrypt(asker, &envelope, now),
        }
    }

    /// Wipes what is held of an account, and every session with it.
    pub(super) fn forget(&mut self, account: AccountId) {
        self.participants.remove(&account);
        self.forget_sessions(account);
        self.retired.forget(account);
    }

    /// Wipes what is held for a device of an account that is not among these. Returns the keys.
    pub(super) fn forget_unlisted(&mut self, account: AccountId, listed: &[DeviceId]) -> Vec<KeyId> {
        let gone = self.participants.get(&account).filter(|own| !listed.contains(&own.device.device_id));
        let Some(keys) = gone.map(Participant::public_keys) else { return Vec::new() };
        self.participants.remove(&account);
        self.retire(&keys, Reason::Revoked);
        self.forget_sessions(account);
        keys.iter().map(|key| key.key_id).collect()
    }

    /// Wipes everything.
    pub(super) fn wipe(&mut self) {
        self.participants.clear();
    }

    /// Wipes keys whose time is over. Returns them.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<RoomKey> {
        let mut expired = Vec::new();
        for participant in self.participants.values_mut() {
            if let Some(keys) = participant.session_keys.take_if(|keys| !keys.public.is_valid(now)) {
                expired.push(keys.public);
            }
        }
        let gone = self.participants.extract_if(.., |_, participant| !participant.identity.public.is_valid(now));
        expired.extend(gone.map(|(_, participant)| participant.identity.public));
        for key in &expired {
            self.forget_sessions(key.user_id);
            self.retired.remember(*key, Reason::Expired);
        }
        expired
    }

    /// Whose session keys are so old that they are to be made anew.
    pub(super) fn due(&self, now: Timestamp) -> Vec<DeviceAddress> {
        let Some(age) = self.times.key_rotation else { return Vec::new() };
        let is_due = |keys: &SessionKeys| now.since(keys.public.created_at) >= age;
        let members = self.participants.values().filter(|own| own.session_keys.as_ref().is_some_and(is_due));
        members.map(|own| own.device).collect()
    }

    fn generate(
        &mut self,
        asker: DeviceAddress,
        key_type: RoomKeyType,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<Answer, CustodyError> {
        if self.own(asker).is_ok() {
            let (key, made) = self.make(asker, key_type, now, rng)?;
            return Ok(Answer::Made { key, made });
        }
        let account = asker.account_id;
        if !self.participants.contains_key(&account) && self.participants.len() >= PARTICIPANTS_PER_ROOM_MAX {
            return Err(CustodyError::TooMany);
        }
        let identity = Identity::generate(account, self.times.key_age_max, now, rng);
        let session_keys = identity.session_keys(asker, self.times.key_age_max, now, rng)?;
        // Another device of the account takes the place of the one before.
        let seat = match self.participants.remove(&account) {
            None => self.seats.take(account).ok_or(CustodyError::TooMany)?,
            Some(before) => {
                self.retire(&before.public_keys(), Reason::Replaced);
                self.forget_sessions(account);
                before.seat
            }
        };
        let participant = Participant::new(asker, identity, session_keys, seat);
        let made = participant.public_keys();
        self.participants.insert(account, participant);
        Ok(Answer::Made { key: of_type(&made, key_type)?, made })
    }

    /// Makes a key of a member who has an identity, in place of the one before: session keys, or everything.
    fn make(
        &mut self,
        asker: DeviceAddress,
        key_type: RoomKeyType,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<(RoomKey, Vec<RoomKey>), CustodyError> {
        let age_max = self.times.key_age_max;
        let participant = self.participants.get_mut(&asker.account_id).ok_or(CustodyError::NoKeys)?;
        let (before, mut made) = (participant.public_keys(), Vec::new());
        if key_type == RoomKeyType::Identity {
            let identity = Identity::generate(asker.account_id, age_max, now, rng);
            participant.session_keys = Some(identity.session_keys(asker, age_max, now, rng)?);
            participant.identity = identity;
        } else {
            participant.session_keys = Some(participant.identity.session_keys(asker, age_max, now, rng)?);
        }
        made.extend(participant.public_keys().into_iter().filter(|key| !before.contains(key)));
        let replaced: Vec<RoomKey> =
            before.into_iter().filter(|key| made.iter().any(|new| is_same_kind(new, key))).collect();
        self.retire(&replaced, Reason::Replaced);
        self.forget_sessions(asker.account_id);
        Ok((of_type(&made, key_type)?, made))
    }

    fn show(&self, account: AccountId, now: Timestamp) -> Result<RoomKeys, CustodyError> {
        let held = self.participants.get(&account).map(Participant::public_keys).unwrap_or_default();
        let revoked = self.retired.revoked(account, now).filter(|key| !held.iter().any(|held| is_same_kind(held, key)));
        let keys: Vec<RoomKey> = held.iter().copied().chain(revoked).collect();
        if keys.is_empty() { Err(CustodyError::NoKeys) } else { Ok(RoomKeys { user_id: account, keys }) }
    }

    /// What the asker holds, if it is that device's.
    fn own(&mut self, asker: DeviceAddress) -> Result<&mut Participant, CustodyError> {
        let own = self.participants.get_mut(&asker.account_id).filter(|own| own.device == asker);
        own.ok_or(CustodyError::NoKeys)
    }

    fn revoke(&mut self, asker: DeviceAddress, key_id: KeyId) -> Result<Answer, CustodyError> {
        let account = asker.account_id;
        // Any device of the account may: nothing is gained by it.
        let own = self.participants.get_mut(&account).ok_or(CustodyError::UnknownKey)?;
        let revoked = if own.identity.public.key_id == key_id {
            let keys = own.public_keys();
            self.participants.remove(&account);
            keys
        } else {
            let keys = own.session_keys.take_if(|keys| keys.public.key_id == key_id);
            vec![keys.ok_or(CustodyError::UnknownKey)?.public]
        };
        self.retire(&revoked, Reason::Revoked);
        self.forget_sessions(account);
        Ok(Answer::Revoked(revoked.into_iter().map(|key| key.key_id).collect()))
    }

    /// Agrees on a session with another member, if there is none. Returns whether there was none.
    fn agree(
        &mut self,
        asker: DeviceAddress,
        peer: AccountId,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<bool, CustodyError> {
        if peer == asker.account_id {
            return Err(CustodyError::Oneself);
        }
        let context = self.context();
        let from = self.own(asker)?.keys()?;
        if from.sessions.contains_key(&peer) {
            return Ok(false);
        }
        let from = self.participants.get(&asker.account_id).ok_or(CustodyError::NoKeys)?.keys()?;
        let to = self.participants.get(&peer).ok_or(CustodyError::NoKeys)?.keys()?;
        let Exchanged { initiator, responder } = exchange(from, to, &context, now, rng)?;
        for (holder, other, session) in [(asker.account_id, peer, initiator), (peer, asker.account_id, responder)] {
            let holder = self.participants.get_mut(&holder).ok_or(CustodyError::NoKeys)?;
            holder.keys_mut()?.sessions.insert(other, Box::new(session));
        }
        Ok(true)
    }

    fn encrypt(
        &mut self,
        asker: DeviceAddress,
        recipient: AccountId,
        message: &Map<String, Value>,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<Answer, CustodyError> {
        let plaintext = serde_json::to_vec(message).map(Zeroizing::new);
        let plaintext = plaintext.map_err(|_| CustodyError::Internal { what: "a JSON object without a JSON form" })?;
        if plaintext.len() > HELD_MESSAGE_BYTES_MAX {
            return Err(CustodyError::TooLong);
        }
        let is_new = self.agree(asker, recipient, now, rng)?;
        let (context, policy, destination) = (self.context(), self.policy, Destination::Room(self.room_id));
        let to = self.participants.get(&recipient).ok_or(CustodyError::NoKeys)?.device;
        let keys = self.own(asker)?.keys_mut()?;
        let session = keys.sessions.get_mut(&recipient).ok_or(CustodyError::NoSession)?;
        let mut envelope = Envelope {
            id: EnvelopeId::generate(rng),
            destination,
            sender: asker,
            recipient: Some(to),
            key_id: keys.public.key_id,
            epoch: None,
            nonce: Bytes(nonce(rng)),
            timestamp: now,
            payload: ByteString(session.seal(&plaintext, &context, rng)?),
            signature: None,
        };
        if policy.signatures == Signatures::On {
            let signing = &keys.identity.keys().signing;
            envelope.signature = Some(signing.sign(&envelope_signed_bytes(&envelope, policy)));
        }
        Ok(Answer::Encrypted { envelope: Box::new(envelope), is_new })
    }

    /// Recipient, signature, nonce, ratchet; then the nonce is remembered.
    fn decrypt(&mut self, asker: DeviceAddress, envelope: &Envelope, now: Timestamp) -> Result<Answer, CustodyError> {
        self.own(asker)?.keys()?;
        if envelope.destination != Destination::Room(self.room_id) || envelope.recipient != Some(asker) {
            return Err(CustodyError::NotForYou);
        }
        let (sender_id, reader) = (envelope.sender.account_id, asker.account_id);
        self.verify(envelope)?;
        if self.nonces.was_opened(envelope, reader) {
            return Err(CustodyError::Replayed);
        }
        let context = self.context();
        let session = self.own(asker)?.keys_mut()?.sessions.get_mut(&sender_id).ok_or(CustodyError::NoSession)?;
        let plaintext = session.open(&envelope.payload.0, &context, now)?;
        session.trim(SKIPPED_KEYS_MAX);
        self.nonces.remember_opened(envelope, reader, now);
        let message = serde_json::from_slice(&plaintext);
        let message = message.map_err(|_| CustodyError::Internal { what: "a message that is no JSON object" })?;
        Ok(Answer::Decrypted(DecryptedMessage { sender_id, message }))
    }

    /// Whether the sender has signed the envelope with the key that counts now.
    fn verify(&self, envelope: &Envelope) -> Result<(), CustodyError> {
        let account = envelope.sender.account_id;
        let held = self.participants.get(&account).and_then(|sender| sender.session_keys.as_ref());
        if let Some(keys) = held
            && keys.public.key_id == envelope.key_id
        {
            verify_envelope(envelope, self.policy, keys.identity.device())?;
            return Ok(());
        }
        Err(self.retired.refusal(account, envelope.key_id).unwrap_or(match held {
            None => CustodyError::NoKeys,
            Some(_) => VerifyError::KeyId { part: "envelope" }.into(),
        }))
    }

    const fn context(&self) -> MessageContext {
        MessageContext { destination: Destination::Room(self.room_id), policy: self.policy }
    }

    fn retire(&mut self, keys: &[RoomKey], reason: Reason) {
        for key in keys {
            self.retired.remember(*key, reason);
        }
    }

    /// Forgets the sessions with an account on all sides: those that are agreed next have its new keys.
    fn forget_sessions(&mut self, account: AccountId) {
        for (holder, participant) in &mut self.participants {
            let Some(keys) = &mut participant.session_keys else { continue };
            if *holder == account {
                keys.sessions.clear();
            } else {
                keys.sessions.remove(&account);
            }
        }
    }
}

fn is_same_kind(one: &RoomKey, other: &RoomKey) -> bool {
    one.key_type == other.key_type
}

fn of_type(keys: &[RoomKey], key_type: RoomKeyType) -> Result<RoomKey, CustodyError> {
    let key = keys.iter().find(|key| key.key_type == key_type);
    key.copied().ok_or(CustodyError::Internal { what: "a key that was made is not there" })
}

fn nonce(rng: &mut impl CryptoRng) -> [u8; 12] {
    let mut nonce = [0; 12];
    rng.fill_bytes(&mut nonce);
    nonce
}
