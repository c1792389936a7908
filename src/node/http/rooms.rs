//! `/api/rooms`: rooms are made, listed, left and closed. Whoever is no member hears of no room.

use actix_web::HttpResponse;
use actix_web::web::{self, Data, Json, Path, Query, ServiceConfig};

use super::body::PageQuery;
use super::error::ApiError;
use super::extract::SignedIn;
use super::frame::to_the_end;
use super::state::NodeState;
use crate::ids::{LogEpoch, RoomId};
use crate::node::actors::RoomChange;
use crate::node::audit::{self, Event};
use crate::node::entropy;
use crate::node::store::{Member, NewRoom, Room};
use crate::wire::{CreateRoom, Custody, ErrorCode, Protection, Role, RoomPolicy, RoomSummary, Rooms, Signatures};

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(web::resource("/api/rooms").route(web::get().to(list)).route(web::post().to(create)))
        .service(web::resource("/api/rooms/{room_id}").route(web::get().to(show)).route(web::delete().to(close)))
        .service(web::resource("/api/rooms/{room_id}/leave").route(web::post().to(leave)));
}

async fn create(
    asker: SignedIn,
    state: Data<NodeState>,
    body: Json<CreateRoom>,
) -> Result<Json<RoomSummary>, ApiError> {
    let policy = carried(body.policy.unwrap_or_else(|| usual_policy(&state)), &state)?;
    let rng = &mut entropy::generator()?;
    let (room_id, epoch) = (RoomId::generate(rng), LogEpoch::generate(rng));
    let (owner, created_at) = (asker.account_id(), state.clock.now());
    state.store.create_room(&NewRoom { room_id, policy, owner, epoch, created_at }).await?;
    audit::record(Event::RoomCreated { room: room_id, account: owner });
    Ok(Json(RoomSummary { room_id, policy, role: Role::Owner, created_at, closed_at: None }))
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
    let next = query.next(&rooms, |(room, _)| room.room_id);
    Ok(Json(Rooms { rooms: rooms.into_iter().map(|(room, role)| summary(room, role)).collect(), next }))
}

async fn show(asker: SignedIn, state: Data<NodeState>, room: Path<RoomId>) -> Result<Json<RoomSummary>, ApiError> {
    let Member { role, .. } = membership(&state, &asker, *room).await?;
    let room = state.store.room(*room).await?.ok_or(ApiError::new(ErrorCode::UnknownRoom))?;
    Ok(Json(summary(room, role)))
}

async fn leave(asker: SignedIn, state: Data<NodeState>, room: Path<RoomId>) -> Result<HttpResponse, ApiError> {
    let (room, account) = (room.into_inner(), asker.account_id());
    to_the_end(async move {
        state.store.leave(room, account, state.clock.now()).await?;
        state.forget_keys(room, account).await;
        state.routes.tell_room(room, RoomChange::Member(account)).await;
        audit::record(Event::RoomLeft { room, account });
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}

async fn close(asker: SignedIn, state: Data<NodeState>, room: Path<RoomId>) -> Result<HttpResponse, ApiError> {
    let (room, account) = (room.into_inner(), asker.account_id());
    to_the_end(async move {
        state.store.close_room(room, account, state.clock.now()).await?;
        state.close_keys(room).await;
        state.routes.tell_room(room, RoomChange::Closed).await;
        audit::record(Event::RoomClosed { room, account });
        Ok(HttpResponse::NoContent().finish())
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

fn summary(room: Room, role: Role) -> RoomSummary {
    let Room { room_id, policy, epoch: _, head: _, created_at, closed_at } = room;
    RoomSummary { room_id, policy, role, created_at, closed_at }
}
