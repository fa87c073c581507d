//! The door: how much each client may ask of a node that serves many, before anything of it reaches the engine.
//!
//! Spec: `docs/spec/node-api.md`, API-SHARE. Invariants: a client over its share is refused by a name of its own and
//! costs its neighbours nothing; the operator always gets in. What a client may have *inside* the node is the engine's
//! (`engine::quota`). Absent on purpose: a share for an address or a connection; behind a proxy all have one.

use engine::{Caller, Class, Problem, refuse};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Clients that are told apart at one time. A bucket that is full again is forgotten, so only a flood of invented
/// credentials comes near.
const CALLERS_MAX: usize = 4096;
/// Parts of one call, so that a rate needs no fraction.
const PARTS: u64 = 1_000;

/// `[limits]` of `node.toml`: each client's share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientLimits {
    /// Calls a second, in the long run.
    pub client_calls_per_second: u32,
    /// Calls at once, after a pause.
    pub client_calls_burst: u32,
    /// Calls that wait for their answer at one time.
    pub client_calls_waiting: u32,
}

impl Default for ClientLimits {
    fn default() -> Self {
        // An eighth of `runner::COMMANDS_MAX` waits: a node has room for more than a few floods at once.
        Self { client_calls_per_second: 200, client_calls_burst: 400, client_calls_waiting: 256 }
    }
}

#[derive(Debug)]
struct Bucket {
    parts: u64,
    at: Instant,
    waiting: u32,
}

/// The door; cheap to clone.
#[derive(Debug, Clone)]
pub struct Door {
    limits: ClientLimits,
    callers: Arc<Mutex<BTreeMap<[u8; 32], Bucket>>>,
}

/// One call that waits for its answer; given back when dropped.
#[derive(Debug)]
pub struct Waiting {
    door: Door,
    caller: [u8; 32],
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut callers = self.door.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = callers.get_mut(&self.caller) {
            bucket.waiting = bucket.waiting.saturating_sub(1);
        }
    }
}

impl Door {
    /// With these shares.
    pub fn new(limits: ClientLimits) -> Self {
        Self { limits, callers: Arc::default() }
    }

    /// Counts `calls` of a caller, or refuses them all.
    pub fn enter(&self, caller: Caller, calls: usize) -> Result<(), Problem> {
        self.enter_at(caller, calls, Instant::now())
    }

    fn enter_at(&self, caller: Caller, calls: usize, now: Instant) -> Result<(), Problem> {
        let Caller::Client(client) = caller else { return Ok(()) };
        let cost = u64::try_from(calls).unwrap_or(u64::MAX).saturating_mul(PARTS);
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = self.bucket(&mut callers, client, now);
        let missing = cost.saturating_sub(bucket.parts);
        if missing == 0 {
            // API-SHARE-1: only calls that are let in are counted, so a flood does not lock its own client out.
            bucket.parts = bucket.parts.saturating_sub(cost);
            return Ok(());
        }
        let rate = u64::from(self.limits.client_calls_per_second).max(1);
        let text = format!("this client makes over {rate} calls a second, which is its limit");
        let wait_ms = missing.div_ceil(rate);
        Err(refuse(Class::Overloaded, "client_rate_max", text).retry_after_ms(wait_ms))
    }

    /// A place for a call that waits for its answer; none is needed for the operator.
    pub fn wait(&self, caller: Caller) -> Result<Option<Waiting>, Problem> {
        let Caller::Client(client) = caller else { return Ok(None) };
        let max = self.limits.client_calls_waiting;
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = self.bucket(&mut callers, client, Instant::now());
        // API-SHARE-2: one client's waits never fill the engine's queue.
        if bucket.waiting >= max {
            let text = format!("{max} calls of this client wait for answers, which is its limit");
            let problem = refuse(Class::Overloaded, "client_waiting_max", text);
            return Err(problem.retry_after_ms(1_000));
        }
        bucket.waiting = bucket.waiting.saturating_add(1);
        Ok(Some(Waiting { door: self.clone(), caller: client }))
    }

