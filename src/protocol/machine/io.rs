//! What goes into the machine, and what comes out.

use zeroize::Zeroizing;

use super::changes::Changes;
use crate::ids::{AccountId, DeviceAddress, EnvelopeId, RoomId};
use crate::protocol::public::SigningPublicKey;
use crate::wire::{Destination, DeviceList, Envelope, PrekeyBundle, PrekeyPublication, RoomPolicy, Timestamp};

/// One thing that happened, or that is asked for.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Time has passed: at start and when [`Outputs::maintain_at`] says so, each time after waiting
    /// messages have been read. Makes, rotates and forgets keys; publishes what the node lacks.
    Maintain,
    /// The node says how many one-time prekeys it has left of this device.
    PrekeysLeft {
        /// X25519 keys.
        one_time: u32,
        /// ML-KEM-1024 keys.
        one_time_kem: u32,
    },
    /// The node has stored this publication; it is not offered again.
    Published(&'a PrekeyPublication),
    /// An account's device list arrived: of somebody new, or a newer one.
    DeviceList(&'a DeviceList),
    /// The user accepts an account's new identity. All sessions with it are forgotten.
    AcceptIdentity {
        /// The account.
        account: AccountId,
        /// The root key that the user was shown.
        root_key: &'a SigningPublicKey,
    },
    /// Forget an account: its pinned root key, its devices and all sessions with them. The next list
    /// shown of it is pinned anew.
    ForgetAccount(AccountId),
    /// A claimed bundle: starts a new session with its device, which is then the one in use.
    Bundle(&'a PrekeyBundle),
    /// Encrypt a message for all devices of some accounts.
    Encrypt(Encrypt<'a>),
    /// Stamp an envelope of this device anew, which waited too long to be admitted. Its id and payload
    /// stay, so that it still counts once.
    Restamp {
        /// The envelope, as it was to be sent.
        envelope: &'a Envelope,
        /// The policy that it was made under.
        policy: RoomPolicy,
    },
    /// Open an envelope.
    Open {
        /// The envelope.
        envelope: &'a Envelope,
        /// The policy of the room that it arrived in, as this client knows it.
        policy: RoomPolicy,
    },
}

/// A message to be encrypted.
#[derive(Clone, Copy)]
pub struct Encrypt<'a> {
    /// Whose devices can read it. The own account stands for this user's other devices.
    pub accounts: &'a [AccountId],
    /// Devices to leave out: those of which no prekeys could be claimed.
    pub except: &'a [DeviceAddress],
    /// Where it goes.
    pub place: Place,
    /// The policy there.
    pub policy: RoomPolicy,
    /// The message, at most [`MESSAGE_BYTES_MAX`](crate::protocol::public::limits::MESSAGE_BYTES_MAX)
    /// bytes.
    pub plaintext: &'a [u8],
}

impl core::fmt::Debug for Encrypt<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { accounts, except, place, policy, plaintext } = self;
        f.debug_struct("Encrypt")
            .field("accounts", accounts)
            .field("except", except)
            .field("place", place)
            .field("policy", policy)
            .field("plaintext", &format_args!("{} bytes", plaintext.len()))
            .finish()
    }
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Into a room: each device's envelope is addressed to the room.
    Room(RoomId),
    /// Directly: each device's envelope is addressed to its mailbox.
    Direct,
}

impl Place {
    pub(super) const fn destination(self, recipient: DeviceAddress) -> Destination {
        match self {
            Self::Room(room) => Destination::Room(room),
            Self::Direct => Destination::Mailbox(recipient.device_id),
        }
    }
}

/// What the client is to do, in this order: save, then the rest.
#[derive(Debug, Default)]
pub struct Outputs {
    /// To be saved, all or nothing, before anything below is acted on.
    pub changes: Changes,
    /// When [`Input::Maintain`] is due next; said by each of them. Earlier does no harm.
    pub maintain_at: Option<Timestamp>,
    /// To be uploaded; then comes [`Input::Published`].
    pub publish: Option<PrekeyPublication>,
    /// Devices without a session: a bundle is to be claimed of each, and the message encrypted again.
    /// Nothing was encrypted.
    pub claim: Vec<DeviceAddress>,
    /// To be sent, one for each device.
    pub send: Vec<Envelope>,
    /// What was read.
    pub opened: Option<Opened>,
    /// An account shows a new identity. Nothing is sent to it until the user accepts it.
    pub identity_changed: Option<AccountId>,
}

/// A message that was read.
pub struct Opened {
    /// The envelope that it came in: with signatures off, an id by the node's word.
    pub envelope_id: EnvelopeId,
    /// Which device wrote it; this is certain.
    pub sender: DeviceAddress,
    /// Where it was written to.
    pub destination: Destination,
    /// When it was sent, by the envelope: with signatures off, by the node's word.
    pub timestamp: Timestamp,
    /// The message. Secret; wiped when dropped.
    pub plaintext: Zeroizing<Vec<u8>>,
}

impl core::fmt::Debug for Opened {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { envelope_id, sender, destination, timestamp, plaintext: _ } = self;
        f.debug_struct("Opened")
            .field("envelope_id", envelope_id)
            .field("sender", sender)
            .field("destination", destination)
            .field("timestamp", timestamp)
            .finish_non_exhaustive()
    }
}
