//! May this happen now? Charter, acts, approvals and policy by level, decided by each node alone.
//!
//! Invariants: P2 any evaluation error denies; P3 a level never loosens its parent; P4 rolling limits hold with t-1
//! traitors, partitions and aborted sessions; L4 the fold over acts does not depend on their order. Absent on purpose:
//! clock, storage, network. Callers bring the time and the acts.

pub mod approvals;
pub mod charter;
pub mod policy;
pub mod standing;

#[cfg(test)]
mod fixture;
