//! Connecting, and what is said first; what a lost connection means.

use core::time::Duration;

use tokio::time::Instant;

use super::answers::Pending;
use super::link::{Arrival, Link};
use super::lookups::Lookups;
use super::socket::{Incoming, Socket};
use super::{ClientError, Worker, survive};
use crate::client::events::Event;
use crate::wire::{BindDevice, Command, ErrorCode};

impl Worker {
    /// Begins to connect. The device is made known to the node first, where it is not.
    pub(super) async fn connect(&mut self) -> Result<(), ClientError> {
        self.link = Link::Down { retry_at: None };
        if !self.is_registered {
            match self.register().await {
                Ok(()) => self.is_registered = true,
                Err(error) if error.is_fatal() => return Err(error),
                Err(error) => {
                    self.not_registered(&error);
                    return Ok(());
                }
            }
        }
        self.commit().await?;
        self.link = Link::Connecting(tokio::spawn(Socket::connect(self.api.clone())));
        Ok(())
    }

    /// What it means that the node does not take this device.
    fn not_registered(&mut self, error: &ClientError) {
        match error {
            ClientError::SignedOut => {}
            ClientError::Machine(error) => self.event(Event::Distrusted { reason: error.code() }),
            ClientError::Api(error) => match error.code() {
                // The session is another device's, or this one was taken off its account's list.
                Some(code @ (ErrorCode::UnknownDevice | ErrorCode::SessionBound | ErrorCode::DeviceProofRefused)) => {
                    self.sign_out(code);
                }
                _ => self.wait_to_connect(error.retry_after()),
            },
            _ => self.wait_to_connect(None),
        }
    }

    /// Has the node know this device: its account's list, whose session it is, and its prekeys.
    pub(in crate::client) async fn register(&mut self) -> Result<(), ClientError> {
        let own = self.machine.device().address();
        // What was set up is kept before the node hears of it.
        self.commit().await?;
        let shown = self.rest(|api| async move { api.device_list(own.account_id).await }).await?;
        let ours = self.machine.device_list(own.account_id).map(|list| list.list().clone());
        match (shown, ours) {
            (Some(shown), Some(ours)) if shown.version >= ours.version => {
                self.handle(crate::protocol::machine::Input::DeviceList(&shown))?;
            }
            (_, Some(ours)) => self.rest(|api| api_publish(api, ours.clone())).await?,
            (_, None) => return Err(ClientError::NotSetUp),
        }
        let signature = self.machine.prove_session(self.session.tokens.session_id);
        let proof = BindDevice { device_id: own.device_id, signature };
        self.rest(|api| {
            let proof = proof.clone();
            async move { api.bind_device(&proof).await }
        })
        .await
    }

    /// Something of the connection.
    pub(super) async fn take(&mut self, arrival: Arrival) -> Result<(), ClientError> {
        match arrival {
            Arrival::Connected(Ok(socket)) => {
                let mailbox = self.mailbox;
                self.link = Link::Up { socket, is_welcome: false };
                self.begin(Pending::Hello, |id| Command::Hello { id, credential: None, mailbox });
            }
            Arrival::Connected(Err(error)) => {
                self.link = Link::Down { retry_at: None };
                if error.is_signed_out() {
                    let refreshed = self.refresh().await;
                    if survive(refreshed)?.is_some() {
                        self.reconnect();
                        return Ok(());
                    }
                }
                if error.code() == Some(ErrorCode::DeviceNotBound) {
                    self.is_registered = false;
                }
                if !self.session.is_ended {
                    self.wait_to_connect(error.retry_after());
                }
            }
            Arrival::Incoming(Incoming::Message(message)) => self.hear(*message).await?,
            Arrival::Incoming(Incoming::Closed(code)) => self.closed(code).await?,
        }
        Ok(())
    }

    /// The node has closed the socket, or it broke.
    async fn closed(&mut self, code: Option<u16>) -> Result<(), ClientError> {
        match code {
            Some(4100..=4199) => {
                self.is_registered = false;
                self.disconnect(None);
                let refreshed = self.refresh().await;
                survive(refreshed)?;
                if !self.session.is_ended {
                    self.wait_to_connect(None);
                }
            }
            Some(4200..=4299) => {
                self.disconnect(None);
                self.event(Event::Refused);
            }
            Some(_) | None => self.disconnect_for_a_while(),
        }
        Ok(())
    }

    /// The socket is gone, or is let go. What was under way on it is begun again on the next.
    pub(super) fn disconnect(&mut self, retry_in: Option<Duration>) {
        let was_up = self.link.socket().is_some();
        self.link = Link::Down { retry_at: retry_in.map(|wait| Instant::now() + wait) };
        self.under_way.clear();
        self.outbox.release_all();
        self.reconnect_at = None;
        self.is_synced = false;
        self.fresh.clear();
        for room in self.rooms.values_mut() {
            room.unfollowed();
        }
        if was_up {
            self.event(Event::Disconnected { retry_in });
        }
    }

    pub(super) fn disconnect_for_a_while(&mut self) {
        let wait = self.back_off.next();
        self.disconnect(Some(wait));
    }

    /// Waits for the next try, and before it as long as the node has asked for.
    fn wait_to_connect(&mut self, asked: Option<Duration>) {
        let wait = asked.unwrap_or_default().min(ASKED_WAIT_MAX) + self.back_off.next();
        self.link = Link::Down { retry_at: Some(Instant::now() + wait) };
    }

    /// Connects as soon as can be, whatever stood against it.
    pub(in crate::client) fn reconnect(&mut self) {
        if let Link::Down { retry_at } = &mut self.link {
            *retry_at = Some(Instant::now());
        }
    }

    /// The node has said welcome.
    pub(super) async fn welcomed(&mut self) -> Result<(), ClientError> {
        if let Link::Up { is_welcome, .. } = &mut self.link {
            *is_welcome = true;
        }
        self.retry_at = None;
        self.lookups = Lookups::default();
        self.event(Event::Connected);
        self.look_for_devices();
        let synced = self.sync_rooms().await;
        survive(synced)?;
        self.open_held().await
    }

    /// The node stops, and says when to leave it.
    pub(super) fn leave_at(&mut self, after: Duration) {
        self.reconnect_at = Some(Instant::now() + after);
    }
}

async fn api_publish(api: super::Api, list: crate::wire::DeviceList) -> Result<(), super::ApiError> {
    api.publish_list(&list).await
}

/// The longest wait that a node can ask for: one that asks for more is tried all the same.
const ASKED_WAIT_MAX: Duration = Duration::from_secs(600);
