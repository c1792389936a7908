//! What happens in the demo.

use std::error::Error;
use std::path::Path;

use super::actor::{Actor, Stage};
use super::columns::Scene;
use super::say;
use super::sealed::Sealed;
use super::view::{NodeView, Seen};
use crate::cli::contact::in_rows;
use crate::client::{Conversation, Event};
use crate::ids::{AccountId, DeviceId, RoomId};
use crate::wire::{CreateInvitation, Log, RoomPolicy};

/// Everything that is said: what the node's store is searched for.
pub(super) const TEXTS: [&str; 13] =
    [HELLO, ANSWER, AWAY[0], AWAY[1], AWAY[2], MIXED[0], MIXED[1], MIXED[2], MIXED[3], BEFORE, AFTER, TO_BOTH, TO_ONE];

const HELLO: &str = "hello grace, the roses are out";
const ANSWER: &str = "then I bring the tea, ada";
const AWAY: [&str; 3] = ["the gate code is 4711", "the key lies under the third stone", "and feed the cat, please"];
const MIXED: [&str; 4] = ["one: plant the tulips", "two: water the fern", "three: cut the hedge", "four: rest a while"];
const BEFORE: &str = "said under the old keys";
const AFTER: &str = "said under the new keys";
const TO_BOTH: &str = "this reaches both of your devices, ada";
const TO_ONE: &str = "this one the thief shall not read";

/// Who ada is at the provider: the node knows it, so the search has to find it.
pub(super) const SUBJECT: &str = "ada.lovelace";

/// The story, and where it stands.
pub(super) struct Story {
    stage: Stage,
    view: NodeView,
    columns: usize,
}

impl Story {
    pub(super) fn begin(stage: Stage, database: &Path, columns: usize) -> Result<Self, Box<dyn Error>> {
        Ok(Self { stage, view: NodeView::open(database)?, columns })
    }

    pub(super) fn end(self) -> Result<(), Box<dyn Error>> {
        Ok(self.view.close()?)
    }

    /// All of it.
    ///
    /// # Errors
    /// The first thing that is not as it should be.
    pub(super) async fn play(&mut self) -> Result<(), Box<dyn Error>> {
        let (mut ada, mut grace) = self.meet().await?;
        grace = self.away(&mut ada, grace).await?;
        let room = self.garden(&mut ada, &mut grace).await?;
        grace = self.out_of_order(room, &mut ada, grace).await?;
        self.rotate(room, &mut ada, &mut grace).await?;
        self.revoke(&mut ada, &mut grace).await?;
        let wanted = [&[HELLO][..], &AWAY, &MIXED, &[BEFORE, AFTER]].concat();
        is_complete(grace.name, &grace.read, &wanted)?;
        is_complete(ada.name, &ada.read, &[ANSWER, TO_BOTH, TO_ONE])?;
        ada.off().await?;
        grace.off().await?;
        Ok(())
    }

    async fn meet(&mut self) -> Result<(Actor, Actor), Box<dyn Error>> {
        let mut scene = Scene::new("1. They meet");
        let mut ada = Actor::new(&self.stage, "ada", SUBJECT).await?;
        let mut grace = Actor::new(&self.stage, "grace", "grace.hopper").await?;
        for actor in [&ada, &grace] {
            scene.people(format!("{} signs in, and makes her keys", actor.name));
            scene.node(format!("account {}: public keys", actor.id()));
        }
        ada.write(Conversation::Direct(grace.id()), HELLO).await?;
        scene.people(format!("ada writes: {HELLO}"));
        grace.has_read(1).await?;
        grace.write(Conversation::Direct(ada.id()), ANSWER).await?;
        scene.people(format!("grace writes: {ANSWER}"));
        ada.has_read(1).await?;
        grace.has_receipt(ada.id()).await?;
        ada.has_receipt(grace.id()).await?;
        let numbers = [ada.client.safety_number(grace.id()).await?, grace.client.safety_number(ada.id()).await?];
        let [Some(ours), Some(theirs)] = numbers else { return Err("there is no safety number".into()) };
        if ours.to_string() != theirs.to_string() {
            return Err("the safety numbers are not the same".into());
        }
        scene.people("They compare safety numbers, and read the same:");
        for row in in_rows(&ours.to_string()).lines() {
            scene.people(row);
        }
        self.rows(&mut scene)?;
        scene.node("Receipts are sealed as well, and look like messages.");
        self.show(scene)?;
        Ok((ada, grace))
    }

