//! Ethereum JSON-RPC in the manner of Web3Signer, so that `cast`, ethers, viem, web3.py and hardhat send from a vault.
//!
//! The endpoint is `/rpc/TOKEN`, or `/rpc` with a bearer token or a client certificate; a trailing `/geth` shapes
//! results as geth does (`{raw, tx}`). Signing methods are answered here; reading methods are passed to the
//! configured chain node, by namespace or because the operator named them. Absent on purpose: methods that sign a bare
//! digest, and any key management.

mod calls;
mod fill;
mod message;
mod methods;
mod sign;

pub use calls::Calls;
pub(crate) use methods::may_be_passed;

use crate::api::{
    ApiError, ApiState, caller_of_head, caller_of_token, read_body, status, unauthorized,
};
use axum::Json;
use axum::extract::{FromRequestParts as _, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use calls::{Call, Joined, Receipt, outcome, with_receipts};
use engine::{Caller, Class, Problem, refuse};
use message::{Incoming, RpcError, answer};
use model::limits::TEXT_BYTES_MAX;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// Calls of one batch at most.
const BATCH_MAX: usize = 100;
/// EIP-1474: a limit is exceeded.
const OVERLOADED: i64 = -32005;

/// Path patterns with their handlers.
pub fn routes() -> Vec<(&'static str, MethodRouter<Arc<ApiState>>)> {
    vec![
        ("/rpc", post(plain)),
        ("/rpc/geth", post(plain_geth)),
        ("/rpc/{token}", post(with_token)),
        ("/rpc/{token}/geth", post(with_token_geth)),
    ]
}

/// How results of `eth_signTransaction` look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// The raw transaction as a string.
    Raw,
    /// `{raw, tx}`.
    Geth,
}

/// Who calls, for which chain, in which shape.
struct Endpoint {
    state: Arc<ApiState>,
    caller: Caller,
    shape: Shape,
    chain: Option<u64>,
    idempotency: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    chain_id: Option<u64>,
}

type Shared = State<Arc<ApiState>>;

async fn plain(State(state): Shared, request: Request) -> Result<Response, ApiError> {
    serve(state, request, Shape::Raw, false).await
}

async fn plain_geth(State(state): Shared, request: Request) -> Result<Response, ApiError> {
    serve(state, request, Shape::Geth, false).await
}

async fn with_token(State(state): Shared, request: Request) -> Result<Response, ApiError> {
    serve(state, request, Shape::Raw, true).await
}

async fn with_token_geth(State(state): Shared, request: Request) -> Result<Response, ApiError> {
    serve(state, request, Shape::Geth, true).await
}

async fn serve(
    state: Arc<ApiState>,
    request: Request,
    shape: Shape,
    token_in_path: bool,
) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let Some(caller) = caller(&mut parts, &state, token_in_path).await else {
        return Ok(refused(unauthorized()));
    };
    // RPC-7: an unknown key is told so before its body is read, in a form that no tool takes for an answer.
    if let Err(problem) = state.door.enter(caller, 1) {
        return Ok(refused(problem));
    }
    if let Err(problem) = state.admit(caller).await
        && status(&problem) == StatusCode::UNAUTHORIZED
    {
        return Ok(refused(problem));
    }
    let idempotency = idempotency_key(&parts)?;
    let Query(selection) = Query::<Selection>::try_from_uri(&parts.uri)
        .map_err(|error| ApiError(refuse(Class::Refused, "malformed_query", error.body_text())))?;
    let body = read_body(body).await?;
    let chain = selection.chain_id;
    let endpoint = Arc::new(Endpoint { state, caller, shape, chain, idempotency });
    Ok(endpoint.handle(&body).await)
}

/// The client's own name for what it asks for.
fn idempotency_key(parts: &Parts) -> Result<Option<String>, ApiError> {
    let Some(value) = parts.headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| (1..=TEXT_BYTES_MAX).contains(&text.len()));
    text.map(|text| Some(text.to_owned())).ok_or_else(|| {
        let text = format!("Idempotency-Key: 1 to {TEXT_BYTES_MAX} printable characters");
        ApiError(refuse(Class::Refused, "invalid_field", text))
    })
}

async fn caller(parts: &mut Parts, state: &Arc<ApiState>, token_in_path: bool) -> Option<Caller> {
    if !token_in_path {
        return caller_of_head(parts, state);
    }
    let token = Path::<String>::from_request_parts(parts, state).await.ok()?;
    caller_of_token(state, &token.0)
}

/// A refusal of the whole message: the HTTP status tells it to tools that look at nothing else.
fn refused(problem: Problem) -> Response {
    let (mut parts, _) = ApiError(problem.clone()).into_response().into_parts();
    // The server counts the new body itself.
    parts.headers.remove(header::CONTENT_LENGTH);
    let body = Json(answer(Value::Null, Err(problem.into()))).into_response().into_body();
    Response::from_parts(parts, body)
}

/// The answer to one call, with what is signed off when it is handed over.
type Answered = (Option<Value>, Option<Receipt>);

