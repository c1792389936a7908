//! Lines of a chat that are no message: `/name WHO NAME`, and `/quit`, which people try.

use super::state::Deed;
use crate::cli::names::{self, Names};
use crate::cli::text::clean;
use crate::ids::AccountId;

/// What a line asks for, or what is wrong with it. None if it is a message.
pub(super) fn parse<'a>(
    line: &str,
    members: impl Iterator<Item = &'a AccountId>,
    names: &Names,
) -> Option<Result<Option<Deed>, String>> {
    let (command, rest) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
    match command {
        "/name" => Some(name(rest.trim(), members, names).map(Some)),
        "/quit" if rest.is_empty() => Some(Ok(Some(Deed::Quit))),
        _ => None,
    }
}

fn name<'a>(words: &str, members: impl Iterator<Item = &'a AccountId>, names: &Names) -> Result<Deed, String> {
    let (who, name) =
        words.split_once(char::is_whitespace).ok_or("It is /name WHO NAME: who as they are shown here.")?;
    let prefix = who.trim_end_matches('…');
    let is_meant = |account: &&AccountId| {
        names.of_account(**account) == Some(who)
            || (prefix.len() >= PREFIX_BYTES_MIN && account.to_string().starts_with(prefix))
    };
    let meant: Vec<&AccountId> = members.filter(is_meant).collect();
    let [account] = meant.as_slice() else { return Err(format!("Nobody else here is shown as {}.", clean(who))) };
    let name = names::parse(name.trim()).map_err(|error| format!("{error}."))?;
    Ok(Deed::Name(**account, name))
}

/// What names somebody who has no name.
pub(super) fn prefix(account: AccountId) -> String {
    account.to_string().chars().take(PREFIX_CHARS).collect()
}

/// Characters of an id that are shown of it.
const PREFIX_CHARS: usize = 8;

const PREFIX_BYTES_MIN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: AccountId = AccountId::from_bytes([1; 16]);
    const MARY: AccountId = AccountId::from_bytes([2; 16]);

    fn parsed(line: &str) -> Option<Result<Option<Deed>, String>> {
        parse(line, [GRACE, MARY].iter(), &Names::default())
    }

    #[test]
    fn somebody_is_named_by_the_beginning_of_their_id() {
        let deed = |account, name: &str| Some(Ok(Some(Deed::Name(account, name.to_owned()))));
        assert_eq!(parsed(&format!("/name {} grace", prefix(GRACE))), deed(GRACE, "grace"));
        assert_eq!(parsed(&format!(" /name  {}…  mary ", prefix(MARY))), deed(MARY, "mary"));
        assert_eq!(parsed("/quit"), Some(Ok(Some(Deed::Quit))));
    }

    #[test]
    fn what_names_nobody_is_said_and_what_is_no_command_is_a_message() {
        for line in ["/name", "/name grace", "/name A x", "/name nobody x", &format!("/name {GRACE} two words")] {
            assert!(matches!(parsed(line), Some(Err(_))), "{line}");
        }
        for line in ["/etc/passwd", "/names", "hello /name", "/quit now", ""] {
            assert_eq!(parsed(line), None, "{line}");
        }
    }
}
