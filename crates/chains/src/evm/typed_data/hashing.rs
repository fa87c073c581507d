//! `hashStruct` of EIP-712 over the library's values, with each type hashed once.
//!
//! The library hashes a struct's type again for every value of it, so a short document with many small values of a large
//! type takes seconds. The tests hold this code against the library's own, value by value.

use crate::Refusal;
use crate::evm::typed_data::types::{self, Types};
use alloy_dyn_abi::eip712::Resolver;
use alloy_dyn_abi::{DynSolValue, Error};
use alloy_primitives::{B256, Keccak256, keccak256};
use serde_json::Value;
use std::collections::BTreeMap;

/// A message after hashing.
#[derive(Debug, Clone)]
pub(crate) struct Hashed {
    /// Its value, as hashed.
    pub value: DynSolValue,
    /// `encodeType` of the primary type.
    pub encoded_type: String,
    /// `hashStruct(message)`.
    pub message_hash: B256,
}

/// Coerces and hashes `message`, which was checked before.
pub(crate) fn hash(types: &Types, primary: &str, message: &Value) -> Result<Hashed, HashError> {
    let resolver = types::resolver(types)?;
    let value = resolver.resolve(primary)?.coerce_json(message)?;
    let message_hash = Hasher::default().word(&resolver, &value)?;
    Ok(Hashed { encoded_type: resolver.encode_type(primary)?, value, message_hash })
}

/// Why a message was not hashed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashError {
    /// The library does not know the types.
    #[error("{0}")]
    Types(#[from] Refusal),
    /// The value does not fit its type.
    #[error("{0}")]
    Value(#[from] Error),
}

/// Type hashes seen so far.
#[derive(Default)]
struct Hasher(BTreeMap<String, B256>);

impl Hasher {
    fn type_hash(&mut self, resolver: &Resolver, name: &str) -> Result<B256, Error> {
        if let Some(hash) = self.0.get(name) {
            return Ok(*hash);
        }
        let hash = resolver.type_hash(name)?;
        self.0.insert(name.to_owned(), hash);
        Ok(hash)
    }

    /// EVM-TYPED-5: atomic values as one word; texts, bytes, lists and structs as their hash.
    fn word(&mut self, resolver: &Resolver, value: &DynSolValue) -> Result<B256, Error> {
        if let Some(word) = value.as_word() {
            return Ok(word);
        }
        let mut hasher = Keccak256::new();
        let items = match value {
            DynSolValue::String(text) => return Ok(keccak256(text.as_bytes())),
            DynSolValue::Bytes(bytes) => return Ok(keccak256(bytes)),
            DynSolValue::CustomStruct { name, tuple, .. } => {
                hasher.update(self.type_hash(resolver, name)?);
                tuple
            }
            DynSolValue::Array(items) | DynSolValue::FixedArray(items) => items,
            _ => return Err(Error::custom("a value that EIP-712 does not know")),
        };
        for item in items {
            hasher.update(self.word(resolver, item)?);
        }
        Ok(hasher.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_hash_of_a_nested_message_is_the_library_s() {
        let text = r#"{"EIP712Domain":[],"B":[{"name":"x","type":"bytes4"},{"name":"y","type":"string"}],
            "A":[{"name":"b","type":"B[2][]"},{"name":"c","type":"bytes"},{"name":"d","type":"int8[]"},
            {"name":"e","type":"B"}]}"#;
        let message = r#"{"b":[[{"x":"0x01020304","y":"p"},{"x":"0x05060708","y":""}]],"c":"0xff",
            "d":[-1,2],"e":{"x":"0x00000000","y":"z"}}"#;
        let value = serde_json::from_str(text).expect("json");
        let types = types::parse(&value, "A").expect("types");
        let message = serde_json::from_str(message).expect("json");
        let ours = hash(&types, "A", &message).expect("hash");
        let resolver = types::resolver(&types).expect("types");
        let theirs = resolver.eip712_data_word(&ours.value);
        assert_eq!(theirs, Ok(ours.message_hash));
    }
}
