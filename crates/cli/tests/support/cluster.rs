//! Three nodes of three operators that met by cards and words.

use super::{Owned, free_ports, run, stdout_of, wait_for};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::time::Duration;

const PASSPHRASE: &str = "a passphrase of a test, never of a node";
/// Bounds against hanging: no step takes so long on a machine that is slow and busy.
const START: Duration = Duration::from_secs(180);
const CEREMONY: Duration = Duration::from_secs(180);
/// An answer that waits for a signature comes within this time.
const ANSWER: Duration = Duration::from_secs(120);

/// Running nodes; dropped, they are killed.
pub struct Cluster {
    pub nodes: Vec<Node>,
    _home: tempfile::TempDir,
}

/// One node and the way to its API.
pub struct Node {
    pub dir: PathBuf,
    api: String,
    token: String,
    id: String,
    card: Value,
    agent: ureq::Agent,
    process: Mutex<Owned>,
}

impl Cluster {
    /// Three nodes that know each other; `chains` are the chain nodes of each, as `NETWORK=URL`.
    pub fn start(chains: [&[String]; 3]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let secret = home.path().join("passphrase");
        std::fs::write(&secret, format!("{PASSPHRASE}\n")).unwrap();
        let ports = free_ports(6);
        let nodes = ["a", "b", "c"].iter().zip(ports.chunks(2)).zip(chains);
        let nodes = nodes.map(|((name, ports), chains)| {
            Node::start(&home.path().join(name), name, &secret, ports, chains)
        });
        let cluster = Self { nodes: nodes.collect(), _home: home };
        cluster.meet();
        cluster
    }

    fn meet(&self) {
        for node in &self.nodes {
            wait_for("the API", START, || {
                node.assert_running();
                node.try_call("GET", "/healthz", None).ok()
            });
        }
        std::thread::scope(|scope| {
            for node in &self.nodes {
                scope.spawn(|| node.post("/v1/unseal", &json!({ "passphrase": PASSPHRASE })));
            }
        });
        for me in &self.nodes {
            for peer in self.nodes.iter().filter(|peer| peer.id != me.id) {
                me.post("/v1/peers", &peer.card);
            }
        }
        for node in &self.nodes {
            wait_for("the peers", START, || {
                let view = node.get("/v1/node");
                let peers = view["peers"].as_array().unwrap();
                let ready = |p: &&Value| p["connected"] == true && p["pair"] == "ready";
                (peers.iter().filter(ready).count() == 2).then_some(())
            });
        }
    }

    /// A new test vault of all three nodes; its id.
    pub fn vault(&self, name: &str) -> String {
        let first = &self.nodes[0];
        let members: Vec<&str> = self.nodes.iter().map(|node| node.id.as_str()).collect();
        let new = json!({ "purpose": "test", "name": name, "members": members, "threshold": 3 });
        let ceremony = first.post("/v1/ceremonies", &new);
        let path = format!("/v1/ceremonies/{}", ceremony["id"].as_str().unwrap());
        let vault = wait_for("the vault", CEREMONY, || {
            let now = first.get(&path);
            assert_ne!(now["state"], "failed", "{now}");
            now["vault"].as_str().map(str::to_owned)
        });
        for node in &self.nodes {
            wait_for("the vault everywhere", CEREMONY, || {
                // A node has an address of the vault once it heard that all shares are stored.
                let path =
                    format!("/v1/vaults/{vault}/address?network=evm:31337&path=m/44/60/0/0/0");
                let found = node.try_call("GET", &path, None);
                found.ok().filter(|(status, _)| *status == 200)
            });
        }
        vault
    }
}

/// `outlast ARGS`, without the caller's own settings.
pub fn outlast(args: &[&str], dir: &Path) -> Output {
    run(program().args(args).current_dir(dir), ANSWER)
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outlast"));
    for name in ["OUTLAST_NODE", "OUTLAST_URL", "OUTLAST_TOKEN", "OUTLAST_PASSPHRASE_FILE"] {
        command.env_remove(name);
    }
    command
}

