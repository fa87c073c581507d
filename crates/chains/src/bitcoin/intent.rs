//! From a checked PSBT to words, with or without a vault.

use super::check::Checked;
use super::ours::Claim;
use super::ours::{self, Found};
use crate::Refusal;
use bitcoin::locktime::absolute::LockTime;
use bitcoin::psbt::{Input, Output};
use bitcoin::{Address, ScriptBuf, TxOut};
use model::amount::Amount;
use model::hd::DerivationPath;
use model::intent::{BitcoinNetwork, Fee, Intent, Network, Operation};
use model::keys::VaultKeys;

/// Key origins of one PSBT at most.
const CLAIMS_MAX: usize = 512;

/// The vault's paths in a PSBT.
pub(super) struct Owned {
    /// Path of each input.
    pub inputs: Vec<DerivationPath>,
    /// Path of each output that comes back to the account.
    pub outputs: Vec<Option<DerivationPath>>,
}

/// Finds the vault's inputs and change; an input of somebody else or a false change is refused.
pub(super) fn own(
    keys: &VaultKeys,
    account: &DerivationPath,
    checked: &Checked,
) -> Result<Owned, Refusal> {
    let psbt = &checked.psbt;
    let claims = claims_total(checked);
    if claims > CLAIMS_MAX {
        return Err(Refusal::TooLong { found: claims, max: CLAIMS_MAX });
    }
    let inputs = psbt
        .inputs
        .iter()
        .zip(&checked.prevouts)
        .enumerate()
        .map(|(index, (input, prevout))| own_input(keys, account, index, input, prevout))
        .collect::<Result<_, _>>()?;
    let outputs = psbt
        .outputs
        .iter()
        .zip(&psbt.unsigned_tx.output)
        .enumerate()
        .map(|(index, (output, paid))| own_output(keys, account, index, output, paid))
        .collect::<Result<_, _>>()?;
    Ok(Owned { inputs, outputs })
}

/// Every claim costs a derivation, so a PSBT full of them is refused before the first.
fn claims_total(checked: &Checked) -> usize {
    let inputs = checked.psbt.inputs.iter();
    let inputs = inputs.map(|i| i.tap_key_origins.len().saturating_add(i.bip32_derivation.len()));
    let outputs = checked.psbt.outputs.iter();
    let outputs = outputs.map(|o| o.tap_key_origins.len().saturating_add(o.bip32_derivation.len()));
    inputs.chain(outputs).fold(0, usize::saturating_add)
}

/// BTC-7: an input is ours if the script derived at a claimed path inside the account is its script.
fn own_input(
    keys: &VaultKeys,
    account: &DerivationPath,
    index: usize,
    input: &Input,
    prevout: &TxOut,
) -> Result<DerivationPath, Refusal> {
    let claims: Vec<Claim> = match prevout.script_pubkey.is_p2tr() {
        true => input.tap_key_origins.values().map(|(_, source)| Claim::of(source)).collect(),
        false => input.bip32_derivation.values().map(Claim::of).collect(),
    };
    let not_ours = |what: String, path: String| Refusal::NotOurs { what, path };
    let path = match ours::find(keys, account, &prevout.script_pubkey, &claims) {
        Found::Inside(path) => path,
        Found::Outside(path) => {
            let what = format!("input {index} (at {path}, outside the account)");
            return Err(not_ours(what, account.to_string()));
        }
        Found::Lie(path) => return Err(not_ours(format!("input {index}"), path)),
        Found::Unclaimed => {
            let what = format!("input {index} (no key origin leads to it)");
            return Err(not_ours(what, account.to_string()));
        }
    };
    if let Some(claimed) = input.tap_internal_key
        && claimed != ours::internal_key_at(keys, &path)?
    {
        return Err(not_ours(format!("internal key of input {index}"), path.to_string()));
    }
    Ok(path)
}

/// BTC-8: an output is the account's only by derivation; a claim of this vault that derives to something else is a lie.
fn own_output(
    keys: &VaultKeys,
    account: &DerivationPath,
    index: usize,
    output: &Output,
    paid: &TxOut,
) -> Result<Option<DerivationPath>, Refusal> {
    let claims: Vec<Claim> = claims_of(output);
    match ours::find(keys, account, &paid.script_pubkey, &claims) {
        Found::Inside(path) => Ok(Some(path)),
        // Another account of the vault is another level: shown as a transfer, not as change.
        Found::Unclaimed | Found::Outside(_) => Ok(None),
        Found::Lie(path) => {
            Err(Refusal::NotOurs { what: format!("output {index}, claimed as change,"), path })
        }
    }
}

fn claims_of(output: &Output) -> Vec<Claim> {
    let taproot = output.tap_key_origins.values().map(|(_, source)| Claim::of(source));
    taproot.chain(output.bip32_derivation.values().map(Claim::of)).collect()
}

