//! `vectors/chains-evm/1/decode.json`: bytes, and what every node must make of them: intent and sighash, or the named refusal.
//!
//! A bad vector is named for its one defect. `typed-data.json` holds random documents with the digests that the Python
//! package eth-account gives them. `OUTLAST_BLESS=1` writes the results anew, for review.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use chains::evm::message;
use chains::evm::transaction::Transaction;
use chains::evm::typed_data::TypedData;
use model::intent::Network;
use model::request::RawKind;
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
    let decoded = chains::parse_raw(kind, text("bytes")).and_then(|bytes| {
        let sighash = match kind {
            RawKind::EvmTransaction => Transaction::parse(&bytes).map(|read| read.sighash()),
            RawKind::EvmTypedData => TypedData::parse(&bytes).map(|read| read.sighash()),
            _ => Ok(message::sighash(&bytes)),
        };
        Ok((chains::decode(kind, network, &bytes)?, sighash?))
    });
    match decoded {
        Ok((intent, sighash)) => json!({ "intent": intent, "sighash": hex::encode(sighash) }),
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

#[test]
fn vectors_of_typed_data_have_the_digest_that_another_implementation_gave() {
    let file = file().with_file_name("typed-data.json");
    let text = std::fs::read_to_string(file).expect("the vector file");
    let vectors: Vec<Value> = serde_json::from_str(&text).expect("a list");
    for vector in &vectors {
        let text = |key: &str| vector.get(key).and_then(Value::as_str).expect("a text");
        let document = TypedData::parse(text("document").as_bytes());
        let found = document.as_ref().map(|read| hex::encode(read.sighash()));
        assert_eq!(found, Ok(text("sighash").to_owned()), "{}", text("document"));
        assert!(document.and_then(|read| read.reading()).is_ok(), "{}", text("document"));
    }
    assert!(vectors.len() >= 64, "only {} vectors", vectors.len());
}
