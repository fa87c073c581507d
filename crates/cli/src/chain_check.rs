//! A second opinion on finished transactions: other libraries than those that made the signature.
//!
//! The signing engines are dkls23 and FROST over k256 and curve25519-dalek. Here libsecp256k1 (Bitcoin Core's library)
//! and ed25519-dalek verify the raw transaction, read anew from its bytes, against the address alone.

use alloy_consensus::{SignableTransaction, TxEnvelope};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, keccak256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bitcoin::sighash::{Prevouts, SighashCache, TapSighashType};
use bitcoin::{Transaction, TxOut};
use ed25519_dalek::{Signature as EdSignature, VerifyingKey};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, Secp256k1, XOnlyPublicKey};

/// Recovers the sender of a signed EVM transaction and compares it with `address`.
pub(crate) fn evm(raw: &str, address: &str) -> Result<String, String> {
    let bytes = hex::decode(raw.trim_start_matches("0x")).map_err(|e| e.to_string())?;
    let mut rest = bytes.as_slice();
    let envelope = TxEnvelope::decode_2718(&mut rest).map_err(|e| e.to_string())?;
    if !rest.is_empty() {
        return Err("bytes follow the transaction".to_owned());
    }
    let TxEnvelope::Eip1559(signed) = envelope else {
        return Err("not an EIP-1559 transaction".to_owned());
    };
    let signature = signed.signature();
    let rs = [signature.r().to_be_bytes::<32>(), signature.s().to_be_bytes::<32>()].concat();
    let hash = signed.tx().signature_hash();
    let sender = recover(hash.0, &rs, signature.v())?;
    match sender.eq_ignore_ascii_case(address) {
        true => Ok(format!("recovers to {address} (checked by libsecp256k1)")),
        false => Err(format!("recovers to {sender}, not to {address}")),
    }
}

fn recover(hash: [u8; 32], rs: &[u8], odd: bool) -> Result<String, String> {
    let id = RecoveryId::from_i32(i32::from(odd)).map_err(|e| e.to_string())?;
    let signature = RecoverableSignature::from_compact(rs, id).map_err(|e| e.to_string())?;
    let key = Secp256k1::verification_only()
        .recover_ecdsa(&Message::from_digest(hash), &signature)
        .map_err(|e| e.to_string())?;
    let point = key.serialize_uncompressed();
    let tail = keccak256(point.get(1..).unwrap_or_default());
    Ok(Address::from_slice(tail.get(12..).unwrap_or_default()).to_string())
}

/// Verifies every input of a signed taproot transaction by BIP-341's key path against the coins that it spends.
pub(crate) fn taproot(raw: &str, coins: &[TxOut]) -> Result<String, String> {
    let bytes = hex::decode(raw).map_err(|e| e.to_string())?;
    let transaction: Transaction =
        bitcoin::consensus::deserialize(&bytes).map_err(|e| e.to_string())?;
    if transaction.input.len() != coins.len() {
        return Err(format!("{} inputs, {} coins", transaction.input.len(), coins.len()));
    }
    let secp = Secp256k1::verification_only();
    let mut cache = SighashCache::new(&transaction);
    for (at, (input, coin)) in transaction.input.iter().zip(coins).enumerate() {
        let hash = cache
            .taproot_key_spend_signature_hash(at, &Prevouts::All(coins), TapSighashType::Default)
            .map_err(|e| e.to_string())?;
        let script = coin.script_pubkey.as_bytes();
        let key = script.get(2..34).unwrap_or_default();
        let key = XOnlyPublicKey::from_slice(key).map_err(|e| e.to_string())?;
        let witness: Vec<&[u8]> = input.witness.iter().collect();
        let [signature] = witness.as_slice() else {
            return Err(format!("input {at} has {} witness items, not 1", witness.len()));
        };
        let signature =
            secp256k1::schnorr::Signature::from_slice(signature).map_err(|e| e.to_string())?;
        let message = Message::from_digest(*AsRef::<[u8; 32]>::as_ref(&hash));
        secp.verify_schnorr(&signature, &message, &key)
            .map_err(|_| format!("the signature of input {at} does not verify"))?;
    }
    Ok("Schnorr signature verifies under the address's key (checked by libsecp256k1)".to_owned())
}

