//! The transaction object of Ethereum's JSON-RPC (`eth_sendTransaction`, `eth_signTransaction`), read strictly.
//!
//! Spec: `docs/spec/chains.md`, EVM-RPC. Unknown fields are refused: a field that we would ignore may be the one that the
//! caller relies on. Absent on purpose: estimating and asking a chain node.

use crate::Refusal;
use crate::evm::address::{self, EvmAddress};
use crate::evm::transaction::Transaction;
use alloy_consensus::{TxEip1559, TxEip2930, TxLegacy};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{B256, TxKind, U256};
use model::amount::Amount;
use model::limits::TRANSACTION_BYTES_MAX;
use model::request::Ask;
use serde_json::{Map, Value};

/// What the caller says about fees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RpcFee {
    /// Nothing: the node chooses.
    Open,
    /// `gasPrice`.
    Price(u128),
    /// `maxFeePerGas`, `maxPriorityFeePerGas`; either may be open.
    Cap {
        /// Wei per gas at most.
        max_fee: Option<u128>,
        /// Wei per gas for the producer at most.
        tip: Option<u128>,
    },
}

/// A transaction object that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcTransaction {
    /// Sender, if named.
    pub from: Option<EvmAddress>,
    /// Recipient; none creates a contract.
    pub to: Option<EvmAddress>,
    /// Wei.
    pub value: Amount,
    /// Calldata or init code.
    pub data: Vec<u8>,
    /// Gas limit.
    pub gas: Option<u64>,
    /// Fees.
    pub fee: RpcFee,
    /// Account nonce.
    pub nonce: Option<u64>,
    /// EIP-155 chain id.
    pub chain_id: Option<u64>,
    /// EIP-2718 type: 0, 1 or 2.
    pub kind: Option<u8>,
    /// EIP-2930 access list, empty if none.
    pub access_list: Vec<AccessEntry>,
}

/// An address and the storage keys of it that a transaction says it will touch.
pub type AccessEntry = (EvmAddress, Vec<[u8; 32]>);

const KNOWN: [&str; 13] = [
    "from",
    "to",
    "value",
    "gas",
    "gasPrice",
    "maxFeePerGas",
    "maxPriorityFeePerGas",
    "nonce",
    "data",
    "input",
    "chainId",
    "type",
    "accessList",
];

/// Reads the transaction object of a JSON-RPC call.
pub fn parse_transaction(value: &Value) -> Result<RpcTransaction, Refusal> {
    let map = value.as_object().ok_or_else(|| invalid("transaction", "not an object"))?;
    refuse_unknown(map)?;
    let kind = match quantity(map, "type")?.map(|kind| kind.to_u64()) {
        None => None,
        Some(Some(kind @ 0..=2)) => u8::try_from(kind).ok(),
        Some(Some(3)) => return Err(blob()),
        Some(Some(4)) => return Err(delegation()),
        Some(_) => return Err(invalid("type", "not 0, 1 or 2")),
    };
    let transaction = RpcTransaction {
        from: account(map, "from")?,
        to: account(map, "to")?,
        value: quantity(map, "value")?.unwrap_or(Amount::ZERO),
        data: parse_data(map)?,
        gas: small(map, "gas")?,
        fee: parse_fee(map)?,
        nonce: small(map, "nonce")?,
        chain_id: small(map, "chainId")?,
        kind,
        access_list: parse_access_list(map)?,
    };
    check_kind(&transaction)?;
    Ok(transaction)
}

impl RpcTransaction {
    /// The same wish as a request whose nonce and fee are filled at signing. An access list has no place there.
    pub fn ask(&self) -> Result<Ask, Refusal> {
        if !self.access_list.is_empty() {
            return Err(invalid("accessList", "needs nonce, gas and fees beside it"));
        }
        let (to, value) = (self.to, self.value);
        Ok(Ask::EvmCall { to, value, data: self.data.clone(), gas_limit: self.gas })
    }

