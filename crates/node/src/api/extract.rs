//! What comes in with a request: credentials, strict JSON, ids, query. Each is refused by name before anything runs.

use super::problem::{ApiError, sealed, timed_out, unauthorized};
use super::state::{ApiState, Running};
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use engine::{Caller, Class, Command, Problem, Reply, refuse};
use futures_util::StreamExt as _;
use model::limits::BODY_BYTES_MAX;
use serde::de::DeserializeOwned;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use zeroize::{Zeroize, Zeroizing};

/// A body must be there within this time.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes of a body with a secret: a passphrase of 4096 bytes, each escaped.
const SECRET_BYTES_MAX: usize = 32 * 1024;
/// A frame with a secret is kept this long for its last holder to leave, and looked at this often.
const WIPE_TIME_MAX: Duration = Duration::from_secs(60);
const WIPE_PAUSE: Duration = Duration::from_millis(20);
/// Answers of the engine that wait for nothing come within this time.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);
/// Longest wait for a signature that a caller may ask for, milliseconds.
pub const WAIT_MS_MAX: u64 = 60_000;
/// Characters of a bearer token at most.
const TOKEN_BYTES_MAX: usize = 256;

/// Credential of the key in a verified TLS client certificate ([`tls_credential`]); put there by the listener alone.
#[derive(Debug, Clone, Copy)]
pub struct TlsCaller(pub [u8; 32]);

/// What a node keeps of a bearer token.
pub fn token_credential(token: &str) -> [u8; 32] {
    // API-AUTH-1: the two kinds have tags of their own, so no token can stand for a certificate.
    model::hash::tagged("outlast/client-token/v1", &[token.as_bytes()])
}

/// What a node keeps of a client certificate: of SHA-256 of its subject public key info, which other tools print.
pub fn tls_credential(key_hash: [u8; 32]) -> [u8; 32] {
    model::hash::tagged("outlast/client-tls-key/v1", &[&key_hash])
}

/// Tells the operator's token from a program's.
pub fn caller_of_token(state: &ApiState, token: &str) -> Option<Caller> {
    if token.is_empty() || token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let hash = token_credential(token);
    // API-AUTH-1: hashes are kept and compared, so the time of the comparison says nothing about the token.
    Some(if hash == state.operator { Caller::Operator } else { Caller::Client(hash) })
}

/// Token of the `Authorization` header.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whose credential the head shows, if any.
pub fn caller_of_head(parts: &Parts, state: &ApiState) -> Option<Caller> {
    if let Some(token) = bearer(&parts.headers) {
        return caller_of_token(state, token);
    }
    parts.extensions.get::<TlsCaller>().map(|key| Caller::Client(key.0))
}

/// Anybody with a credential; clients are checked by the engine.
#[derive(Debug, Clone, Copy)]
pub struct Asker(pub Caller);

impl FromRequestParts<Arc<ApiState>> for Asker {
    type Rejection = ApiError;
    async fn from_request_parts(
        parts: &mut Parts,
        state: &Arc<ApiState>,
    ) -> Result<Self, ApiError> {
        let caller = caller_of_head(parts, state).ok_or(ApiError(unauthorized()))?;
        state.door.enter(caller, 1)?;
        Ok(Self(caller))
    }
}

/// The node's own operator.
#[derive(Debug, Clone, Copy)]
pub struct Operator;

impl FromRequestParts<Arc<ApiState>> for Operator {
    type Rejection = ApiError;
    async fn from_request_parts(
        parts: &mut Parts,
        state: &Arc<ApiState>,
    ) -> Result<Self, ApiError> {
        match Asker::from_request_parts(parts, state).await?.0 {
            Caller::Operator => Ok(Self),
            Caller::Client(_) => {
                let text = "only the node's operator may do this";
                Err(ApiError(refuse(Class::Forbidden, "operator_only", text)))
            }
        }
    }
}

/// An id in the path.
#[derive(Debug, Clone, Copy)]
pub struct Id<T>(pub T);

impl<T: FromStr> FromRequestParts<Arc<ApiState>> for Id<T>
where
    T::Err: core::fmt::Display,
{
    type Rejection = ApiError;
    async fn from_request_parts(
        parts: &mut Parts,
        state: &Arc<ApiState>,
    ) -> Result<Self, ApiError> {
        let malformed = |reason: String| {
            ApiError(refuse(
                Class::Refused,
                "malformed_id",
                format!("the id in the path: {reason}"),
            ))
        };
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| malformed(error.body_text()))?;
        text.parse().map(Id).map_err(|error: T::Err| malformed(error.to_string()))
    }
}

/// Query parameters, unknown ones refused.
#[derive(Debug)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Arc<ApiState>> for Params<T> {
    type Rejection = ApiError;
    async fn from_request_parts(
        parts: &mut Parts,
        _state: &Arc<ApiState>,
    ) -> Result<Self, ApiError> {
        let Query(value) = Query::try_from_uri(&parts.uri).map_err(|error| {
            let text = error.body_text();
            ApiError(refuse(Class::Refused, "malformed_query", text))
        })?;
        Ok(Self(value))
    }
}

