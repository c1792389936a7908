//! Why a session was not made, or a message of it not sealed or opened.

use crate::protocol::agreement::{AgreementError, OpeningError};
use crate::protocol::ratchet::RatchetError;
use crate::wire::WireError;

/// Why a session refused. Its state is then as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The agreement failed.
    #[error(transparent)]
    Agreement(#[from] AgreementError),
    /// The opening is malformed.
    #[error(transparent)]
    Opening(#[from] OpeningError),
    /// The ratchet refused.
    #[error(transparent)]
    Ratchet(#[from] RatchetError),
    /// The message or the saved form is malformed.
    #[error("malformed: {0}")]
    Form(#[from] WireError),
}
