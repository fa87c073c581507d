//! Nodes of a live 3-of-3 cluster are killed with SIGKILL at random moments of signing, under load.
//!
//! `OUTLAST_KILLS=N` says how often (20 unless said; `cargo xtask kills --count N` is the long form). Checked: every
//! signature that came out verifies with a library that had no part in making it; no one-time scalar ever served two
//! messages, on a recording of all that left all nodes across all restarts; nobody is blamed or held; every node comes
//! back by itself; every journal is gapless and chained.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

#[path = "support/nodes.rs"]
mod nodes;

use alloy_consensus::{SignableTransaction, TxEnvelope};
use alloy_eips::eip2718::Decodable2718;
use base64::Engine as _;
use nodes::{Cluster, ETH, SOL, message, solana, transfer};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const KILLS: u64 = 20;
const WORKERS: usize = 6;

/// What was asked, to check what was signed.
enum Asked {
    Message(String),
    Solana,
    Transfer,
    /// Taproot spends, with the one output that each spends.
    Taproot(bitcoin::TxOut),
}

/// Signatures that callers were given.
#[derive(Default)]
struct Collected {
    all: Mutex<Vec<(Asked, String)>>,
    count: AtomicU64,
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

fn below(bound: u64) -> u64 {
    u64::from_be_bytes(random()) % bound
}

#[test]
fn killed_nodes_come_back_and_no_scalar_ever_serves_twice() {
    let kills = std::env::var("OUTLAST_KILLS").ok().map_or(KILLS, |n| n.parse().unwrap());
    let recordings = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(|settings| {
        let file = recordings.path().join(settings.operator.replace(' ', "-"));
        settings.debug.record_one_time = Some(file);
    });
    let collected = Collected::default();
    let stop = AtomicBool::new(false);
    let since = Instant::now();
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (cluster, collected, stop) = (&cluster, &collected, &stop);
            scope.spawn(move || load(cluster, worker, collected, stop));
        }
        // Also when a check fails: the workers must not keep the test alive.
        let stopper = Stopper(&stop);
        for _ in 0..kills {
            kill_one(&cluster, &collected);
        }
        drop(stopper);
    });
    println!("{kills} kills in {:?}", since.elapsed());
    cluster.wait_ready();
    cluster.signs();
    check_signatures(&cluster, &collected.all.lock().unwrap());
    check_nobody_is_blamed(&cluster);
    cluster.nodes.iter().for_each(nodes::Node::stop);
    for node in &cluster.nodes {
        assert!(node.journal().len() > 10);
    }
    let counts = check_transcript(recordings.path());
    println!("one-time scalars, each of one message: {counts:?}");
    assert!(counts.len() == 3 && counts.values().all(|count| *count > 20), "{counts:?}");
}

struct Stopper<'a>(&'a AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Asks one node after the other; the answers of a node that is being killed are nobody's.
fn load(cluster: &Cluster, worker: usize, collected: &Collected, stop: &AtomicBool) {
    let receiver = cluster.nodes.iter().find_map(|node| taproot_address(node, &cluster.vault));
    let receiver = receiver.unwrap();
    let mut number = 0u64;
    while !stop.load(Ordering::Acquire) {
        number += 1;
        let text = format!("{worker}.{number}");
        let (asked, request) = match number % 4 {
            0 => (Asked::Transfer, transfer(number)),
            1 => (Asked::Solana, solana(random())),
            2 => taproot(&receiver),
            _ => (Asked::Message(text.clone()), message(&text)),
        };
        // One node takes the transfers: who shares out nonces at one place needs no luck.
        let at = if number.is_multiple_of(4) { 0 } else { usize::try_from(below(3)).unwrap() };
        let path = format!("/v1/vaults/{}/requests", cluster.vault);
        match cluster.nodes[at].try_post(&path, &request) {
            Ok((200, answer)) if answer["state"] == "signed" => {
                let raw = answer["signed"]["raw"].as_str().unwrap().to_owned();
                collected.all.lock().unwrap().push((asked, raw));
                collected.count.fetch_add(1, Ordering::AcqRel);
            }
            _ => std::thread::sleep(Duration::from_millis(30)),
        }
    }
}

/// The address that the made-up coins of [`taproot`] were paid to; `None` of a node that is being killed.
fn taproot_address(node: &nodes::Node, vault: &str) -> Option<bitcoin::ScriptBuf> {
    let path = "network=bitcoin:regtest&path=m/86/0/0/0/0";
    let (_, view) = node.try_get(&format!("/v1/vaults/{vault}/address?{path}")).ok()?;
    let address: bitcoin::Address<_> = view["address"].as_str()?.parse().unwrap();
    Some(address.assume_checked().script_pubkey())
}

