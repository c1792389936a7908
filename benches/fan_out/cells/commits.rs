//! Envelopes that are acknowledged in a second, each synced to disk before: many senders, each in a room of its own, beside
//! SQLite alone with as many rows in a commit as the node had envelopes.

use std::path::Path;
use std::time::Duration;

use crate::author::Author;
use crate::bare::Bare;
use crate::driver::{Crowd, Driver};
use crate::servers::node::{self, Counts};
use crate::stopwatch::{Stopwatch, median};
use crate::world::World;

/// Envelopes a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commits {
    pub(crate) in_flight: usize,
    pub(crate) batch: f64,
    pub(crate) node: f64,
    pub(crate) bare: f64,
}

/// Senders, of which each has so many envelopes under way.
struct Load {
    driver: Driver,
    crowd: Crowd,
    authors: Vec<Author>,
    /// Commands that are ready to be sent, for each.
    stock: Vec<Vec<Vec<u8>>>,
    sent: Vec<u64>,
}

/// Measures with so many under way at each sender. The node and SQLite take turns.
pub(crate) fn measure(world: &World, target: &Path, each: u64, turns: usize, time: Duration) -> Commits {
    let mut process = world.start_node();
    let counts = Counts::of(&mut process);
    let mut load = Load::new(world, process.address);
    let mut bare = Bare::make(target.join("bare"), &world.cells, &world.author(0, world.hall).write());
    load.run(each, time / 4);
    let (mut node, mut alone, mut batches) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..turns {
        let before = counts.now();
        node.push(load.run(each, time));
        let after = counts.now();
        let batch = (after.envelopes - before.envelopes) / (after.commits - before.commits);
        batches.push(batch);
        alone.push(commit(&mut bare, batch, time));
    }
    let in_flight = load.authors.len() * usize::try_from(each).unwrap();
    Commits { in_flight, batch: median(&batches), node: median(&node), bare: median(&alone) }
}

/// Rows a second, of commits with so many rows: as many as is nearest below and above, so that the mean is it.
fn commit(bare: &mut Bare, batch: f64, time: Duration) -> f64 {
    let (mut rows, mut commits) = (0.0, 0.0);
    let clock = Stopwatch::start();
    while clock.elapsed() < time {
        let next = if rows / f64::max(commits, 1.0) > batch { batch.floor() } else { batch.ceil() };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
        bare.commit(next as usize);
        rows += next;
        commits += 1.0;
    }
    rows / clock.elapsed().as_secs_f64()
}

impl Load {
    fn new(world: &World, address: std::net::SocketAddr) -> Self {
        let mut driver = Driver::new();
        let mut crowd = driver.crowd();
        for (person, room_id) in world.people.chunks(1).zip(&world.cells) {
            node::join(&mut driver, &mut crowd, address, person, *room_id);
        }
        let authors: Vec<_> =
            world.cells.iter().enumerate().map(|(person, room)| world.author(person, *room)).collect();
        let count = authors.len();
        Self { driver, crowd, authors, stock: vec![Vec::new(); count], sent: vec![0; count] }
    }

    /// Sends for so long; acknowledgements a second.
    fn run(&mut self, each: u64, time: Duration) -> f64 {
        // Signing is not the node's work: it is done before.
        let needed = STOCK_PER_SECOND * time.as_secs_f64() / self.authors.len() as f64;
        for (author, stock) in self.authors.iter_mut().zip(&mut self.stock) {
            stock.clear();
            while (stock.len() as f64) < needed {
                let envelope = author.write();
                stock.push(author.command(envelope));
            }
        }
        let before = self.driver.tally(&self.crowd).answers;
        let clock = Stopwatch::start();
        while clock.elapsed() < time {
            for sender in 0..self.authors.len() {
                self.fill(sender, each);
            }
            self.driver.turn(Duration::from_millis(100));
        }
        let (elapsed, answers) = (clock.elapsed(), self.driver.tally(&self.crowd).answers - before);
        let expected: u64 = self.sent.iter().map(|sent| sent + ANSWERS_TO_JOIN).sum();
        self.driver.run_until("all answers", |driver| driver.tally(&self.crowd).answers == expected);
        answers as f64 / elapsed.as_secs_f64()
    }

    /// Has a sender send until it has so many under way.
    fn fill(&mut self, sender: usize, each: u64) {
        let client = self.crowd.clients.start + sender;
        let answered = self.driver.tally_of(client).answers - ANSWERS_TO_JOIN;
        let mut bytes = Vec::new();
        while self.sent[sender] - answered < each {
            let author = &mut self.authors[sender];
            let command = self.stock[sender].pop().unwrap_or_else(|| {
                let envelope = author.write();
                author.command(envelope)
            });
            bytes.extend(command);
            self.sent[sender] += 1;
        }
        if !bytes.is_empty() {
            self.driver.send(client, &bytes);
        }
    }
}

/// More than any node here has taken.
const STOCK_PER_SECOND: f64 = 20_000.0;

/// To `hello` and `join`.
const ANSWERS_TO_JOIN: u64 = 2;
