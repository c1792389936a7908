//! Where a node is, and whether what is said to it can be read on the way.

use std::net::IpAddr;

use clap::Args;
use reqwest::Url;

/// How a command may speak with its node.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Transport {
    /// Speaks with a node on another machine without TLS (`http://`). Whoever sits in between can take the session and act
    /// as you: they read no message, but see to whom you write, and can hold back or delete what the node keeps.
    #[arg(long)]
    insecure: bool,
}

/// Why a node's URL is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    /// A node is found by an address with a host.
    #[error("--url must be an address as http://127.0.0.1:7400 or https://node.example")]
    Url,
    /// The session's tokens would go over the network as they are.
    #[error(
        "the node is on another machine, and http:// shows your session's tokens to whoever sits in between: \
         use https://, or take the risk with --insecure"
    )]
    Open,
}

impl Transport {
    /// Whether a node's URL may be used. Says so on standard error if it is used at a risk.
    ///
    /// # Errors
    /// [`AddressError`].
    pub(super) fn check(self, url: &str) -> Result<(), AddressError> {
        let url = Url::parse(url).map_err(|_| AddressError::Url)?;
        let host = url.host_str().ok_or(AddressError::Url)?;
        match url.scheme() {
            "https" => Ok(()),
            "http" if is_loopback(host) => Ok(()),
            "http" if self.insecure => {
                eprintln!(
                    "This node is reached without TLS: whoever sits in between can take your session. Messages stay sealed."
                );
                Ok(())
            }
            "http" => Err(AddressError::Open),
            _ => Err(AddressError::Url),
        }
    }
}

/// Whether a host is this machine, by its address or its name (RFC 6761, section 6.3).
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        || host == "localhost"
        || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAREFUL: Transport = Transport { insecure: false };
    const INSECURE: Transport = Transport { insecure: true };

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for url in [
            "https://node.example",
            "https://10.0.0.7:7400",
            "http://127.0.0.1:7400",
            "http://127.8.0.1",
            "http://localhost/x",
            "http://LOCALHOST:7400",
            "http://node.localhost:7400",
            "http://[::1]",
            "http://[::1]:74",
        ] {
            assert_eq!(CAREFUL.check(url), Ok(()), "{url}");
        }
        for url in [
            "http://node.example",
            "http://10.0.0.7:7400",
            "http://0.0.0.0:7400",
            "http://127.0.0.1.example/",
            "http://localhost.example",
            "http://notlocalhost",
            "http://[fe80::1]:7400",
            // Before the `@` stands a name and a password.
            "http://127.0.0.1:7400@node.example/",
            "http://localhost@node.example",
        ] {
            assert_eq!(CAREFUL.check(url), Err(AddressError::Open), "{url}");
            assert_eq!(INSECURE.check(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn what_is_no_address_of_a_node_is_refused_at_any_risk() {
        for url in ["node.example", "node.example:7400", "ftp://node.example", "file:///tmp", "http://", ""] {
            assert_eq!(INSECURE.check(url), Err(AddressError::Url), "{url}");
        }
    }
}
