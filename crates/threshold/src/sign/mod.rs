//! Signing: one interface over three protocols, driven round by round with bytes at the edge.
//!
//! [`start`] checks our share and yields the first messages; [`Running::advance`] takes one message of every other
//! member and yields the next, or the finished signature, verified by a library that took no part in making it.
//! A value moves through the rounds, so a nonce is gone with its first use and with every error (invariant K2).
//!
//! Spec: `docs/spec/signing.md`, steps `SIGN-n`. Invariants: K1, K2, K4, K6.
//! Absent on purpose: time, storage, transport, retries, and any precomputed nonce. The messages that
//! [`Running::is_pair_answer`] marks leave only through [`crate::pair::PairGate`]; that is the caller's part.

mod backend;
mod ecdsa;
mod ecdsa_wire;
mod error;
mod frost;
mod hedge;
mod message;
#[cfg(test)]
mod oracle;
pub mod probe;
mod quorum;
mod shown;
mod verify;

pub use error::{Reason, Refusal, SignError};
pub use hedge::engine_draws_what_is_lent;
pub use message::Head;
pub use shown::{Shown, shown};
pub use verify::verify;

use crate::pair::PairState;
use crate::shares::{VaultPublic, VaultShare};
use backend::{Backend, Progress};
use ecdsa::Ecdsa;
use frost::Frost;
use frost_ed25519::Ed25519Sha512;
use frost_secp256k1_tr::Secp256K1Sha256TR;
use model::curve::{Curve, Ed25519, Secp256k1};
use model::entropy::Entropy;
use model::hash::tagged;
use model::ids::{Seat, SessionId};
use model::keys::KeyKind;
use model::signing::{SignItem, Signature};
use model::wire::{Wire, Writer};
use quorum::{QuorumKey, Root};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The body of a signing message, as each round reads it.
pub(crate) fn fuzz_bodies(data: &[u8]) {
    ecdsa_wire::fuzz_bodies(data);
    // The head is public; what stands behind it is the body.
    let mut reader = model::wire::Reader::new(data);
    if Head::read(&mut reader).is_ok()
        && let Ok(body) = reader.bytes(model::limits::MESSAGE_BYTES_MAX)
    {
        ecdsa_wire::fuzz_bodies(&body);
    }
}

/// What a session is about and what this node brings to it.
pub struct Input<'a> {
    /// Fresh for each attempt and agreed by all members.
    pub session: SessionId,
    /// The vault.
    pub public: Arc<VaultPublic>,
    /// Our share.
    pub share: &'a VaultShare,
    /// Who signs: a minimal satisfying set of seats.
    pub quorum: BTreeSet<Seat>,
    /// What is signed.
    pub item: SignItem,
    /// ECDSA only: our pair state with every other member.
    pub pairs: BTreeMap<Seat, Arc<PairState>>,
}

/// A message for one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The member.
    pub to: Seat,
    /// The message.
    pub bytes: Vec<u8>,
}

/// What a step yields.
#[derive(Debug)]
pub enum Step {
    /// Send these and wait for one message of every member that [`Running::expects`] names.
    Continue(Running, Vec<Outgoing>),
    /// The signature, verified. Nothing is left to send.
    Done(Signature),
}

/// A session between two rounds.
pub struct Running {
    head: Head,
    others: BTreeSet<Seat>,
    public: Arc<VaultPublic>,
    item: SignItem,
    engine: Engine,
}

enum Engine {
    Ecdsa(Box<Ecdsa>),
    Bip340(Box<Frost<Secp256K1Sha256TR>>),
    Ed25519(Box<Frost<Ed25519Sha512>>),
}

/// Names session, key and round; no key material.
impl core::fmt::Debug for Running {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Running")
            .field("session", &self.head.session)
            .field("kind", &self.head.kind)
            .field("round", &self.head.round)
            .finish_non_exhaustive()
    }
}

