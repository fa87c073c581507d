//! Bitcoin Core on regtest, without wallet and without peers.

use super::{Owned, free_ports, tools, wait_for};
use base64::Engine as _;
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A bound against hanging.
const START: Duration = Duration::from_secs(180);
/// Blocks that a coinbase must be old before it can be spent, and one.
const MATURE: u32 = 101;

/// A running bitcoind; killed when dropped.
pub struct Bitcoind {
    /// With user and password, as `node.toml` takes it.
    pub url: String,
    plain_url: String,
    agent: ureq::Agent,
    _process: Owned,
    _home: tempfile::TempDir,
}

impl Bitcoind {
    /// Starts one; `None` where there is none.
    pub fn start() -> Option<Self> {
        let binary = tools::tool("bitcoind", "OUTLAST_BITCOIND")?;
        let home = tempfile::tempdir().unwrap();
        let port = free_ports(1)[0];
        let mut command = Command::new(binary);
        command.args(["-regtest", "-server", "-listen=0", "-txindex=1", "-disablewallet"]);
        command.args(["-rpcuser=test", "-rpcpassword=secret"]);
        command.arg(format!("-rpcport={port}")).arg(format!("-datadir={}", home.path().display()));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .proxy(None);
        let bitcoind = Self {
            url: format!("http://test:secret@127.0.0.1:{port}"),
            plain_url: format!("http://127.0.0.1:{port}"),
            agent: config.build().new_agent(),
            _process: Owned(command.spawn().unwrap_or_else(|e| panic!("bitcoind: {e}"))),
            _home: home,
        };
        wait_for("bitcoind", START, || {
            let answer = bitcoind.try_call("getblockcount", &json!([])).ok()?;
            answer["result"].as_u64()
        });
        Some(bitcoind)
    }

    fn try_call(&self, method: &str, params: &Value) -> Result<Value, ureq::Error> {
        let body = json!({ "jsonrpc": "1.0", "id": 1, "method": method, "params": params });
        let secret = base64::engine::general_purpose::STANDARD.encode("test:secret");
        let request = self.agent.post(&self.plain_url);
        let request = request.header("authorization", format!("Basic {secret}"));
        let text = request.send(body.to_string())?.body_mut().read_to_string()?;
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// The result of a call that must succeed.
    pub fn call(&self, method: &str, params: Value) -> Value {
        let mut answer = self.try_call(method, &params).unwrap();
        assert_eq!(answer["error"], Value::Null, "{method} {params}");
        answer["result"].take()
    }

    /// Mines a block that pays its coinbase to `address`.
    pub fn mine(&self, address: &str, blocks: u32) -> Value {
        self.call("generatetoaddress", json!([blocks, address]))
    }

    /// Makes every coinbase so far spendable.
    pub fn mature(&self, stranger: &str) {
        self.mine(stranger, MATURE);
    }

    /// The mempool takes this transaction, and a block then holds it; returns its id.
    pub fn accepts_and_mines(&self, raw: &str, stranger: &str) -> String {
        let verdict = self.call("testmempoolaccept", json!([[raw]]));
        assert_eq!(verdict[0]["allowed"], true, "{verdict}");
        let txid = self.call("sendrawtransaction", json!([raw])).as_str().unwrap().to_owned();
        self.mined(&txid, stranger);
        txid
    }

    /// A transaction of the mempool is in the next block.
    pub fn mined(&self, txid: &str, stranger: &str) {
        let block = self.mine(stranger, 1)[0].as_str().unwrap().to_owned();
        let block = self.call("getblock", json!([block]));
        let inside = block["tx"].as_array().unwrap().iter().any(|tx| tx == txid);
        assert!(inside, "{txid} is not in the block");
    }
}
