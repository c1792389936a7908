//! The node as it ships: its release program, with the store on disk. Only limits on how often somebody may ask are off.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command as Program, Stdio};

use conclave::ids::RoomId;
use conclave::wire::{Command, Encoding};

use crate::driver::{Crowd, Driver};
use crate::people::Person;
use crate::process::Process;
use crate::{frame, handshake};

/// Starts a node on a data folder.
pub(crate) fn start(folder: &Path) -> Process {
    Process::start(
        Program::new(env!("CARGO_BIN_EXE_conclave"))
            .arg("serve")
            .env_clear()
            .env("CONCLAVE__SERVER__ADDRESS", "127.0.0.1:0")
            .env("CONCLAVE__SERVER__CONNECTIONS_PER_WORKER_MAX", "20000")
            .env("CONCLAVE__METRICS__ADDRESS", "127.0.0.1:0")
            .env("CONCLAVE__STORE__FOLDER", folder)
            .env("CONCLAVE__SIGN_IN__ACCESS_SECONDS", "86400")
            .env("CONCLAVE__LIMITS__SIGN_IN_PER_MINUTE", "100000")
            .env("CONCLAVE__LIMITS__COMMANDS_PER_MINUTE", "100000000")
            .env("CONCLAVE__LIMITS__SOCKETS_PER_ADDRESS", "1000000")
            .env("CONCLAVE__LIMITS__CONNECTIONS_PER_ADDRESS", "1000000")
            .stderr(Stdio::null()),
    )
}

/// What a node has counted of its commits.
pub(crate) struct Counts {
    address: String,
}

/// How many of each there were.
#[derive(Clone, Copy)]
pub(crate) struct Committed {
    pub(crate) commits: f64,
    pub(crate) envelopes: f64,
}

impl Counts {
    pub(crate) fn of(process: &mut Process) -> Self {
        let url = process.says("metrics");
        Self { address: url.trim_start_matches("http://").trim_end_matches("/metrics").to_owned() }
    }

    pub(crate) fn now(&self) -> Committed {
        let text = handshake::get(&self.address, "/metrics").1;
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.trim().parse().ok()).unwrap_or(0.0)
        };
        Committed {
            commits: value("conclave_store_commits_total "),
            envelopes: value("conclave_envelopes_stored_total{log=\"room\"} "),
        }
    }
}

/// Opens a socket for each of these people, joins the room, and waits until all are level with it.
pub(crate) fn join(driver: &mut Driver, crowd: &mut Crowd, address: SocketAddr, people: &[Person], room_id: RoomId) {
    let hello = Command::Hello { id: 1, credential: None, mailbox: None };
    let join = Command::Join { id: 2, room_id, after: None };
    let commands = [hello, join].map(|command| frame::from_client(&command.to_bytes(Encoding::Cbor))).concat();
    for people in people.chunks(SOCKETS_AT_ONCE) {
        let streams = people.iter().map(|person| {
            let authorization = format!("Bearer {}", person.token.expose());
            let subprotocol = Encoding::Cbor.subprotocol();
            let headers = [("sec-websocket-protocol", subprotocol), ("authorization", &authorization)];
            handshake::upgrade(address, "/ws", &headers)
        });
        let begin = crowd.clients.end;
        driver.grow(crowd, streams.collect());
        let new = begin..crowd.clients.end;
        for client in new.clone() {
            driver.send(client, &commands);
        }
        // With the mailbox, and with the room.
        driver.run_until("sockets join", |driver| new.clone().all(|client| driver.tally_of(client).caught_up == 2));
    }
}

/// Sockets that are opened before what comes is read.
const SOCKETS_AT_ONCE: usize = 100;
