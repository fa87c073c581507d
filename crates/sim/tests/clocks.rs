//! Clocks of peers: how far each is from a node's own is known within its uncertainty, the one that differs too much is named,
//! and nothing is decided by what a peer says of its clock.

#![allow(clippy::panic, reason = "a test")]

use engine::{ClockWord, Command, Message, Reply};
use model::api::{ClockView, NodeView};
use model::ids::VaultId;
use model::time::Timestamp;
use model::wire::Wire;
use sim::random::Seeded;
use sim::run::request_of_kind;
use sim::{Faults, World, fixture};
use std::cell::RefCell;
use std::rc::Rc;

/// Runs `test` in a world of its own on a thread of its own, before any clock was compared with a set one.
fn in_world(seed: u64, faults: Faults, test: impl FnOnce(&mut World, VaultId) + Send + 'static) {
    let ready = fixture::three_of_three();
    let run = move || {
        let _seeded = Seeded::new(seed);
        let mut world = ready.world(seed, faults);
        test(&mut world, ready.vault);
    };
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}

fn view(world: &mut World, node: usize) -> NodeView {
    match world.ask_and_wait(node, Command::Node, 10) {
        Some(Ok(Reply::Node(view))) => view,
        other => panic!("{other:?}"),
    }
}

/// What `node` knows of the clock of `peer`.
fn clock(world: &mut World, node: usize, peer: usize) -> Option<ClockView> {
    let id = world.id(peer);
    view(world, node).peers.into_iter().find(|p| Some(p.node) == id)?.clock
}

fn warned(world: &World, code: &str) -> Vec<(usize, String)> {
    let of = |(node, found, text): &(usize, &'static str, String)| {
        (*found == code).then(|| (*node, text.clone()))
    };
    world.warnings.iter().filter_map(of).collect()
}

/// Goal: the estimate holds the truth. Method: each node's clock is set, and each asks each other over slow links.
#[test]
fn the_true_offset_of_every_clock_is_within_the_uncertainty() {
    let faults = Faults { delay_ms_max: 150, duplicate: 50, ..Faults::NONE };
    in_world(1, faults, |world, _| {
        let ahead = [0_i64, 7_000, -4_500];
        for (node, ms) in ahead.iter().enumerate() {
            world.set_clock(node, *ms);
        }
        world.pass(10_000);
        for (node, mine) in ahead.iter().enumerate() {
            for (peer, theirs) in ahead.iter().enumerate().filter(|(peer, _)| *peer != node) {
                let Some(found) = clock(world, node, peer) else { panic!("{node} {peer}") };
                let apart = found.offset_ms.abs_diff(theirs - mine);
                assert!(apart <= found.uncertainty_ms, "{node} {peer}: {found:?}");
                assert!(found.uncertainty_ms <= 152, "{node} {peer}: {found:?}");
            }
        }
    });
}

/// Goal: a clock that differs too much is named, at both ends and once. Method: one of three is 40 s ahead: too much for the
/// warning, too little for a refusal.
#[test]
fn a_skewed_node_is_named_by_its_peers_and_they_still_sign_with_it() {
    in_world(2, Faults::NONE, |world, vault| {
        world.set_clock(2, 40_000);
        world.pass(100_000);
        for node in [0, 1] {
            let status = world.engine(node).map(engine::Engine::status).unwrap_or_default();
            let Some(offset) = status.clock_offset else { panic!("nothing compared") };
            assert!(offset.is_far() && offset.offset_ms.abs_diff(40_000) < 20, "{offset}");
            assert_eq!(status.clocks_compared, 2);
            let warnings = view(world, node).warnings;
            let found: Vec<&str> =
                warnings.iter().filter(|w| w.code == "clock_offset").map(|w| &*w.message).collect();
            assert_eq!(found.len(), 1, "{warnings:?}");
            assert!(found.concat().contains("the clock of operator 2 differs"), "{found:?}");
        }
        let told = warned(world, "clock_offset");
        let count = |node| told.iter().filter(|(of, _)| *of == node).count();
        assert_eq!([count(0), count(1), count(2)], [1, 1, 2], "{told:?}");
        let new = request_of_kind(0, 1, 60_000);
        let reply = world.ask_and_wait(0, Command::Submit { vault, new }, 20_000);
        assert!(matches!(reply, Some(Ok(Reply::Request(view))) if view.state == "signed"));
    });
}