/// A JSON body, strictly: bounded, in time, no unknown fields.
#[derive(Debug)]
pub struct Strict<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<ApiState>> for Strict<T> {
    type Rejection = ApiError;
    async fn from_request(request: Request, _state: &Arc<ApiState>) -> Result<Self, ApiError> {
        let bytes = read_body(request.into_body()).await?;
        parse(&bytes).map(Self)
    }
}

/// As [`Strict`], shorter, and the bytes are wiped after parsing. The parsed value must wipe itself.
#[derive(Debug)]
pub struct StrictSecret<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<ApiState>> for StrictSecret<T> {
    type Rejection = ApiError;
    async fn from_request(request: Request, _state: &Arc<ApiState>) -> Result<Self, ApiError> {
        let bytes = in_time(read_secret(request.into_body())).await?;
        parse(&bytes).map(Self)
    }
}

/// The whole body in a buffer that is wiped and never grows; the frames that it came in are wiped, too.
async fn read_secret(body: Body) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let mut all = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX));
    let mut frames = body.into_data_stream();
    while let Some(frame) = frames.next().await {
        let frame = frame.map_err(|error| ApiError(body_problem(&error)))?;
        let fits = frame.len() <= SECRET_BYTES_MAX.saturating_sub(all.len());
        if fits {
            all.extend_from_slice(&frame);
        }
        wipe(frame);
        if !fits {
            let text = format!("the body is over {SECRET_BYTES_MAX} bytes");
            return Err(ApiError(refuse(Class::Refused, "too_large", text)));
        }
    }
    Ok(all)
}

/// Wipes a frame once nobody else holds its memory: the server's own buffer shares it until the server reads on or the
/// connection ends. Meanwhile the frame is kept, because memory that is merely given back would be left as it is.
fn wipe(frame: Bytes) {
    tokio::spawn(async move {
        let (mut frame, mut waited) = (frame, Duration::ZERO);
        while waited < WIPE_TIME_MAX {
            match frame.try_into_mut() {
                Ok(mut own) => return own.as_mut().zeroize(),
                Err(shared) => frame = shared,
            }
            tokio::time::sleep(WIPE_PAUSE).await;
            waited = waited.saturating_add(WIPE_PAUSE);
        }
        tracing::warn!(code = "not_wiped", "the body of a secret call is still held by the server");
    });
}

// API-BODY-1: the types refuse unknown fields.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| {
        ApiError(refuse(Class::Refused, "malformed_json", format!("the body: {error}")))
    })
}

/// The whole body within its bounds.
pub async fn read_body(body: Body) -> Result<Bytes, ApiError> {
    let read = axum::body::to_bytes(body, BODY_BYTES_MAX);
    in_time(async { read.await.map_err(|error| ApiError(body_problem(&error))) }).await
}

async fn in_time<T>(read: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
    tokio::time::timeout(BODY_TIME_MAX, read).await.unwrap_or_else(|_| {
        let text = format!("the body did not come within {} s", BODY_TIME_MAX.as_secs());
        Err(ApiError(refuse(Class::Refused, "slow_body", text)))
    })
}

fn body_problem(error: &axum::Error) -> engine::Problem {
    // The limit is told from a broken connection by the cause: its type is of a crate that is not ours to name.
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    if cause.contains("length limit") {
        let text = format!("the body is over {BODY_BYTES_MAX} bytes");
        refuse(Class::Refused, "too_large", text)
    } else {
        refuse(Class::Refused, "malformed_body", "the body ended early")
    }
}

impl ApiState {
    /// The running node, or why there is none.
    pub fn running(&self) -> Result<&Running, ApiError> {
        if self.is_stopping() {
            let text = "the node is stopping and takes nothing new";
            return Err(ApiError(refuse(Class::Unavailable, "stopping", text)));
        }
        self.running.get().ok_or(ApiError(sealed()))
    }

    /// Asks the engine whether it knows this caller.
    pub async fn admit(&self, caller: Caller) -> Result<(), Problem> {
        match caller {
            Caller::Operator => Ok(()),
            Caller::Client(_) => {
                self.ask(caller, Command::Known, 0).await.map(drop).map_err(|error| error.0)
            }
        }
    }

    /// Asks the engine; `wait_ms` is the caller's own wait.
    pub async fn ask(
        &self,
        caller: Caller,
        command: Command,
        wait_ms: u64,
    ) -> Result<Reply, ApiError> {
        // API-WAIT-1: nobody holds a place for longer than this.
        if wait_ms > WAIT_MS_MAX {
            let text = format!("wait_ms is {wait_ms}, at most {WAIT_MS_MAX}");
            return Err(ApiError(refuse(Class::Refused, "invalid_field", text)));
        }
        let time = ANSWER_TIME_MAX.saturating_add(Duration::from_millis(wait_ms));
        let _waiting = self.door.wait(caller)?;
        let asked = self.running()?.handle.ask(caller, command);
        match tokio::time::timeout(time, asked).await {
            Ok(answer) => answer.map_err(ApiError),
            Err(_) => Err(ApiError(timed_out())),
        }
    }
}
