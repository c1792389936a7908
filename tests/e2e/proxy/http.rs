//! Requests and answers as they pass, one after the other on a connection.
//!
//! Source: RFC 9112, sections 2, 6.2 and 6.3. Neither the SDK nor the node sends chunks.

use conclave::wire::{ErrorCode, Problem};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::tcp::OwnedReadHalf;

/// A message of either side.
#[derive(Debug)]
pub(crate) struct Passing {
    /// Its first line.
    line: String,
    /// Its header lines but `content-length`.
    headers: Vec<String>,
    body: Vec<u8>,
    /// Whether it is kept back, and the connection cut.
    pub(super) is_lost: bool,
}

impl Passing {
    /// The next; none if the connection ends.
    pub(super) async fn read(from: &mut BufReader<OwnedReadHalf>) -> Option<Self> {
        let line = next_line(from).await?;
        let (mut headers, mut length) = (Vec::new(), 0);
        loop {
            let header = next_line(from).await?;
            let lower = header.to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            assert!(!lower.starts_with("transfer-encoding:"), "{header}");
            match lower.strip_prefix("content-length:") {
                Some(value) => length = value.trim().parse().unwrap(),
                None => headers.push(header),
            }
        }
        let mut body = vec![0; length];
        from.read_exact(&mut body).await.ok()?;
        Some(Self { line, headers, body, is_lost: false })
    }

    /// Its bytes. An answer of 101 or 204 has no length.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let Self { line, headers, body, is_lost: _ } = self;
        let length = format!("content-length: {}", body.len());
        let has_length = !self.is_upgrade() && self.status() != Some(204);
        let head = [line].into_iter().chain(headers).chain(has_length.then_some(&length));
        let head: String = head.flat_map(|line| [line.as_str(), "\r\n"]).collect();
        [head.as_bytes(), b"\r\n", body].concat()
    }

    /// What is asked: method and path.
    pub(super) fn asks(&self) -> &str {
        self.line.rsplit_once(' ').unwrap().0
    }

    /// The answer's status.
    fn status(&self) -> Option<u16> {
        self.line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
    }

    pub(super) fn is_upgrade(&self) -> bool {
        self.status() == Some(101)
    }

    /// Is kept back: the node has done what was asked, and nobody hears of it.
    pub(crate) fn lose(&mut self) {
        self.is_lost = true;
    }

    /// Makes a refusal of whatever it is: the node has too much to do, and says for how long.
    pub(crate) fn become_unavailable(&mut self, retry_after_seconds: u64) {
        "HTTP/1.1 503 Service Unavailable".clone_into(&mut self.line);
        let (code, title) = (ErrorCode::Unavailable, "unavailable".to_owned());
        let problem = Problem { status: 503, code, title, detail: None, present: None };
        self.headers =
            vec![format!("content-type: {}", Problem::MEDIA_TYPE), format!("retry-after: {retry_after_seconds}")];
        self.body = serde_json::to_vec(&problem).unwrap();
    }

    /// Makes a success of whatever it is.
    pub(crate) fn become_json(&mut self, value: &impl Serialize) {
        "HTTP/1.1 200 OK".clone_into(&mut self.line);
        self.body = serde_json::to_vec(value).unwrap();
    }

    /// Changes the body, which is JSON of `T`.
    pub(crate) fn change<T: Serialize + DeserializeOwned>(&mut self, change: impl FnOnce(&mut T)) {
        let mut value = serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"));
        change(&mut value);
        self.body = serde_json::to_vec(&value).unwrap();
    }
}

/// A line without its end; none if the connection has ended.
async fn next_line(from: &mut BufReader<OwnedReadHalf>) -> Option<String> {
    let mut line = String::new();
    match from.read_line(&mut line).await {
        Ok(1..) => Some(line.trim_end_matches(['\r', '\n']).to_owned()),
        Ok(0) | Err(_) => None,
    }
}
