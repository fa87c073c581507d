//! `outlast node run`: puts the parts together, waits for a signal, takes them apart in order.
//!
//! A node under a passphrase starts sealed: its API answers, nothing else runs until `outlast node unseal`. The other
//! seals open unattended. On SIGTERM or SIGINT: admission stops, sessions under way finish, links close, and the
//! engine is dropped, which wipes its secrets.

mod open;
mod outside;
mod record;
mod tamper;

pub use open::OpenError;

use crate::api::{ApiState, ApiTls, ListenError, TlsError, bind, router};
use crate::chain::{ChainPool, Chains, ChainsError};
use crate::harden::{HardenError, harden_process};
use crate::home::{Home, HomeError, LogFormat};
use crate::logging;
use crate::metrics::Metrics;
use crate::runner::RunnerError;
use crate::seal::SealKind;
use open::Opener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How long sessions under way may take to finish after a signal.
const SESSIONS_GRACE: Duration = Duration::from_secs(5);
/// How long answers under way may take after that.
const ANSWERS_GRACE: Duration = Duration::from_secs(2);

/// Why the node did not start or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The process may not hold secrets.
    #[error("this process cannot keep secrets")]
    Harden(#[from] HardenError),
    /// The data directory.
    #[error("the node's directory does not open")]
    Home(#[from] HomeError),
    /// Chain nodes.
    #[error("node.toml does not read")]
    Chains(#[from] ChainsError),
    /// The API's TLS.
    #[error("the API's TLS does not start")]
    Tls(#[from] TlsError),
    /// The API's address.
    #[error("the API does not start")]
    Listen(#[from] ListenError),
    /// Threads, signals.
    #[error("the operating system refused {0}")]
    System(&'static str, #[source] std::io::Error),
    /// An unattended seal or what it opens.
    #[error("the node does not open")]
    Open(#[from] OpenError),
    /// The engine's thread ended.
    #[error("the node stopped by itself")]
    Runner(#[from] RunnerError),
    /// The engine's thread panicked.
    #[error("invariant broken: the engine's thread ended without a word")]
    RunnerPanicked,
}

impl RunError {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Harden(error) => error.code(),
            Self::Home(error) => error.code(),
            Self::Chains(_) => "setting",
            Self::Tls(_) => "api_tls",
            Self::Listen(error) => error.code(),
            Self::System(..) => "system",
            Self::Open(error) => error.code(),
            Self::Runner(error) => error.code(),
            Self::RunnerPanicked => "runner_panicked",
        }
    }
}

/// Runs the node of `dir` until a signal; `Ok` after a clean shutdown.
pub fn run(dir: &Path) -> Result<(), RunError> {
    let hardening = harden_process()?;
    let home = Home::open(dir)?;
    let log = &home.settings().logging;
    logging::start(Some(&log.filter), log.format == LogFormat::Json);
    if let Some(reason) = hardening.memory_unlocked {
        tracing::warn!(code = "memory_unlocked", %reason, "memory may be swapped out");
    }
    // Fails only when it was installed before, and then it is the same one.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("io")
        .build()
        .map_err(|error| RunError::System("threads", error))?;
    let stop = async { wait_for_signal().await.map_err(|e| RunError::System("signals", e)) };
    let result = runtime.block_on(serve(home, stop));
    // Blocking calls of chain nodes may still hang; nobody waits for them.
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

async fn wait_for_signal() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Serves until `stop` resolves or the engine's thread ends.
async fn serve(
    home: Home,
    stop: impl Future<Output = Result<(), RunError>>,
) -> Result<(), RunError> {
    let settings = home.settings().clone();
    let metrics = Arc::new(Metrics::default());
    let chains = Chains::new(&settings.rpc)?;
    let chains = ChainPool::start(chains, Arc::clone(&metrics))
        .map_err(|error| RunError::System("threads", error))?;
    let tls = settings.api_tls.as_ref().map(|tls| {
        let client_ca = tls.client_ca.as_deref();
        ApiTls::load(&tls.cert, &tls.key, client_ca)
    });
    let server = bind(settings.api_listen, tls.transpose()?).await?;
    let (node, seal, token) = (home.node(), home.seal_kind(), home.operator_token()?);
    let opener = Opener::new(home, chains.clone(), Arc::clone(&metrics));
    let unsealer = Arc::clone(&opener);
    let unsealer = Box::new(move |passphrase| unsealer.open_with(passphrase));
    let limits = settings.limits;
    let state = Arc::new(ApiState::new(&token, chains, limits, Arc::clone(&metrics), unsealer));
    let (stop_server, stopped) = watch::channel(false);
    let address = server.address();
    let served = tokio::spawn(server.run(router(&state), metrics, stopped, ANSWERS_GRACE));
    tracing::info!(node = %node.short(), %address, seal = %seal, "the API listens");
    let ended = match open_unattended(&opener, &state, seal).await {
        Ok(()) => tokio::select! {
            signal = stop => signal,
            ended = opener.ended() => Err(ended),
        },
        Err(error) => Err(error.into()),
    };
    state.stop();
    opener.finish_sessions(SESSIONS_GRACE).await;
    let _nobody_listens = stop_server.send(true);
    let _panicked = served.await;
    let closed = opener.close().await;
    tracing::info!("stopped");
    ended.and(closed)
}

async fn open_unattended(
    opener: &Arc<Opener>,
    state: &ApiState,
    seal: SealKind,
) -> Result<(), OpenError> {
    if seal == SealKind::Passphrase {
        tracing::warn!(code = "sealed", "waiting for `outlast node unseal`");
        return Ok(());
    }
    let started = Instant::now();
    let opener = Arc::clone(opener);
    let opened = tokio::task::spawn_blocking(move || opener.open(None)).await;
    let running = opened.map_err(|_| OpenError::Panicked)??;
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(took_ms, "unsealed");
    let _set_once = state.running.set(running);
    Ok(())
}

#[cfg(test)]
mod tests;
