//! Bitcoin: PSBT version 0 and 2, taproot key path (BIP-86) and wpkh (BIP-84 scripts), nothing else.
//!
//! A transaction is signed whole or not at all: every input is the request's account's, every amount is proven, and
//! every sighash covers all inputs and outputs. Change is recognised by derivation alone.
//!
//! Spec: `docs/spec/chains-bitcoin.md`. Absent on purpose: script paths, multisig, legacy and p2sh inputs, joint
//! transactions with others, coin selection.

mod account;
mod check;
mod create;
mod finish;
mod intent;
mod ours;
mod psbt;
mod replace;
#[cfg(test)]
mod tests;

pub use check::{FEE_RATE_MAX, FEE_SAT_MAX};
pub(crate) use create::payments;
pub use create::{fill_from_coins, vsize_at_most};
pub(crate) use replace::outbids;
pub use replace::{Wish, replacement};

use crate::plan::SpendKey;
use crate::{Account, Address, Artefact, Plan, Refusal};
use check::Checked;
use intent::Owned;
use model::amount::Amount;
use model::hd::DerivationPath;
use model::intent::{BitcoinNetwork, Intent, Network};
use model::keys::{KeyKind, VaultKeys};
use model::request::{Ask, Fill, RawKind, Request};
use model::signing::{KeyTweak, SignItem, Signature};

/// Unit of every amount.
const UNIT: &str = "satoshi";

/// What the intent of a cancel notes.
const CANCELS: &str = "cancels the request: its coins come back to this account, less the fee";

/// Builds the bytes of `(request, fill)`, decodes them, and checks that they are this request within every ceiling.
pub fn build(
    keys: &VaultKeys,
    request: &Request,
    network: BitcoinNetwork,
    fill: &Fill,
) -> Result<Plan, Refusal> {
    let fill_wrong = |reason: &str| Refusal::Invalid { field: "fill", reason: reason.to_owned() };
    match (&request.ask, fill) {
        (Ask::Raw { kind: RawKind::Psbt, bytes }, Fill::Nothing) => {
            plan(keys, request, network, bytes.clone())
        }
        (Ask::Raw { kind: RawKind::Psbt, .. }, _) => Err(fill_wrong("a PSBT is complete")),
        (Ask::BitcoinSend { outputs }, Fill::Bitcoin { inputs, change, cancel }) => {
            let paid: &[(String, u64)] = if *cancel { &[] } else { outputs };
            let bytes = create::psbt(keys, network, &request.path, paid, inputs, *change)?;
            let mut plan = plan(keys, request, network, bytes)?;
            create::is_the_request(network, &plan.intent, paid, *change)?;
            if *cancel {
                plan.intent.notes.push(CANCELS.to_owned());
            }
            Ok(plan)
        }
        (Ask::BitcoinSend { .. }, _) => Err(fill_wrong("coins are needed")),
        (_, _) => Err(Refusal::Invalid {
            field: "ask",
            reason: format!("not for {}", Network::Bitcoin(network)),
        }),
    }
}

/// Decodes with the vault: the intent, and what is to be signed.
fn plan(
    keys: &VaultKeys,
    request: &Request,
    network: BitcoinNetwork,
    bytes: Vec<u8>,
) -> Result<Plan, Refusal> {
    let checked = check::check(&bytes)?;
    let owned = intent::own(keys, &request.path, &checked)?;
    let fee = Amount::from_u64(checked.fee);
    if let Some(ceiling) = request.fee_max
        && fee > ceiling
    {
        return Err(Refusal::FeeOverCeiling { fee, ceiling, unit: UNIT, which: "request" });
    }
    Ok(Plan {
        network: Network::Bitcoin(network),
        kind: RawKind::Psbt,
        intent: intent::intent(&checked, network, Some((&request.path, &owned))),
        items: items(&checked, &owned)?,
        spends: spends(&checked, network),
        fee_at_most: fee,
        unsigned: bytes,
    })
}

fn items(checked: &Checked, owned: &Owned) -> Result<Vec<SignItem>, Refusal> {
    let item = |(path, sighash): (&DerivationPath, [u8; 32])| {
        let key = ours::kind_at(path);
        let tweak = match key {
            KeyKind::Bip340 => KeyTweak::Taproot(None),
            _ => KeyTweak::None,
        };
        SignItem { key, path: path.clone(), tweak, message: sighash.to_vec() }
    };
    Ok(owned.inputs.iter().zip(check::sighashes(checked)?).map(item).collect())
}

fn spends(checked: &Checked, network: BitcoinNetwork) -> Vec<SpendKey> {
    let word = ours::network_word(network);
    let coins = checked.psbt.unsigned_tx.input.iter().map(|input| input.previous_output);
    coins.map(|coin| SpendKey(format!("btc:{word}:{}:{}", coin.txid, coin.vout))).collect()
}

/// Puts verified signatures into the PSBT: the raw transaction, its id, and the finalised PSBT (version 0).
pub fn finish(
    keys: &VaultKeys,
    network: BitcoinNetwork,
    plan: &Plan,
    signatures: &[Signature],
) -> Result<Artefact, Refusal> {
    match plan.network == Network::Bitcoin(network) {
        true => finish::finish(keys, plan, signatures),
        false => Err(Refusal::WrongNetwork {
            found: plan.network.to_string(),
            wanted: Network::Bitcoin(network).to_string(),
        }),
    }
}

/// Decodes a PSBT without a vault. A PSBT names no network: without one, addresses are spelled for `bitcoin:main`.
pub fn decode(network: Option<Network>, bytes: &[u8]) -> Result<Intent, Refusal> {
    let checked = check::check(bytes)?;
    match network {
        Some(Network::Bitcoin(network)) => Ok(intent::intent(&checked, network, None)),
        Some(other) => {
            Err(Refusal::WrongNetwork { found: "bitcoin".to_owned(), wanted: other.to_string() })
        }
        None => {
            let mut intent = intent::intent(&checked, BitcoinNetwork::Main, None);
            intent.notes.push("no network was named: addresses are those of bitcoin:main".into());
            Ok(intent)
        }
    }
}

/// The address at `path`: wpkh for purpose 84, else taproot (BIP-86).
pub fn address(
    keys: &VaultKeys,
    network: BitcoinNetwork,
    path: &DerivationPath,
) -> Result<Address, Refusal> {
    account::address(keys, network, path)
}

/// Extended public key and the descriptors (receive, change) of the account at `path`.
pub fn account(
    keys: &VaultKeys,
    network: BitcoinNetwork,
    path: &DerivationPath,
) -> Result<Account, Refusal> {
    account::account(keys, network, path)
}
