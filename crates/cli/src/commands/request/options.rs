//! Options that every new request has.

use crate::commands::address::default_path;
use crate::commands::vault;
use crate::context::Context;
use crate::error::{CommandError, io};
use crate::units;
use crate::view;
use model::api::{AskView, FillView, NewRequest};
use model::hd::DerivationPath;
use model::intent::Network;
use std::path::PathBuf;

/// Code of a signature that the chain node did not take.
const NOT_SENT: &str = "not_broadcast";

/// Options of a new request.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The vault: name, id or first digits of it; needed only if there are several
    #[arg(long)]
    vault: Option<String>,
    /// evm:CHAIN_ID, bitcoin:main|test|signet|regtest or solana:mainnet|devnet|testnet|local
    #[arg(long)]
    pub(super) network: Network,
    /// Path that pays or signs; default: the first address (Bitcoin: the account m/86/0/0)
    #[arg(long)]
    path: Option<DerivationPath>,
    /// Highest fee that you accept, with its unit (0.001ETH, 2000sat, 0.00001SOL); the nodes have a ceiling of their own
    #[arg(long, value_name = "AMOUNT")]
    fee_max: Option<String>,
    /// Your own word for this request: given twice at this node, until an hour after the request's life, it is one request
    /// with one signature. Another node does not know the word: asked there too, it pays twice
    #[arg(long, value_name = "WORD")]
    idempotency_key: Option<String>,
    /// Nobody starts to sign after this many minutes
    #[arg(long, value_name = "MINUTES")]
    life: Option<u64>,
    /// File with the JSON of nonce and fee (evm), coins (bitcoin) or blockhash (solana), when no chain node is configured;
    /// docs/operating/install.md has one of each
    #[arg(long, value_name = "FILE")]
    fill: Option<PathBuf>,
    /// Solana: sign under this durable nonce account of the paying address; nothing then goes stale while people approve
    #[arg(long, value_name = "ADDRESS", conflicts_with = "fill")]
    nonce_account: Option<String>,
    /// Send the signed transaction to the chain
    #[arg(long)]
    broadcast: bool,
    /// Wait this many seconds for the signature
    #[arg(long, default_value_t = 25, value_name = "SECONDS")]
    wait: u64,
}

impl Options {
    fn path(&self) -> String {
        match (&self.path, self.network) {
            (Some(path), _) => path.to_string(),
            (None, Network::Bitcoin(_)) => "m/86/0/0".to_owned(),
            (None, network) => default_path(network).to_owned(),
        }
    }

    fn read_fill(&self) -> Result<Option<FillView>, CommandError> {
        if let Some(account) = &self.nonce_account {
            return self.durable(account).map(Some);
        }
        let Some(path) = &self.fill else { return Ok(None) };
        let text = std::fs::read_to_string(path).map_err(io("read", path))?;
        serde_json::from_str(&text).map(Some).map_err(|e| {
            CommandError::refused("fill", format!("{} does not read: {e}", path.display()))
                .hint(format!("for example {}", example(self.network)))
        })
    }

    /// The node fetches the nonce's value and checks who may advance it.
    fn durable(&self, account: &str) -> Result<FillView, CommandError> {
        match self.network {
            Network::Solana(_) => Ok(FillView::Solana {
                blockhash: String::new(),
                nonce_account: Some(account.to_owned()),
            }),
            network => Err(CommandError::usage(format!(
                "--nonce-account is for Solana, not for {network}"
            ))),
        }
    }

    /// Sends the request and shows what became of it.
    pub(super) fn submit(&self, ask: AskView, ctx: &Context) -> Result<(), CommandError> {
        let fee_max = self.fee_max.as_deref().map(|text| units::parse(text, self.network));
        let new = NewRequest {
            network: self.network,
            path: self.path(),
            ask,
            fee_max: fee_max.transpose().map_err(CommandError::usage)?,
            idempotency_key: self.idempotency_key.clone(),
            initiator: None,
            life_ms: self.life.map(|minutes| minutes.saturating_mul(60_000)),
            fill: self.read_fill()?,
            broadcast: self.broadcast,
            wait_ms: self.wait.saturating_mul(1000),
        };
        let client = ctx.node()?;
        let vault = vault::find(&client, self.vault.as_deref())?;
        let request = client.submit(vault.id, &new)?;
        ctx.say(&request, &view::request::one(&request))?;
        match (request.state.as_str(), &request.problem) {
            // What was asked for is there; a replacement that was refused since then is another question.
            ("signed", Some(problem)) if problem.code != NOT_SENT => Ok(()),
            _ => outcome(&request),
        }
    }
}

/// A fill as `docs/operating/install.md` shows it.
fn example(network: Network) -> &'static str {
    match network {
        Network::Evm(_) => {
            r#"{"chain":"evm","nonce":0,"gas_limit":21000,"max_fee_per_gas":30000000000,"max_priority_fee_per_gas":1000000000}"#
        }
        Network::Bitcoin(_) => {
            r#"{"chain":"bitcoin","inputs":[{"transaction":"0200…","vout":0,"chain":0,"number":0}],"fee":1000,"change":0}"#
        }
        Network::Solana(_) => {
            r#"{"chain":"solana","blockhash":"EkSnNWid2cvwEVnVx9aBqawnmiCNiDgp3gUdkDPTKN1N"}"#
        }
    }
}

/// A request that ended without a signature is a failed command, after its screen was shown.
pub(super) fn outcome(request: &model::api::RequestView) -> Result<(), CommandError> {
    let mut problem = request.problem.clone();
    if let Some(problem) = problem.as_mut().filter(|problem| problem.code == "no_chain_facts") {
        let own = "or choose nonce and fee, coins or blockhash yourself: --fill FILE";
        problem.hint.get_or_insert(own.to_owned());
    }
    match (request.state.as_str(), problem) {
        ("refused", Some(problem)) => Err(CommandError::from_problem(400, problem)),
        ("refused", None) => Err(CommandError::refused("refused", "the request was refused")),
        ("expired", _) => {
            Err(CommandError::unavailable("expired", "the request expired before it was signed"))
        }
        ("waiting" | "signing", _) => Err(CommandError::unavailable("not_signed_yet", {
            format!("request {} is not signed yet; it goes on", request.id.short())
        })
        .hint(format!("outlast request show {}", request.id))),
        ("signed", Some(problem)) if problem.code == NOT_SENT => {
            Err(CommandError::not_sent(problem))
        }
        // A replacement that was refused: what was signed before it stands.
        ("signed", Some(problem)) => Err(CommandError::from_problem(409, problem)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::intent::{BitcoinNetwork, SolanaCluster};

    #[test]
    fn the_fills_of_the_manual_and_of_the_hints_read() {
        let manual = include_str!("../../../../../docs/operating/install.md");
        let networks = [
            Network::Evm(1),
            Network::Bitcoin(BitcoinNetwork::Main),
            Network::Solana(SolanaCluster::Mainnet),
        ];
        for network in networks {
            let text = example(network);
            let read = serde_json::from_str::<FillView>(text);
            assert!(read.is_ok(), "{network}: {read:?}");
            assert!(manual.contains(text), "{network}: {text} is not in the manual");
        }
    }
}
