//! What the logs of rooms and mailboxes share: the form of their envelopes, and pages of them.

use super::columns::Integer;
use super::error::StoreError;
use super::limits::PAGE_BYTES_MAX;
use crate::ids::{DeviceAddress, EnvelopeId};
use crate::wire::{Envelope, LogEntry};

/// An envelope on its way into a log: what has a column, and its binary form. It is made before the
/// writer's turn, which others wait for.
pub(super) struct Outgoing {
    pub(super) id: EnvelopeId,
    pub(super) sender: DeviceAddress,
    pub(super) recipient: Option<DeviceAddress>,
    pub(super) bytes: Vec<u8>,
}

impl Outgoing {
    pub(super) fn new(envelope: &Envelope) -> Self {
        let Envelope { id, sender, recipient, .. } = envelope;
        Self { id: *id, sender: *sender, recipient: *recipient, bytes: envelope.to_cbor() }
    }
}

/// An entry that could be on a page: its number, and the bytes of its envelope.
pub(super) type Size = (Integer, Integer);

/// The number of the last entry that is on the page, of those that could be; at least the first is. None
/// if there is no entry.
pub(super) fn last_that_fits(sizes: &[Size]) -> Option<Integer> {
    let mut room = PAGE_BYTES_MAX as u64;
    let mut last = None;
    for (seq, bytes) in sizes {
        if last.is_some() && bytes.get() > room {
            break;
        }
        room = room.saturating_sub(bytes.get());
        last = Some(*seq);
    }
    last
}

/// Reads the entries of a page.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(super) fn entries(rows: Vec<(Integer, Vec<u8>)>) -> Result<Vec<LogEntry>, StoreError> {
    let entry = |(seq, bytes): (Integer, Vec<u8>)| {
        let envelope = Envelope::from_cbor(&bytes).map_err(|_| StoreError::Corrupt { what: "envelope" })?;
        Ok(LogEntry { seq: seq.get(), envelope })
    };
    rows.into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn last(sizes: &[u64]) -> Option<u64> {
        let number = |value| Integer::new(value, "value").unwrap();
        let sizes: Vec<_> = (1..).map(number).zip(sizes.iter().copied().map(number)).collect();
        last_that_fits(&sizes).map(Integer::get)
    }

    #[test]
    fn a_page_is_filled_to_its_bytes_and_holds_one_entry_at_least() {
        let max = PAGE_BYTES_MAX as u64;
        for (sizes, expected) in [
            (&[][..], None),
            (&[1], Some(1)),
            (&[max], Some(1)),
            (&[max + 1], Some(1)),
            (&[max, 1], Some(1)),
            (&[max - 1, 1], Some(2)),
            (&[max - 1, 1, 1], Some(2)),
            (&[1, max, 1], Some(1)),
        ] {
            assert_eq!(last(sizes), expected, "{sizes:?}");
        }
    }
}
