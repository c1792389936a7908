//! Membership of a room, vouched for by its members and not by the node.
//!
//! A room has one [`MembershipKey`], which whoever makes the room draws and which goes to others inside an
//! [`InvitationCode`]. Whoever has it can prove that somebody who has it let them in, and the node has it not: an account that
//! the node puts among the members has no [`MembershipProof`], and nobody seals anything for it.
//!
//! ```text
//! tag key  = HKDF-SHA-256(no salt, membership key, label)                                            32 bytes
//! tag      = HMAC-SHA-256(tag key, label ∥ room_id 16 ∥ account_id 16 ∥ root key 32 ∥ nonce 16)      32 bytes
//! proof    = version 1 ∥ root key 32 ∥ nonce 16 ∥ tag 32                                             81 bytes
//! mark     = first 16 bytes of HMAC-SHA-256(tag key, other label ∥ room_id 16 ∥ account_id 16 ∥ root key 32)
//! kept     = sealed under the vault's key, for account_id ∥ room_id: version 1 ∥ policy 3 ∥ membership key 32
//! ```
//!
//! - A **proof** is carried by the node, and shown to the other members with the member. It names the account's root key:
//!   the node cannot show a member's account with keys of its own, not even to somebody who has never seen them.
//! - A **mark** stands inside each message: who has come and gone again since is known by it.
//! - What is **kept** is carried by the node for the account's own devices. It holds the policy too, so that a further
//!   device need not believe the node either.
//!
//! What an attacker can still do: whoever has the key can let others in, and nobody sees who it was. A member who was removed,
//! a device that was revoked and whoever finds an invitation have it for good; together with a node that takes their word
//! they can come in again. Who was removed by this device is not let in again by a proof that it has seen; one that the node
//! has kept from it until then looks like a new one, and other devices hear of a removal from the node alone: until then they
//! seal for whoever was removed, and show what they write. The node still says who is *no* member, and in which role one is.
//!
//! Sources: RFC 9420, sections 6.2 and 8 (`membership_key`, `membership_tag`: the name and the idea); RFC 2104, section 5 (codes
//! that are cut to half).

mod invitation_code;
mod key;
mod proof;

pub use invitation_code::{InvitationCode, InvitationCodeError};
pub use key::{MembershipKey, NotKept};
pub use proof::{MembershipProof, ProofId};
