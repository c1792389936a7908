//! The passphrase of a profile, asked for on a terminal.

use super::person::Person;
use super::terminal::Terminal;
use crate::process::{DataFolder, NodeProcess};

/// A command on a terminal, which has no file to take the passphrase from.
fn asked(person: &Person, arguments: &[&str]) -> Terminal {
    let mut command = person.command(arguments);
    Terminal::run(command.env_remove("CONCLAVE_PASSPHRASE_FILE"))
}

/// Waits for the words and answers them. What is typed is not on the screen when something stands below.
fn answer(terminal: &mut Terminal, words: &str, typed: &str) {
    terminal.shows(words);
    terminal.types(&format!("{typed}\r"));
}

#[test]
fn a_new_passphrase_is_asked_for_twice_and_never_shown() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let ada = Person::new();
    let login = ["login", "--url", &node.url, "--name", "ada"];
    let mut terminal = asked(&ada, &login);
    answer(&mut terminal, NEW, TYPED);
    answer(&mut terminal, AGAIN, "correct horse battery stable");
    let (status, screen) = terminal.ends();
    assert_eq!(lines(&screen.text()), [NEW, AGAIN, "conclave: the two are not the same"]);
    assert_eq!((status, ada.fails(&["whoami"]).0), (Some(1), 3));

    let mut terminal = asked(&ada, &login);
    answer(&mut terminal, NEW, TYPED);
    answer(&mut terminal, AGAIN, TYPED);
    terminal.shows("Signed in as");
    assert_eq!(lines(&terminal.screen().text())[..2], [NEW, AGAIN]);
    assert_eq!(terminal.ends().0, Some(0));
    // It is the one that was typed.
    assert!(ada.does(&["whoami"]).contains(&node.url));
}

#[test]
fn a_known_passphrase_is_asked_for_once_and_a_wrong_one_opens_nothing() {
    let folder = DataFolder::new();
    let node = NodeProcess::start(folder.path(), |_| ());
    let ada = Person::at(&node.url, "ada");
    for (typed, said) in [
        ("correct horse battery stable\r", "the passphrase is wrong, or the profile is damaged"),
        ("\x03", "no passphrase was given"),
    ] {
        let mut terminal = asked(&ada, &["whoami"]);
        terminal.shows(KNOWN);
        terminal.types(typed);
        let (status, screen) = terminal.ends();
        assert_eq!((status, lines(&screen.text())), (Some(1), vec![KNOWN, &format!("conclave: {said}")]));
    }

    let mut terminal = asked(&ada, &["whoami"]);
    answer(&mut terminal, KNOWN, TYPED);
    let (status, screen) = terminal.ends();
    assert_eq!((status, lines(&screen.text())[0]), (Some(0), KNOWN));
    assert!(screen.text().contains(&node.url), "{}", screen.text());
}

/// What stands on the screen.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect()
}

/// As in the file of those who have one.
const TYPED: &str = "correct horse battery staple";

const NEW: &str = "Choose a passphrase for this device:";
const AGAIN: &str = "Once more:";
const KNOWN: &str = "Passphrase:";
