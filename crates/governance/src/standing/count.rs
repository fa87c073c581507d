//! Is a requirement of approvals met, and who is missing?
//!
//! `(1 of treasurers or 2 of desk) and 1 of risk` asks for as many people as it says: whoever counts for one of its
//! clauses counts for no other, though he be in both groups.

use model::charter::{Approvals, Part};
use std::collections::{BTreeMap, BTreeSet};

/// People with the groups for which each of them may count.
pub type Supporters = BTreeMap<String, BTreeSet<String>>;

/// Ways to choose one part per clause that are tried at most; a requirement with more of them is never met.
const WAYS_MAX: usize = 4_096;

/// People that one part still wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingPart {
    /// How many more.
    pub more: u16,
    /// Of which group.
    pub group: String,
}

/// Clauses that are not met, each with its alternatives. Empty: nothing is missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Missing(pub Vec<Vec<MissingPart>>);

impl Missing {
    /// Nobody is missing.
    pub fn is_met(&self) -> bool {
        self.0.is_empty()
    }
}

/// What `who` leaves to be wished for. The initiator's own approval counts only if the rule says so.
pub fn met(
    approvals: &Approvals,
    who: &Supporters,
    initiator: &str,
    own_approval_counts: bool,
) -> Missing {
    let counts = |(person, _): &(&String, &BTreeSet<String>)| {
        own_approval_counts || person.as_str() != initiator
    };
    let who: Vec<(&String, &BTreeSet<String>)> = who.iter().filter(counts).collect();
    let ways = approvals.all.iter().try_fold(1usize, |ways, clause| {
        ways.checked_mul(clause.len()).filter(|ways| *ways <= WAYS_MAX)
    });
    let Some(ways) = ways.filter(|ways| *ways > 0) else { return all_missing(approvals) };
    let mut best: Option<(usize, Vec<BTreeSet<usize>>)> = None;
    for way in 0..ways {
        let parts = chosen(approvals, way);
        let taken = assign(&parts, &who);
        let missing = shortfall(&parts, &taken);
        if missing == 0 {
            return Missing::default();
        }
        if best.as_ref().is_none_or(|(least, _)| missing < *least) {
            best = Some((missing, taken));
        }
    }
    best.map_or_else(|| all_missing(approvals), |(_, taken)| name(approvals, &taken, &who))
}

/// The part of each clause in one way of choosing, `way` read as a number with a digit per clause.
fn chosen(approvals: &Approvals, way: usize) -> Vec<&Part> {
    let mut rest = way;
    let pick = |clause: &Vec<Part>| -> Option<usize> {
        let at = rest.checked_rem(clause.len())?;
        rest = rest.checked_div(clause.len())?;
        Some(at)
    };
    let picks: Vec<Option<usize>> = approvals.all.iter().map(pick).collect();
    approvals.all.iter().zip(picks).filter_map(|(clause, at)| clause.get(at?)).collect()
}

fn shortfall(parts: &[&Part], taken: &[BTreeSet<usize>]) -> usize {
    let short = |(part, taken): (&&Part, &BTreeSet<usize>)| {
        usize::from(part.least).saturating_sub(taken.len())
    };
    parts.iter().zip(taken).map(short).sum()
}

/// Gives each part as many people of its group as can be had, nobody to two parts: augmenting paths.
fn assign(parts: &[&Part], who: &[(&String, &BTreeSet<String>)]) -> Vec<BTreeSet<usize>> {
    let mut taken = vec![BTreeSet::new(); parts.len()];
    for (person, _) in who.iter().enumerate() {
        place(person, parts, who, &mut taken, &mut BTreeSet::new());
    }
    taken
}

/// Finds a part for a person, moving others to a part of theirs where that makes room.
fn place(
    person: usize,
    parts: &[&Part],
    who: &[(&String, &BTreeSet<String>)],
    taken: &mut Vec<BTreeSet<usize>>,
    tried: &mut BTreeSet<usize>,
) -> bool {
    for (at, part) in parts.iter().enumerate() {
        let fits = who.get(person).is_some_and(|(_, groups)| groups.contains(&part.group));
        if !fits || !tried.insert(at) {
            continue;
        }
        let holders = taken.get(at).cloned().unwrap_or_default();
        let room = holders.len() < usize::from(part.least);
        let moved = if room {
            None
        } else {
            holders.into_iter().find(|other| place(*other, parts, who, taken, tried))
        };
        if let (true, Some(slot)) = (room || moved.is_some(), taken.get_mut(at)) {
            moved.map(|other| slot.remove(&other));
            slot.insert(person);
            return true;
        }
    }
    false
}

