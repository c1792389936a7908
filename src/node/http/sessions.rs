//! `/api/auth/sessions` and sign-out; `/api/session/device`: which device a session is of.

use actix_web::web::{Data, Json, Path};

use super::body::Body;
use super::document::{Calls, NoContent, about};
use super::error::ApiError;
use super::extract::SignedIn;
use super::frame::to_the_end;
use super::state::NodeState;
use crate::ids::{AccountId, DeviceAddress, SessionId};
use crate::node::audit::{self, Event};
use crate::node::store::StoreError;
use crate::protocol::public::verify_device_proof;
use crate::wire::{BindDevice, ErrorCode, SessionSummary, Sessions, SignedOut};

pub(super) fn routes(calls: &mut Calls<'_>) {
    let bind = about("Makes the session that of a listed device, which signs the session's id.");
    let bind = bind.refuses(&[
        ErrorCode::UnknownDevice,
        ErrorCode::DeviceProofRefused,
        ErrorCode::SessionBound,
        ErrorCode::UnknownSession,
    ]);
    let everywhere = about("Ends all sessions of the account.");
    let one = about("Ends a session of the account.").refuses(&[ErrorCode::UnknownSession]);
    calls
        .at("/api/auth/sessions", |at| at.get(list, about("The account's sessions.")))
        .at("/api/auth/sessions/{session_id}", |at| at.delete(end, one))
        .at("/api/auth/sign-out", |at| {
            at.post(sign_out, about("Ends this session.").refuses(&[ErrorCode::UnknownSession]))
        })
        .at("/api/auth/sign-out-everywhere", |at| at.post(sign_out_everywhere, everywhere))
        .at("/api/session/device", |at| at.put(bind_device, bind));
}

async fn list(asker: SignedIn, state: Data<NodeState>) -> Result<Json<Sessions>, ApiError> {
    let sessions = state.store.sessions(asker.account_id(), state.clock.now()).await?;
    let summaries = sessions.into_iter().map(|session| SessionSummary {
        session_id: session.session_id,
        device_id: session.device_id,
        created_at: session.created_at,
        refreshed_at: session.refreshed_at,
        expires_at: session.expires_at,
        is_this: session.session_id == asker.session_id(),
    });
    Ok(Json(Sessions { sessions: summaries.collect() }))
}

async fn end(asker: SignedIn, state: Data<NodeState>, session: Path<SessionId>) -> Result<NoContent, ApiError> {
    end_session(state, asker.account_id(), session.into_inner()).await
}

async fn sign_out(asker: SignedIn, state: Data<NodeState>) -> Result<NoContent, ApiError> {
    end_session(state, asker.account_id(), asker.session_id()).await
}

async fn end_session(state: Data<NodeState>, account: AccountId, session: SessionId) -> Result<NoContent, ApiError> {
    to_the_end(async move {
        if !state.store.end_session(account, session).await? {
            return Err(ApiError::new(ErrorCode::UnknownSession));
        }
        state.routes.end_session(session);
        audit::record(Event::SignedOut { account, session });
        Ok(NoContent)
    })
    .await
}

async fn sign_out_everywhere(asker: SignedIn, state: Data<NodeState>) -> Result<Json<SignedOut>, ApiError> {
    let account = asker.account_id();
    to_the_end(async move {
        let sessions_ended = state.store.end_all_sessions(account).await?;
        state.routes.end_account(account);
        audit::record(Event::SignedOutEverywhere { account, sessions: sessions_ended });
        Ok(Json(SignedOut { sessions_ended }))
    })
    .await
}

/// Makes the session that of a device, which shows by its signature that it takes part.
async fn bind_device(asker: SignedIn, state: Data<NodeState>, body: Body<BindDevice>) -> Result<NoContent, ApiError> {
    let (account, session) = (asker.account_id(), asker.session_id());
    let BindDevice { device_id: device, signature } = body.into_inner();
    let address = DeviceAddress { account_id: account, device_id: device };
    let signing_key = state.store.signing_key(address).await?.ok_or(StoreError::UnknownDevice { device: address })?;
    verify_device_proof(session, address, &signing_key, &signature)
        .map_err(|_| ApiError::new(ErrorCode::DeviceProofRefused))?;
    state.store.bind_device(session, device, &signing_key).await?;
    audit::record(Event::DeviceBound { account, session, device });
    Ok(NoContent)
}