/// Checks what this node brings, makes fresh one-time scalars for exactly this message, and yields round 1.
pub fn start(input: Input<'_>, entropy: &mut dyn Entropy) -> Result<Step, SignError> {
    let Input { session, public, share, quorum, item, pairs } = input;
    if share.epoch != public.epoch {
        return Err(Refusal::Epoch { share: share.epoch, vault: public.epoch }.into());
    }
    let me = share.seat;
    if !quorum.contains(&me) {
        return Err(Refusal::NotMember(me).into());
    }
    let context = context(session, &public, &quorum, &item);
    let (engine, bodies) = match item.key {
        KeyKind::Ecdsa => {
            check_digest(&item)?;
            let key = ecdsa_key(&public, share, &quorum, &item)?;
            check_pairs(&public, me, &key.others(), &pairs)?;
            let (engine, bodies) = Ecdsa::start(key, session, context, &item, pairs, entropy)?;
            (Engine::Ecdsa(Box::new(engine)), bodies)
        }
        KeyKind::Bip340 => {
            check_digest(&item)?;
            let key = bip340_key(&public, share, &quorum, &item)?;
            let (engine, bodies) = Frost::start(key, context, &item.message, entropy)?;
            (Engine::Bip340(Box::new(engine)), bodies)
        }
        KeyKind::Ed25519 => {
            check_message(&item)?;
            let key = ed25519_key(&public, share, &quorum, &item)?;
            let (engine, bodies) = Frost::start(key, context, &item.message, entropy)?;
            (Engine::Ed25519(Box::new(engine)), bodies)
        }
    };
    let head = Head { session, context, epoch: public.epoch, kind: item.key, round: 1, from: me };
    let others = quorum.into_iter().filter(|seat| *seat != me).collect();
    let out = seal(&head, bodies);
    Ok(Step::Continue(Running { head, others, public, item, engine }, out))
}

impl Running {
    /// The session.
    pub fn session(&self) -> SessionId {
        self.head.session
    }

    /// The round whose messages were just sent and are now awaited, from 1.
    pub fn round(&self) -> u8 {
        self.head.round
    }

    /// Members whose message of this round is awaited.
    pub fn expects(&self) -> BTreeSet<Seat> {
        self.others.clone()
    }

    /// True when the messages just yielded answer an oblivious-transfer message of the peer, so that each leaves
    /// only through the gate of its pair (invariant K6).
    pub fn is_pair_answer(&self) -> bool {
        self.head.kind == KeyKind::Ecdsa && self.head.round == ecdsa::ROUND_OF_ANSWERS
    }

    /// True from the round on after which the others can finish the signature without us: what was reserved for it
    /// stays spent, whatever becomes of the session (finding 13).
    pub fn may_be_finished_by_others(&self) -> bool {
        let last = match self.head.kind {
            KeyKind::Ecdsa => ecdsa::ROUNDS,
            KeyKind::Bip340 | KeyKind::Ed25519 => frost::ROUNDS,
        };
        self.head.round == last
    }

    /// FROST, from round 2 on: hash of the one commitment list that our nonce answered, for the log entry.
    pub fn package_hash(&self) -> Option<[u8; 32]> {
        match &self.engine {
            Engine::Ecdsa(_) => None,
            Engine::Bip340(frost) => frost.package_hash(),
            Engine::Ed25519(frost) => frost.package_hash(),
        }
    }

    /// Compares a message's head with what this round awaits of `from`, without spending the session.
    pub fn accepts(&self, from: Seat, bytes: &[u8]) -> Result<(), Reason> {
        let found = Head::peek(bytes).map_err(Reason::Malformed)?;
        self.awaited(from).compare(found)
    }

    fn awaited(&self, from: Seat) -> Head {
        Head { from, ..self.head }
    }

    /// Takes one message of each other member; an error ends the session and its one-time scalars.
    pub fn advance(
        self,
        inbox: BTreeMap<Seat, Vec<u8>>,
        entropy: &mut dyn Entropy,
    ) -> Result<Step, SignError> {
        if !inbox.keys().eq(self.others.iter()) {
            let (found, wanted) = (inbox.len(), self.others.len());
            return Err(Refusal::Inbox { found, wanted }.into());
        }
        // SIGN-3: every head is checked before any body reaches an engine.
        let bodies = inbox
            .into_iter()
            .map(|(from, bytes)| match self.awaited(from).open(&bytes) {
                Ok(body) => Ok((from, body)),
                Err(reason) => Err(SignError::by(from, reason)),
            })
            .collect::<Result<BTreeMap<_, _>, _>>()?;
        let Self { head, others, public, item, engine } = self;
        let progress = match engine {
            Engine::Ecdsa(run) => run.advance(bodies, entropy)?.map(Engine::Ecdsa),
            Engine::Bip340(run) => run.advance(bodies, entropy)?.map(Engine::Bip340),
            Engine::Ed25519(run) => run.advance(bodies, entropy)?.map(Engine::Ed25519),
        };
        match progress {
            Progress::Continue(engine, bodies) => {
                let head = Head { round: head.round.saturating_add(1), ..head };
                let out = seal(&head, bodies);
                Ok(Step::Continue(Self { head, others, public, item, engine }, out))
            }
            Progress::Done(signature) => {
                // SIGN-9: a library that took no part in the protocol has the last word.
                verify(&public, &item, &signature)?;
                Ok(Step::Done(signature))
            }
        }
    }
}

