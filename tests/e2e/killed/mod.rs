//! Clients that are killed wherever they save, and go on each time from what was kept.
//!
//! A client runs in a process of its own: this test binary, started for the one test that is its program (`victim.rs`). Each
//! flow is run again and again; each time the process dies one save later, before it is on disk or after, until a run comes to
//! its end. After each death it is started once more, and nothing is lost, told twice or sent twice then.

mod flows;
mod friend;
mod store;
mod victim;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use conclave::ids::AccountId;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use store::Death;

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
    /// Everything it says has this number, so that it can be counted.
    round: u32,
    death: Option<Death>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Flow {
    /// Sets a device up.
    SetUp,
    /// Answers direct messages.
    Answer,
    /// Makes a room, has the friend come in, talks there, and rotates the keys.
    Host,
    /// Comes into a room of the friend's, and talks there.
    Guest,
    /// Is linked to an account.
    Link,
    /// Writes to the vault.
    Vault,
}

impl Orders {
    fn new(flow: Flow, url: &str, folder: &Path, friend: AccountId) -> Self {
        let (store, name) = (folder.join("victim"), "grace".to_owned());
        Self { flow, url: url.to_owned(), name, store, friend, round: 0, death: None }
    }

    /// The same, of a device of its own in each round.
    fn anew(self, folder: &Path) -> Self {
        let name = format!("{}-{}", self.name, self.round);
        Self { store: folder.join(&name), name, ..self }
    }

    /// Runs the client until it dies or is done. Whether it died.
    async fn run(&self, codes: mpsc::UnboundedSender<String>) -> bool {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "killed::victim::victim", "--ignored", "--nocapture"])
            .env(ORDERS, serde_json::to_string(self).unwrap())
            .stdout(Stdio::piped());
        let status = tokio::task::spawn_blocking(move || victim::watch(&mut command, &codes)).await.unwrap();
        let was_killed = std::os::unix::process::ExitStatusExt::signal(&status) == Some(9);
        assert!(was_killed || status.success(), "{self:?}: {status}");
        assert!(!was_killed || self.death.is_some(), "{self:?}");
        was_killed
    }

    /// Runs it; if it dies, once more to its end. Whether it died.
    async fn run_to_the_end(&self, codes: &mpsc::UnboundedSender<String>) -> bool {
        let was_killed = self.run(codes.clone()).await;
        if was_killed {
            Self { death: None, ..self.clone() }.run(codes.clone()).await;
        }
        was_killed
    }
}

/// Has a client die before and after its first save, its second, and so on, until neither kills it. How often it died.
async fn wherever_it_saves(mut orders: Orders, mut round: impl AsyncFnMut(Orders) -> bool) -> u32 {
    let mut kills = 0;
    for at in 1.. {
        let before = kills;
        for death in [Death::Before(at), Death::After(at)] {
            orders.round += 1;
            orders.death = Some(death);
            kills += u32::from(round(orders.clone()).await);
        }
        if kills == before {
            break;
        }
    }
    kills
}

const ORDERS: &str = "VICTIM_ORDERS";
