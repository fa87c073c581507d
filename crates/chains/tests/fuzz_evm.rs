//! The EVM decoders under mutated input: a corpus, single and double mutations, and pure noise.
//!
//! One second by default; `OUTLAST_FUZZ_SECS` makes it longer. The seed is printed when a promise breaks.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use chains::evm::{calldata, rpc};
use chains::fuzz;
use model::amount::Amount;
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// xorshift64*: repeatable from its seed, and no more is needed here.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 16).unwrap_or_default() % bound.max(1)
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let to = "0x3535353535353535353535353535353535353535";
    let transfer = calldata::transfer(&[0x35; 20], Amount::from_u64(9));
    let transfer = format!("0x{}", hex::encode(transfer));
    let approve = calldata::approve(&[0x35; 20], Amount::MAX);
    let approve = format!("0x{}", hex::encode(approve));
    let key = format!("0x{}", "01".repeat(32));
    let base = serde_json::json!({"to": to, "nonce": "0x1", "gas": "0xea60", "chainId": "0x1"});
    let price = serde_json::json!({"gasPrice": "0x9"});
    let cap = serde_json::json!({"maxFeePerGas": "0x9", "maxPriorityFeePerGas": "0x1"});
    let list = serde_json::json!([{"address": to, "storageKeys": [key]}]);
    let mut out = Vec::new();
    for fee in [&price, &cap] {
        for (field, value) in [
            ("value", serde_json::json!("0x5")),
            ("data", serde_json::json!(transfer)),
            ("data", serde_json::json!(approve)),
            ("accessList", list.clone()),
            ("to", serde_json::Value::Null),
        ] {
            let mut object = base.as_object().cloned().expect("object");
            object.extend(fee.as_object().cloned().expect("object"));
            if field == "to" {
                object.insert("data".to_owned(), serde_json::json!("0x6001600155"));
            }
            object.insert(field.to_owned(), value);
            let object = serde_json::Value::Object(object);
            out.push(serde_json::to_vec(&object).expect("json"));
            let bytes = rpc::parse_transaction(&object).and_then(|tx| tx.unsigned(1));
            out.push(bytes.expect("good").expect("complete"));
        }
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/chains-evm/1/decode.json");
    let text = std::fs::read_to_string(file).expect("the vector file");
    let vectors: Vec<serde_json::Value> = serde_json::from_str(&text).expect("a list");
    for vector in vectors.iter().filter(|vector| vector["result"]["intent"].is_object()) {
        let text = |key: &str| vector[key].as_str().expect("a text");
        let kind = chains::raw_kind(text("format")).expect("a format");
        out.push(chains::parse_raw(kind, text("bytes")).expect("bytes"));
    }
    out.push(TYPED.as_bytes().to_vec());
    out.push(PERMIT.as_bytes().to_vec());
    out.push(b"sign in\nto example.com".to_vec());
    out
}

const TYPED: &str = r#"{"types":{"EIP712Domain":[{"name":"name","type":"string"},{"name":"chainId",
"type":"uint256"}],"A":[{"name":"b","type":"B[2][]"},{"name":"c","type":"bytes"},{"name":"d",
"type":"int64"}],"B":[{"name":"x","type":"bytes4"},{"name":"y","type":"string"}]},"primaryType":"A",
"domain":{"name":"n","chainId":1},"message":{"b":[[{"x":"0x01020304","y":"p"},{"x":"0x05060708",
"y":"q"}]],"c":"0xff","d":-5}}"#;

const PERMIT: &str = r#"{"types":{"EIP712Domain":[{"name":"chainId","type":"uint256"},{"name":
"verifyingContract","type":"address"}],"Permit":[{"name":"owner","type":"address"},{"name":"spender",
"type":"address"},{"name":"value","type":"uint256"},{"name":"nonce","type":"uint256"},{"name":
"deadline","type":"uint256"}]},"primaryType":"Permit","domain":{"chainId":"0x1","verifyingContract":
"0x3535353535353535353535353535353535353535"},"message":{"owner":
"0x3535353535353535353535353535353535353535","spender":
"0x3535353535353535353535353535353535353535","value":"1","nonce":0,"deadline":9}}"#;

