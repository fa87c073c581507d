//! JSON without second meanings: no key twice, no number that is not an integer.
//!
//! Two readers of a document with a doubled key may take different values, and the one that shows it need not be the one
//! that hashes it. The usual parser keeps the last and says nothing.

use crate::Refusal;
use core::fmt;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

pub(crate) const FORMAT: &str = "EIP-712 typed data";

/// Reads one JSON document; nothing may follow it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice::<Strict>(bytes)
        .map(|strict| strict.0)
        .map_err(|error| Refusal::Malformed { format: FORMAT, reason: error.to_string() })
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON with integers only and no key twice")
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(Number::from(value)))
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(Number::from(value)))
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }
    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            out.push(item);
        }
        Ok(Value::Array(out))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some((key, Strict(value))) = entries.next_entry::<String, Strict>()? {
            if out.contains_key(&key) {
                let key: String = key.chars().take(60).collect();
                return Err(A::Error::custom(format_args!("the key `{key}` stands there twice")));
            }
            out.insert(key, value);
        }
        Ok(Value::Object(out))
    }
}

/// The object at `place`, whose keys are all among `known`.
pub(crate) fn object<'a>(
    place: &'static str,
    value: &'a Value,
    known: &[&str],
) -> Result<&'a Map<String, Value>, Refusal> {
    let invalid = |reason: String| Refusal::Invalid { field: place, reason };
    let map = value.as_object().ok_or_else(|| invalid("not an object".to_owned()))?;
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(map),
        Some(key) => {
            let key: String = key.chars().take(60).collect();
            Err(invalid(format!("unknown field `{key}`")))
        }
    }
}

/// The text under `key`.
pub(crate) fn text<'a>(map: &'a Map<String, Value>, key: &'static str) -> Result<&'a str, Refusal> {
    let value = map.get(key).ok_or(Refusal::Missing(key))?;
    let invalid = || Refusal::Invalid { field: key, reason: "not a text".to_owned() };
    value.as_str().ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_with_two_meanings_does_not_parse() {
        for bad in [r#"{"a":1,"a":1}"#, r#"[{"a":{"b":1,"b":2}}]"#, "1.5", "1e3", "{} {}", "", "{"]
        {
            assert_eq!(parse(bad.as_bytes()).map_err(|e| e.code()), Err("malformed"), "{bad}");
        }
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(parse(deep.as_bytes()).is_err());
        let good = r#"{"a":[1,-2,"x",null,true,18446744073709551615]}"#;
        let usual: Result<Value, _> = serde_json::from_str(good);
        assert_eq!(parse(good.as_bytes()).ok(), usual.ok());
    }
}
