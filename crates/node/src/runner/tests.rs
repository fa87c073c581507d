//! The runner with the real engine: what leaves, what stays, and what a failing disk does.

use super::turn::{Outside, Runner, RunnerError, Seed};
use super::watch::{Clocks, Machine, Watch};
use super::{Handle, Input, channel};
use crate::compute::Compute;
use crate::entropy::OsEntropy;
use crate::metrics::Metrics;
use crate::store::{Batch, Loaded, SqliteStore, Store, StoreError, StoreOptions};
use engine::{Caller, Command, Config, FactsQuery, Problem, Reply};
use model::api::NewClient;
use model::card::NodeKey;
use model::entropy::Entropy as _;
use model::ids::{NodeId, RequestId};
use model::intent::Network;
use model::secret::Secret;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A bound against hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the disk shall do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    Good,
    Full,
    Broken,
}

struct FlakyStore {
    inner: SqliteStore,
    disk: Arc<Mutex<Disk>>,
}

impl Store for FlakyStore {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        self.inner.load()
    }
    fn secrets(&mut self) -> Result<BTreeMap<String, Secret<Vec<u8>>>, StoreError> {
        self.inner.secrets()
    }
    fn entries_from(&mut self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.inner.entries_from(from, limit)
    }
    fn record(&mut self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.record(name)
    }
    fn next_sequence(&self) -> u64 {
        self.inner.next_sequence()
    }
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        match *self.disk.lock().unwrap() {
            Disk::Good => self.inner.commit(batch),
            Disk::Full => Err(StoreError::Full),
            Disk::Broken => Err(StoreError::Io("fsync".into())),
        }
    }
    fn destroy(&mut self, names: &[String]) -> Result<(), StoreError> {
        self.inner.destroy(names)
    }
    fn probe_writable(&mut self) -> Result<(), StoreError> {
        self.inner.probe_writable()
    }
}

/// Counts how often an engine began.
struct Quiet(Arc<Mutex<Vec<Vec<u8>>>>);

impl Outside for Quiet {
    fn send(&mut self, _: NodeId, _: Vec<u8>) {}
    fn connect(&mut self, _: NodeId, _: String) {}
    fn disconnect(&mut self, _: NodeId) {}
    fn restarted(&mut self, hello: Vec<u8>) {
        self.0.lock().unwrap().push(hello);
    }
    fn ask_chain(&mut self, _: RequestId, _: FactsQuery) {}
    fn broadcast(&mut self, _: RequestId, _: Network, _: String) {}
}

/// Clocks that a test sets.
struct SetClocks(Arc<Mutex<Clocks>>);

impl Machine for SetClocks {
    fn clocks(&mut self) -> Clocks {
        *self.0.lock().unwrap()
    }
    fn generation_changed(&mut self) -> bool {
        false
    }
}

struct Fixture {
    clocks: Arc<Mutex<Clocks>>,
    handle: Handle,
    disk: Arc<Mutex<Disk>>,
    hellos: Arc<Mutex<Vec<Vec<u8>>>>,
    thread: JoinHandle<Result<(), RunnerError>>,
    _dir: tempfile::TempDir,
}

fn start() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let key = Arc::new(NodeKey::new(Secret::new(OsEntropy.bytes())));
    let path = dir.path().join("state.sqlite");
    let data_key = Secret::new(OsEntropy.bytes());
    let inner = SqliteStore::open(&path, key.id(), data_key, StoreOptions::default()).unwrap();
    let disk = Arc::new(Mutex::new(Disk::Good));
    let store = Box::new(FlakyStore { inner, disk: Arc::clone(&disk) });
    let (handle, inbox) = channel();
    let compute = Arc::new(Compute::start(1, &handle).unwrap());
    let hellos = Arc::new(Mutex::new(Vec::new()));
    let outside = Box::new(Quiet(Arc::clone(&hellos)));
    let config = Config {
        operator: "A".into(),
        endpoint: String::new(),
        software: "test".into(),
        auto_join_test_vaults: false,
        test_home: true,
    };
    let metrics = Arc::new(Metrics::default());
    let clocks = Arc::new(Mutex::new(Clocks { wall: 0, boot: 0, steady: 0 }));
    let watch = Watch::new(Box::new(SetClocks(Arc::clone(&clocks))));
    let seed = Seed { key, config };
    let runner = Runner::start(inbox, store, outside, compute, seed, metrics, watch).unwrap();
    let thread = std::thread::spawn(|| runner.run());
    Fixture { clocks, handle, disk, hellos, thread, _dir: dir }
}

