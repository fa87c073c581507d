//! Calls that make a transaction, so that a client that gave up and asks again gets what it asked for before.
//!
//! Spec: `docs/spec/node-api.md`, RPC-8 to RPC-10. A call runs to its end whether or not its client still listens. Its
//! answer is kept until it was handed to a connection that was still there; the same call before that joins it. Tools send
//! no idempotency key, so "the same call" is: same caller, method, chain, parameters, and place among equal calls of one
//! batch. Absent on purpose: durability. What must outlive a restart names an `Idempotency-Key`, which the engine keeps.

use super::message::RpcError;
use crate::entropy::OsEntropy;
use axum::body::{Body, Bytes};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use model::entropy::Entropy as _;
use serde_json::Value;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Calls of one client that are remembered at most.
const OF_CLIENT_MAX: usize = 256;
/// Calls of all clients.
const ALL_MAX: usize = 8192;
/// A finished answer that nobody took is kept for this long.
const UNTAKEN_MAX: Duration = Duration::from_secs(600);
/// A call whose outcome is open stands for as long as its request may live.
const OPEN_MAX: Duration = Duration::from_millis(model::limits::REQUEST_LIFE_MS_DEFAULT);

/// Begins the engine's key of a call that its client named.
const NAMED: &str = "rpc-key:";

/// What a call came to.
pub(super) type Outcome = Result<Value, RpcError>;
type Told = watch::Receiver<Option<Outcome>>;

/// The client and its call.
type Key = ([u8; 32], [u8; 32]);

/// A call: who, and which.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    /// The client.
    pub caller: [u8; 32],
    /// Names the call: of the client's own key, or of the call itself.
    pub name: [u8; 32],
    /// Method, chain and parameters.
    pub content: [u8; 32],
    /// The client named it.
    pub keyed: bool,
}

/// The engine's idempotency key of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CallKey {
    /// What the client named or the node drew.
    pub key: String,
    /// What was called.
    pub call: String,
}

impl CallKey {
    /// True when the client named it.
    pub fn is_named(&self) -> bool {
        self.key.starts_with(NAMED)
    }
}

#[derive(Debug)]
struct Kept {
    number: u64,
    content: [u8; 32],
    key: CallKey,
    since: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    Running(Told),
    /// Ended for good, and not handed over yet.
    Done(Told),
    /// The client was told that the outcome is open; asking again goes on with the same request.
    Open,
}

impl Kept {
    fn is_over(&self, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.since);
        match self.state {
            State::Running(_) => false,
            State::Done(_) => age > UNTAKEN_MAX,
            State::Open => age > OPEN_MAX,
        }
    }
}

#[derive(Debug, Default)]
struct Table {
    kept: BTreeMap<Key, Kept>,
    numbers: u64,
}

/// The calls of all clients; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Calls(Arc<Mutex<Table>>);

/// Whether a call is the first of its kind.
pub(super) enum Joined {
    /// Run it under this key, and tell [`Runs::end`].
    Run(CallKey, Runs, Told, Receipt),
    /// It runs or ran already.
    Wait(Told, Receipt),
}

/// The end of a running call.
#[derive(Debug)]
pub(super) struct Runs {
    calls: Calls,
    at: Key,
    number: u64,
    tell: watch::Sender<Option<Outcome>>,
}

/// What is signed off when an answer is handed to a live connection.
#[derive(Debug)]
pub(super) struct Receipt {
    calls: Calls,
    at: Key,
    number: u64,
}

impl Calls {
    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who holds the table beside its owner: running calls, and those who wait for an answer.
    #[cfg(test)]
    pub(super) fn holders(&self) -> usize {
        Arc::strong_count(&self.0).saturating_sub(1)
    }

