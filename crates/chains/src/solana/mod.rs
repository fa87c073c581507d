//! Solana: legacy and version 0 messages with one signer, durable nonces, system and token transfers.
//!
//! Spec: `docs/spec/chains-solana.md`, steps `SOL-n`. A Solana signature binds a blockhash, not a cluster: a message is
//! valid on the cluster that knows its blockhash or nonce.
//! Absent on purpose: address lookup tables, several signers, off-chain messages, programs without words.

mod create;
mod message;
mod programs;
#[cfg(test)]
mod tests;

use crate::plan::SpendKey;
use crate::{Account, Address, Artefact, Plan, Refusal};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature as DalekSignature, VerifyingKey};
use message::Read;
use model::amount::Amount;
use model::hash;
use model::hd::{DerivationPath, HdError};
use model::intent::{Fee, Intent, Network, Operation, SolanaCluster};
use model::keys::{KeyKind, VaultKeys};
use model::request::{Ask, Fill, RawKind, Request};
use model::signing::{KeyTweak, SignItem, Signature};
use programs::Decoded;
use solana_pubkey::Pubkey;

/// Unit of every fee.
const UNIT: &str = "lamports";
/// Lamports per signature.
const SIGNATURE_FEE: u64 = 5_000;
/// The most a transaction may pay with priority, lamports (0.02 SOL): 4,000 times the fee without priority.
pub const FEE_LAMPORTS_MAX: u64 = 20_000_000;

/// What the intent of a cancel notes.
const CANCELS: &str =
    "cancel: advance durable nonce; moves nothing and makes the request's transaction void";

/// What the intent of a transaction under a recent blockhash notes.
const STALE: &str =
    "goes stale within about a minute; use a durable nonce where people must approve";

/// Builds the bytes of `(request, fill)`, decodes them, and checks that they are this request within every ceiling.
pub fn build(
    keys: &VaultKeys,
    request: &Request,
    cluster: SolanaCluster,
    fill: &Fill,
) -> Result<Plan, Refusal> {
    let fill_wrong = |reason: &str| Refusal::Invalid { field: "fill", reason: reason.to_owned() };
    match (&request.ask, fill) {
        (Ask::Raw { kind: RawKind::SolanaMessage, bytes }, Fill::Nothing) => {
            plan(keys, request, cluster, bytes.clone())
        }
        (Ask::Raw { kind: RawKind::SolanaMessage, .. }, _) => {
            Err(fill_wrong("a message is complete"))
        }
        (
            Ask::SolanaTransfer { .. } | Ask::SolanaTokenTransfer { .. },
            Fill::Solana { blockhash, nonce_account, cancel },
        ) => {
            let payer = key_at(keys, &request.path)?;
            let ask = (!cancel).then_some(&request.ask);
            let bytes = create::message(payer, ask, *blockhash, *nonce_account)?;
            let mut plan = plan(keys, request, cluster, bytes)?;
            create::is_the_request(&plan.intent, ask, *nonce_account)?;
            if *cancel {
                plan.intent.notes.push(CANCELS.to_owned());
            }
            Ok(plan)
        }
        (Ask::SolanaTransfer { .. } | Ask::SolanaTokenTransfer { .. }, _) => {
            Err(fill_wrong("a blockhash is needed"))
        }
        (_, _) => Err(Refusal::Invalid {
            field: "ask",
            reason: format!("not for {}", Network::Solana(cluster)),
        }),
    }
}

/// Decodes with the vault: the intent, and what is to be signed.
fn plan(
    keys: &VaultKeys,
    request: &Request,
    cluster: SolanaCluster,
    bytes: Vec<u8>,
) -> Result<Plan, Refusal> {
    let read = message::read(&bytes)?;
    if read.payer != key_at(keys, &request.path)? {
        let what = format!("signer {}", read.payer);
        return Err(Refusal::NotOurs { what, path: request.path.to_string() });
    }
    let intent = intent(&read, cluster)?;
    let fee = intent.fee.at_most;
    if let Some(ceiling) = request.fee_max
        && fee > ceiling
    {
        return Err(Refusal::FeeOverCeiling { fee, ceiling, unit: UNIT, which: "request" });
    }
    let spends = vec![spend_key(&read, &intent, cluster, &bytes)];
    let item = SignItem {
        key: KeyKind::Ed25519,
        path: request.path.clone(),
        tweak: KeyTweak::None,
        message: bytes.clone(),
    };
    Ok(Plan {
        network: Network::Solana(cluster),
        kind: RawKind::SolanaMessage,
        intent,
        unsigned: bytes,
        items: vec![item],
        spends,
        fee_at_most: fee,
    })
}

/// The nonce account that makes a message durable: its first instruction advances it.
fn durable(intent: &Intent) -> Option<&str> {
    match intent.operations.first() {
        Some(Operation::AdvanceNonce { account, .. }) => Some(account),
        _ => None,
    }
}

