//! `conclave whoami`.

use core::time::Duration;
use std::error::Error;

use clap::Args;
use serde_json::json;
use tokio::time::timeout;

use super::names::Names;
use super::out;
use super::profile::ProfileArgs;
use crate::client::{Client, Event, Events};

/// What `conclave whoami` is told.
#[derive(Debug, Args)]
pub(super) struct Whoami {
    /// Writes one JSON object: `account`, `device`, `name`, `node`, `connection`.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) profile: ProfileArgs,
}

pub(super) const HELP: &str =
    "The account's id is what you give to others: `conclave send --to ID`, `conclave contact add NAME ID`.";

pub(super) async fn run(whoami: &Whoami, client: Client, mut events: Events) -> Result<(), Box<dyn Error>> {
    let name = Names::load(&client).await?.of_account(client.account_id()).map(str::to_owned);
    let node = whoami.profile.profile()?.node_url()?;
    let connection = connection(&mut events).await;
    let (account, device) = (client.account_id(), client.device().device_id);
    if whoami.json {
        let answer = json!({
            "account": account, "device": device, "name": name, "node": node, "connection": connection,
        });
        out::line(answer)?;
    } else {
        if let Some(name) = name {
            out::line(format_args!("name     {name}"))?;
        }
        out::line(format_args!("account  {account}\ndevice   {device}"))?;
        out::line(format_args!("node     {}, {connection}", node.as_deref().unwrap_or("unknown")))?;
    }
    Ok(client.close().await?)
}

/// How the device stands with the node: the first that it says of that.
async fn connection(events: &mut Events) -> &'static str {
    let first = async {
        loop {
            match events.next().await {
                // A message says that too, and is told again to whoever listens.
                Some(Event::Connected | Event::Message(_)) => return "connected",
                Some(Event::SignedOut { .. }) => return "signed out",
                Some(Event::Distrusted { .. }) => return "not believed",
                Some(Event::Refused) => return "in use elsewhere",
                Some(Event::Disconnected { .. }) | None => return "not reached",
                Some(_) => {}
            }
        }
    };
    timeout(PATIENCE, first).await.unwrap_or("not reached")
}

/// How long a node has to answer.
const PATIENCE: Duration = Duration::from_secs(5);
