//! A ceremony that one node stored and another gave up ends by name at both, and a peer that is busy is not blamed.

#![allow(clippy::panic, clippy::as_conversions, reason = "a test")]

use engine::record::{Finding, verify_record};
use engine::{Command, Entry, Message, Record, Reply};
use model::api::{CeremonyView, NewCeremony};
use model::hd::DerivationPath;
use model::ids::{CeremonyId, Seat, VaultId};
use model::intent::Network;
use model::keys::Purpose;
use model::wire::Wire;
use sim::random::Seeded;
use sim::run::request_of_kind;
use sim::{Faults, World, fixture};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

const MINUTE: u64 = 60_000;

/// Runs `test` on a thread of its own, so that the backends' generators are fresh.
fn alone(seed: u64, test: impl FnOnce() + Send + 'static) {
    let run = move || {
        let _seeded = Seeded::new(seed);
        test();
    };
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}

fn propose(world: &mut World) -> CeremonyId {
    let members = (0..3).filter_map(|node| world.id(node)).collect();
    let (purpose, name) = (Purpose::Test, "unfinished".to_owned());
    let new = NewCeremony { purpose, name, members, threshold: 2 };
    match world.ask_and_wait(1, Command::NewCeremony(new), 100) {
        Some(Ok(Reply::Ceremony(view))) => view.id,
        other => panic!("{other:?}"),
    }
}

fn view(world: &mut World, node: usize, id: CeremonyId) -> CeremonyView {
    match world.ask_and_wait(node, Command::Ceremony(id), 10) {
        Some(Ok(Reply::Ceremony(view))) => view,
        other => panic!("node {node}: {other:?}"),
    }
}

fn named(world: &World, node: usize) -> usize {
    world.warnings.iter().filter(|w| w.0 == node && w.1 == "ceremony_unfinished").count()
}

/// The stored ceremony ended by name at `node`, is listed, and its record still convinces a stranger.
fn assert_ended(world: &mut World, node: usize, id: CeremonyId, why: &str) -> VaultId {
    let found = view(world, node, id);
    let failure = found.failure.clone().unwrap_or_default();
    assert_eq!(found.state, "failed", "node {node}: {failure}");
    assert!(failure.contains(why), "node {node}: {failure}");
    assert!(found.members.iter().all(|member| member.joined), "{found:?}");
    let Some(vault) = found.vault else { panic!("node {node} stored no vault") };
    let listed = match world.ask_and_wait(node, Command::Ceremonies, 10) {
        Some(Ok(Reply::Ceremonies(all))) => all,
        other => panic!("{other:?}"),
    };
    assert_eq!(listed.iter().filter(|listed| **listed == found).count(), 1, "{listed:?}");
    let record = match world.ask_and_wait(node, Command::VaultCeremony(vault), 10) {
        Some(Ok(Reply::Record(view))) => view.record,
        other => panic!("{other:?}"),
    };
    let digits = record.as_bytes().chunks(2).filter_map(|two| str::from_utf8(two).ok());
    let bytes: Vec<u8> = digits.filter_map(|two| u8::from_str_radix(two, 16).ok()).collect();
    let finding = verify_record(&bytes).map(|verified| verified.finding);
    assert!(matches!(finding, Ok(Finding::Made { vault: made, .. }) if made == vault));
    vault
}

