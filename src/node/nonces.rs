//! The nonces that are remembered: in a room, so that no envelope is taken twice under another id; and where the node decrypts,
//! so that no member opens one twice.
//!
//! An entry of the cache takes 330 bytes by itself. So an entry is a page: what came within an eighth of the time that a nonce
//! is remembered for, and 6,250 nonces at most. In a page a nonce takes 24 bytes, 42 with what the tree around them leaves
//! free: 8 of the hash of sender and nonce, and of who has opened it, and the 16 of the envelope's id.
//!
//! - A nonce is remembered for its time at least, and for an eighth of it more at most.
//! - 100,000 are remembered at most. Past that the oldest page is forgotten: a replay of what was on it is met by the store,
//!   where an envelope's id is stored once, or by the ratchet, whose key for it is gone.
//! - Two nonces may have the same hash; the second is refused then. With 100,000 remembered that befalls one in 10^14, and
//!   nobody can make it befall another, whose next nonce is not known. What was not refused without the hash is not admitted.
//! - They are lost with the actor that has them, for the same reasons without harm.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use sha2::{Digest, Sha256};

use crate::ids::{AccountId, EnvelopeId};
use crate::protocol::public::ReplayKey;
use crate::wire::{Envelope, Timestamp};

/// What one room remembers, of all its members. Until the first nonce there is no cache, which takes 32 KiB.
#[derive(Debug)]
pub(super) struct Nonces {
    ttl: Duration,
    pages: Option<Cache<u64, Page>>,
    /// The page that is written to, and since when.
    newest: u64,
    opened_at: Timestamp,
}

/// Which envelopes have used the nonces with these hashes.
type Page = Arc<Mutex<BTreeMap<u64, EnvelopeId>>>;

impl Nonces {
    /// Remembers each nonce for `ttl`.
    pub(super) const fn new(ttl: Duration) -> Self {
        Self { ttl, pages: None, newest: 0, opened_at: Timestamp::from_millis(0) }
    }

    /// Remembers the nonce of an envelope. False if another envelope has used it; nothing is remembered then.
    pub(super) fn claim(&mut self, envelope: &Envelope, now: Timestamp) -> bool {
        let hash = hash(envelope, None);
        if let Some(id) = self.user_of(hash) {
            return id == envelope.id;
        }
        self.remember(hash, envelope.id, now);
        true
    }

    /// Forgets the nonce of an envelope.
    pub(super) fn forget(&self, envelope: &Envelope) {
        let hash = hash(envelope, None);
        for page in self.pages() {
            locked(&page, |nonces| nonces.remove(&hash));
        }
    }

    /// Whether a member has opened an envelope with this nonce, be it the same one.
    #[cfg(feature = "custody")]
    pub(super) fn was_opened(&self, envelope: &Envelope, reader: AccountId) -> bool {
        self.user_of(hash(envelope, Some(reader))).is_some()
    }

    /// Remembers the nonce of an envelope that a member has opened. It is that member's alone.
    #[cfg(feature = "custody")]
    pub(super) fn remember_opened(&mut self, envelope: &Envelope, reader: AccountId, now: Timestamp) {
        self.remember(hash(envelope, Some(reader)), envelope.id, now);
    }

    /// How long each is remembered, for the tests of the setting.
    #[cfg(test)]
    pub(super) const fn ttl(&self) -> Duration {
        self.ttl
    }

    /// The envelope that has used the nonce with this hash.
    fn user_of(&self, hash: u64) -> Option<EnvelopeId> {
        self.pages().find_map(|page| locked(&page, |nonces| nonces.get(&hash).copied()))
    }

    fn remember(&mut self, hash: u64, id: EnvelopeId, now: Timestamp) {
        let page = self.page_to_write(now);
        locked(&page, |nonces| nonces.insert(hash, id));
    }

    /// The pages that are remembered, the newest first.
    fn pages(&self) -> impl Iterator<Item = Page> {
        let numbers = (self.newest.saturating_sub(PAGES_MAX - 1)..=self.newest).rev();
        self.pages.iter().flat_map(move |pages| numbers.clone().filter_map(|number| pages.get(&number)))
    }

