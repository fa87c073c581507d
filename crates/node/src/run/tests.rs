//! Whole nodes in one process: sealed start, unseal, three nodes that make a vault and sign, clean stop.

use super::serve;
use crate::api::document_tests;
use crate::home::{Home, InitOptions, Settings};
use crate::peers::{PeerConfig, PeerEvent, PeerManager, Timing};
use crate::seal::testing::{SoftwareTpm, software_tpm};
use crate::seal::{PassphraseCost, SealWith};
use model::card::{NodeCard, NodeKey};
use model::ids::Incarnation;
use model::secret::Secret;
use model::time::Timestamp;
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

const PASSPHRASE: &str = "correct horse";
/// A bound against hanging.
const PATIENCE: Duration = Duration::from_secs(120);

struct Node {
    api: SocketAddr,
    endpoint: SocketAddr,
    token: String,
    card: String,
    words: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<Result<(), super::RunError>>>,
    dir: tempfile::TempDir,
}

/// An address that was free a moment ago.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Node {
    fn start(operator: &str) -> Self {
        let passphrase = Secret::new(PASSPHRASE.to_owned());
        Self::sealed_with(operator, SealWith::Passphrase { passphrase, cost: PassphraseCost::TEST })
    }

    fn sealed_with(operator: &str, seal: SealWith) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let peers = free();
        let mut settings = Settings::new(operator, peers, &peers.to_string(), free());
        settings.test_home = true;
        settings.auto_join_test_vaults = true;
        Home::create(&dir.path().join("node"), &InitOptions { settings, seal }).unwrap();
        Self::restart(dir)
    }

    /// Runs the home that is in `dir`.
    fn restart(dir: tempfile::TempDir) -> Self {
        let home = Home::open(&dir.path().join("node")).unwrap();
        let (peers, api) = (home.settings().listen, home.settings().api_listen);
        let card = home.card().clone();
        let token = home.operator_token().unwrap().expose().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(serve(home, async {
                let _dropped = stopped.await;
                Ok(())
            }))
        });
        let (card, words) = (card.to_text(), card.words());
        let node = Self {
            api,
            endpoint: peers,
            token,
            card,
            words,
            stop: Some(stop),
            thread: Some(thread),
            dir,
        };
        node.until("GET", "/healthz", |status, _| status == 200);
        node
    }

    fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let agent = config.new_agent();
        let url = format!("http://{}{path}", self.api);
        let token = format!("Bearer {}", self.token);
        let answer = match method {
            "GET" => agent.get(&url).header("authorization", &token).call(),
            _ => {
                let body = body.unwrap_or(Value::Null).to_string();
                agent.post(&url).header("authorization", &token).send(body.as_bytes())
            }
        };
        let Ok(mut answer) = answer else {
            return (0, Value::Null);
        };
        let text = answer.body_mut().read_to_string().unwrap();
        let status = answer.status().as_u16();
        // What a real node answers is what the document says, in every call of these tests.
        document_tests::answers_as_documented(method, path, status, &text);
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Asks again until it is so.
    fn until(&self, method: &str, path: &str, good: impl Fn(u16, &Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let (status, body) = self.call(method, path, None);
            if good(status, &body) {
                return body;
            }
            let waited = started.elapsed();
            assert!(waited < PATIENCE, "{method} {path}: {status} {body}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn unseal(&self) {
        let body = json!({ "passphrase": PASSPHRASE });
        assert_eq!(self.call("POST", "/v1/unseal", Some(body)).0, 204);
    }

    fn trust(&self, other: &Self) {
        let body = json!({ "card": other.card, "words": other.words });
        let (status, body) = self.call("POST", "/v1/peers", Some(body));
        assert_eq!(status, 200, "{body}");
    }

    fn id(&self) -> Value {
        self.call("GET", "/v1/node", None).1["node"].clone()
    }

    fn stop(self) {
        drop(self.stop_and_keep());
    }

    fn stop_and_keep(mut self) -> tempfile::TempDir {
        self.stop.take().unwrap().send(()).unwrap();
        let ended = self.thread.take().unwrap().join().unwrap();
        assert!(ended.is_ok(), "{ended:?}");
        self.dir
    }
}

#[test]
fn a_node_sealed_to_a_tpm_restarts_without_a_passphrase() {
    let Some(tpm) = software_tpm() else { return };
    let none = Path::new("/nonexistent");
    tpm.run_child("run::tests::child_of_a_node_sealed_to_a_tpm", none, "restarted by itself");
}

#[test]
#[ignore = "started as a child by `a_node_sealed_to_a_tpm_restarts_without_a_passphrase`"]
fn child_of_a_node_sealed_to_a_tpm() {
    if SoftwareTpm::in_child().is_none() {
        return;
    }
    let node = Node::sealed_with("A", SealWith::Tpm2 { pcrs: None });
    node.until("GET", "/readyz", |status, _| status == 200);
    let first = node.id();
    assert_eq!(node.call("GET", "/v1/node", None).1["unsealed"], true);
    // Nobody is there to type anything: there is no call to unseal between these starts.
    let mut dir = node.stop_and_keep();
    for _ in 0..2 {
        let node = Node::restart(dir);
        node.until("GET", "/readyz", |status, _| status == 200);
        assert_eq!(node.id(), first);
        let refused = node.call("POST", "/v1/unseal", Some(json!({ "passphrase": PASSPHRASE })));
        assert_eq!((refused.0, &refused.1["code"]), (409, &json!("not_sealed")));
        dir = node.stop_and_keep();
    }
    println!("restarted by itself");
}

#[test]
fn a_sealed_node_opens_by_its_passphrase_alone_and_stops_cleanly() {
    let node = Node::start("A");
    let sealed = node.call("GET", "/readyz", None);
    assert_eq!((sealed.0, &sealed.1["missing"][0]["code"]), (503, &json!("sealed")));
    assert_eq!(node.call("GET", "/v1/node", None).1["code"], "sealed");
    let wrong = json!({ "passphrase": "wrong" });
    let refused = node.call("POST", "/v1/unseal", Some(wrong));
    assert_eq!((refused.0, &refused.1["code"]), (403, &json!("wrong_passphrase")));
    node.unseal();
    node.until("GET", "/readyz", |status, _| status == 200);
    assert_eq!(node.call("GET", "/v1/node", None).1["unsealed"], true);
    node.stop();
}

/// Goal: a trusted key that sends whole frames without sense loses its own link by name, and costs neither memory nor the
/// node's readiness. Method: noise, collections of absurd size, and nesting far over its bound, beside a real node.
#[test]
fn a_trusted_peer_that_sends_garbage_in_whole_frames_is_cut_by_name() {
    let node = Node::start("A");
    node.unseal();
    let key = Arc::new(NodeKey::new(Secret::new([9; 32])));
    let card = NodeCard::sign(&key, "Operator of a traitor", "");
    let body = json!({ "card": card.to_text(), "words": card.words() });
    assert_eq!(node.call("POST", "/v1/peers", Some(body)).0, 200);
    let metric = |line: &str| {
        let url = format!("http://{}/metrics", node.api);
        let page = ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap();
        let value = page.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse::<u64>().unwrap())
    };
    let records = || metric("outlast_journal_records");

    let config = engine::Config {
        operator: "Operator of a traitor".to_owned(),
        endpoint: String::new(),
        software: "none".to_owned(),
        auto_join_test_vaults: false,
        test_home: true,
    };
    let (state, now) = (engine::PersistentState::default(), Timestamp(1));
    let started = engine::Engine::start(config, Arc::clone(&key), state, Incarnation([9; 16]), now);
    let hello = started.unwrap().0.hello();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let links = PeerConfig { key: &key, listen: None, hello, timing: Timing::default() };
    let (links, mut events) = runtime.block_on(PeerManager::start(links)).unwrap();
    let victim = node.id().as_str().unwrap().parse().unwrap();
    links.trust(victim, &node.endpoint.to_string()).unwrap();

    let frames: [&dyn Fn(u8) -> Vec<u8>; 4] = [
        &|n| vec![n; 200],
        &|_| Vec::new(),
        // A message of each kind that announces four thousand million elements, and 64 KiB of nesting.
        &|n| [&[0x05, 0x03, 0x01, n][..], &[0xff; 4096]].concat(),
        &|n| [&[0x05, 0x03, 0x01, n][..], &[0x01; 65_536]].concat(),
    ];
    let mut before = 0;
    for (round, frame) in (1u64..).zip(frames) {
        runtime.block_on(async {
            loop {
                let event = tokio::time::timeout(PATIENCE, events.recv()).await;
                if let PeerEvent::Up { .. } = event.unwrap().unwrap() {
                    break;
                }
            }
        });
        before = if round == 1 { records() } else { before };
        for n in 0..40 {
            // The link may have been ended already.
            let _late = links.send(victim, frame(n));
        }
        let started = Instant::now();
        while metric("outlast_link_ends_total{code=\"garbage\"}") < round {
            assert!(started.elapsed() < PATIENCE, "round {round} was not cut");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    // A peer's warnings have a budget of 20 a minute: enough to name it, too few to fill a log.
    let warned = metric("outlast_warnings_total{code=\"malformed_message\"}");
    assert!((17..=2 * 20).contains(&warned), "{warned}");
    assert!(records() <= before + 1, "garbage is not written down");
    node.until("GET", "/readyz", |status, _| status == 200);
    runtime.block_on(links.shutdown());
    node.stop();
}

/// Goal: the main job through every layer of this room: links, store, pool, API. Method: three nodes on loopback,
/// as operators would set them up; an EVM message and a Solana transfer are signed by all three.
#[test]
fn three_nodes_make_a_vault_and_sign() {
    let nodes = ["A", "B", "C"].map(Node::start);
    nodes.iter().for_each(Node::unseal);
    for node in &nodes {
        nodes.iter().filter(|other| other.api != node.api).for_each(|other| node.trust(other));
    }
    for node in &nodes {
        node.until("GET", "/v1/node", |_, body| {
            let peers = body["peers"].as_array().unwrap();
            peers.iter().all(|peer| peer["connected"] == true && peer["pair"] == "ready")
        });
    }
    let members: Vec<Value> = nodes.iter().map(Node::id).collect();
    let new = json!({ "purpose": "test", "name": "v", "members": members, "threshold": 3 });
    let (status, ceremony) = nodes[0].call("POST", "/v1/ceremonies", Some(new));
    assert_eq!(status, 200, "{ceremony}");
    let path = format!("/v1/ceremonies/{}", ceremony["id"].as_str().unwrap());
    let done = nodes[0].until("GET", &path, |_, body| body["state"] == "done");
    let vault = done["vault"].as_str().unwrap();
    nodes[0].until("GET", "/readyz", |status, _| status == 200);

    let requests = format!("/v1/vaults/{vault}/requests");
    let message = json!({ "network": "evm:1", "path": "m/44/60/0/0/0", "wait_ms": 20_000,
        "ask": { "kind": "raw", "format": "evm_message", "bytes": "0x68656c6c6f" } });
    let (status, signed) = nodes[0].call("POST", &requests, Some(message));
    assert_eq!((status, &signed["state"]), (200, &json!("signed")), "{signed}");
    let transfer = json!({ "network": "solana:local", "path": "m/44/501/0/0", "wait_ms": 20_000,
        "ask": { "kind": "send", "to": "11111111111111111111111111111112", "amount": "5" },
        "fill": { "chain": "solana", "blockhash": "11111111111111111111111111111114" } });
    let (status, signed) = nodes[1].call("POST", &requests, Some(transfer));
    assert_eq!((status, &signed["state"]), (200, &json!("signed")), "{signed}");
    nodes.into_iter().for_each(Node::stop);
}
