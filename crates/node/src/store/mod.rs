//! What a node must not lose: its journal and its sealed secrets, written together or not at all.
//!
//! Invariants: one [`Batch`] is one transaction and one `fsync`; the journal is gapless from sequence 0; a secret
//! never touches the disk in clear and opens only under its own name, node and schema; after a write error of
//! unknown outcome nothing more is written until the store is opened anew.
//!
//! Absent on purpose: protection against a whole older copy of the file, which no file can give itself. Authority
//! on freshness is the peers. Nonces never come here.

mod fsync_probe;
mod inspect;
mod reserve;
mod sqlite;

pub use fsync_probe::raw_fsync_probe;
pub use inspect::inspect;
pub use sqlite::{SqliteStore, StoreOptions};

use model::secret::Secret;
use std::collections::BTreeMap;

/// Bytes of the name of a secret at most.
pub const SECRET_NAME_BYTES_MAX: usize = 512;

/// One atomic, durable write.
#[derive(Debug, Default)]
pub struct Batch {
    /// Public journal entries with their sequence numbers, in order.
    pub entries: Vec<(u64, Vec<u8>)>,
    /// Secrets to write, by name. They are sealed before they reach the file.
    pub puts: Vec<(String, Secret<Vec<u8>>)>,
    /// Secrets to delete; done before the puts.
    pub deletes: Vec<String>,
    /// Public records to write or, without bytes, to drop, by name. They lie open in the file.
    pub public: Vec<(String, Option<Vec<u8>>)>,
    /// Deleted and replaced secrets must also be gone from the file and its write-ahead log when `commit` returns.
    pub destroy: bool,
}

impl Batch {
    /// True when nothing has to be written.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
            && self.puts.is_empty()
            && self.deletes.is_empty()
            && self.public.is_empty()
    }
}

/// Everything in the store.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The journal from sequence 0.
    pub entries: Vec<Vec<u8>>,
    /// The secrets, opened.
    pub secrets: BTreeMap<String, Secret<Vec<u8>>>,
}

/// Durable state of one node. One writer; every call blocks until the disk has answered.
pub trait Store: Send {
    /// Reads everything and checks every seal and the journal's numbering.
    fn load(&mut self) -> Result<Loaded, StoreError>;
    /// Reads every secret, opened.
    fn secrets(&mut self) -> Result<BTreeMap<String, Secret<Vec<u8>>>, StoreError>;
    /// Reads at most `limit` entries from `sequence` on.
    fn entries_from(
        &mut self,
        sequence: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError>;
    /// Reads one public record.
    fn record(&mut self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;
    /// The number that the next journal entry must bear.
    fn next_sequence(&self) -> u64;
    /// Writes the batch whole, durably, or not at all.
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError>;
    /// Destroys these secrets as the last act before the node stops: written down first, with room kept for it. Until it
    /// went through, the store does not open again ([`StoreError::PairNotDestroyed`]).
    fn destroy(&mut self, names: &[String]) -> Result<(), StoreError>;
    /// Writes and syncs one small row, so that readiness rests on a real write.
    fn probe_writable(&mut self) -> Result<(), StoreError>;
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No room. Nothing was changed; works again once there is room.
    #[error("the disk or the store's page limit is full")]
    Full,
    /// The file is no longer a sound database of this kind.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// A secret does not open under its own name.
    #[error(
        "the secret `{0}` does not open: its bytes were changed, moved or come from another node"
    )]
    Tampered(String),
    /// Another data key made this store.
    #[error("the data key is not the one that sealed this store")]
    WrongKey,
    /// Another node made this store.
    #[error("the store belongs to node {found}, not to {wanted}")]
    OtherNode {
        /// Node in the file, hex.
        found: String,
        /// Node that opens it, hex.
        wanted: String,
    },
    /// Written by a newer build.
    #[error("the store has schema {found}; this build reads up to {known}")]
    Schema {
        /// Schema in the file.
        found: i64,
        /// Schema of this build.
        known: i64,
    },
    /// Another process holds the store.
    #[error("another process holds the store")]
    Locked,
    /// A journal entry bears another number than the next one.
    #[error("journal entry {found} where {wanted} is next")]
    Gap {
        /// Number that is next.
        wanted: u64,
        /// Number found.
        found: u64,
    },
    /// The name of a secret is empty or over its bound.
    #[error("the name of a secret has {0} bytes; 1 to {SECRET_NAME_BYTES_MAX} are allowed")]
    Name(usize),
    /// The batch is durable, but the old bytes may still be in the file.
    #[error("the batch is written, but destroyed secrets may still be in the file: {0}")]
    NotDestroyed(String),
    /// The state of a stopped pair is still in the file, and the store is not used before it is gone.
    #[error("the state of a stopped pair could not be destroyed, and the store stays closed: {0}")]
    PairNotDestroyed(String),
    /// An earlier write failed with unknown outcome; open the store anew.
    #[error("an earlier write failed; the store must be opened anew")]
    Poisoned,
    /// The disk or the database refused.
    #[error("the store cannot be read or written: {0}")]
    Io(String),
}

impl StoreError {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full => "store_full",
            Self::Corrupt(_) => "store_corrupt",
            Self::Tampered(_) => "store_tampered",
            Self::WrongKey => "store_wrong_key",
            Self::OtherNode { .. } => "store_other_node",
            Self::Schema { .. } => "store_schema",
            Self::Locked => "store_locked",
            Self::Gap { .. } => "store_gap",
            Self::Name(_) => "store_secret_name",
            Self::NotDestroyed(_) => "store_not_destroyed",
            Self::PairNotDestroyed(_) => "pair_not_destroyed",
            Self::Poisoned => "store_poisoned",
            Self::Io(_) => "store_io",
        }
    }
}

#[cfg(test)]
mod tests;
