//! The saved form of a ratchet, as a part of a session's saved form.
//!
//! Root key 32; turn 1: theirs (1) with their key 32, or ours (2) with our secret 32, our public key
//! 32, chain key 32, next `u32`; `PN` `u32`; number of receiving chains `u32`, and for each: ratchet
//! key 32, flags 1 (1: it is open, 2: a key was given up), chain key 32 if it is open, highest number
//! given up `u32` if there is one, next `u32`, number of skipped keys `u32`, and for each: number
//! `u32`, time `u64`, key 32.

use std::collections::VecDeque;

use super::chain_key::ChainKey;
use super::double_ratchet::{DoubleRatchet, Turn};
use super::error::RatchetError;
use super::message_key::MessageKey;
use super::receiving_chain::{ReceivingChain, SkippedKey};
use super::root_key::RootKey;
use super::sending_chain::SendingChain;
use crate::protocol::public::{RatchetPublicKey, limits};
use crate::protocol::secret::AgreementSecretKey;
use crate::wire::{Reader, Timestamp, WireError, Writer};

impl DoubleRatchet {
    /// Length of the saved form in bytes.
    pub(in crate::protocol) fn saved_length(&self) -> usize {
        const FIXED: usize = 32 + 1 + 100 + 4 + 4;
        const CHAIN: usize = 32 + 33 + 4 + 4 + 4;
        const SKIPPED: usize = 4 + 8 + 32;
        FIXED + self.receiving.len() * CHAIN + self.skipped_keys() * SKIPPED
    }

    /// Appends the saved form. Secret.
    pub(in crate::protocol) fn write(&self, writer: Writer) -> Writer {
        let Self { root_key, turn, previous_chain_length, receiving } = self;
        let writer = writer.bytes(root_key.as_bytes());
        let writer = match turn {
            Turn::Theirs(ratchet_key) => writer.u8(1).bytes(ratchet_key.as_bytes()),
            Turn::Ours(SendingChain { ratchet_key, chain_key, next }) => writer
                .u8(2)
                .bytes(ratchet_key.secret_bytes())
                .bytes(ratchet_key.public_bytes())
                .bytes(chain_key.as_bytes())
                .u32(*next),
        };
        writer.u32(*previous_chain_length).length(receiving.len()).each(receiving, write_chain)
    }

    /// Reads the saved form.
    pub(in crate::protocol) fn read(reader: &mut Reader<'_>) -> Result<Self, RatchetError> {
        Ok(Self {
            root_key: RootKey::from_bytes(reader.array()?),
            turn: read_turn(reader)?,
            previous_chain_length: reader.u32()?,
            receiving: reader.list("receiving chains", limits::RECEIVING_CHAINS_MAX, read_chain)?,
        })
    }
}

fn read_turn(reader: &mut Reader<'_>) -> Result<Turn, RatchetError> {
    match reader.u8()? {
        1 => RatchetPublicKey::parse(reader.array()?).map(Turn::Theirs).map_err(RatchetError::RatchetKey),
        2 => {
            let secret = reader.array()?;
            Ok(Turn::Ours(SendingChain {
                ratchet_key: AgreementSecretKey::from_saved(secret, *reader.array()?),
                chain_key: ChainKey::from_bytes(reader.array()?),
                next: reader.u32()?,
            }))
        }
        _ => Err(WireError::Invalid { field: "turn" }.into()),
    }
}

/// The flags of a receiving chain.
const IS_OPEN: u8 = 1;
const HAS_GIVEN_UP: u8 = 2;

fn write_chain(writer: Writer, chain: &ReceivingChain) -> Writer {
    let ReceivingChain { ratchet_key, chain_key, next, skipped, given_up } = chain;
    let flags = if chain_key.is_some() { IS_OPEN } else { 0 } | if given_up.is_some() { HAS_GIVEN_UP } else { 0 };
    let writer = writer.bytes(ratchet_key).u8(flags);
    let writer = match chain_key {
        None => writer,
        Some(key) => writer.bytes(key.as_bytes()),
    };
    let writer = match given_up {
        None => writer,
        Some(number) => writer.u32(*number),
    };
    writer.u32(*next).length(skipped.len()).each(skipped, |writer, skipped| {
        let SkippedKey { number, skipped_at, key } = skipped;
        writer.u32(*number).u64(skipped_at.as_millis()).bytes(key.as_bytes())
    })
}

fn read_chain(reader: &mut Reader<'_>) -> Result<ReceivingChain, WireError> {
    let ratchet_key = *reader.array()?;
    let flags = reader.u8()?;
    if flags & !(IS_OPEN | HAS_GIVEN_UP) != 0 {
        return Err(WireError::Invalid { field: "flags of a chain" });
    }
    let chain = ReceivingChain {
        ratchet_key,
        chain_key: if flags & IS_OPEN == 0 { None } else { Some(ChainKey::from_bytes(reader.array()?)) },
        given_up: if flags & HAS_GIVEN_UP == 0 { None } else { Some(reader.u32()?) },
        next: reader.u32()?,
        skipped: read_skipped(reader)?,
    };
    // A key that is skipped and still to come would be kept twice, and the keys be out of order.
    let skipped = chain.skipped.back().map(|last| last.number);
    if skipped.max(chain.given_up).is_some_and(|last| last >= chain.next) {
        return Err(WireError::Invalid { field: "number of a skipped key" });
    }
    Ok(chain)
}

fn read_skipped(reader: &mut Reader<'_>) -> Result<VecDeque<SkippedKey>, WireError> {
    let skipped = reader.list("skipped keys", limits::SKIPPED_KEYS_MAX, |reader| {
        Ok::<_, WireError>(SkippedKey {
            number: reader.u32()?,
            skipped_at: Timestamp::from_millis(reader.u64()?),
            key: Box::new(MessageKey::from_bytes(reader.array()?)),
        })
    })?;
    if skipped.is_sorted_by(|a, b| a.number < b.number) {
        Ok(skipped.into())
    } else {
        Err(WireError::Invalid { field: "order of skipped keys" })
    }
}
