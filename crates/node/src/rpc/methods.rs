//! Which method is answered here, which is passed on, which is refused.

use super::Endpoint;
use super::calls::CallKey;
use super::message::RpcError;
use engine::{Command, Reply};
use model::hd::DerivationPath;
use model::ids::VaultId;
use model::intent::Network;
use serde_json::{Value, json};

/// Answered here; everything else is passed on or refused.
const OURS: [&str; 12] = [
    "eth_accounts",
    "eth_requestAccounts",
    "eth_chainId",
    "eth_sign",
    "eth_signTransaction",
    "eth_sendTransaction",
    "eth_signTypedData",
    "eth_signTypedData_v3",
    "eth_signTypedData_v4",
    "personal_sign",
    "health_status",
    "web3_clientVersion",
];
/// Namespaces that read chains or hand over finished transactions.
const PASSED: [&str; 3] = ["eth_", "net_", "web3_"];
/// Namespaces that hold keys, sign, or change the chain node: no setting passes them on.
const NEVER_PASSED: [&str; 7] =
    ["account_", "admin_", "clique_", "engine_", "miner_", "personal_", "wallet_"];
/// Characters of a method's name.
const METHOD_CHARS_MAX: usize = 60;
/// Namespaces of local development chains, and the ids of those chains.
const DEV_PASSED: [&str; 3] = ["anvil_", "hardhat_", "evm_"];
const DEV_CHAINS: [u64; 2] = [31337, 1337];

/// RPC-12: why `[rpc] pass` may not hold this name.
pub(crate) fn may_be_passed(method: &str) -> Result<(), &'static str> {
    let letters = method.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !letters || !(1..=METHOD_CHARS_MAX).contains(&method.len()) || !method.contains('_') {
        return Err("is no method's whole name, as in debug_traceTransaction");
    }
    if OURS.contains(&method) {
        return Err("is answered by this node itself");
    }
    if NEVER_PASSED.iter().any(|space| method.starts_with(space)) {
        return Err("is of a namespace that holds keys or changes the chain node, and is refused");
    }
    Ok(())
}

/// A transaction is made once, however often it is asked for.
pub(super) fn makes_a_transaction(method: &str) -> bool {
    matches!(method, "eth_sendTransaction" | "eth_signTransaction")
}

/// The method's name for metrics: one of a fixed set.
pub(super) fn label(method: &str) -> &'static str {
    OURS.iter().find(|ours| **ours == method).copied().unwrap_or("other")
}

/// One account of the caller.
pub(super) struct Account {
    pub vault: VaultId,
    pub path: DerivationPath,
    pub address: String,
}

impl Endpoint {
    /// Runs one call.
    pub(super) async fn call(
        &self,
        method: &str,
        params: &[Value],
        key: Option<&CallKey>,
    ) -> Result<Value, RpcError> {
        match method {
            "eth_accounts" | "eth_requestAccounts" => {
                let accounts = self.accounts().await?;
                Ok(accounts.into_iter().map(|account| Value::from(account.address)).collect())
            }
            "eth_chainId" => Ok(json!(format!("{:#x}", self.chain(None)?))),
            "eth_signTransaction" => self.sign_transaction(params, key).await,
            "eth_sendTransaction" => self.send_transaction(params, key).await,
            "personal_sign" => self.sign_message(nth(params, 1)?, nth(params, 0)?).await,
            "eth_sign" => self.sign_message(nth(params, 0)?, nth(params, 1)?).await,
            "eth_signTypedData" | "eth_signTypedData_v3" | "eth_signTypedData_v4" => {
                self.sign_typed_data(nth(params, 0)?, nth(params, 1)?).await
            }
            "health_status" => {
                // Whoever may ask was found out at the door; whether the engine answers, here.
                self.ask(Command::Known, 0).await?;
                Ok(json!("ok"))
            }
            "web3_clientVersion" => Ok(json!(format!("outlast/{}", env!("CARGO_PKG_VERSION")))),
            other => self.pass_on(other, params).await,
        }
    }