/// A spend of a coin that no chain has seen, another one each time.
fn taproot(receiver: &bitcoin::ScriptBuf) -> (Asked, Value) {
    use bitcoin::hashes::Hash as _;
    let coin = bitcoin::TxOut {
        value: bitcoin::Amount::from_sat(60_000),
        script_pubkey: receiver.clone(),
    };
    let txid = bitcoin::Txid::from_byte_array(random());
    let funding = bitcoin::Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: vec![bitcoin::TxIn {
            previous_output: bitcoin::OutPoint { txid, vout: 0 },
            ..bitcoin::TxIn::default()
        }],
        output: vec![coin.clone()],
    };
    let transaction = bitcoin::consensus::encode::serialize_hex(&funding);
    let input =
        serde_json::json!({ "transaction": transaction, "vout": 0, "chain": 0, "number": 0 });
    let request = serde_json::json!({
        "network": "bitcoin:regtest", "path": "m/86/0/0", "wait_ms": 8_000,
        "ask": {
            "kind": "send", "to": "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "amount": "20000",
        },
        "fill": { "chain": "bitcoin", "inputs": [input], "fee": 700, "change": 0 },
    });
    (Asked::Taproot(coin), request)
}

/// Kills one node in the middle of signing and starts it again, as a service manager does.
fn kill_one(cluster: &Cluster, collected: &Collected) {
    let before = collected.count.load(Ordering::Acquire);
    nodes::wait_for("signatures between two kills", || {
        (collected.count.load(Ordering::Acquire) >= before + 2).then_some(())
    });
    std::thread::sleep(Duration::from_millis(below(120)));
    let victim = &cluster.nodes[usize::try_from(below(3)).unwrap()];
    victim.kill();
    victim.start();
    cluster.wait_ready();
}

fn check_signatures(cluster: &Cluster, all: &[(Asked, String)]) {
    let (eth, sol) = (cluster.address(ETH), cluster.address(SOL));
    let mut by_nonce: BTreeMap<u64, &str> = BTreeMap::new();
    for (asked, raw) in all {
        match asked {
            Asked::Message(text) => assert_eq!(signer_of_message(text, raw), eth),
            Asked::Solana => check_solana(&sol, raw),
            Asked::Taproot(coin) => check_taproot(coin, raw),
            Asked::Transfer => {
                let (nonce, signer) = signer_of_transfer(raw);
                assert_eq!(signer, eth);
                let first = by_nonce.entry(nonce).or_insert(raw);
                assert_eq!(first, raw, "two transactions under nonce {nonce}");
            }
        }
    }
    let taproot = all.iter().filter(|(asked, _)| matches!(asked, Asked::Taproot(_))).count();
    let (count, evm) = (all.len(), by_nonce.len());
    println!("{count} signatures verified, {evm} of EVM transactions, {taproot} of taproot spends");
    assert!(count > 20 && taproot > 0);
}

fn recover(digest: [u8; 32], rs: &[u8], v: u8) -> String {
    let id = RecoveryId::from_i32(i32::from(v)).unwrap();
    let signature = RecoverableSignature::from_compact(rs, id).unwrap();
    let message = secp256k1::Message::from_digest(digest);
    let secp = secp256k1::Secp256k1::verification_only();
    let key = secp.recover_ecdsa(&message, &signature).unwrap().serialize_uncompressed();
    let hash = alloy_primitives::keccak256(&key[1..]);
    alloy_primitives::Address::from_slice(&hash[12..]).to_string()
}

fn signer_of_message(text: &str, raw: &str) -> String {
    let bytes = hex::decode(raw.trim_start_matches("0x")).unwrap();
    let said = format!("\x19Ethereum Signed Message:\n{}{text}", text.len());
    recover(alloy_primitives::keccak256(said).0, &bytes[..64], bytes[64] - 27)
}

fn signer_of_transfer(raw: &str) -> (u64, String) {
    let bytes = hex::decode(raw.trim_start_matches("0x")).unwrap();
    let envelope = TxEnvelope::decode_2718(&mut bytes.as_slice()).unwrap();
    let TxEnvelope::Eip1559(signed) = envelope else { panic!("not 1559") };
    let signature = signed.signature();
    let rs = [signature.r().to_be_bytes::<32>(), signature.s().to_be_bytes::<32>()].concat();
    let signer = recover(signed.tx().signature_hash().0, &rs, u8::from(signature.v()));
    (signed.tx().nonce, signer)
}

fn check_solana(address: &str, raw: &str) {
    let bytes = base64::engine::general_purpose::STANDARD.decode(raw).unwrap();
    let (signature, message) = bytes[1..].split_at(64);
    let payer: [u8; 32] = bs58::decode(address).into_vec().unwrap().try_into().unwrap();
    let key = ed25519_dalek::VerifyingKey::from_bytes(&payer).unwrap();
    let signature = ed25519_dalek::Signature::from_slice(signature).unwrap();
    key.verify_strict(message, &signature).unwrap();
}

