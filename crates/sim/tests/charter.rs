//! Vaults under charters: born by everybody's yes, signing only what rules allow and people approved, each node alone.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

#[path = "support/office.rs"]
mod office;

use engine::{Command, Entry, Record, Reply};
use governance::charter::to_armor;
use model::act::Body;
use model::ids::VaultId;
use model::wire::Wire;
use office::{Office, STRANGER, SUPPLIER, agreed, ask, charter};
use sim::random::Seeded;
use sim::{Faults, World, fixture};

/// Runs `test` in a world of its own on a thread of its own.
fn in_world(seed: u64, threshold: u16, test: impl FnOnce(&mut World) + Send + 'static) {
    let ready = if threshold == 2 { fixture::two_of_three() } else { fixture::three_of_three() };
    let run = move || {
        let _seeded = Seeded::new(seed);
        let mut world = ready.world(seed, Faults::NONE);
        world.pass(3_000);
        test(&mut world);
    };
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}

fn entries(world: &World, node: usize) -> Vec<Entry> {
    let records = world.disk(node).map(|disk| disk.records.clone()).unwrap_or_default();
    records.iter().map(|bytes| Record::from_bytes(bytes).unwrap().entry).collect()
}

#[test]
fn a_vault_is_born_under_its_charter_and_every_node_holds_everybodys_agreement() {
    in_world(1, 3, |world| {
        let written = charter(world, 3);
        let office = Office::open(world, written.clone());
        for node in 0..3 {
            let Ok(Reply::Governance(view)) = ask(world, node, Command::Charter(office.vault))
            else {
                panic!("node {node}")
            };
            assert_eq!((view.charter, view.version), (written.id(), 1));
            let birth = governance::charter::from_armor(&view.birth).unwrap();
            assert_eq!(birth.signatures.len(), 5, "two governors and three nodes");
            let kept = entries(world, node).into_iter().filter(|e| matches!(e, Entry::Charter(_)));
            assert_eq!(kept.count(), 1);
        }
        // A restart folds it anew.
        world.crash(1);
        world.pass(3_000);
        let answer = ask(world, 1, Command::Charter(office.vault));
        assert!(matches!(answer, Ok(Reply::Governance(view)) if view.charter == written.id()));
    });
}

#[test]
fn no_vault_is_born_of_a_charter_that_is_unsigned_faulty_or_another_nodes() {
    in_world(2, 3, |world| {
        let good = charter(world, 3);
        let check = |world: &mut World, armor: String, code: &str| {
            let before = entries(world, 0).len();
            let answer = ask(world, 0, Command::NewCeremonyUnder(armor));
            assert_eq!(answer.map_err(|problem| problem.code).unwrap_err(), code);
            assert_eq!(entries(world, 0).len(), before, "{code}");
        };
        let unsigned = to_armor(&agreed(world, good.clone(), &["gil"]));
        check(world, unsigned, "charter_unsigned");
        let stranger = to_armor(&agreed(world, good.clone(), &["gil", "ann"]));
        check(world, stranger, "charter_unsigned");
        check(world, "no charter".to_owned(), "invalid_charter");
        let mut faulty = good.clone();
        faulty.threshold = 4;
        let faulty = to_armor(&agreed(world, faulty, &["gil", "gus"]));
        check(world, faulty, "invalid_charter");
        let mut later = good.clone();
        later.version = 2;
        later.previous = Some(good.id());
        let later = to_armor(&agreed(world, later, &["gil", "gus"]));
        check(world, later, "invalid_charter");
        let mut others = good.clone();
        others.operators[0].nodes[0].node = model::ids::NodeId([9; 32]);
        let others = to_armor(&agreed(world, others, &["gil", "gus"]));
        check(world, others, "invalid_charter");
        // A signature over another charter under this one.
        let mut mixed = agreed(world, good.clone(), &["gil", "gus"]);
        mixed.charter.name = "another".to_owned();
        check(world, to_armor(&mixed), "invalid_charter");
    });
}

#[test]
fn a_small_payment_passes_a_large_one_waits_for_two_and_one_to_a_stranger_is_refused_by_rule() {
    in_world(3, 3, |world| {
        let written = charter(world, 3);
        let office = Office::open(world, written);
        let small = office.pay(world, 0, SUPPLIER, 900, "");
        assert_eq!(small.state, "signed", "{:?}", small.problem);
        let stranger = office.pay(world, 0, STRANGER, 900, "");
        let problem = stranger.problem.unwrap();
        assert_eq!((stranger.state.as_str(), problem.code.as_str()), ("refused", "no_rule"));
        let beyond = office.pay(world, 0, SUPPLIER, 200_000, "");
        let problem = beyond.problem.unwrap();
        assert_eq!(problem.code, "forbidden");
        assert!(problem.message.contains("cap"), "{}", problem.message);

        // The large one: the asker is known, and his own approval does not count.
        let large = office.pay(world, 0, SUPPLIER, 9_000, "ann");
        let waits = |world: &mut World, code: &str| {
            assert_eq!(office.state(world, 0, large.id), ("waiting".to_owned(), code.to_owned()));
        };
        waits(world, "needs_initiator");
        let opinion = office.opinion(&large);
        office.say(world, 0, "ann", Body::Ask(opinion.clone())).unwrap();
        world.pass(500);
        waits(world, "needs_approvals");
        // Each node shows the same by itself, also those that were not asked.
        let elsewhere = office.show(world, 2, large.id);
        assert_eq!(office.opinion(&elsewhere).intent, opinion.intent);
        let level = office.opinion(&elsewhere);
        office.say(world, 0, "ann", Body::Approve(level.clone())).unwrap();
        office.say(world, 1, "bob", Body::Approve(level.clone())).unwrap();
        world.pass(500);
        waits(world, "needs_approvals");
        office.say(world, 2, "cid", Body::Approve(level)).unwrap();
        world.pass(5_000);
        let signed = office.show(world, 0, large.id);
        assert_eq!(signed.state, "signed", "{:?}", signed.problem);
        for node in 0..3 {
            let judged = entries(world, node).into_iter().rev().find_map(|entry| match entry {
                Entry::Judged(judged) => Some(judged),
                _ => None,
            });
            let judged = judged.unwrap();
            assert_eq!((judged.charter, judged.rules), (office.charter, vec!["large".to_owned()]));
        }
    });
}

