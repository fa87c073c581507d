//! Ceremonies of honest members, what strangers make of them, and callers' mistakes.

use super::World;
use crate::dkg::{
    DkgError, Outcome, Plan, PlanError, Refusal, Running, State, start, verify_transcript,
};
use crate::sharing::{additive_share, public_additive_shares};
use crate::testing::{SeededEntropy, ceremony, committee, halves, run_ceremony, seats, trees};
use model::access::AccessTree;
use model::card::NodeKey;
use model::curve::{Curve, Ed25519, Secp256k1};
use model::ids::Seat;
use model::wire::Wire;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[test]
fn every_member_ends_with_the_same_vault_and_a_share_that_fits() {
    let tree_of_one_gate = AccessTree::Any(vec![committee(2, 1..=3), committee(2, 4..=5)]);
    for tree in [committee(3, 1..=3), committee(2, 1..=3), halves(), tree_of_one_gate] {
        let mut world = World::new(tree.clone());
        assert!(world.running.values().all(|running| running.round() == 1));
        assert_eq!(world.running[&Seat(1)].expects(), world.plan.others(Seat(1)));
        world.finish();
        assert_eq!(world.failed, BTreeMap::new());
        let first = &world.done[&Seat(1)];
        for (seat, outcome) in &world.done {
            assert_eq!(outcome.vault, first.vault);
            assert_eq!(outcome.public, first.public);
            assert_eq!(outcome.transcript, first.transcript);
            assert_eq!(outcome.share.seat, *seat);
            assert_eq!(outcome.public.check_share(&outcome.share), Ok(()));
        }
        quorum_holds_the_keys(&world);
        let checked = verify_transcript(&first.transcript, &first.confirmations);
        let verified = checked.unwrap();
        assert_eq!((verified.plan, verified.vault), ((*world.plan).clone(), first.vault));
        assert_eq!(verified.ecdsa, first.public.ecdsa);
        assert_eq!(verified.bip340, first.public.bip340);
        assert_eq!(verified.ed25519, first.public.ed25519);
    }
}

/// The additive shares of a quorum sum to the logarithm of each public key.
fn quorum_holds_the_keys(world: &World) {
    let public = &world.done[&Seat(1)].public;
    let quorum = public.tree.minimal_quorum(&world.plan.members.keys().copied().collect());
    let quorum = quorum.unwrap();
    let shares = || quorum.iter().map(|seat| (*seat, &world.done[seat].share));
    let (mut ecdsa, mut ed25519) = (Secp256k1::zero(), Ed25519::zero());
    for (seat, share) in shares() {
        let part = additive_share::<Secp256k1>(&public.tree, &quorum, seat, &share.ecdsa).unwrap();
        ecdsa += Secp256k1::scalar_from_bytes(part.expose()).unwrap();
        let part = additive_share::<Ed25519>(&public.tree, &quorum, seat, &share.ed25519).unwrap();
        ed25519 += Ed25519::scalar_from_bytes(part.expose()).unwrap();
    }
    assert_eq!(Secp256k1::mul_base(&ecdsa), public.keys.ecdsa.point);
    assert_eq!(Ed25519::mul_base(&ed25519), public.keys.ed25519.point);
    let parts = public_additive_shares(&public.tree, &public.bip340, &quorum).unwrap();
    let sum = parts.values().fold(Secp256k1::identity(), |sum, part| sum + *part);
    assert_eq!(sum, public.keys.bip340.point);
}

#[test]
fn invariant_k1_no_chain_code_stands_in_the_transcript() {
    let mut world = World::new(committee(3, 1..=3));
    let contributions: Vec<_> = world.running.values().map(contribution).collect();
    world.finish();
    let outcome = &world.done[&Seat(1)];
    let keys = &outcome.public.keys;
    let codes = [keys.ecdsa.chain_code.0, keys.bip340.chain_code.0, keys.ed25519.chain_code.0];
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), 3);
    for secret in codes.iter().chain(&contributions) {
        assert!(!outcome.transcript.windows(32).any(|window| window == secret));
        let mut confirmations = outcome.confirmations.values();
        assert!(!confirmations.any(|bytes| bytes.windows(32).any(|window| window == secret)));
    }
}

/// Public are the commitments alone: no share, no part of a quorum's sum and no key stands in what everybody may read.
#[test]
fn invariant_k1_no_share_and_no_key_stands_in_the_transcript() {
    for tree in [committee(2, 1..=3), halves()] {
        let mut world = World::new(tree.clone());
        world.finish();
        let quorum = tree.minimal_quorum(&world.plan.members.keys().copied().collect()).unwrap();
        let (mut secrets, mut root) = (Vec::new(), Secp256k1::zero());
        for (seat, Outcome { share, .. }) in &world.done {
            secrets.extend([&share.ecdsa, &share.bip340, &share.ed25519].map(|s| *s.expose()));
            let parts = [&share.ecdsa, &share.bip340]
                .map(|s| additive_share::<Secp256k1>(&tree, &quorum, *seat, s));
            if let [Some(ecdsa), Some(bip340)] = parts {
                root += Secp256k1::scalar_from_bytes(ecdsa.expose()).unwrap();
                secrets.extend([*ecdsa.expose(), *bip340.expose()]);
            }
        }
        let public = &world.done[&Seat(1)];
        assert_eq!(Secp256k1::mul_base(&root), public.public.keys.ecdsa.point);
        secrets.push(Secp256k1::scalar_to_bytes(&root));
        let mut everybody = vec![public.transcript.clone(), public.public.to_bytes()];
        everybody.extend(public.confirmations.values().cloned());
        for secret in &secrets {
            let mirrored: Vec<u8> = secret.iter().rev().copied().collect();
            for bytes in &everybody {
                let mut windows = bytes.windows(32);
                assert!(!windows.any(|window| window == secret || window == mirrored));
            }
        }
    }
}

