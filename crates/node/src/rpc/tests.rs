//! JSON-RPC against a scripted engine and a scripted chain node.

use crate::api::testing::{CLIENT_TOKEN, Fixture, block_on, node, request};
use crate::chain::testing::ChainNode;
use crate::home::ChainRpc;
use engine::{Caller, Class, Command, Problem, Reply, refuse};
use model::api::{self, AskView, NewRequest, RequestView, SignedView};
use model::ids::{RequestId, VaultId};
use model::keys::Purpose;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const FROM: &str = "0x1111111111111111111111111111111111111111";
const TO: &str = "0x2222222222222222222222222222222222222222";

fn view(state: &str, created_at_ms: u64) -> RequestView {
    let signed = SignedView {
        raw: "0x02f8aa".into(),
        txid: Some("0xfeed".into()),
        signatures: vec![],
        psbt: None,
        took_ms: 1,
    };
    let problem = api::Problem {
        code: "fee_over_ceiling".into(),
        message: "the fee may reach 9".into(),
        hint: None,
    };
    RequestView {
        id: RequestId([5; 32]),
        vault: VaultId([6; 32]),
        purpose: Purpose::Test,
        state: state.into(),
        intent: None,
        unsigned: None,
        verdicts: vec![],
        signed: (state == "signed").then_some(signed),
        problem: (state == "refused").then_some(problem),
        created_at_ms,
        expires_at_ms: u64::MAX,
    }
}

/// What the engine was asked to sign.
type Seen = Arc<Mutex<Vec<NewRequest>>>;

/// A node whose engine answers each submission with `answer(number)`.
fn scripted(
    chain: Option<&ChainNode>,
    answer: impl Fn(usize) -> RequestView + Send + Sync + 'static,
) -> (Fixture, Seen) {
    let mut rpc = ChainRpc::default();
    if let Some(chain) = chain {
        rpc.evm.insert(31337, chain.url());
    }
    let seen = Seen::default();
    let kept = Arc::clone(&seen);
    let script = move |caller: Caller, command: Command| -> Result<Reply, Problem> {
        if caller != Caller::Client(model::hash::sha256(CLIENT_TOKEN.as_bytes())) {
            return Err(refuse(Class::Forbidden, "unknown_credential", "no such service key"));
        }
        match command {
            Command::EvmAccounts => {
                let path = "m/44/60/0/0/0".parse().unwrap();
                Ok(Reply::EvmAccounts(vec![(VaultId([6; 32]), path, FROM.into())]))
            }
            Command::Submit { vault, new } => {
                assert_eq!(vault, VaultId([6; 32]));
                let mut seen = kept.lock().unwrap();
                seen.push(new);
                Ok(Reply::Request(Box::new(answer(seen.len() - 1))))
            }
            other => panic!("{other:?}"),
        }
    };
    (node(&rpc, script), seen)
}

fn post(fixture: &Fixture, path: &str, body: &Value) -> Value {
    let (status, body) = block_on(fixture.json(request("POST", path, "", &body.to_string())));
    assert_eq!(status, 200, "{body}");
    body
}

fn call(fixture: &Fixture, method: &str, params: Value) -> Result<Value, (i64, String)> {
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
    let mut answer = post(fixture, "/rpc/client-token", &body);
    assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(7)));
    match answer["error"].take() {
        Value::Null => Ok(answer["result"].take()),
        error => {
            let name = error["data"]["code"].as_str().unwrap_or_default().to_owned();
            Err((error["code"].as_i64().unwrap(), name))
        }
    }
}

fn whole() -> Value {
    json!({ "from": FROM, "to": TO, "nonce": "0x0", "gas": "0x5208", "value": "0x1",
        "maxFeePerGas": "0xa", "maxPriorityFeePerGas": "0x1", "chainId": "0x7a69" })
}

