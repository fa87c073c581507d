//! Ethereum JSON-RPC in the manner of Web3Signer, so that `cast`, ethers, viem, web3.py and hardhat send from a vault.
//!
//! The endpoint is `/rpc/TOKEN`, or `/rpc` with a bearer token or a client certificate; a trailing `/geth` shapes
//! results as geth does (`{raw, tx}`). Signing methods are answered here; reading methods are passed to the
//! configured chain node. Absent on purpose: methods that sign a bare digest, and any key management.

mod fill;
mod message;
mod methods;
mod sign;

use crate::api::{ApiError, ApiState, Asker, caller_of_token, read_body, unauthorized};
use axum::Json;
use axum::extract::{FromRequestParts, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use engine::{Caller, Class, refuse};
use message::{Incoming, RpcError, answer};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// Calls of one batch at most.
const BATCH_MAX: usize = 100;

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
    let caller = if token_in_path {
        let token = Path::<String>::from_request_parts(&mut parts, &state).await;
        let token = token.map_err(|_| ApiError(unauthorized()))?;
        caller_of_token(&state, &token.0).ok_or(ApiError(unauthorized()))?
    } else {
        Asker::from_request_parts(&mut parts, &state).await?.0
    };
    let Query(selection) = Query::<Selection>::try_from_uri(&parts.uri)
        .map_err(|error| ApiError(refuse(Class::Refused, "malformed_query", error.body_text())))?;
    let body = read_body(body).await?;
    let endpoint = Endpoint { state, caller, shape, chain: selection.chain_id };
    Ok(endpoint.handle(&body).await)
}

impl Endpoint {
    async fn handle(&self, body: &[u8]) -> Response {
        let value: Value = match serde_json::from_slice(body) {
            Ok(value) => value,
            Err(error) => {
                let error = RpcError::new(-32700, "malformed_json", error.to_string());
                return Json(answer(Value::Null, Err(error))).into_response();
            }
        };
        let Value::Array(calls) = value else {
            return match self.one(value).await {
                Some(answer) => Json(answer).into_response(),
                None => StatusCode::NO_CONTENT.into_response(),
            };
        };
        if calls.is_empty() || calls.len() > BATCH_MAX {
            let text = format!("a batch has 1 to {BATCH_MAX} calls, this one {}", calls.len());
            let error = RpcError::new(-32600, "batch_size", text);
            return Json(answer(Value::Null, Err(error))).into_response();
        }
        let calls = calls.into_iter().map(|call| self.one(call));
        let answers = futures_util::future::join_all(calls).await;
        let answers: Vec<Value> = answers.into_iter().flatten().collect();
        match answers.is_empty() {
            true => StatusCode::NO_CONTENT.into_response(),
            false => Json(answers).into_response(),
        }
    }

    /// One call; no answer to a notification.
    async fn one(&self, call: Value) -> Option<Value> {
        let call = match Incoming::parse(call) {
            Ok(call) => call,
            Err((id, error)) => return Some(answer(id, Err(error))),
        };
        let result = self.call(&call.method, &call.params).await;
        self.state.metrics.rpc(methods::label(&call.method), result.is_ok());
        call.id.map(|id| answer(id, result))
    }
}

#[cfg(test)]
mod tests;
