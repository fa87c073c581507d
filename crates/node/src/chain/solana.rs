//! Solana nodes: a recent blockhash, or the value of a durable nonce account.

use super::{Call, ChainCallError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::Facts;
use serde_json::{Value, json};

/// Asks one node for the latest finalized blockhash: it cannot be forked away, so the signature stays useful.
pub fn facts(client: &dyn Call) -> Result<Facts, ChainCallError> {
    let shape = || ChainCallError::Shape("getLatestBlockhash");
    let answer = client.call("getLatestBlockhash", &json!([{ "commitment": "finalized" }]))?;
    let text = answer.pointer("/value/blockhash").and_then(Value::as_str).ok_or_else(shape)?;
    let bytes = bs58::decode(text).into_vec().map_err(|_| shape())?;
    Ok(Facts::Solana { blockhash: bytes.try_into().map_err(|_| shape())? })
}

/// Owner of every nonce account.
const SYSTEM_PROGRAM: &str = "11111111111111111111111111111111";
/// Bytes of a nonce account: version, state, authority, nonce value, fee.
const NONCE_ACCOUNT_BYTES: usize = 80;
/// Both are `u32` little-endian: the current layout (the legacy one, 0, no transaction may use), and initialised.
const NONCE_HEAD: [u8; 8] = [1, 0, 0, 0, 1, 0, 0, 0];

/// The value of a durable nonce account, which must stand under the authority of `payer`, the address that pays: with any
/// other authority the transaction that is signed here could never run.
pub fn nonce(client: &dyn Call, account: [u8; 32], payer: &str) -> Result<[u8; 32], NonceError> {
    let shape = || ChainCallError::Shape("getAccountInfo");
    let address = bs58::encode(account).into_string();
    let options = json!({ "encoding": "base64", "commitment": "finalized" });
    let answer = client.call("getAccountInfo", &json!([address, options]))?;
    let found = answer.get("value").ok_or_else(shape)?;
    if found.is_null() {
        return Err(NonceError::Missing(address));
    }
    let text = |pointer| found.pointer(pointer).and_then(Value::as_str).ok_or_else(shape);
    let owner = text("/owner")?;
    let data = STANDARD.decode(text("/data/0")?).map_err(|_| shape())?;
    let state = data.strip_prefix(&NONCE_HEAD).filter(|_| data.len() == NONCE_ACCOUNT_BYTES);
    let (Some(state), SYSTEM_PROGRAM) = (state, owner) else {
        return Err(NonceError::NoNonceAccount(address));
    };
    let (authority, rest) = state.split_first_chunk::<32>().ok_or_else(shape)?;
    let authority = bs58::encode(authority).into_string();
    if authority != payer {
        return Err(NonceError::Authority { account: address, authority, payer: payer.to_owned() });
    }
    Ok(*rest.first_chunk().ok_or_else(shape)?)
}

/// Why a durable nonce account was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NonceError {
    /// The chain node gave no answer.
    #[error(transparent)]
    Chain(#[from] ChainCallError),
    /// Nothing is at the address.
    #[error("there is no account at {0} on the chain")]
    Missing(String),
    /// Something else is at the address.
    #[error("the account {0} is no initialised durable nonce account of the current layout")]
    NoNonceAccount(String),
    /// Somebody else advances it.
    #[error("the nonce account {account} is under the authority of {authority}, not of {payer}")]
    Authority {
        /// The nonce account.
        account: String,
        /// Who may advance it.
        authority: String,
        /// The address that pays.
        payer: String,
    },
}

impl NonceError {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Chain(error) => error.code(),
            Self::Missing(_) => "nonce_account_missing",
            Self::NoNonceAccount(_) => "not_a_nonce_account",
            Self::Authority { .. } => "nonce_authority",
        }
    }
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

    fn account(authority: [u8; 32], edit: impl Fn(&mut Vec<u8>)) -> Value {
        let mut data = [&NONCE_HEAD[..], &authority, &[0xcd; 32], &[0; 8]].concat();
        edit(&mut data);
        json!({ "value": { "owner": SYSTEM_PROGRAM, "data": [STANDARD.encode(data), "base64"] } })
    }

    #[test]
    fn a_durable_nonce_is_read_and_its_authority_is_the_payer() {
        let payer = bs58::encode([5u8; 32]).into_string();
        let check = |answer: Value, expected: Result<[u8; 32], &str>| {
            let shown = answer.to_string();
            let node = ChainNode::start(move |method, params| {
                assert_eq!(method, "getAccountInfo");
                assert_eq!(params[0], bs58::encode([7u8; 32]).into_string());
                Ok(answer.clone())
            });
            let found = nonce(&node.client(), [7; 32], &payer).map_err(|error| error.code());
            assert_eq!(found, expected, "{shown}");
        };
        check(account([5; 32], |_| ()), Ok([0xcd; 32]));
        check(account([6; 32], |_| ()), Err("nonce_authority"));
        check(json!({ "value": null }), Err("nonce_account_missing"));
        // Legacy layout, not initialised, too short, too long, another owner.
        check(account([5; 32], |data| data[0] = 0), Err("not_a_nonce_account"));
        check(account([5; 32], |data| data[4] = 0), Err("not_a_nonce_account"));
        check(account([5; 32], |data| data.truncate(79)), Err("not_a_nonce_account"));
        check(account([5; 32], |data| data.push(0)), Err("not_a_nonce_account"));
        let mut other = account([5; 32], |_| ());
        other["value"]["owner"] = json!("11111111111111111111111111111112");
        check(other, Err("not_a_nonce_account"));
        let mut broken = account([5; 32], |_| ());
        broken["value"]["data"][0] = json!("?");
        check(broken, Err("chain_answer"));
        check(json!({}), Err("chain_answer"));
    }
}
