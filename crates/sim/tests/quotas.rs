//! One node serves several customers: whoever floods it is refused by the name of the limit, and its neighbour is served.

#![allow(clippy::panic, clippy::as_conversions, clippy::indexing_slicing, reason = "a test")]

use engine::{Caller, Class, Command, CommandId, Problem, Reply};
use model::api;
use model::ids::VaultId;
use model::limits;
use sim::random::Seeded;
use sim::run::request_of_kind;
use sim::{Faults, World, fixture};
use std::collections::BTreeMap;

const LOUD: Caller = Caller::Client([1; 32]);
const QUIET: Caller = Caller::Client([2; 32]);

/// Runs `test` in a world of three nodes with two vaults, one of each client, on a thread of its own.
fn in_world(seed: u64, test: impl FnOnce(&mut World, VaultId, VaultId) + Send + 'static) {
    let ready = fixture::three_of_three();
    let run = move || {
        let _seeded = Seeded::new(seed);
        let mut world = ready.world(seed, Faults::NONE);
        world.pass(3_000);
        let second = fixture::make_vault(&mut world, 3);
        for (caller, name, vaults) in
            [(LOUD, "loud", vec![ready.vault]), (QUIET, "quiet", vec![second])]
        {
            let Caller::Client(token_hash) = caller else { panic!("no client") };
            let new = api::NewClient { name: name.to_owned(), vaults };
            let made = world.ask_and_wait(0, Command::NewClient { new, token_hash }, 1_000);
            assert!(matches!(made, Some(Ok(Reply::Client(_)))), "{made:?}");
        }
        test(&mut world, ready.vault, second);
    };
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}

fn submit(world: &mut World, caller: Caller, vault: VaultId, number: u64) -> CommandId {
    let new = request_of_kind(2, number, 60_000);
    world.ask_as(0, caller, Command::Submit { vault, new })
}

/// Every answer to these, in at most ten minutes of the world.
fn answers(world: &mut World, asked: &[CommandId]) -> BTreeMap<CommandId, Result<Reply, Problem>> {
    let mut found = BTreeMap::new();
    let end = world.now().saturating_add_ms(600_000);
    while found.len() < asked.len() && world.now() < end {
        world.step();
        for id in asked {
            if let Some(reply) = world.reply(*id) {
                found.insert(*id, reply);
            }
        }
    }
    assert_eq!(found.len(), asked.len(), "not every call was answered");
    found
}

fn states(answers: &BTreeMap<CommandId, Result<Reply, Problem>>) -> BTreeMap<String, usize> {
    let mut states = BTreeMap::new();
    for answer in answers.values() {
        let name = match answer {
            Ok(Reply::Request(view)) => view.state.clone(),
            Ok(other) => panic!("{other:?}"),
            Err(problem) => {
                assert_eq!(problem.class, Class::Overloaded, "{problem:?}");
                assert!(problem.retry_ms.is_some(), "no word on when to try again: {problem:?}");
                problem.code.to_owned()
            }
        };
        *states.entry(name).or_insert(0) += 1;
    }
    states
}

/// Goal: a neighbour's flood costs a customer nothing. Method: 300 requests of one client in one moment, and in the middle
/// of them those of another, as many as it may have.
#[test]
fn a_client_that_floods_is_shed_by_name_and_its_neighbour_is_served() {
    in_world(1, |world, loud, quiet| {
        let mut flood = Vec::new();
        let mut served = Vec::new();
        for number in 0..300 {
            flood.push(submit(world, LOUD, loud, number));
            if number >= 150 && served.len() < limits::REQUESTS_UNDER_WAY_MAX {
                served.push(submit(world, QUIET, quiet, 1_000 + number));
            }
        }
        let all: Vec<CommandId> = flood.iter().chain(&served).copied().collect();
        let answers = answers(world, &all);
        let (flood, served): (BTreeMap<_, _>, BTreeMap<_, _>) =
            answers.into_iter().partition(|(id, _)| flood.contains(id));
        let signed = limits::REQUESTS_UNDER_WAY_MAX;
        let expected = BTreeMap::from([("signed".to_owned(), signed)]);
        assert_eq!(states(&served), expected, "the neighbour was not served");
        let expected = BTreeMap::from([
            ("client_under_way_max".to_owned(), 300 - signed),
            ("signed".to_owned(), signed),
        ]);
        assert_eq!(states(&flood), expected);
        // With its share free again the flooder is served too.
        let again = submit(world, LOUD, loud, 2_000);
        assert_eq!(states(&self::answers(world, &[again])).keys().collect::<Vec<_>>(), ["signed"]);
    });
}

/// Goal: a vault's share holds for all of its clients together.
#[test]
fn two_clients_of_one_vault_share_its_limit() {
    in_world(2, |world, loud, _| {
        let asked: Vec<CommandId> = (0..100)
            .map(|number| {
                let caller = if number % 2 == 0 { LOUD } else { Caller::Operator };
                submit(world, caller, loud, number)
            })
            .collect();
        let signed = limits::REQUESTS_UNDER_WAY_MAX;
        let expected = BTreeMap::from([
            ("signed".to_owned(), signed),
            ("vault_under_way_max".to_owned(), 100 - signed),
        ]);
        assert_eq!(states(&answers(world, &asked)), expected);
    });
}

/// Goal: what finds no session free waits for its turn instead of being refused. The order of turns is a unit test's.
#[test]
fn what_finds_no_session_waits_for_one() {
    in_world(3, |world, loud, quiet| {
        let third = fixture::make_vault(world, 3);
        let mut asked = Vec::new();
        for number in 0..60 {
            asked.push(submit(world, LOUD, loud, number));
            asked.push(submit(world, Caller::Operator, third, 100 + number));
        }
        assert!(asked.len() > limits::SESSIONS_OF_COORDINATOR_MAX);
        asked.push(submit(world, QUIET, quiet, 500));
        let expected = BTreeMap::from([("signed".to_owned(), asked.len())]);
        assert_eq!(states(&answers(world, &asked)), expected);
    });
}

/// Goal: a call whose parts are completed anew each time is found by its key, by its own client alone.
#[test]
fn a_call_is_found_by_its_key_and_another_call_under_it_is_a_conflict() {
    in_world(4, |world, vault, _| {
        let key = Some("rpc-key:k/first".to_owned());
        let new = api::NewRequest { idempotency_key: key, ..request_of_kind(2, 1, 5_000) };
        let id = world.ask_as(0, LOUD, Command::Submit { vault, new });
        let made = answers(world, &[id]).remove(&id);
        let Some(Ok(Reply::Request(made))) = made else { panic!("{made:?}") };
        let mut find = |caller, key: &str, call: &str| {
            let (key, call) = (key.to_owned(), call.to_owned());
            let id = world.ask_as(0, caller, Command::Keyed { vault, key, call, wait_ms: 0 });
            match answers(world, &[id]).remove(&id) {
                Some(Ok(Reply::Request(view))) => view.id.to_string(),
                Some(Ok(Reply::Requests(none))) => format!("{} found", none.len()),
                Some(Err(problem)) => problem.code.to_owned(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(find(LOUD, "rpc-key:k", "first"), made.id.to_string());
        assert_eq!(find(LOUD, "rpc-key:k", "second"), "idempotency_conflict");
        assert_eq!(find(LOUD, "rpc-key:", "first"), "0 found");
        assert_eq!(find(LOUD, "rpc-key:z", "first"), "0 found");
        assert_eq!(find(Caller::Operator, "rpc-key:k", "first"), "0 found");
        assert_eq!(find(QUIET, "rpc-key:k", "first"), "unknown_vault");
    });
}
