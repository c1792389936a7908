//! How often somebody may ask: by address before sign-in, by account after it, by who asks and whose
//! device for claims.
//!
//! Each limit is a leaky bucket (GCRA) that holds a minute's worth. They live in memory, one set for
//! each node: a restart empties them. Keys that are full again are dropped every [`PRUNE_EVERY`], so
//! what they take is bounded by the requests of a minute.

use core::hash::Hash;
use core::num::NonZeroU32;
use core::time::Duration;
use std::net::IpAddr;

use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use super::error::ApiError;
use super::places::{Place, Places, network};
use crate::ids::{AccountId, DeviceAddress};
use crate::node::clock::Clock;
use crate::node::config;
use crate::node::metrics::{Counter, Metrics};

/// How often keys that are as good as new are dropped.
pub const PRUNE_EVERY: Duration = Duration::from_secs(10);

/// User codes that are typed in a minute on the whole node, good or bad. At that rate, with a hundred devices waiting,
/// somebody who guesses meets one of them in a year.
const USER_CODES_PER_MINUTE: u32 = 600;

/// A limit for each key.
struct Limit<K: Clone + Hash + Eq> {
    limiter: RateLimiter<K, DashMapStateStore<K>, Clock, NoOpMiddleware<Duration>>,
    /// What can be spent at once.
    burst: NonZeroU32,
    refused: Counter,
}

impl<K: Clone + Hash + Eq> Limit<K> {
    fn per_minute(count: u32, clock: &Clock, refused: Counter) -> Self {
        let burst = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let limiter = RateLimiter::new(Quota::per_minute(burst), DashMapStateStore::default(), clock.clone());
        Self { limiter, burst, refused }
    }

    /// Spends `count` at once, at least one and at most what the limit ever has. How long to wait, if there are not as many.
    fn spend_many(&self, key: &K, count: u32, clock: &Clock) -> Result<(), Duration> {
        let count = NonZeroU32::new(count.min(self.burst.get())).unwrap_or(NonZeroU32::MIN);
        match self.limiter.check_key_n(key, count) {
            Ok(spent) => spent.map_err(|wait| {
                self.refused.increment(1);
                wait.wait_time_from(clock.running())
            }),
            // Not with a count within the burst.
            Err(_) => Err(Duration::from_secs(60)),
        }
    }

    fn spend(&self, key: &K, clock: &Clock) -> Result<(), ApiError> {
        self.limiter.check_key(key).map_err(|wait| {
            self.refused.increment(1);
            ApiError::rate_limited(wait.wait_time_from(clock.running()))
        })
    }
}

/// The node's limits.
pub struct RateLimits {
    clock: Clock,
    visitors: Limit<IpAddr>,
    accounts: Limit<AccountId>,
    claims: Limit<(AccountId, DeviceAddress)>,
    user_codes: Limit<()>,
    commands: Limit<AccountId>,
    connections: Places,
    connections_refused: Counter,
    sockets: Places,
    sockets_refused: Counter,
}

impl core::fmt::Debug for RateLimits {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("RateLimits(..)")
    }
}

impl RateLimits {
    /// Limits as the settings say.
    #[must_use]
    pub fn new(settings: &config::Limits, clock: &Clock, metrics: &Metrics) -> Self {
        let config::Limits {
            sign_in_per_minute,
            requests_per_minute,
            connections_per_address,
            sockets_per_address,
            commands_per_minute,
            claims_per_minute,
        } = settings;
        let refused = |limit| metrics.calls.rate_limited.of([limit]);
        Self {
            clock: clock.clone(),
            visitors: Limit::per_minute(sign_in_per_minute.value(), clock, refused("address")),
            accounts: Limit::per_minute(requests_per_minute.value(), clock, refused("account")),
            claims: Limit::per_minute(claims_per_minute.value(), clock, refused("claims")),
            user_codes: Limit::per_minute(USER_CODES_PER_MINUTE, clock, refused("user_codes")),
            commands: Limit::per_minute(commands_per_minute.value(), clock, refused("commands")),
            connections: Places::new(connections_per_address.value()),
            connections_refused: refused("connections"),
            sockets: Places::new(sockets_per_address.value()),
            sockets_refused: refused("sockets"),
        }
    }

