//! Pair state: what two nodes keep between them so that their ECDSA multiplications are cheap.
//!
//! Both directions of DKLs23's oblivious-transfer correlation and a seed for shares of zero, made once per node pair by
//! [`PairSetup`] and used by every vault of the pair. It is independent of any key and as secret as a share: sealed like
//! one, never backed up, with an epoch of its own, used by one process only.
//!
//! Spec: `docs/spec/signing.md`, steps `PAIR-n`. Invariants: K1, K6 ([`PairGate`] is its discipline).
//! Impure on purpose: the engine `dkls23-core` draws its own randomness. Its types print secrets in `Debug`, so they
//! stay inside private newtypes here; every call into it is under `catch_unwind`.

pub mod gate;
mod setup;

pub(crate) use setup::fuzz_setup;

pub use gate::{Failure, PairGate, Settled, Ticket};
pub use setup::{PairSetup, PairStep};

use dkls23_core::utilities::multiplication::{MulReceiver, MulSender};
use k256::Secp256k1 as K256;
use model::ids::{NodeId, PairEpoch};
use model::secret::Secret;
use model::wire::{Reader, WireError, Writer, tags};
use zeroize::{Zeroize, Zeroizing};

/// Version of the stored form.
const STATE_VERSION: u8 = 1;
/// Bytes of one direction's stored correlation at most (about 30 kB is honest).
const DIRECTION_BYTES_MAX: usize = 64 * 1024;

/// Why a pair state was not made or not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    /// A node does not pair with itself.
    #[error("a node cannot pair with itself")]
    SameNode,
    /// The peer's message is not one.
    #[error("the peer's setup message is malformed")]
    Malformed(#[source] WireError),
    /// The peer runs another setup: other nodes, another epoch or another nonce.
    #[error("the peer's message belongs to another pair setup")]
    Context,
    /// The peer saw other first messages than we did.
    #[error("the two ends saw different setup messages")]
    Transcript,
    /// The opened seed is not the committed one.
    #[error("the peer's seed does not open its commitment")]
    Commitment,
    /// A proof of the peer's oblivious-transfer message failed.
    #[error("the peer's oblivious-transfer setup failed: {0}")]
    Engine(String),
    /// The engine panicked on this message.
    #[error("the engine panicked in {0}")]
    Panicked(&'static str),
    /// Stored bytes are not a pair state.
    #[error("the stored pair state is malformed")]
    Stored(#[source] WireError),
    /// Stored parts have wrong dimensions.
    #[error("the stored pair state has wrong dimensions")]
    Dimensions,
}

impl PairError {
    /// Stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::SameNode => "pair_same_node",
            Self::Malformed(_) => "pair_malformed",
            Self::Context => "pair_context",
            Self::Transcript => "pair_transcript",
            Self::Commitment => "pair_commitment",
            Self::Engine(_) => "pair_engine",
            Self::Panicked(_) => "pair_panicked",
            Self::Stored(_) => "pair_stored",
            Self::Dimensions => "pair_dimensions",
        }
    }
}

/// What one end of a pair keeps.
///
/// # Security
/// Whoever has it and is the peer reads this node's inputs to every later signature of the pair (finding 36).
pub struct PairState {
    me: NodeId,
    peer: NodeId,
    epoch: PairEpoch,
    id: [u8; 32],
    /// Where we send: our correlation is what a traitor would want.
    sender: MulSender<K256>,
    receiver: MulReceiver<K256>,
    zero_seed: Secret<[u8; 32]>,
}

impl PairState {
    /// This end.
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// The other end.
    pub fn peer(&self) -> NodeId {
        self.peer
    }

    /// Version of this pair's state.
    pub fn epoch(&self) -> PairEpoch {
        self.epoch
    }

    /// Public id that both ends derive equally; a restored node is told apart by it before any check can fail.
    pub fn id(&self) -> [u8; 32] {
        self.id
    }

    pub(crate) fn sender(&self) -> &MulSender<K256> {
        &self.sender
    }

    pub(crate) fn receiver(&self) -> &MulReceiver<K256> {
        &self.receiver
    }

    pub(crate) fn zero_seed(&self) -> &Secret<[u8; 32]> {
        &self.zero_seed
    }

    /// The stored form; to be sealed like a share and never backed up.
    pub fn to_bytes(&self) -> Secret<Vec<u8>> {
        let mut w = Writer::default();
        w.header(tags::PAIR_STATE, STATE_VERSION);
        w.fixed(&self.me.0);
        w.fixed(&self.peer.0);
        w.u32(self.epoch.0);
        w.fixed(&self.id);
        // One allocation of more than the final size: growing would leave copies of secrets behind.
        let mut out = Vec::with_capacity(DIRECTION_BYTES_MAX.saturating_mul(2));
        out.extend_from_slice(&w.into_bytes());
        out.extend_from_slice(self.zero_seed.expose());
        append(&mut out, &self.sender);
        append(&mut out, &self.receiver);
        Secret::new(out)
    }

    /// Reads the stored form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PairError> {
        let mut r = Reader::new(bytes);
        let state = Self::read(&mut r).map_err(PairError::Stored)?;
        r.finish().map_err(PairError::Stored)?;
        let dimensions = state.sender.check_state().and(state.receiver.check_state(None));
        dimensions.map_err(|_| PairError::Dimensions)?;
        Ok(state)
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.header(tags::PAIR_STATE, STATE_VERSION)?;
        let (me, peer) = (NodeId(r.fixed()?), NodeId(r.fixed()?));
        let (epoch, id) = (PairEpoch(r.u32()?), r.fixed()?);
        let zero_seed = Secret::new(r.fixed()?);
        let sender = Zeroizing::new(r.bytes(DIRECTION_BYTES_MAX)?);
        let receiver = Zeroizing::new(r.bytes(DIRECTION_BYTES_MAX)?);
        Ok(Self {
            me,
            peer,
            epoch,
            id,
            sender: postcard::from_bytes(&sender).map_err(|_| WireError::Range("sender"))?,
            receiver: postcard::from_bytes(&receiver).map_err(|_| WireError::Range("receiver"))?,
            zero_seed,
        })
    }

    /// Wipes the secrets now; the engine's own `Drop` would do it when the last owner lets go.
    pub fn destroy(mut self) {
        self.sender.zeroize();
        self.receiver.zeroize();
    }
}

/// Length, then the engine's own form: its types can only be stored through serde, one field is private.
#[expect(clippy::expect_used, reason = "a state of checked dimensions takes about 30 kB of 64")]
fn append<T: serde::Serialize>(out: &mut Vec<u8>, direction: &T) {
    let mut buffer = Zeroizing::new(vec![0u8; DIRECTION_BYTES_MAX]);
    let written = postcard::to_slice(direction, &mut buffer).expect("a direction fits");
    let length = u32::try_from(written.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(written);
}

/// Names the ends, the epoch and the public id; nothing secret.
impl core::fmt::Debug for PairState {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PairState")
            .field("me", &self.me)
            .field("peer", &self.peer)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

/// Runs one call into an engine that documents panics; a panic becomes an error that names the step.
///
/// State that a panic leaves half-changed is dropped by every caller, so unwinding cannot expose it.
pub(crate) fn guarded<T>(step: &'static str, call: impl FnOnce() -> T) -> Result<T, &'static str> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).map_err(|_| step)
}
