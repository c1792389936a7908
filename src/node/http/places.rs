//! Places that an address has: for connections, and for sockets.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use dashmap::DashMap;

/// So many places for each address. Clones count the same ones.
#[derive(Clone, Debug)]
pub struct Places {
    taken: Arc<DashMap<IpAddr, u32>>,
    max: u32,
}

/// One place of an address. It is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    taken: Arc<DashMap<IpAddr, u32>>,
    network: IpAddr,
}

impl Places {
    pub(super) fn new(max: u32) -> Self {
        Self { taken: Arc::default(), max }
    }

    /// Takes a place. None if the address has as many as it may.
    #[must_use]
    pub fn take(&self, address: IpAddr) -> Option<Place> {
        let network = network(address);
        let mut count = self.taken.entry(network).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(Place { taken: Arc::clone(&self.taken), network })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.remove_if_mut(&self.network, |_, count| {
            *count = count.saturating_sub(1);
            *count == 0
        });
    }
}

/// What counts as one address: of IPv6 the first 64 bits, which one subscriber has all of.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn an_ipv6_subscriber_counts_as_one_and_mapped_ipv4_as_ipv4() {
        let network = |text: &str| super::network(text.parse().unwrap()).to_string();

        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("2001:db8:1:3::1"), "2001:db8:1:3::");
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
    }

    #[test]
    fn an_address_has_so_many_places_and_one_more_when_one_is_free() {
        let places = Places::new(2);
        let [one, other]: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()];

        let taken = [places.take(one).unwrap(), places.take(one).unwrap()];
        assert!(places.take(one).is_none());
        let _other = places.take(other).unwrap();
        drop(taken);

        assert_eq!(places.taken.len(), 1, "nothing is kept of an address that has none");
        places.take(one).unwrap();
    }
}