    /// EVM-RPC-4: the exact unsigned bytes, where the object says everything: nonce, gas and fees. `None` if it does not.
    pub fn unsigned(&self, chain_id: u64) -> Result<Option<Vec<u8>>, Refusal> {
        self.check_chain(chain_id)?;
        let (Some(nonce), Some(gas_limit)) = (self.nonce, self.gas) else {
            return Ok(None);
        };
        let to = self.to.map_or(TxKind::Create, |to| TxKind::Call(to.into()));
        let value = U256::from_be_bytes(self.value.0);
        let input = self.data.clone().into();
        let list = || {
            let item = |(address, keys): &AccessEntry| AccessListItem {
                address: (*address).into(),
                storage_keys: keys.iter().copied().map(B256::from).collect(),
            };
            AccessList(self.access_list.iter().map(item).collect())
        };
        let transaction = match self.fee {
            RpcFee::Price(gas_price) if self.kind != Some(1) && self.access_list.is_empty() => {
                let chain_id = Some(chain_id);
                let tx = TxLegacy { chain_id, nonce, gas_price, gas_limit, to, value, input };
                Transaction::Legacy(tx)
            }
            RpcFee::Price(gas_price) => {
                let access_list = list();
                let tx = TxEip2930 {
                    chain_id,
                    nonce,
                    gas_price,
                    gas_limit,
                    to,
                    value,
                    access_list,
                    input,
                };
                Transaction::Eip2930(tx)
            }
            RpcFee::Cap { max_fee: Some(max_fee_per_gas), tip: Some(max_priority_fee_per_gas) } => {
                Transaction::Eip1559(TxEip1559 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas,
                    max_priority_fee_per_gas,
                    to,
                    value,
                    access_list: list(),
                    input,
                })
            }
            RpcFee::Open | RpcFee::Cap { .. } => return Ok(None),
        };
        Ok(Some(transaction.to_bytes()))
    }

    /// Fee cap and tip that the caller named; a plain price is both, which costs the same.
    pub fn caps(&self) -> (Option<u128>, Option<u128>) {
        match self.fee {
            RpcFee::Open => (None, None),
            RpcFee::Price(price) => (Some(price), Some(price)),
            RpcFee::Cap { max_fee, tip } => (max_fee, tip),
        }
    }

    /// Refuses an object for another chain.
    pub fn check_chain(&self, chain_id: u64) -> Result<(), Refusal> {
        match self.chain_id {
            Some(found) if found != chain_id => Err(Refusal::WrongNetwork {
                found: format!("evm:{found}"),
                wanted: format!("evm:{chain_id}"),
            }),
            _ => Ok(()),
        }
    }
}

fn invalid(field: &'static str, reason: &str) -> Refusal {
    Refusal::Invalid { field, reason: reason.to_owned() }
}

fn blob() -> Refusal {
    let (what, why) = ("a blob transaction (EIP-4844)", "its blobs are not in the bytes");
    Refusal::Forbidden { what, why }
}

fn delegation() -> Refusal {
    Refusal::Forbidden {
        what: "a code delegation (EIP-7702)",
        why: "one signature hands the whole account to somebody's code",
    }
}

/// EVM-RPC-1: a field that we do not know, or a class of transaction that we refuse.
fn refuse_unknown(map: &Map<String, Value>) -> Result<(), Refusal> {
    match map.keys().map(String::as_str).find(|key| !KNOWN.contains(key)) {
        None => Ok(()),
        Some("authorizationList") => Err(delegation()),
        Some("blobs" | "blobVersionedHashes" | "maxFeePerBlobGas" | "sidecars") => Err(blob()),
        Some(other) => {
            let other: String = other.chars().take(60).collect();
            let reason = format!("unknown field `{}`", other.escape_default());
            Err(invalid("transaction", &reason))
        }
    }
}

/// The value under `key`; `null` counts as absent, as clients write it.
fn present<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    map.get(key).filter(|value| !value.is_null())
}

fn text<'a>(map: &'a Map<String, Value>, key: &'static str) -> Result<Option<&'a str>, Refusal> {
    let text = |value: &'a Value| value.as_str().ok_or_else(|| invalid(key, "not a text"));
    present(map, key).map(text).transpose()
}

fn account(map: &Map<String, Value>, key: &'static str) -> Result<Option<EvmAddress>, Refusal> {
    text(map, key)?.map(|text| address::parse(key, text)).transpose()
}

/// EVM-RPC-2: a quantity of the execution API: `0x`, then hex without leading zeros.
fn quantity(map: &Map<String, Value>, key: &'static str) -> Result<Option<Amount>, Refusal> {
    let Some(text) = text(map, key)? else {
        return Ok(None);
    };
    let bad = || invalid(key, "not a quantity: 0x and hex without leading zeros, at most 256 bits");
    let digits = text.strip_prefix("0x").ok_or_else(bad)?;
    let canonical = digits == "0" || !(digits.is_empty() || digits.starts_with('0'));
    if !canonical || digits.len() > 64 {
        return Err(bad());
    }
    let bytes = hex::decode(format!("{digits:0>64}")).map_err(|_| bad())?;
    <[u8; 32]>::try_from(bytes).map(|bytes| Some(Amount(bytes))).map_err(|_| bad())
}