    /// Joins the same call, or begins it.
    pub(super) fn join(&self, call: Call) -> Result<Joined, RpcError> {
        let (now, at) = (Instant::now(), (call.caller, call.name));
        let mut table = self.table();
        table.kept.retain(|key, kept| key.0 != call.caller || !kept.is_over(now));
        if table.kept.len() >= ALL_MAX {
            table.kept.retain(|_, kept| !kept.is_over(now));
        }
        table.numbers = table.numbers.saturating_add(1);
        let fresh = table.numbers;
        let before = table.kept.get(&at);
        if before.is_some_and(|kept| kept.content != call.content) {
            let text = "this Idempotency-Key stands for another call; use a fresh one";
            return Err(RpcError::new(-32003, "idempotency_conflict", text.into()));
        }
        // RPC-8: the same call while the first is under way, or its answer reached nobody.
        if let Some(Kept { number, state: State::Running(told) | State::Done(told), .. }) = before {
            let receipt = Receipt { calls: self.clone(), at, number: *number };
            return Ok(Joined::Wait(told.clone(), receipt));
        }
        // RPC-9: the client was told to ask again.
        let key = before.map_or_else(|| fresh_key(&call), |kept| kept.key.clone());
        if before.is_none() {
            make_room(&mut table, call.caller)?;
        }
        let (tell, told) = watch::channel(None);
        let state = State::Running(told.clone());
        let (content, since) = (call.content, now);
        table.kept.insert(at, Kept { number: fresh, content, key: key.clone(), since, state });
        let runs = Runs { calls: self.clone(), at, number: fresh, tell };
        Ok(Joined::Run(key, runs, told, Receipt { calls: self.clone(), at, number: fresh }))
    }
}

/// The engine's key: what the client named, else one that no other call has.
fn fresh_key(call: &Call) -> CallKey {
    let key = if call.keyed {
        format!("{NAMED}{}", hex::encode(call.name))
    } else {
        format!("rpc-call:{}", hex::encode(OsEntropy.bytes::<32>()))
    };
    CallKey { key, call: hex::encode(call.content) }
}

/// Forgets the client's oldest finished call when it has too many.
fn make_room(table: &mut Table, caller: [u8; 32]) -> Result<(), RpcError> {
    let own = || table.kept.range((caller, [0; 32])..=(caller, [255; 32]));
    if own().count() < OF_CLIENT_MAX && table.kept.len() < ALL_MAX {
        return Ok(());
    }
    let ended = own().filter(|(_, kept)| !matches!(kept.state, State::Running(_)));
    let Some(oldest) = ended.min_by_key(|(_, kept)| kept.since).map(|(key, _)| *key) else {
        let text = format!("{OF_CLIENT_MAX} calls of this client are under way (try again in 1 s)");
        return Err(RpcError::new(-32005, "client_calls_max", text));
    };
    table.kept.remove(&oldest);
    Ok(())
}

impl Runs {
    /// Tells everybody who waits, and keeps what nobody took.
    pub(super) fn end(self, outcome: Outcome) {
        if let Some(kept) = self.calls.table().kept.get_mut(&self.at)
            && kept.number == self.number
        {
            // Unavailable, late or our own fault: the request may still be signed, or its transaction be on the chain.
            let open = outcome.as_ref().is_err_and(|e| matches!(e.code, -32002 | -32603));
            let told = self.tell.subscribe();
            kept.state = if open { State::Open } else { State::Done(told) };
        }
        let _nobody_waits = self.tell.send(Some(outcome));
    }
}

impl Receipt {
    /// RPC-10: the answer reached its client, so the same call from now on is another one.
    fn handed_over(&self) {
        let mut table = self.calls.table();
        let same = table
            .kept
            .get(&self.at)
            .is_some_and(|kept| kept.number == self.number && matches!(kept.state, State::Done(_)));
        if same {
            table.kept.remove(&self.at);
        }
    }
}

/// Of each call of a batch, how many calls before it are the same but for their ids: in one message two equal calls are
/// two wishes. With the client's key, which stands for the whole message, it is the place itself.
pub(super) fn places(calls: &[Value], keyed: bool) -> Vec<u64> {
    if keyed {
        return (0u64..).take(calls.len()).collect();
    }
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let content = |call: &Value| format!("{} {}", call["method"], call["params"]);
    let place = |call: &Value| {
        let count = seen.entry(content(call)).or_default();
        let place = *count;
        *count = count.saturating_add(1);
        place
    };
    calls.iter().map(place).collect()
}

/// What a call came to, once it did.
pub(super) async fn outcome(mut told: Told) -> Outcome {
    let found = told.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
    found.unwrap_or_else(|| {
        let text = "the call was broken off; send it again for its outcome".to_owned();
        Err(RpcError::new(-32603, "broken_off", text))
    })
}

