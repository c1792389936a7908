//! Who writes, in which room: somebody until they say that they have stopped, or their time is over.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::ids::{AccountId, DeviceAddress, RoomId};
use crate::wire::TypingState;
use crate::wire::limits::TYPING_TTL;

/// Devices on which somebody writes, and until when that counts.
#[derive(Debug, Default)]
pub(super) struct Typing(BTreeMap<(RoomId, DeviceAddress), Instant>);

impl Typing {
    /// Takes what the node tells of a device. True if the account, which may have several, has begun or stopped by it.
    pub(super) fn hear(&mut self, room: RoomId, device: DeviceAddress, state: TypingState, now: Instant) -> bool {
        let was_writing = self.writes(room, device.account_id);
        match state {
            // Of more than that, it is not shown.
            TypingState::Started if self.0.len() >= DEVICES_MAX && !self.0.contains_key(&(room, device)) => {}
            TypingState::Started => {
                self.0.insert((room, device), now + TYPING_TTL);
            }
            TypingState::Stopped => {
                self.0.remove(&(room, device));
            }
        }
        was_writing != self.writes(room, device.account_id)
    }

    /// Forgets those whose time is over. Returns the accounts that write no more, with their rooms.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<(RoomId, AccountId)> {
        let mut stopped: Vec<(RoomId, AccountId)> = Vec::new();
        self.0.retain(|(room, device), until| {
            let is_over = *until <= now;
            if is_over {
                stopped.push((*room, device.account_id));
            }
            !is_over
        });
        stopped.dedup();
        stopped.retain(|(room, account)| !self.writes(*room, *account));
        stopped
    }

    /// When somebody's time is over next.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.0.values().min().copied()
    }

    fn writes(&self, room: RoomId, account: AccountId) -> bool {
        self.0.keys().any(|(place, device)| *place == room && device.account_id == account)
    }
}

/// Devices that are remembered at once.
const DEVICES_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::ids::DeviceId;

    const HERE: RoomId = RoomId::from_bytes([1; 16]);
    const THERE: RoomId = RoomId::from_bytes([2; 16]);

    fn device(account: u8, device: u8) -> DeviceAddress {
        DeviceAddress {
            account_id: AccountId::from_bytes([account; 16]),
            device_id: DeviceId::from_bytes([device; 16]),
        }
    }

    #[test]
    fn an_account_writes_until_its_last_device_has_stopped() {
        let (mut typing, now) = (Typing::default(), Instant::now());
        let [laptop, phone] = [device(1, 1), device(1, 2)];
        assert!(typing.hear(HERE, laptop, TypingState::Started, now));
        assert!(!typing.hear(HERE, laptop, TypingState::Started, now));
        assert!(!typing.hear(HERE, phone, TypingState::Started, now));
        assert!(!typing.hear(HERE, laptop, TypingState::Stopped, now));
        assert!(!typing.hear(THERE, phone, TypingState::Stopped, now));
        assert!(typing.hear(HERE, phone, TypingState::Stopped, now));
        assert!(!typing.hear(HERE, phone, TypingState::Stopped, now));
    }

    #[test]
    fn who_never_says_that_they_have_stopped_has_stopped_in_time() {
        let (mut typing, now) = (Typing::default(), Instant::now());
        let (grace, joan) = (device(1, 1), device(2, 3));
        assert_eq!(typing.next_end(), None);
        typing.hear(HERE, grace, TypingState::Started, now);
        typing.hear(HERE, device(1, 2), TypingState::Started, now);
        typing.hear(HERE, joan, TypingState::Started, now);
        let later = now + TYPING_TTL / 2;
        typing.hear(HERE, joan, TypingState::Started, later);
        typing.hear(THERE, joan, TypingState::Started, now);

        let end = now + TYPING_TTL;
        assert_eq!(typing.next_end(), Some(end));
        assert_eq!(typing.expire(end - Duration::from_millis(1)), []);
        assert_eq!(typing.expire(end), [(HERE, grace.account_id), (THERE, joan.account_id)]);
        assert_eq!(typing.next_end(), Some(later + TYPING_TTL));
        assert_eq!(typing.expire(later + TYPING_TTL), [(HERE, joan.account_id)]);
        assert_eq!(typing.next_end(), None);
    }

    #[test]
    fn more_than_are_remembered_are_not_shown() {
        let (mut typing, now) = (Typing::default(), Instant::now());
        for number in 0..=u16::try_from(DEVICES_MAX).unwrap_or_default() {
            let mut id = [0; 16];
            id[..2].copy_from_slice(&number.to_be_bytes());
            let device = DeviceAddress { account_id: AccountId::from_bytes(id), device_id: DeviceId::from_bytes(id) };
            assert_eq!(typing.hear(HERE, device, TypingState::Started, now), usize::from(number) < DEVICES_MAX);
        }
        assert!(!typing.hear(HERE, device(0, 0), TypingState::Started, now), "known");
    }
}