/// Goal: what two nodes stored and the third gave up does not run for ever. Method: the last round does not reach node 2.
#[test]
fn a_ceremony_that_a_member_gave_up_ends_by_name_where_it_is_stored() {
    alone(1, || {
        let mut world = fixture::strangers(1, 3);
        world.set_tamper(Some(Box::new(|_, to, bytes| {
            let last = matches!(Message::from_bytes(&bytes), Ok(Message::Dkg { round: 4, .. }));
            if last && to == 2 { Vec::new() } else { vec![bytes] }
        })));
        let id = propose(&mut world);
        world.pass(20_000);
        assert_eq!(view(&mut world, 0, id).state, "running");
        world.pass(MINUTE);
        assert_eq!(view(&mut world, 2, id).state, "failed");
        for node in [0, 1] {
            let vault = assert_ended(&mut world, node, id, "operator 2 gave up: no answer");
            assert_eq!(named(&world, node), 1, "{:?}", world.warnings);
            let (network, path) = (Network::Evm(1), DerivationPath::root());
            let reply = world.ask_and_wait(node, Command::Address { vault, network, path }, 10);
            let code = reply.and_then(Result::err).map(|problem| problem.code);
            assert_eq!(code, Some("vault_not_active"));
        }
        // Nobody remembers but the disks: node 0 stored, node 2 said yes and has nothing.
        world.crash(0);
        world.crash(2);
        world.pass(20_000);
        assert_ended(&mut world, 0, id, "operator 2 gave up: it restarted");
    });
}

/// Goal: nor where nobody says that he gave up; and a word that comes after all is not too late. Method: node 2 stores, and
/// does not reach the others.
#[test]
fn a_ceremony_without_the_last_word_ends_after_an_hour_and_is_born_when_it_comes() {
    alone(2, || {
        let mut world = fixture::strangers(2, 3);
        world.set_tamper(Some(Box::new(|from, _, bytes| {
            let word = matches!(Message::from_bytes(&bytes), Ok(Message::VaultStored { .. }));
            if from == 2 && word { Vec::new() } else { vec![bytes] }
        })));
        let id = propose(&mut world);
        world.pass(59 * MINUTE);
        assert_eq!(view(&mut world, 2, id).state, "done");
        assert_eq!(view(&mut world, 0, id).state, "running");
        world.pass(2 * MINUTE);
        for node in [0, 1] {
            assert_ended(&mut world, node, id, "operator 2 stored its share");
        }
        world.crash(0);
        world.pass(10_000);
        assert_ended(&mut world, 0, id, "operator 2 stored its share");
        assert_eq!(named(&world, 0), 2, "once in each run: {:?}", world.warnings);
        world.set_tamper(None);
        world.pass(65_000);
        for node in 0..3 {
            assert_eq!(view(&mut world, node, id).state, "done", "node {node}");
        }
    });
}

/// Goal: a member that did not hear of the end does not wait for the whole hour. Method: the others' yes does not reach node
/// 0, and their first words that they gave up are lost.
#[test]
fn a_member_that_did_not_hear_the_end_hears_it_when_it_asks() {
    alone(3, || {
        let mut world = fixture::strangers(3, 3);
        let mut lost = 0;
        world.set_tamper(Some(Box::new(move |_, to, bytes| match Message::from_bytes(&bytes) {
            Ok(Message::CeremonyJoin(_)) if to == 0 => Vec::new(),
            Ok(Message::CeremonyFail(..)) if to == 0 && lost < 2 => {
                lost += 1;
                Vec::new()
            }
            _ => vec![bytes],
        })));
        let id = propose(&mut world);
        world.pass(50_000);
        assert_eq!(view(&mut world, 0, id).state, "waiting");
        world.pass(20_000);
        let states = [0, 1, 2].map(|node| view(&mut world, node, id).state);
        assert_eq!(states, ["failed", "failed", "failed"], "{:?}", world.warnings);
    });
}