/// Signs the receipts off once the connection took the answer; a connection that is gone takes none.
pub(super) fn with_receipts(response: Response, receipts: Vec<Receipt>) -> Response {
    if receipts.is_empty() {
        return response;
    }
    response.map(|inner| Body::new(Handed { inner, receipts }))
}

struct Handed {
    inner: Body,
    receipts: Vec<Receipt>,
}

impl hyper::body::Body for Handed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if matches!(polled, Poll::Ready(None | Some(Ok(_)))) && self.inner.is_end_stream() {
            for receipt in self.receipts.drain(..) {
                receipt.handed_over();
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: u8, content: u8) -> Call {
        Call { caller: [1; 32], name: [name; 32], content: [content; 32], keyed: false }
    }

    fn run(calls: &Calls, call: Call) -> (CallKey, Runs, Receipt) {
        match calls.join(call) {
            Ok(Joined::Run(key, runs, _, receipt)) => (key, runs, receipt),
            Ok(Joined::Wait(..)) => panic!("joined"),
            Err(error) => panic!("{error:?}"),
        }
    }

    fn wait(calls: &Calls, call: Call) -> (Outcome, Receipt) {
        let Ok(Joined::Wait(told, receipt)) = calls.join(call) else { panic!("not joined") };
        let now = told.borrow().clone();
        (now.unwrap_or(Ok(Value::Null)), receipt)
    }

    #[test]
    fn the_same_call_joins_until_its_answer_is_handed_over() {
        let calls = Calls::default();
        let (key, runs, first) = run(&calls, call(1, 1));
        assert_eq!(wait(&calls, call(1, 1)).0, Ok(Value::Null), "under way");
        let (_, other_runs, _) = run(&calls, call(2, 2));
        let stranger = Call { caller: [2; 32], ..call(1, 1) };
        let (_, _, _) = run(&calls, stranger);
        runs.end(Ok(Value::from("hash")));
        // The connection of the first is gone: its receipt is dropped unsigned.
        drop(first);
        let (outcome, receipt) = wait(&calls, call(1, 1));
        assert_eq!(outcome, Ok(Value::from("hash")));
        receipt.handed_over();
        let (next, _, _) = run(&calls, call(1, 1));
        assert_ne!(next, key, "a call after a delivered answer is another one");
        other_runs.end(Ok(Value::Null));
    }

    #[test]
    fn an_open_outcome_goes_on_under_its_key_also_when_it_was_told() {
        let calls = Calls::default();
        let (key, runs, receipt) = run(&calls, call(1, 1));
        runs.end(Err(RpcError::new(-32002, "not_signed_yet", String::new())));
        receipt.handed_over();
        let (again, runs, receipt) = run(&calls, call(1, 1));
        assert_eq!(again, key);
        runs.end(Err(RpcError::new(-32000, "refused", String::new())));
        receipt.handed_over();
        assert_ne!(run(&calls, call(1, 1)).0, key, "a refusal that was told is over");
    }

    #[test]
    fn a_clients_own_key_stands_for_one_call() {
        let calls = Calls::default();
        let keyed = |content| Call { keyed: true, ..call(7, content) };
        let (key, runs, receipt) = run(&calls, keyed(1));
        let conflict = calls.join(keyed(2)).err().map(|error| error.code);
        assert_eq!(conflict, Some(-32003));
        runs.end(Ok(Value::Null));
        receipt.handed_over();
        assert_eq!(run(&calls, keyed(1)).0, key, "the engine knows it by the same key");
    }

    #[test]
    fn calls_of_one_client_are_bounded_and_its_neighbour_is_not_touched() {
        let calls = Calls::default();
        let numbered = |number: usize| {
            let mut name = [0; 32];
            name[..8].copy_from_slice(&number.to_be_bytes());
            Call { name, ..call(0, 0) }
        };
        let mut running: Vec<_> = (0..OF_CLIENT_MAX).map(|n| run(&calls, numbered(n))).collect();
        let full = calls.join(numbered(OF_CLIENT_MAX)).err().map(|error| error.code);
        assert_eq!(full, Some(-32005));
        let _neighbour = run(&calls, Call { caller: [2; 32], ..call(0, 0) });
        running.remove(0).1.end(Ok(Value::Null));
        let _next = run(&calls, numbered(OF_CLIENT_MAX));
        assert_eq!(calls.table().kept.len(), OF_CLIENT_MAX + 1);
    }
}
