//! Settings: where they come from, which one wins, and how a wrong one is named. The program itself.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use conclave::node::clock::Clock;
use conclave::node::config::{Environ, PublicAddress, Settings, WebAddress};
use conclave::node::lifecycle::{Node, StartError};

use crate::server::DataFolder;

const DEFAULT: &str = include_str!("../../config/default.toml");

pub(crate) fn load(text: &str, variables: &[(&str, &str)]) -> Result<Settings, String> {
    let folder = DataFolder::new();
    load_file(&folder.write("node.toml", text), variables)
        .map_err(|error| error.replace(&folder.path().display().to_string(), "DIR"))
}

fn load_file(path: &Path, variables: &[(&str, &str)]) -> Result<Settings, String> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Settings::load(Some(path), Environ::Given(variables)).map_err(|error| error.to_string())
}

#[test]
fn default_file_is_what_the_program_prints() {
    assert_eq!(Settings::default().to_toml(), DEFAULT, "run: cargo run -- config print > config/default.toml");
}

#[test]
fn default_file_says_what_holds_without_it() {
    assert_eq!(load(DEFAULT, &[]).unwrap(), Settings::default());
    assert_eq!(load("", &[]).unwrap(), Settings::default());
    assert_eq!(Settings::load(None, Environ::Given(Vec::new())).unwrap(), Settings::default());
}

#[test]
fn files_for_development_and_production_are_good() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let development = load_file(&folder.join("development.toml"), &[]).unwrap();
    let production = load_file(&folder.join("production.toml"), &[]).unwrap();

    assert!(development.sign_in.development);
    assert!(!production.sign_in.development);
    assert!(matches!(production.server.public_url, PublicAddress::Given(address) if address.is_https()));
}

#[test]
fn printed_settings_are_read_back_the_same() {
    let changed = load(
        "[server]\naddress = \"[::1]:1\"\npublic_url = \"http://localhost:2/x/\"\n[store]\nfolder = \"a \\\"b\\\" \\\\\"\n\
         [sign_in]\nredirect_urls = [\"https://a.example/b\", \"https://c.example\"]\n[log]\nformat = \"json\"\n",
        &[],
    )
    .unwrap();

    assert_eq!(load(&changed.to_toml(), &[]).unwrap(), changed);
    assert_ne!(changed, Settings::default());
}

#[test]
fn environment_comes_before_the_file() {
    let settings = load(
        "[server]\naddress = \"127.0.0.1:1\"\nworkers = 3\n",
        &[
            ("CONCLAVE__SERVER__ADDRESS", "127.0.0.1:2"),
            ("CONCLAVE__SIGN_IN__DEVELOPMENT", "false"),
            ("CONCLAVE__SIGN_IN__REDIRECT_URLS", "https://a.example/b,https://c.example/d"),
            ("CONCLAVE__LIMITS__CLAIMS_PER_MINUTE", "7"),
            ("OTHER__SERVER__WORKERS", "9"),
        ],
    )
    .unwrap();

    assert_eq!(settings.server.address, SocketAddr::from(([127, 0, 0, 1], 2)));
    assert_eq!((settings.server.workers.value(), settings.limits.claims_per_minute.value()), (3, 7));
    assert!(!settings.sign_in.development);
    let redirects: Vec<_> = settings.sign_in.redirect_urls.iter().map(WebAddress::as_str).collect();
    assert_eq!(redirects, ["https://a.example/b", "https://c.example/d"]);
}

#[test]
fn wrong_setting_is_named_with_its_file_and_key() {
    for (text, expected) in [
        ("[server]\nadress = \"x\"", "DIR/node.toml: server.adress: there is no such setting"),
        ("[servr]\naddress = \"x\"", "DIR/node.toml: servr.address: there is no such setting"),
        ("workers = 1", "DIR/node.toml: workers: there is no such setting"),
        ("[server]\naddress = \"x\"", "DIR/node.toml: server.address: "),
        ("[server]\nworkers = 257", "DIR/node.toml: server.workers: 257 is not from 0 to 256"),
        ("[server]\nworkers = -1", "DIR/node.toml: server.workers: -1 is not from 0 to 256"),
        ("[server]\nworkers = \"many\"", "DIR/node.toml: server.workers: string \"many\" stands where"),
        ("[server]\npublic_url = \"ftp://x\"", "DIR/node.toml: server.public_url: \"ftp://x\" is not an http"),
        ("[sign_in]\ndevelopment = \"perhaps\"", "DIR/node.toml: sign_in.development: string \"perhaps\" stands"),
        ("[sign_in]\nredirect_urls = [\"x\"]", "DIR/node.toml: sign_in.redirect_urls: \"x\" is not an http"),
        ("[log]\nformat = \"xml\"", "DIR/node.toml: log.format: "),
        ("[log]\nfilter = \"a=b=c\"", "DIR/node.toml: log.filter: "),
        (
            "[custody]\nkey_rotation_seconds = 604801",
            "DIR/node.toml: custody.key_rotation_seconds: 604801 is not from 0",
        ),
        ("[server\n", "DIR/node.toml: "),
        ("[server]\naddress = \"0.0.0.0:1\"", "the defaults: sign_in.development: the development provider signs in"),
    ] {
        let error = load(text, &[]).unwrap_err();
        assert!(error.starts_with(expected), "{text}: {error}");
    }
}

