//! People, their credentials, groups and governors.

use super::{Check, dangling, doubled, duration, id, text};
use crate::charter::credentials::fault_of;
use crate::charter::fault::{Code, Fault};
use crate::charter::forms::TIME_MS_MAX;
use model::charter::{Charter, Credential, Person};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(check: &Check<'_>, faults: &mut Vec<Fault>) {
    let charter = check.charter;
    doubled("person", "person", charter.people.iter().map(|one| one.id.as_str()), faults);
    for (index, one) in charter.people.iter().enumerate() {
        person(check, &format!("person[{index}]"), one, faults);
    }
    shared(charter, faults);
    doubled("group", "group", charter.groups.iter().map(|one| one.id.as_str()), faults);
    for (index, group) in charter.groups.iter().enumerate() {
        let place = format!("group[{index}]");
        id(format!("{place}.id"), &group.id, faults);
        check.people(&format!("{place}.members"), &group.members, faults);
    }
    governors(check, faults);
}

fn person(check: &Check<'_>, place: &str, person: &Person, faults: &mut Vec<Fault>) {
    id(format!("{place}.id"), &person.id, faults);
    text(format!("{place}.name"), &person.name, faults);
    if !person.operator.is_empty() && !check.operators.contains(person.operator.as_str()) {
        faults.push(dangling(&format!("{place}.operator"), "operator", &person.operator));
    }
    if person.expires_at.0 == 0 || person.expires_at.0 > TIME_MS_MAX {
        let what = format!("`{}` has no end before the year 10000", person.id);
        let fault = Fault::new(Code::Expiry, format!("{place}.expires"), what);
        faults.push(fault.hint("write `expires = 2027-06-30`"));
    }
    credentials(check, place, person, faults);
}

/// Place in the order of the file: SSH keys, passkeys, service keys.
fn kind(credential: &Credential) -> (u8, &'static str) {
    match credential {
        Credential::Ssh { .. } => (0, "ssh"),
        Credential::Passkey { .. } => (1, "passkeys"),
        Credential::Service { .. } => (2, "service"),
    }
}

