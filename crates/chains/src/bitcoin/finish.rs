//! From signatures to a transaction: each is verified with libsecp256k1 against the sighash rebuilt here.

use super::check::{self, Checked};
use super::ours;
use crate::{Artefact, Plan, Refusal};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bitcoin::consensus::serialize;
use bitcoin::key::TapTweak;
use bitcoin::psbt::Input;
use bitcoin::secp256k1::{Message, PublicKey, Secp256k1, VerifyOnly, ecdsa, schnorr};
use bitcoin::sighash::EcdsaSighashType;
use bitcoin::{TxOut, Witness, taproot};
use model::keys::{KeyKind, VaultKeys};
use model::signing::{SignItem, Signature};

/// The raw transaction, its id and the finalised PSBT.
pub(super) fn finish(
    keys: &VaultKeys,
    plan: &Plan,
    signatures: &[Signature],
) -> Result<Artefact, Refusal> {
    let mut checked = check::check(&plan.unsigned)?;
    let count = checked.psbt.inputs.len();
    if signatures.len() != count || plan.items.len() != count {
        return Err(Refusal::Signature(signatures.len().min(count)));
    }
    let secp = Secp256k1::verification_only();
    let mut witnesses = Vec::with_capacity(count);
    let each = plan.items.iter().zip(signatures).zip(check::sighashes(&checked)?);
    for (index, ((item, signature), sighash)) in each.enumerate() {
        let made = witness(&secp, keys, &checked, index, sighash, (item, signature));
        witnesses.push(made.ok_or(Refusal::Signature(index))?);
    }
    let inputs = checked.psbt.inputs.iter_mut().zip(&checked.prevouts);
    for ((input, prevout), witness) in inputs.zip(witnesses) {
        *input = finalised(input, prevout, witness);
    }
    let mut transaction = checked.psbt.unsigned_tx.clone();
    for (spends, input) in transaction.input.iter_mut().zip(&checked.psbt.inputs) {
        spends.witness = input.final_script_witness.clone().unwrap_or_default();
    }
    let raw = serialize(&transaction);
    Ok(Artefact {
        text: hex::encode(&raw),
        raw,
        txid: Some(transaction.compute_txid().to_string()),
        psbt: Some(STANDARD.encode(checked.psbt.serialize())),
    })
}

/// BIP-174, finaliser: only the coin and the witness stay.
fn finalised(input: &Input, prevout: &TxOut, witness: Witness) -> Input {
    Input {
        non_witness_utxo: input.non_witness_utxo.clone(),
        witness_utxo: Some(prevout.clone()),
        final_script_witness: Some(witness),
        ..Input::default()
    }
}

/// BTC-9: the witness of one input, if the signature is good for the script that the input spends.
fn witness(
    secp: &Secp256k1<VerifyOnly>,
    keys: &VaultKeys,
    checked: &Checked,
    index: usize,
    sighash: [u8; 32],
    (item, signature): (&SignItem, &Signature),
) -> Option<Witness> {
    let prevout = checked.prevouts.get(index)?;
    let input = checked.psbt.inputs.get(index)?;
    let script = ours::script_at(keys, &item.path).ok()?;
    if item.message != sighash || script != prevout.script_pubkey {
        return None;
    }
    let key = ours::key_at(keys, &item.path).ok()?;
    let message = Message::from_digest(sighash);
    match (item.key, signature) {
        (KeyKind::Bip340, Signature::Schnorr(bytes)) => {
            let signature = schnorr::Signature::from_slice(bytes).ok()?;
            let (internal, _) = key.x_only_public_key();
            let (output, _) = internal.tap_tweak(secp, None);
            secp.verify_schnorr(&signature, &message, &output.to_x_only_public_key()).ok()?;
            let sighash_type = input.taproot_hash_ty().ok()?;
            Some(Witness::p2tr_key_spend(&taproot::Signature { signature, sighash_type }))
        }
        (KeyKind::Ecdsa, Signature::Ecdsa { rs, .. }) => ecdsa_witness(secp, &key, &message, rs),
        _ => None,
    }
}

fn ecdsa_witness(
    secp: &Secp256k1<VerifyOnly>,
    key: &PublicKey,
    message: &Message,
    rs: &[u8; 64],
) -> Option<Witness> {
    let signature = ecdsa::Signature::from_compact(rs).ok()?;
    // High s does not verify here: nodes would not relay it (BIP-146).
    secp.verify_ecdsa(message, &signature, key).ok()?;
    let sighash_type = EcdsaSighashType::All;
    Some(Witness::p2wpkh(&bitcoin::ecdsa::Signature { signature, sighash_type }, key))
}