/// A secret is used and never shown: neither by `config print` nor where settings are printed for debugging.
#[test]
fn secrets_of_providers_are_never_printed() {
    let text = "[sign_in.github]\nclient_id = \"app\"\nclient_secret = \"canary\"\n";
    let settings = load(text, &[("CONCLAVE__SIGN_IN__GOOGLE__CLIENT_SECRET", "canary")]).unwrap();

    assert_eq!(settings.github.secret().unwrap().unwrap().expose(), "canary");
    assert_eq!(settings.google.secret().unwrap().unwrap().expose(), "canary");
    let printed = settings.to_toml();
    assert!(!printed.contains("canary") && !format!("{settings:?}").contains("canary"), "{printed}");
    assert_eq!(printed.matches("client_secret = \"(hidden)\"").count(), 2);
    let error = load(&printed, &[]).unwrap_err();
    assert!(error.starts_with("DIR/node.toml: sign_in.github.client_secret: `config print` shows"), "{error}");
}

#[test]
fn secret_stands_in_a_file_of_its_own() {
    let folder = DataFolder::new();
    let load = |name: &str, text: &str| {
        let file = folder.write(name, text);
        let text =
            format!("[sign_in.github]\nclient_id = \"app\"\nclient_secret_file = {:?}\n", file.to_str().unwrap());
        load(&text, &[])
    };

    let settings = load("good", " canary\n").unwrap();
    assert_eq!(settings.github.secret().unwrap().unwrap().expose(), "canary");
    assert!(!settings.to_toml().contains("canary"));
    for (text, reason) in [("", "empty"), (" \n", "empty"), (&*"x".repeat(4_097), "over 4096 bytes")] {
        let error = load("bad", text).unwrap_err();
        assert!(error.contains("sign_in.github.client_secret_file: ") && error.ends_with(reason), "{error}");
    }
}

#[test]
fn providers_that_are_half_set_are_refused() {
    for (text, expected) in [
        ("[sign_in.github]\nclient_id = \"x\"", "DIR/node.toml: sign_in.github.client_id: this provider takes no"),
        ("[sign_in.google]\nclient_id = \"x\"", "DIR/node.toml: sign_in.google.client_id: this provider takes no"),
        ("[sign_in.openid]\nclient_id = \"x\"", "DIR/node.toml: sign_in.openid.client_id: whose client that is"),
        ("[sign_in.openid]\nissuer = \"https://x\"", "DIR/node.toml: sign_in.openid.issuer: the issuer knows the"),
        (
            "[sign_in.openid]\nissuer = \"http://x\"",
            "DIR/node.toml: sign_in.openid.issuer: \"http://x\" is not an https",
        ),
        ("[sign_in.openid]\nname = \"github\"", "DIR/node.toml: sign_in.openid.name: \"github\" is not 1 to 32"),
        ("[sign_in.openid]\nname = \"a/b\"", "DIR/node.toml: sign_in.openid.name: \"a/b\" is not 1 to 32"),
        ("[sign_in.openid]\nisuer = \"x\"", "DIR/node.toml: sign_in.openid.isuer: there is no such setting"),
        ("[sign_in.gitlab]\nclient_id = \"x\"", "DIR/node.toml: sign_in.gitlab.client_id: there is no such setting"),
        (
            "[sign_in.openid]\nclient_secret = \"canary\"\nclient_secret_file = \"/nowhere\"",
            "the settings: sign_in.openid.client_secret_file: there is the secret itself too",
        ),
        (
            "[sign_in.github]\nclient_id = \"x\"\nclient_secret_file = \"/nowhere/x\"",
            "the settings: sign_in.github.client_secret_file: /nowhere/x: No such file",
        ),
    ] {
        let error = load(text, &[]).unwrap_err();
        assert!(error.starts_with(expected) && !error.contains("canary"), "{text}: {error}");
    }
    let slash = load("[sign_in.openid]\nissuer = \"https://x.example/\"\nclient_id = \"x\"", &[]).unwrap();
    assert_eq!(slash.openid.issuer.as_str(), "https://x.example/");
}

