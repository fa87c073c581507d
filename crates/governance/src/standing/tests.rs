//! The fold by its outcomes, and by what must hold for every set of acts.

mod amendments;
mod registers;
mod sets;

use super::*;
use crate::approvals::Known;
use crate::fixture::*;
use model::act::{Body, Opinion, SignedAct};

const REQUEST: RequestId = RequestId([5; 32]);
const INTENT: [u8; 32] = [6; 32];
const DESK: &str = "treasury/desk";

/// Acts with the times from which they count, folded at `now`.
pub(super) fn fold_at(known: &Known, acts: &[(u64, SignedAct)], now: u64) -> Standing {
    Standing::fold(known, &set(known, acts), Timestamp(now))
}

pub(super) fn set(known: &Known, acts: &[(u64, SignedAct)]) -> ActSet {
    let mut set = ActSet::default();
    for (at, signed) in acts {
        set.insert(verified(signed, known), Timestamp(*at));
    }
    set
}

/// Said and seen at once, by the person's first key.
pub(super) fn said(person: &str, version: CharterId, at: u64, body: Body) -> (u64, SignedAct) {
    (at, by(person, 1, version, at, body))
}

fn opinion(level: &str) -> Opinion {
    Opinion { request: REQUEST, level: level.into(), intent: INTENT }
}

fn approve(person: &str, version: CharterId, at: u64) -> (u64, SignedAct) {
    said(person, version, at, Body::Approve(opinion(DESK)))
}

/// `ann:desk rob:risk` of the desk's approvals.
pub(super) fn approving(known: &Known, acts: &[(u64, SignedAct)], now: u64) -> String {
    let acts = set(known, acts);
    let opinions = Standing::fold(known, &acts, Timestamp(now)).opinions(&acts, &REQUEST, &INTENT);
    let people = opinions.approvals.get(DESK).cloned().unwrap_or_default();
    let person = |(person, groups): (String, BTreeSet<String>)| {
        format!("{person}:{}", groups.into_iter().collect::<Vec<_>>().join(","))
    };
    people.into_iter().map(person).collect::<Vec<_>>().join(" ")
}

#[test]
fn an_approval_counts_for_a_person_once_in_his_groups_while_it_lives() {
    let known = known(&[]);
    let birth = known.birth();
    let second_key = by("ann", 2, birth, 12, Body::Approve(opinion(DESK)));
    let acts = [approve("ann", birth, 10), (12, second_key), approve("rob", birth, 11)];
    assert_eq!(approving(&known, &acts, 20), "ann:desk rob:risk");
    assert_eq!(approving(&known, &acts, 9), "");
    assert_eq!(approving(&known, &acts, 10), "ann:desk");
    assert_eq!(approving(&known, &acts, LIFE_MS + 10), "ann:desk rob:risk");
    assert_eq!(approving(&known, &acts, LIFE_MS + 12), "");
    let other = Body::Approve(Opinion { intent: [9; 32], ..opinion(DESK) });
    assert_eq!(approving(&known, &[said("ann", birth, 10, other)], 20), "");
    // `tim` is of the level above, which this level's rules do not name.
    assert_eq!(approving(&known, &[approve("tim", birth, 10)], 20), "");
    assert_eq!(approving(&known, &[approve("cid", birth, 10)], 20), "");
}

#[test]
fn whoever_refuses_approves_no_more() {
    let known = known(&[]);
    let birth = known.birth();
    let no = said("ann", birth, 12, Body::Reject(opinion(DESK)));
    let acts = [approve("ann", birth, 10), approve("rob", birth, 11), no];
    assert_eq!(approving(&known, &acts, 20), "rob:risk");
    let acts = set(&known, &acts);
    let standing = Standing::fold(&known, &acts, Timestamp(20));
    let rejections = standing.opinions(&acts, &REQUEST, &INTENT).rejections;
    assert_eq!(rejections[DESK], BTreeSet::from(["ann".to_owned()]));
}

