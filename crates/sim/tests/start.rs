//! Starting from what survived: the same state comes back, and a journal or secret that is not whole is refused by name.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test")]

use engine::{
    Caller, Command, CommandId, Config, Effect, Engine, Event, PersistentState, Record,
    RecordError, Reply, Status,
};
use model::api::NewCeremony;
use model::entropy::Entropy;
use model::ids::{Incarnation, RequestId, VaultId};
use model::keys::Purpose;
use model::secret::Secret;
use model::time::Timestamp;
use model::wire::Wire;
use sim::random::Seeded;
use sim::run::request_of_kind;
use sim::world::Disk;
use sim::{Faults, World, fixture};
use std::sync::Arc;

struct Zeros;

impl Entropy for Zeros {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(0);
    }
}

fn start(node: usize, disk: &Disk, now: Timestamp) -> Result<Engine, RecordError> {
    let config = Config {
        operator: format!("operator {node}"),
        endpoint: String::new(),
        software: "sim".to_owned(),
        auto_join_test_vaults: true,
        test_home: false,
    };
    let open = |(key, value): (&String, &Vec<u8>)| (key.clone(), Secret::new(value.clone()));
    let state = PersistentState {
        records: disk.records.clone(),
        secrets: disk.secrets.iter().map(open).collect(),
    };
    let key = Arc::new(fixture::key(node));
    Engine::start(config, key, state, Incarnation([1; 16]), now).map(|(engine, _)| engine)
}

fn ask(engine: &mut Engine, now: Timestamp, command: Command) -> Reply {
    let caller = Caller::Operator;
    let event = Event::Command { id: CommandId(1), caller, command };
    let output = engine.handle(now, event, &mut Zeros);
    let reply = output.effects.into_iter().find_map(|effect| match effect {
        Effect::Reply { result, .. } => Some(result),
        _ => None,
    });
    match reply {
        Some(Ok(reply)) => reply,
        other => panic!("{other:?}"),
    }
}

/// What of a status is a fold of the journal: not links, sessions or counters since the start.
fn durable(status: &Status) -> [u64; 5] {
    [status.peers, status.peers_held, status.pairs_stopped, status.vaults, status.requests]
}

/// Goal: recovery is the fold: a node that starts from its records and secrets is the node that wrote them. Method: a
/// mixed workload, a copy of every disk, and the questions of the API to both.
#[test]
fn a_start_from_the_records_gives_the_state_that_wrote_them() {
    let ready = fixture::two_of_three();
    let run = move || {
        let _seeded = Seeded::new(21);
        let mut world = ready.world(21, Faults::NONE);
        world.pass(3_000);
        let vault = ready.vault;
        let mut requests: Vec<RequestId> = Vec::new();
        for number in 0..6 {
            let node = usize::try_from(number % 3).unwrap_or(0);
            let mut new = request_of_kind(number % 3, number, 10_000);
            new.idempotency_key = Some(format!("key {number}"));
            let reply = world.ask_and_wait(node, Command::Submit { vault, new }, 20_000);
            let Some(Ok(Reply::Request(view))) = reply else { panic!("{reply:?}") };
            assert_eq!(view.state, "signed");
            requests.push(view.id);
        }
        world.pass(5_000);
        for node in 0..3 {
            let (Some(disk), now) = (world.disk(node).cloned(), world.now()) else {
                panic!("no disk")
            };
            let running = world.engine(node).map(Engine::status).unwrap_or_default();
            let mut again = start(node, &disk, now).unwrap_or_else(|e| panic!("{e}"));
            let status = again.status();
            assert_eq!(durable(&status), durable(&running), "node {node}");
            // The start itself is one record more.
            assert_eq!(status.journal_length, running.journal_length + 1, "node {node}");
            let mut signed = 0;
            for id in &requests {
                let known = world.ask_and_wait(node, Command::Request(*id), 10);
                let Some(Ok(Reply::Request(live))) = known else { continue };
                let Reply::Request(view) = ask(&mut again, now, Command::Request(*id)) else {
                    panic!("no request")
                };
                assert_eq!((&view.state, &view.signed), (&live.state, &live.signed));
                assert_eq!(view.intent, live.intent);
                signed += usize::from(view.signed.is_some());
            }
            assert!(signed > 0, "node {node} took part in nothing");
            let key = |vault| Command::Vault(vault);
            let live = world.ask_and_wait(node, key(vault), 10);
            assert_eq!(live, Some(Ok(ask(&mut again, now, key(vault)))));
        }
    };
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}

/// Goal: two starts from one disk differ in their incarnation record only. Method: same incarnation, same greeting.
#[test]
fn two_starts_from_one_disk_are_the_same_node() {
    let disk = &fixture::three_of_three().disks[0];
    let make = || start(0, disk, Timestamp(2_000_000_000_000)).unwrap_or_else(|e| panic!("{e}"));
    let (one, two) = (make(), make());
    assert_eq!(one.hello(), two.hello());
    assert_eq!(one.status(), two.status());
}

