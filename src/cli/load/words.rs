//! Numbers as people read them.

use core::time::Duration;

/// `1234567` as `1,234,567`.
pub(super) fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many of something: `1 room`, `1,200 rooms`.
pub(super) fn number_of(count: usize, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", thousands(u64::try_from(count).unwrap_or(u64::MAX)))
}

/// Words in lines of so many letters at most; each line but the first begins with these.
pub(super) fn wrapped(text: &str, letters: usize, indent: &str) -> String {
    let (mut lines, mut length) = (String::new(), 0);
    for word in text.split(' ') {
        let next = word.chars().count();
        if length > 0 && length + 1 + next > letters {
            lines = lines + "\n" + indent;
            length = indent.chars().count();
        } else if length > 0 {
            lines.push(' ');
            length += 1;
        }
        lines.push_str(word);
        length += next;
    }
    lines
}

/// Three digits and a unit: `870 µs`, `4.21 ms`, `1.20 s`.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match duration {
        _ if duration < Duration::from_millis(1) => format!("{} µs", duration.as_micros()),
        _ if duration < Duration::from_secs(1) => format!("{} ms", digits(seconds * 1e3)),
        _ => format!("{} s", digits(seconds)),
    }
}

/// Three digits and a unit: `512 B`, `3.30 KiB`, `120 MiB`.
pub(super) fn bytes(bytes: u64) -> String {
    let mut units = ["KiB", "MiB", "GiB"].into_iter();
    let mut unit = "B";
    let mut scaled = real(bytes);
    while scaled >= 1_000.0
        && let Some(larger) = units.next()
    {
        scaled /= 1_024.0;
        unit = larger;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{} {unit}", digits(scaled)) }
}

/// A number of things in a second: `7.50`, `42.0`, `1,234`.
pub(super) fn rate(rate: f64) -> String {
    if rate < 1_000.0 { digits(rate) } else { thousands(Duration::from_secs_f64(rate.round().min(1e15)).as_secs()) }
}

/// A value at an axis: without the zeros behind the point, `5.00 ms` as `5 ms`.
pub(super) fn short(written: &str) -> String {
    let (number, unit) = written.split_once(' ').map_or((written, None), |(number, unit)| (number, Some(unit)));
    let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
    unit.map_or(number.to_owned(), |unit| format!("{number} {unit}"))
}

/// Three digits where there are fewer before the point.
fn digits(value: f64) -> String {
    match value {
        _ if value < 9.995 => format!("{value:.2}"),
        _ if value < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// As a real number, for ratios and plots; what is above 2^53 loses digits there.
#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
pub(super) fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{bytes, duration, number_of, rate, short, thousands, wrapped};

    #[test]
    fn numbers_have_commas() {
        let read = [0, 999, 1_000, 1_234_567].map(thousands);
        assert_eq!(read, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([7.5, 42.0, 123.4, 1_234.5].map(rate), ["7.50", "42.0", "123", "1,235"]);
    }

    #[test]
    fn one_thing_is_not_several() {
        assert_eq!([0, 1, 1_200].map(|count| number_of(count, "room")), ["0 rooms", "1 room", "1,200 rooms"]);
    }

    #[test]
    fn no_line_is_longer_than_it_may_be_but_for_a_long_word() {
        assert_eq!(wrapped("the node was gone at last", 12, "  "), "the node was\n  gone at\n  last");
        assert_eq!(wrapped("http://127.0.0.1:7400 is gone", 8, ""), "http://127.0.0.1:7400\nis gone");
        assert_eq!(wrapped("", 8, "  "), "");
    }

    #[test]
    fn values_at_an_axis_are_short() {
        let read = ["0.00", "5.00 ms", "2.50 ms", "100 %", "1,000"].map(short);
        assert_eq!(read, ["0", "5 ms", "2.5 ms", "100 %", "1,000"]);
    }

    #[test]
    fn durations_and_bytes_have_three_digits() {
        let read = [870, 4_210, 42_100, 999_400, 1_200_000, 75_000_000].map(Duration::from_micros).map(duration);
        assert_eq!(read, ["870 µs", "4.21 ms", "42.1 ms", "999 ms", "1.20 s", "75.0 s"]);
        assert_eq!([512, 3_379, 125_829_120].map(bytes), ["512 B", "3.30 KiB", "120 MiB"]);
    }
}
