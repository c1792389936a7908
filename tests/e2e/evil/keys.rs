//! Keys that the node swaps: bundles and device lists of its own making.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use conclave::client::{ApiError, ClientError, Event};
use conclave::protocol::backup::{AccountSecrets, Backup, RecoveryKey, open_backup};
use conclave::protocol::machine::MachineError;
use conclave::protocol::public::VerifyError;
use conclave::wire::{
    Command, CreateInvitation, DeviceCertificate, DeviceList, KemPrekeyUse, Message, PrekeyBundle, RoomPolicy,
    Timestamp,
};
use data_encoding::BASE64URL_NOPAD;

use super::Scene;
use super::attacker::Attacker;
use crate::proxy::Passing;
use crate::user::User;

const GREETING: &str = "good morning, Grace";
const CANARY: &str = "for Grace's eyes alone";

/// When the attacker's keys were made.
const MADE_AT: Timestamp = Timestamp::from_millis(1_790_000_000_000);

impl Scene {
    /// As they were before the lie: Ada and Grace have written to each other.
    async fn of_friends() -> Self {
        let mut scene = Self::new().await;
        let id = scene.ada.write(&scene.grace, GREETING).await;
        scene.ada.is_sent(id).await;
        assert_eq!(scene.grace.text().await.1, GREETING);
        scene
    }

    /// Changes the bundles that are claimed.
    fn bundles(&self, mut lie: impl FnMut(&mut PrekeyBundle) + Send + 'static) {
        self.evil.answers(move |asks, answer| {
            if asks.ends_with("/claim") {
                answer.change(&mut lie);
            }
        });
    }

    /// Changes the device lists of Grace.
    fn lists(&self, mut lie: impl FnMut(&mut DeviceList) + Send + 'static) {
        let path = format!("GET /api/users/{}/devices", self.grace.id());
        self.evil.answers(move |asks, answer| {
            if asks == path {
                answer.change(&mut lie);
            }
        });
    }

    /// Shows something in the place of an account's device list.
    pub(super) fn shows(&self, user: &User, list: DeviceList) {
        let path = format!("GET /api/users/{}/devices", user.id());
        self.evil.answers(move |asks, answer| {
            if asks == path {
                answer.change(|shown: &mut DeviceList| *shown = list.clone());
            }
        });
    }

    /// Ada's next message is refused, and nothing of it leaves.
    async fn is_refused(&self) -> ClientError {
        let before = self.evil.envelopes().len();
        let refused = self.ada.client.send_direct(self.grace.id(), CANARY).await.unwrap_err();
        assert_eq!(self.evil.envelopes().len(), before);
        assert!(!self.evil.has_seen(CANARY.as_bytes()));
        refused
    }

    /// Without the lie it goes, to Grace alone: nothing was left behind.
    async fn is_well_again(&mut self) {
        self.evil.answers(|_, _| ());
        let id = self.ada.write(&self.grace, "the truth").await;
        self.ada.is_sent(id).await;
        assert_eq!(self.grace.text().await, (self.ada.id(), "the truth".to_owned()));
        let grace = self.grace.client.device();
        assert!(self.evil.envelopes().iter().all(|envelope| envelope.recipient == Some(grace)));
    }
}

/// The list that the node has of somebody.
async fn list_of(scene: &Scene, user: &User) -> DeviceList {
    let kept = Arc::new(Mutex::new(None));
    let (path, keeps) = (format!("GET /api/users/{}/devices", user.id()), Arc::clone(&kept));
    scene.evil.answers(move |asks, answer: &mut Passing| {
        if asks == path {
            answer.change(|list: &mut DeviceList| *keeps.lock().unwrap() = Some(list.clone()));
        }
    });
    scene.ada.client.devices(user.id()).await.unwrap();
    kept.lock().unwrap().take().unwrap()
}

/// An account's secrets, out of its recovery kit.
async fn secrets_of(user: &User) -> AccountSecrets {
    let kit = user.client.recovery_kit().await.unwrap().to_text();
    let field = |name: &str| kit.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
    let backup = Backup::parse(&BASE64URL_NOPAD.decode(field("backup: ").as_bytes()).unwrap()).unwrap();
    open_backup(&RecoveryKey::parse(&field("key: ")).unwrap(), user.id(), &backup).unwrap().secrets
}

#[tokio::test]
async fn a_bundle_of_another_device_is_refused() {
    let mut scene = Scene::new().await;
    let bundle = Attacker::posing_as(scene.grace.id()).bundle(MADE_AT);
    scene.bundles(move |shown| *shown = bundle.clone());
    assert!(matches!(scene.is_refused().await, ClientError::Api(ApiError::Mismatch)));
    let mut attacker = Attacker::posing_as_device(scene.grace.client.device());
    let bundle = attacker.bundle(MADE_AT);
    scene.bundles(move |shown| *shown = bundle.clone());
    let refused = scene.is_refused().await;
    let expected = MachineError::Verify(VerifyError::Signature { part: "signed prekey" });
    assert!(matches!(refused, ClientError::Machine(error) if error == expected), "{refused:?}");
    scene.is_well_again().await;
}

