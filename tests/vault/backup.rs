use conclave::ids::DeviceId;
use conclave::protocol::backup::{
    AccountSecrets, Backup, BackupError, OpenedBackup, RecoveryKey, RecoveryKeyError, open_backup, seal_backup,
};
use conclave::protocol::identity::{AccountRoot, DeviceIdentity, DeviceKeys, IdentityError};
use conclave::protocol::public::verify_device_list;
use conclave::wire::{Timestamp, WireError};
use proptest::prelude::*;

use super::{account, assert_wiped_on_drop, rng, with_each_byte_changed};

fn recovery_key() -> RecoveryKey {
    RecoveryKey::generate(&mut rng(1))
}

fn secrets() -> AccountSecrets {
    AccountSecrets::generate(account(1), &mut rng(2))
}

fn backup() -> Backup {
    seal_backup(&recovery_key(), 5, &secrets(), &mut rng(3)).unwrap()
}

#[test]
fn a_written_key_and_a_stored_backup_bring_the_account_back() {
    let written = recovery_key().to_written();
    let stored = backup().to_bytes();
    assert_eq!(stored.len(), Backup::LENGTH);

    let key = RecoveryKey::parse(&written).unwrap();
    let OpenedBackup { generation, secrets: opened } =
        open_backup(&key, account(1), &Backup::parse(&stored).unwrap()).unwrap();
    assert_eq!(generation, 5);
    assert_eq!(*opened.encode_secret(), *secrets().encode_secret());
    assert_eq!(opened.account_id(), account(1));
    assert_eq!(opened.root().public_key(), secrets().root().public_key());
    assert!(opened.vault_key() == secrets().vault_key());
}

/// The same object certifies before it is backed up, and its copy out of the backup afterwards; what
/// either signs holds under one root key.
#[test]
fn a_restored_account_goes_on_certifying() {
    let secrets = secrets();
    let keys = DeviceKeys::generate(&mut rng(4));
    let certify = |secrets: &AccountSecrets, keys: &DeviceKeys| {
        let (signing_key, agreement_key) = (keys.signing.public_key(), keys.agreement.public_key());
        let device_id = DeviceId::generate(&mut rng(5));
        secrets.root().certify(device_id, &signing_key, &agreement_key, Timestamp::from_millis(7))
    };
    let list = secrets.root().sign_device_list(1, vec![certify(&secrets, &keys)]);
    let root_key = verify_device_list(&list).unwrap().root_key().clone();
    let backup = seal_backup(&recovery_key(), 1, &secrets, &mut rng(3)).unwrap();
    drop((secrets, keys));

    let restored = open_backup(&recovery_key(), account(1), &backup).unwrap().secrets;
    // The new device keeps its keys over a restart while it waits.
    let saved = DeviceKeys::generate(&mut rng(6)).save();
    let keys = DeviceKeys::load(&saved).unwrap();
    let certificate = certify(&restored, &keys);
    let identity = DeviceIdentity::new(keys, &certificate).unwrap();
    assert_eq!(identity.device().root_key(), &root_key);
    let list = restored.root().sign_device_list(2, vec![certificate]);
    assert_eq!(verify_device_list(&list).unwrap().root_key(), &root_key);
    // And what was generated as a root alone is backed up, too.
    let secrets = AccountSecrets::with_root(AccountRoot::generate(account(2), &mut rng(7)), &mut rng(8));
    let backup = seal_backup(&recovery_key(), 1, &secrets, &mut rng(3)).unwrap();
    let restored = open_backup(&recovery_key(), account(2), &backup).unwrap().secrets;
    assert_eq!(restored.root().public_key(), secrets.root().public_key());
}

#[test]
fn device_keys_of_any_other_form_are_refused() {
    let mut bytes = DeviceKeys::generate(&mut rng(4)).save().to_vec();
    assert_eq!(bytes.len(), 65);
    for length in 0..bytes.len() {
        assert_eq!(DeviceKeys::load(&bytes[..length]).err(), Some(WireError::Truncated), "{length} bytes");
    }
    assert_eq!(DeviceIdentity::load(&bytes).err(), Some(IdentityError::Saved(WireError::Truncated)));
    bytes.push(0);
    assert_eq!(DeviceKeys::load(&bytes).err(), Some(WireError::Trailing));
    bytes[0] = 2;
    assert_eq!(DeviceKeys::load(&bytes).err(), Some(WireError::UnknownVersion { version: 2 }));
}

#[test]
fn a_backup_opens_for_its_key_and_account_alone() {
    let other_key = RecoveryKey::generate(&mut rng(9));
    assert_eq!(open_backup(&other_key, account(1), &backup()).err(), Some(BackupError::Open));
    assert_eq!(open_backup(&recovery_key(), account(2), &backup()).err(), Some(BackupError::Open));
}

#[test]
fn any_changed_byte_is_refused_the_generation_among_them() {
    for (index, changed) in with_each_byte_changed(&backup().to_bytes()).enumerate() {
        match Backup::parse(&changed) {
            Ok(backup) => {
                assert_eq!(open_backup(&recovery_key(), account(1), &backup).err(), Some(BackupError::Open));
            }
            Err(error) => {
                assert!(index == 0 || index == 9, "{index}");
                assert_eq!(error, WireError::UnknownVersion { version: 0 });
            }
        }
    }
}

#[test]
fn a_backup_of_any_other_length_is_refused() {
    let mut bytes = backup().to_bytes();
    for length in 0..bytes.len() {
        assert_eq!(Backup::parse(&bytes[..length]), Err(WireError::Truncated), "{length} bytes");
    }
    bytes.push(0);
    assert_eq!(Backup::parse(&bytes), Err(WireError::Trailing));
}

