//! The bare protocol, all parties in one process: what a signature costs without network, log or storage.
//!
//! `outlast bench sign` divides cores by this cost and calls it the limit of the run. No clock here: the caller
//! measures its own CPU time around [`Probe::sign`].

use super::{Input, SignError, Step, start};
use crate::pair::{PairSetup, PairState, PairStep};
use crate::shares::{VaultPublic, VaultShare};
use crate::sharing::{Dealing, deal};
use model::access::AccessTree;
use model::curve::{Curve, Ed25519, Secp256k1};
use model::entropy::Entropy;
use model::hd::{ChainCode, DerivationPath, ExtendedKey};
use model::ids::{Epoch, NodeId, PairEpoch, Seat, SessionId};
use model::keys::{KeyKind, Purpose, VaultKeys};
use model::secret::Secret;
use model::signing::{KeyTweak, SignItem, Signature};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A throw-away vault of n nodes, all of which sign; its key is dealt in this process and guards nothing.
pub struct Probe {
    kind: KeyKind,
    public: Arc<VaultPublic>,
    shares: Vec<VaultShare>,
    pairs: BTreeMap<(Seat, Seat), Arc<PairState>>,
    signed: u64,
}

impl Probe {
    /// Deals a vault for `nodes` nodes and, for ECDSA, makes the pair states (about 0.7 s of CPU a pair).
    pub fn new(kind: KeyKind, nodes: u16, entropy: &mut dyn Entropy) -> Result<Self, SignError> {
        let seats: Vec<Seat> = (1..=nodes).map(Seat).collect();
        let tree = AccessTree::committee(nodes, &seats)
            .map_err(|_| SignError::Bug("a probe of no size"))?;
        let (public, shares) = deal_vault(tree, entropy);
        let mut pairs = BTreeMap::new();
        if kind == KeyKind::Ecdsa {
            for low in &seats {
                for high in seats.iter().filter(|high| *high > low) {
                    let (a, b) = make_pair(node(*low), node(*high), PairEpoch(1), entropy)?;
                    pairs.insert((*low, *high), Arc::new(a));
                    pairs.insert((*high, *low), Arc::new(b));
                }
            }
        }
        Ok(Self { kind, public: Arc::new(public), shares, pairs, signed: 0 })
    }

    /// One signature by all nodes, each of which computes and verifies it.
    pub fn sign(&mut self, entropy: &mut dyn Entropy) -> Result<Signature, SignError> {
        self.signed = self.signed.wrapping_add(1);
        let mut session = [0u8; 32];
        let (_, counter) = session.split_at_mut(24);
        counter.copy_from_slice(&self.signed.to_be_bytes());
        let item = SignItem {
            key: self.kind,
            path: DerivationPath::root(),
            tweak: KeyTweak::None,
            message: session.to_vec(),
        };
        let quorum: BTreeSet<Seat> = self.public.members.keys().copied().collect();
        let mut steps = Vec::with_capacity(self.shares.len());
        for share in &self.shares {
            let mine = self.pairs.range((share.seat, Seat(0))..=(share.seat, Seat(u16::MAX)));
            let input = Input {
                session: SessionId(session),
                public: Arc::clone(&self.public),
                share,
                quorum: quorum.clone(),
                item: item.clone(),
                pairs: mine.map(|((_, peer), pair)| (*peer, Arc::clone(pair))).collect(),
            };
            steps.push((share.seat, start(input, entropy)?));
        }
        run(steps, entropy)
    }
}

/// Delivers every round to everybody until all have the signature.
fn run(mut steps: Vec<(Seat, Step)>, entropy: &mut dyn Entropy) -> Result<Signature, SignError> {
    loop {
        let mut inboxes: BTreeMap<Seat, BTreeMap<Seat, Vec<u8>>> = BTreeMap::new();
        let mut running = Vec::with_capacity(steps.len());
        let mut finished = None;
        for (seat, step) in steps {
            match step {
                Step::Done(signature) => finished = Some(signature),
                Step::Continue(next, out) => {
                    running.push((seat, next));
                    for message in out {
                        inboxes.entry(message.to).or_default().insert(seat, message.bytes);
                    }
                }
            }
        }
        if let Some(signature) = finished {
            return Ok(signature);
        }
        steps = Vec::with_capacity(running.len());
        for (seat, next) in running {
            let inbox = inboxes.remove(&seat).unwrap_or_default();
            steps.push((seat, next.advance(inbox, entropy)?));
        }
    }
}

