//! ECDSA: Protocol 3.6 of DKLs23 (ePrint 2023/765), driven in three rounds over pair states.
//!
//! The engine `dkls23-core` only multiplies for us: its `Party` is built by hand for one phase from the quorum's
//! additive share and the pair states, so the key never enters it as a whole and nothing of it is stored. Its types
//! print secrets in `Debug`; they stay in the private fields below. It draws its own randomness
//! (impure on purpose), each phase from a hedge that is lent to it.
//!
//! # Security
//! Round 2 answers oblivious-transfer messages: it leaves through [`crate::pair::PairGate`] only. Where an error says
//! `pair: true`, that pair's state must be destroyed before anything else leaves to the peer.

use super::backend::{Backend, Progress};
use super::ecdsa_wire as wire;
use super::error::{Reason, Refusal, SignError};
use super::hedge::{self, Hedged};
use super::quorum::QuorumKey;
use crate::pair::{PairState, guarded};
use dkls23_core::protocols::derivation::DerivData;
use dkls23_core::protocols::signing::{
    Broadcast3to4, KeepPhase1to2, KeepPhase2to3, SignData, UniqueKeep1to2, UniqueKeep2to3,
};
use dkls23_core::protocols::{Abort, AbortKind, AbortReason, Parameters, Party, PartyIndex};
use dkls23_core::utilities::zero_shares::{SeedPair, ZeroShare};
use k256::elliptic_curve::scalar::IsHigh;
use k256::{Scalar, Secp256k1 as K256};
use model::curve::{Curve, Secp256k1};
use model::entropy::Entropy;
use model::hash::tagged;
use model::ids::{Seat, SessionId};
use model::secret::Secret;
use model::signing::{SignItem, Signature};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use std::collections::BTreeMap;
use std::sync::Arc;
use zeroize::Zeroize;

/// Rounds of messages.
pub(crate) const ROUNDS: u8 = 3;
/// The round whose messages answer an oblivious-transfer message.
pub(crate) const ROUND_OF_ANSWERS: u8 = 2;

type Bodies = BTreeMap<Seat, Vec<u8>>;

/// What the engine keeps between its phases: secret, single use, moved.
type KeptFirst = (UniqueKeep1to2<K256>, BTreeMap<PartyIndex, KeepPhase1to2<K256>>);
type KeptSecond = (UniqueKeep2to3<K256>, BTreeMap<PartyIndex, KeepPhase2to3<K256>>);

/// One run, seen from one seat.
pub(crate) struct Ecdsa {
    member: Member,
    stage: Stage,
}

/// What stays the same through the rounds.
struct Member {
    key: QuorumKey<Secp256k1>,
    index: PartyIndex,
    pairs: BTreeMap<Seat, Arc<PairState>>,
    session: SessionId,
    data: SignData,
}

/// One call into the engine: its name, and a digest of what it answers.
struct Phase {
    name: &'static str,
    received: [u8; 32],
}

enum Stage {
    First(Box<KeptFirst>),
    Second(Box<KeptSecond>),
    Third { r: Scalar, mine: Broadcast3to4<K256> },
}

impl Ecdsa {
    /// Round 1: our oblivious-transfer message to every other member.
    pub(crate) fn start(
        key: QuorumKey<Secp256k1>,
        session: SessionId,
        context: [u8; 32],
        item: &SignItem,
        pairs: BTreeMap<Seat, Arc<PairState>>,
        entropy: &mut dyn Entropy,
    ) -> Result<(Self, Bodies), SignError> {
        let message_hash = <[u8; 32]>::try_from(item.message.as_slice())
            .map_err(|_| Refusal::Digest(item.message.len()))?;
        let index = party_index(&key, key.me)?;
        let others = key.others();
        let counterparties =
            others.iter().map(|seat| party_index(&key, *seat)).collect::<Result<_, _>>()?;
        // SIGN-4: the session goes into the engine twice, as id and inside the context hash that is its sign id.
        let data = SignData { sign_id: context.to_vec(), counterparties, message_hash };
        let pairs = pairs.into_iter().filter(|(seat, _)| others.contains(seat)).collect();
        let member = Member { key, index, pairs, session, data };
        let phase = Phase { name: "ecdsa phase 1", received: [0; 32] };
        let (unique, keep, messages) =
            member.with_party(&phase, entropy, |party| party.sign_phase1(&member.data))?;
        let mut bodies = Bodies::new();
        for message in &messages {
            let seat = member.seat(message.parties.receiver)?;
            let pair = member.pairs.get(&seat).ok_or(Refusal::PairMissing(seat))?;
            bodies.insert(seat, wire::write_first(&pair.id(), message));
        }
        Ok((Self { member, stage: Stage::First(Box::new((unique, keep))) }, bodies))
    }
}

