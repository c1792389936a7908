//! Rooms, as the app uses them.

use super::error::ClientError;
use super::handle::Client;
use crate::ids::{AccountId, RoomId};
use crate::wire::{CreateInvitation, InvitationCreated, MemberSummary, RoomPolicy, SecretText, TypingState};

/// A room of this account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomInfo {
    /// Which.
    pub room_id: RoomId,
    /// Its policy, as it was when this device first saw the room.
    pub policy: RoomPolicy,
    /// Its members, as far as the node has said: whom a message is sealed for.
    pub members: Vec<AccountId>,
    /// Whether it takes no more messages.
    pub is_closed: bool,
    /// Another policy that the node has shown: the room is not used any more.
    pub shown: Option<RoomPolicy>,
}

impl Client {
    /// Makes a room. Its policy is for good.
    ///
    /// # Errors
    /// [`ClientError::PolicyChanged`] if the node makes another one; those of the call.
    pub async fn create_room(&self, policy: RoomPolicy) -> Result<RoomId, ClientError> {
        self.ask(move |worker| Box::pin(worker.create_room(policy))).await
    }

    /// Makes an invitation: a token that lets somebody in. It is shown this once.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn invite(&self, room: RoomId, invitation: CreateInvitation) -> Result<InvitationCreated, ClientError> {
        self.ask(move |worker| Box::pin(worker.rest(move |api| async move { api.invite(room, &invitation).await })))
            .await
    }

    /// Comes into a room by an invitation. Its policy is pinned as the node shows it now; messages that were written under
    /// another one do not open.
    ///
    /// # Errors
    /// Those of the calls.
    pub async fn join(&self, token: SecretText) -> Result<RoomId, ClientError> {
        self.ask(move |worker| Box::pin(worker.join_room(token))).await
    }

    /// Leaves a room.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn leave(&self, room: RoomId) -> Result<(), ClientError> {
        self.ask(move |worker| Box::pin(worker.leave(room))).await
    }

    /// Removes a member. Nothing is sealed for them from here on; what was sealed before they have.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn remove(&self, room: RoomId, member: AccountId) -> Result<(), ClientError> {
        self.ask(move |worker| Box::pin(worker.remove(room, member))).await
    }

    /// Begins new sessions with every device that reads a room: what is written from now on is sealed under keys that
    /// nothing from before leads to. It is also done by itself, see [`Settings`](super::Settings).
    ///
    /// # Errors
    /// [`ClientError::NotJoined`]; those of the calls.
    pub async fn rotate_keys(&self, room: RoomId) -> Result<(), ClientError> {
        self.ask(move |worker| Box::pin(worker.rotate_keys(room))).await
    }

    /// The rooms of this account.
    ///
    /// # Errors
    /// [`ClientError::Stopped`].
    pub async fn rooms(&self) -> Result<Vec<RoomInfo>, ClientError> {
        self.tell(|worker| {
            let info = worker.rooms.iter().map(|(room_id, room)| RoomInfo {
                room_id: *room_id,
                policy: room.policy,
                members: room.members.iter().copied().collect(),
                is_closed: room.is_closed,
                shown: room.shown,
            });
            Ok(info.collect())
        })
        .await
    }

    /// The members of a room and their roles, as the node has them.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn members(&self, room: RoomId) -> Result<Vec<MemberSummary>, ClientError> {
        self.ask(move |worker| Box::pin(worker.rest(move |api| async move { api.members(room).await }))).await
    }

    /// Tells a room that the user writes, or has stopped. It is not kept, and is lost without a connection.
    ///
    /// # Errors
    /// [`ClientError::NotConnected`].
    pub async fn typing(&self, room: RoomId, state: TypingState) -> Result<(), ClientError> {
        self.tell(move |worker| worker.typing(room, state)).await
    }
}
