//! What every handler shares.

use super::door::{ClientLimits, Door};
use super::extract::token_credential;
use super::problem::{ApiError, sealed};
use crate::chain::ChainPool;
use crate::compute::Compute;
use crate::metrics::Metrics;
use crate::rpc::Calls;
use crate::runner::Handle;
use engine::{Class, Problem, refuse};
use model::secret::Secret;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// Opens the node with its passphrase. Blocks for as long as the key derivation takes.
pub type Unsealer = Box<dyn Fn(Secret<String>) -> Result<Running, Problem> + Send + Sync>;

/// The engine's side of an unsealed node.
#[derive(Debug, Clone)]
pub struct Running {
    /// The way to the engine.
    pub handle: Handle,
    /// The CPU pool, for its depth.
    pub compute: Arc<Compute>,
}

/// What every handler shares.
pub struct ApiState {
    /// Credential of the operator's token.
    pub operator: [u8; 32],
    /// Set once the node is unsealed.
    pub running: OnceLock<Running>,
    /// The chain nodes.
    pub chains: ChainPool,
    /// Each client's share.
    pub door: Door,
    /// Calls that their client may ask again for.
    pub(crate) calls: Calls,
    /// Counters.
    pub metrics: Arc<Metrics>,
    unsealer: Unsealer,
    unsealing: tokio::sync::Mutex<()>,
    stopping: AtomicBool,
    /// Last write that readiness rests on: when, and what came of it.
    pub(super) probe: tokio::sync::Mutex<Option<(Instant, Result<(), String>)>>,
}

impl core::fmt::Debug for ApiState {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "ApiState(unsealed: {})", self.running.get().is_some())
    }
}

impl ApiState {
    /// A sealed node's state.
    pub fn new(
        operator_token: &Secret<String>,
        chains: ChainPool,
        limits: ClientLimits,
        metrics: Arc<Metrics>,
        unsealer: Unsealer,
    ) -> Self {
        Self {
            operator: token_credential(operator_token.expose().trim()),
            running: OnceLock::new(),
            chains,
            door: Door::new(limits),
            calls: Calls::default(),
            metrics,
            unsealer,
            unsealing: tokio::sync::Mutex::new(()),
            stopping: AtomicBool::new(false),
            probe: tokio::sync::Mutex::new(None),
        }
    }

    /// Takes nothing new from now on.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// True once [`ApiState::stop`] was called.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Unseals, one attempt at a time: a guess costs a guesser time and the node memory once.
    pub async fn unseal(self: &Arc<Self>, passphrase: Secret<String>) -> Result<(), ApiError> {
        let busy = "another attempt to unseal is running";
        let _one = self
            .unsealing
            .try_lock()
            .map_err(|_| ApiError(refuse(Class::Overloaded, "overloaded", busy)))?;
        if self.running.get().is_some() {
            let text = "the node is not sealed";
            return Err(ApiError(refuse(Class::Conflict, "not_sealed", text)));
        }
        let state = Arc::clone(self);
        let opened = tokio::task::spawn_blocking(move || (state.unsealer)(passphrase)).await;
        let running = opened.map_err(|_| {
            ApiError(refuse(Class::Bug, "unseal_panicked", "the attempt to unseal failed"))
        })??;
        self.running.set(running).map_err(|_| ApiError(sealed()))
    }
}