impl Backend for Ecdsa {
    fn advance(
        self: Box<Self>,
        inbox: Bodies,
        entropy: &mut dyn Entropy,
    ) -> Result<Progress<Box<Self>>, SignError> {
        let Self { member, stage } = *self;
        let (stage, bodies) = match stage {
            Stage::First(kept) => member.second(*kept, &inbox, entropy)?,
            Stage::Second(kept) => member.third(*kept, &inbox, entropy)?,
            Stage::Third { r, mine } => {
                return member.finish(&r, &mine, &inbox).map(Progress::Done);
            }
        };
        Ok(Progress::Continue(Box::new(Self { member, stage }), bodies))
    }
}

impl Member {
    /// Answers every oblivious-transfer message; one bad one and nobody is answered.
    fn second(
        &self,
        (unique, keep): KeptFirst,
        inbox: &Bodies,
        entropy: &mut dyn Entropy,
    ) -> Result<(Stage, Bodies), SignError> {
        let mut received = Vec::with_capacity(inbox.len());
        for (seat, body) in inbox {
            let from = party_index(&self.key, *seat)?;
            let read = wire::read_first(body, from, self.index);
            let (pair, message) = read.map_err(|reason| SignError::by(*seat, reason))?;
            // PAIR-3: a restored or renewed end is told apart here, before any check could fail and ban it.
            if self.pairs.get(seat).map(|ours| ours.id()) != Some(pair) {
                return Err(SignError::by(*seat, Reason::PairMismatch));
            }
            received.push(message);
        }
        let phase = Phase { name: "ecdsa phase 2", received: digest(inbox) };
        let (unique, keep, messages) = self.with_party(&phase, entropy, |party| {
            party.sign_phase2(&self.data, unique, keep, &received)
        })?;
        let mut bodies = Bodies::new();
        for message in &messages {
            bodies.insert(self.seat(message.parties.receiver)?, wire::write_second(message));
        }
        Ok((Stage::Second(Box::new((unique, keep))), bodies))
    }

    fn third(
        &self,
        (unique, keep): KeptSecond,
        inbox: &Bodies,
        entropy: &mut dyn Entropy,
    ) -> Result<(Stage, Bodies), SignError> {
        let mut received = Vec::with_capacity(inbox.len());
        for (seat, body) in inbox {
            let read = wire::read_second(body, party_index(&self.key, *seat)?, self.index);
            received.push(read.map_err(|reason| SignError::by(*seat, reason))?);
        }
        let phase = Phase { name: "ecdsa phase 3", received: digest(inbox) };
        let (x_hex, mine) = self.with_party(&phase, entropy, |party| {
            party.sign_phase3(&self.data, unique, keep, &received)
        })?;
        let r = scalar_of_hex(&x_hex)?;
        let body = wire::write_third(&mine);
        let bodies = self.key.others().into_iter().map(|seat| (seat, body.clone())).collect();
        Ok((Stage::Third { r, mine }, bodies))
    }

    /// Step 10 of Protocol 3.6 without the engine: `s = sum(w) / sum(u)`, low, with the recovery id that fits.
    ///
    /// The engine would verify here with its own curve code; the session's last step verifies with libsecp256k1.
    fn finish(
        &self,
        r: &Scalar,
        mine: &Broadcast3to4<K256>,
        inbox: &Bodies,
    ) -> Result<Signature, SignError> {
        let (mut u, mut w) = (mine.u, mine.w);
        for (seat, body) in inbox {
            let read = wire::read_third(body).map_err(|reason| SignError::by(*seat, reason))?;
            u += read.u;
            w += read.w;
        }
        let invalid = || SignError::by_somebody(Reason::Signature);
        let mut s = w * Secp256k1::invert(&u).ok_or_else(invalid)?;
        if bool::from(s.is_high()) {
            s = -s;
        }
        let mut rs = [0u8; 64];
        let (first, second) = rs.split_at_mut(32);
        first.copy_from_slice(&Secp256k1::scalar_to_bytes(r));
        second.copy_from_slice(&Secp256k1::scalar_to_bytes(&s));
        let key = Secp256k1::point_to_bytes(&self.key.point);
        let recovery_id = recovery_id(&rs, self.data.message_hash, &key).ok_or_else(invalid)?;
        Ok(Signature::Ecdsa { rs, recovery_id })
    }

    fn seat(&self, index: PartyIndex) -> Result<Seat, SignError> {
        self.key.seat(index.as_u8()).ok_or(SignError::Bug("the engine names a party that is none"))
    }

