//! Error codes: what clients branch on.

use std::collections::BTreeSet;

use conclave::ids::{AccountId, DeviceAddress, DeviceId, KeyId};
use conclave::protocol::agreement::{AgreementError, OpeningError};
use conclave::protocol::machine::{MachineError, RecordKey, Repair};
use conclave::protocol::public::{KeyError, StaleError, VerifyError};
use conclave::protocol::ratchet::RatchetError;
use conclave::protocol::session::SessionError;
use conclave::wire::{EnvelopeError, ErrorCode, WireError};

use crate::support::POLICY;

/// Codes are added at the end; none is renamed, and none is taken away.
const CODES: &str = "
    unknown_account unknown_device identity_changed no_such_identity own_root_changed stale_device_list
    forked_device_list device_list_malformed key_unacceptable key_id_mismatch owner_mismatch signature_invalid
    signature_missing signature_unexpected not_for_this_device other_policy no_session agreement_failed
    opening_replayed too_many_openings too_many_accounts prekey_gone message_malformed message_too_long
    does_not_open message_key_gone chain_gone chain_exhausted too_far_ahead saved_state_malformed
    own_device stale_prekeys internal
    prekeys_malformed envelope_too_long envelope_malformed envelope_version_unknown payload_too_long
    timestamp_too_old timestamp_too_far_ahead
    identity_keys_mismatch safety_number_malformed safety_number_version_unknown safety_number_their_key
    safety_number_our_key safety_number_both_keys vault_item_too_long vault_item_malformed
    vault_item_does_not_open passphrase_empty passphrase_too_long keystore_cost_too_low keystore_cost_too_high
    keystore_too_long keystore_malformed keystore_does_not_open recovery_key_length recovery_key_character
    recovery_key_checksum backup_malformed backup_does_not_open out_of_memory
    malformed_request unsupported_media_type body_too_large request_timeout not_found method_not_allowed
    rate_limited unavailable token_missing token_refused unknown_provider redirect_refused flow_refused
    code_refused refresh_refused refresh_reused unknown_session device_not_bound session_bound
    root_key_changed no_prekeys too_many_prekeys device_proof_refused
    unknown_room unknown_member unknown_invitation invitation_refused role_forbids last_owner room_closed
    too_many_members too_many_rooms too_many_invitations custody_disabled protection_unsupported
    other_log_epoch position_ahead mailbox_full
    command_malformed hello_expected hello_twice already_joined not_joined envelope_replayed origin_refused
    subprotocol_missing message_key_given_up
    provider_unavailable authorization_pending slow_down expired_token access_denied
    turn_not_configured
    custody_is_client no_room_keys unknown_room_key room_key_revoked room_key_replaced room_key_expired
    too_many_room_keys
    idempotency_key_reused too_many_idempotency_keys
    unknown_vault_item vault_item_deleted precondition_missing vault_version_conflict vault_revision_conflict
    too_many_vault_items too_many_collections vault_full
    vault_head_does_not_open vault_rolled_back vault_forked vault_entries_mismatch vault_item_mismatch
    vault_item_withheld room_exists not_vouched member_removed";

/// Where the codes begin that no error of the machine and of public forms has: those of identities,
/// safety numbers, vaults, keystores, backups and the node. The tests of these assert them.
const FIRST_OF_OTHERS: ErrorCode = ErrorCode::IdentityKeysMismatch;

/// Those that were added behind them.
const ADDED: [ErrorCode; 1] = [ErrorCode::MessageKeyGivenUp];

#[test]
fn codes_are_as_they_were_published() {
    let codes: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    let published: Vec<&str> = CODES.split_whitespace().collect();
    assert_eq!(codes, published);
    for code in ErrorCode::ALL {
        assert_eq!(code.to_string(), code.as_str());
        assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        assert_eq!(serde_json::from_value::<ErrorCode>(code.as_str().into()).unwrap(), *code);
    }
    serde_json::from_str::<ErrorCode>("\"no_such_code\"").unwrap_err();
}

