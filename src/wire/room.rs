//! What is said over REST about rooms, their members and invitations.

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use super::policy::RoomPolicy;
use super::secret_text::SecretText;
use super::timestamp::Timestamp;
use crate::ids::{AccountId, InvitationId, RoomId};

/// What a member may do in a room. A greater one may do all that a smaller one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads and writes.
    Member,
    /// Invites, and removes members.
    Moderator,
    /// Gives roles, removes anybody, and closes the room.
    Owner,
}

impl Role {
    /// The role's text, as it is in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Moderator => "moderator",
            Self::Owner => "owner",
        }
    }
}

/// That a member was let in by one who could (`protocol::membership::MembershipProof`). The node can make none.
pub type MembershipProofBytes = Bytes<81>;

/// What an account's devices need of a membership, sealed for them (`protocol::membership::MembershipKey::keep`).
pub type KeptMembership = Bytes<117>;

/// What a member's messages carry, inside the seal (`protocol::membership::MembershipKey::mark`).
pub type MemberMark = Bytes<16>;

/// What a client says of its account's membership in a room. The node carries it as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// For the other members.
    pub proof: MembershipProofBytes,
    /// For the account's own devices.
    pub kept: KeptMembership,
}

/// Body of `POST /api/rooms`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateRoom {
    /// The room's policy, for good. Without it: keys with the clients, ratchets, signed envelopes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy: Option<RoomPolicy>,
    /// The room's id, drawn by the client at random. Without it the node draws one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub room_id: Option<RoomId>,
    /// The owner's membership.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub membership: Option<Membership>,
}

/// A room, as a member of it sees it. Answer of `POST /api/rooms` and `GET /api/rooms/{room_id}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RoomSummary {
    /// The room.
    pub room_id: RoomId,
    /// Its policy.
    pub policy: RoomPolicy,
    /// The role of the one who asks.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was closed; from then on nothing is written there and nobody joins.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub closed_at: Option<Timestamp>,
    /// What the account keeps of its membership; none if its client has said nothing of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kept: Option<KeptMembership>,
}

/// Answer of `GET /api/rooms`: some rooms of the account, in ascending order of id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Rooms {
    /// The rooms.
    pub rooms: Vec<RoomSummary>,
    /// After which the next page begins; none on the last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<RoomId>,
}

/// Answer of `GET /api/rooms/{room_id}/members`: some members, in ascending order of id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Members {
    /// The members.
    pub members: Vec<MemberSummary>,
    /// After whom the next page begins; none on the last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<AccountId>,
}

/// A member of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct MemberSummary {
    /// Who.
    pub account_id: AccountId,
    /// Their role.
    pub role: Role,
    /// Since when.
    pub joined_at: Timestamp,
    /// That they were let in by a member; none if their client has said nothing of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub proof: Option<MembershipProofBytes>,
}

/// Body of `PUT /api/rooms/{room_id}/members/{account_id}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SetRole {
    /// The member's new role.
    pub role: Role,
}

/// Body of `POST /api/rooms/{room_id}/invitations`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateInvitation {
    /// The one account that it is for. Without it, whoever has the token.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub for_account: Option<AccountId>,
    /// Seconds that it is good, at most 30 days; without it 7 days.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(feature = "node", schema(minimum = 1, maximum = 2_592_000))]
    pub seconds: Option<u32>,
    /// How many can use it, 1 to 10,000; without it one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(feature = "node", schema(minimum = 1, maximum = 10_000))]
    pub uses: Option<u32>,
}

/// Answer of `POST /api/rooms/{room_id}/invitations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct InvitationCreated {
    /// The invitation; its creator and the owners know it by this.
    pub invitation_id: InvitationId,
    /// What lets somebody in. It is shown this once.
    pub token: SecretText,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// Answer of `GET /api/rooms/{room_id}/invitations`: those that are still good, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Invitations {
    /// The invitations.
    pub invitations: Vec<InvitationSummary>,
}

/// An invitation, without what lets somebody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct InvitationSummary {
    /// The invitation.
    pub invitation_id: InvitationId,
    /// Who made it.
    pub created_by: AccountId,
    /// The one account that it is for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub for_account: Option<AccountId>,
    /// Until when it is good.
    pub expires_at: Timestamp,
    /// How many can still use it.
    pub uses_left: u32,
}

/// Body of `POST /api/rooms/join`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct JoinRoom {
    /// The invitation's token.
    pub token: SecretText,
    /// The guest's membership. Of one who is a member already it takes the place of what they had.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub membership: Option<Membership>,
}

/// Answer of `POST /api/rooms/join`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "node", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Joined {
    /// The room.
    pub room_id: RoomId,
    /// Whether the account was no member before. If it was, the invitation is as it was.
    pub is_new: bool,
}
