//! One request, one outcome: every level from the leaf to the root, every operation, the strictest word wins.

mod ask;

use self::ask::Ask;
use super::cedar::Policies;
use super::limits::{Charge, Ledger};
use super::operation::Operation;
use crate::standing::{MissingPart, Supporters, met};
use model::charter::{Charter, Effect, Level, Rule};
use model::hd::DerivationPath;
use model::ids::RequestId;
use model::intent::Network;
use model::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Members of each group now.
pub type Groups = BTreeMap<String, BTreeSet<String>>;

/// All that a decision depends on. Two nodes with equal questions decide alike.
pub struct Question<'a> {
    /// The charter version in force.
    pub charter: &'a Charter,
    /// Its policies.
    pub policies: &'a Policies,
    /// The request.
    pub request: RequestId,
    /// Its chain.
    pub network: Network,
    /// The path that pays.
    pub path: &'a DerivationPath,
    /// What it does.
    pub operations: &'a [Operation],
    /// Person or service that asks, as a signature of his proves; empty where nobody signed for asking.
    pub initiator: &'a str,
    /// Members of groups now, expired delegations left out.
    pub groups: &'a Groups,
    /// Is this address in the book of this level now?
    pub book: &'a dyn Fn(&str, Network, &str) -> bool,
    /// Is this an address of this vault?
    pub own: &'a dyn Fn(&str) -> bool,
    /// Frozen levels.
    pub frozen: &'a BTreeSet<String>,
    /// Who approved this request, by level, each with the groups that he counts for.
    pub approved: &'a BTreeMap<String, Supporters>,
    /// Who said no to it.
    pub rejected: &'a BTreeSet<String>,
    /// When this node first held every approval that a row demands, by row.
    pub complete_since: &'a BTreeMap<String, Timestamp>,
    /// What limits have been used.
    pub ledger: &'a Ledger,
    /// Regular nodes, and how many sign.
    pub nodes: (u16, u16),
    /// Regular nodes whose reservations for this request are held, this node counted.
    pub reserved: u16,
    /// Now.
    pub now: Timestamp,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Sign.
    Allow,
    /// Refuse.
    Deny {
        /// Stable name.
        code: &'static str,
        /// The rule that decided, if one did.
        rule: Option<String>,
        /// In words.
        reason: String,
    },
    /// People must approve first.
    NeedsApprovals(Vec<Missing>),
    /// Approved, but a waiting time runs.
    Wait {
        /// Until when.
        until: Timestamp,
        /// The row.
        rule: String,
        /// Group whose members may stop it meanwhile; empty for none.
        stop_group: String,
    },
}

/// Approvals that a row lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Level of the row.
    pub level: String,
    /// The row.
    pub rule: String,
    /// Every inner list needs one of its parts.
    pub parts: Vec<Vec<MissingPart>>,
    /// Who approved there already.
    pub have: Vec<String>,
}

/// What a row said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowVerdict {
    /// The row, or an expert policy's id.
    pub rule: String,
    /// What it does.
    pub effect: Effect,
}

/// What a level said of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelVerdict {
    /// The level.
    pub level: String,
    /// Which operation.
    pub operation: usize,
    /// Rows that fit.
    pub rows: Vec<RowVerdict>,
}

/// The outcome with what led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What follows.
    pub outcome: Outcome,
    /// Rows that allowed, one for each operation.
    pub allowed_by: Vec<String>,
    /// Rows whose approvals are complete but whose waiting time may run: to be remembered as complete from now on.
    pub complete: BTreeSet<String>,
    /// What to charge if the request is signed.
    pub charges: Vec<Charge>,
    /// What each level said.
    pub levels: Vec<LevelVerdict>,
}

fn deny(code: &'static str, rule: Option<String>, reason: impl Into<String>) -> Outcome {
    Outcome::Deny { code, rule, reason: reason.into() }
}

/// How one operation fares.
enum Step {
    Allowed(String),
    Pending(Outcome),
    Denied(Outcome),
}

