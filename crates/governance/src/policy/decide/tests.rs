use super::*;
use crate::policy::{PolicyFault, operations_of};
use model::amount::Amount;
use model::charter::*;
use model::ids::CharterId;
use model::intent::{Fee, Intent, Operation as Word};
use model::keys::Purpose;

const SUPPLIER: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const STRANGER: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";

fn rule(name: &str, effect: Effect, operations: &[OperationClass]) -> Rule {
    Rule {
        name: name.into(),
        effect,
        operations: operations.to_vec(),
        networks: vec![Network::Evm(1)],
        assets: vec!["ETH".into()],
        recipients: Recipients::Any,
        selectors: vec![],
        amount_max: None,
        limits: vec![],
        initiators: vec![],
        approvals: Approvals { all: vec![] },
        own_approval_counts: false,
        wait_ms: 0,
        stop_group: String::new(),
        hours: None,
    }
}

fn level(id: &str, path: &str, rules: Vec<Rule>) -> Level {
    Level {
        id: id.into(),
        paths: vec![path.parse().unwrap()],
        quorum: Approvals { all: vec![] },
        cool_off_ms: 0,
        groups: vec![],
        book: vec![],
        recall_to: None,
        rules,
        cedar: PolicyText::default(),
    }
}

fn one_of(group: &str) -> Approvals {
    Approvals { all: vec![vec![Part { least: 1, group: group.into() }]] }
}

fn eth(tenths: u64) -> Amount {
    Amount::from_u64(tenths).checked_mul_u64(100_000_000_000_000_000).unwrap()
}

fn charter(levels: Vec<Level>) -> Charter {
    Charter {
        version: 1,
        previous: Some(CharterId([0; 32])),
        name: "t".into(),
        purpose: Purpose::Test,
        owner: Owner {
            name: "o".into(),
            registry: String::new(),
            related: vec![],
            may_hold_threshold: false,
            may_stop_signing: false,
        },
        operators: vec![],
        threshold: 3,
        people: vec![],
        groups: vec![],
        governors: Governors {
            members: vec![],
            quorum: 1,
            loosening_ms: 0,
            replacement_quorum: 1,
            replacement_ms: 0,
        },
        assets: vec![Asset {
            symbol: "ETH".into(),
            network: Network::Evm(1),
            token: "native".into(),
            decimals: 18,
        }],
        levels,
        log: LogRules { traitors: 0, witness_traitors: 0, witnesses: vec![] },
        requirements: vec![],
        sos: None,
        backups: None,
    }
}

/// Treasury caps at 50 ETH a day; the desk pays up to 1.5 ETH to the book alone, up to 40 ETH with a treasurer's yes.
fn desk() -> Charter {
    use OperationClass::NativeTransfer;
    let day = 24 * 3_600_000;
    let limit = |tenths, per| Limit { amount: eth(tenths), window_ms: day, per };
    let small = Rule {
        recipients: Recipients::Book,
        amount_max: Some(eth(15)),
        initiators: vec!["desk".into()],
        limits: vec![limit(30, LimitPer::Person)],
        ..rule("desk-small", Effect::Allow, &[NativeTransfer])
    };
    let large = Rule {
        recipients: Recipients::Book,
        amount_max: Some(eth(400)),
        approvals: one_of("treasurers"),
        ..rule("desk-large", Effect::Allow, &[NativeTransfer])
    };
    let slow = Rule {
        amount_max: Some(eth(10)),
        approvals: one_of("treasurers"),
        wait_ms: 3_600_000,
        stop_group: "risk".into(),
        ..rule("strangers", Effect::Allow, &[NativeTransfer])
    };
    let cap = Rule {
        limits: vec![limit(500, LimitPer::Level)],
        ..rule("daily-cap", Effect::Forbid, &[NativeTransfer])
    };
    charter(vec![
        level("treasury", "m/44", vec![cap]),
        level("treasury/desk", "m/44/60/1", vec![small, large, slow]),
    ])
}

fn groups() -> Groups {
    let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    BTreeMap::from([
        ("desk".to_owned(), set(&["clerk", "chief"])),
        ("treasurers".to_owned(), set(&["chief", "treasurer"])),
        ("risk".to_owned(), set(&["officer"])),
    ])
}

