//! Which version of the charter is in force: amendments, acknowledgements, governors and logs that say two things.
//!
//! From the version in force, `base`, the next one comes from among its successors. A loosening needs the governors'
//! quorum through its whole wait and the acknowledgement of q logs. A tightening works when the quorum is seen, and is
//! final with q logs. What q logs acknowledged is final, whatever else was signed. A *resolving* version follows a
//! successor C of `base` that is not in force: governors of `base` sign it naming `base`, logs acknowledge it after C, and C
//! is passed over. So neither a governor who signed two successors nor a loosening that was regretted blocks the charter.

use super::class::{Loosened, classify};
use super::fold::Fold;
use super::powers::weight;
use super::question::{Proposal, Question};
use super::set::Seen;
use super::state::{State, person_of};
use crate::approvals::{Known, Signer};
use crate::charter::{counting_nodes, log_quorum};
use model::act::Body;
use model::charter::Charter;
use model::ids::{ActId, CharterId, NodeId};
use model::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Somebody who said two things where one may be said, with the two acts that prove it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TwoFaced {
    /// The version after which both speak.
    pub previous: CharterId,
    /// Person or node.
    pub who: String,
    /// The two acts.
    pub acts: (ActId, ActId),
}

/// An amendment that governors signed and that is not in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The version in force when they signed.
    pub base: CharterId,
    /// The version it makes.
    pub next: CharterId,
    /// The version it follows, by its own word: `base`, or the successor that it passes over.
    pub previous: CharterId,
    /// What it loosens; empty for a tightening.
    pub loosens: Vec<Loosened>,
    /// Weight that asks for it now.
    pub weight: u32,
    /// Weight wanted.
    pub quorum: u32,
    /// Since when the weight suffices.
    pub met_since: Option<Timestamp>,
    /// When its wait ends, once the weight suffices.
    pub effect_at: Option<Timestamp>,
    /// Counting logs that acknowledge it.
    pub logs: usize,
    /// Logs wanted.
    pub log_quorum: usize,
}

/// What one amendment has.
pub(super) struct Judged {
    pub(super) met: bool,
    pub(super) wait_ms: u64,
    pub(super) settled: bool,
    pub(super) weight: u32,
}

/// One governor's good acts, each with the version that it is for and its life.
type Votes = Vec<(CharterId, ActId, (Timestamp, Timestamp))>;

#[derive(Debug, Default)]
pub(super) struct Amendments {
    /// Acknowledgements: after which version, for which, by which node.
    acks: BTreeMap<(CharterId, CharterId), BTreeMap<NodeId, ActId>>,
    /// Votes of governors: which version follows which, under which base, by whose acts.
    votes: BTreeMap<(CharterId, CharterId), BTreeMap<String, Votes>>,
    pub(super) two_faced: BTreeSet<TwoFaced>,
    /// Governors proven two-faced, by base.
    excluded: BTreeSet<(CharterId, String)>,
    classes: BTreeMap<(CharterId, CharterId), Vec<Loosened>>,
}

impl Amendments {
    pub(super) fn take(&mut self, known: &Known, seen: &Seen) {
        let (act, id) = (seen.act(), seen.act.id());
        match (&act.body, seen.act.signer()) {
            (Body::Acknowledge { previous, next }, Signer::Node(node)) => {
                self.acks.entry((*previous, *next)).or_default().insert(*node, id);
                self.find_two_faced_log(*previous, *next, *node, id);
            }
            (Body::Amend { next }, Signer::Person { .. }) => {
                let base = act.charter;
                if let (Some(charter), Some(version)) = (known.version(&base), known.version(next))
                {
                    let class = || classify(charter, version);
                    self.classes.entry((base, *next)).or_insert_with(class);
                }
            }
            _ => {}
        }
    }

    /// Compares what governors just said with what they said before; true when one is newly proven two-faced. Only words
    /// by a key that was theirs and not revoked prove anything: a thief must not make his victim a liar.
    pub(super) fn find_two_faced(&mut self, known: &Known, state: &State, seen: &[&Seen]) -> bool {
        let proven = self.excluded.len();
        for seen in seen {
            let signer = seen.act.signer();
            let Some((person, credential)) = person_of(signer) else { continue };
            let revoked = state.revoked.get(&(person.to_owned(), credential.clone()));
            let good = revoked.is_none_or(|revoked| *revoked > seen.at);
            if good && state.restrainer(known, signer).is_some() {
                self.vote(known, seen, person);
            }
        }
        self.excluded.len() > proven
    }

