//! Frames of the WebSocket protocol: reading what a client sends, writing what the node sends.
//!
//! The reader takes bytes as they come and gives whole messages. It holds bytes only while a message is
//! incomplete, so an idle connection owns no buffer. What is longer than its limit is refused when its
//! header says so, before it arrives. No extension is negotiated: reserved bits are an error.
//!
//! Frame: 1 byte `FIN`, three reserved bits and 4 bits of opcode; 1 byte mask bit and 7 bits of length; 0, 2
//! or 8 bytes of longer length, big endian; 4 bytes of mask from a client; payload.
//!
//! Source: RFC 6455, sections 5 to 8.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::close::CloseCode;

/// A whole message or a control frame of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A text message; it is UTF-8.
    Text(Bytes),
    /// A binary message.
    Binary(Bytes),
    /// A ping, at most 125 bytes; it is answered by a pong of the same bytes.
    Ping(Bytes),
    /// A pong.
    Pong,
    /// The client closes, with its code if it gave one.
    Close(Option<u16>),
}

/// Why a connection cannot go on. Nothing that the client sent is repeated in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Against the protocol.
    #[error("against the WebSocket protocol: {what}")]
    Protocol {
        /// What is wrong.
        what: &'static str,
    },
    /// A text, or the reason of a close, is not UTF-8.
    #[error("a text is not UTF-8")]
    NotUtf8,
    /// A message is over the limit.
    #[error("a message has at most {limit} bytes")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// A message is in more pieces than the limit.
    #[error("a message has at most {limit} fragments")]
    TooManyFragments {
        /// The limit.
        limit: usize,
    },
}

impl FrameError {
    /// The code that the connection is closed with.
    #[must_use]
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::Protocol { .. } => CloseCode::Protocol,
            Self::NotUtf8 => CloseCode::NotUtf8,
            Self::TooLong { .. } | Self::TooManyFragments { .. } => CloseCode::TooLong,
        }
    }
}

/// Turns a client's bytes into messages.
#[derive(Debug)]
pub struct FrameReader {
    /// Bytes of the frame that is not whole yet.
    buffer: BytesMut,
    /// The message that is not whole yet.
    partial: Option<Partial>,
    message_bytes_max: usize,
}

/// A message of which fragments are missing.
#[derive(Debug)]
struct Partial {
    is_text: bool,
    bytes: BytesMut,
    /// How much of it is known to be UTF-8, where it is text.
    valid: usize,
    fragments: usize,
}

impl FrameReader {
    /// A reader of messages of up to `message_bytes_max` bytes.
    #[must_use]
    pub fn new(message_bytes_max: usize) -> Self {
        Self { buffer: BytesMut::new(), partial: None, message_bytes_max }
    }

    /// Takes bytes in the order in which they came.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message or control frame, if it is whole.
    ///
    /// # Errors
    /// [`FrameError`]; the connection is to be closed then, and the reader is of no more use.
    pub fn read(&mut self) -> Result<Option<Incoming>, FrameError> {
        while let Some(header) = Header::parse(&self.buffer)? {
            self.check_length(&header)?;
            if self.buffer.len() < header.length + header.payload_length {
                return Ok(None);
            }
            self.buffer.advance(header.length);
            let mut payload = self.buffer.split_to(header.payload_length);
            if self.buffer.is_empty() {
                // The memory is given back with the message.
                self.buffer = BytesMut::new();
            }
            unmask(&mut payload, header.mask);
            if let Some(incoming) = self.take(&header, payload)? {
                return Ok(Some(incoming));
            }
        }
        Ok(None)
    }

    fn check_length(&self, header: &Header) -> Result<(), FrameError> {
        let before = self.partial.as_ref().map_or(0, |partial| partial.bytes.len());
        let limit = self.message_bytes_max;
        if header.opcode.is_data() && header.payload_length > limit.saturating_sub(before) {
            return Err(FrameError::TooLong { limit });
        }
        Ok(())
    }

    /// Fragments that one message may come in. Without a limit, empty ones could be sent for ever.
    const fn fragments_max(&self) -> usize {
        FRAGMENTS_FREE + self.message_bytes_max / FRAGMENT_BYTES_MEAN_MIN
    }

