//! The node's settings: typed, complete by default, documented.
//!
//! A setting comes from the environment (`CONCLAVE__SERVER__ADDRESS`), else from the file, else from
//! the defaults here. A setting that does not exist and a value that a setting may not have are errors
//! that name source and key. `config/default.toml` is [`Settings::to_toml`] of the defaults, and a test
//! holds the two equal.

mod client_secret;
mod error;
mod section;
mod source;
mod values;

use core::time::Duration;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

pub use client_secret::{ClientSecret, SecretFile};
pub use error::ConfigError;
use section::section;
pub use source::Environ;
use source::Sources;
pub use values::{
    Bounded, Issuer, LogFilter, LogFormat, ProviderName, PublicAddress, TurnUrl, WebAddress, is_loopback_host,
};

use crate::wire::SecretText;

/// Why one file of TLS alone is refused.
const NEEDS_BOTH_FILES: &str = "a certificate needs its key, and a key its certificate: tls.key_file";

/// Why the development provider is refused.
const DEVELOPMENT_NEEDS_LOOPBACK: &str = "the development provider signs in whoever asks: it may be on only while server.address and server.public_url are \
     loopback addresses";

/// Why a provider without a client secret is refused: both ask for one at every exchange.
const NEEDS_SECRET: &str = "this provider takes no client without a client_secret or client_secret_file";
const NEEDS_CLIENT: &str = "the issuer knows the node by sign_in.openid.client_id, which is not set";
const NEEDS_TURN_SECRET: &str = "the server takes credentials by a secret: turn.secret or turn.secret_file";
const NEEDS_ISSUER: &str = "whose client that is says sign_in.openid.issuer, which is not set";

/// Why a schedule is refused: what is rotated more often is hardly ever read in time, and what is older has expired.
const ROTATION_OUT_OF_AGE: &str = "it is 0, or from 60 to custody.key_age_seconds_max";
const ROTATION_MIN: Duration = Duration::from_secs(60);

section! {
    /// Where the node listens, and how long it waits.
    Server in "server" {
        /// Address and port. Port 0 takes a free one. Where others than this machine reach it, the node speaks TLS
        /// (`[tls]`), or something in front of it does.
        address: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, 7400));
        /// What people and browsers use to reach the node: `"https://conclave.example"`. Empty: `http://`
        /// and the address, `https://` with TLS.
        public_url: PublicAddress = PublicAddress::Derived;
        /// Origins of pages that may open a socket, beside the node's own: `["https://app.example"]`.
        origins: Vec<WebAddress> = Vec::new();
        /// Threads that answer requests, 0 to 256. 0: one for each core.
        workers: Bounded<0, 256> = Bounded::of::<0>();
        /// Connections that one worker holds, 1 to 100000. Further ones wait.
        connections_per_worker_max: Bounded<1, 100_000> = Bounded::of::<5_000>();
        /// Seconds that a client may take to send the head of a request, 1 to 60.
        header_seconds_max: Bounded<1, 60> = Bounded::of::<5>();
        /// Seconds that a whole request may take, body and answer, 1 to 300.
        request_seconds_max: Bounded<1, 300> = Bounded::of::<30>();
        /// Seconds that a client may take for 32 KiB of an answer, 1 to 300.
        answer_seconds_max: Bounded<1, 300> = Bounded::of::<30>();
        /// Seconds that an idle connection is kept, 1 to 300.
        keep_alive_seconds: Bounded<1, 300> = Bounded::of::<15>();
        /// Seconds from when the node was told to stop, and says that it is not ready, until it sends its clients away,
        /// 0 to 300: so that whatever spreads the load has seen it. A second signal cuts it short.
        stop_notice_seconds: Bounded<0, 300> = Bounded::of::<0>();
        /// Seconds that requests under way may still take after the node was told to stop, 1 to 300.
        stop_seconds_max: Bounded<1, 300> = Bounded::of::<20>();
    }
}

