//! A vault under a charter in a world: its people sign with service keys, its nodes are the world's.

#![allow(dead_code, reason = "each test file uses its part")]

use ed25519_dalek::{Signer as _, SigningKey};
use engine::{Caller, Command, Problem, Reply};
use governance::charter::to_armor;
use model::act::{Act, ActSignature, Author, Body, Opinion, SignedAct};
use model::amount::Amount;
use model::api;
use model::charter::{
    Approvals, BookEntry, Charter, Credential, Effect, Governors, Group, Level, Limit, LimitPer,
    LogRules, NodePlace, NodeRole, OperationClass, Operator, Owner, Part, Person, PolicyText,
    Recipients, Requirement, Rule, SignedCharter, Weighted,
};
use model::hash;
use model::ids::{ActId, CharterId, RequestId, VaultId};
use model::intent::Network;
use model::keys::Purpose;
use model::time::Timestamp;
use model::wire::Wire;
use sim::World;

pub type Answer = Result<Reply, Problem>;

pub const EVM: Network = Network::Evm(31337);
pub const SUPPLIER: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
pub const STRANGER: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
/// Path of the desk's account.
pub const DESK: &str = "m/44/60/0/0/0";
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

pub fn secret(person: &str, n: u8) -> SigningKey {
    SigningKey::from_bytes(&hash::tagged("test key", &[person.as_bytes(), &[n]]))
}

fn person(world: &World, id: &str) -> Person {
    let credentials =
        [1, 2].map(|n| Credential::Service { key: secret(id, n).verifying_key().to_bytes() });
    Person {
        id: id.into(),
        name: format!("Person {id}"),
        operator: String::new(),
        credentials: credentials.into(),
        expires_at: world.now().saturating_add_ms(300 * DAY_MS),
    }
}

pub fn approvals(text: &str) -> Approvals {
    let part = |text: &str| {
        let (least, group) = text.trim().split_once(' ').unwrap();
        Part { least: least.parse().unwrap(), group: group.into() }
    };
    let clause = |text: &str| text.split('|').map(part).collect();
    let clauses = text.split('&').filter(|text| !text.trim().is_empty());
    Approvals { all: clauses.map(clause).collect() }
}

pub fn rule(name: &str, effect: Effect, approvals_text: &str) -> Rule {
    Rule {
        name: name.into(),
        effect,
        operations: vec![OperationClass::NativeTransfer],
        networks: Vec::new(),
        assets: Vec::new(),
        recipients: if effect == Effect::Allow { Recipients::Book } else { Recipients::Any },
        selectors: Vec::new(),
        amount_max: None,
        limits: Vec::new(),
        initiators: Vec::new(),
        approvals: approvals(approvals_text),
        own_approval_counts: false,
        wait_ms: 0,
        stop_group: String::new(),
        hours: None,
    }
}

fn level(id: &str, path: &str, quorum: &str, rules: Vec<Rule>) -> Level {
    Level {
        id: id.into(),
        paths: vec![path.parse().unwrap()],
        quorum: approvals(quorum),
        cool_off_ms: 1_000,
        groups: Vec::new(),
        book: Vec::new(),
        recall_to: None,
        rules,
        cedar: PolicyText::default(),
    }
}

