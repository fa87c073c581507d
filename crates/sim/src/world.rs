//! The world: a queue of timed events, nodes with durable stores, links that break, and nothing that is not from the seed.

pub use crate::disk::{Dice, Disk};
use crate::faults::Faults;
use crate::invariants::Watch;
use engine::{
    CommandId, Config, Effect, Engine, Event, Facts, FactsQuery, JobId, JobOutput, Output, Problem,
    Reply,
};
use model::card::NodeKey;
use model::entropy::Entropy;
use model::hash;
use model::ids::{Incarnation, NodeId, RequestId};
use model::time::Timestamp;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

mod asking;
mod clocks;

/// Every world begins here (2026-01-01T00:00:00Z), so that no run depends on a clock.
const BEGIN_MS: u64 = 1_767_225_600_000;
/// A world that starts from written disks begins this much later.
const WRITTEN_BEFORE_MS: u64 = 3_600_000;
/// The engine's clock tick.
const TICK_MS: u64 = 100;

struct SimNode {
    key: Arc<NodeKey>,
    config: Config,
    disk: Disk,
    engine: Option<Engine>,
    /// Counts the runs, so that nothing of an old run reaches a new one.
    run: u64,
    connect: BTreeSet<NodeId>,
    /// Its clock is this much ahead of the world's, milliseconds.
    skew_ms: i64,
}

enum Timed {
    Tick { node: usize },
    Frame { from: usize, to: usize, link: u64, bytes: Vec<u8> },
    Computed { node: usize, run: u64, id: JobId, output: JobOutput },
    Told { node: usize, run: u64, event: Event },
    LinkUp { a: usize, b: usize },
    Restart { node: usize },
    Weather,
}

/// Changes or drops a frame on its way: a traitor's hand.
pub type Tamper = Box<dyn FnMut(usize, usize, Vec<u8>) -> Vec<Vec<u8>>>;

/// Answers what a node asks its chain node.
pub type Chain = Box<dyn FnMut(usize, &FactsQuery) -> Result<Facts, String>>;

