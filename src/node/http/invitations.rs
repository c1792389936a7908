//! `/api/rooms/{room}/invitations`: who may come in. `/api/rooms/join`: somebody comes.

use core::time::Duration;

use actix_web::web::{Data, Json, Path};

use super::body::Body;
use super::document::{Calls, NoContent, about};
use super::error::ApiError;
use super::extract::SignedIn;
use super::frame::to_the_end;
use super::state::NodeState;
use crate::ids::{InvitationId, RoomId};
use crate::node::actors::RoomChange;
use crate::node::audit::{self, Event};
use crate::node::entropy;
use crate::node::store::{Invitation, NewInvitation};
use crate::node::tokens::InvitationToken;
use crate::wire::limits::{INVITATION_AGE_DEFAULT, INVITATION_AGE_MAX, INVITATION_USES_MAX};
use crate::wire::{
    CreateInvitation, ErrorCode, InvitationCreated, InvitationSummary, Invitations, JoinRoom, Joined, SecretText,
};

pub(super) fn routes(calls: &mut Calls<'_>) {
    let enters = about("Comes into a room by an invitation.");
    let enters = enters.refuses(&[
        ErrorCode::InvitationRefused,
        ErrorCode::RoomClosed,
        ErrorCode::TooManyMembers,
        ErrorCode::TooManyRooms,
    ]);
    let makes = about("Makes an invitation into a room: a token, shown this once.");
    let makes = makes.refuses(&[
        ErrorCode::UnknownRoom,
        ErrorCode::RoleForbids,
        ErrorCode::RoomClosed,
        ErrorCode::TooManyInvitations,
    ]);
    let lists =
        about("The room's invitations that are good.").refuses(&[ErrorCode::UnknownRoom, ErrorCode::RoleForbids]);
    let ends = about("Withdraws an invitation.");
    let ends = ends.refuses(&[ErrorCode::UnknownRoom, ErrorCode::UnknownInvitation, ErrorCode::RoleForbids]);
    calls
        .at("/api/rooms/join", |at| at.post(join, enters))
        .at("/api/rooms/{room_id}/invitations", |at| at.get(list, lists).post(create, makes))
        .at("/api/rooms/{room_id}/invitations/{invitation_id}", |at| at.delete(revoke, ends));
}

async fn create(
    asker: SignedIn,
    state: Data<NodeState>,
    room: Path<RoomId>,
    body: Body<CreateInvitation>,
) -> Result<Json<InvitationCreated>, ApiError> {
    let (room, account, now) = (room.into_inner(), asker.account_id(), state.clock.now());
    let (age, uses) = bounded(&body)?;
    let rng = &mut entropy::generator()?;
    let (invitation_id, token) = (InvitationId::generate(rng), InvitationToken::generate(rng));
    let invitation = NewInvitation {
        invitation_id,
        token: token.hash(),
        room_id: room,
        created_by: account,
        for_account: body.for_account,
        expires_at: now.plus(age),
        uses,
    };
    state.store.create_invitation(&invitation, now).await?;
    audit::record(Event::InvitationMade { room, account, invitation: invitation_id });
    let token = SecretText::new(token.to_text());
    Ok(Json(InvitationCreated { invitation_id, token, expires_at: invitation.expires_at }))
}

/// How long the invitation is to be good, and how often.
fn bounded(wanted: &CreateInvitation) -> Result<(Duration, u32), ApiError> {
    let refused = |detail| ApiError::with_detail(ErrorCode::MalformedRequest, detail);
    let age = wanted.seconds.map_or(INVITATION_AGE_DEFAULT, |seconds| Duration::from_secs(seconds.into()));
    let uses = wanted.uses.unwrap_or(1);
    if age.is_zero() || age > INVITATION_AGE_MAX {
        return Err(refused(format!("an invitation is good for 1 to {} seconds", INVITATION_AGE_MAX.as_secs())));
    }
    if !(1..=INVITATION_USES_MAX).contains(&uses) {
        return Err(refused(format!("an invitation has 1 to {INVITATION_USES_MAX} uses")));
    }
    Ok((age, uses))
}

async fn list(asker: SignedIn, state: Data<NodeState>, room: Path<RoomId>) -> Result<Json<Invitations>, ApiError> {
    let invitations = state.store.invitations(*room, asker.account_id(), state.clock.now()).await?;
    Ok(Json(Invitations { invitations: invitations.into_iter().map(InvitationSummary::from).collect() }))
}

async fn revoke(
    asker: SignedIn,
    state: Data<NodeState>,
    path: Path<(RoomId, InvitationId)>,
) -> Result<NoContent, ApiError> {
    let ((room, invitation), account) = (path.into_inner(), asker.account_id());
    state.store.revoke_invitation(room, account, invitation).await?;
    audit::record(Event::InvitationRevoked { room, account, invitation });
    Ok(NoContent)
}

async fn join(asker: SignedIn, state: Data<NodeState>, body: Body<JoinRoom>) -> Result<Json<Joined>, ApiError> {
    let token: Result<InvitationToken, _> = body.token.expose().parse();
    let token = token.map_err(|_| ApiError::new(ErrorCode::InvitationRefused))?;
    let (account, membership) = (asker.account_id(), body.membership);
    to_the_end(async move {
        let joined = state.store.accept_invitation(token.hash(), account, membership, state.clock.now()).await?;
        if joined.is_new || membership.is_some() {
            state.routes.tell_room(joined.room_id, RoomChange::Member(account)).await;
        }
        if joined.is_new {
            audit::record(Event::RoomJoined { room: joined.room_id, account });
        }
        Ok(Json(joined))
    })
    .await
}

impl From<Invitation> for InvitationSummary {
    fn from(invitation: Invitation) -> Self {
        let Invitation { invitation_id, created_by, for_account, expires_at, uses_left } = invitation;
        Self { invitation_id, created_by, for_account, expires_at, uses_left }
    }
}
