//! From a sealed directory to a running engine, and back.

use super::RunError;
use super::outside::{World, pump};
use super::record::Recorder;
use super::tamper::Tamper;
use crate::api::Running;
use crate::chain::ChainPool;
use crate::compute::Compute;
use crate::entropy::OsEntropy;
use crate::home::{Home, HomeError};
use crate::metrics::Metrics;
use crate::peers::{INCARNATION_BYTES, PeerConfig, PeerManager, StartError, Timing};
use crate::runner::watch::{ThisMachine, Watch};
use crate::runner::{Handle, Input, Runner, RunnerError, Seed, channel};
use crate::seal::SealError;
use crate::store::{Store, StoreError};
use engine::{Class, Config, Entry, Problem, Record, refuse};
use model::entropy::Entropy as _;
use model::keys::Purpose;
use model::secret::Secret;
use model::wire::Wire as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Why a node does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Seal or directory.
    #[error("the keys do not open")]
    Home(#[from] HomeError),
    /// Store.
    #[error("the store does not open")]
    Store(#[from] StoreError),
    /// Links.
    #[error("the links to peers do not start")]
    Peers(#[from] StartError),
    /// Engine.
    #[error("the engine does not start")]
    Runner(#[from] RunnerError),
    /// Threads.
    #[error("no thread for the engine")]
    Thread(#[source] std::io::Error),
    /// The recording of a test.
    #[error("the file of [debug] record_one_time does not open")]
    Recorder(#[source] std::io::Error),
    /// The nonces of ECDSA would rest on the operating system alone.
    #[error(
        "this build does not reach the ECDSA engine's generator, so its nonces would not be hedged"
    )]
    Hedge,
    /// It runs already.
    #[error("the node is open already")]
    Twice,
    /// A bug.
    #[error("invariant broken: opening panicked")]
    Panicked,
}

impl OpenError {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Home(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Peers(StartError::Listen { .. }) => "peers_listen",
            Self::Peers(_) => "peers_start",
            Self::Runner(error) => error.code(),
            Self::Thread(_) => "system",
            Self::Recorder(_) => "recorder",
            Self::Hedge => "nonces_not_hedged",
            Self::Twice => "not_sealed",
            Self::Panicked => "open_panicked",
        }
    }
}

impl From<OpenError> for Problem {
    fn from(error: OpenError) -> Self {
        let class = match &error {
            OpenError::Home(HomeError::Seal(SealError::WrongPassphrase)) => Class::Forbidden,
            OpenError::Twice => Class::Conflict,
            OpenError::Panicked | OpenError::Hedge => Class::Bug,
            _ => Class::Unavailable,
        };
        let mut message = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(next) = cause {
            message = format!("{message}: {next}");
            cause = next.source();
        }
        refuse(class, error.code(), message)
    }
}

/// What runs once the node is open.
struct Open {
    handle: Handle,
    peers: PeerManager,
    thread: JoinHandle<Result<(), RunnerError>>,
}

/// Opens the node once, and closes it.
pub(super) struct Opener {
    home: Mutex<Home>,
    chains: ChainPool,
    metrics: Arc<Metrics>,
    runtime: tokio::runtime::Handle,
    open: Mutex<Option<Open>>,
    ended: watch::Sender<bool>,
}

impl Opener {
    /// For the node of `home`. Called inside the runtime.
    pub(super) fn new(home: Home, chains: ChainPool, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            home: Mutex::new(home),
            chains,
            metrics,
            runtime: tokio::runtime::Handle::current(),
            open: Mutex::new(None),
            ended: watch::channel(false).0,
        })
    }

    /// Opens with a passphrase, for the API.
    pub(super) fn open_with(&self, passphrase: Secret<String>) -> Result<Running, Problem> {
        Ok(self.open(Some(&passphrase))?)
    }

    /// Opens the keys and the store and starts engine, pool and links. Blocks.
    pub(super) fn open(&self, passphrase: Option<&Secret<String>>) -> Result<Running, OpenError> {
        let mut home = self.home.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.is_some() {
            return Err(OpenError::Twice);
        }
        // K2, ADR 0008: asked of the running process, because a linker could have left the hook out.
        if !threshold::sign::engine_draws_what_is_lent(&mut OsEntropy) {
            return Err(OpenError::Hedge);
        }
        let unsealed = home.unseal(passphrase)?;
        home.refresh_card(&unsealed)?;
        let mut store = Box::new(home.open_store(&unsealed)?);
        let settings = home.settings();
        if settings.test_home {
            refuse_live_vaults(&store.load()?.entries)?;
        }
        let recorder = settings.debug.record_one_time.as_deref().map(Recorder::open);
        let recorder = recorder.transpose().map_err(OpenError::Recorder)?;
        let tamper = settings.debug.tamper_pair.map(Tamper::start);
        let config = Config {
            operator: settings.operator.clone(),
            endpoint: settings.advertise.clone(),
            software: env!("CARGO_PKG_VERSION").to_owned(),
            auto_join_test_vaults: settings.auto_join_test_vaults,
            test_home: settings.test_home,
        };
        let key = Arc::new(unsealed.node_key);
        let listen = Some(settings.listen);
        // Nobody is trusted before the engine set the real greeting, so nobody sees this one.
        let hello = OsEntropy.bytes::<INCARNATION_BYTES>().to_vec();
        let links = PeerConfig { key: &key, listen, hello, timing: Timing::default() };
        let (peers, events) = self.runtime.block_on(PeerManager::start(links))?;
        let (handle, inbox) = channel();
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let compute = Arc::new(Compute::start(threads, &handle).map_err(OpenError::Thread)?);
        let (peers_of_world, chains) = (peers.clone(), self.chains.clone());
        let handle_of_world = handle.clone();
        let world = Box::new(World {
            peers: peers_of_world,
            chains,
            handle: handle_of_world,
            recorder,
            tamper,
        });
        let seed = Seed { key, config };
        let metrics = Arc::clone(&self.metrics);
        let watch = Watch::new(Box::new(ThisMachine::new()));
        let pool = Arc::clone(&compute);
        let runner = Runner::start(inbox, store, world, pool, seed, metrics, watch)?;
        let ended = self.ended.clone();
        let thread = std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || {
                // Tells also when the engine's thread panics.
                let _told = Told(ended);
                runner.run()
            })
            .map_err(OpenError::Thread)?;
        self.runtime.spawn(pump(events, handle.clone()));
        self.metrics.watch_links(Some(peers.clone()));
        *open = Some(Open { handle: handle.clone(), peers, thread });
        Ok(Running { handle, compute })
    }

    /// Resolves when the engine's thread ended by itself.
    pub(super) async fn ended(&self) -> RunError {
        let mut ended = self.ended.subscribe();
        let _sender_lives = ended.wait_for(|ended| *ended).await;
        match self.join().await {
            Ok(()) => RunError::RunnerPanicked,
            Err(error) => error,
        }
    }

    /// Waits until no session is under way, at most `grace`.
    pub(super) async fn finish_sessions(&self, grace: Duration) {
        let Some(handle) = self.handle() else {
            return;
        };
        let started = Instant::now();
        let busy = || handle.commands() > 0 || handle.status().is_some_and(|s| s.sessions > 0);
        while busy() && started.elapsed() < grace {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Drops the engine, then the links.
    pub(super) async fn close(&self) -> Result<(), RunError> {
        let peers = {
            let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.as_ref().map(|open| open.peers.clone())
        };
        if let Some(handle) = self.handle() {
            let _gone_already = handle.bring_async(Input::Stop).await;
        }
        let joined = self.join().await;
        if let Some(peers) = peers {
            peers.shutdown().await;
        }
        self.metrics.watch_links(None);
        joined
    }

    fn handle(&self) -> Option<Handle> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().map(|open| open.handle.clone())
    }

    async fn join(&self) -> Result<(), RunError> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(open) = open else {
            return Ok(());
        };
        let joined = tokio::task::spawn_blocking(move || open.thread.join()).await;
        match joined {
            Ok(Ok(result)) => Ok(result?),
            _ => Err(RunError::RunnerPanicked),
        }
    }
}

