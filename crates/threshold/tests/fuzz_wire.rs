//! The decoders of ceremonies, pairs and signing under mutated input: real messages of every round, and edits of them.
//!
//! One second by default; `OUTLAST_FUZZ_SECS` makes it longer. The seed is printed when a promise breaks.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod common;

use common::SeededEntropy;
use model::access::AccessTree;
use model::card::NodeKey;
use model::ids::{CeremonyId, Epoch, NodeId, PairEpoch, Seat};
use model::keys::Purpose;
use model::secret::Secret;
use model::wire::Wire;
use std::sync::Arc;
use std::time::{Duration, Instant};
use threshold::pair::{PairSetup, PairStep};
use threshold::sign::probe;
use threshold::{dkg, fuzz};

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
    for _ in 0..=noise.below(3) {
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

/// Every message of one ceremony of three, and its plan.
fn ceremony(corpus: &mut Vec<Vec<u8>>, entropy: &mut SeededEntropy) {
    let key = |seat: Seat| NodeKey::new(Secret::new([u8::try_from(seat.0).unwrap(); 32]));
    let seats: Vec<Seat> = (1..=3).map(Seat).collect();
    let plan = dkg::Plan {
        ceremony: CeremonyId([7; 32]),
        purpose: Purpose::Test,
        epoch: Epoch(1),
        tree: AccessTree::committee(2, &seats).unwrap(),
        members: seats.iter().map(|seat| (*seat, key(*seat).id())).collect(),
    };
    corpus.extend([plan.to_bytes(), plan.tree.to_bytes()]);
    let plan = Arc::new(plan);
    let begin = |seat: &Seat| dkg::start(Arc::clone(&plan), *seat, &key(*seat), entropy).unwrap();
    let mut members: Vec<_> = seats.iter().map(begin).collect();
    loop {
        let sent: Vec<_> = seats
            .iter()
            .zip(&members)
            .flat_map(|(from, (_, out))| out.iter().map(move |m| (*from, m.to, m.bytes.clone())))
            .collect();
        corpus.extend(sent.iter().map(|(_, _, bytes)| bytes.clone()));
        let mut next = Vec::new();
        for (seat, (running, _)) in seats.iter().zip(members) {
            let to_us = sent.iter().filter(|(_, to, _)| to == seat);
            let inbox = to_us.map(|(from, _, bytes)| (*from, bytes.clone())).collect();
            match running.advance(inbox, &key(*seat), &mut SeededEntropy::new(u64::from(seat.0))) {
                Ok(dkg::Step::Continue(running, out)) => next.push((running, out)),
                Ok(dkg::Step::Done(done)) => {
                    corpus.extend([done.public.to_bytes(), done.share.to_bytes().expose().clone()]);
                }
                Err(error) => panic!("{error}"),
            }
        }
        if next.is_empty() {
            return;
        }
        members = next;
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let mut entropy = SeededEntropy::new(1);
    let mut corpus = Vec::new();
    ceremony(&mut corpus, &mut entropy);
    let (one, two) = (NodeId([1; 32]), NodeId([2; 32]));
    let (setup, first) = PairSetup::start(one, two, PairEpoch(1), [3; 32]).unwrap();
    let (_, theirs) = PairSetup::start(two, one, PairEpoch(1), [3; 32]).unwrap();
    let PairStep::Continue(_, second) = setup.receive(&theirs).unwrap() else { panic!("done") };
    let (state, _) = probe::make_pair(one, two, PairEpoch(1), &mut entropy).unwrap();
    corpus.extend([first, second, state.to_bytes().expose().clone()]);
    corpus
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
fn fuzz_values_of_ceremonies_pairs_and_signing() {
    let corpus = corpus();
    assert!(corpus.len() > 20, "{} values", corpus.len());
    keep("threshold", &corpus);
    corpus.iter().for_each(|good| fuzz::fuzz_wire(good));
    let secs = std::env::var("OUTLAST_FUZZ_SECS").ok().and_then(|text| text.parse().ok());
    let until = Instant::now() + Duration::from_secs(secs.unwrap_or(1));
    for seed in 1u64.. {
        let mut noise = Noise(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let data = mutate(&mut noise, &corpus);
        let failed = std::panic::catch_unwind(|| fuzz::fuzz_wire(&data)).is_err();
        assert!(!failed, "seed {seed}: {}", hex::encode(&data));
        if seed.is_multiple_of(32) && Instant::now() > until {
            println!("{seed} mutations");
            assert!(seed > 100, "only {seed} mutations in the time given");
            return;
        }
    }
}
