//! Rooms: made by an owner, closed by one.
//!
//! Whoever is no member of a room hears the same as if there were none.

use sqlx::{SqliteConnection, SqlitePool};

use super::Store;
use super::columns::{Blob, Integer, is_over};
use super::error::StoreError;
use super::idempotency::{Acted, Once, recall, remember};
use super::limits::ROOMS_PER_ACCOUNT_MAX;
use super::permissions::{Action, permits};
use crate::ids::{AccountId, LogEpoch, RoomId};
use crate::wire::{KeptMembership, Membership, PageLimit, Reader, Role, RoomPolicy, RoomSummary, Timestamp};

/// A room that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewRoom {
    /// Its id, drawn anew, here or by the client.
    pub room_id: RoomId,
    /// Its policy, for good.
    pub policy: RoomPolicy,
    /// Who makes it, and is its first owner.
    pub owner: AccountId,
    /// What the owner's client says of their membership.
    pub membership: Option<Membership>,
    /// The life of its log, drawn anew.
    pub epoch: LogEpoch,
    /// When it is made.
    pub created_at: Timestamp,
}

/// A room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The room.
    pub room_id: RoomId,
    /// Its policy.
    pub policy: RoomPolicy,
    /// The life of its log.
    pub epoch: LogEpoch,
    /// The last number of its log; 0 while there is none.
    pub head: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was closed. None while it is open.
    pub closed_at: Option<Timestamp>,
}

impl Store {
    /// Makes a room with its owner as the one member.
    ///
    /// # Errors
    /// [`StoreError::UnknownAccount`], [`StoreError::TooManyRooms`] past [`ROOMS_PER_ACCOUNT_MAX`],
    /// [`StoreError::IdInUse`] for an id that there is, or a failure of the store.
    pub async fn create_room(&self, room: &NewRoom) -> Result<(), StoreError> {
        let room = *room;
        self.writer.write(move |db| Box::pin(create(db, room))).await
    }

    /// As [`create_room`](Self::create_room), once: it is answered with `answer`, or with what it was before.
    ///
    /// # Errors
    /// As [`create_room`](Self::create_room), [`StoreError::OtherRequest`], [`StoreError::TooManyKeys`].
    pub async fn create_room_once(
        &self,
        room: &NewRoom,
        answer: RoomSummary,
        once: Once,
    ) -> Result<Acted<RoomSummary>, StoreError> {
        let room = *room;
        self.writer.write(move |db| Box::pin(create_once(db, room, answer, once))).await
    }

    /// A room, whoever asks. None if there is none.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], or a failure of the store.
    pub async fn room(&self, room_id: RoomId) -> Result<Option<Room>, StoreError> {
        let row: Option<RoomRow> =
            sqlx::query_as("SELECT room_id, policy, epoch, head, created_at, closed_at FROM rooms WHERE room_id = ?")
                .bind(Blob(*room_id.as_bytes()))
                .fetch_optional(&self.readers)
                .await?;
        row.map(room).transpose()
    }

    /// Rooms that the account is in, its roles there and what it keeps of its memberships, in ascending order of id, from past `after`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], or a failure of the store.
    pub async fn rooms_of(
        &self,
        account_id: AccountId,
        after: Option<RoomId>,
        limit: PageLimit,
    ) -> Result<Vec<(Room, Role, Option<KeptMembership>)>, StoreError> {
        rooms_of(&self.readers, account_id, after, limit).await
    }

    /// Closes a room: from now on nothing is written there, nobody joins, and no role changes. What was
    /// written can still be read. Its invitations are withdrawn.
    ///
    /// # Errors
    /// [`StoreError::UnknownRoom`], [`StoreError::RoleForbids`], [`StoreError::RoomClosed`] if it was
    /// closed before, or a failure of the store.
    pub async fn close_room(&self, room_id: RoomId, actor: AccountId, now: Timestamp) -> Result<(), StoreError> {
        self.writer.write(move |db| Box::pin(close(db, room_id, actor, now))).await
    }
}

type RoomRow = (Blob<16>, Blob<3>, Blob<8>, Integer, Integer, Option<Integer>);

fn room((Blob(room_id), Blob(policy), Blob(epoch), head, created_at, closed_at): RoomRow) -> Result<Room, StoreError> {
    Ok(Room {
        room_id: RoomId::from_bytes(room_id),
        policy: RoomPolicy::read(&mut Reader::new(&policy)).map_err(|_| StoreError::Corrupt { what: "policy" })?,
        epoch: LogEpoch::from_bytes(epoch),
        head: head.get(),
        created_at: created_at.timestamp(),
        closed_at: closed_at.map(Integer::timestamp),
    })
}

async fn rooms_of(
    readers: &SqlitePool,
    account_id: AccountId,
    after: Option<RoomId>,
    limit: PageLimit,
) -> Result<Vec<(Room, Role, Option<KeptMembership>)>, StoreError> {
    type Row = (Blob<16>, Blob<3>, Blob<8>, Integer, Integer, Option<Integer>, Role, Option<Blob<117>>);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT room_id, policy, epoch, head, created_at, closed_at, role, kept FROM members JOIN rooms USING (room_id)
         WHERE account_id = ?1 AND room_id > coalesce(?2, x'') ORDER BY room_id LIMIT ?3",
    )
    .bind(Blob(*account_id.as_bytes()))
    .bind(after.map(|room_id| Blob(*room_id.as_bytes())))
    .bind(limit.get())
    .fetch_all(readers)
    .await?;
    let as_member = |(room_id, policy, epoch, head, created_at, closed_at, role, kept): Row| {
        Ok((room((room_id, policy, epoch, head, created_at, closed_at))?, role, kept.map(|Blob(kept)| kept.into())))
    };
    rows.into_iter().map(as_member).collect()
}