section! {
    /// TLS 1.3 in the node itself. Both files, or neither.
    Tls in "tls" {
        /// The certificate and those between it and its root, in PEM. Empty: the node speaks plain HTTP.
        certificate_file: PathBuf = PathBuf::new();
        /// The certificate's key, in PEM, readable by the node alone.
        key_file: PathBuf = PathBuf::new();
        /// Seconds after which the files are read again, 1 to 86400: new connections get the new certificate.
        reload_seconds: Bounded<1, 86_400> = Bounded::of::<60>();
    }
}

impl Tls {
    /// Whether the node speaks TLS.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.certificate_file.as_os_str().is_empty()
    }
}

section! {
    /// What the node keeps.
    Store in "store" {
        /// The folder of the database. It is made if it is not there, and one node uses it at a time. A relative path
        /// starts where the node is started.
        folder: PathBuf = PathBuf::from("data");
    }
}

section! {
    /// Who may sign in, and for how long.
    SignIn in "sign_in" {
        /// The built-in development provider: it signs in anybody under any name, without a password. It
        /// is refused unless `server.address` and `server.public_url` are loopback addresses.
        development: bool = true;
        /// Where a browser may be sent back to after sign-in, beside loopback addresses, which always
        /// may. Exact addresses: `["https://app.example/signed-in"]`.
        redirect_urls: Vec<WebAddress> = Vec::new();
        /// Seconds from the start of a sign-in to its end, 30 to 3600.
        flow_seconds_max: Bounded<30, 3_600> = Bounded::of::<600>();
        /// Seconds that an access token is good for, 30 to 86400.
        access_seconds: Bounded<30, 86_400> = Bounded::of::<900>();
        /// Hours without use after which a session ends, 1 to 8760.
        idle_hours_max: Bounded<1, 8_760> = Bounded::of::<720>();
        /// Hours after which a session ends however much it is used, 1 to 87600.
        session_hours_max: Bounded<1, 87_600> = Bounded::of::<4_320>();
    }
}

section! {
    /// Sign-in by GitHub: on when `client_id` is set. At GitHub, the app's callback address is that of the
    /// node with `/auth/github/callback`.
    GitHub in "sign_in.github" {
        /// The app's client id. Empty: off.
        client_id: String = String::new();
        /// The app's client secret. It is never printed.
        client_secret: ClientSecret = ClientSecret::default();
        /// A file that holds the client secret, in place of `client_secret`.
        client_secret_file: SecretFile = SecretFile::default();
        /// Where people sign in. For GitHub Enterprise: `"https://github.example"`.
        web_url: WebAddress = WebAddress::fixed("https://github.com");
        /// Where the API is. For GitHub Enterprise: `"https://github.example/api/v3"`.
        api_url: WebAddress = WebAddress::fixed("https://api.github.com");
    }
}

section! {
    /// Sign-in by Google: on when `client_id` is set. At Google, the redirect address is that of the node
    /// with `/auth/google/callback`.
    Google in "sign_in.google" {
        /// The client id. Empty: off.
        client_id: String = String::new();
        /// The client secret. It is never printed.
        client_secret: ClientSecret = ClientSecret::default();
        /// A file that holds the client secret, in place of `client_secret`.
        client_secret_file: SecretFile = SecretFile::default();
    }
}

section! {
    /// Sign-in by any issuer of OpenID Connect that has a discovery document: on when `issuer` is set. The
    /// redirect address to register there is that of the node with `/auth/`, the name and `/callback`.
    OpenId in "sign_in.openid" {
        /// What the API and the redirect address call it: 1 to 32 lowercase letters, digits and hyphens.
        name: ProviderName = ProviderName::fixed("openid");
        /// The issuer, exactly as it calls itself: `"https://login.example/realms/main"`. It is `https`, but
        /// on a loopback address. Empty: off.
        issuer: Issuer = Issuer::default();
        /// The client id.
        client_id: String = String::new();
        /// The client secret; a public client has none. It is never printed.
        client_secret: ClientSecret = ClientSecret::default();
        /// A file that holds the client secret, in place of `client_secret`.
        client_secret_file: SecretFile = SecretFile::default();
    }
}

