//! Every label of the protocol, in one place.
//!
//! Each derivation, each signed structure and each set of associated data starts with a label of its
//! own, so that nothing made for one purpose is valid for another. Labels are unique, and none is
//! the start of another; a test asserts both. They carry no terminator: being prefix-free, what
//! follows one cannot turn it into another.

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        $($(#[$doc])* pub const $name: &[u8] = $text;)+

        #[cfg(test)]
        const ALL: &[&[u8]] = &[$($name),+];
    };
}

labels! {
    /// Key id of an Ed25519 key.
    KEY_ID_SIGNING = b"conclave/v1/key-id/signing";
    /// Key id of an X25519 key.
    KEY_ID_AGREEMENT = b"conclave/v1/key-id/agreement";
    /// Key id of an ML-KEM-1024 key.
    KEY_ID_KEM = b"conclave/v1/key-id/kem";

    /// Signed by the account's root key: a device's keys.
    DEVICE_CERTIFICATE = b"conclave/v1/identity/device-certificate";
    /// Signed by the account's root key: the list of devices.
    DEVICE_LIST = b"conclave/v1/identity/device-list";
    /// HKDF info: the id of a device that is linked by a code.
    LINKED_DEVICE = b"conclave/v1/identity/linked-device";
    /// Hashed: the checksum of a link code.
    LINK_CHECKSUM = b"conclave/v1/identity/link-checksum";
    /// Hashed into a safety number.
    SAFETY_NUMBER = b"conclave/v1/identity/safety-number";

    /// Signed by the device: a signed prekey.
    SIGNED_PREKEY = b"conclave/v1/prekey/signed";
    /// Signed by the device: a KEM prekey.
    KEM_PREKEY = b"conclave/v1/prekey/kem";
    /// Signed by the device: an envelope.
    ENVELOPE = b"conclave/v1/envelope/signature";
    /// Signed by the device: that a session on a node is its own.
    DEVICE_PROOF = b"conclave/v1/session/device-proof";

    /// HKDF info: the secret that PQXDH agrees on.
    PQXDH_SECRET = b"conclave/v1/pqxdh/secret";
    /// HKDF info: the secret of plain X3DH, which exists for tests alone.
    X3DH_SECRET = b"conclave/v1/x3dh/secret";
    /// Hashed: what a session is bound to.
    SESSION_BINDING = b"conclave/v1/session/binding";
    /// Hashed: which session an opening makes.
    SESSION_ID = b"conclave/v1/session/id";

    /// HKDF info: the next root key and a chain key.
    RATCHET_ROOT = b"conclave/v1/ratchet/root";
    /// HMAC input: the next chain key.
    RATCHET_CHAIN = b"conclave/v1/ratchet/chain";
    /// HMAC input: a message key.
    RATCHET_MESSAGE = b"conclave/v1/ratchet/message";
    /// HKDF info: the AEAD key and nonce of a message.
    RATCHET_SEAL = b"conclave/v1/ratchet/seal";
    /// Associated data of a pairwise message.
    PAIRWISE_MESSAGE = b"conclave/v1/seal/pairwise";

    /// Hashed: an access token, as the node stores it.
    ACCESS_TOKEN = b"conclave/v1/token/access";
    /// Hashed: a refresh token, as the node stores it.
    REFRESH_TOKEN = b"conclave/v1/token/refresh";
    /// Hashed: the state of a pending sign-in, as the node stores it.
    FLOW_STATE = b"conclave/v1/token/flow-state";
    /// Hashed: an authorization code of the built-in provider, as the node stores it.
    AUTHORIZATION_CODE = b"conclave/v1/token/authorization-code";
    /// Hashed: a ticket for a socket, as the node stores it.
    TICKET = b"conclave/v1/token/ticket";
    /// Hashed: an invitation into a room, as the node stores it.
    INVITATION_TOKEN = b"conclave/v1/token/invitation";
    /// Hashed: the code of a device that waits for its sign-in, as the node stores it.
    DEVICE_CODE = b"conclave/v1/token/device-code";
    /// Hashed: the code that somebody types for such a device, as the node stores it.
    USER_CODE = b"conclave/v1/token/user-code";
    /// Hashed: what a browser is known by while it signs a device in, as the node stores it.
    BROWSER = b"conclave/v1/token/browser";

    /// HKDF info: the key of a room's membership tags and marks.
    MEMBERSHIP_TAG_KEY = b"conclave/v1/membership/tag-key";
    /// HMAC input: the tag of a proof of membership.
    MEMBERSHIP_PROOF = b"conclave/v1/membership/proof";
    /// HMAC input: the mark of a member's messages.
    MEMBER_MARK = b"conclave/v1/membership/mark";
    /// HKDF info and associated data: a membership that is kept for an account's own devices.
    MEMBERSHIP_KEPT = b"conclave/v1/membership/kept";
    /// Hashed: the checksum of an invitation code.
    INVITATION_CHECKSUM = b"conclave/v1/membership/checksum";

    /// HKDF info: the key of a vault collection.
    VAULT_COLLECTION = b"conclave/v1/vault/collection";
    /// HKDF info and associated data: one sealed item of a vault.
    VAULT_ITEM = b"conclave/v1/vault/item";
    /// HKDF info and associated data: the head of a vault collection.
    VAULT_HEAD = b"conclave/v1/vault/head";
    /// HKDF info: the key of the codes of a collection's entries.
    VAULT_ENTRIES = b"conclave/v1/vault/entry-codes";
    /// HMAC input: the code of one entry.
    VAULT_ENTRY = b"conclave/v1/vault/one-entry";
    /// HMAC input: the id of an item that has a name.
    VAULT_ITEM_NAME = b"conclave/v1/vault/named-item";
    /// Hashed: a sealed item, as the node lists it.
    VAULT_DIGEST = b"conclave/v1/vault/digest";
    /// HKDF info and associated data: a keystore under a passphrase.
    KEYSTORE = b"conclave/v1/keystore/passphrase";
    /// HKDF info and associated data: one record of a client's local store.
    STORE_RECORD = b"conclave/v1/store/record";
    /// HKDF info: the key that hides the names of a local store's records.
    STORE_NAME = b"conclave/v1/store/name";
    /// HKDF info and associated data: a backup under a recovery key.
    BACKUP = b"conclave/v1/backup/recovery";
    /// Hashed: the checksum of a recovery key that is written down.
    RECOVERY_CHECKSUM = b"conclave/v1/backup/checksum";
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn labels_are_unique_and_prefix_free() {
        for (i, a) in ALL.iter().enumerate() {
            for (j, b) in ALL.iter().enumerate() {
                assert!(i == j || !b.starts_with(a), "{} starts {}", a.escape_ascii(), b.escape_ascii());
            }
        }
    }

    #[test]
    fn labels_name_version_part_and_role() {
        for label in ALL {
            let text = label.escape_ascii().to_string();
            let parts: Vec<_> = text.split('/').collect();
            assert!(
                matches!(parts[..], ["conclave", "v1", part, role] if !part.is_empty() && !role.is_empty()),
                "{text}"
            );
        }
    }
}
