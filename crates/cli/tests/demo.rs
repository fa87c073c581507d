//! The demo from end to end: `outlast demo --exit --output json`, and its three signatures checked by libraries that
//! had no part in making them: bitcoinconsensus (Bitcoin Core), libsecp256k1 and ed25519-dalek.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

#[cfg(test)]
mod support;

use alloy_consensus::{SignableTransaction, TxEnvelope};
use alloy_eips::eip2718::Decodable2718;
use base64::Engine as _;
use ed25519_dalek::{Signature, VerifyingKey};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use serde_json::Value;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A bound against hanging.
const PATIENCE: Duration = Duration::from_secs(240);

fn outlast(dir: &std::path::Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_outlast"))
        .args(args)
        .env_remove("OUTLAST_NODE")
        .env_remove("OUTLAST_URL")
        .env_remove("OUTLAST_TOKEN")
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .expect("the command starts")
}

fn request<'a>(document: &'a Value, chain: &str) -> &'a Value {
    let all = document["requests"].as_array().expect("requests");
    all.iter().find(|entry| entry["chain"] == chain).expect("the chain's request")
}

fn raw(document: &Value, chain: &str) -> String {
    request(document, chain)["request"]["signed"]["raw"].as_str().expect("raw").to_owned()
}

fn address(document: &Value, path: &str) -> String {
    document["addresses"][path]["address"].as_str().expect("address").to_owned()
}

#[test]
fn the_demo_makes_three_signatures_that_strangers_accept() {
    let temp = tempfile::tempdir().expect("a directory");
    let since = Instant::now();
    let out = outlast(temp.path(), &["demo", "--exit", "--output", "json"]);
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(0), "{told}");
    println!("the whole tour took {:?}", since.elapsed());
    let document: Value = serde_json::from_slice(&out.stdout).expect("one JSON document");
    assert_eq!(document["purpose"], "test");
    assert_eq!(document["vault"]["purpose"], "test");
    assert_eq!(document["vault"]["threshold"], 3);
    assert_eq!(document["nodes"].as_array().map(Vec::len), Some(3));
    check_ethereum(&document);
    check_bitcoin(&document);
    check_solana(&document);
    check_verdicts(&document);
    check_refusal(&document);
    check_times_and_keys(&document);
    stale_and_clean(temp.path());
}

/// By the program's own clock, and the three root keys of the vault.
fn check_times_and_keys(document: &Value) {
    let times: Vec<(String, u64)> =
        serde_json::from_value(document["times_ms"].clone()).expect("times");
    let steps: Vec<&str> = times.iter().map(|(step, _)| step.as_str()).collect();
    assert_eq!(steps, STEPS);
    for chain in ["ethereum", "bitcoin", "solana"] {
        let step = times.iter().find(|(step, _)| *step == format!("{chain}_signature"));
        let took = request(document, chain)["request"]["signed"]["took_ms"].as_u64();
        let (took, step) = (took.expect("a time"), step.expect("a step").1);
        assert!(took <= step, "{chain}: signed in {took} ms of a step of {step} ms");
    }
    let keys = document["vault"]["keys"].as_array().expect("keys");
    let kinds: Vec<_> = keys.iter().filter_map(|key| key["kind"].as_str()).collect();
    assert_eq!(kinds, ["ecdsa", "taproot", "ed25519"]);
    for key in keys {
        let key = key["public_key"].as_str().expect("a key");
        assert!([32, 33].contains(&hex::decode(key).expect("hex").len()), "{key}");
    }
}

const STEPS: [&str; 8] = [
    "nodes_start",
    "nodes_meet",
    "key_ceremony",
    "addresses",
    "ethereum_signature",
    "bitcoin_signature",
    "solana_signature",
    "refusal",
];

