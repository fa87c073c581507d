//! What sharing and a whole ceremony cost: CPU of all parties together, one thread, no transport.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a bench fails by panicking")]

use criterion::{Criterion, criterion_group, criterion_main};
use model::access::AccessTree;
use model::card::NodeKey;
use model::curve::{Curve, Ed25519, Secp256k1};
use model::entropy::Entropy;
use model::ids::{CeremonyId, Epoch, Seat};
use model::keys::Purpose;
use model::secret::Secret;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use threshold::dkg::{Outcome, Plan, Step, start};
use threshold::sharing::{deal, verify_share};

/// SplitMix64: fast and repeatable, so that the bench measures the protocol and not a generator.
struct Seeded(u64);

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_be_bytes()[..chunk.len()]);
        }
    }
}

fn entropy() -> Seeded {
    Seeded(1)
}

fn committee(threshold: u16, seats: u16) -> AccessTree {
    let seats: Vec<Seat> = (1..=seats).map(Seat).collect();
    AccessTree::committee(threshold, &seats).expect("a valid committee")
}

fn plan(tree: AccessTree) -> (Arc<Plan>, BTreeMap<Seat, NodeKey>) {
    let mut seed = entropy();
    let keys: BTreeMap<Seat, NodeKey> =
        tree.seats().into_iter().map(|s| (s, NodeKey::new(Secret::new(seed.bytes())))).collect();
    let members = keys.iter().map(|(seat, key)| (*seat, key.id())).collect();
    let (ceremony, purpose, epoch) = (CeremonyId([1; 32]), Purpose::Test, Epoch(1));
    (Arc::new(Plan { ceremony, purpose, epoch, tree, members }), keys)
}

fn ceremony(plan: &Arc<Plan>, keys: &BTreeMap<Seat, NodeKey>) -> Vec<Outcome> {
    let mut entropy = entropy();
    let (mut running, mut mail, mut done) = (Vec::new(), Vec::new(), Vec::new());
    for (seat, key) in keys {
        let (next, out) = start(plan.clone(), *seat, key, &mut entropy).expect("a start");
        running.push((*seat, next));
        mail.extend(out.into_iter().map(|message| (*seat, message)));
    }
    while !running.is_empty() {
        let sent = core::mem::take(&mut mail);
        for (seat, member) in core::mem::take(&mut running) {
            let mine = sent.iter().filter(|(_, message)| message.to == seat);
            let inbox = mine.map(|(from, message)| (*from, message.bytes.clone())).collect();
            match member.advance(inbox, &keys[&seat], &mut entropy).expect("an honest round") {
                Step::Continue(next, out) => {
                    running.push((seat, next));
                    mail.extend(out.into_iter().map(|message| (seat, message)));
                }
                Step::Done(outcome) => done.push(*outcome),
            }
        }
    }
    done
}

fn ceremonies(c: &mut Criterion) {
    for (threshold, seats) in [(3, 3), (2, 3), (5, 7)] {
        let (plan, keys) = plan(committee(threshold, seats));
        let name = format!("dkg/{threshold}-of-{seats}/all-parties");
        c.bench_function(&name, |b| b.iter(|| black_box(ceremony(&plan, &keys))));
    }
}

fn sharing<C: Curve>(c: &mut Criterion) {
    let tree = committee(3, 3);
    let mut entropy = entropy();
    let secret = C::random_scalar(&mut entropy);
    c.bench_function(&format!("sharing/deal-3-of-3/{}", C::NAME), |b| {
        b.iter(|| black_box(deal::<C>(&tree, &secret, &mut entropy)));
    });
    let dealing = deal::<C>(&tree, &secret, &mut entropy);
    let share = dealing.shares[&Seat(3)].expose();
    c.bench_function(&format!("sharing/verify-3-of-3/{}", C::NAME), |b| {
        b.iter(|| black_box(verify_share(&tree, &dealing.commitments, Seat(3), share)));
    });
}

fn sharings(c: &mut Criterion) {
    sharing::<Secp256k1>(c);
    sharing::<Ed25519>(c);
}

criterion_group!(benches, ceremonies, sharings);
criterion_main!(benches);
