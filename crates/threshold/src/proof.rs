//! Proofs over discrete logarithms: knowledge of a scalar, equality of two logarithms, and that a share is alive.
