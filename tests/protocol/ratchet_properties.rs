//! The ratchet held against a model of it without any cryptography, over generated scripts.

use std::collections::BTreeMap;

use conclave::protocol::public::limits;
use conclave::protocol::ratchet::{Header, RatchetError, SealedMessage};
use conclave::protocol::session::{PairwiseSession, SessionError};
use conclave::wire::Timestamp;
use core::time::Duration;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::pair::{Pair, open, seal};

/// One of the two sides.
#[derive(Clone, Copy, Debug)]
enum Side {
    A,
    B,
}

#[derive(Clone, Debug)]
enum Step {
    /// A side writes so many messages; all but the last are lost on the way.
    Write(Side, usize),
    /// One of the messages under way to a side arrives.
    Arrive(Side, Index),
    /// One that arrived or was lost arrives (again).
    ArriveLate(Side, Index),
    /// One of all messages ever sent to a side arrives with a bit changed.
    ArriveForged(Side, Index, Index),
    /// A side stops, and starts from its saved form.
    Restart(Side),
    /// Time passes.
    Pass(Duration),
}

fn step() -> impl Strategy<Value = Step> {
    let side = || prop_oneof![Just(Side::A), Just(Side::B)];
    prop_oneof![
        8 => (side(), prop_oneof![20 => Just(1_usize), 6 => 2..6_usize, 1 => 600..1_100_usize])
            .prop_map(|(side, count)| Step::Write(side, count)),
        12 => (side(), any::<Index>()).prop_map(|(side, which)| Step::Arrive(side, which)),
        5 => (side(), any::<Index>()).prop_map(|(side, which)| Step::ArriveLate(side, which)),
        3 => (side(), any::<Index>(), any::<Index>()).prop_map(|(side, which, bit)| Step::ArriveForged(side, which, bit)),
        2 => side().prop_map(Step::Restart),
        1 => (0..20_u64).prop_map(|days| Step::Pass(Duration::from_secs(days * 86_400))),
    ]
}

/// What a receiver knows of one chain.
struct Chain {
    ratchet_key: [u8; 32],
    next: u32,
    is_open: bool,
    late: BTreeMap<u32, Timestamp>,
    given_up: Option<u32>,
}

impl Chain {
    fn skip_to(&mut self, number: u32, now: Timestamp) {
        self.late.extend((self.next..number).map(|number| (number, now)));
        self.next = self.next.max(number);
    }
}

/// What a receiver should say of a message that nobody has touched.
#[derive(Debug, PartialEq)]
enum Verdict {
    Opens,
    KeyGone,
    KeyGivenUp,
    TooFarAhead,
    /// Its chain is no longer kept, so that it looks like one of a chain to come; or the end of it was
    /// given up.
    ChainGone,
}

/// One side's receiving half.
#[derive(Default)]
struct Model {
    chains: Vec<Chain>,
    gone: Vec<[u8; 32]>,
}

impl Model {
    fn receive(&mut self, header: &Header, now: Timestamp) -> Verdict {
        let Header { ratchet_key, previous_chain_length, message_number } = *header;
        if self.gone.contains(&ratchet_key) {
            return Verdict::ChainGone;
        }
        if let Some(chain) = self.chains.iter_mut().find(|chain| chain.ratchet_key == ratchet_key) {
            if message_number < chain.next {
                if chain.late.remove(&message_number).is_none() {
                    let is_given_up = chain.given_up.is_some_and(|given_up| message_number <= given_up);
                    return if is_given_up { Verdict::KeyGivenUp } else { Verdict::KeyGone };
                }
            } else if message_number - chain.next > limits::SKIP_MAX {
                return Verdict::TooFarAhead;
            } else {
                if !chain.is_open {
                    return Verdict::ChainGone;
                }
                chain.skip_to(message_number, now);
                chain.next = message_number + 1;
            }
        } else {
            if message_number > limits::SKIP_MAX {
                return Verdict::TooFarAhead;
            }
            if let Some(newest) = self.chains.last_mut() {
                newest.skip_to(previous_chain_length.min(newest.next + limits::SKIP_MAX - message_number), now);
                newest.is_open = false;
            }
            if self.chains.len() == limits::RECEIVING_CHAINS_MAX {
                self.gone.push(self.chains.remove(0).ratchet_key);
            }
            let mut chain = Chain { ratchet_key, next: 0, is_open: true, late: BTreeMap::new(), given_up: None };
            chain.skip_to(message_number, now);
            chain.next = message_number + 1;
            self.chains.push(chain);
        }
        self.give_up(now);
        Verdict::Opens
    }

