//! Where a browser may be sent with an authorization code.

use super::error::SignInError;
use crate::node::config::WebAddress;
use crate::node::store::limits::REDIRECT_URI_BYTES_MAX;

/// The node's own page that shows code and state, for whoever gives no address.
pub const CALLBACK_PATH: &str = "/auth/callback";

/// Where a provider sends browsers back to: what is registered there. The node sends them on.
pub(super) fn callback_path(provider: &str) -> String {
    format!("/auth/{provider}/callback")
}

/// The addresses that a browser may be sent to: those of the settings, the node's own page, and
/// loopback addresses of any port, where programs on the user's own machine listen (RFC 8252,
/// section 7.3).
#[derive(Clone, Debug)]
pub struct Redirects {
    callback: WebAddress,
    allowed: Vec<WebAddress>,
}

impl Redirects {
    /// The addresses of the settings, and the page of a node at `public_url`.
    #[must_use]
    pub fn new(public_url: &WebAddress, allowed: &[WebAddress]) -> Self {
        Self { callback: public_url.join(CALLBACK_PATH), allowed: allowed.to_vec() }
    }

    /// The address to send a browser to; without one, the node's own page.
    ///
    /// # Errors
    /// [`SignInError::RedirectRefused`].
    pub fn choose(&self, asked: Option<&str>) -> Result<WebAddress, SignInError> {
        let Some(text) = asked else { return Ok(self.callback.clone()) };
        let address = WebAddress::parse(text).filter(|_| text.len() <= REDIRECT_URI_BYTES_MAX);
        let is_allowed = |address: &WebAddress| {
            // No loopback address has a certificate.
            let is_own_machine = address.is_loopback() && !address.is_https();
            *address == self.callback || self.allowed.contains(address) || is_own_machine
        };
        address.filter(is_allowed).ok_or(SignInError::RedirectRefused)
    }
}

/// Everything but letters, digits and `-._~` as `%` and two digits (RFC 3986, section 2.1).
pub(super) fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn choose(asked: &str) -> bool {
        let address = |text| WebAddress::parse(text).unwrap();
        let redirects = Redirects::new(&address("https://node.example"), &[address("https://app.example/signed-in")]);
        redirects.choose(Some(asked)).is_ok()
    }

    #[test]
    fn named_and_loopback_addresses_are_taken() {
        for asked in [
            "https://node.example/auth/callback",
            "https://app.example/signed-in",
            "http://127.0.0.1:4000/done",
            "http://127.9.8.7/",
            "http://[::1]:4000/done",
            "http://localhost:4000",
        ] {
            assert!(choose(asked), "{asked}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let long = format!("http://127.0.0.1/{}", "a".repeat(2_048));
        for asked in [
            "https://app.example/signed-in/../other",
            "https://app.example/signed-in?next=x",
            "https://app.example.evil.example/signed-in",
            "https://app.example",
            "http://app.example/signed-in",
            "http://127.0.0.1.evil.example/",
            "http://127.0.0.1@evil.example/",
            "http://localhost.evil.example/",
            "http://192.0.2.7/",
            "https://127.0.0.1/",
            "http://127.0.0.1/#fragment",
            "javascript:alert(1)",
            "//evil.example/",
            "/auth/callback",
            "",
            &long,
        ] {
            assert!(!choose(asked), "{asked}");
        }
    }

    #[test]
    fn addresses_are_encoded_whole() {
        assert_eq!(percent_encoded("http://[::1]:1/a&b=é"), "http%3A%2F%2F%5B%3A%3A1%5D%3A1%2Fa%26b%3D%C3%A9");
        assert_eq!(percent_encoded("Az09-._~"), "Az09-._~");
    }
}