/// The intent. Without `owned` nothing is called change.
pub(super) fn intent(
    checked: &Checked,
    network: BitcoinNetwork,
    owned: Option<(&DerivationPath, &Owned)>,
) -> Intent {
    let transaction = &checked.psbt.unsigned_tx;
    let mut notes = timing_notes(checked);
    let mut operations = Vec::new();
    for (index, (paid, output)) in transaction.output.iter().zip(&checked.psbt.outputs).enumerate()
    {
        let path = owned.and_then(|(account, owned)| {
            let path = owned.outputs.get(index)?.as_ref()?;
            Some((account, path))
        });
        let claimed = owned.is_none() && !claims_of(output).is_empty();
        operations.push(operation(network, index, paid, path, claimed, &mut notes));
    }
    if checked.ignored > 0 {
        notes.push(format!("{} fields that are not known here were left out", checked.ignored));
    }
    let mut from: Vec<String> = Vec::new();
    for prevout in &checked.prevouts {
        let address = address_text(network, &prevout.script_pubkey);
        if !from.contains(&address) {
            from.push(address);
        }
    }
    let coins: Vec<String> =
        transaction.input.iter().map(|input| input.previous_output.to_string()).collect();
    Intent {
        network: Network::Bitcoin(network),
        format: format!("psbt-v{}", checked.version),
        from,
        operations,
        fee: fee(checked),
        single_use: format!("spends {}", coins.join(", ")),
        notes,
    }
}

fn operation(
    network: BitcoinNetwork,
    index: usize,
    paid: &TxOut,
    path: Option<(&DerivationPath, &DerivationPath)>,
    claimed: bool,
    notes: &mut Vec<String>,
) -> Operation {
    let script = &paid.script_pubkey;
    let amount = Amount::from_u64(paid.value.to_sat());
    if script.is_op_return() {
        if paid.value.to_sat() > 0 {
            notes.push(format!("output {index} burns {amount} sat"));
        }
        return Operation::Data { bytes: hex::encode(op_return_data(script)) };
    }
    if paid.value < script.minimal_non_dust() {
        notes.push(format!("output {index} is dust: nodes will not relay it"));
    }
    let to = address_text(network, script);
    if let Some((account, path)) = path {
        match ours::below(account, path) {
            Some((1, _)) => return Operation::Change { to, amount, path: path.to_string() },
            _ => notes.push(format!("output {index} pays this account's own address at {path}")),
        }
    }
    if claimed {
        notes.push(format!("output {index} is claimed as change; only the vault's nodes can tell"));
    }
    Operation::NativeTransfer { to, amount }
}

/// What follows OP_RETURN: the pushed bytes where it is one push, else the script's tail.
fn op_return_data(script: &ScriptBuf) -> Vec<u8> {
    let mut instructions = script.instructions();
    let _op_return = instructions.next();
    match (instructions.next(), instructions.next()) {
        (Some(Ok(push)), None) => {
            push.push_bytes().map(|bytes| bytes.as_bytes().to_vec()).unwrap_or_default()
        }
        _ => script.as_bytes().split_first().map(|(_, tail)| tail.to_vec()).unwrap_or_default(),
    }
}

fn fee(checked: &Checked) -> Fee {
    // Tenths of a satoshi per virtual byte, without floats.
    let tenths = checked.fee.saturating_mul(10).checked_div(checked.vsize).unwrap_or_default();
    let (whole, tenth) = (tenths / 10, tenths % 10);
    Fee {
        at_most: Amount::from_u64(checked.fee),
        detail: format!("{} sat for {} vB, {whole}.{tenth} sat/vB", checked.fee, checked.vsize),
    }
}

fn timing_notes(checked: &Checked) -> Vec<String> {
    let transaction = &checked.psbt.unsigned_tx;
    let mut notes = Vec::new();
    if transaction.input.iter().any(|input| input.sequence.is_rbf()) {
        notes.push("replaceable by a higher fee (BIP-125)".to_owned());
    }
    let lock_holds =
        transaction.input.iter().any(|input| input.sequence.enables_absolute_lock_time());
    match transaction.lock_time {
        LockTime::ZERO => {}
        _ if !lock_holds => {}
        LockTime::Blocks(height) => notes.push(format!("not before block {height}")),
        LockTime::Seconds(time) => notes.push(format!("not before second {time}")),
    }
    for (index, input) in transaction.input.iter().enumerate() {
        let lock = input.sequence.to_relative_lock_time().filter(|_| transaction.version.0 >= 2);
        if let Some(lock) = lock.filter(|lock| *lock != bitcoin::relative::LockTime::ZERO) {
            notes.push(format!("input {index} must be {lock} old (BIP-68)"));
        }
    }
    notes
}

/// Address of a script, or the script's hex where it has none.
pub(super) fn address_text(network: BitcoinNetwork, script: &ScriptBuf) -> String {
    match Address::from_script(script, ours::network_of(network)) {
        Ok(address) => address.to_string(),
        Err(_) => script.to_hex_string(),
    }
}
