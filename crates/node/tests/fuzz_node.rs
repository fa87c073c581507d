//! The node's decoders under mutated input: peers' frames, JSON bodies, JSON-RPC calls, cards, the files of a home.
//!
//! One second each by default; `OUTLAST_FUZZ_SECS` makes it longer. The seed is printed when a promise breaks.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use model::card::{NodeCard, NodeKey};
use model::secret::Secret;
use node::fuzz;
use node::home::{Home, InitOptions, Settings, TamperPair};
use node::seal::{PassphraseCost, SealWith};
use std::time::{Duration, Instant};

/// xorshift64*: repeatable from its seed.
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

/// One to four edits: a flip, a byte more or less, a number that is far too large, a run, a piece of another value.
fn mutate(noise: &mut Noise, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut data = corpus[noise.below(corpus.len())].clone();
    for _ in 0..=noise.below(4) {
        let at = noise.below(data.len());
        let byte = u8::try_from(noise.next() & 0xff).unwrap_or_default();
        match noise.below(7) {
            0 => data.insert(at, byte),
            1 if !data.is_empty() => drop(data.remove(at)),
            2 if !data.is_empty() => data[at] ^= 1 << (byte & 7),
            3 => drop(data.splice(at..at, *b"99999999999999999999")),
            // Deeper than any reader should follow.
            4 => drop(data.splice(at..at, [b"[{\"\x00"[noise.below(4)]; 300])),
            5 => {
                let other = &corpus[noise.below(corpus.len())];
                data.truncate(at);
                data.extend_from_slice(&other[at.min(other.len())..]);
            }
            _ if !data.is_empty() => data[at] = byte,
            _ => {}
        }
    }
    data
}

/// Writes the corpus for `cargo fuzz` where `OUTLAST_FUZZ_CORPUS` names a directory (`fuzz/README.md`).
fn keep(choice: u8, corpus: &[Vec<u8>]) {
    let Some(dir) = std::env::var_os("OUTLAST_FUZZ_CORPUS") else { return };
    let dir = std::path::Path::new(&dir).join("node");
    std::fs::create_dir_all(&dir).unwrap();
    for data in corpus {
        // The first byte chooses the decoder: see `node::fuzz::fuzz_any`.
        let data = [&[choice], data.as_slice()].concat();
        let name = hex::encode(model::hash::sha256(&data));
        std::fs::write(dir.join(name), data).unwrap();
    }
}

fn mutations(choice: u8, corpus: &[Vec<u8>], target: fn(&[u8])) {
    keep(choice, corpus);
    corpus.iter().for_each(|good| target(good));
    let secs = std::env::var("OUTLAST_FUZZ_SECS").ok().and_then(|text| text.parse().ok());
    let until = Instant::now() + Duration::from_secs(secs.unwrap_or(1));
    for seed in 1u64.. {
        let mut noise = Noise(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let data = mutate(&mut noise, corpus);
        let failed = std::panic::catch_unwind(|| target(&data)).is_err();
        assert!(!failed, "seed {seed}: {}", hex::encode(&data));
        if seed.is_multiple_of(32) && Instant::now() > until {
            println!("{seed} mutations");
            assert!(seed > 200, "only {seed} mutations in the time given");
            return;
        }
    }
}

fn key() -> NodeKey {
    NodeKey::new(Secret::new([5; 32]))
}

fn settings() -> Settings {
    let address = "127.0.0.1:7101".parse().unwrap();
    let mut settings = Settings::new("Operator \"A\"", address, "a.example:7101", address);
    settings.test_home = true;
    settings.rpc.evm.insert(1, "http://127.0.0.1:8545".to_owned());
    settings.debug.tamper_pair = Some(TamperPair::Once);
    settings
}

#[test]
fn fuzz_frames_of_a_peer() {
    let frame = |kind: u8, payload: &[u8]| {
        let length = u32::try_from(payload.len() + 1).unwrap().to_be_bytes();
        [&length[..], &[kind], payload].concat()
    };
    let (hello, ping) = (frame(1, &[7; 60]), frame(4, &[0; 8]));
    let corpus = [
        hello.clone(),
        frame(2, &[]),
        frame(3, &[1]),
        ping.clone(),
        frame(5, &[1; 8]),
        frame(6, &[9; 500]),
        [hello, frame(2, &[]), ping, frame(6, b"engine")].concat(),
    ];
    mutations(0, &corpus, fuzz::fuzz_frames);
}

#[test]
fn fuzz_bodies_of_the_api() {
    let card = NodeCard::sign(&key(), "Operator", "a.example:1");
    let trust = serde_json::json!({ "card": card.to_text(), "words": card.words() });
    let texts = [
        &trust.to_string(),
        r#"{"passphrase":"p"}"#,
        r#"{"purpose":"test","name":"n","members":[],"threshold":2}"#,
        r#"{"name":"c","vaults":[]}"#,
        r#"{"max_fee_per_gas":3,"max_priority_fee_per_gas":1,"wait_ms":0}"#,
        r#"{"format":"evm_message","bytes":"0x6869","network":"evm:1"}"#,
        r#"{"format":"evm_typed_data","bytes":"{\"types\":{}}"}"#,
        r#"{"network":"evm:1","path":"m/44/60/0/0/0","wait_ms":1,"ask":{"kind":"send",
            "to":"0x70997970C51812dc3A010C7d01b50e0d17dc79C8","amount":"7"},"fill":{"chain":"evm",
            "gas_limit":21000,"max_fee_per_gas":3,"max_priority_fee_per_gas":1}}"#,
        r#"{"network":"bitcoin:regtest","path":"m/86/0/0","ask":{"kind":"send",
            "to":"bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080","amount":"75000"},"fill":{
            "chain":"bitcoin","inputs":[{"transaction":"00","vout":0,"chain":0,"number":0}],
            "fee":700,"change":4}}"#,
        r#"{"network":"solana:local","path":"m/44/501/0/0","fee_max":"5000","ask":{
            "kind":"send_token","token":"4uQeVj5tqViQh7yWWGStvkEG1Zmhx6uasJtWCJziofM",
            "to":"4uQeVj5tqViQh7yWWGStvkEG1Zmhx6uasJtWCJziofM","amount":"1","decimals":6},
            "fill":{"chain":"solana","blockhash":"4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi"}}"#,
        r#"{"network":"evm:1","path":"m/1","ask":{"kind":"call","value":"0","data":"0x6001"}}"#,
    ];
    let corpus: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    mutations(1, &corpus, fuzz::fuzz_api);
}