section! {
    /// How often somebody may ask. Past a limit the answer is 429, with the seconds to wait. A whole
    /// minute's worth may come at once.
    Limits in "limits" {
        /// Calls in a minute without a valid token, by address (IPv6: by /64), 1 to 100000.
        sign_in_per_minute: Bounded<1, 100_000> = Bounded::of::<60>();
        /// Calls in a minute with a token, by account, 1 to 1000000.
        requests_per_minute: Bounded<1, 1_000_000> = Bounded::of::<600>();
        /// Commands in a minute over sockets, by account, 1 to 100000000. An envelope counts as one, what is told to a
        /// whole room as four.
        commands_per_minute: Bounded<1, 100_000_000> = Bounded::of::<6_000>();
        /// Sockets that are open at once, by address (IPv6: by /64), 1 to 1000000.
        sockets_per_address: Bounded<1, 1_000_000> = Bounded::of::<1_000>();
        /// Connections that are open at once, by address, sockets among them, 1 to 1000000. Further ones are closed at once.
        connections_per_address: Bounded<1, 1_000_000> = Bounded::of::<2_000>();
        /// Claims in a minute, by who asks and whose device is asked for, 1 to 1000. A claim takes one
        /// of the device's one-time keys.
        claims_per_minute: Bounded<1, 1_000> = Bounded::of::<10>();
    }
}

section! {
    /// A TURN server, which relays calls between members who do not reach each other. The node makes credentials for it:
    /// on when `urls` has an address. With coturn: `use-auth-secret`, and `static-auth-secret` as here.
    Turn in "turn" {
        /// The server's addresses: `["turn:turn.example:3478?transport=udp", "turns:turn.example:5349"]`.
        urls: Vec<TurnUrl> = Vec::new();
        /// The secret that the server knows too. It is never printed.
        secret: ClientSecret = ClientSecret::default();
        /// A file that holds the secret, in place of `secret`.
        secret_file: SecretFile = SecretFile::default();
        /// Seconds that credentials are good for, 60 to 86400. A call that lasts longer asks again.
        ttl_seconds: Bounded<60, 86_400> = Bounded::of::<3_600>();
    }
}

impl Turn {
    /// The secret, from the settings or its file; none if there is no server.
    ///
    /// # Errors
    /// As [`GitHub::secret`].
    pub fn secret(&self) -> Result<Option<SecretText>, ConfigError> {
        Ok(self.secret.or_file(&self.secret_file, "turn.secret_file")?.filter(|_| !self.urls.is_empty()))
    }
}

section! {
    /// Keys of rooms: how long they count, and whether the node holds any. A room says when it is made who holds its keys,
    /// for good.
    Custody in "custody" {
        /// Whether rooms may be made whose keys the node holds, in memory, for thin clients (custody `node`). Whoever runs the
        /// node, or reads its memory, can read what is said there. Turn off swap and core dumps.
        enabled: bool = false;
        /// Seconds that a key counts, 60 to 604800: keys that the node holds are wiped then.
        key_age_seconds_max: Bounded<60, 604_800> = Bounded::of::<86_400>();
        /// Seconds after which the node makes the session keys that it holds anew, as if their member had asked: 60 to
        /// `key_age_seconds_max`. 0: by hand alone, because what was encrypted with the keys before and is not read yet is
        /// not opened any more. Identities are not rotated so, and expire: nobody's keys are held for ever.
        key_rotation_seconds: Bounded<0, 604_800> = Bounded::of::<0>();
        /// Seconds that the nonce of an envelope is remembered, 60 to 3600: in every room, and where the node decrypts. A
        /// shorter time makes the window shorter in which an envelope is admitted; a longer one makes it no longer.
        nonce_ttl_seconds: Bounded<60, 3_600> = Bounded::of::<300>();
        /// Whether envelopes are signed in rooms that are made without a policy.
        signatures: bool = true;
    }
}

