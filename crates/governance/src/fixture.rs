//! A small vault for tests: three governors, a desk, a risk group, four operators. Everybody signs with service keys.

use crate::approvals::{Known, Verified, verify_act};
use ed25519_dalek::{Signer as _, SigningKey};
use model::act::{Act, ActSignature, Author, Body, SignedAct};
use model::card::{NodeKey, SigningUse};
use model::charter::{
    Approvals, Charter, Credential, Effect, Governors, Group, Level, LogRules, NodePlace, NodeRole,
    OperationClass, Operator, Owner, Part, Person, PolicyText, Recipients, Rule, Weighted,
};
use model::hash;
use model::ids::{CharterId, VaultId};
use model::keys::Purpose;
use model::secret::Secret;
use model::time::Timestamp;

pub(crate) const VAULT: VaultId = VaultId([0x11; 32]);
/// Wait of a loosening, of a replacement, and of a register at the desk.
pub(crate) const LOOSENING_MS: u64 = 1_000;
pub(crate) const REPLACEMENT_MS: u64 = 500;
pub(crate) const COOL_OFF_MS: u64 = 100;
/// Acts of tests live this long.
pub(crate) const LIFE_MS: u64 = 50_000;
const DELEGATION_ENDS: Timestamp = Timestamp(1_000_000);

/// A person's key number `n`.
pub(crate) fn secret(person: &str, n: u8) -> SigningKey {
    SigningKey::from_bytes(&hash::tagged("test key", &[person.as_bytes(), &[n]]))
}

pub(crate) fn credential(person: &str, n: u8) -> Credential {
    Credential::Service { key: secret(person, n).verifying_key().to_bytes() }
}

pub(crate) fn node(n: u8) -> NodeKey {
    NodeKey::new(Secret::new([n; 32]))
}

fn person(id: &str) -> Person {
    Person {
        id: id.into(),
        name: format!("Person {id}"),
        operator: String::new(),
        credentials: vec![credential(id, 1), credential(id, 2)],
        expires_at: DELEGATION_ENDS,
    }
}

pub(crate) fn approvals(text: &str) -> Approvals {
    let part = |text: &str| {
        let (least, group) = text.trim().split_once(' ').unwrap();
        Part { least: least.parse().unwrap(), group: group.into() }
    };
    let clause = |text: &str| text.split('|').map(part).collect();
    let clauses = text.split('&').filter(|text| !text.trim().is_empty());
    Approvals { all: clauses.map(clause).collect() }
}

fn operator(n: u8) -> Operator {
    Operator {
        id: format!("op{n}"),
        name: format!("Operator {n}"),
        registry: String::new(),
        country: "FI".into(),
        related: Vec::new(),
        nodes: vec![NodePlace { node: node(n).id(), role: NodeRole::Regular }],
    }
}

pub(crate) fn rule(name: &str, effect: Effect) -> Rule {
    Rule {
        name: name.into(),
        effect,
        operations: vec![OperationClass::NativeTransfer],
        networks: Vec::new(),
        assets: Vec::new(),
        recipients: Recipients::Book,
        selectors: Vec::new(),
        amount_max: None,
        limits: Vec::new(),
        initiators: Vec::new(),
        approvals: approvals("1 desk & 1 risk"),
        own_approval_counts: false,
        wait_ms: 10,
        stop_group: String::new(),
        hours: None,
    }
}

fn level(id: &str, path: &str, quorum: &str, groups: &[&str], rules: Vec<Rule>) -> Level {
    Level {
        id: id.into(),
        paths: vec![path.parse().unwrap()],
        quorum: approvals(quorum),
        cool_off_ms: COOL_OFF_MS,
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        book: Vec::new(),
        recall_to: None,
        rules,
        cedar: PolicyText::default(),
    }
}

fn group(id: &str, members: &[&str]) -> Group {
    Group { id: id.into(), members: members.iter().map(|member| (*member).to_owned()).collect() }
}

/// The version at birth.
pub(crate) fn charter() -> Charter {
    let governor = |id: &str| Weighted { person: id.into(), weight: 1 };
    let mut cap = rule("cap", Effect::Forbid);
    cap.approvals = Approvals { all: Vec::new() };
    Charter {
        version: 1,
        previous: None,
        name: "fixture".into(),
        purpose: Purpose::Test,
        owner: Owner {
            name: "Owner".into(),
            registry: String::new(),
            related: Vec::new(),
            may_hold_threshold: false,
            may_stop_signing: false,
        },
        operators: (1..=4).map(operator).collect(),
        threshold: 3,
        people: ["gil", "gus", "gwen", "ann", "bob", "cid", "rob", "ria", "tim"].map(person).into(),
        groups: vec![
            group("desk", &["ann", "bob"]),
            group("risk", &["rob", "ria"]),
            group("top", &["tim"]),
        ],
        governors: Governors {
            members: ["gil", "gus", "gwen"].map(governor).into(),
            quorum: 2,
            loosening_ms: LOOSENING_MS,
            replacement_quorum: 2,
            replacement_ms: REPLACEMENT_MS,
        },
        assets: Vec::new(),
        levels: vec![
            level("treasury", "m/44", "1 top", &[], vec![cap]),
            level(
                "treasury/desk",
                "m/44/1",
                "1 desk & 1 risk",
                &["desk"],
                vec![rule("pay", Effect::Allow)],
            ),
        ],
        log: LogRules { traitors: 1, witness_traitors: 0, witnesses: Vec::new() },
        requirements: Vec::new(),
        sos: None,
        backups: None,
    }
}

/// The next version of one, changed.
pub(crate) fn amended(before: &Charter, change: impl FnOnce(&mut Charter)) -> Charter {
    let mut after = before.clone();
    after.version += 1;
    after.previous = Some(before.id());
    change(&mut after);
    after
}

pub(crate) fn known(more: &[&Charter]) -> Known {
    let mut known = Known::new(VAULT, charter());
    for version in more {
        known.add_version((*version).clone());
    }
    known
}

pub(crate) fn act(author: Author, version: CharterId, at: u64, body: Body) -> Act {
    let created_at = Timestamp(at);
    let expires_at = created_at.saturating_add_ms(LIFE_MS);
    Act { vault: VAULT, charter: version, author, created_at, expires_at, salt: [7; 16], body }
}

/// Signed by a person's key number `n`.
pub(crate) fn by(person: &str, n: u8, version: CharterId, at: u64, body: Body) -> SignedAct {
    let act = act(Author::Person(person.into()), version, at, body);
    sign(act, &secret(person, n))
}

pub(crate) fn sign(act: Act, secret: &SigningKey) -> SignedAct {
    let signed = [b"outlast/act/service/v1\0".as_slice(), act.id().as_bytes()].concat();
    let signature = ActSignature::Service {
        key: secret.verifying_key().to_bytes(),
        signature: secret.sign(&signed).to_bytes(),
    };
    SignedAct { act, signature }
}

/// Signed by node `n`.
pub(crate) fn by_node(n: u8, version: CharterId, at: u64, body: Body) -> SignedAct {
    let act = act(Author::Node(node(n).id()), version, at, body);
    let signature = ActSignature::Node(node(n).sign(SigningUse::Act, act.id().as_bytes()));
    SignedAct { act, signature }
}

pub(crate) fn verified(signed: &SignedAct, known: &Known) -> Verified<SignedAct> {
    verify_act(signed, known).unwrap()
}
