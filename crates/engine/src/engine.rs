//! The machine itself: what it holds in memory, how it starts, and where each event goes.

use crate::attempts::{Retry, Verdicts};
use crate::budgets::{Costly, Unsigned};
use crate::ceremony::Ceremony;
use crate::early::{Early, Ended};
use crate::event::{Effect, Event, Output};
use crate::fill::Draft;
use crate::governed::Governance;
use crate::hello::{Hello, PROTOCOL};
use crate::job::{Job, JobId};
use crate::journal::{Entry, Record, RecordError, bounded};
use crate::judge::Pending;
use crate::leaf::public_view;
use crate::log::Log;
use crate::message::Message;
use crate::pairs::Pair;
use crate::peers::Link;
use crate::plans::Plans;
use crate::quota::Queue;
use crate::requests::Waiter;
use crate::sealed::{pair_key, vault_public_key, vault_share_key};
use crate::sending::Sending;
use crate::sessions::{Purpose, Session};
use crate::state::State;
use crate::status::Status;
use governance::approvals::Signer;
use model::card::NodeKey;
use model::entropy::Entropy;
use model::hash;
use model::ids::{CeremonyId, ClientId, Incarnation, NodeId, RequestId, SessionId, VaultId};
use model::secret::Secret;
use model::time::Timestamp;
use model::wire::Wire;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use threshold::shares::{VaultPublic, VaultShare};

/// What the runner knows and the journal does not.
#[derive(Debug, Clone)]
pub struct Config {
    /// Operator as on the card.
    pub operator: String,
    /// Where peers may dial this node.
    pub endpoint: String,
    /// Version of the software.
    pub software: String,
    /// Say yes to every ceremony for a test vault without asking the operator.
    pub auto_join_test_vaults: bool,
    /// The home's seal is cheap: no share of a live vault may come here.
    pub test_home: bool,
}

/// What survives a crash.
#[derive(Debug, Default)]
pub struct PersistentState {
    /// Journal records in order.
    pub records: Vec<Vec<u8>>,
    /// Sealed values by key, opened.
    pub secrets: BTreeMap<String, Secret<Vec<u8>>>,
}

/// A vault as this node holds it.
pub(crate) struct Keeping {
    pub public: Arc<VaultPublic>,
    pub share: Arc<VaultShare>,
}

