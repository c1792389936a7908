//! Error codes of identities, safety numbers, vaults, keystores and backups.

use std::collections::BTreeSet;

use conclave::protocol::backup::{BackupError, RecoveryKeyError};
use conclave::protocol::identity::IdentityError;
use conclave::protocol::keystore::{Argon2Parameter, KeystoreError};
use conclave::protocol::public::VerifyError;
use conclave::protocol::safety_number::SafetyNumberError;
use conclave::protocol::vault::VaultError;
use conclave::wire::{ErrorCode, WireError};

/// Every error with its code; most codes stand for one error.
fn codes() -> Vec<(ErrorCode, &'static str)> {
    let (form, expected, actual, limit) = (WireError::Truncated, 1, 2, 1);
    let (parameter, floor, ceiling) = (Argon2Parameter::Lanes, 1, 1);
    vec![
        (IdentityError::Certificate(VerifyError::SignatureMissing).code(), "signature_missing"),
        (IdentityError::OtherKeys.code(), "identity_keys_mismatch"),
        (IdentityError::Saved(form).code(), "saved_state_malformed"),
        (SafetyNumberError::Length { expected, actual }.code(), "safety_number_malformed"),
        (SafetyNumberError::UnknownVersion { version: 2 }.code(), "safety_number_version_unknown"),
        (SafetyNumberError::TheirKey.code(), "safety_number_their_key"),
        (SafetyNumberError::OurKey.code(), "safety_number_our_key"),
        (SafetyNumberError::BothKeys.code(), "safety_number_both_keys"),
        (VaultError::TooLong { actual, limit }.code(), "vault_item_too_long"),
        (VaultError::Malformed(form).code(), "vault_item_malformed"),
        (VaultError::Open.code(), "vault_item_does_not_open"),
        (VaultError::Head.code(), "vault_head_does_not_open"),
        (VaultError::RolledBack { seen: 2, shown: 1 }.code(), "vault_rolled_back"),
        (VaultError::Forked.code(), "vault_forked"),
        (VaultError::Entries.code(), "vault_entries_mismatch"),
        (VaultError::OtherItem.code(), "vault_item_mismatch"),
        (KeystoreError::PassphraseEmpty.code(), "passphrase_empty"),
        (KeystoreError::PassphraseTooLong { actual, limit }.code(), "passphrase_too_long"),
        (KeystoreError::BelowFloor { parameter, actual: 0, floor }.code(), "keystore_cost_too_low"),
        (KeystoreError::AboveCeiling { parameter, actual: 2, ceiling }.code(), "keystore_cost_too_high"),
        (KeystoreError::TooLong { actual, limit }.code(), "keystore_too_long"),
        (KeystoreError::Malformed(form).code(), "keystore_malformed"),
        (KeystoreError::Open.code(), "keystore_does_not_open"),
        (KeystoreError::OutOfMemory { memory_kib: 65_536 }.code(), "out_of_memory"),
        (KeystoreError::Internal.code(), "internal"),
        (RecoveryKeyError::Length { expected, actual }.code(), "recovery_key_length"),
        (RecoveryKeyError::Character { position: 1 }.code(), "recovery_key_character"),
        (RecoveryKeyError::Checksum.code(), "recovery_key_checksum"),
        (BackupError::Malformed(form).code(), "backup_malformed"),
        (BackupError::Open.code(), "backup_does_not_open"),
        (BackupError::Internal.code(), "internal"),
    ]
}

#[test]
fn every_error_has_its_code() {
    for (code, expected) in codes() {
        assert_eq!(code.as_str(), expected);
    }
}

/// `tests/protocol` looks at the codes before and after.
#[test]
fn no_code_is_without_an_error() {
    let used: BTreeSet<ErrorCode> = codes().into_iter().map(|(code, _)| code).collect();
    let ours = ErrorCode::IdentityKeysMismatch..=ErrorCode::OutOfMemory;
    let added = ErrorCode::VaultHeadDoesNotOpen..=ErrorCode::VaultItemMismatch;
    for code in ErrorCode::ALL.iter().filter(|code| ours.contains(code) || added.contains(code)) {
        assert!(used.contains(code), "{code}");
    }
}
