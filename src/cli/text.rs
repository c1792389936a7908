//! Texts of others on this terminal: a message moves no cursor, rings no bell and changes no colour.

use chrono::{DateTime, Local};

use crate::wire::Timestamp;

/// A text with its control characters, and those that turn the direction of what follows, made visible.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if is_loud(c) { '\u{fffd}' } else { c }).collect()
}

/// The same, with the ends of its lines kept.
pub(super) fn clean_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| clean(&line.replace('\t', "    "))).collect();
    lines.join("\n")
}

/// The time of day where the user is, such as `14:05`.
pub(super) fn time_of_day(at: Timestamp) -> String {
    in_this_zone(at).map_or_else(String::new, |at| at.format("%H:%M").to_string())
}

/// The day where the user is, such as `2026-11-22`.
pub(super) fn day(at: Timestamp) -> String {
    in_this_zone(at).map_or_else(String::new, |at| at.format("%Y-%m-%d").to_string())
}

fn in_this_zone(at: Timestamp) -> Option<DateTime<Local>> {
    let at = DateTime::from_timestamp_millis(i64::try_from(at.as_millis()).ok()?)?;
    Some(at.with_timezone(&Local))
}

/// U+202A to U+202E and U+2066 to U+2069 reorder a line: Unicode Standard Annex 9, section 2.
fn is_loud(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        assert_eq!(clean("a\u{1b}[2Jb\u{7}\u{202e}c\nd"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\u{fffd}d");
        assert_eq!(clean_lines("a\tb\r\nc\u{1b}\n"), "a    b\nc\u{fffd}");
        assert_eq!(clean("grüße 你好"), "grüße 你好");
    }

    #[test]
    fn a_time_that_no_calendar_has_is_left_out() {
        assert_eq!(time_of_day(Timestamp::from_millis(u64::MAX)), "");
        assert_eq!(day(Timestamp::from_millis(86_400_000 * 10)).len(), 10);
    }
}
