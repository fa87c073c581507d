//! EIP-712 typed data: a JSON document, read strictly, hashed, and shown leaf by leaf.
//!
//! Spec: `docs/spec/chains.md`, EVM-TYPED. The digest is recomputed here; a digest that somebody brings is never believed.
//! Absent on purpose: recursive struct types (no contract needs them signed), documents without a chain.

mod hashing;
mod json;
mod permit;
mod types;
mod values;

use crate::Refusal;
use crate::evm::address::{self, EvmAddress, to_text};
use crate::evm::message::{looks_like_digest, no_fee};
use crate::evm::text::Shown;
use alloy_dyn_abi::{DynSolValue, Eip712Domain};
use alloy_primitives::{B256, U256, keccak256};
use hashing::Hashed;
use model::intent::{Intent, Network, Operation};
use model::limits::TRANSACTION_BYTES_MAX;
use permit::Recognised;
use serde_json::{Map, Value};

/// What every document deserves that is none of the recognised ones.
const UNRECOGNISED: &str = "what the verifying contract does with this message is not in the bytes";

/// A document that was read and hashed.
#[derive(Debug, Clone)]
pub struct TypedData {
    domain: Eip712Domain,
    chain_id: u64,
    primary: String,
    value: DynSolValue,
    encoded_type: String,
    message_hash: B256,
}

/// What a document says, and whose tokens it speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// In words.
    pub intent: Intent,
    /// Owner named in a permit or an authorization: worthless unless it is the signer.
    pub owner: Option<EvmAddress>,
}

impl TypedData {
    /// Reads a document.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > TRANSACTION_BYTES_MAX {
            return Err(Refusal::TooLong { found: bytes.len(), max: TRANSACTION_BYTES_MAX });
        }
        if bytes.len() == 32 || looks_like_digest(bytes) {
            return Err(Refusal::RawDigest);
        }
        // EVM-TYPED-1: one JSON document with four known parts.
        let document = json::parse(bytes)?;
        let known = ["types", "primaryType", "domain", "message"];
        let map = json::object("typed data", &document, &known)?;
        let part = |key: &'static str| map.get(key).ok_or(Refusal::Missing(key));
        // EVM-TYPED-2: the types, then the domain that they declare, then the message.
        let primary = json::text(map, "primaryType")?;
        let types = types::parse(part("types")?, primary)?;
        let (domain, chain_id) = parse_domain(&types, part("domain")?)?;
        let fields = types.get(primary).ok_or(Refusal::Missing("primaryType"))?;
        let message = part("message")?;
        values::check_struct(&types, fields, "", message, &mut values::budget())?;
        let Hashed { value, encoded_type, message_hash } = hashing::hash(&types, primary, message)
            .map_err(|error| Refusal::Malformed {
                format: json::FORMAT,
                reason: error.to_string().chars().take(200).collect(),
            })?;
        let primary = primary.to_owned();
        Ok(Self { domain, chain_id, primary, value, encoded_type, message_hash })
    }

    /// Chain of the domain.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// EIP-712: `keccak256(0x19 0x01 || domainSeparator || hashStruct(message))`.
    pub fn sighash(&self) -> [u8; 32] {
        let separator = self.domain.separator();
        keccak256([&[0x19, 0x01], separator.as_slice(), self.message_hash.as_slice()].concat()).0
    }

    /// What the document says.
    pub fn reading(&self) -> Result<Reading, Refusal> {
        let leaves = values::leaves(&self.value);
        let contract = self.domain.verifying_contract.map(|address| address.0.0);
        let recognised = permit::recognise(&self.encoded_type, contract, &leaves)?;
        let Recognised { operations, owner, single_use, mut notes } = match recognised {
            Some(recognised) => recognised,
            None => self.plain(&leaves),
        };
        if let Some(salt) = self.domain.salt {
            notes.push(format!("domain salt 0x{}", hex::encode(salt)));
        }
        let intent = Intent {
            network: Network::Evm(self.chain_id),
            format: "typed-data".to_owned(),
            from: Vec::new(),
            operations,
            fee: no_fee(),
            single_use,
            notes,
        };
        Ok(Reading { intent, owner })
    }

    fn plain(&self, leaves: &[(String, &DynSolValue)]) -> Recognised {
        let mut notes = vec![UNRECOGNISED.to_owned()];
        let mut shown = |text: Shown| {
            let (text, note) = text.with_note();
            notes.extend(note.map(str::to_owned));
            text
        };
        let domain_name = self.domain.name.as_ref().map(|name| shown(Shown::of(name.as_bytes())));
        let version = self.domain.version.as_ref().map(|v| shown(Shown::of(v.as_bytes())));
        let mut fields = Vec::new();
        // EVM-TYPED-7: every leaf, in the order of the types.
        for (path, leaf) in leaves {
            let (text, note) = values::show(leaf);
            notes.extend(note.map(|note| format!("{path}: {note}")));
            fields.push((path.clone(), text));
        }
        notes.extend(version.map(|version| format!("domain version {version}")));
        let operation = Operation::TypedData {
            domain_name,
            verifying_contract: self.domain.verifying_contract.map(|a| to_text(&a.0.0)),
            primary_type: self.primary.clone(),
            fields,
        };
        Recognised {
            operations: vec![operation],
            owner: None,
            single_use: "nothing, unless the verifying contract says so".to_owned(),
            notes,
        }
    }
}