    /// Takes one whole frame.
    fn take(&mut self, header: &Header, payload: BytesMut) -> Result<Option<Incoming>, FrameError> {
        match header.opcode {
            Opcode::Ping => Ok(Some(Incoming::Ping(payload.freeze()))),
            Opcode::Pong => Ok(Some(Incoming::Pong)),
            Opcode::Close => close_code(&payload).map(|code| Some(Incoming::Close(code))),
            Opcode::Text | Opcode::Binary => {
                if self.partial.is_some() {
                    return Err(FrameError::Protocol { what: "a new message within another" });
                }
                let is_text = header.opcode == Opcode::Text;
                self.extend(Partial { is_text, bytes: payload, valid: 0, fragments: 1 }, header.is_final)
            }
            Opcode::Continuation => {
                let Some(mut partial) = self.partial.take() else {
                    return Err(FrameError::Protocol { what: "a continuation of nothing" });
                };
                partial.bytes.unsplit(payload);
                partial.fragments += 1;
                let limit = self.fragments_max();
                if partial.fragments > limit {
                    return Err(FrameError::TooManyFragments { limit });
                }
                self.extend(partial, header.is_final)
            }
        }
    }

    /// Keeps a message until its last fragment. Text that cannot become UTF-8 any more is refused at once.
    fn extend(&mut self, mut partial: Partial, is_final: bool) -> Result<Option<Incoming>, FrameError> {
        if partial.is_text {
            let rest = partial.bytes.get(partial.valid..).unwrap_or_default();
            partial.valid += match core::str::from_utf8(rest) {
                Ok(text) => text.len(),
                // The end of it may be the beginning of a character.
                Err(error) if error.error_len().is_none() && !is_final => error.valid_up_to(),
                Err(_) => return Err(FrameError::NotUtf8),
            };
        }
        if !is_final {
            self.partial = Some(partial);
            return Ok(None);
        }
        let bytes = partial.bytes.freeze();
        Ok(Some(if partial.is_text { Incoming::Text(bytes) } else { Incoming::Binary(bytes) }))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    const fn is_data(self) -> bool {
        matches!(self, Self::Continuation | Self::Text | Self::Binary)
    }
}

struct Header {
    is_final: bool,
    opcode: Opcode,
    mask: [u8; 4],
    /// Bytes of the header itself.
    length: usize,
    payload_length: usize,
}

impl Header {
    /// Parses the header at the start of `bytes`; none while it is not whole.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, FrameError> {
        let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
        if first & 0b0111_0000 != 0 {
            return Err(FrameError::Protocol { what: "a reserved bit is set" });
        }
        let opcode = match first & 0x0f {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            _ => return Err(FrameError::Protocol { what: "an unknown opcode" }),
        };
        let is_final = first & 0x80 != 0;
        if second & 0x80 == 0 {
            return Err(FrameError::Protocol { what: "a frame without a mask" });
        }
        let short = second & 0x7f;
        if !opcode.is_data() && (!is_final || short > 125) {
            return Err(FrameError::Protocol { what: "a control frame in fragments or over 125 bytes" });
        }
        let (extra, payload_length, longest_shorter) = match short {
            126 => match rest.first_chunk::<2>() {
                Some(bytes) => (2, u64::from(u16::from_be_bytes(*bytes)), 125),
                None => return Ok(None),
            },
            127 => match rest.first_chunk::<8>() {
                Some(bytes) => (8, u64::from_be_bytes(*bytes), u64::from(u16::MAX)),
                None => return Ok(None),
            },
            short => (0, u64::from(short), 0),
        };
        if extra > 0 && payload_length <= longest_shorter {
            return Err(FrameError::Protocol { what: "a length that has a shorter form" });
        }
        let Some(mask) = rest.get(extra..).and_then(|rest| rest.first_chunk::<4>()) else { return Ok(None) };
        // What does not fit is over every limit.
        let payload_length = usize::try_from(payload_length).unwrap_or(usize::MAX);
        Ok(Some(Self { is_final, opcode, mask: *mask, length: 2 + extra + 4, payload_length }))
    }
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let word = u64::from(u32::from_ne_bytes(mask));
    let word = word << 32 | word;
    let mut chunks = payload.chunks_exact_mut(8);
    for chunk in &mut chunks {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(chunk);
        chunk.copy_from_slice(&(u64::from_ne_bytes(bytes) ^ word).to_ne_bytes());
    }
    for (byte, mask) in chunks.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// The code of a close frame: 2 bytes big endian, then a reason in UTF-8; or nothing at all.
fn close_code(payload: &[u8]) -> Result<Option<u16>, FrameError> {
    match payload {
        [] => Ok(None),
        [_] => Err(FrameError::Protocol { what: "a close code of one byte" }),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                return Err(FrameError::Protocol { what: "a close code that may not be sent" });
            }
            core::str::from_utf8(reason).map_err(|_| FrameError::NotUtf8)?;
            Ok(Some(code))
        }
    }
}

