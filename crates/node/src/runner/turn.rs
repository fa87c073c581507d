//! The thread that owns engine and store: take inputs, commit once, then let the effects out in order.
//!
//! Up to [`INPUTS_PER_TURN_MAX`] inputs share one durable write. Invariants K3 and L1 hold by construction: no effect
//! of a turn leaves before the turn's commit is durable, and a failed commit lets none of them out.
//!
//! When the disk is full nothing was written: the engine is dropped and started again from the store, as after a
//! crash. After any other failed write its outcome is unknown (the kernel forgets dirty pages of a failed `fsync`),
//! so the node stops; the next start reads what the disk really holds.

use super::watch::Watch;
use super::{Answer, Inbox, Input, Place};
use crate::compute::Compute;
use crate::entropy::OsEntropy;
use crate::metrics::Metrics;
use crate::store::{Batch, Store, StoreError};
use engine::{
    Class, CommandId, Config, Effect, Engine, Event, FactsQuery, Output, PersistentState, Problem,
    RecordError, Reply, refuse,
};
use model::api::RecordView;
use model::card::NodeKey;
use model::entropy::Entropy;
use model::hash::sha256;
use model::ids::{Incarnation, NodeId, RequestId};
use model::intent::Network;
use model::secret::Secret;
use model::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Inputs that share one commit at most.
const INPUTS_PER_TURN_MAX: usize = 256;
/// How often the engine hears that time passed.
const TICK: Duration = Duration::from_millis(100);
/// How long to wait before a full disk is tried again.
const FULL_DISK_WAIT: Duration = Duration::from_secs(1);

/// Where effects go that leave this thread.
pub trait Outside: Send {
    /// Sends a frame to a peer; drops it when the link is gone or full.
    fn send(&mut self, peer: NodeId, bytes: Vec<u8>);
    /// Accepts and dials a peer from now on.
    fn connect(&mut self, peer: NodeId, endpoint: String);
    /// Ends the link with a peer; it may dial again.
    fn disconnect(&mut self, peer: NodeId);
    /// A new engine runs: closes every link and greets with `hello` from now on.
    fn restarted(&mut self, hello: Vec<u8>);
    /// Asks a chain node; the answer comes as an event.
    fn ask_chain(&mut self, request: RequestId, query: FactsQuery);
    /// Hands a signed transaction to a chain node; best effort.
    fn broadcast(&mut self, request: RequestId, network: Network, text: String);
}

/// What an engine is made from besides the store.
#[derive(Debug, Clone)]
pub struct Seed {
    /// The node's key.
    pub key: Arc<NodeKey>,
    /// What the operator wrote.
    pub config: Config,
}

/// Why the runner ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The store's state is unknown or unsound.
    #[error("the store failed and the node stops; the next start reads what the disk holds")]
    Store(#[from] StoreError),
    /// The engine refuses what the store holds.
    #[error("the engine does not start from this store")]
    Engine(#[source] RecordError),
}

impl RunnerError {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Engine(_) => "journal",
        }
    }
}

/// The runner's thread. Fields drop in this order: closing the inbox frees compute threads that wait to send.
pub struct Runner {
    inbox: Inbox,
    engine: Option<Engine>,
    store: Box<dyn Store>,
    outside: Box<dyn Outside>,
    waiting: BTreeMap<CommandId, (Answer, Place)>,
    commands_seen: u64,
    generation: u64,
    seed: Seed,
    metrics: Arc<Metrics>,
    compute: Arc<Compute>,
    watch: Watch,
    /// What was noticed, until an engine that was told of it runs.
    resumed: Option<String>,
}

impl core::fmt::Debug for Runner {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Runner(generation {})", self.generation)
    }
}

/// One turn's outputs, merged: records in order, the last word on every secret, effects in order.
#[derive(Default)]
struct Turn {
    entries: Vec<(u64, Vec<u8>)>,
    secrets: BTreeMap<String, Option<Secret<Vec<u8>>>>,
    public: BTreeMap<String, Option<Vec<u8>>>,
    effects: Vec<Effect>,
}

