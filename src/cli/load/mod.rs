//! `conclave load`: real clients that really encrypt, and a report of what became of every message.

mod latency;
mod ledger;
mod message;
mod plan;
mod report;
mod tally;
mod usage;
mod words;
