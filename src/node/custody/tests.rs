//! The rules of a held room, without a runtime.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use core::cell::RefCell;
use core::time::Duration;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::{Map, Value, json};

use super::error::CustodyError;
use super::held_room::{Answer, HeldRoom, Request, Times};
use super::limits::{RETIRED_KEYS_MAX, SKIPPED_KEYS_MAX};
use super::seats::Seats;
use crate::ids::{AccountId, DeviceAddress, DeviceId, RoomId};
use crate::node::actors::one_room::until;
use crate::protocol::identity::DeviceKeys;
use crate::protocol::secret::SigningSecretKey;
use crate::wire::{Custody, Envelope, ErrorCode, RoomKey, RoomKeyType, RoomPolicy, Timestamp};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(86_400);
const POLICY: RoomPolicy = RoomPolicy {
    custody: Custody::Node,
    protection: crate::wire::Protection::Ratchet,
    signatures: crate::wire::Signatures::On,
};

const TIMES: Times = Times { key_age_max: DAY, key_rotation: None, nonce_ttl: Duration::from_secs(300) };

/// A room, its clock and randomness, and everything that was answered.
struct Story {
    held: HeldRoom,
    now: Timestamp,
    rng: ChaCha20Rng,
    answered: String,
}

const fn device(number: u8) -> DeviceAddress {
    DeviceAddress { account_id: AccountId::from_bytes([number; 16]), device_id: DeviceId::from_bytes([number; 16]) }
}

impl Story {
    fn new() -> Self {
        Self::with(TIMES)
    }

    fn with(times: Times) -> Self {
        let held = HeldRoom::new(RoomId::from_bytes([9; 16]), POLICY, times, Seats::default());
        Self { held, now: NOW, rng: ChaCha20Rng::seed_from_u64(1), answered: String::new() }
    }

    fn ask(&mut self, asker: u8, request: Request) -> Result<Answer, CustodyError> {
        let answer = self.held.handle(device(asker), request, self.now, &mut self.rng);
        let text = match &answer {
            Ok(Answer::Made { key, made } | Answer::Rotated { key, made }) => json!([key, made]).to_string(),
            Ok(Answer::Revoked(keys)) => json!(keys).to_string(),
            Ok(Answer::Keys(keys) | Answer::Exchanged { keys, .. }) => json!(keys).to_string(),
            Ok(Answer::Encrypted { envelope, .. }) => json!(envelope).to_string(),
            Ok(Answer::Decrypted(message)) => json!(message).to_string(),
            Err(error) => format!("{error} {error:?}"),
        };
        self.answered.push_str(&text);
        answer
    }

    fn generate(&mut self, asker: u8, key_type: RoomKeyType) -> RoomKey {
        match self.ask(asker, Request::Generate(key_type)).unwrap() {
            Answer::Made { key, .. } => key,
            _ => panic!("another answer"),
        }
    }

    fn encrypt(&mut self, from: u8, to: u8, message: Value) -> Envelope {
        let Value::Object(message) = message else { panic!("no object") };
        match self.ask(from, Request::Encrypt(device(to).account_id, message)).unwrap() {
            Answer::Encrypted { envelope, .. } => *envelope,
            _ => panic!("another answer"),
        }
    }

    fn decrypt(&mut self, asker: u8, envelope: &Envelope) -> Result<Map<String, Value>, ErrorCode> {
        match self.ask(asker, Request::Decrypt(Box::new(envelope.clone()))) {
            Ok(Answer::Decrypted(message)) => Ok(message.message),
            Ok(_) => panic!("another answer"),
            Err(error) => Err(error.code()),
        }
    }

    /// Every long-term secret and every state of a session that is held now, in binary form.
    fn secrets(&self) -> Vec<Vec<u8>> {
        let mut secrets = Vec::new();
        for participant in self.held.participants() {
            let Some(keys) = &participant.session_keys else { continue };
            // Version 1, signing seed 32, agreement secret 32.
            let own = keys.identity.keys().save();
            let prekey = DeviceKeys { signing: SigningSecretKey::from_seed(&[0; 32]), agreement: keys.prekey.clone() };
            secrets.extend([own[1..33].to_vec(), own[33..65].to_vec(), prekey.save()[33..65].to_vec()]);
        }
        secrets
    }
}

