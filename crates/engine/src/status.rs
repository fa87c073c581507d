//! A node's numbers for metrics and readiness, and its clock against its journal.
//!
//! Invariant: no time that a node acted at is acted at again: what expired stays expired, whatever the clock says. The safe
//! direction of a clock that went back is to sign nothing, by name, until it has caught up.

use crate::clock::ClockOffset;
use crate::engine::Engine;
use crate::problem::{Class, Problem, refuse};
use model::ids::NodeId;
use model::limits;

/// A pair that a failed check stopped, and that some vault cannot sign ECDSA without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoppedPair {
    /// The peer.
    pub peer: NodeId,
    /// Its operator, as on its card.
    pub operator: String,
    /// This node stopped it; else the peer did, and its operator decides.
    pub here: bool,
}

/// Numbers for metrics and readiness.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Trusted peers.
    pub peers: u64,
    /// Peers with a live, checked link.
    pub peers_connected: u64,
    /// Peers held.
    pub peers_held: u64,
    /// Pairs ready.
    pub pairs_ready: u64,
    /// Pairs stopped by a failed check.
    pub pairs_stopped: u64,
    /// Stopped pairs, here or at the peer, that keep some vault from signing ECDSA.
    pub pairs_blocking: Vec<StoppedPair>,
    /// Vaults held.
    pub vaults: u64,
    /// Vaults whose signing set can be reached now without a peer that holds this node.
    pub vaults_reachable: u64,
    /// Sessions in flight.
    pub sessions: u64,
    /// Signatures in these sessions.
    pub items: u64,
    /// Requests remembered.
    pub requests: u64,
    /// Those of them that are neither signed nor refused nor given up.
    pub requests_open: u64,
    /// Requests signed since start.
    pub signed_total: u64,
    /// Sessions that ended without a signature since start.
    pub failed_total: u64,
    /// Requests refused since start.
    pub refused_total: u64,
    /// Journal records.
    pub journal_length: u64,
    /// When this node last contributed to a signature or proved a share, milliseconds since the epoch; 0 for never.
    pub last_proof_ms: u64,
    /// Peers that turned this instance away or hold it.
    pub held_by: u64,
    /// How far the clock is behind the last moment in the journal, milliseconds.
    pub clock_behind_ms: u64,
    /// Peers whose clock was compared with this node's.
    pub clocks_compared: u64,
    /// Of their clocks the one that differs most.
    pub clock_offset: Option<ClockOffset>,
    /// This node's journal went back, and that is not accepted.
    pub went_back: bool,
}

impl Engine {
    /// How far the clock is behind what this node already wrote down.
    fn clock_behind_ms(&self) -> u64 {
        self.now.ms_since(self.clock)
    }

    /// The journal's last moment is far ahead of the clock: named at the start.
    pub(crate) fn warn_of_clock(&mut self) {
        if let Err(problem) = self.check_clock() {
            self.warn(problem.code, problem.message);
        }
    }

    /// Refuses to sign while the clock is behind the journal: the time of the journal stands still, so this node cannot tell
    /// what expired meanwhile.
    pub(crate) fn check_clock(&self) -> Result<(), Problem> {
        let behind = self.clock_behind_ms();
        if behind <= limits::CLOCK_SKEW_MS_MAX {
            return Ok(());
        }
        let text = format!(
            "the clock is {behind} ms behind this node's journal; nothing is signed until it has caught up"
        );
        Err(refuse(Class::Unavailable, "clock_behind", text)
            .hint("set the clock right; see docs/operating/incident.md"))
    }

    /// Numbers for metrics and readiness.
    pub fn status(&self) -> Status {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let connected = self.links.keys().filter(|peer| self.is_accepted(**peer)).count();
        let held = self.state.peers.values().filter(|p| p.held.is_some()).count();
        let ready = self.pairs.values().filter(|pair| pair.is_ready()).count();
        let stopped = self.pairs.values().filter(|pair| pair.is_stopped()).count();
        let reachable = self.reachable_vaults();
        Status {
            peers: count(self.state.peers.len()),
            peers_connected: count(connected),
            peers_held: count(held),
            pairs_ready: count(ready),
            pairs_stopped: count(stopped),
            pairs_blocking: self.stopped_pairs_that_block(),
            vaults: count(self.vaults.len()),
            vaults_reachable: count(reachable),
            sessions: count(self.sessions.len()),
            items: count(self.sessions.values().map(|s| s.items.len()).sum()),
            requests: count(self.state.requests.len()),
            requests_open: count(self.state.open.len()),
            journal_length: self.length(),
            held_by: count(self.held_by.len()),
            clock_behind_ms: self.clock_behind_ms(),
            clocks_compared: count(self.clock_offsets().count()),
            clock_offset: self
                .clock_offsets()
                .map(|(_, offset)| offset)
                .max_by_key(|offset| (offset.at_least_ms(), offset.offset_ms.unsigned_abs())),
            went_back: self.state.went_back.is_some(),
            ..self.counters.clone()
        }
    }
}
