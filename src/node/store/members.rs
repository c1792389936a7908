//! Members of rooms: their roles, and how they go.
//!
//! An open room has an owner as long as it has members. When the last member leaves, it is closed.

use rusqlite::{Connection, params};

use super::Store;
use super::columns::{Blob, Integer};
use super::error::StoreError;
use super::permissions::{Action, permits};
use super::rooms::{Standing, authorize, mark_closed, standing};
use super::sql::Sql;
use crate::ids::{AccountId, RoomId};
use crate::wire::{Membership, PageLimit, Role, Timestamp};

/// A member of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub account_id: AccountId,
    /// What they may do.
    pub role: Role,
    /// Since when.
    pub joined_at: Timestamp,
    /// What their client says of it.
    pub membership: Option<Membership>,
}

impl Store {
    /// Members of a room in ascending order of id, from past `after`. None too if there is no such room.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn members(
        &self,
        room_id: RoomId,
        after: Option<AccountId>,
        limit: PageLimit,
    ) -> Result<Vec<Member>, StoreError> {
        self.readers.read(move |db| members(db, room_id, after, limit)).await
    }

    /// A member of a room. None if the account is none, or if there is no such room.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn member(&self, room_id: RoomId, account_id: AccountId) -> Result<Option<Member>, StoreError> {
        let sql = "SELECT account_id, role, joined_at, proof, kept FROM members WHERE room_id = ? AND account_id = ?";
        let row: Option<MemberRow> = self
            .readers
            .read(move |db| db.first(sql, params![Blob(*room_id.as_bytes()), Blob(*account_id.as_bytes())]))
            .await?;
        Ok(row.map(member))
    }

    /// Gives a member a role. One who may invite no more loses the invitations that they made.
    ///
    /// # Errors
    /// [`StoreError::UnknownRoom`] if the actor is no member, [`StoreError::UnknownMember`] if the target
    /// is none, [`StoreError::RoleForbids`], [`StoreError::RoomClosed`], [`StoreError::LastOwner`], or a
    /// failure of the store.
    pub async fn set_role(
        &self,
        room_id: RoomId,
        actor: AccountId,
        target: AccountId,
        role: Role,
    ) -> Result<(), StoreError> {
        self.writer.write(move |db| set_role(db, room_id, actor, target, role)).await
    }

    /// Takes another member out of a room, with the invitations that they made. To go oneself is
    /// [`leave`](Self::leave).
    ///
    /// # Errors
    /// As [`set_role`](Self::set_role); [`StoreError::RoleForbids`] also for oneself.
    pub async fn remove_member(&self, room_id: RoomId, actor: AccountId, target: AccountId) -> Result<(), StoreError> {
        self.writer.write(move |db| remove_member(db, room_id, actor, target)).await
    }

    /// Goes out of a room, which may be closed. The last one closes it.
    ///
    /// # Errors
    /// [`StoreError::UnknownRoom`], [`StoreError::LastOwner`] if others would stay in an open room without
    /// an owner, or a failure of the store.
    pub async fn leave(&self, room_id: RoomId, account_id: AccountId, now: Timestamp) -> Result<(), StoreError> {
        self.writer.write(move |db| leave(db, room_id, account_id, now)).await
    }
}

type MemberRow = (Blob<16>, Role, Integer, Option<Blob<81>>, Option<Blob<117>>);

fn member((Blob(account_id), role, joined_at, proof, kept): MemberRow) -> Member {
    let account_id = AccountId::from_bytes(account_id);
    // The schema has both or neither.
    let membership =
        proof.zip(kept).map(|(Blob(proof), Blob(kept))| Membership { proof: proof.into(), kept: kept.into() });
    Member { account_id, role, joined_at: joined_at.timestamp(), membership }
}

fn members(
    db: &Connection,
    room_id: RoomId,
    after: Option<AccountId>,
    limit: PageLimit,
) -> Result<Vec<Member>, StoreError> {
    let rows: Vec<MemberRow> = db.all(
        "SELECT account_id, role, joined_at, proof, kept FROM members
         WHERE room_id = ?1 AND account_id > coalesce(?2, x'') ORDER BY account_id LIMIT ?3",
        params![Blob(*room_id.as_bytes()), after.map(|account_id| Blob(*account_id.as_bytes())), limit.get()],
    )?;
    Ok(rows.into_iter().map(member).collect())
}

