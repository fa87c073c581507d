//! Why the pair discipline exists: one traitor, 256 sessions in flight, one long-lived correlation.
//!
//! DKLs23's oblivious-transfer extension checks the receiver's message against a secret of 256 bits that the pair keeps
//! for years. A message with one wrong column fails exactly when the secret's bit for that column is set, so each
//! session that is answered or not tells one bit. Against the bare library, 256 sessions at once tell all of them, and
//! then any answer opens the honest share. Banning after the first failure comes too late when the other answers
//! already left. Our gate lets answers leave in order until the first failure, and then none.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests fail loudly
#![allow(clippy::indexing_slicing, clippy::as_conversions)]

mod common;
#[path = "common/traitor.rs"]
mod traitor;

use common::{SeededEntropy, Session, Vault, committee, fresh_pair, root_item};
use dkls23_core::utilities::hashes::point_to_bytes;
use dkls23_core::utilities::hashes::tagged_hash_as_scalar;
use dkls23_core::utilities::multiplication::{MulDataToReceiver, MulReceiver, MulSender};
use dkls23_core::utilities::oracle_tags::{
    TAG_OTE_RANDOMIZE, TAG_SIGN_ZERO_SESSION, TAG_ZERO_SHARE_FRAGMENT,
};
use dkls23_core::utilities::ot::extension::cut_and_transpose;
use k256::{Scalar, Secp256k1 as K256};
use model::curve::{Curve, Secp256k1};
use model::entropy::Entropy;
use model::ids::{Seat, SessionId};
use model::keys::KeyKind;
use model::wire::Reader;
use std::collections::BTreeMap;
use std::sync::Arc;
use threshold::pair::{Failure, PairGate, PairState, Settled};
use threshold::sign::{Head, Running, SignError, Step};
use traitor::{COLUMNS, HEAD, Kept, Place, Stored, bend, stored};

/// A transfer that the attack does not touch.
const CLEAN: usize = 8;

/// Opens the honest node's second input (its key share) from one answer, given the whole correlation.
fn open(kept: &Kept, correlation: &[bool], answer: &MulDataToReceiver<K256>) -> Scalar {
    let transposed = cut_and_transpose(&kept.t).unwrap();
    let mut delta = [0u8; COLUMNS / 8];
    for (at, bit) in correlation.iter().enumerate() {
        delta[at / 8] |= u8::from(*bit) << (at % 8);
    }
    let shift = |q: &mut [u8; COLUMNS / 8]| q.iter_mut().zip(&delta).for_each(|(q, d)| *q ^= d);
    let mut q0 = transposed[CLEAN];
    if (kept.x[CLEAN / 8] >> (CLEAN % 8)) & 1 == 1 {
        shift(&mut q0);
    }
    let mut q1 = q0;
    shift(&mut q1);
    let width = 1u8; // the pad of the key share
    let hash = |q: &[u8]| {
        let at = u16::try_from(CLEAN).unwrap().to_be_bytes();
        let parts: [&[u8]; 5] = [&kept.extension, &answer.ote_salt, &at, &width.to_be_bytes(), q];
        tagged_hash_as_scalar::<K256>(TAG_OTE_RANDOMIZE, &parts)
    };
    let pad = answer.vector_of_tau[usize::from(width)][CLEAN] - hash(&q1) + hash(&q0);
    pad + answer.gamma_sender[usize::from(width)]
}

#[test]
fn the_bare_library_gives_a_traitor_the_correlation_and_the_share_in_256_parallel_sessions() {
    let id = [7u8; 32];
    let (ot_sender, proof, nonce) = MulReceiver::<K256>::init_phase1(&id);
    let (ot_receiver, correlation, exponents, proofs) = MulSender::<K256>::init_phase1(&id);
    let seed = ot_receiver.seed;
    let traitor =
        MulReceiver::<K256>::init_phase2(&ot_sender, &id, &seed, &proofs, &nonce).unwrap();
    let honest = MulSender::<K256>::init_phase2(
        &ot_receiver,
        &id,
        correlation.clone(),
        &exponents,
        &proof,
        &nonce,
    )
    .unwrap();
    let mut entropy = SeededEntropy::new(1);
    let input = [Secp256k1::random_scalar(&mut entropy), Secp256k1::random_scalar(&mut entropy)];
    let (mut learned, mut opened) = (vec![false; COLUMNS], None);
    for (row, bit) in learned.iter_mut().enumerate() {
        let session = format!("parallel session {row}");
        let (_, _, mut message) = traitor.run_phase1(session.as_bytes()).unwrap();
        let kept = bend(&traitor.ote_receiver, session.as_bytes(), &mut message, Some(row));
        match honest.run(session.as_bytes(), &input, &message) {
            Ok((_, answer)) => opened = Some((kept, answer)),
            Err(_) => *bit = true,
        }
    }
    assert_eq!(learned, correlation, "each session told one bit");
    let (kept, answer) = opened.expect("half of the sessions are answered");
    assert!(open(&kept, &learned, &answer) == input[1], "the share is open");
}