    /// Runs one phase on a party that lives for this call only.
    fn with_party<T>(
        &self,
        phase: &Phase,
        entropy: &mut dyn Entropy,
        call: impl FnOnce(&Party<K256>) -> Result<T, Abort>,
    ) -> Result<T, SignError> {
        let party = self.party()?;
        let mine = Secret::new(Secp256k1::scalar_to_bytes(self.key.mine.expose()));
        let (context, received) = (&self.data.sign_id, &phase.received);
        let hedged = Hedged::for_phase(mine.expose(), context, phase.name, received, entropy);
        match hedge::lending(hedged, entropy, || guarded(phase.name, || call(&party)))? {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(abort)) => Err(self.abort(&abort)),
            // A panic on a peer's message may depend on our secrets, so it counts against every pair of the session.
            Err(phase) => Err(SignError::Misbehaved {
                culprit: None,
                pair: true,
                reason: Reason::Panicked(phase),
            }),
        }
    }

    /// The engine's view of one quorum: its Lagrange coefficient times `poly_point` is our additive share.
    fn party(&self) -> Result<Party<K256>, SignError> {
        let bug = SignError::Bug("a member has no number");
        let share = self.key.polynomial_share().ok_or(bug)?;
        let pk = self.key.point.to_affine();
        let (mut seeds, mut mul_senders, mut mul_receivers) =
            (Vec::new(), BTreeMap::new(), BTreeMap::new());
        for (seat, pair) in &self.pairs {
            let index = party_index(&self.key, *seat)?;
            seeds.push(SeedPair {
                lowest_index: self.index < index,
                index_counterparty: index,
                seed: *pair.zero_seed().expose(),
            });
            mul_senders.insert(index, pair.sender().clone());
            mul_receivers.insert(index, pair.receiver().clone());
        }
        let size = self.key.size();
        Ok(Party {
            parameters: Parameters { threshold: size, share_count: size },
            party_index: self.index,
            session_id: self.session.0.to_vec(),
            poly_point: *share.expose(),
            pk,
            zero_share: ZeroShare::initialize(seeds),
            mul_senders,
            mul_receivers,
            // Children are ours: the tweak is in the additive share, the child's key in `pk`.
            derivation_data: DerivData {
                depth: 0,
                child_number: 0,
                parent_fingerprint: [0; 4],
                poly_point: *share.expose(),
                pk,
                chain_code: [0; 32],
            },
            address: String::new(),
        })
    }

    /// Names whom the engine names.
    fn abort(&self, abort: &Abort) -> SignError {
        let reason = match &abort.reason {
            AbortReason::InvalidLocalState { .. } | AbortReason::MissingMulState { .. } => {
                return SignError::Bug("a pair state of ours is damaged");
            }
            // The phase-1 binding covers what our own heads bind, and the pair state besides.
            AbortReason::SessionBindingMismatch { .. } => Reason::PairMismatch,
            other => Reason::Check(other.to_string()),
        };
        if let AbortKind::BanCounterparty(index) = abort.kind {
            return SignError::Misbehaved {
                culprit: self.key.seat(index.as_u8()),
                pair: true,
                reason,
            };
        }
        let culprit = match &abort.reason {
            AbortReason::SessionBindingMismatch { counterparty }
            | AbortReason::CommitmentMismatch { counterparty }
            | AbortReason::TrivialInstancePoint { counterparty } => {
                self.key.seat(counterparty.as_u8())
            }
            // Public shares are blinded by zero shares here: the sum is wrong and nobody can say whose part.
            _ => None,
        };
        SignError::Misbehaved { culprit, pair: false, reason }
    }
}

/// The id under which libsecp256k1 recovers `key`; `None` also for the ids 2 and 3 (probability below 2^-127).
pub(super) fn recovery_id(rs: &[u8; 64], digest: [u8; 32], key: &[u8]) -> Option<u8> {
    let secp = secp256k1::Secp256k1::verification_only();
    let message = secp256k1::Message::from_digest(digest);
    (0u8..2).find(|id| {
        RecoveryId::from_i32(i32::from(*id))
            .and_then(|id| RecoverableSignature::from_compact(rs, id))
            .and_then(|signature| secp.recover_ecdsa(&message, &signature))
            .is_ok_and(|found| found.serialize()[..] == *key)
    })
}

fn digest(inbox: &Bodies) -> [u8; 32] {
    let seats: Vec<u8> = inbox.keys().flat_map(|seat| seat.0.to_be_bytes()).collect();
    let mut parts: Vec<&[u8]> = vec![&seats];
    parts.extend(inbox.values().map(Vec::as_slice));
    tagged("outlast/sign/received/v1", &parts)
}

fn party_index(key: &QuorumKey<Secp256k1>, seat: Seat) -> Result<PartyIndex, SignError> {
    key.number(seat)
        .and_then(|number| PartyIndex::new(number).ok())
        .ok_or(SignError::Bug("a member has no number"))
}

/// The engine hands out x of R in hexadecimal; reduced like every ECDSA does.
fn scalar_of_hex(text: &str) -> Result<Scalar, SignError> {
    let bug = SignError::Bug("the engine's x is no 32 bytes");
    let mut bytes = [0u8; 32];
    if text.len() != 64 || !text.is_ascii() {
        return Err(bug);
    }
    for (byte, at) in bytes.iter_mut().zip((0usize..64).step_by(2)) {
        let digits = text.get(at..at.saturating_add(2)).unwrap_or_default();
        *byte = u8::from_str_radix(digits, 16).map_err(|_| bug.clone())?;
    }
    let mut wide = [0u8; 64];
    let (_, low) = wide.split_at_mut(32);
    low.copy_from_slice(&bytes);
    bytes.zeroize();
    Ok(Secp256k1::scalar_from_wide(&wide))
}