/// One frame of the node: whole, without a mask.
fn frame(opcode: u8, payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(payload.len() + 10);
    bytes.put_u8(0x80 | opcode);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ ..=125), _) => bytes.put_u8(length),
        (_, Ok(length)) => {
            bytes.put_u8(126);
            bytes.put_u16(length);
        }
        _ => {
            bytes.put_u8(127);
            bytes.put_u64(payload.len() as u64);
        }
    }
    bytes.put_slice(payload);
    bytes.freeze()
}

/// A text message.
#[must_use]
pub fn text(payload: &[u8]) -> Bytes {
    frame(1, payload)
}

/// A binary message.
#[must_use]
pub fn binary(payload: &[u8]) -> Bytes {
    frame(2, payload)
}

/// The answer to a ping, of at most 125 bytes.
#[must_use]
pub fn pong(payload: &[u8]) -> Bytes {
    frame(10, payload)
}

/// A ping without content.
#[must_use]
pub fn ping() -> Bytes {
    frame(9, &[])
}

/// A close with a code, and no reason: clients branch on codes.
#[must_use]
pub fn close(code: u16) -> Bytes {
    frame(8, &code.to_be_bytes())
}

/// Fragments that a message may come in: so many, and one for each so many bytes of the longest message.
const FRAGMENTS_FREE: usize = 16;
const FRAGMENT_BYTES_MEAN_MIN: usize = 64;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    /// A client's frame.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [0x11, 0x22, 0x33, 0x44];
        let mut bytes = frame(0, payload).to_vec();
        bytes[0] = first;
        bytes[1] |= 0x80;
        let header = bytes.len() - payload.len();
        bytes.splice(header..header, mask);
        for (byte, mask) in bytes[header + 4..].iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Option<Incoming>, FrameError> {
        let mut reader = FrameReader::new(100_000);
        reader.feed(bytes);
        reader.read()
    }

    fn text_of(bytes: &str) -> Incoming {
        Incoming::Text(Bytes::copy_from_slice(bytes.as_bytes()))
    }

    #[test]
    fn messages_of_every_form_of_length_come_whole_also_byte_by_byte() {
        for length in [0, 1, 7, 8, 9, 125, 126, 127, 65_535, 65_536, 70_001] {
            let payload: Vec<u8> = (0..length).map(|index| u8::try_from(index % 251).unwrap()).collect();
            let bytes = masked(0x82, &payload);
            assert_eq!(read(&bytes).unwrap(), Some(Incoming::Binary(payload.clone().into())), "{length}");

            let mut reader = FrameReader::new(100_000);
            let (last, before) = bytes.split_last().unwrap();
            for byte in before {
                reader.feed(&[*byte]);
                if length < 200 {
                    assert_eq!(reader.read().unwrap(), None);
                }
            }
            reader.feed(&[*last]);
            assert_eq!(reader.read().unwrap(), Some(Incoming::Binary(payload.into())), "{length}");
            assert_eq!(reader.buffer.capacity(), 0, "an idle connection owns no buffer");
        }
    }

    #[test]
    fn fragments_are_joined_with_control_frames_between_them() {
        let mut reader = FrameReader::new(10);
        for (first, payload) in [(0x01, "h\u{e9}".as_bytes()), (0x89, b"?"), (0x00, b""), (0x80, b"y")] {
            reader.feed(&masked(first, payload));
        }
        assert_eq!(reader.read().unwrap(), Some(Incoming::Ping(Bytes::from_static(b"?"))));
        assert_eq!(reader.read().unwrap(), Some(text_of("h\u{e9}y")));
        assert_eq!(reader.read().unwrap(), None);
    }

    #[test]
    fn a_character_may_be_split_between_fragments_and_not_be_cut_off() {
        let mut reader = FrameReader::new(10);
        reader.feed(&masked(0x01, &[0xc3]));
        assert_eq!(reader.read(), Ok(None));
        reader.feed(&masked(0x80, &[0xa9]));
        assert_eq!(reader.read().unwrap(), Some(text_of("\u{e9}")));

        assert_eq!(read(&masked(0x81, &[0xc3])), Err(FrameError::NotUtf8));
        // Refused with the fragment that shows it, not at the end.
        assert_eq!(read(&masked(0x01, &[0xff])), Err(FrameError::NotUtf8));
    }

    #[test]
    fn what_is_too_long_is_refused_by_its_header_alone() {
        let limit = 1_000;
        let mut reader = FrameReader::new(limit);
        reader.feed(&masked(0x82, &vec![0; limit]));
        assert!(reader.read().unwrap().is_some());
        for (length, bytes) in [(limit + 1, 8), (1 << 40, 14)] {
            let mut reader = FrameReader::new(limit);
            let mut header = vec![0x82];
            if length <= 65_535 {
                header.push(0xfe);
                header.extend(u16::try_from(length).unwrap().to_be_bytes());
            } else {
                header.push(0xff);
                header.extend((length as u64).to_be_bytes());
            }
            header.extend([0; 4]);
            assert_eq!(header.len(), bytes);
            reader.feed(&header);
            assert_eq!(reader.read(), Err(FrameError::TooLong { limit }));
        }
    }

    #[test]
    fn a_message_in_fragments_has_the_limits_of_a_whole_one() {
        let mut reader = FrameReader::new(10);
        reader.feed(&masked(0x02, &[0; 6]));
        reader.feed(&masked(0x00, &[0; 4]));
        reader.feed(&masked(0x80, &[0; 1]));
        assert_eq!(reader.read(), Err(FrameError::TooLong { limit: 10 }));

        let mut reader = FrameReader::new(640);
        let limit = reader.fragments_max();
        assert_eq!(limit, 26);
        reader.feed(&masked(0x02, &[]));
        for _ in 1..limit {
            reader.feed(&masked(0x00, &[]));
        }
        assert_eq!(reader.read(), Ok(None));
        reader.feed(&masked(0x00, &[]));
        assert_eq!(reader.read(), Err(FrameError::TooManyFragments { limit }));
    }

    #[test]
    fn what_the_protocol_forbids_is_refused() {
        let cases: &[(&str, Vec<u8>)] = &[
            ("reserved bit", masked(0xc1, b"x")),
            ("unknown opcode", masked(0x83, b"x")),
            ("unknown control opcode", masked(0x8b, b"")),
            ("no mask", frame(1, b"x").to_vec()),
            ("long ping", masked(0x89, &[0; 126])),
            ("ping in fragments", masked(0x09, b"")),
            ("continuation of nothing", masked(0x80, b"x")),
            ("message within a message", [masked(0x01, b"x"), masked(0x81, b"y")].concat()),
            ("7 bits of length in 16", [&[0x82, 0xfe, 0, 125, 0, 0, 0, 0][..], &[0; 125]].concat()),
            ("16 bits of length in 64", [&[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff][..], &[0; 8]].concat()),
            ("close of one byte", masked(0x88, &[3])),
            ("close 1005", masked(0x88, &1005_u16.to_be_bytes())),
            ("close 999", masked(0x88, &999_u16.to_be_bytes())),
            ("close 5000", masked(0x88, &5000_u16.to_be_bytes())),
        ];
        for (name, bytes) in cases {
            let mut reader = FrameReader::new(1_000);
            reader.feed(bytes);
            assert!(matches!(reader.read(), Err(FrameError::Protocol { .. })), "{name}");
        }
        let reason = [&1000_u16.to_be_bytes()[..], &[0xff]].concat();
        assert_eq!(read(&masked(0x88, &reason)), Err(FrameError::NotUtf8));
    }

    #[test]
    fn closes_carry_their_code() {
        assert_eq!(read(&masked(0x88, b"")), Ok(Some(Incoming::Close(None))));
        for code in [1000, 1003, 1007, 1014, 3000, 4999_u16] {
            assert_eq!(read(&masked(0x88, &code.to_be_bytes())), Ok(Some(Incoming::Close(Some(code)))));
        }
    }
}
