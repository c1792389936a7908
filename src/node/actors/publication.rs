//! What a room has stored, on its way to those who follow the room.

use core::time::Duration;
use std::sync::OnceLock;

use bytes::{Bytes, BytesMut};

use crate::ids::DeviceAddress;
use crate::node::ws::SharedMessage;
use crate::wire::{self, Encoding, Envelope, Position};

/// New entries of a room, in order and without holes between them.
#[derive(Debug)]
pub(super) struct Publication {
    entries: Vec<Entry>,
    /// Whether all of them are for everybody but those who sent them.
    is_for_all: bool,
    /// The frames of all entries one after the other: made once for each encoding, however many sockets take them.
    json: OnceLock<Bytes>,
    cbor: OnceLock<Bytes>,
}

impl Publication {
    /// Takes the entries, in order. None if there are none.
    pub(super) fn new(entries: Vec<Entry>) -> Option<Self> {
        let is_for_all = entries.iter().all(|entry| entry.recipient.is_none());
        (!entries.is_empty()).then_some(Self { entries, is_for_all, json: OnceLock::new(), cbor: OnceLock::new() })
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The first number and the last.
    pub(super) fn range(&self) -> (u64, u64) {
        let seq = |entry: Option<&Entry>| entry.map_or(0, |entry| entry.position.seq);
        (seq(self.entries.first()), seq(self.entries.last()))
    }

    /// Whether a device gets every entry.
    pub(super) fn is_whole_for(&self, device: DeviceAddress) -> bool {
        self.is_for_all && self.entries.iter().all(|entry| entry.sender != device)
    }

    /// The frames of all entries.
    pub(super) fn frames(&self, encoding: Encoding) -> Bytes {
        let cell = match encoding {
            Encoding::Json => &self.json,
            Encoding::Cbor => &self.cbor,
        };
        let join = || match self.entries.as_slice() {
            [only] => only.frame(encoding),
            entries => {
                let mut frames = BytesMut::new();
                for entry in entries {
                    frames.extend_from_slice(&entry.frame(encoding));
                }
                frames.freeze()
            }
        };
        cell.get_or_init(join).clone()
    }
}

/// A stored envelope.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) position: Position,
    /// When it arrived, on [`Clock::running`](crate::node::clock::Clock::running).
    pub(super) received_at: Duration,
    sender: DeviceAddress,
    recipient: Option<DeviceAddress>,
    message: SharedMessage,
}

impl Entry {
    pub(super) fn new(position: Position, envelope: Envelope, received_at: Duration) -> Self {
        let (sender, recipient) = (envelope.sender, envelope.recipient);
        let message = SharedMessage::new(wire::Message::Envelope(wire::Entry { position, envelope }));
        Self { position, received_at, sender, recipient, message }
    }

    pub(super) fn is_for(&self, device: DeviceAddress) -> bool {
        is_for(self.sender, self.recipient, device)
    }

    pub(super) fn frame(&self, encoding: Encoding) -> Bytes {
        self.message.frame(encoding)
    }
}

/// Whether an envelope of a room is sent to a device: if it is for that device, or for all but its sender.
pub(super) fn is_for(sender: DeviceAddress, recipient: Option<DeviceAddress>, device: DeviceAddress) -> bool {
    recipient.map_or(sender != device, |recipient| recipient == device)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::ids::{AccountId, DeviceId, EnvelopeId, KeyId, LogEpoch, RoomId};
    use crate::wire::{ByteString, Destination, Timestamp};

    fn device(number: u8) -> DeviceAddress {
        DeviceAddress { account_id: AccountId::from_bytes([number; 16]), device_id: DeviceId::from_bytes([number; 16]) }
    }

    fn entry(seq: u64, sender: DeviceAddress, recipient: Option<DeviceAddress>) -> Entry {
        let envelope = Envelope {
            id: EnvelopeId::from_bytes([3; 16]),
            destination: Destination::Room(RoomId::from_bytes([4; 16])),
            sender,
            recipient,
            key_id: KeyId::from_bytes([5; 8]),
            epoch: None,
            nonce: crate::wire::Bytes([6; 12]),
            timestamp: Timestamp::from_millis(7),
            payload: ByteString(vec![8; 300]),
            signature: None,
        };
        Entry::new(Position { epoch: LogEpoch::from_bytes([1; 8]), seq }, envelope, Duration::ZERO)
    }

    #[test]
    fn what_is_for_all_is_whole_for_everybody_but_its_senders() {
        let [ada, bob, eve] = [1, 2, 3].map(device);
        let for_all = Publication::new(vec![entry(4, ada, None), entry(5, bob, None)]).unwrap();
        assert_eq!(for_all.range(), (4, 5));
        assert_eq!([ada, bob, eve].map(|device| for_all.is_whole_for(device)), [false, false, true]);

        let for_bob = Publication::new(vec![entry(4, ada, None), entry(5, ada, Some(bob))]).unwrap();
        assert_eq!([ada, bob, eve].map(|device| for_bob.is_whole_for(device)), [false; 3]);
        assert!(Publication::new(Vec::new()).is_none());
    }

    #[test]
    fn its_frames_are_those_of_its_entries_one_after_the_other() {
        let publication = Publication::new((4..7).map(|seq| entry(seq, device(1), None)).collect()).unwrap();
        for encoding in Encoding::ALL {
            let frames: Vec<Bytes> = publication.entries().iter().map(|entry| entry.frame(encoding)).collect();
            assert_eq!(publication.frames(encoding), frames.concat());
        }
    }
}
