//! Values of an EIP-712 message: one spelling per value on the way in, leaves in order on the way out.
//!
//! Spec: `docs/spec/chains.md`, EVM-TYPED-3. The hashing library reads several spellings of a number or an address; what it
//! might read otherwise than a wallet is refused here first. What is shown comes from the library's own values, the
//! ones that it hashes.

use crate::Refusal;
use crate::evm::address;
use crate::evm::text::Shown;
use crate::evm::typed_data::types::{Atomic, Field, Types, atomic};
use alloy_dyn_abi::DynSolValue;
use model::amount::Amount;
use serde_json::Value;

/// Leaves of one message at most.
const LEAVES_MAX: usize = 4096;
/// Bytes of one value's path at most: paths are written out once per leaf.
const PATH_BYTES_MAX: usize = 512;

/// Refuses fields that are missing or unknown and values with a second spelling.
pub(crate) fn check_struct(
    types: &Types,
    fields: &[Field],
    path: &str,
    value: &Value,
    budget: &mut usize,
) -> Result<(), Refusal> {
    let map = value.as_object().ok_or_else(|| invalid(path, "not an object"))?;
    if let Some(key) = map.keys().find(|key| fields.iter().all(|field| field.name != **key)) {
        let key: String = key.chars().take(60).collect();
        return Err(invalid(path, &format!("unknown field `{}`", key.escape_default())));
    }
    for field in fields {
        let here = join(path, &field.name);
        let value = map.get(&field.name).ok_or_else(|| invalid(&here, "missing"))?;
        let parsed = &field.parsed;
        check_array(types, &parsed.base, &parsed.dimensions, &here, value, budget)?;
    }
    Ok(())
}

fn check_array(
    types: &Types,
    base: &str,
    dimensions: &[Option<usize>],
    path: &str,
    value: &Value,
    budget: &mut usize,
) -> Result<(), Refusal> {
    *budget = budget.checked_sub(1).ok_or_else(too_many)?;
    if path.len() > PATH_BYTES_MAX {
        return Err(Refusal::TooLong { found: path.len(), max: PATH_BYTES_MAX });
    }
    let Some((outer, inner)) = dimensions.split_last() else {
        return match atomic(base) {
            Some(atomic) => check_atomic(atomic, path, value),
            None => {
                let fields = types.get(base).ok_or_else(|| invalid(path, "unknown type"))?;
                check_struct(types, fields, path, value, budget)
            }
        };
    };
    let items = value.as_array().ok_or_else(|| invalid(path, "not a list"))?;
    if outer.is_some_and(|size| size != items.len()) {
        return Err(invalid(path, "a list of another length"));
    }
    for (index, item) in items.iter().enumerate() {
        check_array(types, base, inner, &format!("{path}[{index}]"), item, budget)?;
    }
    Ok(())
}

/// EVM-TYPED-3: numbers as JSON integers or decimal text without leading zeros (unsigned also `0x` hex), bytes as `0x` hex,
/// addresses with the right checksum or in lower case.
fn check_atomic(kind: Atomic, path: &str, value: &Value) -> Result<(), Refusal> {
    let text = value.as_str();
    let good = match kind {
        Atomic::Bool => value.is_boolean(),
        Atomic::String => text.is_some(),
        Atomic::Address => match text {
            Some(text) => {
                address::parse("typed data", text)
                    .map_err(|refusal| invalid(path, &refusal.to_string()))?;
                true
            }
            None => false,
        },
        Atomic::Bytes => text.and_then(hex_digits).is_some_and(|digits| digits.len() % 2 == 0),
        Atomic::FixedBytes(n) => {
            text.and_then(hex_digits).is_some_and(|digits| digits.len() == n.saturating_mul(2))
        }
        Atomic::Uint => value.is_u64() || text.is_some_and(|text| is_decimal(text) || is_hex(text)),
        Atomic::Int => {
            let digits = text.map(|text| text.strip_prefix('-').unwrap_or(text));
            let negative_zero = text == Some("-0");
            value.is_i64() || value.is_u64() || (digits.is_some_and(is_decimal) && !negative_zero)
        }
    };
    match good {
        true => Ok(()),
        false => Err(invalid(path, "not a value of its type in its one spelling")),
    }
}

fn hex_digits(text: &str) -> Option<&str> {
    text.strip_prefix("0x").filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn is_decimal(text: &str) -> bool {
    let digits = !text.is_empty() && text.len() <= 78 && text.bytes().all(|b| b.is_ascii_digit());
    digits && (text == "0" || !text.starts_with('0'))
}

fn is_hex(text: &str) -> bool {
    hex_digits(text).is_some_and(|digits| (1..=64).contains(&digits.len()))
}

/// The leaves of a value in order, each with its path.
pub(crate) fn leaves(value: &DynSolValue) -> Vec<(String, &DynSolValue)> {
    let mut out = Vec::new();
    collect(String::new(), value, &mut out);
    out
}

fn collect<'a>(path: String, value: &'a DynSolValue, out: &mut Vec<(String, &'a DynSolValue)>) {
    match value {
        DynSolValue::CustomStruct { prop_names, tuple, .. } => {
            for (name, inner) in prop_names.iter().zip(tuple) {
                collect(join(&path, name), inner, out);
            }
        }
        DynSolValue::Array(items) | DynSolValue::FixedArray(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                collect(format!("{path}[{index}]"), item, out);
            }
        }
        leaf => out.push((path, leaf)),
    }
}

/// A leaf in words.
pub(crate) fn show(value: &DynSolValue) -> (String, Option<&'static str>) {
    let plain = |text: String| (text, None);
    match value {
        DynSolValue::Bool(value) => plain(value.to_string()),
        DynSolValue::Int(value, _) => plain(value.to_string()),
        DynSolValue::Uint(value, _) => plain(Amount(value.to_be_bytes()).to_string()),
        DynSolValue::FixedBytes(word, size) => {
            plain(format!("0x{}", hex::encode(word.get(..*size).unwrap_or_default())))
        }
        DynSolValue::Address(address) => plain(address::to_text(&address.0.0)),
        DynSolValue::Function(function) => plain(format!("0x{}", hex::encode(function))),
        DynSolValue::Bytes(bytes) => plain(format!("0x{}", hex::encode(bytes))),
        DynSolValue::String(text) => Shown::of(text.as_bytes()).with_note(),
        DynSolValue::Array(_)
        | DynSolValue::FixedArray(_)
        | DynSolValue::Tuple(_)
        | DynSolValue::CustomStruct { .. } => plain("[]".to_owned()),
    }
}

/// Leaves that one message may have.
pub(crate) fn budget() -> usize {
    LEAVES_MAX
}

fn join(path: &str, name: &str) -> String {
    match path.is_empty() {
        true => name.to_owned(),
        false => format!("{path}.{name}"),
    }
}

fn too_many() -> Refusal {
    Refusal::Invalid { field: "message", reason: format!("more than {LEAVES_MAX} values") }
}

fn invalid(path: &str, reason: &str) -> Refusal {
    let place = if path.is_empty() { "message" } else { path };
    Refusal::Invalid { field: "message", reason: format!("{place}: {reason}") }
}
