//! `conclave login` and `conclave logout`.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::address::Transport;
use super::devices::{LINK_PATIENCE, until};
use super::names::{self, Named, Names};
use super::out;
use super::profile::{Profile, ProfileArgs, files};
use super::status::CliError;
use super::text::{clean, time_of_day};
use crate::client::{
    Client, ClientError, Events, Http, Linking, RecoveryKit, SignIn, SignInError, SignedIn, Store, UserCode,
};
use crate::wire::{ErrorCode, SecretText};

/// What `conclave login` is told.
#[derive(Debug, Args)]
pub(super) struct Login {
    /// The node, such as `https://node.example`. Without it, the one of the last time.
    #[arg(long, value_name = "URL", env = "CONCLAVE_URL")]
    url: Option<String>,
    /// Who says who you are: one of the node's providers. Without it, the only one there is.
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Shows a code to type into a browser elsewhere, for a machine that has none.
    #[arg(long)]
    device_flow: bool,
    /// A refresh token that another sign-in has given; `-` reads it from standard input. It is used up.
    #[arg(long, value_name = "T", env = "CONCLAVE_TOKEN", hide_env_values = true, allow_hyphen_values = true)]
    #[arg(conflicts_with_all = ["provider", "device_flow", "name"])]
    token: Option<String>,
    /// The name to sign in as, at a node with the provider for development, which believes everybody.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["provider", "device_flow"])]
    name: Option<String>,
    /// A recovery kit, in a file: sets this device up as a further one of the account; the others stay.
    #[arg(long, value_name = "FILE")]
    recover: Option<PathBuf>,
    /// Links this device to the account from another one: shows a code, and waits until it is typed there
    /// (`conclave devices approve CODE`).
    #[arg(long, conflicts_with = "recover")]
    link: bool,
    /// Writes the recovery kit of a new account into a new file, instead of showing it.
    #[arg(long, value_name = "FILE")]
    kit: Option<PathBuf>,
    /// A certificate authority, in PEM: it and no other is trusted from now on.
    #[arg(long, value_name = "FILE")]
    authority: Option<PathBuf>,
    #[command(flatten)]
    transport: Transport,
    #[command(flatten)]
    profile: ProfileArgs,
}

pub(super) const LOGIN_HELP: &str = "Examples:
  conclave login --url https://node.example
  conclave login --url https://node.example --provider github --device-flow
  conclave login --url http://127.0.0.1:7400 --name ada      a node for development

The first login of an account makes its keys, which never leave this device, and shows its
recovery kit: the one way back when every device is lost. Later ones begin a new session.
A second device of an account is linked to the first by `--link`, or set up with the kit by
`--recover FILE`.";

