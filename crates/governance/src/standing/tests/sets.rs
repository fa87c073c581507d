//! L4: order, repetition and the way a set came together change nothing. And: a restraint added now enables nothing.

use super::*;
use model::act::Change;
use model::charter::BookEntry;
use model::intent::Network;
use proptest::prelude::*;
use std::sync::LazyLock;

const NOW: u64 = 2_000;

/// Two tightenings and a loosening of the first version, and one that resolves.
static VERSIONS: LazyLock<[Charter; 4]> = LazyLock::new(|| {
    let first = charter();
    let wait = |wait_ms| move |charter: &mut Charter| charter.levels[1].rules[0].wait_ms = wait_ms;
    let one = amended(&first, wait(50));
    let two = amended(&first, |charter| charter.groups[0].members.push("cid".into()));
    let resolving = amended(&one, wait(70));
    [first, one, two, resolving]
});

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let mut known = known(&[&VERSIONS[1], &VERSIONS[2], &VERSIONS[3]]);
    let offer = by("gil", 1, known.birth(), 1, bodies()[8].clone());
    known.add_act(&verified(&offer, &known));
    known
});

fn bodies() -> Vec<Body> {
    let ids = VERSIONS.each_ref().map(Charter::id);
    let entry = |name: &str| BookEntry {
        name: name.into(),
        network: Network::Evm(1),
        address: format!("0x{name}"),
    };
    let register = |change: Change| Body::Register { level: DESK.into(), change };
    let member = |until| Change::AddMember { group: "desk".into(), person: "cid".into(), until };
    vec![
        Body::Approve(opinion(DESK)),
        Body::Amend { next: ids[1] },
        Body::Amend { next: ids[2] },
        Body::Amend { next: ids[3] },
        register(Change::AddAddress(entry("shop"))),
        register(Change::AddAddress(entry("bank"))),
        register(member(Timestamp(1_900))),
        register(member(Timestamp(9_000))),
        Body::Replace {
            person: "ann".into(),
            lost: credential("ann", 1),
            new: credential("ann", 3),
        },
        Body::Unfreeze { level: DESK.into(), lifts: vec![freeze_id(10), freeze_id(600)] },
        Body::Unfreeze { level: "treasury".into(), lifts: vec![freeze_id(600)] },
        // Restraints from here on.
        Body::Reject(opinion(DESK)),
        freeze(DESK),
        freeze("treasury"),
        Body::Revoke { person: "ann".into(), credential: credential("ann", 1) },
        Body::Revoke { person: "gus".into(), credential: credential("gus", 1) },
        register(Change::RemoveAddress(entry("shop"))),
        register(Change::RemoveMember { group: "desk".into(), person: "cid".into() }),
        register(Change::RemoveMember { group: "desk".into(), person: "ann".into() }),
    ]
}

const RESTRAINTS_FROM: usize = 11;
const PEOPLE: [&str; 8] = ["gil", "gus", "gwen", "ann", "bob", "rob", "ria", "tim"];

fn freeze_id(at: u64) -> ActId {
    by("ann", 1, VERSIONS[0].id(), at, freeze(DESK)).act.id()
}

/// By anybody, of any kind, made at one of a few instants and seen then or a little later.
fn an_act(bodies_from: usize) -> impl Strategy<Value = (u64, SignedAct)> {
    let times = prop::sample::select(vec![10u64, 100, 600, 700, 1_500, NOW - 1, NOW]);
    let person = prop_oneof![4 => prop::sample::select(PEOPLE.to_vec()), 1 => Just("cid")];
    let bodies = bodies();
    let body = prop::sample::select(bodies[bodies_from..].to_vec());
    let key = prop_oneof![5 => Just(1u8), 1 => Just(2u8)];
    let delay = prop_oneof![3 => Just(0u64), 1 => 1..400u64];
    (times, person, body, key, delay).prop_map(|(at, person, body, key, delay)| {
        let signed = by(person, key, VERSIONS[0].id(), at, body);
        ((at + delay).min(NOW), signed)
    })
}

fn an_acknowledgement() -> impl Strategy<Value = (u64, SignedAct)> {
    (1..=4u8, 1..4usize, prop::sample::select(vec![20u64, 620, 1_600])).prop_map(|(n, next, at)| {
        let next = &VERSIONS[next];
        let previous = next.previous.unwrap();
        let body = Body::Acknowledge { previous, next: next.id() };
        (at, by_node(n, VERSIONS[0].id(), at, body))
    })
}

fn many() -> impl Strategy<Value = Vec<(u64, SignedAct)>> {
    let one = prop_oneof![6 => an_act(0), 1 => an_acknowledgement()];
    prop::collection::vec(one, 0..60)
}

