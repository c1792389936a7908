//! `/api/rooms`: rooms are made, listed, left and closed. Whoever is no member hears of no room, but that an id is taken.

use actix_web::web::{Data, Json, Path, Query};

use super::body::{Body, PageQuery};
use super::document::{Calls, NoContent, about};
use super::error::ApiError;
use super::extract::SignedIn;
use super::frame::to_the_end;
use super::idempotency::IdempotencyKey;
use super::state::NodeState;
use crate::ids::{LogEpoch, RoomId};
use crate::node::actors::RoomChange;
use crate::node::audit::{self, Event};
use crate::node::entropy;
use crate::node::store::{Acted, Member, NewRoom, Room, StoreError};
use crate::wire::{
    CreateRoom, Custody, ErrorCode, KeptMembership, Protection, Role, RoomPolicy, RoomSummary, Rooms, Signatures,
};

pub(super) fn routes(calls: &mut Calls<'_>) {
    let makes = about("Makes a room, whose policy is for good. Its maker is its owner.");
    let makes = makes.refuses(&[
        ErrorCode::CustodyDisabled,
        ErrorCode::ProtectionUnsupported,
        ErrorCode::TooManyRooms,
        ErrorCode::RoomExists,
    ]);
    let closes = about("Closes a room: it can be read and left.");
    let closes = closes.refuses(&[ErrorCode::UnknownRoom, ErrorCode::RoleForbids, ErrorCode::RoomClosed]);
    let leaves = about("Leaves a room. The last owner stays while others do.");
    calls
        .at("/api/rooms", |at| {
            at.get(list, about("The account's rooms, in ascending order of id.")).post(create, makes)
        })
        .at("/api/rooms/{room_id}", |at| {
            at.get(show, about("A room's policy, and the asker's role.").refuses(&[ErrorCode::UnknownRoom]))
                .delete(close, closes)
        })
        .at("/api/rooms/{room_id}/leave", |at| {
            at.post(leave, leaves.refuses(&[ErrorCode::UnknownRoom, ErrorCode::LastOwner]))
        });
}

async fn create(
    asker: SignedIn,
    state: Data<NodeState>,
    key: IdempotencyKey,
    body: Body<CreateRoom>,
) -> Result<Json<RoomSummary>, ApiError> {
    let policy = carried(body.policy.unwrap_or_else(|| usual_policy(&state)), &state)?;
    if body.membership.is_some() && body.room_id.is_none() {
        let detail = "a membership is of a room whose id the client has drawn";
        return Err(ApiError::with_detail(ErrorCode::MalformedRequest, detail.to_owned()));
    }
    let rng = &mut entropy::generator()?;
    let (room_id, epoch) = (body.room_id.unwrap_or_else(|| RoomId::generate(rng)), LogEpoch::generate(rng));
    let (owner, created_at) = (asker.account_id(), state.clock.now());
    let room = NewRoom { room_id, policy, owner, membership: body.membership, epoch, created_at };
    let kept = body.membership.map(|membership| membership.kept);
    let answer = RoomSummary { room_id, policy, role: Role::Owner, created_at, closed_at: None, kept };
    let made = match key.once(owner, ("rooms.create", &*body), created_at)? {
        None => state.store.create_room(&room).await.map(|()| Acted::Now(answer)),
        Some(once) => state.store.create_room_once(&room, answer, once).await,
    };
    match made {
        Ok(Acted::Now(_)) => {}
        Ok(Acted::Before(answer)) => return Ok(Json(answer)),
        Err(StoreError::IdInUse) if body.room_id.is_some() => return Err(ApiError::new(ErrorCode::RoomExists)),
        Err(error) => return Err(error.into()),
    }
    audit::record(Event::RoomCreated { room: room_id, account: owner });
    Ok(Json(answer))
}

/// The policy of a room of which nothing is said.
fn usual_policy(state: &NodeState) -> RoomPolicy {
    let signatures = if state.settings.custody.signatures { Signatures::On } else { Signatures::Off };
    RoomPolicy { signatures, ..RoomPolicy::default() }
}

/// A policy that this node carries.
fn carried(policy: RoomPolicy, state: &NodeState) -> Result<RoomPolicy, ApiError> {
    if policy.custody == Custody::Node && state.custody.is_none() {
        return Err(ApiError::new(ErrorCode::CustodyDisabled));
    }
    match policy.protection {
        Protection::Ratchet => Ok(policy),
        Protection::Mls => Err(ApiError::new(ErrorCode::ProtectionUnsupported)),
    }
}

async fn list(
    asker: SignedIn,
    state: Data<NodeState>,
    query: Query<PageQuery<RoomId>>,
) -> Result<Json<Rooms>, ApiError> {
    let rooms = state.store.rooms_of(asker.account_id(), query.after, query.limit).await?;
    let next = query.next(&rooms, |(room, ..)| room.room_id);
    Ok(Json(Rooms { rooms: rooms.into_iter().map(|(room, role, kept)| summary(room, role, kept)).collect(), next }))
}

async fn show(asker: SignedIn, state: Data<NodeState>, room: Path<RoomId>) -> Result<Json<RoomSummary>, ApiError> {
    let Member { role, membership, .. } = membership(&state, &asker, *room).await?;
    let room = state.store.room(*room).await?.ok_or(ApiError::new(ErrorCode::UnknownRoom))?;
    Ok(Json(summary(room, role, membership.map(|membership| membership.kept))))
}

async fn leave(asker: SignedIn, state: Data<NodeState>, room: Path<RoomId>) -> Result<NoContent, ApiError> {
    let (room, account) = (room.into_inner(), asker.account_id());
    to_the_end(async move {
        state.store.leave(room, account, state.clock.now()).await?;
        state.forget_keys(room, account).await;
        state.routes.tell_room(room, RoomChange::Member(account)).await;
        audit::record(Event::RoomLeft { room, account });
        Ok(NoContent)
    })
    .await
}

async fn close(asker: SignedIn, state: Data<NodeState>, room: Path<RoomId>) -> Result<NoContent, ApiError> {
    let (room, account) = (room.into_inner(), asker.account_id());
    to_the_end(async move {
        state.store.close_room(room, account, state.clock.now()).await?;
        state.close_keys(room).await;
        state.routes.tell_room(room, RoomChange::Closed).await;
        audit::record(Event::RoomClosed { room, account });
        Ok(NoContent)
    })
    .await
}

/// What the asker is in a room.
///
/// # Errors
/// `unknown_room` if they are no member.
pub(super) async fn membership(state: &NodeState, asker: &SignedIn, room: RoomId) -> Result<Member, ApiError> {
    let member = state.store.member(room, asker.account_id()).await?;
    member.ok_or(ApiError::new(ErrorCode::UnknownRoom))
}

fn summary(room: Room, role: Role, kept: Option<KeptMembership>) -> RoomSummary {
    let Room { room_id, policy, epoch: _, head: _, created_at, closed_at } = room;
    RoomSummary { room_id, policy, role, created_at, closed_at, kept }
}