/// What a person sees, who ends it with Ctrl-C.
#[test]
fn the_demo_tells_a_person_everything_stays_up_and_ends_cleanly_by_ctrl_c() {
    let temp = tempfile::tempdir().expect("a directory");
    let (mut child, told) = staying(temp.path(), &[]);
    for sentence in [
        "[1/8] Three nodes start",
        "[8/8] A mistake",
        "Company A reads: send 1.5 ETH to 0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "Company A reads: send 0.4 BTC to bcrt1p",
        "Company A reads: send 2.5 SOL to US517G59",
        "(checked by libsecp256k1)",
        "Schnorr signature verifies under the address's key",
        "(checked by ed25519-dalek)",
        "[fee_over_ceiling]",
        "cast rpc eth_accounts",
        "cast rpc personal_sign",
        "demo --evm-chain http://127.0.0.1:8545",
        "ETH_RPC_URL=http://127.0.0.1:",
        "outlast demo --clean --dir ",
    ] {
        assert!(told.contains(sentence), "no \"{sentence}\" in:\n{told}");
    }
    for company in ["A", "B", "C"] {
        let verdict = format!("Company {company} says allowed:");
        assert_eq!(told.matches(&verdict).count(), 3, "{verdict}\n{told}");
        assert!(told.contains(&format!("Company {company}'s six words: ")), "{told}");
    }
    let table = told.split("WHAT  ").nth(1).expect("a table of times");
    for step in STEPS {
        assert!(table.contains(&step.replace('_', " ")), "{step} is not in the table:\n{told}");
    }
    let first = std::fs::read_to_string(temp.path().join(PLACE).join("a/node.toml"));
    assert!(first.is_ok(), "its directory is there while it stays up");
    // What it says to type works as it stands, from any directory.
    let own = |line: &&String| line.contains("outlast") && line.contains("--node");
    let own: Vec<String> = printed(&told).iter().filter(own).cloned().collect();
    assert_eq!(own.len(), 3, "{told}");
    shell(&own.join("\n"), None);
    child.stop();
    let clean = printed(&told).pop().expect("the last line");
    shell(&clean, None);
    assert!(!temp.path().join(PLACE).exists(), "{clean}");
}

/// A directory that nobody guesses and that a shell would take for two words.
const PLACE: &str = "my demo";

/// A demo that stays up, and its whole screen.
fn staying(dir: &std::path::Path, options: &[&str]) -> (Ended, String) {
    let log = dir.join("screen");
    let screen = std::fs::File::create(&log).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_outlast"));
    for name in ["OUTLAST_NODE", "OUTLAST_URL", "OUTLAST_TOKEN", "OUTLAST_PASSPHRASE_FILE"] {
        command.env_remove(name);
    }
    command.args(["demo", "--dir", PLACE]).args(options).current_dir(dir).stdin(Stdio::null());
    command.stdout(screen.try_clone().expect("a file")).stderr(screen);
    let mut child = Ended(command.spawn().expect("the command starts"));
    child.wait_for(&log, "demo --clean");
    // The last line to its end.
    std::thread::sleep(Duration::from_millis(100));
    let told = std::fs::read_to_string(&log).expect("a screen");
    (child, told)
}

/// The commands that it prints after the tour, in order.
fn printed(told: &str) -> Vec<String> {
    let after = told.split("Still running.").nth(1).expect("what to try");
    after.lines().filter_map(|line| line.strip_prefix("  ")).map(str::to_owned).collect()
}

/// Types lines into a shell that ends at the first failure; `cast` is looked up beside `tool`.
fn shell(lines: &str, tool: Option<&std::path::Path>) -> String {
    let elsewhere = tempfile::tempdir().expect("a directory");
    let mut command = Command::new("sh");
    command.args(["-e", "-c", lines]).current_dir(elsewhere.path());
    if let Some(place) = tool.and_then(std::path::Path::parent) {
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", place.display()));
    }
    support::stdout_of(&support::run(&mut command, PATIENCE))
}

/// Everything that the demo says to type over a fresh chain, typed as it stands.
#[test]
fn what_the_demo_says_to_type_works_over_a_fresh_chain() {
    let Some(cast) = support::tools::tool("cast", "OUTLAST_CAST") else { return };
    let Some(chain) = support::anvil::Anvil::start(&[]) else { return };
    let temp = tempfile::tempdir().expect("a directory");
    let (mut child, told) = staying(temp.path(), &["--evm-chain", &chain.url]);
    let mut lines = printed(&told);
    let clean = lines.pop().expect("the last line");
    let supplier = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
    let before = chain.balance(supplier);
    assert!(lines.iter().any(|line| line.starts_with("cast send --unlocked")), "{told}");
    let said = shell(&lines.join("\n"), Some(&cast));
    assert_eq!(chain.balance(supplier) - before, 100_000_000_000_000_000, "{said}");
    child.stop();
    shell(&clean, None);
    assert!(!temp.path().join(PLACE).exists(), "{clean}");
}

/// A demo that does not outlive its test.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ended_before = self.0.kill();
        let _status = self.0.wait();
    }
}

