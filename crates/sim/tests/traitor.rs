//! One node breaks the protocol in one way; the honest ones name what is wrong, nothing leaks, and signing goes on: at once
//! where nobody was named, after the operator's decision and fresh pair state where a peer was named.

#![allow(clippy::panic, clippy::as_conversions, reason = "a test")]

use engine::{Command, CommandId, Message, Reply};
use model::api::RequestView;
use model::ids::VaultId;
use model::wire::Wire;
use sim::random::Seeded;
use sim::run::{kinds_at, request_in, request_of_kind};
use sim::world::Tamper;
use sim::{Faults, World, fixture};

/// A kind of request for each scheme, Ed25519, BIP-340 and ECDSA, and the rounds that it takes.
const SCHEMES: [(u64, u8); 3] = [(1, 2), (3, 2), (4, 3)];

/// Runs `test` in a world of its own on a thread of its own.
fn in_world(
    seed: u64,
    two_of_three: bool,
    test: impl FnOnce(&mut World, VaultId) + Send + 'static,
) {
    let ready = if two_of_three { fixture::two_of_three() } else { fixture::three_of_three() };
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

fn submit(world: &mut World, vault: VaultId, node: usize, kind: u64, number: u64) -> CommandId {
    let new = request_in(world, vault, kind, number, 5_000);
    world.ask(node, Command::Submit { vault, new })
}

fn outcome(world: &mut World, id: CommandId) -> RequestView {
    for _ in 0..100_000 {
        if let Some(reply) = world.reply(id) {
            let Ok(Reply::Request(view)) = reply else { panic!("{reply:?}") };
            return *view;
        }
        world.step();
    }
    panic!("no answer");
}

fn sign(world: &mut World, vault: VaultId, node: usize, kind: u64, number: u64) -> RequestView {
    let id = submit(world, vault, node, kind, number);
    outcome(world, id)
}

/// The operators of nodes that stopped a pair decide to go on.
fn resume_stopped_pairs(world: &mut World) -> usize {
    let mut resumed = 0;
    for node in 0..world.size() {
        let peers: Vec<_> = (0..world.size()).filter_map(|peer| world.id(peer)).collect();
        for peer in peers {
            let reply = world.ask_and_wait(node, Command::ResumePair(peer), 10);
            resumed += usize::from(matches!(reply, Some(Ok(_))));
        }
    }
    world.pass(10_000);
    resumed
}

fn assert_signs(world: &mut World, vault: VaultId, number: u64) {
    for node in 0..world.size() {
        for kind in kinds_at(node) {
            let number = number + kind * 10 + node as u64;
            let view = sign(world, vault, node, kind, number);
            assert_eq!(
                view.state, "signed",
                "kind {kind} at node {node}: {view:?} {:?}",
                world.warnings
            );
        }
    }
}

/// Flips a byte of every message of `round` that node 0 sends, at a place given in per mille of its length.
fn flip(round: u8, per_mille: usize) -> Tamper {
    Box::new(move |from, _to, bytes| {
        let Ok(Message::Round { session, item, round: found, bytes: mut body }) =
            Message::from_bytes(&bytes)
        else {
            return vec![bytes];
        };
        if from == 0 && found == round {
            let at = body.len() * per_mille / 1000;
            if let Some(byte) = body.get_mut(at) {
                *byte ^= 1;
            }
        }
        vec![Message::Round { session, item, round: found, bytes: body }.to_bytes()]
    })
}

/// Goal: a changed field ends in a named error everywhere, and signing goes on afterwards. Method: every scheme, every
/// round, places from head to tail.
#[test]
fn a_tampered_round_ends_by_name_and_the_next_signature_works() {
    for (kind, rounds) in SCHEMES {
        for round in 1..=rounds {
            for per_mille in [0, 120, 500, 985] {
                in_world(kind * 100 + u64::from(round), false, move |world, vault| {
                    world.set_tamper(Some(flip(round, per_mille)));
                    let view = sign(world, vault, 1, kind, 1);
                    assert_ne!(view.state, "signed", "kind {kind} round {round} at {per_mille}");
                    assert!(view.problem.is_some(), "no name: {view:?}");
                    world.set_tamper(None);
                    world.pass(40_000);
                    resume_stopped_pairs(world);
                    assert_signs(world, vault, 100);
                    let bugs = world.warnings.iter().any(|(_, code, _)| *code == "bug");
                    assert!(!bugs, "{:?}", world.warnings);
                });
            }
        }
    }
}

/// Goal: K6 with sessions in flight. Method: many sessions at once while node 0 spoils its first OT messages; the watch
/// asserts after every step that nothing of a session leaves to a stopped pair.
#[test]
fn invariant_k6_the_first_failed_check_stops_every_session_of_the_pair() {
    in_world(5, false, |world, vault| {
        world.set_tamper(Some(flip(1, 900)));
        let ids: Vec<_> = (0..20).map(|n| submit(world, vault, 1, 2, n)).collect();
        for id in ids {
            let view = outcome(world, id);
            assert_ne!(view.state, "signed");
        }
        assert!(world.watch().pairs_stopped >= 1, "no pair was stopped: {:?}", world.warnings);
        world.set_tamper(None);
        let refused = sign(world, vault, 1, 2, 50);
        assert_ne!(refused.state, "signed", "a stopped pair signs");
        world.pass(5_000);
        assert_blocked_pairs(world, true);
        assert!(resume_stopped_pairs(world) >= 1);
        assert_blocked_pairs(world, false);
        assert_signs(world, vault, 100);
    });
}

/// Both ends of a stopped pair know what keeps their 3-of-3 vault from signing ECDSA, and who has to decide.
fn assert_blocked_pairs(world: &World, blocked: bool) {
    let seen = |node: usize| world.engine(node).map(|engine| engine.status().pairs_blocking);
    let all: Vec<_> = (0..world.size()).filter_map(seen).flatten().collect();
    let ends = [true, false].map(|here| all.iter().any(|pair| pair.here == here));
    assert_eq!(ends, [blocked; 2], "{all:?}");
}

/// Goal: replays and messages sent twice change nothing. Method: node 0 repeats to each node
/// what it ever sent it.
#[test]
fn replayed_messages_change_nothing() {
    in_world(6, false, |world, vault| {
        // By receiver: what was meant for another node would be a lie and no replay.
        let mut said: [Vec<Vec<u8>>; 3] = Default::default();
        world.set_tamper(Some(Box::new(move |from, to, bytes| {
            let Some(before) = said.get_mut(to).filter(|_| from == 0) else { return vec![bytes] };
            let old = before.iter().rev().take(6).cloned();
            let out = [bytes.clone(), bytes.clone()].into_iter().chain(old).collect();
            before.push(bytes);
            out
        })));
        assert_signs(world, vault, 1);
        assert_eq!(world.watch().pairs_stopped, 0);
        let named = world.warnings.iter().any(|(_, code, _)| *code == "duplicate_message");
        assert!(named, "a doubled message has no name: {:?}", world.warnings);
    });
}

/// Goal: a member that shows another one's proposal first does not end its session. Method: node 0 hands node 1's proposal on to
/// node 2, which hears node 1's own word only afterwards.
#[test]
fn a_proposal_that_another_member_shows_first_is_not_spent() {
    in_world(11, false, |world, vault| {
        let (mut held, mut shown) = (None, false);
        world.set_tamper(Some(Box::new(move |from, to, bytes| {
            let proposal = matches!(Message::from_bytes(&bytes), Ok(Message::Propose(_)));
            if (from, to) == (1, 2) && proposal && held.is_none() {
                held = Some(bytes);
                return Vec::new();
            }
            match &mut held {
                Some(held) if (from, to) == (0, 2) && !shown => {
                    shown = true;
                    vec![held.clone(), bytes]
                }
                Some(kept) if (from, to) == (1, 2) && shown => {
                    let kept = std::mem::take(kept);
                    [kept, bytes].into_iter().filter(|bytes| !bytes.is_empty()).collect()
                }
                _ => vec![bytes],
            }
        })));
        for kind in [1, 3, 4] {
            let view = sign(world, vault, 1, kind, kind);
            // A round of node 0 that came before the proposal it showed is dropped with that: its own session waits, and is
            // tried anew.
            world.pass(if view.state == "signed" { 0 } else { 30_000 });
            let reply = world.ask_and_wait(1, Command::Request(view.id), 10);
            let Some(Ok(Reply::Request(view))) = reply else { panic!("{reply:?}") };
            assert_eq!(view.state, "signed", "{view:?} {:?}", world.warnings);
        }
    });
}

/// Goal: garbage costs its sender its own sessions only. Method: 2-of-3, node 0 sends noise beside its messages.
#[test]
fn garbage_is_named_and_the_others_go_on() {
    in_world(7, true, |world, vault| {
        world.set_tamper(Some(Box::new(|from, _to, bytes| {
            if from != 0 {
                return vec![bytes];
            }
            let cut = bytes.get(..bytes.len() / 2).unwrap_or_default().to_vec();
            vec![vec![0xff; 40], cut, Vec::new()]
        })));
        // Whoever hears of node 0 hears noise, also as a proposal.
        let own = submit(world, vault, 0, 1, 9);
        assert_ne!(outcome(world, own).state, "signed");
        for number in 0..4 {
            let kind = number % 3;
            let node = 1 + (number % 2) as usize;
            let id = submit(world, vault, node, kind, number);
            let mut view = outcome(world, id);
            // The first choice of a signing set may hold the silent node; its sessions end by time.
            for _ in 0..20 {
                if view.state == "signed" {
                    break;
                }
                world.pass(5_000);
                let reply = world.ask_and_wait(node, Command::Request(view.id), 10);
                let Some(Ok(Reply::Request(again))) = reply else { panic!("{reply:?}") };
                view = *again;
            }
            assert_eq!(view.state, "signed", "{view:?} {:?}", world.warnings);
        }
        let named = world.warnings.iter().any(|(_, code, _)| *code == "malformed_message");
        assert!(named, "{:?}", world.warnings);
        world.set_tamper(None);
        world.pass(120_000);
        assert_signs(world, vault, 100);
    });
}

/// Goal: K2 across a restore. Method: node 2 comes back with an older disk; its peers hold it, and only their operators'
/// decision and fresh pair state bring it back.
#[test]
fn invariant_k2_a_restored_node_is_held_until_its_peers_operators_decide() {
    in_world(8, false, |world, vault| {
        let Some(old) = world.disk(2).cloned() else { panic!("no disk") };
        assert_signs(world, vault, 1);
        // Peers hear of a journal's growth within a second or two.
        world.pass(3_000);
        world.restore_disk(2, old);
        world.pass(20_000);
        let held = world.warnings.iter().filter(|(_, code, _)| *code == "peer_held").count();
        assert!(held >= 2, "not held by both: {:?}", world.warnings);
        let new = request_of_kind(2, 60, 5_000);
        let reply = world.ask_and_wait(0, Command::Submit { vault, new }, 6_000);
        assert!(matches!(reply, Some(Err(_))), "a held node signs: {reply:?}");
        let Some(restored) = world.id(2) else { panic!("no id") };
        for node in [0, 1] {
            let reply = world.ask_and_wait(node, Command::ReleasePeer(restored), 10);
            assert!(matches!(reply, Some(Ok(_))), "{reply:?}");
        }
        world.pass(60_000);
        assert_signs(world, vault, 100);
    });
}

/// Goal: K2 when a machine stands still in the middle of a session. Method: in every scheme, after each number of steps, node
/// 2 is told of a jump; the watch asserts that no one-time scalar serves twice, and the next signature works with fresh pair
/// state.
#[test]
fn invariant_k2_a_jump_in_the_middle_of_a_session_spends_no_nonce_twice() {
    for (kind, _) in SCHEMES {
        in_world(20 + kind, false, move |world, vault| {
            for (number, steps) in (0u64..).zip([3, 9, 15, 25]) {
                let id = submit(world, vault, (number % 3) as usize, kind, 200 + number);
                for _ in 0..steps {
                    world.step();
                }
                world.resume(2, "the clock jumped by 3600000 ms", None);
                let Some(disk) = world.disk(2) else { panic!("no disk") };
                assert!(!disk.secrets.keys().any(|key| key.starts_with("pair/")), "pair state");
                // Started, resumed, and the end of both pairs.
                let told = disk.records.iter().rev().take(4).any(|record| {
                    let entry = engine::Record::from_bytes(record).map(|record| record.entry);
                    matches!(entry, Ok(engine::Entry::Resumed(_)))
                });
                assert!(told, "no entry");
                world.pass(40_000);
                // The caller of node 2 lost its wait with the run; the others' requests ended somehow, by name.
                let _ended = world.reply(id);
            }
            assert_signs(world, vault, 300);
            let warned = world.warnings.iter().filter(|(_, code, _)| *code == "resumed").count();
            assert_eq!(warned, 4);
            let held = world.warnings.iter().any(|(_, code, _)| *code == "peer_held");
            assert!(!held, "a jump alone is no restored disk: {:?}", world.warnings);
        });
    }
}

/// Goal: an image of a running machine, disk and all, is a restored node. Method: node 2 goes on from an older disk without a
/// pause; its peers hold it until their operators decide.
#[test]
fn invariant_k2_a_restored_snapshot_is_held_until_its_peers_operators_decide() {
    in_world(30, false, |world, vault| {
        let Some(old) = world.disk(2).cloned() else { panic!("no disk") };
        assert_signs(world, vault, 1);
        world.pass(3_000);
        world.resume(2, "the virtual machine was copied or restored", Some(old));
        world.pass(20_000);
        let held = world.warnings.iter().filter(|(_, code, _)| *code == "peer_held").count();
        assert!(held >= 2, "not held by both: {:?}", world.warnings);
        let knows = world.warnings.iter().any(|(node, code, _)| (*node, *code) == (2, "went_back"));
        assert!(knows, "the restored node does not know: {:?}", world.warnings);
        let reply = world.ask_and_wait(
            0,
            Command::Submit { vault, new: request_of_kind(2, 60, 5_000) },
            6_000,
        );
        assert!(matches!(reply, Some(Err(_))), "a held node signs: {reply:?}");
        let Some(restored) = world.id(2) else { panic!("no id") };
        for node in [0, 1] {
            let reply = world.ask_and_wait(node, Command::ReleasePeer(restored), 10);
            assert!(matches!(reply, Some(Ok(_))), "{reply:?}");
        }
        world.pass(60_000);
        assert_signs(world, vault, 100);
    });
}

/// Goal: parallel sends from one address get consecutive nonces, whoever takes them, and a refused one leaves no gap.
#[test]
fn parallel_sends_get_consecutive_nonces_and_a_refused_one_leaves_no_gap() {
    in_world(9, false, |world, vault| {
        let ids: Vec<_> = (0..6).map(|n| submit(world, vault, (n % 3) as usize, 0, n)).collect();
        // A fee bomb between them is refused and takes no nonce.
        let mut bomb = request_of_kind(0, 77, 5_000);
        if let Some(model::api::FillView::Evm { gas_limit, max_fee_per_gas, .. }) = &mut bomb.fill {
            *gas_limit = 30_000_000;
            *max_fee_per_gas = 9_000_000_000_000;
        }
        let refused = world.ask_and_wait(0, Command::Submit { vault, new: bomb }, 5_000);
        assert!(matches!(refused, Some(Err(_))), "{refused:?}");
        let mut nonces: Vec<String> = ids
            .into_iter()
            .map(|id| outcome(world, id))
            .map(|view| {
                assert_eq!(view.state, "signed", "{view:?}");
                view.intent.map(|intent| intent.single_use).unwrap_or_default()
            })
            .collect();
        nonces.sort();
        nonces.dedup();
        assert_eq!(nonces.len(), 6, "{nonces:?}");
        for nonce in 0..6 {
            assert!(nonces.iter().any(|n| n.contains(&nonce.to_string())), "{nonce} in {nonces:?}");
        }
    });
}
