//! The demo, and that it can fail.

use std::path::Path;

use super::person::Person;
use crate::process::NodeProcess;

/// Some of what is said in it.
const SAID: [&str; 4] =
    ["hello grace, the roses are out", "the gate code is 4711", "said under the new keys", "two: water the fern"];

#[test]
fn the_demo_shows_both_sides_and_finds_nothing_that_was_said() {
    let nobody = Person::new();
    let folder = nobody.path("demo");
    let shown = nobody.does(&["demo", "--folder", &folder]);
    for words in SAID.into_iter().chain([
        "WHAT THE PEOPLE SEE",
        "WHAT THE NODE SEES",
        "6. A device is lost",
        "mailbox ",
        "room ",
        "conclave.db-wal",
        "Every message came, once.",
    ]) {
        assert!(shown.contains(words), "{words} is not in\n{shown}");
    }
    // A search that is not the demo's own agrees.
    let mut searched = 0;
    for entry in read_dir(Path::new(&folder).join("node")) {
        let bytes = read(&entry);
        searched += bytes.len();
        for text in SAID {
            assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()), "{text}: {}", entry.display());
        }
    }
    assert!(searched > 50_000);
}

#[test]
fn a_plaintext_in_the_store_fails_the_demo() {
    let nobody = Person::new();
    let folder = nobody.path("demo");
    plant(&Path::new(&folder).join("node"), "page.bak", &format!("\0\0{}\0", SAID[1]));
    let (status, words) = nobody.fails(&["demo", "--folder", &folder]);
    assert_eq!(status, 1);
    assert!(words.contains(SAID[1]) && words.contains("page.bak at byte 2"), "{words}");
}

/// A node that loses what is the third to wait for a device: its database forgets it.
#[test]
fn a_message_that_the_node_loses_fails_the_demo() {
    let nobody = Person::new();
    let folder = nobody.path("demo");
    spoil(
        &Path::new(&folder).join("node"),
        "CREATE TRIGGER lose AFTER INSERT ON mailbox_log
         WHEN (SELECT count(*) FROM mailbox_log WHERE device_id = NEW.device_id AND envelope IS NOT NULL) > 2
         BEGIN DELETE FROM mailbox_log WHERE rowid = NEW.rowid; END",
    );
    let (status, words) = nobody.fails(&["demo", "--folder", &folder]);
    assert_eq!(status, 1);
    assert!(words.contains("grace has caught up, and 1 of the messages") || words.contains("has lost"), "{words}");
}

/// A node that keeps the mailbox of a device that is revoked, and puts into it what the account's other devices get.
#[test]
fn an_envelope_for_a_device_that_is_revoked_fails_the_demo() {
    let nobody = Person::new();
    let folder = nobody.path("demo");
    spoil(
        &Path::new(&folder).join("node"),
        "CREATE TABLE kept (account_id BLOB, device_id BLOB);
         CREATE TRIGGER keep AFTER DELETE ON devices BEGIN
             INSERT INTO kept VALUES (OLD.account_id, OLD.device_id);
             INSERT INTO devices SELECT OLD.account_id, OLD.device_id, OLD.signing_key, OLD.agreement_key;
             INSERT INTO mailboxes (account_id, device_id, epoch, head, acknowledged)
             VALUES (OLD.account_id, OLD.device_id, zeroblob(8), 0, 0);
         END;
         CREATE TRIGGER copy AFTER INSERT ON mailbox_log
         WHEN NEW.device_id NOT IN (SELECT device_id FROM kept) BEGIN
             INSERT INTO mailbox_log
             SELECT kept.account_id, kept.device_id, NEW.seq, NEW.sender_account, NEW.sender_device, NEW.envelope_id,
                    NEW.committed_at, NEW.envelope
             FROM kept WHERE kept.account_id = NEW.account_id;
         END",
    );
    let (status, words) = nobody.fails(&["demo", "--folder", &folder]);
    assert_eq!(status, 1);
    assert!(words.contains("2 sealed for the account's devices, 1 on the list, 1 for the revoked one"), "{words}");
}

/// Has a database do what a node does not, before the demo's node runs on it.
fn spoil(node_folder: &Path, sql: &str) {
    plant(node_folder, "nothing", "");
    // It makes the tables.
    drop(NodeProcess::start(node_folder, |_| ()));
    let database = rusqlite::Connection::open(node_folder.join("conclave.db")).unwrap();
    database.execute_batch(sql).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "the test looks at the store")]
fn read_dir(folder: impl AsRef<Path>) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[expect(clippy::disallowed_methods, reason = "the test looks at the store")]
fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the test looks at the store")]
fn plant(folder: &Path, name: &str, text: &str) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(name), text).unwrap();
}