impl Question<'_> {
    /// Decides.
    pub fn decide(&self) -> Verdict {
        let mut verdict = Verdict {
            outcome: Outcome::Allow,
            allowed_by: Vec::new(),
            complete: BTreeSet::new(),
            charges: Vec::new(),
            levels: Vec::new(),
        };
        let chain = chain_of(self.charter, self.path);
        verdict.outcome = match self.before_rules(&chain) {
            Some(denied) => denied,
            None => self.all_operations(&chain, &mut verdict),
        };
        if !matches!(verdict.outcome, Outcome::Allow) {
            verdict.charges.clear();
        }
        verdict
    }

    /// What no rule can lift.
    fn before_rules(&self, chain: &[&Level]) -> Option<Outcome> {
        if chain.is_empty() {
            return Some(deny(
                "no_level",
                None,
                format!("no level of the charter has path {}", self.path),
            ));
        }
        if let Some(level) = chain.iter().find(|level| self.frozen.contains(&level.id)) {
            return Some(deny("frozen", None, format!("level {} is frozen", level.id)));
        }
        if self.operations.is_empty() {
            return Some(deny("no_rule", None, "the request does nothing that a rule could allow"));
        }
        None
    }

    fn all_operations(&self, chain: &[&Level], verdict: &mut Verdict) -> Outcome {
        let mut pending = Vec::new();
        let mut wait: Option<Outcome> = None;
        for (number, operation) in self.operations.iter().enumerate() {
            match self.one_operation(chain, number, operation, verdict) {
                Step::Denied(outcome) => return outcome,
                Step::Allowed(rule) => verdict.allowed_by.push(rule),
                Step::Pending(Outcome::NeedsApprovals(missing)) => pending.extend(missing),
                Step::Pending(outcome) => wait = later(wait, outcome),
            }
        }
        if !pending.is_empty() {
            return Outcome::NeedsApprovals(pending);
        }
        wait.unwrap_or(Outcome::Allow)
    }

    fn one_operation(
        &self,
        chain: &[&Level],
        number: usize,
        operation: &Operation,
        verdict: &mut Verdict,
    ) -> Step {
        let mut permits = Vec::new();
        for level in chain {
            let asked = self.ask_level(chain, level, operation, &verdict.charges, Ask::Verdict);
            let fitting = match asked {
                Ok(fitting) => fitting,
                Err(error) => {
                    let reason =
                        format!("level {}: a rule could not be evaluated: {error}", level.id);
                    return Step::Denied(deny("policy_error", None, reason));
                }
            };
            let rows = fitting.names.iter().map(|rule| RowVerdict {
                rule: rule.clone(),
                effect: if fitting.forbids { Effect::Forbid } else { Effect::Allow },
            });
            let (level_id, rows) = (level.id.clone(), rows.collect());
            verdict.levels.push(LevelVerdict { level: level_id, operation: number, rows });
            match (fitting.forbids, fitting.names.first()) {
                (true, Some(rule)) => return Step::Denied(self.forbidden(level, rule)),
                (true, None) => {
                    return Step::Denied(deny("policy_error", None, "a nameless rule forbids"));
                }
                (false, _) => permits.extend(fitting.names.into_iter().map(|name| (*level, name))),
            }
        }
        let step = self.best_permit(&permits, operation, verdict);
        match self.cap_charges(chain, operation, &verdict.charges) {
            Ok(charges) => verdict.charges.extend(charges),
            Err(error) => {
                let reason = format!("a cap could not be evaluated: {error}");
                return Step::Denied(deny("policy_error", None, reason));
            }
        }
        step
    }

    /// What the operation uses of the rolling caps that forbid rows of the chain put on it.
    fn cap_charges(
        &self,
        chain: &[&Level],
        operation: &Operation,
        before: &[Charge],
    ) -> Result<Vec<Charge>, String> {
        let caps = |rule: &&Rule| rule.effect == Effect::Forbid && !rule.limits.is_empty();
        let mut charges = Vec::new();
        for level in chain.iter().filter(|level| level.rules.iter().any(|rule| caps(&rule))) {
            let fitting = self.ask_level(chain, level, operation, before, Ask::Caps)?;
            let counted = level.rules.iter().filter(caps);
            let counted = counted.filter(|rule| fitting.names.contains(&rule.name));
            charges.extend(counted.flat_map(|rule| self.charges(rule, operation)));
        }
        Ok(charges)
    }

    /// A forbid that approvals would lift is a demand for approvals, unless it is refused by name.
    fn forbidden(&self, level: &Level, name: &str) -> Outcome {
        let rule = level.rules.iter().find(|rule| rule.name == name);
        if let Some(rule) = rule.filter(|rule| !rule.approvals.all.is_empty()) {
            return Outcome::NeedsApprovals(vec![self.missing(level, rule)]);
        }
        deny(
            "forbidden",
            Some(name.to_owned()),
            format!("rule {name} of level {} forbids it", level.id),
        )
    }

    /// Of the rows that permit, one that is complete; else what the first of them still needs.
    fn best_permit(
        &self,
        permits: &[(&Level, String)],
        operation: &Operation,
        verdict: &mut Verdict,
    ) -> Step {
        let mut best: Option<Outcome> = None;
        for (level, name) in permits {
            // An expert policy has no row: it permits as it stands.
            let Some(rule) = level.rules.iter().find(|rule| rule.name == *name) else {
                return Step::Allowed(name.clone());
            };
            match self.row(level, rule) {
                Outcome::Allow => {
                    verdict.complete.insert(name.clone());
                    verdict.charges.extend(self.charges(rule, operation));
                    return Step::Allowed(name.clone());
                }
                outcome @ Outcome::Wait { .. } => {
                    verdict.complete.insert(name.clone());
                    best = Some(outcome);
                }
                outcome => best = best.or(Some(outcome)),
            }
        }
        match best {
            Some(outcome @ Outcome::Deny { .. }) => Step::Denied(outcome),
            Some(outcome) => Step::Pending(outcome),
            None => {
                let reason = format!("no rule allows {}", operation.class.word());
                Step::Denied(deny("no_rule", None, reason))
            }
        }
    }

    fn row(&self, level: &Level, rule: &Rule) -> Outcome {
        let named = rule.approvals.all.iter().flatten().map(|part| &part.group);
        let mut voices = named.chain(Some(&rule.stop_group)).filter_map(|g| self.groups.get(g));
        let no = voices.find_map(|group| group.intersection(self.rejected).next());
        if let Some(person) = no {
            return deny("rejected", Some(rule.name.clone()), format!("{person} said no"));
        }
        if self.is_anonymous_to(rule) {
            let reason =
                "nobody signed for having asked, and whoever asked may not approve it himself";
            return deny("unknown_initiator", Some(rule.name.clone()), reason);
        }
        let missing = self.missing(level, rule);
        if !missing.parts.is_empty() {
            return Outcome::NeedsApprovals(vec![missing]);
        }
        if rule.wait_ms == 0 {
            return Outcome::Allow;
        }
        let since = self.complete_since.get(&rule.name).copied().unwrap_or(self.now);
        let until = since.saturating_add_ms(rule.wait_ms);
        if self.now >= until {
            return Outcome::Allow;
        }
        let (rule, stop_group) = (rule.name.clone(), rule.stop_group.clone());
        Outcome::Wait { until, rule, stop_group }
    }

    /// True when the row leaves out the asker's own approval and nobody knows who asked: one person could be both.
    fn is_anonymous_to(&self, rule: &Rule) -> bool {
        self.initiator.is_empty() && !rule.own_approval_counts && !rule.approvals.all.is_empty()
    }

    fn missing(&self, level: &Level, rule: &Rule) -> Missing {
        let nobody = Supporters::new();
        let who = self.approved.get(&level.id).filter(|_| !self.is_anonymous_to(rule));
        let who = who.unwrap_or(&nobody);
        let parts = met(&rule.approvals, who, self.initiator, rule.own_approval_counts).0;
        let have = who.keys().cloned().collect();
        Missing { level: level.id.clone(), rule: rule.name.clone(), parts, have }
    }
}

