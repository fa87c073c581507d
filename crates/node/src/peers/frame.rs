//! Frames on a link: `u32` length, one byte of kind, payload.
//!
//! The length counts kind and payload. A frame over its bound, of an unknown kind or cut short ends the link.

use super::LinkEnd;
use super::tls;
use model::limits::FRAME_BYTES_MAX;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of an incarnation, the first of every greeting.
pub const INCARNATION_BYTES: usize = 16;
/// Bytes of a greeting at most.
pub const HELLO_BYTES_MAX: usize = 16 * 1024;

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// First frame of each side: incarnation and what the engine says.
    Hello(Vec<u8>),
    /// The sender has judged the link and wants it.
    Admit,
    /// The sender does not want the link.
    Refuse(Refusal),
    /// Answer with the same number.
    Ping(u64),
    /// The answer.
    Pong(u64),
    /// The engine's bytes.
    Data(Vec<u8>),
}

/// Why a side does not want a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Another link between the same two instances lives.
    Duplicate,
    /// Another instance with the same key is alive.
    AnotherInstance,
}

const HELLO: u8 = 1;
const ADMIT: u8 = 2;
const REFUSE: u8 = 3;
const PING: u8 = 4;
const PONG: u8 = 5;
const DATA: u8 = 6;

impl Frame {
    /// Appends the frame's bytes.
    pub(super) fn write_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello(bytes) => push(out, HELLO, bytes),
            Self::Admit => push(out, ADMIT, &[]),
            Self::Refuse(Refusal::Duplicate) => push(out, REFUSE, &[1]),
            Self::Refuse(Refusal::AnotherInstance) => push(out, REFUSE, &[2]),
            Self::Ping(number) => push(out, PING, &number.to_be_bytes()),
            Self::Pong(number) => push(out, PONG, &number.to_be_bytes()),
            Self::Data(bytes) => push(out, DATA, bytes),
        }
    }

    fn parse(kind: u8, payload: Vec<u8>) -> Result<Self, LinkEnd> {
        let bad = || LinkEnd::Malformed(format!("kind {kind} with {} bytes", payload.len()));
        let number = || payload.as_slice().try_into().map(u64::from_be_bytes).map_err(|_| bad());
        match (kind, payload.as_slice()) {
            (HELLO, hello) if (INCARNATION_BYTES..=HELLO_BYTES_MAX).contains(&hello.len()) => {
                Ok(Self::Hello(payload))
            }
            (ADMIT, []) => Ok(Self::Admit),
            (REFUSE, [1]) => Ok(Self::Refuse(Refusal::Duplicate)),
            (REFUSE, [2]) => Ok(Self::Refuse(Refusal::AnotherInstance)),
            (PING, _) => number().map(Self::Ping),
            (PONG, _) => number().map(Self::Pong),
            (DATA, _) => Ok(Self::Data(payload)),
            _ => Err(bad()),
        }
    }
}

fn push(out: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    // Senders are held to FRAME_BYTES_MAX, far below u32; a wrong length would only end this link.
    let length = u32::try_from(payload.len().saturating_add(1)).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.push(kind);
    out.extend_from_slice(payload);
}

/// Reads one frame; a close between two frames is [`LinkEnd::Closed`], inside one it is [`LinkEnd::Truncated`].
pub(super) async fn read<R: AsyncRead + Unpin>(reader: &mut R) -> Result<Frame, LinkEnd> {
    let first = begin(reader).await?;
    finish(first, reader).await
}

/// Reads the first byte of a frame: until it is there a link may be silent.
pub(super) async fn begin<R: AsyncRead + Unpin>(reader: &mut R) -> Result<u8, LinkEnd> {
    reader.read_u8().await.map_err(|error| tls::name(&error))
}

/// Reads the rest of a frame.
pub(super) async fn finish<R: AsyncRead + Unpin>(
    first: u8,
    reader: &mut R,
) -> Result<Frame, LinkEnd> {
    let cut = |error: std::io::Error| match tls::name(&error) {
        LinkEnd::Closed => LinkEnd::Truncated,
        other => other,
    };
    let mut length = [first, 0, 0, 0];
    let [_, rest @ ..] = &mut length;
    reader.read_exact(rest).await.map_err(cut)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length == 0 {
        return Err(LinkEnd::Malformed("empty frame".into()));
    }
    if length > FRAME_BYTES_MAX.saturating_add(1) {
        return Err(LinkEnd::Oversized { found: length, bound: FRAME_BYTES_MAX });
    }
    let kind = reader.read_u8().await.map_err(cut)?;
    let mut payload = vec![0u8; length.saturating_sub(1)];
    reader.read_exact(&mut payload).await.map_err(cut)?;
    Frame::parse(kind, payload)
}

/// Reads as many frames as `data` holds and writes them again. A slice is never pending, so nothing waits here.
pub(crate) fn fuzz_frames(mut data: &[u8]) -> Vec<u8> {
    let mut again = Vec::new();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        let read = std::pin::pin!(read(&mut data)).poll(&mut context);
        let std::task::Poll::Ready(Ok(frame)) = read else { return again };
        frame.write_to(&mut again);
    }
}

/// Writes one frame and flushes it.
pub(super) async fn write<W: AsyncWrite + Unpin>(
    writer: &mut W,
    frame: &Frame,
) -> Result<(), LinkEnd> {
    let mut bytes = Vec::new();
    frame.write_to(&mut bytes);
    writer.write_all(&bytes).await.map_err(|error| tls::name(&error))?;
    writer.flush().await.map_err(|error| tls::name(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_bytes(mut bytes: &[u8]) -> Result<Frame, LinkEnd> {
        read(&mut bytes).await
    }

    #[tokio::test]
    async fn frames_read_back_and_every_cut_is_named() {
        let frames = [
            Frame::Hello(vec![7; INCARNATION_BYTES]),
            Frame::Admit,
            Frame::Refuse(Refusal::Duplicate),
            Frame::Refuse(Refusal::AnotherInstance),
            Frame::Ping(1),
            Frame::Pong(u64::MAX),
            Frame::Data(vec![]),
            Frame::Data(vec![9; FRAME_BYTES_MAX]),
        ];
        for frame in frames {
            let mut bytes = Vec::new();
            frame.write_to(&mut bytes);
            for cut in [0, 1, 3, 4, bytes.len() - 1] {
                let expected = if cut == 0 { LinkEnd::Closed } else { LinkEnd::Truncated };
                assert_eq!(read_bytes(&bytes[..cut]).await, Err(expected));
            }
            assert_eq!(read_bytes(&bytes).await, Ok(frame));
        }
    }

    #[tokio::test]
    async fn bad_frames_are_named() {
        let bytes = |kind: u8, payload: &[u8]| {
            let mut out = Vec::new();
            push(&mut out, kind, payload);
            out
        };
        let cases = [
            (vec![0, 0, 0, 0], "malformed_frame"),
            (vec![0xff; 8], "oversized_frame"),
            (bytes(DATA, &vec![0; FRAME_BYTES_MAX + 1]), "oversized_frame"),
            (bytes(HELLO, &[0; INCARNATION_BYTES - 1]), "malformed_frame"),
            (bytes(HELLO, &[0; HELLO_BYTES_MAX + 1]), "malformed_frame"),
            (bytes(ADMIT, &[0]), "malformed_frame"),
            (bytes(REFUSE, &[3]), "malformed_frame"),
            (bytes(PING, &[0; 7]), "malformed_frame"),
            (bytes(99, &[]), "malformed_frame"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(read_bytes(&bytes).await.unwrap_err().code(), expected);
        }
    }
}
