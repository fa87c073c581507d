//! What one node does with one request before it signs: decode to an intent, check, and rebuild what is signed.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a bench fails by panicking")]

use chains::fuzz::{CORPUS_SEED, keys};
use criterion::{Criterion, criterion_group, criterion_main};
use model::ids::{ClientId, NodeId, VaultId};
use model::intent::{BitcoinNetwork, Network, SolanaCluster};
use model::request::{Ask, Fill, RawKind, Request};
use model::time::Timestamp;
use std::hint::black_box;

fn vector(name: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/");
    std::fs::read_to_string(format!("{root}{name}")).expect("a vector")
}

/// The first vector of the EVM file that is a whole transaction of this format.
fn evm(named: &str) -> Vec<u8> {
    let vectors: Vec<serde_json::Value> =
        serde_json::from_str(&vector("chains-evm/1/decode.json")).expect("a list");
    let good = |v: &&serde_json::Value| v["result"]["intent"]["format"] == named;
    let found = vectors.iter().find(good).expect("a vector of this format");
    let text = found["bytes"].as_str().expect("bytes");
    hex::decode(text.trim_start_matches("0x")).expect("hex")
}

fn raw(network: Network, path: &str, kind: RawKind, bytes: Vec<u8>) -> Request {
    Request {
        vault: VaultId([1; 32]),
        network,
        path: path.parse().expect("a path"),
        ask: Ask::Raw { kind, bytes },
        fee_max: None,
        client: ClientId([2; 16]),
        idempotency_key: String::new(),
        initiator: String::new(),
        entry: NodeId([3; 32]),
        created_at: Timestamp(1),
        expires_at: Timestamp(2),
    }
}

fn both(c: &mut Criterion, name: &str, request: &Request) {
    let keys = keys(CORPUS_SEED);
    let Ask::Raw { kind, bytes } = &request.ask else { return };
    chains::decode(*kind, Some(request.network), bytes).expect("an intent");
    c.bench_function(&format!("decode/{name}"), |b| {
        b.iter(|| black_box(chains::decode(*kind, Some(request.network), black_box(bytes))));
    });
    chains::build(&keys, request, &Fill::Nothing).expect("a plan");
    c.bench_function(&format!("decode-and-sighash/{name}"), |b| {
        b.iter(|| black_box(chains::build(&keys, black_box(request), &Fill::Nothing)));
    });
}

fn pieces(c: &mut Criterion) {
    let path = "m/44/60/0/0/0";
    for format in ["evm-legacy", "evm-1559"] {
        let bytes = evm(format);
        let intent = chains::decode(RawKind::EvmTransaction, None, &bytes).expect("an intent");
        both(c, format, &raw(intent.network, path, RawKind::EvmTransaction, bytes));
    }
    for (name, path) in [("taproot-v2", "m/86/0/0"), ("wpkh-v0", "m/84/0/0")] {
        let text = vector(&format!("chains-bitcoin/1/{name}.psbt.txt"));
        let bytes = chains::parse_raw(RawKind::Psbt, text.trim()).expect("a PSBT");
        let network = Network::Bitcoin(BitcoinNetwork::Regtest);
        both(c, &format!("bitcoin-{name}"), &raw(network, path, RawKind::Psbt, bytes));
    }
    for name in ["transfer", "token-transfer-nonce"] {
        let bytes = hex::decode(vector(&format!("chains-solana/1/{name}.hex")).trim());
        let network = Network::Solana(SolanaCluster::Local);
        let bytes = bytes.expect("hex");
        let request = raw(network, "m/44/501/0/0", RawKind::SolanaMessage, bytes);
        both(c, &format!("solana-{name}"), &request);
    }
}

criterion_group!(benches, pieces);
criterion_main!(benches);
