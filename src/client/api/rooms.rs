//! Rooms, members and invitations.

use reqwest::Method;

use super::{Api, ApiError, NONE};
use crate::ids::{AccountId, RoomId};
use crate::wire::{
    CreateInvitation, CreateRoom, InvitationCreated, JoinRoom, Joined, MemberSummary, Members, RoomSummary, Rooms,
};

impl Api {
    pub(in crate::client) async fn create_room(&self, room: &CreateRoom) -> Result<RoomSummary, ApiError> {
        self.post("/api/rooms", room).await
    }

    pub(in crate::client) async fn room(&self, room: RoomId) -> Result<RoomSummary, ApiError> {
        let summary: RoomSummary = self.get(&format!("/api/rooms/{room}")).await?;
        if summary.room_id == room { Ok(summary) } else { Err(ApiError::Mismatch) }
    }

    /// All rooms of the account.
    pub(in crate::client) async fn rooms(&self) -> Result<Vec<RoomSummary>, ApiError> {
        let mut rooms = Vec::new();
        let mut path = "/api/rooms".to_owned();
        loop {
            let page: Rooms = self.get(&path).await?;
            let is_empty = page.rooms.is_empty();
            rooms.extend(page.rooms);
            match page.next {
                // It would never get anywhere.
                Some(_) if is_empty => return Err(ApiError::Malformed),
                Some(next) if rooms.len() < ELEMENTS_MAX => path = format!("/api/rooms?after={next}"),
                _ => return Ok(rooms),
            }
        }
    }

    /// All members of a room.
    pub(in crate::client) async fn members(&self, room: RoomId) -> Result<Vec<MemberSummary>, ApiError> {
        let mut members = Vec::new();
        let mut path = format!("/api/rooms/{room}/members");
        loop {
            let page: Members = self.get(&path).await?;
            let is_empty = page.members.is_empty();
            members.extend(page.members);
            match page.next {
                Some(_) if is_empty => return Err(ApiError::Malformed),
                Some(next) if members.len() < ELEMENTS_MAX => {
                    path = format!("/api/rooms/{room}/members?after={next}");
                }
                _ => return Ok(members),
            }
        }
    }

    pub(in crate::client) async fn invite(
        &self,
        room: RoomId,
        invitation: &CreateInvitation,
    ) -> Result<InvitationCreated, ApiError> {
        self.post(&format!("/api/rooms/{room}/invitations"), invitation).await
    }

    pub(in crate::client) async fn join_room(&self, invitation: &JoinRoom) -> Result<Joined, ApiError> {
        self.post("/api/rooms/join", invitation).await
    }

    pub(in crate::client) async fn leave_room(&self, room: RoomId) -> Result<(), ApiError> {
        self.done(Method::POST, &format!("/api/rooms/{room}/leave"), NONE).await
    }

    pub(in crate::client) async fn remove_member(&self, room: RoomId, member: AccountId) -> Result<(), ApiError> {
        self.done(Method::DELETE, &format!("/api/rooms/{room}/members/{member}"), NONE).await
    }
}

/// Rooms of an account, and members of a room, that are read at most: a node without end ends here.
const ELEMENTS_MAX: usize = 20_000;
