//! `/api/rooms/{room}/members`: who is in a room, and in which role.

use actix_web::web::{Data, Json, Path, Query};

use super::body::{Body, PageQuery};
use super::document::{Calls, NoContent, about};
use super::error::ApiError;
use super::extract::SignedIn;
use super::frame::to_the_end;
use super::rooms::membership;
use super::state::NodeState;
use crate::ids::{AccountId, RoomId};
use crate::node::actors::RoomChange;
use crate::node::audit::{self, Event};
use crate::node::store::Member;
use crate::wire::{ErrorCode, MemberSummary, Members, SetRole};

pub(super) fn routes(calls: &mut Calls<'_>) {
    let lists =
        about("Who is in a room, and in which role: in ascending order of id.").refuses(&[ErrorCode::UnknownRoom]);
    let known = [
        ErrorCode::UnknownRoom,
        ErrorCode::UnknownMember,
        ErrorCode::RoleForbids,
        ErrorCode::LastOwner,
        ErrorCode::RoomClosed,
    ];
    calls.at("/api/rooms/{room_id}/members", |at| at.get(list, lists)).at(
        "/api/rooms/{room_id}/members/{account_id}",
        |at| {
            at.put(set_role, about("Gives a member a role.").refuses(&known))
                .delete(remove, about("Removes a member.").refuses(&known))
        },
    );
}

async fn list(
    asker: SignedIn,
    state: Data<NodeState>,
    room: Path<RoomId>,
    query: Query<PageQuery<AccountId>>,
) -> Result<Json<Members>, ApiError> {
    membership(&state, &asker, *room).await?;
    let members = state.store.members(*room, query.after, query.limit).await?;
    let next = query.next(&members, |member| member.account_id);
    Ok(Json(Members { members: members.into_iter().map(MemberSummary::from).collect(), next }))
}

async fn set_role(
    asker: SignedIn,
    state: Data<NodeState>,
    path: Path<(RoomId, AccountId)>,
    body: Body<SetRole>,
) -> Result<NoContent, ApiError> {
    let ((room, member), account, role) = (path.into_inner(), asker.account_id(), body.role);
    state.store.set_role(room, account, member, role).await?;
    audit::record(Event::RoleGiven { room, account, member, role });
    Ok(NoContent)
}

async fn remove(
    asker: SignedIn,
    state: Data<NodeState>,
    path: Path<(RoomId, AccountId)>,
) -> Result<NoContent, ApiError> {
    let ((room, member), account) = (path.into_inner(), asker.account_id());
    to_the_end(async move {
        state.store.remove_member(room, account, member).await?;
        state.forget_keys(room, member).await;
        state.routes.tell_room(room, RoomChange::Member(member)).await;
        audit::record(Event::MemberRemoved { room, account, member });
        Ok(NoContent)
    })
    .await
}

impl From<Member> for MemberSummary {
    fn from(member: Member) -> Self {
        let Member { account_id, role, joined_at, membership } = member;
        Self { account_id, role, joined_at, proof: membership.map(|membership| membership.proof) }
    }
}
