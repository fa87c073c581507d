//! Rescue and backups: consistent in themselves. They work from later parts on.

use super::{Check, dangling, doubled, duration, names, text};
use crate::charter::entities::{entities, seats};
use crate::charter::fault::{Code, Fault};
use model::charter::{Backups, Charter, LockUp, NodeRole, SosRules};
use std::collections::BTreeSet;

pub(super) fn check(check: &Check<'_>, faults: &mut Vec<Fault>) {
    match &check.charter.sos {
        Some(sos) => rescue(check, sos, faults),
        None => idle_seats(check.charter, faults),
    }
    if let Some(backups) = &check.charter.backups {
        stores(check, backups, faults);
    }
}

/// Seats of a rescue that the charter does not describe.
fn idle_seats(charter: &Charter, faults: &mut Vec<Fault>) {
    for role in [NodeRole::Sos, NodeRole::Guardian] {
        let count = charter.nodes(role).count();
        if count > 0 {
            let what = format!("{count} nodes with the role `{}` and no [sos]", role.word());
            let fault = Fault::new(Code::SosTrigger, "operator", what);
            faults.push(fault.hint("write [sos], or make them observers"));
        }
    }
}

fn rescue(check: &Check<'_>, sos: &SosRules, faults: &mut Vec<Fault>) {
    for (key, role, t) in [
        ("sos.sos_threshold", NodeRole::Sos, sos.sos_threshold),
        ("sos.guardian_threshold", NodeRole::Guardian, sos.guardian_threshold),
    ] {
        let n = check.charter.nodes(role).count();
        if t < 2 || usize::from(t) > n {
            let what = format!("{t} of {n} nodes with the role `{}`", role.word());
            faults.push(Fault::new(Code::Threshold, key, what).hint("at least 2, at most all"));
        }
    }
    let guardians: BTreeSet<_> =
        check.charter.nodes(NodeRole::Guardian).map(|(_, node)| node).collect();
    for (index, node) in sos.cold.iter().enumerate() {
        if !guardians.contains(node) {
            faults.push(dangling(&format!("sos.cold[{index}]"), "guardian", &node.to_string()));
        }
    }
    check.people("sos.signatories", &sos.signatories, faults);
    check.people("sos.contacts", &sos.contacts, faults);
    check.people("sos.monitors", &sos.monitors, faults);
    apart(check, faults);
    vetoes(sos, faults);
    triggers(check, sos, faults);
    if sos.remedies.is_empty() {
        let fault = Fault::new(Code::SosTrigger, "sos.remedies", "a rescue that may do nothing");
        faults.push(fault.hint("write remedies = [\"sweep\"]"));
    }
    doubled("sos.remedies", "remedy", sos.remedies.iter().map(|one| one.word()), faults);
    lock_up(check, &sos.lock_up, faults);
}

/// An entity with a regular seat and a rescue seat vanishes with both.
fn apart(check: &Check<'_>, faults: &mut Vec<Fault>) {
    let charter = check.charter;
    for entity in entities(charter) {
        let regular = seats(charter, &entity, NodeRole::Regular);
        let rescue = seats(charter, &entity, NodeRole::Sos).saturating_add(seats(
            charter,
            &entity,
            NodeRole::Guardian,
        ));
        if regular > 0 && rescue > 0 {
            let who: Vec<&str> = entity.into_iter().collect();
            let what =
                format!("{} has {regular} regular and {rescue} rescue seats", who.join(", "));
            let fault = Fault::new(Code::SosNotApart, "operator", what);
            let hint = "give the rescue to institutions that are unrelated to the signing set";
            faults.push(fault.hint(hint).warning_unless(check.live));
        }
    }
}

fn vetoes(sos: &SosRules, faults: &mut Vec<Fault>) {
    let people = sos.signatories.len();
    if sos.veto_quorum < 2 || usize::from(sos.veto_quorum) > people {
        let what = format!("{} of {people} signatories veto", sos.veto_quorum);
        let fault = Fault::new(Code::QuorumTooSmall, "sos.veto_quorum", what);
        faults.push(fault.hint("at least 2: one stolen credential must not block a rescue"));
    }
    if sos.vetoes_max == 0 {
        faults.push(Fault::new(Code::SosTrigger, "sos.vetoes_max", "no veto is possible"));
    }
    duration("sos.pause", sos.pause_ms, sos.pauses_max == 0, faults);
    duration("sos.cool_down", sos.cool_down_ms, false, faults);
    duration("sos.active_max", sos.active_ms_max, false, faults);
}

