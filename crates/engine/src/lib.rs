//! One whole node as a machine without input or output: events in, effects out.
//!
//! The runner (in `node`, or in `sim`) brings time, randomness and events; [`Engine::handle`] answers with one
//! [`Output`]: first what must be durable, then what may leave. That order is the type's, not the caller's care:
//! **commit, then publish, then send** (invariants K3, L1).
//!
//! What survives a crash is the journal and the sealed secrets ([`PersistentState`]); nonces, sessions and running
//! ceremonies do not, so a crash loses them and they begin anew (K2). Recovery is the normal start.
//!
//! Absent on purpose: clock, sockets, files, threads. Heavy computation leaves as [`Job`]s that any thread may run.

mod acts;
mod attempts;
mod budgets;
mod ceremony;
mod charters;
mod clock;
mod command;
mod early;
mod engine;
mod event;
mod fill;
mod governance_views;
mod governed;
mod hello;
mod job;
mod journal;
mod judge;
mod keygen;
mod leaf;
mod log;
mod message;
mod pairs;
mod peers;
mod plans;
mod problem;
mod proofs;
mod quota;
pub mod record;
mod records;
mod replace;
mod requests;
mod rounds;
mod rules;
mod sealed;
mod sending;
mod sessions;
mod setup;
mod state;
mod status;
mod storing;
mod views;

pub use clock::{ClockOffset, ClockWord};
pub use command::{Caller, Command, CommandId, Reply};
pub use engine::{Config, Engine, PersistentState};
pub use event::{Commit, Effect, Event, Facts, FactsQuery, Output};
pub use hello::{Hello, JournalHead};
pub use job::{Job, JobId, JobOutput};
pub use journal::{Entry, Judged, Record, RecordError};
pub use log::{log_key, log_name};
pub use message::{CeremonyPlan, Message, Proposal};
pub use problem::{Class, Problem, refuse};
pub use status::{Status, StoppedPair};
