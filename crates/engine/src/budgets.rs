//! What a peer's words may cost this node: a budget per peer and minute for each kind of work or record that they cause.
//!
//! Spec: `docs/spec/peer-messages.md`, "Limits". Invariants: what is over a budget is ignored or refused by name and leaves no
//! record. Absent on purpose: a budget for what ended in a signature; that is what peers are for.

use crate::engine::Engine;
use crate::problem::{Class, Problem, refuse};
use model::ids::NodeId;
use model::time::Timestamp;

/// What a peer's words cost this node, so that each has a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Costly {
    /// A signature to verify and perhaps a record: how its journal grew.
    Journal,
    /// A third of a second of CPU and two records: pair state made at its wish.
    Setup,
    /// A plan to remember and, for a test vault that is joined by itself, a record.
    Ceremony,
    /// Two signatures to verify or make: a question about this node's journal, or the answer to one of its own.
    History,
    /// A message for a message.
    Clock,
    /// Randomness, and a proof of three keys to verify.
    Proof,
    /// An act to verify and a record.
    Act,
    /// A request to decode and a record.
    Asked,
    /// A line in the log and a note to the operator.
    Warning,
}

impl Costly {
    /// How often per minute. An honest node tells its journal once a second, begins a setup once per mishap, asks about a
    /// journal every two seconds at the most and once per link, for a challenge every ten seconds and for a clock every five.
    const fn per_minute(self) -> u32 {
        match self {
            Self::Journal | Self::History => 120,
            Self::Setup | Self::Proof | Self::Clock => 12,
            Self::Ceremony => 60,
            Self::Warning => 20,
            Self::Act => 6_000,
            Self::Asked => 1_200,
        }
    }
}

/// The period of a budget, milliseconds.
const BUDGET_MS: u64 = 60_000;
/// Decisions on one peer's proposals that may end without a signature per period. Each is two records; an honest coordinator
/// gives up when members race for a nonce or a link breaks, 96 sessions at once at the most.
const UNSIGNED_MAX: u32 = 1_200;
/// Bytes of such proposals per period: each decision holds its whole proposal.
const UNSIGNED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What of a peer's proposals ended without a signature.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unsigned {
    since: Timestamp,
    sessions: u32,
    bytes: usize,
}

impl Engine {
    /// Takes from a peer's budget for what costs this node; false when it is used up.
    pub(crate) fn within_budget(&mut self, peer: NodeId, what: Costly) -> bool {
        let now = self.now;
        let budget = self.budgets.entry((peer, what)).or_insert((now, 0));
        if now.ms_since(budget.0) >= BUDGET_MS {
            *budget = (now, 0);
        }
        let within = budget.1 < what.per_minute();
        budget.1 = budget.1.saturating_add(u32::from(within));
        within
    }

    /// Gives back what came to something: only what was in vain counts against a peer.
    pub(crate) fn refund(&mut self, peer: NodeId, what: Costly) {
        if let Some((_, used)) = self.budgets.get_mut(&(peer, what)) {
            *used = used.saturating_sub(1);
        }
    }

    /// A warning that a peer can cause at will.
    pub(crate) fn warn_of(&mut self, peer: NodeId, code: &'static str, message: String) {
        if self.within_budget(peer, Costly::Warning) {
            self.warn(code, message);
        }
    }

    /// Refuses a peer's proposal when too much of what it proposed lately came to nothing.
    pub(crate) fn check_unsigned(&self, peer: NodeId) -> Result<(), Problem> {
        let Some(spent) = self.unsigned.get(&peer) else { return Ok(()) };
        let left = BUDGET_MS.saturating_sub(self.now.ms_since(spent.since));
        if left == 0 || (spent.sessions < UNSIGNED_MAX && spent.bytes < UNSIGNED_BYTES_MAX) {
            return Ok(());
        }
        let text = format!(
            "{} sessions of this peer with {} bytes ended without a signature within a minute",
            spent.sessions, spent.bytes
        );
        // As of a node that is full: it passes, and the coordinator tries again.
        Err(refuse(Class::Overloaded, "overloaded", text).retry_after_ms(left))
    }

    /// A session of `coordinator`, with a proposal of so many bytes, ended without a signature.
    pub(crate) fn note_unsigned(&mut self, coordinator: NodeId, bytes: usize) {
        if coordinator == self.me {
            return;
        }
        let fresh = Unsigned { since: self.now, sessions: 0, bytes: 0 };
        let spent = self.unsigned.entry(coordinator).or_insert(fresh);
        if self.now.ms_since(spent.since) >= BUDGET_MS {
            *spent = fresh;
        }
        spent.sessions = spent.sessions.saturating_add(1);
        spent.bytes = spent.bytes.saturating_add(bytes);
    }
}
