//! Address books and members: additions wait, removals do not, and what is removed stays so.

use super::*;
use model::act::Change;
use model::charter::BookEntry;
use model::intent::Network;

fn entry(name: &str) -> BookEntry {
    BookEntry { name: name.into(), network: Network::Evm(1), address: format!("0x{name}") }
}

fn change(person: &str, version: CharterId, at: u64, change: Change) -> (u64, SignedAct) {
    said(person, version, at, Body::Register { level: DESK.into(), change })
}

fn add(person: &str, version: CharterId, at: u64) -> (u64, SignedAct) {
    change(person, version, at, Change::AddAddress(entry("shop")))
}

fn remove(person: &str, version: CharterId, at: u64) -> (u64, SignedAct) {
    change(person, version, at, Change::RemoveAddress(entry("shop")))
}

fn names(known: &Known, acts: &[(u64, SignedAct)], now: u64) -> String {
    let book = fold_at(known, acts, now).book(DESK);
    book.into_values().collect::<Vec<_>>().join(" ")
}

#[test]
fn an_address_joins_by_the_levels_quorum_after_its_cool_off_and_leaves_at_once() {
    let known = known(&[]);
    let birth = known.birth();
    let mut acts = vec![add("ann", birth, 10), add("rob", birth, 20)];
    assert_eq!(names(&known, &acts, 19 + COOL_OFF_MS), "");
    assert_eq!(names(&known, &acts, 20 + COOL_OFF_MS), "shop");
    assert_eq!(names(&known, &acts[..1], 9_000), "");
    let outsiders = [add("ann", birth, 10), add("tim", birth, 10)];
    assert_eq!(names(&known, &outsiders, 9_000), "");
    acts.push(remove("bob", birth, 500));
    assert_eq!(names(&known, &acts, 499), "shop");
    assert_eq!(names(&known, &acts, 500), "");
    assert_eq!(names(&known, &acts, 9_000), "", "what was said before does not bring it back");
    // Neither do words that were kept back until after the removal.
    acts.extend([add("bob", birth, 490), add("ria", birth, 491)].map(|(_, act)| (600, act)));
    assert_eq!(names(&known, &acts, 9_000), "");
    acts.extend([add("ann", birth, 700), add("ria", birth, 700)]);
    assert_eq!(names(&known, &acts, 9_000), "shop");
    assert_eq!(names(&known, &[acts, vec![remove("tim", birth, 8_000)]].concat(), 9_000), "");
}

#[test]
fn a_removal_during_the_cool_off_ends_it() {
    let known = known(&[]);
    let birth = known.birth();
    let acts = [add("ann", birth, 10), add("rob", birth, 10), remove("ria", birth, 50)];
    assert_eq!(names(&known, &acts, 9_000), "");
    let by_nobody = [add("ann", birth, 10), add("rob", birth, 10), remove("cid", birth, 50)];
    assert_eq!(names(&known, &by_nobody, 9_000), "shop");
}

#[test]
fn registers_outlive_an_amendment_except_where_it_decides_itself() {
    let first = charter();
    let list = |charter: &mut Charter, names: &[&str]| {
        charter.levels[1].book = names.iter().map(|name| entry(name)).collect();
    };
    let second = amended(&first, |charter| list(charter, &["bank"]));
    let third = amended(&second, |charter| list(charter, &["bank", "shop"]));
    let known = known(&[&second, &third]);
    let mut acts = vec![add("ann", first.id(), 10), add("rob", first.id(), 10)];
    acts.extend(amendments::settled(&first, &second, 300));
    assert_eq!(names(&known, &acts, 2_000), "bank shop");
    acts.push(remove("ann", second.id(), 2_000));
    let bank = Change::RemoveAddress(entry("bank"));
    acts.push(change("ann", second.id(), 2_000, bank));
    assert_eq!(names(&known, &acts, 2_000), "");
    acts.extend(amendments::settled(&second, &third, 2_100));
    // The amendment adds the shop; it says nothing new of the bank, which stays removed.
    assert_eq!(names(&known, &acts, 9_000), "shop");
}

#[test]
fn a_removal_stays_when_a_version_that_dropped_the_address_itself_is_taken_back() {
    let birth = charter();
    let second = amended(&birth, |charter| charter.levels[1].book = vec![entry("shop")]);
    let third = amended(&second, |charter| charter.levels[1].book.clear());
    let rival = amended(&second, |charter| charter.levels[1].rules[0].wait_ms += 1);
    let known = known(&[&second, &third, &rival]);
    let mut acts = amendments::settled(&birth, &second, 10);
    acts.push(remove("ann", second.id(), 2_000));
    acts.extend(["gil", "gus"].map(|person| amendments::amend(person, &second, &third, 2_100)));
    assert_eq!(fold_at(&known, &acts, 2_150).in_force_id(), third.id());
    acts.push(amendments::amend("gil", &second, &rival, 2_200));
    let standing = fold_at(&known, &acts, 2_300);
    assert_eq!(standing.in_force_id(), second.id(), "without the two-faced governor's weight");
    assert_eq!(names(&known, &acts, 2_300), "");
}

#[test]
fn a_member_joins_until_a_day_and_leaves_at_once_without_dropping_his_freeze() {
    let known = known(&[]);
    let birth = known.birth();
    let join = |person: &str, at: u64, until: u64| {
        let (group, until) = ("desk".to_owned(), Timestamp(until));
        let joins = Change::AddMember { group, person: "cid".into(), until };
        change(person, birth, at, joins)
    };
    let leave = |person: &str, at: u64, whom: &str| {
        change(
            person,
            birth,
            at,
            Change::RemoveMember { group: "desk".into(), person: whom.into() },
        )
    };
    let is_in = |acts: &[(u64, SignedAct)], person: &str, now: u64| {
        fold_at(&known, acts, now).is_member("desk", person)
    };
    let mut acts = vec![join("ann", 10, 3_000), join("rob", 10, 3_000)];
    assert!(!is_in(&acts, "cid", 9 + COOL_OFF_MS));
    assert!(is_in(&acts, "cid", 10 + COOL_OFF_MS));
    assert!(is_in(&acts, "cid", 2_999));
    assert!(!is_in(&acts, "cid", 3_000));
    let yes = |at: u64| approve("cid", birth, at);
    assert_eq!(approving(&known, &[acts.clone(), vec![yes(500)]].concat(), 600), "cid:desk");
    assert_eq!(approving(&known, &[acts.clone(), vec![yes(500)]].concat(), 3_000), "");

    acts.push(said("cid", birth, 400, freeze(DESK)));
    acts.push(leave("rob", 700, "cid"));
    assert!(!is_in(&acts, "cid", 700));
    assert_eq!(fold_at(&known, &acts, 700).freezes().len(), 1);
    assert_eq!(approving(&known, &[acts.clone(), vec![yes(500)]].concat(), 700), "");
    acts.push(leave("ria", 800, "ann"));
    assert!(!is_in(&acts, "ann", 800), "a member by charter");
    let other =
        Change::AddMember { group: "top".into(), person: "cid".into(), until: Timestamp(9) };
    let foreign = ["ann", "rob"].map(|person| change(person, birth, 1, other.clone()));
    assert!(!fold_at(&known, &foreign, 8).is_member("top", "cid"), "not this level's group");
}
