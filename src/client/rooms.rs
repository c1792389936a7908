//! Rooms, as the app uses them.

use super::error::ClientError;
use super::handle::Client;
use crate::ids::{AccountId, InvitationId, RoomId};
use crate::protocol::membership::InvitationCode;
use crate::wire::{CreateInvitation, MemberSummary, RoomPolicy, SecretText, Timestamp, TypingState};

/// A room of this account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomInfo {
    /// Which.
    pub room_id: RoomId,
    /// Its policy, by the word of whoever has made the room or invited into it.
    pub policy: RoomPolicy,
    /// Its members, each let in by one before: whom a message is sealed for.
    pub members: Vec<AccountId>,
    /// Whom the node shows as members too, and who are refused. Nothing is sealed for them.
    pub refused: Vec<AccountId>,
    /// Whether what the members share is on this device. Until then it neither reads nor writes there, and `policy` is the
    /// node's word.
    pub has_key: bool,
    /// Whether this device reads and writes there: it has the key, the policy is one that it knows, and the node shows no other.
    pub is_open: bool,
    /// Whether it takes no more messages.
    pub is_closed: bool,
    /// Another policy that the node has shown: the room is not used any more.
    pub shown: Option<RoomPolicy>,
}

/// An invitation that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The node's id of it.
    pub invitation_id: InvitationId,
    /// What lets somebody in: the text of an [`InvitationCode`]. Secret.
    pub code: SecretText,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

impl Client {
    /// Makes a room. Its policy is for good.
    ///
    /// # Errors
    /// [`ClientError::PolicyChanged`] if the node makes another one; [`ClientError::NoVaultKey`]; those of the call.
    pub async fn create_room(&self, policy: RoomPolicy) -> Result<RoomId, ClientError> {
        self.ask(move |worker| Box::pin(worker.create_room(policy))).await
    }

    /// Makes an invitation: a code that lets somebody in, and by which the members know that somebody has let them in. It is
    /// shown this once, and is to go to the guest past the node.
    ///
    /// # Errors
    /// [`ClientError::NotJoined`], [`ClientError::PolicyChanged`], [`ClientError::NoMembershipKey`]; those of the call.
    pub async fn invite(&self, room: RoomId, invitation: CreateInvitation) -> Result<Invitation, ClientError> {
        self.ask(move |worker| Box::pin(worker.invite(room, invitation))).await
    }

    /// Comes into a room by an invitation's code, which says what its policy is.
    ///
    /// # Errors
    /// [`ClientError::InvitationCode`]; [`ClientError::PolicyChanged`] if the node shows another policy;
    /// [`ClientError::NoVaultKey`]; those of the calls.
    pub async fn join(&self, code: &str) -> Result<RoomId, ClientError> {
        let code: InvitationCode = code.parse()?;
        self.ask(move |worker| Box::pin(worker.join_room(code))).await
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
                members: room.members.keys().copied().collect(),
                refused: room.refused.keys().copied().collect(),
                has_key: room.key.is_some(),
                is_open: room.is_open(),
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
