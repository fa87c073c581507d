//! What the fold carries from one instant to the next, and reads of it.

use super::count::Supporters;
use super::powers::{groups_of, is_at_or_above, restrainers, upwards};
use super::question::{Place, Subject};
use crate::approvals::{Known, Signer};
use model::charter::{Approvals, Charter, Credential};
use model::ids::{ActId, CharterId};
use model::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The effects of the acts so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    /// Versions from birth to the one in force.
    pub(super) path: Vec<CharterId>,
    /// Credentials that sign nothing enabling any more, since when.
    pub(super) revoked: BTreeMap<(String, Credential), Timestamp>,
    /// Credentials that followed lost ones.
    pub(super) gained: BTreeMap<String, BTreeSet<Credential>>,
    /// Per level: addresses added (with a name) or removed since the charter listed them or not.
    pub(super) book: BTreeMap<String, BTreeMap<Place, Option<String>>>,
    /// Members by register, until when.
    pub(super) joined: BTreeMap<(String, String), Timestamp>,
    /// Members of the charter that a register removed.
    pub(super) left: BTreeSet<(String, String)>,
    /// Everybody who ever joined by register, from when until when: they lose no restraint that they spoke meanwhile.
    pub(super) ever: BTreeMap<(String, String), (Timestamp, Timestamp)>,
    /// Freezes that were lifted.
    pub(super) lifted: BTreeSet<ActId>,
}

impl State {
    pub(super) fn new(birth: CharterId) -> Self {
        Self {
            path: vec![birth],
            revoked: BTreeMap::new(),
            gained: BTreeMap::new(),
            book: BTreeMap::new(),
            joined: BTreeMap::new(),
            left: BTreeSet::new(),
            ever: BTreeMap::new(),
            lifted: BTreeSet::new(),
        }
    }

    /// True when the credential signs for the person under this version now.
    pub(super) fn is_good(&self, version: &Charter, person: &str, credential: &Credential) -> bool {
        let key = (person.to_owned(), credential.clone());
        let listed = version.person(person).is_some_and(|p| p.credentials.contains(credential));
        let gained = self.gained.get(person).is_some_and(|set| set.contains(credential));
        (listed || gained) && !self.revoked.contains_key(&key)
    }

    /// True when the credential is or was the person's: listed by a version that is or was in force, or in the place of a
    /// lost one. Being offered, or listed by a version that somebody proposed, makes it nobody's.
    pub(super) fn is_his(&self, known: &Known, person: &str, credential: &Credential) -> bool {
        let versions = self.path.iter().filter_map(|id| known.version(id));
        let mut listed = versions.filter_map(|version| version.person(person));
        listed.any(|listed| listed.credentials.contains(credential))
            || self.gained.get(person).is_some_and(|gained| gained.contains(credential))
    }

    /// True when the person is a member of the group at `t`, under `version` and the registers.
    pub(super) fn is_member(
        &self,
        version: &Charter,
        group: &str,
        person: &str,
        t: Timestamp,
    ) -> bool {
        let key = (group.to_owned(), person.to_owned());
        let listed = version.group(group).is_some_and(|g| g.members.iter().any(|m| m == person));
        let listed = listed && !self.left.contains(&key);
        let exists = version.group(group).is_some() && version.person(person).is_some();
        exists && (listed || self.joined.get(&key).is_some_and(|until| t < *until))
    }

    /// Groups of a requirement for which a voice counts: a member now, and a member when he spoke, by the version that he
    /// named or by register.
    pub(super) fn counting_groups(
        &self,
        known: &Known,
        version: &Charter,
        groups: &BTreeSet<String>,
        voice: Voice<'_>,
        t: Timestamp,
    ) -> BTreeSet<String> {
        let Some(then) = known.version(&voice.named).filter(|_| self.path.contains(&voice.named))
        else {
            return BTreeSet::new();
        };
        let was = |group: &str| {
            let mut members = then.group(group).into_iter().flat_map(|group| &group.members);
            members.any(|member| member == voice.person)
                || self.was_joined(group, voice.person, voice.spoken)
        };
        let counts =
            |group: &&String| self.is_member(version, group, voice.person, t) && was(group);
        groups.iter().filter(counts).cloned().collect()
    }

    /// True when the person was a member by register when he spoke.
    fn was_joined(&self, group: &str, person: &str, spoken: Timestamp) -> bool {
        let key = (group.to_owned(), person.to_owned());
        self.ever.get(&key).is_some_and(|(from, until)| *from <= spoken && spoken < *until)
    }

