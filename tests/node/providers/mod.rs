//! Sign-in at providers elsewhere: a real OpenID provider in a process of its own, also under Google's name, servers that
//! misbehave as an attacker's would, GitHub's shape, and devices without a browser.

pub(crate) mod browser;
pub(crate) mod device;
pub(crate) mod github;
mod google;
mod oidc_provider;
mod open_id;
pub(crate) mod played;

use conclave::node::config::{ClientSecret, Issuer, Settings};
use conclave::wire::SecretText;

/// What the node shows to providers, and to nobody else.
pub(crate) const CLIENT_SECRET: &str = "canary-client-secret";

/// Switches sign-in at an issuer on, under the name `openid`.
fn use_issuer(settings: &mut Settings, issuer: &str) {
    settings.openid.issuer = Issuer::parse(issuer).unwrap();
    settings.openid.client_id = String::from("conclave");
    settings.openid.client_secret = client_secret();
}

fn client_secret() -> ClientSecret {
    ClientSecret::new(SecretText::new(CLIENT_SECRET.to_owned()))
}

/// A parameter of an address, decoded.
#[track_caller]
pub(crate) fn parameter(url: &str, name: &str) -> String {
    let url = reqwest::Url::parse(url).unwrap();
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.unwrap_or_else(|| panic!("no {name}")).1.into_owned()
}
