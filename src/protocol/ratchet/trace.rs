//! What happens inside the ratchet's two operations, told for the vectors. In test builds alone.
//!
//! Each value comes from the function that the ratchet itself calls: [`RootKey::step`],
//! [`ChainKey::step`], [`MessageKey`], the padding and the AEAD. The vectors' test holds the message
//! and the plaintext that come out here against those of the session.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::chain_key::ChainKey;
use super::double_ratchet::{DoubleRatchet, Turn};
use super::header::{Header, SealedMessage, bound};
use super::message_key::{AeadInput, MessageKey};
use super::root_key::RootKey;
use super::sending_chain::SendingChain;
use crate::protocol::public::{RatchetPublicKey, limits};
use crate::protocol::seal::{aead, padding};
use crate::protocol::secret::AgreementSecretKey;
use crate::protocol::vector_tests::Fields;

/// One step of the root key: the agreement that enters it, and what comes of it.
pub(in crate::protocol) fn root_step(
    root_key: &[u8; 32],
    ours: &AgreementSecretKey,
    theirs: &[u8; 32],
) -> (Fields, RootKey, ChainKey) {
    let shared = ours.agree_ratchet(&RatchetPublicKey::parse(theirs).unwrap()).unwrap();
    let (next, chain_key) = RootKey::from_bytes(root_key).step(&shared);
    let fields = Fields::default()
        .hex("root_key_before", root_key)
        .hex("our_public", ours.public_bytes())
        .hex("their_public", theirs)
        .hex("shared", shared.as_bytes())
        .hex("root_key", next.as_bytes())
        .hex("chain_key", chain_key.as_bytes());
    (fields, next, chain_key)
}

/// Steps along a chain from message `from` to before message `to`; gives the chain key there.
fn walk(chain_key: &ChainKey, from: u32, to: u32) -> (Vec<Fields>, ChainKey) {
    let mut chain_key = ChainKey::from_bytes(chain_key.as_bytes());
    let mut passed = Vec::new();
    for number in from..to {
        let (message_key, next) = chain_key.step();
        let fields = Fields::default()
            .value("number", number)
            .hex("chain_key", chain_key.as_bytes())
            .hex("message_key", message_key.as_bytes());
        passed.push(fields);
        chain_key = next;
    }
    (passed, chain_key)
}

/// The symmetric half of a message: its key, and the chain key after it.
fn chain_step(chain_key: &ChainKey) -> (Fields, MessageKey) {
    let (message_key, next) = chain_key.step();
    let fields = Fields::default()
        .hex("chain_key_before", chain_key.as_bytes())
        .hex("message_key", message_key.as_bytes())
        .hex("chain_key_after", next.as_bytes());
    (fields, message_key)
}

/// What goes into the AEAD beside the text.
fn aead_fields(input: &AeadInput, header: &Header, associated_data: &[u8]) -> Fields {
    Fields::default()
        .hex("aead_key", &input.key)
        .hex("nonce", &input.nonce)
        .hex("header", header.to_bytes())
        .hex("associated_data", bound(associated_data, header))
}

/// What [`DoubleRatchet::prepare`] does: the new secret key that it draws (if it does), every value
/// on the way, and the message.
pub(in crate::protocol) fn seal(
    ratchet: &DoubleRatchet,
    plaintext: &[u8],
    associated_data: &[u8],
    rng: &mut impl CryptoRng,
) -> (Option<AgreementSecretKey>, Fields, SealedMessage) {
    let (drawn, step, chain_key, public, number) = match &ratchet.turn {
        Turn::Theirs(theirs) => {
            let ours = AgreementSecretKey::generate(rng);
            let (step, _, chain_key) = root_step(ratchet.root_key.as_bytes(), &ours, theirs.as_bytes());
            let public = *ours.public_bytes();
            (Some(ours), Fields::default().object("root_step", step), chain_key, public, 0)
        }
        Turn::Ours(SendingChain { ratchet_key, chain_key, next }) => {
            let chain_key = ChainKey::from_bytes(chain_key.as_bytes());
            (None, Fields::default(), chain_key, *ratchet_key.public_bytes(), *next)
        }
    };
    let previous_chain_length = ratchet.previous_chain_length;
    let header = Header { ratchet_key: public, previous_chain_length, message_number: number };
    let (chain, message_key) = chain_step(&chain_key);
    let input = message_key.aead_input();
    let padded = padding::pad(plaintext, limits::MESSAGE_PADDED_BYTES_MAX).unwrap();
    let mut ciphertext = padded.to_vec();
    aead::seal_in_place(&input.key, &input.nonce, &bound(associated_data, &header), &mut ciphertext).unwrap();
    let fields = step
        .and(chain)
        .and(aead_fields(&input, &header, associated_data))
        .hex("padded", &*padded)
        .hex("ciphertext", &ciphertext);
    (drawn, fields, SealedMessage { header, ciphertext })
}

/// What [`DoubleRatchet::open`] does: every value on the way, and the plaintext.
pub(in crate::protocol) fn open(
    ratchet: &DoubleRatchet,
    message: &SealedMessage,
    associated_data: &[u8],
) -> (Fields, Zeroizing<Vec<u8>>) {
    let header = &message.header;
    let (fields, message_key) = receiving_key(ratchet, header);
    let input = message_key.aead_input();
    let mut padded = Zeroizing::new(message.ciphertext.clone());
    aead::open_in_place(&input.key, &input.nonce, &bound(associated_data, header), &mut padded).unwrap();
    let fields = fields.and(aead_fields(&input, header, associated_data)).hex("padded", &*padded);
    padding::unpad(&mut padded).unwrap();
    (fields, padded)
}

/// The way to the key of a message that arrived: kept from earlier, on a known chain, or on a new one.
fn receiving_key(ratchet: &DoubleRatchet, header: &Header) -> (Fields, MessageKey) {
    let Header { ratchet_key, previous_chain_length, message_number } = header;
    if let Some(chain) = ratchet.receiving.iter().find(|chain| chain.ratchet_key == *ratchet_key) {
        if *message_number < chain.next {
            let kept = chain.skipped.iter().find(|skipped| skipped.number == *message_number).unwrap();
            return (
                Fields::default().hex("kept_message_key", kept.key.as_bytes()),
                MessageKey::from_bytes(kept.key.as_bytes()),
            );
        }
        let (skipped, chain_key) = walk(chain.chain_key.as_ref().unwrap(), chain.next, *message_number);
        let (step, message_key) = chain_step(&chain_key);
        return (Fields::default().list("skipped", skipped).and(step), message_key);
    }
    let Turn::Ours(SendingChain { ratchet_key: ours, .. }) = &ratchet.turn else {
        unreachable!("a new chain answers ours")
    };
    let closing = ratchet.receiving.last().map_or_else(Vec::new, |newest| {
        walk(newest.chain_key.as_ref().unwrap(), newest.next, *previous_chain_length).0
    });
    let (root, _, chain_key) = root_step(ratchet.root_key.as_bytes(), ours, ratchet_key);
    let (skipped, chain_key) = walk(&chain_key, 0, *message_number);
    let (step, message_key) = chain_step(&chain_key);
    let fields = Fields::default().list("closing", closing).object("root_step", root).list("skipped", skipped);
    (fields.and(step), message_key)
}