    /// This client's bucket, filled up to `now`.
    fn bucket<'a>(
        &self,
        callers: &'a mut BTreeMap<[u8; 32], Bucket>,
        client: [u8; 32],
        now: Instant,
    ) -> &'a mut Bucket {
        let full = u64::from(self.limits.client_calls_burst).saturating_mul(PARTS);
        let filled = |bucket: &Bucket| {
            let ms = now.saturating_duration_since(bucket.at).as_millis();
            let more = u64::try_from(ms).unwrap_or(u64::MAX);
            let more = more.saturating_mul(u64::from(self.limits.client_calls_per_second));
            bucket.parts.saturating_add(more).min(full)
        };
        if callers.len() >= CALLERS_MAX && !callers.contains_key(&client) {
            callers.retain(|_, bucket| bucket.waiting > 0 || filled(bucket) < full);
            // Nobody is idle: whoever used least makes room, and loses nothing but a few calls' count.
            let idle = callers.iter().filter(|(_, bucket)| bucket.waiting == 0);
            let least = idle.max_by_key(|(_, bucket)| filled(bucket)).map(|(key, _)| *key);
            if callers.len() >= CALLERS_MAX
                && let Some(least) = least
            {
                callers.remove(&least);
            }
        }
        let fresh = || Bucket { parts: full, at: now, waiting: 0 };
        let bucket = callers.entry(client).or_insert_with(fresh);
        // Whole milliseconds only, so that no fraction is lost between two calls.
        if now.saturating_duration_since(bucket.at) >= Duration::from_millis(1) {
            bucket.parts = filled(bucket);
            bucket.at = now;
        }
        bucket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ClientLimits = ClientLimits {
        client_calls_per_second: 10,
        client_calls_burst: 20,
        client_calls_waiting: 2,
    };

    fn client(number: u16) -> Caller {
        let mut hash = [0; 32];
        hash[..2].copy_from_slice(&number.to_be_bytes());
        Caller::Client(hash)
    }

    #[test]
    fn a_client_has_its_burst_then_its_rate_and_others_are_not_touched() {
        let door = Door::new(LIMITS);
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let enter =
            |caller, calls, ms| door.enter_at(caller, calls, at(ms)).map_err(|p| p.retry_ms);
        assert_eq!(enter(client(1), 20, 0), Ok(()));
        assert_eq!(enter(client(1), 1, 0), Err(Some(100)));
        assert_eq!(enter(client(1), 3, 50), Err(Some(250)));
        assert_eq!(enter(client(1), 1, 99), Err(Some(1)));
        assert_eq!(enter(client(1), 1, 100), Ok(()));
        assert_eq!(enter(client(1), 1, 100), Err(Some(100)));
        assert_eq!(enter(client(2), 20, 100), Ok(()));
        assert_eq!(enter(client(1), 21, 60_000), Err(Some(100)), "more than a burst never fits");
        assert_eq!(enter(client(1), 20, 60_000), Ok(()));
        for _ in 0..1_000 {
            assert_eq!(enter(Caller::Operator, 100, 0), Ok(()));
        }
    }

    #[test]
    fn waiting_calls_are_bounded_for_each_client_and_their_places_come_back() {
        let door = Door::new(LIMITS);
        let wait = |caller| door.wait(caller).map_err(|problem| problem.code);
        let first = wait(client(1)).unwrap();
        let _second = wait(client(1)).unwrap();
        assert_eq!(wait(client(1)).err(), Some("client_waiting_max"));
        assert!(wait(client(2)).is_ok());
        drop(first);
        assert!(wait(client(1)).is_ok());
        let many: Vec<_> = (0..100).map(|_| wait(Caller::Operator)).collect();
        assert!(many.iter().all(Result::is_ok));
    }

    /// Harm: whoever invents credentials would fill the memory, or push a busy client's count out of it.
    #[test]
    fn invented_credentials_take_bounded_memory_and_do_not_free_a_busy_client() {
        let door = Door::new(LIMITS);
        let now = Instant::now();
        assert!(door.enter_at(client(0), 20, now).is_ok());
        for number in 1..10_000 {
            assert!(door.enter_at(client(number), 1, now).is_ok());
        }
        assert!(door.callers.lock().unwrap().len() <= CALLERS_MAX);
        assert!(door.enter_at(client(0), 1, now).is_err());
    }
}