/// Up to 1,000 wei to the supplier passes, 2,000 a day; up to 10,000 with two of the desk; beyond the cap nothing.
pub fn charter(world: &World, threshold: u16) -> Charter {
    let eth = model::charter::Asset {
        symbol: "ETH".into(),
        network: EVM,
        token: "native".into(),
        decimals: 18,
    };
    let on_eth = |mut rule: Rule, max: u64| {
        rule.assets = vec!["ETH".into()];
        rule.amount_max = Some(Amount::from_u64(max));
        rule
    };
    let mut small = on_eth(rule("small", Effect::Allow, ""), 1_000);
    let (window_ms, per) = (DAY_MS, LimitPer::Level);
    small.limits = vec![Limit { amount: Amount::from_u64(2_000), window_ms, per }];
    let large = on_eth(rule("large", Effect::Allow, "2 desk"), 10_000);
    let mut slow = on_eth(rule("slow", Effect::Allow, "1 desk & 1 risk"), 50_000);
    slow.wait_ms = 60_000;
    slow.stop_group = "risk".into();
    let cap = on_eth(rule("cap", Effect::Forbid, ""), 100_000);
    let mut desk = level("treasury/desk", "m/44/60", "2 desk", vec![small, large, slow]);
    let entry = BookEntry { name: "supplier".into(), network: EVM, address: SUPPLIER.into() };
    desk.book = vec![entry];
    desk.groups = vec!["desk".into()];
    let group = |id: &str, members: &[&str]| Group {
        id: id.into(),
        members: members.iter().map(|member| (*member).to_owned()).collect(),
    };
    let governor = |id: &str| Weighted { person: id.into(), weight: 1 };
    let operator = |number: usize| Operator {
        id: format!("op{number}"),
        name: format!("Operator {number}"),
        registry: String::new(),
        country: "FI".into(),
        related: Vec::new(),
        nodes: vec![NodePlace { node: world.id(number).unwrap(), role: NodeRole::Regular }],
    };
    let people = ["gil", "gus", "gwen", "ann", "bob", "cid", "rob", "ria", "tim"];
    Charter {
        version: 1,
        previous: None,
        name: "office".into(),
        purpose: Purpose::Test,
        owner: Owner {
            name: "Owner".into(),
            registry: String::new(),
            related: Vec::new(),
            may_hold_threshold: false,
            may_stop_signing: false,
        },
        operators: (0..world.size()).map(operator).collect(),
        threshold,
        people: people.iter().map(|id| person(world, id)).collect(),
        groups: vec![
            group("desk", &["ann", "bob", "cid"]),
            group("risk", &["rob", "ria"]),
            group("top", &["tim", "gil"]),
        ],
        governors: Governors {
            members: ["gil", "gus", "gwen"].map(governor).into(),
            quorum: 2,
            loosening_ms: 10_000,
            replacement_quorum: 2,
            replacement_ms: 10_000,
        },
        assets: vec![eth],
        levels: vec![level("treasury", "m/44", "1 top & 1 risk", vec![cap]), desk],
        log: LogRules { traitors: 0, witness_traitors: 0, witnesses: Vec::new() },
        requirements: governance::charter::DIMENSIONS
            .iter()
            .map(|(dimension, _)| Requirement {
                dimension: (*dimension).to_owned(),
                least_to_sign: 0,
            })
            .collect(),
        sos: None,
        backups: None,
    }
}

pub fn sign(act: Act, secret: &SigningKey) -> SignedAct {
    let signed = [b"outlast/act/service/v1\0".as_slice(), act.id().as_bytes()].concat();
    let signature = ActSignature::Service {
        key: secret.verifying_key().to_bytes(),
        signature: secret.sign(&signed).to_bytes(),
    };
    SignedAct { act, signature }
}

/// What `person` says of `vault` under `charter` now, for an hour.
pub fn said(
    world: &World,
    (vault, charter): (VaultId, CharterId),
    person: &str,
    body: Body,
) -> SignedAct {
    let created_at = world.now();
    let act = Act {
        vault,
        charter,
        author: Author::Person(person.into()),
        created_at,
        expires_at: created_at.saturating_add_ms(60 * 60 * 1_000),
        salt: [7; 16],
        body,
    };
    sign(act, &secret(person, 1))
}

/// A charter with the agreement of these governors.
pub fn agreed(world: &World, charter: Charter, governors: &[&str]) -> SignedCharter {
    let id = charter.id();
    let yes = |person: &&str| said(world, (VaultId([0; 32]), id), person, Body::Amend { next: id });
    SignedCharter { charter, signatures: governors.iter().map(yes).collect() }
}

pub fn ask(world: &mut World, node: usize, command: Command) -> Answer {
    ask_as(world, node, Caller::Operator, command)
}

pub fn ask_as(world: &mut World, node: usize, caller: Caller, command: Command) -> Answer {
    let id = world.ask_as(node, caller, command);
    for _ in 0..200_000 {
        if let Some(reply) = world.reply(id) {
            return reply;
        }
        world.step();
    }
    panic!("no answer");
}

/// A vault under a charter and its version at birth.
#[derive(Debug, Clone, Copy)]
pub struct Office {
    pub vault: VaultId,
    pub charter: CharterId,
}