/// Every error of the machine with its code and its repair.
fn errors() -> Vec<(MachineError, &'static str, Repair)> {
    let account = AccountId::from_bytes([1; 16]);
    let device = DeviceAddress { account_id: account, device_id: DeviceId::from_bytes([2; 16]) };
    let key_id = KeyId::from_bytes([3; 8]);
    let (part, field, source) = ("envelope", "root key", KeyError::LowOrder);
    let mut errors = vec![
        (MachineError::UnknownAccount { account }, "unknown_account", Repair::FetchDevices),
        (MachineError::UnknownDevice { device }, "unknown_device", Repair::FetchDevices),
        (MachineError::IdentityChanged { account }, "identity_changed", Repair::AskUser),
        (MachineError::NoSuchIdentity { account }, "no_such_identity", Repair::CorrectCall),
        (MachineError::OwnRootChanged, "own_root_changed", Repair::Refuse),
        (MachineError::StaleDeviceList { known: 2, given: 1 }, "stale_device_list", Repair::Refuse),
        (MachineError::ForkedDeviceList, "forked_device_list", Repair::Refuse),
        (MachineError::NotForThisDevice, "not_for_this_device", Repair::Nothing),
        (MachineError::OtherPolicy { policy: POLICY }, "other_policy", Repair::CorrectCall),
        (MachineError::NoSession { device }, "no_session", Repair::NewSession),
        (MachineError::OpeningReplayed, "opening_replayed", Repair::AskAgain),
        (MachineError::PrekeyGone { key_id }, "prekey_gone", Repair::NewSession),
        (MachineError::TooManyOpenings { account }, "too_many_openings", Repair::Wait),
        (MachineError::TooManyAccounts, "too_many_accounts", Repair::ForgetAccounts),
        (MachineError::StalePrekeys { device }, "stale_prekeys", Repair::Refuse),
        (MachineError::OwnDevice, "own_device", Repair::CorrectCall),
        (MachineError::Saved { record: RecordKey::Identity }, "saved_state_malformed", Repair::Restore),
        (MachineError::Internal { what: "" }, "internal", Repair::Report),
    ];
    let verify = [
        (VerifyError::Key { field, source }, "key_unacceptable"),
        (VerifyError::Signature { part }, "signature_invalid"),
        (VerifyError::SignatureMissing, "signature_missing"),
        (VerifyError::SignatureUnexpected, "signature_unexpected"),
        (VerifyError::KeyId { part }, "key_id_mismatch"),
        (VerifyError::Owner { part }, "owner_mismatch"),
        (VerifyError::List(WireError::Truncated), "device_list_malformed"),
        (VerifyError::Prekeys(WireError::Truncated), "prekeys_malformed"),
    ];
    errors.extend(verify.map(|(error, code)| (MachineError::Verify(error), code, Repair::Refuse)));
    let session = [
        (AgreementError::NonContributory(source).into(), "agreement_failed", Repair::Refuse),
        (OpeningError::EphemeralKey(source).into(), "key_unacceptable", Repair::Refuse),
        (WireError::Truncated.into(), "message_malformed", Repair::Refuse),
        (RatchetError::Open.into(), "does_not_open", Repair::NewSession),
        (RatchetError::KeyGone.into(), "message_key_gone", Repair::Nothing),
        (RatchetError::KeyGivenUp.into(), "message_key_given_up", Repair::AskAgain),
        (RatchetError::ChainGone.into(), "chain_gone", Repair::NewSession),
        (RatchetError::TooFarAhead.into(), "too_far_ahead", Repair::NewSession),
        (RatchetError::RatchetKey(source).into(), "key_unacceptable", Repair::Refuse),
        (RatchetError::ChainExhausted.into(), "chain_exhausted", Repair::NewSession),
        (RatchetError::TooLong.into(), "message_too_long", Repair::CorrectCall),
        (RatchetError::Saved(WireError::Truncated).into(), "saved_state_malformed", Repair::Restore),
    ];
    errors.extend(
        session.map(|(error, code, repair): (SessionError, _, _)| (MachineError::Session(error), code, repair)),
    );
    errors
}

/// Errors of the forms that cross a boundary, each with its code and what it shall be.
fn form_errors() -> Vec<(ErrorCode, &'static str)> {
    let envelope = [
        (EnvelopeError::TooLong { limit: 1 }, "envelope_too_long"),
        (EnvelopeError::Json { line: 1, column: 1 }, "envelope_malformed"),
        (EnvelopeError::Cbor, "envelope_malformed"),
        (EnvelopeError::Trailing, "envelope_malformed"),
        (EnvelopeError::UnknownVersion { version: 2 }, "envelope_version_unknown"),
        (EnvelopeError::PayloadTooLong { limit: 1 }, "payload_too_long"),
        (EnvelopeError::Destination, "envelope_malformed"),
        (EnvelopeError::Recipient, "envelope_malformed"),
    ];
    let stale = [
        (StaleError::TooOld { age_ms: 2, limit_ms: 1 }, "timestamp_too_old"),
        (StaleError::TooFarAhead { ahead_ms: 2, limit_ms: 1 }, "timestamp_too_far_ahead"),
    ];
    let keys =
        [KeyError::NonCanonical, KeyError::NotOnCurve, KeyError::LowOrder, KeyError::MixedOrder, KeyError::KemModulus];
    let envelope = envelope.into_iter().map(|(error, code)| (error.code(), code));
    let stale = stale.into_iter().map(|(error, code)| (error.code(), code));
    let keys = keys.into_iter().map(|error| (error.code(), "key_unacceptable"));
    envelope.chain(stale).chain(keys).collect()
}

#[test]
fn every_error_has_its_code_and_its_repair() {
    for (error, code, repair) in errors() {
        assert_eq!((error.code().as_str(), error.repair()), (code, repair), "{error:?}");
    }
    for (code, expected) in form_errors() {
        assert_eq!(code.as_str(), expected);
    }
}

#[test]
fn no_code_is_without_an_error() {
    let machine: BTreeSet<ErrorCode> = errors().iter().map(|(error, ..)| error.code()).collect();
    let forms = form_errors().into_iter().map(|(code, _)| code);
    let used: BTreeSet<ErrorCode> = machine.into_iter().chain(forms).collect();
    let expected = ErrorCode::ALL.iter().copied().take_while(|code| *code != FIRST_OF_OTHERS);
    assert_eq!(used, expected.chain(ADDED).collect());
}