fn trigger(key: &str, delay_ms: u64, per_year_max: u16, faults: &mut Vec<Fault>) {
    duration(format!("sos.{key}.delay"), delay_ms, false, faults);
    if per_year_max == 0 {
        let what = "a trigger that may be used 0 times a year";
        let fault = Fault::new(Code::SosTrigger, format!("sos.{key}.per_year_max"), what);
        faults.push(fault.hint("leave the section out if there is no such trigger"));
    }
}

fn quorum(place: &str, quorum: u16, people: usize, faults: &mut Vec<Fault>) {
    if quorum < 2 || usize::from(quorum) > people {
        let what = format!("{quorum} of {people}");
        let fault = Fault::new(Code::SosTrigger, place, what);
        faults.push(fault.hint("at least 2: one stolen credential must not start a countdown"));
    }
}

fn triggers(check: &Check<'_>, sos: &SosRules, faults: &mut Vec<Fault>) {
    let none = sos.manual.is_none() && sos.silence.is_none();
    if none && sos.alarm.is_none() && sos.vote.is_none() {
        let fault = Fault::new(Code::SosTrigger, "sos", "a rescue that nothing can start");
        faults.push(fault.hint("write [sos.manual], [sos.silence], [sos.alarm] or [sos.vote]"));
    }
    if let Some(one) = &sos.manual {
        trigger("manual", one.delay_ms, one.per_year_max, faults);
        quorum("sos.manual.quorum", one.quorum, sos.contacts.len(), faults);
    }
    if let Some(one) = &sos.alarm {
        trigger("alarm", one.delay_ms, one.per_year_max, faults);
        quorum("sos.alarm.quorum", one.quorum, sos.monitors.len(), faults);
        let classes = one.classes.iter().map(|one| one.word());
        doubled("sos.alarm.classes", "class", classes, faults);
        if one.classes.is_empty() {
            faults.push(Fault::new(Code::SosTrigger, "sos.alarm.classes", "no alarm counts"));
        }
    }
    if let Some(one) = &sos.silence {
        trigger("silence", one.delay_ms, one.per_year_max, faults);
        let nodes = check.charter.nodes(NodeRole::Regular).count();
        for (key, count, of) in
            [("nodes", one.nodes, nodes), ("people", one.people, sos.signatories.len())]
        {
            if usize::from(count) > of {
                let what = format!("silence of {count} {key} where there are {of}");
                faults.push(Fault::new(Code::SosTrigger, format!("sos.silence.{key}"), what));
            }
        }
        if one.nodes == 0 && one.people == 0 {
            faults.push(Fault::new(Code::SosTrigger, "sos.silence", "silence of nobody"));
        }
        duration("sos.silence.nodes_silent", one.nodes_ms, one.nodes == 0, faults);
        duration("sos.silence.people_silent", one.people_ms, one.people == 0, faults);
    }
    if let Some(one) = &sos.vote {
        trigger("vote", one.delay_ms, one.per_year_max, faults);
        duration("sos.vote.period", one.period_ms, false, faults);
        let weights = check.charter.governors.members.iter().map(|one| one.weight);
        let total = weights.fold(0u32, u32::saturating_add);
        if one.majority == 0 || one.majority > one.quorum || one.quorum > total {
            let what = format!("{} yes of {} voting of {total}", one.majority, one.quorum);
            let fault = Fault::new(Code::SosTrigger, "sos.vote.quorum", what);
            faults.push(fault.hint("majority at most the quorum, quorum at most all weights"));
        }
    }
}

