//! `/api/ws/ticket`: a page gets a ticket for its socket.

use actix_web::web::{Data, Json};

use super::document::{Calls, about};
use super::error::ApiError;
use super::extract::SignedIn;
use super::state::NodeState;
use crate::node::entropy;
use crate::node::tokens::Ticket;
use crate::wire::limits::TICKET_TTL;
use crate::wire::{ErrorCode, SecretText, SocketTicket};

pub(super) fn routes(calls: &mut Calls<'_>) {
    let ticket = about("A ticket for a socket, which a page cannot open with a token: good once, for 30 seconds.");
    calls.at("/api/ws/ticket", |at| at.post(issue, ticket.refuses(&[ErrorCode::UnknownSession])));
}

async fn issue(asker: SignedIn, state: Data<NodeState>) -> Result<Json<SocketTicket>, ApiError> {
    let ticket = Ticket::generate(&mut entropy::generator()?);
    let now = state.clock.now();
    let expires_at = now.plus(TICKET_TTL);
    state.store.save_ticket(ticket.hash(), asker.session_id(), expires_at, now).await?;
    Ok(Json(SocketTicket { ticket: SecretText::new(ticket.to_text()), expires_at }))
}
