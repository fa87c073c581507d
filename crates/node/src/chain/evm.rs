//! EVM nodes: next nonce, gas and EIP-1559 fees, and whether the account can pay.

use super::{Call, ChainCallError};
use engine::{Facts, FactsQuery};
use model::amount::Amount;
use serde_json::{Value, json};

/// Priority fee where the node does not suggest one: 1 gwei.
const PRIORITY_FEE_DEFAULT: u128 = 1_000_000_000;
/// Base fee of chains without EIP-1559 headers: none is known, so the gas price stands for both fees.
const BLOCK: &str = "latest";

/// Asks one node for everything an EIP-1559 transaction needs.
pub fn facts(client: &dyn Call, query: &FactsQuery) -> Result<Facts, ChainCallError> {
    let nonce = client.call("eth_getTransactionCount", &json!([query.from, "pending"]))?;
    let nonce = quantity64(&nonce).ok_or(ChainCallError::Shape("eth_getTransactionCount"))?;
    let gas = client.call("eth_estimateGas", &json!([transaction(query)]))?;
    let gas = quantity64(&gas).ok_or(ChainCallError::Shape("eth_estimateGas"))?;
    // A fifth above the estimate: state moves between the estimate and the block. Unused gas is not paid.
    let gas_limit = match gas {
        21_000 => gas,
        _ => gas.saturating_add(gas.checked_div(5).unwrap_or(0)),
    };
    let (max_fee_per_gas, max_priority_fee_per_gas) = fees(client)?;
    let value = query.value.parse().unwrap_or(Amount::MAX);
    let cost = Cost { value, gas_limit, max_fee_per_gas, nonce: None };
    check_funds(client, &query.from, &cost)?;
    Ok(Facts::Evm { nonce, gas_limit, max_fee_per_gas, max_priority_fee_per_gas })
}

/// What a transaction may cost its account.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Wei that it moves.
    pub value: Amount,
    /// Gas limit.
    pub gas_limit: u64,
    /// Wei per gas at most.
    pub max_fee_per_gas: u128,
    /// Nonce, if the caller fixed it.
    pub nonce: Option<u64>,
}

/// Refuses what the account cannot pay: chain nodes would refuse it too, but after it was signed, and from then on it
/// holds its nonce. A nonce that is mined is let pass: this is the same call again, and its answer stands already.
pub fn check_funds(client: &dyn Call, from: &str, cost: &Cost) -> Result<(), ChainCallError> {
    let balance = client.call("eth_getBalance", &json!([from, BLOCK]))?;
    let have = amount(&balance).ok_or(ChainCallError::Shape("eth_getBalance"))?;
    let fee = Amount::from_u128(cost.max_fee_per_gas).checked_mul_u64(cost.gas_limit);
    let need = fee.and_then(|fee| fee.checked_add(cost.value)).unwrap_or(Amount::MAX);
    if have >= need {
        return Ok(());
    }
    if let Some(nonce) = cost.nonce {
        let mined = client.call("eth_getTransactionCount", &json!([from, BLOCK]))?;
        if quantity64(&mined).is_some_and(|mined| mined > nonce) {
            return Ok(());
        }
    }
    Err(ChainCallError::Funds { have, need })
}

fn transaction(query: &FactsQuery) -> Value {
    let value: u128 = query.value.parse().unwrap_or(u128::MAX);
    let mut object = json!({ "from": query.from, "value": format!("{value:#x}") });
    if let Some(object) = object.as_object_mut() {
        if let Some(to) = &query.to {
            object.insert("to".into(), json!(format!("0x{}", hex::encode(to))));
        }
        if !query.data.is_empty() {
            object.insert("data".into(), json!(format!("0x{}", hex::encode(&query.data))));
        }
    }
    object
}

/// Twice the base fee covers six full blocks of rising fees.
fn fees(client: &dyn Call) -> Result<(u128, u128), ChainCallError> {
    let block = client.call("eth_getBlockByNumber", &json!([BLOCK, false]))?;
    let Some(base) = block.get("baseFeePerGas").and_then(quantity) else {
        let price = client.call("eth_gasPrice", &json!([]))?;
        let price = quantity(&price).ok_or(ChainCallError::Shape("eth_gasPrice"))?;
        return Ok((price, price));
    };
    let priority = match client.call("eth_maxPriorityFeePerGas", &json!([])) {
        Ok(fee) => quantity(&fee).ok_or(ChainCallError::Shape("eth_maxPriorityFeePerGas"))?,
        // Not every node has the method.
        Err(ChainCallError::Refused { .. }) => PRIORITY_FEE_DEFAULT,
        Err(error) => return Err(error),
    };
    Ok((base.saturating_mul(2).saturating_add(priority), priority))
}

