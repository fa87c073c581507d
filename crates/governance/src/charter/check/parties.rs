//! Owner, operators, nodes and the threshold.

use super::{Check, doubled, id, names, text};
use crate::charter::entities::{entities, fewest_entities, owner_entity, seats};
use crate::charter::fault::{Code, Fault};
use crate::charter::requirements::{DIMENSIONS, OPERATOR};
use model::charter::{NodeRole, Operator};
use model::ids::NodeId;
use model::limits::SEATS_MAX;
use std::collections::BTreeMap;

pub(super) fn check(check: &Check<'_>, faults: &mut Vec<Fault>) {
    let charter = check.charter;
    text("owner.name", &charter.owner.name, faults);
    let known = |id: &str| check.operators.contains(id);
    names("owner.related", &charter.owner.related, "operator", known, faults);
    let ids = charter.operators.iter().map(|one| one.id.as_str());
    doubled("operator", "operator", ids, faults);
    for (index, one) in charter.operators.iter().enumerate() {
        operator(check, &format!("operator[{index}]"), one, faults);
    }
    nodes(check, faults);
    if threshold(check, faults) {
        owner(check, faults);
        requirements(check, faults);
    }
}

fn operator(check: &Check<'_>, place: &str, operator: &Operator, faults: &mut Vec<Fault>) {
    id(format!("{place}.id"), &operator.id, faults);
    text(format!("{place}.name"), &operator.name, faults);
    let code = &operator.country;
    if code.len() != 2 || !code.bytes().all(|b| b.is_ascii_uppercase()) {
        let what = format!("`{}` is no country", super::super::document::clip(code));
        let fault = Fault::new(Code::BadValue, format!("{place}.country"), what);
        faults.push(fault.hint("two capital letters of ISO 3166-1, like FI"));
    }
    let related = format!("{place}.related");
    let known = |id: &str| check.operators.contains(id);
    names(&related, &operator.related, "operator", known, faults);
    if operator.related.contains(&operator.id) {
        faults.push(Fault::new(Code::BadValue, related, "an operator related to itself"));
    }
}

/// A node stands once: it has one role in a vault.
fn nodes(check: &Check<'_>, faults: &mut Vec<Fault>) {
    let mut seen: BTreeMap<NodeId, &str> = BTreeMap::new();
    for (o, operator) in check.charter.operators.iter().enumerate() {
        for (n, place) in operator.nodes.iter().enumerate() {
            if let Some(first) = seen.insert(place.node, &operator.id) {
                let what = format!(
                    "node {} stands a second time, first with operator `{first}`",
                    place.node.short()
                );
                let at = format!("operator[{o}].nodes[{n}]");
                let hint = "a node has one role; a second seat is a second node";
                faults.push(Fault::new(Code::DoubledId, at, what).hint(hint));
            }
        }
    }
}

/// True when it is one, so that what follows from it can be told.
fn threshold(check: &Check<'_>, faults: &mut Vec<Fault>) -> bool {
    let (n, t) = (check.charter.nodes(NodeRole::Regular).count(), check.charter.threshold);
    if t < 2 || usize::from(t) > n {
        let what = format!("{t} of {n} regular nodes sign together");
        let hint = "at least 2, at most as many as there are nodes with the role `regular`";
        faults.push(Fault::new(Code::Threshold, "threshold", what).hint(hint));
        return false;
    }
    if n > SEATS_MAX {
        let what = format!("{n} regular nodes, at most {SEATS_MAX}");
        faults.push(Fault::new(Code::Threshold, "threshold", what));
    }
    true
}

/// The owner counts as one with its related operators, and the charter must say in words what they may do.
fn owner(check: &Check<'_>, faults: &mut Vec<Fault>) {
    let charter = check.charter;
    let (n, t) = (charter.nodes(NodeRole::Regular).count(), usize::from(charter.threshold));
    let entity = owner_entity(charter);
    let held = seats(charter, &entity, NodeRole::Regular);
    let who: Vec<&str> = entity.iter().copied().collect();
    let who = who.join(", ");
    if held >= t && held > 0 && !charter.owner.may_hold_threshold {
        let what = format!("operators related to the owner ({who}) hold {held} seats, {t} sign");
        let fault = Fault::new(Code::OwnerHoldsThreshold, "owner.may_hold_threshold", what);
        faults.push(fault.hint("give seats to others, or write `may_hold_threshold = true`"));
    }
    let to_stop = n.saturating_sub(t).saturating_add(1);
    if held >= to_stop && held > 0 && !charter.owner.may_stop_signing {
        let what = format!(
            "operators related to the owner ({who}) hold {held} of {n} seats; without {to_stop} \
             nobody signs"
        );
        let fault = Fault::new(Code::OwnerMayStop, "owner.may_stop_signing", what);
        faults.push(fault.hint("give seats to others, or write `may_stop_signing = true`"));
    }
}

/// Requirements are named, and the one that the charter itself shows is held.
fn requirements(check: &Check<'_>, faults: &mut Vec<Fault>) {
    let charter = check.charter;
    let all = charter.requirements.iter();
    doubled("requirement", "requirement", all.map(|one| one.dimension.as_str()), faults);
    for (index, one) in charter.requirements.iter().enumerate() {
        if !DIMENSIONS.iter().any(|(word, _)| *word == one.dimension) {
            let at = format!("requirement[{index}].dimension");
            faults.push(Fault::new(Code::BadValue, at, format!("`{}`", one.dimension)));
        }
    }
    let place = charter.requirements.iter().position(|one| one.dimension == OPERATOR);
    let Some((index, one)) = place.and_then(|at| Some((at, charter.requirements.get(at)?))) else {
        let fault = Fault::new(Code::RequirementMissing, "requirement", "none on `operator`");
        let hint = "write [[requirement]] with dimension = \"operator\" and least_to_sign = 2";
        faults.push(fault.hint(format!("{hint}; 0 switches it off")));
        return;
    };
    let least = usize::from(one.least_to_sign);
    let Some(found) = fewest_entities(charter, usize::from(charter.threshold)) else { return };
    if found < least {
        let biggest = entities(charter)
            .into_iter()
            .max_by_key(|entity| seats(charter, entity, NodeRole::Regular));
        let names: Vec<&str> = biggest.unwrap_or_default().into_iter().collect();
        let what = format!(
            "{found} legal entities could sign, at least {least} are required; the largest is {}",
            names.join(" with ")
        );
        let at = format!("requirement[{index}].least_to_sign");
        faults.push(Fault::new(Code::RequirementBroken, at, what));
    }
}
