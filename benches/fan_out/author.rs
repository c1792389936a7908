//! Envelopes that a node admits: each with an id and a nonce of its own, stamped now, and signed.

use conclave::ids::{DeviceAddress, EnvelopeId, KeyId, LogEpoch, RoomId};
use conclave::node::clock::Clock;
use conclave::protocol::identity::DeviceKeys;
use conclave::protocol::public::{envelope_signed_bytes, signing_key_id};
use conclave::wire::{
    ByteString, Bytes, Command, Custody, Destination, Encoding, Entry, Envelope, Message, Outcome, Position,
    Protection, RoomPolicy, Signatures,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use crate::frame;

/// The policy of the rooms here: one envelope goes to all, and it is signed.
pub(crate) const POLICY: RoomPolicy =
    RoomPolicy { custody: Custody::Client, protection: Protection::Mls, signatures: Signatures::On };

/// Bytes of a payload: some 200 of text, padded and sealed.
const PAYLOAD_BYTES: usize = 313;

/// Somebody who writes to a room.
pub(crate) struct Author {
    address: DeviceAddress,
    keys: DeviceKeys,
    key_id: KeyId,
    room_id: RoomId,
    clock: Clock,
    rng: ChaCha20Rng,
    written: u32,
}

impl Author {
    pub(crate) fn new(address: DeviceAddress, keys: DeviceKeys, room_id: RoomId) -> Self {
        let key_id = signing_key_id(&keys.signing.public_key());
        let mut seed = [0; 32];
        let clock = Clock::system();
        seed[..16].copy_from_slice(address.device_id.as_bytes());
        // No envelope of an earlier author may come again: the store would know it.
        seed[16..24].copy_from_slice(&clock.now().as_millis().to_le_bytes());
        Self { address, keys, key_id, room_id, clock, rng: ChaCha20Rng::from_seed(seed), written: 0 }
    }

    /// The next envelope.
    pub(crate) fn write(&mut self) -> Envelope {
        let (mut nonce, mut payload) = ([0; 12], vec![0; PAYLOAD_BYTES]);
        self.rng.fill_bytes(&mut nonce);
        self.rng.fill_bytes(&mut payload);
        let mut envelope = Envelope {
            id: EnvelopeId::generate(&mut self.rng),
            destination: Destination::Room(self.room_id),
            sender: self.address,
            recipient: None,
            key_id: self.key_id,
            epoch: Some(1),
            nonce: Bytes(nonce),
            timestamp: self.clock.now(),
            payload: ByteString(payload),
            signature: None,
        };
        envelope.signature = Some(self.keys.signing.sign(&envelope_signed_bytes(&envelope, POLICY)));
        self.written += 1;
        envelope
    }

    /// Whether an envelope has the signature of this author, as a node checks it.
    pub(crate) fn has_signed(&self, envelope: &Envelope) -> bool {
        let signature = envelope.signature.as_ref().unwrap();
        self.keys.signing.public_key().has_signed(&envelope_signed_bytes(envelope, POLICY), signature)
    }

    /// The frame of the command that sends it to a node.
    pub(crate) fn command(&self, envelope: Envelope) -> Vec<u8> {
        frame::from_client(&Command::Send { id: self.written, envelope }.to_bytes(Encoding::Cbor))
    }

    /// The message that a node makes of it.
    pub(crate) fn event(&self, envelope: Envelope) -> Vec<u8> {
        Message::Envelope(Entry { position: position(self.written.into()), envelope }).to_bytes(Encoding::Cbor)
    }
}

/// The answer that a node gives to a command.
pub(crate) fn answer() -> Vec<u8> {
    Message::answer(1_000, Outcome::Sent(position(1_000))).to_bytes(Encoding::Cbor)
}

fn position(seq: u64) -> Position {
    Position { epoch: LogEpoch::from_bytes([7; 8]), seq }
}

/// The id of the envelope in a message.
pub(crate) fn id_in(message: &[u8]) -> EnvelopeId {
    match Message::parse(message, Encoding::Cbor).unwrap() {
        Message::Envelope(Entry { envelope, .. }) => envelope.id,
        other => panic!("{other:?}"),
    }
}