/// The later of two waits.
fn later(one: Option<Outcome>, other: Outcome) -> Option<Outcome> {
    let until = |outcome: &Outcome| match outcome {
        Outcome::Wait { until, .. } => *until,
        _ => Timestamp(0),
    };
    match one {
        Some(one) if until(&one) >= until(&other) => Some(one),
        _ => Some(other),
    }
}

/// The deepest level of a path.
pub fn level_of<'a>(charter: &'a Charter, path: &DerivationPath) -> Option<&'a Level> {
    chain_of(charter, path).first().copied()
}

/// The deepest level whose path is a prefix of `path`, then its ancestors up to the root.
fn chain_of<'a>(charter: &'a Charter, path: &DerivationPath) -> Vec<&'a Level> {
    let holds = |level: &&Level| level.paths.iter().any(|p| path.parts().starts_with(p.parts()));
    let leaf =
        charter.levels.iter().filter(holds).max_by_key(|level| level.id.matches('/').count());
    let Some(leaf) = leaf else { return Vec::new() };
    let mut chain = vec![leaf];
    let mut id = leaf.id.as_str();
    while let Some((parent, _)) = id.rsplit_once('/') {
        match charter.levels.iter().find(|level| level.id == parent) {
            Some(level) => chain.push(level),
            // A gap in the tree is no way around the level that is missing.
            None => return Vec::new(),
        }
        id = parent;
    }
    chain
}

#[cfg(test)]
mod tests;