async fn create(db: &mut SqliteConnection, room: NewRoom) -> Result<(), StoreError> {
    let NewRoom { room_id, policy, owner, membership, epoch, created_at } = room;
    sqlx::query("INSERT INTO rooms (room_id, policy, epoch, head, created_at) VALUES (?, ?, ?, 0, ?)")
        .bind(Blob(*room_id.as_bytes()))
        .bind(Blob(policy.to_bytes()))
        .bind(Blob(*epoch.as_bytes()))
        .bind(Integer::time(created_at, "creation time")?)
        .execute(&mut *db)
        .await?;
    add_member(db, room_id, owner, Role::Owner, membership, created_at).await
}

async fn create_once(
    db: &mut SqliteConnection,
    room: NewRoom,
    answer: RoomSummary,
    once: Once,
) -> Result<Acted<RoomSummary>, StoreError> {
    if let Some(before) = recall(db, &once).await? {
        return Ok(Acted::Before(before));
    }
    create(db, room).await?;
    remember(db, &once, &answer).await?;
    Ok(Acted::Now(answer))
}

/// Puts an account that is no member into a room. At a limit, the row goes again with the savepoint.
pub(super) async fn add_member(
    db: &mut SqliteConnection,
    room_id: RoomId,
    account_id: AccountId,
    role: Role,
    membership: Option<Membership>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let added = sqlx::query(
        "INSERT INTO members (room_id, account_id, role, joined_at, proof, kept)
         SELECT ?1, account_id, ?3, ?4, ?5, ?6 FROM accounts WHERE account_id = ?2",
    )
    .bind(Blob(*room_id.as_bytes()))
    .bind(Blob(*account_id.as_bytes()))
    .bind(role)
    .bind(Integer::time(now, "time")?)
    .bind(membership.map(|membership| Blob(membership.proof.0)))
    .bind(membership.map(|membership| Blob(membership.kept.0)))
    .execute(&mut *db)
    .await?;
    if added.rows_affected() == 0 {
        return Err(StoreError::UnknownAccount { account_id });
    }
    let rooms: i64 = sqlx::query_scalar("SELECT count(*) FROM members WHERE account_id = ?")
        .bind(Blob(*account_id.as_bytes()))
        .fetch_one(db)
        .await?;
    if is_over(rooms, ROOMS_PER_ACCOUNT_MAX) {
        return Err(StoreError::TooManyRooms { limit: ROOMS_PER_ACCOUNT_MAX });
    }
    Ok(())
}

/// What an account is in a room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) role: Role,
    pub(super) is_closed: bool,
}

/// What the account is in the room.
///
/// # Errors
/// [`StoreError::UnknownRoom`] if it is no member.
pub(super) async fn standing(
    db: &mut SqliteConnection,
    room_id: RoomId,
    account_id: AccountId,
) -> Result<Standing, StoreError> {
    let row: Option<(Role, bool)> = sqlx::query_as(
        "SELECT role, closed_at IS NOT NULL FROM members JOIN rooms USING (room_id)
         WHERE room_id = ? AND account_id = ?",
    )
    .bind(Blob(*room_id.as_bytes()))
    .bind(Blob(*account_id.as_bytes()))
    .fetch_optional(db)
    .await?;
    row.map(|(role, is_closed)| Standing { role, is_closed }).ok_or(StoreError::UnknownRoom { room_id })
}

/// Whether the account may do this in the room, which has to be open.
///
/// # Errors
/// [`StoreError::UnknownRoom`], [`StoreError::RoleForbids`], [`StoreError::RoomClosed`].
pub(super) async fn authorize(
    db: &mut SqliteConnection,
    room_id: RoomId,
    account_id: AccountId,
    action: Action,
) -> Result<(), StoreError> {
    let Standing { role, is_closed } = standing(db, room_id, account_id).await?;
    if !permits(role, action) {
        return Err(StoreError::RoleForbids { account_id });
    }
    if is_closed { Err(StoreError::RoomClosed { room_id }) } else { Ok(()) }
}

async fn close(db: &mut SqliteConnection, room_id: RoomId, actor: AccountId, now: Timestamp) -> Result<(), StoreError> {
    authorize(db, room_id, actor, Action::Close).await?;
    mark_closed(db, room_id, now).await
}

/// Closes a room and withdraws its invitations.
pub(super) async fn mark_closed(db: &mut SqliteConnection, room_id: RoomId, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query("UPDATE rooms SET closed_at = ? WHERE room_id = ?")
        .bind(Integer::time(now, "time")?)
        .bind(Blob(*room_id.as_bytes()))
        .execute(&mut *db)
        .await?;
    sqlx::query("DELETE FROM invitations WHERE room_id = ?").bind(Blob(*room_id.as_bytes())).execute(db).await?;
    Ok(())
}
