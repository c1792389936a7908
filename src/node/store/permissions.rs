//! Who may do what in a room: a pure function on roles.

use crate::wire::Role;

/// Something that a member does to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Makes, lists and withdraws invitations.
    Invite,
    /// Removes another member.
    Remove {
        /// The role of that member.
        target: Role,
    },
    /// Gives a member, or itself, a role.
    SetRole,
    /// Closes the room.
    Close,
}

/// Whether a member of that role may do it. Moderators remove those below them; what touches roles, and
/// the end of the room, is the owners'.
pub(super) fn permits(role: Role, action: Action) -> bool {
    match action {
        Action::Invite => role >= Role::Moderator,
        Action::Remove { target } => role == Role::Owner || (role == Role::Moderator && target < role),
        Action::SetRole | Action::Close => role == Role::Owner,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_this_and_no_more() {
        use Role::{Member, Moderator, Owner};
        let remove = |target| Action::Remove { target };
        for (action, allowed) in [
            (Action::Invite, &[Moderator, Owner][..]),
            (remove(Member), &[Moderator, Owner]),
            (remove(Moderator), &[Owner]),
            (remove(Owner), &[Owner]),
            (Action::SetRole, &[Owner]),
            (Action::Close, &[Owner]),
        ] {
            for role in [Member, Moderator, Owner] {
                assert_eq!(permits(role, action), allowed.contains(&role), "{role:?} {action:?}");
            }
        }
    }
}
