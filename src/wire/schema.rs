//! How forms that are written by hand stand in the node's OpenAPI document. The others derive it.

use std::borrow::Cow;

use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::bytes::{ByteString, Bytes};
use super::envelope::{Envelope, Form};
use super::error_code::ErrorCode;
use super::limits::{PAGE_ENTRIES_MAX, PAYLOAD_BYTES_MAX};
use super::log_page::PageLimit;
use super::sealed::SealedBytes;
use super::secret_text::SecretText;
use super::timestamp::Timestamp;
use crate::ids::{
    AccountId, CollectionName, DeviceId, EnvelopeId, InvitationId, ItemId, ItemType, KeyId, LogEpoch, RoomId, SessionId,
};

/// Bytes as text: base64url without padding, whose last character has no stray bits.
fn base64url(length: usize, description: &str) -> RefOr<Schema> {
    let characters = (length * 4).div_ceil(3);
    let last = match length % 3 {
        0 => "",
        1 => "[AQgw]",
        _ => "[AEIMQUYcgkosw048]",
    };
    let free = characters - usize::from(!last.is_empty());
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(format!("{description}: {length} bytes in base64url without padding.")))
        .min_length(Some(characters))
        .max_length(Some(characters))
        .pattern(Some(format!("^[A-Za-z0-9_-]{{{free}}}{last}$")))
        .into()
}

macro_rules! identifiers {
    ($($name:ident: $description:literal,)+) => {
        $(
            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    base64url(Self::LENGTH, $description)
                }
            }

            impl ToSchema for $name {}
        )+
    };
}

identifiers! {
    AccountId: "One person or agent",
    DeviceId: "One installation of an account",
    SessionId: "One sign-in of an account",
    RoomId: "One room",
    EnvelopeId: "One envelope, made by its sender",
    InvitationId: "One invitation into a room",
    LogEpoch: "One life of a log",
    KeyId: "One public key",
    ItemId: "One item of a vault, made by its client",
}

macro_rules! names {
    ($($name:ident: $description:literal,)+) => {
        $(
            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    ObjectBuilder::new()
                        .schema_type(Type::String)
                        .description(Some($description))
                        .min_length(Some(1))
                        .max_length(Some(Self::BYTES_MAX))
                        .pattern(Some("^[a-z0-9_-]+$"))
                        .into()
                }
            }

            impl ToSchema for $name {}
        )+
    };
}

names! {
    CollectionName: "One collection of a vault, named by its client.",
    ItemType: "What kind of thing a vault item is.",
}

impl<const N: usize> PartialSchema for Bytes<N> {
    fn schema() -> RefOr<Schema> {
        base64url(N, "A public key, signature or nonce")
    }
}

impl<const N: usize> ToSchema for Bytes<N> {
    fn name() -> Cow<'static, str> {
        format!("Bytes{N}").into()
    }
}

impl PartialSchema for ByteString {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(format!("At most {PAYLOAD_BYTES_MAX} bytes in base64url without padding.")))
            .max_length(Some((PAYLOAD_BYTES_MAX * 4).div_ceil(3)))
            .pattern(Some("^[A-Za-z0-9_-]*$"))
            .into()
    }
}

impl ToSchema for ByteString {}

impl<const MAX: usize> PartialSchema for SealedBytes<MAX> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(format!("1 to {MAX} bytes, sealed by the client, in base64url without padding.")))
            .min_length(Some(2))
            .max_length(Some((MAX * 4).div_ceil(3)))
            .pattern(Some("^[A-Za-z0-9_-]+$"))
            .into()
    }
}

impl<const MAX: usize> ToSchema for SealedBytes<MAX> {
    fn name() -> Cow<'static, str> {
        format!("SealedBytes{MAX}").into()
    }
}

impl PartialSchema for SecretText {
    fn schema() -> RefOr<Schema> {
        text("A token, code or state: to be kept, and to be logged by nobody.").into()
    }
}

impl ToSchema for SecretText {}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        let description = "Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.";
        ObjectBuilder::new().schema_type(Type::Integer).description(Some(description)).minimum(Some(0)).into()
    }
}

impl ToSchema for Timestamp {}

impl PartialSchema for PageLimit {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(PAGE_ENTRIES_MAX)).into()
    }
}

impl ToSchema for PageLimit {}

impl PartialSchema for ErrorCode {
    fn schema() -> RefOr<Schema> {
        // Each call says which it answers with; more may be added.
        text("What went wrong, stable. Branch on it.").into()
    }
}

impl ToSchema for ErrorCode {}

impl PartialSchema for Envelope {
    fn schema() -> RefOr<Schema> {
        Form::<ByteString>::schema()
    }
}

impl ToSchema for Envelope {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((ByteString::name().into_owned(), ByteString::schema()));
        Form::<ByteString>::schemas(schemas);
    }
}

fn text(description: &str) -> Object {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description)).build()
}
