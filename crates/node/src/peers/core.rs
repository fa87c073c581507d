//! What all tasks of the links share.

use super::frame::{HELLO_BYTES_MAX, INCARNATION_BYTES};
use super::table::Table;
use super::tls::{Identity, Trusted};
use super::{
    GREETINGS_MAX, GREETINGS_PERIOD, LinkEnd, PEERS_MAX, PeerConfig, PeerEvent, PeerStatus,
    StartError, Timing, TrustError, UNSETTLED_PER_PEER_MAX, dial,
};
use model::ids::NodeId;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::timeout;

/// A lock whose holder panicked still guards sound data: every critical section here is a few map operations.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Known {
    endpoint: String,
    dialler: Option<AbortHandle>,
    last_end: Option<LinkEnd>,
}

/// State shared by the listener, the diallers and the links.
pub(super) struct Core {
    pub me: NodeId,
    pub identity: Identity,
    pub trusted: Trusted,
    pub table: Table,
    pub timing: Timing,
    pub events: mpsc::Sender<PeerEvent>,
    pub runtime: Handle,
    hello: Mutex<Arc<Vec<u8>>>,
    closing: watch::Sender<bool>,
    listener: Mutex<Option<JoinHandle<()>>>,
    next_connection: AtomicU64,
    known: Mutex<BTreeMap<NodeId, Known>>,
    unsettled: Mutex<BTreeMap<NodeId, usize>>,
    greeted: Mutex<BTreeMap<NodeId, (Instant, u32)>>,
    counters: Mutex<BTreeMap<&'static str, u64>>,
    bytes_sent: AtomicU64,
}

fn check_hello(hello: Vec<u8>) -> Result<Arc<Vec<u8>>, StartError> {
    if (INCARNATION_BYTES..=HELLO_BYTES_MAX).contains(&hello.len()) {
        Ok(Arc::new(hello))
    } else {
        Err(StartError::Hello(hello.len()))
    }
}

impl Core {
    pub(super) fn new(
        config: PeerConfig<'_>,
        events: mpsc::Sender<PeerEvent>,
    ) -> Result<Self, StartError> {
        let me = config.key.id();
        let trusted = Trusted::default();
        Ok(Self {
            me,
            identity: Identity::new(config.key)?,
            table: Table::new(me, trusted.clone()),
            trusted,
            timing: config.timing,
            events,
            runtime: Handle::current(),
            hello: Mutex::new(check_hello(config.hello)?),
            closing: watch::Sender::new(false),
            listener: Mutex::default(),
            next_connection: AtomicU64::new(1),
            known: Mutex::default(),
            unsettled: Mutex::default(),
            greeted: Mutex::default(),
            counters: Mutex::default(),
            bytes_sent: AtomicU64::new(0),
        })
    }

    pub(super) fn trust(self: &Arc<Self>, peer: NodeId, endpoint: &str) -> Result<(), TrustError> {
        if peer == self.me {
            return Err(TrustError::Own);
        }
        let mut known = lock(&self.known);
        if known.get(&peer).is_some_and(|known| known.endpoint == endpoint) {
            return Ok(());
        }
        if !known.contains_key(&peer) && known.len() >= PEERS_MAX {
            return Err(TrustError::Full);
        }
        self.trusted.insert(peer);
        let dialler = (!endpoint.is_empty()).then(|| {
            let task = dial::keep_dialling(self.clone(), peer, endpoint.to_owned());
            self.runtime.spawn(task).abort_handle()
        });
        let endpoint = endpoint.to_owned();
        let old = known.insert(peer, Known { endpoint, dialler, last_end: None });
        if let Some(dialler) = old.and_then(|old| old.dialler) {
            dialler.abort();
        }
        Ok(())
    }

    pub(super) fn distrust(&self, peer: NodeId) {
        self.trusted.remove(&peer);
        let old = lock(&self.known).remove(&peer);
        lock(&self.greeted).remove(&peer);
        if let Some(dialler) = old.and_then(|old| old.dialler) {
            dialler.abort();
        }
        if let Some(live) = self.table.get(&peer) {
            live.end(LinkEnd::Distrusted);
        }
    }

    pub(super) fn hello(&self) -> Arc<Vec<u8>> {
        lock(&self.hello).clone()
    }

    pub(super) fn set_hello(&self, hello: Vec<u8>) -> Result<(), StartError> {
        let hello = check_hello(hello)?;
        *lock(&self.hello) = hello;
        Ok(())
    }