fn small(map: &Map<String, Value>, key: &'static str) -> Result<Option<u64>, Refusal> {
    let over = || invalid(key, "over 64 bits");
    quantity(map, key)?.map(|amount| amount.to_u64().ok_or_else(over)).transpose()
}

fn price(map: &Map<String, Value>, key: &'static str) -> Result<Option<u128>, Refusal> {
    let over = || invalid(key, "over 128 bits");
    quantity(map, key)?.map(|amount| amount.to_u128().ok_or_else(over)).transpose()
}

fn bytes(key: &'static str, text: &str) -> Result<Vec<u8>, Refusal> {
    let digits = text.strip_prefix("0x").ok_or_else(|| invalid(key, "does not begin with 0x"))?;
    let found = digits.len() / 2;
    if found > TRANSACTION_BYTES_MAX {
        return Err(Refusal::TooLong { found, max: TRANSACTION_BYTES_MAX });
    }
    hex::decode(digits).map_err(|error| invalid(key, &error.to_string()))
}

/// `data` or `input`; both only if they are the same bytes.
fn parse_data(map: &Map<String, Value>) -> Result<Vec<u8>, Refusal> {
    let data = text(map, "data")?.map(|text| bytes("data", text)).transpose()?;
    let input = text(map, "input")?.map(|text| bytes("input", text)).transpose()?;
    match (data, input) {
        (Some(data), Some(input)) if data != input => {
            Err(invalid("data", "differs from input; send one of them"))
        }
        (data, input) => Ok(data.or(input).unwrap_or_default()),
    }
}

fn parse_fee(map: &Map<String, Value>) -> Result<RpcFee, Refusal> {
    let max_fee = price(map, "maxFeePerGas")?;
    let tip = price(map, "maxPriorityFeePerGas")?;
    match (price(map, "gasPrice")?, max_fee, tip) {
        (None, None, None) => Ok(RpcFee::Open),
        (Some(price), None, None) => Ok(RpcFee::Price(price)),
        (None, max_fee, tip) => Ok(RpcFee::Cap { max_fee, tip }),
        (Some(_), _, _) => Err(invalid("gasPrice", "stands beside maxFeePerGas; send one")),
    }
}

fn parse_access_list(map: &Map<String, Value>) -> Result<Vec<AccessEntry>, Refusal> {
    const FIELD: &str = "accessList";
    let Some(list) = present(map, FIELD) else {
        return Ok(Vec::new());
    };
    let entry = |item: &Value| {
        let item = item.as_object().ok_or_else(|| invalid(FIELD, "an entry is no object"))?;
        if item.keys().any(|key| key != "address" && key != "storageKeys") {
            return Err(invalid(FIELD, "an entry has an unknown field"));
        }
        let keys = item.get("storageKeys").and_then(Value::as_array);
        let keys = keys.ok_or_else(|| invalid(FIELD, "an entry has no storageKeys"))?;
        let key = |key: &Value| {
            let bytes = bytes(FIELD, key.as_str().unwrap_or_default())?;
            bytes.try_into().map_err(|_| invalid(FIELD, "a storage key is not 32 bytes"))
        };
        let address = account(item, "address")?.ok_or(Refusal::Missing("accessList address"))?;
        Ok((address, keys.iter().map(key).collect::<Result<_, _>>()?))
    };
    let list = list.as_array().ok_or_else(|| invalid(FIELD, "not a list"))?;
    list.iter().map(entry).collect()
}

