//! Transparency log: a Merkle tree in tiles, checkpoints, timed cosignatures, proofs that a stranger checks offline.
//!
//! The formats are those of C2SP, unchanged: [signed-note], [tlog-checkpoint], [tlog-cosignature] (Ed25519),
//! [tlog-tiles], [tlog-witness], [tlog-policy], [tlog-proof]; hashes are those of RFC 6962 with SHA-256.
//!
//! Invariants: a log signs no checkpoint that is inconsistent with an earlier one; a witness remembers a checkpoint before
//! it cosigns; what is verified is a pure function of bytes and a policy. Absent on purpose: files, sockets, clock and
//! keys. Callers bring hashes, the time and a function that signs.
//!
//! [signed-note]: https://c2sp.org/signed-note
//! [tlog-checkpoint]: https://c2sp.org/tlog-checkpoint
//! [tlog-cosignature]: https://c2sp.org/tlog-cosignature
//! [tlog-tiles]: https://c2sp.org/tlog-tiles
//! [tlog-witness]: https://c2sp.org/tlog-witness
//! [tlog-policy]: https://c2sp.org/tlog-policy
//! [tlog-proof]: https://c2sp.org/tlog-proof

pub mod bundle;
pub mod checkpoint;
pub mod cosignature;
pub mod edge;
pub mod hash;
pub mod note;
pub mod policy;
pub mod proof;
pub mod proof_file;
pub mod tile;
pub mod witness;
