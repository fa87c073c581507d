//! Client of the chain nodes that the operator configured: nonces, fees, coins, blockhashes, and broadcasting.
//!
//! A chain node is not trusted with anything but liveness: it may choose a stale nonce or a high fee, which the fee
//! ceiling bounds, never an amount or a recipient; coins are whole transactions whose amounts are computed.
//! Calls block, so a few threads of their own make them; time, answer size and waiting calls are bounded.
//! Absent on purpose: URLs in logs and errors, because they may carry passwords.

mod bitcoin;
mod call;
mod evm;
mod fuzzing;
mod pool;
mod solana;

pub use call::{Call, ChainCallError, Client};
pub use evm::Cost;
pub(crate) use fuzzing::fuzz_answers;
pub use pool::{ChainPool, sent};
pub use solana::NonceError;

use crate::home::ChainRpc;
use engine::{Facts, FactsQuery};
use model::intent::Network;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The configured chain nodes.
#[derive(Debug, Default)]
pub struct Chains {
    clients: BTreeMap<Network, Client>,
    pass: BTreeSet<String>,
}

/// Why a chain node's address was not taken from `node.toml`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainsError {
    /// The key names no network.
    #[error("[rpc]: {0}")]
    Network(#[from] model::intent::NetworkError),
    /// Not `http://` or `https://` with a host.
    #[error("[rpc] {0}: write http://HOST:PORT or https://HOST, optionally with USER:PASSWORD@")]
    Url(Network),
}

impl Chains {
    /// From `[rpc]` of `node.toml`.
    pub fn new(rpc: &ChainRpc) -> Result<Self, ChainsError> {
        let mut clients = BTreeMap::new();
        let mut add = |network: Network, url: &String| {
            let client = Client::new(url).ok_or(ChainsError::Url(network))?;
            clients.insert(network, client);
            Ok::<(), ChainsError>(())
        };
        for (id, url) in &rpc.evm {
            add(Network::Evm(*id), url)?;
        }
        for (name, url) in &rpc.bitcoin {
            // Core's own names of its networks are taken beside ours.
            let name = match name.as_str() {
                "bitcoin" => "main",
                "testnet" => "test",
                other => other,
            };
            add(format!("bitcoin:{name}").parse()?, url)?;
        }
        for (name, url) in &rpc.solana {
            add(format!("solana:{name}").parse()?, url)?;
        }
        Ok(Self { clients, pass: rpc.pass.clone() })
    }

    /// The operator named this method for clients.
    pub fn passes(&self, method: &str) -> bool {
        self.pass.contains(method)
    }

    /// The node for `network`.
    pub fn client(&self, network: Network) -> Result<&Client, ChainCallError> {
        self.clients.get(&network).ok_or(ChainCallError::Unconfigured(network))
    }

    /// Every configured chain node.
    pub fn all(&self) -> impl Iterator<Item = (&Network, &Client)> {
        self.clients.iter()
    }

    /// Configured EVM chains, ascending.
    pub fn evm_ids(&self) -> Vec<u64> {
        let ids = self.clients.keys().filter_map(|network| match network {
            Network::Evm(id) => Some(*id),
            Network::Bitcoin(_) | Network::Solana(_) => None,
        });
        ids.collect()
    }

    /// What goes stale, from the node of the query's network. Blocks.
    pub fn facts(&self, query: &FactsQuery) -> Result<Facts, ChainCallError> {
        let client = self.client(query.network)?;
        match query.network {
            Network::Evm(_) => evm::facts(client, query),
            Network::Bitcoin(_) => bitcoin::facts(client, query),
            Network::Solana(_) => solana::facts(client),
        }
    }

    /// Hands a signed transaction over; one that the node has already is taken. Blocks.
    pub fn broadcast(&self, network: Network, text: &str) -> Result<(), ChainCallError> {
        let client = self.client(network)?;
        let result = match network {
            Network::Evm(_) => client.call("eth_sendRawTransaction", &serde_json::json!([text])),
            Network::Bitcoin(_) => client.call("sendrawtransaction", &serde_json::json!([text])),
            Network::Solana(_) => {
                client.call("sendTransaction", &serde_json::json!([text, { "encoding": "base64" }]))
            }
        };
        match result {
            Err(ChainCallError::Refused { message, .. }) if is_known(&message) => Ok(()),
            result => result.map(|_: Value| ()),
        }
    }
}

/// The words for a transaction that the chain node holds or has mined: geth and anvil, nethermind, Core, Solana.
fn is_known(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let words = [
        "already known",
        "already imported",
        "alreadyknown",
        "already in",
        "already-in-mempool",
        "already been processed",
    ];
    words.iter().any(|words| message.contains(words))
}

/// Name of a network's family for metrics.
pub(crate) fn family(network: Network) -> &'static str {
    match network {
        Network::Evm(_) => "evm",
        Network::Bitcoin(_) => "bitcoin",
        Network::Solana(_) => "solana",
    }
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests {
    use super::*;

    fn evm(id: u64, url: &str) -> Result<Chains, ChainsError> {
        Chains::new(&ChainRpc { evm: [(id, url.to_owned())].into(), ..ChainRpc::default() })
    }

    #[test]
    fn a_chain_without_a_node_is_named_with_the_line_to_write() {
        let chains = evm(31337, "http://127.0.0.1:8545").unwrap();
        let error = chains.client(Network::Evm(1)).map(|_| ()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no chain node is configured for evm:1; set it under [rpc] in node.toml"
        );
        assert_eq!(chains.evm_ids(), [31337]);
    }

    #[test]
    fn a_transaction_that_the_chain_node_has_already_counts_as_sent() {
        for (words, known) in [
            ("already known", true),
            ("transaction already imported", true),
            ("Transaction already in block chain", true),
            ("txn-already-in-mempool", true),
            ("This transaction has already been processed", true),
            ("nonce too low", false),
            ("insufficient fee, rejecting replacement", false),
        ] {
            assert_eq!(is_known(words), known, "{words}");
        }
    }

    #[test]
    fn bad_addresses_are_refused_without_showing_their_password() {
        for url in ["", "ftp://host", "http://", "user:hunter2@host", "http://user:hunter2@"] {
            let error = evm(1, url).unwrap_err();
            assert_eq!(error, ChainsError::Url(Network::Evm(1)), "{url}");
            assert!(!error.to_string().contains("hunter2"));
        }
        let good = evm(1, "http://user:hunter2@host:1").unwrap();
        assert!(!format!("{good:?}").contains("hunter2"));
        for (name, good) in [("bitcoin", true), ("main", true), ("regtest", true), ("x", false)] {
            let bitcoin = [(name.to_owned(), "http://h".to_owned())].into();
            let chains = Chains::new(&ChainRpc { bitcoin, ..ChainRpc::default() });
            assert_eq!(chains.is_ok(), good, "{name}");
        }
    }
}
