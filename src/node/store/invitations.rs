//! Invitations into rooms: a token for a number of uses, for whoever has it or for one account.
//!
//! An invitation is worth nothing once whoever made it is no member any more, or may not invite.

use rusqlite::{Connection, params};

use super::Store;
use super::columns::{Blob, Integer, is_over};
use super::error::StoreError;
use super::limits::{INVITATIONS_PER_ROOM_MAX, ROOM_MEMBERS_MAX};
use super::members::set_membership;
use super::permissions::Action;
use super::rooms::{add_member, authorize};
use super::sql::Sql;
use crate::ids::{AccountId, InvitationId, RoomId};
use crate::node::tokens::TokenHash;
use crate::wire::{Joined, Membership, Role, Timestamp};

/// An invitation that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewInvitation {
    /// Its id, drawn anew.
    pub invitation_id: InvitationId,
    /// What its token is known by.
    pub token: TokenHash,
    /// Into which room.
    pub room_id: RoomId,
    /// Who invites.
    pub created_by: AccountId,
    /// The one account that it is for. None: whoever has the token.
    pub for_account: Option<AccountId>,
    /// Until when it is good.
    pub expires_at: Timestamp,
    /// How many can use it, at least 1.
    pub uses: u32,
}

/// An invitation, as those who may invite see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The invitation.
    pub invitation_id: InvitationId,
    /// Who invites.
    pub created_by: AccountId,
    /// The one account that it is for. None: whoever has the token.
    pub for_account: Option<AccountId>,
    /// Until when it is good.
    pub expires_at: Timestamp,
    /// How many can still use it.
    pub uses_left: u32,
}

impl Store {
    /// Makes an invitation, and forgets those of the room that have expired.
    ///
    /// # Errors
    /// [`StoreError::UnknownRoom`] if the creator is no member, [`StoreError::RoleForbids`],
    /// [`StoreError::RoomClosed`], [`StoreError::TooManyInvitations`] past
    /// [`INVITATIONS_PER_ROOM_MAX`], [`StoreError::OutOfRange`] for no use at all,
    /// [`StoreError::IdInUse`], or a failure of the store.
    pub async fn create_invitation(&self, invitation: &NewInvitation, now: Timestamp) -> Result<(), StoreError> {
        let invitation = *invitation;
        if invitation.uses == 0 {
            return Err(StoreError::OutOfRange { field: "number of uses" });
        }
        self.writer.write(move |db| create(db, invitation, now)).await
    }

    /// The invitations of a room that are still good, oldest first.
    ///
    /// # Errors
    /// [`StoreError::UnknownRoom`] if the actor is no member, [`StoreError::RoleForbids`],
    /// [`StoreError::RoomClosed`], or a failure of the store.
    pub async fn invitations(
        &self,
        room_id: RoomId,
        actor: AccountId,
        now: Timestamp,
    ) -> Result<Vec<Invitation>, StoreError> {
        self.readers.read(move |db| invitations(db, room_id, actor, now)).await
    }

    /// Withdraws an invitation. Whoever has joined by it stays.
    ///
    /// # Errors
    /// [`StoreError::UnknownRoom`] if the actor is no member, [`StoreError::UnknownInvitation`],
    /// [`StoreError::RoleForbids`], [`StoreError::RoomClosed`], or a failure of the store.
    pub async fn revoke_invitation(
        &self,
        room_id: RoomId,
        actor: AccountId,
        invitation_id: InvitationId,
    ) -> Result<(), StoreError> {
        self.writer.write(move |db| revoke(db, room_id, actor, invitation_id)).await
    }

    /// Makes an account a member by an invitation's token, and uses the invitation once. If the account is
    /// a member already, the invitation is as it was, and `membership` takes the place of what there was.
    ///
    /// # Errors
    /// [`StoreError::InvitationRefused`], [`StoreError::TooManyMembers`] past [`ROOM_MEMBERS_MAX`],
    /// [`StoreError::TooManyRooms`], [`StoreError::UnknownAccount`], or a failure of the store.
    pub async fn accept_invitation(
        &self,
        token: TokenHash,
        account_id: AccountId,
        membership: Option<Membership>,
        now: Timestamp,
    ) -> Result<Joined, StoreError> {
        self.writer.write(move |db| accept(db, token, account_id, membership, now)).await
    }
}

type InvitationRow = (Blob<16>, Blob<16>, Option<Blob<16>>, Integer, u32);

fn invitation((Blob(id), Blob(created_by), for_account, expires_at, uses_left): InvitationRow) -> Invitation {
    Invitation {
        invitation_id: InvitationId::from_bytes(id),
        created_by: AccountId::from_bytes(created_by),
        for_account: for_account.map(|Blob(id)| AccountId::from_bytes(id)),
        expires_at: expires_at.timestamp(),
        uses_left,
    }
}