    async fn away(&mut self, ada: &mut Actor, grace: Actor) -> Result<Actor, Box<dyn Error>> {
        let mut scene = Scene::new("2. grace is away");
        let to = Conversation::Direct(grace.id());
        let grace = grace.off().await?;
        scene.people("grace switches her device off");
        for text in AWAY {
            ada.write(to, text).await?;
            scene.people(format!("ada writes: {text}"));
        }
        // While she is away, the sealed messages wait on the node.
        self.rows(&mut scene)?;
        let mut grace = grace.on().await?;
        grace.has_missed(1 + AWAY.len(), vec![Log::Mailbox]).await?;
        scene.people("grace switches it on, and reads all three");
        self.show(scene)?;
        Ok(grace)
    }

    async fn garden(&mut self, ada: &mut Actor, grace: &mut Actor) -> Result<RoomId, Box<dyn Error>> {
        let mut scene = Scene::new("3. They make a room");
        let room = ada.client.create_room(RoomPolicy::default()).await?;
        let invitation = CreateInvitation { for_account: Some(grace.id()), ..CreateInvitation::default() };
        let invitation = ada.client.invite(room, invitation).await?;
        grace.client.join(invitation.code.expose()).await?;
        let guest = grace.id();
        ada.until(
            "that grace is in the room",
            |event| matches!(event, Event::MemberJoined { account, .. } if *account == guest),
        )
        .await?;
        scene.people("ada makes the room \"garden\", and lets grace in");
        scene.node(format!("room {room}: two members, keys with the clients"));
        scene.node("its name: not known");
        self.show(scene)?;
        Ok(room)
    }

    /// Messages of one ratchet that go by two logs are opened in another order than they were sealed.
    async fn out_of_order(&mut self, room: RoomId, ada: &mut Actor, grace: Actor) -> Result<Actor, Box<dyn Error>> {
        let mut scene = Scene::new("4. Out of order");
        let (direct, garden) = (Conversation::Direct(grace.id()), Conversation::Room(room));
        let before = grace.read.len();
        let grace = grace.off().await?;
        scene.people("grace is away again; ada writes in the room and to her, in turn");
        for (number, text) in MIXED.into_iter().enumerate() {
            let (place, words) = if number % 2 == 0 { (garden, "in the room") } else { (direct, "to grace") };
            ada.write(place, text).await?;
            scene.people(format!("ada writes {words}: {text}"));
        }
        self.rows(&mut scene)?;
        let mut grace = grace.on().await?;
        grace.has_missed(before + MIXED.len(), vec![Log::Mailbox, Log::Room(room)]).await?;
        let order: Vec<&str> = grace.read.iter().skip(before).map(|(_, text)| text.as_str()).collect();
        let first_words = order.iter().map(|text| text.split(':').next().unwrap_or_default());
        let first_words: Vec<&str> = first_words.collect();
        scene.people(format!("grace reads them as they come: {}", first_words.join(", ")));
        if order == MIXED {
            return Err("the messages came in order, so nothing was shown".into());
        }
        self.show(scene)?;
        Ok(grace)
    }

    async fn rotate(&mut self, room: RoomId, ada: &mut Actor, grace: &mut Actor) -> Result<(), Box<dyn Error>> {
        let mut scene = Scene::new("5. New keys");
        let garden = Conversation::Room(room);
        let count = grace.read.len();
        ada.write(garden, BEFORE).await?;
        scene.people(format!("ada writes in the room: {BEFORE}"));
        grace.has_read(count + 1).await?;
        ada.client.rotate_keys(room).await?;
        scene.people("ada takes new keys: who steals the old ones reads nothing of what comes");
        ada.write(garden, AFTER).await?;
        scene.people(format!("ada writes: {AFTER}"));
        grace.has_read(count + 2).await?;
        let rows = self.view.look()?;
        let begun = begins_session(&rows, ada.id(), grace.id());
        if begun != [false, true] {
            return Err(format!("the node's store is not as it should be after new keys were taken: {begun:?}").into());
        }
        scene.people("grace reads both");
        scene.node("the second brings the new keys, sealed for grace's, and is longer for that:");
        words(&rows).for_each(|line| scene.node(line));
        self.show(scene)
    }

