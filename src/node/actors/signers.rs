//! With which key a member signs in a room whose keys the node holds: public halves alone, so that a session may check an
//! envelope without asking whoever holds the rest.

use std::sync::Arc;

use dashmap::DashMap;

use crate::ids::{AccountId, DeviceAddress, RoomId};
use crate::protocol::public::VerifiedDevice;
use crate::wire::Timestamp;

/// The keys, by room and member. Clones are handles of the same map.
#[derive(Clone, Default)]
pub struct Signers(Arc<DashMap<(RoomId, AccountId), Signer>>);

struct Signer {
    device: Arc<VerifiedDevice>,
    expires_at: Timestamp,
}

impl core::fmt::Debug for Signers {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Signers").field("members", &self.0.len()).finish()
    }
}

impl Signers {
    /// Sets the key of a member and until when it counts; none if it has none any more.
    pub fn set(&self, room_id: RoomId, account: AccountId, signer: Option<(VerifiedDevice, Timestamp)>) {
        let key = (room_id, account);
        match signer {
            None => drop(self.0.remove(&key)),
            Some((device, expires_at)) => {
                self.0.insert(key, Signer { device: Arc::new(device), expires_at });
            }
        }
    }

    /// No member of the room has a key any more.
    pub fn remove_room(&self, room_id: RoomId) {
        self.0.retain(|(known, _), _| *known != room_id);
    }

    /// The key that a device signs with.
    pub(super) fn of(&self, room_id: RoomId, device: DeviceAddress, now: Timestamp) -> Option<Arc<VerifiedDevice>> {
        let signer = self.0.get(&(room_id, device.account_id))?;
        (signer.device.address() == device && now < signer.expires_at).then(|| Arc::clone(&signer.device))
    }
}