#[test]
fn without_a_known_asker_nobodys_approvals_lift_a_rule_that_leaves_the_asker_out() {
    in_world(4, 3, |world| {
        let written = charter(world, 3);
        let office = Office::open(world, written);
        let view = office.pay(world, 0, SUPPLIER, 9_000, "");
        assert_eq!(view.problem.unwrap().code, "unknown_initiator");
    });
}

#[test]
fn a_refusal_by_one_of_the_rules_people_ends_it_and_a_freeze_stops_the_level() {
    in_world(5, 3, |world| {
        let written = charter(world, 3);
        let office = Office::open(world, written);
        let view = office.pay(world, 0, SUPPLIER, 9_000, "ann");
        let opinion = office.opinion(&view);
        office.say(world, 0, "ann", Body::Ask(opinion.clone())).unwrap();
        world.pass(500);
        office.say(world, 1, "cid", Body::Reject(opinion.clone())).unwrap();
        world.pass(1_000);
        assert_eq!(office.state(world, 0, view.id).1, "rejected");

        let freeze = Body::Freeze { level: "treasury".to_owned() };
        office.say(world, 2, "tim", freeze).unwrap();
        world.pass(1_000);
        let view = office.pay(world, 0, SUPPLIER, 5, "");
        assert_eq!(view.problem.unwrap().code, "frozen");
    });
}

#[test]
fn a_waiting_time_runs_from_the_last_approval_and_a_restart_does_not_lose_it() {
    in_world(6, 3, |world| {
        let written = charter(world, 3);
        let office = Office::open(world, written);
        let view = office.pay(world, 0, SUPPLIER, 40_000, "ann");
        let opinion = office.opinion(&view);
        office.say(world, 0, "ann", Body::Ask(opinion.clone())).unwrap();
        office.say(world, 0, "bob", Body::Approve(opinion.clone())).unwrap();
        world.pass(500);
        office.say(world, 1, "rob", Body::Approve(opinion)).unwrap();
        world.pass(20_000);
        assert_eq!(office.state(world, 0, view.id).1, "waiting_time");
        world.crash(1);
        world.pass(20_000);
        assert_eq!(office.state(world, 0, view.id).1, "waiting_time");
        world.pass(25_000);
        let view = office.show(world, 0, view.id);
        assert_eq!(view.state, "signed", "{:?}", view.problem);
    });
}

#[test]
fn a_rolling_limit_holds_across_entry_nodes() {
    in_world(7, 2, |world| {
        let written = charter(world, 2);
        let office = Office::open(world, written);
        let mut paid = 0;
        for node in [0, 1, 2, 0, 1, 2, 0, 1, 2] {
            let view = office.pay(world, node, SUPPLIER, 500, "");
            if view.state == "signed" {
                paid += 500;
            }
        }
        assert!((500..=2_000).contains(&paid), "{paid} of 2,000");
    });
}

#[test]
fn a_vault_without_a_charter_has_no_governance_and_takes_no_acts() {
    in_world(8, 3, |world| {
        let answer = ask(world, 0, Command::Charter(VaultId([3; 32])));
        assert_eq!(answer.map_err(|problem| problem.code).unwrap_err(), "unknown_vault");
    });
}

#[test]
fn an_act_that_somebody_wrote_into_the_journal_stops_the_start() {
    in_world(9, 3, |world| {
        let written = charter(world, 3);
        let office = Office::open(world, written);
        let forged = {
            let place = (office.vault, office.charter);
            let mut act =
                office::said(world, place, "tim", Body::Freeze { level: "treasury".to_owned() });
            act.act.created_at = office::after(world, 1);
            act
        };
        let disk = world.disk(0).unwrap();
        let last = disk.records.last().unwrap();
        let record = Record {
            sequence: Record::from_bytes(last).unwrap().sequence + 1,
            previous: Record::hash(last),
            at: world.now(),
            entry: Entry::Act(Box::new(forged)),
        };
        let mut records = disk.records.clone();
        records.push(record.to_bytes());
        let open = |(key, value): (&String, &Vec<u8>)| {
            (key.clone(), model::secret::Secret::new(value.clone()))
        };
        let secrets = disk.secrets.iter().map(open).collect();
        let number = u64::try_from(records.len() - 1).unwrap();
        let config = engine::Config {
            operator: "operator 0".to_owned(),
            endpoint: String::new(),
            software: "sim".to_owned(),
            auto_join_test_vaults: true,
            test_home: false,
        };
        let started = engine::Engine::start(
            config,
            std::sync::Arc::new(fixture::key(0)),
            engine::PersistentState { records, secrets },
            model::ids::Incarnation([1; 16]),
            world.now(),
        );
        assert_eq!(started.map(drop).unwrap_err(), engine::RecordError::Act(number));
    });
}
