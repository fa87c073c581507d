//! The type table of an EIP-712 document: names that cannot be mistaken, no cycle, no type that is not used.
//!
//! Spec: `docs/spec/chains.md`, EVM-TYPED-2.

use crate::Refusal;
use crate::evm::typed_data::json;
use alloy_dyn_abi::eip712::{PropertyDef, Resolver, TypeDef};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Types of one document at most.
const TYPES_MAX: usize = 64;
/// Fields of one type at most.
const FIELDS_MAX: usize = 128;
/// Bytes of a type or field name at most.
const NAME_BYTES_MAX: usize = 100;
/// Bytes of all names in a type table at most: bounds what hashing the types costs.
const TABLE_BYTES_MAX: usize = 32 * 1024;
/// Array dimensions of one field at most.
const DIMENSIONS_MAX: usize = 4;
/// Fields of the primary type at most, nested types written out: bounds the work of hashing.
const EXPANDED_MAX: u64 = 4096;

/// Name of the domain's own type.
pub(crate) const DOMAIN: &str = "EIP712Domain";

/// A type's base name and number of array dimensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldType {
    /// Atomic type or name of a struct.
    pub base: String,
    /// One entry per `[]` (`None`) or `[n]`, innermost first.
    pub dimensions: Vec<Option<usize>>,
}

/// A field of a struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// Name.
    pub name: String,
    /// The type as written.
    pub text: String,
    /// The type, parsed.
    pub parsed: FieldType,
}

/// All types of a document.
pub(crate) type Types = BTreeMap<String, Vec<Field>>;

/// Reads and checks `types`; every type but the domain's must be reachable from `primary`.
pub(crate) fn parse(value: &Value, primary: &str) -> Result<Types, Refusal> {
    let map = value.as_object().ok_or_else(|| invalid("not an object".to_owned()))?;
    if map.len() > TYPES_MAX {
        return Err(Refusal::TooLong { found: map.len(), max: TYPES_MAX });
    }
    let mut types = Types::new();
    for (name, fields) in map {
        check_struct_name(name)?;
        types.insert(name.clone(), parse_fields(name, fields)?);
    }
    let bytes = |(name, fields): (&String, &Vec<Field>)| {
        let fields = fields.iter().map(|field| field.name.len().saturating_add(field.text.len()));
        fields.fold(name.len(), usize::saturating_add)
    };
    let found = types.iter().map(bytes).fold(0, usize::saturating_add);
    if found > TABLE_BYTES_MAX {
        return Err(Refusal::TooLong { found, max: TABLE_BYTES_MAX });
    }
    check_graph(&types, primary)?;
    Ok(types)
}

fn parse_fields(owner: &str, value: &Value) -> Result<Vec<Field>, Refusal> {
    let list = value.as_array().ok_or_else(|| invalid(format!("{owner} is no list")))?;
    if list.len() > FIELDS_MAX {
        return Err(Refusal::TooLong { found: list.len(), max: FIELDS_MAX });
    }
    let mut seen = BTreeSet::new();
    let mut fields = Vec::new();
    for item in list {
        let map = json::object("types", item, &["name", "type"])?;
        let (name, text) = (json::text(map, "name")?, json::text(map, "type")?);
        check_identifier(name, false)?;
        if !seen.insert(name) {
            return Err(invalid(format!("{owner} has the field {name} twice")));
        }
        let parsed = parse_field_type(text)?;
        fields.push(Field { name: name.to_owned(), text: text.to_owned(), parsed });
    }
    Ok(fields)
}

/// `base[][3]`, with one spelling per size.
fn parse_field_type(text: &str) -> Result<FieldType, Refusal> {
    let shown = || text.chars().take(60).collect::<String>();
    let base = text.split('[').next().unwrap_or_default();
    if atomic(base).is_none() {
        check_struct_name(base)?;
    }
    let mut dimensions = Vec::new();
    let mut rest = text.strip_prefix(base).unwrap_or_default();
    while let Some(inner) = rest.strip_prefix('[') {
        let bad = || invalid(format!("`{}` is no type", shown()));
        let (size, tail) = inner.split_once(']').ok_or_else(bad)?;
        let plain = size.bytes().all(|b| b.is_ascii_digit()) && !size.starts_with('0');
        dimensions.push(match size {
            "" => None,
            _ if plain && size.len() <= 4 => Some(size.parse().map_err(|_| bad())?),
            _ => return Err(bad()),
        });
        rest = tail;
    }
    if !rest.is_empty() || dimensions.len() > DIMENSIONS_MAX {
        return Err(invalid(format!("`{}` is no type", shown())));
    }
    Ok(FieldType { base: base.to_owned(), dimensions })
}

