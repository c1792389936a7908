//! What the app asks of the worker, where that is more than one step.

use super::answers::Pending;
use super::letters::{Letter, To};
use super::{ClientError, Worker, survive};
use crate::client::api::ApiError;
use crate::client::content::{Body, Receipt};
use crate::client::entropy;
use crate::client::message::{Conversation, Message};
use crate::client::rooms::Invitation;
use crate::client::store::MessagePage;
use crate::ids::{AccountId, MessageId, RoomId};
use crate::protocol::membership::{InvitationCode, MembershipKey};
use crate::wire::{
    Command, CreateInvitation, CreateRoom, ErrorCode, InvitationCreated, JoinRoom, Membership, RoomPolicy, TypingState,
};

impl Worker {
    pub(in crate::client) async fn create_room(&mut self, policy: RoomPolicy) -> Result<RoomId, ClientError> {
        let rng = &mut entropy::generator()?;
        let (room_id, key) = (RoomId::generate(rng), MembershipKey::generate(rng));
        let membership = self.membership(room_id, policy, &key)?;
        let room = CreateRoom { policy: Some(policy), room_id: Some(room_id), membership: Some(membership) };
        let summary = self.rest(|api| async move { api.create_room(&room).await }).await?;
        if summary.policy != policy {
            return Err(ClientError::PolicyChanged { room: room_id, pinned: policy, shown: summary.policy });
        }
        if summary.room_id != room_id {
            return Err(ApiError::Mismatch.into());
        }
        self.take_room(room_id, policy, Some(key))?;
        self.tell_own_devices().await?;
        Ok(room_id)
    }

    pub(in crate::client) async fn invite(
        &mut self,
        room_id: RoomId,
        invitation: CreateInvitation,
    ) -> Result<Invitation, ClientError> {
        let policy = self.usable(room_id)?;
        let key = self.membership_key(room_id).ok_or(ClientError::NoMembershipKey { room: room_id })?;
        let created = self.rest(|api| async move { api.invite(room_id, &invitation).await }).await?;
        let InvitationCreated { invitation_id, token, expires_at } = created;
        let code = InvitationCode::new(room_id, policy, key, token).map_err(|_| ApiError::Malformed)?.to_text();
        Ok(Invitation { invitation_id, code, expires_at })
    }

    pub(in crate::client) async fn join_room(&mut self, code: InvitationCode) -> Result<RoomId, ClientError> {
        let (room_id, policy) = (code.room(), code.policy());
        if let Some(pinned) = self.pinned(room_id).filter(|pinned| *pinned != policy) {
            return Err(ClientError::PolicyChanged { room: room_id, pinned, shown: policy });
        }
        // Of a room that is known, the first key holds.
        let (token, given) = code.into_parts();
        let key = self.membership_key(room_id).unwrap_or(given);
        let invitation = JoinRoom { token, membership: Some(self.membership(room_id, policy, &key)?) };
        let joined = self
            .rest(|api| {
                let invitation = invitation.clone();
                async move { api.join_room(&invitation).await }
            })
            .await?;
        if joined.room_id != room_id {
            return Err(ApiError::Mismatch.into());
        }
        self.take_room(room_id, policy, Some(key))?;
        // It is in; what the node shows of the room is seen now or later.
        let summary = self.rest(|api| async move { api.room(room_id).await }).await;
        match survive(summary)? {
            Some(summary) => self.see_room(&summary)?,
            None => self.is_synced = false,
        }
        let readers = self.readers(room_id).await;
        survive(readers)?;
        self.tell_own_devices().await?;
        Ok(room_id)
    }

    /// What this account says of its membership in a room.
    fn membership(&self, room: RoomId, policy: RoomPolicy, key: &MembershipKey) -> Result<Membership, ClientError> {
        let rng = &mut entropy::generator()?;
        let (account, vault_key) =
            (self.machine.device().address().account_id, self.vault_key().ok_or(ClientError::NoVaultKey)?);
        let proof = key.prove(room, account, self.machine.device().root_key(), rng).to_wire();
        Ok(Membership { proof, kept: key.keep(vault_key, (account, room), policy, rng) })
    }

    /// Has this user's other devices look for rooms.
    async fn tell_own_devices(&mut self) -> Result<(), ClientError> {
        let own = self.machine.device().address().account_id;
        if self.machine.device_list(own).is_none_or(|list| list.devices().len() < 2) {
            return Ok(());
        }
        let (conversation, to) = (Conversation::Direct(own), To::Account(own));
        let posted = self.post(Letter::new(conversation, to, None, Body::Rooms {})).await;
        survive(posted).map(|_| ())
    }

    pub(in crate::client) async fn leave(&mut self, room: RoomId) -> Result<(), ClientError> {
        self.rest(|api| async move { api.leave_room(room).await }).await?;
        self.room_left(room).await
    }

    pub(in crate::client) async fn remove(&mut self, room: RoomId, member: AccountId) -> Result<(), ClientError> {
        if !self.is_member(room, member) {
            // The app may know of them before the socket has told.
            let fetched = self.fetch_members(room).await;
            survive(fetched)?;
        }
        // Before the node hears of it: whatever it answers, it is not to bring them back.
        let spent = self.shut_out(room, member);
        self.commit().await?;
        let removed = self.rest(|api| async move { api.remove_member(room, member).await }).await;
        match &removed {
            Ok(()) => self.member_left(room, member),
            Err(error) if was_not_done(error) => self.let_back(room, member, &spent),
            Err(_) => {}
        }
        removed
    }

    pub(in crate::client) fn typing(&mut self, room_id: RoomId, state: TypingState) -> Result<(), ClientError> {
        self.usable(room_id)?;
        let is_sent = self.command(Pending::Notice, |id| Command::Typing { id, room_id, state });
        if is_sent { Ok(()) } else { Err(ClientError::NotConnected) }
    }

    pub(in crate::client) async fn page(
        &mut self,
        conversation: Conversation,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Message>, ClientError> {
        self.commit().await?;
        let number = before.unwrap_or(u64::MAX);
        let page = self.store.messages(MessagePage::Before { place: conversation.place(), number, limit }).await?;
        Ok(page.iter().map(Message::load).collect::<Result<_, _>>()?)
    }

    /// Has writers told that their messages were read.
    pub(in crate::client) async fn mark_read(
        &mut self,
        messages: Vec<(AccountId, MessageId)>,
    ) -> Result<(), ClientError> {
        let own = self.machine.device().address().account_id;
        for (writer, id) in messages.into_iter().filter(|(writer, _)| *writer != own) {
            if let Some(message) = self.find(writer, id).await? {
                self.owe(message.conversation, writer, Receipt::Read, id);
            }
        }
        Ok(())
    }

    /// Commits what a job has gathered. If that fails, this turn is the last.
    pub(in crate::client) async fn finish(&mut self) -> bool {
        match self.commit().await {
            Ok(()) => true,
            Err(error) => {
                self.failed = Some(error);
                false
            }
        }
    }
}

/// Whether a removal was surely not carried out.
fn was_not_done(error: &ClientError) -> bool {
    match error {
        ClientError::SignedOut => true,
        ClientError::Api(ApiError::Unreachable(error)) => error.is_connect(),
        ClientError::Api(ApiError::Refused { code, .. }) => matches!(
            code,
            ErrorCode::RoleForbids | ErrorCode::LastOwner | ErrorCode::RoomClosed | ErrorCode::RateLimited
        ),
        _ => false,
    }
}