/// One node.
pub struct Engine {
    pub(crate) me: NodeId,
    pub(crate) key: Arc<NodeKey>,
    pub(crate) config: Config,
    pub(crate) incarnation: Incarnation,
    pub(crate) now: Timestamp,
    /// What the runner's clock said last; behind `now` when it went back.
    pub(crate) clock: Timestamp,
    pub(crate) state: State,
    pub(crate) governance: Governance,
    pub(crate) vaults: BTreeMap<VaultId, Keeping>,
    pub(crate) links: BTreeMap<NodeId, Link>,
    pub(crate) pairs: BTreeMap<NodeId, Pair>,
    pub(crate) ceremonies: BTreeMap<CeremonyId, Ceremony>,
    pub(crate) stored: BTreeMap<VaultId, BTreeSet<NodeId>>,
    /// Vaults that not every member stored, and why they are taken for given up.
    pub(crate) unfinished: BTreeMap<VaultId, String>,
    /// When a peer was last answered about a vault that is stored here.
    pub(crate) stored_told: BTreeMap<(NodeId, VaultId), Timestamp>,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    pub(crate) ended: Ended,
    pub(crate) early: BTreeMap<(SessionId, NodeId), Early>,
    pub(crate) waiters: BTreeMap<RequestId, Vec<Waiter>>,
    pub(crate) retries: BTreeMap<RequestId, Retry>,
    pub(crate) last_failures: BTreeMap<RequestId, (String, String)>,
    pub(crate) refusals: BTreeMap<NodeId, (Timestamp, u32)>,
    pub(crate) budgets: BTreeMap<(NodeId, Costly), (Timestamp, u32)>,
    pub(crate) unsigned: BTreeMap<NodeId, Unsigned>,
    pub(crate) suspects: BTreeMap<NodeId, (Timestamp, u32)>,
    /// Peers that said they had too much to do, until when they are asked last.
    pub(crate) busy: BTreeMap<NodeId, Timestamp>,
    pub(crate) avoided: BTreeMap<String, Timestamp>,
    pub(crate) plans: Plans,
    pub(crate) drafts: BTreeMap<RequestId, Draft>,
    pub(crate) verdicts: BTreeMap<RequestId, Verdicts>,
    /// Requests that wait for a session, and those that wait for the chain node.
    pub(crate) queue: Queue,
    pub(crate) asking: BTreeMap<RequestId, (VaultId, ClientId)>,
    pub(crate) broadcasts: BTreeMap<RequestId, Sending>,
    /// Signed transactions that the chain node did not take, and why.
    pub(crate) unsent: BTreeMap<RequestId, (String, String)>,
    pub(crate) jobs: BTreeMap<JobId, Purpose>,
    pub(crate) challenges: BTreeMap<(NodeId, VaultId), ([u8; 32], Timestamp)>,
    pub(crate) held_by: BTreeMap<NodeId, String>,
    /// Peers that stopped the pair with this node, until fresh state is made.
    pub(crate) stopped_by: BTreeSet<NodeId>,
    pub(crate) counters: Status,
    pub(crate) proof_asked: Timestamp,
    pub(crate) proof_answered: Timestamp,
    pub(crate) proof_open: Option<(NodeId, VaultId)>,
    /// Counts the tries to prove a share: whose turn it is.
    pub(crate) proof_turn: usize,
    /// Peers that accepted this node in this run: their check of its journal passed, or their operator released it.
    pub(crate) accepted_by: BTreeSet<NodeId>,
    /// Records other than notes on peers, and what of them was told when.
    pub(crate) grown: u64,
    pub(crate) told: (u64, Timestamp),
    pub(crate) seen_written: Timestamp,
    pub(crate) log: Log,
    /// Requests taken here that wait for people or time.
    pub(crate) pending: BTreeMap<RequestId, Pending>,
    /// Requests about which an act came in.
    pub(crate) touched: BTreeSet<RequestId>,
    /// Acts of each credential within the minute.
    pub(crate) act_counts: BTreeMap<(VaultId, Signer), (Timestamp, u32)>,
    hashes: Vec<[u8; 32]>,
    next_job: u64,
    output: Output,
}

impl core::fmt::Debug for Engine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Engine({:?}, {} vaults)", self.me, self.vaults.len())
    }
}

impl Engine {
    /// Starts from what survived. Folding the journal is the only way in, for a first start and after every crash.
    pub fn start(
        config: Config,
        key: Arc<NodeKey>,
        persistent: PersistentState,
        incarnation: Incarnation,
        now: Timestamp,
    ) -> Result<(Self, Output), RecordError> {
        let mut engine = Self::empty(config, key, incarnation, now);
        for (sequence, bytes) in (0u64..).zip(&persistent.records) {
            engine.replay(sequence, bytes)?;
        }
        engine.governance.refresh_all(engine.now);
        engine.open_secrets(persistent.secrets)?;
        engine.warn_of_clock();
        engine.commit(Entry::Started(incarnation));
        engine.resume_requests();
        let peers: Vec<_> = engine
            .state
            .peers
            .values()
            .map(|peer| (peer.card.node, peer.card.endpoint.clone()))
            .collect();
        for (peer, endpoint) in peers {
            engine.push(Effect::Connect { peer, endpoint });
        }
        let output = engine.take_output();
        Ok((engine, output))
    }