/// Goal: two nodes that both have every word do not answer one another for ever. Method: node 0 says once more that it stored.
#[test]
fn a_repeated_word_about_a_vault_is_answered_once() {
    let ready = fixture::two_of_three();
    alone(4, move || {
        let mut world = ready.world(4, Faults::NONE);
        world.pass(3_000);
        let records = world.disk(0).map(|disk| disk.records.clone()).unwrap_or_default();
        let plan = records.iter().find_map(|bytes| match Record::from_bytes(bytes).ok()?.entry {
            Entry::VaultStored { plan, .. } => Some(plan),
            _ => None,
        });
        let Some(ceremony) = plan.map(|plan| plan.id()) else { panic!("no plan") };
        let vault = ready.vault;
        let mut extra = Some(Message::VaultStored { ceremony, vault }.to_bytes());
        let said = Rc::new(Cell::new(0));
        let counter = Rc::clone(&said);
        world.set_tamper(Some(Box::new(move |from, to, bytes| {
            let extra = if (from, to) == (0, 1) { extra.take() } else { None };
            let frames: Vec<Vec<u8>> = [bytes].into_iter().chain(extra).collect();
            let stored = |bytes: &&Vec<u8>| {
                matches!(Message::from_bytes(bytes), Ok(Message::VaultStored { .. }))
            };
            counter.set(counter.get() + frames.iter().filter(stored).count());
            frames
        })));
        let new = request_of_kind(1, 1, 5_000);
        let reply = world.ask_and_wait(0, Command::Submit { vault, new }, 10_000);
        assert!(matches!(reply, Some(Ok(_))), "{reply:?}");
        world.pass(20_000);
        assert!((2..=3).contains(&said.get()), "{} words", said.get());
    });
}

/// The signers of the last decision in a node's journal.
fn last_quorum(world: &World, node: usize) -> BTreeSet<Seat> {
    let records = world.disk(node).map(|disk| disk.records.as_slice()).unwrap_or_default();
    let quorum =
        records.iter().rev().find_map(|bytes| match Record::from_bytes(bytes).ok()?.entry {
            Entry::Decided { proposal, .. } => Some(proposal.quorum),
            _ => None,
        });
    quorum.unwrap_or_default()
}

/// The nodes' seats: members stand in the order of their ids.
fn seats(world: &World) -> Vec<Seat> {
    let ids: Vec<_> = (0..3).filter_map(|node| world.id(node)).collect();
    let place = |id| ids.iter().filter(|other| *other <= id).count();
    ids.iter().filter_map(|id| u16::try_from(place(id)).ok()).map(Seat).collect()
}

/// Goal: who has too much to do is away for a moment and no more; who breaks a session is left out for a while. Method: a
/// member of a 2-of-3 that would be asked first refuses once, as one that is full or by a reason of its own.
#[test]
fn a_busy_member_is_away_for_a_moment_and_not_suspect() {
    for (seed, code, soon) in [(5, "overloaded", true), (6, "not_allowed", false)] {
        let ready = fixture::two_of_three();
        alone(seed, move || {
            let mut world = ready.world(seed, Faults::NONE);
            world.pass(3_000);
            let vault = ready.vault;
            let sign = |world: &mut World, number: u64| {
                let new = request_of_kind(1, number, 5_000);
                let reply = world.ask_and_wait(0, Command::Submit { vault, new }, 10_000);
                let signed = matches!(&reply, Some(Ok(Reply::Request(v))) if v.state == "signed");
                assert!(signed, "{code}: {reply:?}");
                last_quorum(world, 0)
            };
            let first = sign(&mut world, 1);
            let (asked, seats) = (first.clone(), seats(&world));
            world.set_tamper(Some(Box::new(move |from, _, bytes| {
                match Message::from_bytes(&bytes) {
                    Ok(Message::Verdict { session, request, .. }) if from != 0 => {
                        let refusal = Some((code.to_owned(), "not now".to_owned()));
                        // Only who is asked first refuses; the other one signs.
                        let refusal =
                            refusal.filter(|_| seats.get(from).is_some_and(|s| asked.contains(s)));
                        vec![Message::Verdict { session, request, refusal }.to_bytes()]
                    }
                    _ => vec![bytes],
                }
            })));
            let other = sign(&mut world, 2);
            assert_ne!(other, first, "{code}: nobody else was asked");
            world.set_tamper(None);
            assert_eq!(sign(&mut world, 3), other, "{code}: asked again at once");
            world.pass(3_000);
            assert_eq!(sign(&mut world, 4) == first, soon, "{code}");
        });
    }
}