    fn give_up(&mut self, now: Timestamp) {
        for chain in &mut self.chains {
            let old = chain.late.iter().filter(|(_, since)| now.since(**since) > limits::SKIPPED_KEY_KEPT);
            chain.given_up = chain.given_up.max(old.map(|(number, _)| *number).max());
            chain.late.retain(|_, since| now.since(*since) <= limits::SKIPPED_KEY_KEPT);
        }
        let mut excess = self.late().saturating_sub(limits::SKIPPED_KEYS_MAX);
        for chain in &mut self.chains {
            while excess > 0
                && let Some((number, _)) = chain.late.pop_first()
            {
                chain.given_up = chain.given_up.max(Some(number));
                excess -= 1;
            }
        }
    }

    fn late(&self) -> usize {
        self.chains.iter().map(|chain| chain.late.len()).sum()
    }
}

/// One side: its session, the model of its receiving half, and what was sent to it.
struct Party {
    session: PairwiseSession,
    model: Model,
    sent_to: Vec<(Vec<u8>, SealedMessage)>,
    under_way: Vec<usize>,
}

impl Party {
    fn new(session: PairwiseSession) -> Self {
        Self { session, model: Model::default(), sent_to: Vec::new(), under_way: Vec::new() }
    }

    fn arrives(&mut self, which: usize, now: Timestamp) {
        let (plaintext, message) = &self.sent_to[which];
        let opened = open(&mut self.session, message, now);
        match self.model.receive(&message.header, now) {
            Verdict::Opens => assert_eq!(opened.as_ref(), Ok(plaintext)),
            Verdict::KeyGone => assert_eq!(opened, Err(SessionError::Ratchet(RatchetError::KeyGone))),
            Verdict::KeyGivenUp => assert_eq!(opened, Err(SessionError::Ratchet(RatchetError::KeyGivenUp))),
            Verdict::TooFarAhead => assert_eq!(opened, Err(SessionError::Ratchet(RatchetError::TooFarAhead))),
            Verdict::ChainGone => {
                assert!(opened.is_err(), "a chain that was given up is not opened");
            }
        }
        assert_eq!(self.session.ratchet().skipped_keys(), self.model.late());
    }

    fn arrives_forged(&mut self, which: usize, bit: Index, now: Timestamp) {
        let (_, message) = &self.sent_to[which];
        let bit = bit.index((Header::LENGTH + message.ciphertext.len()) * 8);
        let mut bytes = [&message.header.to_bytes()[..], &message.ciphertext].concat();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let mut reader = conclave::wire::Reader::new(&bytes);
        let header = Header::read(&mut reader).unwrap();
        let forged = SealedMessage { header, ciphertext: reader.rest().to_vec() };
        open(&mut self.session, &forged, now).unwrap_err();
    }
}

fn play(seed: u64, script: Vec<Step>) {
    let Pair { a, b, first, mut rng, mut now } = Pair::new(seed);
    let (mut a, mut b) = (Party::new(a), Party::new(b));
    b.model.receive(&first.header, now);
    b.sent_to.push((b"first".to_vec(), first));
    let mut written = 0_u64;
    for step in script {
        match step {
            Step::Write(side, count) => {
                let (from, to) = match side {
                    Side::A => (&mut a, &mut b),
                    Side::B => (&mut b, &mut a),
                };
                for _ in 0..count {
                    written += 1;
                    let plaintext = written.to_be_bytes().to_vec();
                    let message = seal(&mut from.session, &plaintext, &mut rng);
                    to.sent_to.push((plaintext, message));
                }
                to.under_way.push(to.sent_to.len() - 1);
            }
            Step::Arrive(side, which) => {
                let party = of(side, &mut a, &mut b);
                if !party.under_way.is_empty() {
                    let message = party.under_way.remove(which.index(party.under_way.len()));
                    party.arrives(message, now);
                }
            }
            Step::ArriveLate(side, which) => {
                let party = of(side, &mut a, &mut b);
                if !party.sent_to.is_empty() {
                    party.arrives(which.index(party.sent_to.len()), now);
                }
            }
            Step::ArriveForged(side, which, bit) => {
                let party = of(side, &mut a, &mut b);
                if !party.sent_to.is_empty() {
                    party.arrives_forged(which.index(party.sent_to.len()), bit, now);
                }
            }
            Step::Restart(side) => {
                let party = of(side, &mut a, &mut b);
                let saved = party.session.save();
                party.session = PairwiseSession::load(&saved).unwrap();
                assert_eq!(party.session.save(), saved);
            }
            Step::Pass(span) => now = now.plus(span),
        }
    }
}

const fn of<'a>(side: Side, a: &'a mut Party, b: &'a mut Party) -> &'a mut Party {
    match side {
        Side::A => a,
        Side::B => b,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_ratchet_does_what_its_model_says(seed: u64, script in prop::collection::vec(step(), 1..120)) {
        play(seed, script);
    }
}