/// An atomic or dynamic type of EIP-712.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Atomic {
    /// `bool`
    Bool,
    /// `address`
    Address,
    /// `string`
    String,
    /// `bytes`
    Bytes,
    /// `bytes1` to `bytes32`
    FixedBytes(usize),
    /// `uint8` to `uint256`
    Uint,
    /// `int8` to `int256`
    Int,
}

/// The atomic type of that name; the aliases `uint` and `int` are none in EIP-712.
pub(crate) fn atomic(name: &str) -> Option<Atomic> {
    let number = |digits: &str| match digits.starts_with('0') {
        true => None,
        false => {
            digits.parse::<usize>().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()))
        }
    };
    let bits = |digits| number(digits).filter(|n| n % 8 == 0 && (8..=256).contains(n));
    match name {
        "bool" => Some(Atomic::Bool),
        "address" => Some(Atomic::Address),
        "string" => Some(Atomic::String),
        "bytes" => Some(Atomic::Bytes),
        _ => {
            let fixed = name.strip_prefix("bytes").and_then(number);
            let fixed = fixed.filter(|n| (1..=32).contains(n)).map(Atomic::FixedBytes);
            let uint = name.strip_prefix("uint").and_then(bits).map(|_| Atomic::Uint);
            let int = name.strip_prefix("int").and_then(bits).map(|_| Atomic::Int);
            fixed.or(uint).or(int)
        }
    }
}

/// A struct may not be named like a type of Solidity: `uint256` as a struct would show one thing and hash another.
fn check_struct_name(name: &str) -> Result<(), Refusal> {
    check_identifier(name, true)?;
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == 'x');
    let reserved = [
        "address", "bool", "byte", "bytes", "fixed", "function", "int", "mapping", "string",
        "struct", "tuple", "ufixed", "uint",
    ];
    match reserved.contains(&stem) || reserved.contains(&name) {
        true => Err(invalid(format!("`{name}` is not allowed as the name of a struct"))),
        false => Ok(()),
    }
}

/// Letters, digits, `_`, `$`; a struct's name also `:` (name spaces, in use for years).
fn check_identifier(name: &str, colon: bool) -> Result<(), Refusal> {
    let allowed =
        |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$' || (colon && c == ':');
    let first = name.chars().next();
    let good = first.is_some_and(|c| !c.is_ascii_digit() && c != ':')
        && name.len() <= NAME_BYTES_MAX
        && name.chars().all(allowed);
    match good {
        true => Ok(()),
        false => {
            let name: String = name.chars().take(60).collect();
            Err(invalid(format!("`{}` is no name", name.escape_default())))
        }
    }
}

fn check_graph(types: &Types, primary: &str) -> Result<(), Refusal> {
    if !types.contains_key(DOMAIN) {
        return Err(Refusal::Missing("types.EIP712Domain"));
    }
    if primary == DOMAIN {
        return Err(Refusal::Forbidden {
            what: "a document whose primary type is its domain",
            why: "it has no content",
        });
    }
    let mut sizes = BTreeMap::new();
    expand(types, primary, &mut Vec::new(), &mut sizes)?;
    let unused = |name: &&String| name.as_str() != DOMAIN && !sizes.contains_key(name.as_str());
    match types.keys().find(unused) {
        Some(name) => Err(invalid(format!("the type {name} is not used by {primary}"))),
        None => Ok(()),
    }
}

/// Number of fields of `name`, nested types written out. Depth is bounded by the number of types: no cycles.
fn expand<'a>(
    types: &'a Types,
    name: &'a str,
    above: &mut Vec<&'a str>,
    sizes: &mut BTreeMap<&'a str, u64>,
) -> Result<u64, Refusal> {
    if above.contains(&name) {
        return Err(invalid(format!("the type {name} contains itself")));
    }
    if let Some(size) = sizes.get(name) {
        return Ok(*size);
    }
    let fields = types.get(name).ok_or_else(|| invalid(format!("the type {name} is missing")))?;
    above.push(name);
    let mut total = 1u64;
    for field in fields {
        let base = field.parsed.base.as_str();
        let size = match atomic(base) {
            Some(_) => 1,
            None => expand(types, base, above, sizes)?,
        };
        total = total.saturating_add(size);
    }
    above.pop();
    if total > EXPANDED_MAX {
        return Err(invalid(format!("{name} has {total} fields, at most {EXPANDED_MAX}")));
    }
    sizes.insert(name, total);
    Ok(total)
}

