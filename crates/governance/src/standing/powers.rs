//! Who has which power at which level, by the charter alone.

use model::charter::{Charter, Level};
use std::collections::BTreeSet;

/// True when `above` is `level` or one of its ancestors.
pub(super) fn is_at_or_above(above: &str, level: &str) -> bool {
    level.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The level and its ancestors, deepest first.
pub(super) fn upwards<'a>(charter: &'a Charter, level: &str) -> Vec<&'a Level> {
    let mut found: Vec<&Level> =
        charter.levels.iter().filter(|above| is_at_or_above(&above.id, level)).collect();
    found.sort_by_key(|level| core::cmp::Reverse(level.id.len()));
    found
}

/// Every group that a level names, in whatever part.
pub(super) fn groups_of(level: &Level) -> BTreeSet<&str> {
    let parts = level.quorum.all.iter().flatten();
    let rules = level.rules.iter().flat_map(|rule| {
        let approving = rule.approvals.all.iter().flatten().map(|part| part.group.as_str());
        let asking = rule.initiators.iter().map(String::as_str);
        approving.chain(asking).chain([rule.stop_group.as_str()])
    });
    let named = parts.map(|part| part.group.as_str()).chain(rules);
    let own = level.groups.iter().map(String::as_str);
    named.chain(own).filter(|group| !group.is_empty()).collect()
}

/// A governor's weight; none for others.
pub(super) fn weight(charter: &Charter, person: &str) -> u32 {
    let members = charter.governors.members.iter().filter(|member| member.person == person);
    members.map(|member| member.weight).fold(0, u32::saturating_add)
}

/// People who may freeze a level and reject its requests: governors, and whoever is in a group that it or one of its
/// ancestors names.
pub(super) fn restrainers<'a>(charter: &'a Charter, level: &str) -> BTreeSet<&'a str> {
    let governors = charter.governors.members.iter().map(|member| member.person.as_str());
    let levels = upwards(charter, level);
    let groups = levels.iter().flat_map(|level| groups_of(level));
    let members = groups.filter_map(|group| charter.group(group)).flat_map(|group| &group.members);
    governors.chain(members.map(String::as_str)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_above_what_begins_with_it_and_a_slash() {
        assert!(is_at_or_above("treasury", "treasury"));
        assert!(is_at_or_above("treasury", "treasury/desk"));
        assert!(!is_at_or_above("treasury", "treasury-2"));
        assert!(!is_at_or_above("treasury/desk", "treasury"));
    }
}