    async fn revoke(&mut self, ada: &mut Actor, grace: &mut Actor) -> Result<(), Box<dyn Error>> {
        let mut scene = Scene::new("6. A device is lost");
        let mut phone = Actor::linked(&self.stage, "phone", SUBJECT, ada).await?;
        phone.is_level(vec![Log::Mailbox]).await?;
        scene.people("ada links a phone to her account");
        let (to, count, ours) = (Conversation::Direct(ada.id()), ada.read.len(), phone.read.len());
        let devices = grace.client.devices(ada.id()).await?.len();
        scene.people(format!("grace sees that ada has {devices} devices, both certified by ada's root key"));
        grace.write(to, TO_BOTH).await?;
        scene.people(format!("grace writes: {TO_BOTH}"));
        ada.has_read(count + 1).await?;
        phone.has_read(ours + 1).await?;
        scene.people("the phone is stolen; ada revokes it");
        let stolen = phone.client.device();
        ada.revoked.insert(stolen);
        grace.revoked.insert(stolen);
        ada.client.revoke_device(stolen.device_id).await?;
        phone.until("that it is signed out", |event| matches!(event, Event::SignedOut { .. })).await?;
        self.rows(&mut scene)?;
        grace.write(to, TO_ONE).await?;
        scene.people(format!("grace writes: {TO_ONE}"));
        ada.has_read(count + 2).await?;
        let left = ada.client.devices(ada.id()).await?;
        let left: Vec<DeviceId> = left.iter().map(|device| device.address().device_id).collect();
        let rows = self.view.look()?;
        let counted = Sealed::count(&rows, grace.id(), ada.id()).are_for(&left, stolen.device_id)?;
        scene.people("it reaches ada; the phone was signed out, and nothing waits for it");
        scene.node(format!("counted: {counted}"));
        words(&rows).for_each(|line| scene.node(line));
        phone.off().await?;
        self.show(scene)
    }

    /// Adds what has come into the node's database since the last look.
    fn rows(&mut self, scene: &mut Scene) -> Result<(), Box<dyn Error>> {
        words(&self.view.look()?).for_each(|line| scene.node(line));
        Ok(())
    }

    fn show(&mut self, mut scene: Scene) -> Result<(), Box<dyn Error>> {
        self.rows(&mut scene)?;
        say(&scene.print(self.columns))
    }
}

/// Of what one account has said to another in rooms, which begins a session with new keys.
fn begins_session(rows: &[Seen], from: AccountId, to: AccountId) -> Vec<bool> {
    let said = rows.iter().filter(|row| row.log == "room" && row.from == from && row.to == Some(to));
    said.map(Seen::begins_session).collect()
}

/// Rows in words, with the beginnings of the accounts' ids.
fn words(rows: &[Seen]) -> impl Iterator<Item = String> {
    let name = |account: AccountId| account.to_string().chars().take(6).collect();
    rows.iter().flat_map(move |row| row.words(name))
}

/// Whether somebody has read each of these once, and nothing else.
fn is_complete(name: &str, read: &[(AccountId, String)], wanted: &[&str]) -> Result<(), Box<dyn Error>> {
    let mut read: Vec<&str> = read.iter().map(|(_, text)| text.as_str()).collect();
    let mut wanted = wanted.to_vec();
    read.sort_unstable();
    wanted.sort_unstable();
    if read == wanted {
        return Ok(());
    }
    let (count, due) = (read.len(), wanted.len());
    Err(format!("{name} has read {count} messages, not the {due} that were written: {read:?}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_lost_repeated_or_invented_is_noticed() {
        let reads = |texts: &[&str]| -> Vec<(AccountId, String)> {
            texts.iter().map(|text| (AccountId::from_bytes([1; 16]), (*text).to_owned())).collect()
        };
        assert!(is_complete("grace", &reads(&[AFTER, BEFORE]), &[BEFORE, AFTER]).is_ok());
        for read in [&[BEFORE][..], &[BEFORE, AFTER, AFTER], &[BEFORE, "said by nobody"], &[]] {
            assert!(is_complete("grace", &reads(read), &[BEFORE, AFTER]).is_err(), "{read:?}");
        }
    }
}