#[test]
fn a_removed_persons_old_approval_and_one_from_before_he_had_the_role_do_not_count() {
    let first = charter();
    let without = amended(&first, |charter| charter.groups[0].members = vec!["bob".into()]);
    let with = amended(&first, |charter| charter.groups[0].members.push("cid".into()));
    let known = known(&[&without, &with]);
    let approvals = [approve("ann", first.id(), 10), approve("cid", first.id(), 10)];
    let in_force = |next: &Charter| {
        let mut acts = approvals.to_vec();
        acts.extend(amendments::settled(&first, next, 100));
        acts
    };
    // Before: ann has the role, cid has not. After: ann has lost it, cid has it but had it not when he spoke.
    assert_eq!(approving(&known, &in_force(&without), 99), "ann:desk");
    assert_eq!(approving(&known, &in_force(&without), 5_000), "");
    assert_eq!(approving(&known, &in_force(&with), 5_000), "ann:desk");
    let mut anew = in_force(&with);
    anew.push(approve("cid", with.id(), 3_000));
    assert_eq!(approving(&known, &anew, 5_000), "ann:desk cid:desk");
    assert_eq!(approving(&known, &anew, 3_000), "ann:desk cid:desk");
    assert_eq!(approving(&known, &anew[..3], 5_000), "ann:desk");
}

fn freeze(level: &str) -> Body {
    Body::Freeze { level: level.into() }
}

#[test]
fn a_freeze_stops_a_level_and_all_below_it_by_one_word_of_its_people() {
    let known = known(&[]);
    let birth = known.birth();
    let check = |person: &str, level: &str, stops_desk: bool, stops_treasury: bool| {
        let standing = fold_at(&known, &[said(person, birth, 10, freeze(level))], 10);
        assert_eq!(!standing.freezes_of(DESK).is_empty(), stops_desk, "{person} {level}");
        assert_eq!(!standing.freezes_of("treasury").is_empty(), stops_treasury, "{person} {level}");
    };
    check("ann", DESK, true, false);
    check("tim", DESK, true, false);
    check("tim", "treasury", true, true);
    check("gil", "treasury", true, true);
    check("ann", "treasury", false, false);
    check("cid", DESK, false, false);
    check("gil", "elsewhere", false, false);
}

#[test]
fn an_unfreeze_lifts_only_what_it_lists_with_the_quorum_of_the_authors_level() {
    let known = known(&[]);
    let birth = known.birth();
    let (one, two) = (said("ann", birth, 10, freeze(DESK)), said("rob", birth, 10, freeze(DESK)));
    let above = said("tim", birth, 10, freeze(DESK));
    let id = |act: &(u64, SignedAct)| act.1.act.id();
    let lift = |person: &str, level: &str, freezes: &[ActId]| {
        let lifts = freezes.to_vec();
        said(person, birth, 20, Body::Unfreeze { level: level.into(), lifts })
    };
    let left = |unfreezes: &[(u64, SignedAct)]| {
        let mut acts = vec![one.clone(), two.clone(), above.clone()];
        acts.extend_from_slice(unfreezes);
        fold_at(&known, &acts, 30).freezes_of(DESK)
    };
    let (a, b, c) = (id(&one), id(&two), id(&above));
    assert_eq!(left(&[]), BTreeSet::from([a, b, c]));
    assert_eq!(left(&[lift("ann", DESK, &[a])]), BTreeSet::from([a, b, c]), "no quorum");
    let both = [lift("bob", DESK, &[a]), lift("ria", DESK, &[a])];
    assert_eq!(left(&both), BTreeSet::from([b, c]), "what is not listed stands");
    let all = [lift("bob", DESK, &[a, b, c]), lift("ria", DESK, &[a, b, c])];
    assert_eq!(left(&all), BTreeSet::from([c]), "people below do not lift what came from above");
    assert_eq!(left(&[lift("tim", "treasury", &[a, b, c])]), BTreeSet::new());
    let at_two = [lift("bob", DESK, &[a]), lift("ria", "treasury", &[a])];
    assert_eq!(left(&at_two), BTreeSet::from([a, b, c]), "words at two levels do not add up");
    let late: Vec<_> = both.iter().map(|(_, act)| (20 + LIFE_MS, act.clone())).collect();
    let mut acts = vec![one.clone()];
    acts.extend(late);
    assert_eq!(
        fold_at(&known, &acts, 30 + LIFE_MS).freezes().len(),
        0,
        "the freeze ended by itself"
    );
}