fn seal(head: &Head, bodies: BTreeMap<Seat, Vec<u8>>) -> Vec<Outgoing> {
    bodies.into_iter().map(|(to, body)| Outgoing { to, bytes: head.seal(&body) }).collect()
}

fn check_digest(item: &SignItem) -> Result<(), SignError> {
    match item.message.len() {
        32 => Ok(()),
        found => Err(Refusal::Digest(found).into()),
    }
}

fn check_message(item: &SignItem) -> Result<(), SignError> {
    let (found, bound) = (item.message.len(), model::limits::TRANSACTION_BYTES_MAX);
    if found > bound { Err(Refusal::Message { found, bound }.into()) } else { Ok(()) }
}

fn check_pairs(
    public: &VaultPublic,
    me: Seat,
    others: &BTreeSet<Seat>,
    pairs: &BTreeMap<Seat, Arc<PairState>>,
) -> Result<(), SignError> {
    others.iter().try_for_each(|seat| {
        let pair = pairs.get(seat).ok_or(Refusal::PairMissing(*seat))?;
        let ends = (public.members.get(&me), public.members.get(seat));
        if ends != (Some(&pair.me()), Some(&pair.peer())) {
            return Err(Refusal::PairOfOthers(*seat).into());
        }
        Ok(())
    })
}

fn ecdsa_key(
    public: &Arc<VaultPublic>,
    share: &VaultShare,
    quorum: &BTreeSet<Seat>,
    item: &SignItem,
) -> Result<QuorumKey<Secp256k1>, SignError> {
    let root =
        Root { public, commitments: |v| &v.ecdsa, key: &public.keys.ecdsa, share: &share.ecdsa };
    quorum::build(&root, share.seat, quorum, item, |_| quorum::no_tweak(item))
}

fn bip340_key(
    public: &Arc<VaultPublic>,
    share: &VaultShare,
    quorum: &BTreeSet<Seat>,
    item: &SignItem,
) -> Result<QuorumKey<Secp256k1>, SignError> {
    let root =
        Root { public, commitments: |v| &v.bip340, key: &public.keys.bip340, share: &share.bip340 };
    quorum::build(&root, share.seat, quorum, item, |key| quorum::taproot(key, item.tweak))
}

fn ed25519_key(
    public: &Arc<VaultPublic>,
    share: &VaultShare,
    quorum: &BTreeSet<Seat>,
    item: &SignItem,
) -> Result<QuorumKey<Ed25519>, SignError> {
    let root = Root {
        public,
        commitments: |v| &v.ed25519,
        key: &public.keys.ed25519,
        share: &share.ed25519,
    };
    quorum::build(&root, share.seat, quorum, item, |_| quorum::no_tweak(item))
}

/// SIGN-1: everything that members must agree on before they compute, in one hash.
fn context(
    session: SessionId,
    public: &VaultPublic,
    quorum: &BTreeSet<Seat>,
    item: &SignItem,
) -> [u8; 32] {
    let (key, commitments) = match item.key {
        KeyKind::Ecdsa => (key_bytes(&public.keys.ecdsa), public.ecdsa.to_bytes()),
        KeyKind::Bip340 => (key_bytes(&public.keys.bip340), public.bip340.to_bytes()),
        KeyKind::Ed25519 => (key_bytes(&public.keys.ed25519), public.ed25519.to_bytes()),
    };
    let mut w = Writer::default();
    public.purpose.write(&mut w);
    w.u32(public.epoch.0);
    public.tree.write(&mut w);
    for (seat, node) in &public.members {
        w.u16(seat.0);
        w.fixed(&node.0);
    }
    let committee = w.into_bytes();
    let seats: Vec<u8> = quorum.iter().flat_map(|seat| seat.0.to_be_bytes()).collect();
    let parts: [&[u8]; 6] = [&session.0, &committee, &key, &commitments, &seats, &item.to_bytes()];
    tagged("outlast/sign/context/v1", &parts)
}

fn key_bytes<C: Curve>(key: &model::hd::ExtendedKey<C>) -> Vec<u8> {
    let mut bytes = C::point_to_bytes(&key.point);
    bytes.extend_from_slice(&key.chain_code.0);
    bytes
}