/// More often than each minute, or not before keys expire.
#[test]
fn schedule_of_rotation_that_no_key_could_keep_is_refused() {
    for (rotation, age) in [(59, 3_600), (3_601, 3_600), (1, 60), (604_800, 86_400)] {
        let text = format!("[custody]\nkey_rotation_seconds = {rotation}\nkey_age_seconds_max = {age}\n");
        let expected =
            "DIR/node.toml: custody.key_rotation_seconds: it is 0, or from 60 to custody.key_age_seconds_max";
        assert_eq!(load(&text, &[]).unwrap_err(), expected, "{rotation} of {age}");
    }
    for (rotation, expected) in [(0, None), (60, Some(60)), (3_600, Some(3_600))] {
        let text = format!("[custody]\nkey_rotation_seconds = {rotation}\nkey_age_seconds_max = 3600\n");
        assert_eq!(load(&text, &[]).unwrap().custody.key_rotation(), expected.map(Duration::from_secs));
    }
    assert_eq!(Settings::default().custody.key_rotation(), None);
}

#[test]
fn wrong_variable_is_named_too() {
    for (name, value, expected) in [
        ("CONCLAVE__SERVER__WORKERS", "x", "the environment: server.workers: "),
        ("CONCLAVE__SERVER__ADRESS", "x", "the environment: server.adress: there is no such setting"),
        ("CONCLAVE__SIGN_IN__FLOW_SECONDS_MAX", "29", "the environment: sign_in.flow_seconds_max: 29 is not from 30"),
    ] {
        let error = load("", &[(name, value)]).unwrap_err();
        assert!(error.starts_with(expected), "{name}: {error}");
    }
    assert!(load_file(Path::new("/nowhere/node.toml"), &[]).unwrap_err().contains("/nowhere/node.toml"));
}

/// Also a program that makes settings itself cannot have the provider where others reach it.
#[actix_web::test]
async fn development_provider_is_refused_where_others_could_reach_it() {
    let folder = DataFolder::new();
    let mut settings = Settings::default();
    settings.store.folder = folder.path().to_owned();
    settings.server.address = SocketAddr::from(([0, 0, 0, 0], 0));
    settings.metrics.address.set_port(0);

    let refused = Node::start(settings.clone(), Clock::system()).await;
    assert!(matches!(refused, Err(StartError::Config(_))), "{refused:?}");
    settings.sign_in.development = false;
    Node::start(settings, Clock::system()).await.unwrap().stop().await;
}

#[actix_web::test]
async fn address_that_is_taken_is_named() {
    let folder = DataFolder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = Settings::default();
    settings.store.folder = folder.path().to_owned();
    settings.server.address = taken.local_addr().unwrap();

    let error = Node::start(settings.clone(), Clock::system()).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot listen on {} (server.address): ", settings.server.address)), "{error}");
}

#[actix_web::test]
async fn folder_belongs_to_one_node_until_it_has_stopped() {
    let folder = DataFolder::new();
    let mut settings = Settings::default();
    settings.store.folder = folder.path().to_owned();
    settings.server.address.set_port(0);
    settings.metrics.address.set_port(0);

    let first = Node::start(settings.clone(), Clock::system()).await.unwrap();
    let second = Node::start(settings.clone(), Clock::system()).await.unwrap_err().to_string();
    assert_eq!(second, format!("another node uses the folder {} (store.folder)", folder.path().display()));
    first.stop().await;
    Node::start(settings, Clock::system()).await.unwrap().stop().await;
}

fn conclave(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conclave"));
    command.args(arguments);
    command
}

fn output(command: &mut Command) -> (bool, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.success(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn program_prints_and_checks_settings() {
    let folder = DataFolder::new();
    let bad = folder.write("bad.toml", "[server]\nworkers = 999\n");

    assert_eq!(output(&mut conclave(&["config", "print"])), (true, DEFAULT.to_owned(), String::new()));
    let (is_good, text, _) = output(&mut conclave(&["config", "check"]));
    assert!(is_good, "{text}");
    for command in [["config", "check"].as_slice(), &["serve"]] {
        let (is_good, _, error) = output(conclave(command).arg("--config").arg(&bad));
        let expected = format!("conclave: {}: server.workers: 999 is not from 0 to 256\n", bad.display());
        assert_eq!((is_good, error), (false, expected));
    }
}

#[test]
fn program_serves_says_where_and_stops_when_told() {
    let folder = DataFolder::new();
    let data = folder.path().join("data");
    let mut child = conclave(&["serve"])
        .env("CONCLAVE__SERVER__ADDRESS", "127.0.0.1:0")
        .env("CONCLAVE__METRICS__ADDRESS", "127.0.0.1:0")
        .env("CONCLAVE__STORE__FOLDER", &data)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
    let address = first.trim().rsplit_once("http://").unwrap().1.to_owned();
    std::net::TcpStream::connect(&address).unwrap();

    let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();

    assert!(told.success());
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{log}");
    assert!(log.contains("stopping") && log.contains("stopped"), "{log}");
    assert!(data.join("conclave.db").exists());
    assert!(std::net::TcpStream::connect(&address).is_err());
}