    fn empty(config: Config, key: Arc<NodeKey>, incarnation: Incarnation, now: Timestamp) -> Self {
        Self {
            me: key.id(),
            key,
            config,
            incarnation,
            now,
            clock: now,
            state: State::default(),
            governance: Governance::default(),
            vaults: BTreeMap::new(),
            links: BTreeMap::new(),
            pairs: BTreeMap::new(),
            ceremonies: BTreeMap::new(),
            stored: BTreeMap::new(),
            unfinished: BTreeMap::new(),
            stored_told: BTreeMap::new(),
            sessions: BTreeMap::new(),
            ended: Ended::default(),
            early: BTreeMap::new(),
            waiters: BTreeMap::new(),
            retries: BTreeMap::new(),
            last_failures: BTreeMap::new(),
            refusals: BTreeMap::new(),
            budgets: BTreeMap::new(),
            unsigned: BTreeMap::new(),
            suspects: BTreeMap::new(),
            busy: BTreeMap::new(),
            avoided: BTreeMap::new(),
            plans: Plans::default(),
            drafts: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            queue: Queue::default(),
            asking: BTreeMap::new(),
            broadcasts: BTreeMap::new(),
            unsent: BTreeMap::new(),
            jobs: BTreeMap::new(),
            challenges: BTreeMap::new(),
            held_by: BTreeMap::new(),
            stopped_by: BTreeSet::new(),
            counters: Status::default(),
            proof_asked: Timestamp(0),
            proof_answered: Timestamp(0),
            proof_open: None,
            proof_turn: 0,
            accepted_by: BTreeSet::new(),
            grown: 0,
            told: (0, Timestamp(0)),
            seen_written: now,
            log: Log::default(),
            pending: BTreeMap::new(),
            touched: BTreeSet::new(),
            act_counts: BTreeMap::new(),
            hashes: Vec::new(),
            next_job: 0,
            output: Output::default(),
        }
    }

    fn replay(&mut self, sequence: u64, bytes: &[u8]) -> Result<(), RecordError> {
        let record = Record::from_bytes(bytes).map_err(|e| RecordError::Wire(sequence, e))?;
        if record.sequence != sequence || record.previous != self.head() {
            return Err(RecordError::Chain(sequence));
        }
        self.hashes.push(Record::hash(bytes));
        self.log.append(&public_view(&self.key, &record, bytes));
        self.now = self.now.max(record.at);
        self.state.fold(record.at, &record.entry);
        self.governance.fold(record.at, &record.entry);
        if let Entry::Act(signed) = &record.entry
            && !self.governance.readmit(record.at, signed)
        {
            return Err(RecordError::Act(sequence));
        }
        Ok(())
    }

    /// Opens shares and pair state, and holds them against what the journal says of them.
    fn open_secrets(
        &mut self,
        mut secrets: BTreeMap<String, Secret<Vec<u8>>>,
    ) -> Result<(), RecordError> {
        for (id, vault) in &self.state.vaults {
            let damaged = |name: &str| RecordError::Secret(name.to_owned());
            let (public_key, share_key) = (vault_public_key(*id), vault_share_key(*id));
            let public = secrets.remove(&public_key).ok_or_else(|| damaged(&public_key))?;
            if hash::sha256(public.expose()) != vault.hash {
                return Err(damaged(&public_key));
            }
            let public =
                VaultPublic::from_bytes(public.expose()).map_err(|_| damaged(&public_key))?;
            let share = secrets.remove(&share_key).ok_or_else(|| damaged(&share_key))?;
            let share = VaultShare::from_bytes(share.expose()).map_err(|_| damaged(&share_key))?;
            public.check_share(&share).map_err(|_| damaged(&share_key))?;
            // A share that fits, but another member's: two nodes must never sign with one share.
            if public.seat_of(self.me) != Some(share.seat) {
                return Err(damaged(&share_key));
            }
            let keeping = Keeping { public: Arc::new(public), share: Arc::new(share) };
            self.vaults.insert(*id, keeping);
        }
        for (peer, state) in &self.state.peers {
            let pair = Pair::open(&state.pair, secrets.remove(&pair_key(*peer)), self.now)
                .map_err(|()| RecordError::Secret(pair_key(*peer)))?;
            self.pairs.insert(*peer, pair);
        }
        Ok(())
    }

