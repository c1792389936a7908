//! The session's tokens: taken anew before they end, saved before they are used.

use super::state::{self, NODE, TOKENS};
use super::{ClientError, Worker};
use crate::client::events::Event;
use crate::client::sign_in::SignedIn;
use crate::wire::{Command, ErrorCode, SessionTokens};

/// The session on the node.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) tokens: SessionTokens,
    /// The node takes them no more.
    pub(super) is_ended: bool,
}

impl Worker {
    /// Trades the refresh token. A token is good once: if the answer is lost, the session is lost with it, and the user
    /// signs in again; keys and messages stay.
    pub(super) async fn refresh(&mut self) -> Result<(), ClientError> {
        match self.api.refresh(&self.session.tokens.refresh_token).await {
            Ok(tokens) => self.adopt_tokens(tokens).await,
            Err(error) => {
                let code = error.code();
                if let Some(code @ (ErrorCode::RefreshRefused | ErrorCode::RefreshReused)) = code {
                    self.sign_out(code);
                    return Err(ClientError::SignedOut);
                }
                Err(error.into())
            }
        }
    }

    async fn adopt_tokens(&mut self, tokens: SessionTokens) -> Result<(), ClientError> {
        self.batch.put(TOKENS, state::encode(&tokens));
        self.commit().await?;
        self.api.set_token(tokens.access_token.clone());
        self.session.tokens = tokens;
        let token = self.session.tokens.access_token.clone();
        self.command(super::Pending::Refresh, |id| Command::Refresh { id, token });
        Ok(())
    }

    /// The session has ended.
    pub(super) fn sign_out(&mut self, reason: ErrorCode) {
        if !self.session.is_ended {
            self.session.is_ended = true;
            self.event(Event::SignedOut { reason });
        }
        self.disconnect(None);
    }

    pub(in crate::client) const fn has_session(&self) -> bool {
        !self.session.is_ended
    }

    /// Ends the session.
    pub(in crate::client) async fn end_session(&mut self) -> Result<(), ClientError> {
        self.rest(|api| async move { api.sign_out().await }).await?;
        self.session.is_ended = true;
        self.disconnect(None);
        Ok(())
    }

    /// Goes on with a new session of the same account, at the address where it was begun: no other is to see its tokens.
    pub(in crate::client) async fn take_session(&mut self, signed_in: SignedIn) -> Result<(), ClientError> {
        let SignedIn { api, tokens } = signed_in;
        if tokens.account_id != self.machine.device().address().account_id {
            return Err(ClientError::OtherAccount);
        }
        self.disconnect(None);
        self.session.is_ended = false;
        self.is_registered = false;
        self.batch.put(NODE, state::encode(&api.url()));
        self.api = api;
        self.adopt_tokens(tokens).await?;
        self.reconnect();
        Ok(())
    }
}
