//! A node in a process of its own, under load, whose process is killed, whose power is lost, and whose disk fails.
//!
//! What holds afterwards is written once, in [`ledger`], and the tests show that it finds what it has to find.

mod disk;
mod failing;
mod idempotency;
mod kills;
mod ledger;
mod load;
mod vault;

use disk::{Disk, Mode};
use ledger::Fault;
use load::{Crash, Load};

use crate::process::NodeProcess;
