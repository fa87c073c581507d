//! JSON-RPC 2.0 messages and errors (codes of EIP-1474); `data` of an error is [`model::api::Problem`].

use crate::chain::ChainCallError;
use engine::{Class, Problem};
use model::api;
use model::ids::RequestId;
use serde_json::{Value, json};

/// One call.
#[derive(Debug)]
pub(super) struct Incoming {
    /// None for a notification.
    pub id: Option<Value>,
    pub method: String,
    pub params: Vec<Value>,
}

impl Incoming {
    /// Reads one call; on failure the id to answer under.
    pub(super) fn parse(call: Value) -> Result<Self, Box<(Value, RpcError)>> {
        let invalid = |id: Value, text: &str| {
            Err(Box::new((id, RpcError::new(-32600, "malformed_call", text.to_owned()))))
        };
        let Value::Object(mut call) = call else {
            return invalid(Value::Null, "a call is a JSON object");
        };
        let id = call.remove("id");
        let shown = match &id {
            None => Value::Null,
            Some(id @ (Value::Null | Value::Number(_) | Value::String(_))) => id.clone(),
            Some(_) => return invalid(Value::Null, "the id is neither text nor number"),
        };
        let Some(Value::String(method)) = call.remove("method") else {
            return invalid(shown, "the method is missing or no text");
        };
        let params = match call.remove("params") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(params)) => params,
            Some(_) => return invalid(shown, "params is no list"),
        };
        Ok(Self { id, method, params })
    }
}

/// A refusal on its way out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RpcError {
    pub code: i64,
    pub message: String,
    pub data: Option<Value>,
}

impl RpcError {
    /// With a stable name.
    pub(super) fn new(code: i64, name: &str, message: String) -> Self {
        let data = json!({ "code": name, "message": message });
        Self { code, message, data: Some(data) }
    }

    /// A parameter that does not read.
    pub(super) fn params(message: impl Into<String>) -> Self {
        Self::new(-32602, "invalid_params", message.into())
    }

    /// Adds which signed request this is about and what to do; code, first words and data stay as tools expect them.
    pub(super) fn of_signed(mut self, id: RequestId) -> Self {
        let hint = format!(
            "request {id} is signed and holds its nonce: `outlast request show {id}` says what to do \
             (speed-up, cancel)"
        );
        let first = std::mem::take(&mut self.message);
        self.message = format!("{first}; {hint}");
        self.data.get_or_insert_with(
            || json!({ "code": "not_broadcast", "message": first, "hint": hint, "request": id }),
        );
        self
    }

    /// As the HTTP API would say it.
    pub(super) fn from_view(problem: &api::Problem) -> Self {
        let message = match &problem.hint {
            Some(hint) => format!("{} ({hint})", problem.message),
            None => problem.message.clone(),
        };
        let data = serde_json::to_value(problem).ok();
        Self { code: -32000, message, data }
    }
}

impl From<Problem> for RpcError {
    fn from(problem: Problem) -> Self {
        let code = match problem.class {
            Class::Refused => -32000,
            Class::NotFound | Class::Forbidden => -32001,
            Class::Unavailable => -32002,
            Class::Conflict => -32003,
            Class::Overloaded => -32005,
            Class::Bug => -32603,
        };
        Self { code, ..Self::from_view(&problem.to_api()) }
    }
}

impl From<chains::Refusal> for RpcError {
    fn from(refusal: chains::Refusal) -> Self {
        Problem::from(refusal).into()
    }
}

impl From<ChainCallError> for RpcError {
    fn from(error: ChainCallError) -> Self {
        match error {
            // RPC-5: as the chain node said it: tools read revert data from it.
            ChainCallError::Refused { code, message, data, .. } => {
                Self { code, message, data: data.map(|data| *data) }
            }
            error @ ChainCallError::Funds { .. } => {
                Self::new(-32000, error.code(), error.to_string())
            }
            other => Self::new(-32002, other.code(), other.to_string()),
        }
    }
}

/// The answer to one call.
pub(super) fn answer(id: Value, result: Result<Value, RpcError>) -> Value {
    match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(RpcError { code, message, data: Some(data) }) => {
            let error = json!({ "code": code, "message": message, "data": data });
            json!({ "jsonrpc": "2.0", "id": id, "error": error })
        }
        Err(RpcError { code, message, data: None }) => {
            json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_read_strictly() {
        let check = |call: Value, expected: Result<(Option<Value>, usize), (Value, i64)>| {
            let read = Incoming::parse(call.clone());
            let read = read.map(|c| (c.id, c.params.len())).map_err(|e| (e.0, e.1.code));
            assert_eq!(read, expected, "{call}");
        };
        check(json!({ "id": 1, "method": "m" }), Ok((Some(json!(1)), 0)));
        check(json!({ "id": null, "method": "m", "params": [1] }), Ok((Some(Value::Null), 1)));
        check(json!({ "method": "m", "params": null }), Ok((None, 0)));
        check(json!({ "id": {}, "method": "m" }), Err((Value::Null, -32600)));
        check(json!({ "id": 1, "method": 2 }), Err((json!(1), -32600)));
        check(json!({ "id": 1, "method": "m", "params": {} }), Err((json!(1), -32600)));
        check(json!("m"), Err((Value::Null, -32600)));
    }

    #[test]
    fn what_was_signed_and_not_sent_is_told_with_its_request() {
        let id = RequestId([7; 32]);
        let refused = |data: Option<Value>| ChainCallError::Refused {
            method: "eth_sendRawTransaction".into(),
            code: -32000,
            message: "transaction underpriced".into(),
            data: data.map(Box::new),
        };
        let error = RpcError::from(refused(None)).of_signed(id);
        assert_eq!(error.code, -32000);
        assert!(error.message.starts_with("transaction underpriced; request 0707"), "{error:?}");
        assert!(error.message.contains(&format!("outlast request show {id}")), "{error:?}");
        assert_eq!(error.data.map(|data| data["request"].clone()), Some(json!(id)));
        // Data of the chain node is left as tools expect it.
        let data = Some(json!("0x08c379a0"));
        assert_eq!(RpcError::from(refused(data.clone())).of_signed(id).data, data);
    }

    #[test]
    fn a_chain_nodes_refusal_passes_unchanged() {
        let data = Some(json!("0x08c379a0"));
        let refused = ChainCallError::Refused {
            method: "eth_call".into(),
            code: 3,
            message: "execution reverted".into(),
            data: data.clone().map(Box::new),
        };
        let expected = RpcError { code: 3, message: "execution reverted".into(), data };
        assert_eq!(RpcError::from(refused), expected);
    }
}
