//! Who still has to approve: each person counts once in the whole expression, whatever groups he is in.

use model::charter::{Approvals, Part};
use std::collections::{BTreeMap, BTreeSet};

/// Combinations of alternatives that are tried at most; the charter check keeps expressions far below.
const COMBINATIONS_MAX: usize = 4_096;

/// Members of each group now.
pub type Groups = BTreeMap<String, BTreeSet<String>>;

/// True when `people` meet the expression, nobody counted twice.
pub(super) fn met(approvals: &Approvals, people: &BTreeSet<String>, groups: &Groups) -> bool {
    let mut tries = COMBINATIONS_MAX;
    choose(&approvals.all, &mut Vec::new(), people, groups, &mut tries)
}

/// Takes one alternative of each list in turn; true when some choice can be filled.
fn choose<'a>(
    lists: &'a [Vec<Part>],
    chosen: &mut Vec<&'a Part>,
    people: &BTreeSet<String>,
    groups: &Groups,
    tries: &mut usize,
) -> bool {
    let Some((first, rest)) = lists.split_first() else {
        *tries = tries.saturating_sub(1);
        return *tries > 0 && can_fill(chosen, people, groups);
    };
    first.iter().any(|part| {
        chosen.push(part);
        let filled = choose(rest, chosen, people, groups, tries);
        chosen.pop();
        filled
    })
}

/// Bipartite matching of seats (a part's `least`, one by one) and people, by augmenting paths.
fn can_fill(parts: &[&Part], people: &BTreeSet<String>, groups: &Groups) -> bool {
    let seats: Vec<&str> = parts
        .iter()
        .flat_map(|part| core::iter::repeat_n(part.group.as_str(), usize::from(part.least)))
        .collect();
    if seats.len() > people.len() {
        return false;
    }
    let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
    (0..seats.len())
        .all(|seat| seat_one(seat, &seats, people, groups, &mut taken, &mut BTreeSet::new()))
}

fn seat_one<'a>(
    seat: usize,
    seats: &[&str],
    people: &'a BTreeSet<String>,
    groups: &Groups,
    taken: &mut BTreeMap<&'a str, usize>,
    seen: &mut BTreeSet<&'a str>,
) -> bool {
    let Some(members) = seats.get(seat).and_then(|group| groups.get(*group)) else {
        return false;
    };
    for person in people.intersection(members) {
        if !seen.insert(person.as_str()) {
            continue;
        }
        let free = match taken.get(person.as_str()).copied() {
            None => true,
            Some(other) => seat_one(other, seats, people, groups, taken, seen),
        };
        if free {
            // `person` borrows from `people` through the intersection, so the name outlives the maps.
            taken.insert(person.as_str(), seat);
            return true;
        }
    }
    false
}

/// The lists that `people` do not meet even alone; all lists when each is met alone but not by distinct people.
pub(super) fn missing(
    approvals: &Approvals,
    people: &BTreeSet<String>,
    groups: &Groups,
) -> Vec<Vec<Part>> {
    if met(approvals, people, groups) {
        return Vec::new();
    }
    let alone = |list: &&Vec<Part>| {
        let one = Approvals { all: vec![(*list).clone()] };
        !met(&one, people, groups)
    };
    let lacking: Vec<Vec<Part>> = approvals.all.iter().filter(alone).cloned().collect();
    if lacking.is_empty() { approvals.all.clone() } else { lacking }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups() -> Groups {
        let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        BTreeMap::from([
            ("treasurers".to_owned(), set(&["a", "b", "c"])),
            ("risk".to_owned(), set(&["b", "d"])),
            ("board".to_owned(), set(&["e", "f"])),
        ])
    }
    fn part(least: u16, group: &str) -> Part {
        Part { least, group: group.into() }
    }

    #[test]
    fn a_person_counts_once_and_alternatives_are_tried() {
        let all = vec![vec![part(2, "treasurers")], vec![part(1, "risk"), part(2, "board")]];
        let approvals = Approvals { all };
        let check = |people: &[&str], expected: bool| {
            let people = people.iter().map(|n| (*n).to_owned()).collect();
            assert_eq!(met(&approvals, &people, &groups()), expected, "{people:?}");
        };
        check(&["a", "c", "d"], true);
        check(&["a", "c", "b"], true);
        check(&["a", "b"], false);
        check(&["a", "b", "e"], false);
        check(&["a", "b", "e", "f"], true);
        check(&["a", "c", "x"], false);
        check(&[], false);
        assert!(
            met(&Approvals { all: vec![] }, &BTreeSet::new(), &groups()),
            "nobody need approve"
        );
        assert!(
            !met(&Approvals { all: vec![vec![]] }, &BTreeSet::new(), &groups()),
            "no way to meet it"
        );
    }

    #[test]
    fn what_is_missing_names_the_lists_that_lack_people() {
        let approvals = Approvals { all: vec![vec![part(1, "treasurers")], vec![part(1, "risk")]] };
        let people = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        assert_eq!(missing(&approvals, &people(&["a"]), &groups()), [vec![part(1, "risk")]]);
        assert_eq!(
            missing(&approvals, &people(&["b"]), &groups()),
            approvals.all,
            "b cannot be both"
        );
        assert!(missing(&approvals, &people(&["a", "b"]), &groups()).is_empty());
    }
}