/// Goal: beyond the bound of requests the refusal and the warning speak of the same thing. Method: 90 s.
#[test]
fn a_clock_too_far_for_requests_was_named_before() {
    in_world(3, Faults::NONE, |world, vault| {
        world.set_clock(2, 90_000);
        world.pass(5_000);
        assert!(warned(world, "clock_offset").iter().any(|(node, _)| *node == 2));
        let new = request_of_kind(0, 1, 600_000);
        let reply = world.ask_and_wait(2, Command::Submit { vault, new }, 20_000);
        let Some(Ok(Reply::Request(view))) = reply else { panic!("{reply:?}") };
        assert_ne!(view.state, "signed");
        let refusals = format!("{view:?}");
        assert!(refusals.contains("clock_skew"), "{refusals}");
    });
}

/// Goal: a clock that was set right is no longer warned of. Method: an offset of 40 s, then none.
#[test]
fn a_clock_set_right_is_forgiven_at_the_next_question() {
    in_world(4, Faults::NONE, |world, _| {
        world.set_clock(2, 40_000);
        world.pass(5_000);
        assert!(clock(world, 0, 2).is_some_and(|found| found.far));
        world.set_clock(2, 0);
        world.pass(31_000);
        assert!(clock(world, 0, 2).is_some_and(|found| !found.far), "{:?}", clock(world, 0, 2));
        let codes: Vec<String> = view(world, 0).warnings.into_iter().map(|w| w.code).collect();
        assert!(!codes.iter().any(|code| code == "clock_offset"), "{codes:?}");
    });
}

/// Goal: what a traitor says of its clock, asked or not, stops nothing and costs little. Method: node 0 tells a time far ahead,
/// and asks and answers without end.
#[test]
fn a_peer_that_lies_about_its_clock_is_named_and_stops_nothing() {
    in_world(5, Faults::NONE, |world, vault| {
        let answers = Rc::new(RefCell::new(0_u32));
        let counted = Rc::clone(&answers);
        let mut left = 500_u32;
        world.set_tamper(Some(Box::new(move |from, to, bytes| {
            match Message::from_bytes(&bytes) {
                Ok(Message::Clock(ClockWord::Tell { sent, .. })) if from == 0 => {
                    let told = Timestamp(u64::MAX);
                    vec![Message::Clock(ClockWord::Tell { sent, told }).to_bytes(); 3]
                }
                Ok(Message::Clock(ClockWord::Tell { .. })) if (from, to) == (1, 0) => {
                    *counted.borrow_mut() += 1;
                    vec![bytes]
                }
                Ok(_) if (from, to) == (0, 1) && left > 0 => {
                    left -= 1;
                    let sent = Timestamp(7);
                    let told = Timestamp(9);
                    let ask = Message::Clock(ClockWord::Ask { sent }).to_bytes();
                    let unasked = Message::Clock(ClockWord::Tell { sent, told }).to_bytes();
                    vec![bytes, ask, unasked]
                }
                _ => vec![bytes],
            }
        })));
        world.pass(30_000);
        let found = clock(world, 1, 0);
        assert!(found.is_some_and(|found| found.far && found.offset_ms > 1 << 60), "{found:?}");
        assert!(clock(world, 1, 2).is_some_and(|found| !found.far));
        let told = warned(world, "clock_offset");
        assert!(told.len() <= 2 && told.iter().all(|(node, _)| *node != 0), "{told:?}");
        for n in 0..20 {
            let new = request_of_kind(0, n, 60_000);
            let reply = world.ask_and_wait(0, Command::Submit { vault, new }, 20_000);
            assert!(matches!(reply, Some(Ok(Reply::Request(view))) if view.state == "signed"));
        }
        assert!(*answers.borrow() <= 24, "{} answers", answers.borrow());
    });
}
