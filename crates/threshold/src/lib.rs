//! Threshold keys: linear sharing, key generation, signing, and the discipline that keeps a pair's secrets.
//!
//! Keys are shared by our own small layer ([`sharing`], [`dkg`]); signing engines are driven behind one interface
//! ([`sign`]) with bytes at the edge and only ever see an additive share of the quorum.
//!
//! Spec: `docs/spec/dkg.md`, `docs/spec/signing.md`. Invariants: K1, K2, K5, K6.
//! Impure on purpose: the ECDSA engine draws its own randomness (named in `sign::ecdsa` and `pair`).

pub mod dkg;
#[doc(hidden)]
pub mod fuzz;
pub mod pair;
pub mod proof;
pub mod shares;
pub mod sharing;
pub mod sign;
mod subshare;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod vectors;
