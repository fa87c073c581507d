//! Which powers does an amendment make easier? An amendment that makes none easier works when seen; every other waits.
//!
//! One list of differences is known to tighten, and each difference outside of it is a loosening, also where it may be
//! harmless: what cannot be proved tighter is looser. Whatever takes from anybody the power to freeze, reject or stop
//! is a loosening too, of the veto. Absent on purpose: Cedar texts are compared, not understood.

mod rules;

use super::powers::{groups_of, restrainers};
use model::charter::{Charter, Effect, Level, Person};
use std::collections::BTreeSet;

/// What an amendment can make easier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Power {
    /// To have something signed.
    Sign,
    /// To approve.
    Approve,
    /// To wake the rescue, or to stop it.
    Rescue,
    /// To freeze, reject and stop: easier for nobody, but harder for somebody.
    Veto,
    /// To take assets back.
    TakeBack,
    /// To read backups.
    ReadBackups,
    /// To amend the charter.
    Amend,
}

impl Power {
    /// The word for people and files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Approve => "approve",
            Self::Rescue => "wake",
            Self::Veto => "veto",
            Self::TakeBack => "take-back",
            Self::ReadBackups => "read-backups",
            Self::Amend => "amend",
        }
    }
}

/// A power that becomes easier, or a veto that becomes harder, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loosened {
    /// The power.
    pub power: Power,
    /// The part of the charter.
    pub part: String,
}

/// Everything that `after` loosens; nothing: it tightens, and works when seen.
pub fn classify(before: &Charter, after: &Charter) -> Vec<Loosened> {
    let mut found = Findings(Vec::new());
    found.whole(before, after);
    found.people(before, after);
    found.groups(before, after);
    found.governors(before, after);
    found.levels(before, after);
    found.vetoes(before, after);
    found.0
}

struct Findings(Vec<Loosened>);

impl Findings {
    fn add_if(&mut self, looser: bool, power: Power, part: impl Into<String>) {
        if looser {
            self.0.push(Loosened { power, part: part.into() });
        }
    }

    /// Parts in which every difference counts, and single numbers.
    fn whole(&mut self, before: &Charter, after: &Charter) {
        self.add_if(before.name != after.name, Power::Sign, "name");
        self.add_if(before.purpose != after.purpose, Power::Sign, "purpose");
        self.add_if(before.owner != after.owner, Power::Sign, "owner");
        self.add_if(before.operators != after.operators, Power::Sign, "operators");
        self.add_if(before.assets != after.assets, Power::Sign, "assets");
        self.add_if(before.log != after.log, Power::Amend, "log");
        self.add_if(before.sos != after.sos, Power::Rescue, "rescue");
        self.add_if(before.sos != after.sos, Power::Veto, "rescue");
        self.add_if(before.sos != after.sos, Power::TakeBack, "rescue");
        self.add_if(before.backups != after.backups, Power::ReadBackups, "backups");
        self.add_if(after.threshold < before.threshold, Power::Sign, "threshold");
        for old in &before.requirements {
            let kept = after.requirements.iter().any(|new| {
                new.dimension == old.dimension && new.least_to_sign >= old.least_to_sign
            });
            self.add_if(!kept, Power::Sign, format!("requirement {}", old.dimension));
        }
    }

    fn people(&mut self, before: &Charter, after: &Charter) {
        for new in &after.people {
            let part = || format!("person {}", new.id);
            let Some(old) = before.person(&new.id) else {
                self.add_if(true, Power::Sign, part());
                continue;
            };
            let more = |credential| !old.credentials.contains(credential);
            self.add_if(new.credentials.iter().any(more), Power::Sign, part());
            self.add_if(new.expires_at > old.expires_at, Power::Sign, part());
            let renamed = (&new.name, &new.operator) != (&old.name, &old.operator);
            self.add_if(renamed, Power::Sign, part());
        }
        for old in before.people.iter().filter(|old| has_power(before, old)) {
            let weaker = after.person(&old.id).is_none_or(|new| {
                let fewer = |credential| !new.credentials.contains(credential);
                old.credentials.iter().any(fewer) || new.expires_at < old.expires_at
            });
            self.add_if(weaker, Power::Veto, format!("person {}", old.id));
        }
    }

    fn groups(&mut self, before: &Charter, after: &Charter) {
        let none = Vec::new();
        let experts = before.levels.iter().any(|level| !level.cedar.0.is_empty());
        for old in &before.groups {
            let new = after.group(&old.id).map_or(&none, |group| &group.members);
            let part = || format!("group {}", old.id);
            let joined = new.iter().any(|person| !old.members.contains(person));
            self.add_if(joined, Power::Approve, part());
            let left = old.members.iter().any(|person| !new.contains(person));
            // Whom a forbid row names, it no longer binds once he left; what Cedar makes of a group nobody knows here.
            self.add_if(left && (experts || is_bound(before, &old.id)), Power::Sign, part());
        }
    }