/// Goal: what a program does not mean to say is not overlooked. Method: one field more in every body.
#[test]
fn a_field_that_nobody_knows_is_refused_in_every_body() {
    fn check<T: serde::de::DeserializeOwned>(good: &str) {
        assert!(serde_json::from_str::<T>(good).is_ok(), "{good}");
        let more = good.replacen('{', r#"{"surprise":1,"#, 1);
        let error = serde_json::from_str::<T>(&more).err().unwrap();
        assert!(error.to_string().contains("unknown field `surprise`"), "{error}");
    }
    use model::api::{
        DecodeRequest, NewCeremony, NewClient, NewRequest, Replace, TrustPeer, Unseal,
    };
    check::<TrustPeer>(r#"{"card":"c","words":"w"}"#);
    check::<Unseal>(r#"{"passphrase":"p"}"#);
    check::<NewCeremony>(r#"{"purpose":"live","name":"n","members":[],"threshold":2}"#);
    check::<NewClient>(r#"{"name":"c","vaults":[]}"#);
    check::<Replace>(r#"{"wait_ms":0}"#);
    check::<DecodeRequest>(r#"{"format":"psbt","bytes":""}"#);
    let ask = r#"{"kind":"send","to":"x","amount":"7"}"#;
    check::<NewRequest>(&format!(r#"{{"network":"evm:1","path":"m/1","ask":{ask}}}"#));
    check::<model::api::AskView>(ask);
}

#[test]
fn fuzz_calls_of_json_rpc() {
    let transaction = r#"{"from":"0x70997970C51812dc3A010C7d01b50e0d17dc79C8","to":
        "0x70997970C51812dc3A010C7d01b50e0d17dc79C8","value":"0x1","gas":"0x5208",
        "maxFeePerGas":"0x9","maxPriorityFeePerGas":"0x1","nonce":"0x0","chainId":"0x1"}"#;
    let sign = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"eth_signTransaction","params":[{transaction}]}}"#
    );
    let batch = format!(r#"[{sign},{{"id":"a","method":"health_status"}}]"#);
    let personal = r#"{"id":null,"method":"personal_sign","params":["0x68","0x00"]}"#;
    let corpus = [sign.into_bytes(), batch.into_bytes(), personal.as_bytes().to_vec()];
    mutations(2, &corpus, fuzz::fuzz_rpc);
}

#[test]
fn fuzz_node_cards() {
    let cards = ["Operator", "Bank \"B\" & Söhne"].map(|name| NodeCard::sign(&key(), name, "a:1"));
    let corpus = cards.map(|card| card.to_text().into_bytes());
    mutations(3, &corpus, fuzz::fuzz_card);
}

#[test]
fn fuzz_the_files_of_a_home() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("home");
    let passphrase = Secret::new("open sesame".to_owned());
    let seal = SealWith::Passphrase { passphrase, cost: PassphraseCost::TEST };
    Home::create(&dir, &InitOptions { settings: settings(), seal }).unwrap();
    let read = |name: &str| std::fs::read(dir.join(name)).unwrap();
    let other = r#"{"version":1,"node":"N","data_key":{"kind":"systemd-creds"},"node_seed":""}"#;
    let corpus = [read("node.toml"), read("sealed.json"), other.as_bytes().to_vec()];
    mutations(4, &corpus, fuzz::fuzz_home);
}

#[test]
fn fuzz_answers_of_chain_nodes() {
    let lines = |results: &[&str]| {
        let answer = |result: &&str| format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
        results.iter().map(answer).collect::<Vec<_>>().join("\n").into_bytes()
    };
    let fees = [r#"{"baseFeePerGas":"0x64"}"#, r#""0x5""#, r#""0xffffffffffff""#];
    let evm = [&[r#""0x7""#, r#""0xc350""#][..], &fees].concat();
    let scan = r#"{"unspents":[{"txid":"aa","vout":1,"amount":0.5,"height":7,
        "desc":"tr([00000000/0/3]k)#c"},{"txid":"bb","vout":0,"amount":1e-8,"height":8,
        "desc":"tr([00000000/1/4]k)#c"}]}"#
        .replace('\n', "");
    let rate = r#"{"feerate":0.00002,"blocks":6}"#;
    let bitcoin = [&scan, rate, "{}", r#""0000""#, r#""0200""#, "null"];
    let hash = r#"{"value":{"blockhash":"11111111111111111111111111111114"}}"#;
    // 80 bytes: current layout, initialised, authority 1, value 2.
    let state = concat!(
        "AQAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQ",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACiBMAAAAAAAA="
    );
    let nonce = format!(
        r#"{{"value":{{"owner":"11111111111111111111111111111111","data":["{state}","base64"]}}}}"#
    );
    let refused = br#"{"id":1,"error":{"code":-32000,"message":"no"}}"#.to_vec();
    let corpus = [lines(&evm), lines(&bitcoin), lines(&[hash]), lines(&[&nonce]), refused];
    mutations(5, &corpus, fuzz::fuzz_chain_answers);
}
