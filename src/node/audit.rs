//! What is written down of sign-ins, sessions, devices, keys, rooms and vaults: ids and counts, under the log target
//! `audit`. Never tokens, keys, names or addresses of the network; never who writes to whom.

use tracing::info;

use crate::ids::{AccountId, DeviceAddress, DeviceId, InvitationId, ItemId, KeyId, RoomId, SessionId};
use crate::wire::{Role, RoomKeyType};

/// The log target.
pub const TARGET: &str = "audit";

/// Something that is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A sign-in was completed.
    SignedIn {
        /// Who.
        account: AccountId,
        /// The new session.
        session: SessionId,
        /// By which provider.
        provider: &'a str,
    },
    /// A session took new tokens.
    Refreshed {
        /// Whose.
        account: AccountId,
        /// Which.
        session: SessionId,
    },
    /// A refresh token came a second time, and its session was ended.
    RefreshReused {
        /// Whose.
        account: AccountId,
        /// Which.
        session: SessionId,
    },
    /// A session ended in favour of a new one: the account had as many as it may.
    SessionDisplaced {
        /// Whose.
        account: AccountId,
        /// Which.
        session: SessionId,
    },
    /// A session was ended by its account.
    SignedOut {
        /// Whose.
        account: AccountId,
        /// Which.
        session: SessionId,
    },
    /// All sessions of an account were ended by it.
    SignedOutEverywhere {
        /// Whose.
        account: AccountId,
        /// How many.
        sessions: u64,
    },
    /// An account published its devices.
    DevicesPublished {
        /// Whose.
        account: AccountId,
        /// The list's version.
        version: u64,
        /// How many devices are on it.
        devices: usize,
        /// How many sessions ended because their devices are not.
        sessions_ended: usize,
    },
    /// A session said which device it is of.
    DeviceBound {
        /// Whose.
        account: AccountId,
        /// The session.
        session: SessionId,
        /// The device.
        device: DeviceId,
    },
    /// A device published prekeys.
    PrekeysPublished {
        /// The device.
        device: DeviceAddress,
        /// One-time prekeys.
        one_time: usize,
        /// One-time KEM prekeys.
        one_time_kem: usize,
    },
    /// A bundle of a device was handed out. Who asked is not written down.
    BundleClaimed {
        /// The device.
        device: DeviceAddress,
    },
    /// A room was made.
    RoomCreated {
        /// The room.
        room: RoomId,
        /// By whom.
        account: AccountId,
    },
    /// A room was closed.
    RoomClosed {
        /// The room.
        room: RoomId,
        /// By whom.
        account: AccountId,
    },
    /// A key of a room was made by the node, or published by its client.
    RoomKeyGenerated {
        /// The room.
        room: RoomId,
        /// Whose.
        account: AccountId,
        /// Which key.
        key: KeyId,
        /// What it is for.
        key_type: RoomKeyType,
    },
    /// A key of a room took the place of an older one.
    RoomKeyRotated {
        /// The room.
        room: RoomId,
        /// Whose.
        account: AccountId,
        /// The new key.
        key: KeyId,
        /// What it is for.
        key_type: RoomKeyType,
    },
    /// A key of a room was revoked by its owner.
    RoomKeyRevoked {
        /// The room.
        room: RoomId,
        /// Whose.
        account: AccountId,
        /// Which key.
        key: KeyId,
    },
    /// A key that the node held has expired.
    RoomKeyExpired {
        /// The room.
        room: RoomId,
        /// Whose.
        account: AccountId,
        /// Which key.
        key: KeyId,
    },
    /// An account agreed with another one. Which, is not written down.
    RoomKeysExchanged {
        /// The room.
        room: RoomId,
        /// Who began.
        account: AccountId,
    },
    /// An account joined a room.
    RoomJoined {
        /// The room.
        room: RoomId,
        /// Who.
        account: AccountId,
    },
    /// An account left a room.
    RoomLeft {
        /// The room.
        room: RoomId,
        /// Who.
        account: AccountId,
    },
    /// A member was removed from a room.
    MemberRemoved {
        /// The room.
        room: RoomId,
        /// By whom.
        account: AccountId,
        /// Who.
        member: AccountId,
    },
    /// A member of a room got a role.
    RoleGiven {
        /// The room.
        room: RoomId,
        /// By whom.
        account: AccountId,
        /// Who.
        member: AccountId,
        /// Which.
        role: Role,
    },
    /// An invitation into a room was made.
    InvitationMade {
        /// The room.
        room: RoomId,
        /// By whom.
        account: AccountId,
        /// The invitation.
        invitation: InvitationId,
    },
    /// An invitation was withdrawn.
    InvitationRevoked {
        /// The room.
        room: RoomId,
        /// By whom.
        account: AccountId,
        /// The invitation.
        invitation: InvitationId,
    },
    /// An item was put into a vault.
    VaultItemPut {
        /// Whose vault.
        account: AccountId,
        /// The item.
        item: ItemId,
        /// Its version.
        version: u64,
    },
    /// An item of a vault was deleted.
    VaultItemDeleted {
        /// Whose vault.
        account: AccountId,
        /// The item.
        item: ItemId,
        /// The version of its deletion.
        version: u64,
    },
}