impl Custody {
    /// How long a key counts.
    #[must_use]
    pub const fn key_age_max(&self) -> Duration {
        self.key_age_seconds_max.seconds()
    }

    /// How old held session keys become before they are made anew; none: they are not, but by hand.
    #[must_use]
    pub fn key_rotation(&self) -> Option<Duration> {
        Some(self.key_rotation_seconds.seconds()).filter(|age| !age.is_zero())
    }
}

section! {
    /// Vaults: what each account may keep there. Items are sealed by its clients.
    Vault in "vault" {
        /// Items of one account, 1 to 1000000. What remains of a deleted one counts too.
        items_per_account: Bounded<1, 1_000_000> = Bounded::of::<10_000>();
        /// Mebibytes of the items of one account, as they are sealed, 1 to 1048576.
        mebibytes_per_account: Bounded<1, 1_048_576> = Bounded::of::<256>();
    }
}

section! {
    /// What the node counts, for Prometheus: `GET /metrics` at an address of its own. It is plain HTTP and asks for no
    /// token, also where the node speaks TLS: let those alone reach it who watch over the node.
    Metrics in "metrics" {
        /// Whether the numbers are served.
        enabled: bool = true;
        /// Address and port. Port 0 takes a free one.
        address: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, 7401));
    }
}

section! {
    /// What the node writes about itself, to standard error. Never tokens, keys, names or addresses.
    Log in "log" {
        /// `"text"` for people, `"json"` for programs.
        format: LogFormat = LogFormat::Text;
        /// Which lines: `"error"`, `"warn"`, `"info"`, `"debug"`, or by target: `"warn,audit=info"`.
        filter: LogFilter = LogFilter::default();
    }
}

/// Every setting of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where the node listens, and how long it waits.
    pub server: Server,
    /// TLS in the node itself.
    pub tls: Tls,
    /// What the node keeps.
    pub store: Store,
    /// Who may sign in, and for how long.
    pub sign_in: SignIn,
    /// Sign-in by GitHub.
    pub github: GitHub,
    /// Sign-in by Google.
    pub google: Google,
    /// Sign-in by any issuer of OpenID Connect.
    pub openid: OpenId,
    /// How often somebody may ask.
    pub limits: Limits,
    /// A TURN server.
    pub turn: Turn,
    /// Keys of rooms.
    pub custody: Custody,
    /// Vaults.
    pub vault: Vault,
    /// What the node counts.
    pub metrics: Metrics,
    /// What the node writes about itself.
    pub log: Log,
}

impl Settings {
    /// Reads the settings: the environment before the file before the defaults.
    ///
    /// # Errors
    /// [`ConfigError`], with source and key.
    pub fn load(file: Option<&Path>, environ: Environ) -> Result<Self, ConfigError> {
        let sign_in = [SignIn::KEYS, GitHub::KEYS, Google::KEYS, OpenId::KEYS].concat();
        let watched = [Metrics::KEYS, Log::KEYS].concat();
        let rooms = [Limits::KEYS, Turn::KEYS, Custody::KEYS, Vault::KEYS].concat();
        let known = [Server::KEYS, Tls::KEYS, Store::KEYS, &sign_in, &rooms, &watched].concat();
        let sources = Sources::read(file, environ, &known)?;
        let settings = Self {
            server: Server::read(&sources)?,
            tls: Tls::read(&sources)?,
            store: Store::read(&sources)?,
            sign_in: SignIn::read(&sources)?,
            github: GitHub::read(&sources)?,
            google: Google::read(&sources)?,
            openid: OpenId::read(&sources)?,
            limits: Limits::read(&sources)?,
            turn: Turn::read(&sources)?,
            custody: Custody::read(&sources)?,
            vault: Vault::read(&sources)?,
            metrics: Metrics::read(&sources)?,
            log: Log::read(&sources)?,
        };
        settings.check(&|key| sources.origin(key).to_owned())?;
        Ok(settings)
    }

