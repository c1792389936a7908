//! Direct messages: answers, tokens, keys on the node, sessions that are lost, identities that change.

use conclave::client::{Conversation, Event, Store};
use conclave::ids::AccountId;
use conclave::wire::Log;
use tokio::sync::mpsc;

use super::friend::Friend;
use super::victim::{Device, show};
use super::{Flow, Orders, begin, set_up, wherever_it_saves};
use crate::direct::passphrase;
use crate::process::DataFolder;
use crate::proxy::Proxy;
use crate::receipts::forget_devices;
use crate::sessions;
use crate::user::{User, sign_in};

impl Device {
    pub(super) async fn answers(&mut self) {
        let (friend, round) = (Conversation::Direct(self.orders.friend), self.orders.round);
        for n in 0..2 {
            self.hears(friend, &format!("question {n} {round}")).await;
            self.says(friend, format!("answer {n} {round}")).await;
        }
    }

    /// Shows when it has written all that it has to write.
    pub(super) async fn writes_ahead(&mut self) {
        let (friend, round) = (Conversation::Direct(self.orders.friend), self.orders.round);
        for n in 0..2 {
            self.says(friend, format!("note {n} {round}")).await;
        }
        show("written");
        let is_due = async |device: &Self| {
            let history = device.client.history(friend, None, 1_000).await.unwrap();
            history.iter().any(|message| !message.is_sent)
        };
        while is_due(self).await {
            self.event().await;
        }
    }

    pub(super) async fn accepts(&mut self) {
        let (friend, question) = (self.orders.friend, format!("question 0 {}", self.orders.round));
        // What came of the new identity is held by then.
        self.until(|event| matches!(event, Event::CaughtUp { log: Log::Mailbox })).await;
        while !self.texts(Conversation::Direct(friend)).await.contains(&question) {
            match self.client.known_account(friend).await.unwrap().unwrap().changed_to {
                Some(root_key) => self.client.accept_identity(friend, root_key).await.unwrap(),
                None => drop(self.event().await),
            }
        }
        self.answers().await;
    }

    pub(super) async fn is_supplied(&mut self) {
        let filled = format!("filled {}", self.orders.round);
        self.hears(Conversation::Direct(self.orders.friend), &filled).await;
    }
}

#[tokio::test]
async fn answers_of_a_client_that_is_killed_wherever_it_saves_are_read_once_each() {
    answers_are_read_once_each(|_, _| ()).await;
}

/// Whose answer is lost with the process has lost its session, and nothing else.
#[tokio::test]
async fn a_client_that_is_killed_while_its_tokens_are_traded_goes_on() {
    answers_are_read_once_each(|folder, grace| sessions::change(folder, sessions::EXPIRE, grace)).await;
}

async fn answers_are_read_once_each(before_each: impl Fn(&DataFolder, AccountId)) {
    let (folder, node, friend) = begin().await;
    let orders = set_up(Flow::Answer, &node.url, &folder, &friend).await;
    let grace = orders.account().await;
    let kinds = ["mailbox", "machine/session", "outbox", "receipts", "told"];
    let all = wherever_it_saves(orders, &kinds, async |orders| {
        ask(&friend, grace, orders.round).await;
        before_each(&folder, grace);
        let was_killed = orders.run_to_the_end().await;
        friend.has_heard(&orders, &["answer 0", "answer 1", "over"]);
        was_killed
    });
    all.await;
    all_is_kept_once(&folder, &[friend.client.account_id()]).await;
}

/// Nothing is known of whom it writes to, and the node is not there: what it writes waits to be sealed.
#[tokio::test]
async fn what_a_client_that_is_killed_wherever_it_saves_writes_without_a_connection_is_read_once() {
    let (folder, node, friend) = begin().await;
    let proxy = Proxy::before(&node).await;
    let orders = set_up(Flow::Write, &proxy.url, &folder, &friend).await;
    let mut friends = Vec::new();
    let all = wherever_it_saves(orders, &["draft/", "outbox/"], async |mut orders| {
        let friend = orders.meet(&node.url).await;
        friends.push((orders.friend, orders.round));
        proxy.close();
        let (show, mut shown) = mpsc::unbounded_channel();
        let runs = async {
            let was_killed = orders.run_to_the_end_and_show(&show).await;
            drop(show);
            was_killed
        };
        let leads = async {
            while shown.recv().await.is_some() {
                proxy.lead_to(&node);
            }
        };
        let (was_killed, ()) = tokio::join!(runs, leads);
        friend.has_heard(&orders, &["note 0", "note 1", "over"]);
        was_killed
    });
    all.await;

    proxy.lead_to(&node);
    let grace = User::open(Store::open(&folder.path().join("victim"), passphrase()).await.unwrap()).await;
    for (friend, round) in friends {
        let kept = grace.kept(Conversation::Direct(friend)).await;
        assert_eq!(kept, ["note 0", "note 1", "over", "read over"].map(|text| format!("{text} {round}")));
    }
    grace.close().await;
}