fn set_role(
    db: &Connection,
    room_id: RoomId,
    actor: AccountId,
    target: AccountId,
    role: Role,
) -> Result<(), StoreError> {
    authorize(db, room_id, actor, Action::SetRole)?;
    let before = target_role(db, room_id, target)?;
    if before == Role::Owner && role != Role::Owner && !has_other_owner(db, room_id, target)? {
        return Err(StoreError::LastOwner { room_id });
    }
    db.run(
        "UPDATE members SET role = ? WHERE room_id = ? AND account_id = ?",
        params![role, Blob(*room_id.as_bytes()), Blob(*target.as_bytes())],
    )?;
    if !permits(role, Action::Invite) {
        db.run(
            "DELETE FROM invitations WHERE room_id = ? AND created_by = ?",
            params![Blob(*room_id.as_bytes()), Blob(*target.as_bytes())],
        )?;
    }
    Ok(())
}

fn remove_member(db: &Connection, room_id: RoomId, actor: AccountId, target: AccountId) -> Result<(), StoreError> {
    // Whoever may remove nobody hears nothing of who is there.
    authorize(db, room_id, actor, Action::Remove { target: Role::Member })?;
    let role = target_role(db, room_id, target)?;
    authorize(db, room_id, actor, Action::Remove { target: role })?;
    if actor == target {
        return Err(StoreError::RoleForbids { account_id: actor });
    }
    delete(db, room_id, target)
}

fn leave(db: &Connection, room_id: RoomId, account_id: AccountId, now: Timestamp) -> Result<(), StoreError> {
    let Standing { role, is_closed } = standing(db, room_id, account_id)?;
    delete(db, room_id, account_id)?;
    if is_closed || role != Role::Owner || has_other_owner(db, room_id, account_id)? {
        return Ok(());
    }
    let others: Option<(i64,)> =
        db.first("SELECT 1 FROM members WHERE room_id = ? LIMIT 1", params![Blob(*room_id.as_bytes())])?;
    match others {
        // The member comes back with the savepoint.
        Some(_) => Err(StoreError::LastOwner { room_id }),
        None => mark_closed(db, room_id, now),
    }
}

/// Has another membership of a member in place of what there was.
pub(super) fn set_membership(
    db: &Connection,
    room_id: RoomId,
    account_id: AccountId,
    membership: Membership,
) -> Result<(), StoreError> {
    db.run(
        "UPDATE members SET proof = ?, kept = ? WHERE room_id = ? AND account_id = ?",
        params![
            Blob(membership.proof.0),
            Blob(membership.kept.0),
            Blob(*room_id.as_bytes()),
            Blob(*account_id.as_bytes()),
        ],
    )?;
    Ok(())
}

/// # Errors
/// [`StoreError::UnknownMember`].
fn target_role(db: &Connection, room_id: RoomId, account_id: AccountId) -> Result<Role, StoreError> {
    let role: Option<(Role,)> = db.first(
        "SELECT role FROM members WHERE room_id = ? AND account_id = ?",
        params![Blob(*room_id.as_bytes()), Blob(*account_id.as_bytes())],
    )?;
    role.map(|(role,)| role).ok_or(StoreError::UnknownMember { account_id })
}

fn has_other_owner(db: &Connection, room_id: RoomId, account_id: AccountId) -> Result<bool, StoreError> {
    let other: Option<(i64,)> = db.first(
        "SELECT 1 FROM members WHERE room_id = ? AND role = 'owner' AND account_id <> ? LIMIT 1",
        params![Blob(*room_id.as_bytes()), Blob(*account_id.as_bytes())],
    )?;
    Ok(other.is_some())
}

/// The invitations of a member go with it by the schema's cascade.
fn delete(db: &Connection, room_id: RoomId, account_id: AccountId) -> Result<(), StoreError> {
    db.run(
        "DELETE FROM members WHERE room_id = ? AND account_id = ?",
        params![Blob(*room_id.as_bytes()), Blob(*account_id.as_bytes())],
    )?;
    Ok(())
}