/// Node of a seat in a dealt vault.
fn node(seat: Seat) -> NodeId {
    let mut id = [0xa5; 32];
    let (head, _) = id.split_at_mut(2);
    head.copy_from_slice(&seat.0.to_be_bytes());
    NodeId(id)
}

/// A vault whose key this process knows: for probes, benches and tests only.
///
/// # Security
/// A dealer knows the whole key. Real vaults come from [`crate::dkg`].
pub fn deal_vault(tree: AccessTree, entropy: &mut dyn Entropy) -> (VaultPublic, Vec<VaultShare>) {
    let mut code = || {
        let mut bytes = [0u8; 32];
        entropy.fill(&mut bytes);
        ChainCode(bytes)
    };
    let codes = (code(), code(), code());
    let ecdsa = deal_random::<Secp256k1>(&tree, entropy);
    let bip340 = deal_random::<Secp256k1>(&tree, entropy);
    let ed25519 = deal_random::<Ed25519>(&tree, entropy);
    let keys = VaultKeys {
        ecdsa: ExtendedKey { point: ecdsa.commitments.root(), chain_code: codes.0 },
        bip340: ExtendedKey { point: bip340.commitments.root(), chain_code: codes.1 },
        ed25519: ExtendedKey { point: ed25519.commitments.root(), chain_code: codes.2 },
    };
    let (mut one, mut two, mut three) = (ecdsa.shares, bip340.shares, ed25519.shares);
    let shares = tree.seats().into_iter().filter_map(|seat| {
        Some(VaultShare {
            seat,
            epoch: Epoch(1),
            ecdsa: one.remove(&seat)?,
            bip340: two.remove(&seat)?,
            ed25519: three.remove(&seat)?,
        })
    });
    let shares = shares.collect();
    let members = tree.seats().into_iter().map(|seat| (seat, node(seat))).collect();
    let public = VaultPublic {
        purpose: Purpose::Test,
        epoch: Epoch(1),
        tree,
        members,
        keys,
        ecdsa: ecdsa.commitments,
        bip340: bip340.commitments,
        ed25519: ed25519.commitments,
    };
    (public, shares)
}

fn deal_random<C: Curve>(tree: &AccessTree, entropy: &mut dyn Entropy) -> Dealing<C> {
    let secret = Secret::new(C::random_scalar(entropy));
    deal::<C>(tree, secret.expose(), entropy)
}

/// Runs a pair setup in one process; both ends.
pub fn make_pair(
    one: NodeId,
    two: NodeId,
    epoch: PairEpoch,
    entropy: &mut dyn Entropy,
) -> Result<(PairState, PairState), SignError> {
    let failed = |_| SignError::Bug("a pair setup with ourselves failed");
    let mut nonce = [0u8; 32];
    entropy.fill(&mut nonce);
    let (a, from_a) = PairSetup::start(one, two, epoch, nonce).map_err(failed)?;
    let (b, from_b) = PairSetup::start(two, one, epoch, nonce).map_err(failed)?;
    let unfinished = SignError::Bug("a pair setup took more messages than two");
    let (PairStep::Continue(a, from_a), PairStep::Continue(b, from_b)) =
        (a.receive(&from_b).map_err(failed)?, b.receive(&from_a).map_err(failed)?)
    else {
        return Err(unfinished);
    };
    match (a.receive(&from_b).map_err(failed)?, b.receive(&from_a).map_err(failed)?) {
        (PairStep::Done(a, _), PairStep::Done(b, _)) => Ok((a, b)),
        _ => Err(unfinished),
    }
}
