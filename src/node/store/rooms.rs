//! Rooms: made by an owner, closed by one.
//!
//! Whoever is no member of a room hears the same as if there were none.

use rusqlite::{Connection, params};

use super::Store;
use super::columns::{Blob, Integer, is_over};
use super::error::StoreError;
use super::idempotency::{Acted, Once, recall, remember};
use super::limits::ROOMS_PER_ACCOUNT_MAX;
use super::permissions::{Action, permits};
use super::sql::Sql;
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
        self.writer.write(move |db| create(db, room)).await
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
        self.writer.write(move |db| create_once(db, room, answer, once)).await
    }

    /// A room, whoever asks. None if there is none.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], or a failure of the store.
    pub async fn room(&self, room_id: RoomId) -> Result<Option<Room>, StoreError> {
        let sql = "SELECT room_id, policy, epoch, head, created_at, closed_at FROM rooms WHERE room_id = ?";
        let row: Option<RoomRow> =
            self.readers.read(move |db| db.first(sql, params![Blob(*room_id.as_bytes())])).await?;
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
        self.readers.read(move |db| rooms_of(db, account_id, after, limit)).await
    }

    /// Closes a room: from now on nothing is written there, nobody joins, and no role changes. What was
    /// written can still be read. Its invitations are withdrawn.
    ///
    /// # Errors
    /// [`StoreError::UnknownRoom`], [`StoreError::RoleForbids`], [`StoreError::RoomClosed`] if it was
    /// closed before, or a failure of the store.
    pub async fn close_room(&self, room_id: RoomId, actor: AccountId, now: Timestamp) -> Result<(), StoreError> {
        self.writer.write(move |db| close(db, room_id, actor, now)).await
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

fn rooms_of(
    db: &Connection,
    account_id: AccountId,
    after: Option<RoomId>,
    limit: PageLimit,
) -> Result<Vec<(Room, Role, Option<KeptMembership>)>, StoreError> {
    type Row = (Blob<16>, Blob<3>, Blob<8>, Integer, Integer, Option<Integer>, Role, Option<Blob<117>>);
    let rows: Vec<Row> = db.all(
        "SELECT room_id, policy, epoch, head, created_at, closed_at, role, kept FROM members JOIN rooms USING (room_id)
         WHERE account_id = ?1 AND room_id > coalesce(?2, x'') ORDER BY room_id LIMIT ?3",
        params![Blob(*account_id.as_bytes()), after.map(|room_id| Blob(*room_id.as_bytes())), limit.get()],
    )?;
    let as_member = |(room_id, policy, epoch, head, created_at, closed_at, role, kept): Row| {
        Ok((room((room_id, policy, epoch, head, created_at, closed_at))?, role, kept.map(|Blob(kept)| kept.into())))
    };
    rows.into_iter().map(as_member).collect()
}

fn create(db: &Connection, room: NewRoom) -> Result<(), StoreError> {
    let NewRoom { room_id, policy, owner, membership, epoch, created_at } = room;
    db.run(
        "INSERT INTO rooms (room_id, policy, epoch, head, created_at) VALUES (?, ?, ?, 0, ?)",
        params![
            Blob(*room_id.as_bytes()),
            Blob(policy.to_bytes()),
            Blob(*epoch.as_bytes()),
            Integer::time(created_at, "creation time")?,
        ],
    )?;
    add_member(db, room_id, owner, Role::Owner, membership, created_at)
}

fn create_once(
    db: &Connection,
    room: NewRoom,
    answer: RoomSummary,
    once: Once,
) -> Result<Acted<RoomSummary>, StoreError> {
    if let Some(before) = recall(db, &once)? {
        return Ok(Acted::Before(before));
    }
    create(db, room)?;
    remember(db, &once, &answer)?;
    Ok(Acted::Now(answer))
}

/// Puts an account that is no member into a room. At a limit, the row goes again with the savepoint.
pub(super) fn add_member(
    db: &Connection,
    room_id: RoomId,
    account_id: AccountId,
    role: Role,
    membership: Option<Membership>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let added = db.run(
        "INSERT INTO members (room_id, account_id, role, joined_at, proof, kept)
         SELECT ?1, account_id, ?3, ?4, ?5, ?6 FROM accounts WHERE account_id = ?2",
        params![
            Blob(*room_id.as_bytes()),
            Blob(*account_id.as_bytes()),
            role,
            Integer::time(now, "time")?,
            membership.map(|membership| Blob(membership.proof.0)),
            membership.map(|membership| Blob(membership.kept.0)),
        ],
    )?;
    if added == 0 {
        return Err(StoreError::UnknownAccount { account_id });
    }
    let (rooms,): (i64,) =
        db.one("SELECT count(*) FROM members WHERE account_id = ?", params![Blob(*account_id.as_bytes())])?;
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
pub(super) fn standing(db: &Connection, room_id: RoomId, account_id: AccountId) -> Result<Standing, StoreError> {
    let row: Option<(Role, bool)> = db.first(
        "SELECT role, closed_at IS NOT NULL FROM members JOIN rooms USING (room_id)
         WHERE room_id = ? AND account_id = ?",
        params![Blob(*room_id.as_bytes()), Blob(*account_id.as_bytes())],
    )?;
    row.map(|(role, is_closed)| Standing { role, is_closed }).ok_or(StoreError::UnknownRoom { room_id })
}

/// Whether the account may do this in the room, which has to be open.
///
/// # Errors
/// [`StoreError::UnknownRoom`], [`StoreError::RoleForbids`], [`StoreError::RoomClosed`].
pub(super) fn authorize(
    db: &Connection,
    room_id: RoomId,
    account_id: AccountId,
    action: Action,
) -> Result<(), StoreError> {
    let Standing { role, is_closed } = standing(db, room_id, account_id)?;
    if !permits(role, action) {
        return Err(StoreError::RoleForbids { account_id });
    }
    if is_closed { Err(StoreError::RoomClosed { room_id }) } else { Ok(()) }
}

fn close(db: &Connection, room_id: RoomId, actor: AccountId, now: Timestamp) -> Result<(), StoreError> {
    authorize(db, room_id, actor, Action::Close)?;
    mark_closed(db, room_id, now)
}

/// Closes a room and withdraws its invitations.
pub(super) fn mark_closed(db: &Connection, room_id: RoomId, now: Timestamp) -> Result<(), StoreError> {
    db.run(
        "UPDATE rooms SET closed_at = ? WHERE room_id = ?",
        params![Integer::time(now, "time")?, Blob(*room_id.as_bytes())],
    )?;
    db.run("DELETE FROM invitations WHERE room_id = ?", params![Blob(*room_id.as_bytes())])?;
    Ok(())
}