    /// Takes one event.
    pub fn handle(&mut self, now: Timestamp, event: Event, entropy: &mut dyn Entropy) -> Output {
        // A clock that goes back must not make anything younger.
        self.clock = now;
        self.now = self.now.max(now);
        let is_tick = matches!(event, Event::Tick);
        match event {
            Event::Tick => self.handle_tick(entropy),
            Event::Up { peer, hello } => self.handle_up(peer, &hello),
            Event::Down { peer } => self.handle_down(peer),
            Event::CloneSeen { peer } => self.handle_clone_seen(peer),
            Event::TurnedAway { peer } => self.handle_turned_away(peer),
            Event::Frame { peer, bytes } => self.handle_frame(peer, &bytes, entropy),
            Event::Command { id, caller, command } => {
                self.handle_command(id, caller, command, entropy);
            }
            Event::Computed { id, output } => self.handle_computed(id, output),
            Event::Facts { request, result } => self.handle_facts(request, result, entropy),
            Event::Resumed { reason } => self.handle_resumed(&reason),
            Event::Sent { request, result } => self.handle_sent(request, result),
        }
        self.look_again(is_tick, entropy);
        self.admit_waiting(entropy);
        self.take_output()
    }

    fn handle_tick(&mut self, entropy: &mut dyn Entropy) {
        self.nudge_links();
        self.tell_journal();
        self.ask_clocks();
        self.advance_waiting();
        self.expire_sessions();
        self.expire_ceremonies();
        self.expire_unfinished();
        self.retry_requests(entropy);
        self.expire_waiters();
        self.offer_pairs(entropy);
        self.prove_when_idle();
        for (vault, id) in self.state.forget(self.now) {
            self.governance.forget(&vault, &id, self.now);
            self.pending.remove(&id);
            self.verdicts.remove(&id);
            self.drafts.remove(&id);
            self.last_failures.remove(&id);
            self.unsent.remove(&id);
            self.retries.remove(&id);
            self.broadcasts.remove(&id);
            self.asking.remove(&id);
        }
    }

    fn handle_frame(&mut self, peer: NodeId, bytes: &[u8], entropy: &mut dyn Entropy) {
        if !self.links.contains_key(&peer) {
            return;
        }
        let message = match Message::from_bytes(bytes) {
            Ok(message) => message,
            Err(error) => return self.note_garbage(peer, &error),
        };
        match message {
            Message::HistoryAsk(seen) => self.handle_history_ask(peer, seen),
            Message::HistoryTell { length, head, now } => {
                self.handle_history_tell(peer, length, head, now, entropy);
            }
            Message::Journal(journal) => self.handle_journal(peer, journal),
            Message::Held { reason } => self.handle_held(peer, reason),
            _ if !self.is_accepted(peer) => {}
            Message::Clock(word) => self.handle_clock(peer, word),
            Message::PairOffer { .. }
            | Message::PairStep { .. }
            | Message::PairReady { .. }
            | Message::PairStopped { .. } => {
                self.note_accepted_by(peer);
                self.handle_pair_message(peer, message, entropy);
            }
            Message::CeremonyPropose(_)
            | Message::CeremonyUnder(..)
            | Message::CeremonyJoin(_)
            | Message::CeremonyAgree(..)
            | Message::CeremonyFail(..)
            | Message::Dkg { .. }
            | Message::CeremonyEvidence(..)
            | Message::VaultStored { .. } => self.handle_ceremony_message(peer, message),
            Message::Propose(_)
            | Message::Verdict { .. }
            | Message::Round { .. }
            | Message::Abort { .. } => self.handle_session_message(peer, message, entropy),
            Message::Act(act) => self.handle_act(peer, &act),
            Message::Asked(request, signature) => self.handle_asked(peer, *request, &signature),
            Message::ChallengeAsk { .. }
            | Message::ChallengeTell { .. }
            | Message::Proof { .. }
            | Message::ProofValid { .. } => self.handle_proof_message(peer, message, entropy),
        }
    }

