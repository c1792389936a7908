//! What was sent, acknowledged and delivered of one log, and what has to hold between the three.

use std::collections::BTreeMap;
use std::time::Duration;

use conclave::ids::{AccountId, DeviceAddress, DeviceId, EnvelopeId, KeyId, LogEpoch, RoomId};
use conclave::wire::{ByteString, Bytes, Destination, Entry, Envelope, Position};

use crate::server::START;

/// The books of one log.
#[derive(Default)]
pub(super) struct Ledger {
    sent: BTreeMap<EnvelopeId, Envelope>,
    acknowledged: BTreeMap<EnvelopeId, Position>,
    /// In effect: what was delivered again, as the same at the same place, is one delivery.
    delivered: Vec<(Position, EnvelopeId)>,
    /// What was seen on the way that may not be.
    fault: Option<Fault>,
}

/// What may not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Acknowledged, and never delivered.
    Lost(EnvelopeId),
    /// Acknowledged at one place, and delivered or acknowledged at another.
    Moved(EnvelopeId),
    /// Delivered at two places.
    Twice(EnvelopeId),
    /// Delivered, and never sent.
    Invented(EnvelopeId),
    /// Delivered otherwise than it was sent.
    Altered(EnvelopeId),
    /// Behind one that was sent later, on the same connection.
    Overtaken(EnvelopeId),
    /// Delivered out of order, with a hole before it, or with another at the same place.
    Misplaced(Position),
    /// The log is not the one that was followed.
    Gap,
}

impl Ledger {
    pub(super) fn send(&mut self, envelope: Envelope) {
        self.sent.insert(envelope.id, envelope);
    }

    /// What was sent under an id.
    pub(super) fn envelope(&self, id: EnvelopeId) -> &Envelope {
        &self.sent[&id]
    }

    pub(super) fn acknowledge(&mut self, id: EnvelopeId, position: Position) {
        if self.acknowledged.insert(id, position).is_some_and(|before| before != position) {
            self.find(Fault::Moved(id));
        }
    }

    pub(super) fn deliver(&mut self, Entry { position, envelope }: &Entry) {
        let id = envelope.id;
        match self.sent.get(&id) {
            None => self.find(Fault::Invented(id)),
            Some(sent) if sent != envelope => self.find(Fault::Altered(id)),
            Some(_) => {}
        }
        let known = usize::try_from(position.seq).ok().and_then(|seq| self.delivered.get(seq.checked_sub(1)?));
        match known {
            Some(known) if *known == (*position, id) => {}
            None if position.seq == self.delivered.len() as u64 + 1 => self.delivered.push((*position, id)),
            _ => self.find(Fault::Misplaced(*position)),
        }
    }