/// The same table for the hashing library.
pub(crate) fn resolver(types: &Types) -> Result<Resolver, Refusal> {
    let mut resolver = Resolver::default();
    let refused = |error: alloy_dyn_abi::Error| invalid(error.to_string());
    for (name, fields) in types.iter().filter(|(name, _)| name.as_str() != DOMAIN) {
        let properties = fields
            .iter()
            .map(|field| PropertyDef::new(field.text.as_str(), field.name.as_str()))
            .collect::<Result<_, _>>()
            .map_err(refused)?;
        resolver.ingest(TypeDef::new(name.as_str(), properties).map_err(refused)?);
    }
    Ok(resolver)
}

fn invalid(reason: String) -> Refusal {
    Refusal::Invalid { field: "types", reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_atomic_or_a_struct_never_both() {
        for name in ["bool", "address", "string", "bytes", "bytes1", "bytes32", "uint8", "int256"] {
            assert!(atomic(name).is_some() && check_struct_name(name).is_err(), "{name}");
        }
        for name in ["uint", "int", "bytes0", "bytes33", "uint7", "uint264", "uint08", "function"] {
            assert!(atomic(name).is_none() && check_struct_name(name).is_err(), "{name}");
        }
        for name in ["Mail", "HyperliquidTransaction:UsdSend", "_a", "uintx1Y"] {
            assert!(atomic(name).is_none() && check_struct_name(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn each_defect_of_a_type_table_is_refused() {
        let check = |types: &str, wanted: Result<(), &str>| {
            let value = serde_json::from_str(types).unwrap_or_default();
            let found = parse(&value, "A").map(drop).map_err(|e| e.code());
            assert_eq!(found, wanted, "{types}");
        };
        let domain = r#""EIP712Domain":[]"#;
        let with = |rest: &str| format!("{{{domain},{rest}}}");
        let field = |t: &str| with(&format!(r#""A":[{{"name":"x","type":"{t}"}}]"#));
        check(&field("uint256"), Ok(()));
        check(&field("uint256[][3]"), Ok(()));
        check(r#"{"A":[]}"#, Err("missing_field"));
        for bad in [
            "uint",
            "uint256[03]",
            "uint256[0]",
            "uint256[",
            "uint256[]x",
            "(uint256)",
            "",
            "B",
            "A",
            "A[]",
            "uint256[][][][][]",
            "uint256 ",
            "uint256[99999]",
            "b\u{430}d",
        ] {
            check(&field(bad), Err("invalid_field"));
        }
        check(
            &with(r#""A":[{"name":"x","type":"bool"},{"name":"x","type":"bool"}]"#),
            Err("invalid_field"),
        );
        check(&with(r#""A":[{"name":"x","type":"bool","y":1}]"#), Err("invalid_field"));
        check(&with(r#""A":[],"B":[]"#), Err("invalid_field"));
        check(&with(r#""A":[],"uint8":[]"#), Err("invalid_field"));
        check(
            &with(r#""A":[{"name":"b","type":"B"}],"B":[{"name":"a","type":"A"}]"#),
            Err("invalid_field"),
        );
    }

    #[test]
    fn a_type_that_doubles_at_each_level_is_refused_before_it_is_written_out() {
        let level = |i: u32| {
            let below = if i == 0 { "bool".to_owned() } else { format!("T{}", i - 1) };
            let name = if i == 40 { "A".to_owned() } else { format!("T{i}") };
            let field = |n: &str| format!(r#"{{"name":"{n}","type":"{below}"}}"#);
            format!(r#""{name}":[{},{}]"#, field("x"), field("y"))
        };
        let levels: Vec<_> = (0..=40).map(level).collect();
        let text = format!(r#"{{"EIP712Domain":[],{}}}"#, levels.join(","));
        let value = serde_json::from_str(&text).unwrap_or_default();
        assert_eq!(parse(&value, "A").map(drop).map_err(|e| e.code()), Err("invalid_field"));
    }
}