impl Office {
    /// Born in a ceremony of all nodes.
    pub fn open(world: &mut World, charter: Charter) -> Self {
        let id = charter.id();
        let faults = governance::charter::check(&charter);
        let refusing: Vec<_> = faults.iter().filter(|fault| fault.refuses()).collect();
        assert_eq!(refusing, Vec::<&governance::charter::Fault>::new());
        let armor = to_armor(&agreed(world, charter, &["gil", "gus"]));
        let answer = ask(world, 0, Command::NewCeremonyUnder(armor));
        let Ok(Reply::Ceremony(view)) = answer else { panic!("{answer:?}") };
        for _ in 0..600 {
            world.pass(100);
            let Ok(Reply::Ceremony(now)) = ask(world, 0, Command::Ceremony(view.id)) else {
                panic!("no ceremony")
            };
            if let ("done", Some(vault)) = (now.state.as_str(), now.vault) {
                world.pass(1_000);
                return Self { vault, charter: id };
            }
            assert_ne!(now.state, "failed", "{now:?}");
        }
        panic!("no vault");
    }

    /// Asks for a transfer at a node.
    pub fn pay(
        &self,
        world: &mut World,
        node: usize,
        to: &str,
        wei: u64,
        by: &str,
    ) -> api::RequestView {
        let new = api::NewRequest {
            network: EVM,
            path: DESK.to_owned(),
            ask: api::AskView::Send { to: to.to_owned(), amount: Amount::from_u64(wei) },
            fee_max: None,
            idempotency_key: None,
            initiator: Some(by.to_owned()).filter(|by| !by.is_empty()),
            life_ms: None,
            fill: Some(api::FillView::Evm {
                nonce: None,
                gas_limit: 21_000,
                max_fee_per_gas: 1_000_000_000,
                max_priority_fee_per_gas: 1_000_000,
            }),
            broadcast: false,
            wait_ms: 20_000,
        };
        match ask(world, node, Command::Submit { vault: self.vault, new }) {
            Ok(Reply::Request(view)) => *view,
            other => panic!("{other:?}"),
        }
    }

    /// A request as a node shows it.
    pub fn show(&self, world: &mut World, node: usize, id: RequestId) -> api::RequestView {
        match ask(world, node, Command::Request(id)) {
            Ok(Reply::Request(view)) => *view,
            other => panic!("{other:?}"),
        }
    }

    /// What a person would say of a request that a node shows.
    pub fn opinion(&self, view: &api::RequestView) -> Opinion {
        let approval = view.approval.as_ref().unwrap();
        let level = approval.missing.first().map_or(&approval.level, |missing| &missing.level);
        let mut intent = [0; 32];
        hex::decode_to_slice(&approval.intent, &mut intent).unwrap();
        Opinion { request: view.id, level: level.clone(), intent }
    }

    /// Brings an act to a node.
    pub fn post(
        &self,
        world: &mut World,
        node: usize,
        act: SignedAct,
    ) -> Result<ActId, &'static str> {
        match ask(world, node, Command::PostAct(self.vault, Box::new(act))) {
            Ok(Reply::Act(id)) => Ok(id),
            Err(problem) => Err(problem.code),
            other => panic!("{other:?}"),
        }
    }

    /// `person` says `body` at a node.
    pub fn say(
        &self,
        world: &mut World,
        node: usize,
        person: &str,
        body: Body,
    ) -> Result<ActId, &'static str> {
        let act = said(world, (self.vault, self.charter), person, body);
        self.post(world, node, act)
    }

    /// The state and the code of what is in the way.
    pub fn state(&self, world: &mut World, node: usize, id: RequestId) -> (String, String) {
        let view = self.show(world, node, id);
        (view.state, view.problem.map(|problem| problem.code).unwrap_or_default())
    }
}

/// Canonical bytes of a request that a view shows.
pub fn bytes_of(view: &api::RequestView) -> model::request::Request {
    let bytes = hex::decode(&view.approval.as_ref().unwrap().request).unwrap();
    model::request::Request::from_bytes(&bytes).unwrap()
}

/// An instant from now.
pub fn after(world: &World, ms: u64) -> Timestamp {
    world.now().saturating_add_ms(ms)
}
