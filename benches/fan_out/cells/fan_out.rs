//! Processor time of a server for one delivery: one sender, and everybody else in the room gets what is sent.
//!
//! A message is in flight until everybody has it: the next ones are sent then. That they are answered is not enough, for a
//! server that answers before it has told anybody would be sent hundreds, and would merge them.
//!
//! The three servers take turns, so that what the machine does beside them meets all of them. The figure of each is the
//! median over its turns. So is that of what an envelope costs whoever checks and stores it ([`Dues`]). Something lost,
//! repeated or out of order stops the benchmark.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use conclave::ids::EnvelopeId;
use conclave::node::ws;

use crate::author::{self, Author};
use crate::cells::dues::Dues;
use crate::driver::{Crowd, Driver};
use crate::frame;
use crate::process::Process;
use crate::servers::{actix, epoll, node};
use crate::stopwatch::{Stopwatch, median};
use crate::world::World;

/// How long it is measured.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// Turns of each server.
    pub(crate) turns: usize,
    /// Of one turn.
    pub(crate) time: Duration,
    /// Threads of the epoll server.
    pub(crate) threads: usize,
}

/// One cell of the table: µs of a server's processor time for one delivery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) participants: usize,
    pub(crate) in_flight: u64,
    pub(crate) node: f64,
    pub(crate) epoll: f64,
    /// Bare epoll, if it checked each signature and committed each envelope by SQLite alone.
    pub(crate) least: f64,
    pub(crate) actix: f64,
}

/// Servers with their clients, for one number of participants.
struct Stage {
    driver: Driver,
    rooms: Vec<Room>,
}

/// One server, the clients in its room, and who writes there.
struct Room {
    process: Process,
    crowd: Crowd,
    author: Author,
    form: Form,
    sent: u64,
    /// What the last client has still to get.
    expected: VecDeque<EnvelopeId>,
}

/// In what form a server takes an envelope.
#[derive(Clone, Copy)]
enum Form {
    Command,
    ServerFrame,
    ClientFrame,
}

/// Measures a room of so many, beside the sender.
pub(crate) fn measure(world: &World, target: &Path, participants: usize, plan: Plan) -> Vec<Cost> {
    let mut stage = Stage { driver: Driver::new(), rooms: Vec::new() };
    stage.add_node(world, participants);
    stage.add_epoll(world, participants, plan.threads);
    stage.add_actix(world, participants);
    let mut dues = Dues::new(world, target);
    let costs = [1, 8].map(|in_flight| {
        let (mut turns, mut dues_of_turns) = (vec![Vec::new(); stage.rooms.len()], Vec::new());
        for room in 0..stage.rooms.len() {
            stage.turn(room, in_flight, plan.time / 2);
        }
        for _ in 0..plan.turns {
            for (room, turns) in turns.iter_mut().enumerate() {
                turns.push(stage.turn(room, in_flight, plan.time));
            }
            dues_of_turns.push(dues.measure(in_flight, plan.time));
        }
        let [node, epoll, actix] = [0, 1, 2].map(|room: usize| median(&turns[room]));
        let least = epoll + median(&dues_of_turns) / participants as f64;
        Cost { participants, in_flight, node, epoll, least, actix }
    });
    costs.to_vec()
}

/// The number of threads with which the epoll server is cheapest, of one and two.
pub(crate) fn best_threads(world: &World, participants: usize, plan: Plan) -> usize {
    let mut stage = Stage { driver: Driver::new(), rooms: Vec::new() };
    stage.add_epoll(world, participants, 1);
    stage.add_epoll(world, participants, 2);
    let mut turns = [Vec::new(), Vec::new()];
    for _ in 0..plan.turns {
        for (room, turns) in turns.iter_mut().enumerate() {
            turns.push(stage.turn(room, 1, plan.time / 2));
        }
    }
    if median(&turns[0]) <= median(&turns[1]) { 1 } else { 2 }
}