    fn find_two_faced_log(
        &mut self,
        previous: CharterId,
        next: CharterId,
        node: NodeId,
        id: ActId,
    ) {
        let others = self.acks.iter().filter(|((p, n), _)| *p == previous && *n != next);
        let other = others.filter_map(|(_, acks)| acks.get(&node)).min().copied();
        if let Some(other) = other {
            let acts = (id.min(other), id.max(other));
            self.two_faced.insert(TwoFaced { previous, who: node.to_string(), acts });
        }
    }

    fn vote(&mut self, known: &Known, seen: &Seen, person: &str) {
        let (act, id) = (seen.act(), seen.act.id());
        let Body::Amend { next } = act.body else { return };
        let base = act.charter;
        let governs = known.version(&base).is_some_and(|charter| weight(charter, person) > 0);
        let previous = known.version(&next).and_then(|version| version.previous);
        let Some(previous) = previous.filter(|_| governs) else { return };
        let life = (act.created_at, act.expires_at);
        let votes = self.votes.entry((base, previous)).or_default();
        let votes = votes.entry(person.to_owned()).or_default();
        let overlaps = |other: &(Timestamp, Timestamp)| life.0 < other.1 && other.0 < life.1;
        let other = votes.iter().find(|(other, _, span)| *other != next && overlaps(span));
        if let Some((_, other, _)) = other {
            let acts = (id.min(*other), id.max(*other));
            self.two_faced.insert(TwoFaced { previous, who: person.to_owned(), acts });
            self.excluded.insert((base, person.to_owned()));
        }
        votes.push((next, id, life));
    }

    /// Logs of `base` that acknowledge `next` after `previous`.
    fn logs(&self, base: &Charter, previous: CharterId, next: CharterId) -> usize {
        let acks = self.acks.get(&(previous, next));
        let counting = counting_nodes(base);
        acks.map_or(0, |acks| acks.keys().filter(|node| counting.contains(node)).count())
    }

    /// True when `next` may follow `base` at all: directly, or past one successor of it.
    fn follows(known: &Known, base: &CharterId, next: &CharterId) -> Option<(CharterId, bool)> {
        let (before, after) = (known.version(base)?, known.version(next)?);
        let previous = after.previous?;
        let steps = if previous == *base {
            1
        } else {
            let passed = known.version(&previous)?;
            (passed.previous == Some(*base)).then_some(2)?
        };
        let numbered = before.version.checked_add(steps) == Some(after.version);
        (numbered && before.purpose == after.purpose).then_some((previous, steps == 2))
    }

    /// Weight of everybody who ever signed, whatever became of credentials: with q logs it is final.
    fn raw_weight(known: &Known, state: &State, base: &Charter, proposal: &Proposal<'_>) -> u32 {
        let acts = proposal.acts.iter();
        let people: BTreeSet<&str> =
            acts.filter_map(|seen| state.restrainer(known, seen.act.signer())).collect();
        people.into_iter().map(|person| weight(base, person)).fold(0, u32::saturating_add)
    }

    fn is_settled(
        &self,
        known: &Known,
        state: &State,
        base: &CharterId,
        next: &CharterId,
        proposal: &Proposal<'_>,
    ) -> bool {
        let (Some(charter), Some((previous, _))) =
            (known.version(base), Self::follows(known, base, next))
        else {
            return false;
        };
        Self::raw_weight(known, state, charter, proposal) >= charter.governors.quorum
            && self.logs(charter, previous, *next) >= log_quorum(charter)
    }

    /// True when q logs acknowledged a resolving version after `next`.
    fn is_passed_over(&self, fold: &Fold<'_>, base: &CharterId, next: &CharterId) -> bool {
        amendments(&fold.open, *base).any(|(other, proposal)| {
            let follows = Self::follows(fold.known, base, &other);
            follows == Some((*next, true))
                && self.is_settled(fold.known, &fold.state, base, &other, proposal)
        })
    }

    pub(super) fn judge(
        &self,
        fold: &Fold<'_>,
        (base, next): (&CharterId, &CharterId),
        proposal: &Proposal<'_>,
        t: Timestamp,
    ) -> Judged {
        let no = Judged { met: false, wait_ms: 0, settled: false, weight: 0 };
        let (Some(charter), Some(_)) =
            (fold.known.version(base), Self::follows(fold.known, base, next))
        else {
            return no;
        };
        if !fold.state.path.contains(base) {
            return no;
        }
        let tightens = self.classes.get(&(*base, *next)).is_some_and(Vec::is_empty);
        let since = proposal.met_since.unwrap_or(t);
        let voices: BTreeSet<&str> = proposal
            .acts
            .iter()
            .filter_map(|seen| {
                if tightens {
                    tightening_voice(fold, charter, seen, since)
                } else {
                    fold.voice(charter, seen, since, t)
                }
            })
            .filter(|person| !self.excluded.contains(&(*base, (*person).to_owned())))
            .collect();
        let weight =
            voices.into_iter().map(|person| weight(charter, person)).fold(0, u32::saturating_add);
        let settled = self.is_settled(fold.known, &fold.state, base, next, proposal)
            && !self.is_passed_over(fold, base, next);
        let met = weight >= charter.governors.quorum || (tightens && settled);
        let wait_ms = if tightens { 0 } else { charter.governors.loosening_ms };
        Judged { met, wait_ms, settled, weight }
    }