    async fn pass_on(&self, method: &str, params: &[Value]) -> Result<Value, RpcError> {
        let chain = self.chain(None);
        let dev = chain.as_ref().is_ok_and(|id| DEV_CHAINS.contains(id));
        let named = |names: &[&str]| names.iter().any(|name| method.starts_with(name));
        // RPC-12: what is read-only by its namespace, or named by the operator; nothing else is offered.
        let offered = named(&PASSED)
            || dev && named(&DEV_PASSED)
            || may_be_passed(method).is_ok() && self.state.chains.passes(method);
        if !offered {
            return Err(not_offered(method));
        }
        // A token that the engine does not know must not use the operator's chain node, also where the door could not ask.
        self.ask(Command::Known, 0).await?;
        let network = Network::Evm(chain?);
        let params = Value::from(params.to_vec());
        Ok(self.state.chains.call(network, method.to_owned(), params).await?)
    }

    /// The chain this endpoint speaks for: the one in the URL, else the only one configured, else the caller's.
    pub(super) fn chain(&self, wished: Option<u64>) -> Result<u64, RpcError> {
        if let Some(chain) = self.chain {
            return Ok(chain);
        }
        let configured = self.state.chains.evm_ids();
        match (configured.as_slice(), wished) {
            ([only], _) => Ok(*only),
            (_, Some(wished)) => Ok(wished),
            ([], None) => {
                let text = "no EVM chain node is configured; set [rpc.evm] 1 = \"http://…\" in \
                            node.toml, or name the chain as ?chain_id=1";
                Err(RpcError::new(-32002, "chain_not_configured", text.into()))
            }
            (several, None) => {
                let several = several.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
                let text = format!("chains {several} are configured; name one as ?chain_id=");
                Err(RpcError::new(-32602, "which_chain", text))
            }
        }
    }

    /// The caller's accounts.
    pub(super) async fn accounts(&self) -> Result<Vec<Account>, RpcError> {
        match self.ask(Command::EvmAccounts, 0).await? {
            Reply::EvmAccounts(accounts) => Ok(accounts
                .into_iter()
                .map(|(vault, path, address)| Account { vault, path, address })
                .collect()),
            _ => Err(wrong_reply()),
        }
    }

    /// The caller's account with this address.
    pub(super) async fn account(&self, address: &str) -> Result<Account, RpcError> {
        let wanted = address_bytes(address)
            .ok_or_else(|| RpcError::params(format!("`{}` is no address", shorten(address))))?;
        let mut accounts = self.accounts().await?.into_iter();
        accounts.find(|account| address_bytes(&account.address) == Some(wanted)).ok_or_else(|| {
            let text = format!("{} is no account of this caller", shorten(address));
            RpcError::new(-32001, "unknown_account", text)
        })
    }

    pub(super) async fn ask(&self, command: Command, wait_ms: u64) -> Result<Reply, RpcError> {
        self.state.ask(self.caller, command, wait_ms).await.map_err(|error| error.0.into())
    }
}

/// RPC-12.
fn not_offered(method: &str) -> RpcError {
    let hint = "the node's operator may name it in [rpc] pass of node.toml";
    let hint = may_be_passed(method).is_ok().then(|| hint.to_owned());
    let method: String = method.chars().take(METHOD_CHARS_MAX).collect();
    let message = format!("the method {} is not offered here", method.escape_default());
    let problem = model::api::Problem { code: "unknown_method".to_owned(), message, hint };
    RpcError { code: -32601, ..RpcError::from_view(&problem) }
}

pub(super) fn wrong_reply() -> RpcError {
    RpcError::new(-32603, "wrong_reply", "the engine answered another question".into())
}

/// Parameter number `index`.
pub(super) fn nth(params: &[Value], index: usize) -> Result<&Value, RpcError> {
    params.get(index).ok_or_else(|| {
        RpcError::params(format!("{} parameters where more are needed", params.len()))
    })
}

/// A parameter that is text.
pub(super) fn text<'a>(value: &'a Value, what: &str) -> Result<&'a str, RpcError> {
    value.as_str().ok_or_else(|| RpcError::params(format!("{what} is no text")))
}

fn address_bytes(text: &str) -> Option<[u8; 20]> {
    hex::decode(text.strip_prefix("0x")?).ok()?.try_into().ok()
}

fn shorten(text: &str) -> String {
    text.chars().take(60).collect::<String>().escape_default().to_string()
}
