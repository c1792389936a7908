//! How far a session has got in a log, and whether what happens reaches it as it happens.
//!
//! Entries are numbered without holes. A session that is live takes the next number as it is published; one
//! that has missed something, or whose connection was full, is behind, takes nothing that is published,
//! and reads the log from its number on until nothing is between it and what is published next.

/// A place in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The last entry that was queued for the client, or is none of its business.
    last: u64,
    mode: Mode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// What is published is delivered.
    Live,
    /// The log is to be read from `last` on.
    Behind,
    /// It is being read.
    Reading,
}

/// What becomes of an entry that is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Published {
    /// It is the next one.
    Next,
    /// It was delivered before, or will be read.
    Skip,
    /// Something before it is missing: the cursor is behind from now on.
    Missed,
}

impl Cursor {
    /// A cursor that has still to read what comes after `last`.
    pub(super) const fn behind(last: u64) -> Self {
        Self { last, mode: Mode::Behind }
    }

    /// The last entry that is dealt with.
    pub(super) const fn last(self) -> u64 {
        self.last
    }

    /// Whether the log is to be read, and is not yet.
    pub(super) const fn wants_page(self) -> bool {
        matches!(self.mode, Mode::Behind)
    }

    /// Whether the log is being read.
    pub(super) const fn is_reading(self) -> bool {
        matches!(self.mode, Mode::Reading)
    }

    /// Whether it takes what is published.
    pub(super) const fn is_live(self) -> bool {
        matches!(self.mode, Mode::Live)
    }

    /// What to do with a published entry. After [`Published::Next`] it counts as dealt with.
    pub(super) const fn publish(&mut self, seq: u64) -> Published {
        match self.mode {
            Mode::Behind | Mode::Reading => Published::Skip,
            Mode::Live if seq <= self.last => Published::Skip,
            Mode::Live if seq == self.last + 1 => {
                self.last = seq;
                Published::Next
            }
            Mode::Live => {
                self.mode = Mode::Behind;
                Published::Missed
            }
        }
    }

    /// The same for entries of which a live cursor takes all, from `first` to `last`, if it is where they begin. Otherwise it
    /// stays as it is.
    pub(super) const fn publish_whole(&mut self, first: u64, last: u64) -> bool {
        let is_next = self.is_live() && self.last + 1 == first;
        if is_next {
            self.last = last;
        }
        is_next
    }

    /// The log is known to reach up to `head`: a live cursor that does not has missed something.
    pub(super) const fn level(&mut self, head: u64) -> Published {
        if self.is_live() && self.last < head {
            self.mode = Mode::Behind;
            return Published::Missed;
        }
        Published::Skip
    }

    /// An entry did not fit: it and what follows is to be read.
    pub(super) const fn fall_behind(&mut self, seq: u64) {
        *self = Self::behind(seq.saturating_sub(1));
    }

    /// A page is being read.
    pub(super) const fn start_reading(&mut self) {
        self.mode = Mode::Reading;
    }

    /// An entry of a page. Whether it is new.
    pub(super) const fn read(&mut self, seq: u64) -> bool {
        if seq <= self.last {
            return false;
        }
        self.last = seq;
        true
    }

    /// A page was delivered whole, which looked at the log up to `read_to`. If nothing is known to be after it, neither in
    /// the log (`head`) nor among what was published, the cursor is live.
    pub(super) const fn end_page(&mut self, read_to: u64, head: u64, published: u64) {
        if read_to > self.last {
            self.last = read_to;
        }
        let is_level = self.last >= head && self.last >= published;
        self.mode = if is_level { Mode::Live } else { Mode::Behind };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live_at(last: u64) -> Cursor {
        let mut cursor = Cursor::behind(last);
        cursor.end_page(last, last, last);
        cursor
    }

    #[test]
    fn a_live_cursor_takes_each_number_once_and_in_order() {
        let mut cursor = live_at(3);
        assert_eq!(
            [3, 4, 4, 5].map(|seq| cursor.publish(seq)),
            [Published::Skip, Published::Next, Published::Skip, Published::Next]
        );
        assert_eq!(cursor.last(), 5);
    }

    #[test]
    fn several_are_taken_whole_where_they_begin_and_by_a_live_cursor_alone() {
        let mut cursor = live_at(3);
        assert_eq!(
            [(3, 5), (5, 6), (4, 6), (4, 6)].map(|(first, last)| cursor.publish_whole(first, last)),
            [false, false, true, false]
        );
        assert_eq!(cursor.last(), 6);
        cursor.start_reading();
        assert!(!cursor.publish_whole(7, 7));
        assert_eq!(cursor.last(), 6);
    }

    #[test]
    fn a_hole_puts_it_behind_until_the_log_was_read_past_all_that_was_published() {
        let mut cursor = live_at(3);
        assert_eq!(cursor.publish(5), Published::Missed);
        assert!(cursor.wants_page() && !cursor.is_live());
        cursor.start_reading();
        assert!(!cursor.wants_page());
        assert_eq!(cursor.publish(6), Published::Skip);
        assert!(cursor.read(4) && cursor.read(5) && !cursor.read(5));

        // The page was read before 6 was stored.
        cursor.end_page(5, 5, 6);
        assert!(cursor.wants_page());
        cursor.end_page(6, 6, 6);
        assert!(cursor.is_live());
        assert_eq!(cursor.publish(6), Published::Skip);
        assert_eq!(cursor.publish(7), Published::Next);
    }

    #[test]
    fn an_entry_that_did_not_fit_is_read_again() {
        let mut cursor = live_at(3);
        assert_eq!(cursor.publish(4), Published::Next);
        cursor.fall_behind(4);
        assert_eq!((cursor.last(), cursor.wants_page()), (3, true));
        assert!(cursor.read(4));
    }
}
