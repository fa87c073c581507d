//! Distributed key generation of the three root keys of a vault, over any access tree.
//!
//! Spec: `docs/spec/dkg.md`.