impl Node {
    fn start(dir: &Path, name: &str, secret: &Path, ports: &[u16], chains: &[String]) -> Self {
        let (endpoint, api) =
            (format!("127.0.0.1:{}", ports[0]), format!("127.0.0.1:{}", ports[1]));
        let mut init = program();
        init.args(["node", "init", "--output", "json", "--auto-join-test-vaults", "--dir"]);
        init.arg(dir).args(["--operator", &format!("Operator {name}")]);
        init.args(["--endpoint", &endpoint, "--api", &api]);
        for chain in chains {
            init.args(["--chain", chain]);
        }
        init.env("OUTLAST_PASSPHRASE_FILE", secret);
        let card: Value = serde_json::from_str(&stdout_of(&run(&mut init, START))).unwrap();
        let log = std::fs::File::create(dir.join("node.log")).unwrap();
        let mut command = program();
        command.args(["node", "run", "--dir"]).arg(dir).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(ANSWER))
            .proxy(None)
            .build()
            .new_agent();
        Self {
            dir: dir.to_owned(),
            api: format!("http://{api}"),
            token: std::fs::read_to_string(dir.join("operator.token")).unwrap().trim().to_owned(),
            id: card["node"].as_str().unwrap().to_owned(),
            card: json!({ "card": card["card"], "words": card["words"] }),
            agent,
            process: Mutex::new(Owned(command.spawn().unwrap())),
        }
    }

    fn assert_running(&self) {
        let ended = self.process.lock().unwrap().0.try_wait().unwrap();
        assert!(ended.is_none(), "{ended:?}{}", self.last_words());
    }

    /// One call as the operator: status and JSON.
    pub fn try_call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value), ureq::Error> {
        self.call_as(&self.token, method, path, body)
    }

    /// One call with any token.
    pub fn call_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value), ureq::Error> {
        let (url, bearer) = (self.url(path), format!("Bearer {token}"));
        let mut answer = match (method, body) {
            ("POST", body) => self
                .agent
                .post(&url)
                .header("authorization", &bearer)
                .header("content-type", "application/json")
                .send(body.unwrap_or(&Value::Null).to_string())?,
            _ => self.agent.get(&url).header("authorization", &bearer).call()?,
        };
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string()?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// The answer to `GET`, which must succeed.
    pub fn get(&self, path: &str) -> Value {
        let (status, answer) = self.try_call("GET", path, None).unwrap();
        assert!(status < 300, "GET {path}: {status} {answer}{}", self.last_words());
        answer
    }

    /// The answer to `POST`, which must succeed.
    pub fn post(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.try_call("POST", path, Some(body)).unwrap();
        assert!(status < 300, "POST {path}: {status} {answer}{}", self.last_words());
        answer
    }

    /// A service key for one vault.
    pub fn client_token(&self, vault: &str) -> String {
        let answer = self.post("/v1/clients", &json!({ "name": "test", "vaults": [vault] }));
        answer["token"].as_str().unwrap().to_owned()
    }

    /// The vault's address on `network` at `path`.
    pub fn address(&self, vault: &str, network: &str, path: &str) -> String {
        let path = format!("/v1/vaults/{vault}/address?network={network}&path={path}");
        self.get(&path)["address"].as_str().unwrap().to_owned()
    }

    /// Where a path of the API is.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.api)
    }

    /// The JSON-RPC endpoint that existing tools are pointed at.
    pub fn rpc_url(&self, token: &str) -> String {
        self.url(&format!("/rpc/{token}"))
    }

    /// Submits a request and returns it signed.
    pub fn sign(&self, vault: &str, new: &Value) -> Value {
        let request = self.post(&format!("/v1/vaults/{vault}/requests"), new);
        assert_eq!(request["state"], "signed", "{request}{}", self.last_words());
        request
    }

    /// Code of the refusal that a request meets, at once or as its end.
    pub fn refusal(&self, vault: &str, new: &Value) -> String {
        let path = format!("/v1/vaults/{vault}/requests");
        let (_, answer) = self.try_call("POST", &path, Some(new)).unwrap();
        let code = answer["code"].as_str().or(answer["problem"]["code"].as_str());
        code.unwrap_or_else(|| panic!("not refused: {answer}")).to_owned()
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.dir.join("node.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(8).collect();
        format!("\nnode.log: {}", lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }
}
