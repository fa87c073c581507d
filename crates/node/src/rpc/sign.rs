//! The signing methods: each becomes one request of the node's API and waits for its signature.
//!
//! A client that gave up waiting sends the same call again and gets the finished signature: the idempotency key is a
//! hash of what is signed. A transaction without a nonce has the key of its call (`calls`), because two equal ones may
//! both be meant.

use super::calls::CallKey;
use super::fill::wish;
use super::message::RpcError;
use super::methods::{Account, nth, text, wrong_reply};
use super::{Endpoint, Shape};
use crate::chain::ChainCallError;
use chains::evm::rpc::{RpcFee, RpcTransaction, parse_transaction};
use engine::{Command, Reply};
use model::api::{AskView, FillView, NewRequest, RequestView, SignedView};
use model::hash;
use model::ids::RequestId;
use model::intent::Network;
use serde_json::{Map, Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// How long a call waits for its signature. Clients give up after 10 s (viem) to 300 s (ethers) and then ask again.
const WAIT_MS: u64 = 25_000;
/// Keys tried after older requests under the same key ended without a signature.
const KEYS_MAX: u32 = 8;
/// A request older than this is not the one that this call made.
const FRESH_MS: u64 = 60_000;

impl Endpoint {
    pub(super) async fn sign_transaction(
        &self,
        params: &[Value],
        key: Option<&CallKey>,
    ) -> Result<Value, RpcError> {
        let (transaction, _, signed, chain) = self.transaction(params, false, key).await?;
        Ok(match self.shape {
            Shape::Raw => json!(signed.raw),
            Shape::Geth => json!({ "raw": signed.raw, "tx": object(&transaction, &signed, chain) }),
        })
    }

    pub(super) async fn send_transaction(
        &self,
        params: &[Value],
        key: Option<&CallKey>,
    ) -> Result<Value, RpcError> {
        let wished = parse_transaction(nth(params, 0)?)?.chain_id;
        let network = Network::Evm(self.chain(wished)?);
        // RPC-4: refused before anything is signed: a signature that nobody sends would only confuse nonces.
        self.state.chains.check(network)?;
        let (_, id, signed, _) = self.transaction(params, true, key).await?;
        let hash = signed.txid.clone().unwrap_or_default();
        let chains = &self.state.chains;
        let sent = chains.call(network, "eth_sendRawTransaction".into(), json!([signed.raw])).await;
        let sent = match sent {
            // Sent before by an earlier try of the same call?
            Err(error @ ChainCallError::Refused { .. }) => {
                let params = json!([hash]);
                let known = chains.call(network, "eth_getTransactionByHash".into(), params).await;
                if known.is_ok_and(|known| !known.is_null()) { Ok(()) } else { Err(error) }
            }
            sent => sent.map(|_| ()),
        };
        // RPC-11: the engine learns of it: what was not sent is shown with its request, and nothing queues up behind it.
        if let Some(running) = self.state.running.get() {
            running.handle.offer_event(crate::chain::sent(id, sent.clone()));
        }
        match sent {
            Ok(()) => Ok(json!(hash)),
            Err(error) => Err(RpcError::from(error).of_signed(id)),
        }
    }

    async fn transaction(
        &self,
        params: &[Value],
        to_send: bool,
        call: Option<&CallKey>,
    ) -> Result<(RpcTransaction, RequestId, SignedView, u64), RpcError> {
        let object = nth(params, 0)?;
        let mut transaction = parse_transaction(object)?;
        let chain = self.chain(transaction.chain_id)?;
        // RPC-1: another chain or somebody else's account is refused before anything is asked.
        transaction.check_chain(chain)?;
        let from = object.get("from").map(|from| text(from, "from")).transpose()?;
        let from = from.ok_or_else(|| RpcError::params("from is missing"))?;
        let account = self.account(from).await?;
        // RPC-9: what stands under this call's key already is not completed anew.
        if let Some(call) = call
            && let Some(view) = self.known(&account, call).await?
        {
            let (id, signed) = finished(view)?;
            return Ok((transaction, id, signed, chain));
        }
        self.complete(&mut transaction, &account.address, chain).await?;
        if to_send {
            self.check_funds(&transaction, &account.address, chain).await?;
        }
        let wish = wish(&transaction, chain)?;
        let key = match (&wish.ask, wish.fixed, call) {
            // RPC-3: fixed bytes are the same whoever brings them when; a client's own key says more.
            (AskView::Raw { bytes, .. }, true, call) if !call.is_some_and(CallKey::is_named) => {
                Key::Content(key(chain, "transaction", bytes))
            }
            (_, _, Some(call)) => Key::Call(format!("{}/{}", call.key, call.call)),
            _ => Key::None,
        };
        let (id, signed) = self.sign(&account, chain, wish.ask, wish.fill, key).await?;
        Ok((transaction, id, signed, chain))
    }

    pub(super) async fn sign_message(
        &self,
        address: &Value,
        data: &Value,
    ) -> Result<Value, RpcError> {
        let account = self.account(text(address, "the address")?).await?;
        let data = text(data, "the data")?;
        // Some clients send the text itself instead of its hex.
        let bytes = match data.strip_prefix("0x") {
            Some(digits) => {
                hex::decode(digits).map_err(|e| RpcError::params(format!("the data: {e}")))?
            }
            None => data.as_bytes().to_vec(),
        };
        // RPC-6: `evm_message` is bytes with the EIP-191 prefix before them; 32 that may be a digest are refused by `chains`.
        self.sign_raw(&account, "evm_message", format!("0x{}", hex::encode(bytes))).await
    }

    pub(super) async fn sign_typed_data(
        &self,
        address: &Value,
        document: &Value,
    ) -> Result<Value, RpcError> {
        let account = self.account(text(address, "the address")?).await?;
        let document = match document {
            Value::String(text) => text.clone(),
            Value::Object(_) => document.to_string(),
            _ => return Err(RpcError::params("the typed data is neither an object nor its text")),
        };
        self.sign_raw(&account, "evm_typed_data", document).await
    }

    async fn sign_raw(
        &self,
        account: &Account,
        format: &str,
        bytes: String,
    ) -> Result<Value, RpcError> {
        // A personal message binds no chain, but a request names one.
        let chain = self.chain(Some(1))?;
        let key = key(chain, format, &bytes);
        let ask = AskView::Raw { format: format.to_owned(), bytes };
        let (_, signed) = self.sign(account, chain, ask, None, Key::Content(key)).await?;
        Ok(json!(signed.raw))
    }

    async fn sign(
        &self,
        account: &Account,
        chain: u64,
        ask: AskView,
        fill: Option<FillView>,
        key: Key,
    ) -> Result<(RequestId, SignedView), RpcError> {
        let started = now_ms();
        for number in 0..KEYS_MAX {
            let new = NewRequest {
                network: Network::Evm(chain),
                path: account.path.to_string(),
                ask: ask.clone(),
                fee_max: None,
                idempotency_key: key.text(number),
                initiator: None,
                life_ms: None,
                fill: fill.clone(),
                broadcast: false,
                wait_ms: WAIT_MS,
            };
            let view = self.submit(account, new).await?;
            let stale = view.created_at_ms.saturating_add(FRESH_MS) < started;
            let over = matches!(view.state.as_str(), "refused" | "expired");
            // An old failure under the same key must not stand for ever: the world may have changed since.
            if !(over && stale && matches!(key, Key::Content(_))) {
                return finished(view);
            }
        }
        let text = format!("{KEYS_MAX} earlier requests for the same bytes ended unsigned");
        Err(RpcError::new(-32003, "too_many_failures", text))
    }

    /// What stands under a call's key, once it is signed or the wait is over.
    async fn known(
        &self,
        account: &Account,
        call: &CallKey,
    ) -> Result<Option<RequestView>, RpcError> {
        let (key, call) = (call.key.clone(), call.call.clone());
        let command = Command::Keyed { vault: account.vault, key, call, wait_ms: WAIT_MS };
        match self.ask(command, WAIT_MS).await? {
            Reply::Request(view) => Ok(Some(*view)),
            Reply::Requests(none) if none.is_empty() => Ok(None),
            _ => Err(wrong_reply()),
        }
    }

    async fn submit(&self, account: &Account, new: NewRequest) -> Result<RequestView, RpcError> {
        let command = Command::Submit { vault: account.vault, new };
        match self.ask(command, WAIT_MS).await? {
            Reply::Request(view) => Ok(*view),
            _ => Err(wrong_reply()),
        }
    }
}

/// Under which idempotency key a request is made.
enum Key {
    None,
    /// A hash of what is signed; an old failure under it is left behind.
    Content(String),
    /// One call's own.
    Call(String),
}

impl Key {
    fn text(&self, number: u32) -> Option<String> {
        match self {
            Self::None => None,
            Self::Content(key) => Some(format!("{key}#{number}")),
            Self::Call(key) => Some(key.clone()),
        }
    }
}

/// The signature, or why there is none (yet).
fn finished(view: RequestView) -> Result<(RequestId, SignedView), RpcError> {
    if let Some(signed) = view.signed {
        return Ok((view.id, signed));
    }
    match (view.state.as_str(), view.problem) {
        ("refused" | "expired", Some(problem)) => Err(RpcError::from_view(&problem)),
        (state, problem) => {
            let why = problem.map(|problem| format!(": {}", problem.message)).unwrap_or_default();
            let text = format!(
                "request {} is {state}{why}; send the same call again for its signature, or see \
                 `outlast request show`",
                view.id
            );
            Err(RpcError::new(-32002, "not_signed_yet", text))
        }
    }
}

fn key(chain: u64, what: &str, bytes: &str) -> String {
    let parts: [&[u8]; 3] = [&chain.to_be_bytes(), what.as_bytes(), bytes.as_bytes()];
    format!("rpc:{}", hex::encode(hash::tagged("outlast/rpc-call/v1", &parts)))
}

/// The signed transaction as geth shows it, as far as the object said it.
fn object(transaction: &RpcTransaction, signed: &SignedView, chain: u64) -> Value {
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
    let hex_of = |bytes: &[u8]| json!(format!("0x{}", hex::encode(bytes)));
    put("hash", json!(signed.txid));
    put("chainId", json!(format!("{chain:#x}")));
    put("to", transaction.to.map_or(Value::Null, |to| hex_of(&to)));
    let value = hex::encode(transaction.value.0);
    let value = value.trim_start_matches('0');
    put("value", json!(format!("0x{}", if value.is_empty() { "0" } else { value })));
    put("input", hex_of(&transaction.data));
    if let Some(from) = &transaction.from {
        put("from", hex_of(from));
    }
    if let Some(nonce) = transaction.nonce {
        put("nonce", json!(format!("{nonce:#x}")));
    }
    if let Some(gas) = transaction.gas {
        put("gas", json!(format!("{gas:#x}")));
    }
    match transaction.fee {
        RpcFee::Price(price) => {
            put("gasPrice", json!(format!("{price:#x}")));
        }
        RpcFee::Cap { max_fee: Some(max_fee), tip: Some(tip) } => {
            put("maxFeePerGas", json!(format!("{max_fee:#x}")));
            put("maxPriorityFeePerGas", json!(format!("{tip:#x}")));
        }
        RpcFee::Open | RpcFee::Cap { .. } => {}
    }
    Value::Object(map)
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
