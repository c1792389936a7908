//! `/api/webrtc/rooms/{room}/e2ee`: the seven calls. Where the clients hold a room's keys, the calls publish public halves;
//! where the node does, it makes the keys, encrypts and decrypts (`node::custody`).

use actix_web::web::{Data, Json, Path};

use super::body::{self, Body, OptionalBody};
use super::document::{Calls, NoContent, about};
use super::error::ApiError;
use super::extract::SignedIn;
use super::frame::to_the_end;
use super::rooms::membership;
use super::state::{Custody as Keys, NodeState};
use crate::ids::{AccountId, KeyId, RoomId};
use crate::node::audit::{self, Event};
use crate::node::store::{KeyPlace, Room};
use crate::protocol::public::{AgreementPublicKey, KeyError, SigningPublicKey, signing_key_id};
use crate::wire::limits::{DECRYPT_JSON_BYTES_MAX, ENCRYPT_JSON_BYTES_MAX};
use crate::wire::{
    Custody, DecryptMessage, DecryptedMessage, EncryptMessage, Envelope, ErrorCode, ExchangeKeys, MakeRoomKey, Message,
    RoomKey, RoomKeys, RoomPublicKeys,
};

pub(super) fn routes(calls: &mut Calls<'_>) {
    let generates = about("Makes keys in a room, or publishes those that a client has made.");
    let generates = generates.refuses(&MAKING);
    let rotates = about("Makes or publishes a key in place of the one before.");
    let rotates = rotates.refuses(&MAKING).refuses(&[ErrorCode::NoRoomKeys]);
    let exchanges = about("Agrees on keys with another member, whose public keys are answered.");
    let exchanges = exchanges.refuses(&OF_ANOTHER);
    let shows = about("A member's public keys; the id is the member's.").refuses(&OF_ANOTHER);
    let revokes = about("Revokes one of the asker's keys; the id is the key's.");
    let revokes = revokes.refuses(&ROOM).refuses(&[ErrorCode::UnknownRoomKey]);
    let encrypts = about("Encrypts a message for another member, where the node holds the keys.");
    let encrypts = encrypts.refuses(&OF_ANOTHER).refuses(&[ErrorCode::CustodyIsClient, ErrorCode::MessageTooLong]);
    let decrypts = about("Decrypts an envelope for the asker, where the node holds the keys.");
    let decrypts = decrypts.refuses(&ROOM).refuses(&DECRYPTING);
    calls
        .at("/api/webrtc/rooms/{room_id}/e2ee/keys/generate", |at| at.post(generate, generates))
        .at("/api/webrtc/rooms/{room_id}/e2ee/keys/exchange", |at| at.post(exchange, exchanges))
        .at("/api/webrtc/rooms/{room_id}/e2ee/keys/rotate", |at| at.post(rotate, rotates))
        // The same path: an account's id to read, a key's to revoke.
        .at("/api/webrtc/rooms/{room_id}/e2ee/keys/{id}", |at| at.get(show, shows).delete(revoke, revokes))
        .at("/api/webrtc/rooms/{room_id}/e2ee/encrypt", |at| {
            at.with(body::json(ENCRYPT_JSON_BYTES_MAX)).post(encrypt, encrypts)
        })
        .at("/api/webrtc/rooms/{room_id}/e2ee/decrypt", |at| {
            at.with(body::json(DECRYPT_JSON_BYTES_MAX)).post(decrypt, decrypts)
        });
}

/// What every call about a room's keys may be refused with.
const ROOM: [ErrorCode; 3] = [ErrorCode::UnknownRoom, ErrorCode::CustodyDisabled, ErrorCode::DeviceNotBound];

/// And those that make keys.
const MAKING: [ErrorCode; 6] = [
    ErrorCode::UnknownRoom,
    ErrorCode::CustodyDisabled,
    ErrorCode::DeviceNotBound,
    ErrorCode::RoomClosed,
    ErrorCode::KeyUnacceptable,
    ErrorCode::TooManyRoomKeys,
];

/// And those that concern another member.
const OF_ANOTHER: [ErrorCode; 6] = [
    ErrorCode::UnknownRoom,
    ErrorCode::CustodyDisabled,
    ErrorCode::DeviceNotBound,
    ErrorCode::UnknownMember,
    ErrorCode::NoRoomKeys,
    ErrorCode::OwnDevice,
];

/// What an envelope may be refused with.
const DECRYPTING: [ErrorCode; 19] = [
    ErrorCode::CustodyIsClient,
    ErrorCode::NoRoomKeys,
    ErrorCode::NotForThisDevice,
    ErrorCode::SignatureInvalid,
    ErrorCode::SignatureMissing,
    ErrorCode::SignatureUnexpected,
    ErrorCode::RoomKeyRevoked,
    ErrorCode::RoomKeyReplaced,
    ErrorCode::RoomKeyExpired,
    ErrorCode::EnvelopeReplayed,
    ErrorCode::NoSession,
    ErrorCode::MessageKeyGone,
    ErrorCode::MessageKeyGivenUp,
    ErrorCode::KeyIdMismatch,
    ErrorCode::MessageMalformed,
    ErrorCode::DoesNotOpen,
    ErrorCode::ChainGone,
    ErrorCode::ChainExhausted,
    ErrorCode::TooFarAhead,
];

