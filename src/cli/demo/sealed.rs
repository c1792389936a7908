//! For whom something was sealed: what is counted in the node's store after a device was revoked.

use std::collections::BTreeMap;
use std::error::Error;

use super::view::Seen;
use crate::ids::{AccountId, DeviceId};

/// The envelopes that one account has sent to the mailboxes of another, of each device.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sealed(BTreeMap<DeviceId, usize>);

impl Sealed {
    /// Counts them among rows.
    pub(super) fn count(rows: &[Seen], from: AccountId, to: AccountId) -> Self {
        let mut sealed = BTreeMap::new();
        for row in rows.iter().filter(|row| row.log == "mailbox" && row.from == from && row.to == Some(to)) {
            if let Some(device) = row.to_device {
                *sealed.entry(device).or_default() += 1;
            }
        }
        Self(sealed)
    }

    /// What was counted, in words.
    ///
    /// # Errors
    /// If it is anything but one envelope for each device that is left, and none for the one that was revoked.
    pub(super) fn are_for(&self, left: &[DeviceId], revoked: DeviceId) -> Result<String, Box<dyn Error>> {
        let all: usize = self.0.values().sum();
        let lost = self.of(revoked);
        let words =
            format!("{all} sealed for the account's devices, {} on the list, {lost} for the revoked one", left.len());
        if lost == 0 && all == left.len() && left.iter().all(|device| self.of(*device) == 1) {
            return Ok(words);
        }
        Err(format!("the node's store is not as it should be after a device was revoked: {words}").into())
    }

    fn of(&self, device: DeviceId) -> usize {
        self.0.get(&device).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const GRACE: AccountId = AccountId::from_bytes([1; 16]);
    const ADA: AccountId = AccountId::from_bytes([2; 16]);
    const LAPTOP: DeviceId = DeviceId::from_bytes([3; 16]);
    const PHONE: DeviceId = DeviceId::from_bytes([4; 16]);

    fn counted(devices: &[DeviceId]) -> Sealed {
        let row = |device: &DeviceId| Seen {
            log: "mailbox",
            from: GRACE,
            to: Some(ADA),
            to_device: Some(*device),
            envelope: None,
        };
        Sealed::count(&devices.iter().map(row).collect::<Vec<_>>(), GRACE, ADA)
    }

    #[test]
    fn only_one_envelope_for_each_device_that_is_left_is_as_it_should_be() {
        let words = counted(&[LAPTOP]).are_for(&[LAPTOP], PHONE).unwrap();
        assert_eq!(words, "1 sealed for the account's devices, 1 on the list, 0 for the revoked one");
        for sealed in [&[LAPTOP, PHONE][..], &[PHONE], &[LAPTOP, LAPTOP], &[]] {
            assert!(counted(sealed).are_for(&[LAPTOP], PHONE).is_err(), "{sealed:?}");
        }
        // It is on the list as before.
        assert!(counted(&[LAPTOP, PHONE]).are_for(&[LAPTOP, PHONE], PHONE).is_err());
    }

    #[test]
    fn what_others_send_and_what_goes_elsewhere_is_not_counted() {
        let row = Seen { log: "mailbox", from: GRACE, to: Some(ADA), to_device: Some(PHONE), envelope: None };
        let others =
            [Seen { log: "room", ..row.clone() }, Seen { from: ADA, ..row.clone() }, Seen { to: Some(GRACE), ..row }];
        assert_eq!(Sealed::count(&others, GRACE, ADA), counted(&[]));
    }
}