/// Bitcoin Core's consensus code takes the spend of this one output.
fn check_taproot(coin: &bitcoin::TxOut, raw: &str) {
    let (script, sat) = (coin.script_pubkey.as_bytes(), coin.value.to_sat());
    let spent = [bitcoinconsensus::Utxo {
        script_pubkey: script.as_ptr(),
        script_pubkey_len: u32::try_from(script.len()).unwrap(),
        value: i64::try_from(sat).unwrap(),
    }];
    let flags = bitcoinconsensus::VERIFY_ALL_PRE_TAPROOT | bitcoinconsensus::VERIFY_TAPROOT;
    let spend = hex::decode(raw).unwrap();
    let judged = bitcoinconsensus::verify_with_flags(script, sat, &spend, Some(&spent), 0, flags);
    assert_eq!(judged, Ok(()));
}

/// A crash is nobody's fault: no peer is held, no pair is stopped.
fn check_nobody_is_blamed(cluster: &Cluster) {
    for node in &cluster.nodes {
        let view = node.get("/v1/node");
        for peer in view["peers"].as_array().unwrap() {
            assert_eq!(peer["held"], Value::Null, "{view}");
            assert_eq!(peer["pair"], "ready", "{view}");
        }
    }
}

/// Holds the recordings of all nodes against K2 and counts the one-time scalars by key.
fn check_transcript(dir: &Path) -> BTreeMap<String, usize> {
    let mut transcript = Transcript::default();
    for file in std::fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        let node = path.file_name().unwrap().to_string_lossy().into_owned();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            // Half a line is a process that died in the write; its frame never left.
            if let Ok(line) = serde_json::from_str::<Value>(line) {
                transcript.note(&node, &line).unwrap();
            }
        }
    }
    transcript.points.into_values().fold(BTreeMap::new(), |mut counts, (key, _)| {
        *counts.entry(key).or_default() += 1;
        counts
    })
}

/// What left all nodes.
#[derive(Default)]
struct Transcript {
    /// One-time point: its key's kind and the one place that it may serve.
    points: BTreeMap<String, (String, String)>,
    /// Node, session, round, receiver: the one message.
    messages: BTreeMap<String, String>,
    /// FROST: place to the one commitment list that its nonces answer.
    packages: BTreeMap<String, String>,
}

impl Transcript {
    fn note(&mut self, node: &str, line: &Value) -> Result<(), String> {
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        // The context binds session, signers, key, path and the very message.
        let place = format!("{node} {} {}", text("session"), text("context"));
        for point in line["points"].as_array().unwrap() {
            let point = point.as_str().unwrap().to_owned();
            let entry = self.points.entry(point.clone());
            let (_, first) = entry.or_insert_with(|| (text("key"), place.clone()));
            if *first != place {
                return Err(format!("{point} serves {first} and {place}"));
            }
        }
        if let Some(package) = line["package"].as_str() {
            let first = self.packages.entry(place.clone()).or_insert_with(|| package.to_owned());
            if *first != package {
                return Err(format!("the nonces of {place} answer {first} and {package}"));
            }
        }
        // FROST answers the same to everybody: one list of commitments for one nonce.
        let to = if text("key") == "Ecdsa" { text("to") } else { "all".to_owned() };
        let step = format!("{place} {} {to}", line["round"]);
        let first = self.messages.entry(step.clone()).or_insert_with(|| text("message"));
        if *first != text("message") {
            return Err(format!("two messages at {step}"));
        }
        Ok(())
    }
}

#[test]
fn the_check_of_the_transcript_sees_a_scalar_that_serves_twice() {
    let line = |context: &str, point: &str, message: &str| {
        serde_json::json!({
            "session": "s", "context": context, "key": "Ed25519", "round": 1, "to": "b",
            "points": [point], "message": message,
        })
    };
    let mut transcript = Transcript::default();
    assert!(transcript.note("a", &line("one", "p", "m")).is_ok());
    assert!(transcript.note("a", &line("one", "p", "m")).is_ok());
    assert!(transcript.note("a", &line("two", "p", "m")).is_err());
    assert!(transcript.note("b", &line("one", "p", "m")).is_err());
    assert!(transcript.note("a", &line("one", "q", "other")).is_err());
    let mut answer = line("three", "r", "share");
    answer["round"] = 2.into();
    answer["points"] = serde_json::json!([]);
    answer["package"] = "list".into();
    assert!(transcript.note("a", &answer).is_ok());
    answer["package"] = "another list".into();
    assert!(transcript.note("a", &answer).unwrap_err().contains("answer list and another list"));
}
