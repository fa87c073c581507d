//! What one engine refuses, by name: callers, operators, ceremonies, the built-in rules and a lying peer's proposals.
//! A refusal changes nothing: the journal stands still, or holds the refusal alone.

#![allow(clippy::panic, clippy::as_conversions, clippy::indexing_slicing, reason = "a test")]

use engine::{Caller, Command, Entry, Message, Problem, Proposal, Record, Reply};
use model::amount::Amount;
use model::api::{self, AskView};
use model::card::{NodeCard, SigningUse};
use model::ids::{ClientId, NodeId, RequestId, Seat, VaultId};
use model::intent::Network;
use model::keys::Purpose;
use model::limits;
use model::request::Fill;
use model::time::Timestamp;
use model::wire::Wire;
use sim::random::Seeded;
use sim::run::request_of_kind;
use sim::world::Disk;
use sim::{Faults, World, fixture};

type Answer = Result<Reply, Problem>;

/// Runs `test` in a world of its own on a thread of its own.
fn in_world(seed: u64, threshold: u16, test: impl FnOnce(&mut World, VaultId) + Send + 'static) {
    let two = threshold == 2;
    let ready = if two { fixture::two_of_three() } else { fixture::three_of_three() };
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

fn ask_as(world: &mut World, caller: Caller, command: Command) -> Answer {
    let id = world.ask_as(0, caller, command);
    for _ in 0..100_000 {
        if let Some(reply) = world.reply(id) {
            return reply;
        }
        world.step();
    }
    panic!("no answer");
}

fn ask(world: &mut World, command: Command) -> Answer {
    ask_as(world, Caller::Operator, command)
}

fn code(answer: &Answer) -> &'static str {
    match answer {
        Ok(_) => "done",
        Err(problem) => problem.code,
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

/// Asks node 0 and expects the code of a refusal that left no trace.
fn check(world: &mut World, caller: Caller, command: Command, expected: &str) {
    let before = length(world, 0);
    let shown = format!("{command:?}");
    let answer = ask_as(world, caller, command);
    assert_eq!(code(&answer), expected, "{shown}: {answer:?}");
    assert_eq!(length(world, 0), before, "{shown} left a record");
}

fn submit(vault: VaultId, new: api::NewRequest) -> Command {
    Command::Submit { vault, new }
}

fn request_id(answer: &Answer) -> RequestId {
    match answer {
        Ok(Reply::Request(view)) => view.id,
        other => panic!("no request: {other:?}"),
    }
}

#[test]
fn a_request_outside_its_bounds_is_refused_by_name() {
    in_world(1, 3, |world, vault| {
        let good = || request_of_kind(1, 1, 0);
        let operator = Caller::Operator;
        let life = |ms| api::NewRequest { life_ms: Some(ms), ..good() };
        let check = |world: &mut World, vault, new, expected| {
            check(world, operator, submit(vault, new), expected);
        };
        check(world, VaultId([9; 32]), good(), "unknown_vault");
        check(world, vault, life(0), "invalid_field");
        check(world, vault, life(limits::REQUEST_LIFE_MS_MAX + 1), "invalid_field");
        let key = Some("k".repeat(257));
        check(world, vault, api::NewRequest { idempotency_key: key, ..good() }, "invalid_field");
        let answer = ask(world, submit(vault, life(limits::REQUEST_LIFE_MS_MAX)));
        assert_eq!(code(&answer), "done", "the longest life is allowed: {answer:?}");
    });
}

#[test]
fn an_idempotency_key_stands_for_one_request_of_one_client() {
    in_world(2, 3, |world, vault| {
        let keyed = |number, wait| api::NewRequest {
            idempotency_key: Some("invoice 7".to_owned()),
            ..request_of_kind(1, number, wait)
        };
        let first = ask(world, submit(vault, keyed(1, 5_000)));
        let before = length(world, 0);
        let again = ask(world, submit(vault, keyed(1, 5_000)));
        assert_eq!(first, again, "the same request twice has one answer");
        assert_eq!(length(world, 0), before, "it was signed twice");
        check(world, Caller::Operator, submit(vault, keyed(2, 0)), "idempotency_conflict");
        // Another client's key is another key.
        let client = Caller::Client([7; 32]);
        let new = api::NewClient { name: "b".to_owned(), vaults: vec![vault] };
        let made = ask(world, Command::NewClient { new, token_hash: [7; 32] });
        assert_eq!(code(&made), "done");
        let theirs = ask_as(world, client, submit(vault, keyed(2, 5_000)));
        assert_ne!(request_id(&theirs), request_id(&first));
    });
}

#[test]
fn a_client_of_another_vault_learns_nothing_of_this_one() {
    in_world(3, 3, |world, vault| {
        let mine = fixture::make_vault(world, 3);
        let made = ask(world, submit(vault, request_of_kind(1, 1, 5_000)));
        let request = request_id(&made);
        let new = api::NewClient { name: "tenant".to_owned(), vaults: vec![mine] };
        let added = ask(world, Command::NewClient { new, token_hash: [7; 32] });
        let Ok(Reply::Client(client)) = added else { panic!("{added:?}") };
        let caller = Caller::Client([7; 32]);
        let path = || "m/44/60/0/0/0".parse().unwrap_or_else(|e| panic!("{e}"));
        let network = Network::Evm(1);
        let asks = |vault| {
            [
                submit(vault, request_of_kind(1, 2, 0)),
                Command::Vault(vault),
                Command::Address { vault, network, path: path() },
                Command::Account { vault, network, path: path() },
                Command::Requests { vault, limit: 5 },
            ]
        };
        for command in asks(vault) {
            check(world, caller, command, "unknown_vault");
        }
        // The words are those for a vault that does not exist.
        let words = |answer: Answer, vault: VaultId| match answer {
            Err(problem) => problem.message.replace(&vault.short(), "V"),
            Ok(reply) => panic!("{reply:?}"),
        };
        let neighbour = ask_as(world, caller, Command::Vault(vault));
        let nobody = VaultId([9; 32]);
        let none = ask_as(world, caller, Command::Vault(nobody));
        assert_eq!(words(neighbour, vault), words(none, nobody));
        check(world, caller, Command::Request(request), "unknown_request");
        let how = api::Replace {
            max_fee_per_gas: None,
            max_priority_fee_per_gas: None,
            fee_rate: None,
            wait_ms: 0,
        };
        check(world, caller, Command::SpeedUp(request, how.clone()), "unknown_request");
        check(world, caller, Command::Cancel(request, how), "unknown_request");
        let Ok(Reply::Vaults(seen)) = ask_as(world, caller, Command::Vaults) else {
            panic!("no list")
        };
        assert_eq!(seen.iter().map(|v| v.id).collect::<Vec<_>>(), [mine]);
        assert_eq!(code(&ask_as(world, caller, Command::Vault(mine))), "done");
        // Its key is taken back.
        assert_eq!(code(&ask(world, Command::RemoveClient(client))), "done");
        let records = world.disk(0).map(|disk| disk.records.len());
        assert_eq!(code(&ask(world, Command::RemoveClient(client))), "unknown_client");
        assert_eq!(
            world.disk(0).map(|disk| disk.records.len()),
            records,
            "a refusal left a record"
        );
        check(world, caller, Command::Vault(mine), "unknown_credential");
    });
}

#[test]
fn the_operators_commands_are_refused_to_programs() {
    in_world(4, 3, |world, vault| {
        let new = api::NewClient { name: "billing".to_owned(), vaults: vec![vault] };
        assert_eq!(code(&ask(world, Command::NewClient { new, token_hash: [7; 32] })), "done");
        let peer = id_of(world, 1);
        let trust = api::TrustPeer { card: String::new(), words: String::new() };
        let ceremony = api::NewCeremony {
            purpose: Purpose::Test,
            name: "theirs".to_owned(),
            members: vec![peer],
            threshold: 2,
        };
        let new = api::NewClient { name: "more".to_owned(), vaults: vec![vault] };
        let commands = [
            Command::Node,
            Command::Trust(trust),
            Command::ResumePair(peer),
            Command::ReleasePeer(peer),
            Command::NewCeremony(ceremony),
            Command::JoinCeremony(model::ids::CeremonyId([1; 32])),
            Command::Ceremony(model::ids::CeremonyId([1; 32])),
            Command::Ceremonies,
            Command::NewClient { new, token_hash: [8; 32] },
            Command::Clients,
            Command::RemoveClient(ClientId([0; 16])),
        ];
        for command in commands {
            check(world, Caller::Client([7; 32]), command.clone(), "operator_only");
            check(world, Caller::Client([6; 32]), command, "operator_only");
        }
        // And whoever shows no known key gets nothing else either.
        let stranger = Caller::Client([6; 32]);
        check(world, stranger, Command::Vaults, "unknown_credential");
        check(world, stranger, submit(vault, request_of_kind(1, 1, 0)), "unknown_credential");
    });
}

#[test]
fn a_request_leads_to_the_key_that_asked_for_it_also_after_a_restart() {
    in_world(6, 3, |world, vault| {
        for (name, token_hash) in [("shop", [7; 32]), ("payroll", [8; 32])] {
            let new = api::NewClient { name: name.to_owned(), vaults: vec![vault] };
            assert_eq!(code(&ask(world, Command::NewClient { new, token_hash })), "done");
            world.pass(5);
        }
        let payroll = Caller::Client([8; 32]);
        let theirs = request_id(&ask_as(world, payroll, submit(vault, request_of_kind(1, 1, 0))));
        let own = request_id(&ask(world, submit(vault, request_of_kind(1, 2, 0))));
        world.crash(0);
        world.pass(10_000);
        let listed = clients(world);
        let names: Vec<&str> = listed.iter().map(|client| client.name.as_str()).collect();
        assert_eq!(names, ["shop", "payroll"]);
        assert!(listed.iter().all(|client| client.vaults == [vault] && client.created_at_ms > 0));
        for (request, wanted) in [(theirs, Some(listed[1].id.clone())), (own, None)] {
            let answer = ask(world, Command::Request(request));
            let Ok(Reply::Request(view)) = answer else { panic!("{answer:?}") };
            assert_eq!((view.entry, view.client), (id_of(world, 0), wanted));
        }
        let id: ClientId = listed[1].id.parse().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(code(&ask(world, Command::RemoveClient(id))), "done");
        assert_eq!(clients(world), listed[..1]);
    });
}

fn clients(world: &mut World) -> Vec<api::ClientView> {
    let answer = ask(world, Command::Clients);
    let Ok(Reply::Clients(listed)) = answer else { panic!("{answer:?}") };
    listed
}

#[test]
fn a_decision_about_a_peer_needs_its_reason() {
    in_world(5, 3, |world, _| {
        let peer = id_of(world, 1);
        check(world, Caller::Operator, Command::ResumePair(peer), "pair_not_stopped");
        check(world, Caller::Operator, Command::ReleasePeer(peer), "peer_not_held");
    });
}

#[test]
fn a_card_is_trusted_by_its_own_six_words_only() {
    in_world(6, 3, |world, _| {
        let stranger = NodeCard::sign(&fixture::key(7), "operator 7", "");
        let other = NodeCard::sign(&fixture::key(8), "operator 8", "");
        let own = NodeCard::sign(&fixture::key(0), "operator 0", "");
        let trust = |card: &NodeCard, words: String| {
            Command::Trust(api::TrustPeer { card: card.to_text(), words })
        };
        let operator = Caller::Operator;
        check(world, operator, trust(&stranger, other.words()), "wrong_words");
        check(world, operator, trust(&stranger, String::new()), "wrong_words");
        let five = stranger.words().rsplit_once(' ').map(|(five, _)| five.to_owned());
        check(world, operator, trust(&stranger, five.unwrap_or_default()), "wrong_words");
        check(world, operator, trust(&own, own.words()), "own_card");
        let garbage =
            api::TrustPeer { card: "outlast-card-v1 AAAA".to_owned(), words: own.words() };
        check(world, operator, Command::Trust(garbage), "invalid_card");
        let spoken = format!("  {} ", stranger.words().to_uppercase());
        assert_eq!(code(&ask(world, trust(&stranger, spoken))), "done");
    });
}

#[test]
fn a_ceremony_that_could_not_keep_a_key_apart_is_refused() {
    in_world(7, 3, |world, _| {
        let all: Vec<NodeId> = (0..3).map(|node| id_of(world, node)).collect();
        let new = |name: &str, members: &[NodeId], threshold| {
            Command::NewCeremony(api::NewCeremony {
                purpose: Purpose::Test,
                name: name.to_owned(),
                members: members.to_vec(),
                threshold,
            })
        };
        let stranger = fixture::key(7).id();
        let operator = Caller::Operator;
        check(world, operator, new("a", &all, 0), "invalid_threshold");
        check(world, operator, new("a", &all, 1), "invalid_threshold");
        check(world, operator, new("a", &all, 4), "invalid_threshold");
        check(world, operator, new("a", &[], 2), "invalid_threshold");
        check(world, operator, new("a", &[all[1], all[1]], 3), "invalid_threshold");
        check(world, operator, new("a", &[all[1], stranger], 2), "unknown_peer");
        check(world, operator, new("", &all, 3), "invalid_field");
        check(world, operator, new(&"n".repeat(257), &all, 3), "invalid_field");
        let unknown = Command::JoinCeremony(model::ids::CeremonyId([1; 32]));
        check(world, operator, unknown, "unknown_ceremony");
    });
}

#[test]
fn a_member_that_another_does_not_trust_ends_the_ceremony_by_name() {
    let fresh = (0..3).map(|number| (fixture::key(number), Disk::default())).collect();
    let mut world = World::new(8, Faults::NONE, fresh);
    world.pass(10);
    // Node 0 trusts both, they trust node 0 only.
    for (node, other) in [(0, 1), (0, 2), (1, 0), (2, 0)] {
        let card = NodeCard::sign(&fixture::key(other), &format!("operator {other}"), "");
        let trust = api::TrustPeer { card: card.to_text(), words: card.words() };
        let reply = world.ask_and_wait(node, Command::Trust(trust), 10);
        assert!(matches!(reply, Some(Ok(_))), "{reply:?}");
    }
    world.pass(1_000);
    let members = (0..3).map(|node| id_of(&world, node)).collect();
    let new =
        api::NewCeremony { purpose: Purpose::Test, name: "sim".to_owned(), members, threshold: 3 };
    let Ok(Reply::Ceremony(view)) = ask(&mut world, Command::NewCeremony(new)) else {
        panic!("not proposed")
    };
    world.pass(1_000);
    let Ok(Reply::Ceremony(view)) = ask(&mut world, Command::Ceremony(view.id)) else {
        panic!("not shown")
    };
    assert_eq!(view.state, "failed");
    let failure = view.failure.unwrap_or_default();
    assert!(failure.contains("a member is not trusted"), "{failure}");
    for node in 0..3 {
        let stored =
            entries(&world, node, 0).iter().any(|entry| matches!(entry, Entry::VaultStored { .. }));
        assert!(!stored, "node {node} stored a share");
    }
}

/// A vault that is born live: every operator says yes by hand.
fn live_vault(world: &mut World) -> VaultId {
    let members = (0..3).map(|node| id_of(world, node)).collect();
    let new =
        api::NewCeremony { purpose: Purpose::Live, name: "live".to_owned(), members, threshold: 3 };
    let Ok(Reply::Ceremony(view)) = ask(world, Command::NewCeremony(new)) else {
        panic!("not proposed")
    };
    world.pass(5_000);
    let Ok(Reply::Ceremony(waiting)) = ask(world, Command::Ceremony(view.id)) else {
        panic!("not shown")
    };
    assert_eq!(waiting.state, "waiting", "a live vault was joined without its operators");
    for node in [1, 2] {
        let reply = world.ask_and_wait(node, Command::JoinCeremony(view.id), 100);
        assert!(matches!(reply, Some(Ok(_))), "{reply:?}");
    }
    world.pass(20_000);
    let Ok(Reply::Ceremony(done)) = ask(world, Command::Ceremony(view.id)) else {
        panic!("not shown")
    };
    done.vault.unwrap_or_else(|| panic!("{done:?}"))
}

fn raw(format: &str, bytes: &str) -> AskView {
    AskView::Raw { format: format.to_owned(), bytes: bytes.to_owned() }
}

fn call(to: Option<&str>, data: &str) -> AskView {
    AskView::Call {
        to: to.map(str::to_owned),
        value: Amount::ZERO,
        data: data.to_owned(),
        gas_limit: Some(100_000),
    }
}

/// A typed message of no known kind.
const TYPED: &str = concat!(
    r#"{"types":{"EIP712Domain":[{"name":"name","type":"string"},"#,
    r#"{"name":"chainId","type":"uint256"}],"Note":[{"name":"text","type":"string"}]},"#,
    r#""primaryType":"Note","domain":{"name":"d","chainId":CHAIN},"message":{"text":"t"}}"#
);

/// Goal: the built-in rules: a live vault signs transfers, a test vault more, contracts and unlimited approvals are for
/// test vaults on local development chains. Method: one table, both vaults.
#[test]
fn a_live_vault_signs_transfers_only() {
    in_world(9, 3, |world, test| {
        let live = live_vault(world);
        let token = Some("0x00000000000000000000000000000000000000aa");
        let word = |value: &str| format!("{value:0>64}");
        let approve = format!("0x095ea7b3{}{}", word("bb"), word("5"));
        let unlimited = format!("0x095ea7b3{}{}", word("bb"), "f".repeat(64));
        let transfer = format!("0xa9059cbb{}{}", word("bb"), word("5"));
        let typed = TYPED;
        let (dev, main) = (Network::Evm(31337), Network::Evm(1));
        let send = || AskView::Send {
            to: "0x00000000000000000000000000000000000000bb".to_owned(),
            amount: Amount::from_u64(1),
        };
        // Live vault, test vault on a local chain, test vault on mainnet.
        let no = "not_allowed";
        let table: [(&str, AskView, [&str; 3]); 7] = [
            ("transfer", send(), ["done"; 3]),
            ("token transfer", call(token, &transfer), ["done"; 3]),
            ("approval", call(token, &approve), [no, "done", "done"]),
            ("unlimited approval", call(token, &unlimited), [no, "done", no]),
            ("contract creation", call(None, "0x6001"), [no, "done", no]),
            ("message", raw("evm_message", "0x6869"), [no, "done", "done"]),
            ("typed data", raw("evm_typed_data", typed), [no, "done", "done"]),
        ];
        for (name, ask_view, expected) in table {
            let places = [(live, dev), (test, dev), (test, main)];
            for ((vault, network), expected) in places.into_iter().zip(expected) {
                let fill =
                    (!matches!(ask_view, AskView::Raw { .. })).then_some(api::FillView::Evm {
                        nonce: None,
                        gas_limit: 100_000,
                        max_fee_per_gas: 1_000_000_000,
                        max_priority_fee_per_gas: 1,
                    });
                let mut ask_view = ask_view.clone();
                if let AskView::Raw { bytes, .. } = &mut ask_view {
                    let chain = network.to_string();
                    *bytes = bytes.replace("CHAIN", chain.trim_start_matches("evm:"));
                }
                let new = api::NewRequest {
                    network,
                    path: "m/44/60/0/0/0".to_owned(),
                    ask: ask_view,
                    fee_max: None,
                    idempotency_key: None,
                    initiator: None,
                    life_ms: None,
                    fill,
                    broadcast: false,
                    wait_ms: 10_000,
                };
                let before = length(world, 0);
                let answer = ask(world, submit(vault, new));
                assert_eq!(code(&answer), expected, "{name} on {network}: {answer:?}");
                if expected == "done" {
                    let Ok(Reply::Request(view)) = answer else { panic!("{name}") };
                    assert_eq!(view.state, "signed", "{name} on {network}: {view:?}");
                } else {
                    assert_eq!(length(world, 0), before, "{name} left a record");
                }
            }
        }
    });
}

/// Changes every proposal of node 0 on its way, as node 0 could: it signs the changed request with its own key.
fn forge(world: &mut World, resign: bool, change: impl Fn(&mut Proposal) + 'static) {
    world.set_tamper(Some(Box::new(move |from, _to, bytes| {
        let Ok(Message::Propose(mut proposal)) = Message::from_bytes(&bytes) else {
            return vec![bytes];
        };
        if from != 0 {
            return vec![bytes];
        }
        change(&mut proposal);
        if resign {
            let request = proposal.request.to_bytes();
            proposal.entry_signature = fixture::key(0).sign(SigningUse::Request, &request);
        }
        vec![Message::Propose(proposal).to_bytes()]
    })));
}

/// Node 0 proposes something changed; node 1 must refuse with this code, record no more than that, and remember nothing.
fn check_forged(
    world: &mut World,
    vault: VaultId,
    (name, expected): (&str, &str),
    resign: bool,
    change: impl Fn(&mut Proposal) + 'static,
) {
    let before = length(world, 1);
    let requests = world.engine(1).map(|engine| engine.status().requests);
    forge(world, resign, change);
    let new = request_of_kind(1, before as u64, 0);
    assert_eq!(code(&ask(world, submit(vault, new))), "done", "{name}");
    world.pass(200);
    world.set_tamper(None);
    let found: Vec<String> = entries(world, 1, before)
        .into_iter()
        .map(|entry| match entry {
            Entry::Refused { code, .. } => code,
            other => panic!("{name}: {other:?}"),
        })
        .collect();
    assert!(!found.is_empty() && found.iter().all(|code| code == expected), "{name}: {found:?}");
    assert_eq!(world.engine(1).map(|engine| engine.status().requests), requests, "{name}");
    // The honest attempt of the same request is signed later, by its own rules.
    world.pass(60_000);
}

#[test]
fn a_peers_forged_proposal_is_refused_by_its_one_defect() {
    in_world(10, 3, |world, vault| {
        let now = world.now();
        let other = id_of(world, 2);
        let mut check = |name, expected, resign, change: fn(&mut Proposal, Timestamp, NodeId)| {
            check_forged(world, vault, (name, expected), resign, move |p| change(p, now, other));
        };
        check("unsigned change", "entry_signature", false, |p, _, _| {
            p.request.fee_max = Some(Amount::from_u64(1));
        });
        check("expired", "expired", true, |p, now, _| {
            p.request.created_at = Timestamp(now.0 - 2_000);
            p.request.expires_at = Timestamp(now.0 - 1_000);
        });
        check("from the future", "clock_skew", true, |p, now, _| {
            p.request.created_at = Timestamp(now.0 + 3_600_000_000);
            p.request.expires_at = Timestamp(now.0 + 3_600_001_000);
        });
        check("too long a life", "invalid_life", true, |p, _, _| {
            let longest = p.request.created_at.saturating_add_ms(limits::REQUEST_LIFE_MS_MAX);
            p.request.expires_at = longest.saturating_add_ms(1);
        });
        check("another vault", "unknown_vault", true, |p, _, _| {
            p.request.vault = VaultId([9; 32]);
        });
        check("somebody else's request", "invalid_coordinator", true, |p, _, other| {
            p.request.entry = other;
        });
        check("a seat too many", "invalid_quorum", true, |p, _, _| {
            p.quorum = (1..=4).map(Seat).collect();
        });
        check("a seat too few", "invalid_quorum", true, |p, _, _| {
            p.quorum = (1..=2).map(Seat).collect();
        });
        check("another coordinator", "invalid_coordinator", true, |p, _, other| {
            p.coordinator = other;
        });
        // A fill of another chain does not build.
        check("fill of another chain", "invalid_field", true, |p, _, _| p.fill = Fill::Nothing);
    });
}

/// Goal: an attempt number serves once. Method: node 0 shows a request that was signed, with other bytes, under an old
/// number.
#[test]
fn an_old_attempt_with_other_bytes_is_refused_as_replayed() {
    in_world(11, 3, |world, vault| {
        let first = ask(world, submit(vault, request_of_kind(1, 1, 5_000)));
        let signed = request_id(&first);
        let before = entries(world, 0, 0).into_iter().find_map(|entry| match entry {
            Entry::Decided { proposal, .. } if proposal.request.id() == signed => Some(*proposal),
            _ => None,
        });
        let Some(old) = before else { panic!("not decided") };
        let start = length(world, 1);
        forge(world, true, move |proposal| {
            *proposal = old.clone();
            proposal.fill = Fill::Solana { blockhash: [3; 32], nonce_account: None, cancel: false };
        });
        let _ = ask(world, submit(vault, request_of_kind(1, 2, 0)));
        world.pass(200);
        world.set_tamper(None);
        let codes: Vec<String> = entries(world, 1, start)
            .into_iter()
            .filter_map(|entry| match entry {
                Entry::Refused { code, .. } => Some(code),
                _ => None,
            })
            .collect();
        assert_eq!(codes, ["replayed"]);
    });
}
