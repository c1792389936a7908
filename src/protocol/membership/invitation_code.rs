//! What lets somebody into a room: a text that goes from one person to another past the node.
//!
//! ```text
//! code = text with a checksum of: version 1 ∥ room_id 16 ∥ policy 3 ∥ membership key 32 ∥ token 1 to 256
//! ```
//!
//! The token is the node's and gets the guest in; the rest it never sees. The guest has the room's policy from the one who
//! invites, and need not take the node's word for it.

use core::fmt;
use core::str::FromStr;

use zeroize::ZeroizeOnDrop;

use super::MembershipKey;
use crate::ids::RoomId;
use crate::protocol::carried_text;
use crate::protocol::public::labels;
use crate::wire::{Reader, RoomPolicy, SecretText, WireError, Writer};

const VERSION: u8 = 1;

/// Bytes of a node's token at most: several times what they have.
const TOKEN_BYTES_MAX: usize = 256;

/// Bytes of a code at most: so that no part of it is left behind where it grew.
const CODE_BYTES_MAX: usize = 1 + RoomId::LENGTH + RoomPolicy::LENGTH + MembershipKey::LENGTH + TOKEN_BYTES_MAX;

/// An invitation as it goes to a guest. Secret: who has it is let in, and can let in others.
pub struct InvitationCode {
    room: RoomId,
    policy: RoomPolicy,
    key: MembershipKey,
    token: SecretText,
}

/// A text is no invitation code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an invitation, or a mistyped one")]
pub struct InvitationCodeError;

impl InvitationCode {
    /// An invitation by a node's token, 1 to 256 bytes, into a room with this policy.
    ///
    /// # Errors
    /// [`InvitationCodeError`] for another length of the token.
    pub fn new(
        room: RoomId,
        policy: RoomPolicy,
        key: MembershipKey,
        token: SecretText,
    ) -> Result<Self, InvitationCodeError> {
        let is_bounded = (1..=TOKEN_BYTES_MAX).contains(&token.expose().len());
        if is_bounded { Ok(Self { room, policy, key, token }) } else { Err(InvitationCodeError) }
    }

    /// Which room.
    #[must_use]
    pub const fn room(&self) -> RoomId {
        self.room
    }

    /// The room's policy.
    #[must_use]
    pub const fn policy(&self) -> RoomPolicy {
        self.policy
    }

    /// The node's token, and what the members share.
    #[must_use]
    pub fn into_parts(self) -> (SecretText, MembershipKey) {
        (self.token, self.key)
    }

    /// The code as a text, to be given to the guest alone.
    #[must_use]
    pub fn to_text(&self) -> SecretText {
        let Self { room, policy, key, token } = self;
        let writer = Writer::with_capacity(CODE_BYTES_MAX).u8(VERSION).bytes(room.as_bytes()).bytes(&policy.to_bytes());
        let content = writer.bytes(key.as_bytes()).bytes(token.expose().as_bytes()).finish_secret();
        SecretText::new(carried_text::write(labels::INVITATION_CHECKSUM, &content))
    }

    fn read(content: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(content);
        let mut read = || {
            reader.version(VERSION)?;
            let room = RoomId::from_bytes(*reader.array()?);
            let policy = RoomPolicy::read(&mut reader)?;
            Ok::<_, WireError>((room, policy, MembershipKey::from_bytes(reader.array()?)))
        };
        let (room, policy, key) = read().ok()?;
        let token = str::from_utf8(reader.rest()).ok()?;
        Self::new(room, policy, key, SecretText::new(token.to_owned())).ok()
    }
}

impl FromStr for InvitationCode {
    type Err = InvitationCodeError;

    /// Reads a code; white space does not count. The caller wipes `text`.
    fn from_str(text: &str) -> Result<Self, InvitationCodeError> {
        let content = carried_text::read(labels::INVITATION_CHECKSUM, text).ok_or(InvitationCodeError)?;
        Self::read(&content).ok_or(InvitationCodeError)
    }
}

// Key and token wipe themselves; room and policy are public.
impl ZeroizeOnDrop for InvitationCode {}

impl fmt::Debug for InvitationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InvitationCode({}, ..)", self.room)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::wire::Signatures;

    #[test]
    fn a_code_is_read_as_it_was_written_and_typing_errors_are_seen() {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        let policy = RoomPolicy { signatures: Signatures::Off, ..RoomPolicy::default() };
        let (room, key, token) = (RoomId::generate(rng), MembershipKey::generate(rng), "a token of the node");
        let code = InvitationCode::new(room, policy, key, SecretText::new(token.to_owned())).unwrap();
        let text = code.to_text();
        let (left, right) = text.expose().split_at(50);
        let read: InvitationCode = format!(" {left}\n{right} ").parse().unwrap();
        assert_eq!((read.room(), read.policy()), (room, policy));
        let (read_token, read_key) = read.into_parts();
        assert_eq!((read_token.expose(), &read_key), (token, &code.key));
        for at in 0..text.expose().len() {
            let mut typed = text.expose().as_bytes().to_vec();
            let byte = typed.get_mut(at).unwrap();
            *byte = if *byte == b'A' { b'B' } else { b'A' };
            assert!(String::from_utf8(typed).unwrap().parse::<InvitationCode>().is_err(), "{at}");
        }
        for token in [String::new(), "t".repeat(TOKEN_BYTES_MAX + 1)] {
            let key = MembershipKey::generate(rng);
            assert!(InvitationCode::new(room, policy, key, SecretText::new(token)).is_err());
        }
        for text in ["", token, "AAAA"] {
            assert!(text.parse::<InvitationCode>().is_err(), "{text}");
        }
        assert_eq!(format!("{code:?}"), format!("InvitationCode({room}, ..)"));
    }
}
