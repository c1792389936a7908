//! Conversations on a session: late and lost messages, changes of turns, two places, two policies.

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;

use super::agreements::Agreement;
use super::{Fields, NOW, policy, policy_fields};
use crate::ids::RoomId;
use crate::protocol::ratchet::trace;
use crate::protocol::secret::AgreementSecretKey;
use crate::protocol::session::{MessageContext, PairwiseMessage, PairwiseSession};
use crate::wire::{Destination, Protection, Signatures};

#[derive(Clone, Copy)]
enum Side {
    Initiator,
    Responder,
}
use Side::{Initiator, Responder};

/// A conversation as it goes on: both sides, what was sealed, and the steps so far.
struct Conversation<'a> {
    agreement: Agreement<'a>,
    responder: Option<PairwiseSession>,
    sealed: BTreeMap<&'static str, Sealed>,
    steps: Vec<Fields>,
    rng: &'a mut ChaCha20Rng,
}

/// A sealed message, with what it was made from.
pub(super) struct Sealed {
    pub(super) payload: Vec<u8>,
    plaintext: Vec<u8>,
    pub(super) context: MessageContext,
}

/// With a one-time prekey. Also gives two of the responder's messages, one to the room and one to the
/// mailbox, for envelopes to carry.
pub(super) fn long<'a>(agreement: Agreement<'a>, rng: &'a mut ChaCha20Rng) -> ([Sealed; 2], Fields) {
    let destination = Destination::Room(RoomId::generate(rng));
    let room = MessageContext { destination, policy: policy(Protection::Ratchet, Signatures::On) };
    let destination = Destination::Mailbox(agreement.initiator.address().device_id);
    let mailbox = MessageContext { destination, policy: policy(Protection::Ratchet, Signatures::Off) };
    let mut talk = Conversation::new(agreement, rng);
    talk.seal(Initiator, "i0", room, b"Hello, are you there?");
    talk.seal(Initiator, "i1", room, b"This comes late.");
    talk.seal(Initiator, "i2", room, b"The opening is repeated until you answer.");
    talk.respond("i0");
    talk.open(Responder, "i0");
    talk.open(Responder, "i2");
    talk.seal(Responder, "r0", mailbox, b"Yes. This is to your mailbox, and not signed.");
    talk.seal(Responder, "r1", room, "Back in the room. \u{1f44b}".as_bytes());
    talk.open(Initiator, "r0");
    talk.open(Initiator, "r1");
    talk.seal(Initiator, "i3", room, b"This comes after two more changes of turns.");
    talk.seal(Initiator, "i4", room, b"A new chain of mine.");
    talk.open(Responder, "i4");
    talk.open(Responder, "i1");
    talk.seal(Responder, "r2", room, b"And one of mine.");
    talk.seal(Responder, "r3", room, b"This is lost.");
    talk.seal(Responder, "r4", room, b"This comes late, when its chain is closed.");
    talk.open(Initiator, "r2");
    talk.seal(Initiator, "i5", room, b"I have heard one of your three.");
    talk.open(Responder, "i5");
    talk.open(Responder, "i3");
    talk.seal(Responder, "r5", room, b"They were three: see PN.");
    talk.open(Initiator, "r5");
    talk.open(Initiator, "r4");
    let carried = ["r5", "r0"].map(|name| talk.sealed.remove(name).unwrap());
    (carried, talk.finish())
}

/// Without one, and the first message lost: the second opens the session. Texts at the edges of the
/// padding's buckets.
pub(super) fn short<'a>(agreement: Agreement<'a>, rng: &'a mut ChaCha20Rng) -> Fields {
    let policy = policy(Protection::Ratchet, Signatures::Off);
    let [to_initiator, to_responder] = [agreement.initiator, agreement.responder]
        .map(|to| MessageContext { destination: Destination::Mailbox(to.address().device_id), policy });
    let mut talk = Conversation::new(agreement, rng);
    talk.seal(Initiator, "i0", to_responder, &[0x80; 256]);
    talk.seal(Initiator, "i1", to_responder, &[0; 255]);
    talk.respond("i1");
    talk.open(Responder, "i1");
    talk.seal(Responder, "r0", to_initiator, b"");
    talk.open(Initiator, "r0");
    talk.seal(Initiator, "i2", to_responder, b"\0text\x80\0\0");
    talk.open(Responder, "i2");
    talk.open(Responder, "i0");
    talk.finish()
}