/// Keys that were held at any time, looked for in whatever was answered and in what a log could show.
#[test]
fn no_private_key_is_ever_answered_or_printed() {
    let mut story = Story::new();
    let mut secrets = Vec::new();
    for asker in 1..=3 {
        story.generate(asker, RoomKeyType::Ephemeral);
    }
    secrets.extend(story.secrets());
    for (from, to) in [(1, 2), (2, 1), (3, 1), (2, 3)] {
        let envelope = story.encrypt(from, to, json!({ "n": from }));
        story.decrypt(to, &envelope).unwrap();
        story.decrypt(to, &envelope).unwrap_err();
        story.ask(from, Request::Show(device(to).account_id)).unwrap();
        story.ask(from, Request::Exchange(device(to).account_id)).unwrap();
    }
    let key = story.generate(1, RoomKeyType::Identity);
    story.ask(2, Request::Rotate(RoomKeyType::Ephemeral)).unwrap();
    secrets.extend(story.secrets());
    story.encrypt(2, 1, json!({}));
    let printed = format!("{:?}", story.held);
    story.ask(1, Request::Revoke(key.key_id)).unwrap();
    secrets.extend(story.secrets());

    assert_eq!(secrets.len(), 9 + 9 + 6);
    for secret in &secrets {
        let forms = [
            BASE64URL_NOPAD.encode(secret),
            HEXLOWER.encode(secret),
            format!("{secret:?}"),
            // As a part of something longer: from each offset of base64.
            BASE64URL_NOPAD.encode(&secret[1..]),
            BASE64URL_NOPAD.encode(&secret[2..]),
        ];
        for form in forms.iter().map(|form| &form[..form.len() - 2]) {
            assert!(!story.answered.contains(form), "a secret was answered");
            assert!(!printed.contains(form), "a secret was printed");
        }
    }
    // The search does find: a public key is there.
    let public = BASE64URL_NOPAD.encode(&key.signing_key.0);
    assert!(story.answered.contains(&public));
}

#[test]
fn an_error_changes_nothing() {
    let mut story = Story::new();
    for asker in 1..=2 {
        story.generate(asker, RoomKeyType::Ephemeral);
    }
    let good = story.encrypt(1, 2, json!({ "n": 1 }));
    let before = story.sessions();

    let mut altered = good.clone();
    altered.payload.0[60] ^= 1;
    assert_eq!(story.decrypt(2, &altered), Err(ErrorCode::SignatureInvalid));
    assert_eq!(story.decrypt(1, &good), Err(ErrorCode::NotForThisDevice));
    assert!(story.ask(1, Request::Encrypt(device(7).account_id, Map::new())).is_err());
    assert!(story.ask(1, Request::Revoke(crate::ids::KeyId::from_bytes([0; 8]))).is_err());
    assert!(story.ask(7, Request::Rotate(RoomKeyType::Identity)).is_err());
    let too_long = Map::from_iter([("x".to_owned(), json!("y".repeat(40 * 1024)))]);
    assert!(story.ask(1, Request::Encrypt(device(2).account_id, too_long)).is_err());
    assert_eq!(story.sessions(), before);
    story.decrypt(2, &good).unwrap();
}

impl Story {
    /// The saved form of every session.
    fn sessions(&self) -> Vec<Vec<u8>> {
        let keys = self.held.participants().filter_map(|participant| participant.session_keys.as_ref());
        keys.flat_map(|keys| keys.sessions.values().map(|session| session.save().to_vec())).collect()
    }
}

/// The memory of nonces has a clock of its own: the test waits for as long as it takes.
#[actix_web::test]
async fn a_nonce_that_is_forgotten_opens_nothing_twice() {
    let (mut lasting, mut brief) = (Story::new(), Story::with(Times { nonce_ttl: Duration::from_millis(50), ..TIMES }));
    for story in [&mut lasting, &mut brief] {
        story.generate(1, RoomKeyType::Ephemeral);
        story.generate(2, RoomKeyType::Ephemeral);
    }
    let kept = lasting.encrypt(1, 2, json!({}));
    lasting.decrypt(2, &kept).unwrap();
    let envelope = brief.encrypt(1, 2, json!({}));
    brief.decrypt(2, &envelope).unwrap();

    let brief = RefCell::new(brief);
    until(async || match brief.borrow_mut().decrypt(2, &envelope) {
        Err(ErrorCode::EnvelopeReplayed) => false,
        Err(ErrorCode::MessageKeyGone) => true,
        other => panic!("{other:?}"),
    })
    .await;

    assert_eq!(lasting.decrypt(2, &kept), Err(ErrorCode::EnvelopeReplayed));
}

#[test]
fn whoever_is_forgotten_leaves_nothing_with_anybody() {
    let mut story = Story::new();
    for asker in 1..=3 {
        story.generate(asker, RoomKeyType::Ephemeral);
    }
    for (from, to) in [(1, 2), (2, 3), (3, 1)] {
        story.encrypt(from, to, json!({}));
    }
    assert_eq!(story.sessions().len(), 6);

    story.held.forget(device(1).account_id);
    assert_eq!(story.sessions().len(), 2);
    assert!(story.held.signer(device(1).account_id).is_none());
    story.held.forget(device(2).account_id);
    story.held.forget(device(3).account_id);
    assert!(story.held.is_empty());
    story.generate(1, RoomKeyType::Ephemeral);
    assert_eq!(story.held.expire(NOW.plus(DAY)).len(), 2);
    assert!(story.held.is_empty());
}

