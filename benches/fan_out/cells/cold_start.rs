//! From starting the program until the node says that it takes traffic.

use std::fs;
use std::path::Path;

use crate::bare;
use crate::handshake;
use crate::servers::node;
use crate::stopwatch::{Stopwatch, median};
use crate::world::World;

/// Milliseconds until a node that has nothing answers. Each starts in a folder that is not there yet.
pub(crate) fn empty(target: &Path, starts: usize) -> f64 {
    let folder = target.join("empty");
    let starts: Vec<_> = (0..starts)
        .map(|_| {
            let _ = fs::remove_dir_all(&folder);
            start(&folder)
        })
        .collect();
    let _ = fs::remove_dir_all(&folder);
    median(&starts)
}

/// The same for a node whose store holds a million messages.
pub(crate) fn million(world: &World, target: &Path, starts: usize) -> f64 {
    let folder = bare::million(target, &world.author(0, world.hall).write());
    // A newer program may have to bring the tables up to date, once.
    start(&folder);
    let starts: Vec<_> = (0..starts).map(|_| start(&folder)).collect();
    median(&starts)
}

fn start(folder: &Path) -> f64 {
    let clock = Stopwatch::start();
    let process = node::start(folder);
    let address = process.address.to_string();
    while handshake::get(&address, "/readyz").0 != 200 {}
    clock.elapsed().as_secs_f64() * 1e3
}