/// The governors' keys hold what an alarm or a vote moved: they belong to nobody who can move it.
fn lock_up(check: &Check<'_>, lock_up: &LockUp, faults: &mut Vec<Fault>) {
    duration("sos.lock_up.unlock_after", lock_up.unlock_after_ms, false, faults);
    let (k, n) = (lock_up.governor_quorum, lock_up.governor_keys.len());
    if k < 2 || usize::from(k) > n {
        let what = format!("{k} of {n} governors' keys take back");
        let fault = Fault::new(Code::LockUp, "sos.lock_up.governor_quorum", what);
        faults.push(fault.hint("at least 2, at most all"));
    }
    let keys: Vec<String> = lock_up.governor_keys.iter().map(|one| hex::encode(one.key)).collect();
    let place = "sos.lock_up.governor_keys";
    doubled(place, "key", keys.iter().map(String::as_str), faults);
    doubled(place, "person", lock_up.governor_keys.iter().map(|one| one.person.as_str()), faults);
    for (index, one) in lock_up.governor_keys.iter().enumerate() {
        let at = format!("{place}[{index}]");
        let governs = check.charter.governors.members.iter().any(|g| g.person == one.person);
        if !governs {
            faults.push(dangling(&format!("{at}.person"), "governor", &one.person));
        }
        if !is_secp256k1(&one.key) {
            let fault = Fault::new(Code::BadCredential, format!("{at}.key"), "no secp256k1 key");
            faults.push(fault.hint("33 bytes in hex, beginning with 02 or 03"));
        }
        let employer = check.people.get(one.person.as_str()).copied().unwrap_or_default();
        let operator = check.charter.operators.iter().find(|operator| operator.id == employer);
        let signs = operator.is_some_and(|operator| {
            operator.nodes.iter().any(|place| place.role != NodeRole::Observer)
        });
        if signs {
            let what = format!("`{}` works for `{employer}`, which holds a seat", one.person);
            let fault = Fault::new(Code::LockUp, at, what);
            faults.push(fault.hint("take keys of governors outside every signing institution"));
        }
    }
}

fn is_secp256k1(key: &[u8; 33]) -> bool {
    use model::curve::{Curve, Secp256k1};
    Secp256k1::point_from_bytes(key).is_some()
}

fn stores(check: &Check<'_>, backups: &Backups, faults: &mut Vec<Fault>) {
    let (acks, n) = (usize::from(backups.acks), backups.stores.len());
    if acks == 0 || acks > n {
        let what = format!("{acks} acknowledgements of {n} stores");
        let fault = Fault::new(Code::Backups, "backups.acks", what);
        faults.push(fault.hint("at least 1, at most as many as there are stores"));
    }
    if acks < 2 {
        let fault = Fault::new(Code::Backups, "backups.acks", "one store alone holds a box");
        faults.push(fault.hint("two stores of different providers").warning_unless(check.live));
    }
    let ids = backups.stores.iter().map(|one| one.id.as_str());
    doubled("backups.store", "store", ids, faults);
    for (index, store) in backups.stores.iter().enumerate() {
        let place = format!("backups.store[{index}]");
        super::id(format!("{place}.id"), &store.id, faults);
        text(format!("{place}.owner"), &store.owner, faults);
        text(format!("{place}.provider"), &store.provider, faults);
        text(format!("{place}.region"), &store.region, faults);
    }
    let providers: BTreeSet<&str> =
        backups.stores.iter().map(|one| one.provider.as_str()).collect();
    if providers.len() < acks {
        let what = format!("{acks} acknowledgements from {} providers", providers.len());
        let fault = Fault::new(Code::Backups, "backups.store", what);
        faults.push(fault.hint("stores of one provider vanish together").warning());
    }
    recovery(check, backups, faults);
    duration("backups.read_back", backups.read_back_ms, false, faults);
    duration("backups.media_check", backups.media_check_ms, false, faults);
}

/// A box counts only when something outside its node opens it.
fn recovery(check: &Check<'_>, backups: &Backups, faults: &mut Vec<Fault>) {
    let keys = &backups.recovery_keys;
    let owners: Vec<String> = keys.iter().map(|key| key.operator.clone()).collect();
    let known = |id: &str| check.operators.contains(id);
    for (index, key) in keys.iter().enumerate() {
        let place = format!("backups.recovery_key[{index}]");
        let owner = std::slice::from_ref(&key.operator);
        names(&format!("{place}.operator"), owner, "operator", known, faults);
        text(format!("{place}.recipient"), &key.recipient, faults);
        text(format!("{place}.medium"), &key.medium, faults);
    }
    let recipients = keys.iter().map(|key| key.recipient.as_str());
    doubled("backups.recovery_key", "recipient", recipients, faults);
    for operator in &check.charter.operators {
        let holds = operator.nodes.iter().any(|place| place.role != NodeRole::Observer);
        if holds && !owners.contains(&operator.id) {
            let what = format!("`{}` has no key outside its nodes", operator.id);
            let fault = Fault::new(Code::Backups, "backups", what);
            let hint = "write [[backups.recovery_key]] for it";
            faults.push(fault.hint(hint).warning_unless(check.live));
        }
    }
}