/// Somebody who has another member decrypt the last of many messages cannot make the node keep many keys.
#[test]
fn late_messages_keep_few_keys() {
    let mut story = Story::new();
    for asker in 1..=2 {
        story.generate(asker, RoomKeyType::Ephemeral);
    }
    let envelopes: Vec<Envelope> = (0..SKIPPED_KEYS_MAX + 50).map(|n| story.encrypt(1, 2, json!({ "n": n }))).collect();
    story.decrypt(2, envelopes.last().unwrap()).unwrap();

    assert_eq!(story.decrypt(2, &envelopes[0]), Err(ErrorCode::MessageKeyGivenUp));
    story.decrypt(2, &envelopes[60]).unwrap();
}

#[test]
fn few_retired_keys_are_remembered() {
    let mut story = Story::new();
    story.generate(1, RoomKeyType::Ephemeral);
    story.generate(2, RoomKeyType::Ephemeral);
    let oldest = story.encrypt(1, 2, json!({}));
    for _ in 0..RETIRED_KEYS_MAX {
        story.ask(1, Request::Rotate(RoomKeyType::Ephemeral)).unwrap();
        assert_eq!(story.decrypt(2, &oldest), Err(ErrorCode::RoomKeyReplaced));
    }

    story.ask(1, Request::Rotate(RoomKeyType::Ephemeral)).unwrap();
    assert_eq!(story.decrypt(2, &oldest), Err(ErrorCode::KeyIdMismatch));
}

const HOUR: Duration = Duration::from_secs(3_600);
const MILLISECOND: Duration = Duration::from_millis(1);

impl Story {
    /// Makes anew what is to be, as the keeper does. Whose.
    fn rotate(&mut self) -> Vec<DeviceAddress> {
        let due = self.held.due(self.now);
        for member in &due {
            let request = Request::Rotate(RoomKeyType::Ephemeral);
            self.held.handle(*member, request, self.now, &mut self.rng).unwrap();
        }
        due
    }

    fn keys(&mut self, of: u8) -> Vec<RoomKey> {
        match self.ask(of, Request::Show(device(of).account_id)).unwrap() {
            Answer::Keys(keys) => keys.keys,
            _ => panic!("another answer"),
        }
    }
}

#[test]
fn session_keys_are_made_anew_when_they_are_as_old_as_the_schedule_says() {
    let mut story = Story::with(Times { key_rotation: Some(HOUR), ..TIMES });
    story.generate(1, RoomKeyType::Ephemeral);
    let (identity, first) = (story.keys(1)[0], story.keys(1)[1]);
    story.now = NOW.plus(HOUR / 2);
    story.generate(2, RoomKeyType::Ephemeral);
    let under_way = story.encrypt(1, 2, json!({}));

    story.now = NOW.plus(HOUR.saturating_sub(MILLISECOND));
    assert_eq!(story.rotate(), []);
    story.now = NOW.plus(HOUR);
    assert_eq!(story.rotate(), [device(1)]);
    assert_eq!(story.rotate(), [], "twice");

    let second = story.keys(1)[1];
    assert_eq!((story.keys(1)[0], second.created_at), (identity, story.now));
    assert_ne!((first.key_id, first.agreement_key), (second.key_id, second.agreement_key));
    assert_eq!(story.decrypt(2, &under_way), Err(ErrorCode::RoomKeyReplaced));
    let envelope = story.encrypt(1, 2, json!({ "n": 2 }));
    assert_eq!(envelope.key_id, second.key_id);
    story.decrypt(2, &envelope).unwrap();
    // Each has a time of their own; by hand it begins again.
    story.now = NOW.plus(HOUR * 3 / 2);
    story.ask(1, Request::Rotate(RoomKeyType::Ephemeral)).unwrap();
    assert_eq!(story.rotate(), [device(2)]);
    story.now = NOW.plus(HOUR * 2);
    assert_eq!(story.rotate(), []);
}

#[test]
fn without_a_schedule_nothing_is_made_anew() {
    let mut story = Story::new();
    story.generate(1, RoomKeyType::Ephemeral);

    story.now = NOW.plus(DAY.saturating_sub(MILLISECOND));

    assert_eq!(story.rotate(), []);
}

#[test]
fn a_schedule_holds_nobodys_keys_for_longer_and_brings_none_back() {
    let mut story = Story::with(Times { key_rotation: Some(HOUR), ..TIMES });
    story.generate(1, RoomKeyType::Ephemeral);
    let revoked = story.generate(2, RoomKeyType::Ephemeral);
    story.ask(2, Request::Revoke(revoked.key_id)).unwrap();
    for hour in 1..24 {
        story.now = NOW.plus(HOUR * hour);
        assert_eq!(story.held.expire(story.now), []);
        assert_eq!(story.rotate(), [device(1)], "{hour}");
    }
    assert!(story.keys(1).iter().all(|key| key.expires_at == NOW.plus(DAY)));

    story.now = NOW.plus(DAY);
    assert_eq!(story.held.expire(story.now).len(), 3);

    assert_eq!(story.rotate(), []);
    assert!(story.held.is_empty());
}