fn dev_chain(
    raw: impl Fn() -> Result<Value, (i64, &'static str)> + Send + Sync + 'static,
) -> ChainNode {
    ChainNode::start(move |method, _| match method {
        "eth_sendRawTransaction" => raw(),
        "eth_getTransactionByHash" => Ok(json!({ "hash": "0xfeed" })),
        "eth_blockNumber" => Ok(json!("0x10")),
        "anvil_mine" => Ok(Value::Null),
        "eth_estimateGas" => Ok(json!("0x5208")),
        "eth_getTransactionCount" => Ok(json!("0x0")),
        "eth_getBlockByNumber" => Ok(json!({ "baseFeePerGas": "0x64" })),
        "eth_maxPriorityFeePerGas" => Ok(json!("0x5")),
        "eth_getBalance" => Ok(json!("0xde0b6b3a7640000")),
        "eth_call" => Err((3, "execution reverted")),
        other => panic!("{other}"),
    })
}

#[test]
fn each_method_answers_or_refuses_by_name() {
    let chain = dev_chain(|| Ok(json!("0xfeed")));
    let (fixture, _) = scripted(Some(&chain), |_| view("signed", u64::MAX));
    let good = |method: &str, params: Value, expected: Value| {
        assert_eq!(call(&fixture, method, params), Ok(expected), "{method}");
    };
    let bad = |method: &str, params: Value, code: i64, name: &str| {
        assert_eq!(call(&fixture, method, params), Err((code, name.to_owned())), "{method}");
    };
    good("eth_accounts", json!([]), json!([FROM]));
    good("eth_chainId", json!([]), json!("0x7a69"));
    good("health_status", json!([]), json!("ok"));
    good("eth_blockNumber", json!([]), json!("0x10"));
    good("anvil_mine", json!([1]), Value::Null);
    good("eth_signTransaction", json!([whole()]), json!("0x02f8aa"));
    good("eth_sendTransaction", json!([whole()]), json!("0xfeed"));
    good("personal_sign", json!(["0x68656c6c6f", FROM]), json!("0x02f8aa"));
    good(
        "personal_sign",
        json!(["hello", FROM.to_uppercase().replace('X', "x")]),
        json!("0x02f8aa"),
    );
    good("eth_sign", json!([FROM, "0x68656c6c6f"]), json!("0x02f8aa"));
    good("eth_signTypedData_v4", json!([FROM, {}]), json!("0x02f8aa"));
    good("eth_signTypedData_v4", json!([FROM, "{}"]), json!("0x02f8aa"));
    bad("eth_call", json!([{}]), 3, "");
    bad("personal_unlockAccount", json!([]), -32601, "unknown_method");
    bad("admin_peers", json!([]), -32601, "unknown_method");
    bad("personal_sign", json!(["0x00"]), -32602, "invalid_params");
    bad("personal_sign", json!(["0x0", FROM]), -32602, "invalid_params");
    bad("personal_sign", json!(["0x00", "me"]), -32602, "invalid_params");
    bad("personal_sign", json!(["0x00", TO]), -32001, "unknown_account");
    bad("eth_signTypedData_v4", json!([FROM, 1]), -32602, "invalid_params");
    bad("eth_signTransaction", json!([]), -32602, "invalid_params");
    bad("eth_signTransaction", json!([{ "to": TO }]), -32602, "invalid_params");
    let mut other_chain = whole();
    other_chain["chainId"] = json!("0x1");
    bad("eth_signTransaction", json!([other_chain]), -32000, "wrong_network");
    let mut others = whole();
    others["from"] = json!(TO);
    bad("eth_signTransaction", json!([others]), -32001, "unknown_account");
    let mut unknown = whole();
    unknown["maxFeePerBlobGas"] = json!("0x1");
    bad("eth_signTransaction", json!([unknown]), -32000, "forbidden");
}

#[test]
fn without_a_chain_node_signing_works_and_sending_names_what_is_missing() {
    let (fixture, seen) = scripted(None, |_| view("signed", u64::MAX));
    assert_eq!(call(&fixture, "eth_signTransaction", json!([whole()])), Ok(json!("0x02f8aa")));
    let sent = call(&fixture, "eth_sendTransaction", json!([whole()]));
    assert_eq!(sent, Err((-32002, "chain_not_configured".into())));
    let read = call(&fixture, "eth_blockNumber", json!([]));
    assert_eq!(read, Err((-32002, "chain_not_configured".into())));
    assert_eq!(seen.lock().unwrap().len(), 1, "nothing was signed for the one that cannot be sent");
}

#[test]
fn a_whole_transaction_is_signed_as_its_bytes_and_an_open_one_is_filled() {
    let chain = dev_chain(|| Ok(json!("0xfeed")));
    let (fixture, seen) = scripted(Some(&chain), |_| view("signed", u64::MAX));
    call(&fixture, "eth_signTransaction", json!([whole()])).unwrap();
    call(&fixture, "eth_signTransaction", json!([{ "from": FROM, "to": TO, "nonce": "0x3" }]))
        .unwrap();
    call(&fixture, "eth_signTransaction", json!([{ "from": FROM, "to": TO }])).unwrap();
    let seen = seen.lock().unwrap();
    let raw = |new: &NewRequest| matches!(new.ask, AskView::Raw { .. });
    assert!(raw(&seen[0]) && raw(&seen[1]), "named nonces fix the bytes");
    assert!(matches!(seen[2].ask, AskView::Call { .. }) && seen[2].fill.is_none());
    assert!(seen[0].idempotency_key.is_some() && seen[2].idempotency_key.is_none());
    assert_ne!(seen[0].idempotency_key, seen[1].idempotency_key);
}

/// Goal: a client that asks again gets the same signature, and an old failure does not stand for ever.
#[test]
fn the_same_call_again_bears_the_same_key_and_an_old_refusal_is_left_behind() {
    let (fixture, seen) = scripted(None, |number| match number {
        0 => view("waiting", u64::MAX),
        1 => view("refused", 1),
        2 => view("signed", u64::MAX),
        _ => view("refused", u64::MAX),
    });
    let sign = || call(&fixture, "personal_sign", json!(["0x68656c6c6f", FROM]));
    assert_eq!(sign(), Err((-32002, "not_signed_yet".into())));
    assert_eq!(sign(), Ok(json!("0x02f8aa")));
    assert_eq!(sign(), Err((-32000, "fee_over_ceiling".into())));
    let keys: Vec<_> =
        seen.lock().unwrap().iter().map(|new| new.idempotency_key.clone().unwrap()).collect();
    assert_eq!(keys[0], keys[1]);
    assert_eq!(keys[0].replace("#0", "#1"), keys[2]);
    assert_eq!(keys[0], keys[3]);
}

#[test]
fn a_transaction_that_the_chain_knows_already_counts_as_sent() {
    let chain = dev_chain(|| Err((-32000, "already known")));
    let (fixture, _) = scripted(Some(&chain), |_| view("signed", u64::MAX));
    assert_eq!(call(&fixture, "eth_sendTransaction", json!([whole()])), Ok(json!("0xfeed")));
    let refusing = ChainNode::start(|method, _| match method {
        "eth_sendRawTransaction" => Err((-32000, "nonce too low")),
        "eth_getBalance" => Ok(json!("0xde0b6b3a7640000")),
        _ => Ok(Value::Null),
    });
    let (fixture, _) = scripted(Some(&refusing), |_| view("signed", u64::MAX));
    let sent = call(&fixture, "eth_sendTransaction", json!([whole()]));
    assert_eq!(sent, Err((-32000, String::new())));
}

/// Harm: a transaction that no chain takes would hold its nonce, and every later one would wait for it.
#[test]
fn what_the_account_cannot_pay_is_refused_before_it_is_signed() {
    let poor = ChainNode::start(|method, _| match method {
        "eth_getBalance" => Ok(json!("0x33450")),
        "eth_getTransactionCount" => Ok(json!("0x0")),
        other => panic!("{other}"),
    });
    let (fixture, seen) = scripted(Some(&poor), |_| view("signed", u64::MAX));
    let sent = call(&fixture, "eth_sendTransaction", json!([whole()]));
    assert_eq!(sent, Err((-32000, "insufficient_funds".into())));
    assert_eq!(seen.lock().unwrap().len(), 0);
    call(&fixture, "eth_signTransaction", json!([whole()])).unwrap();
}

#[test]
fn geths_shape_shows_the_transaction() {
    let (fixture, _) = scripted(None, |_| view("signed", u64::MAX));
    let body = json!({ "id": 1, "method": "eth_signTransaction", "params": [whole()] });
    let answer = post(&fixture, "/rpc/client-token/geth", &body);
    assert_eq!(answer["result"]["raw"], "0x02f8aa");
    let tx = &answer["result"]["tx"];
    assert_eq!(
        (&tx["hash"], &tx["value"], &tx["nonce"]),
        (&json!("0xfeed"), &json!("0x1"), &json!("0x0"))
    );
}

#[test]
fn batches_are_bounded_and_keep_their_order() {
    let (fixture, _) = scripted(None, |_| view("signed", u64::MAX));
    let one = |id: u64| json!({ "id": id, "method": "web3_clientVersion" });
    let batch: Vec<Value> = (0..100).map(one).collect();
    let answers = post(&fixture, "/rpc/client-token", &json!(batch));
    let ids: Vec<_> =
        answers.as_array().unwrap().iter().map(|a| a["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, (0..100).collect::<Vec<_>>());
    for batch in [json!([]), json!((0..101).map(one).collect::<Vec<_>>())] {
        let answer = post(&fixture, "/rpc/client-token", &batch);
        assert_eq!(answer["error"]["data"]["code"], "batch_size");
    }
    let answer =
        post(&fixture, "/rpc/client-token", &json!([{ "method": "web3_clientVersion" }, 1]));
    assert_eq!(answer.as_array().unwrap().len(), 1, "a notification has no answer");
    let (status, body) = block_on(fixture.json(request("POST", "/rpc/client-token", "", "{")));
    assert_eq!((status, &body["error"]["code"]), (200, &json!(-32700)));
}

#[test]
fn the_endpoint_needs_a_credential_in_path_or_header() {
    let (fixture, _) = scripted(None, |_| view("signed", u64::MAX));
    let body = json!({ "id": 1, "method": "eth_accounts" }).to_string();
    let status =
        |path: &str, token: &str| block_on(fixture.json(request("POST", path, token, &body)));
    assert_eq!(status("/rpc", "").0, 401);
    assert_eq!(status("/rpc/geth", "").0, 401);
    assert_eq!(status("/rpc", CLIENT_TOKEN).1["result"], json!([FROM]));
    let (code, answer) = status("/rpc/some-other-token", "");
    assert_eq!((code, &answer["error"]["data"]["code"]), (200, &json!("unknown_credential")));
    assert_eq!(status("/rpc/client-token?chain_id=x", "").0, 400);
}
