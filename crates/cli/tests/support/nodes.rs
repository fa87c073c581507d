//! Real node processes that a test may kill, copy, start again and abuse; each is killed when its owner is dropped.
//!
//! They are test homes with a cheap seal (the demo and the command's own tests use the real one), so that a restart
//! costs no seconds of key derivation.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod ports;

use model::card::NodeCard;
use model::secret::Secret;
use node::home::{Home, InitOptions, Settings};
use node::seal::{PassphraseCost, SealWith};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub use ports::free_ports;

pub const PASSPHRASE: &str = "a passphrase of a test, never of a node";
/// A bound against hanging: no step takes so long on a machine that is slow and busy.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// How often to ask again.
const PAUSE: Duration = Duration::from_millis(20);
pub const ETH: (&str, &str) = ("evm:31337", "m/44/60/0/0/0");
pub const SOL: (&str, &str) = ("solana:local", "m/44/501/0/0");

/// Status and JSON body.
pub type Answer = (u16, Value);

pub struct Node {
    pub dir: PathBuf,
    pub api: String,
    pub endpoint: String,
    pub id: String,
    pub card: NodeCard,
    pub token: String,
    agent: ureq::Agent,
    process: Mutex<Option<Child>>,
}

pub struct Cluster {
    pub nodes: Vec<Node>,
    pub vault: String,
    pub home: tempfile::TempDir,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks until there is an answer.
pub fn wait_for<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    let found = wait_at_most(ask);
    found.unwrap_or_else(|| panic!("no {what} within {} s", PATIENCE.as_secs()))
}

fn wait_at_most<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        let found = ask();
        if found.is_some() || Instant::now() > end {
            return found;
        }
        std::thread::sleep(PAUSE);
    }
}

impl Node {
    /// Makes the directory and the keys; `edit` may change the settings.
    pub fn create(dir: &Path, name: &str, edit: impl Fn(&mut Settings)) -> Self {
        let ports = free_ports(2);
        let address = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let (listen, api) = (address(ports[0]), address(ports[1]));
        let operator = format!("Operator {name}");
        let mut settings = Settings::new(&operator, listen, &listen.to_string(), api);
        settings.test_home = true;
        settings.auto_join_test_vaults = true;
        edit(&mut settings);
        let passphrase = Secret::new(PASSPHRASE.to_owned());
        let seal = SealWith::Passphrase { passphrase, cost: PassphraseCost::TEST };
        let card = Home::create(dir, &InitOptions { settings, seal }).unwrap();
        Self::at(dir, card)
    }

    /// The node that another one's directory was copied to; its ports stand in its own `node.toml`.
    pub fn at(dir: &Path, card: NodeCard) -> Self {
        let settings = node::home::read_settings(dir).unwrap();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .proxy(None)
            .build()
            .new_agent();
        Self {
            dir: dir.to_owned(),
            api: settings.api_listen.to_string(),
            endpoint: settings.listen.to_string(),
            id: card.node.to_string(),
            token: std::fs::read_to_string(dir.join("operator.token")).unwrap().trim().to_owned(),
            card,
            agent,
            process: Mutex::new(None),
        }
    }

    /// Starts the process, as a service manager would, and gives it its passphrase.
    pub fn start(&self) {
        let mut log = std::fs::OpenOptions::new();
        let log = log.append(true).create(true).open(self.dir.join("node.log")).unwrap();
        let mut command = outlast();
        command.args(["node", "run", "--dir"]).arg(&self.dir).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        *self.process.lock().unwrap() = Some(command.spawn().unwrap());
        wait_for("API", || {
            let ended = self.process.lock().unwrap().as_mut().unwrap().try_wait().unwrap();
            assert_eq!(ended, None, "{}", self.last_words());
            self.try_get("/healthz").ok()
        });
        let answer = self.post("/v1/unseal", &json!({ "passphrase": PASSPHRASE }));
        assert_eq!(answer.0, 204, "{answer:?}: {}", self.last_words());
    }

