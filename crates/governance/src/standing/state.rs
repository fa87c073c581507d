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
    /// Since when each of them was in force.
    pub(super) since: BTreeMap<CharterId, Timestamp>,
    /// Credentials that sign nothing enabling any more, since when.
    pub(super) revoked: BTreeMap<(String, Credential), Timestamp>,
    /// Credentials that followed lost ones, since when.
    pub(super) gained: BTreeMap<String, BTreeMap<Credential, Timestamp>>,
    /// Last change by register of each place of each level: when, and the name, or none for a removal.
    pub(super) book: BTreeMap<(String, Place), (Timestamp, Option<String>)>,
    /// Last change by register of each group and person: when, and until when, or none for a removal.
    pub(super) members: BTreeMap<(String, String), (Timestamp, Option<Timestamp>)>,
    /// Everybody who ever joined by register, from when until when: they lose no restraint that they spoke meanwhile.
    pub(super) ever: BTreeMap<(String, String), (Timestamp, Timestamp)>,
    /// Freezes that were lifted.
    pub(super) lifted: BTreeSet<ActId>,
}

impl State {
    pub(super) fn new(birth: CharterId) -> Self {
        Self {
            path: vec![birth],
            since: BTreeMap::new(),
            revoked: BTreeMap::new(),
            gained: BTreeMap::new(),
            book: BTreeMap::new(),
            members: BTreeMap::new(),
            ever: BTreeMap::new(),
            lifted: BTreeSet::new(),
        }
    }

    /// True when the credential signs for the person under this version, with a word spoken at `spoken`.
    pub(super) fn is_good(
        &self,
        version: &Charter,
        person: &str,
        credential: &Credential,
        spoken: Timestamp,
    ) -> bool {
        let key = (person.to_owned(), credential.clone());
        let listed = version.person(person).is_some_and(|p| p.credentials.contains(credential));
        let since = self.gained.get(person).and_then(|gained| gained.get(credential));
        (listed || since.is_some_and(|since| *since <= spoken)) && !self.revoked.contains_key(&key)
    }

    /// True when the credential is or was the person's: listed by a version that is or was in force, or in the place of a
    /// lost one. Being offered, or listed by a version that somebody proposed, makes it nobody's.
    pub(super) fn is_his(&self, known: &Known, person: &str, credential: &Credential) -> bool {
        let versions = self.path.iter().filter_map(|id| known.version(id));
        let mut listed = versions.filter_map(|version| version.person(person));
        listed.any(|listed| listed.credentials.contains(credential))
            || self.gained.get(person).is_some_and(|gained| gained.contains_key(credential))
    }

    /// True when the person is a member of the group at `t`, under the version in force and the registers.
    pub(super) fn is_member(&self, known: &Known, group: &str, person: &str, t: Timestamp) -> bool {
        let listed = |version: &Charter| {
            let mut members = version.group(group).into_iter().flat_map(|group| &group.members);
            members.any(|member| member == person)
        };
        let Some(version) = self.tip(known) else { return false };
        let exists = version.group(group).is_some() && version.person(person).is_some();
        let changed = self.members.get(&(group.to_owned(), person.to_owned()));
        exists
            && match changed.filter(|(at, _)| self.decided_at(known, listed) <= Some(*at)) {
                Some((_, until)) => until.is_some_and(|until| t < until),
                None => listed(version),
            }
    }

    fn tip<'k>(&self, known: &'k Known) -> Option<&'k Charter> {
        self.path.last().and_then(|id| known.version(id))
    }

    /// When an amendment last changed what versions say of something: it prevails over earlier changes by register.
    fn decided_at(&self, known: &Known, says: impl Fn(&Charter) -> bool) -> Option<Timestamp> {
        let mut before = None;
        let mut decided = None;
        for id in &self.path {
            let now = known.version(id).map(&says);
            if before.is_some_and(|before| before != now) {
                decided = self.since.get(id).copied();
            }
            before = Some(now);
        }
        decided
    }

    /// Groups of a requirement for which a voice counts: a member now, and a member when he spoke, by the version that he
    /// named or by register.
    pub(super) fn counting_groups(
        &self,
        known: &Known,
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
        let counts = |group: &&String| self.is_member(known, group, voice.person, t) && was(group);
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
    pub(super) fn book_of(&self, known: &Known, level: &str) -> BTreeMap<Place, String> {
        let listed = self.tip(known).and_then(|version| version.level(level));
        let mut book: BTreeMap<Place, String> = listed
            .into_iter()
            .flat_map(|level| &level.book)
            .map(|entry| ((entry.network, entry.address.clone()), entry.name.clone()))
            .collect();
        let changes = self.book.iter().filter(|((of, _), _)| of == level && listed.is_some());
        for ((_, place), (at, name)) in changes {
            let says = |version: &Charter| {
                let mut entries = version.level(level).into_iter().flat_map(|level| &level.book);
                entries.any(|entry| (entry.network, &entry.address) == (place.0, &place.1))
            };
            if self.decided_at(known, says) > Some(*at) {
                continue;
            }
            match name {
                Some(name) => book.insert(place.clone(), name.clone()),
                None => book.remove(place),
            };
        }
        book
    }

    /// Moves along the chain of versions. What an amendment itself adds or removes prevails over the registers; all else
    /// that registers changed stays as it is. Returns what is decided anew.
    pub(super) fn advance(
        &mut self,
        path: Vec<CharterId>,
        (before, after): (&Charter, &Charter),
        t: Timestamp,
    ) -> BTreeSet<Subject> {
        self.since.retain(|id, _| path.contains(id));
        for id in &path {
            self.since.entry(*id).or_insert(t);
        }
        self.path = path;
        let changed = subjects(before);
        changed.symmetric_difference(&subjects(after)).cloned().collect()
    }

    /// Groups that a requirement names.
    pub(super) fn named(approvals: &Approvals) -> BTreeSet<String> {
        approvals.all.iter().flatten().map(|part| part.group.clone()).collect()
    }
}

/// Everything that a version lists and a register may change.
fn subjects(charter: &Charter) -> BTreeSet<Subject> {
    let places = charter.levels.iter().flat_map(|level| {
        level.book.iter().map(|entry| Subject::Place {
            level: level.id.clone(),
            place: (entry.network, entry.address.clone()),
        })
    });
    let members = charter.groups.iter().flat_map(|group| {
        let subject =
            |person: &String| Subject::Member { group: group.id.clone(), person: person.clone() };
        group.members.iter().map(subject)
    });
    places.chain(members).collect()
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
