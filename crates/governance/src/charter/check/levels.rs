//! The management tree: one root, parents first, paths within paths, upper levels that only forbid.

use super::{Check, doubled, duration, is_word, rules, text};
use crate::charter::fault::{Code, Fault};
use model::charter::{Effect, Level};
use model::hd::DerivationPath;
use model::intent::Network;
use std::collections::BTreeMap;

/// Paths of one level at most: one for each layout of wallets in use.
const PATHS_MAX: usize = 16;

pub(super) fn check(check: &Check<'_>, faults: &mut Vec<Fault>) {
    let levels = &check.charter.levels;
    assets(check, faults);
    doubled("level", "level", levels.iter().map(|one| one.id.as_str()), faults);
    if levels.is_empty() {
        let fault = Fault::new(Code::LevelOrder, "level", "no level: nothing could be signed");
        faults.push(fault.hint("write one [[level]] with paths = [\"m\"]"));
    }
    for (index, level) in levels.iter().enumerate() {
        let place = format!("level[{index}]");
        let before = faults.len();
        let parent = parent(check, index, level, &place, faults);
        // What follows from a wrong place in the tree is not told besides.
        if faults.len() == before {
            paths(level, parent, &place, faults);
            recall(level, parent, &place, faults);
        }
        one_level(check, level, &place, faults);
    }
    let bounded = levels.iter().all(|level| level.paths.len() <= PATHS_MAX);
    if bounded && !faults.iter().any(|fault| fault.code == Code::LevelOrder) {
        apart(levels, faults);
    }
    groups_are_owned_once(levels, faults);
    let rows = levels.iter().flat_map(|level| &level.rules).map(|rule| rule.name.as_str());
    let mut seen = std::collections::BTreeSet::new();
    if let Some(name) = rows.into_iter().find(|name| !seen.insert(*name)) {
        let what = format!("two rules are called `{name}`");
        let fault = Fault::new(Code::DoubledId, "level", what);
        faults.push(fault.hint("verdicts cite rules by name: give each its own"));
    }
}

/// `treasury/desk/eur` without its last word.
fn parent_id(id: &str) -> Option<&str> {
    id.rsplit_once('/').map(|(parent, _)| parent)
}

/// True when another level stands below this one.
pub(super) fn has_children(levels: &[Level], id: &str) -> bool {
    levels.iter().any(|level| parent_id(&level.id) == Some(id))
}

fn parent<'c>(
    check: &Check<'c>,
    index: usize,
    level: &Level,
    place: &str,
    faults: &mut Vec<Fault>,
) -> Option<&'c Level> {
    let at = format!("{place}.id");
    if level.id.len() > 200 || !level.id.split('/').all(is_word) {
        let what = format!("`{}` is no level", super::super::document::clip(&level.id));
        let fault = Fault::new(Code::BadValue, at.as_str(), what);
        faults.push(fault.hint("ids with slashes between them, like treasury/desk"));
    }
    let before = check.charter.levels.get(..index).unwrap_or_default();
    let parent = before.iter().find(|one| Some(one.id.as_str()) == parent_id(&level.id));
    match (index, parent_id(&level.id)) {
        (0, Some(_)) => {
            let what = format!("`{}` comes first, and is not the root", level.id);
            let fault = Fault::new(Code::LevelOrder, at, what);
            faults.push(fault.hint("the first level has no slash and holds all others"));
        }
        (1.., None) => {
            let what = format!("`{}` is a second root", level.id);
            let fault = Fault::new(Code::LevelOrder, at, what);
            faults.push(fault.hint("put it below the root: one level holds all others"));
        }
        (_, Some(id)) if parent.is_none() => {
            let what = format!("the parent `{id}` does not stand before `{}`", level.id);
            faults.push(Fault::new(Code::LevelOrder, at, what).hint("parents come first"));
        }
        _ => {}
    }
    parent
}

fn paths(level: &Level, parent: Option<&Level>, place: &str, faults: &mut Vec<Fault>) {
    if level.paths.is_empty() || level.paths.len() > PATHS_MAX {
        let what = format!("`{}` has {} paths", level.id, level.paths.len());
        let fault = Fault::new(Code::LevelPath, format!("{place}.paths"), what);
        faults.push(fault.hint(format!("at least one, {PATHS_MAX} at most")));
        return;
    }
    for (index, path) in level.paths.iter().enumerate() {
        let at = format!("{place}.paths[{index}]");
        let within = |parent: &Level| {
            parent.paths.iter().any(|above| path.is_within(above) && path != above)
        };
        if let Some(parent) = parent
            && !within(parent)
        {
            let what = format!("{path} does not extend a path of `{}`", parent.id);
            let fault = Fault::new(Code::LevelPath, at, what);
            faults.push(fault.hint(format!("below {}", list(&parent.paths))));
        }
    }
}

fn list(paths: &[DerivationPath]) -> String {
    let texts: Vec<String> = paths.iter().map(ToString::to_string).collect();
    texts.join(" or ")
}