    /// SIGKILL: nothing is finished, nothing is flushed.
    pub fn kill(&self) {
        if let Some(mut child) = self.process.lock().unwrap().take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// SIGTERM, and waits for the orderly end.
    pub fn stop(&self) {
        let Some(mut child) = self.process.lock().unwrap().take() else { return };
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        wait_for("orderly end", || child.try_wait().unwrap());
    }

    /// `STOP`: the process stands still and its connections stay. `CONT`: it goes on.
    pub fn signal(&self, name: &str) {
        let pid = self.process.lock().unwrap().as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Of the running process.
    pub fn pid(&self) -> u32 {
        self.process.lock().unwrap().as_ref().unwrap().id()
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        let pid = self.pid();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.dir.join("node.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// True when the node's log has a warning of this code.
    pub fn warned(&self, code: &str) -> bool {
        let log = std::fs::read_to_string(self.dir.join("node.log")).unwrap();
        log.contains(&format!("code=\"{code}\""))
    }

    /// One call with any credential, or none.
    pub fn call(
        &self,
        token: Option<&str>,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<Answer, ureq::Error> {
        let url = format!("http://{}{path}", self.api);
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut answer = match body {
            Some(body) => {
                let mut request = self.agent.post(&url).header("content-type", "application/json");
                if let Some(bearer) = &bearer {
                    request = request.header("authorization", bearer);
                }
                request.send(body)?
            }
            None => {
                let mut request = self.agent.get(&url);
                if let Some(bearer) = &bearer {
                    request = request.header("authorization", bearer);
                }
                request.call()?
            }
        };
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string()?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    pub fn try_get(&self, path: &str) -> Result<Answer, ureq::Error> {
        self.call(Some(&self.token), path, None)
    }

    pub fn try_post(&self, path: &str, body: &Value) -> Result<Answer, ureq::Error> {
        self.call(Some(&self.token), path, Some(body.to_string().as_bytes()))
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.try_post(path, body)
            .unwrap_or_else(|error| panic!("{path}: {error}; the node says: {}", self.last_words()))
    }

    /// The body of an answer that must be 200.
    pub fn get(&self, path: &str) -> Value {
        let (status, body) = self.try_get(path).unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// What this node says of a peer.
    pub fn peer(&self, peer: &Node) -> Value {
        let view = self.get("/v1/node");
        let found =
            view["peers"].as_array().unwrap().iter().find(|p| p["node"] == peer.id.as_str());
        found.unwrap().clone()
    }

    /// Codes that `/readyz` misses.
    pub fn missing(&self) -> Vec<String> {
        let Ok((_, body)) = self.try_get("/readyz") else { return vec!["process".to_owned()] };
        let missing = body["missing"].as_array().cloned().unwrap_or_default();
        missing.iter().map(|one| one["code"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Every record of the journal; only while no process runs. Checks that it is gapless and chained.
    pub fn journal(&self) -> Vec<Vec<u8>> {
        use node::store::Store as _;
        let home = Home::open(&self.dir).unwrap();
        let unsealed = home.unseal(Some(&Secret::new(PASSPHRASE.to_owned()))).unwrap();
        let entries = home.open_store(&unsealed).unwrap().load().unwrap().entries;
        let mut previous = [0u8; 32];
        for (number, bytes) in (0u64..).zip(&entries) {
            // Tag and version, then the number, then the hash of the record before.
            assert_eq!(bytes[3..11], number.to_be_bytes(), "a gap at {number}");
            assert_eq!(bytes[11..43], previous, "record {number} does not follow");
            previous = model::hash::tagged("outlast/journal/v1", &[bytes]);
        }
        entries
    }
}

/// `outlast`, without the caller's own settings.
pub fn outlast() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outlast"));
    for name in ["OUTLAST_NODE", "OUTLAST_URL", "OUTLAST_TOKEN", "OUTLAST_PASSPHRASE_FILE"] {
        command.env_remove(name);
    }
    command
}

impl Cluster {
    /// Three nodes that met, with one 3-of-3 test vault.
    pub fn start(edit: impl Fn(&mut Settings)) -> Self {
        Self::start_in(|home, name| home.join(name), edit)
    }

    /// As [`Cluster::start`], but any `threshold` of the three sign.
    pub fn start_of(threshold: u16) -> Self {
        Self::start_with(threshold, |home, name| home.join(name), |_| {})
    }

    /// As [`Cluster::start`], each node in the directory that `place` says.
    pub fn start_in(place: impl Fn(&Path, &str) -> PathBuf, edit: impl Fn(&mut Settings)) -> Self {
        Self::start_with(3, place, edit)
    }

    fn start_with(
        threshold: u16,
        place: impl Fn(&Path, &str) -> PathBuf,
        edit: impl Fn(&mut Settings),
    ) -> Self {
        let home = tempfile::tempdir().unwrap();
        let create = |name: &&str| Node::create(&place(home.path(), name), name, |s| edit(s));
        let nodes: Vec<Node> = ["a", "b", "c"].iter().map(create).collect();
        nodes.iter().for_each(Node::start);
        for me in &nodes {
            for peer in nodes.iter().filter(|peer| peer.id != me.id) {
                let card = json!({ "card": peer.card.to_text(), "words": peer.card.words() });
                assert_eq!(me.post("/v1/peers", &card).0, 200);
            }
        }
        let mut cluster = Self { nodes, vault: String::new(), home };
        cluster.wait_ready();
        cluster.vault = cluster.ceremony(threshold);
        cluster
    }

    fn ceremony(&self, threshold: u16) -> String {
        let members: Vec<&str> = self.nodes.iter().map(|node| node.id.as_str()).collect();
        let new =
            json!({ "purpose": "test", "name": "t", "members": members, "threshold": threshold });
        let (status, ceremony) = self.nodes[0].post("/v1/ceremonies", &new);
        assert_eq!(status, 200, "{ceremony}");
        let path = format!("/v1/ceremonies/{}", ceremony["id"].as_str().unwrap());
        let vault = wait_for("vault", || {
            let now = self.nodes[0].get(&path);
            assert_ne!(now["state"], "failed", "{now}");
            now["vault"].as_str().map(str::to_owned)
        });
        // A node has an address of the vault once it heard that all shares are stored.
        let path = format!("/v1/vaults/{vault}/address?network={}&path={}", ETH.0, ETH.1);
        for node in &self.nodes {
            wait_for("active vault", || (node.try_get(&path).ok()?.0 == 200).then_some(()));
        }
        for node in &self.nodes {
            wait_for("first signature", || {
                let path = format!("/v1/vaults/{vault}/requests");
                let (_, answer) = node.post(&path, &message("is everybody there?"));
                assert!(answer["problem"].is_null(), "{answer}");
                (answer["state"] == "signed").then_some(())
            });
        }
        vault
    }

    /// Every link is up and every pair can sign.
    pub fn wait_ready(&self) {
        for node in &self.nodes {
            let others = self.nodes.len() - 1;
            let mut last = Value::Null;
            let ended = wait_at_most(|| {
                last = node.try_get("/v1/node").ok()?.1;
                let ready = |p: &&Value| p["connected"] == true && p["pair"] == "ready";
                (last["peers"].as_array()?.iter().filter(ready).count() == others).then_some(())
            });
            if ended.is_none() {
                let words: Vec<String> = self.nodes.iter().map(Node::last_words).collect();
                panic!("links and pairs: {:#}\n{}", last["peers"], words.join("\n\n"));
            }
        }
    }

    pub fn submit(&self, node: usize, request: &Value) -> Answer {
        self.nodes[node].post(&format!("/v1/vaults/{}/requests", self.vault), request)
    }

    /// Signs a fresh message at every node; a stumble over an earlier kill is retried until the time is up.
    pub fn signs(&self) {
        self.signs_after(&[]);
    }

    /// As [`Cluster::signs`], after a flood: until its admitted requests ended, a fresh one may be shed by one of these names.
    pub fn signs_after(&self, shed: &[&str]) {
        for at in 0..self.nodes.len() {
            let text = format!("still here, {at} {:?}", Instant::now());
            wait_for("signature", || {
                let (status, answer) = self.submit(at, &message(&text));
                let code = answer["code"].as_str().unwrap_or_default();
                let is_shed = status == 429 && shed.contains(&code);
                assert!([200, 503].contains(&status) || is_shed, "{status} {answer}");
                (answer["state"] == "signed").then_some(())
            });
        }
    }

    /// The address of a chain, the same at every node.
    pub fn address(&self, (network, path): (&str, &str)) -> String {
        let query = format!("/v1/vaults/{}/address?network={network}&path={path}", self.vault);
        let all: Vec<Value> =
            self.nodes.iter().map(|node| node.get(&query)["address"].clone()).collect();
        assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
        all[0].as_str().unwrap().to_owned()
    }
}

/// Value of one line of a node's metrics; zero when the line is not there.
pub fn metric(node: &Node, line: &str) -> u64 {
    let url = format!("http://{}/metrics", node.api);
    let text = ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap();
    let value = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap())
}

/// A personal message, signed with ECDSA.
pub fn message(text: &str) -> Value {
    json!({
        "network": ETH.0, "path": ETH.1, "wait_ms": 8_000,
        "ask": { "kind": "raw", "format": "evm_message", "bytes": hex::encode(text) },
    })
}

/// A Solana transfer, signed with Ed25519.
pub fn solana(blockhash: [u8; 32]) -> Value {
    let to = bs58::encode([7u8; 32]).into_string();
    json!({
        "network": SOL.0, "path": SOL.1, "wait_ms": 8_000,
        "ask": { "kind": "send", "to": to, "amount": "1000" },
        "fill": { "chain": "solana", "blockhash": bs58::encode(blockhash).into_string() },
    })
}

/// An EVM transfer; the nodes choose the nonce.
pub fn transfer(amount: u64) -> Value {
    json!({
        "network": ETH.0, "path": ETH.1, "wait_ms": 8_000,
        "ask": {
            "kind": "send", "to": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
            "amount": amount.to_string(),
        },
        "fill": {
            "chain": "evm", "gas_limit": 21_000, "max_fee_per_gas": 30_000_000_000u64,
            "max_priority_fee_per_gas": 1_000_000_000u64,
        },
    })
}
