//! What scripts go by: exit statuses, and what is kept when something fails.

use std::path::PathBuf;
use std::process::Stdio;

use conclave::wire::DeviceList;

use super::person::Person;
use crate::process::{DataFolder, NodeProcess};
use crate::proxy::Proxy;
use crate::receipts::forget_devices;

#[test]
fn a_profile_without_a_device_says_how_to_begin() {
    let nobody = Person::new();
    for command in [&["whoami"][..], &["send", "--to", "x", "hi"], &["room", "list"], &["listen"], &["devices"]] {
        let (status, words) = nobody.fails(command);
        assert!(status == 3 && words.contains("conclave login"), "{command:?}: {words}");
    }
    let (status, _) = nobody.fails(&["login", "--url", "http://127.0.0.1:1", "--name", "ada"]);
    assert_eq!(status, 4);
    let (status, words) = nobody.fails(&["login"]);
    assert!(status == 2 && words.contains("--url"), "{words}");
}

/// Stretching the passphrase takes long enough for a kill to come before the store is made.
#[test]
fn a_login_that_is_killed_while_it_makes_the_store_is_begun_anew() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let ada = Person::new();
    let login = ["login", "--url", &node.url, "--name", "ada"];
    let mut killed = ada.command(&login).stdout(Stdio::null()).spawn().unwrap();
    let store = PathBuf::from(ada.path("profile/device.store"));
    while !store.try_exists().unwrap() {
        assert!(killed.try_wait().unwrap().is_none(), "it has ended without a store");
        std::thread::yield_now();
    }
    killed.kill().unwrap();
    assert!(!killed.wait().unwrap().success());
    let (status, words) = ada.fails(&["whoami"]);
    assert!(status == 3 && words.contains("conclave login"), "{words}");
    assert!(ada.does(&login).contains("Signed in as"));
    assert!(ada.does(&["whoami"]).contains(&node.url));
}

#[test]
fn what_is_sent_without_a_node_is_kept_and_goes_later() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let (ada, grace) = (Person::at(&node.url, "ada"), Person::at(&node.url, "grace"));
    let grace_id = grace.account();
    ada.does(&["send", "--to", &grace_id, "first"]);
    let address = node.url.trim_start_matches("http://").to_owned();
    drop(node);

    let (status, words) = ada.fails(&["send", "--to", &grace_id, "second", "--wait", "0"]);
    assert!(status == 4 && words.contains("kept"), "{words}");
    assert!(ada.does(&["whoami"]).contains("not reached"));

    let node = NodeProcess::start(folder.path(), |command| {
        command.env("CONCLAVE__SERVER__ADDRESS", &address);
    });
    assert_eq!(node.url, format!("http://{address}"));
    ada.does(&["send", "--to", &grace_id, "third"]);
    assert_eq!(grace.hears_texts(), ["first", "second", "third"]);
}

#[test]
fn a_wrong_passphrase_a_name_nobody_has_and_a_second_program_are_errors() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let ada = Person::at(&node.url, "ada");
    let wrong = ada.write("wrong", "something else\n");
    let (status, words) = ada.fails(&["whoami", "--passphrase-file", &wrong]);
    assert!(status == 1 && words.contains("the passphrase is wrong"), "{words}");
    let (status, words) = ada.fails(&["send", "--to", "nobody", "hi"]);
    assert!(status == 2 && words.contains("nobody is known as nobody"), "{words}");
    let (status, words) = ada.fails(&["chat", "garden"]);
    assert!(status == 2 && words.contains("terminal"), "{words}");

    let mut listener = ada.command(&["listen", "--json"]);
    let mut listener = listener.stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 1];
    std::io::Read::read_exact(listener.stdout.as_mut().unwrap(), &mut first).unwrap();
    let (status, words) = ada.fails(&["whoami"]);
    assert!(status == 1 && words.contains("another conclave command"), "{words}");
    listener.kill().unwrap();
    listener.wait().unwrap();
    ada.does(&["whoami"]);
}

#[test]
fn a_session_that_has_ended_goes_on_with_a_new_login() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let (ada, grace) = (Person::at(&node.url, "ada"), Person::at(&node.url, "grace"));
    ada.does(&["logout"]);
    let (status, words) = ada.fails(&["send", "--to", &grace.account(), "hi"]);
    assert!(status == 3 && words.contains("signed out: the message is kept"), "{words}");
    assert!(ada.does(&["login", "--name", "ada"]).contains("again"));
    ada.does(&["send", "--to", &grace.account(), "back"]);
    assert_eq!(grace.hears_texts(), ["hi", "back"]);
}

#[test]
fn a_login_moves_the_profile_to_another_address_of_its_node_and_to_no_other_node() {
    let (folder, elsewhere) = (DataFolder::new(), DataFolder::new());
    let node = NodeProcess::start(folder.path(), |_| ());
    let (ada, grace) = (Person::at(&node.url, "ada"), Person::at(&node.url, "grace"));
    let grace_id = grace.account();
    // It has the port, and keeps it until this ends.
    let other = NodeProcess::start(elsewhere.path(), |_| ());
    let old = node.url.clone();
    let says = |url: &str| ada.does(&["whoami"]).contains(&format!("{url}, connected"));

    let pem = rcgen::generate_simple_self_signed(vec!["node.example".to_owned()]).unwrap().cert.pem();
    let pem = ada.write("authority", &pem);
    let (status, words) = ada.fails(&["login", "--url", &other.url, "--name", "ada", "--authority", &pem]);
    assert!(status == 1 && words.contains("another account"), "{words}");
    assert!(!PathBuf::from(ada.path("profile/authority.pem")).exists());
    assert!(says(&old));
    ada.does(&["send", "--to", &grace_id, "from where I was"]);

    drop(node);
    let node = NodeProcess::start(folder.path(), |_| ());
    assert_ne!(node.url, old);
    ada.does(&["login", "--url", &node.url, "--name", "ada", "--authority", &pem]);
    assert!(says(&node.url));
    assert!(PathBuf::from(ada.path("profile/authority.pem")).exists());
    ada.does(&["send", "--to", &grace_id, "from where I am"]);
    grace.does(&["login", "--url", &node.url, "--name", "grace"]);
    assert_eq!(grace.hears_texts(), ["from where I was", "from where I am"]);
}