pub(super) async fn run(login: &Login) -> Result<(), Box<dyn Error>> {
    let profile = login.profile.profile()?;
    let url = match &login.url {
        Some(url) => url.clone(),
        None => profile.node_url()?.ok_or_else(|| CliError::Usage("which node? --url URL".to_owned()))?,
    };
    login.transport.check(&url).map_err(|error| CliError::Usage(error.to_string()))?;
    let passphrase = &profile.passphrase().await?;
    let authority = login.authority.as_deref().map(files::read_named).transpose()?;
    let authority = authority.as_ref().map(|pem| pem.as_str());
    if let Some(path) = &login.kit {
        files::check_new(path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let kit = login.recover.as_deref().map(|path| super::backup::read_kit(path)).transpose()?;
    let http = match authority {
        Some(pem) => Http::trusting(pem.as_bytes())?,
        None => profile.http()?,
    };
    let signed_in = login.sign_in(http.clone(), &url).await?;
    match known_device(&profile, passphrase, http, &signed_in).await? {
        Device::Known(client) => {
            profile.set_node(&url, authority)?;
            out::line(format_args!("Signed in again as {}.", client.account_id()))?;
            login.hand_over_kit(&client).await?;
            Ok(client.close().await?)
        }
        Device::New(store) => {
            // Before its set-up, which may be broken off: there is no device that this could take from its node.
            profile.set_node(&url, authority)?;
            let (client, _events) = match &kit {
                Some(kit) => Client::recover(store, signed_in, kit).await.map_err(explained)?,
                None if login.link => link(store, signed_in).await?,
                None => Client::set_up(store, signed_in).await.map_err(explained)?,
            };
            out::line(format_args!("Signed in as {}.", client.account_id()))?;
            if let Some(name) = login.name.as_deref().and_then(|name| names::parse(name).ok()) {
                let own = Named::Account(client.account_id());
                Names::load(&client).await?.give(&client, &name, own).await?;
            }
            out::line("This is the id that others write to; `conclave whoami` shows it again.")?;
            login.hand_over_kit(&client).await?;
            Ok(client.close().await?)
        }
    }
}

/// A profile may hold a device, or be made ready for one.
enum Device {
    Known(Box<Client>),
    New(Store),
}

async fn known_device(
    profile: &Profile,
    passphrase: &Zeroizing<String>,
    http: Http,
    signed_in: &SignedIn,
) -> Result<Device, Box<dyn Error>> {
    if !profile.has_store().await? {
        return Ok(Device::New(profile.create_store(passphrase).await?));
    }
    // It is opened twice where a set-up was broken off: there is a store then, and no device in it.
    let again = profile.open_store(passphrase).await?;
    match Client::open(again, http).await {
        Ok((client, _events)) => {
            client.sign_in_again(signed_in.clone()).await?;
            Ok(Device::Known(Box::new(client)))
        }
        Err(ClientError::NotSetUp) => Ok(Device::New(profile.open_store(passphrase).await?)),
        Err(error) => Err(error.into()),
    }
}

impl Login {
    /// The same, with a recovery kit.
    pub(super) fn recovering(self, kit: PathBuf) -> Self {
        Self { recover: Some(kit), ..self }
    }

    /// The same, taken in by another device.
    pub(super) fn linking(self) -> Self {
        Self { link: true, ..self }
    }

    async fn sign_in(&self, http: Http, url: &str) -> Result<SignedIn, Box<dyn Error>> {
        let sign_in = SignIn::new(http, url);
        if let Some(token) = &self.token {
            let token = match token.as_str() {
                "-" => files::read_text(io::stdin())?.trim().to_owned(),
                token => token.to_owned(),
            };
            return sign_in.token(SecretText::new(token)).await.map_err(refused_token);
        }
        if let Some(name) = &self.name {
            return Ok(sign_in.development(name).await?);
        }
        let provider = match &self.provider {
            Some(provider) => provider.clone(),
            None => only(sign_in.providers().await?)?,
        };
        if self.device_flow {
            let show = |code: &UserCode| {
                let (uri, until) = (clean(&code.verification_uri), time_of_day(code.expires_at));
                eprintln!("Open {uri} in a browser, and type {} (until {until}).", clean(code.code.expose()));
            };
            return Ok(sign_in.device_flow(&provider, show).await?);
        }
        let open = |address: &SecretText| {
            eprintln!("Open this address in a browser on this machine:\n\n  {}\n", clean(address.expose()));
        };
        Ok(sign_in.loopback(&provider, open).await?)
    }

    /// Gives the kit of a new account to its user, if that was not done: at the first login, or at the next one if the first
    /// was broken off.
    async fn hand_over_kit(&self, client: &Client) -> Result<(), Box<dyn Error>> {
        if client.is_kit_due().await? {
            self.hand_over(&client.recovery_kit().await?)?;
            client.kit_is_given().await?;
        }
        Ok(())
    }

    fn hand_over(&self, kit: &RecoveryKit) -> Result<(), Box<dyn Error>> {
        let text = kit.to_text();
        if let Some(path) = &self.kit {
            files::write_new(path, &text).map_err(|error| format!("{}: {error}", path.display()))?;
            out::line(format_args!("The recovery kit is in {}.\n\n{KIT_WORDS}", path.display()))?;
            return Ok(());
        }
        let mut out = io::stdout();
        writeln!(out, "\nYour recovery kit, shown this once:\n\n{}\n{KIT_WORDS}", text.as_str())?;
        if !out.is_terminal() {
            writeln!(out, "It went into a file or a pipe: see that nobody else reads it.")?;
        }
        Ok(out.flush()?)
    }
}

/// Waits until another device of the account has taken this one in.
async fn link(store: Store, signed_in: SignedIn) -> Result<(Client, Events), Box<dyn Error>> {
    let linking = Linking::begin(store, signed_in).await?;
    let code = linking.code();
    eprintln!("On a device that you have, the first one of the account:\n\n  conclave devices approve {}\n", *code);
    eprintln!("The code is for you alone. This waits until it is typed.");
    let (client, events) = linking.wait().await?;
    // The other device gives it what opens the account's rooms and memories.
    let opened = until(async || client.has_vault_key().await);
    if !matches!(timeout(LINK_PATIENCE, opened).await, Ok(Ok(()))) {
        eprintln!("Your rooms and memories open when another device of yours is online together with this one.");
    }
    Ok((client, events))
}

/// The provider, where there is no choice.
fn only(providers: Vec<String>) -> Result<String, Box<dyn Error>> {
    match <[String; 1]>::try_from(providers) {
        Ok([provider]) if provider == "development" => {
            Err(CliError::Usage("this node is for development: say who you are by --name NAME".to_owned()).into())
        }
        Ok([provider]) => Ok(provider),
        Err(providers) => {
            let providers = clean(&providers.join(", "));
            Err(CliError::Usage(format!("which provider? --provider, one of: {providers}")).into())
        }
    }
}

/// It is of another sign-in: what is said of a session that has ended does not help.
fn refused_token(error: SignInError) -> Box<dyn Error> {
    let code = if let SignInError::Api(error) = &error { error.code() } else { None };
    match code {
        Some(code @ (ErrorCode::RefreshRefused | ErrorCode::RefreshReused)) => {
            format!("the token was used before, or its session has ended: sign in for another ({})", code.as_str())
                .into()
        }
        _ => error.into(),
    }
}

fn explained(error: ClientError) -> Box<dyn Error> {
    match error {
        ClientError::AccountExists => {
            "the account has a device already: link this one to it by --link, or use the recovery kit by --recover FILE"
                .into()
        }
        ClientError::OtherAccount => "the kit is of another account than the one that has signed in".into(),
        ClientError::SignIn(SignInError::Refused) => "the sign-in was refused".into(),
        error => error.into(),
    }
}

/// What `conclave logout` is told.
#[derive(Debug, Args)]
pub(super) struct Logout {
    #[command(flatten)]
    pub(super) profile: ProfileArgs,
}

pub(super) const LOGOUT_HELP: &str =
    "Keys and messages stay in the profile; `conclave login` goes on with them. To take this device
off the account for good, revoke it from another one: `conclave devices revoke DEVICE`.";

pub(super) async fn log_out(client: Client, _events: Events) -> Result<(), Box<dyn Error>> {
    client.sign_out().await?;
    out::line("Signed out. Keys and messages are still in the profile.")?;
    Ok(client.close().await?)
}

/// What a recovery kit is for.
pub(super) const KIT_WORDS: &str = "\
Print it, or write it down, and keep it where you keep what must not be lost. If all your
devices are gone, it alone brings your account back; nobody can make another, the node neither.
Whoever else has it can be you: show it to nobody, and keep no picture of it.";
