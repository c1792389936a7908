//! Where a message stands.

use crate::protocol::public::labels;
use crate::wire::{Destination, RoomPolicy};

use super::super::agreement::SessionBinding;

/// Version of pairwise messages.
const VERSION: u8 = 1;

/// The place and the policy that a message is sealed for. Shown elsewhere, or under another policy,
/// it does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageContext {
    /// Where the envelope goes.
    pub destination: Destination,
    /// The policy there.
    pub policy: RoomPolicy,
}

impl MessageContext {
    /// The associated data, up to the header.
    pub(in crate::protocol) fn associated_data(&self, binding: &SessionBinding) -> Vec<u8> {
        let Self { destination, policy } = self;
        let parts: [&[u8]; 5] =
            [labels::PAIRWISE_MESSAGE, &[VERSION], binding.as_bytes(), &policy.to_bytes(), &destination.to_bytes()];
        parts.concat()
    }
}
