//! Solana nodes: a recent blockhash.

use super::{ChainCallError, Client};
use engine::Facts;
use serde_json::{Value, json};

/// Asks one node for the latest finalized blockhash: it cannot be forked away, so the signature stays useful.
pub fn facts(client: &Client) -> Result<Facts, ChainCallError> {
    let shape = || ChainCallError::Shape("getLatestBlockhash");
    let answer = client.call("getLatestBlockhash", &json!([{ "commitment": "finalized" }]))?;
    let text = answer.pointer("/value/blockhash").and_then(Value::as_str).ok_or_else(shape)?;
    let bytes = bs58::decode(text).into_vec().map_err(|_| shape())?;
    Ok(Facts::Solana { blockhash: bytes.try_into().map_err(|_| shape())? })
}

#[cfg(test)]
mod tests {
    use super::super::testing::ChainNode;
    use super::*;

    #[test]
    fn a_blockhash_is_read_and_anything_else_is_refused() {
        let answer = |text: String| {
            let node = ChainNode::start(move |_, _| Ok(json!({ "value": { "blockhash": text } })));
            facts(&node.client())
        };
        let text = bs58::encode([9u8; 32]).into_string();
        assert_eq!(answer(text), Ok(Facts::Solana { blockhash: [9; 32] }));
        for bad in ["", "0OIl", "abc"] {
            assert_eq!(answer(bad.into()), Err(ChainCallError::Shape("getLatestBlockhash")));
        }
    }
}
