//! The text of a message of the load: whose and which it is, and filling.
//!
//! The filling follows from the name, so that a text that was altered on the way is known, whatever let it through.

use core::fmt::Write as _;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::ledger::MessageName;

/// The text of a message of this run: so many bytes, or as many as the name takes.
pub(super) fn text(run: u64, name: MessageName, bytes: usize) -> String {
    let MessageName { room, sender, number } = name;
    let mut text = format!("load/{run:016x}/{room}/{sender}/{number}/{bytes}/");
    let end = bytes.max(text.len());
    let mut filling = filling(run, name);
    while text.len() < end {
        // Writing to a `String` does not fail.
        let _ = write!(text, "{:08x}", filling.next_u32());
    }
    text.truncate(end);
    text
}

/// The name in a text of this run; none if it is not one, or not as it was made.
pub(super) fn name(run: u64, received: &str) -> Option<MessageName> {
    let mut parts = received.strip_prefix("load/")?.split('/');
    let _run = parts.next()?;
    let mut next = || parts.next()?.parse().ok();
    let (room, sender) = (next()?, next()?);
    let number = u64::try_from(next()?).ok()?;
    let (bytes, name) = (next()?, MessageName { room, sender, number });
    (bytes <= received.len() && text(run, name, bytes) == received).then_some(name)
}

/// Where the filling comes from; another for each message.
fn filling(run: u64, name: MessageName) -> ChaCha8Rng {
    let MessageName { room, sender, number } = name;
    let mut seed = [0; 32];
    for (part, of) in seed.chunks_exact_mut(8).zip([run, room as u64, sender as u64, number]) {
        part.copy_from_slice(&of.to_le_bytes());
    }
    ChaCha8Rng::from_seed(seed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{MessageName, name, text};

    #[test]
    fn messages_of_other_runs_and_other_texts_have_no_name() {
        let message = MessageName { room: 1, sender: 2, number: 3 };
        let good = text(7, message, 100);
        assert_eq!(good.len(), 100);
        assert_eq!(name(8, &good), None);
        for other in ["", "load/", "load/7/1/2/3/100/", "hello"] {
            assert_eq!(name(7, other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_text_has_the_name_that_it_was_made_for(
            run in any::<u64>(), room in 0_usize..5_000, sender in 0_usize..500, number in 0_u64..1_000_000, bytes in 0_usize..400,
        ) {
            let message = MessageName { room, sender, number };
            prop_assert_eq!(name(run, &text(run, message, bytes)), Some(message));
        }

        #[test]
        fn a_text_with_one_byte_altered_has_no_name(at in 0_usize..200, by in 1_u8..128) {
            let message = MessageName { room: 1, sender: 2, number: 3 };
            let mut bytes = text(7, message, 200).into_bytes();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = (*byte + by) % 128;
            }
            prop_assert_eq!(String::from_utf8(bytes).ok().and_then(|altered| name(7, &altered)), None);
        }
    }
}