    /// True when the person may freeze the level and reject its requests, with a word spoken at `spoken`.
    pub(super) fn may_restrain(
        &self,
        version: &Charter,
        level: &str,
        person: &str,
        spoken: Timestamp,
    ) -> bool {
        let levels = upwards(version, level);
        let mut groups = levels.iter().flat_map(|level| groups_of(level));
        let spoke_in_time = version.person(person).is_some_and(|p| spoken < p.expires_at);
        spoke_in_time
            && version.level(level).is_some()
            && (restrainers(version, level).contains(person)
                || groups.any(|group| self.was_joined(group, person, spoken)))
    }

    /// The deepest level at or above `level` of whose people the author is, else the root: its quorum lifts his freeze.
    pub(super) fn level_of_author(&self, version: &Charter, level: &str, person: &str) -> String {
        let is_of = |group: &str| {
            let key = (group.to_owned(), person.to_owned());
            let listed =
                version.group(group).is_some_and(|g| g.members.iter().any(|m| m == person));
            listed || self.ever.contains_key(&key)
        };
        let levels = upwards(version, level);
        let own = levels.iter().find(|level| groups_of(level).into_iter().any(is_of));
        own.or(levels.last()).map(|level| level.id.clone()).unwrap_or_default()
    }

    /// Addresses of a level's own book.
    pub(super) fn book_of(&self, version: &Charter, level: &str) -> BTreeMap<Place, String> {
        let listed = version.level(level).into_iter().flat_map(|level| &level.book);
        let mut book: BTreeMap<Place, String> = listed
            .map(|entry| ((entry.network, entry.address.clone()), entry.name.clone()))
            .collect();
        for (place, name) in self.book.get(level).into_iter().flatten() {
            match name {
                Some(name) => book.insert(place.clone(), name.clone()),
                None => book.remove(place),
            };
        }
        book
    }

    /// Moves along the chain of versions. What the amendment itself adds or removes prevails over the registers; all else
    /// that registers changed stays as it is. Returns what the amendment decided anew.
    pub(super) fn advance(
        &mut self,
        path: Vec<CharterId>,
        before: &Charter,
        after: &Charter,
    ) -> BTreeSet<Subject> {
        let listed = |charter: &Charter| -> BTreeSet<(String, Place)> {
            let levels = charter.levels.iter();
            let entries = levels.flat_map(|l| l.book.iter().map(move |entry| (l, entry)));
            entries.map(|(l, e)| (l.id.clone(), (e.network, e.address.clone()))).collect()
        };
        let members = |charter: &Charter| -> BTreeSet<(String, String)> {
            let groups = charter.groups.iter();
            groups.flat_map(|g| g.members.iter().map(|m| (g.id.clone(), m.clone()))).collect()
        };
        let mut decided = BTreeSet::new();
        for (level, place) in listed(before).symmetric_difference(&listed(after)) {
            if let Some(book) = self.book.get_mut(level) {
                book.remove(place);
            }
            decided.insert(Subject::Place { level: level.clone(), place: place.clone() });
        }
        for key in members(before).symmetric_difference(&members(after)) {
            self.left.remove(key);
            self.joined.remove(key);
            let (group, person) = key.clone();
            decided.insert(Subject::Member { group, person });
        }
        self.path = path;
        decided
    }

    /// Groups that a requirement names.
    pub(super) fn named(approvals: &Approvals) -> BTreeSet<String> {
        approvals.all.iter().flatten().map(|part| part.group.clone()).collect()
    }
}

/// Who says something, under which version, and since when it counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Voice<'a> {
    pub(super) person: &'a str,
    pub(super) named: CharterId,
    pub(super) spoken: Timestamp,
}

impl State {
    /// The person whose own credential signed, whatever became of it since.
    pub(super) fn restrainer<'b>(&self, known: &Known, signer: &'b Signer) -> Option<&'b str> {
        let (person, credential) = person_of(signer)?;
        self.is_his(known, person, credential).then_some(person)
    }
}

/// The person and credential of an act; `None` for nodes.
pub(super) fn person_of(signer: &Signer) -> Option<(&str, &Credential)> {
    match signer {
        Signer::Person { person, credential } => Some((person, credential)),
        Signer::Node(_) => None,
    }
}

/// True when the level that an act of lifting names is high enough.
pub(super) fn lifts(named: &str, wanted: &str) -> bool {
    !wanted.is_empty() && is_at_or_above(named, wanted)
}

/// People with their counting groups, merged.
pub(super) fn add_supporter(into: &mut Supporters, person: &str, groups: BTreeSet<String>) {
    into.entry(person.to_owned()).or_default().extend(groups);
}