#[tokio::test]
async fn a_bundle_without_its_kem_key_or_with_another_is_refused() {
    let mut scene = Scene::new().await;
    let kem_prekey = Attacker::posing_as_device(scene.grace.client.device()).bundle(MADE_AT).kem_prekey;
    scene.evil.answers(|asks, answer| {
        if asks.ends_with("/claim") {
            let strip = |bundle: &mut serde_json::Value| drop(bundle.as_object_mut().unwrap().remove("kem_prekey"));
            answer.change(strip);
        }
    });
    assert!(matches!(scene.is_refused().await, ClientError::Api(ApiError::Malformed)));
    scene.bundles(move |shown| shown.kem_prekey = kem_prekey.clone());
    let refused = scene.is_refused().await;
    let expected = MachineError::Verify(VerifyError::Signature { part: "KEM prekey" });
    assert!(matches!(refused, ClientError::Machine(error) if error == expected), "{refused:?}");
    // A one-time key as the one of last resort, which it was not signed to be.
    scene.bundles(|shown| {
        shown.kem_prekey.usage = KemPrekeyUse::LastResort;
    });
    let refused = scene.is_refused().await;
    assert!(matches!(refused, ClientError::Machine(error) if error == expected), "{refused:?}");
    scene.is_well_again().await;
}

#[tokio::test]
async fn a_device_that_its_account_has_not_certified_is_refused() {
    let mut scene = Scene::new().await;
    let attacker = Attacker::posing_as(scene.grace.id());
    // Put on the list that Grace has signed.
    let certificate = attacker.certificate();
    scene.lists(move |list| {
        list.devices.push(certificate.clone());
        list.devices.sort_by_key(|device| device.device_id);
    });
    let refused = scene.is_refused().await;
    let expected = MachineError::Verify(VerifyError::Signature { part: "device list" });
    assert!(matches!(refused, ClientError::Machine(error) if error == expected), "{refused:?}");
    // On a list that Grace's root key has signed, as if it could be got to: not certified, and certified by another.
    let root_key = scene.grace.client.root_key().to_wire();
    let forged = DeviceCertificate { root_key, ..attacker.certificate() };
    let cases = [
        (forged, VerifyError::Signature { part: "device certificate" }),
        (attacker.certificate(), VerifyError::Owner { part: "device certificate" }),
    ];
    for (certificate, expected) in cases {
        let secrets = secrets_of(&scene.grace).await;
        scene.lists(move |list| {
            list.devices.push(certificate.clone());
            *list = secrets.root().sign_device_list(list.version, list.devices.clone());
        });
        let refused = scene.is_refused().await;
        let expected = MachineError::Verify(expected);
        assert!(matches!(refused, ClientError::Machine(error) if error == expected), "{refused:?}");
    }
    scene.is_well_again().await;
}