async fn generate(
    asker: SignedIn,
    state: Data<NodeState>,
    room: Path<RoomId>,
    body: OptionalBody<MakeRoomKey>,
) -> Result<Json<RoomKey>, ApiError> {
    make(asker, state, *room, body.0, KeyPlace::New).await
}

async fn rotate(
    asker: SignedIn,
    state: Data<NodeState>,
    room: Path<RoomId>,
    body: OptionalBody<MakeRoomKey>,
) -> Result<Json<RoomKey>, ApiError> {
    make(asker, state, *room, body.0, KeyPlace::Successor).await
}

/// Has whoever holds the room's keys make one, or make one in place of the one before.
async fn make(
    asker: SignedIn,
    state: Data<NodeState>,
    room: RoomId,
    body: MakeRoomKey,
    place: KeyPlace,
) -> Result<Json<RoomKey>, ApiError> {
    let room = room_of(&state, &asker, room).await?;
    if room.policy.custody == Custody::Client {
        return publish(asker, state, room, body, place).await;
    }
    let key_type = made_by_node(body)?;
    let (keys, device) = (keys(&state)?, asker.device()?);
    Ok(Json(match place {
        KeyPlace::New => keys.generate(&room, device, key_type).await?,
        KeyPlace::Successor => keys.rotate(&room, device, key_type).await?,
    }))
}

async fn exchange(
    asker: SignedIn,
    state: Data<NodeState>,
    room: Path<RoomId>,
    body: Body<ExchangeKeys>,
) -> Result<Json<RoomKeys>, ApiError> {
    let (room, peer) = (room_of(&state, &asker, *room).await?, body.peer_user_id);
    expect_member(&state, &room, peer).await?;
    match room.policy.custody {
        Custody::Client => {
            let keys = published(&state, &room, peer).await?;
            if !keys.keys.iter().any(|key| !key.revoked) {
                return Err(ApiError::new(ErrorCode::NoRoomKeys));
            }
            audit::record(Event::RoomKeysExchanged { room: room.room_id, account: asker.account_id() });
            Ok(Json(keys))
        }
        Custody::Node => Ok(Json(keys(&state)?.exchange(&room, asker.device()?, peer).await?)),
    }
}

async fn show(
    asker: SignedIn,
    state: Data<NodeState>,
    path: Path<(RoomId, AccountId)>,
) -> Result<Json<RoomKeys>, ApiError> {
    let (room, user) = path.into_inner();
    let room = room_of(&state, &asker, room).await?;
    expect_member(&state, &room, user).await?;
    match room.policy.custody {
        Custody::Client => Ok(Json(published(&state, &room, user).await?)),
        Custody::Node => Ok(Json(keys(&state)?.show(&room, asker.device()?, user).await?)),
    }
}

async fn revoke(asker: SignedIn, state: Data<NodeState>, path: Path<(RoomId, KeyId)>) -> Result<NoContent, ApiError> {
    let (room, key) = path.into_inner();
    let room = room_of(&state, &asker, room).await?;
    match room.policy.custody {
        Custody::Client => withdraw(asker, state, room.room_id, key).await?,
        Custody::Node => keys(&state)?.revoke(&room, asker.device()?, key).await?,
    }
    Ok(NoContent)
}

async fn encrypt(
    asker: SignedIn,
    state: Data<NodeState>,
    room: Path<RoomId>,
    body: Body<EncryptMessage>,
) -> Result<Json<Envelope>, ApiError> {
    let room = room_with_keys(&state, &asker, *room).await?;
    let EncryptMessage { recipient_id, message } = body.into_inner();
    expect_member(&state, &room, recipient_id).await?;
    Ok(Json(keys(&state)?.encrypt(&room, asker.device()?, recipient_id, message).await?))
}

async fn decrypt(
    asker: SignedIn,
    state: Data<NodeState>,
    room: Path<RoomId>,
    body: Body<DecryptMessage>,
) -> Result<Json<DecryptedMessage>, ApiError> {
    let room = room_with_keys(&state, &asker, *room).await?;
    Ok(Json(keys(&state)?.decrypt(&room, asker.device()?, body.into_inner().encrypted_message).await?))
}

/// The room, if the asker is a member. The call counts as a command of the account, beside as a request.
async fn room_of(state: &NodeState, asker: &SignedIn, room: RoomId) -> Result<Room, ApiError> {
    state.limits.commands(asker.account_id(), 1).map_err(ApiError::rate_limited)?;
    membership(state, asker, room).await?;
    state.store.room(room).await?.ok_or(ApiError::new(ErrorCode::UnknownRoom))
}