#[test]
fn a_revoked_credential_approves_nothing_and_its_restraints_stand() {
    let known = known(&[]);
    let birth = known.birth();
    let revoke = |by: &str, whose: &str, n: u8| {
        let body = Body::Revoke { person: whose.into(), credential: credential(whose, n) };
        said(by, birth, 15, body)
    };
    let base = [approve("ann", birth, 10), said("ann", birth, 10, freeze(DESK))];
    let outcome = |revocation: (u64, SignedAct)| {
        let acts = [base.to_vec(), vec![revocation]].concat();
        (approving(&known, &acts, 20), fold_at(&known, &acts, 20).freezes().len())
    };
    assert_eq!(outcome(revoke("ann", "ann", 1)), (String::new(), 1));
    assert_eq!(outcome(revoke("gil", "ann", 1)), (String::new(), 1));
    assert_eq!(outcome(revoke("gil", "ann", 2)), ("ann:desk".into(), 1), "the other credential");
    assert_eq!(outcome(revoke("bob", "ann", 1)), ("ann:desk".into(), 1), "not his to revoke");
    // One governor does not silence another; the replacement quorum does.
    let good = |acts: &[(u64, SignedAct)]| fold_at(&known, acts, 20).credentials("gus").len();
    assert_eq!(good(&[revoke("gil", "gus", 1)]), 2);
    assert_eq!(good(&[revoke("gil", "gus", 1), revoke("gwen", "gus", 1)]), 1);
}

#[test]
fn a_lost_credential_is_replaced_by_a_quorum_after_its_delay_unless_its_owner_says_no() {
    let known = {
        let mut known = known(&[]);
        let birth = known.birth();
        known.add_act(&verified(&replace("gil", birth).1, &known));
        known
    };
    let birth = known.birth();
    fn replace(by: &str, version: CharterId) -> (u64, SignedAct) {
        let (lost, new) = (credential("gus", 1), credential("gus", 9));
        said(by, version, 10, Body::Replace { person: "gus".into(), lost, new })
    }
    let both = [replace("gil", birth), replace("gwen", birth)];
    let has = |acts: &[(u64, SignedAct)], now: u64| {
        let standing = fold_at(&known, acts, now);
        let own = standing.credentials("gus");
        [1, 9].map(|n| own.contains(&credential("gus", n)))
    };
    assert_eq!(has(&both, 9 + REPLACEMENT_MS), [false, false]);
    assert_eq!(has(&both, 10 + REPLACEMENT_MS), [false, true]);
    assert_eq!(has(&both[..1], 10_000), [true, false]);
    let by_lost = [replace("gil", birth), replace("gus", birth)];
    assert_eq!(has(&by_lost, 10_000), [true, false], "the lost one does not vote");
    let no = Body::Revoke { person: "gus".into(), credential: credential("gus", 9) };
    let no = (50, by("gus", 2, birth, 50, no));
    assert_eq!(has(&[both.to_vec(), vec![no]].concat(), 10_000), [false, false]);
    let standing = fold_at(&known, &both, 20);
    assert_eq!(standing.next_change_at(), Some(Timestamp(10 + REPLACEMENT_MS)));
}

