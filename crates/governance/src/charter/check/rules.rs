//! One row of a level's table.

use super::{Check, dangling, doubled, duration, id};
use crate::charter::fault::{Code, Fault};
use crate::charter::forms::amount_text;
use model::amount::Amount;
use model::charter::{Asset, Effect, OperationClass, Part, Recipients, Rule};
use std::collections::BTreeSet;

pub(super) fn check(check: &Check<'_>, rule: &Rule, place: &str, faults: &mut Vec<Fault>) {
    id(format!("{place}.name"), &rule.name, faults);
    conditions(check, rule, place, faults);
    amounts(check, rule, place, faults);
    people(check, rule, place, faults);
    match rule.effect {
        Effect::Allow => reachable(check, rule, place, faults),
        Effect::Forbid => forbids(rule, place, faults),
    }
}

fn shape(place: String, what: &str, hint: &str) -> Fault {
    Fault::new(Code::RuleShape, place, what).hint(hint)
}

fn conditions(check: &Check<'_>, rule: &Rule, place: &str, faults: &mut Vec<Fault>) {
    let operations = rule.operations.iter().map(|one| one.word());
    doubled(&format!("{place}.operations"), "operation", operations, faults);
    if rule.operations.is_empty() {
        let hint = "list classes, like [\"native_transfer\"]";
        faults.push(shape(format!("{place}.operations"), "no operation is named", hint));
    }
    let networks: Vec<String> = rule.networks.iter().map(ToString::to_string).collect();
    doubled(&format!("{place}.networks"), "network", networks.iter().map(String::as_str), faults);
    doubled(&format!("{place}.assets"), "asset", rule.assets.iter().map(String::as_str), faults);
    for (index, symbol) in rule.assets.iter().enumerate() {
        let at = format!("{place}.assets[{index}]");
        match check.charter.asset(symbol) {
            None => faults.push(dangling(&at, "asset", symbol)),
            Some(asset) if !rule.networks.is_empty() && !rule.networks.contains(&asset.network) => {
                let what = format!("`{symbol}` is on {}, which the row leaves out", asset.network);
                faults.push(shape(at, &what, "name its network, or take the asset out"));
            }
            Some(_) => {}
        }
    }
    let selectors: Vec<String> = rule.selectors.iter().map(hex::encode).collect();
    let selectors = selectors.iter().map(String::as_str);
    doubled(&format!("{place}.selectors"), "selector", selectors, faults);
    if !rule.selectors.is_empty() && rule.operations != [OperationClass::ContractCall] {
        let hint = "give contract calls a row of their own";
        faults.push(shape(format!("{place}.selectors"), "selectors of what is no call", hint));
    }
    if let Some(hours) = &rule.hours
        && (hours.days == 0
            || hours.days > 0x7f
            || hours.from_minute >= hours.to_minute
            || hours.to_minute > 24 * 60)
    {
        faults.push(shape(
            format!("{place}.hours"),
            "hours that never come",
            "mon-fri 08:00-18:00",
        ));
    }
}

/// The one asset that the row is about.
fn asset_of<'c>(check: &Check<'c>, rule: &Rule) -> Option<&'c Asset> {
    match rule.assets.as_slice() {
        [one] => check.charter.asset(one),
        _ => None,
    }
}

fn amounts(check: &Check<'_>, rule: &Rule, place: &str, faults: &mut Vec<Fault>) {
    if rule.amount_max.is_none() && rule.limits.is_empty() {
        return;
    }
    let Some(asset) = asset_of(check, rule) else {
        let what = format!("amounts in a row about {} assets", rule.assets.len());
        let fault = Fault::new(Code::AmountAsset, place, what);
        faults.push(fault.hint("one row for each asset whose amount counts"));
        return;
    };
    if rule.amount_max == Some(Amount::ZERO) {
        let at = format!("{place}.amount_max");
        faults.push(Fault::new(Code::BadValue, at, "an amount of zero").hint("leave the row out"));
    }
    for (index, limit) in rule.limits.iter().enumerate() {
        let at = format!("{place}.limits[{index}]");
        duration(format!("{at}.window"), limit.window_ms, false, faults);
        if limit.amount == Amount::ZERO {
            let at = format!("{at}.amount");
            faults.push(Fault::new(Code::BadValue, at, "an amount of zero"));
        }
        if let Some(one) = rule.amount_max
            && one > limit.amount
        {
            let what = format!(
                "one operation of {} would be over the limit of {}",
                amount_text(one, asset),
                amount_text(limit.amount, asset)
            );
            faults.push(Fault::new(Code::RuleShape, at, what).warning());
        }
    }
    let windows = rule.limits.iter().map(|limit| (limit.window_ms, limit.per));
    let distinct: BTreeSet<_> = windows.collect();
    if distinct.len() < rule.limits.len() {
        let hint = "keep the smaller one";
        faults.push(shape(format!("{place}.limits"), "two limits over the same window", hint));
    }
}