#[tokio::test]
async fn another_root_key_blocks_sending_and_its_owner_reads_nothing() {
    let mut scene = Scene::of_friends().await;
    let mut attacker = Attacker::posing_as(scene.grace.id());
    let ada = list_of(&scene, &scene.ada).await;
    scene.shows(&scene.grace, attacker.list(2));
    scene.ada.client.devices(scene.grace.id()).await.unwrap();
    let changed = scene.ada.until(|event| match event {
        Event::IdentityChanged { account } => Some(*account),
        _ => None,
    });
    assert_eq!(changed.await, scene.grace.id());
    let refused = scene.is_refused().await;
    assert!(matches!(refused, ClientError::Machine(MachineError::IdentityChanged { .. })), "{refused:?}");
    assert!(scene.evil.envelopes().iter().all(|envelope| attacker.read(&ada, envelope).is_none()));
    assert!(scene.ada.client.changed_safety_number(scene.grace.id()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_device_list_that_is_older_or_forked_does_not_bring_a_device_back() {
    let mut scene = Scene::of_friends().await;
    let truth = list_of(&scene, &scene.grace).await;
    let secrets = secrets_of(&scene.grace).await;
    let mut stolen = Attacker::posing_as(scene.grace.id());
    let removed = stolen.certified_by(secrets.root());
    let with_it = [truth.devices.clone(), vec![removed.clone()]].concat();
    let [before, after, forked] = [(2, with_it.clone()), (3, truth.devices), (3, with_it)]
        .map(|(version, devices)| secrets.root().sign_device_list(version, devices));
    scene.shows(&scene.grace, after);
    assert_eq!(scene.ada.client.devices(scene.grace.id()).await.unwrap().len(), 1);

    // An older one: what is known stands.
    scene.shows(&scene.grace, before);
    scene.evil.says(&Message::DevicesChanged { account_id: scene.grace.id(), version: 2 });
    assert_eq!(scene.ada.client.devices(scene.grace.id()).await.unwrap().len(), 1);
    scene.evil.cut();
    scene.ada.is_level().await;
    scene.ada.write(&scene.grace, "after an older one").await;
    assert_eq!(scene.grace.text().await.1, "after an older one");
    // Two of one version cannot both be Grace's last word.
    scene.shows(&scene.grace, forked);
    let refused = scene.ada.client.devices(scene.grace.id()).await.unwrap_err();
    assert!(matches!(refused, ClientError::Machine(MachineError::ForkedDeviceList)), "{refused:?}");
    scene.is_well_again().await;
    assert!(scene.evil.envelopes().iter().all(|envelope| envelope.recipient != Some(removed.address())));
    let ada = list_of(&scene, &scene.ada).await;
    assert!(scene.evil.envelopes().iter().all(|envelope| stolen.read(&ada, envelope).is_none()));
}

/// Keys stay where they were made, whatever the node asks for.
#[tokio::test]
async fn neither_root_key_nor_plaintext_leaves() {
    let mut scene = Scene::of_friends().await;
    assert!(scene.evil.has_seen(&scene.ada.client.root_key().to_wire().0), "the public half is seen");
    // A session that was answered, and in which it is Ada's turn.
    scene.grace.write(&scene.ada, "an answer").await;
    assert_eq!(scene.ada.text().await.1, "an answer");
    let id = scene.ada.write(&scene.grace, GREETING).await;
    scene.ada.is_sent(id).await;
    let room = scene.ada.client.create_room(RoomPolicy::default()).await.unwrap();
    scene.ada.client.invite(room, CreateInvitation::default()).await.unwrap();
    let secrets = scene.secrets.all();
    let kinds: BTreeSet<&str> = secrets.iter().map(|(name, _)| &**name).collect();
    let expected = [
        "account-secrets",
        "identity",
        "last-resort-kem-prekey",
        "one-time-kem-prekey",
        "one-time-prekey",
        "room-key",
        "session",
        "signed-prekey",
    ];
    assert!(kinds.iter().copied().eq(expected), "{kinds:?}");
    for (name, secret) in &secrets {
        assert!(!scene.evil.has_seen(secret), "{name}");
    }
    assert!(!scene.evil.has_seen(GREETING.as_bytes()));
}

/// Nothing that the node makes up of somebody is kept of them.
#[tokio::test]
async fn a_stranger_whose_envelope_does_not_hold_is_forgotten() {
    let mut scene = Scene::new().await;
    let attacker = Attacker::posing_as(scene.grace.id());
    scene.shows(&scene.grace, attacker.list(1));
    let forged = attacker.certificate().address();
    scene.evil.tells(move |_, message| match message {
        Message::Direct(mut entry) => {
            entry.envelope.sender = forged;
            vec![Message::Direct(entry)]
        }
        other => vec![other],
    });
    let joan = User::new(&scene.node.url, "joan").await;
    joan.write(&scene.ada, "from Joan").await;
    let refused = scene.ada.until(|event| match event {
        Event::Undecryptable { sender, .. } => Some(*sender),
        Event::Message(message) => panic!("{message:?} was shown"),
        _ => None,
    });
    assert_eq!(refused.await, forged);
    scene.evil.tells(|_, message| vec![message]);
    scene.is_well_again().await;
    let known = scene.ada.client.known_account(scene.grace.id()).await.unwrap().unwrap();
    assert_eq!((&known.root_key, known.changed_to), (scene.grace.client.root_key(), None));
}

/// Whoever is met for the first time is believed; that the attacker then reads shows that these tests would see it.
#[tokio::test]
async fn a_stranger_with_another_root_key_has_another_safety_number() {
    let scene = Scene::new().await;
    let mut attacker = Attacker::posing_as(scene.grace.id());
    let ada = list_of(&scene, &scene.ada).await;
    let (list, bundle) = (attacker.list(1), attacker.bundle(MADE_AT));
    let path = format!("GET /api/users/{}/devices", scene.grace.id());
    let device = attacker.certificate().address().device_id;
    scene.evil.answers(move |asks, answer| {
        if asks == path {
            answer.change(|shown: &mut DeviceList| *shown = list.clone());
        }
        if asks.ends_with("/claim") && asks.contains(&device.to_string()) {
            answer.become_json(&bundle);
        }
    });
    scene.ada.write(&scene.grace, CANARY).await;
    scene.evil.has_heard(|command| matches!(command, Command::Deliver { .. })).await;
    let envelope = scene.evil.envelopes().pop().unwrap();
    let read = attacker.read(&ada, &envelope).unwrap();
    assert!(read.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
    let ours = scene.ada.client.safety_number(scene.grace.id()).await.unwrap().unwrap();
    let theirs = scene.grace.client.safety_number(scene.ada.id()).await.unwrap().unwrap();
    assert_ne!(ours.to_string(), theirs.to_string());
}
