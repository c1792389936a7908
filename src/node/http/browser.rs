//! The one cookie of the node: what a browser is known by while it signs in a device that has none. It acts for
//! nobody: it shows that whoever comes back from the provider is who went there.
//!
//! It comes with nothing that another site sends (`SameSite=Lax`, and all that changes something is no plain
//! navigation). Where there is TLS its name begins with `__Host-`, so that no neighbouring host can set it.

use actix_web::HttpRequest;
use actix_web::http::header::COOKIE;

use crate::node::config::WebAddress;
use crate::node::tokens::BrowserSecret;

/// Seconds that a browser keeps it: as long as a sign-in may take at most.
const LIFETIME_SECONDS: u32 = 3_600;

fn name(public_url: &WebAddress) -> &'static str {
    if public_url.is_https() { "__Host-conclave-browser" } else { "conclave-browser" }
}

/// What the browser is known by, if it has been here.
pub(super) fn secret(request: &HttpRequest, public_url: &WebAddress) -> Option<BrowserSecret> {
    let cookies = request.headers().get_all(COOKIE).filter_map(|header| header.to_str().ok());
    let mut pairs = cookies.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name(public_url)).and_then(|(_, value)| value.parse().ok())
}

/// The header that gives a browser its cookie.
pub(super) fn cookie(secret: &BrowserSecret, public_url: &WebAddress) -> String {
    let secure = if public_url.is_https() { "; Secure" } else { "" };
    let (name, value) = (name(public_url), secret.to_text());
    format!("{name}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age={LIFETIME_SECONDS}{secure}", *value)
}
