//! A client that is killed wherever it saves, again and again, and goes on each time from what was kept.
//!
//! The client runs in a process of its own: this test binary, started for the one test that is its program. Its store is the
//! SDK's, in a wrapper that kills the process before or after a certain commit.

use std::path::Path;
use std::process::{Command, Stdio};

use conclave::client::store::{Batch, LocalStore, MessagePage, Records, StoredMessage, Work};
use conclave::client::{Client, ClientError, Conversation, Event, Events, Http, Store, StoreError};
use tokio::time::{Duration, timeout};

use crate::direct::passphrase;
use crate::process::{DataFolder, NodeProcess};
use crate::user::{User, sign_in};

/// When the process dies: before or after its so manieth commit is on disk.
#[derive(Clone, Copy, Debug)]
enum Death {
    Before(u32),
    After(u32),
}

#[derive(Debug)]
struct DyingStore {
    inner: Box<dyn LocalStore>,
    death: Death,
    commits: u32,
}

impl LocalStore for DyingStore {
    fn load(&mut self) -> Work<'_, (Records, u64)> {
        self.inner.load()
    }

    fn commit(&mut self, batch: Batch) -> Work<'_, ()> {
        self.commits += 1;
        let (commits, death) = (self.commits, self.death);
        let committed = self.inner.commit(batch);
        Box::pin(async move {
            if matches!(death, Death::Before(at) if at == commits) {
                die();
            }
            committed.await?;
            if matches!(death, Death::After(at) if at == commits) {
                die();
            }
            Ok(())
        })
    }

    fn message(&mut self, id: &str) -> Work<'_, Option<StoredMessage>> {
        self.inner.message(id)
    }

    fn messages(&mut self, page: MessagePage) -> Work<'_, Vec<StoredMessage>> {
        self.inner.messages(page)
    }

    fn close(&mut self) -> Work<'_, ()> {
        self.inner.close()
    }
}

/// SIGKILL: nothing in the process runs after it.
fn die() {
    let id = std::process::id().to_string();
    Command::new("kill").args(["-9", &id]).status().unwrap();
    std::thread::park();
}

/// The program of the other process: it answers each message once, also if it had begun to before it was killed.
#[tokio::test]
#[ignore = "it is started by the test below"]
#[expect(clippy::disallowed_methods, reason = "it is told by its environment what to do")]
async fn victim() {
    let told = |name: &str| std::env::var(name).unwrap();
    let (url, at) = (told("VICTIM_URL"), told("VICTIM_DEATH").parse().unwrap());
    let death = if told("VICTIM_SIDE") == "before" { Death::Before(at) } else { Death::After(at) };
    let (client, mut events) = begin(Path::new(&told("VICTIM_STORE")), &url, death).await;
    // What comes within a moment is all that there is: the messages were there before the process was.
    while let Ok(event) = timeout(Duration::from_millis(1_500), events.next()).await {
        let Event::Message(message) = event.unwrap() else { continue };
        let place = Conversation::Direct(message.sender.account_id);
        let answer = format!("to {}", message.content.text().unwrap());
        let history = client.history(place, None, 1_000).await.unwrap();
        if !history.iter().any(|kept| kept.content.text() == Some(&answer)) {
            client.send(place, answer).await.unwrap();
        }
    }
    client.close().await.unwrap();
}

/// Opens the device of a store, or sets it up where that was not done, or not to its end.
async fn begin(path: &Path, url: &str, death: Death) -> (Client, Events) {
    match Client::open(dying(open(path).await, death), Http::new().unwrap()).await {
        Ok(begun) => begun,
        Err(ClientError::NotSetUp) => {
            let signed_in = sign_in(url, "grace").await;
            Client::set_up(dying(open(path).await, death), signed_in).await.unwrap()
        }
        Err(error) => panic!("{error}"),
    }
}

async fn open(path: &Path) -> Store {
    match Store::open(path, passphrase()).await {
        Ok(store) => store,
        Err(StoreError::Missing { .. }) => Store::create(path, passphrase()).await.unwrap(),
        Err(error) => panic!("{error}"),
    }
}

fn dying(store: Store, death: Death) -> Store {
    Store::of(DyingStore { inner: store.into_inner(), death, commits: 0 })
}

/// Runs the client until it dies or is done. Whether it died.
async fn run(store: &Path, url: &str, death: Death) -> bool {
    let (side, at) = match death {
        Death::Before(at) => ("before", at),
        Death::After(at) => ("after", at),
    };
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "killed::victim", "--ignored"])
        .env("VICTIM_STORE", store)
        .env("VICTIM_URL", url)
        .env("VICTIM_SIDE", side)
        .env("VICTIM_DEATH", at.to_string())
        .stdout(Stdio::null());
    let status = tokio::task::spawn_blocking(move || command.status().unwrap()).await.unwrap();
    let was_killed = std::os::unix::process::ExitStatusExt::signal(&status) == Some(9);
    assert!(was_killed || status.success(), "{death:?}: {status}");
    was_killed
}

#[tokio::test]
async fn a_client_that_is_killed_wherever_it_saves_loses_and_repeats_nothing() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let mut ada = User::new(&node.url, "ada").await;
    let store = folder.path().join("grace");
    // The first commits are those of its being set up.
    let mut kills = 0;
    for death in [Death::Before(1), Death::After(1), Death::Before(2), Death::After(2), Death::Before(3)] {
        kills += u32::from(run(&store, &node.url, death).await);
    }
    // The last one may come to its end before so many commits.
    assert!(kills >= 4, "{kills}");
    // Whoever is set up answers to the same name.
    let grace = sign_in(&node.url, "grace").await.account_id();
    run(&store, &node.url, Death::After(1_000)).await;

    let mut asked = Vec::new();
    for at in 1..=7 {
        for death in [Death::Before(at), Death::After(at)] {
            for n in 0..2 {
                let question = format!("{death:?}.{n}");
                let id = ada.client.send_direct(grace, question.as_str()).await.unwrap();
                ada.is_sent(id).await;
                asked.push(question);
            }
            kills += u32::from(run(&store, &node.url, death).await);
        }
    }
    assert!(kills >= 4 + 10, "{kills}");
    assert!(!run(&store, &node.url, Death::After(1_000)).await);

    let mut answers: Vec<String> = asked.iter().map(|question| format!("to {question}")).collect();
    let place = Conversation::Direct(grace);
    while ada.kept(place).await.len() < 2 * asked.len() {
        ada.message().await;
    }
    let mut kept: Vec<String> = ada.kept(place).await.into_iter().filter(|text| text.starts_with("to ")).collect();
    kept.sort_unstable();
    answers.sort_unstable();
    assert_eq!(kept, answers);

    let grace = User::open(Store::open(&store, passphrase()).await.unwrap()).await;
    let kept = grace.kept(Conversation::Direct(ada.id())).await;
    let questions: Vec<_> = kept.iter().filter(|text| !text.starts_with("to ")).cloned().collect();
    assert_eq!(questions, asked);
    assert_eq!(kept.len(), 2 * asked.len());
    grace.close().await;
}
