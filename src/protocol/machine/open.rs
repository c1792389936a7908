//! Opening one envelope.
//!
//! In this order: is it for this device, is its sender a device that the account lists, does its
//! signature hold for the room's policy, does it open. Nothing is kept of an envelope that fails.

use zeroize::Zeroizing;

use super::Machine;
use super::encrypt::check_policy;
use super::error::MachineError;
use super::io::{Opened, Outputs};
use super::peer_sessions::Heard;
use crate::ids::{DeviceAddress, OpeningId};
use crate::protocol::agreement::{Opening, ResponderPrekeys};
use crate::protocol::public::{signing_key_id, verify_envelope};
use crate::protocol::ratchet::{RatchetError, SealedMessage};
use crate::protocol::session::{MessageContext, PairwiseMessage, PairwiseSession, SessionError};
use crate::wire::{Destination, Envelope, RoomPolicy, Timestamp};

/// A message that arrived for this device, before it is opened.
#[derive(Clone, Copy)]
struct Arrival {
    sender: DeviceAddress,
    /// By the envelope.
    sent_at: Timestamp,
    context: MessageContext,
    now: Timestamp,
}

impl Machine {
    /// Opens an envelope, and on `Err` leaves everything as it was.
    pub(super) fn open(
        &mut self,
        envelope: &Envelope,
        policy: RoomPolicy,
        now: Timestamp,
    ) -> Result<Outputs, MachineError> {
        check_policy(policy)?;
        let us = self.identity.address();
        let is_here = match envelope.destination {
            Destination::Room(_) => true,
            Destination::Mailbox(device) => device == us.device_id,
        };
        if envelope.recipient != Some(us) || !is_here {
            return Err(MachineError::NotForThisDevice);
        }
        let sender = self.contacts.device(envelope.sender)?;
        if envelope.key_id != signing_key_id(sender.signing_key()) {
            // The device may have been certified anew, with other keys.
            return Err(MachineError::UnknownDevice { device: envelope.sender });
        }
        verify_envelope(envelope, policy, sender)?;
        let message = PairwiseMessage::parse(&envelope.payload.0)?;
        let context = MessageContext { destination: envelope.destination, policy };
        let (sender, sent_at) = (envelope.sender, envelope.timestamp);
        let arrival = Arrival { sender, sent_at, context, now };
        let mut outputs = Outputs::default();
        let plaintext = self.open_message(&arrival, &message, &mut outputs)?;
        outputs.opened = Some(Opened {
            envelope_id: envelope.id,
            sender,
            destination: envelope.destination,
            timestamp: sent_at,
            plaintext,
        });
        Ok(outputs)
    }

    /// Opens a message on the session that it belongs to, or on a new one that it opens.
    fn open_message(
        &mut self,
        arrival: &Arrival,
        message: &PairwiseMessage,
        outputs: &mut Outputs,
    ) -> Result<Zeroizing<Vec<u8>>, MachineError> {
        let PairwiseMessage { opening, sealed } = message;
        let known = opening.as_ref().map(Opening::id);
        let is_known = |id| self.peers.sessions(arrival.sender).iter().any(|ranked| ranked.session.id() == id);
        match opening {
            Some(opening) if !is_known(opening.id()) => self.open_first(arrival, opening, sealed, outputs),
            _ => {
                let (heard, plaintext) = self.open_on_known(arrival, known, sealed)?;
                self.peers.opened(arrival.sender, &heard, arrival.now, &mut outputs.changes);
                Ok(plaintext)
            }
        }
    }

    /// Makes a session from a first message. Its one-time prekeys are used up, and it is remembered.
    fn open_first(
        &mut self,
        arrival: &Arrival,
        opening: &Opening,
        sealed: &SealedMessage,
        outputs: &mut Outputs,
    ) -> Result<Zeroizing<Vec<u8>>, MachineError> {
        let Arrival { sender, sent_at, context, now } = *arrival;
        self.used_openings.check(opening, sender.account_id)?;
        let prekeys = self.supply.find(opening)?;
        let prekeys = ResponderPrekeys {
            signed_prekey: &prekeys.signed_prekey,
            one_time_prekey: prekeys.one_time_prekey.as_ref(),
            kem_prekey: &prekeys.kem_prekey,
        };
        let initiator = self.contacts.device(sender)?;
        let mut session = PairwiseSession::respond(&self.identity, initiator, opening, sealed, &prekeys)?;
        let plaintext = session.open_sealed(sealed, &context, now)?;

        self.supply.use_up(opening, &mut outputs.changes);
        self.used_openings.remember(opening, sender.account_id, &mut outputs.changes);
        self.peers.respond(sender, session, sent_at, now, &mut outputs.changes);
        Ok(plaintext)
    }

    /// Opens a message on a session that there is: on the one that its opening names, else on the one
    /// that knows its chain, else on whichever it opens.
    fn open_on_known(
        &mut self,
        arrival: &Arrival,
        named: Option<OpeningId>,
        sealed: &SealedMessage,
    ) -> Result<(Heard, Zeroizing<Vec<u8>>), MachineError> {
        let Arrival { sender, sent_at, context, now } = *arrival;
        let sessions = self.peers.sessions_mut(sender);
        let named = named.or_else(|| {
            let knows = |session: &PairwiseSession| session.ratchet().knows_chain(&sealed.header.ratchet_key);
            sessions.iter().find(|ranked| knows(&ranked.session)).map(|ranked| ranked.session.id())
        });
        let mut failure = MachineError::NoSession { device: sender };
        for ranked in sessions.iter_mut().rev() {
            let id = ranked.session.id();
            if named.is_some_and(|named| named != id) {
                continue;
            }
            let is_first_answer = !ranked.session.is_answered();
            match ranked.session.open_sealed(sealed, &context, now) {
                Ok(plaintext) => return Ok((Heard { id, is_first_answer, sent_at }, plaintext)),
                // Only one session's word counts: of several, the first that tried the ciphertext.
                Err(error @ SessionError::Ratchet(RatchetError::Open)) => failure = error.into(),
                Err(error) if matches!(failure, MachineError::NoSession { .. }) => failure = error.into(),
                Err(_) => {}
            }
        }
        Err(failure)
    }
}
