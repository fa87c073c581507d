//! Links to the other nodes: one TLS 1.3 connection per pair, raw Ed25519 keys on both sides, bounded everywhere.
//!
//! Spec: RFC 8446, RFC 7250, X25519MLKEM768 as the only key exchange, ALPN `outlast-peer/1`. After the handshake the
//! node that was dialled greets first; then both greet, judge (`table`) and admit; only then is a link *up*.
//!
//! Invariants: only keys that the operator imported get past the handshake; at most one link per peer is up; a link's
//! `Up` comes before its frames and its `Down` after them, and before the next `Up`; a peer that is silent, slow,
//! over-long or sends garbage loses its own link only; frames wait in bounded queues, and an engine that does not
//! read stops the reading from the network instead of filling memory.
//!
//! Absent on purpose: what the frames mean, retransmission (sessions time out and start anew), and relays.

mod accept;
mod core;
mod dial;
mod end;
mod frame;
mod link;
mod table;
mod tls;

pub use end::LinkEnd;
pub(crate) use frame::fuzz_frames;
pub use frame::{HELLO_BYTES_MAX, INCARNATION_BYTES};

use self::core::Core;
use model::card::NodeKey;
use model::ids::NodeId;
use model::limits::{FRAME_BYTES_MAX, PEER_QUEUE_FRAMES_MAX, PEERS_MAX};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Bytes that may wait for one peer; the frame that goes over ends the link.
pub const PEER_QUEUE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Events that may wait for the engine; then the links stop reading.
pub const EVENTS_MAX: usize = 256;
/// Connections without a proven key at a time; one more pushes the oldest out.
pub const HANDSHAKES_MAX: usize = 32;
/// Connections of one trusted peer that wait to be judged at a time.
pub const UNSETTLED_PER_PEER_MAX: usize = 4;
/// Connections of one trusted peer that are judged within [`GREETINGS_PERIOD`]; an honest one waits longer and longer
/// between its dials.
pub const GREETINGS_MAX: u32 = 30;
/// Time that [`GREETINGS_MAX`] stands for.
pub const GREETINGS_PERIOD: Duration = Duration::from_secs(10);

/// What happens on the links.
#[derive(Debug)]
pub enum PeerEvent {
    /// A link is up on both ends.
    Up {
        /// The peer.
        peer: NodeId,
        /// Names the connection in later events.
        connection: u64,
        /// The peer's greeting: incarnation, then what its engine says.
        hello: Vec<u8>,
    },
    /// The link is gone.
    Down {
        /// The peer.
        peer: NodeId,
        /// The connection.
        connection: u64,
        /// Why.
        reason: LinkEnd,
    },
    /// A frame arrived.
    Frame {
        /// The peer.
        peer: NodeId,
        /// The connection.
        connection: u64,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// A second live instance of a peer came and was turned away, because the first one answered.
    Second {
        /// The peer.
        peer: NodeId,
        /// Greeting of the second instance.
        hello: Vec<u8>,
    },
    /// A peer turned this node away, because another instance of this node is alive there.
    TurnedAway {
        /// The peer.
        peer: NodeId,
    },
}

/// Why a frame was not queued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No link is up.
    #[error("no link to the peer")]
    NotConnected,
    /// Over the bound of a frame.
    #[error("a frame of {found} bytes, at most {bound} are allowed")]
    TooLong {
        /// Bytes of the frame.
        found: usize,
        /// The bound.
        bound: usize,
    },
    /// The peer does not keep up; its link is ended.
    #[error("the queue of frames for the peer is full; its link is ended")]
    QueueFull,
}

/// Why a peer was not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// The key is this node's own.
    #[error("a node is not its own peer")]
    Own,
    /// No room.
    #[error("{PEERS_MAX} peers are trusted already")]
    Full,
}

/// How the times of links are bounded.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// A ping at least this often.
    pub ping_every: Duration,
    /// Nothing heard, or nothing taken, for this long: the link ends.
    pub dead_after: Duration,
    /// TLS handshake and greeting, each.
    pub handshake: Duration,
    /// How long a standing link may take to answer when another instance claims its place.
    pub clone_answer: Duration,
    /// First wait before dialling again.
    pub backoff_min: Duration,
    /// Longest wait before dialling again.
    pub backoff_max: Duration,
    /// How much longer the node with the lower id waits, so that two nodes rarely dial each other at once.
    pub dial_grace: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ping_every: Duration::from_secs(2),
            dead_after: Duration::from_secs(10),
            handshake: Duration::from_secs(5),
            clone_answer: Duration::from_secs(2),
            backoff_min: Duration::from_millis(200),
            backoff_max: Duration::from_secs(5),
            dial_grace: Duration::from_millis(300),
        }
    }
}

