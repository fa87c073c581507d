//! `node.toml`: what the operator may see and edit. Nothing secret stands here; an unknown key is refused.

use super::HomeError;
use crate::api::ClientLimits;
use crate::rpc::may_be_passed;
use model::limits::TEXT_BYTES_MAX;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

/// A burst holds the largest batch of JSON-RPC, or that could never be served.
const CALLS_BURST_MIN: u32 = 100;
/// Methods that may be named in `pass`.
const PASSED_MAX: usize = 64;

/// Public settings of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The legal entity that runs the node; stands on its card.
    pub operator: String,
    /// Where peers are heard.
    pub listen: SocketAddr,
    /// Where peers dial this node, `host:port`; empty for a node that only dials. Stands on its card.
    #[serde(default)]
    pub advertise: String,
    /// Where the HTTP API is heard.
    pub api_listen: SocketAddr,
    /// TLS of the API; needed where it is not heard on loopback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_tls: Option<ApiTlsSettings>,
    /// Say yes to every ceremony of a `test` vault without asking: for demos and tests.
    #[serde(default)]
    pub auto_join_test_vaults: bool,
    /// This home never holds real money: cheap passphrases are allowed, live vaults are not.
    #[serde(default)]
    pub test_home: bool,
    /// What is logged and how.
    #[serde(default)]
    pub logging: Logging,
    /// Chain nodes that this node may ask.
    #[serde(default)]
    pub rpc: ChainRpc,
    /// Each client's share of the API.
    #[serde(default)]
    pub limits: ClientLimits,
    /// Bounds of the store.
    #[serde(default)]
    pub store: StoreSettings,
    /// What tests may ask of a test home.
    #[serde(default)]
    pub debug: DebugSettings,
}

/// TLS of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiTlsSettings {
    /// Certificate chain, PEM.
    pub cert: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
    /// CA of client certificates, PEM; a verified one acts as a service key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
}

/// What is logged and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logging {
    /// A filter as `tracing` reads it: `info`, `node=debug,info`.
    #[serde(default = "default_filter")]
    pub filter: String,
    /// How a line looks.
    #[serde(default)]
    pub format: LogFormat,
}

fn default_filter() -> String {
    "info".to_owned()
}

impl Default for Logging {
    fn default() -> Self {
        Self { filter: default_filter(), format: LogFormat::default() }
    }
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// URLs of chain nodes, and what clients may ask them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainRpc {
    /// Methods that the JSON-RPC endpoint hands to the chain node besides `eth_`, `net_` and `web3_`, by whole name.
    #[serde(default)]
    pub pass: BTreeSet<String>,
    /// EVM chain id to URL.
    #[serde(default)]
    pub evm: BTreeMap<u64, String>,
    /// Bitcoin network (`bitcoin`, `testnet`, `signet`, `regtest`) to URL.
    #[serde(default)]
    pub bitcoin: BTreeMap<String, String>,
    /// Solana cluster to URL.
    #[serde(default)]
    pub solana: BTreeMap<String, String>,
}

/// Bounds of the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// Pages of 4 KiB that the store may grow to; absent: the disk decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages_max: Option<u32>,
}

/// What tests may ask of a test home; refused in every other home.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebugSettings {
    /// Append what leaves of one-time scalars (their public halves, which peers see anyway) to this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_one_time: Option<PathBuf>,
    /// Be the traitor of a test: spoil what this node sends to a peer for a pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tamper_pair: Option<TamperPair>,
}

/// How much a test's traitor spoils.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TamperPair {
    /// The first message of an ECDSA transfer after each start.
    Once,
}

impl Settings {
    /// Settings of a node of `operator` with the defaults for everything else.
    pub fn new(operator: &str, listen: SocketAddr, advertise: &str, api: SocketAddr) -> Self {
        Self {
            operator: operator.to_owned(),
            listen,
            advertise: advertise.to_owned(),
            api_listen: api,
            api_tls: None,
            auto_join_test_vaults: false,
            test_home: false,
            logging: Logging::default(),
            rpc: ChainRpc::default(),
            limits: ClientLimits::default(),
            store: StoreSettings::default(),
            debug: DebugSettings::default(),
        }
    }

    /// Reads `node.toml`.
    pub fn parse(text: &str) -> Result<Self, HomeError> {
        toml::from_str(text)
            .map_err(|error| HomeError::Malformed(super::SETTINGS, error.to_string()))
    }

    /// Refuses values that would fail later.
    pub fn check(&self) -> Result<(), HomeError> {
        check_text("operator", &self.operator)?;
        if self.operator.trim().is_empty() {
            return Err(bad("operator", "is empty; name the legal entity that runs the node"));
        }
        check_text("advertise", &self.advertise)?;
        if !self.advertise.is_empty() && !is_host_and_port(&self.advertise) {
            return Err(bad("advertise", "is not host:port"));
        }
        let bitcoin = self.rpc.bitcoin.values();
        for url in self.rpc.evm.values().chain(bitcoin).chain(self.rpc.solana.values()) {
            check_text("rpc", url)?;
            if !url.starts_with("http://") && !url.starts_with("https://") {
                return Err(bad("rpc", "a URL begins with http:// or https://"));
            }
        }
        if self.rpc.pass.len() > PASSED_MAX {
            return Err(bad("rpc.pass", "has more than 64 methods"));
        }
        for method in &self.rpc.pass {
            may_be_passed(method).map_err(|why| {
                let method: String = method.chars().take(60).collect();
                bad("rpc.pass", &format!("`{}` {why}", method.escape_default()))
            })?;
        }
        if self.limits.client_calls_per_second == 0 || self.limits.client_calls_waiting == 0 {
            return Err(bad("limits", "zero would let no client in"));
        }
        if self.limits.client_calls_burst < CALLS_BURST_MIN {
            return Err(bad("limits", "client_calls_burst: at least 100, the calls of one batch"));
        }
        if self.debug != DebugSettings::default() && !self.test_home {
            return Err(bad("debug", "is for test homes only"));
        }
        check_text("logging.filter", &self.logging.filter)
    }