impl Turn {
    fn add(&mut self, output: Output) {
        let Output { commit, mut effects } = output;
        self.entries.extend((commit.first..).zip(commit.records));
        // Deletes first, then puts, as one engine step means it; a later step of the turn has the last word.
        self.secrets.extend(commit.deletes.into_iter().map(|name| (name, None)));
        self.secrets.extend(commit.puts.into_iter().map(|(name, value)| (name, Some(value))));
        self.public.extend(commit.public);
        self.effects.append(&mut effects);
    }

    fn batch(&mut self) -> Batch {
        let mut batch = Batch { entries: std::mem::take(&mut self.entries), ..Batch::default() };
        for (name, value) in std::mem::take(&mut self.secrets) {
            match value {
                Some(value) => batch.puts.push((name, value)),
                None => batch.deletes.push(name),
            }
        }
        batch.public = std::mem::take(&mut self.public).into_iter().collect();
        batch.destroy = !batch.deletes.is_empty();
        batch
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl Runner {
    /// Starts the engine from the store and lets its first effects out.
    pub fn start(
        inbox: Inbox,
        store: Box<dyn Store>,
        outside: Box<dyn Outside>,
        compute: Arc<Compute>,
        seed: Seed,
        metrics: Arc<Metrics>,
        watch: Watch,
    ) -> Result<Self, RunnerError> {
        let mut runner = Self {
            inbox,
            engine: None,
            store,
            outside,
            waiting: BTreeMap::new(),
            commands_seen: 0,
            generation: 0,
            seed,
            metrics,
            compute,
            watch,
            resumed: None,
        };
        runner.rebuild()?;
        Ok(runner)
    }

    /// Runs until [`Input::Stop`] or until every handle is gone.
    pub fn run(mut self) -> Result<(), RunnerError> {
        let mut tick_at = Instant::now();
        loop {
            let wait = tick_at.saturating_duration_since(Instant::now());
            let mut input = match self.inbox.next(wait) {
                Ok(input) => Some(input),
                Err(super::Empty::Waited) => None,
                Err(super::Empty::Closed) => return Ok(()),
            };
            if let Some(reason) = self.watch.noticed() {
                self.resume(reason)?;
            }
            let mut turn = Turn::default();
            let mut taken = 0usize;
            while let Some(next) = input {
                if matches!(next, Input::Stop) {
                    return self.settle(turn);
                }
                self.take(&mut turn, next);
                taken = taken.saturating_add(1);
                input = if taken < INPUTS_PER_TURN_MAX { self.inbox.ready() } else { None };
            }
            let ticks = Instant::now() >= tick_at;
            if ticks {
                tick_at = Instant::now() + self.tick(&mut turn)?;
            }
            self.settle(turn)?;
            if ticks {
                self.inbox.publish(self.engine.as_ref().map(Engine::status));
            }
        }
    }

    /// Tells the engine that time passed, or tries to start it again; answers when to come back.
    fn tick(&mut self, turn: &mut Turn) -> Result<Duration, RunnerError> {
        if self.engine.is_none() {
            self.rebuild()?;
        }
        self.event(turn, Event::Tick);
        Ok(if self.engine.is_some() { TICK } else { FULL_DISK_WAIT })
    }

    fn take(&mut self, turn: &mut Turn, input: Input) {
        match input {
            Input::Event(event) => self.event(turn, event),
            Input::Computed { generation, id, output } => {
                if generation == self.generation {
                    self.event(turn, Event::Computed { id, output });
                }
            }
            Input::Command { caller, command, answer, place } => {
                if self.engine.is_none() {
                    let _left = answer.send(Err(store_problem(&StoreError::Full)));
                    return;
                }
                self.commands_seen = self.commands_seen.saturating_add(1);
                let id = CommandId(self.commands_seen);
                self.waiting.insert(id, (answer, place));
                self.event(turn, Event::Command { id, caller, command: *command });
            }
            Input::ProbeStore(answer) => {
                let result = self.store.probe_writable().map_err(|error| error.to_string());
                let _left = answer.send(result);
            }
            Input::Stop => {}
        }
    }

    fn event(&mut self, turn: &mut Turn, event: Event) {
        if let Some(engine) = &mut self.engine {
            turn.add(engine.handle(now(), event, &mut OsEntropy));
        }
    }

    /// Commit, then the effects in order.
    fn settle(&mut self, mut turn: Turn) -> Result<(), RunnerError> {
        let batch = turn.batch();
        if !batch.is_empty() {
            let started = Instant::now();
            let written = self.store.commit(&batch);
            self.metrics.commit(started.elapsed(), written.is_ok());
            match written {
                Ok(()) => {}
                Err(StoreError::NotDestroyed(reason)) => {
                    tracing::error!(
                        code = "store_not_destroyed", %reason,
                        "old secrets may remain"
                    );
                }
                // K6: a failed check of a pair must not be forgotten. The key alone is destroyed, which needs far less
                // room than the turn, and the node stops: without its state the pair starts as stopped.
                Err(error) if batch.deletes.iter().any(|key| key.starts_with("pair/")) => {
                    self.fail_all(&error);
                    self.engine = None;
                    self.destroy_pairs(&batch)?;
                    return Err(error.into());
                }
                // API-FULL-1: as after a crash, from what the disk holds.
                Err(error @ StoreError::Full) => {
                    self.fail_all(&error);
                    return self.rebuild();
                }
                Err(error) => {
                    self.fail_all(&error);
                    self.engine = None;
                    return Err(error.into());
                }
            }
        }
        // The write may have taken long: what was noticed meanwhile counts before anything leaves.
        if let Some(reason) = self.watch.noticed() {
            return self.resume(reason);
        }
        turn.effects.into_iter().for_each(|effect| self.perform(effect));
        Ok(())
    }

    /// When even this fails, the store does not open again before it went through: the node stays down, by name.
    fn destroy_pairs(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let pairs = batch.deletes.iter().filter(|key| key.starts_with("pair/")).cloned();
        let names: Vec<String> = pairs.collect();
        self.store.destroy(&names).inspect_err(|error| {
            tracing::error!(
                code = "pair_not_destroyed", %error,
                "a stopped pair's state is still on the disk; this node does not start before it is gone"
            );
        })
    }

    /// A copy, a restored image or a set clock: as after a crash, from what the disk holds, and with fresh pair state.
    /// Nothing of the turn leaves; what was committed counts, as after a crash between the two.
    fn resume(&mut self, reason: String) -> Result<(), RunnerError> {
        tracing::warn!(code = "resumed", %reason, "this node begins anew");
        for (_, (answer, _place)) in std::mem::take(&mut self.waiting) {
            let text = format!("{reason}; what was under way is not known to have ended");
            let problem = refuse(Class::Unavailable, "resumed", text)
                .hint("ask again with the same idempotency key: one request has one outcome");
            let _left = answer.send(Err(problem));
        }
        self.resumed = Some(reason);
        self.rebuild()
    }

    /// The normal start: state from the store, a new incarnation, no links. A full disk leaves no engine.
    fn rebuild(&mut self) -> Result<(), RunnerError> {
        self.engine = None;
        self.generation = self.generation.saturating_add(1);
        self.compute.forget();
        let loaded = self.store.load()?;
        let state = PersistentState { records: loaded.entries, secrets: loaded.secrets };
        let Seed { key, config } = self.seed.clone();
        let incarnation = Incarnation(OsEntropy.bytes());
        let (mut engine, output) =
            Engine::start(config, key, state, incarnation, now()).map_err(RunnerError::Engine)?;
        let mut turn = Turn::default();
        turn.add(output);
        if let Some(reason) = self.resumed.clone() {
            turn.add(engine.handle(now(), Event::Resumed { reason }, &mut OsEntropy));
        }
        let batch = turn.batch();
        match self.store.commit(&batch) {
            Ok(()) => {}
            Err(StoreError::Full) => {
                tracing::error!(code = "store_full", "no room to start the engine; waiting");
                self.inbox.publish(None);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        self.resumed = None;
        self.outside.restarted(engine.hello());
        self.inbox.publish(Some(engine.status()));
        self.engine = Some(engine);
        turn.effects.into_iter().for_each(|effect| self.perform(effect));
        Ok(())
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Send { peer, bytes } => self.outside.send(peer, bytes),
            Effect::Connect { peer, endpoint } => self.outside.connect(peer, endpoint),
            Effect::Disconnect { peer } => self.outside.disconnect(peer),
            Effect::Compute { id, job } => self.compute.run(self.generation, id, job),
            Effect::Reply { id, result } => self.reply(id, result),
            Effect::ReplyRecord { id, name, view } => {
                let result = self.record(&name, *view);
                self.reply(id, result);
            }
            Effect::AskChain { request, query } => self.outside.ask_chain(request, query),
            Effect::Broadcast { request, network, text } => {
                self.outside.broadcast(request, network, text);
            }
            Effect::Warn { code, message } => {
                self.metrics.warning(code);
                tracing::warn!(code, "{message}");
            }
        }
    }

    fn reply(&mut self, id: CommandId, result: Result<Reply, Problem>) {
        if let Some((answer, _place)) = self.waiting.remove(&id) {
            // The caller may have left; its answer is then nobody's.
            let _left = answer.send(result);
        }
    }

    /// A public record whose hash the journal names.
    fn record(&mut self, name: &str, mut view: RecordView) -> Result<Reply, Problem> {
        let stored = self.store.record(name).map_err(|error| {
            refuse(Class::Unavailable, error.code(), format!("the record is not read: {error}"))
        })?;
        let bytes = stored.ok_or_else(|| {
            refuse(Class::NotFound, "record_not_kept", "the record is not in the store any more")
        })?;
        if hex::encode(sha256(&bytes)) != view.sha256 {
            let text = "the stored record is not the one that the journal names";
            return Err(refuse(Class::Unavailable, "record_damaged", text)
                .hint("ask another member of the ceremony for its record"));
        }
        view.record = hex::encode(bytes);
        Ok(Reply::Record(Box::new(view)))
    }

    /// The engine that owed these answers is gone.
    fn fail_all(&mut self, error: &StoreError) {
        tracing::error!(
            code = error.code(), %error,
            "the store refused a commit; nothing of it left"
        );
        for (_, (answer, _place)) in std::mem::take(&mut self.waiting) {
            let _left = answer.send(Err(store_problem(error)));
        }
    }
}

fn store_problem(error: &StoreError) -> Problem {
    let code = if matches!(error, StoreError::Full) { "store_full" } else { "store_failed" };
    refuse(Class::Unavailable, code, format!("nothing was changed or sent: {error}"))
        .hint("make room on the disk of the node's directory, then try again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::Commit;

    fn step(first: u64, records: &[&str], puts: &[&str], deletes: &[&str]) -> Output {
        let put = |name: &&str| ((*name).to_owned(), Secret::new(vec![1]));
        Output {
            commit: Commit {
                records: records.iter().map(|text| text.as_bytes().to_vec()).collect(),
                first,
                puts: puts.iter().map(put).collect(),
                deletes: deletes.iter().map(|name| (*name).to_owned()).collect(),
                public: Vec::new(),
            },
            effects: Vec::new(),
        }
    }

    /// Goal: one write of many steps leaves what the steps one by one would leave.
    #[test]
    fn the_last_word_on_a_secret_counts_and_records_keep_their_numbers() {
        let mut turn = Turn::default();
        turn.add(step(5, &["a", "b"], &["made", "kept"], &[]));
        turn.add(step(7, &[], &["replaced"], &["made", "replaced"]));
        turn.add(step(7, &["c"], &[], &["never"]));
        let batch = turn.batch();
        let numbers: Vec<u64> = batch.entries.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [5, 6, 7]);
        let puts: Vec<&str> = batch.puts.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(puts, ["kept", "replaced"]);
        assert_eq!(batch.deletes, ["made", "never"]);
        assert!(batch.destroy);
    }
}
