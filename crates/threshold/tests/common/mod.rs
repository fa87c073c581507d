//! What the signing tests share: seeded entropy, dealt vaults, one mesh of pair states, and a network in a loop.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::indexing_slicing, clippy::as_conversions)]

use model::access::AccessTree;
use model::entropy::Entropy;
use model::hd::DerivationPath;
use model::ids::{NodeId, PairEpoch, Seat, SessionId};
use model::keys::KeyKind;
use model::signing::{KeyTweak, SignItem, Signature};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock};
use threshold::pair::PairState;
use threshold::shares::{VaultPublic, VaultShare};
use threshold::sign::probe::{deal_vault, make_pair};
use threshold::sign::{Input, Outgoing, Running, SignError, Step, start};

/// SHA-256 in counter mode: the same bytes for the same seed.
pub struct SeededEntropy {
    seed: [u8; 32],
    counter: u64,
}

impl SeededEntropy {
    pub fn new(seed: u64) -> Self {
        Self { seed: model::hash::sha256(&seed.to_be_bytes()), counter: 0 }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let block = [&self.seed[..], &self.counter.to_be_bytes()].concat();
            self.counter += 1;
            chunk.copy_from_slice(&model::hash::sha256(&block)[..chunk.len()]);
        }
    }
}

/// A dealt vault with every seat's share.
pub struct Vault {
    pub public: Arc<VaultPublic>,
    pub shares: BTreeMap<Seat, VaultShare>,
}

impl Vault {
    pub fn deal(tree: AccessTree, seed: u64) -> Self {
        let (public, shares) = deal_vault(tree, &mut SeededEntropy::new(seed));
        let shares = shares.into_iter().map(|share| (share.seat, share)).collect();
        Self { public: Arc::new(public), shares }
    }
}

pub fn committee(threshold: u16, n: u16) -> AccessTree {
    AccessTree::committee(threshold, &(1..=n).map(Seat).collect::<Vec<_>>()).unwrap()
}

/// Two 2-of-3 halves, both needed.
pub fn two_halves() -> AccessTree {
    let half = |list: [u16; 3]| AccessTree::Threshold {
        threshold: 2,
        children: list.map(|seat| AccessTree::Leaf(Seat(seat))).to_vec(),
    };
    AccessTree::All(vec![half([1, 2, 3]), half([4, 5, 6])])
}

pub fn seats(list: &[u16]) -> BTreeSet<Seat> {
    list.iter().copied().map(Seat).collect()
}

pub fn item(key: KeyKind, path: &str, tweak: KeyTweak, message: &[u8]) -> SignItem {
    SignItem { key, path: path.parse().unwrap(), tweak, message: message.to_vec() }
}

pub fn root_item(key: KeyKind, message: u8) -> SignItem {
    SignItem {
        key,
        path: DerivationPath::root(),
        tweak: KeyTweak::None,
        message: vec![message; 32],
    }
}

pub type Mesh = BTreeMap<(Seat, Seat), Arc<PairState>>;

fn mesh() -> &'static Mutex<BTreeMap<(Seat, Seat), Arc<PairState>>> {
    static MESH: OnceLock<Mutex<Mesh>> = OnceLock::new();
    MESH.get_or_init(Mutex::default)
}

/// Pair states among `quorum`, made once per test binary: they depend on nodes, not on vaults.
pub fn pairs_for(public: &VaultPublic, quorum: &BTreeSet<Seat>) -> Mesh {
    let mut mesh = mesh().lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    for a in quorum {
        for b in quorum.iter().filter(|b| *b > a) {
            if !mesh.contains_key(&(*a, *b)) {
                let (one, two) = fresh_pair(public.members[a], public.members[b], 1);
                mesh.insert((*a, *b), one);
                mesh.insert((*b, *a), two);
            }
        }
    }
    mesh.iter()
        .filter(|((a, b), _)| quorum.contains(a) && quorum.contains(b))
        .map(|(ends, pair)| (*ends, Arc::clone(pair)))
        .collect()
}

