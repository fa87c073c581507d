//! The server around one node: files, seals, store, links to peers, clock and randomness.
//!
//! Everything that touches the operating system stands in this room; what is decided stands in `engine`.
//! [`home`] is the data directory, [`seal`] wraps its data key, [`store`] keeps the journal and the sealed secrets,
//! [`peers`] carries frames between nodes, [`preflight`] tests the machine before it is trusted. [`runner`] owns the
//! engine, [`compute`] runs its jobs, [`chain`] asks chain nodes, [`api`] and `rpc` serve callers, [`run()`] is all of it.

pub mod api;
pub mod chain;
pub mod compute;
pub mod entropy;
#[doc(hidden)]
pub mod fuzz;
pub mod harden;
pub mod home;
pub mod logging;
pub mod metrics;
pub mod peers;
pub mod preflight;
mod rpc;
mod run;
pub mod runner;
pub mod seal;
mod sealed_box;
pub mod store;
mod sys;

pub use engine::record as ceremony_record;
pub use run::{OpenError, RunError, run};
