//! anvil, a local Ethereum chain.

use super::{Owned, free_ports, tools, wait_for};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Bounds against hanging.
const START: Duration = Duration::from_secs(120);
const MINED: Duration = Duration::from_secs(120);

/// A running anvil with chain id 31337; killed when dropped.
pub struct Anvil {
    pub url: String,
    agent: ureq::Agent,
    process: Owned,
}

impl Anvil {
    /// Starts one; `None` where there is none.
    pub fn start(options: &[&str]) -> Option<Self> {
        let binary = tools::tool("anvil", "OUTLAST_ANVIL")?;
        let port = free_ports(1)[0];
        let mut command = Command::new(binary);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string()]).args(options);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Owned(command.spawn().unwrap());
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .proxy(None);
        let agent = config.build().new_agent();
        let anvil = Self { url: format!("http://127.0.0.1:{port}"), agent, process };
        wait_for("anvil", START, || anvil.try_call("eth_chainId", &json!([])).ok());
        Some(anvil)
    }

    fn try_call(&self, method: &str, params: &Value) -> Result<Value, ureq::Error> {
        call(&self.agent, &self.url, method, params)
    }

    /// The result of a call that must succeed.
    pub fn call(&self, method: &str, params: Value) -> Value {
        let mut answer = self.try_call(method, &params).unwrap();
        assert_eq!(answer["error"], Value::Null, "{method} {params}");
        answer["result"].take()
    }

    /// `STOP`: it takes connections and answers nothing. `CONT`: it goes on.
    pub fn signal(&self, name: &str) {
        super::signal(self.process.0.id(), name);
    }

    /// Gives an address 10,000 ETH.
    pub fn fund(&self, address: &str) {
        self.call("anvil_setBalance", json!([address, "0x21e19e0c9bab2400000"]));
    }

    /// Waits for the receipt of a transaction.
    pub fn receipt(&self, hash: &str) -> Value {
        wait_for(&format!("the receipt of {hash}"), MINED, || {
            Some(self.call("eth_getTransactionReceipt", json!([hash]))).filter(Value::is_object)
        })
    }

    /// The receipt of a transaction that succeeded and that `from` signed.
    pub fn mined(&self, hash: &str, from: &str) -> Value {
        let receipt = self.receipt(hash);
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        let signer = receipt["from"].as_str().unwrap();
        assert!(signer.eq_ignore_ascii_case(from), "{signer} sent {hash}, not {from}");
        receipt
    }

    /// Wei of an address.
    pub fn balance(&self, address: &str) -> u128 {
        quantity(&self.call("eth_getBalance", json!([address, "latest"])))
    }
}

/// One JSON-RPC call; the whole answer.
pub fn call(
    agent: &ureq::Agent,
    url: &str,
    method: &str,
    params: &Value,
) -> Result<Value, ureq::Error> {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    // A refusal has a status and, in its body, a name.
    let request = agent.post(url).config().http_status_as_error(false).build();
    let request = request.header("content-type", "application/json");
    let text = request.send(body.to_string())?.body_mut().read_to_string()?;
    Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// A JSON-RPC quantity.
pub fn quantity(value: &Value) -> u128 {
    let digits = value.as_str().unwrap().trim_start_matches("0x");
    u128::from_str_radix(digits, 16).unwrap()
}
