//! Stories of two sessions.
//!
//! Input: start 1 (even: the initiator has not written yet; odd: both have written), then actions of
//! two bytes each: what is done, and to what. The network delivers in any order, loses, repeats and
//! alters; either side restarts; time passes.
//!
//! - A message that arrives unaltered for the first time opens and says what was written, unless a
//!   limit stands in its way: five chains, 2,000 messages, 30 days.
//! - Nothing opens twice. What was altered, or is shown in another place, does not open.
//! - After a refusal the session is byte for byte as it was.
//! - After the story, both sides still reach each other.

use std::sync::OnceLock;

use conclave::protocol::public::limits;
use conclave::protocol::ratchet::RatchetError;
use conclave::protocol::session::{MessageContext, PairwiseMessage, PairwiseSession, SessionError};
use conclave::wire::{Destination, RoomPolicy, Signatures, Timestamp};
use core::time::Duration;
use rand_chacha::ChaCha20Rng;

use super::Seed;
use super::parties::{CONTEXT, alice, bob};
use super::support::{POLICY, START, rng};

/// Actions of one story; what follows is not read.
const ACTIONS_MAX: usize = 100;

/// Runs one input.
pub fn run(data: &[u8]) {
    let Some((start, actions)) = data.split_first() else { return };
    let mut story = Story::begin(*start);
    for action in actions.chunks_exact(2).take(ACTIONS_MAX) {
        story.act(action[0], action[1]);
    }
    story.end();
}

/// Stories that lead to each of the cases.
pub fn seeds() -> Vec<Seed> {
    let [send_a, send_b, deliver, newest, alter, restart, wait, elsewhere, burst] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
    let stories: [(&str, Vec<u8>); 11] = [
        ("first-message", vec![0, send_a, 5, deliver, 0, deliver, 0]),
        ("altered-first", vec![0, send_a, 5, alter, 0, alter, 128, alter, 255, elsewhere, 0, deliver, 0]),
        ("any-of-the-first", vec![0, send_a, 1, send_a, 2, send_a, 3, deliver, 1, send_b, 1, deliver, 3, deliver, 0]),
        ("turns", [vec![1], [send_a, 3, newest, 0, send_b, 3, newest, 0].repeat(7)].concat()),
        (
            "late",
            [
                vec![1],
                [send_a, 3, send_a, 4, newest, 0, send_b, 3, newest, 0].repeat(7),
                vec![deliver, 2, deliver, 20, deliver, 20],
            ]
            .concat(),
        ),
        (
            "restarts",
            [vec![1], [send_a, 9, restart, 0, restart, 1, newest, 0, send_b, 9, newest, 0].repeat(3)].concat(),
        ),
        ("late-after-a-month", vec![1, send_a, 1, send_a, 2, newest, 0, wait, 64, send_a, 3, newest, 0, deliver, 2]),
        (
            "altered",
            [
                vec![1, send_a, 3, newest, 0, send_a, 3],
                [alter, 3, alter, 40, alter, 90, alter, 250].repeat(2),
                vec![newest, 0],
            ]
            .concat(),
        ),
        ("too-long", vec![1, send_a, 255, send_b, 254, newest, 0]),
        ("too-far-ahead", vec![1, burst, 255, newest, 0, send_a, 1, newest, 0]),
        (
            "both-at-once",
            vec![
                1, send_a, 1, send_b, 1, send_a, 2, send_b, 2, deliver, 0, deliver, 1, deliver, 2, deliver, 3, deliver,
                4, deliver, 5,
            ],
        ),
    ];
    stories.into_iter().map(|(name, story)| (name.to_owned(), story)).collect()
}

/// One of the two.
struct Side {
    /// `None` for the responder, until a first message has reached it.
    session: Option<PairwiseSession>,
    rng: ChaCha20Rng,
    /// The newest of our ratchet keys, and how many there were before it.
    chain: ([u8; 32], usize),
    /// Messages that we have sealed.
    sealed: usize,
    /// The newest chain of the peer that a message of has opened here.
    newest_opened: usize,
}

struct Sent {
    from: usize,
    payload: Vec<u8>,
    plaintext: Vec<u8>,
    chain: usize,
    sent_at: Timestamp,
    is_opened: bool,
}

struct Story {
    sides: [Side; 2],
    sent: Vec<Sent>,
    now: Timestamp,
    has_burst: bool,
}

