//! Clients that are killed wherever they save, and go on each time from what was kept.
//!
//! A client runs in a process of its own: this test binary, started for the one test that is its program (`victim.rs`). Each
//! flow is run again and again; each time the process dies one save later, before it is on disk or after, until a run comes to
//! its end. After each death it is started once more, and nothing is lost, told twice or sent twice then.

mod devices;
mod friend;
mod rooms;
mod store;
mod talk;
mod vault;
mod victim;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use conclave::ids::AccountId;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::process::{DataFolder, NodeProcess};
use crate::user::sign_in;
use friend::Friend;
use store::{At, Death};

/// What a client is told to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Orders {
    flow: Flow,
    url: String,
    /// Who it is at the node's provider.
    name: String,
    store: PathBuf,
    /// Who is there to write to, and never dies.
    friend: AccountId,
    /// What its user has at hand: a recovery kit, a code, a room's id.
    given: String,
    /// Everything it says has this number, so that it can be counted.
    round: u32,
    /// Whether its store has lost the sessions, as an old copy of it would.
    forgets: bool,
    death: Option<Death>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Flow {
    /// Sets a device up.
    SetUp,
    /// Sets a device up with a recovery kit.
    Recover,
    /// Is linked to an account, and reads its vault.
    Link,
    /// Takes a further device in, and revokes it.
    Approve,
    /// Hands a kit out, and ends its session.
    SignOut,
    /// Answers direct messages.
    Answer,
    /// Accepts the friend's new identity, and answers.
    Accept,
    /// Writes before there is a connection.
    Write,
    /// Waits until its keys are on the node again.
    Refill,
    /// Makes a room, has the friend come in, talks there, and rotates the keys.
    Host,
    /// Comes into a room of the friend's, and talks there.
    Guest,
    /// Leaves a room.
    Leave,
    /// Removes the friend from a room.
    Remove,
    /// Hears that the friend has new keys in a room, and talks there.
    Listen,
    /// Has heard so, and talks there.
    Renew,
    /// Writes to the vault.
    Vault,
}

impl Orders {
    fn new(flow: Flow, url: &str, folder: &Path, friend: AccountId) -> Self {
        let (store, name) = (folder.join("victim"), "grace".to_owned());
        let (given, url) = (String::new(), url.to_owned());
        Self { flow, url, name, store, friend, given, round: 0, forgets: false, death: None }
    }

    /// The same, of a device of its own in each round.
    fn anew(self, folder: &Path) -> Self {
        let name = format!("{}-{}", self.name, self.round);
        Self { store: folder.join(&name), name, ..self }
    }

    /// Has it write to somebody else, who is of this round alone.
    async fn meet(&mut self, url: &str) -> Friend {
        let friend = Friend::new(url, &self.name_met()).await;
        self.friend = friend.client.account_id();
        friend
    }

    /// Who that is at the node's provider.
    fn name_met(&self) -> String {
        format!("joan-{}", self.round)
    }

    /// Runs the client until it dies or is done. Whether it died.
    async fn run(&self, shown: mpsc::UnboundedSender<String>) -> bool {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "killed::victim::victim", "--ignored", "--nocapture"])
            .env(ORDERS, serde_json::to_string(self).unwrap())
            .stdout(Stdio::piped());
        let status = tokio::task::spawn_blocking(move || victim::watch(&mut command, &shown)).await.unwrap();
        let was_killed = std::os::unix::process::ExitStatusExt::signal(&status) == Some(9);
        assert!(was_killed || status.success(), "{self:?}: {status}");
        assert!(!was_killed || self.death.is_some(), "{self:?}");
        was_killed
    }

    /// Runs something before it, to its end.
    async fn run_before(&self, flow: Flow) {
        let round = self.round_before();
        Self { flow, round, death: None, forgets: false, ..self.clone() }.run(nobody()).await;
    }

    /// The number of what is done before a round.
    fn round_before(&self) -> u32 {
        self.round + 1_000
    }

    /// Whose device it is.
    async fn account(&self) -> AccountId {
        sign_in(&self.url, &self.name).await.account_id()
    }

    /// Runs it; if it dies, once more to its end. Whether it died.
    async fn run_to_the_end(&self) -> bool {
        self.run_to_the_end_and_show(&nobody()).await
    }

    async fn run_to_the_end_and_show(&self, shown: &mpsc::UnboundedSender<String>) -> bool {
        let was_killed = self.run(shown.clone()).await;
        if was_killed {
            Self { death: None, forgets: false, ..self.clone() }.run(shown.clone()).await;
        }
        was_killed
    }
}

/// Has a client die before and after its first save, its second, and so on, until neither kills it; and before and after it
/// first saves records of each of these kinds, whichever save that is. A round says whether it died.
async fn wherever_it_saves(mut orders: Orders, kinds: &[&str], mut round: impl AsyncFnMut(Orders) -> bool) {
    let mut dies_at = async |at: At| {
        let mut kills = 0;
        for death in [Death::Before(at.clone()), Death::After(at)] {
            orders.round += 1;
            orders.death = Some(death);
            kills += u32::from(round(orders.clone()).await);
        }
        kills
    };
    for number in 1.. {
        if dies_at(At::Number(number)).await == 0 {
            break;
        }
    }
    for kind in kinds {
        assert_eq!(dies_at(At::Kind((*kind).to_owned())).await, 2, "{kind} is not saved");
    }
}

async fn begin() -> (DataFolder, NodeProcess, Friend) {
    let folder = DataFolder::new();
    // Nobody signs in and rotates as often as a client that is killed each time.
    let node = NodeProcess::start(folder.path(), |command| {
        command
            .env("CONCLAVE__LIMITS__SIGN_IN_PER_MINUTE", "100000")
            .env("CONCLAVE__LIMITS__CLAIMS_PER_MINUTE", "1000");
    });
    let friend = Friend::new(&node.url, "ada").await;
    (folder, node, friend)
}

/// Orders for a client that is set up.
async fn set_up(flow: Flow, url: &str, folder: &DataFolder, friend: &Friend) -> Orders {
    let orders = Orders::new(Flow::SetUp, url, folder.path(), friend.client.account_id());
    orders.run(nobody()).await;
    Orders { flow, ..orders }
}

/// A channel for what is shown to nobody.
fn nobody() -> mpsc::UnboundedSender<String> {
    mpsc::unbounded_channel().0
}

const ORDERS: &str = "VICTIM_ORDERS";