/// Its store is put back as it was: it opens nothing until a new session stands, and what did not open comes again.
#[tokio::test]
async fn a_client_that_is_killed_wherever_it_saves_while_it_repairs_reads_and_answers_once() {
    let (folder, node, friend) = begin().await;
    let orders = set_up(Flow::Answer, &node.url, &folder, &friend).await;
    let grace = orders.account().await;
    let mut friends = Vec::new();
    let kinds = ["repairs", "machine/session", "carried"];
    let all = wherever_it_saves(orders, &kinds, async |mut orders| {
        // Of somebody else each time: repairs with one device are counted.
        let friend = has_answered_somebody(&mut orders, grace).await;
        friends.push(orders.friend);
        ask(&friend, grace, orders.round).await;
        orders.forgets = true;
        let was_killed = orders.run_to_the_end().await;
        friend.has_heard(&orders, &["answer 0", "answer 1", "over"]);
        was_killed
    });
    all.await;
    all_is_kept_once(&folder, &friends).await;
}

#[tokio::test]
async fn a_client_that_is_killed_wherever_it_saves_while_it_accepts_an_identity_loses_nothing() {
    let (folder, node, friend) = begin().await;
    let orders = set_up(Flow::Accept, &node.url, &folder, &friend).await;
    let grace = orders.account().await;
    let mut friends = Vec::new();
    let kinds = ["machine/contact", "held/", "machine/used-opening"];
    let all = wherever_it_saves(orders, &kinds, async |mut orders| {
        drop(has_answered_somebody(&mut orders, grace).await);
        friends.push(orders.friend);
        forget_devices(folder.path(), orders.friend);

        let friend = orders.meet(&node.url).await;
        ask(&friend, grace, orders.round).await;
        let was_killed = orders.run_to_the_end().await;
        friend.has_heard(&orders, &["answer 0", "answer 1", "over"]);
        was_killed
    });
    all.await;
    all_is_kept_once(&folder, &friends).await;
}

/// Whatever key the node hands out, its secret half is there.
#[tokio::test]
async fn keys_of_a_client_that_is_killed_wherever_it_saves_while_it_supplies_them_open_what_is_sealed_with_them() {
    let (folder, node, friend) = begin().await;
    let proxy = Proxy::before(&node).await;
    let (say, mut published) = mpsc::unbounded_channel();
    proxy.answers(move |asks, _| {
        if asks == "PUT /api/prekeys" {
            let _ = say.send(());
        }
    });
    let orders = set_up(Flow::Refill, &proxy.url, &folder, &friend).await;
    let grace = orders.account().await;
    let mut rounds = 0;
    let kinds = ["machine/one-time-prekey", "machine/one-time-kem-prekey"];
    let all = wherever_it_saves(orders, &kinds, async |orders| {
        rounds = orders.round;
        for table in ["one_time_prekeys", "one_time_kem_prekeys"] {
            sessions::change(&folder, &format!("DELETE FROM {table} WHERE account_id = ?"), grace);
        }
        while published.try_recv().is_ok() {}
        let is_filled = async {
            published.recv().await.unwrap();
            friend.client.send_direct(grace, format!("filled {rounds}")).await.unwrap();
        };
        let (was_killed, ()) = tokio::join!(orders.run_to_the_end(), is_filled);
        let mut joan = User::new(&node.url, &format!("joan-{rounds}")).await;
        let id = joan.client.send_direct(grace, format!("greeting {rounds}")).await.unwrap();
        joan.is_sent(id).await;
        was_killed
    });
    all.await;

    let mut grace = User::open(Store::open(&folder.path().join("victim"), passphrase()).await.unwrap()).await;
    grace.is_level().await;
    for round in 1..=rounds {
        let joan = sign_in(&node.url, &format!("joan-{round}")).await.account_id();
        assert_eq!(grace.kept(Conversation::Direct(joan)).await, [format!("greeting {round}")]);
    }
    grace.close().await;
}

/// What came is there once, as what was said is.
async fn all_is_kept_once(folder: &DataFolder, friends: &[AccountId]) {
    let grace = User::open(Store::open(&folder.path().join("victim"), passphrase()).await.unwrap()).await;
    for friend in friends {
        let mut kept = grace.kept(Conversation::Direct(*friend)).await;
        let count = kept.len();
        kept.sort_unstable();
        kept.dedup();
        assert_eq!(kept.len(), count);
        let [questions, answers] =
            ["question ", "answer "].map(|begin| kept.iter().filter(|text| text.starts_with(begin)).count());
        assert!(questions > 0 && questions == answers, "{kept:?}");
    }
    grace.close().await;
}

/// Somebody of the round, whose questions the client has answered before.
async fn has_answered_somebody(orders: &mut Orders, client: AccountId) -> Friend {
    let url = orders.url.clone();
    let friend = orders.meet(&url).await;
    ask(&friend, client, orders.round_before()).await;
    orders.run_before(Flow::Answer).await;
    friend
}

async fn ask(friend: &Friend, whom: AccountId, round: u32) {
    for n in 0..2 {
        friend.client.send_direct(whom, format!("question {n} {round}")).await.unwrap();
    }
}
