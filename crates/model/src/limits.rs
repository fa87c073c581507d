//! Every bound in one place: what is longer, larger or later than this is refused by name.

/// Nodes one node trusts at most.
pub const PEERS_MAX: usize = 64;
/// Seats of one committee at most (DKLs23 parties are numbered in one byte).
pub const SEATS_MAX: usize = 32;
/// Depth of an access tree at most, the root counted.
pub const TREE_DEPTH_MAX: usize = 6;
/// Bytes of one frame between nodes at most; the largest honest one is a pair-state message (about 143 KiB).
pub const FRAME_BYTES_MAX: usize = 256 * 1024;
/// Bytes of one protocol message at most.
pub const MESSAGE_BYTES_MAX: usize = 200 * 1024;
/// Frames waiting for one peer at most; the next one is dropped with its session.
pub const PEER_QUEUE_FRAMES_MAX: usize = 1024;
/// Bytes of one HTTP request body at most.
pub const BODY_BYTES_MAX: usize = 512 * 1024;
/// Bytes that may be decoded as a transaction at most.
pub const TRANSACTION_BYTES_MAX: usize = 128 * 1024;
/// Vaults of one node at most.
pub const VAULTS_MAX: usize = 20_000;
/// Signing sessions of one node in flight at most.
pub const SESSIONS_MAX: usize = 256;
/// Signing sessions in flight that one coordinator may have begun: at a few dozen signatures a second more of them would
/// only wait for their time-out.
pub const SESSIONS_OF_COORDINATOR_MAX: usize = 96;
/// Signatures in these sessions beyond which it begins no other: one Bitcoin transaction may need 64 of them.
pub const ITEMS_OF_COORDINATOR_MAX: usize = 128;
/// Bytes of their proposals beyond which it begins no other: each is written down by every signer.
pub const PROPOSAL_BYTES_OF_COORDINATOR_MAX: usize = 4 * 1024 * 1024;
/// Requests of one client, or of one vault, that are in a session of this node or wait for one: two thirds of the
/// sessions, so that one alone never has all of them.
pub const REQUESTS_UNDER_WAY_MAX: usize = 64;
/// Answers of one pair that may wait at its gate at most.
pub const GATE_ANSWERS_MAX: usize = 256;
/// Requests that are neither final nor expired at most.
pub const REQUESTS_OPEN_MAX: usize = 200_000;
/// Requests remembered at most, finished ones counted until an hour after their expiry.
pub const REQUESTS_KEPT_MAX: usize = 1_000_000;
/// Open requests of one client at most.
pub const REQUESTS_OPEN_OF_CLIENT_MAX: usize = 20_000;
/// Open requests of one vault at most.
pub const REQUESTS_OPEN_OF_VAULT_MAX: usize = 20_000;
/// Requests of one vault remembered at most: at the default life of an hour, 34 a second.
pub const REQUESTS_KEPT_OF_VAULT_MAX: usize = 250_000;
/// Signatures that one request may need at most (inputs of one Bitcoin transaction).
pub const ITEMS_PER_REQUEST_MAX: usize = 64;
/// Levels of a derivation path at most.
pub const PATH_DEPTH_MAX: usize = 10;
/// How long a signing session may take before its silent members are named, milliseconds.
pub const SESSION_MS_MAX: u64 = 20_000;
/// How long a ceremony may run once everybody joined, milliseconds.
pub const CEREMONY_MS_MAX: u64 = 60_000;
/// How long a proposed ceremony waits for everybody's yes, milliseconds.
pub const CEREMONY_WAIT_MS_MAX: u64 = 60 * 60 * 1000;
/// Longest life of a request, milliseconds (7 days).
pub const REQUEST_LIFE_MS_MAX: u64 = 7 * 24 * 60 * 60 * 1000;
/// Life of a request that names no expiry, milliseconds (1 hour).
pub const REQUEST_LIFE_MS_DEFAULT: u64 = 60 * 60 * 1000;
/// A request from further ahead of a node's clock is refused, and a node whose clock is further behind its own journal
/// signs nothing, milliseconds: so much may two nodes differ.
pub const CLOCK_SKEW_MS_MAX: u64 = 60_000;
/// Beyond this difference between its clock and a peer's a node warns, milliseconds: long before requests are refused.
pub const CLOCK_OFFSET_MS_WARN: u64 = 10_000;
/// Bytes of a name, a note or an idempotency key at most.
pub const TEXT_BYTES_MAX: usize = 256;
/// Longest life of an act that is neither an approval nor a restraint, milliseconds (366 days).
pub const ACT_LIFE_MS_MAX: u64 = 366 * 24 * 60 * 60 * 1000;
/// How far ahead of a node's clock an act may be made, milliseconds.
pub const ACT_AHEAD_MS_MAX: u64 = 60_000;
/// Freezes that one act lifts at most.
pub const LIFTS_MAX: usize = 64;