fn refused(node: usize, disk: &Disk) -> RecordError {
    match start(node, disk, Timestamp(2_000_000_000_000)) {
        Err(error) => error,
        Ok(engine) => panic!("it starts: {engine:?}"),
    }
}

#[test]
fn a_missing_damaged_or_swapped_secret_is_named() {
    let ready = fixture::three_of_three();
    let vault: VaultId = ready.vault;
    let (public, share) = (format!("vault/{vault}/public"), format!("vault/{vault}/share"));
    let pair = |node: usize| format!("pair/{}", fixture::key(node).id());
    let own = &ready.disks[0];
    for name in [&public, &share, &pair(1), &pair(2)] {
        let expected = RecordError::Secret(name.clone());
        let mut missing = own.clone();
        assert!(missing.secrets.remove(name).is_some(), "{name} is not there");
        if name.starts_with("pair/") {
            // A write that stopped a pair came through in part: nothing can leak, the node starts and the pair is stopped.
            let started = start(0, &missing, Timestamp(2_000_000_000_000));
            let status = started.map(|engine| engine.status().pairs_stopped);
            assert_eq!(status.map_err(|error| error.to_string()), Ok(1), "missing");
        } else {
            assert_eq!(refused(0, &missing), expected, "missing");
        }
        let mut cut = own.clone();
        cut.secrets.entry(name.clone()).and_modify(|bytes| bytes.truncate(bytes.len() - 1));
        assert_eq!(refused(0, &cut), expected, "cut");
        let mut longer = own.clone();
        longer.secrets.entry(name.clone()).and_modify(|bytes| bytes.push(0));
        assert_eq!(refused(0, &longer), expected, "longer");
    }
    // Another value of the same kind in its place.
    let swap = |name: &str, value: Option<&Vec<u8>>| {
        let mut swapped = own.clone();
        let value = value.cloned().unwrap_or_else(|| panic!("no value for {name}"));
        swapped.secrets.insert(name.to_owned(), value);
        assert_eq!(refused(0, &swapped), RecordError::Secret(name.to_owned()), "swapped");
    };
    swap(&share, ready.disks[1].secrets.get(&share));
    swap(&pair(1), own.secrets.get(&pair(2)));
    let other = fixture::two_of_three();
    let others = format!("vault/{}/public", other.vault);
    swap(&public, other.disks[0].secrets.get(&others));
    // Each byte of the share and of the public data counts.
    for name in [&public, &share] {
        let length = own.secrets.get(name).map_or(0, Vec::len);
        for at in (0..length).step_by(37) {
            let mut flipped = own.clone();
            flipped.secrets.entry(name.clone()).and_modify(|bytes| bytes[at] ^= 1);
            assert_eq!(refused(0, &flipped), RecordError::Secret(name.clone()), "byte {at}");
        }
    }
}

#[test]
fn a_missing_swapped_or_changed_record_is_named() {
    let own = &fixture::three_of_three().disks[0];
    let length = own.records.len();
    assert!(length > 5);
    let number = |at: usize| u64::try_from(at).unwrap_or(0);
    let mut first = own.clone();
    first.records.remove(0);
    assert_eq!(refused(0, &first), RecordError::Chain(0));
    let mut hole = own.clone();
    hole.records.remove(3);
    assert_eq!(refused(0, &hole), RecordError::Chain(3));
    let mut twice = own.clone();
    twice.records.insert(3, own.records[3].clone());
    assert_eq!(refused(0, &twice), RecordError::Chain(4));
    let mut swapped = own.clone();
    swapped.records.swap(2, 3);
    assert_eq!(refused(0, &swapped), RecordError::Chain(2));
    let mut spliced = own.clone();
    spliced.records[4] = fixture::three_of_three().disks[1].records[4].clone();
    assert_eq!(refused(0, &spliced), RecordError::Chain(4));
    let mut cut = own.clone();
    cut.records[3].pop();
    assert!(matches!(refused(0, &cut), RecordError::Wire(3, _)));
    // A changed bit in any record but the last is seen there or at the next one.
    for at in 0..length - 1 {
        for byte in (0..own.records[at].len()).step_by(11) {
            let mut flipped = own.clone();
            flipped.records[at][byte] ^= 1;
            let found = match refused(0, &flipped) {
                RecordError::Wire(found, _)
                | RecordError::Chain(found)
                | RecordError::Act(found) => found,
                RecordError::Secret(name) => panic!("record {at} byte {byte}: {name}"),
            };
            let near = found == number(at) || found == number(at + 1);
            assert!(near, "record {at} byte {byte}: named {found}");
        }
    }
}

