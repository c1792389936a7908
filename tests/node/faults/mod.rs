//! A node in a process of its own, under load, whose process is killed or told to stop, whose power is lost, and whose disk
//! fails.
//!
//! What holds afterwards is written once, in [`ledger`], and the tests show that it finds what it has to find.

mod disk;
mod failing;
mod idempotency;
mod kills;
mod ledger;
mod line;
mod load;
mod stops;
mod vault;

use disk::{Disk, Mode};
use ledger::Fault;
use load::{Crash, Load};
use stops::{Farewell, listen};

use crate::process::NodeProcess;
