//! The secrets of sign-in and of invitations: tokens, and what a pending sign-in keeps.
//!
//! A token is 32 random bytes. Its text form is base64url without padding, 43 characters. It leaves
//! the node once, to the client that it is for; the node keeps its [`TokenHash`] alone, from which
//! it cannot be found: 256 random bits are not guessed. Each kind is hashed under a label of its
//! own, so a refresh token presented as an access token is one that nobody knows.
//!
//! Nothing here compares a token with another in constant time, because nothing compares tokens:
//! they are looked up by hash. What the time of a lookup tells about a hash says nothing of the
//! token, and nobody can choose a token whose hash begins in a given way faster than by trying.
//!
//! [`CodeVerifier`] is different: the node has to show it to the provider, so a pending sign-in
//! stores it as it is, until the sign-in is completed or given up (RFC 7636).

use core::fmt;
use core::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::protocol::public::labels;

/// Bytes of every secret here: far more than can be guessed.
const LENGTH: usize = 32;

/// Characters of its text form.
const TEXT_LENGTH: usize = 43;

/// The text is none of 43 characters of base64url without padding.
///
/// It says no more: the text may be a token with one character too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token")]
pub struct TokenError;

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Zeroize, ZeroizeOnDrop)]
        pub struct $name([u8; LENGTH]);

        impl $name {
            /// Draws a new one, uniformly.
            #[must_use]
            pub fn generate(rng: &mut impl CryptoRng) -> Self {
                let mut secret = Self([0; LENGTH]);
                rng.fill_bytes(&mut secret.0);
                secret
            }

            /// The text form, 43 characters. It is as secret as the value.
            #[must_use]
            pub fn to_text(&self) -> Zeroizing<String> {
                Zeroizing::new(BASE64URL_NOPAD.encode(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = TokenError;

            fn from_str(text: &str) -> Result<Self, TokenError> {
                parse(text).map(|bytes| Self(*bytes))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

macro_rules! token {
    ($(#[$doc:meta])* $name:ident, $label:ident) => {
        secret! {
            $(#[$doc])*
            $name
        }

        impl $name {
            /// What the node stores of it: SHA-256 over the label of its kind and the 32 bytes.
            #[must_use]
            pub fn hash(&self) -> TokenHash {
                TokenHash(Sha256::new().chain_update(labels::$label).chain_update(self.0).finalize().into())
            }
        }
    };
}

token! {
    /// Shows that a request comes from a session.
    AccessToken, ACCESS_TOKEN
}
token! {
    /// Buys the next pair of tokens of a session, once.
    RefreshToken, REFRESH_TOKEN
}
token! {
    /// The `state` of a pending sign-in (RFC 6749, section 10.12): whoever completes it has seen it
    /// begin.
    FlowState, FLOW_STATE
}
token! {
    /// An authorization code that the built-in provider gave out.
    AuthorizationCode, AUTHORIZATION_CODE
}
token! {
    /// Lets whoever has it into a room.
    InvitationToken, INVITATION_TOKEN
}

token! {
    /// Opens a socket of a session, once and within seconds: for pages.
    Ticket, TICKET
}

token! {
    /// The code by which a device without a browser asks whether it is signed in (RFC 8628, section 3.2).
    DeviceCode, DEVICE_CODE
}
token! {
    /// The cookie of a browser that signs a device in: whoever comes back from the provider is who went there.
    BrowserSecret, BROWSER
}

secret! {
    /// The PKCE verifier of a pending sign-in (RFC 7636, section 4.1); the provider sees its text
    /// form.
    CodeVerifier
}

impl CodeVerifier {
    /// What the provider is told when the sign-in begins: SHA-256 of the verifier's text form,
    /// which is the method `S256` (RFC 7636, section 4.2).
    #[must_use]
    pub fn challenge(&self) -> CodeChallenge {
        CodeChallenge(Sha256::digest(self.to_text().as_bytes()).into())
    }

    pub(in crate::node) const fn from_bytes(bytes: [u8; LENGTH]) -> Self {
        Self(bytes)
    }

    pub(in crate::node) const fn as_bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }
}

macro_rules! public_value {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub struct $name([u8; LENGTH]);

        impl $name {
            pub(in crate::node) const fn from_bytes(bytes: [u8; LENGTH]) -> Self {
                Self(bytes)
            }

            pub(in crate::node) const fn as_bytes(&self) -> &[u8; LENGTH] {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = TokenError;

            fn from_str(text: &str) -> Result<Self, TokenError> {
                parse(text).map(|bytes| Self(*bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                BASE64URL_NOPAD.encode_display(&self.0).fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

public_value! {
    /// What a PKCE verifier is checked against. It stands in the authorization URL.
    CodeChallenge
}
public_value! {
    /// Ties an ID token to the sign-in that asked for it (OpenID Connect Core 1.0, section
    /// 3.1.2.1). It stands in the authorization URL and in the ID token.
    Nonce
}

impl Nonce {
    /// Draws a new one, uniformly.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; LENGTH];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }
}

/// SHA-256 of a token under the label of its kind: what the store knows it by. Whoever reads it
/// cannot use it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash([u8; LENGTH]);

impl TokenHash {
    /// Of a secret that is no token; its label is its own.
    pub(in crate::node) fn of(label: &[u8], secret: &[u8]) -> Self {
        Self(Sha256::new().chain_update(label).chain_update(secret).finalize().into())
    }

    pub(in crate::node) const fn from_bytes(bytes: [u8; LENGTH]) -> Self {
        Self(bytes)
    }

    pub(in crate::node) const fn as_bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// Reads the text form of 32 bytes into a place that is wiped.
fn parse(text: &str) -> Result<Zeroizing<[u8; LENGTH]>, TokenError> {
    let mut bytes = Zeroizing::new([0; LENGTH]);
    if text.len() != TEXT_LENGTH {
        return Err(TokenError);
    }
    BASE64URL_NOPAD.decode_mut(text.as_bytes(), &mut *bytes).map_err(|_| TokenError)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(7)
    }

    #[test]
    fn text_form_has_43_characters_and_round_trips() {
        let token = AccessToken::generate(&mut rng());

        let text = token.to_text();

        assert_eq!(text.len(), TEXT_LENGTH);
        assert_eq!(text.parse::<AccessToken>().unwrap().0, token.0);
    }

    #[test]
    fn other_texts_are_no_tokens() {
        let good = AccessToken::generate(&mut rng()).to_text();
        let stray_bits = format!("{}B", "A".repeat(42));
        let texts = ["", "A", &good[1..], &format!("{}=", *good), &"+".repeat(43), &stray_bits, &"é".repeat(21)];

        for text in texts {
            assert_eq!(text.parse::<AccessToken>().unwrap_err(), TokenError, "{text}");
        }
    }

    #[test]
    fn one_value_has_another_hash_as_each_kind_of_token() {
        let text = "A".repeat(TEXT_LENGTH);
        let hashes = [
            text.parse::<AccessToken>().unwrap().hash(),
            text.parse::<RefreshToken>().unwrap().hash(),
            text.parse::<FlowState>().unwrap().hash(),
            text.parse::<AuthorizationCode>().unwrap().hash(),
            text.parse::<InvitationToken>().unwrap().hash(),
            text.parse::<DeviceCode>().unwrap().hash(),
            text.parse::<BrowserSecret>().unwrap().hash(),
        ];

        let distinct: std::collections::BTreeSet<_> = hashes.into_iter().collect();

        assert_eq!(distinct.len(), hashes.len());
    }

    /// RFC 7636, appendix B.
    #[test]
    fn challenge_is_that_of_the_rfc() {
        let verifier: CodeVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".parse().unwrap();

        assert_eq!(verifier.challenge().to_string(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn debug_shows_no_value() {
        let mut rng = rng();

        assert_eq!(format!("{:?}", AccessToken::generate(&mut rng)), "AccessToken(..)");
        assert_eq!(format!("{:?}", RefreshToken::generate(&mut rng)), "RefreshToken(..)");
        assert_eq!(format!("{:?}", CodeVerifier::generate(&mut rng)), "CodeVerifier(..)");
        assert_eq!(format!("{:?}", RefreshToken::generate(&mut rng).hash()), "TokenHash(..)");
    }
}
