//! JSON-RPC against a scripted engine and a scripted chain node.

use crate::api::testing::{CLIENT_TOKEN, Fixture, block_on, node, request};
use crate::api::token_credential;
use crate::chain::testing::ChainNode;
use crate::home::ChainRpc;
use engine::{Caller, Class, Command, Problem, Reply, refuse};
use model::api::{self, AskView, NewRequest, RequestView, SignedView};
use model::ids::{RequestId, VaultId};
use model::keys::Purpose;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Condvar, Mutex};

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
        message: "the fee may reach 9 wei".into(),
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
        approval: None,
        entry: model::ids::NodeId([1; 32]),
        client: None,
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
    scripted_with(ChainRpc::default(), chain, answer)
}

/// As [`scripted`], with settings of the chain nodes.
fn scripted_with(
    mut rpc: ChainRpc,
    chain: Option<&ChainNode>,
    answer: impl Fn(usize) -> RequestView + Send + Sync + 'static,
) -> (Fixture, Seen) {
    if let Some(chain) = chain {
        rpc.evm.insert(31337, chain.url());
    }
    let seen = Seen::default();
    let kept = Arc::clone(&seen);
    let by_key: Mutex<BTreeMap<String, RequestView>> = Mutex::default();
    let script = move |caller: Caller, command: Command| -> Result<Reply, Problem> {
        if caller != Caller::Client(token_credential(CLIENT_TOKEN)) {
            return Err(refuse(Class::Forbidden, "unknown_credential", "no such service key"));
        }
        match command {
            Command::Known => Ok(Reply::Done),
            Command::Keyed { key, call, .. } => {
                let known = by_key.lock().unwrap().get(&format!("{key}/{call}")).cloned();
                Ok(known.map_or_else(|| Reply::Requests(vec![]), |v| Reply::Request(Box::new(v))))
            }
            Command::EvmAccounts => {
                let path = "m/44/60/0/0/0".parse().unwrap();
                Ok(Reply::EvmAccounts(vec![(VaultId([6; 32]), path, FROM.into())]))
            }
            Command::Submit { vault, new } => {
                assert_eq!(vault, VaultId([6; 32]));
                let key = new.idempotency_key.clone().unwrap_or_default();
                let number = {
                    let mut seen = kept.lock().unwrap();
                    seen.push(new);
                    seen.len() - 1
                };
                let view = answer(number);
                let decided = matches!(view.state.as_str(), "signed" | "waiting");
                if decided && !key.contains('#') {
                    let signed =
                        RequestView { signed: self::view("signed", 1).signed, ..view.clone() };
                    by_key.lock().unwrap().insert(key, signed);
                }
                Ok(Reply::Request(Box::new(view)))
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
        "debug_traceTransaction" => Ok(json!({ "gas": 21_000 })),
        "eth_estimateGas" => Ok(json!("0x5208")),
        "eth_getTransactionCount" => Ok(json!("0x0")),
        "eth_getBlockByNumber" => Ok(json!({ "baseFeePerGas": "0x64" })),
        "eth_maxPriorityFeePerGas" => Ok(json!("0x5")),
        "eth_getBalance" => Ok(json!("0xde0b6b3a7640000")),
        "eth_call" => Err((3, "execution reverted")),
        other => panic!("{other}"),
    })
}

/// RPC-12. Goal: a method passes only by its namespace or by its whole name in the settings; names of the endpoint itself
/// and of namespaces that hold keys pass nowhere, also where a test writes them there.
#[test]
fn only_methods_that_the_operator_named_pass_beside_the_reading_namespaces() {
    let chain = dev_chain(|| Ok(json!("0xfeed")));
    let trace = |pass: &[&str], method: &str| {
        let pass = pass.iter().map(|name| (*name).to_owned()).collect();
        let rpc = ChainRpc { pass, ..ChainRpc::default() };
        let (fixture, _) = scripted_with(rpc, Some(&chain), |_| view("signed", u64::MAX));
        call(&fixture, method, json!(["0xfeed"]))
    };
    let refused = Err((-32601, "unknown_method".to_owned()));
    let named = "debug_traceTransaction";
    assert_eq!(trace(&[named], named), Ok(json!({ "gas": 21_000 })));
    assert_eq!(trace(&[], named), refused);
    assert_eq!(trace(&["debug_traceBlock"], named), refused);
    assert_eq!(trace(&[named], "debug_traceTransactionAndMore"), refused);
    assert_eq!(trace(&["personal_unlockAccount"], "personal_unlockAccount"), refused);
    let message = json!({ "jsonrpc": "2.0", "id": 7, "method": named, "params": [] });
    let (fixture, _) = scripted(Some(&chain), |_| view("signed", u64::MAX));
    let answer = post(&fixture, "/rpc/client-token", &message);
    let hint = answer["error"]["data"]["hint"].as_str().unwrap();
    assert!(hint.contains("[rpc] pass"), "{hint}");
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
    let key = |number: usize| seen[number].idempotency_key.clone().unwrap();
    assert!(key(0).ends_with("#0") && key(2).starts_with("rpc-call:"), "{} {}", key(0), key(2));
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
    assert_eq!(sent, Err((-32000, "not_broadcast".into())));
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
    let named = |path: &str, token: &str| {
        let (code, answer) = status(path, token);
        assert_eq!((&answer["jsonrpc"], &answer["error"]["code"]), (&json!("2.0"), &json!(-32001)));
        (code, answer["error"]["data"]["code"].as_str().unwrap().to_owned())
    };
    assert_eq!(named("/rpc", ""), (401, "unauthorized".into()));
    assert_eq!(named("/rpc/geth", ""), (401, "unauthorized".into()));
    assert_eq!(status("/rpc", CLIENT_TOKEN).1["result"], json!([FROM]));
    for path in ["/rpc/some-other-token", "/rpc/some-other-token/geth"] {
        assert_eq!(named(path, ""), (401, "unknown_credential".into()));
    }
    assert_eq!(named("/rpc", "some-other-token"), (401, "unknown_credential".into()));
    // Also where nothing of the message needs the engine.
    let body = json!({ "id": 1, "method": "web3_clientVersion" }).to_string();
    let sent = request("POST", "/rpc/some-other-token", "", &body);
    assert_eq!(block_on(fixture.json(sent)).0, 401);
    assert_eq!(status("/rpc/client-token?chain_id=x", "").0, 400);
}

fn open_payment() -> Value {
    json!([{ "from": FROM, "to": TO, "value": "0x1" }])
}

#[test]
fn an_equal_payment_after_a_delivered_answer_is_another_one() {
    let chain = dev_chain(|| Ok(json!("0xfeed")));
    let (fixture, seen) = scripted(Some(&chain), |_| view("signed", u64::MAX));
    for _ in 0..2 {
        assert_eq!(call(&fixture, "eth_sendTransaction", open_payment()), Ok(json!("0xfeed")));
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert_ne!(seen[0].idempotency_key, seen[1].idempotency_key);
}

#[test]
fn two_equal_payments_in_one_batch_are_two() {
    let chain = dev_chain(|| Ok(json!("0xfeed")));
    let (fixture, seen) = scripted(Some(&chain), |_| view("signed", u64::MAX));
    let one =
        |id: u64| json!({ "id": id, "method": "eth_sendTransaction", "params": open_payment() });
    let answers = post(&fixture, "/rpc/client-token", &json!([one(1), one(2)]));
    assert_eq!(answers.as_array().unwrap().len(), 2);
    assert_eq!(seen.lock().unwrap().len(), 2);
}

/// Harm: `not_signed_yet` says "send the same call again", and a transaction without nonce was then paid twice.
#[test]
fn a_call_that_was_told_to_ask_again_goes_on_with_the_same_request() {
    let chain = dev_chain(|| Ok(json!("0xfeed")));
    let (fixture, seen) = scripted(Some(&chain), |_| view("waiting", u64::MAX));
    let send = || call(&fixture, "eth_sendTransaction", open_payment());
    assert_eq!(send(), Err((-32002, "not_signed_yet".into())));
    assert_eq!(send(), Ok(json!("0xfeed")));
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[test]
fn a_clients_own_key_makes_one_transaction_for_ever_and_stands_for_one_call() {
    let chain = dev_chain(|| Ok(json!("0xfeed")));
    let (fixture, seen) = scripted(Some(&chain), |_| view("signed", u64::MAX));
    let send = |key: &str, params: Value| {
        let body = json!({ "id": 1, "method": "eth_sendTransaction", "params": params });
        let mut request = request("POST", "/rpc/client-token", "", &body.to_string());
        request.headers_mut().insert("idempotency-key", key.parse().unwrap());
        block_on(fixture.json(request))
    };
    for _ in 0..2 {
        assert_eq!(send("invoice 7", open_payment()).1["result"], "0xfeed");
    }
    assert_eq!(seen.lock().unwrap().len(), 1);
    assert_eq!(send("invoice 8", open_payment()).1["result"], "0xfeed");
    assert_eq!(seen.lock().unwrap().len(), 2);
    assert_eq!(send("", open_payment()).0, 400);
    assert_eq!(send(&"k".repeat(257), open_payment()).0, 400);
}

/// A gate that the scripted engine waits at.
#[derive(Default)]
struct Gate(Mutex<(bool, bool)>, Condvar);

impl Gate {
    fn pass(&self) {
        let mut state = self.0.lock().unwrap();
        state.0 = true;
        self.1.notify_all();
        drop(self.1.wait_while(state, |state| !state.1).unwrap());
    }
    fn wait_until_reached(&self) {
        drop(self.1.wait_while(self.0.lock().unwrap(), |state| !state.0).unwrap());
    }
    fn open(&self) {
        self.0.lock().unwrap().1 = true;
        self.1.notify_all();
    }
}

/// Goal: a client that gave up does not pay twice. Method: it hangs up while the nodes sign, and asks again over a new
/// connection, once before and once after the first call ended.
#[test]
fn a_client_that_hangs_up_and_asks_again_gets_the_first_answer() {
    for ended_before in [false, true] {
        let chain = dev_chain(|| Ok(json!("0xfeed")));
        let gate = Arc::new(Gate::default());
        let at_engine = Arc::clone(&gate);
        let (fixture, seen) = scripted(Some(&chain), move |_| {
            at_engine.pass();
            view("signed", u64::MAX)
        });
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let server = crate::api::bind("127.0.0.1:0".parse().unwrap(), None);
        let server = runtime.block_on(server).unwrap();
        let address = server.address();
        let (_stop, stopped) = tokio::sync::watch::channel(false);
        let metrics = Arc::clone(&fixture.state.metrics);
        let router = crate::api::router(&fixture.state);
        runtime.spawn(server.run(router, metrics, stopped, std::time::Duration::ZERO));
        let connect = || {
            let body =
                json!({ "id": 1, "method": "eth_sendTransaction", "params": open_payment() });
            let body = body.to_string();
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            let head = format!(
                "POST /rpc/client-token HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream
        };
        let first = connect();
        gate.wait_until_reached();
        drop(first);
        let held_by = |holders: usize| {
            let since = std::time::Instant::now();
            while fixture.state.calls.holders() != holders {
                assert!(since.elapsed().as_secs() < 60, "{}", fixture.state.calls.holders());
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        };
        // The end of the connection travels; the answer must not be faster. Then the call runs and nobody waits.
        held_by(1);
        let early = (!ended_before).then(&connect);
        gate.open();
        let mut second = early.unwrap_or_else(|| {
            held_by(0);
            connect()
        });
        let mut answer = String::new();
        second.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("0xfeed"), "{answer}");
        assert_eq!(seen.lock().unwrap().len(), 1, "paid twice (ended before: {ended_before})");
        // Delivered: an equal payment from now on is another one.
        let mut third = connect();
        third.read_to_string(&mut answer).unwrap();
        assert_eq!(seen.lock().unwrap().len(), 2, "a deliberate payment was swallowed");
    }
}

/// Goal: a client over its share is told so in a form that tools wait on, and its neighbour and the operator are served.
#[test]
fn a_client_over_its_share_gets_429_and_others_do_not() {
    let fixture = node(&ChainRpc::default(), |_, _| Ok(Reply::Vaults(vec![])));
    let (loud, quiet) = ("loud", "quiet");
    fixture.state.door.enter(Caller::Client(token_credential(loud)), 1_000).unwrap();
    let get = |token: &str| block_on(fixture.send(request("GET", "/v1/vaults", token, "")));
    let refused = get(loud);
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (429, &"1".parse().unwrap())
    );
    assert_eq!(block_on(fixture.code(request("GET", "/v1/vaults", loud, ""))).1, "client_rate_max");
    let body = json!({ "id": 1, "method": "web3_clientVersion" });
    let rpc = |token: &str, body: &Value| {
        block_on(fixture.json(request("POST", "/rpc", token, &body.to_string())))
    };
    let (status, answer) = rpc(loud, &body);
    assert_eq!((status, &answer["error"]["code"]), (429, &json!(-32005)));
    assert_eq!(answer["error"]["data"]["code"], "client_rate_max");
    assert_eq!(get(quiet).status(), 200);
    assert_eq!(get(crate::api::testing::OPERATOR_TOKEN).status(), 200);
    assert_eq!(rpc(quiet, &body).0, 200);
    // A batch counts each of its calls.
    let caller = Caller::Client(token_credential(quiet));
    fixture.state.door.enter(caller, 940).unwrap();
    let batch: Vec<&Value> = (0..100).map(|_| &body).collect();
    assert_eq!(rpc(quiet, &json!(batch)).0, 429);
}