impl Endpoint {
    async fn handle(self: Arc<Self>, body: &[u8]) -> Response {
        let value: Value = match serde_json::from_slice(body) {
            Ok(value) => value,
            Err(error) => {
                let error = RpcError::new(-32700, "malformed_json", error.to_string());
                return Json(answer(Value::Null, Err(error))).into_response();
            }
        };
        let Value::Array(calls) = value else {
            let (answer, receipt) = self.one(value, 0).await;
            let response = match answer {
                Some(answer) => single(answer),
                None => StatusCode::NO_CONTENT.into_response(),
            };
            return with_receipts(response, receipt.into_iter().collect());
        };
        if calls.is_empty() || calls.len() > BATCH_MAX {
            let text = format!("a batch has 1 to {BATCH_MAX} calls, this one {}", calls.len());
            let error = RpcError::new(-32600, "batch_size", text);
            return Json(answer(Value::Null, Err(error))).into_response();
        }
        // The message itself was counted as one.
        if let Err(problem) = self.state.door.enter(self.caller, calls.len().saturating_sub(1)) {
            return refused(problem);
        }
        let places = calls::places(&calls, self.idempotency.is_some());
        let calls = calls.into_iter().zip(places);
        let calls = calls.map(|(call, place)| Arc::clone(&self).one(call, place));
        let all: Vec<Answered> = futures_util::future::join_all(calls).await;
        let (answers, receipts): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        let answers: Vec<Value> = answers.into_iter().flatten().collect();
        let response = match answers.is_empty() {
            true => StatusCode::NO_CONTENT.into_response(),
            false => Json(answers).into_response(),
        };
        with_receipts(response, receipts.into_iter().flatten().collect())
    }

    /// One call, the `place`th of its kind in its batch; no answer to a notification.
    async fn one(self: Arc<Self>, call: Value, place: u64) -> Answered {
        let call = match Incoming::parse(call) {
            Ok(call) => call,
            Err(refused) => {
                let (id, error) = *refused;
                return (Some(answer(id, Err(error))), None);
            }
        };
        let state = Arc::clone(&self.state);
        let (result, receipt) = match methods::makes_a_transaction(&call.method) {
            true => self.once(call.method.clone(), call.params, place).await,
            false => (self.call(&call.method, &call.params, None).await, None),
        };
        state.metrics.rpc(methods::label(&call.method), result.is_ok());
        (call.id.map(|id| answer(id, result)), receipt)
    }

    /// A call that makes a transaction: it runs to its end, and the same call again joins it.
    async fn once(
        self: Arc<Self>,
        method: String,
        params: Vec<Value>,
        place: u64,
    ) -> (calls::Outcome, Option<Receipt>) {
        let call = self.name_of(&method, &params, place);
        let (told, receipt) = match self.state.calls.join(call) {
            Ok(Joined::Wait(told, receipt)) => (told, receipt),
            Ok(Joined::Run(key, runs, told, receipt)) => {
                // A task of its own: what is asked for is done also when the client hangs up meanwhile.
                tokio::spawn(async move {
                    let outcome = self.call(&method, &params, Some(&key)).await;
                    runs.end(outcome);
                });
                (told, receipt)
            }
            Err(error) => return (Err(error), None),
        };
        (outcome(told).await, Some(receipt))
    }

    fn name_of(&self, method: &str, params: &[Value], place: u64) -> Call {
        let caller = match self.caller {
            Caller::Operator => [0; 32],
            Caller::Client(credential) => credential,
        };
        let chain = self.chain.map(u64::to_be_bytes).unwrap_or_default();
        let shape = [u8::from(self.shape == Shape::Geth)];
        let params = Value::from(params.to_vec()).to_string();
        let parts: [&[u8]; 4] = [&chain, &shape, method.as_bytes(), params.as_bytes()];
        let content = model::hash::tagged("outlast/rpc-content/v1", &parts);
        let place = place.to_be_bytes();
        let (keyed, name) = match &self.idempotency {
            Some(key) => {
                let parts: [&[u8]; 2] = [key.as_bytes(), &place];
                (true, model::hash::tagged("outlast/rpc-key/v1", &parts))
            }
            None => (false, model::hash::tagged("outlast/rpc-name/v1", &[&content, &place])),
        };
        Call { caller, name, content, keyed }
    }
}

/// A single answer; overload is told by HTTP too, so that tools wait and try again.
fn single(answer: Value) -> Response {
    let overloaded = answer.pointer("/error/code").is_some_and(|code| *code == OVERLOADED);
    let response = Json(answer).into_response();
    if !overloaded {
        return response;
    }
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")], response).into_response()
}

/// Reads a call or a batch as the endpoint does, up to the point where the engine would be asked.
pub(crate) fn fuzz_calls(value: Value) {
    let calls = match value {
        Value::Array(calls) => calls,
        one => vec![one],
    };
    for call in calls {
        let Ok(call) = Incoming::parse(call) else { continue };
        assert!(!methods::label(&call.method).is_empty());
        for param in &call.params {
            if let Ok(transaction) = chains::evm::rpc::parse_transaction(param) {
                drop(fill::wish(&transaction, transaction.chain_id.unwrap_or(1)));
            }
        }
    }
}

#[cfg(test)]
mod tests;