#[test]
fn an_identity_that_has_changed_has_a_status_of_its_own_until_it_is_accepted() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let (ada, grace) = (Person::at(&node.url, "ada"), Person::at(&node.url, "grace"));
    let account = grace.account();
    ada.does(&["send", "--to", &account, "hi"]);
    forget_devices(folder.path(), account.parse().unwrap());
    let set_up_anew = Person::at(&node.url, "grace");
    assert_eq!(set_up_anew.account(), account);
    let (status, words) = ada.fails(&["send", "--to", &account, "a secret"]);
    assert!(status == 5 && words.contains("has a new identity"), "{status}: {words}");

    let accepted = ada.does(&["contact", "accept", &account]);
    assert!(accepted.contains("The new identity of"), "{accepted}");
    ada.does(&["send", "--to", &account, "a secret"]);
    assert_eq!(set_up_anew.hears_texts(), ["a secret"]);
    let (status, words) = ada.fails(&["contact", "accept", &account]);
    assert!(status == 1 && words.contains("has not changed"), "{status}: {words}");
}

#[tokio::test]
async fn a_list_that_is_forged_has_the_same_status_and_what_is_wrong_is_said() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let proxy = Proxy::before(&node).await;
    let url = proxy.url.clone();
    let begin = move || {
        let (ada, grace) = (Person::at(&url, "ada"), Person::at(&url, "grace"));
        (ada.account(), ada, grace.account())
    };
    let (own, ada, grace) = tokio::task::spawn_blocking(begin).await.unwrap();
    let path = format!("GET /api/users/{own}/devices");
    proxy.answers(move |asks, answer| {
        if asks == path {
            answer.change(|list: &mut DeviceList| list.signature.0[0] ^= 1);
        }
    });
    let fails = move || [ada.fails(&["send", "--to", &grace, "hi"]), ada.fails(&["listen", "--timeout", "20"])];
    let [sends, listens] = tokio::task::spawn_blocking(fails).await.unwrap();
    assert!(sends.0 == 5 && sends.1.contains("the signature of the device list does not hold"), "{sends:?}");
    assert!(listens.0 == 5 && listens.1.contains("signature_invalid"), "{listens:?}");
}

#[test]
fn a_reader_that_has_gone_ends_a_command_in_silence() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let ada = Person::at(&node.url, "ada");
    for command in [&["whoami"][..], &["devices"], &["contact", "list"], &["backup", "create"], &["memory", "list"]] {
        let mut child = ada.command(command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && words.is_empty(), "{command:?}: {words}");
    }
}

#[test]
fn refusals_are_said_in_words_with_their_code() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let ada = Person::at(&node.url, "ada");
    let (status, words) = ada.fails(&["room", "join", "nonsense"]);
    assert!(status == 1 && words.contains("not an invitation, or a mistyped one"), "{words}");
    ada.does(&["room", "create", "garden"]);
    let command = ada.does(&["room", "invite", "garden"]);
    let invitation = command.split_whitespace().nth(3).unwrap();
    Person::at(&node.url, "grace").does(&["room", "join", invitation]);
    let (status, words) = Person::at(&node.url, "joan").fails(&["room", "join", invitation]);
    assert!(status == 1 && words.contains("ask for another (invitation_refused)"), "{words}");
    let (status, words) = ada.fails(&["login", "--url", "node.example", "--name", "ada"]);
    assert!(status == 2 && words.contains("https://"), "{words}");
    drop(node);
    let (status, words) = ada.fails(&["login", "--name", "ada"]);
    assert!(status == 4 && words.contains("Connection refused"), "{words}");
}

/// No name is looked up and nothing is connected to before: the address that is let through is this machine's, by a name that
/// does not say so.
#[test]
fn a_login_over_plain_http_to_another_machine_needs_a_word_of_its_own() {
    let ada = Person::new();
    for url in ["http://node.example", "http://0.0.0.0:1", "http://127.0.0.1:1@node.example"] {
        for command in [&["login", "--name", "ada"][..], &["devices", "link", "--name", "ada"], &["load"]] {
            let (status, words) = ada.fails(&[command, &["--url", url]].concat());
            assert!(status == 2 && words.contains("https://") && words.contains("--insecure"), "{command:?}: {words}");
        }
    }
    assert!(!PathBuf::from(ada.path("profile/device.store")).exists());
    let (status, words) = ada.fails(&["login", "--url", "http://0.0.0.0:1", "--insecure", "--name", "ada"]);
    assert!(status == 4 && words.contains("without TLS"), "{words}");
}

#[test]
fn every_command_has_help_and_completions_are_written_for_each_shell() {
    let nobody = Person::new();
    let commands = [
        "login",
        "logout",
        "whoami",
        "contact",
        "devices",
        "room",
        "send",
        "listen",
        "history",
        "chat",
        "memory",
        "backup",
        "completions",
    ];
    for command in commands {
        let help = nobody.does(&[command, "--help"]);
        assert!(help.contains("Usage: conclave") && help.len() > 300, "{help}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(nobody.does(&["completions", shell]).contains("whoami"));
    }
}
