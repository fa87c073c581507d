//! What every PSBT must satisfy, whoever owns its inputs: true input amounts, known script forms, plain sighash types,
//! a fee under the built-in ceiling.
//!
//! Spec: `docs/spec/chains-bitcoin.md`, steps `BTC-n`.

use super::psbt::{self, Read};
use crate::Refusal;
use bitcoin::hashes::Hash;
use bitcoin::psbt::Input;
use bitcoin::sighash::{EcdsaSighashType, Prevouts, SighashCache, TapSighashType};
use bitcoin::{Amount, Psbt, ScriptBuf, TxIn, TxOut};
use model::amount::Amount as Units;
use model::limits;
use std::collections::BTreeSet;

/// The most a transaction may pay, satoshi: Bitcoin Core's default for `-maxtxfee`.
pub const FEE_SAT_MAX: u64 = 10_000_000;
/// The most per virtual byte, satoshi: a fifth of Bitcoin Core's default for `maxfeerate`.
pub const FEE_RATE_MAX: u64 = 2_000;
/// 21 million bitcoin in satoshi.
const MONEY_MAX: u64 = 2_100_000_000_000_000;
/// Weight of segwit's marker and flag.
const SEGWIT_MARKER_WEIGHT: u64 = 2;
/// Witness of a key-path spend: count, length, 64 bytes and a sighash byte.
const TAPROOT_WITNESS_WEIGHT: u64 = 67;
/// Witness of wpkh at its longest: count, length, 72 bytes, length, 33 bytes.
const WPKH_WITNESS_WEIGHT: u64 = 108;

/// A PSBT whose amounts are true.
pub(super) struct Checked {
    pub psbt: Psbt,
    pub version: u8,
    pub ignored: usize,
    /// The output each input spends.
    pub prevouts: Vec<TxOut>,
    /// Satoshi.
    pub fee: u64,
    /// Virtual bytes once signed, at most.
    pub vsize: u64,
}

/// Reads and checks a PSBT.
pub(super) fn check(bytes: &[u8]) -> Result<Checked, Refusal> {
    let Read { psbt, version, ignored } = psbt::read(bytes)?;
    let count = psbt.inputs.len();
    if count > limits::ITEMS_PER_REQUEST_MAX {
        return Err(Refusal::TooLong { found: count, max: limits::ITEMS_PER_REQUEST_MAX });
    }
    let transaction = &psbt.unsigned_tx;
    // BTC-1: one input, one coin.
    let distinct: BTreeSet<_> = transaction.input.iter().map(|i| i.previous_output).collect();
    if distinct.len() != transaction.input.len() {
        return Err(invalid("input", "the same coin is spent twice".to_owned()));
    }
    if !(1..=3).contains(&transaction.version.0) {
        let reason = format!("{}; 1, 2 and 3 are relayed", transaction.version.0);
        return Err(invalid("transaction version", reason));
    }
    let prevouts = transaction
        .input
        .iter()
        .zip(&psbt.inputs)
        .enumerate()
        .map(|(index, (spends, input))| coin(index, spends, input))
        .collect::<Result<Vec<_>, _>>()?;
    for output in &transaction.output {
        output_form(&output.script_pubkey)?;
    }
    let vsize = signed_vsize(&psbt, &prevouts);
    let fee = fee(&prevouts, &transaction.output)?;
    fee_ceiling(fee, vsize)?;
    Ok(Checked { psbt, version, ignored, prevouts, fee, vsize })
}

pub(super) fn invalid(field: &'static str, reason: String) -> Refusal {
    Refusal::Invalid { field, reason }
}

fn forbidden(what: &'static str, why: &'static str) -> Refusal {
    Refusal::Forbidden { what, why }
}

/// BTC-2: the output that an input spends, with an amount that cannot be a lie.
fn coin(index: usize, spends: &TxIn, input: &Input) -> Result<TxOut, Refusal> {
    let outpoint = spends.previous_output;
    let from_whole = match &input.non_witness_utxo {
        None => None,
        Some(whole) => {
            let found = whole.compute_txid();
            if found != outpoint.txid {
                let reason =
                    format!("input {index} spends {}, the transaction is {found}", outpoint.txid);
                return Err(invalid("non_witness_utxo", reason));
            }
            let vout = usize::try_from(outpoint.vout).unwrap_or(usize::MAX);
            let output = whole.output.get(vout).ok_or_else(|| {
                let reason = format!("input {index} spends output {vout}, which does not exist");
                invalid("non_witness_utxo", reason)
            })?;
            Some(output)
        }
    };
    if let (Some(whole), Some(said)) = (from_whole, &input.witness_utxo)
        && whole != said
    {
        let (said, whole) = (said.value.to_sat(), whole.value.to_sat());
        let reason =
            format!("input {index}: {said} sat there, {whole} sat (or another script) in truth");
        return Err(invalid("witness_utxo", reason));
    }
    let any = from_whole.or(input.witness_utxo.as_ref());
    let output = any.ok_or(Refusal::Missing("witness_utxo (the output an input spends)"))?;
    input_form(input, &output.script_pubkey)?;
    // A wpkh signature commits to its own input's amount only: with a lie about two inputs in turn, a thief could join
    // two signatures into one transaction that burns the difference. The whole previous transaction settles it.
    if output.script_pubkey.is_p2wpkh() && from_whole.is_none() {
        return Err(Refusal::Missing("non_witness_utxo (the whole transaction of a wpkh coin)"));
    }
    Ok(output.clone())
}

