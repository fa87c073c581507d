//! Is one row, or one requirement of approvals, provably not easier than another?

use model::charter::{Approvals, Hours, Limit, Part, Rule};

/// True when everything that `new` allows, `old` allows too, with no more approvals and no longer wait.
pub(super) fn is_narrower(new: &Rule, old: &Rule) -> bool {
    let times = match (&old.hours, &new.hours) {
        (None, _) => true,
        (Some(old), Some(new)) => is_within(new, old),
        (Some(_), None) => false,
    };
    let amounts = match (&old.amount_max, &new.amount_max) {
        (None, _) => true,
        (Some(old), Some(new)) => new <= old,
        (Some(_), None) => false,
    };
    new.effect == old.effect
        && new.operations.iter().all(|operation| old.operations.contains(operation))
        && is_part(&new.networks, &old.networks)
        && is_part(&new.assets, &old.assets)
        && is_part(&new.selectors, &old.selectors)
        && is_part(&new.initiators, &old.initiators)
        && (new.recipients == old.recipients || old.recipients == model::charter::Recipients::Any)
        && amounts
        && old.limits.iter().all(|limit| new.limits.iter().any(|new| is_lower(new, limit)))
        && is_harder(&new.approvals, &old.approvals)
        && (old.own_approval_counts || !new.own_approval_counts)
        && new.wait_ms >= old.wait_ms
        && (old.stop_group.is_empty() || new.stop_group == old.stop_group)
        && times
}

/// An empty list means "any".
fn is_part<T: PartialEq>(new: &[T], old: &[T]) -> bool {
    old.is_empty() || (!new.is_empty() && new.iter().all(|item| old.contains(item)))
}

fn is_lower(new: &Limit, old: &Limit) -> bool {
    new.window_ms == old.window_ms && new.per == old.per && new.amount <= old.amount
}

fn is_within(new: &Hours, old: &Hours) -> bool {
    new.days & !old.days == 0
        && new.from_minute >= old.from_minute
        && new.to_minute <= old.to_minute
}

/// True when every clause of `old` has a clause of its own in `new` that implies it.
pub(super) fn is_harder(new: &Approvals, old: &Approvals) -> bool {
    let mut free: Vec<&Vec<Part>> = new.all.iter().collect();
    // Equal clauses first, so that they do not serve for easier ones.
    let mut rest = Vec::new();
    for clause in &old.all {
        match free.iter().position(|new| *new == clause) {
            Some(at) => drop(free.swap_remove(at)),
            None => rest.push(clause),
        }
    }
    rest.into_iter().all(|clause| match free.iter().position(|new| implies(new, clause)) {
        Some(at) => {
            free.swap_remove(at);
            true
        }
        None => false,
    })
}

fn implies(new: &[Part], old: &[Part]) -> bool {
    let covered =
        |part: &Part| old.iter().any(|old| old.group == part.group && old.least <= part.least);
    !new.is_empty() && new.iter().all(covered)
}
