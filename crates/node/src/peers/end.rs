//! Why a link did not come up, or ended.

use core::time::Duration;

/// Why a link did not come up, or ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkEnd {
    /// The other end closed the connection.
    #[error("the peer closed the connection")]
    Closed,
    /// Nothing was heard for too long.
    #[error("nothing was heard for {0:?}")]
    Silent(Duration),
    /// A frame that was begun did not come whole in time: the peer dribbles.
    #[error("a frame that was begun was not whole after {0:?}")]
    SlowFrame(Duration),
    /// Frames that are whole, and hold what this node's engine cannot read.
    #[error("the peer sent too much that does not read")]
    Garbage,
    /// The peer connects again and again.
    #[error("more than {bound} connections of the peer within {within:?}")]
    TooOften {
        /// The bound.
        bound: u32,
        /// Time that it stands for.
        within: Duration,
    },
    /// The peer does not read what it is sent.
    #[error("the peer took no bytes for {0:?}")]
    Stalled(Duration),
    /// More frames wait for the peer than the queue holds.
    #[error("the queue of frames for the peer is full")]
    QueueFull,
    /// A newer or preferred connection took its place.
    #[error("replaced by another connection of the same peer")]
    Replaced,
    /// The runner asked for a new connection.
    #[error("ended by this node to connect anew")]
    Renewed,
    /// Another connection between the same two instances lives.
    #[error("another connection to the same instance lives")]
    Duplicate,
    /// The peer's key is in use by another live instance.
    #[error("another live instance of the peer is connected")]
    AnotherInstance,
    /// The peer holds a connection to another live instance of this node.
    #[error("the peer is connected to another live instance of this node")]
    AnotherInstanceOfUs,
    /// A frame over its bound.
    #[error("a frame of {found} bytes, at most {bound} are allowed")]
    Oversized {
        /// Bytes announced.
        found: usize,
        /// The bound.
        bound: usize,
    },
    /// The connection ended inside a frame.
    #[error("the connection ended inside a frame")]
    Truncated,
    /// A frame that does not read, or stands where it must not.
    #[error("malformed frame: {0}")]
    Malformed(String),
    /// The other end's key is not the one wanted, or not trusted here.
    #[error("the other end's key is not trusted here")]
    UnknownKey,
    /// The other end does not trust this node's key.
    #[error("the other end does not trust this node's key; ask its operator to import the card")]
    NotTrustedThere,
    /// No post-quantum hybrid key exchange in common.
    #[error("no key exchange in common; X25519MLKEM768 is the only one allowed")]
    NoCommonKeyExchange,
    /// The other end speaks another protocol or version.
    #[error("the other end does not speak outlast-peer/1")]
    OtherProtocol,
    /// The handshake did not end in time.
    #[error("the handshake did not end within {0:?}")]
    HandshakeTimeout(Duration),
    /// A newer handshake took the slot.
    #[error("pushed out by newer handshakes")]
    PushedOut,
    /// Too many connections of one peer wait to be judged.
    #[error("too many unsettled connections of the peer")]
    TooMany,
    /// The peer is no longer trusted.
    #[error("the peer is no longer trusted")]
    Distrusted,
    /// This node stops.
    #[error("this node stops")]
    Shutdown,
    /// TLS failed otherwise.
    #[error("tls: {0}")]
    Tls(String),
    /// The network failed.
    #[error("network: {0}")]
    Io(String),
}

impl LinkEnd {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Silent(_) => "silent",
            Self::SlowFrame(_) => "slow_frame",
            Self::Garbage => "garbage",
            Self::TooOften { .. } => "too_often",
            Self::Stalled(_) => "stalled",
            Self::QueueFull => "queue_full",
            Self::Replaced => "replaced",
            Self::Renewed => "renewed",
            Self::Duplicate => "duplicate",
            Self::AnotherInstance => "another_instance",
            Self::AnotherInstanceOfUs => "another_instance_of_us",
            Self::Oversized { .. } => "oversized_frame",
            Self::Truncated => "truncated_frame",
            Self::Malformed(_) => "malformed_frame",
            Self::UnknownKey => "unknown_key",
            Self::NotTrustedThere => "not_trusted_there",
            Self::NoCommonKeyExchange => "no_common_key_exchange",
            Self::OtherProtocol => "other_protocol",
            Self::HandshakeTimeout(_) => "handshake_timeout",
            Self::PushedOut => "pushed_out",
            Self::TooMany => "too_many_connections",
            Self::Distrusted => "distrusted",
            Self::Shutdown => "shutdown",
            Self::Tls(_) => "tls",
            Self::Io(_) => "network",
        }
    }
}