/// Verifies the one signature of a Solana transaction against its first account, which must be `address`.
pub(crate) fn solana(raw: &str, address: &str) -> Result<String, String> {
    let bytes = STANDARD.decode(raw).map_err(|e| e.to_string())?;
    let Some((1, rest)) = bytes.split_first() else {
        return Err("not a transaction with one signature".to_owned());
    };
    let (signature, message) = rest.split_at_checked(64).ok_or("the signature is cut off")?;
    let payer = first_account(message).ok_or("the message names no payer")?;
    let named = bs58::encode(payer).into_string();
    if named != address {
        return Err(format!("{named} pays, not {address}"));
    }
    let key = VerifyingKey::from_bytes(payer).map_err(|e| e.to_string())?;
    let signature = EdSignature::from_slice(signature).map_err(|e| e.to_string())?;
    key.verify_strict(message, &signature)
        .map_err(|_| "the signature does not verify".to_owned())?;
    Ok(format!("signature verifies under {address} (checked by ed25519-dalek)"))
}

/// First account key of a legacy or v0 message: version byte (v0 only), three header bytes, a count below 128, keys.
fn first_account(message: &[u8]) -> Option<&[u8; 32]> {
    let start = match message.first()? {
        0x80 => 5,
        _ => 4,
    };
    message.get(start..)?.first_chunk::<32>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};

    #[test]
    fn the_signed_example_of_eip_155_style_is_read_and_a_changed_one_refused() {
        // A 1559 transaction signed by libsecp256k1 with the key 0x…01 (address 0x7E5F…5Bdf).
        let secret = secp256k1::SecretKey::from_slice(&{
            let mut key = [0u8; 32];
            key[31] = 1;
            key
        })
        .unwrap();
        let tx =
            alloy_consensus::TxEip1559 { chain_id: 31337, gas_limit: 21_000, ..Default::default() };
        let hash = tx.signature_hash();
        let (id, rs) = Secp256k1::new()
            .sign_ecdsa_recoverable(&Message::from_digest(hash.0), &secret)
            .serialize_compact();
        let signature = alloy_primitives::Signature::from_bytes_and_parity(&rs, id.to_i32() == 1);
        let envelope = TxEnvelope::Eip1559(tx.into_signed(signature));
        let mut raw = Vec::new();
        alloy_eips::eip2718::Encodable2718::encode_2718(&envelope, &mut raw);
        let address = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf";
        assert!(evm(&hex::encode(&raw), address).is_ok());
        let last = raw.len() - 1;
        raw[last] ^= 1;
        assert!(evm(&hex::encode(&raw), address).is_err());
    }

    #[test]
    fn a_solana_signature_counts_only_for_its_own_payer() {
        let key = SigningKey::from_bytes(&[5; 32]);
        let mut message = vec![1, 0, 1, 2];
        message.extend(key.verifying_key().to_bytes());
        message.extend([0u8; 32]);
        let mut raw = vec![1];
        raw.extend(key.sign(&message).to_bytes());
        raw.extend(&message);
        let address = bs58::encode(key.verifying_key().to_bytes()).into_string();
        assert!(solana(&STANDARD.encode(&raw), &address).is_ok());
        assert!(solana(&STANDARD.encode(&raw), "11111111111111111111111111111111").is_err());
        let last = raw.len() - 1;
        raw[last] ^= 1;
        assert!(solana(&STANDARD.encode(&raw), &address).unwrap_err().contains("does not verify"));
    }

    #[test]
    fn a_taproot_spend_is_checked_against_the_coin_it_spends() {
        use bitcoin::{
            Amount, OutPoint, ScriptBuf, Sequence, TxIn, Witness, absolute, transaction,
        };
        let secp = Secp256k1::new();
        let pair = secp256k1::Keypair::from_seckey_slice(&secp, &[7; 32]).unwrap();
        let key = pair.x_only_public_key().0.serialize();
        let script = ScriptBuf::from_bytes([&[0x51, 0x20], &key[..]].concat());
        let coin = TxOut { value: Amount::from_sat(1000), script_pubkey: script.clone() };
        let mut spend = Transaction {
            version: transaction::Version::TWO,
            lock_time: absolute::LockTime::ZERO,
            input: vec![TxIn {
                previous_output: OutPoint::default(),
                script_sig: ScriptBuf::new(),
                sequence: Sequence::MAX,
                witness: Witness::new(),
            }],
            output: vec![TxOut { value: Amount::from_sat(900), script_pubkey: script }],
        };
        let coins = [coin];
        let hash = SighashCache::new(&spend)
            .taproot_key_spend_signature_hash(0, &Prevouts::All(&coins), TapSighashType::Default)
            .unwrap();
        let message = Message::from_digest(*AsRef::<[u8; 32]>::as_ref(&hash));
        let signature = secp.sign_schnorr_no_aux_rand(&message, &pair);
        spend.input[0].witness.push(signature.as_ref());
        let raw = bitcoin::consensus::encode::serialize_hex(&spend);
        assert!(taproot(&raw, &coins).is_ok());
        let richer = [TxOut { value: Amount::from_sat(2000), ..coins[0].clone() }];
        assert!(taproot(&raw, &richer).unwrap_err().contains("does not verify"));
    }
}