/// The traitor at seat 2: bends its own honest first message of a session.
struct Traitor {
    state: Stored,
    public_key: Vec<u8>,
}

impl Traitor {
    fn bend(&self, session: &Session<'_>, bytes: &mut [u8], row: Option<usize>) -> Kept {
        self.state.bend(&self.place(session), bytes, row)
    }

    fn place<'b>(&'b self, session: &'b Session<'_>) -> Place<'b> {
        let (public_key, digest) = (&self.public_key, &session.item.message);
        Place { public_key, digest, parties: &[1, 2], traitor: 2, honest: 1 }
    }

    /// Opens the additive share of seat 1 from its answer, if `correlation` is right.
    fn open(
        &self,
        session: &Session<'_>,
        kept: &Kept,
        correlation: &[bool],
        bytes: &[u8],
    ) -> Scalar {
        let head = Head::peek(bytes).unwrap();
        let mut body = Reader::new(&bytes[HEAD..]);
        let scalar =
            |r: &mut Reader<'_>| Secp256k1::scalar_from_bytes(&r.fixed::<32>().unwrap()).unwrap();
        let _: [u8; 32 + 4 * 33 + 32 + 64] = body.fixed().unwrap();
        let vector_of_tau = (0..4).map(|_| (0..416).map(|_| scalar(&mut body)).collect()).collect();
        let (ote_salt, verify_r) = (body.fixed().unwrap(), body.fixed().unwrap());
        let verify_u = vec![scalar(&mut body), scalar(&mut body)];
        let gamma_sender = vec![scalar(&mut body), scalar(&mut body)];
        let answer =
            MulDataToReceiver { vector_of_tau, ote_salt, verify_r, verify_u, gamma_sender };
        // Seat 1 blinded its share with the pair's share of zero, which the traitor knows too.
        let zero = self.place(session).hash(TAG_SIGN_ZERO_SESSION, &head, &[]);
        let parts: [&[u8]; 2] = [&zero, &self.state.zero_seed];
        let blind = tagged_hash_as_scalar::<K256>(TAG_ZERO_SHARE_FRAGMENT, &parts);
        open(kept, correlation, &answer) + blind
    }
}

fn answer_to(run: Running, message: Vec<u8>) -> Result<Vec<u8>, SignError> {
    let inbox = BTreeMap::from([(Seat(2), message)]);
    match run.advance(inbox, &mut SeededEntropy::new(3))? {
        Step::Continue(run, mut out) => {
            assert!(run.is_pair_answer());
            Ok(out.remove(0).bytes)
        }
        Step::Done(_) => panic!("no signature in round 2"),
    }
}

#[test]
fn invariant_k6_256_parallel_sessions_teach_a_traitor_no_more_than_one_run_of_luck() {
    let vault = Vault::deal(committee(2, 3), 21);
    let quorum = common::seats(&[1, 2]);
    let share = &vault.shares[&Seat(1)].ecdsa;
    let tree = &vault.public.tree;
    let additive = threshold::sharing::additive_share::<Secp256k1>(tree, &quorum, Seat(1), share);
    let additive = Secp256k1::scalar_from_bytes(additive.unwrap().expose()).unwrap();
    for shuffled in [false, true] {
        let pair = fresh_pair(vault.public.members[&Seat(1)], vault.public.members[&Seat(2)], 9);
        let traitor = Traitor {
            state: stored(pair.1.to_bytes().expose()),
            public_key: point_to_bytes::<K256>(&vault.public.keys.ecdsa.point.to_affine()),
        };
        let truth = stored(pair.0.to_bytes().expose()).sender.ote_sender.correlation.clone();
        check_control(&vault, &pair, &traitor, &truth, additive);
        // A lucky traitor: the first three columns it tries are unset, the fourth is set.
        let (unset, set): (Vec<usize>, Vec<usize>) = (0..COLUMNS).partition(|row| !truth[*row]);
        let parts = [&unset[..LUCK], &set[..1], &unset[LUCK..], &set[1..]];
        let rows: Vec<usize> = parts.into_iter().flatten().copied().collect();
        let mut order: Vec<usize> = (0..COLUMNS).collect();
        if shuffled {
            let mut shuffle = SeededEntropy::new(4);
            order.sort_by_cached_key(|_| shuffle.bytes::<8>());
        }
        let left = attack(&vault, &pair, &traitor, &truth, &rows, &order);
        // The state is destroyed: no session holds it any more, so nothing can be computed with it again.
        Arc::try_unwrap(pair.0).expect("a dropped session still holds the pair state").destroy();
        // What left is a run of luck: sessions in order, none of them at or behind the first set bit.
        assert_eq!(left.len(), if shuffled { left.len().min(LUCK) } else { LUCK });
        let tried: Vec<usize> = left.iter().map(|(row, ..)| *row).collect();
        assert_eq!(tried, rows[..left.len()]);
        // The traitor knows those bits and the one that failed, and guesses the rest; the share stays shut.
        let mut guess = vec![false; COLUMNS];
        guess[set[0]] = true;
        assert_ne!(guess, truth);
        for (_, session, kept, answer) in &left {
            assert!(traitor.open(session, kept, &truth, answer) == additive, "control");
            assert!(traitor.open(session, kept, &guess, answer) != additive);
        }
    }
}