#[test]
fn a_credential_that_was_only_offered_or_proposed_says_nothing() {
    let first = charter();
    // Anybody may propose a version, and a single governor may ask for a replacement: neither makes a key somebody's.
    let proposed = amended(&first, |charter| {
        charter.people[1].credentials.push(credential("gus", 7));
        charter.people[2].credentials.push(credential("gwen", 7));
        charter.levels[1].rules[0].wait_ms += 1;
    });
    let tighter = amended(&first, |charter| charter.levels[1].rules[0].wait_ms += 1);
    let mut known = known(&[&proposed, &tighter]);
    let birth = known.birth();
    let offer = |person: &str| {
        let (lost, new) = (credential(person, 1), credential(person, 8));
        by("gil", 1, birth, 1, Body::Replace { person: person.into(), lost, new })
    };
    for person in ["gus", "gwen"] {
        known.add_act(&verified(&offer(person), &known));
    }
    for key in [7, 8] {
        let said =
            |person: &str, version: CharterId, body: Body| (10, by(person, key, version, 10, body));
        let own = Body::Revoke { person: "gus".into(), credential: credential("gus", 1) };
        let shop = model::charter::BookEntry {
            name: "shop".into(),
            network: model::intent::Network::Evm(1),
            address: "0xshop".into(),
        };
        let shop = model::act::Change::RemoveAddress(shop);
        let acts = [
            said("gus", birth, freeze("treasury")),
            said("gus", birth, Body::Reject(opinion(DESK))),
            said("gus", birth, own),
            said("gus", birth, Body::Register { level: DESK.into(), change: shop }),
        ];
        let acts = set(&known, &acts);
        let standing = Standing::fold(&known, &acts, Timestamp(20));
        assert_eq!(standing.freezes().len(), 0, "{key}");
        assert_eq!(standing.opinions(&acts, &REQUEST, &INTENT), Opinions::default(), "{key}");
        assert_eq!(standing.credentials("gus").len(), 2, "{key}");
        assert_eq!(standing, Standing::fold(&known, &ActSet::default(), Timestamp(20)), "{key}");
        let door = standing.receive(&said("gus", birth, freeze("treasury")).1);
        assert_eq!(door.map_err(|refusal| refusal.code()).unwrap_err(), "revoked");
    }
    let amend = |person: &str| (10, by(person, 8, birth, 10, Body::Amend { next: tighter.id() }));
    let standing = fold_at(&known, &[amend("gus"), amend("gwen")], 20);
    assert_eq!(standing.in_force_id(), birth);
}

#[test]
fn the_door_names_why_an_act_would_not_count() {
    let first = charter();
    let second = amended(&first, |charter| charter.people.retain(|person| person.id != "cid"));
    let known = known(&[&second]);
    let gone = Body::Revoke { person: "bob".into(), credential: credential("bob", 1) };
    let mut acts = amendments::settled(&first, &second, 100).to_vec();
    acts.push(said("bob", first.id(), 10, gone));
    let standing = fold_at(&known, &acts, 5_000);
    assert_eq!(standing.in_force_id(), second.id());
    let check = |signed: &SignedAct, code: &str| {
        let found = standing.receive(signed).map_or_else(|refusal| refusal.code(), |_| "ok");
        assert_eq!(found, code, "{:?}", signed.act);
    };
    let yes = || Body::Approve(opinion(DESK));
    check(&by("ann", 1, second.id(), 4_000, yes()), "ok");
    check(&by("ann", 1, first.id(), 4_000, yes()), "ok");
    check(&by("cid", 1, first.id(), 4_000, yes()), "removed");
    check(&by("bob", 1, second.id(), 4_000, yes()), "revoked");
    check(&by("bob", 2, second.id(), 4_000, yes()), "ok");
    check(&by("bob", 1, second.id(), 4_000, freeze(DESK)), "ok");
    check(&by("tim", 1, second.id(), 4_000, yes()), "no_role");
    check(&by("ann", 1, second.id(), 65_001, yes()), "from_future");
    check(&by("ann", 1, second.id(), 65_000, yes()), "ok");
    check(&by("eve", 1, second.id(), 4_000, yes()), "unknown_person");
    check(&by("ann", 1, second.id(), 4_000, freeze("treasury")), "no_role");
    let late = fold_at(&known, &acts, 4_000 + LIFE_MS);
    let old = late.receive(&by("ann", 1, second.id(), 4_000, yes()));
    assert_eq!(old.map_err(|refusal| refusal.code()).unwrap_err(), "expired");
    let ended = fold_at(&known, &acts, 1_000_000);
    let ended = ended.receive(&by("ann", 1, second.id(), 999_999, yes()));
    assert_eq!(ended.map_err(|refusal| refusal.code()).unwrap_err(), "person_expired");
    let early = fold_at(&known, &acts, 50).receive(&by("ann", 1, second.id(), 40, yes()));
    assert_eq!(early.map_err(|refusal| refusal.code()).unwrap_err(), "not_in_force");
}
