//! One plain function per decoder, for the fuzz tests: any bytes go in, and a broken promise panics.
//!
//! The promises: no decoder panics by itself; what decodes is written again to the same bytes; what is shown is what is
//! hashed. CI feeds these functions a corpus and mutations; `cargo fuzz` calls the same ones for longer.

use crate::evm::{
    address, calldata, message, rpc, transaction::Transaction, typed_data::TypedData,
};
use crate::{decode, parse_raw};
use model::amount::Amount;
use model::curve::Curve;
use model::hd::{ChainCode, DerivationPath, ExtendedKey};
use model::ids::{ClientId, NodeId, VaultId};
use model::intent::{BitcoinNetwork, Network, Operation, SolanaCluster};
use model::keys::{KeyKind, VaultKeys};
use model::request::{Ask, Fill, RawKind, Request};
use model::signing::Signature;
use model::time::Timestamp;

/// Every EVM decoder on the same bytes.
pub fn fuzz_evm(data: &[u8]) {
    fuzz_evm_transaction(data);
    fuzz_evm_typed_data(data);
    fuzz_evm_message(data);
    fuzz_evm_rpc(data);
}

/// Unsigned transactions.
pub fn fuzz_evm_transaction(data: &[u8]) {
    let decoded = decode(RawKind::EvmTransaction, None, data);
    let Ok(transaction) = Transaction::parse(data) else {
        assert!(decoded.is_err(), "an intent without a transaction");
        return;
    };
    assert_eq!(transaction.to_bytes(), data, "a second spelling of one transaction");
    let Ok(intent) = decoded else { return };
    let common = transaction.common();
    // What is shown gives the calldata back, byte for byte.
    let parse = |text: &str| address::parse("fuzz", text).unwrap_or_default();
    match intent.operations.as_slice() {
        [Operation::NativeTransfer { to, amount }] => {
            assert_eq!((common.to, common.value), (Some(parse(to)), *amount));
            assert!(common.data.is_empty(), "calldata that is not shown");
        }
        [Operation::TokenTransfer { token, to, amount, .. }] => {
            assert_eq!(common.to, Some(parse(token)));
            assert_eq!(common.data.as_ref(), calldata::transfer(&parse(to), *amount));
        }
        [Operation::TokenApprove { token, spender, amount, .. }] => {
            assert_eq!(common.to, Some(parse(token)));
            assert_eq!(common.data.as_ref(), calldata::approve(&parse(spender), *amount));
        }
        [Operation::ContractCreation { value, .. }] => {
            assert_eq!((common.to, common.value), (None, *value));
        }
        other => unreachable!("a transaction decoded to {other:?}"),
    }
    assert!(intent.fee.at_most <= crate::evm::ceiling::fee_ceiling(common.chain_id));
}

/// EIP-712 documents: another writer's spelling of the same document has the same digest and says the same.
pub fn fuzz_evm_typed_data(data: &[u8]) {
    let Ok(document) = TypedData::parse(data) else { return };
    let value: serde_json::Value = serde_json::from_slice(data).unwrap_or_default();
    let again = serde_json::to_vec(&value).unwrap_or_default();
    let again = TypedData::parse(&again);
    assert_eq!(again.as_ref().map(TypedData::sighash), Ok(document.sighash()));
    assert_eq!(again.and_then(|again| again.reading()), document.reading());
}

/// Personal messages: plain text is shown as it is.
pub fn fuzz_evm_message(data: &[u8]) {
    let Ok(intent) = message::intent(Network::Evm(1), data) else { return };
    match intent.operations.as_slice() {
        [Operation::Message { text }] if intent.notes.is_empty() => {
            assert_eq!(text.as_bytes(), data, "a message shown otherwise without a note");
        }
        [Operation::Message { .. }] => {}
        other => unreachable!("a message decoded to {other:?}"),
    }
}

/// JSON-RPC transaction objects: complete ones give bytes that parse.
pub fn fuzz_evm_rpc(data: &[u8]) {
    if let Ok(text) = core::str::from_utf8(data) {
        for kind in [RawKind::EvmTransaction, RawKind::EvmTypedData, RawKind::Psbt] {
            drop(parse_raw(kind, text));
        }
        drop(address::parse("fuzz", text));
    }
    let Ok(value) = serde_json::from_slice(data) else { return };
    let Ok(object) = rpc::parse_transaction(&value) else { return };
    if let Ok(Some(bytes)) = object.unsigned(object.chain_id.unwrap_or(1)) {
        let read = Transaction::parse(&bytes).map(|transaction| transaction.to_bytes());
        assert!(read.is_err() || read == Ok(bytes), "bytes that read back otherwise");
    }
}