/// What there is to enable a signature with.
fn enabled(acts: &ActSet, standing: &Standing) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (level, people) in standing.opinions(acts, &REQUEST, &INTENT).approvals {
        for (person, groups) in people {
            found.extend(groups.into_iter().map(|group| format!("{level} {person} {group}")));
        }
    }
    found.extend(standing.book(DESK).into_values().map(|name| format!("address {name}")));
    let people = &standing.in_force().people;
    let members = people.iter().filter(|person| standing.is_member("desk", &person.id));
    found.extend(members.map(|person| format!("member {}", person.id)));
    for person in people {
        let own = standing.credentials(&person.id).into_iter();
        found.extend(own.map(|credential| format!("{} {credential:?}", person.id)));
    }
    found
}

/// A counterexample that can be read.
fn short(acts: &[(u64, SignedAct)], restraint: &SignedAct) -> String {
    let line = |(at, signed): &(u64, SignedAct)| {
        let act = &signed.act;
        format!("\n{at} {} {:?} {:?}", act.created_at.0, act.author, act.body)
    };
    let acts: String = acts.iter().map(line).collect();
    format!("{acts}\nand {:?} {:?}", restraint.act.author, restraint.act.body)
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn invariant_l4_order_repetition_and_splits_give_the_same_standing(
        (acts, shuffled, border) in many().prop_flat_map(|acts| {
            let border = 0..=acts.len();
            (Just(acts.clone()), Just(acts).prop_shuffle(), border)
        }),
    ) {
        let one = set(&KNOWN, &acts);
        let (left, right) = shuffled.split_at(border);
        let mut two = set(&KNOWN, right);
        two.merge(&set(&KNOWN, left));
        two.merge(&one);
        prop_assert_eq!(&one, &two);
        let standings =
            [&one, &two].map(|set| Standing::fold(&KNOWN, set, Timestamp(NOW)));
        prop_assert_eq!(&standings[0], &standings[1]);
        prop_assert_eq!(one.digest(&REQUEST), two.digest(&REQUEST));
    }

    #[test]
    fn invariant_a_restraint_added_now_enables_nothing(
        acts in many(),
        restraint in an_act(RESTRAINTS_FROM),
        later in prop_oneof![Just(0u64), Just(90), Just(2_000)],
    ) {
        let before = set(&KNOWN, &acts);
        let mut after = before.clone();
        let key = (restraint.1.act.id(), verified(&restraint.1, &KNOWN).signer().clone());
        let known_already = before.rules().contains_key(&key);
        after.insert(verified(&restraint.1, &KNOWN), Timestamp(NOW + 1));
        let at = Timestamp(NOW + 1 + later);
        let standing = Standing::fold(&KNOWN, &before, at);
        let restrained = Standing::fold(&KNOWN, &after, at);
        let (open, left) = (enabled(&before, &standing), enabled(&after, &restrained));
        let case = short(&acts, &restraint.1);
        // A version that a restraint kept from coming into force is one that makes something easier.
        if standing.in_force_id() == restrained.in_force_id() {
            prop_assert!(left.is_subset(&open), "{:?} {case}", left.difference(&open));
        } else {
            let (was, is) = (standing.in_force(), restrained.in_force());
            prop_assert!(!classify(is, was).is_empty(), "{case}");
        }
        let freezes = |standing: &Standing| -> BTreeSet<ActId> {
            standing.freezes().keys().copied().collect()
        };
        prop_assert!(freezes(&standing).is_subset(&freezes(&restrained)), "{case}");
        prop_assert!(!known_already || standing == restrained);
    }

    #[test]
    fn the_next_change_is_never_late(acts in many(), step in 1..3_000u64) {
        let acts = set(&KNOWN, &acts);
        let standing = Standing::fold(&KNOWN, &acts, Timestamp(100));
        let until = standing.next_change_at().map_or(u64::MAX, |at| at.0 - 1);
        let now = (100 + step).min(until);
        let same = Standing::fold(&KNOWN, &acts, Timestamp(now));
        let mut moved = standing;
        moved.now = Timestamp(now);
        prop_assert_eq!(moved, same);
    }
}

#[test]
fn a_set_holds_an_act_under_each_of_its_signatures_and_no_other() {
    let birth = VERSIONS[0].id();
    for body in [Body::Approve(opinion(DESK)), freeze(DESK)] {
        let [one, two] = [1, 2].map(|key| by("ann", key, birth, 10, body.clone()));
        assert_eq!(one.act.id(), two.act.id(), "one act, two signatures");
        let mut set = ActSet::default();
        assert!(!set.holds(&one));
        set.insert(verified(&one, &KNOWN), Timestamp(10));
        assert_eq!((set.holds(&one), set.holds(&two)), (true, false));
        set.insert(verified(&two, &KNOWN), Timestamp(11));
        assert_eq!((set.holds(&one), set.holds(&two)), (true, true));
        assert!(!set.holds(&by("bob", 1, birth, 10, body)));
    }
}
