//! Padding, so that a ciphertext's length says little about its content's.
//!
//! ISO/IEC 7816-4: one byte `0x80`, then zeros, always at least one byte. The padded length is the
//! smallest power of two from 256 that fits, and at most the caller's limit, which is itself the
//! last bucket. An observer learns the bucket: the length to within a factor of two.
//!
//! Padding is removed only from what was authentic, so how long that takes tells an outsider nothing
//! but the length.

use zeroize::{Zeroize, Zeroizing};

/// Bytes of the smallest bucket.
pub(in crate::protocol) const BUCKET_BYTES_MIN: usize = 256;

const MARKER: u8 = 0x80;

/// Why content cannot be padded, or padding not be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::protocol) enum PaddingError {
    /// The content and its marker do not fit into the last bucket.
    #[error("content of {actual} bytes is over its limit of {limit}")]
    TooLong {
        /// Bytes that were given.
        actual: usize,
        /// Bytes that content may have.
        limit: usize,
    },
    /// No marker, or something after it: the sender did not pad as it must.
    #[error("malformed padding")]
    Malformed,
}

/// Copies `plaintext` and pads it to its bucket: a power of two from 256, or `padded_bytes_max`.
///
/// # Errors
/// [`PaddingError::TooLong`] if `plaintext` has `padded_bytes_max` bytes or more.
pub(in crate::protocol) fn pad(plaintext: &[u8], padded_bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, PaddingError> {
    let actual = plaintext.len();
    if actual >= padded_bytes_max {
        return Err(PaddingError::TooLong { actual, limit: padded_bytes_max.saturating_sub(1) });
    }
    let power = (actual + 1).checked_next_power_of_two().unwrap_or(padded_bytes_max);
    let bucket = power.max(BUCKET_BYTES_MIN).min(padded_bytes_max);
    let mut padded = Zeroizing::new(Vec::with_capacity(bucket));
    padded.extend_from_slice(plaintext);
    padded.push(MARKER);
    padded.resize(bucket, 0);
    Ok(padded)
}

/// Removes the padding in place; on `Err` the content is wiped.
///
/// # Errors
/// [`PaddingError::Malformed`] if the last byte that is not zero is not the marker.
pub(in crate::protocol) fn unpad(padded: &mut Zeroizing<Vec<u8>>) -> Result<(), PaddingError> {
    match padded.iter().rposition(|byte| *byte != 0) {
        Some(end) if padded.get(end) == Some(&MARKER) => {
            padded.truncate(end);
            Ok(())
        }
        _ => {
            padded.zeroize();
            Err(PaddingError::Malformed)
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use proptest::prelude::*;

    use super::*;

    fn padded_length(length: usize, padded_bytes_max: usize) -> Result<usize, PaddingError> {
        pad(&vec![7; length], padded_bytes_max).map(|padded| padded.len())
    }

    #[test]
    fn buckets_are_powers_of_two_from_256_and_the_limit_itself() {
        for (length, bucket) in
            [(0, 256), (255, 256), (256, 512), (511, 512), (512, 1024), (32_767, 32_768), (32_768, 61_440)]
        {
            assert_eq!(padded_length(length, 61_440), Ok(bucket), "{length}");
        }
        assert_eq!(padded_length(3, 100), Ok(100));
    }

    #[test]
    fn the_longest_content_fits_and_one_byte_more_is_refused() {
        assert_eq!(padded_length(61_439, 61_440), Ok(61_440));
        assert_eq!(padded_length(61_440, 61_440), Err(PaddingError::TooLong { actual: 61_440, limit: 61_439 }));
        assert_eq!(padded_length(0, 0), Err(PaddingError::TooLong { actual: 0, limit: 0 }));
    }

    #[test]
    fn padding_without_a_marker_is_refused() {
        for bytes in [vec![], vec![0; 256], vec![1, 0, 0], vec![0x80, 1], vec![0x81]] {
            let mut padded = Zeroizing::new(bytes);
            assert_eq!(unpad(&mut padded), Err(PaddingError::Malformed));
            assert!(padded.is_empty());
        }
    }

    proptest! {
        #[test]
        fn unpadding_gives_back_what_was_padded(
            content in prop::collection::vec(prop_oneof![Just(0), Just(0x80), any::<u8>()], 0..1_500),
        ) {
            let mut padded = pad(&content, 2_048).unwrap();
            unpad(&mut padded).unwrap();
            prop_assert_eq!(&*padded, &content);
        }
    }
}