struct Scene {
    charter: Charter,
    initiator: String,
    path: String,
    approved: BTreeMap<String, Supporters>,
    rejected: BTreeSet<String>,
    frozen: BTreeSet<String>,
    complete_since: BTreeMap<String, Timestamp>,
    ledger: Ledger,
    nodes: (u16, u16),
    reserved: u16,
    now: u64,
}

impl Scene {
    fn new() -> Self {
        Self {
            charter: desk(),
            initiator: "clerk".into(),
            path: "m/44/60/1/0".into(),
            approved: BTreeMap::new(),
            rejected: BTreeSet::new(),
            frozen: BTreeSet::new(),
            complete_since: BTreeMap::new(),
            ledger: Ledger::default(),
            nodes: (3, 3),
            reserved: 1,
            now: 1_000_000,
        }
    }
    fn approve(&mut self, level: &str, person: &str) {
        let counts = groups().into_iter().filter(|(_, members)| members.contains(person));
        let counts = counts.map(|(group, _)| group).collect();
        self.approved.entry(level.into()).or_default().insert(person.into(), counts);
    }
    fn ask(&self, operations: Vec<Word>) -> Verdict {
        let policies = Policies::compile(&self.charter).unwrap();
        let intent = Intent {
            network: Network::Evm(1),
            format: String::new(),
            from: vec![],
            operations,
            fee: Fee { at_most: Amount::ZERO, detail: String::new() },
            single_use: String::new(),
            notes: vec![],
        };
        let groups = groups();
        Question {
            charter: &self.charter,
            policies: &policies,
            request: RequestId([1; 32]),
            network: Network::Evm(1),
            path: &self.path.parse().unwrap(),
            operations: &operations_of(&intent),
            initiator: &self.initiator,
            groups: &groups,
            book: &|level, _, address| level == "treasury/desk" && address == SUPPLIER,
            own: &|_| false,
            frozen: &self.frozen,
            approved: &self.approved,
            rejected: &self.rejected,
            complete_since: &self.complete_since,
            ledger: &self.ledger,
            nodes: self.nodes,
            reserved: self.reserved,
            now: Timestamp(self.now),
        }
        .decide()
    }
    fn pay(&self, tenths: u64, to: &str) -> Verdict {
        self.ask(vec![Word::NativeTransfer { to: to.into(), amount: eth(tenths) }])
    }
    /// Signs what is allowed: its charges stay.
    fn spend(&mut self, number: u8, tenths: u64) -> bool {
        let verdict = self.pay(tenths, SUPPLIER);
        for charge in &verdict.charges {
            self.ledger.charge(RequestId([number; 32]), Timestamp(self.now), charge);
        }
        verdict.outcome == Outcome::Allow
    }
}

fn code(verdict: &Verdict) -> &str {
    match &verdict.outcome {
        Outcome::Allow => "allow",
        Outcome::Deny { code, .. } => code,
        Outcome::NeedsApprovals(_) => "needs_approvals",
        Outcome::Wait { .. } => "wait",
    }
}

#[test]
fn a_small_payment_to_the_book_passes_and_names_its_rule() {
    let verdict = Scene::new().pay(15, SUPPLIER);
    assert_eq!((verdict.outcome, verdict.allowed_by), (Outcome::Allow, vec!["desk-small".into()]));
    let levels: Vec<_> = verdict.levels.iter().map(|l| (l.level.as_str(), l.rows.len())).collect();
    assert_eq!(levels, [("treasury/desk", 2), ("treasury", 0)], "every level was asked");
}

