//! `conclave room`.

use core::time::Duration;
use std::error::Error;
use std::io::{self, Read};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use zeroize::Zeroizing;

use super::names::{self, Named, Names};
use super::out;
use super::profile::ProfileArgs;
use super::status::CliError;
use crate::client::{Client, Events, RoomInfo};
use crate::ids::RoomId;
use crate::wire::{CreateInvitation, Custody, ErrorCode, Protection, RoomPolicy, Signatures};

/// What `conclave room` is told.
#[derive(Debug, Args)]
pub(super) struct Room {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    pub(super) profile: ProfileArgs,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Makes a room, of which you are the owner. Its policy is for good.
    Create {
        /// What you call it. The name is yours alone: the node never sees it.
        name: String,
        /// Whether messages are signed. Signed ones can be shown to others as their writer's; without, whoever reads one
        /// knows who wrote it, and can prove it to nobody.
        #[arg(long, value_enum, default_value_t = Switch::On)]
        signatures: Switch,
    },
    /// Makes an invitation: a text that lets somebody in. Members are who has come by one; whomever the node adds is not.
    Invite {
        /// The room.
        #[arg(allow_hyphen_values = true)]
        room: String,
        /// The one person that it is for: a name, or an account's id. Without it, whoever has it.
        #[arg(allow_hyphen_values = true)]
        user: Option<String>,
        /// How long it is good.
        #[arg(long, value_name = "HOURS", default_value_t = 168, value_parser = clap::value_parser!(u32).range(1..=720))]
        hours: u32,
    },
    /// Comes into a room by an invitation.
    Join {
        /// The invitation, as whoever made it has given it. `-` reads it from the standard input: what stands in a command line,
        /// other programs and the shell's history see.
        #[arg(allow_hyphen_values = true)]
        invitation: String,
        /// What you call the room.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Lists your rooms, with who holds their keys.
    List {
        /// Writes one JSON object a line: `room`, `name`, `policy`, `members`, `refused`, `has_key`, `closed`, `policy_shown`.
        #[arg(long)]
        json: bool,
    },
    /// Lists the members of a room.
    Members {
        /// The room.
        #[arg(allow_hyphen_values = true)]
        room: String,
    },
    /// Removes a member. What is written from then on is not sealed for them.
    Remove {
        /// The room.
        #[arg(allow_hyphen_values = true)]
        room: String,
        /// Who: a name, or an account's id.
        #[arg(allow_hyphen_values = true)]
        user: String,
    },
    /// Takes new keys in a room. It is also done by itself, once a day.
    Rotate {
        /// The room.
        #[arg(allow_hyphen_values = true)]
        room: String,
    },
    /// Leaves a room.
    Leave {
        /// The room.
        #[arg(allow_hyphen_values = true)]
        room: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Switch {
    On,
    Off,
}

pub(super) const HELP: &str = "Examples:
  conclave room create garden
  conclave room invite garden grace       prints what grace types to come in
  conclave room join INVITATION --name garden
  conclave chat garden";

pub(super) async fn run(room: &Room, client: Client, mut events: Events) -> Result<(), Box<dyn Error>> {
    let done = carry_out(&room.what, &client, &mut events).await;
    client.close().await?;
    done
}

async fn carry_out(what: &What, client: &Client, events: &mut Events) -> Result<(), Box<dyn Error>> {
    let mut names = Names::load(client).await?;
    match what {
        What::Create { name, signatures } => {
            let name = names::parse(name)?;
            if names.room(&name).is_ok() {
                return Err(CliError::Usage(format!("{name} is the name of another room already")).into());
            }
            let signatures = match signatures {
                Switch::On => Signatures::On,
                Switch::Off => Signatures::Off,
            };
            let room = client.create_room(RoomPolicy { signatures, ..RoomPolicy::default() }).await?;
            names.give(client, &name, Named::Room(room)).await?;
            show(client, &names, room).await?;
        }
        What::Invite { room, user, hours } => {
            let room = names.room(room)?;
            let for_account = user.as_deref().map(|user| names.account(user)).transpose()?;
            let seconds = Some(hours * 60 * 60);
            let invitation =
                client.invite(room, CreateInvitation { for_account, seconds, ..Default::default() }).await?;
            let name = names.of_room(room).map(|name| format!(" --name {name}")).unwrap_or_default();
            out::line(format_args!("conclave room join {}{name}", invitation.code.expose()))?;
            let whom = for_account.map_or("whoever has it".to_owned(), |account| names.show(account));
            eprintln!("It lets {whom} in, once, for {hours} hours. Send it by a way that you trust.");
        }
        What::Join { invitation, name } => {
            let name = name.as_deref().map(names::parse).transpose()?;
            let room = match invitation.as_str() {
                "-" => {
                    client.join(&Zeroizing::new(io::read_to_string(io::stdin().take(INVITATION_BYTES_MAX))?)).await?
                }
                invitation => client.join(invitation).await?,
            };
            if let Some(name) = name {
                names.give(client, &name, Named::Room(room)).await?;
            }
            show(client, &names, room).await?;
        }
        What::List { json } => list(client, events, &names, *json).await?,
        What::Members { room } => members(client, events, &names, names.room(room)?).await?,
        What::Remove { room, user } => client.remove(names.room(room)?, names.account(user)?).await?,
        What::Rotate { room } => client.rotate_keys(names.room(room)?).await?,
        What::Leave { room } => client.leave(names.room(room)?).await?,
    }
    Ok(())
}

async fn list(client: &Client, events: &mut Events, names: &Names, json: bool) -> Result<(), Box<dyn Error>> {
    super::listen::catch_up(client, events, CATCH_UP).await;
    for room in client.rooms().await? {
        if json {
            let RoomInfo { room_id, policy, members, refused, has_key, is_open: _, is_closed, shown } = &room;
            let name = names.of_room(*room_id);
            let line = json!({
                "room": room_id, "name": name, "policy": policy, "members": members, "refused": refused,
                "has_key": has_key, "closed": is_closed, "policy_shown": shown,
            });
            out::line(line)?;
        } else {
            out::line(line(names, &room))?;
        }
    }
    Ok(())
}

async fn show(client: &Client, names: &Names, room: RoomId) -> Result<(), Box<dyn Error>> {
    let rooms = client.rooms().await?;
    if let Some(room) = rooms.iter().find(|info| info.room_id == room) {
        out::line(line(names, room))?;
    }
    Ok(())
}

async fn members(client: &Client, events: &mut Events, names: &Names, room: RoomId) -> Result<(), Box<dyn Error>> {
    super::listen::catch_up(client, events, CATCH_UP).await;
    let members = client.members(room).await?;
    show(client, names, room).await?;
    let rooms = client.rooms().await?;
    let refused =
        rooms.iter().find(|info| info.room_id == room).map(|info| info.refused.as_slice()).unwrap_or_default();
    for member in members {
        let (account, role, name) = (member.account_id, member.role.as_str(), names.show(member.account_id));
        let refused = if refused.contains(&account) { "  (refused: nothing is sealed for them)" } else { "" };
        out::line(format_args!("  {account}  {role:9}  {name}{refused}"))?;
    }
    Ok(())
}

fn line(names: &Names, room: &RoomInfo) -> String {
    let RoomInfo { room_id, policy, members, refused, has_key, is_open: _, is_closed, shown } = room;
    let name = names.of_room(*room_id).unwrap_or("(no name)");
    let closed = if *is_closed { ", closed" } else { "" };
    let lie = shown.map_or_else(String::new, |shown| {
        format!("\n  THE NODE SHOWS ANOTHER POLICY ({}): nothing is sent there", words(shown))
    });
    let added = match refused.len() {
        0 => String::new(),
        count => format!("\n  THE NODE SHOWS {count} MORE WHO ARE NO MEMBERS: nothing is sealed for them"),
    };
    let locked = if *has_key || policy.custody == Custody::Node { "" } else { LOCKED };
    let (count, plural) = (members.len(), if members.len() == 1 { "member" } else { "members" });
    format!("{room_id}  {name}: {count} {plural}{closed}\n  {}{lie}{added}{locked}", words(*policy))
}

/// Why somebody whom the node shows in a room is no member, in words.
pub(super) const fn refusal(reason: ErrorCode) -> &'static str {
    match reason {
        ErrorCode::MemberRemoved => "you have removed them, and nobody has let them in again",
        ErrorCode::IdentityChanged => "they were let in with another key than they are known by",
        _ => "no member has let them in",
    }
}

/// A policy in words.
pub(super) fn words(policy: RoomPolicy) -> String {
    let RoomPolicy { custody, protection, signatures } = policy;
    let custody = match custody {
        Custody::Client => "end-to-end encrypted: only the members can read it",
        Custody::Node => "NOT end-to-end encrypted: the node holds the keys and can read it",
    };
    let protection = match protection {
        Protection::Ratchet => "ratchet",
        Protection::Mls => "MLS",
    };
    let signatures = match signatures {
        Signatures::On => "signed",
        Signatures::Off => "deniable",
    };
    format!("{custody} ({protection}, {signatures})")
}

const LOCKED: &str = "\n  locked: its key comes when another of your devices is online, or with a new invitation";

/// Bytes of an invitation that are read: several times what one has.
const INVITATION_BYTES_MAX: u64 = 4_096;

/// How long a list waits for what is new.
const CATCH_UP: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_whose_keys_the_node_holds_is_never_called_encrypted_end_to_end() {
        let node = RoomPolicy { custody: Custody::Node, ..RoomPolicy::default() };
        assert!(words(node).starts_with("NOT end-to-end encrypted"));
        assert_eq!(
            words(RoomPolicy::default()),
            "end-to-end encrypted: only the members can read it (ratchet, signed)"
        );
    }
}
