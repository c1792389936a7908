//! What has passed.

use conclave::wire::{Answer, Command, Entry, Envelope, Message};
use data_encoding::BASE64URL_NOPAD;

/// What clients have sent, and what they were told of logs.
#[derive(Default)]
pub(super) struct Kept {
    /// Heads and bodies of calls, and commands.
    pub(super) bytes: Vec<u8>,
    pub(super) commands: Vec<Command>,
    pub(super) told: Vec<Entry>,
}

impl Kept {
    pub(super) fn envelopes(&self) -> Vec<Envelope> {
        let each = self.commands.iter().flat_map(|command| match command {
            Command::Send { envelope, .. } => vec![envelope.clone()],
            Command::Deliver { envelopes, .. } => envelopes.clone(),
            _ => Vec::new(),
        });
        each.collect()
    }

    /// The command that a message answers.
    pub(super) fn asked(&self, message: &Message) -> Option<Command> {
        let (Message::Ok(Answer { id, .. }) | Message::Error { id, .. }) = message else { return None };
        self.commands.iter().rev().find(|command| command.id() == *id).cloned()
    }

    /// Whether bytes were sent as they are, or as a part of something in base64url.
    pub(super) fn has(&self, secret: &[u8]) -> bool {
        let is_in = |needle: &[u8]| self.bytes.windows(needle.len()).any(|window| window == needle);
        // Where it begins in a group of three is not known: the whole groups are looked for.
        let in_base64 = (0..3).map(|skip| {
            let groups = &secret[skip..];
            BASE64URL_NOPAD.encode(&groups[..groups.len() / 3 * 3])
        });
        is_in(secret) || in_base64.into_iter().any(|text| is_in(text.as_bytes()))
    }
}
