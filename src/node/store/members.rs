//! Members of rooms: their roles, and how they go.
//!
//! An open room has an owner as long as it has members. When the last member leaves, it is closed.

use sqlx::SqliteConnection;

use super::Store;
use super::columns::{Blob, Integer};
use super::error::StoreError;
use super::permissions::{Action, permits};
use super::rooms::{Standing, authorize, mark_closed, standing};
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
        let rows: Vec<MemberRow> = sqlx::query_as(
            "SELECT account_id, role, joined_at, proof, kept FROM members
             WHERE room_id = ?1 AND account_id > coalesce(?2, x'') ORDER BY account_id LIMIT ?3",
        )
        .bind(Blob(*room_id.as_bytes()))
        .bind(after.map(|account_id| Blob(*account_id.as_bytes())))
        .bind(limit.get())
        .fetch_all(&self.readers)
        .await?;
        Ok(rows.into_iter().map(member).collect())
    }

    /// A member of a room. None if the account is none, or if there is no such room.
    ///
    /// # Errors
    /// A failure of the store.
    pub async fn member(&self, room_id: RoomId, account_id: AccountId) -> Result<Option<Member>, StoreError> {
        let row: Option<MemberRow> = sqlx::query_as(
            "SELECT account_id, role, joined_at, proof, kept FROM members WHERE room_id = ? AND account_id = ?",
        )
        .bind(Blob(*room_id.as_bytes()))
        .bind(Blob(*account_id.as_bytes()))
        .fetch_optional(&self.readers)
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
        self.writer.write(move |db| Box::pin(set_role(db, room_id, actor, target, role))).await
    }

    /// Takes another member out of a room, with the invitations that they made. To go oneself is
    /// [`leave`](Self::leave).
    ///
    /// # Errors
    /// As [`set_role`](Self::set_role); [`StoreError::RoleForbids`] also for oneself.
    pub async fn remove_member(&self, room_id: RoomId, actor: AccountId, target: AccountId) -> Result<(), StoreError> {
        self.writer.write(move |db| Box::pin(remove_member(db, room_id, actor, target))).await
    }

    /// Goes out of a room, which may be closed. The last one closes it.
    ///
    /// # Errors
    /// [`StoreError::UnknownRoom`], [`StoreError::LastOwner`] if others would stay in an open room without
    /// an owner, or a failure of the store.
    pub async fn leave(&self, room_id: RoomId, account_id: AccountId, now: Timestamp) -> Result<(), StoreError> {
        self.writer.write(move |db| Box::pin(leave(db, room_id, account_id, now))).await
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

async fn set_role(
    db: &mut SqliteConnection,
    room_id: RoomId,
    actor: AccountId,
    target: AccountId,
    role: Role,
) -> Result<(), StoreError> {
    authorize(db, room_id, actor, Action::SetRole).await?;
    let before = target_role(db, room_id, target).await?;
    if before == Role::Owner && role != Role::Owner && !has_other_owner(db, room_id, target).await? {
        return Err(StoreError::LastOwner { room_id });
    }
    sqlx::query("UPDATE members SET role = ? WHERE room_id = ? AND account_id = ?")
        .bind(role)
        .bind(Blob(*room_id.as_bytes()))
        .bind(Blob(*target.as_bytes()))
        .execute(&mut *db)
        .await?;
    if !permits(role, Action::Invite) {
        sqlx::query("DELETE FROM invitations WHERE room_id = ? AND created_by = ?")
            .bind(Blob(*room_id.as_bytes()))
            .bind(Blob(*target.as_bytes()))
            .execute(db)
            .await?;
    }
    Ok(())
}

async fn remove_member(
    db: &mut SqliteConnection,
    room_id: RoomId,
    actor: AccountId,
    target: AccountId,
) -> Result<(), StoreError> {
    // Whoever may remove nobody hears nothing of who is there.
    authorize(db, room_id, actor, Action::Remove { target: Role::Member }).await?;
    let role = target_role(db, room_id, target).await?;
    authorize(db, room_id, actor, Action::Remove { target: role }).await?;
    if actor == target {
        return Err(StoreError::RoleForbids { account_id: actor });
    }
    delete(db, room_id, target).await
}

async fn leave(
    db: &mut SqliteConnection,
    room_id: RoomId,
    account_id: AccountId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Standing { role, is_closed } = standing(db, room_id, account_id).await?;
    delete(db, room_id, account_id).await?;
    if is_closed || role != Role::Owner || has_other_owner(db, room_id, account_id).await? {
        return Ok(());
    }
    let others: Option<i64> = sqlx::query_scalar("SELECT 1 FROM members WHERE room_id = ? LIMIT 1")
        .bind(Blob(*room_id.as_bytes()))
        .fetch_optional(&mut *db)
        .await?;
    match others {
        // The member comes back with the savepoint.
        Some(_) => Err(StoreError::LastOwner { room_id }),
        None => mark_closed(db, room_id, now).await,
    }
}

/// Has another membership of a member in place of what there was.
pub(super) async fn set_membership(
    db: &mut SqliteConnection,
    room_id: RoomId,
    account_id: AccountId,
    membership: Membership,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE members SET proof = ?, kept = ? WHERE room_id = ? AND account_id = ?")
        .bind(Blob(membership.proof.0))
        .bind(Blob(membership.kept.0))
        .bind(Blob(*room_id.as_bytes()))
        .bind(Blob(*account_id.as_bytes()))
        .execute(db)
        .await?;
    Ok(())
}

/// # Errors
/// [`StoreError::UnknownMember`].
async fn target_role(db: &mut SqliteConnection, room_id: RoomId, account_id: AccountId) -> Result<Role, StoreError> {
    let role: Option<Role> = sqlx::query_scalar("SELECT role FROM members WHERE room_id = ? AND account_id = ?")
        .bind(Blob(*room_id.as_bytes()))
        .bind(Blob(*account_id.as_bytes()))
        .fetch_optional(db)
        .await?;
    role.ok_or(StoreError::UnknownMember { account_id })
}

async fn has_other_owner(
    db: &mut SqliteConnection,
    room_id: RoomId,
    account_id: AccountId,
) -> Result<bool, StoreError> {
    let other: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM members WHERE room_id = ? AND role = 'owner' AND account_id <> ? LIMIT 1")
            .bind(Blob(*room_id.as_bytes()))
            .bind(Blob(*account_id.as_bytes()))
            .fetch_optional(db)
            .await?;
    Ok(other.is_some())
}

/// The invitations of a member go with it by the schema's cascade.
async fn delete(db: &mut SqliteConnection, room_id: RoomId, account_id: AccountId) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM members WHERE room_id = ? AND account_id = ?")
        .bind(Blob(*room_id.as_bytes()))
        .bind(Blob(*account_id.as_bytes()))
        .execute(db)
        .await?;
    Ok(())
}
