//! What the pieces cost: one signature by all three of 3-of-3, and one pair setup, both ends.
//!
//! One thread and no network, so time is CPU time on an idle machine.

#![allow(missing_docs, clippy::expect_used)]

use criterion::{Criterion, criterion_group, criterion_main};
use model::entropy::Entropy;
use model::ids::{NodeId, PairEpoch};
use model::keys::KeyKind;
use threshold::sign::probe::{Probe, make_pair};

/// SHA-256 in counter mode.
struct Counter(u64);

impl Entropy for Counter {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            self.0 = self.0.wrapping_add(1);
            let block = model::hash::sha256(&self.0.to_be_bytes());
            chunk.iter_mut().zip(block).for_each(|(to, from)| *to = from);
        }
    }
}

fn sign(c: &mut Criterion) {
    let mut group = c.benchmark_group("sign 3-of-3, all parties");
    for kind in KeyKind::ALL {
        let mut entropy = Counter(0);
        let mut probe = Probe::new(kind, 3, &mut entropy).expect("a probe");
        group.sample_size(40).bench_function(kind.name(), |b| {
            b.iter(|| probe.sign(&mut entropy).expect("a signature"));
        });
    }
    group.finish();
}

fn pair(c: &mut Criterion) {
    let mut group = c.benchmark_group("pair");
    let mut entropy = Counter(0);
    let (one, two) = (NodeId([1; 32]), NodeId([2; 32]));
    group.sample_size(10).bench_function("setup, both ends", |b| {
        b.iter(|| make_pair(one, two, PairEpoch(1), &mut entropy).expect("a pair"));
    });
    group.finish();
}

criterion_group!(benches, sign, pair);
criterion_main!(benches);