    /// The newest page. It is a new one if that before is full, or its time over, or the clock was set back.
    fn page_to_write(&mut self, now: Timestamp) -> Page {
        let span = self.ttl / SPANS;
        let pages = self.pages.get_or_insert_with(|| {
            Cache::builder()
                .max_capacity(PAGES_MAX)
                // From when the page is begun: its last nonce comes a span later.
                .time_to_live(self.ttl + span)
                .eviction_policy(EvictionPolicy::lru())
                .build()
        });
        let is_open = now >= self.opened_at && now.since(self.opened_at) < span;
        if let Some(page) = pages.get(&self.newest)
            && is_open
            && locked(&page, |nonces| nonces.len() < PAGE_NONCES_MAX)
        {
            return page;
        }
        (self.newest, self.opened_at) = (self.newest + 1, now);
        if let Some(forgotten) = self.newest.checked_sub(PAGES_MAX) {
            pages.invalidate(&forgotten);
        }
        let page = Page::default();
        pages.insert(self.newest, Arc::clone(&page));
        // What has expired goes now, and not whenever the cache sees to it.
        pages.run_pending_tasks();
        page
    }
}

fn locked<T>(page: &Page, look: impl FnOnce(&mut BTreeMap<u64, EnvelopeId>) -> T) -> T {
    look(&mut page.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The first 8 bytes of the SHA-256 of what a nonce is remembered by; where members open envelopes, also of who has.
fn hash(envelope: &Envelope, reader: Option<AccountId>) -> u64 {
    let ReplayKey { destination, sender, nonce } = ReplayKey::from(envelope);
    let hash = Sha256::new()
        .chain_update(destination.to_bytes())
        .chain_update(sender.account_id.as_bytes())
        .chain_update(sender.device_id.as_bytes())
        .chain_update(nonce.0)
        .chain_update(reader.as_ref().map_or(&[][..], |reader| reader.as_bytes()))
        .finalize();
    hash.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// Nonces on a page, and pages: 100,000 nonces, which take 4 MB.
const PAGE_NONCES_MAX: usize = 6_250;
const PAGES_MAX: u64 = 16;

/// Parts of the time that a nonce is remembered for, of which each has its page or more.
const SPANS: u32 = 8;

#[cfg(test)]
mod tests {
    use core::cell::RefCell;

    use super::*;
    use crate::ids::{DeviceAddress, DeviceId, KeyId, RoomId};
    use crate::node::actors::one_room::until;
    use crate::wire::{ByteString, Bytes, Destination};

    const TTL: Duration = Duration::from_secs(300);
    const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn envelope(id: u64, sender: u8, nonce: u64) -> Envelope {
        let (mut id_bytes, mut nonce_bytes) = ([0; 16], [0; 12]);
        id_bytes[..8].copy_from_slice(&id.to_le_bytes());
        nonce_bytes[..8].copy_from_slice(&nonce.to_le_bytes());
        let sender = DeviceAddress {
            account_id: AccountId::from_bytes([sender; 16]),
            device_id: DeviceId::from_bytes([sender; 16]),
        };
        Envelope {
            id: EnvelopeId::from_bytes(id_bytes),
            destination: Destination::Room(RoomId::from_bytes([4; 16])),
            sender,
            recipient: None,
            key_id: KeyId::from_bytes([5; 8]),
            epoch: Some(1),
            nonce: Bytes(nonce_bytes),
            timestamp: START,
            payload: ByteString(vec![8; 3]),
            signature: None,
        }
    }

    fn after(seconds: u64) -> Timestamp {
        START.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn a_nonce_is_one_envelopes_alone() {
        let mut nonces = Nonces::new(TTL);

        assert!(nonces.claim(&envelope(1, 1, 1), START));
        assert!(nonces.claim(&envelope(1, 1, 1), START), "the same envelope again");
        assert!(!nonces.claim(&envelope(2, 1, 1), START), "another envelope");
        assert!(nonces.claim(&envelope(2, 2, 1), START), "another sender");
        assert!(nonces.claim(&envelope(3, 1, 2), START), "another nonce");
        assert!(!nonces.claim(&envelope(4, 2, 1), START));
    }

    #[test]
    fn what_is_forgotten_is_free_again_and_nothing_else() {
        let mut nonces = Nonces::new(TTL);
        for number in 0..10 {
            assert!(nonces.claim(&envelope(number, 1, number), after(number * 30)));
        }

        nonces.forget(&envelope(3, 1, 3));

        for number in 0..10 {
            assert_eq!(nonces.claim(&envelope(100 + number, 1, number), after(300)), number == 3, "{number}");
        }
    }

    /// The cache's own clock stands still here: nothing expires, and what time does is begin pages.
    #[test]
    fn time_begins_a_page_and_so_does_a_clock_that_is_set_back() {
        let mut nonces = Nonces::new(TTL);
        let mut pages = Vec::new();
        for (nonce, seconds) in [0, 37, 38, 75, 10, 20, 1_000].into_iter().enumerate() {
            assert!(nonces.claim(&envelope(1, 1, nonce as u64), after(seconds)));
            pages.push(nonces.newest);
        }

        // A span is 37.5 seconds.
        assert_eq!(pages, [1, 1, 2, 2, 3, 3, 4]);
        for nonce in 0..7 {
            assert!(!nonces.claim(&envelope(2, 1, nonce), after(1_000)), "{nonce}");
        }
    }

    #[test]
    fn past_its_capacity_the_oldest_page_is_forgotten() {
        let mut nonces = Nonces::new(TTL);
        let (page, capacity) = (PAGE_NONCES_MAX as u64, PAGES_MAX * PAGE_NONCES_MAX as u64);
        for nonce in 0..capacity {
            assert!(nonces.claim(&envelope(1, 1, nonce), START));
        }
        let is_known = |nonces: &mut Nonces, nonce| !nonces.claim(&envelope(2, 1, nonce), START);
        assert!(is_known(&mut nonces, 0) && is_known(&mut nonces, capacity - 1));

        assert!(nonces.claim(&envelope(1, 1, capacity), START));

        assert!(is_known(&mut nonces, page) && is_known(&mut nonces, capacity));
        assert_eq!(nonces.pages().count() as u64, PAGES_MAX);
        assert!(!is_known(&mut nonces, page - 1), "the oldest page is there");
    }

    /// By the cache's own clock, and not the node's: the test waits for as long as it takes.
    #[actix_web::test]
    async fn a_nonce_is_forgotten_when_its_time_is_over_and_not_before() {
        let (brief, lasting) = (RefCell::new(Nonces::new(Duration::from_millis(50))), RefCell::new(Nonces::new(TTL)));
        for nonces in [&brief, &lasting] {
            assert!(nonces.borrow_mut().claim(&envelope(1, 1, 1), START));
        }

        until(async || brief.borrow_mut().claim(&envelope(2, 1, 1), START)).await;

        assert!(!lasting.borrow_mut().claim(&envelope(2, 1, 1), START));
    }

    #[cfg(feature = "custody")]
    #[test]
    fn what_a_member_has_opened_is_remembered_for_that_member_alone() {
        let (mut nonces, [reader, other]) = (Nonces::new(TTL), [8, 9].map(|byte| AccountId::from_bytes([byte; 16])));
        nonces.remember_opened(&envelope(1, 1, 1), reader, START);

        assert!(nonces.was_opened(&envelope(1, 1, 1), reader), "the same envelope");
        assert!(nonces.was_opened(&envelope(2, 1, 1), reader), "another envelope");
        assert!(!nonces.was_opened(&envelope(1, 1, 1), other), "another reader");
        assert!(!nonces.was_opened(&envelope(1, 2, 1), reader), "another sender");
        assert!(!nonces.was_opened(&envelope(1, 1, 2), reader), "another nonce");
    }

    #[cfg(feature = "custody")]
    #[test]
    fn a_flood_takes_the_place_of_the_oldest_and_no_more_room() {
        let (mut nonces, [reader, other]) = (Nonces::new(TTL), [8, 9].map(|byte| AccountId::from_bytes([byte; 16])));
        let (page, capacity) = (PAGE_NONCES_MAX as u64, PAGES_MAX * PAGE_NONCES_MAX as u64);
        nonces.remember_opened(&envelope(0, 1, 0), other, START);
        for nonce in 1..=capacity {
            nonces.remember_opened(&envelope(nonce, 1, nonce), reader, START);
        }

        let was_opened = |nonce, reader| nonces.was_opened(&envelope(nonce, 1, nonce), reader);
        assert!(!was_opened(0, other) && !was_opened(page - 1, reader), "the oldest page is there");
        assert!(was_opened(page, reader) && was_opened(capacity, reader));
        let kept: usize = nonces.pages().map(|page| locked(&page, |nonces| nonces.len())).sum();
        assert_eq!(kept as u64, capacity - page + 1);
    }
}