impl Story {
    fn begin(start: u8) -> Self {
        let [a, b] = [Some(PairwiseSession::load(initiated()).unwrap()), None];
        let side = |session, seed| Side { session, rng: rng(seed), chain: ([0; 32], 0), sealed: 0, newest_opened: 0 };
        let mut story = Self { sides: [side(a, 5), side(b, 6)], sent: Vec::new(), now: START, has_burst: false };
        if start % 2 == 1 {
            story.send(0, b"hello");
            story.deliver(0);
            story.send(1, b"hello yourself");
            story.deliver(1);
        }
        story
    }

    fn act(&mut self, action: u8, argument: u8) {
        let pick = usize::from(argument) % self.sent.len().max(1);
        match action % 9 {
            side @ (0 | 1) => {
                // The longest is refused.
                let length = if argument == u8::MAX { limits::MESSAGE_BYTES_MAX + 1 } else { argument.into() };
                self.send(side.into(), &vec![argument; length]);
            }
            2 => self.deliver(pick),
            3 => self.deliver(self.sent.len().saturating_sub(1 + pick)),
            4 => self.deliver_altered(argument),
            5 => self.restart(usize::from(argument % 2)),
            6 => self.now = self.now.plus(Duration::from_secs(u64::from(argument) * 12 * 60 * 60)),
            7 => self.deliver_elsewhere(pick),
            _ => self.burst(argument),
        }
    }

    /// After the story: the next message of each side opens, and so does the answer to it.
    fn end(mut self) {
        for side in [0, 1, 0] {
            self.send(side, b"still there?");
            let last = self.sent.len().saturating_sub(1);
            self.deliver(last);
        }
    }

    fn send(&mut self, from: usize, plaintext: &[u8]) {
        let Side { session: Some(session), rng, chain, sealed, .. } = &mut self.sides[from] else { return };
        let before = session.save();
        let sealing = session.seal(plaintext, &CONTEXT, rng);
        if plaintext.len() > limits::MESSAGE_BYTES_MAX {
            assert_eq!(sealing, Err(SessionError::Ratchet(RatchetError::TooLong)));
            assert_eq!(session.save(), before);
            return;
        }
        let payload = sealing.unwrap();
        let ratchet_key = PairwiseMessage::parse(&payload).unwrap().sealed.header.ratchet_key;
        if ratchet_key != chain.0 {
            *chain = (ratchet_key, chain.1 + 1);
        }
        *sealed += 1;
        let (plaintext, chain, sent_at) = (plaintext.to_vec(), chain.1, self.now);
        self.sent.push(Sent { from, payload, plaintext, chain, sent_at, is_opened: false });
    }

    /// Many messages of the initiator that are lost, and one that is not. Past the limit once in a
    /// story at most, for its cost.
    fn burst(&mut self, argument: u8) {
        let is_long = argument == u8::MAX && !core::mem::replace(&mut self.has_burst, true);
        let lost = if is_long { limits::SKIP_MAX as usize + 1 } else { usize::from(argument % 16) };
        let Side { session: Some(session), rng, sealed, .. } = &mut self.sides[0] else { return };
        for _ in 0..lost {
            session.seal(b"lost", &CONTEXT, rng).unwrap();
        }
        *sealed += lost;
        self.send(0, b"not lost");
    }

    fn deliver(&mut self, index: usize) {
        let Some(message) = self.sent.get(index) else { return };
        let (is_repeated, must_open) = (message.is_opened, self.must_open(message));
        let to = 1 - message.from;
        match self.sides[to].open(&message.payload, &CONTEXT, self.now) {
            Ok(plaintext) => {
                assert!(!is_repeated, "a message opens twice");
                assert_eq!(plaintext, message.plaintext);
                self.mark_opened(index);
            }
            Err(error) => {
                assert!(is_repeated || !must_open, "a genuine message does not open: {error}");
                // A message of a chain that was given up looks like one that begins a chain: it does not open.
                let is_limit = matches!(
                    error,
                    SessionError::Ratchet(
                        RatchetError::KeyGone
                            | RatchetError::KeyGivenUp
                            | RatchetError::ChainGone
                            | RatchetError::TooFarAhead
                            | RatchetError::Open
                    )
                );
                assert!(is_repeated || is_limit, "a genuine message is refused for no limit: {error}");
            }
        }
    }

