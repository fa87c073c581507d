//! Completes a transaction object with what its caller left open: gas and fees, never amount or recipient.

use super::Endpoint;
use super::message::RpcError;
use super::methods::wrong_reply;
use crate::chain::Cost;
use chains::evm::rpc::{RpcFee, RpcTransaction};
use engine::{Facts, FactsQuery};
use model::api::{AskView, FillView};
use model::intent::Network;
use model::request::Ask;
use std::collections::BTreeSet;

/// What a transaction object became.
pub(super) struct Wish {
    pub ask: AskView,
    pub fill: Option<FillView>,
    /// The object names its nonce, so asking again means the same transaction.
    pub fixed: bool,
}

impl Endpoint {
    /// Asks the chain node for gas and fees that the caller left open.
    pub(super) async fn complete(
        &self,
        transaction: &mut RpcTransaction,
        from: &str,
        chain: u64,
    ) -> Result<(), RpcError> {
        let gas_open = transaction.gas.is_none();
        let fee_open = match transaction.fee {
            RpcFee::Price(_) => false,
            RpcFee::Open => true,
            RpcFee::Cap { max_fee, tip } => max_fee.is_none() || tip.is_none(),
        };
        // With everything open the engine asks by itself, at signing.
        let all_open = gas_open && transaction.fee == RpcFee::Open && transaction.nonce.is_none();
        if all_open || !(gas_open || fee_open) {
            return Ok(());
        }
        let query = FactsQuery {
            network: Network::Evm(chain),
            from: from.to_owned(),
            to: transaction.to,
            value: transaction.value.to_string(),
            data: transaction.data.clone(),
            satoshi: 0,
            held: BTreeSet::new(),
        };
        let facts = self.state.chains.facts(query).await?;
        let Facts::Evm { gas_limit, max_fee_per_gas, max_priority_fee_per_gas, .. } = facts else {
            return Err(wrong_reply());
        };
        transaction.gas = transaction.gas.or(Some(gas_limit));
        transaction.fee = complete_fee(transaction.fee, max_fee_per_gas, max_priority_fee_per_gas);
        Ok(())
    }
}

impl Endpoint {
    /// RPC-4: refuses what the account cannot pay, before it is signed. What is wholly open is checked when it is filled.
    pub(super) async fn check_funds(
        &self,
        transaction: &RpcTransaction,
        from: &str,
        chain: u64,
    ) -> Result<(), RpcError> {
        let (Some(gas_limit), (Some(max_fee_per_gas), _)) = (transaction.gas, transaction.caps())
        else {
            return Ok(());
        };
        let (value, nonce) = (transaction.value, transaction.nonce);
        let cost = Cost { value, gas_limit, max_fee_per_gas, nonce };
        let network = Network::Evm(chain);
        Ok(self.state.chains.check_funds(network, from.to_owned(), cost).await?)
    }
}

/// Open parts from the chain node; the caller's own cap always holds.
fn complete_fee(fee: RpcFee, max_fee: u128, tip: u128) -> RpcFee {
    let (cap, own_tip) = match fee {
        RpcFee::Price(_) => return fee,
        RpcFee::Open => (None, None),
        RpcFee::Cap { max_fee, tip } => (max_fee, tip),
    };
    let tip = own_tip.unwrap_or(cap.map_or(tip, |cap| tip.min(cap)));
    let max_fee = cap.unwrap_or(max_fee.max(tip));
    RpcFee::Cap { max_fee: Some(max_fee), tip: Some(tip) }
}

/// The exact bytes where the object says everything; else the call, with whatever is known beside the nonce.
pub(super) fn wish(transaction: &RpcTransaction, chain: u64) -> Result<Wish, RpcError> {
    // RPC-2: a named nonce fixes every byte.
    if let Some(bytes) = transaction.unsigned(chain)? {
        let bytes = format!("0x{}", hex::encode(bytes));
        let ask = AskView::Raw { format: "evm_transaction".into(), bytes };
        return Ok(Wish { ask, fill: None, fixed: true });
    }
    let Ask::EvmCall { to, value, data, gas_limit } = transaction.ask()? else {
        return Err(wrong_reply());
    };
    let fill = fill(transaction)?;
    let ask = AskView::Call {
        to: to.map(|to| format!("0x{}", hex::encode(to))),
        value,
        data: format!("0x{}", hex::encode(data)),
        gas_limit,
    };
    Ok(Wish { ask, fill, fixed: false })
}

fn fill(transaction: &RpcTransaction) -> Result<Option<FillView>, RpcError> {
    let fees = match transaction.fee {
        RpcFee::Price(price) => Some((price, price)),
        RpcFee::Cap { max_fee: Some(max_fee), tip: Some(tip) } => Some((max_fee, tip)),
        RpcFee::Open | RpcFee::Cap { .. } => None,
    };
    let (Some((max_fee, tip)), Some(gas_limit)) = (fees, transaction.gas) else {
        return Ok(None);
    };
    let small = |fee: u128| {
        fee.try_into().map_err(|_| RpcError::params(format!("{fee} wei per gas is out of range")))
    };
    Ok(Some(FillView::Evm {
        nonce: transaction.nonce,
        gas_limit,
        max_fee_per_gas: small(max_fee)?,
        max_priority_fee_per_gas: small(tip)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chains::evm::rpc::parse_transaction;
    use serde_json::{Value, json};

    #[test]
    fn open_fees_are_completed_and_the_callers_cap_holds() {
        let cap = |max_fee, tip| RpcFee::Cap { max_fee, tip };
        for (fee, expected) in [
            (RpcFee::Open, cap(Some(100), Some(10))),
            (RpcFee::Price(7), RpcFee::Price(7)),
            (cap(Some(5), None), cap(Some(5), Some(5))),
            (cap(None, Some(200)), cap(Some(200), Some(200))),
            (cap(Some(50), Some(3)), cap(Some(50), Some(3))),
        ] {
            assert_eq!(complete_fee(fee, 100, 10), expected, "{fee:?}");
        }
    }

    fn wish_of(object: Value) -> Wish {
        wish(&parse_transaction(&object).unwrap(), 1).unwrap()
    }

    #[test]
    fn a_whole_object_becomes_its_exact_bytes_and_an_open_nonce_a_call() {
        let to = "0x2222222222222222222222222222222222222222";
        let whole = wish_of(json!({ "to": to, "nonce": "0x1", "gas": "0x5208",
            "maxFeePerGas": "0xa", "maxPriorityFeePerGas": "0x1" }));
        assert!(whole.fixed);
        assert!(matches!(whole.ask, AskView::Raw { bytes, .. } if bytes.starts_with("0x02")));
        let open = wish_of(json!({ "to": to, "gas": "0x5208", "gasPrice": "0xa" }));
        assert!(!open.fixed);
        assert!(matches!(open.ask, AskView::Call { gas_limit: Some(21_000), .. }));
        let fill = FillView::Evm {
            nonce: None,
            gas_limit: 21_000,
            max_fee_per_gas: 10,
            max_priority_fee_per_gas: 10,
        };
        assert_eq!(open.fill, Some(fill));
        assert_eq!(wish_of(json!({ "to": to })).fill, None);
    }
}
