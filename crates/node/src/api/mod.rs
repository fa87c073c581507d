//! The node's HTTP API. The document is `docs/spec/node-api.openapi.json`, and a test holds every operation against it.
//!
//! Invariants: a credential is checked before a body is read; bodies are strict JSON within bounds; every refusal has
//! a stable code; overload is shed at the door with 429. Absent on purpose: cookies, CORS, sessions, state of its own.

mod door;
mod extract;
mod govern;
mod health;
mod house;
mod nonce;
mod problem;
mod routes;
mod serve;
mod state;
mod tls;
mod watched;

pub use door::{ClientLimits, Door};
pub use extract::{
    ANSWER_TIME_MAX, TlsCaller, WAIT_MS_MAX, bearer, caller_of_head, caller_of_token, read_body,
    tls_credential, token_credential,
};
pub use problem::{ApiError, status, unauthorized};
pub use serve::{ListenError, Server, bind};
pub use state::{ApiState, Running, Unsealer};
pub use tls::{ApiTls, TlsError};

use problem::Refused;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::MethodRouter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::Instrument as _;

/// The document of this API.
pub const OPENAPI: &str = include_str!("../../../../docs/spec/node-api.openapi.json");

/// Every route.
pub fn router(state: &Arc<ApiState>) -> Router {
    let mut router = Router::new();
    for (path, route) in routes::all().into_iter().chain(crate::rpc::routes()) {
        router = router.route(path, counted(state, path, route));
    }
    router.fallback(routes::unknown_route).with_state(Arc::clone(state))
}

fn counted(
    state: &Arc<ApiState>,
    path: &'static str,
    route: MethodRouter<Arc<ApiState>>,
) -> MethodRouter<Arc<ApiState>> {
    route
        .fallback(routes::wrong_method)
        .layer(from_fn_with_state((Arc::clone(state), path), observe))
}

/// Counts the answer and gives the request a number, in its span and in `x-request-id`.
async fn observe(
    State((state, route)): State<(Arc<ApiState>, &'static str)>,
    request: Request,
    next: Next,
) -> Response {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    // The route's pattern, never the path: a path may carry a token.
    let span = tracing::debug_span!("http", number, method = %request.method(), route);
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    state.metrics.http(route, status);
    if let Some(Refused(code)) = response.extensions().get() {
        state.metrics.refusal(code);
    }
    span.in_scope(|| tracing::debug!(status, "answered"));
    let headers = response.headers_mut();
    headers.insert("x-request-id", HeaderValue::from(number));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
pub(crate) mod document_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
