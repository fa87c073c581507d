//! From an ask and its fill to a PSBT version 0: one spelling, so that every node makes the same bytes.
//!
//! Transaction version 2, lock time 0, every input replaceable, outputs in the request's order, change last.

use super::check::{self, invalid};
use super::{intent, ours};
use crate::Refusal;
use bitcoin::address::NetworkUnchecked;
use bitcoin::consensus::deserialize;
use bitcoin::locktime::absolute::LockTime;
use bitcoin::psbt::{Input, Output};
use bitcoin::transaction::Version;
use bitcoin::{
    Address, Amount, OutPoint, Psbt, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness,
};
use model::amount::Amount as Units;
use model::hd::DerivationPath;
use model::intent::{BitcoinNetwork, Intent, Network, Operation};
use model::keys::{KeyKind, VaultKeys};
use model::limits;
use model::request::{Coin, Fill};

/// Child number of the change chain below an account.
const CHANGE_CHAIN: u32 = 1;
/// Witness weight of one input at most (wpkh; taproot is smaller).
const INPUT_WITNESS_WEIGHT: u64 = 108;

/// BTC-10: the PSBT of a send.
pub(super) fn psbt(
    keys: &VaultKeys,
    network: BitcoinNetwork,
    account: &DerivationPath,
    outputs: &[(String, u64)],
    coins: &[Coin],
    change: Option<(u32, u64)>,
) -> Result<Vec<u8>, Refusal> {
    assemble(keys, network, account, outputs, coins, change).map(|psbt| psbt.serialize())
}

/// The PSBT before it is written.
pub(super) fn assemble(
    keys: &VaultKeys,
    network: BitcoinNetwork,
    account: &DerivationPath,
    outputs: &[(String, u64)],
    coins: &[Coin],
    change: Option<(u32, u64)>,
) -> Result<Psbt, Refusal> {
    if coins.len() > limits::ITEMS_PER_REQUEST_MAX {
        return Err(Refusal::TooLong { found: coins.len(), max: limits::ITEMS_PER_REQUEST_MAX });
    }
    let inputs: Vec<(TxIn, Input)> =
        coins.iter().map(|coin| input(keys, account, coin)).collect::<Result<_, _>>()?;
    let mut paid: Vec<(TxOut, Output)> = outputs
        .iter()
        .map(|(address, sat)| {
            let script_pubkey = script_of(network, address)?;
            let value = Amount::from_sat(*sat);
            Ok((TxOut { value, script_pubkey }, Output::default()))
        })
        .collect::<Result<_, Refusal>>()?;
    if let Some((number, sat)) = change {
        paid.push(change_output(keys, account, number, sat)?);
    }
    let (input, inputs): (Vec<_>, Vec<_>) = inputs.into_iter().unzip();
    let (output, outputs): (Vec<_>, Vec<_>) = paid.into_iter().unzip();
    let transaction =
        Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input, output };
    let mut psbt = Psbt::from_unsigned_tx(transaction)
        .map_err(|e| Refusal::Malformed { format: "PSBT", reason: e.to_string() })?;
    psbt.inputs = inputs;
    psbt.outputs = outputs;
    Ok(psbt)
}

/// The transaction's output that a coin names, checked to be this account's.
fn coin_output(
    keys: &VaultKeys,
    account: &DerivationPath,
    coin: &Coin,
) -> Result<(Transaction, TxOut, DerivationPath), Refusal> {
    let whole: Transaction = deserialize(&coin.transaction)
        .map_err(|e| Refusal::Malformed { format: "Bitcoin transaction", reason: e.to_string() })?;
    let index = usize::try_from(coin.vout).unwrap_or(usize::MAX);
    let output = whole.output.get(index).cloned().ok_or_else(|| {
        invalid("coin", format!("{} has no output {}", whole.compute_txid(), coin.vout))
    })?;
    let path = account.child(coin.child.0)?.child(coin.child.1)?;
    match ours::script_at(keys, &path)? == output.script_pubkey {
        true => Ok((whole, output, path)),
        false => Err(Refusal::NotOurs {
            what: format!("coin {}:{}", whole.compute_txid(), coin.vout),
            path: path.to_string(),
        }),
    }
}

fn input(
    keys: &VaultKeys,
    account: &DerivationPath,
    coin: &Coin,
) -> Result<(TxIn, Input), Refusal> {
    let (whole, output, path) = coin_output(keys, account, coin)?;
    let spends = TxIn {
        previous_output: OutPoint { txid: whole.compute_txid(), vout: coin.vout },
        script_sig: ScriptBuf::new(),
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        witness: Witness::new(),
    };
    let key = ours::key_at(keys, &path)?;
    let origin = ours::origin(keys, &path);
    let mut map = Input { witness_utxo: Some(output), ..Input::default() };
    match ours::kind_at(&path) {
        KeyKind::Ecdsa => {
            map.non_witness_utxo = Some(whole);
            map.bip32_derivation.insert(key, origin);
        }
        _ => {
            let (internal, _) = key.x_only_public_key();
            map.tap_internal_key = Some(internal);
            map.tap_key_origins.insert(internal, (Vec::new(), origin));
        }
    }
    Ok((spends, map))
}