/// Writes an event down.
pub fn record(event: Event<'_>) {
    match event {
        Event::SignedIn { account, session, provider } => {
            info!(target: TARGET, %account, %session, provider, "signed_in");
        }
        Event::Refreshed { account, session } => info!(target: TARGET, %account, %session, "refreshed"),
        Event::RefreshReused { account, session } => info!(target: TARGET, %account, %session, "refresh_reused"),
        Event::SessionDisplaced { account, session } => {
            info!(target: TARGET, %account, %session, "session_displaced");
        }
        Event::SignedOut { account, session } => info!(target: TARGET, %account, %session, "signed_out"),
        Event::SignedOutEverywhere { account, sessions } => {
            info!(target: TARGET, %account, sessions, "signed_out_everywhere");
        }
        Event::DevicesPublished { account, version, devices, sessions_ended } => {
            info!(target: TARGET, %account, version, devices, sessions_ended, "devices_published");
        }
        Event::DeviceBound { account, session, device } => {
            info!(target: TARGET, %account, %session, %device, "device_bound");
        }
        Event::PrekeysPublished { device, one_time, one_time_kem } => {
            info!(target: TARGET, %device, one_time, one_time_kem, "prekeys_published");
        }
        Event::BundleClaimed { device } => info!(target: TARGET, %device, "bundle_claimed"),
        Event::RoomCreated { room, account } => info!(target: TARGET, %room, %account, "room_created"),
        Event::RoomClosed { room, account } => info!(target: TARGET, %room, %account, "room_closed"),
        Event::RoomKeyGenerated { room, account, key, key_type } => {
            info!(target: TARGET, %room, %account, %key, key_type = key_type.as_str(), "room_key_generated");
        }
        Event::RoomKeyRotated { room, account, key, key_type } => {
            info!(target: TARGET, %room, %account, %key, key_type = key_type.as_str(), "room_key_rotated");
        }
        Event::RoomKeyRevoked { room, account, key } => {
            info!(target: TARGET, %room, %account, %key, "room_key_revoked");
        }
        Event::RoomKeyExpired { room, account, key } => {
            info!(target: TARGET, %room, %account, %key, "room_key_expired");
        }
        Event::RoomKeysExchanged { room, account } => info!(target: TARGET, %room, %account, "room_keys_exchanged"),
        Event::RoomJoined { room, account } => info!(target: TARGET, %room, %account, "room_joined"),
        Event::RoomLeft { room, account } => info!(target: TARGET, %room, %account, "room_left"),
        Event::MemberRemoved { room, account, member } => {
            info!(target: TARGET, %room, %account, %member, "member_removed");
        }
        Event::RoleGiven { room, account, member, role } => {
            info!(target: TARGET, %room, %account, %member, role = role.as_str(), "role_given");
        }
        Event::InvitationMade { room, account, invitation } => {
            info!(target: TARGET, %room, %account, %invitation, "invitation_made");
        }
        Event::InvitationRevoked { room, account, invitation } => {
            info!(target: TARGET, %room, %account, %invitation, "invitation_revoked");
        }
        Event::VaultItemPut { account, item, version } => {
            info!(target: TARGET, %account, %item, version, "vault_item_put");
        }
        Event::VaultItemDeleted { account, item, version } => {
            info!(target: TARGET, %account, %item, version, "vault_item_deleted");
        }
    }
}