/// A JSON-RPC quantity: `0x` and hex digits.
fn quantity(value: &Value) -> Option<u128> {
    u128::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

/// A JSON-RPC quantity of up to 256 bits.
fn amount(value: &Value) -> Option<Amount> {
    let digits = value.as_str()?.strip_prefix("0x")?;
    let mut bytes = [0u8; 32];
    hex::decode_to_slice(format!("{digits:0>64}"), &mut bytes).ok()?;
    Some(Amount(bytes))
}

fn quantity64(value: &Value) -> Option<u64> {
    quantity(value).and_then(|value| value.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::super::Client;
    use super::super::testing::ChainNode;
    use super::*;
    use model::intent::Network;

    fn query() -> FactsQuery {
        FactsQuery {
            network: Network::Evm(31337),
            from: "0xabc".into(),
            to: Some([0x11; 20]),
            value: "1000".into(),
            data: vec![0xde, 0xad],
            satoshi: 0,
            held: [].into(),
        }
    }

    #[test]
    fn facts_come_from_pending_nonce_estimate_and_base_fee() {
        let node = ChainNode::start(|method, params| match method {
            "eth_getTransactionCount" => {
                assert_eq!(params, &json!(["0xabc", "pending"]));
                Ok(json!("0x7"))
            }
            "eth_estimateGas" => {
                assert_eq!(params[0]["value"], "0x3e8");
                assert_eq!(params[0]["data"], "0xdead");
                Ok(json!("0xc350"))
            }
            "eth_getBlockByNumber" => Ok(json!({ "baseFeePerGas": "0x64" })),
            "eth_maxPriorityFeePerGas" => Ok(json!("0x5")),
            // Exactly 1000 wei and 60,000 gas at 205 wei.
            "eth_getBalance" => Ok(json!(format!("{:#x}", 1000 + 60_000 * 205))),
            other => panic!("{other}"),
        });
        assert_eq!(
            facts(&node.client(), &query()),
            Ok(Facts::Evm {
                nonce: 7,
                gas_limit: 60_000,
                max_fee_per_gas: 205,
                max_priority_fee_per_gas: 5
            })
        );
    }

    #[test]
    fn a_cost_above_the_balance_is_refused_unless_its_nonce_is_mined() {
        let node = ChainNode::start(|method, params| match method {
            "eth_getBalance" => Ok(json!("0x2711")),
            "eth_getTransactionCount" => {
                assert_eq!(params, &json!(["0xabc", "latest"]));
                Ok(json!("0x3"))
            }
            other => panic!("{other}"),
        });
        let check = |value: u64, nonce: Option<u64>, expected: &str| {
            let value = Amount::from_u64(value);
            let cost = Cost { value, gas_limit: 100, max_fee_per_gas: 90, nonce };
            let found = check_funds(&node.client(), "0xabc", &cost);
            assert_eq!(found.map_or_else(|e| e.code(), |()| "ok"), expected, "{cost:?}");
        };
        check(1001, None, "ok");
        check(1002, None, "insufficient_funds");
        check(1002, Some(3), "insufficient_funds");
        check(1002, Some(2), "ok");
        let most = Cost {
            value: Amount::MAX,
            gas_limit: u64::MAX,
            max_fee_per_gas: u128::MAX,
            nonce: None,
        };
        assert!(check_funds(&node.client(), "0xabc", &most).is_err());
    }

    #[test]
    fn a_balance_of_256_bits_is_read() {
        let full = format!("0x{}", "f".repeat(64));
        assert_eq!(amount(&json!(full)), Some(Amount::MAX));
        assert_eq!(amount(&json!("0x0")), Some(Amount::ZERO));
        for bad in ["10", "0xg", &format!("{full}f")] {
            assert_eq!(amount(&json!(bad)), None, "{bad}");
        }
    }

    #[test]
    fn a_refusing_node_is_quoted_and_a_silent_one_is_named() {
        let node = ChainNode::start(|_, _| Err((3, "execution reverted")));
        let error = facts(&node.client(), &query()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the chain node refused eth_getTransactionCount: execution reverted"
        );
        let nobody = Client::new("http://127.0.0.1:1").unwrap();
        assert_eq!(facts(&nobody, &query()).unwrap_err().code(), "chain_unreachable");
    }
}