#[test]
fn account_secrets_of_any_other_form_are_refused() {
    let mut bytes = secrets().encode_secret().to_vec();
    assert_eq!(bytes.len(), AccountSecrets::ENCODED_LENGTH);
    for length in 0..bytes.len() {
        assert_eq!(AccountSecrets::decode(account(1), &bytes[..length]).err(), Some(WireError::Truncated));
    }
    bytes.push(0);
    assert_eq!(AccountSecrets::decode(account(1), &bytes).err(), Some(WireError::Trailing));
    bytes[0] = 9;
    assert_eq!(AccountSecrets::decode(account(1), &bytes).err(), Some(WireError::UnknownVersion { version: 9 }));
}

#[test]
fn a_key_is_written_in_14_groups_of_4() {
    let written = recovery_key().to_written();
    let groups: Vec<_> = written.split('-').collect();
    assert_eq!(groups.len(), 14);
    assert!(groups.iter().all(|group| group.len() == 4));
    assert!(written.bytes().all(|byte| b"0123456789ABCDEFGHJKMNPQRSTVWXYZ-".contains(&byte)));
}

#[test]
fn a_key_is_read_as_people_write_it() {
    let written = recovery_key().to_written();
    assert!(written.contains('0') && written.contains('1'), "the seed gives both");
    let variants = [
        written.to_lowercase(),
        written.replace('-', ""),
        written.replace('-', " "),
        format!("  {}\n", written.replace('-', "\n")),
        written.replace('0', "O").replace('1', "I"),
        written.replace('0', "o").replace('1', "l"),
        written.replace('1', "i"),
        written.replace('1', "L"),
    ];
    for variant in variants {
        assert!(RecoveryKey::parse(&variant).unwrap() == recovery_key(), "{variant:?}");
    }
}

#[test]
fn what_is_wrong_with_a_key_is_said() {
    let written = recovery_key().to_written();
    let length = |actual| Err(RecoveryKeyError::Length { expected: 56, actual });
    assert_eq!(RecoveryKey::parse(""), length(0));
    assert_eq!(RecoveryKey::parse(&written[..written.len() - 1]), length(55));
    assert_eq!(RecoveryKey::parse(&format!("{}0", *written)), length(57));
    for character in ['U', 'u', '!', 'é', '\0', '０'] {
        let text = format!("{}{character}{}", &written[..6], &written[7..]);
        assert_eq!(RecoveryKey::parse(&text), Err(RecoveryKeyError::Character { position: 7 }), "{text}");
    }
    let (first, second) = written.split_at(4);
    let swapped = format!("{}{first}{}", &second[1..5], &second[5..]);
    assert_eq!(RecoveryKey::parse(&swapped), Err(RecoveryKeyError::Checksum));
}

/// One wrong character is noticed wherever it stands; but a checksum of 24 bits cannot promise it, so
/// this is of one key, with all of its 56 x 31 single errors.
#[test]
fn any_single_typing_error_is_noticed() {
    let written = recovery_key().to_written();
    for position in (0..written.len()).filter(|position| written.as_bytes()[*position] != b'-') {
        for replacement in "0123456789ABCDEFGHJKMNPQRSTVWXYZ".chars() {
            let mut text = written.to_string();
            text.replace_range(position..=position, &replacement.to_string());
            let expected = if text == *written { None } else { Some(RecoveryKeyError::Checksum) };
            assert_eq!(RecoveryKey::parse(&text).err(), expected, "{position} {replacement}");
        }
    }
}

#[test]
fn debug_shows_no_secret() {
    assert_eq!(format!("{:?}", recovery_key()), "RecoveryKey(..)");
    let secrets_shown = "AccountSecrets(root: Bytes<32>(ROOT..), ..)";
    let root = secrets().root().public_key().to_wire();
    let start = data_encoding::BASE64URL_NOPAD.encode(&root.0[..8]);
    assert_eq!(format!("{:?}", secrets()), secrets_shown.replace("ROOT", &start));
    let opened = open_backup(&recovery_key(), account(1), &backup()).unwrap();
    assert_eq!(format!("{opened:?}"), format!("OpenedBackup {{ generation: 5, secrets: {:?} }}", secrets()));
    assert_eq!(format!("{:?}", backup()), "Backup(generation 5, 146 bytes sealed)");
}

#[test]
fn secrets_are_wiped() {
    assert_wiped_on_drop::<RecoveryKey>();
    assert_wiped_on_drop::<AccountSecrets>();
    assert_wiped_on_drop::<AccountRoot>();
    assert_wiped_on_drop::<DeviceKeys>();
    assert_wiped_on_drop::<DeviceIdentity>();
}

proptest! {
    #[test]
    fn any_key_is_read_back(seed: u64) {
        let key = RecoveryKey::generate(&mut rng(seed));
        prop_assert!(RecoveryKey::parse(&key.to_written()).unwrap() == key);
    }

    #[test]
    fn reading_any_text_gives_an_error(text in "\\PC{0,80}") {
        prop_assert!(RecoveryKey::parse(&text).is_err());
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), Backup::LENGTH - 2)) {
        let bytes = [&[1], &bytes[..8], &[1], &bytes[8..]].concat();
        let backup = Backup::parse(&bytes).unwrap();
        prop_assert_eq!(open_backup(&recovery_key(), account(1), &backup).err(), Some(BackupError::Open));
    }
}
