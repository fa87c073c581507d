//! What a request wants, without nonce, fee, blockhash and coins: what people approve and rules judge, before anything
//! is chosen that goes stale.
//!
//! CHAIN-6: decoded by the same code as the bytes that are signed later, from bytes in which placeholders stand for what
//! is chosen then. [`Wanted::is_meant_by`] holds the later intent against it.

use crate::{Refusal, bitcoin, evm};
use model::hash;
use model::intent::{Intent, Network, Operation};
use model::keys::VaultKeys;
use model::request::{Ask, Fill, Request};

/// Version of the encoding: nodes that encode otherwise hash otherwise, and so count no approval of one another's.
const FORM: u8 = 1;

/// What a request wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Chain.
    pub network: Network,
    /// Address that pays or signs (Bitcoin: the account's path).
    pub from: String,
    /// What happens, in order; change and the advance of a durable nonce left out.
    pub operations: Vec<Operation>,
}

impl Wanted {
    /// What an approval names: over canonical JSON (fixed field order, no maps, no floats).
    pub fn digest(&self, request: &Request) -> [u8; 32] {
        let operations = serde_json::to_vec(&self.operations).unwrap_or_default();
        let fee = request.fee_max.map(|fee| fee.to_string()).unwrap_or_default();
        let network = self.network.to_string();
        let parts: [&[u8]; 6] = [
            &[FORM],
            &request.vault.0,
            network.as_bytes(),
            self.from.as_bytes(),
            fee.as_bytes(),
            &operations,
        ];
        hash::tagged("outlast/wanted/v1", &parts)
    }

    /// True when bytes with this intent do what was wanted and nothing besides.
    pub fn is_meant_by(&self, intent: &Intent) -> bool {
        intent.network == self.network && meaning(&intent.operations) == self.operations
    }
}

/// Operations without what only brings back or keeps fresh.
fn meaning(operations: &[Operation]) -> Vec<Operation> {
    let means = |operation: &&Operation| {
        !matches!(operation, Operation::Change { .. } | Operation::AdvanceNonce { .. })
    };
    operations.iter().filter(means).cloned().collect()
}

/// Decodes a request before it is filled.
pub fn wanted(keys: &VaultKeys, request: &Request) -> Result<Wanted, Refusal> {
    let network = request.network;
    let of_plan = |fill: &Fill| {
        let plan = crate::build(keys, request, fill)?;
        let operations = meaning(&plan.intent.operations);
        Ok(Wanted { network, from: plan.intent.from.join(" "), operations })
    };
    match (network, &request.ask) {
        (_, Ask::Raw { .. }) => of_plan(&Fill::Nothing),
        (Network::Evm(_), Ask::EvmCall { gas_limit, .. }) => of_plan(&Fill::Evm {
            nonce: 0,
            gas_limit: gas_limit.unwrap_or(evm::ceiling::GAS_LIMIT_MIN),
            max_fee_per_gas: 0,
            max_priority_fee_per_gas: 0,
            cancel: false,
        }),
        (Network::Bitcoin(chain), Ask::BitcoinSend { outputs }) => {
            let operations = bitcoin::payments(chain, outputs)?;
            Ok(Wanted { network, from: request.path.to_string(), operations })
        }
        (Network::Solana(_), _) => {
            of_plan(&Fill::Solana { blockhash: [0; 32], nonce_account: None, cancel: false })
        }
        _ => {
            let reason = format!("not for {network}");
            Err(Refusal::Invalid { field: "ask", reason })
        }
    }
}
