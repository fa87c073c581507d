//! `/healthz` (the process), `/readyz` (it can sign), `/metrics`. No credential: they show no names and no ids, but `/readyz`
//! names peers to who shows the operator's token.

use super::extract::{bearer, caller_of_token};
use super::state::ApiState;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::{Caller, Status, StoppedPair};
use model::limits;
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A contribution or a proof must be younger than this.
const PROOF_AGE_MS_MAX: u64 = 10 * 60 * 1000;
/// One real write serves every question within this time, so that strangers cannot make the disk work.
const PROBE_AGE_MAX: Duration = Duration::from_secs(1);

/// Body of `/healthz`.
#[derive(Debug, Serialize)]
pub struct Health {
    status: &'static str,
    version: &'static str,
}

/// The process answers.
pub async fn healthz() -> Json<Health> {
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// Body of `/readyz`.
#[derive(Debug, Serialize)]
pub struct Readiness {
    ready: bool,
    missing: Vec<Missing>,
}

/// One thing that is missing.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct Missing {
    code: &'static str,
    message: String,
}

fn missing(code: &'static str, message: impl Into<String>) -> Missing {
    Missing { code, message: message.into() }
}

/// Ready to sign: unsealed, every vault's quorum linked and with pairs that work, store writable, recently proven alive.
pub async fn readyz(State(state): State<Arc<ApiState>>, headers: HeaderMap) -> Response {
    let caller = bearer(&headers).and_then(|token| caller_of_token(&state, token));
    let missing = what_is_missing(&state, caller == Some(Caller::Operator)).await;
    let ready = missing.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, missing })).into_response()
}

async fn what_is_missing(state: &ApiState, operator: bool) -> Vec<Missing> {
    if state.is_stopping() {
        return vec![missing("stopping", "the node is stopping")];
    }
    let Some(running) = state.running.get() else {
        return vec![missing("sealed", "the node waits for `outlast node unseal`")];
    };
    let mut all = match running.handle.status() {
        Some(status) => from_status(&status, now_ms(), operator),
        None => vec![missing("engine", "the engine does not run; see the node's log")],
    };
    if let Err(reason) = probe(state).await {
        all.push(missing("store", format!("the store takes no write: {reason}")));
    }
    all
}

fn from_status(status: &Status, now_ms: u64, operator: bool) -> Vec<Missing> {
    let mut all = Vec::new();
    if status.vaults_reachable < status.vaults {
        let (reachable, vaults) = (status.vaults_reachable, status.vaults);
        let text = format!("{reachable} of {vaults} vaults have a quorum of linked nodes");
        all.push(missing("peers", text));
    }
    if !status.pairs_blocking.is_empty() {
        all.push(missing("pairs", stopped_pairs(&status.pairs_blocking, operator)));
    }
    if status.clock_behind_ms > limits::CLOCK_SKEW_MS_MAX {
        let text = format!("the clock is {} ms behind the journal", status.clock_behind_ms);
        all.push(missing("clock", text));
    }
    // One peer's word is not enough: where the others suffice, this node signs.
    if status.went_back {
        let text = "this node's journal went back; all peers' operators or its own must decide";
        all.push(missing("held", text));
    } else if status.held_by > 0 && status.vaults_reachable < status.vaults {
        let text = format!("{} peers hold this node; their operators must decide", status.held_by);
        all.push(missing("held", text));
    }
    let age = now_ms.saturating_sub(status.last_proof_ms);
    if status.vaults > 0 && age > PROOF_AGE_MS_MAX {
        let text = "no valid contribution to a signature and no share proof in the last 10 minutes";
        all.push(missing("proof", text));
    }
    all
}

/// What an operator does about them; API-AUTH-2: strangers read how many there are.
fn stopped_pairs(pairs: &[StoppedPair], operator: bool) -> String {
    const WHEN: &str = "once the cause is known (docs/operating/incident.md)";
    if !operator {
        let count = pairs.len();
        return format!(
            "{count} pairs that ECDSA needs were stopped by a failed check; `outlast node status` names them, \
             `outlast node resume-pair PEER` {WHEN}"
        );
    }
    let words = pairs.iter().map(|StoppedPair { peer, operator, here }| {
        let at = if *here { "here" } else { "at the peer, by its operator" };
        let whom = if *here { peer.to_string() } else { "THIS-NODE".to_owned() };
        format!("the pair with {operator} is stopped: `outlast node resume-pair {whom}` {at}")
    });
    format!("{}; {WHEN}", words.collect::<Vec<_>>().join("; "))
}

async fn probe(state: &ApiState) -> Result<(), String> {
    let mut last = state.probe.lock().await;
    if let Some((at, result)) = last.as_ref()
        && at.elapsed() < PROBE_AGE_MAX
    {
        return result.clone();
    }
    let Some(running) = state.running.get() else {
        return Err("the node is sealed".into());
    };
    let asked = tokio::time::timeout(Duration::from_secs(5), running.handle.probe_store());
    let result = asked.await.unwrap_or_else(|_| Err("no answer within 5 s".into()));
    *last = Some((Instant::now(), result.clone()));
    result
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Prometheus text.
pub async fn metrics(State(state): State<Arc<ApiState>>) -> Response {
    let running = state.running.get();
    let depth = running.map_or(0, |running| running.compute.depth());
    let text = state.metrics.render(running.map(|running| &running.handle), depth);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_names_what_is_missing() {
        let good = Status { vaults: 2, vaults_reachable: 2, last_proof_ms: 1, ..Status::default() };
        let check = |status: Status, now: u64, expected: &[&str]| {
            let missing = from_status(&status, now, false).into_iter();
            let codes: Vec<_> = missing.map(|m| m.code).collect();
            assert_eq!(codes, expected);
        };
        check(Status::default(), u64::MAX, &[]);
        check(good.clone(), PROOF_AGE_MS_MAX + 1, &[]);
        check(good.clone(), PROOF_AGE_MS_MAX + 2, &["proof"]);
        check(Status { vaults_reachable: 1, ..good.clone() }, 1, &["peers"]);
        check(Status { held_by: 1, ..good.clone() }, 1, &[]);
        let held = Status { held_by: 1, vaults_reachable: 1, ..good.clone() };
        check(held, 1, &["peers", "held"]);
        check(Status { clock_behind_ms: 60_001, ..good.clone() }, 1, &["clock"]);
        let pairs_blocking = vec![pair(1, true)];
        check(Status { pairs_blocking, ..good.clone() }, 1, &["pairs"]);
        check(Status { went_back: true, ..good }, 1, &["held"]);
    }

    fn pair(byte: u8, here: bool) -> StoppedPair {
        let peer = model::ids::NodeId([byte; 32]);
        StoppedPair { peer, operator: format!("Provider {byte}"), here }
    }

    #[test]
    fn a_stopped_pair_is_named_with_its_command_to_the_operator_and_to_nobody_else() {
        let pairs = [pair(1, true), pair(2, false)];
        let told = stopped_pairs(&pairs, true);
        let command = format!("`outlast node resume-pair {}` here", pairs[0].peer);
        assert!(told.contains(&command) && told.contains("Provider 1"), "{told}");
        assert!(told.contains("Provider 2 is stopped") && told.contains("at the peer"), "{told}");
        let public = stopped_pairs(&pairs, false);
        assert!(public.starts_with("2 pairs") && public.contains("resume-pair PEER"), "{public}");
        assert!(!public.contains("Provider") && !public.contains(&pairs[0].peer.to_string()));
    }
}
