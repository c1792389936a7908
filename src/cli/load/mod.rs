//! `conclave load`: real clients that really encrypt, and a report of what became of every message.
//!
//! ```text
//! run       puts a run together and reports       crew, said   its processes, and what they say
//! worker    what each process does                clients      signed in, set up, in their rooms
//! book      what clients write down               ledger       lost, repeated, out of order, made up
//! plan      who is where, and when they send      message      a text that is known again
//! tally     the seconds of all processes          latency, usage, node   what is measured
//! live      what is seen meanwhile                report       JSON, a table, a page
//! ```

mod args;
mod book;
mod clients;
mod crew;
mod latency;
mod ledger;
mod live;
mod message;
mod node;
mod plan;
mod report;
mod run;
mod said;
mod tally;
mod usage;
mod words;
mod worker;

use std::error::Error;
use std::process::ExitCode;

pub(super) use args::LoadArgs;

/// `conclave load`.
pub(super) fn run(args: &LoadArgs) -> Result<ExitCode, Box<dyn Error>> {
    actix_web::rt::System::new().block_on(run::run(args))
}

/// `conclave load-process`: a part of a run, told by the process that was asked for it.
pub(super) fn be_child() -> Result<ExitCode, Box<dyn Error>> {
    actix_web::rt::System::new().block_on(crew::be_child())?;
    Ok(ExitCode::SUCCESS)
}