fn credentials(check: &Check<'_>, place: &str, person: &Person, faults: &mut Vec<Fault>) {
    if person.credentials.is_empty() {
        let what = format!("`{}` has no credential", person.id);
        let fault = Fault::new(Code::NoCredential, place, what);
        faults.push(fault.hint("add a key under ssh, passkeys or service"));
        return;
    }
    let kinds: Vec<u8> = person.credentials.iter().map(|one| kind(one).0).collect();
    if !kinds.is_sorted() {
        let what = "credentials stand in the order SSH keys, passkeys, service keys";
        faults.push(Fault::new(Code::BadValue, place, what));
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for credential in &person.credentials {
        let (_, key) = kind(credential);
        let count = counts.entry(key).or_default();
        if let Some(why) = fault_of(credential) {
            let at = format!("{place}.{key}[{count}]");
            faults.push(Fault::new(Code::BadCredential, at, why));
        }
        *count = count.saturating_add(1);
    }
    domains(check, place, person, faults);
}

/// A passkey dies with its domain. Whoever has a say needs a second domain, or a key that no domain binds; in a test vault
/// somebody should know, in a live one it is refused.
fn domains(check: &Check<'_>, place: &str, person: &Person, faults: &mut Vec<Fault>) {
    let domain = |credential: &Credential| match credential {
        Credential::Passkey { domain, .. } => Some(domain.clone()),
        Credential::Ssh { .. } | Credential::Service { .. } => None,
    };
    let bound: Vec<Option<String>> = person.credentials.iter().map(domain).collect();
    let domains: BTreeSet<&String> = bound.iter().flatten().collect();
    let free = bound.iter().any(Option::is_none);
    let rescues = rescues(check.charter, &person.id);
    let (what, hint) = match (free, domains.len()) {
        (true, _) => return,
        (false, _) if rescues => (
            format!("`{}` has a say in the rescue and only passkeys", person.id),
            "add an SSH key: the rescue must work when every operator's web page is gone",
        ),
        (false, 1) if has_power(check.charter, &person.id) => (
            format!("`{}` has passkeys on one domain only", person.id),
            "register on a second operator's domain, or add an SSH key as spare",
        ),
        _ => return,
    };
    let fault = Fault::new(Code::OneDomain, format!("{place}.passkeys"), what).hint(hint);
    faults.push(fault.warning_unless(check.live));
}

fn rescues(charter: &Charter, id: &str) -> bool {
    let named = |list: &[String]| list.iter().any(|one| one == id);
    let votes = |id: &str| charter.governors.members.iter().any(|one| one.person == id);
    charter.sos.as_ref().is_some_and(|sos| {
        named(&sos.signatories)
            || named(&sos.contacts)
            || named(&sos.monitors)
            || (sos.vote.is_some() && votes(id))
    })
}

/// A governor, or a member of a group that approves, changes registers or stops.
fn has_power(charter: &Charter, id: &str) -> bool {
    let mut groups: BTreeSet<&str> = BTreeSet::new();
    for level in &charter.levels {
        groups.extend(level.quorum.all.iter().flatten().map(|part| part.group.as_str()));
        for rule in &level.rules {
            groups.extend(rule.approvals.all.iter().flatten().map(|part| part.group.as_str()));
            groups.insert(&rule.stop_group);
        }
    }
    let member = |group: &&model::charter::Group| group.members.iter().any(|one| one == id);
    charter.governors.members.iter().any(|one| one.person == id)
        || charter.groups.iter().filter(member).any(|group| groups.contains(group.id.as_str()))
}

/// One key in two people's hands would count twice.
fn shared(charter: &Charter, faults: &mut Vec<Fault>) {
    let mut seen: BTreeMap<Vec<u8>, &str> = BTreeMap::new();
    for (index, person) in charter.people.iter().enumerate() {
        for credential in &person.credentials {
            // The key alone: one key under two domains or two names is still one key.
            let key = match credential {
                Credential::Ssh { blob } => blob.clone(),
                Credential::Service { key } => key.to_vec(),
                Credential::Passkey { key: model::charter::PasskeyKey::Es256(key), .. } => {
                    key.to_vec()
                }
                Credential::Passkey { key: model::charter::PasskeyKey::Ed25519(key), .. } => {
                    key.to_vec()
                }
            };
            if let Some(first) = seen.insert(key, &person.id) {
                let what = format!("`{}` has a key that `{first}` has already", person.id);
                faults.push(Fault::new(Code::SharedCredential, format!("person[{index}]"), what));
            }
        }
    }
}

fn governors(check: &Check<'_>, faults: &mut Vec<Fault>) {
    let governors = &check.charter.governors;
    let ids: Vec<String> = governors.members.iter().map(|one| one.person.clone()).collect();
    check.people("governors.members", &ids, faults);
    let weightless = governors.members.iter().position(|one| one.weight == 0);
    if let Some(index) = weightless {
        let at = format!("governors.members[{index}].weight");
        faults.push(Fault::new(Code::BadValue, at, "a governor without weight"));
    }
    let weights = governors.members.iter().map(|one| one.weight);
    let total = weights.clone().fold(0u32, u32::saturating_add);
    let largest = weights.max().unwrap_or_default();
    for (key, quorum) in
        [("quorum", governors.quorum), ("replacement_quorum", governors.replacement_quorum)]
    {
        let at = format!("governors.{key}");
        if quorum == 0 || quorum > total {
            let what = format!("a quorum of {quorum} where all weights make {total}");
            let fault = Fault::new(Code::QuorumUnreachable, at.as_str(), what);
            faults.push(fault.hint("at least 1, at most the sum of all weights"));
        } else if largest >= quorum && governors.members.len() > 1 {
            let what = format!("one governor's weight {largest} makes the quorum of {quorum}");
            let fault = Fault::new(Code::QuorumTooSmall, at.as_str(), what);
            faults.push(fault.warning_unless(check.live));
        }
        // Without one governor his credential must still be replaceable.
        let left = total.saturating_sub(largest);
        if key == "replacement_quorum" && quorum > left && governors.members.len() > 1 {
            let what = format!("{quorum} where {left} are left when the largest governor is lost");
            faults.push(Fault::new(Code::QuorumUnreachable, at, what));
        }
    }
    let alone = governors.members.len() == 1;
    if alone {
        let what = "one governor alone: nobody can replace a lost credential";
        let fault = Fault::new(Code::QuorumTooSmall, "governors.members", what);
        faults.push(fault.warning_unless(check.live));
    }
    duration("governors.loosening", governors.loosening_ms, !check.live, faults);
    duration("governors.replacement", governors.replacement_ms, !check.live, faults);
}
