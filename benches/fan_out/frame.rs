//! WebSocket frames as a client has them, without any work that could be left out: the client is not what is measured.
//!
//! Source: RFC 6455, section 5.2.

/// A binary message of a client. Its mask is zero, which a server has to take off like any other.
pub(crate) fn from_client(payload: &[u8]) -> Vec<u8> {
    masked(0x82, payload)
}

/// The answer to a ping.
pub(crate) fn pong(payload: &[u8]) -> Vec<u8> {
    masked(0x8a, payload)
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match u16::try_from(payload.len()) {
        Ok(length @ ..126) => bytes.push(0x80 | u8::try_from(length).unwrap()),
        Ok(length) => {
            bytes.push(0xfe);
            bytes.extend(length.to_be_bytes());
        }
        Err(_) => {
            bytes.push(0xff);
            bytes.extend((payload.len() as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend_from_slice(payload);
    bytes
}

/// Where the first frame in `bytes` has its payload, and where it ends. None while it is not whole. The mask of a client's
/// is skipped.
pub(crate) fn first(bytes: &[u8]) -> Option<(usize, usize)> {
    let &[_, second, ref rest @ ..] = bytes else { return None };
    let (extra, length) = match second & 0x7f {
        126 => (2, usize::from(u16::from_be_bytes(*rest.first_chunk()?))),
        127 => (8, usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).unwrap()),
        short => (0, usize::from(short)),
    };
    let begin = 2 + extra + if second & 0x80 == 0 { 0 } else { 4 };
    (bytes.len() >= begin + length).then_some((begin, begin + length))
}

/// Cuts a stream of a server's bytes into frames. It keeps bytes only of a frame that is not whole.
#[derive(Default)]
pub(crate) struct Frames {
    begun: Vec<u8>,
}

impl Frames {
    /// Takes bytes in the order in which they came, and shows each frame that is whole: its first byte, and its payload.
    pub(crate) fn take(&mut self, bytes: &[u8], mut each: impl FnMut(u8, &[u8])) {
        if self.begun.is_empty() {
            let rest = show(bytes, &mut each);
            self.begun.extend_from_slice(&bytes[rest..]);
        } else {
            self.begun.extend_from_slice(bytes);
            let rest = show(&self.begun, &mut each);
            self.begun.drain(..rest);
            if self.begun.is_empty() {
                self.begun = Vec::new();
            }
        }
    }
}

/// Shows the whole frames; where the rest begins.
fn show(bytes: &[u8], each: &mut impl FnMut(u8, &[u8])) -> usize {
    let mut begin = 0;
    while let Some((payload, end)) = first(&bytes[begin..]) {
        each(bytes[begin], &bytes[begin + payload..begin + end]);
        begin += end;
    }
    begin
}