    fn governors(&mut self, before: &Charter, after: &Charter) {
        let (old, new) = (&before.governors, &after.governors);
        self.add_if(old.members != new.members, Power::Amend, "governors");
        self.add_if(new.quorum < old.quorum, Power::Amend, "governors' quorum");
        self.add_if(new.loosening_ms < old.loosening_ms, Power::Amend, "loosening delay");
        // It also replaces and revokes governors' credentials, so that more is harder for the veto.
        let moved = new.replacement_quorum != old.replacement_quorum;
        self.add_if(moved, Power::Amend, "replacement quorum");
        self.add_if(new.replacement_ms < old.replacement_ms, Power::Amend, "replacement delay");
    }

    fn levels(&mut self, before: &Charter, after: &Charter) {
        for new in &after.levels {
            match before.level(&new.id) {
                Some(old) => self.level(old, new),
                None => self.add_if(true, Power::Sign, format!("level {}", new.id)),
            }
        }
        for old in &before.levels {
            let gone = after.level(&old.id).is_none();
            self.add_if(gone, Power::Sign, format!("level {}", old.id));
        }
    }

    fn level(&mut self, old: &Level, new: &Level) {
        let part = |what: &str| format!("level {}: {what}", old.id);
        self.add_if(old.paths != new.paths, Power::Sign, part("paths"));
        self.add_if(old.groups != new.groups, Power::Approve, part("groups"));
        self.add_if(old.recall_to != new.recall_to, Power::TakeBack, part("recall"));
        self.add_if(old.cedar != new.cedar, Power::Sign, part("cedar"));
        self.add_if(new.cool_off_ms < old.cool_off_ms, Power::Sign, part("cool-off"));
        let listed = new.book.iter().any(|entry| !old.book.contains(entry));
        self.add_if(listed, Power::Sign, part("address book"));
        // An empty quorum stands for that of the governors, so it is neither below nor above another.
        let comparable = old.quorum.all.is_empty() == new.quorum.all.is_empty();
        let harder = comparable && rules::is_harder(&new.quorum, &old.quorum);
        self.add_if(!harder, Power::Approve, part("quorum"));
        for rule in new.rules.iter().filter(|rule| rule.effect == Effect::Allow) {
            let mut olds = old.rules.iter().filter(|before| before.name == rule.name);
            let narrower = olds.any(|before| rules::is_narrower(rule, before));
            self.add_if(!narrower, Power::Sign, part(&format!("rule {}", rule.name)));
        }
        for rule in old.rules.iter().filter(|rule| rule.effect == Effect::Forbid) {
            let kept = new.rules.contains(rule);
            self.add_if(!kept, Power::Sign, part(&format!("rule {}", rule.name)));
        }
    }

    /// Nobody may lose the power to freeze, reject or stop.
    fn vetoes(&mut self, before: &Charter, after: &Charter) {
        for level in &before.levels {
            let (old, new) = (restrainers(before, &level.id), restrainers(after, &level.id));
            self.add_if(!old.is_subset(&new), Power::Veto, format!("level {}", level.id));
            let rules = level.rules.iter().filter(|rule| !rule.stop_group.is_empty());
            let still = after.level(&level.id);
            for old in rules {
                let new = still.and_then(|level| level.rules.iter().find(|r| r.name == old.name));
                let Some(new) = new else { continue };
                let (old_members, new_members) =
                    (members(before, &old.stop_group), members(after, &new.stop_group));
                let fewer = !old_members.is_subset(&new_members);
                self.add_if(fewer, Power::Veto, format!("rule {}: who may stop", old.name));
            }
        }
    }
}

fn members<'a>(charter: &'a Charter, group: &str) -> BTreeSet<&'a str> {
    let members = charter.group(group).into_iter().flat_map(|group| &group.members);
    members.map(String::as_str).collect()
}

/// True for whoever stands anywhere else than in the list of people.
fn has_power(charter: &Charter, person: &Person) -> bool {
    let in_level = |level: &Level| restrainers(charter, &level.id).contains(person.id.as_str());
    charter.sos.is_some() || charter.levels.iter().any(in_level)
}

/// True when a forbid row names the group as its initiators.
fn is_bound(charter: &Charter, group: &str) -> bool {
    let named = charter.levels.iter().filter(|level| groups_of(level).contains(group));
    let mut rules = named.flat_map(|level| &level.rules);
    rules.any(|rule| {
        rule.effect == Effect::Forbid && rule.initiators.iter().any(|named| named == group)
    })
}
