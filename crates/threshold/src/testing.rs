//! What the tests of this room share: seeded randomness and random access trees.

use crate::dkg::{Outcome, Plan, Step, start};
use crate::shares::{VaultPublic, VaultShare};
use crate::sharing::deal;
use model::access::AccessTree;
use model::card::NodeKey;
use model::curve::{Curve, Ed25519, Secp256k1};
use model::entropy::Entropy;
use model::hd::{ChainCode, ExtendedKey};
use model::ids::{CeremonyId, Epoch, NodeId, Seat};
use model::keys::{Purpose, VaultKeys};
use model::secret::Secret;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// SHA-256 in counter mode: the same bytes for the same seed, for ever (vectors rest on it).
pub struct SeededEntropy {
    seed: [u8; 32],
    counter: u64,
}

impl SeededEntropy {
    pub fn new(seed: u64) -> Self {
        Self { seed: Sha256::digest(seed.to_be_bytes()).into(), counter: 0 }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let block =
                Sha256::new().chain_update(self.seed).chain_update(self.counter.to_be_bytes());
            self.counter += 1;
            chunk.copy_from_slice(&block.finalize()[..chunk.len()]);
        }
    }
}

/// A set of seats.
pub fn seats(list: &[u16]) -> BTreeSet<Seat> {
    list.iter().copied().map(Seat).collect()
}

/// Shape of a random tree before its seats are numbered.
#[derive(Debug, Clone)]
enum Shape {
    Leaf,
    Gate(u8, Vec<Shape>),
}

impl Shape {
    fn number(&self, next: &mut u16) -> AccessTree {
        match self {
            Self::Leaf => {
                *next += 1;
                AccessTree::Leaf(Seat(*next))
            }
            Self::Gate(kind, shapes) => {
                let children: Vec<_> = shapes.iter().map(|shape| shape.number(next)).collect();
                match kind % 3 {
                    0 => AccessTree::All(children),
                    1 => AccessTree::Any(children),
                    _ => {
                        let n = u16::try_from(children.len()).unwrap();
                        AccessTree::Threshold { threshold: 1 + u16::from(kind / 3) % n, children }
                    }
                }
            }
        }
    }
}

/// Random valid trees of at most a dozen seats.
pub fn trees() -> impl Strategy<Value = AccessTree> {
    let shape = Just(Shape::Leaf).prop_recursive(3, 12, 4, |inner| {
        (any::<u8>(), prop::collection::vec(inner, 1..4))
            .prop_map(|(kind, children)| Shape::Gate(kind, children))
    });
    shape
        .prop_map(|shape| shape.number(&mut 0))
        .prop_filter("a valid tree", |tree| tree.validate().is_ok())
}

/// A dealt 2-of-3 vault of seats 1 to 3 and its shares, without a ceremony.
pub fn vault(seed: u64) -> (VaultPublic, Vec<VaultShare>) {
    let list = [Seat(1), Seat(2), Seat(3)];
    let tree = AccessTree::committee(2, &list).unwrap();
    let mut entropy = SeededEntropy::new(seed);
    let ecdsa = deal(&tree, &Secp256k1::random_scalar(&mut entropy), &mut entropy);
    let bip340 = deal(&tree, &Secp256k1::random_scalar(&mut entropy), &mut entropy);
    let ed25519 = deal(&tree, &Ed25519::random_scalar(&mut entropy), &mut entropy);
    let shares = list.map(|seat| VaultShare {
        seat,
        epoch: Epoch(1),
        ecdsa: ecdsa.shares[&seat].duplicate(),
        bip340: bip340.shares[&seat].duplicate(),
        ed25519: ed25519.shares[&seat].duplicate(),
    });
    let code = ChainCode([7; 32]);
    let keys = VaultKeys {
        ecdsa: ExtendedKey { point: ecdsa.commitments.root(), chain_code: code },
        bip340: ExtendedKey { point: bip340.commitments.root(), chain_code: code },
        ed25519: ExtendedKey { point: ed25519.commitments.root(), chain_code: code },
    };
    let members = [(1, 11), (2, 12), (3, 13)].map(|(s, n)| (Seat(s), NodeId([n; 32])));
    let public = VaultPublic {
        purpose: Purpose::Test,
        epoch: Epoch(1),
        tree,
        members: members.into(),
        keys,
        ecdsa: ecdsa.commitments,
        bip340: bip340.commitments,
        ed25519: ed25519.commitments,
    };
    (public, shares.into())
}

/// A t-of-n committee over consecutive seats.
pub fn committee(threshold: u16, range: core::ops::RangeInclusive<u16>) -> AccessTree {
    AccessTree::committee(threshold, &range.map(Seat).collect::<Vec<_>>()).unwrap()
}

/// Two halves that must act together: 2-of-3 and 2-of-2.
pub fn halves() -> AccessTree {
    AccessTree::All(vec![committee(2, 1..=3), committee(2, 4..=5)])
}

/// A plan over `tree` with a node key for each seat.
pub fn ceremony(tree: AccessTree, number: u8) -> (Plan, BTreeMap<Seat, NodeKey>) {
    let key = |seat: Seat| {
        let seed: [u8; 32] =
            Sha256::digest([b"node key ", &seat.0.to_be_bytes()[..]].concat()).into();
        (seat, NodeKey::new(Secret::new(seed)))
    };
    let keys: BTreeMap<Seat, NodeKey> = tree.seats().into_iter().map(key).collect();
    let plan = Plan {
        ceremony: CeremonyId([number; 32]),
        purpose: Purpose::Test,
        epoch: Epoch(1),
        tree,
        members: keys.iter().map(|(seat, key)| (*seat, key.id())).collect(),
    };
    (plan, keys)
}

/// Runs one ceremony to its end; each seat draws from the seed of its number.
pub fn run_ceremony(plan: &Plan, keys: &BTreeMap<Seat, NodeKey>) -> BTreeMap<Seat, Outcome> {
    let (mut members, mut mail) = (BTreeMap::new(), Vec::new());
    for (seat, key) in keys {
        let mut entropy = SeededEntropy::new(seat.0.into());
        let (running, out) = start(Arc::new(plan.clone()), *seat, key, &mut entropy).unwrap();
        mail.extend(out.into_iter().map(|message| (*seat, message)));
        members.insert(*seat, (running, entropy));
    }
    let mut done = BTreeMap::new();
    while !members.is_empty() {
        let sent = core::mem::take(&mut mail);
        for (seat, (running, mut entropy)) in core::mem::take(&mut members) {
            let mine = sent.iter().filter(|(_, message)| message.to == seat);
            let inbox = mine.map(|(from, message)| (*from, message.bytes.clone())).collect();
            match running.advance(inbox, &keys[&seat], &mut entropy).unwrap() {
                Step::Continue(next, out) => {
                    mail.extend(out.into_iter().map(|message| (seat, message)));
                    members.insert(seat, (next, entropy));
                }
                Step::Done(outcome) => drop(done.insert(seat, *outcome)),
            }
        }
    }
    done
}