/// A test home may have a cheap seal, a recording and a traitor, so a home that holds a live vault must not be made one.
fn refuse_live_vaults(entries: &[Vec<u8>]) -> Result<(), HomeError> {
    let live = entries.iter().any(|bytes| match Record::from_bytes(bytes) {
        Ok(Record { entry: Entry::VaultStored { plan, .. }, .. }) => plan.purpose == Purpose::Live,
        // What does not read is refused, with its name, when the engine starts.
        _ => false,
    });
    if !live {
        return Ok(());
    }
    let problem = "this node holds a live vault; remove the setting".to_owned();
    Err(HomeError::Setting { setting: "test_home", problem })
}

/// Says on drop that the engine's thread is over.
struct Told(watch::Sender<bool>);

impl Drop for Told {
    fn drop(&mut self) {
        let _nobody_waits = self.0.send(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDS: &str = include_str!("../../../../vectors/engine/1/records.json");

    /// Goal: what only tests may do is impossible beside real money. Method: the vectors' stored vault, of both purposes.
    #[test]
    fn a_home_that_holds_a_live_vault_is_no_test_home() {
        let vectors: Vec<serde_json::Value> = serde_json::from_str(RECORDS).unwrap();
        let stored = vectors.iter().find(|vector| vector["name"] == "vault stored").unwrap();
        let bytes = hex::decode(stored["bytes"].as_str().unwrap()).unwrap();
        for (purpose, good) in [(Purpose::Test, true), (Purpose::Live, false)] {
            let mut record = Record::from_bytes(&bytes).unwrap();
            let Entry::VaultStored { plan, .. } = &mut record.entry else { panic!("{record:?}") };
            plan.purpose = purpose;
            let outcome = refuse_live_vaults(&[record.to_bytes()]);
            assert_eq!(outcome.is_ok(), good);
            if let Err(error) = outcome {
                assert_eq!(error.code(), "bad_setting");
                assert!(error.to_string().contains("test_home"), "{error}");
            }
        }
    }
}