/// BTC-3: only key-path taproot and wpkh, unsigned, with a plain sighash type.
fn input_form(input: &Input, script: &ScriptBuf) -> Result<(), Refusal> {
    if script.is_p2wsh() {
        return Err(forbidden("a p2wsh input", "scripts are not decoded"));
    }
    if script.is_p2sh() || input.redeem_script.is_some() {
        return Err(forbidden("a p2sh input", "scripts are not decoded"));
    }
    if !script.is_p2tr() && !script.is_p2wpkh() {
        return Err(forbidden("a legacy input", "only taproot and wpkh coins are spent"));
    }
    let script_path = !input.tap_scripts.is_empty()
        || !input.tap_script_sigs.is_empty()
        || input.tap_merkle_root.is_some()
        || input.tap_key_origins.values().any(|(leaves, _)| !leaves.is_empty());
    if script_path {
        return Err(forbidden("a taproot script path", "only the key path is signed (BIP-86)"));
    }
    if input.witness_script.is_some() {
        return Err(forbidden("a witness script", "scripts are not decoded"));
    }
    let signed = input.final_script_sig.is_some()
        || input.final_script_witness.is_some()
        || !input.partial_sigs.is_empty()
        || input.tap_key_sig.is_some();
    if signed {
        return Err(forbidden("an input with a signature", "bring the PSBT unsigned"));
    }
    sighash_form(input, script)
}

fn sighash_form(input: &Input, script: &ScriptBuf) -> Result<(), Refusal> {
    let plain = match script.is_p2tr() {
        true => {
            matches!(input.taproot_hash_ty(), Ok(TapSighashType::Default | TapSighashType::All))
        }
        false => matches!(input.ecdsa_hash_ty(), Ok(EcdsaSighashType::All)),
    };
    match plain {
        true => Ok(()),
        false => Err(forbidden(
            "a sighash type other than DEFAULT or ALL",
            "the signature would not cover the whole transaction",
        )),
    }
}

/// BTC-4: an output has an address or carries data.
fn output_form(script: &ScriptBuf) -> Result<(), Refusal> {
    // Every network has the same script forms; the network of the address does not matter here.
    let address = bitcoin::Address::from_script(script, bitcoin::Network::Bitcoin);
    match script.is_op_return() || address.is_ok() {
        true => Ok(()),
        false => Err(forbidden("an output without an address", "nobody can read who is paid")),
    }
}

fn fee(prevouts: &[TxOut], outputs: &[TxOut]) -> Result<u64, Refusal> {
    let inputs = total(prevouts.iter().map(|o| o.value))?;
    let outputs = total(outputs.iter().map(|o| o.value))?;
    inputs.checked_sub(outputs).ok_or_else(|| {
        invalid("fee", format!("outputs hold {outputs} sat, inputs only {inputs} sat"))
    })
}

/// Sum in satoshi, within the money that can exist.
pub(super) fn total(mut amounts: impl Iterator<Item = Amount>) -> Result<u64, Refusal> {
    amounts
        .try_fold(0u64, |sum, amount| sum.checked_add(amount.to_sat()))
        .filter(|sum| *sum <= MONEY_MAX)
        .ok_or_else(|| invalid("amount", "more than 21 million bitcoin".to_owned()))
}

/// BTC-5: the built-in ceiling, absolute and by size.
pub(super) fn fee_ceiling(fee: u64, vsize: u64) -> Result<(), Refusal> {
    let ceiling = FEE_SAT_MAX.min(vsize.saturating_mul(FEE_RATE_MAX));
    match fee > ceiling {
        false => Ok(()),
        true => Err(Refusal::FeeOverCeiling {
            fee: Units::from_u64(fee),
            ceiling: Units::from_u64(ceiling),
            unit: super::UNIT,
            which: "built-in",
        }),
    }
}

/// Virtual size once signed, rounded up.
pub(super) fn signed_vsize(psbt: &Psbt, prevouts: &[TxOut]) -> u64 {
    let witness = prevouts.iter().map(|prevout| match prevout.script_pubkey.is_p2tr() {
        true => TAPROOT_WITNESS_WEIGHT,
        false => WPKH_WITNESS_WEIGHT,
    });
    let weight = witness.fold(SEGWIT_MARKER_WEIGHT, u64::saturating_add);
    psbt.unsigned_tx.weight().to_wu().saturating_add(weight).div_ceil(4)
}

/// BTC-6: the hash that each input signs, over the whole transaction.
pub(super) fn sighashes(checked: &Checked) -> Result<Vec<[u8; 32]>, Refusal> {
    let bad = |reason: String| invalid("sighash", reason);
    let prevouts = Prevouts::All(&checked.prevouts);
    // One cache for all inputs: what they share is hashed once.
    let mut cache = SighashCache::new(&checked.psbt.unsigned_tx);
    let inputs = checked.psbt.inputs.iter().zip(&checked.prevouts).enumerate();
    inputs
        .map(|(index, (input, prevout))| {
            if prevout.script_pubkey.is_p2tr() {
                let kind = input.taproot_hash_ty().map_err(|e| bad(e.to_string()))?;
                let hash = cache.taproot_key_spend_signature_hash(index, &prevouts, kind);
                return hash.map(|h| h.to_byte_array()).map_err(|e| bad(e.to_string()));
            }
            let (script, kind) = (&prevout.script_pubkey, EcdsaSighashType::All);
            let hash = cache.p2wpkh_signature_hash(index, script, prevout.value, kind);
            hash.map(|h| h.to_byte_array()).map_err(|e| bad(e.to_string()))
        })
        .collect()
}