/// EVM-RPC-3: the type must go with the fee fields and the access list.
fn check_kind(transaction: &RpcTransaction) -> Result<(), Refusal> {
    let capped = matches!(transaction.fee, RpcFee::Cap { .. });
    let priced = matches!(transaction.fee, RpcFee::Price(_));
    let fits = match transaction.kind {
        Some(0) => !capped && transaction.access_list.is_empty(),
        Some(1) => !capped,
        Some(_) => !priced,
        None => true,
    };
    match fits {
        true => Ok(()),
        false => Err(invalid("type", "does not go with the fee fields or the access list")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TO: &str = "0x2222222222222222222222222222222222222222";

    fn code(value: &Value) -> &'static str {
        parse_transaction(value).map_or_else(|refusal| refusal.code(), |_| "ok")
    }

    #[test]
    fn an_object_is_read_strictly() {
        let check = |value: Value, wanted: &str| assert_eq!(code(&value), wanted, "{value}");
        check(json!({"to": TO, "value": "0x1"}), "ok");
        check(json!({"to": null, "data": "0x60", "input": "0x60"}), "ok");
        check(json!({"to": TO, "data": "0x60", "input": "0x61"}), "invalid_field");
        check(json!({"to": TO, "value": 1}), "invalid_field");
        check(json!({"to": TO, "value": "1"}), "invalid_field");
        check(json!({"to": TO, "value": "0x"}), "invalid_field");
        check(json!({"to": TO, "value": "0x01"}), "invalid_field");
        check(json!({"to": TO, "value": format!("0x1{}", "0".repeat(64))}), "invalid_field");
        check(json!({"to": TO, "nonce": "0x10000000000000000"}), "invalid_field");
        check(json!({"to": "0x22"}), "invalid_field");
        check(json!({"to": TO, "gasLimit": "0x1"}), "invalid_field");
        check(json!({"to": TO, "gasPrice": "0x1", "maxFeePerGas": "0x1"}), "invalid_field");
        check(json!({"to": TO, "type": "0x2", "gasPrice": "0x1"}), "invalid_field");
        check(json!({"to": TO, "type": "0x0", "maxFeePerGas": "0x1"}), "invalid_field");
        check(json!({"to": TO, "type": "0x3"}), "forbidden");
        check(json!({"to": TO, "type": "0x4"}), "forbidden");
        check(json!({"to": TO, "type": "0x5"}), "invalid_field");
        check(json!({"to": TO, "authorizationList": []}), "forbidden");
        check(json!({"to": TO, "maxFeePerBlobGas": "0x1"}), "forbidden");
        check(json!({"to": TO, "data": "60"}), "invalid_field");
        check(json!({"to": TO, "data": "0x6"}), "invalid_field");
        check(json!({"to": TO, "accessList": [{"address": TO, "storageKeys": []}]}), "ok");
        check(json!({"to": TO, "accessList": [{"address": TO}]}), "invalid_field");
        check(json!({"to": TO, "accessList": [{"storageKeys": []}]}), "missing_field");
        check(json!([]), "invalid_field");
    }

    #[test]
    fn a_complete_object_gives_exact_bytes_and_an_open_one_an_ask() {
        let open = json!({"to": TO, "value": "0x5", "gas": "0x5208"});
        let open = parse_transaction(&open).expect("good");
        assert_eq!((open.unsigned(1), open.caps()), (Ok(None), (None, None)));
        let priced = parse_transaction(&json!({"to": TO, "gasPrice": "0x9"})).expect("good");
        assert_eq!((priced.unsigned(1), priced.caps()), (Ok(None), (Some(9), Some(9))));
        let wanted = Ask::EvmCall {
            to: Some([0x22; 20]),
            value: Amount::from_u64(5),
            data: vec![],
            gas_limit: Some(21_000),
        };
        assert_eq!(open.ask(), Ok(wanted));

        let read = |extra: Value| {
            let mut object = json!({"to": TO, "value": "0x5", "gas": "0x5208", "nonce": "0x7"});
            let extra = extra.as_object().cloned().unwrap_or_default();
            object.as_object_mut().expect("object").extend(extra);
            let bytes = parse_transaction(&object).and_then(|tx| tx.unsigned(1)).expect("good");
            Transaction::parse(&bytes.expect("complete")).expect("decodes")
        };
        let list = json!([{"address": TO, "storageKeys": [format!("0x{}", "01".repeat(32))]}]);
        assert!(matches!(read(json!({"gasPrice": "0x9"})), Transaction::Legacy(_)));
        let with_list = read(json!({"gasPrice": "0x9", "accessList": list}));
        assert!(matches!(with_list, Transaction::Eip2930(_)));
        let capped = json!({"maxFeePerGas": "0x9", "maxPriorityFeePerGas": "0x1"});
        assert!(matches!(read(capped), Transaction::Eip1559(_)));
    }

    #[test]
    fn an_object_for_another_chain_is_refused() {
        let object = parse_transaction(&json!({"to": TO, "chainId": "0x2"})).expect("good");
        assert_eq!(object.unsigned(1).map_err(|e| e.code()), Err("wrong_network"));
        assert_eq!(object.check_chain(2), Ok(()));
    }
}