#[test]
fn what_no_rule_names_is_denied() {
    let scene = Scene::new();
    assert_eq!(code(&scene.pay(500, SUPPLIER)), "no_rule");
    assert_eq!(code(&scene.pay(15, STRANGER)), "no_rule");
    assert_eq!(code(&scene.ask(vec![Word::Message { text: "hello".into() }])), "no_rule");
    assert_eq!(code(&scene.ask(vec![])), "no_rule");
    let creation = Word::ContractCreation {
        init_code_hash: String::new(),
        init_code_bytes: 1,
        value: Amount::ZERO,
    };
    assert_eq!(code(&scene.ask(vec![creation])), "no_rule");
    let elsewhere = Scene { path: "m/86/0".into(), ..Scene::new() };
    assert_eq!(code(&elsewhere.pay(1, SUPPLIER)), "no_level");
    let nobody = Scene { initiator: "somebody".into(), ..Scene::new() };
    assert_eq!(code(&nobody.pay(1, SUPPLIER)), "needs_approvals", "only the large row is left");
}

#[test]
fn one_forbidden_operation_denies_the_whole_request() {
    let transfer = |to: &str| Word::NativeTransfer { to: to.into(), amount: eth(1) };
    let verdict = Scene::new().ask(vec![transfer(SUPPLIER), Word::Message { text: "x".into() }]);
    assert_eq!(code(&verdict), "no_rule");
    assert!(verdict.charges.is_empty(), "what is not signed is not charged");
}

#[test]
fn approvals_count_at_their_level_by_others_than_the_initiator() {
    let mut scene = Scene::new();
    let Outcome::NeedsApprovals(missing) = scene.pay(400, SUPPLIER).outcome else { panic!() };
    assert_eq!(
        (missing[0].rule.as_str(), missing[0].level.as_str()),
        ("desk-large", "treasury/desk")
    );
    scene.approve("treasury", "treasurer");
    assert_eq!(code(&scene.pay(400, SUPPLIER)), "needs_approvals", "another level");
    scene.approve("treasury/desk", "officer");
    assert_eq!(code(&scene.pay(400, SUPPLIER)), "needs_approvals", "not a treasurer");
    scene.approve("treasury/desk", "treasurer");
    assert_eq!(code(&scene.pay(400, SUPPLIER)), "allow");
    scene.rejected.insert("chief".into());
    assert_eq!(code(&scene.pay(400, SUPPLIER)), "rejected");

    let mut own = Scene { initiator: "chief".into(), ..Scene::new() };
    own.approve("treasury/desk", "chief");
    assert_eq!(code(&own.pay(400, SUPPLIER)), "needs_approvals", "his own yes does not count");
    own.charter.levels[1].rules[1].own_approval_counts = true;
    assert_eq!(code(&own.pay(400, SUPPLIER)), "allow");
}

#[test]
fn a_waiting_time_begins_when_the_approvals_are_there_and_can_be_stopped() {
    let mut scene = Scene::new();
    scene.approve("treasury/desk", "treasurer");
    let waiting = scene.pay(10, STRANGER);
    let until = Timestamp(1_000_000 + 3_600_000);
    assert!(matches!(waiting.outcome, Outcome::Wait { until: u, .. } if u == until));
    assert!(waiting.complete.contains("strangers"));
    scene.complete_since.insert("strangers".into(), Timestamp(1_000_000));
    scene.now = until.0 - 1;
    assert_eq!(code(&scene.pay(10, STRANGER)), "wait");
    scene.now = until.0;
    assert_eq!(code(&scene.pay(10, STRANGER)), "allow");
    scene.rejected.insert("officer".into());
    assert_eq!(code(&scene.pay(10, STRANGER)), "rejected");
}

#[test]
fn a_freeze_of_any_level_above_stops_everything() {
    for level in ["treasury", "treasury/desk"] {
        let frozen = Scene { frozen: BTreeSet::from([level.to_owned()]), ..Scene::new() };
        assert_eq!(code(&frozen.pay(1, SUPPLIER)), "frozen");
    }
}

#[test]
fn limits_roll_by_person_and_by_level_and_a_parents_cap_binds_the_child() {
    let mut scene = Scene::new();
    assert!(scene.spend(2, 15) && scene.spend(3, 15));
    assert!(!scene.spend(4, 1), "3 ETH of the clerk are spent: the large row asks for approval");
    scene.now += 24 * 3_600_000;
    assert!(scene.spend(5, 15), "a day later");

    let mut capped = Scene::new();
    capped.approve("treasury/desk", "treasurer");
    assert!(capped.spend(2, 400));
    assert!(capped.spend(3, 100), "50 ETH in all");
    let verdict = capped.pay(1, SUPPLIER);
    assert_eq!(code(&verdict), "forbidden");
    assert!(
        matches!(verdict.outcome, Outcome::Deny { rule: Some(rule), .. } if rule == "daily-cap")
    );
}

