//! `conclave contact`.

use std::error::Error;

use clap::{Args, Subcommand};

use super::names::{Named, Names};
use super::out;
use super::profile::ProfileArgs;
use crate::client::{Client, Events};

/// What `conclave contact` is told.
#[derive(Debug, Args)]
pub(super) struct Contact {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    pub(super) profile: ProfileArgs,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Gives somebody a name. The name is yours alone: it is kept encrypted, and the node never sees it.
    Add {
        /// What you call them.
        name: String,
        /// Their account's id, which `conclave whoami` shows them.
        #[arg(allow_hyphen_values = true)]
        account: String,
    },
    /// Lists those who have a name.
    List,
    /// Takes a name away.
    Remove {
        /// The name.
        name: String,
    },
    /// Shows the safety number with somebody: sixty digits. Compare them by voice or in person: if both of you read the
    /// same, nobody stands between you.
    Safety {
        /// A name, or an account's id.
        #[arg(allow_hyphen_values = true)]
        user: String,
    },
    /// Goes on with somebody whose identity has changed, after you have compared the new safety number.
    Accept {
        /// A name, or an account's id.
        #[arg(allow_hyphen_values = true)]
        user: String,
    },
}

pub(super) const HELP: &str = "Examples:
  conclave contact add grace Rk0zQ2pWb1h5N3ZKbGd3UQ
  conclave contact safety grace";

pub(super) async fn run(contact: &Contact, client: Client, _events: Events) -> Result<(), Box<dyn Error>> {
    let done = carry_out(&contact.what, &client).await;
    client.close().await?;
    done
}

async fn carry_out(what: &What, client: &Client) -> Result<(), Box<dyn Error>> {
    let mut names = Names::load(client).await?;
    match what {
        What::Add { name, account } => {
            let account = names.account(account)?;
            names.give(client, name, Named::Account(account)).await?;
            out::line(format_args!("{account} is {name} from now on."))?;
        }
        What::List => {
            for (name, account) in names.accounts() {
                let is_own = if account == client.account_id() { "  (you)" } else { "" };
                out::line(format_args!("{account}  {name}{is_own}"))?;
            }
        }
        What::Remove { name } => {
            let account = names.account(name)?;
            names.give(client, "", Named::Account(account)).await?;
        }
        What::Safety { user } => return safety(client, &names, user).await,
        What::Accept { user } => {
            let account = names.account(user)?;
            let known = client.known_account(account).await?.and_then(|known| known.changed_to);
            let root_key = known.ok_or("their identity has not changed")?;
            client.accept_identity(account, root_key).await?;
            out::line(format_args!("The new identity of {} is taken.", names.show(account)))?;
        }
    }
    Ok(())
}

async fn safety(client: &Client, names: &Names, user: &str) -> Result<(), Box<dyn Error>> {
    let account = names.account(user)?;
    let number = client.safety_number(account).await?.ok_or("they have no device yet")?;
    out::line(format_args!("The safety number with {}:\n\n{}\n", names.show(account), in_rows(&number.to_string())))?;
    if let Some(changed) = client.changed_safety_number(account).await? {
        out::line("The node shows another identity of theirs, which would have this one:\n")?;
        out::line(format_args!("{}\n", in_rows(&changed.to_string())))?;
        out::line(format_args!("Compare it with them. If it is theirs: conclave contact accept {user}"))?;
    } else {
        out::line("They see it by `conclave contact safety` too. If it is the same, nobody stands between you.")?;
    }
    Ok(())
}

/// Twelve groups of digits as three rows of four.
pub(super) fn in_rows(number: &str) -> String {
    let groups: Vec<&str> = number.split(' ').collect();
    let rows: Vec<String> = groups.chunks(4).map(|row| format!("  {}", row.join(" "))).collect();
    rows.join("\n")
}
