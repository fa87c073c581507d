//! The Bitcoin and Solana decoders under mutated input: the vectors, one to four edits each, and pure noise.
//!
//! One second by default; `OUTLAST_FUZZ_SECS` makes it longer. The seed is printed when a promise breaks.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chains::fuzz;
use model::intent::Operation;
use model::request::RawKind;
use proptest::prelude::*;
use std::time::{Duration, Instant};

const PSBTS: [&str; 4] = [
    include_str!("../../../vectors/chains-bitcoin/1/taproot-v0.psbt.txt"),
    include_str!("../../../vectors/chains-bitcoin/1/taproot-v2.psbt.txt"),
    include_str!("../../../vectors/chains-bitcoin/1/wpkh-v0.psbt.txt"),
    include_str!("../../../vectors/chains-bitcoin/1/wpkh-v2.psbt.txt"),
];

const MESSAGES: [&str; 4] = [
    include_str!("../../../vectors/chains-solana/1/nonce-priority-legacy.hex"),
    include_str!("../../../vectors/chains-solana/1/nonce-priority-v0.hex"),
    include_str!("../../../vectors/chains-solana/1/token-transfer-nonce.hex"),
    include_str!("../../../vectors/chains-solana/1/transfer.hex"),
];

fn psbts() -> Vec<Vec<u8>> {
    PSBTS.iter().map(|text| STANDARD.decode(text.trim()).expect("base64")).collect()
}

fn messages() -> Vec<Vec<u8>> {
    MESSAGES.iter().map(|text| hex::decode(text.trim()).expect("hex")).collect()
}

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

fn mutate(noise: &mut Noise, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut data = corpus[noise.below(corpus.len())].clone();
    for _ in 0..=noise.below(4) {
        let at = noise.below(data.len());
        let byte = u8::try_from(noise.next() & 0xff).unwrap_or_default();
        match (noise.below(6), data.get_mut(at)) {
            (0, _) => data.insert(at, byte),
            (1, Some(_)) => drop(data.remove(at)),
            (2, Some(slot)) => *slot ^= 1 << (byte & 7),
            (3, Some(slot)) => *slot = slot.wrapping_add(1),
            (4, Some(_)) => {
                let other = &corpus[noise.below(corpus.len())];
                data.truncate(at);
                data.extend_from_slice(&other[at.min(other.len())..]);
            }
            (_, Some(slot)) => *slot = byte,
            (_, None) => {}
        }
    }
    data
}

fn mutations(corpus: &[Vec<u8>], target: fn(&[u8])) -> u64 {
    let secs = std::env::var("OUTLAST_FUZZ_SECS").ok().and_then(|text| text.parse().ok());
    let until = Instant::now() + Duration::from_secs(secs.unwrap_or(1));
    for seed in 1u64.. {
        let mut noise = Noise(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let data = mutate(&mut noise, corpus);
        let failed = std::panic::catch_unwind(|| target(&data)).is_err();
        assert!(!failed, "seed {seed}: {}", hex::encode(&data));
        if seed % 32 == 0 && Instant::now() > until {
            return seed;
        }
    }
    0
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
fn fuzz_psbt_reader_keeps_its_promises_under_mutation() {
    keep("psbt", &psbts());
    let rounds = mutations(&psbts(), fuzz::fuzz_psbt);
    println!("{rounds} mutations");
    assert!(rounds > 100, "only {rounds} mutations in the time given");
}

#[test]
fn fuzz_solana_reader_keeps_its_promises_under_mutation() {
    keep("solana", &messages());
    let rounds = mutations(&messages(), fuzz::fuzz_solana);
    println!("{rounds} mutations");
    assert!(rounds > 1000, "only {rounds} mutations in the time given");
}

#[test]
fn the_vectors_say_what_their_names_say() {
    for (bytes, format) in psbts().iter().zip(["psbt-v0", "psbt-v2", "psbt-v0", "psbt-v2"]) {
        fuzz::fuzz_psbt(bytes);
        let network = "bitcoin:regtest".parse().ok();
        let intent = chains::decode(RawKind::Psbt, network, bytes).expect("good");
        assert_eq!(intent.format, format);
        let paid = |o: &Operation| match o {
            Operation::NativeTransfer { amount, .. } => amount.to_u64(),
            _ => None,
        };
        let paid: Vec<Option<u64>> = intent.operations.iter().map(paid).collect();
        assert_eq!(paid, [Some(70_000), Some(29_500)]);
        assert_eq!(intent.fee.at_most.to_u64(), Some(500));
    }
    for (bytes, operations) in messages().iter().zip([2, 2, 2, 1]) {
        fuzz::fuzz_solana(bytes);
        let network = "solana:local".parse().ok();
        let intent = chains::decode(RawKind::SolanaMessage, network, bytes).expect("good");
        assert_eq!(intent.operations.len(), operations);
    }
}

/// A single changed byte of a message is never unseen: it is refused, or the words or the single use differ.
#[test]
fn every_byte_of_a_solana_message_shows() {
    for bytes in messages() {
        let network = "solana:local".parse().ok();
        let read = |bytes: &[u8]| chains::decode(RawKind::SolanaMessage, network, bytes);
        let good = read(&bytes).expect("good");
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            let Ok(intent) = read(&other) else { continue };
            // The header's count of read-only keys changes no words: the runtime then refuses the write.
            assert!(intent != good || at <= 3, "byte {at} of {}", hex::encode(&bytes));
        }
    }
}

proptest! {
    #[test]
    fn noise_never_panics(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        fuzz::fuzz_solana(&data);
        fuzz::fuzz_psbt(&[b"psbt\xff", data.as_slice()].concat());
        let versioned = [&[0x80, 1, 0, 1][..], &data].concat();
        fuzz::fuzz_solana(&versioned);
    }
}
