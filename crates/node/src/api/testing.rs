//! A router whose engine is a closure: what the API asks and how answers come back, without a cluster.

use super::{ApiState, ClientLimits, Running, router};
use crate::chain::{ChainPool, Chains};
use crate::compute::Compute;
use crate::home::ChainRpc;
use crate::metrics::Metrics;
use crate::runner::{Handle, Input, channel};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use engine::{Caller, Class, Command, Problem, Reply, Status, refuse};
use model::secret::Secret;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt as _;

pub(crate) const OPERATOR_TOKEN: &str = "operator-token";
pub(crate) const CLIENT_TOKEN: &str = "client-token";

/// An engine's answers.
pub(crate) type Script =
    Arc<dyn Fn(Caller, Command) -> Result<Reply, Problem> + Send + Sync + 'static>;

pub(crate) struct Fixture {
    pub state: Arc<ApiState>,
    pub router: Router,
}

/// A running node whose engine answers by `script`; `rpc` names its chain nodes.
pub(crate) fn node(
    rpc: &ChainRpc,
    script: impl Fn(Caller, Command) -> Result<Reply, Problem> + Send + Sync + 'static,
) -> Fixture {
    let fixture = sealed_node(rpc, |_| Err(refuse(Class::Conflict, "not_sealed", "")));
    assert!(fixture.state.running.set(running(Arc::new(script))).is_ok());
    fixture
}

/// A sealed node.
pub(crate) fn sealed_node(
    rpc: &ChainRpc,
    unsealer: impl Fn(Secret<String>) -> Result<Running, Problem> + Send + Sync + 'static,
) -> Fixture {
    let metrics = Arc::new(Metrics::default());
    let chains = ChainPool::start(Chains::new(rpc).unwrap(), Arc::clone(&metrics)).unwrap();
    let token = Secret::new(format!("{OPERATOR_TOKEN}\n"));
    // Filled slowly, so that a test may use a share up.
    let limits = ClientLimits {
        client_calls_per_second: 1,
        client_calls_burst: 1_000,
        ..ClientLimits::default()
    };
    let state = Arc::new(ApiState::new(&token, chains, limits, metrics, Box::new(unsealer)));
    let router = router(&state);
    Fixture { state, router }
}

/// An engine of `script`, on a thread of its own.
pub(crate) fn running(script: Script) -> Running {
    let (handle, inbox) = channel();
    let compute = Arc::new(Compute::start(1, &handle).unwrap());
    inbox.publish(Some(Status::default()));
    std::thread::spawn(move || {
        loop {
            match inbox.next(Duration::from_secs(60)) {
                Ok(Input::Command { caller, command, answer, .. }) => {
                    let _left = answer.send(script(caller, *command));
                }
                Ok(Input::ProbeStore(answer)) => answer.send(Ok(())).unwrap(),
                Ok(Input::Stop) | Err(_) => return,
                Ok(_) => {}
            }
        }
    });
    Running { handle, compute }
}

/// A node whose engine never answers and never takes anything out of its queue.
pub(crate) fn stuck_node() -> (Fixture, crate::runner::Inbox, Handle) {
    let fixture = sealed_node(&ChainRpc::default(), |_| Err(refuse(Class::Bug, "bug", "")));
    let (handle, inbox) = channel();
    let compute = Arc::new(Compute::start(1, &handle).unwrap());
    assert!(fixture.state.running.set(Running { handle: handle.clone(), compute }).is_ok());
    (fixture, inbox, handle)
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

/// One request; an empty `token` sends none.
pub(crate) fn request(method: &str, path: &str, token: &str, body: &str) -> Request<Body> {
    let mut builder = Request::builder().method(method).uri(path);
    if !token.is_empty() {
        builder = builder.header("authorization", format!("Bearer {token}"));
    }
    builder.body(Body::from(body.to_owned())).unwrap()
}

impl Fixture {
    pub(crate) async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Status and JSON body (`null` for none).
    pub(crate) async fn json(&self, request: Request<Body>) -> (u16, Value) {
        let response = self.send(request).await;
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// Status and code of the problem.
    pub(crate) async fn code(&self, request: Request<Body>) -> (u16, String) {
        let (status, body) = self.json(request).await;
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    }
}