fn mutate(noise: &mut Noise, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut data = corpus[noise.below(corpus.len())].clone();
    for _ in 0..=noise.below(3) {
        let at = noise.below(data.len());
        let byte = u8::try_from(noise.next() & 0xff).unwrap_or_default();
        match noise.below(7) {
            0 => data.insert(at, byte),
            1 if !data.is_empty() => drop(data.remove(at)),
            2 => data.truncate(at),
            3 if !data.is_empty() => data[at] ^= 1 << (byte & 7),
            4 if !data.is_empty() => data[at] = data[at].wrapping_add(1),
            5 => {
                let other = &corpus[noise.below(corpus.len())];
                data.truncate(at);
                data.extend_from_slice(&other[noise.below(other.len())..]);
            }
            _ if !data.is_empty() => data[at] = byte,
            _ => {}
        }
    }
    data
}

/// Writes the corpus for `cargo fuzz` where `OUTLAST_FUZZ_CORPUS` names a directory (`fuzz/README.md`).
fn keep(target: &str, corpus: &[Vec<u8>]) {
    let Some(dir) = std::env::var_os("OUTLAST_FUZZ_CORPUS") else { return };
    let dir = std::path::Path::new(&dir).join(target);
    std::fs::create_dir_all(&dir).expect("the corpus is written");
    for data in corpus {
        let name = hex::encode(model::hash::sha256(data));
        std::fs::write(dir.join(name), data).expect("the corpus is written");
    }
}

#[test]
fn fuzz_evm_decoders_keep_their_promises_under_mutation() {
    let secs = std::env::var("OUTLAST_FUZZ_SECS").ok().and_then(|text| text.parse().ok());
    let until = Instant::now() + Duration::from_secs(secs.unwrap_or(1));
    let corpus = corpus();
    keep("evm", &corpus);
    let mut rounds = 0u64;
    for seed in 1u64.. {
        let mut noise = Noise(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let data = mutate(&mut noise, &corpus);
        let failed = std::panic::catch_unwind(|| fuzz::fuzz_evm(&data)).is_err();
        assert!(!failed, "seed {seed}: {}", hex::encode(&data));
        rounds = seed;
        if seed % 64 == 0 && Instant::now() > until {
            break;
        }
    }
    println!("{rounds} mutations");
    assert!(rounds > 1000, "only {rounds} mutations in the time given");
}

#[test]
fn fuzz_evm_corpus_decodes() {
    for data in corpus() {
        fuzz::fuzz_evm(&data);
        let kinds = [
            model::request::RawKind::EvmTransaction,
            model::request::RawKind::EvmTypedData,
            model::request::RawKind::EvmMessage,
        ];
        let network = Some(model::intent::Network::Evm(1));
        let decodes = |kind| chains::decode(kind, network, &data).is_ok();
        assert!(kinds.into_iter().any(decodes), "{}", hex::encode(&data));
    }
}

proptest! {
    #[test]
    fn noise_never_panics(data in proptest::collection::vec(any::<u8>(), 0..400)) {
        fuzz::fuzz_evm(&data);
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same_words(
        to in any::<[u8; 20]>(),
        spender in any::<[u8; 20]>(),
        amount in any::<[u8; 32]>(),
        nonce in 0..u64::MAX,
        gas_limit in 21_000u64..1_000_000,
        price in 0u128..500_000_000_000,
        chain in 1u64..1_000_000,
        kind in 0u8..4,
    ) {
        let amount = Amount(amount);
        let (value, data) = match kind {
            0 => (amount, vec![]),
            1 => (Amount::ZERO, calldata::transfer(&spender, amount)),
            _ => (Amount::ZERO, calldata::approve(&spender, amount)),
        };
        let fee = match kind {
            3 => rpc::RpcFee::Price(price),
            _ => rpc::RpcFee::Cap { max_fee: Some(price), tip: Some(price / 2) },
        };
        let object = rpc::RpcTransaction {
            from: None,
            to: Some(to),
            value,
            data,
            gas: Some(gas_limit),
            fee,
            nonce: Some(nonce),
            chain_id: Some(chain),
            kind: None,
            access_list: vec![],
        };
        let bytes = object.unsigned(chain).expect("good").expect("complete");
        fuzz::fuzz_evm_transaction(&bytes);
        match chains::decode(model::request::RawKind::EvmTransaction, None, &bytes) {
            Ok(intent) => {
                prop_assert_eq!(intent.single_use, format!("nonce {nonce}"));
                prop_assert_eq!(intent.network, model::intent::Network::Evm(chain));
            }
            // Only a chain with a low ceiling may refuse such a fee.
            Err(refusal) => prop_assert_eq!(refusal.code(), "fee_over_ceiling"),
        }
    }
}
