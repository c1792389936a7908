//! Lists with a limit: parsing stops at it, before what stands past it is held in memory.

use core::fmt;
use core::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};

/// Reads a list of at most `MAX` elements; for `#[serde(deserialize_with)]`.
pub(super) fn at_most<'de, const MAX: usize, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_seq(ListVisitor::<MAX, T>(PhantomData))
}

struct ListVisitor<const MAX: usize, T>(PhantomData<T>);

impl<'de, const MAX: usize, T: Deserialize<'de>> Visitor<'de> for ListVisitor<MAX, T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
        // Grows with what is there; a length that the sender merely claims takes no memory.
        let mut list = Vec::new();
        while list.len() < MAX {
            match elements.next_element()? {
                Some(element) => list.push(element),
                None => return Ok(list),
            }
        }
        match elements.next_element::<IgnoredAny>()? {
            None => Ok(list),
            Some(_) => Err(A::Error::invalid_length(MAX + 1, &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use serde::Deserialize;

    #[derive(Deserialize, Debug, PartialEq)]
    struct Three(#[serde(deserialize_with = "super::at_most::<3, _, _>")] Vec<u8>);

    fn from_json(text: &str) -> Result<Three, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    fn from_cbor(bytes: &[u8]) -> Result<Three, String> {
        ciborium::from_reader(bytes).map_err(|error| error.to_string())
    }

    #[test]
    fn a_list_up_to_its_limit_is_taken() {
        for (json, cbor, list) in [
            ("[]", &[0x80][..], vec![]),
            ("[1, 2]", &[0x82, 1, 2], vec![1, 2]),
            ("[1, 2, 3]", &[0x83, 1, 2, 3], vec![1, 2, 3]),
            ("[1, 2, 3]", &[0x9f, 1, 2, 3, 0xff], vec![1, 2, 3]),
        ] {
            assert_eq!(from_json(json).unwrap(), Three(list.clone()));
            assert_eq!(from_cbor(cbor).unwrap(), Three(list));
        }
    }

    #[test]
    fn past_the_limit_nothing_more_is_parsed() {
        let expected = "invalid length 4, expected a list of at most 3 elements";
        // What would be no element any more, and the missing end, are not come to.
        for text in ["[1, 2, 3, 4]", "[1, 2, 3, \"no number\", 5", "[1, 2, 3, 4, !"] {
            let error = from_json(text).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
        // 0x9b: an array whose length, here 2^64 - 1, stands in eight bytes.
        for bytes in [&[0x84, 1, 2, 3, 4][..], &[0x9b, 255, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4]] {
            let error = from_cbor(bytes).unwrap_err();
            assert!(error.contains(expected), "{bytes:?}: {error}");
        }
    }
}