    /// Counts a command on a socket of an account, by its weight.
    ///
    /// # Errors
    /// How long to wait.
    pub fn commands(&self, account: AccountId, weight: u32) -> Result<(), Duration> {
        self.commands.spend_many(&account, weight, &self.clock)
    }

    /// Takes a place for a connection. None if the address has as many as it may.
    #[must_use]
    pub fn connection(&self, address: IpAddr) -> Option<Place> {
        let place = self.connections.take(address);
        if place.is_none() {
            self.connections_refused.increment(1);
        }
        place
    }

    /// Takes a place for a socket.
    ///
    /// # Errors
    /// `rate_limited` if the address has as many as it may.
    pub fn socket(&self, address: IpAddr) -> Result<Place, ApiError> {
        self.sockets.take(address).ok_or_else(|| {
            self.sockets_refused.increment(1);
            ApiError::rate_limited(RETRY_SOCKET)
        })
    }

    /// Counts a call from somebody who is not signed in.
    ///
    /// # Errors
    /// `rate_limited`.
    pub fn visitor(&self, address: IpAddr) -> Result<(), ApiError> {
        self.visitors.spend(&network(address), &self.clock)
    }

    /// Counts a call of an account.
    ///
    /// # Errors
    /// `rate_limited`.
    pub fn account(&self, account: AccountId) -> Result<(), ApiError> {
        self.accounts.spend(&account, &self.clock)
    }

    /// Counts a claim.
    ///
    /// # Errors
    /// `rate_limited`.
    pub fn claim(&self, asker: AccountId, target: DeviceAddress) -> Result<(), ApiError> {
        self.claims.spend(&(asker, target), &self.clock)
    }

    /// Counts a user code that somebody typed.
    ///
    /// # Errors
    /// `rate_limited`.
    pub fn user_code(&self) -> Result<(), ApiError> {
        self.user_codes.spend(&(), &self.clock)
    }

    /// Drops keys that are as good as new.
    pub fn prune(&self) {
        // The limit on user codes has one key, for good; a socket gives its place back itself.
        let Self { visitors, accounts, claims, commands, .. } = self;
        visitors.limiter.retain_recent();
        accounts.limiter.retain_recent();
        claims.limiter.retain_recent();
        commands.limiter.retain_recent();
    }
}

/// How long a client waits whose address has too many sockets.
const RETRY_SOCKET: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::node::clock::ManualClock;
    use crate::node::config::Bounded;
    use crate::wire::{ErrorCode, Timestamp};

    #[test]
    fn a_minutes_worth_passes_at_once_and_then_one_as_time_goes() {
        let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
        let settings = config::Limits { sign_in_per_minute: Bounded::of::<6>(), ..config::Limits::default() };
        let limits = RateLimits::new(&settings, &clock.clone().into(), &Metrics::new());
        let [one, other]: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()];

        for _ in 0..6 {
            limits.visitor(one).unwrap();
        }
        assert_eq!(limits.visitor(one).unwrap_err().code(), ErrorCode::RateLimited);
        limits.visitor(other).unwrap();

        clock.advance(Duration::from_secs(10));
        limits.visitor(one).unwrap();
        assert_eq!(limits.visitor(one).unwrap_err().code(), ErrorCode::RateLimited);
    }

    #[test]
    fn keys_that_are_full_again_are_dropped() {
        let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
        let limits = RateLimits::new(&config::Limits::default(), &clock.clone().into(), &Metrics::new());
        limits.visitor("127.0.0.1".parse().unwrap()).unwrap();

        limits.prune();
        assert_eq!(limits.visitors.limiter.len(), 1);
        clock.advance(Duration::from_secs(120));
        limits.prune();

        assert_eq!(limits.visitors.limiter.len(), 0);
    }
}
