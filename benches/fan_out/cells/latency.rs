//! What the node adds to a message: from when it is sent until somebody else has it, while nothing else happens, less what
//! a commit of one row takes on the same disk.

use std::path::Path;
use std::time::Duration;

use crate::bare::Bare;
use crate::driver::Driver;
use crate::servers::node;
use crate::stopwatch::{Stopwatch, quantile};
use crate::world::World;

/// Milliseconds: the median, and what one in a hundred exceeds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) node: [f64; 2],
    pub(crate) commit: [f64; 2],
}

/// Sends so many messages, one after the other, with a commit of SQLite alone after each.
pub(crate) fn measure(world: &World, target: &Path, messages: usize) -> Latency {
    let process = world.start_node();
    let (mut driver, mut author) = (Driver::new(), world.author(0, world.hall));
    let mut crowd = driver.crowd();
    node::join(&mut driver, &mut crowd, process.address, &world.people[..2], world.hall);
    let mut bare = Bare::make(target.join("bare"), &[world.hall], &author.write());
    let (sender, receiver) = (crowd.clients.start, crowd.clients.start + 1);
    let (mut node, mut commit) = (Vec::new(), Vec::new());
    for _ in 0..messages {
        let envelope = author.write();
        let command = author.command(envelope);
        driver.run_for(PAUSE);
        let (before, clock) = (driver.tally_of(receiver).deliveries, Stopwatch::start());
        driver.send(sender, &command);
        driver.run_until("a delivery", |driver| driver.tally_of(receiver).deliveries > before);
        node.push(clock.elapsed().as_secs_f64() * 1e3);
        driver.run_for(PAUSE);
        let clock = Stopwatch::start();
        bare.commit(1);
        commit.push(clock.elapsed().as_secs_f64() * 1e3);
    }
    let both = |values: &[f64]| [quantile(values, 0.5), quantile(values, 0.99)];
    Latency { node: both(&node), commit: both(&commit) }
}

/// Between what is measured.
const PAUSE: Duration = Duration::from_millis(5);