fn spend_key(read: &Read, intent: &Intent, cluster: SolanaCluster, bytes: &[u8]) -> SpendKey {
    let network = Network::Solana(cluster).to_string();
    let word = network.trim_start_matches("solana:");
    let value = Pubkey::from(read.blockhash);
    SpendKey(match durable(intent) {
        Some(account) => format!("sol:{word}:nonce:{account}:{value}"),
        None => format!("sol:{word}:{value}:{}", hex::encode(hash::sha256(bytes))),
    })
}

fn intent(read: &Read, cluster: SolanaCluster) -> Result<Intent, Refusal> {
    let decoded = programs::decode(read.payer, &read.instructions)?;
    let fee = fee(&decoded)?;
    let format = match read.version {
        message::Version::Legacy => "solana-legacy",
        message::Version::V0 => "solana-v0",
    };
    let mut intent = Intent {
        network: Network::Solana(cluster),
        format: format.to_owned(),
        from: vec![read.payer.to_string()],
        operations: decoded.operations,
        fee,
        single_use: String::new(),
        notes: decoded.notes,
    };
    let value = Pubkey::from(read.blockhash);
    intent.single_use = match durable(&intent) {
        Some(account) => format!("nonce {value} of account {account}; does not expire"),
        None => {
            intent.notes.push(STALE.to_owned());
            format!("blockhash {value}; expires about a minute after it")
        }
    };
    Ok(intent)
}

/// SOL-8: base fee and the most that priority can cost, under the built-in ceiling.
fn fee(decoded: &Decoded) -> Result<Fee, Refusal> {
    let priority = decoded.priority_fee();
    let fee = SIGNATURE_FEE.saturating_add(priority);
    let (at_most, ceiling) = (Amount::from_u64(fee), Amount::from_u64(FEE_LAMPORTS_MAX));
    match fee > FEE_LAMPORTS_MAX {
        true => {
            Err(Refusal::FeeOverCeiling { fee: at_most, ceiling, unit: UNIT, which: "built-in" })
        }
        false => Ok(Fee {
            at_most,
            detail: format!("{SIGNATURE_FEE} lamports and at most {priority} for priority"),
        }),
    }
}

/// SOL-10: puts the signature before the message: the transaction's wire bytes, base64, and its id.
pub fn finish(
    keys: &VaultKeys,
    request: &Request,
    plan: &Plan,
    signatures: &[Signature],
) -> Result<Artefact, Refusal> {
    let bad = || Refusal::Signature(0);
    let [Signature::Ed25519(bytes)] = signatures else { return Err(bad()) };
    let read = message::read(&plan.unsigned)?;
    let key = key_at(keys, &request.path)?;
    if read.payer != key {
        return Err(bad());
    }
    let verifier = VerifyingKey::from_bytes(&key.to_bytes()).map_err(|_| bad())?;
    let signature = DalekSignature::from_bytes(bytes);
    verifier.verify_strict(&plan.unsigned, &signature).map_err(|_| bad())?;
    let raw = [&[1][..], bytes, &plan.unsigned].concat();
    Ok(Artefact {
        text: STANDARD.encode(&raw),
        raw,
        txid: Some(bs58::encode(bytes).into_string()),
        psbt: None,
    })
}

/// Decodes a message without a vault. A message names no cluster: without one it is shown for `solana:mainnet`.
pub fn decode(network: Option<Network>, bytes: &[u8]) -> Result<Intent, Refusal> {
    let read = message::read(bytes)?;
    match network {
        Some(Network::Solana(cluster)) => intent(&read, cluster),
        Some(other) => {
            Err(Refusal::WrongNetwork { found: "solana".to_owned(), wanted: other.to_string() })
        }
        None => {
            let mut intent = intent(&read, SolanaCluster::Mainnet)?;
            intent.notes.push("no cluster was named, and the bytes name none".to_owned());
            Ok(intent)
        }
    }
}

fn key_at(keys: &VaultKeys, path: &DerivationPath) -> Result<Pubkey, Refusal> {
    let bytes = keys.public_at(KeyKind::Ed25519, path)?;
    let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| Refusal::Path(HdError::Key))?;
    Ok(Pubkey::from(bytes))
}

/// The address at `path`: base58 of the derived key.
pub fn address(keys: &VaultKeys, path: &DerivationPath) -> Result<Address, Refusal> {
    let key = key_at(keys, path)?;
    let public_key = key.to_bytes().to_vec();
    Ok(Address { text: key.to_string(), key: KeyKind::Ed25519, public_key })
}

/// The account's public key in hex.
///
/// # Security
/// Without the chain code: the additive scheme is this project's own, so no wallet could use it, and whoever holds
/// chain codes sees every address.
pub fn account(keys: &VaultKeys, path: &DerivationPath) -> Result<Account, Refusal> {
    let key = key_at(keys, path)?;
    Ok(Account { extended_key: hex::encode(key.to_bytes()), descriptors: Vec::new() })
}

/// The associated token account of `owner` for `mint` under the SPL Token program.
pub fn associated_token_account(owner: [u8; 32], mint: [u8; 32]) -> Option<[u8; 32]> {
    let [owner, mint] = [owner, mint].map(Pubkey::from);
    programs::associated_account(owner, mint, programs::TOKEN).map(|key| key.to_bytes())
}
