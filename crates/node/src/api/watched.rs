//! Why a connection of the API ended when its caller was slow: a name for each, and what tells them apart.
//!
//! hyper bounds the time of a request's head from the last answer on, and calls both a caller that dribbles and one that
//! merely keeps an idle connection a time-out. Bytes that came since the last answer tell one from the other.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What the caller did not do in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SlowEnd {
    /// Finish the TLS handshake.
    Handshake,
    /// Finish the head of a request that it began.
    Head,
    /// Begin a request.
    Idle,
    /// Take the answer.
    Answer,
    /// Ask anything while others waited for a place.
    MadeRoom,
}

impl SlowEnd {
    /// Stable name.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Handshake => "slow_handshake",
            Self::Head => "slow_head",
            Self::Idle => "idle",
            Self::Answer => "slow_answer",
            Self::MadeRoom => "made_room",
        }
    }

    /// Names the end of a connection; none when nobody was slow.
    pub(super) fn of(error: &hyper::Error, begun: bool) -> Option<Self> {
        let cause = std::error::Error::source(error).and_then(|e| e.downcast_ref::<io::Error>());
        match (error.is_timeout(), begun) {
            (true, true) => Some(Self::Head),
            (true, false) => Some(Self::Idle),
            // The kernel gave the connection up: nothing of an answer was taken for too long.
            _ if cause.is_some_and(|e| e.kind() == io::ErrorKind::TimedOut) => Some(Self::Answer),
            _ => None,
        }
    }
}

/// A stream that notes whether bytes came since the last ones left.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    begun: Arc<AtomicBool>,
}

impl<S> Watched<S> {
    /// The stream, and what it notes.
    pub(super) fn new(stream: S) -> (Self, Arc<AtomicBool>) {
        let begun = Arc::new(AtomicBool::new(false));
        (Self { stream, begun: Arc::clone(&begun) }, begun)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.begun.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.begun.store(false, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.begun.store(false, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