    /// The chain from birth to the version in force.
    pub(super) fn walk(
        &self,
        known: &Known,
        state: &State,
        open: &BTreeMap<Question, Proposal<'_>>,
    ) -> Vec<CharterId> {
        let mut path = vec![known.birth()];
        let mut base = known.birth();
        while let Some(next) =
            self.step(known, state, open, base).filter(|next| !path.contains(next))
        {
            path.push(next);
            base = next;
        }
        path
    }

    fn step(
        &self,
        known: &Known,
        state: &State,
        open: &BTreeMap<Question, Proposal<'_>>,
        base: CharterId,
    ) -> Option<CharterId> {
        let asked = amendments(open, base).filter_map(|(next, proposal)| {
            let (previous, resolves) = Self::follows(known, &base, &next)?;
            let settled = self.is_settled(known, state, &base, &next, proposal);
            Some((next, previous, resolves, settled, proposal))
        });
        let asked: Vec<_> = asked.collect();
        let direct = asked.iter().find(|(_, _, resolves, settled, _)| !resolves && *settled);
        let resolving = asked.iter().find(|(_, previous, resolves, settled, _)| {
            *resolves && *settled && direct.is_none_or(|(next, ..)| next == previous)
        });
        // Once the successor that it passes over is in force, nothing passes over it.
        let in_force = direct.filter(|(.., proposal)| proposal.done);
        if let Some((next, ..)) = in_force {
            return Some(*next);
        }
        if let Some((next, .., proposal)) = resolving.or(direct) {
            return proposal.done.then_some(*next);
        }
        let tightening = asked.iter().find(|(next, _, resolves, _, proposal)| {
            let tightens = self.classes.get(&(base, *next)).is_some_and(Vec::is_empty);
            !resolves && tightens && proposal.met_since.is_some()
        });
        tightening.map(|(next, ..)| *next)
    }

    /// What governors signed and is not in force.
    pub(super) fn pending(&self, fold: &Fold<'_>, now: Timestamp) -> Vec<Pending> {
        let asked = fold.open.iter().filter_map(|(question, proposal)| match question {
            Question::Amend { base, next } if !fold.state.path.contains(next) => {
                let (previous, _) = Self::follows(fold.known, base, next)?;
                let charter = fold.known.version(base)?;
                let judged = self.judge(fold, (base, next), proposal, now);
                let effect = |since: Timestamp| since.saturating_add_ms(judged.wait_ms);
                Some(Pending {
                    base: *base,
                    next: *next,
                    previous,
                    loosens: self.classes.get(&(*base, *next)).cloned().unwrap_or_default(),
                    weight: judged.weight,
                    quorum: charter.governors.quorum,
                    met_since: proposal.met_since,
                    effect_at: proposal.met_since.map(effect),
                    logs: self.logs(charter, previous, *next),
                    log_quorum: log_quorum(charter),
                })
            }
            _ => None,
        });
        asked.collect()
    }
}

/// What is asked to follow `base`.
fn amendments<'b, 'a>(
    open: &'b BTreeMap<Question, Proposal<'a>>,
    base: CharterId,
) -> impl Iterator<Item = (CharterId, &'b Proposal<'a>)> {
    let first = Question::Amend { base, next: CharterId([0; 32]) };
    let last = Question::Amend { base, next: CharterId([0xff; 32]) };
    open.range(first..=last).filter_map(|(question, proposal)| match question {
        Question::Amend { next, .. } => Some((*next, proposal)),
        _ => None,
    })
}

/// A voice for a tightening is not taken back: only a credential that was revoked before the voices sufficed is none.
fn tightening_voice<'b>(
    fold: &Fold<'_>,
    base: &Charter,
    seen: &'b Seen,
    since: Timestamp,
) -> Option<&'b str> {
    let (person, credential) = person_of(seen.act.signer())?;
    let listed = base.person(person)?;
    let in_time = seen.at <= since && since < seen.act().expires_at && since < listed.expires_at;
    let revoked = fold.state.revoked.get(&(person.to_owned(), credential.clone()));
    let good = fold.state.is_his(fold.known, person, credential)
        && revoked.is_none_or(|revoked| *revoked > since);
    (in_time && good).then_some(person)
}
