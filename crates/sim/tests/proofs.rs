//! Idle nodes prove their shares: in time, whatever one member does, every vault in its turn, and at a bounded cost for the
//! members that are asked.

#![allow(clippy::panic, clippy::as_conversions, clippy::let_and_return, reason = "a test")]

use engine::{JournalHead, Message};
use model::ids::VaultId;
use model::wire::Wire;
use sim::random::Seeded;
use sim::world::Tamper;
use sim::{Faults, World, fixture};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

const MINUTE_MS: u64 = 60_000;

/// Runs `test` in a world of its own on a thread of its own.
fn in_world(seed: u64, test: impl FnOnce(&mut World, VaultId) + Send + 'static) {
    let ready = fixture::three_of_three();
    let run = move || {
        let _seeded = Seeded::new(seed);
        let mut world = ready.world(seed, Faults::NONE);
        world.pass(3_000);
        test(&mut world, ready.vault);
    };
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}

fn last_proof_ms(world: &World, node: usize) -> u64 {
    world.engine(node).map_or(0, |engine| engine.status().last_proof_ms)
}

fn warned(world: &World, code: &str) -> bool {
    world.warnings.iter().any(|(_, found, _)| *found == code)
}

/// Readiness demands a proof within ten minutes; a node that is asked for nothing must have one at any time.
fn assert_proves(world: &mut World, node: usize, minutes: u64) {
    for minute in 0..minutes {
        world.pass(MINUTE_MS);
        let age = world.now().0.saturating_sub(last_proof_ms(world, node));
        assert!(age < 6 * MINUTE_MS, "minute {minute}: node {node}'s last proof is {age} ms old");
    }
}

#[test]
fn an_idle_node_proves_a_share_every_few_minutes() {
    in_world(1, |world, _| {
        for node in 0..3 {
            let before = last_proof_ms(world, node);
            world.pass(5 * MINUTE_MS);
            assert!(last_proof_ms(world, node) > before, "node {node} proved nothing");
        }
        assert_proves(world, 1, 12);
        assert!(!warned(world, "proof_invalid"), "{:?}", world.warnings);
    });
}

/// Goal: a member that ignores whoever wants to prove makes nobody unready. Method: each node is silent in turn.
#[test]
fn a_silent_member_makes_no_idle_node_unready() {
    for (seed, silent) in (10..).zip(0..3) {
        in_world(seed, move |world, _| {
            world.set_tamper(Some(Box::new(move |_from, to, bytes| {
                match Message::from_bytes(&bytes) {
                    Ok(Message::ChallengeAsk { .. }) if to == silent => Vec::new(),
                    _ => vec![bytes],
                }
            })));
            for node in (0..3).filter(|node| *node != silent) {
                assert_proves(world, node, 12);
            }
        });
    }
}

/// Goal: what a wrong share would give is named and counts for nothing. Method: node 0's proofs are changed in one place.
#[test]
fn a_proof_that_does_not_verify_is_named_and_counts_for_nothing() {
    in_world(2, |world, _| {
        world.set_tamper(Some(Box::new(|from, _to, bytes| match Message::from_bytes(&bytes) {
            Ok(Message::Proof { vault, bytes: mut proof }) if from == 0 => {
                if let Some(last) = proof.last_mut() {
                    *last ^= 1;
                }
                vec![Message::Proof { vault, bytes: proof }.to_bytes()]
            }
            _ => vec![bytes],
        })));
        let before = last_proof_ms(world, 0);
        world.pass(5 * MINUTE_MS);
        assert_eq!(last_proof_ms(world, 0), before, "a proof that does not verify counts");
        assert!(warned(world, "proof_invalid"), "{:?}", world.warnings);
        assert_proves(world, 1, 5);
        world.set_tamper(None);
        world.pass(MINUTE_MS);
        assert!(last_proof_ms(world, 0) > before, "not ready again");
    });
}

#[test]
fn every_vault_gets_its_turn() {
    in_world(3, |world, first| {
        let vaults: BTreeSet<VaultId> =
            [first, fixture::make_vault(world, 2), fixture::make_vault(world, 3)].into();
        let proven = Rc::new(RefCell::new(BTreeSet::new()));
        let seen = Rc::clone(&proven);
        world.set_tamper(Some(Box::new(move |_from, to, bytes| {
            if let (1, Ok(Message::ProofValid { vault })) = (to, Message::from_bytes(&bytes)) {
                seen.borrow_mut().insert(vault);
            }
            vec![bytes]
        })));
        world.pass(15 * MINUTE_MS);
        assert_eq!(*proven.borrow(), vaults);
    });
}

/// Node 0 sends `flood` to node 1 a thousand times within moments; the answers are counted.
fn answers(world: &mut World, flood: Vec<u8>, is_answer: fn(&Message) -> bool) -> usize {
    let counted = Rc::new(RefCell::new(0usize));
    let answers = Rc::clone(&counted);
    let mut left = 10;
    let hand: Tamper = Box::new(move |from, to, bytes| {
        let answer = Message::from_bytes(&bytes).is_ok_and(|message| is_answer(&message));
        if (from, to) == (1, 0) && answer {
            *answers.borrow_mut() += 1;
        }
        let more = if (from, to) == (0, 1) && left > 0 { 100 } else { 0 };
        left -= i32::from(more > 0);
        [bytes].into_iter().chain(std::iter::repeat_n(flood.clone(), more)).collect()
    });
    world.set_tamper(Some(hand));
    world.break_link(0, 1, 10);
    world.pass(10_000);
    world.set_tamper(None);
    counted.take()
}

/// Goal: a proof costs its verifier three checks; a peer cannot have it verify in a loop. A challenge serves one proof.
#[test]
fn a_peer_cannot_have_proofs_verified_in_a_loop() {
    in_world(4, |world, vault| {
        let ask = Message::ChallengeAsk { vault }.to_bytes();
        let told = answers(world, ask, |m| matches!(m, Message::ChallengeTell { .. }));
        assert!((1..=12).contains(&told), "{told} challenges for a thousand questions");
        world.pass(5 * MINUTE_MS);
        assert_proves(world, 0, 1);
    });
}

/// Goal: a question about the journal costs two signatures; a peer cannot ask in a loop, and is heard again afterwards.
#[test]
fn a_peer_cannot_have_heads_verified_in_a_loop() {
    in_world(5, |world, _| {
        let theirs = JournalHead::sign(&fixture::key(1), 7, 1_000_000, [1; 32]);
        let forged = JournalHead { signature: [0; 64], ..theirs };
        let ask = Message::HistoryAsk(Some(forged)).to_bytes();
        let told = answers(world, ask, |m| matches!(m, Message::HistoryTell { .. }));
        assert!((1..=120).contains(&told), "{told} answers to a thousand questions");
        assert!(!warned(world, "went_back"), "a forged head was believed");
        world.pass(MINUTE_MS);
        world.break_link(0, 1, 10);
        world.pass(10_000);
        let connected = world.engine(0).map(|engine| engine.status().peers_connected);
        assert_eq!(connected, Some(2), "not heard again");
    });
}