type Pair = (Arc<PairState>, Arc<PairState>);

/// Starts a session at both ends; the session keeps no pair state afterwards.
fn start_both<'a>(vault: &'a Vault, pair: &Pair, number: usize) -> (Session<'a>, Running, Vec<u8>) {
    let mut session = Session::new(vault, &[1, 2], root_item(KeyKind::Ecdsa, 2), 2);
    session.session = SessionId(model::hash::sha256(&number.to_be_bytes()));
    let (one, two) = (Seat(1), Seat(2));
    session.mesh = [((one, two), Arc::clone(&pair.0)), ((two, one), Arc::clone(&pair.1))].into();
    let (run, _) = session.start(one, 1);
    let (_, mut out) = session.start(two, 1);
    session.mesh.clear();
    (session, run, out.remove(0).bytes)
}

/// One honest session's answer does open the share to somebody who has the whole correlation, so the attack fails
/// because of the gate and not because it was written wrongly.
fn check_control(vault: &Vault, pair: &Pair, traitor: &Traitor, truth: &[bool], additive: Scalar) {
    let (session, run, mut message) = start_both(vault, pair, COLUMNS);
    let kept = traitor.bend(&session, &mut message, None);
    let answer = answer_to(run, message).unwrap();
    assert!(traitor.open(&session, &kept, truth, &answer) == additive);
}

/// Columns that a lucky traitor tries before it is caught.
const LUCK: usize = 3;

type Answered<'a> = (usize, Session<'a>, Kept, Vec<u8>);

/// 256 sessions are admitted before any is judged, session n bending column `rows[n]`; the workers finish in `order`.
fn attack<'a>(
    vault: &'a Vault,
    pair: &Pair,
    traitor: &Traitor,
    truth: &[bool],
    rows: &[usize],
    order: &[usize],
) -> Vec<Answered<'a>> {
    let mut gate = PairGate::new();
    let mut flight = BTreeMap::new();
    for (number, row) in rows.iter().enumerate() {
        let (session, run, mut message) = start_both(vault, pair, number);
        let kept = traitor.bend(&session, &mut message, Some(*row));
        let ticket = gate.admit().unwrap();
        flight.insert(number, (ticket, *row, session, kept, run, message));
    }
    assert_eq!(gate.admit(), None, "no more than 256 in flight");
    let (mut left, mut failures, mut judged) = (vec![], 0, 0);
    for number in order {
        let (ticket, row, session, kept, run, message) = flight.remove(number).unwrap();
        if gate.is_closed() {
            // The engine drops every session of the pair; a worker that is still busy finds the gate closed.
            assert!(matches!(
                gate.settle(ticket, Ok((row, session, kept, message))),
                Settled::Dropped
            ));
            continue;
        }
        judged += 1;
        let outcome = match answer_to(run, message) {
            Ok(answer) => Ok((row, session, kept, answer)),
            Err(SignError::Misbehaved { culprit: Some(Seat(2)), pair: true, .. }) => {
                failures += 1;
                Err(Failure::Check)
            }
            Err(other) => panic!("{other}"),
        };
        assert_eq!(outcome.is_err(), truth[row], "the check fails exactly on a set bit");
        if let Settled::Released(answers) = gate.settle(ticket, outcome) {
            left.extend(answers);
        }
    }
    assert_eq!((failures, gate.admit()), (1, None), "one failure, then nothing is judged again");
    assert!(gate.is_closed() && judged < COLUMNS);
    left
}
