//! A node whose disk went back: it stops until that is accepted, and what was accepted once stops it no more.

#![allow(clippy::panic, reason = "a test")]

use engine::{Command, JournalHead, Message, Problem, Reply};
use model::ids::{NodeId, VaultId};
use model::wire::Wire;
use sim::random::Seeded;
use sim::run::request_of_kind;
use sim::{Faults, World, fixture};
use std::cell::RefCell;
use std::rc::Rc;

/// Runs `test` in a world of two of three on a thread of its own.
fn in_world(seed: u64, test: impl FnOnce(&mut World, VaultId) + Send + 'static) {
    let ready = fixture::two_of_three();
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

fn id_of(world: &World, node: usize) -> NodeId {
    world.id(node).unwrap_or_else(|| panic!("no node {node}"))
}

fn sign(world: &mut World, node: usize, vault: VaultId, number: u64) -> Result<String, Problem> {
    let new = request_of_kind(1, number, 5_000);
    match world.ask_and_wait(node, Command::Submit { vault, new }, 6_000) {
        Some(Ok(Reply::Request(view))) => Ok(view.state),
        Some(Err(problem)) => Err(problem),
        other => panic!("{other:?}"),
    }
}

fn release(world: &mut World, at: usize, peer: NodeId) {
    let reply = world.ask_and_wait(at, Command::ReleasePeer(peer), 10);
    assert!(matches!(reply, Some(Ok(_))), "{reply:?}");
}

/// Node 2 signs six times and comes back with the disk of before; what it last told node 0 of its journal.
fn restore_node_2(world: &mut World, vault: VaultId) -> JournalHead {
    let old = world.disk(2).cloned().unwrap_or_else(|| panic!("no disk"));
    let told = Rc::new(RefCell::new(None));
    let kept = Rc::clone(&told);
    world.set_tamper(Some(Box::new(move |from, to, bytes| {
        if let (2, 0, Ok(Message::Journal(head))) = (from, to, Message::from_bytes(&bytes)) {
            *kept.borrow_mut() = Some(head);
        }
        vec![bytes]
    })));
    for number in 0..6 {
        assert_eq!(sign(world, 2, vault, number).as_deref(), Ok("signed"));
    }
    world.pass(3_000);
    world.set_tamper(None);
    world.restore_disk(2, old);
    world.pass(20_000);
    let told = told.borrow_mut().take();
    told.unwrap_or_else(|| panic!("node 2 told nothing"))
}

/// Goal: a traitor does not stop a node for what its operators accepted. Method: node 0 keeps what node 2 signed before a
/// restore, and shows it again after both operators released node 2; then again after a restart of node 2.
#[test]
fn an_old_signed_head_does_not_stop_a_released_node() {
    in_world(50, |world, vault| {
        let old_head = restore_node_2(world, vault);
        let restored = id_of(world, 2);
        release(world, 0, restored);
        release(world, 1, restored);
        world.pass(60_000);
        assert_eq!(sign(world, 2, vault, 50).as_deref(), Ok("signed"), "not released");
        world.set_tamper(Some(Box::new(move |from, to, bytes| match (from, to) {
            (0, 2) => vec![bytes, Message::HistoryAsk(Some(old_head)).to_bytes()],
            _ => vec![bytes],
        })));
        world.break_link(0, 2, 10);
        world.pass(5_000);
        assert_eq!(sign(world, 2, vault, 60).as_deref(), Ok("signed"), "stopped by an old head");
        world.crash(2);
        world.pass(20_000);
        assert_eq!(sign(world, 2, vault, 70).as_deref(), Ok("signed"), "stopped after a restart");
    });
}

/// Goal: K2: a node whose disk went back signs nothing before that is accepted by all its peers, or by its own operator.
/// Method: one peer alone holds and releases node 2; node 2 restarts; then its own operator decides.
#[test]
fn invariant_k2_a_disk_that_went_back_stops_its_node_until_all_accept_it() {
    in_world(51, |world, vault| {
        restore_node_2(world, vault);
        let restored = id_of(world, 2);
        let stopped = |world: &mut World, number, when: &str| {
            let code = sign(world, 2, vault, number).map_err(|p| p.code);
            assert_eq!(code, Err("went_back"), "{when}");
        };
        stopped(world, 10, "after the restore");
        release(world, 0, restored);
        world.pass(60_000);
        stopped(world, 20, "after one of two peers released it");
        world.crash(2);
        world.pass(20_000);
        stopped(world, 30, "after a restart");
        release(world, 2, restored);
        world.pass(20_000);
        assert_eq!(sign(world, 2, vault, 40).as_deref(), Ok("signed"), "{:?}", world.warnings);
        let again = world.ask_and_wait(2, Command::ReleasePeer(restored), 10);
        let code = again.map(|reply| reply.map(|_| ()).map_err(|p| p.code));
        assert_eq!(code, Some(Err("peer_not_held")));
    });
}
