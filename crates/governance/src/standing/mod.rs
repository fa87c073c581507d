//! What a set of acts amounts to at a time: which version is in force, who may still sign, what is frozen, what stands in the
//! registers, who approved and who refused.
//!
//! Spec: `docs/spec/acts.md`. Invariant L4: the standing is a function of the *set* of acts, the times from which they count
//! and `now`; it does not depend on order, repetition or on how the set came together. A restraint that is added now never
//! makes a signature possible that was not. Absent on purpose: a clock, and whose time counts as evidence.

mod admit;
mod class;
mod count;
mod fold;
mod powers;
mod question;
mod set;
mod state;
mod versions;

pub use admit::Standstill;
pub use class::{Loosened, Power, classify};
pub use count::{Missing, MissingPart, Supporters, met};
pub use question::Place;
pub use set::{ActKey, ActSet, Seen};
pub use versions::{Pending, TwoFaced};

use crate::approvals::Known;
use fold::Fold;
use model::act::Body;
use model::charter::{Charter, Credential};
use model::ids::{ActId, CharterId, RequestId, VaultId};
use model::time::Timestamp;
use powers::{groups_of, is_at_or_above};
use state::{State, Voice, person_of};
use std::collections::{BTreeMap, BTreeSet};

/// A freeze that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// The level, with all below it.
    pub level: String,
    /// Who froze it.
    pub person: String,
    /// The level whose quorum, or a higher one's, lifts it.
    pub lifted_by: String,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// What was said about a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opinions {
    /// Per level: who approves, with the groups for which he counts there.
    pub approvals: BTreeMap<String, Supporters>,
    /// Per level: who refuses. Whoever refuses anywhere approves nowhere.
    pub rejections: BTreeMap<String, BTreeSet<String>>,
    /// Who signed that he asks for it.
    pub asked: BTreeSet<String>,
}

/// What a set of acts amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    known: Known,
    now: Timestamp,
    state: State,
    freezes: BTreeMap<ActId, Freeze>,
    pending: Vec<Pending>,
    two_faced: BTreeSet<TwoFaced>,
    next_change_at: Option<Timestamp>,
}

impl Standing {
    /// The fold over everything that counts at `now`.
    pub fn fold(known: &Known, acts: &ActSet, now: Timestamp) -> Self {
        let fold = Fold::run(known, acts, now);
        let mut standing = Self {
            known: known.clone(),
            now,
            pending: fold.amendments.pending(&fold, now),
            two_faced: fold.amendments.two_faced.clone(),
            freezes: BTreeMap::new(),
            next_change_at: None,
            state: fold.state,
        };
        standing.freezes = standing.standing_freezes(acts);
        let later = acts.rules().values().map(|seen| seen.at);
        let ends = standing.freezes.values().map(|freeze| freeze.expires_at);
        let members = standing.state.members.values().filter_map(|(_, until)| *until);
        let people = standing.in_force().people.iter().map(|person| person.expires_at);
        let changes = later.chain(ends).chain(members).chain(people).chain(fold.due.into_keys());
        standing.next_change_at = changes.filter(|t| *t > now).min();
        standing
    }

    fn standing_freezes(&self, acts: &ActSet) -> BTreeMap<ActId, Freeze> {
        let version = self.in_force();
        let freeze = |seen: &Seen| {
            let act = seen.act();
            let Body::Freeze { level } = &act.body else { return None };
            let person = self.state.restrainer(&self.known, seen.act.signer())?;
            let stands = seen.at <= self.now
                && self.now < act.expires_at
                && !self.state.lifted.contains(&seen.act.id())
                && self.state.may_restrain(version, level, person, seen.at);
            stands.then(|| {
                let lifted_by = self.state.level_of_author(version, level, person);
                let (level, person) = (level.clone(), person.to_owned());
                (seen.act.id(), Freeze { level, person, lifted_by, expires_at: act.expires_at })
            })
        };
        acts.rules().values().filter_map(freeze).collect()
    }

