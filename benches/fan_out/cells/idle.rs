//! Memory of a socket that has joined a room and says nothing: how much a server's process grows by, over all of them.
//!
//! Before it is looked at for the first time, some sockets have come and gone, so that what a server makes once is not
//! counted. What the system itself keeps for a socket is no part of the process.

use std::time::Duration;

use crate::driver::Driver;
use crate::process::Process;
use crate::servers::{actix, node};
use crate::world::World;

/// Bytes for each idle session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle {
    pub(crate) sessions: usize,
    pub(crate) node: f64,
    pub(crate) actix: f64,
}

/// Measures both servers with everybody who is in a parlour.
pub(crate) fn measure(world: &World) -> Idle {
    let sessions = world.parlours().map(|(_, people)| people.len()).sum();
    let process = world.start_node();
    let node = growth(&process, sessions, |driver, count| {
        let mut crowd = driver.crowd();
        let mut rest = count;
        for (room_id, people) in world.parlours() {
            let people = &people[..rest.min(people.len())];
            node::join(driver, &mut crowd, process.address, people, room_id);
            rest -= people.len();
        }
    });
    let process = actix::start();
    let actix = growth(&process, sessions, |driver, count| {
        let mut crowd = driver.crowd();
        driver.grow(&mut crowd, actix::connect(process.address, count));
    });
    Idle { sessions, node, actix }
}

/// Bytes that a process grows by for each session.
fn growth(process: &Process, sessions: usize, enter: impl Fn(&mut Driver, usize)) -> f64 {
    let mut first = Driver::new();
    enter(&mut first, WARM_UP);
    first.run_for(SETTLE);
    drop(first);
    let mut driver = Driver::new();
    // Nobody is there: the time is the server's, to see that.
    driver.run_for(SETTLE);
    let before = process.resident_bytes();
    enter(&mut driver, sessions);
    driver.run_for(SETTLE);
    (process.resident_bytes() as f64 - before as f64) / sessions as f64
}

/// Sessions that come and go before.
const WARM_UP: usize = 200;

/// For what is under way.
const SETTLE: Duration = Duration::from_secs(2);