fn all_missing(approvals: &Approvals) -> Missing {
    let part = |part: &Part| MissingPart { more: part.least.max(1), group: part.group.clone() };
    Missing(approvals.all.iter().map(|clause| clause.iter().map(part).collect()).collect())
}

/// The clauses that the best way leaves open; people whom it needs elsewhere do not count for their alternatives.
fn name(
    approvals: &Approvals,
    taken: &[BTreeSet<usize>],
    who: &[(&String, &BTreeSet<String>)],
) -> Missing {
    let clause = |(at, clause): (usize, &Vec<Part>)| {
        let here = taken.get(at).cloned().unwrap_or_default();
        let elsewhere: BTreeSet<usize> = taken.iter().flatten().copied().collect();
        let free = |index: &usize| here.contains(index) || !elsewhere.contains(index);
        let missing = |part: &Part| {
            let of_group = who
                .iter()
                .enumerate()
                .filter(|(index, (_, groups))| free(index) && groups.contains(&part.group));
            let have = u16::try_from(of_group.count()).unwrap_or(u16::MAX);
            MissingPart { more: part.least.saturating_sub(have), group: part.group.clone() }
        };
        let parts: Vec<MissingPart> = clause.iter().map(missing).collect();
        parts.iter().all(|part| part.more > 0).then_some(parts)
    };
    Missing(approvals.all.iter().enumerate().filter_map(clause).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `1 treasurers | 2 desk & 1 risk`
    fn parse(text: &str) -> Approvals {
        let part = |text: &str| {
            let (least, group) = text.trim().split_once(' ').unwrap();
            Part { least: least.parse().unwrap(), group: group.into() }
        };
        let clause = |text: &str| text.split('|').map(part).collect();
        let clauses = text.split('&').filter(|text| !text.trim().is_empty());
        Approvals { all: clauses.map(clause).collect() }
    }

    /// `ann:treasurers,risk bob:desk`
    fn people(text: &str) -> Supporters {
        let person = |text: &str| {
            let (name, groups) = text.split_once(':').unwrap();
            (name.to_owned(), groups.split(',').map(str::to_owned).collect())
        };
        text.split_whitespace().map(person).collect()
    }

    fn say(missing: &Missing) -> String {
        let part = |part: &MissingPart| format!("{} {}", part.more, part.group);
        let clause =
            |clause: &Vec<MissingPart>| clause.iter().map(part).collect::<Vec<_>>().join(" | ");
        missing.0.iter().map(clause).collect::<Vec<_>>().join(" & ")
    }

    #[test]
    fn a_requirement_names_whom_it_misses_and_nobody_counts_twice() {
        let check = |approvals: &str, who: &str, missing: &str| {
            let found = met(&parse(approvals), &people(who), "zoe", false);
            assert_eq!(say(&found), missing, "{approvals} by {who}");
        };
        let two = "1 treasurers | 2 desk & 1 risk";
        check("", "", "");
        check(two, "", "1 treasurers | 2 desk & 1 risk");
        check(two, "ann:treasurers", "1 risk");
        check(two, "ann:treasurers rob:risk", "");
        check(two, "ann:treasurers,risk", "1 risk");
        check(two, "bob:desk cid:desk rob:risk", "");
        check(two, "bob:desk rob:risk", "1 treasurers | 1 desk");
        check(two, "bob:desk,risk cid:desk", "1 treasurers | 1 desk");
        check(two, "bob:desk,risk cid:desk,risk dan:desk", "");
        check("2 a", "x:a", "1 a");
        check("2 a", "x:a zoe:a", "1 a");
        check("1 a & 1 b & 1 c", "x:a,b y:b,c z:a,c", "");
        check("1 a & 1 b & 1 c", "x:a,b y:b,a z:a,b", "1 c");
        check("1 a & 1 b", "x:a,b y:a", "");
    }

    #[test]
    fn the_initiators_own_approval_counts_only_where_the_rule_says_so() {
        let who = people("zoe:a");
        assert!(!met(&parse("1 a"), &who, "zoe", false).is_met());
        assert!(met(&parse("1 a"), &who, "zoe", true).is_met());
    }

    #[test]
    fn a_clause_without_parts_and_a_requirement_with_too_many_ways_are_never_met() {
        let empty = Approvals { all: vec![Vec::new()] };
        assert!(!met(&empty, &people("x:a"), "", false).is_met());
        let wide = ["1 a | 1 a | 1 a | 1 a | 1 a | 1 a | 1 a | 1 a"; 5].join(" & ");
        let many = people("a:a b:a c:a d:a e:a f:a");
        assert!(!met(&parse(&wide), &many, "", false).is_met());
    }
}