/// A cluster under one seed.
pub struct World {
    now: Timestamp,
    dice: Dice,
    faults: Faults,
    nodes: Vec<SimNode>,
    index: BTreeMap<NodeId, usize>,
    queue: BTreeMap<(Timestamp, u64), Timed>,
    next: u64,
    /// Live links by their two ends, with a number per connection.
    links: BTreeMap<(usize, usize), u64>,
    next_link: u64,
    next_command: u64,
    replies: BTreeMap<CommandId, Result<Reply, Problem>>,
    digest: [u8; 32],
    watch: Watch,
    tamper: Option<Tamper>,
    chain: Option<Chain>,
    /// Warnings in order: node, code, text.
    pub warnings: Vec<(usize, &'static str, String)>,
}

fn ends(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

impl World {
    /// `disks` of nodes with these keys; every node is started, links come up by themselves.
    pub fn new(seed: u64, faults: Faults, nodes: Vec<(NodeKey, Disk)>) -> Self {
        // Disks that were written before are older than this world.
        let written = nodes.iter().any(|(_, disk)| !disk.records.is_empty());
        let begin = BEGIN_MS.saturating_add(if written { WRITTEN_BEFORE_MS } else { 0 });
        let nodes: Vec<SimNode> = (0u32..)
            .zip(nodes)
            .map(|(number, (key, disk))| SimNode {
                key: Arc::new(key),
                config: Config {
                    operator: format!("operator {number}"),
                    endpoint: String::new(),
                    software: "sim".to_owned(),
                    auto_join_test_vaults: true,
                    test_home: false,
                },
                disk,
                engine: None,
                run: 0,
                connect: BTreeSet::new(),
                skew_ms: 0,
            })
            .collect();
        let index = nodes.iter().enumerate().map(|(at, node)| (node.key.id(), at)).collect();
        let mut world = Self {
            now: Timestamp(begin),
            dice: Dice(ChaCha20Rng::seed_from_u64(seed)),
            faults,
            nodes,
            index,
            queue: BTreeMap::new(),
            next: 0,
            links: BTreeMap::new(),
            next_link: 0,
            next_command: 0,
            replies: BTreeMap::new(),
            digest: [0; 32],
            watch: Watch::default(),
            tamper: None,
            chain: None,
            warnings: Vec::new(),
        };
        for node in 0..world.nodes.len() {
            world.schedule(0, Timed::Restart { node });
        }
        world.schedule(1000, Timed::Weather);
        world
    }

    /// Hash over everything that happened so far: two runs of one seed agree in it.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }
    /// Simulated time.
    pub fn now(&self) -> Timestamp {
        self.now
    }
    /// Number of nodes.
    pub fn size(&self) -> usize {
        self.nodes.len()
    }
    /// What a node's disk holds.
    pub fn disk(&self, node: usize) -> Option<&Disk> {
        self.nodes.get(node).map(|n| &n.disk)
    }
    /// A node's id.
    pub fn id(&self, node: usize) -> Option<NodeId> {
        self.nodes.get(node).map(|n| n.key.id())
    }
    /// The world's generator.
    pub fn dice(&mut self) -> &mut Dice {
        &mut self.dice
    }
    /// From here on other faults.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }
    /// From here on every frame passes through this hand.
    pub fn set_tamper(&mut self, tamper: Option<Tamper>) {
        self.tamper = tamper;
    }
    /// From here on this is the chain node of every node.
    pub fn set_chain(&mut self, chain: Chain) {
        self.chain = Some(chain);
    }
    /// The configured chain node says what became of a signed transaction.
    pub fn tell_sent(
        &mut self,
        node: usize,
        request: RequestId,
        result: Result<(), (String, String)>,
    ) {
        self.deliver(node, Event::Sent { request, result });
    }
    /// What the invariants saw.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }
    /// A running node's engine, to look at.
    pub fn engine(&self, node: usize) -> Option<&Engine> {
        self.nodes.get(node).and_then(|n| n.engine.as_ref())
    }

    fn schedule(&mut self, delay_ms: u64, timed: Timed) {
        let at = self.now.saturating_add_ms(delay_ms);
        self.queue.insert((at, self.next), timed);
        self.next = self.next.saturating_add(1);
    }

    /// Lets time pass.
    pub fn pass(&mut self, ms: u64) {
        let until = self.now.saturating_add_ms(ms);
        while self.queue.keys().next().is_some_and(|(at, _)| *at <= until) {
            self.step();
        }
        self.now = self.now.max(until);
    }

    /// Does the next thing; false when nothing is left to do.
    pub fn step(&mut self) -> bool {
        let Some(((at, number), timed)) = self.queue.pop_first() else { return false };
        self.now = self.now.max(at);
        self.note(&[b"step", &at.0.to_be_bytes(), &number.to_be_bytes()]);
        match timed {
            Timed::Tick { node } => {
                self.deliver(node, Event::Tick);
                self.schedule(TICK_MS, Timed::Tick { node });
            }
            Timed::Frame { from, to, link, bytes } => self.arrive(from, to, link, bytes),
            Timed::Computed { node, run, id, output } => {
                if self.nodes.get(node).is_some_and(|n| n.run == run) {
                    self.deliver(node, Event::Computed { id, output });
                }
            }
            Timed::Told { node, run, event } => {
                if self.nodes.get(node).is_some_and(|n| n.run == run) {
                    self.deliver(node, event);
                }
            }
            Timed::LinkUp { a, b } => self.link_up(a, b),
            Timed::Restart { node } => self.restart(node),
            Timed::Weather => self.weather(),
        }
        true
    }

    fn note(&mut self, parts: &[&[u8]]) {
        let mut all: Vec<&[u8]> = vec![&self.digest];
        all.extend_from_slice(parts);
        self.digest = hash::tagged("outlast/sim/v1", &all);
    }

    fn arrive(&mut self, from: usize, to: usize, link: u64, bytes: Vec<u8>) {
        if self.links.get(&ends(from, to)) != Some(&link) {
            return;
        }
        let Some(peer) = self.id(from) else { return };
        self.note(&[b"frame", &bytes]);
        self.deliver(to, Event::Frame { peer, bytes });
    }

    fn deliver(&mut self, node: usize, event: Event) {
        let now = self.clock_of(node);
        let Some(state) = self.nodes.get_mut(node) else { return };
        let Some(engine) = state.engine.as_mut() else { return };
        let output = engine.handle(now, event, &mut self.dice);
        self.perform(node, output);
    }

    /// Commit, then effects. A crash may hit between the two.
    fn perform(&mut self, node: usize, output: Output) {
        let Output { commit, effects } = output;
        for record in &commit.records {
            self.note(&[b"record", record]);
        }
        self.watch.check_commit(node, &commit);
        let Some(state) = self.nodes.get_mut(node) else { return };
        assert_eq!(
            u64::try_from(state.disk.records.len()).unwrap_or(0),
            if commit.records.is_empty() { state.disk.records.len() as u64 } else { commit.first },
            "a gap in the journal of node {node}"
        );
        state.disk.records.extend(commit.records);
        for (key, value) in commit.puts {
            state.disk.secrets.insert(key, value.expose().clone());
        }
        for key in commit.deletes {
            state.disk.secrets.remove(&key);
        }
        for (name, bytes) in commit.public {
            match bytes {
                Some(bytes) => state.disk.public.insert(name, bytes),
                None => state.disk.public.remove(&name),
            };
        }
        let faults = self.faults;
        if faults.crash > 0 && self.dice.below(5000) < u64::from(faults.crash.min(10)) {
            let torn = self.dice.chance(faults.crash_after_commit);
            if torn {
                return self.crash(node);
            }
        }
        for effect in effects {
            self.effect(node, effect);
        }
    }

    fn effect(&mut self, node: usize, effect: Effect) {
        match effect {
            Effect::Send { peer, bytes } => self.send(node, peer, bytes),
            Effect::Connect { peer, .. } => {
                if let Some(state) = self.nodes.get_mut(node) {
                    state.connect.insert(peer);
                }
                if let Some(other) = self.index.get(&peer).copied() {
                    self.schedule(1, Timed::LinkUp { a: node, b: other });
                }
            }
            Effect::Disconnect { peer } => {
                if let Some(other) = self.index.get(&peer).copied() {
                    self.break_link(node, other, 1_000);
                }
            }
            Effect::Compute { id, job } => {
                let run = self.nodes.get(node).map_or(0, |n| n.run);
                let output = job.run(&mut self.dice);
                let took = self.dice.below(8);
                self.schedule(took, Timed::Computed { node, run, id, output });
            }
            Effect::Reply { id, result } => {
                self.replies.insert(id, result);
            }
            Effect::ReplyRecord { id, name, mut view } => {
                let stored = self.disk(node).and_then(|disk| disk.public.get(&name));
                let hex = |bytes: &[u8]| {
                    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
                };
                let Some(bytes) = stored else { panic!("node {node} lost its record {name}") };
                assert_eq!(view.sha256, hex(&hash::sha256(bytes)), "{name}");
                view.record = hex(bytes);
                self.replies.insert(id, Ok(Reply::Record(view)));
            }
            Effect::Warn { code, message } => {
                self.note(&[b"warn", message.as_bytes()]);
                self.warnings.push((node, code, message));
            }
            // Without a chain, worlds bring what goes stale with the request.
            Effect::AskChain { request, query } => {
                let Some(chain) = &mut self.chain else { return };
                let event = Event::Facts { request, result: chain(node, &query) };
                let run = self.nodes.get(node).map_or(0, |n| n.run);
                self.schedule(5, Timed::Told { node, run, event });
            }
            // Every chain takes everything.
            Effect::Broadcast { request, .. } => {
                let run = self.nodes.get(node).map_or(0, |n| n.run);
                let event = Event::Sent { request, result: Ok(()) };
                self.schedule(1, Timed::Told { node, run, event });
            }
        }
    }

    fn send(&mut self, from: usize, peer: NodeId, bytes: Vec<u8>) {
        let Some(to) = self.index.get(&peer).copied() else { return };
        self.watch.check_send(from, peer, &bytes);
        let Some(link) = self.links.get(&ends(from, to)).copied() else { return };
        let frames = match &mut self.tamper {
            Some(tamper) => tamper(from, to, bytes),
            None => vec![bytes],
        };
        for bytes in frames {
            if self.dice.chance(self.faults.loss) {
                continue;
            }
            let copies = 1 + u64::from(self.dice.chance(self.faults.duplicate));
            for _ in 0..copies {
                let delay = 1 + self.dice.below(self.faults.delay_ms_max);
                self.schedule(delay, Timed::Frame { from, to, link, bytes: bytes.clone() });
            }
        }
    }

    fn link_up(&mut self, a: usize, b: usize) {
        let key = ends(a, b);
        let wants = |x: usize, y: usize| {
            let id = self.id(y);
            self.nodes
                .get(x)
                .is_some_and(|n| n.engine.is_some() && id.is_some_and(|id| n.connect.contains(&id)))
        };
        if self.links.contains_key(&key) || !wants(a, b) || !wants(b, a) {
            return;
        }
        self.links.insert(key, self.next_link);
        self.next_link = self.next_link.saturating_add(1);
        let hello = |at: usize| self.engine(at).map(Engine::hello).unwrap_or_default();
        let (hello_a, hello_b) = (hello(a), hello(b));
        if let (Some(id_a), Some(id_b)) = (self.id(a), self.id(b)) {
            self.deliver(a, Event::Up { peer: id_b, hello: hello_b });
            self.deliver(b, Event::Up { peer: id_a, hello: hello_a });
        }
    }

    /// Breaks a link; it comes up again after a while.
    pub fn break_link(&mut self, a: usize, b: usize, ms: u64) {
        if self.links.remove(&ends(a, b)).is_none() {
            return;
        }
        if let (Some(id_a), Some(id_b)) = (self.id(a), self.id(b)) {
            self.deliver(a, Event::Down { peer: id_b });
            self.deliver(b, Event::Down { peer: id_a });
        }
        self.schedule(ms, Timed::LinkUp { a, b });
    }

    /// Ends a node's run at once: memory is gone, the disk stays; it restarts after a while.
    pub fn crash(&mut self, node: usize) {
        let Some(state) = self.nodes.get_mut(node) else { return };
        if state.engine.take().is_none() {
            return;
        }
        state.run = state.run.saturating_add(1);
        state.connect.clear();
        self.note(&[b"crash"]);
        let peers: Vec<usize> = (0..self.nodes.len()).filter(|other| *other != node).collect();
        let me = self.id(node);
        for other in peers {
            if self.links.remove(&ends(node, other)).is_some()
                && let Some(me) = me
            {
                self.deliver(other, Event::Down { peer: me });
            }
        }
        let pause = 200 + self.dice.below(3000);
        self.schedule(pause, Timed::Restart { node });
    }

    fn restart(&mut self, node: usize) {
        let Some(output) = self.begin(node) else { return };
        self.perform(node, output);
        self.tick_from_first_run(node);
    }

    /// A node's ticks begin with its first run and never end: those that meet no run are nobody's.
    fn tick_from_first_run(&mut self, node: usize) {
        if self.nodes.get(node).is_some_and(|state| state.run == 1) {
            self.schedule(TICK_MS, Timed::Tick { node });
        }
    }

    /// A new engine from the disk, unless one runs; its first output is still to be performed.
    fn begin(&mut self, node: usize) -> Option<Output> {
        let now = self.clock_of(node);
        let mut incarnation = [0u8; 16];
        self.dice.fill(&mut incarnation);
        let state = self.nodes.get_mut(node).filter(|state| state.engine.is_none())?;
        let started = Engine::start(
            state.config.clone(),
            Arc::clone(&state.key),
            state.disk.load(),
            Incarnation(incarnation),
            now,
        );
        let (engine, output) = started.unwrap_or_else(|error| {
            panic!("node {node} does not start from what it wrote: {error}");
        });
        state.engine = Some(engine);
        state.run = state.run.saturating_add(1);
        Some(output)
    }

    /// The runner noticed a pause, a restored image or a set clock: as after a crash, but at once, and the new engine is told
    /// before anything of it leaves. With a `disk` the image brought an older one.
    pub fn resume(&mut self, node: usize, reason: &str, disk: Option<Disk>) {
        self.crash(node);
        if let (Some(state), Some(disk)) = (self.nodes.get_mut(node), disk) {
            state.disk = disk;
        }
        let Some(mut started) = self.begin(node) else { return };
        let (now, reason) = (self.clock_of(node), reason.to_owned());
        let Some(engine) = self.nodes.get_mut(node).and_then(|n| n.engine.as_mut()) else { return };
        let resumed = engine.handle(now, Event::Resumed { reason }, &mut self.dice);
        started.commit.records.extend(resumed.commit.records);
        started.commit.deletes.extend(resumed.commit.deletes);
        started.effects.extend(resumed.effects);
        self.perform(node, started);
        self.tick_from_first_run(node);
    }

    /// Replaces a node's disk, as a restored image would; the node restarts from it.
    pub fn restore_disk(&mut self, node: usize, disk: Disk) {
        self.crash(node);
        if let Some(state) = self.nodes.get_mut(node) {
            state.disk = disk;
        }
    }

    fn weather(&mut self) {
        let faults = self.faults;
        let size = u64::try_from(self.nodes.len()).unwrap_or(0);
        let pick = |dice: &mut Dice| usize::try_from(dice.below(size)).unwrap_or(0);
        if self.dice.chance(faults.partition) {
            let (a, b) = (pick(&mut self.dice), pick(&mut self.dice));
            let ms = 100 + self.dice.below(8000);
            self.break_link(a, b, ms);
        }
        if self.dice.chance(faults.crash) {
            let node = pick(&mut self.dice);
            self.crash(node);
        }
        self.schedule(1000, Timed::Weather);
    }
}
