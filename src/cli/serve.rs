//! `conclave serve`.

use std::error::Error;
use std::io::{self, Write};

use super::ConfigFile;
use super::banner::banner;
use crate::node::clock::Clock;
use crate::node::lifecycle::{Node, StopSignals};
use crate::node::log;

pub(super) fn run(file: &ConfigFile) -> Result<(), Box<dyn Error>> {
    let settings = file.settings()?;
    log::start(&settings.log)?;
    actix_web::rt::System::new().block_on(async move {
        let signals = StopSignals::listen()?;
        let node = Node::start(settings, Clock::system()).await?;
        // A node runs also where nobody reads what it says.
        let _ = io::stdout().write_all(banner(&node).as_bytes());
        node.run(signals).await;
        Ok(())
    })
}