impl<'a> Conversation<'a> {
    fn new(agreement: Agreement<'a>, rng: &'a mut ChaCha20Rng) -> Self {
        Self { agreement, responder: None, sealed: BTreeMap::new(), steps: Vec::new(), rng }
    }

    fn session(&mut self, side: Side) -> &mut PairwiseSession {
        match side {
            Initiator => &mut self.agreement.session,
            Responder => self.responder.as_mut().unwrap(),
        }
    }

    fn seal(&mut self, side: Side, name: &'static str, context: MessageContext, plaintext: &[u8]) {
        let associated_data = context.associated_data(&self.agreement.initiated.agreed.binding);
        let mut rng = self.rng.clone();
        let session = self.session(side);
        // The same generator draws the same ratchet key twice: once to be told, once on the public path.
        let (drawn, fields, sealed) = trace::seal(session.ratchet(), plaintext, &associated_data, &mut rng.clone());
        let payload = session.seal(plaintext, &context, &mut rng).unwrap();
        assert_eq!(PairwiseMessage::parse(&payload).unwrap().sealed, sealed);
        let expected = fields.hex("payload", &payload).hex("saved", &*session.save());
        *self.rng = rng;

        let inputs = step("seal", side, name)
            .object("destination", destination_fields(context.destination))
            .object("policy", policy_fields(context.policy))
            .hex("plaintext", plaintext)
            .hex_if("ratchet_secret", drawn.as_ref().map(AgreementSecretKey::secret_bytes));
        self.steps.push(Fields::case(inputs, expected));
        self.sealed.insert(name, Sealed { payload, plaintext: plaintext.to_vec(), context });
    }

    /// The responder makes its side of the session from a first message, which is opened after that.
    fn respond(&mut self, name: &'static str) {
        let payload = &self.sealed[name].payload;
        let first = PairwiseMessage::parse(payload).unwrap().sealed.header;
        let session = self.agreement.respond(payload);
        let secret = &self.agreement.initiated.agreed.secret;
        let (root_step, ..) = trace::root_step(secret.as_bytes(), self.agreement.signed_prekey, &first.ratchet_key);
        let expected = Fields::default().object("root_step", root_step).hex("saved", &*session.save());
        self.steps.push(Fields::case(step("respond", Responder, name), expected));
        self.responder = Some(session);
    }

    fn open(&mut self, side: Side, name: &'static str) {
        let Sealed { payload, plaintext, context } = &self.sealed[name];
        let (payload, plaintext, context) = (payload.clone(), plaintext.clone(), *context);
        let associated_data = context.associated_data(&self.agreement.initiated.agreed.binding);
        let session = self.session(side);
        let sealed = PairwiseMessage::parse(&payload).unwrap().sealed;
        let (fields, traced) = trace::open(session.ratchet(), &sealed, &associated_data);
        let opened = session.open(&payload, &context, NOW).unwrap();
        assert_eq!(*opened, plaintext);
        assert_eq!(*traced, plaintext);
        let expected = fields.hex("plaintext", &*opened).hex("saved", &*session.save());
        self.steps.push(Fields::case(step("open", side, name), expected));
    }

    fn finish(self) -> Fields {
        Fields::default()
            .value("agreement", self.agreement.name)
            .value("now", NOW.as_millis())
            .list("steps", self.steps)
    }
}

fn step(action: &'static str, side: Side, message: &'static str) -> Fields {
    let side = match side {
        Initiator => "initiator",
        Responder => "responder",
    };
    Fields::default().value("action", action).value("side", side).value("message", message)
}

pub(super) fn destination_fields(destination: Destination) -> Fields {
    match destination {
        Destination::Room(room) => Fields::default().value("kind", "room").hex("id", room.as_bytes()),
        Destination::Mailbox(device) => Fields::default().value("kind", "mailbox").hex("id", device.as_bytes()),
    }
}
