//! The engine's decoders, and a whole engine, under mutated input: no panic, one spelling per value, and nothing written
//! or sent that does not read.
//!
//! The corpus is `vectors/engine/1`. One second by default; `OUTLAST_FUZZ_SECS` makes it longer. The round is printed when a
//! promise breaks, and every run has the same ones.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use engine::{
    Caller, CeremonyPlan, Command, CommandId, Config, Effect, Engine, Event, Hello, Message,
    Output, PersistentState, Proposal, Record,
};
use model::api;
use model::card::{NodeCard, NodeKey};
use model::entropy::Entropy;
use model::ids::Incarnation;
use model::request::Request;
use model::secret::Secret;
use model::time::Timestamp;
use model::wire::Wire;
use std::path::PathBuf;
use std::sync::Arc;
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

impl Entropy for Noise {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill_with(|| self.next().to_be_bytes()[0]);
    }
}

#[derive(serde::Deserialize)]
struct Vector {
    bytes: String,
}

fn corpus(files: &[&str]) -> Vec<Vec<u8>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors/engine/1");
    let read = |file: &&str| std::fs::read_to_string(root.join(file)).unwrap();
    let vectors = |file: &&str| serde_json::from_str::<Vec<Vector>>(&read(file)).unwrap();
    let all = files.iter().flat_map(vectors);
    all.map(|vector| hex::decode(vector.bytes).unwrap()).collect()
}

/// A few edits: flips, cuts, insertions, a run of one byte, a piece of another value.
fn damage(noise: &mut Noise, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = corpus[noise.below(corpus.len())].clone();
    for _ in 0..=noise.below(3) {
        let at = noise.below(bytes.len());
        match noise.below(5) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << noise.below(8),
            1 => bytes.truncate(at),
            2 => bytes.insert(at, [0x00, 0x01, 0xff][noise.below(3)]),
            3 => {
                let end = (at + noise.below(40)).min(bytes.len());
                bytes[at..end].fill([0x00, 0xff][noise.below(2)]);
            }
            _ => {
                let other = &corpus[noise.below(corpus.len())];
                bytes.splice(at.., other[noise.below(other.len())..].iter().copied());
            }
        }
    }
    bytes
}

fn for_a_while(mut step: impl FnMut(u64, &mut Noise)) {
    let secs = std::env::var("OUTLAST_FUZZ_SECS").ok().and_then(|text| text.parse().ok());
    let until = Instant::now() + Duration::from_secs(secs.unwrap_or(1));
    let mut round = 1;
    while Instant::now() < until {
        step(round, &mut Noise(round.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        round += 1;
    }
}

fn one_spelling<T: Wire>(round: u64, bytes: &[u8]) {
    if let Ok(value) = T::from_bytes(bytes) {
        assert_eq!(value.to_bytes(), bytes, "round {round}: a second spelling");
    }
}

/// Writes the corpus for `cargo fuzz` where `OUTLAST_FUZZ_CORPUS` names a directory (`fuzz/README.md`).
fn keep(target: &str, corpus: &[Vec<u8>]) {
    let Some(dir) = std::env::var_os("OUTLAST_FUZZ_CORPUS") else { return };
    let dir = std::path::Path::new(&dir).join(target);
    std::fs::create_dir_all(&dir).unwrap();
    for data in corpus {
        let name = hex::encode(model::hash::sha256(data));
        std::fs::write(dir.join(name), data).unwrap();
    }
}

#[test]
fn fuzz_every_decoder_refuses_or_gives_the_same_bytes_back() {
    let files = [
        "records.json",
        "messages.json",
        "hello.json",
        "plans.json",
        "requests.json",
        "proposals.json",
        "bad.json",
        "../../ceremony-record/1/records.json",
    ];
    let corpus = corpus(&files);
    keep("engine", &corpus);
    for_a_while(|round, noise| {
        let bytes = damage(noise, &corpus);
        one_spelling::<Record>(round, &bytes);
        one_spelling::<engine::record::CeremonyRecord>(round, &bytes);
        one_spelling::<Message>(round, &bytes);
        one_spelling::<Hello>(round, &bytes);
        one_spelling::<CeremonyPlan>(round, &bytes);
        one_spelling::<Proposal>(round, &bytes);
        one_spelling::<Request>(round, &bytes);
    });
}

const NOW: Timestamp = Timestamp(1_767_225_600_000);

fn key(number: u8) -> NodeKey {
    NodeKey::new(Secret::new([number; 32]))
}

/// An engine with one trusted peer and no vault.
fn engine(noise: &mut Noise) -> Engine {
    let config = Config {
        operator: "a".to_owned(),
        endpoint: String::new(),
        software: "fuzz".to_owned(),
        auto_join_test_vaults: true,
        test_home: false,
    };
    let (key_a, state) = (Arc::new(key(1)), PersistentState::default());
    let started = Engine::start(config, key_a, state, Incarnation([1; 16]), NOW);
    let (mut engine, _) = started.unwrap();
    let card = NodeCard::sign(&key(2), "b", "");
    let trust = api::TrustPeer { card: card.to_text(), words: card.words() };
    let (id, caller, command) = (CommandId(0), Caller::Operator, Command::Trust(trust));
    engine.handle(NOW, Event::Command { id, caller, command }, noise);
    engine
}

fn check(round: u64, output: &Output) {
    for record in &output.commit.records {
        assert!(Record::from_bytes(record).is_ok(), "round {round}: a record that does not read");
    }
    for effect in &output.effects {
        if let Effect::Send { bytes, .. } = effect {
            assert!(Message::from_bytes(bytes).is_ok(), "round {round}: a message nobody reads");
        }
    }
}

/// Goal: a trusted peer that sends anything at all breaks nothing. Method: its greeting and frames are mutated.
#[test]
fn fuzz_an_engine_takes_any_frame_of_a_peer() {
    let peer = key(2).id();
    let (frames, hellos) = (corpus(&["messages.json"]), corpus(&["hello.json"]));
    for_a_while(|round, noise| {
        let mut engine = engine(noise);
        let good = noise.below(4) > 0;
        let hello = if good { hellos[0].clone() } else { damage(noise, &hellos) };
        check(round, &engine.handle(NOW, Event::Up { peer, hello }, noise));
        for step in 0..40 {
            let bytes = damage(noise, &frames);
            check(round, &engine.handle(NOW, Event::Frame { peer, bytes }, noise));
            if step % 8 == 0 {
                let later = NOW.saturating_add_ms(step * 3_000);
                check(round, &engine.handle(later, Event::Tick, noise));
            }
        }
        check(round, &engine.handle(NOW, Event::Down { peer }, noise));
    });
}
