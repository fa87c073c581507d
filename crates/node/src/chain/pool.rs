//! A few threads that make the blocking calls, with a bounded queue in front.

use super::{Call as _, ChainCallError, Chains, Cost, NonceError, evm, family, solana};
use crate::metrics::Metrics;
use crate::runner::{Handle, Input};
use engine::{Event, FactsQuery};
use model::ids::RequestId;
use model::intent::Network;
use serde_json::Value;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Calls at one time.
const THREADS: usize = 8;
/// Calls that wait at most.
const WAITING_MAX: usize = 1024;

type Task = Box<dyn FnOnce(&Chains) + Send>;

/// The way to the chain nodes; cheap to clone.
#[derive(Clone)]
pub struct ChainPool {
    tasks: SyncSender<Task>,
    chains: Arc<Chains>,
    metrics: Arc<Metrics>,
}

impl core::fmt::Debug for ChainPool {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "ChainPool({:?})", self.chains)
    }
}

impl ChainPool {
    /// Starts the threads; they end when the last clone is dropped.
    pub fn start(chains: Chains, metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let (tasks, receiver) = sync_channel::<Task>(WAITING_MAX);
        let (chains, receiver) = (Arc::new(chains), Arc::new(Mutex::new(receiver)));
        for number in 0..THREADS {
            let (chains, receiver) = (Arc::clone(&chains), Arc::clone(&receiver));
            let thread = std::thread::Builder::new().name(format!("chain-{number}"));
            thread.spawn(move || work(&chains, &receiver))?;
        }
        Ok(Self { tasks, chains, metrics })
    }

    /// Configured EVM chains, ascending.
    pub fn evm_ids(&self) -> Vec<u64> {
        self.chains.evm_ids()
    }

    /// The operator named this method for clients.
    pub fn passes(&self, method: &str) -> bool {
        self.chains.passes(method)
    }

    /// Refuses a chain without a node.
    pub fn check(&self, network: Network) -> Result<(), ChainCallError> {
        self.chains.client(network).map(|_| ())
    }

    /// Answers [`engine::Effect::AskChain`].
    pub fn ask(&self, request: RequestId, query: FactsQuery, handle: &Handle) {
        let (handle, metrics, late) = (handle.clone(), Arc::clone(&self.metrics), handle.clone());
        let task: Task = Box::new(move |chains| {
            let result = chains.facts(&query);
            metrics.chain(family(query.network), result.is_ok());
            let result = result.map_err(|error| error.to_string());
            handle.bring(Input::Event(Event::Facts { request, result }));
        });
        if self.tasks.try_send(task).is_err() {
            let result = Err(ChainCallError::Overloaded.to_string());
            late.offer_event(Event::Facts { request, result });
        }
    }

    /// Answers [`engine::Effect::Broadcast`]; the outcome goes to the log too.
    pub fn send_out(&self, request: RequestId, network: Network, text: String, handle: &Handle) {
        let metrics = Arc::clone(&self.metrics);
        let (engine, late) = (handle.clone(), handle);
        let task: Task = Box::new(move |chains| {
            let result = chains.broadcast(network, &text);
            metrics.chain(family(network), result.is_ok());
            match &result {
                Ok(()) => tracing::info!(request = %request.short(), %network, "broadcast"),
                Err(error) => {
                    let code = error.code();
                    tracing::warn!(
                        request = %request.short(), %network, code, %error,
                        "not broadcast"
                    );
                }
            }
            engine.bring(Input::Event(sent(request, result)));
        });
        if self.tasks.try_send(task).is_err() {
            tracing::warn!(request = %request.short(), code = "overloaded", "not broadcast");
            late.offer_event(sent(request, Err(ChainCallError::Overloaded)));
        }
    }

    /// Calls a chain node from async code.
    pub async fn call(
        &self,
        network: Network,
        method: String,
        params: Value,
    ) -> Result<Value, ChainCallError> {
        self.on_thread(network, move |chains| chains.client(network)?.call(&method, &params)).await
    }

    /// Refuses what the EVM account cannot pay.
    pub async fn check_funds(
        &self,
        network: Network,
        from: String,
        cost: Cost,
    ) -> Result<(), ChainCallError> {
        let work = move |chains: &Chains| evm::check_funds(chains.client(network)?, &from, &cost);
        self.on_thread(network, work).await
    }

    /// Asks what goes stale from async code.
    pub async fn facts(&self, query: FactsQuery) -> Result<engine::Facts, ChainCallError> {
        self.on_thread(query.network, move |chains| chains.facts(&query)).await
    }

    /// The value of a durable nonce account that `payer` may advance.
    pub async fn nonce(
        &self,
        network: Network,
        account: [u8; 32],
        payer: String,
    ) -> Result<[u8; 32], NonceError> {
        // A refused account is an answer too: the chain node did its part.
        let work =
            move |chains: &Chains| match solana::nonce(chains.client(network)?, account, &payer) {
                Err(NonceError::Chain(error)) => Err(error),
                answer => Ok(answer),
            };
        self.on_thread(network, work).await?
    }

    async fn on_thread<T: Send + 'static>(
        &self,
        network: Network,
        work: impl FnOnce(&Chains) -> Result<T, ChainCallError> + Send + 'static,
    ) -> Result<T, ChainCallError> {
        let (answer, answered) = oneshot::channel();
        let metrics = Arc::clone(&self.metrics);
        let task: Task = Box::new(move |chains| {
            // Whoever asked may have left while this waited: then nobody needs the call.
            if answer.is_closed() {
                return;
            }
            let result = work(chains);
            metrics.chain(family(network), result.is_ok());
            let _left = answer.send(result);
        });
        self.tasks.try_send(task).map_err(|_| ChainCallError::Overloaded)?;
        answered.await.unwrap_or(Err(ChainCallError::Overloaded))
    }
}

/// What the engine hears of a broadcast.
pub fn sent(request: RequestId, result: Result<(), ChainCallError>) -> Event {
    let result = result.map_err(|error| (error.code().to_owned(), error.to_string()));
    Event::Sent { request, result }
}

fn work(chains: &Chains, receiver: &Mutex<Receiver<Task>>) {
    loop {
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(task) => task(chains),
            Err(_) => return,
        }
    }
}
