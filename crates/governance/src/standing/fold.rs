//! The fold: acts in the order of their times, not of their arrival, each instant until nothing changes any more.
//!
//! An enabling question is answered when enough people asked for it and nothing took their voices back until its wait was
//! over; a voice that falls away meanwhile starts the wait anew. What was answered stays answered. Restraints need one
//! voice and no wait. Every loop is bounded by the number of acts.

use super::count::{Supporters, met};
use super::powers::weight;
use super::question::{Proposal, Question, Subject};
use super::set::{ActSet, Seen};
use super::state::{State, Voice, add_supporter, lifts, person_of};
use super::versions::Amendments;
use crate::approvals::Known;
use model::act::Body;
use model::charter::{Approvals, Charter, Credential};
use model::ids::{ActId, CharterId};
use model::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct Fold<'a> {
    pub(super) known: &'a Known,
    pub(super) state: State,
    pub(super) open: BTreeMap<Question, Proposal<'a>>,
    pub(super) amendments: Amendments,
    /// Instants at which a wait ends, and whose.
    pub(super) due: BTreeMap<Timestamp, BTreeSet<Question>>,
    /// Questions that have acts and no answer.
    waiting: BTreeSet<Question>,
    /// Questions that add an entry of a register, by the entry.
    additions: BTreeMap<Subject, BTreeSet<Question>>,
    /// Removals: what is not younger says nothing for what they removed.
    removed: BTreeMap<Subject, Timestamp>,
    freezes: BTreeMap<ActId, (String, String)>,
}

/// What is found of one question at one instant.
struct Answer {
    met: bool,
    wait_ms: u64,
    /// False where something besides voices and time is still missing.
    free: bool,
}

impl<'a> Fold<'a> {
    /// Everything up to and including `now`.
    pub(super) fn run(known: &'a Known, acts: &'a ActSet, now: Timestamp) -> Self {
        let mut fold = Self {
            known,
            state: State::new(known.birth()),
            open: BTreeMap::new(),
            amendments: Amendments::default(),
            due: BTreeMap::new(),
            additions: BTreeMap::new(),
            waiting: BTreeSet::new(),
            removed: BTreeMap::new(),
            freezes: BTreeMap::new(),
        };
        let mut by_time: BTreeMap<Timestamp, Vec<&Seen>> = BTreeMap::new();
        for seen in acts.rules().values().filter(|seen| seen.at <= now) {
            by_time.entry(seen.at).or_default().push(seen);
        }
        loop {
            let act = by_time.first_key_value().map(|(t, _)| *t);
            let wait = fold.due.first_key_value().map(|(t, _)| *t).filter(|t| *t <= now);
            let Some(t) = act.into_iter().chain(wait).min() else { break };
            let mut touched = fold.due.remove(&t).unwrap_or_default();
            let seen = by_time.remove(&t).unwrap_or_default();
            for seen in &seen {
                fold.take(seen, &mut touched);
            }
            fold.settle(t, touched);
            // Whose keys are whose at this instant is settled now.
            if fold.amendments.find_two_faced(fold.known, &fold.state, &seen) {
                fold.settle(t, BTreeSet::new());
            }
        }
        fold
    }

