//! A receiving chain, with the message keys that it keeps for late messages.

use std::collections::VecDeque;

use zeroize::Zeroizing;

use super::chain_key::ChainKey;
use super::error::RatchetError;
use super::header::SealedMessage;
use super::message_key::MessageKey;
use crate::protocol::public::limits;
use crate::wire::Timestamp;

/// The messages of one of the peer's ratchet keys.
pub(super) struct ReceivingChain {
    pub(super) ratchet_key: [u8; 32],
    /// The chain key after the last message; `None` when the peer has moved on to another chain.
    pub(super) chain_key: Option<ChainKey>,
    /// The number of the next message.
    pub(super) next: u32,
    /// Ascending by number.
    pub(super) skipped: VecDeque<SkippedKey>,
    /// The highest number of which the key was given up.
    pub(super) given_up: Option<u32>,
}

/// The key of a message that has not arrived. Boxed: moving it about leaves no copy.
pub(super) struct SkippedKey {
    pub(super) number: u32,
    pub(super) skipped_at: Timestamp,
    pub(super) key: Box<MessageKey>,
}

impl ReceivingChain {
    pub(super) const fn new(ratchet_key: [u8; 32], chain_key: ChainKey) -> Self {
        Self { ratchet_key, chain_key: Some(chain_key), next: 0, skipped: VecDeque::new(), given_up: None }
    }

    /// Opens a message of this chain; skips at most [`SKIP_MAX`](limits::SKIP_MAX) others. On `Err` the
    /// chain is unchanged.
    pub(super) fn open(
        &mut self,
        message: &SealedMessage,
        associated_data: &[u8],
        now: Timestamp,
    ) -> Result<Zeroizing<Vec<u8>>, RatchetError> {
        let number = message.header.message_number;
        if number < self.next {
            return self.open_late(message, associated_data);
        }
        let next = number.checked_add(1).ok_or(RatchetError::ChainExhausted)?;
        let Skip { keys, chain_key } = self.skip_to(number, now)?;
        let (message_key, chain_key) =
            chain_key.as_ref().or(self.chain_key.as_ref()).ok_or(RatchetError::ChainGone)?.step();
        let plaintext = message_key.open(associated_data, &message.ciphertext)?;
        self.skipped.extend(keys); // Only an authentic message gets this far.
        self.chain_key = Some(chain_key);
        self.next = next;
        Ok(plaintext)
    }

    fn open_late(
        &mut self,
        message: &SealedMessage,
        associated_data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, RatchetError> {
        let number = message.header.message_number;
        // Which of those below it were read is not remembered.
        let is_given_up = self.given_up.is_some_and(|given_up| number <= given_up);
        let gone = if is_given_up { RatchetError::KeyGivenUp } else { RatchetError::KeyGone };
        let position = self.skipped.binary_search_by_key(&number, |skipped| skipped.number).map_err(|_| gone)?;
        let skipped = self.skipped.get(position).ok_or(gone)?;
        let plaintext = skipped.key.open(associated_data, &message.ciphertext)?;
        self.skipped.remove(position);
        Ok(plaintext)
    }

    /// The keys from here to before message `number`, and the chain key there (`None` if it is the
    /// present one). Changes nothing.
    fn skip_to(&self, number: u32, now: Timestamp) -> Result<Skip, RatchetError> {
        if number.saturating_sub(self.next) > limits::SKIP_MAX {
            return Err(RatchetError::TooFarAhead);
        }
        self.skip_at_most(number, limits::SKIP_MAX, now)
    }

    /// As [`skip_to`](Self::skip_to), but no more than the first `count_max` keys.
    pub(super) fn skip_at_most(&self, number: u32, count_max: u32, now: Timestamp) -> Result<Skip, RatchetError> {
        let count = number.saturating_sub(self.next).min(count_max);
        let mut skip = Skip { keys: Vec::with_capacity(count as usize), chain_key: None };
        for number in self.next..self.next + count {
            let chain_key = skip.chain_key.as_ref().or(self.chain_key.as_ref()).ok_or(RatchetError::ChainGone)?;
            let (key, next) = chain_key.step();
            skip.keys.push(SkippedKey { number, skipped_at: now, key: Box::new(key) });
            skip.chain_key = Some(next);
        }
        Ok(skip)
    }

    /// Ends the chain: the peer sends no more on it than `keys` stand for.
    pub(super) fn close(&mut self, keys: Vec<SkippedKey>) {
        if let Some(last) = keys.last() {
            self.next = last.number + 1;
        }
        self.skipped.extend(keys);
        self.chain_key = None;
    }

    /// Gives up the keys of messages that have been awaited for too long.
    pub(super) fn expire(&mut self, now: Timestamp) {
        self.give_up(|_, skipped| now.since(skipped.skipped_at) > limits::SKIPPED_KEY_KEPT);
    }

    /// Gives up the first keys; returns how many there were, at most `count_max`.
    pub(super) fn trim(&mut self, count_max: usize) -> usize {
        let count = count_max.min(self.skipped.len());
        self.give_up(|position, _| position < count);
        count
    }

    fn give_up(&mut self, is_given_up: impl Fn(usize, &SkippedKey) -> bool) {
        let mut position = 0..;
        let given_up = &mut self.given_up;
        self.skipped.retain(|skipped| {
            let is_kept = !position.next().is_some_and(|position| is_given_up(position, skipped));
            if !is_kept {
                *given_up = (*given_up).max(Some(skipped.number));
            }
            is_kept
        });
    }
}

/// Keys that a message skips, computed beside the chain.
pub(super) struct Skip {
    pub(super) keys: Vec<SkippedKey>,
    chain_key: Option<ChainKey>,
}
