//! What a charter must hold to besides being readable: every name means something, every quorum can be met and cannot be met
//! by one credential, the tree is a tree, and no entity holds more than the charter says in words.
//!
//! Faults carry places (`level[1].rule[0]`), so that a charter that came as text gets lines and columns, and one that came
//! as bytes is held to the same rules. There is no clock here: who asks whether a delegation has ended brings the time.

mod later;
mod levels;
mod logs;
mod parties;
mod people;
mod rules;

use super::fault::{Code, Fault};
use super::forms;
use model::charter::{Approvals, CHARTER_BYTES_MAX, Charter};
use model::keys::Purpose;
use model::limits::TEXT_BYTES_MAX;
use model::wire::Wire;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that is wrong, and what somebody should look at. A charter holds when no fault refuses it.
pub fn check(charter: &Charter) -> Vec<Fault> {
    let check = Check::new(charter);
    let mut faults = Vec::new();
    whole(charter, &mut faults);
    parties::check(&check, &mut faults);
    people::check(&check, &mut faults);
    levels::check(&check, &mut faults);
    logs::check(&check, &mut faults);
    later::check(&check, &mut faults);
    faults
}

/// A charter with what every part of the check asks for.
struct Check<'c> {
    charter: &'c Charter,
    /// People by id, to those who employ them.
    people: BTreeMap<&'c str, &'c str>,
    operators: BTreeSet<&'c str>,
    groups: BTreeMap<&'c str, BTreeSet<&'c str>>,
    live: bool,
}

impl<'c> Check<'c> {
    fn new(charter: &'c Charter) -> Self {
        let members = |group: &'c model::charter::Group| {
            let members = group.members.iter().map(String::as_str).collect();
            (group.id.as_str(), members)
        };
        let people = charter.people.iter();
        Self {
            charter,
            people: people.map(|one| (one.id.as_str(), one.operator.as_str())).collect(),
            operators: charter.operators.iter().map(|one| one.id.as_str()).collect(),
            groups: charter.groups.iter().map(members).collect(),
            live: charter.purpose == Purpose::Live,
        }
    }
    /// Names in a list that mean nobody, or the same twice.
    fn people(&self, place: &str, ids: &[String], faults: &mut Vec<Fault>) {
        names(place, ids, "person", |id| self.people.contains_key(id), faults);
    }
    fn groups(&self, place: &str, ids: &[String], faults: &mut Vec<Fault>) {
        names(place, ids, "group", |id| self.groups.contains_key(id), faults);
    }
    /// Whether enough people stand behind every part of a quorum.
    fn approvals(&self, place: &str, approvals: &Approvals, faults: &mut Vec<Fault>) {
        for part in approvals.all.iter().flatten() {
            let Some(members) = self.groups.get(part.group.as_str()) else {
                faults.push(dangling(place, "group", &part.group));
                continue;
            };
            let least = usize::from(part.least);
            if least == 0 || least > members.len() {
                let what =
                    format!("{least} of `{}`, which has {} members", part.group, members.len());
                let fault = Fault::new(Code::QuorumUnreachable, place, what);
                faults.push(fault.hint("ask for fewer, or add people to the group"));
            }
        }
        let empty = approvals.all.iter().any(Vec::is_empty);
        let repeated = approvals.all.iter().any(|clause| {
            let groups: BTreeSet<_> = clause.iter().map(|part| &part.group).collect();
            groups.len() < clause.len()
        });
        if empty || repeated {
            let what = "alternatives that are empty or name a group twice";
            faults.push(Fault::new(Code::RuleShape, place, what));
        }
    }
}

/// Bounds of the whole, and the chain of versions.
fn whole(charter: &Charter, faults: &mut Vec<Fault>) {
    let bytes = charter.to_bytes().len();
    if bytes > CHARTER_BYTES_MAX {
        let what = format!("{bytes} canonical bytes, at most {CHARTER_BYTES_MAX}");
        faults.push(Fault::new(Code::TooLong, "", what));
    } else if let Err(error) = Charter::from_bytes(&charter.to_bytes()) {
        let what = format!("the canonical bytes do not read back: {error}");
        faults.push(Fault::new(Code::TooLong, "", what).hint("shorten the longest list or text"));
    }
    if charter.version == 0 || (charter.version == 1) != charter.previous.is_none() {
        let what = match charter.previous {
            None => format!("version {} without the id of the version before", charter.version),
            Some(_) => format!("version {} with a version before it", charter.version),
        };
        let hint = "version 1 has no `previous`, every later one has";
        faults.push(Fault::new(Code::VersionChain, "version", what).hint(hint));
    }
    text("name", &charter.name, faults);
}

fn dangling(place: &str, what: &str, id: &str) -> Fault {
    Fault::new(Code::DanglingId, place, format!("no {what} is called `{id}`"))
        .hint(format!("add the {what}, or correct the name"))
}

fn names(
    place: &str,
    ids: &[String],
    what: &str,
    known: impl Fn(&str) -> bool,
    faults: &mut Vec<Fault>,
) {
    for (index, id) in ids.iter().enumerate() {
        if !known(id) {
            faults.push(dangling(&format!("{place}[{index}]"), what, id));
        }
    }
    doubled(place, what, ids.iter().map(String::as_str), faults);
}

/// Names the second of two equal entries.
fn doubled<'i>(
    place: &str,
    what: &str,
    ids: impl Iterator<Item = &'i str>,
    faults: &mut Vec<Fault>,
) {
    let mut seen = BTreeSet::new();
    for (index, id) in ids.enumerate() {
        if !seen.insert(id) {
            let what = format!("the {what} `{id}` stands here a second time");
            faults.push(Fault::new(Code::DoubledId, format!("{place}[{index}]"), what));
        }
    }
}

/// Words that approvals and conditions use themselves.
const RESERVED: [&str; 5] = ["and", "or", "of", "nobody", "any"];

/// A short word of lower-case letters, digits, `-` and `_` that begins with a letter.
fn is_word(id: &str) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    let begins = id.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    begins && id.len() <= 64 && id.bytes().all(letter) && !RESERVED.contains(&id)
}

fn id(place: String, id: &str, faults: &mut Vec<Fault>) {
    if !is_word(id) {
        let what = format!("`{}` is no id", super::document::clip(id));
        let hint = "lower-case letters, digits, - and _, beginning with a letter; 64 at most";
        faults.push(Fault::new(Code::BadValue, place, what).hint(hint));
    }
}

/// A text for people: there, short, and without control characters.
fn text(place: impl Into<String>, text: &str, faults: &mut Vec<Fault>) {
    if text.trim().is_empty() {
        faults.push(Fault::new(Code::BadValue, place, "an empty text"));
    } else if text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
        let what = "a text that is too long or has control characters";
        faults.push(Fault::new(Code::BadValue, place, what));
    }
}

/// A duration within its bounds: what is zero or over ten years is a typing error.
fn duration(place: impl Into<String>, ms: u64, zero_is_fine: bool, faults: &mut Vec<Fault>) {
    if (ms == 0 && !zero_is_fine) || ms > forms::DURATION_MS_MAX {
        let what = format!("a duration of {}", forms::duration_text(ms));
        faults.push(Fault::new(Code::BadValue, place, what).hint("more than 0, ten years at most"));
    }
}