    /// The version in force.
    pub(super) fn version(&self) -> &'a Charter {
        let tip = self.state.path.last().and_then(|id| self.known.version(id));
        tip.unwrap_or_else(|| self.known.born_under())
    }

    fn take(&mut self, seen: &'a Seen, touched: &mut BTreeSet<Question>) {
        let act = seen.act();
        self.amendments.take(self.known, seen);
        if let (Body::Freeze { level }, Some((person, _))) =
            (&act.body, person_of(seen.act.signer()))
        {
            let freeze = seen.act.id();
            self.freezes.insert(freeze, (level.clone(), person.to_owned()));
            let lifts = |asked: &&Question| match asked {
                Question::Lift { freeze: of, .. } => *of == freeze,
                _ => false,
            };
            let first = Question::Lift { freeze, level: String::new() };
            touched.extend(self.waiting.range(first..).take_while(lifts).cloned());
        }
        for question in Question::of(seen.act.id(), act) {
            if let Some(subject) = question.subject().filter(|_| question.adds()) {
                let removed = self.removed.get(&subject);
                if removed.is_some_and(|removed| act.created_at <= *removed) {
                    continue; // kept back until after the removal
                }
                self.additions.entry(subject).or_default().insert(question.clone());
            }
            let proposal = self.open.entry(question.clone()).or_default();
            proposal.acts.push(seen);
            if !proposal.done {
                self.waiting.insert(question.clone());
                touched.insert(question);
            }
        }
    }

    /// Answers what can be answered at `t`: what acts or the end of a wait touched, and amendments, which logs touch. Where
    /// an answer bears on others, all that waits is looked at again.
    fn settle(&mut self, t: Timestamp, mut touched: BTreeSet<Question>) {
        let bound = self.waiting.len().saturating_mul(2).saturating_add(8);
        let (base, next) = (CharterId([0; 32]), CharterId([0; 32]));
        for _ in 0..bound {
            touched.extend(self.waiting.range(Question::Amend { base, next }..).cloned());
            let mut changed = false;
            for question in &touched {
                changed |= self.answer(question, t) && question.bears_on_others();
            }
            let path = self.amendments.walk(self.known, &self.state, &self.open);
            if path != self.state.path {
                let before = self.version();
                let after = path.last().and_then(|id| self.known.version(id)).unwrap_or(before);
                let decided = self.state.advance(path, (before, after), t);
                for subject in &decided {
                    self.forget(subject);
                }
                changed = true;
            }
            if !changed {
                return;
            }
            touched.clone_from(&self.waiting);
        }
    }

    /// True when the state changed.
    fn answer(&mut self, question: &Question, t: Timestamp) -> bool {
        let Some(proposal) = self.open.get(question).filter(|proposal| !proposal.done) else {
            return false;
        };
        let Answer { met, wait_ms, free } = self.judge(question, proposal, t);
        let since = if met { proposal.met_since.or(Some(t)) } else { None };
        let ready = since.map(|since| since.saturating_add_ms(wait_ms));
        let done = free && ready.is_some_and(|ready| ready <= t);
        if let Some(ready) = ready.filter(|ready| *ready > t) {
            self.due.entry(ready).or_default().insert(question.clone());
        }
        if let Some(proposal) = self.open.get_mut(question) {
            proposal.met_since = since;
            proposal.done = done;
        }
        let mut changed = done;
        if let (true, Question::Replace { person, lost, .. }) = (met, question) {
            // The lost one signs nothing from now on, the new one after the wait: the two do not overlap.
            let key = (person.clone(), lost.clone());
            changed |= !self.state.revoked.contains_key(&key);
            self.state.revoked.entry(key).or_insert(t);
        }
        if done {
            self.waiting.remove(question);
            self.apply(question, t);
        }
        changed
    }

    fn judge(&self, question: &Question, proposal: &Proposal<'_>, t: Timestamp) -> Answer {
        let version = self.version();
        let at_once = |met: bool| Answer { met, wait_ms: 0, free: true };
        match question {
            Question::Revoke { person, .. } => at_once(self.is_revoked_by(proposal, person, t)),
            Question::Remove { level, .. } | Question::Leave { level, .. } => {
                at_once(self.is_restrained_by(proposal, level))
            }
            Question::Lift { freeze, level } => {
                let wanted = self
                    .freezes
                    .get(freeze)
                    .map(|(level, author)| self.state.level_of_author(version, level, author));
                let high = wanted.is_some_and(|wanted| lifts(level, &wanted));
                at_once(high && self.has_quorum(proposal, level, t))
            }
            Question::Replace { person, lost, new } => {
                let voices = self.governors(proposal, t, Some(lost));
                let met = self.may_replace(person, lost, new)
                    && voices >= version.governors.replacement_quorum;
                Answer { met, wait_ms: version.governors.replacement_ms, free: true }
            }
            Question::Add { level, .. } => self.judge_register(proposal, level, t, true),
            Question::Join { level, group, person, until } => {
                let own = version.level(level).is_some_and(|level| level.groups.contains(group));
                let fits = own && version.person(person).is_some() && t < *until;
                self.judge_register(proposal, level, t, fits)
            }
            Question::Amend { base, next } => {
                let judged = self.amendments.judge(self, (base, next), proposal, t);
                Answer { met: judged.met, wait_ms: judged.wait_ms, free: judged.settled }
            }
        }
    }

    /// The lost credential is his, and the new one is nobody else's and was not revoked while it waited.
    fn may_replace(&self, person: &str, lost: &Credential, new: &Credential) -> bool {
        let has = |person: &str, credential: &Credential| {
            let listed = self.version().person(person);
            let gained = self.state.gained.get(person);
            listed.is_some_and(|listed| listed.credentials.contains(credential))
                || gained.is_some_and(|gained| gained.contains_key(credential))
        };
        let mut others = self.version().people.iter().filter(|other| other.id != person);
        let revoked = self.state.revoked.contains_key(&(person.to_owned(), new.clone()));
        self.version().person(person).is_some()
            && has(person, lost)
            && !revoked
            && !others.any(|other| has(&other.id, new))
    }

    fn judge_register(
        &self,
        proposal: &Proposal<'_>,
        level: &str,
        t: Timestamp,
        fits: bool,
    ) -> Answer {
        let wait_ms = self.version().level(level).map_or(u64::MAX, |level| level.cool_off_ms);
        Answer { met: fits && self.has_quorum(proposal, level, t), wait_ms, free: true }
    }

    /// The voice of an enabling act: listed, not expired, the credential good, the act not late when the voices sufficed.
    pub(super) fn voice<'b>(
        &self,
        version: &Charter,
        seen: &'b Seen,
        since: Timestamp,
        t: Timestamp,
    ) -> Option<&'b str> {
        let (person, credential) = person_of(seen.act.signer())?;
        let listed = version.person(person)?;
        let in_time = seen.at <= since && since < seen.act().expires_at;
        let good = self.state.is_good(version, person, credential, seen.at);
        (in_time && t < listed.expires_at && good).then_some(person)
    }

    /// Weight of the governors who ask for something, those who sign with `lost` left out.
    fn governors(&self, proposal: &Proposal<'_>, t: Timestamp, lost: Option<&Credential>) -> u32 {
        let since = proposal.met_since.unwrap_or(t);
        let version = self.version();
        let other = |seen: &&&Seen| {
            lost.is_none() || person_of(seen.act.signer()).map(|(_, own)| own) != lost
        };
        let acts = proposal.acts.iter().filter(other);
        let people: BTreeSet<&str> =
            acts.filter_map(|seen| self.voice(version, seen, since, t)).collect();
        people.into_iter().map(|person| weight(version, person)).fold(0, u32::saturating_add)
    }

    /// The level's own quorum; where it has none, the governors'.
    fn has_quorum(&self, proposal: &Proposal<'_>, level: &str, t: Timestamp) -> bool {
        let version = self.version();
        let Some(level) = version.level(level) else { return false };
        if level.quorum.all.is_empty() {
            return self.governors(proposal, t, None) >= version.governors.quorum;
        }
        met(&level.quorum, &self.supporters(&level.quorum, proposal, t), "", true).is_met()
    }

    fn supporters(
        &self,
        approvals: &Approvals,
        proposal: &Proposal<'_>,
        t: Timestamp,
    ) -> Supporters {
        let (version, groups) = (self.version(), State::named(approvals));
        let since = proposal.met_since.unwrap_or(t);
        let mut supporters = Supporters::new();
        for seen in &proposal.acts {
            if let Some(person) = self.voice(version, seen, since, t) {
                let voice = Voice { person, named: seen.act().charter, spoken: seen.at };
                let counting = self.state.counting_groups(self.known, &groups, voice, t);
                add_supporter(&mut supporters, person, counting);
            }
        }
        supporters
    }

    /// By the person himself or one governor; a governor's credential by others only with the replacement quorum. A
    /// credential that was revoked earlier revokes nothing, or a thief could go on for ever.
    fn is_revoked_by(&self, proposal: &Proposal<'_>, person: &str, t: Timestamp) -> bool {
        let version = self.version();
        let voices = proposal.acts.iter().filter_map(|seen| {
            let (author, credential) = person_of(seen.act.signer())?;
            let key = (author.to_owned(), credential.clone());
            let earlier = self.state.revoked.get(&key).is_some_and(|since| *since < t);
            let his = self.state.is_his(self.known, author, credential);
            version.person(author).filter(|_| his && !earlier).map(|_| author)
        });
        let voices: BTreeSet<&str> = voices.collect();
        let others = voices.iter().filter(|author| **author != person);
        let others = others.map(|author| weight(version, author)).fold(0, u32::saturating_add);
        let wanted = match weight(version, person) {
            0 => 1,
            _ => version.governors.replacement_quorum.max(1),
        };
        voices.contains(person) || others >= wanted
    }

    fn is_restrained_by(&self, proposal: &Proposal<'_>, level: &str) -> bool {
        let version = self.version();
        proposal.acts.iter().any(|seen| {
            let person = self.state.restrainer(self.known, seen.act.signer());
            person.is_some_and(|person| self.state.may_restrain(version, level, person, seen.at))
        })
    }

    fn apply(&mut self, question: &Question, t: Timestamp) {
        match question {
            Question::Revoke { person, credential } => {
                self.state.revoked.entry((person.clone(), credential.clone())).or_insert(t);
            }
            Question::Replace { person, new, .. } => {
                let gained = self.state.gained.entry(person.clone()).or_default();
                gained.entry(new.clone()).or_insert(t);
            }
            Question::Lift { freeze, .. } => {
                self.state.lifted.insert(*freeze);
            }
            Question::Add { level, place, name } => {
                let key = (level.clone(), place.clone());
                self.state.book.insert(key, (t, Some(name.clone())));
            }
            Question::Remove { level, place, .. } => {
                self.state.book.insert((level.clone(), place.clone()), (t, None));
                self.remove(question, t);
            }
            Question::Join { group, person, until, .. } => self.join(group, person, *until, t),
            Question::Leave { group, person, .. } => {
                self.state.members.insert((group.clone(), person.clone()), (t, None));
                self.remove(question, t);
            }
            Question::Amend { .. } => {} // the walk over versions reads what is done
        }
    }

    /// Who is a member already stays one at least as long.
    fn join(&mut self, group: &str, person: &str, until: Timestamp, t: Timestamp) {
        let key = (group.to_owned(), person.to_owned());
        let member = self.state.is_member(self.known, group, person, t);
        let end = match self.state.members.get(&key) {
            Some((_, Some(end))) if member => until.max(*end),
            _ if member => Timestamp(u64::MAX),
            _ => until,
        };
        self.state.members.insert(key.clone(), (t, Some(end)));
        let span = self.state.ever.entry(key).or_insert((t, end));
        span.1 = span.1.max(end);
    }

    /// A removal silences everything that was said for what it removed; saying it again takes new acts.
    fn remove(&mut self, question: &Question, t: Timestamp) {
        let acts = self.open.get(question).into_iter().flat_map(|proposal| &proposal.acts);
        let said = acts.map(|seen| seen.act().created_at).min().unwrap_or(t).min(t);
        if let Some(subject) = question.subject() {
            self.forget(&subject);
            let latest = self.removed.entry(subject).or_insert(said);
            *latest = (*latest).max(said);
        }
    }

    fn forget(&mut self, subject: &Subject) {
        for question in self.additions.remove(subject).into_iter().flatten() {
            self.open.remove(&question);
            self.waiting.remove(&question);
        }
    }
}
