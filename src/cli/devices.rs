//! `conclave devices`.

use core::time::Duration;
use std::error::Error;

use clap::{Args, Subcommand};
use tokio::time::{sleep, timeout};

use super::login::Login;
use super::out;
use super::profile::ProfileArgs;
use super::status::CliError;
use super::text::day;
use crate::client::{Client, ClientError, Events};

/// What `conclave devices` is told.
#[derive(Debug, Args)]
pub(super) struct Devices {
    #[command(subcommand)]
    pub(super) what: Option<What>,
    #[command(flatten)]
    pub(super) profile: ProfileArgs,
}

/// What is done with devices.
#[derive(Debug, Subcommand)]
pub(super) enum What {
    /// Lists the account's devices.
    List,
    /// Links this device to its account from another one. It is `login --link`.
    #[command(after_help = super::login::LOGIN_HELP)]
    Link(Login),
    /// Takes in a device that waits: type the code here that it shows. It will read and write as you.
    Approve {
        /// The code.
        #[arg(allow_hyphen_values = true)]
        code: String,
    },
    /// Takes a device off the account: it is signed out, and nobody writes to it any more.
    Revoke {
        /// The device's id.
        #[arg(allow_hyphen_values = true)]
        device: String,
    },
}

pub(super) const HELP: &str = "Examples:
  conclave devices
  conclave devices link --url URL            on the new device: shows a code
  conclave devices approve CODE              on the first one
  conclave devices revoke DEVICE             one that was lost

Only the first device, or one that was set up with the recovery kit, can approve and revoke.";

pub(super) async fn run(devices: &Devices, client: Client, _events: Events) -> Result<(), Box<dyn Error>> {
    let done = match &devices.what {
        None | Some(What::List) => list(&client).await,
        Some(What::Approve { code }) => approve(&client, code).await,
        // It is carried out as a login.
        Some(What::Link(_)) => Ok(()),
        Some(What::Revoke { device }) => revoke(&client, device).await,
    };
    client.close().await?;
    done
}

async fn list(client: &Client) -> Result<(), Box<dyn Error>> {
    let own = client.device();
    for device in client.devices(own.account_id).await? {
        let (id, since) = (device.address().device_id, day(device.certificate().created_at));
        let is_this = if device.address() == own { "  (this one)" } else { "" };
        out::line(format_args!("{id}  since {since}{is_this}"))?;
    }
    Ok(())
}

async fn approve(client: &Client, code: &str) -> Result<(), Box<dyn Error>> {
    let device = client.link_device(code).await?;
    out::line(format_args!("{device} is a device of this account from now on."))?;
    // The new one asks for it as soon as it is set up, which it is waiting to be. Events are left for whoever listens.
    let shared = until(async || client.has_shared_vault_key(device).await);
    if !matches!(timeout(LINK_PATIENCE, shared).await, Ok(Ok(()))) {
        eprintln!("It opens your rooms and memories when this device is online together with it: `conclave listen`.");
    }
    Ok(())
}

/// Until something is so.
pub(super) async fn until(is_so: impl AsyncFn() -> Result<bool, ClientError>) -> Result<(), ClientError> {
    while !is_so().await? {
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

async fn revoke(client: &Client, device: &str) -> Result<(), Box<dyn Error>> {
    let device =
        device.parse().map_err(|_| CliError::Usage("that is no device's id: see `conclave devices`".into()))?;
    client.revoke_device(device).await?;
    out::line(format_args!("{device} is no device of this account any more."))?;
    Ok(())
}

/// How long two devices that are linked wait for each other.
pub(super) const LINK_PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks whether something is so.
const LOOK_EVERY: Duration = Duration::from_millis(50);