/// The fields that a domain may have, in their order (EIP-712).
const DOMAIN_FIELDS: [(&str, &str); 5] = [
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
    ("salt", "bytes32"),
];

/// EVM-TYPED-4: the domain's own type lists exactly the fields that the domain has, in order, and a chain is one of them.
fn parse_domain(types: &types::Types, value: &Value) -> Result<(Eip712Domain, u64), Refusal> {
    let map = json::object("domain", value, &DOMAIN_FIELDS.map(|(name, _)| name))?;
    let present = DOMAIN_FIELDS.iter().filter(|(name, _)| map.contains_key(*name));
    let declared = types.get(types::DOMAIN).ok_or(Refusal::Missing("types.EIP712Domain"))?;
    let declared = declared.iter().map(|field| (field.name.as_str(), field.text.as_str()));
    if !declared.eq(present.copied()) {
        let reason =
            "types.EIP712Domain lists other fields than the domain has, or in another order";
        return Err(Refusal::Invalid { field: "domain", reason: reason.to_owned() });
    }
    let fields = types.get(types::DOMAIN).map(Vec::as_slice).unwrap_or_default();
    values::check_struct(types, fields, "domain", value, &mut values::budget())?;
    let chain = map.get("chainId").ok_or(Refusal::Missing("chainId"))?;
    let chain_id = number(chain)
        .ok_or_else(|| Refusal::Invalid { field: "chainId", reason: "over 64 bits".to_owned() })?;
    let domain = Eip712Domain::new(
        optional_text(map, "name")?.map(Into::into),
        optional_text(map, "version")?.map(Into::into),
        Some(U256::from(chain_id)),
        optional_text(map, "verifyingContract")?
            .map(|text| address::parse("verifyingContract", &text).map(Into::into))
            .transpose()?,
        optional_text(map, "salt")?.map(|text| salt(&text)).transpose()?,
    );
    Ok((domain, chain_id))
}

fn optional_text(map: &Map<String, Value>, key: &'static str) -> Result<Option<String>, Refusal> {
    match map.contains_key(key) {
        true => json::text(map, key).map(|text| Some(text.to_owned())),
        false => Ok(None),
    }
}

fn salt(text: &str) -> Result<B256, Refusal> {
    let invalid = || Refusal::Invalid { field: "salt", reason: "not 32 bytes of hex".to_owned() };
    let bytes = hex::decode(text.strip_prefix("0x").unwrap_or(text)).map_err(|_| invalid())?;
    <[u8; 32]>::try_from(bytes).map(B256::from).map_err(|_| invalid())
}

/// A chain id in one of the spellings that [`values`] let through.
fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests;
