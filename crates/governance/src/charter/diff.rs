//! What one version changes in another, item by item.

use super::sections::{Field, Section, sections};
use core::fmt;
use model::charter::Charter;
use std::collections::BTreeMap;

/// One change. `old` or `new` is missing where something is added or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which part: `rule pay-small of level treasury/desk`.
    pub item: String,
    /// Which key of it; empty when the whole part comes or goes, or its place changes.
    pub key: String,
    /// As it was.
    pub old: Option<String>,
    /// As it becomes.
    pub new: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = if self.key.is_empty() { String::new() } else { format!(" · {}", self.key) };
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => write!(f, "~ {}{part}: {old} -> {new}", self.item),
            (None, Some(new)) => write!(f, "+ {}{part}: {new}", self.item),
            (Some(old), None) => write!(f, "- {}{part}: {old}", self.item),
            (None, None) => write!(f, "~ {}{part}", self.item),
        }
    }
}

/// Every difference, in the order of the new version; empty only for equal charters.
pub fn diff(old: &Charter, new: &Charter) -> Vec<Difference> {
    let (before, after) = (sections(old), sections(new));
    let index = |all: &[Section]| -> BTreeMap<String, Section> {
        all.iter().map(|one| (one.label.clone(), one.clone())).collect()
    };
    let (old_by, new_by) = (index(&before), index(&after));
    let mut found = Vec::new();
    for section in &after {
        match old_by.get(&section.label) {
            Some(old) => fields(old, section, &mut found),
            None => found.push(whole(section, false)),
        }
    }
    let gone = before.iter().filter(|section| !new_by.contains_key(&section.label));
    found.extend(gone.map(|section| whole(section, true)));
    moved(&before, &after, &mut found);
    // Two parts under one label do not hold, but they must not hide a change either.
    if found.is_empty() && old != new {
        found.push(change("charter", "", None, None));
    }
    found
}

fn change(item: &str, key: &str, old: Option<String>, new: Option<String>) -> Difference {
    Difference { item: item.to_owned(), key: key.to_owned(), old, new }
}

fn whole(section: &Section, gone: bool) -> Difference {
    let fields = section.fields.iter().map(|(key, field)| format!("{key} = {}", one_line(field)));
    let text = Some(fields.collect::<Vec<_>>().join("; "));
    let (old, new) = if gone { (text, None) } else { (None, text) };
    change(&section.label, "", old, new)
}

fn one_line(field: &Field) -> String {
    match field {
        Field::One(value) => value.clone(),
        Field::Many(items) => format!("[{}]", items.join(", ")),
    }
}

fn fields(old: &Section, new: &Section, found: &mut Vec<Difference>) {
    let get = |section: &Section, key: &str| {
        section.fields.iter().find(|(name, _)| *name == key).map(|(_, field)| field.clone())
    };
    let mut keys: Vec<&str> = new.fields.iter().map(|(key, _)| *key).collect();
    keys.extend(old.fields.iter().map(|(key, _)| *key).filter(|key| get(new, key).is_none()));
    for key in keys {
        match (get(old, key), get(new, key)) {
            (Some(Field::Many(a)), Some(Field::Many(b))) if a != b => {
                items(&new.label, key, &a, &b, found);
            }
            (a, b) if a != b => {
                let (a, b) = (a.as_ref().map(one_line), b.as_ref().map(one_line));
                found.push(change(&new.label, key, a, b));
            }
            _ => {}
        }
    }
}

/// Items of a list that come or go; the same ones in another order are one change.
fn items(label: &str, key: &str, old: &[String], new: &[String], found: &mut Vec<Difference>) {
    let before = found.len();
    for item in new.iter().filter(|item| !old.contains(item)) {
        found.push(change(label, key, None, Some(item.clone())));
    }
    for item in old.iter().filter(|item| !new.contains(item)) {
        found.push(change(label, key, Some(item.clone()), None));
    }
    if found.len() == before {
        let list = |items: &[String]| Some(format!("[{}]", items.join(", ")));
        found.push(change(label, key, list(old), list(new)));
    }
}

/// Parts that stay and change places: the order is hashed too.
fn moved(before: &[Section], after: &[Section], found: &mut Vec<Difference>) {
    let labels = |all: &[Section], other: &[Section]| -> Vec<String> {
        let stays = |one: &&Section| other.iter().any(|section| section.label == one.label);
        all.iter().filter(stays).map(|one| one.label.clone()).collect()
    };
    let (old, new) = (labels(before, after), labels(after, before));
    if let Some((_, label)) = old.iter().zip(&new).find(|(a, b)| a != b) {
        let text = |label: &str| Some(format!("order: {label}"));
        let was = old.iter().zip(&new).find(|(a, b)| a != b).map(|(a, _)| a.as_str());
        found.push(change(label, "", was.and_then(text), text(label)));
    }
}