    /// Whether no limit stands in the message's way.
    fn must_open(&self, message: &Sent) -> bool {
        message.chain + limits::RECEIVING_CHAINS_MAX > self.sides[1 - message.from].newest_opened
            && self.sides[message.from].sealed <= limits::SKIPPED_KEYS_MAX
            && self.now.since(message.sent_at) <= limits::SKIPPED_KEY_KEPT
    }

    fn mark_opened(&mut self, index: usize) {
        let Sent { from, chain, is_opened, .. } = &mut self.sent[index];
        *is_opened = true;
        let receiver = &mut self.sides[1 - *from];
        receiver.newest_opened = receiver.newest_opened.max(*chain);
    }

    /// Delivers the newest message with one bit changed; `argument` says where.
    fn deliver_altered(&mut self, argument: u8) {
        let Some(index) = self.sent.len().checked_sub(1) else { return };
        let Sent { from, payload, plaintext, is_opened, .. } = &self.sent[index];
        let mut altered = payload.clone();
        // The header stands at the front or behind the opening; most of the rest is ciphertext.
        let position = match argument {
            0..64 => usize::from(argument),
            64..128 => altered.len().saturating_sub(usize::from(argument)),
            _ => altered.len() * usize::from(argument - 128) / 128,
        };
        altered[position] ^= 1 << (argument % 8);
        let is_known = self.sides[1 - *from].session.is_some();
        if let Ok(opened) = self.sides[1 - *from].open(&altered, &CONTEXT, self.now) {
            // A session that there is already does not look at the opening that is repeated to it.
            let sealed = |payload: &[u8]| PairwiseMessage::parse(payload).unwrap().sealed;
            assert!(is_known && sealed(&altered) == sealed(payload), "an altered message opens");
            assert!(!is_opened && opened == *plaintext);
            self.mark_opened(index);
        }
    }

    /// Delivers a message as if it had been sent to another room, or under another policy.
    fn deliver_elsewhere(&mut self, index: usize) {
        let Some(Sent { from, payload, .. }) = self.sent.get(index) else { return };
        let to = 1 - *from;
        let elsewhere = Destination::Room(conclave::ids::RoomId::from_bytes([0; 16]));
        let contexts = [
            MessageContext { destination: elsewhere, ..CONTEXT },
            MessageContext { policy: RoomPolicy { signatures: Signatures::Off, ..POLICY }, ..CONTEXT },
        ];
        for context in contexts {
            assert!(self.sides[to].open(payload, &context, self.now).is_err(), "a message opens in another place");
        }
    }

    fn restart(&mut self, side: usize) {
        if let Some(session) = &mut self.sides[side].session {
            let saved = session.save();
            *session = PairwiseSession::load(&saved).unwrap();
            assert_eq!(session.save(), saved);
        }
    }
}

impl Side {
    fn open(&mut self, payload: &[u8], context: &MessageContext, now: Timestamp) -> Result<Vec<u8>, SessionError> {
        match &mut self.session {
            Some(session) => {
                let before = session.save();
                let opening = session.open(payload, context, now);
                assert!(opening.is_ok() || session.save() == before, "a refused message changes the session");
                opening.map(|plaintext| plaintext.to_vec())
            }
            responder => {
                let (session, plaintext) = respond(payload, context, now)?;
                *responder = Some(session);
                Ok(plaintext)
            }
        }
    }
}

fn respond(
    payload: &[u8],
    context: &MessageContext,
    now: Timestamp,
) -> Result<(PairwiseSession, Vec<u8>), SessionError> {
    let PairwiseMessage { opening, sealed } = PairwiseMessage::parse(payload)?;
    // Only an altered first message has none.
    let opening = opening.ok_or(RatchetError::Open)?;
    let prekeys = bob().prekeys_for(opening.one_time_prekey_id);
    let initiator = alice().identity.device();
    let mut session = PairwiseSession::respond(&bob().identity, initiator, &opening, &sealed, &prekeys)?;
    let plaintext = session.open_sealed(&sealed, context, now)?.to_vec();
    Ok((session, plaintext))
}

/// The initiator's session, saved: the agreement is made once.
fn initiated() -> &'static [u8] {
    static INITIATED: OnceLock<Vec<u8>> = OnceLock::new();
    INITIATED.get_or_init(|| {
        let bundle = bob().verified_bundle();
        PairwiseSession::initiate(&alice().identity, &bundle, &mut rng(7)).unwrap().save().to_vec()
    })
}
