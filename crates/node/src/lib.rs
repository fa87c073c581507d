//! The server around one node: files, seals, store, links to peers, clock and randomness.
//!
//! Everything that touches the operating system stands in this room; what is decided stands in `engine`.
//! [`home`] is the data directory, [`seal`] wraps its data key, [`store`] keeps the journal and the sealed secrets,
//! [`peers`] carries frames between nodes, [`preflight`] tests the machine before it is trusted. [`runner`] owns the
//! engine, [`compute`] runs its jobs, [`chain`] asks chain nodes, [`api`] and `rpc` serve callers, [`run()`] is all of it.

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
compile_error!(
    "Outlast builds and runs on Linux with glibc only: memory is locked, core files and ptrace are \
     switched off and jumps of the clock are seen by its system calls (crates/node/src/sys.rs)"
);

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
