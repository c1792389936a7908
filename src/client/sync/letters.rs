//! Letters: what is to be sealed, and for whom. One is sealed as soon as all that it takes is there, and waits until then.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::outbox::{WAITING_MAX, Waiting};
use super::{Worker, survive};
use crate::client::content::{Body, Content};
use crate::client::entropy;
use crate::client::error::ClientError;
use crate::client::message::{Conversation, Message};
use crate::ids::{AccountId, DeviceAddress, MessageId};
use crate::protocol::machine::{Encrypt, Input, MachineError, Place};
use crate::protocol::public::{VerifiedDevice, VerifiedDeviceList};
use crate::wire::{ErrorCode, RoomPolicy};

/// Whom a letter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::client) enum To {
    /// Everybody who reads the conversation, and this user's other devices.
    All,
    /// One account's devices.
    Account(AccountId),
    /// One device.
    Device(DeviceAddress),
}

/// Something that is to be sealed. Secret.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::client) struct Letter {
    pub(in crate::client) conversation: Conversation,
    pub(in crate::client) to: To,
    /// Which message it is; none of a receipt or a request for repair.
    pub(in crate::client) message: Option<MessageId>,
    pub(in crate::client) body: Body,
    /// Of one for a room that waits: its members as the app knew them. Who comes later is not among those whom it was
    /// written to. Empty if none were known.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub(in crate::client) readers: BTreeSet<AccountId>,
    /// Devices that have their part of the message already.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub(in crate::client) served: BTreeSet<DeviceAddress>,
}

impl Letter {
    pub(in crate::client) fn new(conversation: Conversation, to: To, message: Option<MessageId>, body: Body) -> Self {
        Self { conversation, to, message, body, readers: BTreeSet::new(), served: BTreeSet::new() }
    }
}

impl core::fmt::Debug for Letter {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Letter({:?}, {:?}, ..)", self.conversation, self.to)
    }
}

/// The policy of direct messages: keys with the clients, ratchets, signed envelopes.
pub(super) fn direct_policy() -> RoomPolicy {
    RoomPolicy::default()
}

impl Worker {
    /// Writes a message: keeps it, and seals it or has it wait.
    ///
    /// # Errors
    /// [`ClientError::OutboxFull`]; [`ClientError::NotJoined`], [`ClientError::PolicyChanged`],
    /// [`ClientError::NoMembershipKey`];
    /// [`MachineError::IdentityChanged`]; a message over its limit.
    pub(in crate::client) async fn write(
        &mut self,
        conversation: Conversation,
        content: Content,
    ) -> Result<MessageId, ClientError> {
        let to = match conversation {
            Conversation::Direct(account) => Some(account),
            Conversation::Room(room) => {
                self.usable(room)?;
                None
            }
        };
        let mark = conversation.room().and_then(|room| self.own_mark(room));
        let id = MessageId::generate(&mut entropy::generator()?);
        let sent_at = self.clock.now();
        let body = Body::Message { id, to, mark, sent_at, content: content.clone() };
        let letter = Letter::new(conversation, To::All, Some(id), body);
        self.post(letter).await?;
        let message = Message {
            number: self.number(),
            id,
            conversation,
            sender: self.machine.device().address(),
            sent_at,
            content,
            is_sent: false,
            refused: None,
            receipts: BTreeMap::new(),
        };
        self.batch.messages.push(message.store());
        self.is_done(conversation, id).await?;
        Ok(id)
    }

    /// Seals a letter now, or has it wait behind those that wait already.
    ///
    /// # Errors
    /// What waiting does not mend. [`ClientError::OutboxFull`], also for what others bring about: receipts, repairs.
    pub(super) async fn post(&mut self, mut letter: Letter) -> Result<(), ClientError> {
        if self.outbox.len() + self.drafts.len() >= WAITING_MAX {
            return Err(ClientError::OutboxFull);
        }
        let must_wait = self.drafts.values().any(|draft| draft.conversation == letter.conversation);
        if !must_wait {
            match self.seal(&letter).await {
                Err(error) if error.is_transient() || matches!(error, ClientError::SignedOut) => {}
                done => return done,
            }
        }
        if let Conversation::Room(room) = letter.conversation {
            let known = self.rooms.get(&room).filter(|room| room.was_level);
            letter.readers = known.map(|room| room.members.keys().copied().collect()).unwrap_or_default();
        }
        let number = self.number();
        self.drafts.insert(number, letter);
        self.save_draft(number);
        Ok(())
    }

    /// Seals the letters that wait, in order, as far as that goes.
    pub(super) async fn seal_drafts(&mut self) -> Result<(), ClientError> {
        let mut stuck = BTreeSet::new();
        for number in self.drafts.keys().copied().collect::<Vec<_>>() {
            let Some(letter) = self.drafts.get(&number).cloned() else { continue };
            if stuck.contains(&letter.conversation) {
                continue;
            }
            let sealed = self.seal(&letter).await;
            if let Err(error) = &sealed {
                self.is_delayed(letter.message, reason(error));
            }
            match sealed {
                Err(error) if error.is_fatal() => return Err(error),
                Err(ClientError::Machine(MachineError::IdentityChanged { .. })) => {
                    stuck.insert(letter.conversation);
                    continue;
                }
                Err(ClientError::NotReachable { .. }) => {
                    stuck.insert(letter.conversation);
                    self.retry_later();
                    continue;
                }
                Err(error) if error.is_transient() || matches!(error, ClientError::SignedOut) => {
                    self.retry_later();
                    return Ok(());
                }
                Err(error) => self.not_sent(letter.conversation, letter.message, reason(&error)).await?,
                Ok(()) => {}
            }
            self.drafts.remove(&number);
            self.save_draft(number);
            if let Some(id) = letter.message {
                self.is_done(letter.conversation, id).await?;
            }
        }
        Ok(())
    }

