//! What the app asks of the worker, where that is more than one step.

use super::answers::Pending;
use super::letters::{Letter, To};
use super::{ClientError, Worker, survive};
use crate::client::api::ApiError;
use crate::client::content::{Body, Receipt};
use crate::client::message::{Conversation, Message};
use crate::client::store::MessagePage;
use crate::ids::{AccountId, MessageId, RoomId};
use crate::wire::{Command, RoomPolicy, SecretText, TypingState};

impl Worker {
    pub(in crate::client) async fn create_room(&mut self, policy: RoomPolicy) -> Result<RoomId, ClientError> {
        let summary = self.rest(|api| async move { api.create_room(policy).await }).await?;
        if summary.policy != policy {
            let (room, shown) = (summary.room_id, summary.policy);
            return Err(ClientError::PolicyChanged { room, pinned: policy, shown });
        }
        // One that others may be in already.
        if self.is_known_room(summary.room_id) {
            return Err(ApiError::Mismatch.into());
        }
        self.see_room(&summary)?;
        self.member_joined(summary.room_id, self.machine.device().address().account_id);
        self.tell_own_devices().await?;
        Ok(summary.room_id)
    }

    pub(in crate::client) async fn join_room(&mut self, token: SecretText) -> Result<RoomId, ClientError> {
        let joined = self
            .rest(|api| {
                let token = token.clone();
                async move { api.join_room(&token).await }
            })
            .await?;
        let room_id = joined.room_id;
        let summary = self.rest(|api| async move { api.room(room_id).await }).await?;
        self.see_room(&summary)?;
        self.readers(room_id).await?;
        self.tell_own_devices().await?;
        Ok(room_id)
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
        self.room_left(room);
        Ok(())
    }

    pub(in crate::client) async fn remove(&mut self, room: RoomId, member: AccountId) -> Result<(), ClientError> {
        self.rest(|api| async move { api.remove_member(room, member).await }).await?;
        self.member_left(room, member);
        Ok(())
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