/// As [`room_of`], of a room whose keys the node holds.
async fn room_with_keys(state: &NodeState, asker: &SignedIn, room: RoomId) -> Result<Room, ApiError> {
    let room = room_of(state, asker, room).await?;
    match room.policy.custody {
        Custody::Client => Err(ApiError::with_detail(ErrorCode::CustodyIsClient, USE_THE_SDK)),
        Custody::Node => Ok(room),
    }
}

async fn expect_member(state: &NodeState, room: &Room, account: AccountId) -> Result<(), ApiError> {
    let member = state.store.member(room.room_id, account).await?;
    member.map(drop).ok_or(ApiError::new(ErrorCode::UnknownMember))
}

/// The keys that the node holds.
fn keys(state: &NodeState) -> Result<&Keys, ApiError> {
    state.custody.as_ref().ok_or(ApiError::new(ErrorCode::CustodyDisabled))
}

/// The type of a key that the node is to make: nobody brings it one.
fn made_by_node(body: MakeRoomKey) -> Result<crate::wire::RoomKeyType, ApiError> {
    match body {
        MakeRoomKey { key_type, public_keys: None } => Ok(key_type),
        MakeRoomKey { public_keys: Some(_), .. } => {
            Err(ApiError::with_detail(ErrorCode::MalformedRequest, "the node makes the keys of this room"))
        }
    }
}

/// Publishes a key that a client has made.
async fn publish(
    asker: SignedIn,
    state: Data<NodeState>,
    room: Room,
    body: MakeRoomKey,
    place: KeyPlace,
) -> Result<Json<RoomKey>, ApiError> {
    let MakeRoomKey { key_type, public_keys } = body;
    let missing = || ApiError::with_detail(ErrorCode::MalformedRequest, NEEDS_PUBLIC_KEYS);
    let RoomPublicKeys { agreement_key, signing_key } = public_keys.ok_or_else(missing)?;
    AgreementPublicKey::parse(&agreement_key.0).map_err(|error| unacceptable("agreement_key", error))?;
    let signing = SigningPublicKey::parse(&signing_key.0).map_err(|error| unacceptable("signing_key", error))?;
    let (room_id, account, created_at) = (room.room_id, asker.account_id(), state.clock.now());
    let expires_at = created_at.plus(state.settings.custody.key_age_seconds_max.seconds());
    let key_id = signing_key_id(&signing);
    let key = RoomKey {
        user_id: account,
        key_id,
        key_type,
        agreement_key,
        signing_key,
        created_at,
        expires_at,
        revoked: false,
    };
    to_the_end(async move {
        if !state.store.put_room_key(room_id, key, place).await? {
            return Err(ApiError::new(ErrorCode::NoRoomKeys));
        }
        let (event, message) = match place {
            KeyPlace::New => (
                Event::RoomKeyGenerated { room: room_id, account, key: key_id, key_type },
                Message::E2eeKeyExchange { room_id, key },
            ),
            KeyPlace::Successor => (
                Event::RoomKeyRotated { room: room_id, account, key: key_id, key_type },
                Message::E2eeKeyRotation { room_id, key },
            ),
        };
        audit::record(event);
        state.routes.announce(room_id, message);
        Ok(Json(key))
    })
    .await
}

fn unacceptable(field: &str, error: KeyError) -> ApiError {
    ApiError::with_detail(error.code(), format!("{field}: {error}"))
}

/// The keys that a member has published.
async fn published(state: &NodeState, room: &Room, user_id: AccountId) -> Result<RoomKeys, ApiError> {
    let keys = state.store.room_keys(room.room_id, user_id, state.clock.now()).await?;
    if keys.is_empty() { Err(ApiError::new(ErrorCode::NoRoomKeys)) } else { Ok(RoomKeys { user_id, keys }) }
}

/// Revokes a key that the asker has published.
async fn withdraw(asker: SignedIn, state: Data<NodeState>, room_id: RoomId, key_id: KeyId) -> Result<(), ApiError> {
    let account = asker.account_id();
    to_the_end(async move {
        if !state.store.revoke_room_key(room_id, account, key_id).await? {
            return Err(ApiError::new(ErrorCode::UnknownRoomKey));
        }
        audit::record(Event::RoomKeyRevoked { room: room_id, account, key: key_id });
        state.routes.announce(room_id, Message::E2eeKeyRevoke { room_id, user_id: account, key_id });
        Ok(())
    })
    .await
}

const USE_THE_SDK: &str =
    "only its clients can encrypt and decrypt here: use the SDK, and send the envelope over the socket";

const NEEDS_PUBLIC_KEYS: &str = "the clients of this room make its keys: the body needs public_keys";
