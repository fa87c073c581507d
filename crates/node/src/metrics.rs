//! Counters and their Prometheus text form (exposition format 0.0.4), by hand: a few dozen lines need no library.
//!
//! Absent on purpose: labels that a caller chooses. Every label comes from a fixed set, so memory is bounded.

use crate::peers::PeerManager;
use crate::runner::Handle;
use engine::{ClockOffset, Status};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the commit histogram, microseconds.
const BUCKETS_US: [u64; 10] =
    [250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 2_000_000];

/// Counters of one process.
#[derive(Debug, Default)]
pub struct Metrics {
    http: Mutex<BTreeMap<(&'static str, u16), u64>>,
    rpc: Mutex<BTreeMap<(&'static str, bool), u64>>,
    warnings: Mutex<BTreeMap<&'static str, u64>>,
    chain: Mutex<BTreeMap<(&'static str, bool), u64>>,
    commit_buckets: [AtomicU64; 10],
    commit_count: AtomicU64,
    commit_sum_us: AtomicU64,
    commit_failed: AtomicU64,
    connections_shed: AtomicU64,
    connections_slow: Mutex<BTreeMap<&'static str, u64>>,
    refusals: Mutex<BTreeMap<&'static str, u64>>,
    links: Mutex<Option<PeerManager>>,
}

fn count<K: Ord>(map: &Mutex<BTreeMap<K, u64>>, key: K) {
    let mut map = map.lock().unwrap_or_else(PoisonError::into_inner);
    let entry = map.entry(key).or_default();
    *entry = entry.saturating_add(1);
}

fn copy<K: Ord + Clone>(map: &Mutex<BTreeMap<K, u64>>) -> BTreeMap<K, u64> {
    map.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

impl Metrics {
    /// One HTTP answer; `route` is the router's pattern, never the caller's path.
    pub fn http(&self, route: &'static str, status: u16) {
        count(&self.http, (route, status));
    }
    /// One JSON-RPC call.
    pub fn rpc(&self, method: &'static str, good: bool) {
        count(&self.rpc, (method, good));
    }
    /// One call of a chain node.
    pub fn chain(&self, chain: &'static str, good: bool) {
        count(&self.chain, (chain, good));
    }
    /// One warning of the engine.
    pub fn warning(&self, code: &'static str) {
        count(&self.warnings, code);
    }
    /// One connection closed at the door.
    pub fn connection_shed(&self) {
        self.connections_shed.fetch_add(1, Ordering::Relaxed);
    }
    /// One connection cut because its caller was slow, by the name of what it did not do.
    pub fn connection_slow(&self, code: &'static str) {
        count(&self.connections_slow, code);
    }
    /// One refusal of the API, by its name.
    pub fn refusal(&self, code: &'static str) {
        count(&self.refusals, code);
    }
    /// The links of the open node, which count their own ends; none once it is closed.
    pub fn watch_links(&self, links: Option<PeerManager>) {
        *self.links.lock().unwrap_or_else(PoisonError::into_inner) = links;
    }
    /// One durable write.
    pub fn commit(&self, took: Duration, good: bool) {
        if !good {
            self.commit_failed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        for (bound, bucket) in BUCKETS_US.iter().zip(&self.commit_buckets) {
            if us <= *bound {
                bucket.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.commit_count.fetch_add(1, Ordering::Relaxed);
        self.commit_sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Everything as text. `handle` is none while the node is sealed.
    pub fn render(&self, handle: Option<&Handle>, compute_depth: usize) -> String {
        let mut out = Page::default();
        out.head("outlast_build_info", "gauge", "version of the software");
        out.line("outlast_build_info", &format!("version=\"{}\"", env!("CARGO_PKG_VERSION")), "1");
        out.gauge("outlast_unsealed", "1 when the node is unsealed", handle.is_some().into());
        if let Some(handle) = handle {
            let depth = u64::try_from(handle.depth()).unwrap_or(u64::MAX);
            out.gauge("outlast_queue_depth", "inputs waiting for the engine", depth);
            let commands = u64::try_from(handle.commands()).unwrap_or(u64::MAX);
            out.gauge("outlast_commands_pending", "commands asked and not answered", commands);
            if let Some(status) = handle.status() {
                render_status(&mut out, &status);
            }
        }
        let depth = u64::try_from(compute_depth).unwrap_or(u64::MAX);
        out.gauge("outlast_compute_queue_depth", "jobs waiting for a thread", depth);
        self.render_commit(&mut out);
        self.render_counters(&mut out);
        out.0
    }

    fn render_commit(&self, out: &mut Page) {
        let name = "outlast_commit_seconds";
        out.head(name, "histogram", "time to make one commit durable");
        for (bound, bucket) in BUCKETS_US.iter().zip(&self.commit_buckets) {
            let label = format!("le=\"{}\"", seconds(*bound));
            let value = bucket.load(Ordering::Relaxed).to_string();
            out.line("outlast_commit_seconds_bucket", &label, &value);
        }
        let total = self.commit_count.load(Ordering::Relaxed).to_string();
        out.line("outlast_commit_seconds_bucket", "le=\"+Inf\"", &total);
        let sum = seconds(self.commit_sum_us.load(Ordering::Relaxed));
        out.line("outlast_commit_seconds_sum", "", &sum);
        out.line("outlast_commit_seconds_count", "", &total);
        let failed = self.commit_failed.load(Ordering::Relaxed);
        out.counter("outlast_commit_failures_total", "commits the store refused", failed);
    }

    fn render_counters(&self, out: &mut Page) {
        let shed = self.connections_shed.load(Ordering::Relaxed);
        out.counter("outlast_http_connections_shed_total", "connections over the bound", shed);
        out.head("outlast_http_requests_total", "counter", "HTTP answers by route and status");
        for ((route, status), value) in copy(&self.http) {
            let labels = format!("route=\"{route}\",status=\"{status}\"");
            out.line("outlast_http_requests_total", &labels, &value.to_string());
        }
        for (name, help, map) in [
            ("outlast_rpc_calls_total", "JSON-RPC calls by method", copy(&self.rpc)),
            ("outlast_chain_calls_total", "calls of chain nodes by chain", copy(&self.chain)),
        ] {
            out.head(name, "counter", help);
            for ((what, good), value) in map {
                let outcome = if good { "ok" } else { "error" };
                let labels = format!("name=\"{what}\",outcome=\"{outcome}\"");
                out.line(name, &labels, &value.to_string());
            }
        }
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sent = links.as_ref().map(PeerManager::bytes_sent).unwrap_or_default();
        out.counter("outlast_peer_bytes_sent_total", "bytes of frames to peers, before TLS", sent);
        let ends = links.map(|links| links.counters()).unwrap_or_default();
        for (name, help, map) in [
            ("outlast_warnings_total", "warnings by code", copy(&self.warnings)),
            (
                "outlast_link_ends_total",
                "links to peers that ended or did not come up, by code",
                ends,
            ),
            ("outlast_http_refusals_total", "refusals of the API by code", copy(&self.refusals)),
            (
                "outlast_http_connections_slow_total",
                "connections cut because the caller was slow, by what it did not do in time",
                copy(&self.connections_slow),
            ),
        ] {
            out.head(name, "counter", help);
            for (code, value) in map {
                out.line(name, &format!("code=\"{code}\""), &value.to_string());
            }
        }
    }
}

fn render_status(out: &mut Page, status: &Status) {
    for (name, help, value) in [
        ("outlast_peers_trusted", "trusted peers", status.peers),
        ("outlast_peers_connected", "peers with a live, checked link", status.peers_connected),
        ("outlast_peers_held", "peers held until an operator decides", status.peers_held),
        ("outlast_held_by_peers", "peers that hold this node", status.held_by),
        ("outlast_clock_behind_ms", "clock behind the journal", status.clock_behind_ms),
        ("outlast_went_back", "1 while its journal went back", u64::from(status.went_back)),
        ("outlast_pairs_ready", "pairs ready for ECDSA", status.pairs_ready),
        ("outlast_pairs_stopped", "pairs stopped after a failed check", status.pairs_stopped),
        ("outlast_vaults", "vaults held", status.vaults),
        ("outlast_vaults_reachable", "vaults with a quorum linked", status.vaults_reachable),
        ("outlast_sessions", "signing sessions in flight", status.sessions),
        ("outlast_requests", "requests remembered", status.requests),
        ("outlast_requests_open", "requests that are not over", status.requests_open),
        ("outlast_journal_records", "records in the journal", status.journal_length),
        ("outlast_last_proof_ms", "last contribution or share proof", status.last_proof_ms),
    ] {
        out.gauge(name, help, value);
    }
    let compared = status.clocks_compared;
    out.gauge("outlast_peer_clocks_compared", "peers whose clock was compared", compared);
    let offset = status.clock_offset;
    let far = offset.is_some_and(ClockOffset::is_far);
    out.gauge("outlast_peer_clock_far", "1 while a peer's clock is far from ours", far.into());
    // Without an estimate there is no number: zero would say that the clocks agree.
    if let Some(ClockOffset { offset_ms, uncertainty_ms }) = offset {
        let name = "outlast_peer_clock_offset_seconds";
        out.head(name, "gauge", "the peer's clock that differs most, ahead of this node's");
        let sign = if offset_ms < 0 { "-" } else { "" };
        out.line(name, "", &format!("{sign}{}", seconds_of_ms(offset_ms.unsigned_abs())));
        let name = "outlast_peer_clock_uncertainty_seconds";
        out.head(name, "gauge", "that offset is at most this far from the true one");
        out.line(name, "", &seconds_of_ms(uncertainty_ms));
    }
    for (name, help, value) in [
        ("outlast_signatures_total", "requests signed", status.signed_total),
        ("outlast_sessions_failed_total", "sessions without a signature", status.failed_total),
        ("outlast_refusals_total", "requests this node refused", status.refused_total),
    ] {
        out.counter(name, help, value);
    }
}

fn seconds_of_ms(ms: u64) -> String {
    seconds(ms.saturating_mul(1_000))
}

/// Microseconds as decimal seconds, without floats.
fn seconds(us: u64) -> String {
    let whole = us.checked_div(1_000_000).unwrap_or(0);
    let rest = us.checked_rem(1_000_000).unwrap_or(0);
    let text = format!("{whole}.{rest:06}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }
    fn line(&mut self, name: &str, labels: &str, value: &str) {
        let _ = if labels.is_empty() {
            writeln!(self.0, "{name} {value}")
        } else {
            writeln!(self.0, "{name}{{{labels}}} {value}")
        };
    }
    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "gauge", help);
        self.line(name, "", &value.to_string());
    }
    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "counter", help);
        self.line(name, "", &value.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_exact_decimals() {
        for (us, text) in [(0, "0"), (250, "0.00025"), (1_000_000, "1"), (2_500_000, "2.5")] {
            assert_eq!(seconds(us), text);
        }
    }

    #[test]
    fn the_clock_that_differs_most_is_shown_and_none_where_none_was_compared() {
        let page = |clock_offset: Option<ClockOffset>| {
            let mut out = Page::default();
            render_status(&mut out, &Status { clock_offset, ..Status::default() });
            out.0
        };
        let far = page(Some(ClockOffset { offset_ms: -90_250, uncertainty_ms: 3 }));
        for line in [
            "outlast_peer_clock_offset_seconds -90.25",
            "outlast_peer_clock_uncertainty_seconds 0.003",
            "outlast_peer_clock_far 1",
        ] {
            assert!(far.lines().any(|found| found == line), "{line} is missing in\n{far}");
        }
        assert!(!page(None).contains("offset_seconds"));
    }

    #[test]
    fn the_page_shows_what_was_counted() {
        let metrics = Metrics::default();
        metrics.commit(Duration::from_micros(300), true);
        metrics.http("/v1/node", 200);
        metrics.http("/v1/node", 200);
        let page = metrics.render(None, 3);
        for line in [
            "outlast_commit_seconds_bucket{le=\"0.00025\"} 0",
            "outlast_commit_seconds_bucket{le=\"0.0005\"} 1",
            "outlast_commit_seconds_sum 0.0003",
            "outlast_http_requests_total{route=\"/v1/node\",status=\"200\"} 2",
            "outlast_unsealed 0",
            "outlast_compute_queue_depth 3",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is missing in\n{page}");
        }
    }
}
