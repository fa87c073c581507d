//! A whole cluster of engines under one seed: time, network, disk and randomness are simulated, everything else is real.
//!
//! The same seed gives the same run, byte for byte ([`World::digest`]); a failing seed is printed and replays with
//! `cargo xtask sim --seed N`. After every step the invariants of [`invariants`] hold or the run fails by name.
//!
//! Absent on purpose: sockets, TLS, SQLite. The node's own tests and the crash tests cover those.

#![allow(
    clippy::panic,
    clippy::as_conversions,
    clippy::large_enum_variant,
    clippy::print_stdout,
    reason = "a test room: a broken invariant ends the run by panic, with the seed"
)]

pub mod coins;
pub mod disk;
pub mod faults;
pub mod fixture;
pub mod invariants;
pub mod random;
pub mod run;
pub mod world;

pub use faults::Faults;
pub use run::{Outcome, run_seed};
pub use world::World;