    /// Greeting for new links.
    pub fn hello(&self) -> Vec<u8> {
        Hello {
            incarnation: self.incarnation,
            protocol: PROTOCOL,
            length: self.length(),
            head: self.head(),
            software: self.config.software.clone(),
        }
        .to_bytes()
    }

    /// Records in the journal.
    pub(crate) fn length(&self) -> u64 {
        u64::try_from(self.hashes.len()).unwrap_or(u64::MAX)
    }

    /// Hash of the last record; zeros for none.
    pub(crate) fn head(&self) -> [u8; 32] {
        self.hashes.last().copied().unwrap_or_default()
    }

    /// Hash of the journal when it had `length` records.
    pub(crate) fn head_at(&self, length: u64) -> Option<[u8; 32]> {
        match length.checked_sub(1) {
            None => Some([0; 32]),
            Some(last) => self.hashes.get(usize::try_from(last).ok()?).copied(),
        }
    }

    /// Adds a record to this output's commit and folds it.
    pub(crate) fn commit(&mut self, entry: Entry) {
        // A note on a peer is no news, or two idle nodes would tell one another for ever.
        if !matches!(entry, Entry::PeerSeen(..)) {
            self.grown = self.grown.saturating_add(1);
        }
        let record = Record { sequence: self.length(), previous: self.head(), at: self.now, entry };
        let bytes = record.to_bytes();
        if self.output.commit.records.is_empty() {
            self.output.commit.first = record.sequence;
        }
        self.hashes.push(Record::hash(&bytes));
        self.log.append(&public_view(&self.key, &record, &bytes));
        self.output.commit.records.push(bytes);
        self.state.fold(record.at, &record.entry);
        self.governance.fold(record.at, &record.entry);
    }

    /// Adds a secret value to this output's commit.
    pub(crate) fn put_secret(&mut self, key: String, value: Secret<Vec<u8>>) {
        self.output.commit.deletes.retain(|deleted| *deleted != key);
        self.output.commit.puts.push((key, value));
    }

    /// Destroys a secret value in this output's commit.
    pub(crate) fn delete_secret(&mut self, key: String) {
        self.output.commit.puts.retain(|(put, _)| *put != key);
        self.output.commit.deletes.push(key);
    }

    /// Writes or drops a public record in this output's commit.
    pub(crate) fn put_record(&mut self, name: String, bytes: Option<Vec<u8>>) {
        self.output.commit.public.push((name, bytes));
    }

    pub(crate) fn push(&mut self, effect: Effect) {
        self.output.effects.push(effect);
    }

    pub(crate) fn send(&mut self, peer: NodeId, message: &Message) {
        if self.links.contains_key(&peer) {
            self.push(Effect::Send { peer, bytes: message.to_bytes() });
        }
    }

    /// Sends to every one of `nodes` but this node.
    pub(crate) fn send_all(&mut self, nodes: impl IntoIterator<Item = NodeId>, message: &Message) {
        for node in nodes {
            if node != self.me {
                self.send(node, message);
            }
        }
    }

    pub(crate) fn warn(&mut self, code: &'static str, message: String) {
        self.push(Effect::Warn { code, message: bounded(&message) });
    }

    pub(crate) fn compute(&mut self, job: Job, purpose: Purpose) -> JobId {
        let id = JobId(self.next_job);
        self.next_job = self.next_job.saturating_add(1);
        self.jobs.insert(id, purpose);
        self.push(Effect::Compute { id, job });
        id
    }

    fn take_output(&mut self) -> Output {
        core::mem::take(&mut self.output)
    }

    /// An operator's name for people, or the node's first digits.
    pub(crate) fn name_of(&self, node: NodeId) -> String {
        if node == self.me {
            return self.config.operator.clone();
        }
        let known = self.state.peers.get(&node).map(|peer| peer.card.operator.clone());
        known.unwrap_or_else(|| node.short())
    }
}