/// What the manager starts with.
#[derive(Debug)]
pub struct PeerConfig<'a> {
    /// This node's key.
    pub key: &'a NodeKey,
    /// Where to listen; none: this node only dials.
    pub listen: Option<SocketAddr>,
    /// Own greeting: [`INCARNATION_BYTES`] of incarnation, then the engine's bytes.
    pub hello: Vec<u8>,
    /// Bounds of time.
    pub timing: Timing,
}

/// Why the manager does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The TLS stack refused the key.
    #[error("the tls stack refuses this node's key")]
    Tls(#[from] rustls::Error),
    /// The greeting is out of bounds.
    #[error("a greeting has {INCARNATION_BYTES} to {HELLO_BYTES_MAX} bytes, not {0}")]
    Hello(usize),
}

/// What is known of one trusted peer's link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// Where it is dialled; empty: it is only heard.
    pub endpoint: String,
    /// The connection that is up.
    pub connection: Option<u64>,
    /// Why the last link ended or did not come up.
    pub last_end: Option<LinkEnd>,
}

/// Listens, dials and keeps the links. Clones share one set of links; the last one to go ends them.
#[derive(Clone)]
pub struct PeerManager(Arc<Owner>);

struct Owner {
    core: Arc<Core>,
    local_addr: Option<SocketAddr>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.core.begin_shutdown();
    }
}

impl ::core::fmt::Debug for PeerManager {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("PeerManager")
            .field("local_addr", &self.0.local_addr)
            .finish_non_exhaustive()
    }
}

impl PeerManager {
    /// Starts listening. Nobody is trusted yet: see [`PeerManager::trust`].
    pub async fn start(
        config: PeerConfig<'_>,
    ) -> Result<(Self, mpsc::Receiver<PeerEvent>), StartError> {
        let (sender, receiver) = mpsc::channel(EVENTS_MAX);
        let listener = match config.listen {
            None => None,
            Some(address) => Some(
                TcpListener::bind(address)
                    .await
                    .map_err(|source| StartError::Listen { address, source })?,
            ),
        };
        let local_addr = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let core = Arc::new(Core::new(config, sender)?);
        if let Some(listener) = listener {
            accept::start(&core, listener)?;
        }
        Ok((Self(Arc::new(Owner { core, local_addr })), receiver))
    }

    /// The address that peers reach, with the real port.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.0.local_addr
    }

    /// Accepts `peer` from now on, and dials it unless `endpoint` is empty. A new endpoint replaces the old one.
    pub fn trust(&self, peer: NodeId, endpoint: &str) -> Result<(), TrustError> {
        self.0.core.trust(peer, endpoint)
    }

    /// Refuses `peer` from now on and ends its link.
    pub fn distrust(&self, peer: NodeId) {
        self.0.core.distrust(peer);
    }

    /// Changes what later links are greeted with.
    pub fn set_hello(&self, hello: Vec<u8>) -> Result<(), StartError> {
        self.0.core.set_hello(hello)
    }

    /// Queues a frame; never waits.
    pub fn send(&self, peer: NodeId, bytes: Vec<u8>) -> Result<(), SendError> {
        let found = bytes.len();
        if found > FRAME_BYTES_MAX {
            return Err(SendError::TooLong { found, bound: FRAME_BYTES_MAX });
        }
        let live = self.0.core.table.get(&peer).ok_or(SendError::NotConnected)?;
        live.queue(bytes)
    }

    /// Ends the link to `peer` by `reason`, if one is up; it is dialled again.
    pub fn disconnect(&self, peer: NodeId, reason: LinkEnd) {
        if let Some(live) = self.0.core.table.get(&peer) {
            live.end(reason);
        }
    }

    /// Every trusted peer and its link.
    pub fn status(&self) -> BTreeMap<NodeId, PeerStatus> {
        self.0.core.status()
    }

    /// How often links ended or did not come up, by [`LinkEnd::code`], since the start.
    pub fn counters(&self) -> BTreeMap<&'static str, u64> {
        self.0.core.counters()
    }

    /// Bytes of frames that links that were up wrote, before TLS, since the start.
    pub fn bytes_sent(&self) -> u64 {
        self.0.core.bytes_sent()
    }

    /// Closes every link and waits, at most two seconds, until they are closed.
    pub async fn shutdown(&self) {
        self.0.core.shutdown().await;
    }
}

#[cfg(test)]
mod tests;
