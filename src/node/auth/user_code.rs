//! What somebody types to sign in a device that has no browser.
//!
//! Eight letters, drawn uniformly from twenty that neither look alike nor make words: 34 bits (RFC 8628, sections 5.1
//! and 6.1). Guesses are bounded: by address, on the whole node, and by the minutes that a code lasts.

use core::fmt;
use core::str::FromStr;

use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::node::tokens::TokenHash;
use crate::protocol::public::labels;

const LENGTH: usize = 8;

/// No vowels, and nothing that could be read as another letter.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// Bytes below it fall on each letter equally often.
const UNIFORM_BELOW: u8 = 240;

/// A user code.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct UserCode([u8; LENGTH]);

/// The text is no user code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("A code has eight letters.")]
pub(super) struct UserCodeError;

impl UserCode {
    /// Draws a new one, uniformly.
    pub(super) fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut code = Self([0; LENGTH]);
        for letter in &mut code.0 {
            *letter = draw_letter(rng);
        }
        code
    }

    /// The form that is shown: two groups of four.
    pub(super) fn to_text(&self) -> Zeroizing<String> {
        let (one, other) = self.0.split_at(LENGTH / 2);
        let letters = one.iter().chain(b"-").chain(other);
        Zeroizing::new(letters.map(|letter| char::from(*letter)).collect())
    }

    /// What the node stores of it.
    pub(super) fn hash(&self) -> TokenHash {
        TokenHash::of(labels::USER_CODE, &self.0)
    }
}

fn draw_letter(rng: &mut impl CryptoRng) -> u8 {
    loop {
        let mut byte = [0];
        rng.fill_bytes(&mut byte);
        let letter = LETTERS.get(usize::from(byte[0] % 20)).filter(|_| byte[0] < UNIFORM_BELOW);
        if let Some(letter) = letter {
            return *letter;
        }
    }
}

impl FromStr for UserCode {
    type Err = UserCodeError;

    /// As people type it: in either case, with or without a hyphen or spaces.
    fn from_str(text: &str) -> Result<Self, UserCodeError> {
        let mut letters =
            text.bytes().filter(|byte| !matches!(byte, b'-' | b' ')).map(|byte| byte.to_ascii_uppercase());
        let mut code = Self([0; LENGTH]);
        for place in &mut code.0 {
            *place = letters.next().filter(|letter| LETTERS.contains(letter)).ok_or(UserCodeError)?;
        }
        if letters.next().is_none() { Ok(code) } else { Err(UserCodeError) }
    }
}

impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserCode(..)")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::collections::BTreeSet;

    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn code_is_read_back_however_it_is_typed() {
        let code = UserCode::generate(&mut ChaCha20Rng::seed_from_u64(1));
        let text = code.to_text();

        assert_eq!(text.len(), 9);
        for typed in [text.to_string(), text.to_lowercase(), text.replace('-', ""), text.replace('-', " ")] {
            assert_eq!(typed.parse::<UserCode>().unwrap().hash(), code.hash(), "{typed}");
        }
    }

    #[test]
    fn other_texts_are_no_codes() {
        for text in ["", "BCDF-GHJ", "BCDF-GHJKL", "BCDF-GHJA", "BCDF-GHJ1", "BCDFÉGHJ", "--------"] {
            assert_eq!(text.parse::<UserCode>().unwrap_err(), UserCodeError, "{text}");
        }
    }

    #[test]
    fn every_letter_is_drawn_and_no_other() {
        let rng = &mut ChaCha20Rng::seed_from_u64(2);
        let drawn: BTreeSet<u8> = (0..100).flat_map(|_| UserCode::generate(rng).0).collect();
        assert_eq!(drawn, LETTERS.iter().copied().collect());
    }
}
