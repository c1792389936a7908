//! What the node counts, for whoever watches over it: Prometheus reads it from an address of its own.
//!
//! Numbers say how much and how fast. They have names with units, and labels with few values: a route's template, a stable
//! code, a provider's name; never an id, an address, or anything of a user.
//!
//! - What happens is counted where it happens, by handles of [`Metrics`].
//! - How things stand (queues, sockets, rooms) is looked up when somebody asks (`scrape.rs`).
//! - [`serve`] answers `GET /metrics`, without TLS and without a token, also on a node that speaks TLS: its address is to be
//!   reached by those alone who may know how busy the node is.
//!
//! Source: the text format of Prometheus, version 0.0.4, and its practices for names.

mod instrument;
mod scrape;
mod server;

pub use metrics::{Counter, Gauge, Histogram};

pub use instrument::{Family, Share};
pub use server::serve;

use instrument::{Instrument, Registry, group};

group! {
    /// Keys, and what is sealed with them.
    EndToEnd {
        /// Key pairs that the node has made for rooms whose keys it holds, by type: ephemeral, identity.
        keys_generated: Family<Counter> = "conclave_keys_generated_total" ["key_type"];
        /// Key exchanges that succeeded, in rooms whose keys the node holds.
        key_exchanges: Counter = "conclave_key_exchanges_total";
        /// Keys that were rotated, by hand or on schedule, in rooms whose keys the node holds.
        key_rotations: Counter = "conclave_key_rotations_total";
        /// Keys that were revoked or had expired, in rooms whose keys the node holds.
        key_revocations: Counter = "conclave_key_revocations_total";
        /// Messages that the node has encrypted, in rooms whose keys it holds.
        encryptions: Counter = "conclave_encryptions_total";
        /// Messages that the node has decrypted, in rooms whose keys it holds.
        decryptions: Counter = "conclave_decryptions_total";
        /// Envelopes that were refused because their signature does not hold.
        signatures_failed: Counter = "conclave_signatures_failed_total";
        /// Envelopes that were refused because their nonce was used before.
        replays_refused: Counter = "conclave_replays_refused_total";
    }
}

group! {
    /// Envelopes on their way.
    Envelopes {
        /// Envelopes that are on disk for the first time, by log: room, mailbox.
        stored: Family<Counter> = "conclave_envelopes_stored_total" ["log"];
        /// Envelopes that were put into the queue of a socket, by log (room, mailbox) and by way: live as they were stored,
        /// or read from the log later.
        delivered: Family<Counter> = "conclave_envelopes_delivered_total" ["log", "way"];
        /// Seconds from the admission of an envelope until the sockets of one worker, whose sessions follow live, had been
        /// written to: what a socket took of it is in the system's hands then. One observation for each envelope and worker.
        delivery: Histogram = "conclave_envelope_delivery_seconds";
        /// Envelopes in one batch of a room, which is stored in one transaction.
        batch: Histogram = "conclave_room_batch_envelopes";
        /// Envelopes that rooms have admitted, and that are not stored yet.
        waiting: Gauge = "conclave_room_envelopes_waiting";
    }
}

group! {
    /// Actors and sockets.
    Sockets {
        /// Sockets that were opened.
        opened: Counter = "conclave_sockets_opened_total";
        /// Requests for a socket that were refused, by code.
        refused: Family<Counter> = "conclave_sockets_refused_total" ["code"];
        /// Sockets that the node has closed, by close code.
        closed: Family<Counter> = "conclave_sockets_closed_total" ["code"];
        /// Commands over sockets that were refused, by code.
        commands_refused: Family<Counter> = "conclave_commands_refused_total" ["code"];
        /// What did not fit into a queue and was dropped, by queue: the mailbox of an actor (what it has to know is told
        /// again, or read from the log), or that of a socket (presence, typing and signals).
        dropped: Family<Counter> = "conclave_dropped_total" ["queue"];
        /// Sockets that are open.
        open: Gauge = "conclave_sockets_open";
        /// Sockets that have said which device they are of.
        sessions: Gauge = "conclave_sessions_open";
        /// Rooms whose actor runs.
        rooms: Gauge = "conclave_rooms_active";
        /// Bytes in the queues of sockets, which their clients have not taken yet.
        queued_bytes: Gauge = "conclave_socket_queue_bytes";
        /// Bytes in the longest queue of a socket.
        queued_bytes_max: Gauge = "conclave_socket_queue_bytes_max";
        /// Logs that sockets follow: rooms and mailboxes.
        feeds: Gauge = "conclave_feeds";
        /// Logs that sockets follow and are behind in: they read them from the store.
        feeds_behind: Gauge = "conclave_feeds_behind";
        /// Entries of a room's log that the socket which is most behind has still to read.
        feed_lag_max: Gauge = "conclave_feed_lag_entries_max";
    }
}

