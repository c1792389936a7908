//! Sign-in with a browser on this machine (RFC 8252, section 7.3): it comes back to a port that is open for this alone.

use core::time::Duration;

use data_encoding::HEXLOWER_PERMISSIVE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::{SignIn, SignInError, SignedIn};
use crate::wire::{CompleteFlow, SecretText, StartFlow};

impl SignIn {
    /// Signs in at a provider with a browser on this machine. `open` is given the address to open in it; then it waits
    /// until the browser comes back.
    ///
    /// # Errors
    /// [`SignInError::Refused`] if the provider gives no code; [`SignInError::Expired`] after ten minutes;
    /// [`SignInError::Loopback`], [`SignInError::Api`].
    pub async fn loopback(self, provider: &str, open: impl FnOnce(&SecretText)) -> Result<SignedIn, SignInError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let redirect_uri = format!("http://{}/signed-in", listener.local_addr()?);
        let start = StartFlow { provider: provider.to_owned(), redirect_uri: Some(redirect_uri) };
        let flow = self.api.start_flow(&start).await?;
        open(&flow.authorization_url);
        let back = timeout(BROWSER_TIMEOUT, comes_back(&listener, flow.state.expose())).await;
        let Back { code, iss } = back.map_err(|_| SignInError::Expired)??;
        let code = code.ok_or(SignInError::Refused)?;
        let tokens = self.api.complete_flow(&CompleteFlow { code, state: flow.state, iss }).await?;
        Ok(self.signed_in(tokens))
    }
}

/// What the browser came back with.
struct Back {
    code: Option<SecretText>,
    iss: Option<String>,
}

/// Waits for the request that has our state; others, of which browsers make some by themselves, are turned away.
async fn comes_back(listener: &TcpListener, state: &str) -> Result<Back, SignInError> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        let Ok(Ok(target)) = timeout(REQUEST_TIMEOUT, read_target(&mut stream)).await else { continue };
        let query = target.strip_prefix("/signed-in?");
        let parameter = |name: &str| {
            let mut parts = query?.split('&').filter_map(|part| part.split_once('='));
            parts.find(|(given, _)| *given == name).and_then(|(_, value)| decoded(value))
        };
        if parameter("state").as_deref() != Some(state) {
            answer(&mut stream, "404 Not Found", "There is nothing here.").await;
            continue;
        }
        let back = Back { code: parameter("code").map(SecretText::new), iss: parameter("iss") };
        let text = match back.code {
            Some(_) => "You are signed in. You may close this page.",
            None => "You are not signed in. You may close this page.",
        };
        answer(&mut stream, "200 OK", text).await;
        return Ok(back);
    }
}

/// The target of an HTTP request: what stands between `GET` and the version.
async fn read_target(stream: &mut TcpStream) -> Result<String, SignInError> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if request.len() == REQUEST_BYTES_MAX {
            return Err(SignInError::Refused);
        }
        request.push(stream.read_u8().await?);
    }
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    match (words.next(), words.next()) {
        (Some(b"GET"), Some(target)) => String::from_utf8(target.to_vec()).map_err(|_| SignInError::Refused),
        _ => Err(SignInError::Refused),
    }
}

async fn answer(stream: &mut TcpStream, status: &str, text: &str) {
    let body = format!("<!doctype html><html lang=\"en\"><title>Conclave</title><p>{text}</p></html>");
    let response = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         referrer-policy: no-referrer\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    // The sign-in does not hang on whether the page is seen.
    let _ = timeout(REQUEST_TIMEOUT, stream.write_all(response.as_bytes())).await;
    let _ = stream.shutdown().await;
}

/// `%` and two digits for a byte (RFC 3986, section 2.1), and `+` for a space.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        match first {
            b'%' => {
                let (digits, behind) = rest.split_at_checked(2)?;
                bytes.extend(HEXLOWER_PERMISSIVE.decode(digits).ok()?);
                rest = behind;
            }
            b'+' => bytes.push(b' '),
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// How long somebody has to sign in: as long as the node keeps the flow.
const BROWSER_TIMEOUT: Duration = Duration::from_secs(600);

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

const REQUEST_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_percent_encoded_is_read() {
        assert_eq!(decoded("https%3A%2F%2fissuer.example+x").as_deref(), Some("https://issuer.example x"));
        for broken in ["%", "%4", "%zz", "%ff"] {
            assert_eq!(decoded(broken), None, "{broken}");
        }
    }
}