impl Stage {
    fn add_node(&mut self, world: &World, participants: usize) {
        let process = world.start_node();
        let mut crowd = self.driver.crowd();
        let people = &world.people[..=participants];
        node::join(&mut self.driver, &mut crowd, process.address, people, world.hall);
        self.add(world, process, crowd, Form::Command);
    }

    fn add_epoll(&mut self, world: &World, participants: usize, threads: usize) {
        let process = epoll::start(threads);
        let mut crowd = self.driver.crowd();
        self.driver.grow(&mut crowd, epoll::connect(process.address, participants + 1));
        self.add(world, process, crowd, Form::ServerFrame);
    }

    fn add_actix(&mut self, world: &World, participants: usize) {
        let process = actix::start();
        let mut crowd = self.driver.crowd();
        self.driver.grow(&mut crowd, actix::connect(process.address, participants + 1));
        self.add(world, process, crowd, Form::ClientFrame);
    }

    fn add(&mut self, world: &World, process: Process, crowd: Crowd, form: Form) {
        self.driver.keep(&crowd);
        let author = world.author(0, world.hall);
        self.rooms.push(Room { process, crowd, author, form, sent: 0, expected: VecDeque::new() });
    }

    /// Sends so many at once, again and again for so long; µs of the server's processor time for each delivery.
    fn turn(&mut self, room: usize, in_flight: u64, time: Duration) -> f64 {
        let (driver, room) = (&mut self.driver, &mut self.rooms[room]);
        let (before, cpu) = (room.sent, room.process.cpu());
        let clock = Stopwatch::start();
        while clock.elapsed() < time {
            room.send(driver, in_flight);
            room.wait_for_all(driver);
        }
        let cpu = room.process.cpu().saturating_sub(cpu);
        room.check(driver);
        let deliveries = (room.sent - before) * room.others() as u64;
        cpu.as_secs_f64() * 1e6 / deliveries as f64
    }
}

impl Room {
    /// The client that sends.
    fn sender(&self) -> usize {
        self.crowd.clients.start
    }

    /// How many hear what is sent.
    fn others(&self) -> usize {
        self.crowd.clients.len() - 1
    }

    fn answers_before(&self) -> u64 {
        match self.form {
            // To `hello` and `join`.
            Form::Command => 2,
            Form::ServerFrame | Form::ClientFrame => 0,
        }
    }

    fn send(&mut self, driver: &mut Driver, count: u64) {
        let mut bytes = Vec::new();
        for _ in 0..count {
            let envelope = self.author.write();
            self.expected.push_back(envelope.id);
            bytes.extend(match self.form {
                Form::Command => self.author.command(envelope),
                Form::ServerFrame => ws::frame::binary(&self.author.event(envelope)).to_vec(),
                Form::ClientFrame => frame::from_client(&self.author.event(envelope)),
            });
        }
        driver.send(self.sender(), &bytes);
        self.sent += count;
    }

    fn wait_for_all(&self, driver: &mut Driver) {
        driver.run_until("all deliveries", |driver| {
            let answers = driver.tally_of(self.sender()).answers - self.answers_before();
            answers == self.sent && driver.tally(&self.crowd).deliveries >= self.sent * self.others() as u64
        });
    }

    /// Everybody has got everything once, and the last client the very envelopes, in their order.
    fn check(&mut self, driver: &mut Driver) {
        for client in self.crowd.clients.clone().skip(1) {
            assert_eq!(driver.tally_of(client).deliveries, self.sent, "deliveries to one client");
        }
        assert_eq!(driver.tally_of(self.sender()).deliveries, 0, "the sender got its own");
        let ids: Vec<_> = driver.take_kept(&self.crowd).iter().map(|message| author::id_in(message)).collect();
        assert!(self.expected.drain(..).eq(ids), "not the envelopes that were sent, or not in their order");
    }
}