/// A key that one seat can use alone is a whole key: no ceremony makes one, however the tree is written.
#[test]
fn invariant_k5_no_ceremony_makes_a_key_that_one_seat_could_use_alone() {
    let leaf = |seat| AccessTree::Leaf(Seat(seat));
    let one_of_three = committee(1, 1..=3);
    let alone_in_an_or = AccessTree::Any(vec![committee(2, 2..=3), leaf(1)]);
    let alone_behind_gates = AccessTree::Any(vec![
        committee(2, 2..=4),
        AccessTree::All(vec![AccessTree::Any(vec![leaf(1), committee(2, 5..=6)])]),
    ]);
    for (tree, seat) in
        [(leaf(1), 1), (one_of_three, 1), (alone_in_an_or, 1), (alone_behind_gates, 1)]
    {
        let (plan, keys) = ceremony(tree, 1);
        let found = start(Arc::new(plan), Seat(1), &keys[&Seat(1)], &mut SeededEntropy::new(1));
        let wanted = DkgError::Refused(Refusal::Plan(PlanError::Alone(seat)));
        assert_eq!(found.map(|_| ()), Err(wanted));
    }
}

fn contribution(running: &Running) -> [u8; 32] {
    let State::Committed(state) = &running.state else { panic!("round 1 is over") };
    *state.dealt.private.contribution.expose()
}

#[test]
fn the_callers_mistakes_are_refused() {
    let (plan, keys) = ceremony(committee(2, 1..=3), 1);
    let begin = |plan: &Plan, seat, key: &NodeKey| {
        start(Arc::new(plan.clone()), seat, key, &mut SeededEntropy::new(1)).map(|_| ())
    };
    let refused = |refusal| Err(DkgError::Refused(refusal));
    let key = &keys[&Seat(1)];
    assert_eq!(begin(&plan, Seat(1), key), Ok(()));
    assert_eq!(begin(&plan, Seat(2), key), refused(Refusal::Key(2)));
    assert_eq!(begin(&plan, Seat(9), key), refused(Refusal::Seat(9)));
    let alone = AccessTree::Any(vec![AccessTree::Leaf(Seat(1)), committee(2, 2..=3)]);
    let alone = Plan { tree: alone, ..plan.clone() };
    let wanted = refused(Refusal::Plan(PlanError::Alone(1)));
    assert_eq!(begin(&alone, Seat(1), key), wanted);
    let mut twice = plan.clone();
    twice.members.insert(Seat(3), plan.members[&Seat(1)]);
    assert!(matches!(
        begin(&twice, Seat(1), key),
        Err(DkgError::Refused(Refusal::Plan(PlanError::Members(_))))
    ));
    assert_eq!(Plan::from_bytes(&plan.to_bytes()), Ok(plan.clone()));
    assert!(Plan::from_bytes(&twice.to_bytes()).is_err());

    let mut world = World::new(committee(2, 1..=3));
    world.mail.remove(&(Seat(1), Seat(3)));
    world.turn();
    let (found, wanted) = (seats(&[2]), seats(&[2, 3]));
    assert_eq!(world.failed[&Seat(1)], Refusal::Inbox { found, wanted }.into());
}

#[test]
fn a_stranger_refuses_a_transcript_that_was_altered_or_not_confirmed() {
    let mut world = World::new(committee(2, 1..=3));
    world.finish();
    let Outcome { transcript, confirmations, .. } = &world.done[&Seat(1)];
    for at in (0..transcript.len()).step_by(1 + transcript.len() / 80) {
        let mut bad = transcript.clone();
        bad[at] ^= 1;
        assert!(verify_transcript(&bad, confirmations).is_err(), "byte {at}");
    }
    let mut fewer = confirmations.clone();
    fewer.remove(&Seat(3));
    assert!(verify_transcript(transcript, &fewer).is_err());
    let mut swapped = confirmations.clone();
    swapped.insert(Seat(3), confirmations[&Seat(1)].clone());
    assert!(verify_transcript(transcript, &swapped).is_err());
}

#[test]
fn nothing_secret_is_printed() {
    let world = World::new(committee(2, 1..=3));
    assert_eq!(format!("{:?}", world.running[&Seat(1)]), "Running(seat 1, round 1)");
    let State::Committed(state) = &world.running[&Seat(1)].state else { unreachable!() };
    let private = format!("{:?}", state.dealt.private);
    assert_eq!(private, "Private { contribution: Secret(..), salt: Secret(..) }");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_that_nobody_satisfies_alone_gets_its_keys(tree in trees()) {
        let (plan, keys) = ceremony(tree, 2);
        prop_assume!(plan.check().is_ok() && keys.len() <= 8);
        let done = run_ceremony(&plan, &keys);
        let first = done.values().next().unwrap();
        for outcome in done.values() {
            prop_assert_eq!(outcome.vault, first.vault);
            prop_assert_eq!(outcome.public.check_share(&outcome.share), Ok(()));
        }
        let checked = verify_transcript(&first.transcript, &first.confirmations);
        prop_assert_eq!(checked.map(|v| (v.plan, v.vault)), Ok((plan, first.vault)));
    }
}
