//! Answers of chain nodes under fuzz: the readers of all three families over a script instead of a connection.

use super::call::{Call, ChainCallError, result_of};
use super::{bitcoin, evm, solana};
use engine::{Facts, FactsQuery};
use model::intent::{BitcoinNetwork, Network};
use model::limits::{FRAME_BYTES_MAX, ITEMS_PER_REQUEST_MAX};
use serde_json::Value;
use std::cell::RefCell;
use std::time::Duration;

/// Answers come from the lines of the input, one after the other, whatever is asked; after the last one, none.
struct Script<'a>(RefCell<core::str::Lines<'a>>);

impl Call for Script<'_> {
    fn call(&self, method: &str, _: &Value) -> Result<Value, ChainCallError> {
        let unreachable = || ChainCallError::Unreachable("the script is over".to_owned());
        let line = self.0.borrow_mut().next().ok_or_else(unreachable)?;
        let answer = serde_json::from_str(line).map_err(|_| unreachable())?;
        result_of(method, answer)
    }
    fn pause(&self, _: Duration) {}
}

/// What a chain node may say: facts within their bounds or a named error in bounded words.
pub(crate) fn fuzz_answers(text: &str) {
    let script = || Script(RefCell::new(text.lines()));
    let query = |network| FactsQuery {
        network,
        from: "tr(xpub/0/*)#checksum".to_owned(),
        to: None,
        value: "1000".to_owned(),
        data: Vec::new(),
        satoshi: 100_000,
        held: [].into(),
    };
    hold(&evm::facts(&script(), &query(Network::Evm(1))));
    hold(&bitcoin::facts(&script(), &query(Network::Bitcoin(BitcoinNetwork::Regtest))));
    hold(&solana::facts(&script()));
    drop(solana::nonce(&script(), [7; 32], "11111111111111111111111111111112"));
}

fn hold(facts: &Result<Facts, ChainCallError>) {
    match facts {
        Ok(Facts::Evm { max_fee_per_gas, max_priority_fee_per_gas, .. }) => {
            assert!(max_fee_per_gas >= max_priority_fee_per_gas, "a fee below its own part");
        }
        Ok(Facts::Bitcoin { coins, .. }) => {
            assert!((1..=ITEMS_PER_REQUEST_MAX).contains(&coins.len()));
            assert!(
                coins.iter().all(|coin| coin.child.0 <= 1),
                "a coin of no chain of the account"
            );
            let bytes = coins.iter().fold(0usize, |sum, c| sum.saturating_add(c.transaction.len()));
            assert!(bytes < FRAME_BYTES_MAX, "coins that fit in no frame");
        }
        Ok(Facts::Solana { .. }) => {}
        Err(error) => assert!(error.to_string().chars().count() < 1_000, "endless words"),
    }
}
