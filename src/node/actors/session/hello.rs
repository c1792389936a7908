//! How a socket shows who it is of: a token or a ticket, and the device that its session is bound to.

use core::future::Future;
use std::sync::Arc;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};

use super::feeds::Feed;
use super::{Identified, Session, SessionParts, Stage};
use crate::ids::{DeviceAddress, SessionId};
use crate::node::actors::routes::Device;
use crate::node::actors::supervisor::refusal;
use crate::node::store;
use crate::node::tokens::{AccessToken, Ticket, TokenHash};
use crate::node::ws::CloseCode;
use crate::protocol::public::{VerifiedDevice, verify_device};
use crate::wire::{Credential, ErrorCode, Log, Message, Position};

impl Session {
    /// The first command. Nothing else that the client sends is looked at until it is answered.
    pub(super) fn hello(
        &mut self,
        id: u32,
        credential: Option<Credential>,
        mailbox: Option<Position>,
        context: &mut Context<Self>,
    ) {
        let Stage::Unknown { session } = &mut self.stage else {
            self.tell(&Message::refused(id, ErrorCode::HelloTwice));
            return;
        };
        let (session, parts) = (session.take(), self.parts.clone());
        let identified = async move { identify(&parts, session, credential).await };
        context.wait(identified.into_actor(self).map(move |identified, session, context| match identified {
            Ok(who) => session.open(id, who, mailbox, context),
            Err(code) => {
                session.tell(&Message::refused(id, code));
                session.close(CloseCode::NotSignedIn);
            }
        }));
    }

    /// The device is in the routes before it is looked whether the session still holds: whoever ends it from then on finds
    /// the socket.
    fn open(&mut self, id: u32, who: Identified, mailbox: Option<Position>, context: &mut Context<Self>) {
        let (device, session_id) = (who.device, who.session_id);
        let welcome = Message::Welcome { device, session_id, expires_at: who.expires_at, now: self.parts.clock.now() };
        self.stage = Stage::Open(Box::new(who));
        let has_missed = Arc::clone(&self.has_missed);
        let route = Device { connection: self.id, session_id, session: Arc::new(context.address()), has_missed };
        self.parts.routes.add_device(device, route);
        let held = self.parts.holds(session_id);
        context.wait(held.into_actor(self).map(move |held, session, context| match held {
            Ok(true) if session.who().is_some() => {
                session.tell(&welcome);
                session.tell(&Message::done(id));
                session.followed.borrow_mut().follow(Log::Mailbox, Feed::resume(mailbox));
                session.read_feeds(context);
            }
            Ok(_) => session.close(CloseCode::Ended),
            Err(code) => {
                session.tell(&Message::refused(id, code));
                session.close(CloseCode::Internal);
            }
        }));
    }

    /// Looks whether the session still holds, and closes the socket if it does not.
    pub(super) fn recheck(&mut self, context: &mut Context<Self>) {
        let Some(who) = self.who() else { return };
        let held = self.parts.holds(who.session_id);
        context.spawn(held.into_actor(self).map(|held, session, _| {
            // A store that does not answer ends nothing.
            if held == Ok(false) {
                session.close(CloseCode::Ended);
            }
        }));
    }
}

/// Finds out who a socket is of.
async fn identify(
    parts: &SessionParts,
    known: Option<store::Session>,
    credential: Option<Credential>,
) -> Result<Identified, ErrorCode> {
    let session = match (credential, known) {
        (None, None) => return Err(ErrorCode::TokenMissing),
        (None, Some(session)) => session,
        (Some(Credential::Token(token)), _) => {
            let token: AccessToken = token.expose().parse().map_err(|_| ErrorCode::TokenRefused)?;
            parts.session_of(token.hash()).await?
        }
        (Some(Credential::Ticket(ticket)), _) => {
            let ticket: Ticket = ticket.expose().parse().map_err(|_| ErrorCode::TokenRefused)?;
            let taken = parts.store.take_ticket(ticket.hash(), parts.clock.now()).await;
            taken.map_err(refusal)?.ok_or(ErrorCode::TokenRefused)?
        }
    };
    let device_id = session.device_id.ok_or(ErrorCode::DeviceNotBound)?;
    let device = DeviceAddress { account_id: session.account_id, device_id };
    Ok(Identified {
        device,
        verified: parts.keys_of(device).await?,
        session_id: session.session_id,
        expires_at: session.expires_at,
        was_warned: false,
    })
}

impl SessionParts {
    /// The session of an access token.
    ///
    /// # Errors
    /// `token_refused`, `unavailable`.
    pub(super) async fn session_of(&self, token: TokenHash) -> Result<store::Session, ErrorCode> {
        let session = self.store.session_by_access(token, self.clock.now()).await.map_err(refusal)?;
        session.ok_or(ErrorCode::TokenRefused)
    }

    /// Whether a session has not been ended.
    fn holds(&self, session_id: SessionId) -> impl Future<Output = Result<bool, ErrorCode>> + 'static {
        let store = self.store.clone();
        async move { store.has_session(session_id).await.map_err(refusal) }
    }

    /// The keys of a device, as its account's list has them.
    async fn keys_of(&self, device: DeviceAddress) -> Result<VerifiedDevice, ErrorCode> {
        let list = self.store.device_list(device.account_id).await.map_err(refusal)?;
        let certificate =
            list.and_then(|list| list.devices.into_iter().find(|entry| entry.device_id == device.device_id));
        verify_device(&certificate.ok_or(ErrorCode::UnknownDevice)?).map_err(|error| error.code())
    }
}