fn invitations(
    db: &Connection,
    room_id: RoomId,
    actor: AccountId,
    now: Timestamp,
) -> Result<Vec<Invitation>, StoreError> {
    authorize(db, room_id, actor, Action::Invite)?;
    let rows: Vec<InvitationRow> = db.all(
        "SELECT invitation_id, created_by, for_account, expires_at, uses_left FROM invitations
         WHERE room_id = ? AND expires_at > ? ORDER BY created_at, invitation_id",
        params![Blob(*room_id.as_bytes()), Integer::time(now, "time")?],
    )?;
    Ok(rows.into_iter().map(invitation).collect())
}

fn create(db: &Connection, invitation: NewInvitation, now: Timestamp) -> Result<(), StoreError> {
    let NewInvitation { invitation_id, token, room_id, created_by, for_account, expires_at, uses } = invitation;
    authorize(db, room_id, created_by, Action::Invite)?;
    db.run(
        "DELETE FROM invitations WHERE room_id = ? AND expires_at <= ?",
        params![Blob(*room_id.as_bytes()), Integer::time(now, "time")?],
    )?;
    db.run(
        "INSERT INTO invitations
         (invitation_id, token_hash, room_id, created_by, for_account, created_at, expires_at, uses_left)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            Blob(*invitation_id.as_bytes()),
            Blob(*token.as_bytes()),
            Blob(*room_id.as_bytes()),
            Blob(*created_by.as_bytes()),
            for_account.map(|account_id| Blob(*account_id.as_bytes())),
            Integer::time(now, "time")?,
            Integer::time(expires_at, "expiry")?,
            uses,
        ],
    )?;
    let (count,): (i64,) =
        db.one("SELECT count(*) FROM invitations WHERE room_id = ?", params![Blob(*room_id.as_bytes())])?;
    if is_over(count, INVITATIONS_PER_ROOM_MAX) {
        // The row just written goes again with the savepoint.
        return Err(StoreError::TooManyInvitations { limit: INVITATIONS_PER_ROOM_MAX });
    }
    Ok(())
}

fn revoke(db: &Connection, room_id: RoomId, actor: AccountId, invitation_id: InvitationId) -> Result<(), StoreError> {
    authorize(db, room_id, actor, Action::Invite)?;
    let revoked = db.run(
        "DELETE FROM invitations WHERE room_id = ? AND invitation_id = ?",
        params![Blob(*room_id.as_bytes()), Blob(*invitation_id.as_bytes())],
    )?;
    if revoked == 0 { Err(StoreError::UnknownInvitation { invitation_id }) } else { Ok(()) }
}

fn accept(
    db: &Connection,
    token: TokenHash,
    account_id: AccountId,
    membership: Option<Membership>,
    now: Timestamp,
) -> Result<Joined, StoreError> {
    // An invitation stands for a room that is open: closing withdraws it.
    let row: Option<(Blob<16>, Option<Blob<16>>, Integer, bool)> = db.first(
        "SELECT room_id, for_account, expires_at, EXISTS (
             SELECT 1 FROM members WHERE members.room_id = invitations.room_id AND account_id = ?2
         ) FROM invitations WHERE token_hash = ?1",
        params![Blob(*token.as_bytes()), Blob(*account_id.as_bytes())],
    )?;
    let Some((Blob(room_id), for_account, expires_at, is_member)) = row else {
        return Err(StoreError::InvitationRefused);
    };
    let is_for_another = for_account.is_some_and(|Blob(id)| id != *account_id.as_bytes());
    if is_for_another || expires_at.timestamp() <= now {
        return Err(StoreError::InvitationRefused);
    }
    let room_id = RoomId::from_bytes(room_id);
    if is_member {
        if let Some(membership) = membership {
            set_membership(db, room_id, account_id, membership)?;
        }
        return Ok(Joined { room_id, is_new: false });
    }
    add_member(db, room_id, account_id, Role::Member, membership, now)?;
    let (members,): (i64,) =
        db.one("SELECT count(*) FROM members WHERE room_id = ?", params![Blob(*room_id.as_bytes())])?;
    if is_over(members, ROOM_MEMBERS_MAX) {
        // The member goes again with the savepoint.
        return Err(StoreError::TooManyMembers { limit: ROOM_MEMBERS_MAX });
    }
    use_once(db, token)?;
    Ok(Joined { room_id, is_new: true })
}

/// Counts a use of an invitation. The last one takes it away.
fn use_once(db: &Connection, token: TokenHash) -> Result<(), StoreError> {
    let used_up =
        db.run("DELETE FROM invitations WHERE token_hash = ? AND uses_left = 1", params![Blob(*token.as_bytes())])?;
    if used_up == 0 {
        db.run(
            "UPDATE invitations SET uses_left = uses_left - 1 WHERE token_hash = ?",
            params![Blob(*token.as_bytes())],
        )?;
    }
    Ok(())
}
