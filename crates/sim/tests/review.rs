//! What a second review tried: records that a node could not read back, and a peer that speaks of requests that are not its
//! own. Each test first showed the weakness.

#![allow(clippy::panic, clippy::as_conversions, clippy::indexing_slicing, reason = "a test")]

use engine::{Command, CommandId, Message, Problem, Reply};
use model::amount::Amount;
use model::api::{self, AskView, RequestView};
use model::ids::VaultId;
use model::intent::{BitcoinNetwork, Network};
use model::wire::Wire;
use sim::random::Seeded;
use sim::run::request_of_kind;
use sim::{Faults, World, fixture};

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

fn length(world: &World, node: usize) -> usize {
    world.disk(node).map_or(0, |disk| disk.records.len())
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
