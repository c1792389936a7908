//! Pairwise messages: the payload of an envelope.
//!
//! Input: a payload.
//!
//! - What parses has the one encoding that it was parsed from.
//! - On a fixed session, and as the first message of a new one, nothing opens but what the peer has
//!   sealed, and that opens once.
//! - After a refusal the session is byte for byte as it was.

use std::sync::OnceLock;

use conclave::protocol::session::{PairwiseMessage, PairwiseSession};

use super::Seed;
use super::parties::{CONTEXT, alice, bob};
use super::support::{START, rng};

/// Runs one input.
pub fn run(data: &[u8]) {
    let message = PairwiseMessage::parse(data);
    if let Ok(message) = &message {
        assert_eq!(message.to_bytes(), data, "a message has two encodings");
    }
    for saved in [&genuine().waiting, &genuine().answered] {
        open_on_session(data, saved);
    }
    if let Ok(message) = &message {
        open_as_first(data, message);
    }
}

/// Genuine messages: first ones, later ones, and an answer.
pub fn seeds() -> Vec<Seed> {
    genuine().payloads.iter().map(|(name, payload, _)| ((*name).to_owned(), payload.clone())).collect()
}

fn open_on_session(data: &[u8], saved: &[u8]) {
    let mut session = PairwiseSession::load(saved).unwrap();
    match session.open(data, &CONTEXT, START) {
        Ok(plaintext) => {
            assert_eq!(Some(&plaintext[..]), genuine_plaintext(data), "a forged message opens");
            let after = session.save();
            assert_ne!(*after, saved);
            assert!(session.open(data, &CONTEXT, START).is_err(), "a message opens twice");
            assert_eq!(session.save(), after);
            assert_eq!(PairwiseSession::load(&after).unwrap().save(), after);
        }
        Err(_) => assert_eq!(*session.save(), saved, "a message that does not open changes the session"),
    }
}

fn open_as_first(data: &[u8], message: &PairwiseMessage) {
    let PairwiseMessage { opening: Some(opening), sealed } = message else { return };
    let prekeys = bob().prekeys_for(opening.one_time_prekey_id);
    let session = PairwiseSession::respond(&bob().identity, alice().identity.device(), opening, sealed, &prekeys);
    if let Ok(mut session) = session
        && let Ok(plaintext) = session.open_sealed(sealed, &CONTEXT, START)
    {
        // The session is bound to every byte of the opening, the message to the session.
        let is_genuine = genuine().payloads.iter().any(|(_, payload, _)| payload == data);
        assert!(is_genuine, "a forged first message opens");
        assert_eq!(Some(&plaintext[..]), genuine_plaintext(data));
    }
}

/// What the genuine message with the same sealed part says. A session that there is already does not
/// look at the opening that its first messages repeat.
fn genuine_plaintext(data: &[u8]) -> Option<&'static [u8]> {
    let sealed = PairwiseMessage::parse(data).ok()?.sealed;
    genuine().payloads.iter().find_map(|(_, payload, plaintext)| {
        (PairwiseMessage::parse(payload).ok()?.sealed == sealed).then_some(plaintext.as_slice())
    })
}

/// A short conversation, with the states in which it is left.
struct Genuine {
    /// Bob's session after Alice's second message: her first is late, her third is next.
    waiting: Vec<u8>,
    /// Alice's session, after she has sent and before she has seen an answer.
    answered: Vec<u8>,
    payloads: Vec<(&'static str, Vec<u8>, Vec<u8>)>,
}

fn genuine() -> &'static Genuine {
    static GENUINE: OnceLock<Genuine> = OnceLock::new();
    GENUINE.get_or_init(|| {
        let rng = &mut rng(3);
        let mut a = PairwiseSession::initiate(&alice().identity, &bob().verified_bundle(), rng).unwrap();
        let [first, second, third] =
            [b"first", b"other", b"third"].map(|plaintext| a.seal(plaintext, &CONTEXT, rng).unwrap());
        let PairwiseMessage { opening: Some(opening), sealed } = PairwiseMessage::parse(&second).unwrap() else {
            unreachable!("the responder has not answered");
        };
        let prekeys = bob().prekeys_for(opening.one_time_prekey_id);
        let mut b =
            PairwiseSession::respond(&bob().identity, alice().identity.device(), &opening, &sealed, &prekeys).unwrap();
        b.open_sealed(&sealed, &CONTEXT, START).unwrap();
        let answered = a.save().to_vec();
        let answer = b.seal(b"answer", &CONTEXT, rng).unwrap();
        let waiting = b.save().to_vec();
        a.open(&answer, &CONTEXT, START).unwrap();
        let next_chain = a.seal(&[b'n'; 300], &CONTEXT, rng).unwrap();
        let payloads = vec![
            ("first", first, b"first".to_vec()),
            ("second", second, b"other".to_vec()),
            ("third", third, b"third".to_vec()),
            ("answer", answer, b"answer".to_vec()),
            ("next-chain", next_chain, vec![b'n'; 300]),
        ];
        Genuine { waiting, answered, payloads }
    })
}