fn ask(fixture: &Fixture, command: Command) -> Result<Reply, Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(fixture.handle.ask(Caller::Operator, command))
}

/// A command that must be durable before it is answered.
fn new_client(fixture: &Fixture, number: u8) -> Result<Reply, Problem> {
    let new = NewClient { name: "c".into(), vaults: vec![] };
    ask(fixture, Command::NewClient { new, token_hash: [number; 32] })
}

/// Waits until it is so.
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not so in {} s", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Length of the journal by a status that knows of so many records; the status follows an answer.
fn journal(fixture: &Fixture, at_least: u64) -> u64 {
    until("the status", || {
        let length = fixture.handle.status()?.journal_length;
        (length >= at_least).then_some(length)
    })
}

/// Goal: a full disk is a named refusal, nothing of it stays, and the node goes on by itself when there is room.
#[test]
fn invariant_l1_nothing_is_answered_on_a_full_disk_and_the_engine_starts_again() {
    let fixture = start();
    let started = journal(&fixture, 1);
    assert!(matches!(new_client(&fixture, 1), Ok(Reply::Client(_))));
    let before = journal(&fixture, started + 1);
    *fixture.disk.lock().unwrap() = Disk::Full;
    assert_eq!(new_client(&fixture, 2).map_err(|p| p.code), Err("store_full"));
    assert_eq!(new_client(&fixture, 3).map_err(|p| p.code), Err("store_full"));
    until("no engine, so not ready", || fixture.handle.status().is_none().then_some(()));
    *fixture.disk.lock().unwrap() = Disk::Good;
    until("a new engine", || match new_client(&fixture, 4) {
        Ok(Reply::Client(_)) => Some(()),
        Err(problem) if problem.code == "store_full" => None,
        other => panic!("{other:?}"),
    });
    // One more start and one more client; nothing of the refused ones.
    assert_eq!(journal(&fixture, before + 2), before + 2);
    let hellos = fixture.hellos.lock().unwrap().clone();
    assert_eq!(hellos.len(), 2);
    assert_ne!(hellos[0][..16], hellos[1][..16], "another incarnation");
    fixture.handle.bring(Input::Stop);
    assert!(matches!(fixture.thread.join().unwrap(), Ok(())));
}

/// Goal: a jump of the clock is a new run that is journalled and greets anew. Method: the wall clock an hour ahead.
#[test]
fn a_clock_that_jumped_begins_a_new_incarnation_with_an_entry() {
    let fixture = start();
    let started = journal(&fixture, 1);
    assert!(matches!(new_client(&fixture, 1), Ok(Reply::Client(_))));
    let before = journal(&fixture, started + 1);
    fixture.clocks.lock().unwrap().wall = 3_600_000;
    until("a new run", || (fixture.hellos.lock().unwrap().len() > 1).then_some(()));
    // The start and the word on why.
    assert_eq!(journal(&fixture, before + 2), before + 2);
    let hellos = fixture.hellos.lock().unwrap().clone();
    assert_eq!(hellos.len(), 2);
    assert_ne!(hellos[0][..16], hellos[1][..16], "another incarnation");
    assert!(matches!(new_client(&fixture, 2), Ok(Reply::Client(_))), "and it goes on");
    assert_eq!(fixture.hellos.lock().unwrap().len(), 2, "one jump, one new run");
    fixture.handle.bring(Input::Stop);
    assert!(matches!(fixture.thread.join().unwrap(), Ok(())));
}

#[test]
fn a_broken_disk_stops_the_node_and_every_caller_hears_it() {
    let fixture = start();
    *fixture.disk.lock().unwrap() = Disk::Broken;
    assert_eq!(new_client(&fixture, 1).map_err(|p| p.code), Err("store_failed"));
    let ended = fixture.thread.join().unwrap();
    assert_eq!(ended.map_err(|error| error.code()), Err("store_io"));
    let after = fixture.handle.commands();
    assert_eq!(after, 0, "every place was given back");
}

#[test]
fn a_stop_ends_the_thread_and_a_write_probe_is_a_real_write() {
    let fixture = start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime.block_on(fixture.handle.probe_store()), Ok(()));
    fixture.handle.bring(Input::Stop);
    assert!(matches!(fixture.thread.join().unwrap(), Ok(())));
    assert_eq!(
        runtime.block_on(fixture.handle.probe_store()),
        Err("the node is stopping".to_owned())
    );
}