    /// Refuses settings that do not go together; `origin` says where a setting is from.
    ///
    /// # Errors
    /// [`ConfigError::Conflict`].
    pub fn check(&self, origin: &dyn Fn(&str) -> String) -> Result<(), ConfigError> {
        let conflict = |key, reason| Err(ConfigError::Conflict { origin: origin(key), key, reason });
        let is_local = self.server.address.ip().is_loopback() && self.server.public_url.is_loopback();
        if self.sign_in.development && !is_local {
            return conflict("sign_in.development", DEVELOPMENT_NEEDS_LOOPBACK);
        }
        if self.tls.is_on() == self.tls.key_file.as_os_str().is_empty() {
            return conflict("tls.certificate_file", NEEDS_BOTH_FILES);
        }
        let Self { github, google, openid, .. } = self;
        if github.is_on() && github.secret()?.is_none() {
            return conflict("sign_in.github.client_id", NEEDS_SECRET);
        }
        if google.is_on() && google.secret()?.is_none() {
            return conflict("sign_in.google.client_id", NEEDS_SECRET);
        }
        if openid.is_on() && openid.client_id.is_empty() {
            return conflict("sign_in.openid.issuer", NEEDS_CLIENT);
        }
        if !openid.is_on() && !openid.client_id.is_empty() {
            return conflict("sign_in.openid.client_id", NEEDS_ISSUER);
        }
        openid.secret()?;
        if self.turn.secret()?.is_none() && !self.turn.urls.is_empty() {
            return conflict("turn.urls", NEEDS_TURN_SECRET);
        }
        if self.custody.key_rotation().is_some_and(|age| age < ROTATION_MIN || age > self.custody.key_age_max()) {
            return conflict("custody.key_rotation_seconds", ROTATION_OUT_OF_AGE);
        }
        Ok(())
    }

    /// The settings as a documented TOML file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let Self { server, tls, store, sign_in, github, google, openid, limits, turn, custody, vault, metrics, log } =
            self;
        let mut text = HEADER.to_owned();
        server.print(&mut text);
        tls.print(&mut text);
        store.print(&mut text);
        sign_in.print(&mut text);
        github.print(&mut text);
        google.print(&mut text);
        openid.print(&mut text);
        limits.print(&mut text);
        turn.print(&mut text);
        custody.print(&mut text);
        vault.print(&mut text);
        metrics.print(&mut text);
        log.print(&mut text);
        text
    }
}

impl GitHub {
    /// Whether people can sign in by it.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        !self.client_id.is_empty()
    }

    /// The client secret, from the settings or its file.
    ///
    /// # Errors
    /// [`ConfigError`] if both are given, or if the file cannot be read.
    pub fn secret(&self) -> Result<Option<SecretText>, ConfigError> {
        self.client_secret.or_file(&self.client_secret_file, "sign_in.github.client_secret_file")
    }
}

impl Google {
    /// Whether people can sign in by it.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        !self.client_id.is_empty()
    }

    /// As [`GitHub::secret`].
    ///
    /// # Errors
    /// As [`GitHub::secret`].
    pub fn secret(&self) -> Result<Option<SecretText>, ConfigError> {
        self.client_secret.or_file(&self.client_secret_file, "sign_in.google.client_secret_file")
    }
}

impl OpenId {
    /// Whether people can sign in by it.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.issuer.is_set()
    }

    /// As [`GitHub::secret`].
    ///
    /// # Errors
    /// As [`GitHub::secret`].
    pub fn secret(&self) -> Result<Option<SecretText>, ConfigError> {
        self.client_secret.or_file(&self.client_secret_file, "sign_in.openid.client_secret_file")
    }
}

const HEADER: &str = "\
# Every setting of a Conclave node, as `conclave config print` writes it. A file that is given with
# `conclave serve --config FILE` needs only what is to be different; what it lacks is as here.
#
# The environment overrides both: CONCLAVE__SERVER__ADDRESS=127.0.0.1:8080 is `address` in `[server]`.
# Parts of a list are separated by commas there.
";