    /// The vault.
    pub fn vault(&self) -> VaultId {
        self.known.vault()
    }
    /// The time of this standing.
    pub fn now(&self) -> Timestamp {
        self.now
    }
    /// The version in force.
    pub fn in_force(&self) -> &Charter {
        let tip = self.state.path.last().and_then(|id| self.known.version(id));
        tip.unwrap_or_else(|| self.known.born_under())
    }
    /// Its id.
    pub fn in_force_id(&self) -> CharterId {
        self.state.path.last().copied().unwrap_or_else(|| self.known.birth())
    }
    /// Versions that were or are in force, from birth on.
    pub fn path(&self) -> &[CharterId] {
        &self.state.path
    }
    /// Amendments that governors signed and that are not in force.
    pub fn pending(&self) -> &[Pending] {
        &self.pending
    }
    /// Governors and logs that said two things where one may be said.
    pub fn two_faced(&self) -> &BTreeSet<TwoFaced> {
        &self.two_faced
    }
    /// When time alone may change this standing; `None`: not before another act.
    pub fn next_change_at(&self) -> Option<Timestamp> {
        self.next_change_at
    }
    /// Every freeze that stands.
    pub fn freezes(&self) -> &BTreeMap<ActId, Freeze> {
        &self.freezes
    }
    /// Freezes that stop a level: its own and those of its ancestors.
    pub fn freezes_of(&self, level: &str) -> BTreeSet<ActId> {
        let stops = |(_, freeze): &(&ActId, &Freeze)| is_at_or_above(&freeze.level, level);
        self.freezes.iter().filter(stops).map(|(id, _)| *id).collect()
    }
    /// A level's own address book: addresses with their names.
    pub fn book(&self, level: &str) -> BTreeMap<Place, String> {
        self.state.book_of(&self.known, level)
    }
    /// True when the person is a member of the group now.
    pub fn is_member(&self, group: &str, person: &str) -> bool {
        self.is_current(person) && self.state.is_member(&self.known, group, person, self.now)
    }
    /// Credentials with which a person may approve and enable now.
    pub fn credentials(&self, person: &str) -> BTreeSet<&Credential> {
        let listed = self.in_force().person(person).filter(|_| self.is_current(person));
        let own = listed.into_iter().flat_map(|person| &person.credentials);
        let gained = self.state.gained.get(person).into_iter().flat_map(BTreeMap::keys);
        own.chain(gained)
            .filter(|own| self.state.is_good(self.in_force(), person, own, self.now))
            .collect()
    }

    fn is_current(&self, person: &str) -> bool {
        self.in_force().person(person).is_some_and(|person| self.now < person.expires_at)
    }

    /// Who approves a request with this intent, and who refuses it.
    pub fn opinions(&self, acts: &ActSet, request: &RequestId, intent: &[u8; 32]) -> Opinions {
        let mut opinions = Opinions::default();
        let live = |seen: &&Seen| seen.at <= self.now && self.now < seen.act().expires_at;
        for seen in acts.of_request(request).filter(live) {
            let Some((person, credential)) = person_of(seen.act.signer()) else { continue };
            match &seen.act().body {
                Body::Reject(opinion) => {
                    let level = &opinion.level;
                    if self.state.is_his(&self.known, person, credential)
                        && self.state.may_restrain(self.in_force(), level, person, seen.at)
                    {
                        let people = opinions.rejections.entry(level.clone()).or_default();
                        people.insert(person.to_owned());
                    }
                }
                Body::Ask(opinion)
                    if opinion.intent == *intent
                        && self.is_current(person)
                        && self.state.is_good(self.in_force(), person, credential, seen.at) =>
                {
                    opinions.asked.insert(person.to_owned());
                }
                Body::Approve(opinion) if opinion.intent == *intent => {
                    let groups = self.approving_groups(seen, person, credential, &opinion.level);
                    if !groups.is_empty() {
                        let people = opinions.approvals.entry(opinion.level.clone()).or_default();
                        state::add_supporter(people, person, groups);
                    }
                }
                _ => {}
            }
        }
        let refusing: BTreeSet<String> = opinions.rejections.values().flatten().cloned().collect();
        for people in opinions.approvals.values_mut() {
            people.retain(|person, _| !refusing.contains(person));
        }
        opinions.approvals.retain(|_, people| !people.is_empty());
        opinions
    }

    /// Groups of the level for which an approval counts now.
    fn approving_groups(
        &self,
        seen: &Seen,
        person: &str,
        credential: &Credential,
        level: &str,
    ) -> BTreeSet<String> {
        let version = self.in_force();
        let good =
            self.is_current(person) && self.state.is_good(version, person, credential, seen.at);
        let Some(level) = version.level(level).filter(|_| good) else { return BTreeSet::new() };
        let groups: BTreeSet<String> = groups_of(level).into_iter().map(str::to_owned).collect();
        let voice = Voice { person, named: seen.act().charter, spoken: seen.at };
        self.state.counting_groups(&self.known, &groups, voice, self.now)
    }
}

#[cfg(test)]
mod tests;
