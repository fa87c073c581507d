//! `vectors/chains-evm/1/decode.json`: bytes, and the intent or the named refusal that every node must give for them.
//!
//! A bad vector is named for its one defect. `OUTLAST_BLESS=1` writes the results anew, for review.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use model::intent::Network;
use serde_json::{Value, json};
use std::path::PathBuf;

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors/chains-evm/1/decode.json")
}

fn outcome(vector: &Value) -> Value {
    let text = |key: &str| vector.get(key).and_then(Value::as_str).expect("a text");
    let network = vector.get("network").and_then(Value::as_str);
    let network = network.map(|text| text.parse::<Network>().expect("a network"));
    let kind = chains::raw_kind(text("format")).expect("a format");
    let decoded = chains::parse_raw(kind, text("bytes"))
        .and_then(|bytes| chains::decode(kind, network, &bytes));
    match decoded {
        Ok(intent) => json!({ "intent": intent }),
        Err(refusal) => json!({ "refusal": refusal.code(), "says": refusal.to_string() }),
    }
}

#[test]
fn vectors_of_evm_decoding_give_their_intent_or_refusal() {
    let text = std::fs::read_to_string(file()).expect("the vector file");
    let mut vectors: Vec<Value> = serde_json::from_str(&text).expect("a list");
    let bless = std::env::var_os("OUTLAST_BLESS").is_some();
    for vector in &mut vectors {
        let found = outcome(vector);
        if bless {
            *vector.get_mut("result").expect("a result") = found;
        } else {
            assert_eq!(vector.get("result"), Some(&found), "{:?}", vector.get("name"));
        }
    }
    if bless {
        let text = serde_json::to_string_pretty(&vectors).expect("json");
        std::fs::write(file(), text + "\n").expect("written");
    }
    assert!(vectors.len() > 50, "only {} vectors", vectors.len());
}