/// A path belongs to the deepest level that holds it; two levels with no ancestor between them must not hold one path.
fn apart(levels: &[Level], faults: &mut Vec<Fault>) {
    let below = |child: &str, level: &str| {
        child.strip_prefix(level).is_some_and(|rest| rest.starts_with('/'))
    };
    for (index, level) in levels.iter().enumerate() {
        let earlier = levels.get(..index).unwrap_or_default();
        let strangers =
            earlier.iter().filter(|one| !below(&level.id, &one.id) && !below(&one.id, &level.id));
        for other in strangers {
            let clash = level.paths.iter().enumerate().find(|(_, path)| {
                other.paths.iter().any(|one| path.is_within(one) || one.is_within(path))
            });
            if let Some((at, path)) = clash {
                let what = format!("{path} of `{}` overlaps with `{}`", level.id, other.id);
                let place = format!("level[{index}].paths[{at}]");
                faults.push(Fault::new(Code::LevelPath, place, what));
            }
        }
        let own = level.paths.iter().enumerate();
        let twice = own.into_iter().find(|(at, path)| {
            let others = level.paths.get(..*at).unwrap_or_default();
            others.iter().any(|one| path.is_within(one) || one.is_within(path))
        });
        if let Some((at, path)) = twice {
            let what = format!("{path} overlaps with another path of `{}`", level.id);
            faults.push(Fault::new(Code::LevelPath, format!("level[{index}].paths[{at}]"), what));
        }
    }
}

fn one_level(check: &Check<'_>, level: &Level, place: &str, faults: &mut Vec<Fault>) {
    check.approvals(&format!("{place}.quorum"), &level.quorum, faults);
    if level.quorum.all.is_empty() {
        let what = format!("nobody is needed to change the registers of `{}`", level.id);
        let fault = Fault::new(Code::QuorumTooSmall, format!("{place}.quorum"), what);
        faults.push(fault.hint("name a group, like `2 of treasurers`"));
    }
    duration(format!("{place}.cool_off"), level.cool_off_ms, !check.live, faults);
    check.groups(&format!("{place}.groups"), &level.groups, faults);
    book(level, place, faults);
    let upper = has_children(&check.charter.levels, &level.id);
    for (index, rule) in level.rules.iter().enumerate() {
        let at = format!("{place}.rule[{index}]");
        if upper && rule.effect == Effect::Allow {
            let what = format!("`{}` permits at `{}`, which has levels below", rule.name, level.id);
            let fault = Fault::new(Code::LevelAllows, format!("{at}.effect"), what);
            faults
                .push(fault.hint("move the row to the lowest level; forbid here what is too much"));
        }
        rules::check(check, rule, &at, faults);
    }
}

fn book(level: &Level, place: &str, faults: &mut Vec<Fault>) {
    let names = level.book.iter().map(|entry| entry.name.as_str());
    doubled(&format!("{place}.book"), "name", names, faults);
    let mut seen: BTreeMap<(Network, &str), &str> = BTreeMap::new();
    for (index, entry) in level.book.iter().enumerate() {
        let at = format!("{place}.book[{index}]");
        text(format!("{at}.name"), &entry.name, faults);
        let graphic = entry.address.bytes().all(|b| b.is_ascii_graphic());
        if entry.address.is_empty() || !graphic || entry.address.len() > 128 {
            let fault = Fault::new(Code::BadValue, format!("{at}.address"), "no address");
            faults.push(fault.hint("the chain's own canonical spelling, without spaces"));
        }
        if let Some(first) = seen.insert((entry.network, &entry.address), &entry.name) {
            let what = format!("`{}` is the address of `{first}` too", entry.name);
            faults.push(Fault::new(Code::DoubledId, at, what));
        }
    }
}

/// An address of the parent itself: within its paths, in none of its other children's.
fn recall(level: &Level, parent: Option<&Level>, place: &str, faults: &mut Vec<Fault>) {
    let Some(target) = &level.recall_to else { return };
    let at = format!("{place}.recall_to");
    let Some(parent) = parent else {
        let what = format!("`{}` has no parent to recall its assets", level.id);
        faults.push(Fault::new(Code::RecallTarget, at, what));
        return;
    };
    let inside = |level: &Level| level.paths.iter().any(|path| target.is_within(path));
    if !inside(parent) || inside(level) {
        let what = format!("{target} is no address of `{}` itself", parent.id);
        let hint = format!("a path below {} and outside this level", list(&parent.paths));
        faults.push(Fault::new(Code::RecallTarget, at, what).hint(hint));
    }
}

/// Two quorums that change one group would undo one another.
fn groups_are_owned_once(levels: &[Level], faults: &mut Vec<Fault>) {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for (index, level) in levels.iter().enumerate() {
        for (at, group) in level.groups.iter().enumerate() {
            if let Some(first) = owners.insert(group, &level.id) {
                let what = format!("`{group}` belongs to `{first}` already");
                let place = format!("level[{index}].groups[{at}]");
                faults.push(Fault::new(Code::SharedGroup, place, what));
            }
        }
    }
}

fn assets(check: &Check<'_>, faults: &mut Vec<Fault>) {
    let assets = &check.charter.assets;
    doubled("asset", "symbol", assets.iter().map(|one| one.symbol.as_str()), faults);
    let mut seen: BTreeMap<(Network, &str), &str> = BTreeMap::new();
    for (index, asset) in assets.iter().enumerate() {
        let place = format!("asset[{index}]");
        let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.' || b == b'_';
        let sound = (1..=16).contains(&asset.symbol.len()) && asset.symbol.bytes().all(letter);
        if !sound || asset.symbol == "any" {
            let what = format!("`{}` is no symbol", super::super::document::clip(&asset.symbol));
            let fault = Fault::new(Code::BadValue, format!("{place}.symbol"), what);
            faults.push(fault.hint("16 letters, digits, - . or _ at most, like ETH or USDC"));
        }
        text(format!("{place}.token"), &asset.token, faults);
        if asset.decimals > 77 {
            let what = format!("{} decimals, at most 77", asset.decimals);
            faults.push(Fault::new(Code::BadValue, format!("{place}.decimals"), what));
        }
        if let Some(first) = seen.insert((asset.network, &asset.token), &asset.symbol) {
            let what = format!("`{}` is `{first}` under another symbol", asset.symbol);
            faults.push(Fault::new(Code::DoubledId, place, what));
        }
    }
}