impl Ended {
    /// What stands on the screen once these words do.
    fn wait_for(&mut self, log: &std::path::Path, words: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let told = std::fs::read_to_string(log).expect("a screen");
            if told.contains(words) {
                return told;
            }
            let ended = self.0.try_wait().expect("a status");
            assert!(ended.is_none() && Instant::now() < end, "{ended:?}: {told}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ctrl-C, which is its right end.
    fn stop(&mut self) {
        let sent = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        assert!(sent.expect("kill").success());
        let status = self.end();
        assert_eq!(status.code(), Some(0), "{status}");
    }

    fn end(&mut self) -> std::process::ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.0.try_wait().expect("a status") {
                return status;
            }
            assert!(Instant::now() < end, "it does not end");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn check_ethereum(document: &Value) {
    let bytes = hex::decode(raw(document, "ethereum").trim_start_matches("0x")).expect("hex");
    let envelope = TxEnvelope::decode_2718(&mut bytes.as_slice()).expect("a transaction");
    let TxEnvelope::Eip1559(signed) = envelope else { panic!("not 1559") };
    assert_eq!(signed.tx().chain_id, 31337);
    assert_eq!(signed.tx().value.to_string(), "1500000000000000000");
    let signature = signed.signature();
    let rs = [signature.r().to_be_bytes::<32>(), signature.s().to_be_bytes::<32>()].concat();
    let id = RecoveryId::from_i32(i32::from(signature.v())).expect("0 or 1");
    let message = secp256k1::Message::from_digest(signed.tx().signature_hash().0);
    let signature = RecoverableSignature::from_compact(&rs, id).expect("a signature");
    let secp = secp256k1::Secp256k1::verification_only();
    let key = secp.recover_ecdsa(&message, &signature).expect("a key").serialize_uncompressed();
    let hash = alloy_primitives::keccak256(&key[1..]);
    let sender = alloy_primitives::Address::from_slice(&hash[12..]).to_string();
    assert!(sender.eq_ignore_ascii_case(&address(document, "m/44/60/0/0/1")), "{sender}");
}

/// Bitcoin Core's own consensus code, taproot included.
fn check_bitcoin(document: &Value) {
    let funding = request(document, "bitcoin")["funding"].as_str().expect("funding");
    let funding: bitcoin::Transaction =
        bitcoin::consensus::deserialize(&hex::decode(funding).expect("hex")).expect("funding");
    let coin = &funding.output[0];
    let spend = hex::decode(raw(document, "bitcoin")).expect("hex");
    let transaction: bitcoin::Transaction =
        bitcoin::consensus::deserialize(&spend).expect("a transaction");
    assert_eq!(transaction.input[0].previous_output.txid, funding.compute_txid());
    let script = coin.script_pubkey.as_bytes();
    let value = coin.value.to_sat();
    let spent = [bitcoinconsensus::Utxo {
        script_pubkey: script.as_ptr(),
        script_pubkey_len: u32::try_from(script.len()).expect("short"),
        value: i64::try_from(value).expect("an amount"),
    }];
    let flags = bitcoinconsensus::VERIFY_ALL_PRE_TAPROOT | bitcoinconsensus::VERIFY_TAPROOT;
    let verify = |bytes: &[u8]| {
        bitcoinconsensus::verify_with_flags(script, value, bytes, Some(&spent), 0, flags)
    };
    assert_eq!(verify(&spend), Ok(()));
    // The check can fail: another amount is another message.
    let mut forged = transaction;
    forged.output[0].value = bitcoin::Amount::from_sat(1);
    assert!(verify(&bitcoin::consensus::serialize(&forged)).is_err());
}

fn check_solana(document: &Value) {
    let text = raw(document, "solana");
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
    assert_eq!(bytes[0], 1);
    let (signature, message) = bytes[1..].split_at(64);
    let payer = bs58::decode(address(document, "m/44/501/0/0")).into_vec().expect("base58");
    let payer: [u8; 32] = payer.try_into().expect("32 bytes");
    assert!(message.windows(32).any(|window| window == payer), "the payer is named");
    let key = VerifyingKey::from_bytes(&payer).expect("a key");
    let signature = Signature::from_slice(signature).expect("64 bytes");
    assert!(key.verify_strict(message, &signature).is_ok());
}

/// Every node said yes by itself to each request.
fn check_verdicts(document: &Value) {
    for chain in ["ethereum", "bitcoin", "solana"] {
        let verdicts =
            request(document, chain)["request"]["verdicts"].as_array().expect("verdicts");
        assert_eq!(verdicts.len(), 3, "{chain}: {verdicts:?}");
        assert!(verdicts.iter().all(|v| v["verdict"] == "allowed"), "{chain}: {verdicts:?}");
    }
}

fn check_refusal(document: &Value) {
    assert_eq!(document["refusals"][0]["problem"]["code"], "fee_over_ceiling");
}

/// A second demo does not run over the first one, and `--clean` removes it.
fn stale_and_clean(dir: &std::path::Path) {
    let again = outlast(dir, &["demo", "--exit"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("stale_demo"));
    let clean = outlast(dir, &["demo", "--clean"]);
    assert_eq!(clean.status.code(), Some(0), "{}", String::from_utf8_lossy(&clean.stderr));
    assert!(!dir.join("outlast-demo").exists());
}
