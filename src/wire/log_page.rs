//! Pages: of a log, and how long one may be.

use serde::{Deserialize, Serialize};

use super::envelope::Envelope;
use super::limits::PAGE_ENTRIES_MAX;
use super::list;
use crate::ids::LogEpoch;

/// Some entries of the log of a room or mailbox, in order: those that the reader may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LogPage {
    /// Which life of the log. Another one than before: what was known of positions is void.
    pub epoch: LogEpoch,
    /// The entries, at most [`PAGE_ENTRIES_MAX`], in ascending order.
    #[serde(deserialize_with = "list::at_most::<PAGE_ENTRIES_MAX, _, _>")]
    #[cfg_attr(feature = "node", schema(max_items = 256))]
    pub entries: Vec<LogEntry>,
    /// How far the page looked, also past entries that are not the reader's: the next one begins after
    /// it.
    pub read_to: u64,
    /// The last entry of the log. At `read_to` there is nothing more for now.
    pub head: u64,
}

/// One entry of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LogEntry {
    /// Its number in the log.
    pub seq: u64,
    /// The envelope, as its sender made it.
    pub envelope: Envelope,
}

/// How many elements a page may have: 1 to [`PAGE_ENTRIES_MAX`], which is also what holds where nothing
/// is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct PageLimit(u16);

/// The number is no [`PageLimit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a page has 1 to {PAGE_ENTRIES_MAX} elements")]
pub struct PageLimitError;

impl PageLimit {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self(MAX)
    }
}

impl TryFrom<u16> for PageLimit {
    type Error = PageLimitError;

    fn try_from(number: u16) -> Result<Self, PageLimitError> {
        if (1..=MAX).contains(&number) { Ok(Self(number)) } else { Err(PageLimitError) }
    }
}

impl From<PageLimit> for u16 {
    fn from(limit: PageLimit) -> Self {
        limit.0
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the assertion below it")]
const MAX: u16 = PAGE_ENTRIES_MAX as u16;
const _: () = assert!(MAX as usize == PAGE_ENTRIES_MAX, "a page would be cut");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_at_least_one_element_and_at_most_256() {
        assert_eq!(PageLimit::try_from(1).map(PageLimit::get), Ok(1));
        assert_eq!(PageLimit::try_from(256), Ok(PageLimit::default()));
        for number in [0, 257, u16::MAX] {
            assert_eq!(PageLimit::try_from(number), Err(PageLimitError), "{number}");
        }
    }
}
