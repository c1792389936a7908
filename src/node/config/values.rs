//! Kinds of values that a setting may have. Each is checked where it is read.

use core::fmt;
use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

use actix_web::http::Uri;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tracing_subscriber::EnvFilter;

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Bounded<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Bounded<MIN, MAX> {
    /// A number that is known when the program is built; one out of bounds does not compile.
    #[must_use]
    pub const fn of<const VALUE: u32>() -> Self {
        const { assert!(MIN <= VALUE && VALUE <= MAX, "out of bounds") };
        Self(VALUE)
    }

    /// The number.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0
    }

    /// That many seconds.
    #[must_use]
    pub const fn seconds(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }

    /// That many hours.
    #[must_use]
    pub const fn hours(self) -> Duration {
        Duration::from_secs(self.0 as u64 * 3_600)
    }
}

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Bounded<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = i64::deserialize(deserializer)?;
        let bounded = u32::try_from(value).ok().filter(|value| (MIN..=MAX).contains(value));
        bounded.map(Self).ok_or_else(|| de::Error::custom(format_args!("{value} is not from {MIN} to {MAX}")))
    }
}

/// An `http` or `https` address without query and fragment, as text without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebAddress(String);

impl WebAddress {
    /// Parses an address; none if it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
        let authority = uri.authority()?.as_str();
        let is_plain = !authority.contains('@') && !authority.is_empty() && uri.query().is_none();
        (is_web && is_plain && !text.contains('#')).then(|| Self(text.trim_end_matches('/').to_owned()))
    }

    /// An address that is known when the program is built.
    pub(super) fn fixed(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    /// The address of whatever listens there and speaks that scheme.
    #[must_use]
    pub fn of(scheme: &str, address: SocketAddr) -> Self {
        Self(format!("{scheme}://{address}"))
    }

    /// Whether its host is a loopback address, or `localhost`.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let uri = self.0.parse::<Uri>();
        uri.is_ok_and(|uri| uri.host().is_some_and(is_loopback_host))
    }

    /// Whether it begins with `https`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }

    /// Its origin (RFC 6454): scheme, host and port, without the scheme's own port.
    #[must_use]
    pub fn origin(&self) -> &str {
        let start = self.0.find("://").map_or(0, |at| at + 3);
        let end = self.0.get(start..).and_then(|rest| rest.find('/')).map_or(self.0.len(), |at| start + at);
        let origin = self.0.get(..end).unwrap_or_default();
        let default_port = if self.is_https() { ":443" } else { ":80" };
        origin.strip_suffix(default_port).unwrap_or(origin)
    }

    /// The address of a path below this one; `path` begins with a slash.
    #[must_use]
    pub fn join(&self, path: &str) -> Self {
        Self(format!("{}{path}", self.0))
    }

    /// The text, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a host is a loopback address, or `localhost`. An IPv6 address may stand in brackets.
#[must_use]
pub fn is_loopback_host(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Serialize for WebAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for WebAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format_args!("{text:?} is not an http or https address without query and fragment"))
        })
    }
}

/// Where the node is reached: given, or derived from where it listens. As text: an address, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicAddress {
    /// `http://` and the address that it listens on.
    Derived,
    /// What people and browsers use, for example that of a proxy in front.
    Given(WebAddress),
}

impl PublicAddress {
    /// Whether the node is reached under a loopback address. A derived one is as the listener's.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Derived => true,
            Self::Given(address) => address.is_loopback(),
        }
    }
}

impl Serialize for PublicAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Derived => "",
            Self::Given(address) => address.as_str(),
        })
    }
}

impl<'de> Deserialize<'de> for PublicAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Self::Derived);
        }
        WebAddress::deserialize(de::value::StringDeserializer::new(text)).map(Self::Given)
    }
}

/// An issuer of OpenID Connect: an `https` address, or an `http` one on this machine, character by
/// character as the issuer writes it. As text: the address, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Issuer(String);

impl Issuer {
    /// Parses an address; none if it is something else, or could be read on its way.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_private = |address: &WebAddress| address.is_https() || address.is_loopback();
        WebAddress::parse(text).filter(is_private).map(|_| Self(text.to_owned()))
    }

    /// Whether there is one.
    #[must_use]
    pub const fn is_set(&self) -> bool {
        !self.0.is_empty()
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Issuer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Self::default());
        }
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format_args!("{text:?} is not an https address without query and fragment"))
        })
    }
}

/// What a provider is called: 1 to 32 lowercase letters, digits and hyphens, and not as a built-in one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ProviderName(String);

impl ProviderName {
    /// A name that is known when the program is built.
    pub(super) fn fixed(name: &'static str) -> Self {
        Self(name.to_owned())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for ProviderName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let is_taken = ["development", "github", "google"].contains(&name.as_str());
        if (1..=32).contains(&name.len()) && name.bytes().all(is_allowed) && !is_taken {
            return Ok(Self(name));
        }
        Err(de::Error::custom(format_args!(
            "{name:?} is not 1 to 32 lowercase letters, digits and hyphens, or is the name of a built-in provider"
        )))
    }
}

/// The address of a TURN or STUN server (RFC 7065, RFC 7064): `turn:`, `turns:`, `stun:` or `stuns:`, and a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct TurnUrl(String);

impl TurnUrl {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for TurnUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (scheme, host) = text.split_once(':').unwrap_or_default();
        let is_plain = host.bytes().all(|byte| byte.is_ascii_graphic()) && !host.starts_with('/');
        if matches!(scheme, "turn" | "turns" | "stun" | "stuns") && !host.is_empty() && is_plain {
            return Ok(Self(text));
        }
        Err(de::Error::custom(format_args!("{text:?} is not the address of a TURN server: \"turn:turn.example:3478\"")))
    }
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

/// Which log lines are written: `info`, or with targets, `warn,conclave=debug,audit=info`.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct LogFilter(String);

impl Default for LogFilter {
    /// What the node does; of the server below it, what goes wrong.
    fn default() -> Self {
        Self("info,actix_server=warn".to_owned())
    }
}

impl LogFilter {
    /// The filter itself.
    #[must_use]
    pub fn to_filter(&self) -> EnvFilter {
        // The text was parsed before; should it not parse, errors still come out.
        EnvFilter::try_new(&self.0).unwrap_or_else(|_| EnvFilter::new("error"))
    }
}

impl fmt::Debug for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogFilter({})", self.0)
    }
}

impl<'de> Deserialize<'de> for LogFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        EnvFilter::try_new(&text).map_err(de::Error::custom)?;
        Ok(Self(text))
    }
}