    /// The text of a new `node.toml`, with a word on each setting.
    pub fn to_toml(&self) -> String {
        let mut text = format!(
            "# Settings of one Outlast node. Nothing here is secret. Restart the node after a change.\n\
             \n\
             # The legal entity that runs this node; stands on the node card.\n\
             operator = {}\n\
             # Where peers are heard, and where they dial (empty: this node only dials).\n\
             listen = {}\n\
             advertise = {}\n\
             # Where the HTTP API is heard. Off loopback it needs [api_tls] with cert, key and perhaps client_ca.\n\
             api_listen = {}\n\
             # Say yes to every ceremony of a test vault without asking.\n\
             auto_join_test_vaults = {}\n\
             # A test home never holds a live vault and may have a weak passphrase.\n\
             test_home = {}\n\
             \n\
             [logging]\n\
             filter = {}\n\
             format = {}  # text or json\n",
            quoted(&self.operator),
            quoted(&self.listen.to_string()),
            quoted(&self.advertise),
            quoted(&self.api_listen.to_string()),
            self.auto_join_test_vaults,
            self.test_home,
            quoted(&self.logging.filter),
            match self.logging.format {
                LogFormat::Text => "\"text\"",
                LogFormat::Json => "\"json\"",
            },
        );
        let pass: Vec<String> = self.rpc.pass.iter().map(|method| quoted(method)).collect();
        text.push_str(&format!(
            "\n# What clients may ask the chain nodes through JSON-RPC besides eth_, net_ and web3_, by whole\n\
             # name: [\"debug_traceTransaction\"]\n\
             [rpc]\npass = [{}]\n",
            pass.join(", ")
        ));
        text.push_str(
            "\n# Chain nodes to ask. EVM chains by number: 1 = \"https://...\"\n[rpc.evm]\n",
        );
        let evm = self.rpc.evm.iter().map(|(id, url)| (id.to_string(), url));
        push_table(&mut text, evm);
        text.push_str("\n# Bitcoin networks by name: regtest = \"http://...\"\n[rpc.bitcoin]\n");
        push_table(&mut text, self.rpc.bitcoin.iter().map(|(name, url)| (quoted(name), url)));
        text.push_str("\n# Solana clusters by name\n[rpc.solana]\n");
        push_table(&mut text, self.rpc.solana.iter().map(|(name, url)| (quoted(name), url)));
        let ClientLimits { client_calls_per_second, client_calls_burst, client_calls_waiting } =
            self.limits;
        text.push_str(&format!(
            "\n# Each client's share of the API: calls a second, at once after a pause, and waiting for answers.\n\
             [limits]\n\
             client_calls_per_second = {client_calls_per_second}\n\
             client_calls_burst = {client_calls_burst}\n\
             client_calls_waiting = {client_calls_waiting}\n"
        ));
        text.push_str("\n[store]\n");
        match self.store.pages_max {
            Some(pages) => text.push_str(&format!("pages_max = {pages}\n")),
            None => text
                .push_str("# Pages of 4 KiB that the store may grow to\n# pages_max = 1000000\n"),
        }
        self.push_optional(&mut text);
        text
    }

    /// Tables that most nodes do not have.
    fn push_optional(&self, text: &mut String) {
        if let Some(tls) = &self.api_tls {
            let file = |path: &PathBuf| quoted(&path.to_string_lossy());
            let (cert, key) = (file(&tls.cert), file(&tls.key));
            text.push_str(&format!("\n[api_tls]\ncert = {cert}\nkey = {key}\n"));
            if let Some(client_ca) = &tls.client_ca {
                text.push_str(&format!("client_ca = {}\n", file(client_ca)));
            }
        }
        if self.debug != DebugSettings::default() {
            text.push_str("\n[debug]\n");
        }
        if let Some(path) = &self.debug.record_one_time {
            let path = quoted(&path.to_string_lossy());
            text.push_str(&format!("record_one_time = {path}\n"));
        }
        if let Some(TamperPair::Once) = self.debug.tamper_pair {
            text.push_str("tamper_pair = \"once\"\n");
        }
    }
}

fn push_table<'a>(text: &mut String, rows: impl Iterator<Item = (String, &'a String)>) {
    for (key, url) in rows {
        text.push_str(&format!("{key} = {}\n", quoted(url)));
    }
}

/// JSON's escapes are a subset of TOML's basic strings for texts without control characters.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn bad(setting: &'static str, problem: &str) -> HomeError {
    HomeError::Setting { setting, problem: problem.to_owned() }
}

fn check_text(setting: &'static str, text: &str) -> Result<(), HomeError> {
    if text.len() > TEXT_BYTES_MAX {
        let problem = format!("has {} bytes, at most {TEXT_BYTES_MAX} are allowed", text.len());
        return Err(HomeError::Setting { setting, problem });
    }
    if text.chars().any(char::is_control) {
        return Err(bad(setting, "has control characters"));
    }
    Ok(())
}

fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
    })
}
