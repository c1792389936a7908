//! Lines that fit: a text broken between words, by the columns that its characters take.

use ratatui::text::Span;

/// Columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// A text in lines of at most `columns`. A word that is longer is cut.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split_inclusive(' ') {
            if width(&line) + width(word.trim_end()) > columns && !line.is_empty() {
                lines.push(trimmed(&line));
                line.clear();
            }
            for c in word.chars() {
                if width(&line) + width(c.encode_utf8(&mut [0; 4])) > columns && c != ' ' {
                    lines.push(trimmed(&line));
                    line.clear();
                }
                line.push(c);
            }
        }
        lines.push(trimmed(&line));
    }
    lines
}

/// The end of a text that fits into so many columns.
pub(super) fn tail(text: &str, columns: usize) -> &str {
    let mut rest = text;
    while width(rest) > columns {
        let mut chars = rest.chars();
        chars.next();
        rest = chars.as_str();
    }
    rest
}

/// The beginning of a text that fits, with a sign that there is more.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        if width(&short) + width(c.encode_utf8(&mut [0; 4])) + 1 > columns {
            break;
        }
        short.push(c);
    }
    short.push('…');
    short
}

fn trimmed(line: &str) -> String {
    line.trim_end_matches(' ').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_cut_what_does_not_fit() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("a\n\nb", 9), ["a", "", "b"]);
        assert_eq!(wrap("", 9), [""]);
        for line in wrap("你好 世界你好世界 and more", 5) {
            assert!(width(&line) <= 5, "{line:?}");
        }
    }

    #[test]
    fn what_is_cut_says_so_and_fits() {
        assert_eq!(cut("grace", 5), "grace");
        assert_eq!(cut("grace hopper", 6), "grace…");
        assert_eq!(width(&cut("你好世界", 4)), 3);
        assert_eq!(tail("one two", 4), " two");
        assert_eq!(tail("你好", 3), "好");
    }
}
