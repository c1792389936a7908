//! What the app is told.

use core::time::Duration;

use super::content::Receipt;
use super::error::ClientError;
use super::message::{Conversation, Message};
use crate::ids::{AccountId, DeviceAddress, EnvelopeId, MessageId, RoomId};
use crate::protocol::machine::Repair;
use crate::wire::{ErrorCode, Log, Presence, RoomPolicy, TypingState};

/// Something that the app may want to know.
#[derive(Debug)]
pub enum Event {
    /// A socket is open.
    Connected,
    /// The socket is gone. What is sent meanwhile waits; the client connects again by itself.
    Disconnected {
        /// When it tries next; none if it does not.
        retry_in: Option<Duration>,
    },
    /// A message came, or another device of this account has sent one. Each is told once; after a crash, the one that
    /// the app was busy with is told again.
    Message(Box<Message>),
    /// The node has a message in every mailbox or log that it is for.
    Sent {
        /// Where it stands.
        conversation: Conversation,
        /// Which.
        id: MessageId,
    },
    /// The node refuses a message for good, for some or all of those it is for. [`Sent`](Self::Sent) does not follow.
    NotSent {
        /// Where it stands.
        conversation: Conversation,
        /// Which; none of a receipt or a request for repair.
        id: Option<MessageId>,
        /// Why.
        reason: ErrorCode,
    },
    /// Somebody has received or read messages of this account.
    Receipt {
        /// Where they stand.
        conversation: Conversation,
        /// Who.
        by: AccountId,
        /// Which.
        of: Vec<MessageId>,
        /// Which of the two.
        state: Receipt,
    },
    /// An envelope came that does not open.
    Undecryptable {
        /// Where it came; none if it was direct.
        room: Option<RoomId>,
        /// Who has sent it, by the node's word.
        sender: DeviceAddress,
        /// Which.
        envelope: EnvelopeId,
        /// Why.
        reason: ErrorCode,
        /// What the client does about it.
        repair: Repair,
    },
    /// The node gives an envelope that was read before. It changes nothing; after a lost connection it is usual.
    Repeated {
        /// Where it came; none if it was direct.
        room: Option<RoomId>,
        /// Who has sent it, by the node's word.
        sender: DeviceAddress,
        /// Which.
        envelope: EnvelopeId,
    },
    /// An account shows another root key: it was set up anew, or somebody stands between. Nothing is sent to it until
    /// [`accept_identity`](super::Client::accept_identity).
    IdentityChanged {
        /// Whose.
        account: AccountId,
    },
    /// An account has other devices than before, all certified by its root key.
    DevicesChanged {
        /// Whose.
        account: AccountId,
    },
    /// Somebody reads the room from now on. A member has let them in.
    MemberJoined {
        /// Which room.
        room: RoomId,
        /// Who.
        account: AccountId,
    },
    /// The node shows somebody as a member who is none. Nothing is sealed for them, and what they write is not shown.
    MemberRefused {
        /// Which room.
        room: RoomId,
        /// Who.
        account: AccountId,
        /// Why: `not_vouched`, no member has let them in; `member_removed`, this device has removed them; `identity_changed`,
        /// they were let in with another root key than they are known by, or are shown with. If it is a new one that can be
        /// accepted, [`IdentityChanged`](Self::IdentityChanged) follows.
        reason: ErrorCode,
    },
    /// Somebody is no member any more. Nothing is sealed for them from now on.
    MemberLeft {
        /// Which room.
        room: RoomId,
        /// Who.
        account: AccountId,
    },
    /// The room takes no more messages.
    RoomClosed {
        /// Which room.
        room: RoomId,
    },
    /// The node shows another policy of a room than it had: it lies, and the room is not used any more.
    PolicyChanged {
        /// Which room.
        room: RoomId,
        /// The policy that holds.
        pinned: RoomPolicy,
        /// What the node shows.
        shown: RoomPolicy,
    },
    /// A member has published a new key for a room, by the node's word. The next message to them begins new sessions. The SDK's
    /// own rotations are not published: who gets a message of a new session goes on with that.
    KeysRotated {
        /// Which room.
        room: RoomId,
        /// Who.
        account: AccountId,
    },
    /// A member has revoked a key that they had published for a room, by the node's word. It is answered in the same way.
    KeysRevoked {
        /// Which room.
        room: RoomId,
        /// Who.
        account: AccountId,
    },
    /// Somebody has come to a room or gone from it.
    Presence {
        /// Which room.
        room: RoomId,
        /// Who.
        account: AccountId,
        /// Which of the two.
        state: Presence,
    },
    /// Somebody writes, or has stopped: said so, or was not heard of for [`TYPING_TTL`](crate::wire::limits::TYPING_TTL).
    Typing {
        /// Where.
        room: RoomId,
        /// Who.
        account: AccountId,
        /// Which of the two.
        state: TypingState,
    },
    /// A device that was linked has got the key of the account's vault from another one. It opens the account's rooms too.
    VaultOpened,
    /// What was missed has been told; what comes now is new.
    CaughtUp {
        /// Of what.
        log: Log,
    },
    /// The node has lost something between what this device has and what comes next.
    Gap {
        /// Of what.
        log: Log,
    },
    /// The session on the node has ended. [`sign_in_again`](super::Client::sign_in_again) begins another.
    SignedOut {
        /// Why.
        reason: ErrorCode,
    },
    /// What the node shows of this account does not verify, or is older than what is known: it lies, or was put back. The
    /// client does not connect again by itself.
    Distrusted {
        /// What is wrong.
        reason: ErrorCode,
    },
    /// Another program with this device has taken over the connection, or the node does not understand this one. The
    /// client does not connect again by itself.
    Refused,
    /// The client has stopped: its store does not keep what it must, or it found a mistake of its own.
    Stopped {
        /// Why.
        error: ClientError,
    },
}