pub fn fresh_pair(one: NodeId, two: NodeId, epoch: u32) -> (Arc<PairState>, Arc<PairState>) {
    let mut entropy = SeededEntropy::new(u64::from(epoch));
    let (one, two) = make_pair(one, two, PairEpoch(epoch), &mut entropy).unwrap();
    (Arc::new(one), Arc::new(two))
}

/// One signing session of a quorum.
pub struct Session<'a> {
    pub vault: &'a Vault,
    pub quorum: BTreeSet<Seat>,
    pub item: SignItem,
    pub session: SessionId,
    pub mesh: Mesh,
}

impl<'a> Session<'a> {
    pub fn new(vault: &'a Vault, quorum: &[u16], item: SignItem, number: u8) -> Self {
        let quorum = seats(quorum);
        let mesh = match item.key {
            KeyKind::Ecdsa => pairs_for(&vault.public, &quorum),
            _ => Mesh::new(),
        };
        Self { vault, quorum, item, session: SessionId([number; 32]), mesh }
    }

    pub fn input(&self, seat: Seat) -> Input<'a> {
        let mine = self.mesh.iter().filter(|((me, _), _)| *me == seat);
        Input {
            session: self.session,
            public: Arc::clone(&self.vault.public),
            share: &self.vault.shares[&seat],
            quorum: self.quorum.clone(),
            item: self.item.clone(),
            pairs: mine.map(|((_, peer), pair)| (*peer, Arc::clone(pair))).collect(),
        }
    }

    pub fn start(&self, seat: Seat, seed: u64) -> (Running, Vec<Outgoing>) {
        match start(self.input(seat), &mut SeededEntropy::new(seed ^ u64::from(seat.0))) {
            Ok(Step::Continue(running, out)) => (running, out),
            other => panic!("start gave {other:?}"),
        }
    }

    pub fn run(&self) -> BTreeMap<Seat, Result<Signature, SignError>> {
        self.run_with(|_, _, _, _| {})
    }

    /// Runs the session; `tamper` sees each message (round, sender, receiver, bytes) before it is delivered.
    ///
    /// A member that fails sends no more; members that wait for it end without an entry in the result.
    pub fn run_with(
        &self,
        mut tamper: impl FnMut(u8, Seat, Seat, &mut Vec<u8>),
    ) -> BTreeMap<Seat, Result<Signature, SignError>> {
        let mut entropy = SeededEntropy::new(7);
        let mut results = BTreeMap::new();
        let mut running: BTreeMap<Seat, Running> = BTreeMap::new();
        let mut wire: Vec<(Seat, Outgoing)> = Vec::new();
        for seat in &self.quorum {
            let (run, out) = self.start(*seat, 99);
            running.insert(*seat, run);
            wire.extend(out.into_iter().map(|message| (*seat, message)));
        }
        while !running.is_empty() {
            let mut inboxes: BTreeMap<Seat, BTreeMap<Seat, Vec<u8>>> = BTreeMap::new();
            for (from, mut message) in wire.drain(..) {
                let round = running.get(&from).map_or(0, Running::round);
                tamper(round, from, message.to, &mut message.bytes);
                inboxes.entry(message.to).or_default().insert(from, message.bytes);
            }
            let mut progressed = false;
            for (seat, run) in std::mem::take(&mut running) {
                let inbox = inboxes.remove(&seat).unwrap_or_default();
                if !inbox.keys().eq(run.expects().iter()) {
                    continue;
                }
                progressed = true;
                match run.advance(inbox, &mut entropy) {
                    Ok(Step::Continue(next, out)) => {
                        running.insert(seat, next);
                        wire.extend(out.into_iter().map(|message| (seat, message)));
                    }
                    Ok(Step::Done(signature)) => {
                        results.insert(seat, Ok(signature));
                    }
                    Err(error) => {
                        results.insert(seat, Err(error));
                    }
                }
            }
            if !progressed {
                break;
            }
        }
        results
    }

    /// Runs to the end; every member must hold the same signature.
    pub fn sign(&self) -> Signature {
        let results = self.run();
        assert_eq!(results.len(), self.quorum.len(), "{results:?}");
        let mut signatures = results.into_values().map(|result| result.expect("a signature"));
        let first = signatures.next().unwrap();
        assert!(signatures.all(|other| other == first));
        first
    }
}