group! {
    /// The store's writer.
    Writes {
        /// Transactions that were committed and synced.
        commits: Counter = "conclave_store_commits_total";
        /// Transactions that the disk or the database failed.
        commits_failed: Counter = "conclave_store_commits_failed_total";
        /// Writes in the transactions that were committed.
        writes: Counter = "conclave_store_writes_total";
        /// Writes that were refused because the writer's queue was full.
        refused: Counter = "conclave_store_writes_refused_total";
        /// Writes that wait for the writer.
        waiting: Gauge = "conclave_store_writes_waiting";
        /// Seconds that a transaction took, sync included.
        commit: Histogram = "conclave_store_commit_seconds";
        /// Writes in one transaction.
        batch: Histogram = "conclave_store_commit_writes";
    }
}

group! {
    /// REST, and who may do what.
    Calls {
        /// Requests that were answered, by method, route and class of the status. Requests for sockets are not among them.
        answered: Family<Counter> = "conclave_http_requests_total" ["method", "route", "status"];
        /// Seconds from the head of a request until its answer was made, by method and route.
        duration: Family<Histogram> = "conclave_http_request_seconds" ["method", "route"];
        /// Calls, commands and sockets that were refused because somebody asked too often, by limit.
        rate_limited: Family<Counter> = "conclave_rate_limited_total" ["limit"];
        /// Sign-ins that ended, by provider and outcome: `signed_in`, `refused`, `failed`. Of those whose state nobody knows, the
        /// provider is not known either.
        sign_ins: Family<Counter> = "conclave_sign_ins_total" ["provider", "outcome"];
        /// Refresh tokens that were brought, by outcome: rotated, reused (which ends the session), expired, unknown.
        refreshes: Family<Counter> = "conclave_refreshes_total" ["outcome"];
    }
}

group! {
    /// Vaults.
    Vault {
        /// Writes to vaults that are on disk, by kind: put, delete.
        writes: Family<Counter> = "conclave_vault_writes_total" ["kind"];
        /// Bytes of the sealed items that were put.
        bytes: Counter = "conclave_vault_bytes_put_total";
        /// Writes that were refused because there had been another one meanwhile, by what was not the expected: the version of
        /// the item, the revision of the collection.
        conflicts: Family<Counter> = "conclave_vault_conflicts_total" ["of"];
    }
}

group! {
    /// The process.
    Process {
        /// When the node started, in seconds since 1970.
        started: Gauge = "process_start_time_seconds";
        /// 1, with the version of the program.
        build: Family<Gauge> = "conclave_build_info" ["version"];
        /// Whether the node takes traffic, as `/readyz` says: 1, or 0 once it was told to stop, or while it cannot store.
        ready: Gauge = "conclave_ready";
    }
}

/// The numbers of one node.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Keys, and what is sealed with them.
    pub e2ee: EndToEnd,
    /// Envelopes on their way.
    pub envelopes: Envelopes,
    /// Actors and sockets.
    pub sockets: Sockets,
    /// The store's writer.
    pub writes: Writes,
    /// REST, and who may do what.
    pub calls: Calls,
    /// Vaults.
    pub vault: Vault,
    process: Process,
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        Self {
            e2ee: EndToEnd::register(&registry),
            envelopes: Envelopes::register(&registry),
            sockets: Sockets::register(&registry),
            writes: Writes::register(&registry),
            calls: Calls::register(&registry),
            vault: Vault::register(&registry),
            process: Process::register(&registry),
            registry,
        }
    }

    /// Puts what histograms have gathered where it takes no more room. To be called often: until then each observation is
    /// kept.
    pub fn settle(&self) {
        self.registry.0.handle().run_upkeep();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
