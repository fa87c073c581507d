//! One request made ready to sign: intent, bytes, signatures needed, and what it uses up on chain.

use crate::{Refusal, bitcoin, evm, solana};
use model::amount::Amount;
use model::intent::{Intent, Network};
use model::keys::VaultKeys;
use model::request::{Fill, RawKind, Request};
use model::signing::{SignItem, Signature};

/// Something that can be used once on chain: an account nonce, a coin, a blockhash or durable nonce. Two requests that
/// share one are rivals: at most one of them can ever be mined.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpendKey(pub String);

/// A request made ready to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Chain.
    pub network: Network,
    /// Format of [`Plan::unsigned`].
    pub kind: RawKind,
    /// What this node decoded from [`Plan::unsigned`].
    pub intent: Intent,
    /// The unsigned bytes.
    pub unsigned: Vec<u8>,
    /// The signatures needed, in order.
    pub items: Vec<SignItem>,
    /// What it uses up.
    pub spends: Vec<SpendKey>,
    /// The most that the network can take.
    pub fee_at_most: Amount,
}

/// A finished artefact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artefact {
    /// Raw signed transaction, or the signature of a message (65 bytes for EVM).
    pub raw: Vec<u8>,
    /// [`Artefact::raw`] in the chain's own spelling (`0x…`, hex, base64).
    pub text: String,
    /// Transaction id in the chain's spelling; none for messages.
    pub txid: Option<String>,
    /// Bitcoin: the signed PSBT (version 0), base64.
    pub psbt: Option<String>,
}

/// CHAIN-1: builds the bytes of `(request, fill)`, decodes them, and checks that they are this request within every ceiling.
pub fn build(keys: &VaultKeys, request: &Request, fill: &Fill) -> Result<Plan, Refusal> {
    match request.network {
        Network::Evm(chain_id) => evm::build(keys, request, chain_id, fill),
        Network::Bitcoin(network) => bitcoin::build(keys, request, network, fill),
        Network::Solana(cluster) => solana::build(keys, request, cluster, fill),
    }
}

/// CHAIN-3: puts verified signatures into the bytes. `signatures` stand in the order of [`Plan::items`].
pub fn finish(
    keys: &VaultKeys,
    request: &Request,
    plan: &Plan,
    signatures: &[Signature],
) -> Result<Artefact, Refusal> {
    match plan.network {
        Network::Evm(_) => evm::finish(keys, request, plan, signatures),
        Network::Bitcoin(network) => bitcoin::finish(keys, network, plan, signatures),
        Network::Solana(_) => solana::finish(keys, request, plan, signatures),
    }
}

/// CHAIN-2: decodes bytes without a vault: the intent, or the named refusal. The nodes' own function.
pub fn decode(kind: RawKind, network: Option<Network>, bytes: &[u8]) -> Result<Intent, Refusal> {
    match kind {
        RawKind::EvmTransaction | RawKind::EvmTypedData | RawKind::EvmMessage => {
            evm::decode(kind, network, bytes)
        }
        RawKind::Psbt => bitcoin::decode(network, bytes),
        RawKind::SolanaMessage => solana::decode(network, bytes),
    }
}