fn change_output(
    keys: &VaultKeys,
    account: &DerivationPath,
    number: u32,
    sat: u64,
) -> Result<(TxOut, Output), Refusal> {
    let path = account.child(CHANGE_CHAIN)?.child(number)?;
    let paid = TxOut { value: Amount::from_sat(sat), script_pubkey: ours::script_at(keys, &path)? };
    let key = ours::key_at(keys, &path)?;
    let origin = ours::origin(keys, &path);
    let mut map = Output::default();
    match ours::kind_at(&path) {
        KeyKind::Ecdsa => {
            map.bip32_derivation.insert(key, origin);
        }
        _ => {
            let (internal, _) = key.x_only_public_key();
            map.tap_internal_key = Some(internal);
            map.tap_key_origins.insert(internal, (Vec::new(), origin));
        }
    }
    Ok((paid, map))
}

/// Script of an address of this network.
fn script_of(network: BitcoinNetwork, text: &str) -> Result<ScriptBuf, Refusal> {
    let shown: String = text.chars().take(100).collect();
    let address: Address<NetworkUnchecked> = text
        .parse()
        .map_err(|e: bitcoin::address::ParseError| invalid("address", format!("`{shown}`: {e}")))?;
    let wanted = Network::Bitcoin(network).to_string();
    address
        .require_network(ours::network_of(network))
        .map(|address| address.script_pubkey())
        .map_err(|_| Refusal::WrongNetwork { found: shown, wanted })
}

/// The transfers of a send, in the words of its intent, before coins are chosen.
pub(crate) fn payments(
    network: BitcoinNetwork,
    outputs: &[(String, u64)],
) -> Result<Vec<Operation>, Refusal> {
    let payment = |(address, sat): &(String, u64)| {
        let to = intent::address_text(network, &script_of(network, address)?);
        Ok(Operation::NativeTransfer { to, amount: Units::from_u64(*sat) })
    };
    outputs.iter().map(payment).collect()
}

/// The decoded bytes must say what was asked: the same outputs in the same order, then the change.
pub(super) fn is_the_request(
    network: BitcoinNetwork,
    intent: &Intent,
    outputs: &[(String, u64)],
    change: Option<(u32, u64)>,
) -> Result<(), Refusal> {
    let other = |reason: String| Err(Refusal::NotTheRequest(reason));
    let wanted = outputs.len().saturating_add(usize::from(change.is_some()));
    if intent.operations.len() != wanted {
        return other(format!("{} outputs, {wanted} wanted", intent.operations.len()));
    }
    for (operation, (address, sat)) in intent.operations.iter().zip(outputs) {
        let to = intent::address_text(network, &script_of(network, address)?);
        if *operation != (Operation::NativeTransfer { to, amount: Units::from_u64(*sat) }) {
            return other(format!("no transfer of {sat} sat to {address}"));
        }
    }
    let last = intent.operations.last();
    match (change, last) {
        (None, _) => Ok(()),
        (Some((_, sat)), Some(Operation::Change { amount, .. }))
            if *amount == Units::from_u64(sat) =>
        {
            Ok(())
        }
        (Some((number, sat)), _) => other(format!("no change of {sat} sat at number {number}")),
    }
}

/// Chooses the change that leaves `fee` to the miners. A change too small to be relayed goes to the fee instead.
pub fn fill_from_coins(
    keys: &VaultKeys,
    network: BitcoinNetwork,
    account: &DerivationPath,
    outputs: &[(String, u64)],
    coins: Vec<Coin>,
    fee: u64,
    change_number: u32,
) -> Result<Fill, Refusal> {
    let amounts = coins
        .iter()
        .map(|coin| coin_output(keys, account, coin).map(|(_, output, _)| output.value))
        .collect::<Result<Vec<_>, _>>()?;
    let held = check::total(amounts.into_iter())?;
    for (address, _) in outputs {
        script_of(network, address)?;
    }
    let paid = check::total(outputs.iter().map(|(_, sat)| Amount::from_sat(*sat)))?;
    let needed = paid.saturating_add(fee);
    let rest = held.checked_sub(needed).ok_or_else(|| {
        invalid("coins", format!("they hold {held} sat, {needed} sat are needed with the fee"))
    })?;
    let (change, _) = change_output(keys, account, change_number, rest)?;
    let worth_it = change.value >= change.script_pubkey.minimal_non_dust();
    let change = worth_it.then_some((change_number, rest));
    Ok(Fill::Bitcoin { inputs: coins, change, cancel: false })
}

/// Virtual bytes of a send with `inputs` coins of the account and a change output, at most: what a fee rate multiplies.
pub fn vsize_at_most(
    keys: &VaultKeys,
    network: BitcoinNetwork,
    account: &DerivationPath,
    outputs: &[(String, u64)],
    inputs: usize,
) -> Result<u64, Refusal> {
    let spends = TxIn { sequence: Sequence::ENABLE_RBF_NO_LOCKTIME, ..TxIn::default() };
    let mut output = outputs
        .iter()
        .map(|(address, sat)| {
            let script_pubkey = script_of(network, address)?;
            Ok(TxOut { value: Amount::from_sat(*sat), script_pubkey })
        })
        .collect::<Result<Vec<_>, Refusal>>()?;
    output.push(change_output(keys, account, 0, 0)?.0);
    let inputs = inputs.min(limits::ITEMS_PER_REQUEST_MAX);
    let transaction = Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![spends; inputs],
        output,
    };
    let witness = u64::try_from(inputs).unwrap_or(u64::MAX).saturating_mul(INPUT_WITNESS_WEIGHT);
    let weight = transaction.weight().to_wu().saturating_add(witness).saturating_add(2);
    Ok(weight.div_ceil(4))
}