/// The public keys of the corpus' vault: its root private keys are `seed`, `seed + 1` and `seed + 2`.
pub fn keys(seed: u64) -> VaultKeys {
    VaultKeys {
        ecdsa: root(seed),
        bip340: root(seed.saturating_add(1)),
        ed25519: root(seed.saturating_add(2)),
    }
}

fn root<C: Curve>(number: u64) -> ExtendedKey<C> {
    let point = C::mul_base(&C::scalar_from_u64(number));
    let [.., low] = number.to_be_bytes();
    ExtendedKey { point, chain_code: ChainCode([low; 32]) }
}

/// Seed of the vault that the corpus of PSBTs and Solana messages belongs to.
pub const CORPUS_SEED: u64 = 7001;

fn request_of(network: Network, path: &[u32], kind: RawKind, data: &[u8]) -> Request {
    Request {
        vault: VaultId([1; 32]),
        network,
        path: DerivationPath::new(path.to_vec()).unwrap_or_default(),
        ask: Ask::Raw { kind, bytes: data.to_vec() },
        fee_max: None,
        client: ClientId([2; 16]),
        idempotency_key: String::new(),
        initiator: String::new(),
        entry: NodeId([3; 32]),
        created_at: Timestamp(1),
        expires_at: Timestamp(2),
    }
}

/// PSBTs: what a vault would sign pays the fee that another reader of the bytes computes, and zeros finish nothing.
pub fn fuzz_psbt(data: &[u8]) {
    let stranger = decode(RawKind::Psbt, None, data);
    let (keys, network) = (keys(CORPUS_SEED), BitcoinNetwork::Regtest);
    for purpose in [86, 84] {
        let request = request_of(Network::Bitcoin(network), &[purpose, 0, 0], RawKind::Psbt, data);
        let Ok(plan) = crate::build(&keys, &request, &Fill::Nothing) else { continue };
        let intent = stranger.as_ref().map(|intent| (&intent.format, intent.fee.at_most));
        assert_eq!(intent, Ok((&plan.intent.format, plan.fee_at_most)), "two readings");
        assert_eq!(plan.items.len(), plan.spends.len(), "an input without a signature");
        assert!(plan.fee_at_most <= Amount::from_u64(crate::bitcoin::FEE_SAT_MAX));
        if let Ok(psbt) = bitcoin::Psbt::deserialize(data) {
            let fee = psbt.fee().map(|fee| Amount::from_u64(fee.to_sat()));
            assert_eq!(fee.ok(), Some(plan.fee_at_most), "a fee that another reader denies");
        }
        let zeros: Vec<Signature> = plan
            .items
            .iter()
            .map(|item| match item.key {
                KeyKind::Bip340 => Signature::Schnorr([0; 64]),
                _ => Signature::Ecdsa { rs: [0; 64], recovery_id: 0 },
            })
            .collect();
        assert!(crate::finish(&keys, &request, &plan, &zeros).is_err(), "zeros as signatures");
    }
}

/// Solana messages: what a vault would sign stays under the ceiling and does something, and zeros finish nothing.
pub fn fuzz_solana(data: &[u8]) {
    if let Ok(intent) = decode(RawKind::SolanaMessage, None, data) {
        assert!(!intent.operations.is_empty(), "words for nothing");
        assert!(intent.fee.at_most <= Amount::from_u64(crate::solana::FEE_LAMPORTS_MAX));
    }
    let (keys, network) = (keys(CORPUS_SEED), Network::Solana(SolanaCluster::Local));
    let request = request_of(network, &[44, 501, 0, 0], RawKind::SolanaMessage, data);
    let Ok(plan) = crate::build(&keys, &request, &Fill::Nothing) else { return };
    let messages: Vec<&[u8]> = plan.items.iter().map(|item| item.message.as_slice()).collect();
    assert_eq!(messages, [data], "other bytes than were shown");
    let zeros = [Signature::Ed25519([0; 64])];
    assert!(crate::finish(&keys, &request, &plan, &zeros).is_err(), "zeros as a signature");
}
