//! Credentials for a TURN server, which relays calls between members who do not reach each other. They are good for a
//! short time, and need no account there: server and node share a secret.
//!
//! The user name is `expiry:random`: seconds since 1970 until which it is good, and 12 random bytes in base64url. It tells the
//! server nothing of who calls, and two credentials of one account have nothing in common. The credential is
//! `base64(HMAC-SHA1(secret, user name))`. SHA-1 is what TURN servers take; that collisions of it can be found does not
//! touch HMAC.
//!
//! What an attacker can still do: who has a credential can use the server as a relay until it expires; the server's own
//! quotas and its list of addresses that it refuses stand against that. Who has the secret can make credentials.
//!
//! Source: draft-uberti-behave-turn-rest-00; RFC 2104.

use core::fmt;
use core::time::Duration;

use aws_lc_rs::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use rand_core::Rng;

use super::config::{self, ConfigError, TurnUrl};
use super::entropy::{self, EntropyError};
use crate::wire::{SecretText, Timestamp, TurnCredentials};

/// A TURN server that the node makes credentials for.
pub struct Turn {
    urls: Vec<TurnUrl>,
    key: hmac::Key,
    ttl: Duration,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { urls, key: _, ttl } = self;
        f.debug_struct("Turn").field("urls", urls).field("ttl", ttl).finish_non_exhaustive()
    }
}

impl Turn {
    /// As the settings say; none if they name no server.
    ///
    /// # Errors
    /// [`ConfigError`] if the secret's file cannot be read.
    pub fn new(settings: &config::Turn) -> Result<Option<Self>, ConfigError> {
        let (urls, ttl) = (settings.urls.clone(), settings.ttl_seconds.seconds());
        Ok(settings.secret()?.map(|secret| Self { urls, key: key(&secret), ttl }))
    }

    /// Credentials that are good from now on, for as long as the settings say.
    ///
    /// # Errors
    /// [`EntropyError`].
    pub fn issue(&self, now: Timestamp) -> Result<TurnCredentials, EntropyError> {
        let mut random = [0; 12];
        entropy::generator()?.fill_bytes(&mut random);
        // Whole seconds, as in the user name.
        let expires_at_seconds = now.plus(self.ttl).as_millis() / 1_000;
        let username = format!("{expires_at_seconds}:{}", BASE64URL_NOPAD.encode(&random));
        Ok(TurnCredentials {
            urls: self.urls.iter().map(|url| url.as_str().to_owned()).collect(),
            credential: credential(&self.key, &username),
            username,
            expires_at: Timestamp::from_millis(expires_at_seconds * 1_000),
        })
    }
}

fn key(secret: &SecretText) -> hmac::Key {
    hmac::Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.expose().as_bytes())
}

fn credential(key: &hmac::Key, username: &str) -> SecretText {
    SecretText::new(BASE64.encode(hmac::sign(key, username.as_bytes()).as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2202, section 3, test case 2, in base64; and two by Python's `hmac`, one with a key longer than a block.
    #[test]
    fn credentials_are_as_others_compute_them() {
        let long = "x".repeat(100);
        for (secret, username, expected) in [
            ("Jefe", "what do ya want for nothing?", "7/zfauXrL6LSdBbV8YTfnCWafHk="),
            ("north", "1800003600:AAECAwQFBgcICQoL", "xgQeHFe/2rsQDHNIlPKmCeWTA3w="),
            (&long, "1800003600:AAECAwQFBgcICQoL", "t0idNiACV6V4FqQyFSwXu0q3Bug="),
        ] {
            let key = key(&SecretText::new(secret.to_owned()));
            assert_eq!(credential(&key, username).expose(), expected);
        }
    }
}
