//! EVM nodes: next nonce, gas and EIP-1559 fees.

use super::{ChainCallError, Client};
use engine::{Facts, FactsQuery};
use serde_json::{Value, json};

/// Priority fee where the node does not suggest one: 1 gwei.
const PRIORITY_FEE_DEFAULT: u128 = 1_000_000_000;
/// Base fee of chains without EIP-1559 headers: none is known, so the gas price stands for both fees.
const BLOCK: &str = "latest";

/// Asks one node for everything an EIP-1559 transaction needs.
pub fn facts(client: &Client, query: &FactsQuery) -> Result<Facts, ChainCallError> {
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
    Ok(Facts::Evm { nonce, gas_limit, max_fee_per_gas, max_priority_fee_per_gas })
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
fn fees(client: &Client) -> Result<(u128, u128), ChainCallError> {
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

fn quantity64(value: &Value) -> Option<u64> {
    quantity(value).and_then(|value| value.try_into().ok())
}

#[cfg(test)]
mod tests {
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
