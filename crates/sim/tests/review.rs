//! What a second review tried: records that a node could not read back, a peer that speaks of requests that are not its own,
//! one member of a 2-of-3 that sabotages, and floods of what a peer may say. Each test first showed the weakness.

#![allow(clippy::panic, clippy::as_conversions, clippy::indexing_slicing, reason = "a test")]

use engine::{
    CeremonyPlan, Command, CommandId, Entry, JournalHead, Message, Problem, Proposal, Record, Reply,
};
use model::amount::Amount;
use model::api::{self, AskView, RequestView};
use model::card::SigningUse;
use model::ids::{ClientId, NodeId, PairEpoch, Seat, VaultId};
use model::intent::{BitcoinNetwork, Network};
use model::keys::Purpose;
use model::request::{Ask, Fill, RawKind, Request};
use model::wire::Wire;
use sim::random::Seeded;
use sim::run::{request_in, request_of_kind};
use sim::world::Tamper;
use sim::{Faults, World, fixture};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

/// Runs `test` in a world of its own on a thread of its own.
fn in_world(seed: u64, threshold: u16, test: impl FnOnce(&mut World, VaultId) + Send + 'static) {
    let ready = if threshold == 2 { fixture::two_of_three() } else { fixture::three_of_three() };
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

fn answer(world: &mut World, id: CommandId) -> Result<Reply, Problem> {
    for _ in 0..200_000 {
        if let Some(reply) = world.reply(id) {
            return reply;
        }
        world.step();
    }
    panic!("no answer");
}

fn ask(world: &mut World, node: usize, command: Command) -> Result<Reply, Problem> {
    let id = world.ask(node, command);
    answer(world, id)
}

fn submit(world: &mut World, node: usize, vault: VaultId, new: api::NewRequest) -> RequestView {
    match ask(world, node, Command::Submit { vault, new }) {
        Ok(Reply::Request(view)) => *view,
        other => panic!("{other:?}"),
    }
}

fn look(world: &mut World, node: usize, of: &RequestView) -> RequestView {
    match ask(world, node, Command::Request(of.id)) {
        Ok(Reply::Request(view)) => *view,
        other => panic!("{other:?}"),
    }
}

fn id_of(world: &World, node: usize) -> NodeId {
    world.id(node).unwrap_or_else(|| panic!("no node {node}"))
}

fn length(world: &World, node: usize) -> usize {
    world.disk(node).map_or(0, |disk| disk.records.len())
}

/// Entries of a node's journal from `from` on.
fn entries(world: &World, node: usize, from: usize) -> Vec<Entry> {
    let records = world.disk(node).map(|disk| disk.records[from..].to_vec()).unwrap_or_default();
    let read = |bytes: &Vec<u8>| Record::from_bytes(bytes).map(|record| record.entry);
    records.iter().map(|bytes| read(bytes).unwrap_or_else(|e| panic!("{e}"))).collect()
}

fn asking(network: Network, path: &str, ask: AskView) -> api::NewRequest {
    api::NewRequest { network, path: path.to_owned(), ask, fill: None, ..request_of_kind(1, 1, 0) }
}

/// Goal: nobody who may call the API writes a record that this node cannot read again: it would never start again.
/// Method: fields that are too long or hold control characters, without a fill, so that nothing is built before the
/// request is written; then a crash and a start.
#[test]
fn a_request_that_the_journal_could_not_read_again_is_refused() {
    in_world(1, 3, |world, vault| {
        let bitcoin = Network::Bitcoin(BitcoinNetwork::Regtest);
        let send = |to: &str| AskView::Send { to: to.to_owned(), amount: Amount::from_u64(9_000) };
        let call = |bytes: usize| AskView::Call {
            to: Some("0x00000000000000000000000000000000000000aa".to_owned()),
            value: Amount::ZERO,
            data: "00".repeat(bytes),
            gas_limit: None,
        };
        let evm = "m/44/60/0/0/0";
        let table = [
            asking(bitcoin, "m/86/0/0", send("bcrt1q\nnext line")),
            asking(bitcoin, "m/86/0/0", send(&"b".repeat(300))),
            asking(Network::Evm(1), evm, call(model::limits::TRANSACTION_BYTES_MAX + 1)),
        ];
        for new in table {
            let before = length(world, 0);
            let reply = ask(world, 0, Command::Submit { vault, new });
            assert_eq!(reply.map_err(|p| p.code), Err("invalid_field"));
            assert_eq!(length(world, 0), before, "a refusal left a record");
        }
        world.crash(0);
        world.pass(10_000);
        assert_eq!(submit(world, 0, vault, request_of_kind(1, 2, 5_000)).state, "signed");
    });
}

/// Goal: nobody but the node that took a request says that it is refused: its client would pay again while a peer holds the
/// first signature. Method: node 0 takes the others' last messages and is silent, and proposes node 1's request back to
/// node 1; node 1 restarts.
#[test]
fn a_peer_cannot_refuse_a_request_that_this_node_took() {
    in_world(3, 3, |world, vault| {
        let mut taken = Vec::new();
        world.set_tamper(Some(Box::new(move |from, to, bytes| {
            match Message::from_bytes(&bytes) {
                Ok(Message::Propose(mut proposal)) if (from, to) == (1, 0) => {
                    proposal.attempt += 1_000;
                    taken = Message::Propose(proposal).to_bytes();
                }
                Ok(Message::Round { round: 2, .. }) if from == 0 => return Vec::new(),
                Ok(Message::Verdict { .. }) if (from, to) == (0, 1) => return vec![taken.clone()],
                _ => {}
            }
            vec![bytes]
        })));
        let view = submit(world, 1, vault, request_of_kind(1, 1, 0));
        world.pass(25_000);
        world.set_tamper(None);
        assert_ne!(look(world, 1, &view).state, "refused");
        world.crash(1);
        world.pass(60_000);
        assert_eq!(look(world, 1, &view).state, "signed", "{:?}", world.warnings);
    });
}

/// Makes node 0 a traitor of one kind.
type Hand = fn() -> Tamper;

/// What node 0 says in place of its verdict.
fn verdicts(code: &'static str) -> Tamper {
    Box::new(move |from, _to, bytes| match Message::from_bytes(&bytes) {
        Ok(Message::Round { .. }) if from == 0 => Vec::new(),
        Ok(Message::Verdict { session, request, .. }) if from == 0 => {
            let refusal = Some((code.to_owned(), "because".to_owned()));
            vec![Message::Verdict { session, request, refusal }.to_bytes()]
        }
        _ => vec![bytes],
    })
}

/// Node 0 gives every session up.
fn aborts() -> Tamper {
    Box::new(move |from, _to, bytes| match Message::from_bytes(&bytes) {
        Ok(Message::Round { session, .. }) if from == 0 => {
            vec![Message::Abort { session, reason: "because".to_owned() }.to_bytes()]
        }
        _ => vec![bytes],
    })
}

/// Node 0 spoils what it sends in the first round.
fn spoils() -> Tamper {
    Box::new(move |from, _to, bytes| match Message::from_bytes(&bytes) {
        Ok(Message::Round { session, item, round, bytes: mut body }) if from == 0 => {
            let at = body.len() * 9 / 10;
            body[at] ^= 1;
            vec![Message::Round { session, item, round, bytes: body }.to_bytes()]
        }
        _ => vec![bytes],
    })
}

/// Node 0 says that the pair is stopped, whatever comes, and never makes it again.
fn has_no_pair() -> Tamper {
    Box::new(move |from, _to, bytes| match Message::from_bytes(&bytes) {
        Ok(Message::PairReady { epoch, .. } | Message::PairOffer { epoch, .. }) if from == 0 => {
            vec![Message::PairStopped { epoch }.to_bytes()]
        }
        Ok(Message::PairStep { .. }) if from == 0 => Vec::new(),
        _ => vec![bytes],
    })
}

/// Goal: one traitor in a 2-of-3 does not keep the two others from signing, and leaves no gap in their nonces. Method: node 0
/// sabotages in every way that names it; nodes 1 and 2 take requests of every scheme.
#[test]
fn two_honest_members_of_three_sign_whatever_the_third_says() {
    let table: [(&str, Hand); 7] = [
        ("refuses", || verdicts("not_allowed")),
        ("is busy", || verdicts("overloaded")),
        ("calls the nonce taken", || verdicts("already_used")),
        ("calls the nonce held", || verdicts("in_use")),
        ("aborts", aborts),
        ("spoils", spoils),
        ("has no pair", has_no_pair),
    ];
    for (seed, (name, tamper)) in (10..).zip(table) {
        in_world(seed, 2, move |world, vault| {
            world.set_tamper(Some(tamper()));
            world.break_link(0, 1, 10);
            world.break_link(0, 2, 10);
            world.pass(5_000);
            let mut nonces = Vec::new();
            for number in 0..4 {
                for node in [1, 2] {
                    for kind in [0, 1, 3] {
                        let number = number * 10 + node as u64;
                        let new = request_in(world, vault, kind, number, 30_000);
                        let view = submit(world, node, vault, new);
                        assert_eq!(view.state, "signed", "node 0 {name}, kind {kind}: {view:?}");
                        if kind == 0 {
                            nonces.push(view.intent.map(|i| i.single_use).unwrap_or_default());
                        }
                    }
                }
            }
            for (nonce, text) in nonces.iter().enumerate() {
                assert!(text.contains(&nonce.to_string()), "node 0 {name}: {nonces:?}");
            }
        });
    }
}

fn keyed(number: u64, life_ms: Option<u64>, wait_ms: u64) -> api::NewRequest {
    let idempotency_key = Some("invoice 7".to_owned());
    api::NewRequest { idempotency_key, life_ms, ..request_of_kind(1, number, wait_ms) }
}

/// Goal: a peer does not choose what this node's clients are answered. Method: the operators of two nodes use the same word
/// for two different payments.
#[test]
fn a_peers_idempotency_key_is_not_this_nodes() {
    in_world(20, 3, |world, vault| {
        let theirs = submit(world, 0, vault, keyed(1, None, 5_000));
        let ours = submit(world, 1, vault, keyed(2, None, 5_000));
        assert_eq!((theirs.state.as_str(), ours.state.as_str()), ("signed", "signed"));
        assert_ne!(theirs.id, ours.id);
    });
}

/// Goal: no second payment under one key because of a restart. Method: a key is used again after its first request was
/// forgotten; the node restarts, and the client asks again.
#[test]
fn a_key_that_is_used_again_after_its_time_still_counts_after_a_restart() {
    in_world(21, 3, |world, vault| {
        submit(world, 0, vault, keyed(1, Some(1_000), 900));
        world.pass(2 * 60 * 60 * 1000);
        let second = submit(world, 0, vault, keyed(2, None, 5_000));
        assert_eq!(second.state, "signed");
        world.crash(0);
        world.pass(20_000);
        let again = submit(world, 0, vault, keyed(2, None, 5_000));
        assert_eq!(again.id, second.id, "a second payment under one key");
    });
}

/// Sends `extra` to node 1 once, beside whatever node 0 sends next.
fn once_to_node_1(extra: Vec<Vec<u8>>) -> Tamper {
    let mut extra = Some(extra);
    Box::new(move |from, to, bytes| {
        let more = if (from, to) == (0, 1) { extra.take() } else { None };
        more.into_iter().flatten().chain([bytes]).collect()
    })
}

/// Goal: a peer does not fill this node's disk with notes on itself.
#[test]
fn a_peer_that_says_its_journal_grows_and_grows_fills_no_disk() {
    in_world(30, 3, |world, vault| {
        let key = fixture::key(0);
        let told = (1..=2_000u64).map(|n| {
            Message::Journal(JournalHead::sign(&key, 0, 1_000 + n * 64, [1; 32])).to_bytes()
        });
        let before = length(world, 1);
        world.set_tamper(Some(once_to_node_1(told.collect())));
        submit(world, 0, vault, request_of_kind(1, 2, 5_000));
        world.pass(10_000);
        let seen = entries(world, 1, before);
        let seen = seen.iter().filter(|e| matches!(e, Entry::PeerSeen(..))).count();
        assert!(seen <= 120, "{seen} records within ten seconds");
        world.set_tamper(None);
        assert_eq!(submit(world, 2, vault, request_of_kind(1, 1, 5_000)).state, "signed");
    });
}

/// Counts the setups that node 1 makes to node 0 while node 0 answers each with `next` of it.
fn offers_against(
    seed: u64,
    next: fn(PairEpoch, u8) -> Message,
    check: impl FnOnce(&mut World, usize) + Send + 'static,
) {
    in_world(seed, 2, move |world, _| {
        let offers = Rc::new(RefCell::new(BTreeSet::new()));
        let counted = Rc::clone(&offers);
        let mut last = PairEpoch(1);
        let mut salt = 0u8;
        let mut left = 40;
        world.set_tamper(Some(Box::new(move |from, to, bytes| {
            match Message::from_bytes(&bytes) {
                Ok(Message::PairOffer { epoch, nonce }) if (from, to) == (1, 0) => {
                    counted.borrow_mut().insert((epoch, nonce));
                    last = epoch;
                }
                // Its first frames bring twenty offers each.
                Ok(_) if (from, to) == (0, 1) && left > 0 => {
                    left -= 1;
                    salt = salt.wrapping_add(1);
                    return (0..20u8)
                        .map(|n| {
                            let epoch = PairEpoch(last.0.saturating_add(u32::from(n)));
                            next(epoch, salt.wrapping_mul(20).wrapping_add(n)).to_bytes()
                        })
                        .chain([bytes])
                        .collect();
                }
                _ => {}
            }
            vec![bytes]
        })));
        world.break_link(0, 1, 10);
        world.pass(30_000);
        let begun = offers.borrow().len();
        check(world, begun);
    });
}

/// Goal: making pair state costs 0.3 s of CPU; a peer cannot have it begun in a loop.
#[test]
fn a_peer_cannot_have_pair_state_begun_in_a_loop() {
    let raised = |epoch: PairEpoch, n| Message::PairOffer { epoch, nonce: [n; 32] };
    offers_against(31, raised, |_, offers| assert!(offers < 20, "{offers} setups were begun"));
    let mismatch = |epoch: PairEpoch, n| match n % 2 {
        0 => Message::PairReady { epoch: PairEpoch(1), mesh: [n; 32], heard: false },
        _ => Message::PairOffer { epoch, nonce: [n; 32] },
    };
    offers_against(32, mismatch, |_, offers| assert!(offers < 20, "{offers} setups were begun"));
}

/// Goal: versions of pair state never run out, or an answer of an old state would pass the gate of a new one.
#[test]
fn a_peer_cannot_use_up_the_versions_of_a_pair() {
    let last = |_, n| Message::PairOffer { epoch: PairEpoch(u32::MAX), nonce: [n; 32] };
    offers_against(33, last, |world, _| {
        let Ok(Reply::Node(view)) = ask(world, 1, Command::Node) else { panic!("no view") };
        let node_0 = id_of(world, 0);
        let epoch = view.peers.iter().find(|p| p.node == node_0).map(|p| p.pair_epoch);
        assert!(epoch.is_some_and(|epoch| epoch < 10_000), "version {epoch:?}");
    });
}

/// Goal: one member does not make another unready in the eyes of a supervisor, who would restart it. Method: node 0 says that
/// it holds node 1, and that another instance of node 1 is live.
#[test]
fn one_peers_word_that_it_holds_this_node_costs_only_that_peer() {
    in_world(34, 2, |world, vault| {
        let held = Message::Held { reason: "because".to_owned() }.to_bytes();
        world.set_tamper(Some(Box::new(move |from, to, bytes| match (from, to) {
            (0, 1) => vec![held.clone()],
            _ => vec![bytes],
        })));
        for number in 100..200 {
            world.pass(200);
            world.ask(0, Command::Submit { vault, new: request_of_kind(1, number, 0) });
        }
        let Some(status) = world.engine(1).map(engine::Engine::status) else { panic!("no status") };
        assert_eq!((status.held_by, status.went_back), (1, false));
        assert_eq!((status.vaults, status.vaults_reachable), (1, 1));
        let said = world.warnings.iter().filter(|(_, code, _)| *code == "held_by_peer").count();
        assert!(said <= 20, "{said} warnings within half a minute");
        assert_eq!(submit(world, 1, vault, request_of_kind(1, 1, 8_000)).state, "signed");
    });
}

/// A proposal of node 0 for a message of `bytes` bytes, the `number`th one.
fn message_proposal(world: &World, vault: VaultId, number: u32, bytes: usize) -> Proposal {
    let mut nodes: Vec<NodeId> = (0..3).map(|node| id_of(world, node)).collect();
    nodes.sort();
    let seat = |node| {
        let at = nodes.iter().position(|id| *id == id_of(world, node));
        Seat(1 + at.map_or(0, |at| u16::try_from(at).unwrap_or(0)))
    };
    let mut text = vec![b'x'; bytes];
    text.splice(..8, format!("{number:08}").into_bytes());
    let now = world.now();
    let request = Request {
        vault,
        network: Network::Evm(1),
        path: "m/44/60/0/0/0".parse().unwrap_or_else(|_| panic!("no path")),
        ask: Ask::Raw { kind: RawKind::EvmMessage, bytes: text },
        fee_max: None,
        client: ClientId([0; 16]),
        idempotency_key: String::new(),
        initiator: String::new(),
        entry: id_of(world, 0),
        created_at: now,
        expires_at: now.saturating_add_ms(600_000_000),
    };
    let entry_signature = fixture::key(0).sign(SigningUse::Request, &request.to_bytes());
    let (quorum, coordinator) = ([seat(0), seat(1)].into_iter().collect(), id_of(world, 0));
    Proposal { request, entry_signature, attempt: 1, fill: Fill::Nothing, quorum, coordinator }
}

/// Sends `extra` to node 1 once, after both accepted one another anew: only then does node 1 speak of pairs.
fn once_when_ready(extra: Vec<Vec<u8>>) -> Tamper {
    let (mut extra, mut accepted) = (Some(extra), false);
    Box::new(move |from, to, frame| {
        let message = Message::from_bytes(&frame);
        accepted |= (from, to) == (1, 0) && matches!(message, Ok(Message::PairReady { .. }));
        // An answer about clocks: node 0 accepted node 1 too, and this is said after every greeting.
        let ready =
            accepted && matches!(message, Ok(Message::PairReady { .. } | Message::Clock(_)));
        let more = if (from, to) == (0, 1) && ready { extra.take() } else { None };
        [frame].into_iter().chain(more.into_iter().flatten()).collect()
    })
}

/// Sends what node 0 proposes, each with an abort, to node 1 once their pair is ready.
fn propose_and_abort(world: &mut World, vault: VaultId, count: u32, bytes: usize) {
    let mut extra = Vec::new();
    for number in 0..count {
        let proposal = message_proposal(world, vault, number, bytes);
        let (session, reason) = (proposal.session(), String::new());
        extra.push(Message::Propose(Box::new(proposal)).to_bytes());
        extra.push(Message::Abort { session, reason }.to_bytes());
    }
    world.set_tamper(Some(once_when_ready(extra)));
    world.break_link(0, 1, 10);
    world.pass(10_000);
    world.set_tamper(None);
}

/// Goal: a peer does not fill this node's disk with proposals that it gives up at once; and a minute later it is served again.
#[test]
fn a_peer_that_proposes_and_aborts_fills_no_disk() {
    in_world(35, 2, |world, vault| {
        let before = length(world, 1);
        propose_and_abort(world, vault, 200, 120_000);
        let disk = world.disk(1).map(|disk| disk.records[before..].to_vec()).unwrap_or_default();
        let grown: usize = disk.iter().map(Vec::len).sum();
        assert!(grown > 1_000_000 && grown < 9 * 1024 * 1024, "{grown} bytes in ten seconds");
        world.pass(60_000);
        assert_eq!(submit(world, 0, vault, request_of_kind(1, 1, 5_000)).state, "signed");
    });
}

/// Goal: one member's requests take nothing from another member's clients, and what a peer gave up is not open here.
#[test]
fn what_one_member_proposes_takes_no_share_of_another_members_clients() {
    in_world(36, 2, |world, vault| {
        let open = |world: &World| world.engine(1).map(|engine| engine.status().requests_open);
        let before = open(world);
        propose_and_abort(world, vault, 300, 100);
        world.pass(30_000);
        let kept = world.engine(1).map(|engine| engine.status().requests);
        assert!(kept > Some(100), "{kept:?}: the flood did not arrive");
        assert_eq!(open(world), before, "given up requests count as open");
        assert_eq!(submit(world, 1, vault, request_of_kind(1, 1, 5_000)).state, "signed");
    });
}

/// Goal: ceremonies that failed block no later one, and a peer does not fill the disk with plans. Method: node 0 proposes 64
/// plans three times a minute and takes them back, until more than 4,096 were heard of.
#[test]
fn ceremonies_that_failed_make_room_and_new_ones_have_a_budget() {
    in_world(37, 3, |world, _| {
        let members: BTreeSet<NodeId> = (0..3).map(|node| id_of(world, node)).collect();
        let mut plan = CeremonyPlan {
            name: "treasury".to_owned(),
            purpose: Purpose::Test,
            threshold: 3,
            members: members.into_iter().collect(),
            proposer: id_of(world, 0),
            at: world.now(),
            nonce: [0; 32],
            charter: None,
        };
        let before = length(world, 1);
        let mut ids = Vec::new();
        for round in 0..432u16 {
            // In turn: plans, and the word that they failed.
            let mut frames: Vec<Vec<u8>> = Vec::new();
            for id in core::mem::take(&mut ids) {
                frames.push(Message::CeremonyFail(id, "no".to_owned()).to_bytes());
            }
            for number in 0..(if frames.is_empty() { 64u8 } else { 0 }) {
                plan.nonce[..2].copy_from_slice(&round.to_be_bytes());
                plan.nonce[2] = number;
                ids.push(plan.id());
                frames.push(Message::CeremonyPropose(plan.clone()).to_bytes());
            }
            world.set_tamper(Some(once_when_ready(frames)));
            world.break_link(0, 1, 10);
            world.pass(10_000);
            if round == 17 {
                let joined = entries(world, 1, before);
                let joined =
                    joined.iter().filter(|e| matches!(e, Entry::CeremonyJoined(_))).count();
                assert!((120..=240).contains(&joined), "{joined} joined within three minutes");
            }
        }
        world.set_tamper(None);
        world.pass(60_000);
        fixture::make_vault(world, 3);
    });
}