fn people(check: &Check<'_>, rule: &Rule, place: &str, faults: &mut Vec<Fault>) {
    check.groups(&format!("{place}.initiators"), &rule.initiators, faults);
    check.approvals(&format!("{place}.approvals"), &rule.approvals, faults);
    duration(format!("{place}.wait"), rule.wait_ms, true, faults);
    let at = format!("{place}.stop_group");
    match (rule.stop_group.as_str(), rule.wait_ms) {
        ("", _) => {}
        (_, 0) => faults.push(shape(at, "somebody may stop, and there is no wait", "add `wait`")),
        (group, _) => match check.groups.get(group) {
            None => faults.push(dangling(&at, "group", group)),
            Some(members) if members.is_empty() => {
                faults.push(shape(at, "nobody is in this group", "add people to it"));
            }
            Some(_) => {}
        },
    }
}

/// A row that forbids asks nobody: approvals there would look like a way around it.
fn forbids(rule: &Rule, place: &str, faults: &mut Vec<Fault>) {
    let asks = !rule.approvals.all.is_empty()
        || rule.own_approval_counts
        || rule.wait_ms > 0
        || !rule.stop_group.is_empty();
    if asks {
        let what = "a row that forbids has approvals or a wait";
        let hint = "take them out; permit with approvals in a row at the lowest level";
        faults.push(shape(place.to_owned(), what, hint));
    }
}

/// Whether everybody who may ask finds enough others to approve.
fn reachable(check: &Check<'_>, rule: &Rule, place: &str, faults: &mut Vec<Fault>) {
    if rule.recipients != Recipients::Any && rule.operations.iter().all(|one| !has_recipient(*one))
    {
        let what = "recipients of operations that have none";
        faults.push(shape(format!("{place}.recipients"), what, "write recipients = \"any\""));
    }
    if rule.own_approval_counts {
        return;
    }
    let group = |id: &str| check.groups.get(id);
    let asking = rule.initiators.iter().filter_map(|id| group(id));
    let askers: BTreeSet<&str> = asking.flatten().copied().collect();
    let met = |asker: &str, part: &Part| {
        let members = group(&part.group).map_or(0, |members| {
            members.len().saturating_sub(usize::from(members.contains(asker)))
        });
        members >= usize::from(part.least)
    };
    let stuck = askers.iter().find(|asker| {
        rule.approvals.all.iter().any(|clause| !clause.iter().any(|part| met(asker, part)))
    });
    if let Some(asker) = stuck {
        let what = format!("what `{asker}` asks for can never get its approvals");
        let hint = "add approvers, ask for fewer, or write own_approval_counts = true";
        let at = format!("{place}.approvals");
        faults.push(Fault::new(Code::QuorumUnreachable, at, what).hint(hint));
    }
}

/// Classes of operations that go to somebody.
fn has_recipient(class: OperationClass) -> bool {
    match class {
        OperationClass::NativeTransfer
        | OperationClass::TokenTransfer
        | OperationClass::TokenApprove
        | OperationClass::TokenApproveUnlimited
        | OperationClass::Permit
        | OperationClass::ContractCall
        | OperationClass::CreateTokenAccount => true,
        OperationClass::ContractCreation
        | OperationClass::TypedData
        | OperationClass::Message
        | OperationClass::Raw => false,
    }
}
