//! One JSON-RPC call over HTTP with every bound: time, size of the answer, no redirects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::amount::Amount;
use model::intent::Network;
use serde_json::{Value, json};
use std::time::Duration;

/// One call takes at most this long.
const CALL_TIME_MAX: Duration = Duration::from_secs(5);
/// `scantxoutset` walks all coins: on a large chain it takes longer than any other call.
const SCAN_TIME_MAX: Duration = Duration::from_secs(60);
/// Bytes of an answer at most.
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Why a chain node gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainCallError {
    /// No address in `node.toml`.
    #[error("no chain node is configured for {0}; set it under [rpc] in node.toml")]
    Unconfigured(Network),
    /// Nothing sensible came back.
    #[error("the chain node does not answer: {0}")]
    Unreachable(String),
    /// The chain node refused.
    #[error("the chain node refused {method}: {message}")]
    Refused {
        /// Method called.
        method: String,
        /// Its error code.
        code: i64,
        /// Its words.
        message: String,
        /// Its further data.
        data: Option<Box<Value>>,
    },
    /// The account cannot pay; in the words that tools look for.
    #[error(
        "insufficient funds for gas * price + value: the account has {have} wei, {need} needed"
    )]
    Funds {
        /// Wei that the account has.
        have: Amount,
        /// Wei that the transaction may cost.
        need: Amount,
    },
    /// An answer of another shape than the method's.
    #[error("the chain node answered {0} with something unexpected")]
    Shape(&'static str),
    /// Too many calls wait.
    #[error("too many calls wait for the chain node")]
    Overloaded,
}

impl ChainCallError {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unconfigured(_) => "chain_not_configured",
            Self::Unreachable(_) => "chain_unreachable",
            Self::Refused { .. } => "chain_refused",
            Self::Funds { .. } => "insufficient_funds",
            Self::Shape(_) => "chain_answer",
            Self::Overloaded => "overloaded",
        }
    }
}

/// A chain node as its readers see it: the real one, or a script of answers.
pub trait Call {
    /// Calls `method` and returns its result. Blocks.
    fn call(&self, method: &str, params: &Value) -> Result<Value, ChainCallError>;
    /// Waits before a call is made again.
    fn pause(&self, time: Duration);
}

/// One chain node.
pub struct Client {
    agent: ureq::Agent,
    url: String,
    authorization: Option<String>,
}

impl core::fmt::Debug for Client {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Client(..)")
    }
}

impl Client {
    /// From `http(s)://[USER:PASSWORD@]HOST[:PORT][/PATH]`; none when it is something else.
    pub fn new(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        if !matches!(scheme, "http" | "https") || host.is_empty() || host.starts_with(':') {
            return None;
        }
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(CALL_TIME_MAX))
            .proxy(None)
            .build();
        Some(Self {
            agent: config.new_agent(),
            url: format!("{scheme}://{host}{path}"),
            authorization: user.map(|user| format!("Basic {}", STANDARD.encode(user))),
        })
    }

    /// What the server calls the time, in HTTP's words: of any answer, also a refusal. Blocks.
    pub fn date(&self) -> Option<String> {
        let mut request = self.agent.get(&self.url);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let answer = request.call().ok()?;
        answer.headers().get("date")?.to_str().ok().map(str::to_owned)
    }

    fn post(&self, body: &[u8], time: Duration) -> Result<Value, ChainCallError> {
        let mut request = self
            .agent
            .post(&self.url)
            .config()
            .timeout_global(Some(time))
            .build()
            .header("content-type", "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let unreachable = |error: ureq::Error| ChainCallError::Unreachable(words(&error));
        let mut answer = request.send(body).map_err(unreachable)?;
        let status = answer.status().as_u16();
        let bytes = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_vec()
            .map_err(unreachable)?;
        serde_json::from_slice(&bytes)
            .map_err(|_| ChainCallError::Unreachable(format!("HTTP status {status}, and no JSON")))
    }
}

impl Call for Client {
    fn call(&self, method: &str, params: &Value) -> Result<Value, ChainCallError> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let time = if method == "scantxoutset" { SCAN_TIME_MAX } else { CALL_TIME_MAX };
        result_of(method, self.post(body.to_string().as_bytes(), time)?)
    }
    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// The result in a JSON-RPC answer, or the refusal in it.
pub(super) fn result_of(method: &str, answer: Value) -> Result<Value, ChainCallError> {
    let unreachable = |reason: &str| ChainCallError::Unreachable(reason.to_owned());
    let Value::Object(mut answer) = answer else {
        return Err(unreachable("its answer is not a JSON object"));
    };
    match answer.remove("error") {
        None | Some(Value::Null) => {}
        Some(error) => return Err(refused(method, &error)),
    }
    answer.remove("result").ok_or_else(|| unreachable("its answer has no result"))
}

/// An error in words without the URL, which may carry a password.
fn words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::BadUri(_) => "its address does not parse".into(),
        ureq::Error::Timeout(_) => "timed out".into(),
        other => other.to_string().chars().take(200).collect(),
    }
}

fn refused(method: &str, error: &Value) -> ChainCallError {
    let message = error.get("message").and_then(Value::as_str).unwrap_or("no reason given");
    ChainCallError::Refused {
        method: method.to_owned(),
        code: error.get("code").and_then(Value::as_i64).unwrap_or(-32000),
        message: message.chars().take(500).collect(),
        data: error.get("data").cloned().map(Box::new),
    }
}
