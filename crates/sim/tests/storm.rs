//! Pair state and vaults made in bad weather: what is begun comes to an end with a name, and in calm weather all works again.

#![allow(clippy::panic, clippy::as_conversions, reason = "a test")]

use engine::{Command, Reply};
use model::api::{CeremonyView, NewCeremony};
use model::ids::CeremonyId;
use model::keys::Purpose;
use sim::random::Seeded;
use sim::run::{kinds_at, request_in};
use sim::{Faults, World, fixture};
use std::collections::BTreeSet;

/// The ceremony as a node shows it; none when the node heard nothing of it or forgot it with its run.
fn look(world: &mut World, node: usize, id: CeremonyId) -> Option<CeremonyView> {
    match world.ask_and_wait(node, Command::Ceremony(id), 100) {
        Some(Ok(Reply::Ceremony(view))) => Some(view),
        Some(Err(problem)) if problem.code == "unknown_ceremony" => None,
        other => panic!("node {node}: {other:?}"),
    }
}

fn propose(world: &mut World, node: usize) -> Option<CeremonyId> {
    let members = (0..world.size()).filter_map(|node| world.id(node)).collect();
    let (purpose, name) = (Purpose::Test, "storm".to_owned());
    let new = NewCeremony { purpose, name, members, threshold: 2 };
    match world.ask_and_wait(node, Command::NewCeremony(new), 10) {
        Some(Ok(Reply::Ceremony(view))) => Some(view.id),
        // The node is down.
        None => None,
        other => panic!("{other:?}"),
    }
}

fn is_over(world: &mut World, id: CeremonyId) -> bool {
    (0..world.size()).all(|node| {
        look(world, node, id).is_none_or(|view| view.state != "waiting" && view.state != "running")
    })
}

/// Every node's last word on a ceremony is the same, or it has none.
fn assert_ended(world: &mut World, seed: u64, id: CeremonyId) -> bool {
    let views: Vec<_> = (0..world.size()).filter_map(|node| look(world, node, id)).collect();
    for view in &views {
        let named = view.state == "failed" && view.failure.as_ref().is_some_and(|f| !f.is_empty());
        assert!(named || view.state == "done", "seed {seed}: {views:?} {:?}", world.warnings);
    }
    let states: BTreeSet<&str> = views.iter().map(|view| view.state.as_str()).collect();
    let vaults: BTreeSet<_> = views.iter().filter_map(|view| view.vault).collect();
    assert!(states.len() <= 1 && vaults.len() <= 1, "seed {seed}: {views:?}");
    states.contains("done")
}

/// Goal: no ceremony and no making of pair state hangs, or ends differently at two nodes. Method: under loss, delay, partition
/// and crash, nodes lose all pair state and propose vaults; then calm, and everything once more.
#[test]
fn a_ceremony_in_a_storm_is_done_or_failed_by_name_and_a_new_one_works() {
    let (mut done, mut failed) = (0, 0);
    for seed in 1..4u64 {
        let ready = fixture::three_of_three();
        let run = move || {
            let _seeded = Seeded::new(seed);
            let mut world = ready.world(seed, Faults::of_seed(seed));
            let mut ids = Vec::new();
            for node in 0..3 {
                world.resume(node, "the clock jumped by 3600000 ms", None);
                world.pass(1_000);
                ids.extend(propose(&mut world, node));
                let pause = world.dice().below(2_000);
                world.pass(pause);
            }
            world.pass(30_000);
            world.set_faults(Faults::NONE);
            // What nobody answers any more waits for its bound: a minute for a message, an hour for a yes.
            for _ in 0..62 {
                world.pass(60_000);
                if ids.iter().all(|id| is_over(&mut world, *id)) {
                    break;
                }
            }
            let ended = ids.iter().map(|id| assert_ended(&mut world, seed, *id));
            let ended: Vec<bool> = ended.collect();
            assert_eq!(
                world.watch().pairs_stopped,
                0,
                "faults of the network were taken for treason"
            );
            let vault = fixture::make_vault(&mut world, 3);
            for node in 0..3 {
                for kind in kinds_at(node) {
                    let new = request_in(&world, vault, kind, kind * 10 + node as u64, 5_000);
                    let command = Command::Submit { vault, new };
                    let reply = world.ask_and_wait(node, command, 30_000);
                    let Some(Ok(Reply::Request(view))) = reply else { panic!("{reply:?}") };
                    assert_eq!(view.state, "signed", "seed {seed}: {view:?}");
                }
            }
            ended
        };
        match std::thread::spawn(run).join() {
            Ok(ended) => {
                done += ended.iter().filter(|done| **done).count();
                failed += ended.iter().filter(|done| !**done).count();
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    assert!(done > 0 && failed > 0, "{done} done, {failed} failed: the weather is no test");
}