    pub(super) fn next_connection(&self) -> u64 {
        self.next_connection.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts an end; with a known peer it is also that peer's last one.
    pub(super) fn note(&self, peer: Option<NodeId>, end: &LinkEnd) {
        let mut counters = lock(&self.counters);
        let count = counters.entry(end.code()).or_default();
        *count = count.saturating_add(1);
        drop(counters);
        let name = peer.map(|peer| peer.short()).unwrap_or_default();
        tracing::debug!(peer = name, reason = end.code(), "link ended: {end}");
        let mut known = lock(&self.known);
        if let Some(known) = peer.and_then(|peer| known.get_mut(&peer)) {
            known.last_end = Some(end.clone());
        }
    }

    /// Counts what a link that is up wrote.
    pub(super) fn sent(&self, bytes: usize) {
        self.bytes_sent.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn bytes_sent(&self) -> u64 {
        self.bytes_sent.load(Ordering::Relaxed)
    }

    pub(super) fn counters(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.counters).clone()
    }

    pub(super) fn status(&self) -> BTreeMap<NodeId, PeerStatus> {
        let known = lock(&self.known);
        let status = known.iter().map(|(peer, known)| {
            let connection = self.table.get(peer).map(|live| live.id);
            let (endpoint, last_end) = (known.endpoint.clone(), known.last_end.clone());
            (*peer, PeerStatus { endpoint, connection, last_end })
        });
        status.collect()
    }

    /// A place among the unjudged connections of `peer`; given back when dropped.
    pub(super) fn unsettled(self: &Arc<Self>, peer: NodeId) -> Result<Unsettled, LinkEnd> {
        let mut unsettled = lock(&self.unsettled);
        let count = unsettled.entry(peer).or_default();
        if *count >= UNSETTLED_PER_PEER_MAX {
            return Err(LinkEnd::TooMany);
        }
        *count = count.saturating_add(1);
        Ok(Unsettled { core: self.clone(), peer })
    }

    /// Counts a connection that `peer` dialled: each costs this node's engine work, so they may not come too often.
    pub(super) fn may_greet(&self, peer: NodeId) -> Result<(), LinkEnd> {
        let (mut greeted, now) = (lock(&self.greeted), Instant::now());
        let (since, count) = greeted.entry(peer).or_insert((now, 0));
        if now.saturating_duration_since(*since) >= GREETINGS_PERIOD {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        if *count > GREETINGS_MAX {
            return Err(LinkEnd::TooOften { bound: GREETINGS_MAX, within: GREETINGS_PERIOD });
        }
        Ok(())
    }

    /// Tells the engine; waits while the engine is behind.
    pub(super) async fn tell(&self, event: PeerEvent) {
        tokio::select! {
            // A dropped receiver means that the runner is gone: nobody is left to tell.
            _ = self.events.send(event) => {}
            () = self.closed() => {}
        }
    }

    /// Ends when this node begins to stop.
    pub(super) async fn closed(&self) {
        // The sender lives in `self`, so the wait cannot fail.
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }

    pub(super) fn begin_shutdown(&self) {
        self.closing.send_replace(true);
    }

    /// Runs the listener until the shutdown, which waits for it: the port is free again afterwards.
    pub(super) fn run_listener(&self, task: impl Future<Output = ()> + Send + 'static) {
        *lock(&self.listener) = Some(self.runtime.spawn(task));
    }

    pub(super) async fn shutdown(&self) {
        self.begin_shutdown();
        let listener = lock(&self.listener).take();
        if let Some(listener) = listener
            && let Err(error) = listener.await
        {
            tracing::error!(%error, "the listener failed");
        }
        let mut changes = self.table.changes.subscribe();
        let empty = async { while !self.table.is_empty() && changes.changed().await.is_ok() {} };
        if timeout(Duration::from_secs(2), empty).await.is_err() {
            tracing::warn!("some links did not close in time");
        }
    }
}

/// A place among the unjudged connections of one peer.
pub(super) struct Unsettled {
    core: Arc<Core>,
    peer: NodeId,
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        let mut unsettled = lock(&self.core.unsettled);
        let left = unsettled.get(&self.peer).copied().unwrap_or_default().saturating_sub(1);
        if left == 0 {
            unsettled.remove(&self.peer);
        } else {
            unsettled.insert(self.peer, left);
        }
    }
}