/// Goal: a share of a live vault never comes to a home whose seal is cheap to guess.
#[test]
fn a_test_home_refuses_a_live_vault() {
    let disk = &fixture::three_of_three().disks[0];
    let open = |(key, value): (&String, &Vec<u8>)| (key.clone(), Secret::new(value.clone()));
    let state = PersistentState {
        records: disk.records.clone(),
        secrets: disk.secrets.iter().map(open).collect(),
    };
    let config = Config {
        operator: "operator 0".to_owned(),
        endpoint: String::new(),
        software: "sim".to_owned(),
        auto_join_test_vaults: true,
        test_home: true,
    };
    let (key, now) = (Arc::new(fixture::key(0)), Timestamp(2_000_000_000_000));
    let started = Engine::start(config, key, state, Incarnation([1; 16]), now);
    let (mut engine, _) = started.unwrap_or_else(|e| panic!("{e}"));
    let new = |purpose| {
        let members = vec![fixture::key(1).id(), fixture::key(2).id()];
        let name = "sim".to_owned();
        Command::NewCeremony(NewCeremony { purpose, name, members, threshold: 3 })
    };
    assert_eq!(code_of(&mut engine, now, new(Purpose::Live)), "test_home");
    assert_eq!(code_of(&mut engine, now, new(Purpose::Test)), "done");
}

fn code_of(engine: &mut Engine, now: Timestamp, command: Command) -> &'static str {
    let event = Event::Command { id: CommandId(1), caller: Caller::Operator, command };
    let output = engine.handle(now, event, &mut Zeros);
    let codes = output.effects.into_iter().filter_map(|effect| match effect {
        Effect::Reply { result, .. } => {
            Some(result.map_or_else(|problem| problem.code, |_| "done"))
        }
        _ => None,
    });
    codes.last().unwrap_or("none")
}

/// Goal: a clock that went back far is named, and nothing is signed before it has caught up. Method: a node starts an hour
/// before the last moment in its journal.
#[test]
fn a_clock_behind_the_journal_is_named_and_nothing_is_signed_until_it_caught_up() {
    let ready = fixture::two_of_three();
    let world = ready.world(23, Faults::NONE);
    let Some(disk) = world.disk(0).cloned() else { panic!("no disk") };
    let last = disk.records.last().and_then(|bytes| Record::from_bytes(bytes).ok());
    let Some(last) = last.map(|record| record.at) else { panic!("no record") };
    let code = |engine: &mut Engine, now: Timestamp| {
        let command = Command::Submit { vault: ready.vault, new: request_of_kind(1, 1, 0) };
        let event = Event::Command { id: CommandId(2), caller: Caller::Operator, command };
        let output = engine.handle(now, event, &mut Zeros);
        output.effects.into_iter().find_map(|effect| match effect {
            Effect::Reply { result: Err(problem), .. } => Some(problem.code),
            _ => None,
        })
    };
    let before = Timestamp(last.0 - 3_600_000);
    let mut engine = start(0, &disk, before).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(engine.status().clock_behind_ms, 3_600_000);
    assert_eq!(code(&mut engine, before), Some("clock_behind"));
    let Reply::Node(view) = ask(&mut engine, before, Command::Node) else { panic!("no view") };
    assert!(view.warnings.iter().any(|warning| warning.code == "clock_behind"));
    // Nobody else is there; but for that it would sign again.
    assert_eq!(code(&mut engine, Timestamp(last.0 - 50_000)), Some("no_quorum"));
    assert_eq!(engine.status().clock_behind_ms, 50_000);
}

/// Goal: who is told that a vault is done may ask for a signature at once, though another member hears of the last share later.
/// Method: frames overtake one another, and the request is made in the moment in which the first member knows.
#[test]
fn a_request_waits_for_a_member_that_hears_later_that_the_vault_is_done() {
    let run = || {
        let _seeded = Seeded::new(7);
        let slow = Faults { delay_ms_max: 300, ..Faults::NONE };
        let mut world = fixture::three_of_three().world(7, slow);
        world.pass(20_000);
        let state = |world: &mut World, node: usize, id| {
            let asked = world.ask(node, Command::Ceremony(id));
            match world.reply(asked) {
                Some(Ok(Reply::Ceremony(view))) => (view.state, view.vault),
                other => panic!("{other:?}"),
            }
        };
        let mut late = 0;
        for round in 0..8u64 {
            let members = (0..3).filter_map(|node| world.id(node)).collect();
            let (purpose, name) = (Purpose::Test, format!("round {round}"));
            let new = NewCeremony { purpose, name, members, threshold: 3 };
            let made = world.ask_and_wait(0, Command::NewCeremony(new), 1_000);
            let Some(Ok(Reply::Ceremony(plan))) = made else { panic!("{made:?}") };
            let vault = loop {
                let (state, vault) = state(&mut world, 0, plan.id);
                assert_ne!(state, "failed");
                if let Some(vault) = vault {
                    break vault;
                }
                world.step();
            };
            late += u32::from(state(&mut world, 1, plan.id).0 != "done");
            let new = request_of_kind(2, round, 20_000);
            let reply = world.ask_and_wait(0, Command::Submit { vault, new }, 30_000);
            let Some(Ok(Reply::Request(view))) = reply else { panic!("{reply:?}") };
            assert_eq!(view.state, "signed", "round {round}: {view:?}");
        }
        assert!(late > 0, "every member heard in the same moment: no test");
    };
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}