    /// Seals a letter for every device that it is for, and puts the envelopes into the outbox.
    async fn seal(&mut self, letter: &Letter) -> Result<(), ClientError> {
        let (place, policy) = match letter.conversation {
            Conversation::Direct(_) => (Place::Direct, direct_policy()),
            Conversation::Room(room) => (Place::Room(room), self.usable(room)?),
        };
        let accounts = self.addressees(letter).await?;
        let mut except = self.others_than(letter.to);
        except.extend(&letter.served);
        let plaintext: Zeroizing<Vec<u8>> = letter.body.encode();
        let envelopes = loop {
            self.check_reach(letter, &except)?;
            let encrypt = Encrypt { accounts: &accounts, except: &except, place, policy, plaintext: &plaintext };
            let outputs = self.handle(Input::Encrypt(encrypt))?;
            if outputs.claim.is_empty() {
                break outputs.send;
            }
            for device in outputs.claim {
                if !self.meet(device).await? {
                    except.push(device);
                }
            }
        };
        let (conversation, message) = (letter.conversation, letter.message);
        for envelope in envelopes {
            if let Some(message) = message {
                self.carries(&envelope, message);
            }
            let number = self.number();
            self.outbox.put(number, Waiting { envelope, policy, conversation, message });
            self.save_waiting(number);
        }
        Ok(())
    }

    /// The accounts that a letter is for, those that have devices; their lists are known then, and their sessions not too old.
    async fn addressees(&mut self, letter: &Letter) -> Result<Vec<AccountId>, ClientError> {
        let own = self.machine.device().address().account_id;
        let accounts = match (letter.to, letter.conversation) {
            (To::Account(account), _) => vec![account],
            (To::Device(device), _) => vec![device.account_id],
            (To::All, Conversation::Direct(account)) if account == own => vec![own],
            (To::All, Conversation::Direct(account)) => vec![account, own],
            (To::All, Conversation::Room(room)) => {
                let mut readers = self.readers(room).await?;
                readers.retain(|account| letter.readers.is_empty() || letter.readers.contains(account));
                readers
            }
        };
        let mut known = Vec::with_capacity(accounts.len());
        for account in accounts {
            let is_known = match letter.conversation {
                Conversation::Direct(_) => self.learn(account).await?,
                Conversation::Room(room) => self.learn_member(room, account).await?,
            };
            if is_known {
                known.push(account);
            } else if letter.conversation == Conversation::Direct(account) {
                return Err(MachineError::UnknownAccount { account }.into());
            }
        }
        if letter.to == To::All {
            self.renew_old(&known).await?;
        }
        Ok(known)
    }

    /// The devices of an account that a letter to one of them is not for.
    fn others_than(&self, to: To) -> Vec<DeviceAddress> {
        let To::Device(device) = to else { return Vec::new() };
        let list = self.machine.device_list(device.account_id);
        let devices = list.into_iter().flat_map(VerifiedDeviceList::devices).map(VerifiedDevice::address);
        devices.filter(|other| *other != device).collect()
    }

    /// Whether a message to an account reaches it at all: this user's other devices alone are not who it is for.
    fn check_reach(&self, letter: &Letter, except: &[DeviceAddress]) -> Result<(), ClientError> {
        let own = self.machine.device().address().account_id;
        let Conversation::Direct(account) = letter.conversation else { return Ok(()) };
        let is_for_them = letter.to == To::All || (letter.to == To::Account(account) && letter.message.is_some());
        if account == own || !is_for_them {
            return Ok(());
        }
        let list = self.machine.device_list(account);
        let mut devices = list.into_iter().flat_map(VerifiedDeviceList::devices).map(VerifiedDevice::address);
        if devices.any(|device| !except.contains(&device) || letter.served.contains(&device)) {
            Ok(())
        } else {
            Err(ClientError::NotReachable { account })
        }
    }

    /// Sends what it can after a while.
    pub(super) fn retry_later(&mut self) {
        let at = tokio::time::Instant::now() + RETRY_AFTER;
        self.retry_at = Some(self.retry_at.map_or(at, |before| before.min(at)));
    }

    /// The same, for what fails by itself.
    pub(super) async fn try_seal_drafts(&mut self) -> Result<(), ClientError> {
        if self.drafts.is_empty() || self.retry_at.is_some() {
            return Ok(());
        }
        let sealed = self.seal_drafts().await;
        survive(sealed).map(|_| ())
    }
}

/// The code of what stands against sending something for good.
fn reason(error: &ClientError) -> ErrorCode {
    match error {
        ClientError::Machine(error) => error.code(),
        ClientError::Api(error) => error.code().unwrap_or(ErrorCode::Unavailable),
        ClientError::NotJoined { .. } | ClientError::NoMembershipKey { .. } => ErrorCode::NotJoined,
        ClientError::PolicyChanged { .. } => ErrorCode::OtherPolicy,
        ClientError::NotReachable { .. } => ErrorCode::NoPrekeys,
        _ => ErrorCode::Internal,
    }
}

/// Between two tries of what the node does not let through.
const RETRY_AFTER: core::time::Duration = core::time::Duration::from_secs(2);
