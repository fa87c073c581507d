//! Properties of charters over made-up values: what holds is written and read back unchanged, and no difference is hidden.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use governance::charter::{self, Fault};
use model::amount::Amount;
use model::charter::{
    Approvals, BookEntry, Charter, Hours, Limit, LimitPer, Part, PolicyText, Weighted,
};
use model::intent::Network;
use model::time::Timestamp;
use model::wire::Wire;
use proptest::prelude::*;

fn base() -> Charter {
    charter::parse(include_str!("../../../vectors/charter/v1/good/full.toml")).unwrap()
}

/// Texts as people write them: quotes, backslashes, other alphabets; no control characters.
fn text() -> impl Strategy<Value = String> {
    "[^\\p{Cc}]{1,40}".prop_filter("not blank", |text| !text.trim().is_empty())
}

fn duration() -> impl Strategy<Value = u64> {
    prop_oneof![1..10_000u64, (1..2_000u64).prop_map(|hours| hours * 3_600_000)]
}

fn amount() -> impl Strategy<Value = Amount> {
    prop_oneof![
        (1..u128::MAX).prop_map(Amount::from_u128),
        (1..9_000u64).prop_map(|eth| Amount::from_u128(u128::from(eth) * 10u128.pow(18))),
        Just(Amount::MAX),
    ]
}

fn approvals() -> impl Strategy<Value = Approvals> {
    let part = prop_oneof![
        (1..=2u16).prop_map(|least| Part { least, group: "treasurers".into() }),
        Just(Part { least: 1, group: "board".into() }),
    ];
    let clause = prop::collection::vec(part, 1..3).prop_map(|mut clause| {
        clause.dedup_by(|a, b| a.group == b.group);
        clause
    });
    prop::collection::vec(clause, 1..4).prop_map(|all| Approvals { all })
}

fn hours() -> impl Strategy<Value = Option<Hours>> {
    let some = (1..128u8, 0..1440u16, 1..=1440u16).prop_filter_map("order", |(days, a, b)| {
        (a < b).then_some(Hours { days, from_minute: a, to_minute: b })
    });
    prop::option::of(some)
}

#[derive(Debug, Clone)]
struct Edits {
    names: (String, String),
    cedar: String,
    durations: (u64, u64, u64),
    amounts: (Amount, Amount),
    approvals: Approvals,
    hours: Option<Hours>,
    expires: u64,
    weight: u32,
    selectors: Vec<[u8; 4]>,
}

fn edits() -> impl Strategy<Value = Edits> {
    let cedar = "[^\\p{Cc}]{0,30}(\\n[^\\p{Cc}]{0,30}){0,4}";
    let one = ((text(), text()), cedar, (duration(), duration(), duration()), (amount(), amount()));
    let other = (
        approvals(),
        hours(),
        1..253_402_300_799_999u64,
        2..1000u32,
        prop::collection::btree_set(any::<[u8; 4]>(), 1..5),
    );
    (one, other).prop_map(
        |((names, cedar, durations, amounts), (approvals, hours, expires, weight, selectors))| {
            let selectors = selectors.into_iter().collect();
            Edits { names, cedar, durations, amounts, approvals, hours, expires, weight, selectors }
        },
    )
}

fn edited(edits: &Edits) -> Charter {
    let mut charter = base();
    charter.name.clone_from(&edits.names.0);
    charter.people[0].name.clone_from(&edits.names.1);
    charter.people[1].expires_at = Timestamp(edits.expires);
    charter.governors.loosening_ms = edits.durations.0;
    charter.governors.members[0].weight = edits.weight;
    let level = &mut charter.levels[1];
    level.cool_off_ms = edits.durations.1;
    level.cedar = PolicyText(edits.cedar.clone());
    let (name, address) = (edits.names.1.clone(), "1BoatSLRHtKNngkdXEeobR76b53LETtpyT".to_owned());
    level.book[1] = BookEntry { name, network: Network::Evm(7), address };
    level.quorum.clone_from(&edits.approvals);
    let small = &mut level.rules[0];
    small.amount_max = Some(edits.amounts.0);
    small.hours.clone_from(&edits.hours);
    small.wait_ms = edits.durations.2;
    let amount = edits.amounts.1;
    small.limits = vec![Limit { amount, window_ms: edits.durations.1, per: LimitPer::Person }];
    level.rules[2].selectors.clone_from(&edits.selectors);
    charter
}

fn refusing(charter: &Charter) -> Vec<Fault> {
    charter::check(charter).into_iter().filter(Fault::refuses).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_charter_that_holds_is_read_back_unchanged(edits in edits()) {
        let charter = edited(&edits);
        prop_assert_eq!(refusing(&charter), vec![]);
        let text = charter::to_toml(&charter);
        let read = charter::parse(&text);
        prop_assert_eq!(read.as_ref(), Ok(&charter), "{}", text);
        prop_assert_eq!(charter::to_toml(&read.unwrap()), text);
        prop_assert_eq!(Charter::from_bytes(&charter.to_bytes()), Ok(charter));
    }

    #[test]
    fn no_difference_is_hidden(one in edits(), other in edits()) {
        let (one, other) = (edited(&one), edited(&other));
        let differences = charter::diff(&one, &other);
        prop_assert_eq!(differences.is_empty(), one == other);
        let back = charter::diff(&other, &one);
        prop_assert_eq!(back.len(), differences.len());
    }
}

#[test]
fn a_reordered_or_shortened_charter_shows_its_difference() {
    let charter = base();
    let check = |edit: fn(&mut Charter), item: &str, key: &str| {
        let mut other = charter.clone();
        edit(&mut other);
        let found = charter::diff(&charter, &other);
        let hit = found.iter().any(|one| one.item == item && one.key == key);
        assert!(hit, "{item} {key}: {found:#?}");
    };
    check(|c| c.people.swap(0, 1), "person bert", "");
    check(|c| c.groups[0].members.swap(0, 1), "group treasurers", "members");
    check(|c| drop(c.people.pop()), "person bot", "");
    check(|c| c.levels[1].rules[0].name = "tiny".into(), "rule tiny of level treasury/desk", "");
    check(|c| c.threshold = 3, "charter", "threshold");
    check(|c| c.sos = None, "sos by vote", "");
    check(|c| c.levels[0].rules[0].amount_max = None, "rule cap of level treasury", "amount_max");
    check(
        |c| c.governors.members.push(Weighted { person: "bert".into(), weight: 1 }),
        "governors",
        "members",
    );
}

#[test]
fn a_review_says_what_a_signer_must_not_miss() {
    let said = charter::review(&base()).join("\n");
    for sentence in [
        "is a TEST vault, for ever",
        "2 of 3 nodes sign together",
        "At least 2 unrelated companies must take part to sign.",
        "c and p are related and count as one.",
        "Governors change this charter",
        "Rule cap: nobody may pay coins in ETH over 100 ETH at a time and over 250.5 ETH within 1d \
         together.",
        "Rule no-raw: nobody may sign bytes that NOBODY could read, let a contract take ALL tokens \
         of a kind.",
        "up to 1.5 ETH at a time and up to 10 ETH within 1d together",
        "1 of treasurers and 1 of board must agree, whoever asks may be one of them, then 12h pass \
         in which anybody of board may stop it",
        "It has expert policies, which no sentence here covers",
        "Requirement on region (regions of providers): SWITCHED OFF.",
        "SOS (NOT WORKING YET in this version",
        "Backups (NOT WORKING YET in this version)",
    ] {
        assert!(said.contains(sentence), "{sentence}\n---\n{said}");
    }
}