#[test]
fn two_of_three_halve_a_limit_until_all_reserve() {
    let mut scene = Scene { nodes: (3, 2), ..Scene::new() };
    assert!(scene.spend(2, 15), "1.5 of 3 ETH is this node's half");
    assert!(!scene.spend(3, 1));
    scene.reserved = 3;
    let mut all = Scene { nodes: (3, 2), reserved: 3, ..Scene::new() };
    assert!(all.spend(2, 15) && all.spend(3, 15), "the whole limit while all reserve");
    assert!(!all.spend(4, 1));
}

#[test]
fn a_parent_that_allows_is_refused_and_an_expert_policy_stays_in_its_level() {
    let mut charter = desk();
    charter.levels[0].rules[0].effect = Effect::Allow;
    assert!(matches!(Policies::compile(&charter), Err(PolicyFault::Loosens { .. })));
    let mut expert = desk();
    expert.levels[1].cedar = PolicyText(
        "@id(\"x\") forbid (principal, action, resource in Level::\"treasury\");".into(),
    );
    assert!(matches!(Policies::compile(&expert), Err(PolicyFault::Scope { .. })));
    let within = "forbid (principal, action, resource in Level::\"treasury/desk\") when";
    let bars = format!("@id(\"x\") {within} {{ context.to like \"0x70*\" }};");
    expert.levels[1].cedar = PolicyText(bars);
    let scene = Scene { charter: expert.clone(), ..Scene::new() };
    assert_eq!(code(&scene.pay(1, SUPPLIER)), "forbidden");
    expert.levels[1].cedar = PolicyText(format!("{within} {{ context.nonsense }};"));
    assert!(matches!(Policies::compile(&expert), Err(PolicyFault::Schema { .. })));
    expert.levels[1].cedar = PolicyText("forbid (".into());
    assert!(matches!(Policies::compile(&expert), Err(PolicyFault::Syntax { .. })));
}

#[test]
fn invariant_p2_an_evaluation_error_denies() {
    // An overflow is valid by type and fails at evaluation: Cedar alone would skip the policy and permit.
    let mut charter = desk();
    let text = "@id(\"overflow\") forbid (principal, action, resource in Level::\"treasury/desk\") \
        when { 9223372036854775807 + 1 == 0 || context.to == \"\" };";
    charter.levels[1].cedar = PolicyText(text.into());
    let scene = Scene { charter, ..Scene::new() };
    assert_eq!(code(&scene.pay(1, SUPPLIER)), "policy_error");
}

#[test]
fn invariant_p3_nothing_a_child_says_lifts_its_parents_word() {
    let mut charter = desk();
    charter.levels[0].rules.push(rule("stop", Effect::Forbid, &[OperationClass::NativeTransfer]));
    charter.levels[1].cedar = PolicyText(
        "@id(\"all\") permit (principal, action, resource in Level::\"treasury/desk\");".into(),
    );
    let scene = Scene { charter, ..Scene::new() };
    assert_eq!(code(&scene.pay(1, SUPPLIER)), "forbidden");
}

#[test]
fn a_forbid_that_demands_approvals_is_lifted_by_them() {
    let mut charter = desk();
    let both = Rule {
        amount_max: Some(eth(10)),
        approvals: one_of("risk"),
        ..rule("four-eyes", Effect::Forbid, &[OperationClass::NativeTransfer])
    };
    charter.levels[0].rules.push(both);
    let mut scene = Scene { charter, ..Scene::new() };
    assert_eq!(code(&scene.pay(10, SUPPLIER)), "allow", "at the cap");
    assert_eq!(code(&scene.pay(11, SUPPLIER)), "needs_approvals");
    scene.approve("treasury", "officer");
    assert_eq!(code(&scene.pay(11, SUPPLIER)), "allow");
}
