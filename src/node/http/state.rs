//! What every handler shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::rate_limit::RateLimits;
use crate::ids::{AccountId, DeviceId, RoomId};
use crate::node::actors::{Routes, Signers};
use crate::node::auth::{DevelopmentProvider, SignIn};
use crate::node::clock::Clock;
use crate::node::config::{Settings, WebAddress};
#[cfg(feature = "custody")]
pub use crate::node::custody::Custody;
use crate::node::metrics::Metrics;
#[cfg(not(feature = "custody"))]
pub use crate::node::no_custody::Custody;
use crate::node::store::Store;
use crate::node::turn::Turn;

/// What the handlers of all workers share.
#[derive(Debug)]
pub struct NodeState {
    /// The settings.
    pub settings: Settings,
    /// What people and browsers use to reach the node.
    pub public_url: WebAddress,
    /// The clock.
    pub clock: Clock,
    /// What is kept.
    pub store: Store,
    /// Sign-in and sessions.
    pub sign_in: SignIn,
    /// The development provider, where it is on: its pages are part of the node.
    pub development: Option<DevelopmentProvider>,
    /// The TURN server, if the node knows one.
    pub turn: Option<Turn>,
    /// Where rooms and sockets are.
    pub routes: Routes,
    /// With which keys members sign, in rooms whose keys the node holds.
    pub signers: Signers,
    /// The keys that the node holds. None where it holds none.
    pub custody: Option<Custody>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// How often somebody may ask.
    pub limits: RateLimits,
    /// Whether the node takes new work.
    pub readiness: Readiness,
}

impl NodeState {
    /// An account is no member of a room any more: what the node holds of its keys there is wiped when this returns.
    pub(super) async fn forget_keys(&self, room_id: RoomId, account: AccountId) {
        if let Some(custody) = &self.custody {
            custody.forget(room_id, account).await;
        }
    }

    /// An account has these devices: what the node holds in a room for another one of it is wiped when this returns.
    pub(super) async fn forget_unlisted_keys(&self, room_id: RoomId, account: AccountId, listed: &[DeviceId]) {
        if let Some(custody) = &self.custody {
            custody.forget_unlisted(room_id, account, listed.to_vec()).await;
        }
    }

    /// A room is closed: what the node holds of its keys is wiped when this returns.
    pub(super) async fn close_keys(&self, room_id: RoomId) {
        if let Some(custody) = &self.custody {
            custody.close(room_id).await;
        }
    }
}

/// Whether the node takes new work. It is first not ready, then stops, for good.
#[derive(Debug, Default)]
pub struct Readiness {
    leaving: AtomicBool,
    stopping: AtomicBool,
}

impl Readiness {
    /// From now on the node says that it is not ready. It goes on as before.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::SeqCst);
    }

    /// Whether it says that it is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.leaving.load(Ordering::SeqCst) && !self.is_stopping()
    }

    /// From now on the node takes no new work.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Whether it is to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}
