//! One plain function per decoder, for the fuzz tests: any bytes go in, and a broken promise panics.
//!
//! The promises: no decoder panics by itself; what decodes is written again to the same bytes; what is shown is what is
//! hashed. CI feeds these functions a corpus and mutations; `cargo fuzz` calls the same ones for longer.

use crate::evm::{
    address, calldata, message, rpc, transaction::Transaction, typed_data::TypedData,
};
use crate::{decode, parse_raw};
use model::intent::{Network, Operation};
use model::request::RawKind;

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