    pub(super) fn find(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    /// Up to where it was delivered.
    pub(super) fn head(&self) -> Option<Position> {
        self.delivered.last().map(|(position, _)| *position)
    }

    /// What was sent and not acknowledged.
    pub(super) fn open(&self) -> Vec<EnvelopeId> {
        self.sent.keys().filter(|id| !self.acknowledged.contains_key(*id)).copied().collect()
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// Whether all is as it has to be. What was acknowledged has had the time to be delivered.
    pub(super) fn check(&self) -> Result<(), Fault> {
        self.fault.map_or(Ok(()), Err)?;
        let mut places = BTreeMap::new();
        for (position, id) in &self.delivered {
            if places.insert(id, position).is_some() {
                return Err(Fault::Twice(*id));
            }
        }
        for (id, position) in &self.acknowledged {
            match places.get(id) {
                None => return Err(Fault::Lost(*id)),
                Some(place) if *place != position => return Err(Fault::Moved(*id)),
                Some(_) => {}
            }
        }
        Ok(())
    }
}

const fn id(number: u8) -> EnvelopeId {
    EnvelopeId::from_bytes([number; 16])
}

const fn place(seq: u64) -> Position {
    Position { epoch: LogEpoch::from_bytes([7; 8]), seq }
}

fn envelope(number: u8) -> Envelope {
    let device = DeviceAddress { account_id: AccountId::from_bytes([1; 16]), device_id: DeviceId::from_bytes([2; 16]) };
    Envelope {
        id: id(number),
        destination: Destination::Mailbox(device.device_id),
        sender: device,
        recipient: Some(device),
        key_id: KeyId::from_bytes([3; 8]),
        epoch: None,
        nonce: Bytes([number; 12]),
        timestamp: START,
        payload: ByteString(vec![number; 20]),
        signature: None,
    }
}

fn entry(seq: u64, number: u8) -> Entry {
    Entry { position: place(seq), envelope: envelope(number) }
}

/// What is found where 1, 2 and 3 were sent, some of them acknowledged at their places, and this was delivered.
fn found(acknowledged: &[u8], delivered: &[Entry]) -> Result<(), Fault> {
    let mut ledger = Ledger::default();
    (1..=3).for_each(|number| ledger.send(envelope(number)));
    for number in acknowledged {
        ledger.acknowledge(id(*number), place((*number).into()));
    }
    for entry in delivered {
        ledger.deliver(entry);
    }
    ledger.check()
}

#[test]
fn what_is_as_it_should_be_is_no_fault() {
    let [one, two, three] = [entry(1, 1), entry(2, 2), entry(3, 3)];
    assert_eq!(found(&[1, 2, 3], &[one.clone(), two.clone(), three.clone()]), Ok(()));
    assert_eq!(found(&[1, 2], &[one.clone(), two.clone()]), Ok(()), "what was not acknowledged need not be there");
    assert_eq!(found(&[], &[one.clone(), two.clone(), three.clone()]), Ok(()), "and may be");
    assert_eq!(found(&[1, 2, 3], &[one.clone(), two.clone(), one, two, three]), Ok(()), "the same at the same place");
}

#[test]
fn what_is_lost_is_found_out() {
    assert_eq!(found(&[1, 2, 3], &[entry(1, 1), entry(2, 2)]), Err(Fault::Lost(id(3))));
    assert_eq!(found(&[1, 3], &[entry(1, 1), entry(3, 3)]), Err(Fault::Misplaced(place(3))), "with a hole");
    assert_eq!(found(&[1], &[]), Err(Fault::Lost(id(1))));
}

#[test]
fn what_is_repeated_is_found_out() {
    assert_eq!(found(&[1, 2], &[entry(1, 1), entry(2, 2), entry(3, 1)]), Err(Fault::Twice(id(1))));
    let mut ledger = Ledger::default();
    ledger.send(envelope(1));
    ledger.acknowledge(id(1), place(1));
    ledger.acknowledge(id(1), place(2));
    assert_eq!(ledger.check(), Err(Fault::Moved(id(1))));
}

#[test]
fn what_is_reordered_is_found_out() {
    assert_eq!(found(&[1, 2], &[entry(2, 2), entry(1, 1)]), Err(Fault::Misplaced(place(2))), "on the way");
    assert_eq!(found(&[1, 2], &[entry(1, 2), entry(2, 1)]), Err(Fault::Moved(id(1))), "after the answer");
    assert_eq!(found(&[2], &[entry(1, 2), entry(2, 1)]), Err(Fault::Moved(id(2))), "where one was answered");
    assert_eq!(found(&[], &[entry(1, 1), entry(1, 2)]), Err(Fault::Misplaced(place(1))), "at one place");
}

#[test]
fn what_is_invented_is_found_out() {
    assert_eq!(found(&[1], &[entry(1, 1), entry(2, 9)]), Err(Fault::Invented(id(9))));
    let mut renamed = entry(2, 2);
    renamed.envelope.id = id(9);
    assert_eq!(found(&[1], &[entry(1, 1), renamed]), Err(Fault::Invented(id(9))));
}

#[test]
fn what_is_altered_is_found_out_in_whichever_field() {
    let other = DeviceAddress { account_id: AccountId::from_bytes([8; 16]), device_id: DeviceId::from_bytes([9; 16]) };
    let changes: [&dyn Fn(&mut Envelope); 9] = [
        &|envelope| envelope.destination = Destination::Room(RoomId::from_bytes([9; 16])),
        &|envelope| envelope.sender = other,
        &|envelope| envelope.recipient = None,
        &|envelope| envelope.key_id = KeyId::from_bytes([9; 8]),
        &|envelope| envelope.epoch = Some(9),
        &|envelope| envelope.nonce.0[11] ^= 1,
        &|envelope| envelope.timestamp = envelope.timestamp.plus(Duration::from_millis(1)),
        &|envelope| envelope.payload.0[19] ^= 1,
        &|envelope| envelope.signature = Some(Bytes([9; 64])),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut altered = entry(1, 1);
        change(&mut altered.envelope);
        assert_eq!(found(&[1], &[altered.clone()]), Err(Fault::Altered(id(1))), "field {number}");
        assert_eq!(found(&[1], &[entry(1, 1), altered]), Err(Fault::Altered(id(1))), "field {number}, the second time");
    }
}
