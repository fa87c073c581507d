//! What the API shows of charters, acts and approvals.

use crate::engine::Engine;
use crate::governed::Governed;
use crate::judge::{Finding, missing_text, refusal};
use crate::problem::Problem;
use crate::views::{hex, unknown_vault};
use governance::charter::{to_armor, to_toml};
use governance::policy::{LevelVerdict, Missing, Outcome, level_of};
use governance::standing::Pending;
use model::act::Author;
use model::api;
use model::charter::{Effect, SignedCharter};
use model::ids::VaultId;
use model::request::Request;
use model::wire::Wire;
use std::collections::{BTreeMap, BTreeSet};

/// Acts that one list shows at most, the latest.
const ACTS_SHOWN_MAX: usize = 1_000;

/// A charter under a ceremony.
pub(crate) fn ceremony_charter(signed: &SignedCharter) -> api::CeremonyCharter {
    let id = signed.charter.id();
    let words = model::words::six_words(id.as_bytes());
    api::CeremonyCharter { id, words, signed: to_armor(signed) }
}

impl Engine {
    fn governed(&self, vault: VaultId) -> Result<&Governed, Problem> {
        self.governance.vault(&vault).ok_or_else(|| unknown_vault(vault))
    }

    /// The charter of a vault, as it stands.
    pub(crate) fn governance_view(&self, vault: VaultId) -> Result<api::GovernanceView, Problem> {
        let governed = self.governed(vault)?;
        let standing = governed.standing();
        let charter = standing.in_force();
        let id = standing.in_force_id();
        let pending = |pending: &Pending| api::PendingView {
            charter: pending.next,
            state: in_words(pending),
        };
        let freezes = standing.freezes().iter().map(|(act, freeze)| api::FreezeView {
            act: *act,
            level: freeze.level.clone(),
            person: freeze.person.clone(),
            lifted_by: freeze.lifted_by.clone(),
            expires_at_ms: freeze.expires_at.0,
        });
        Ok(api::GovernanceView {
            vault,
            charter: id,
            version: charter.version,
            words: model::words::six_words(id.as_bytes()),
            toml: to_toml(charter),
            birth: to_armor(&governed.birth),
            pending: standing.pending().iter().map(pending).collect(),
            freezes: freezes.collect(),
            acts: u64::try_from(governed.acts.len()).unwrap_or(u64::MAX),
        })
    }

    /// The acts of a vault, latest first.
    pub(crate) fn act_views(&self, vault: VaultId) -> Result<Vec<api::ActView>, Problem> {
        let governed = self.governed(vault)?;
        let mut all: Vec<_> = governed.acts.iter().map(|(_, seen)| seen).collect();
        all.sort_by_key(|seen| std::cmp::Reverse((seen.at, seen.act.id())));
        let view = |seen: &governance::standing::Seen| {
            let act = seen.act();
            api::ActView {
                act: seen.act.id(),
                word: act.body.word().to_owned(),
                author: match &act.author {
                    Author::Person(person) => person.clone(),
                    Author::Node(node) => self.name_of(*node),
                },
                request: act.body.request(),
                at_ms: seen.at.0,
                expires_at_ms: act.expires_at.0,
                bytes: hex(&seen.act.signed().to_bytes()),
            }
        };
        Ok(all.into_iter().take(ACTS_SHOWN_MAX).map(view).collect())
    }

    /// What this node finds about a request; `None` without a charter, or where the request does not decode.
    pub(crate) fn approval_view(&self, request: &Request) -> Option<api::ApprovalView> {
        let governed = self.governance.vault(&request.vault)?;
        let finding = self.find(request)?.ok()?;
        let charter = governed.standing().in_force();
        let problem = refusal(request, &finding);
        let outcome = match (&finding.verdict.outcome, &problem) {
            (_, None) => "allow",
            (Outcome::Deny { .. }, Some(_)) if !finding.unproven => "deny",
            (_, Some(problem)) => problem.code,
        };
        let rules = finding.verdict.allowed_by.join(", ");
        Some(api::ApprovalView {
            charter: governed.standing().in_force_id(),
            level: level_of(charter, &request.path).map(|l| l.id.clone()).unwrap_or_default(),
            intent: hex(&finding.digest),
            from: finding.wanted.from.clone(),
            operations: finding.wanted.operations.clone(),
            request: hex(&request.to_bytes()),
            initiator: Some(request.initiator.clone()).filter(|person| !person.is_empty()),
            outcome: outcome.to_owned(),
            reason: problem.map_or_else(|| format!("allowed by {rules}"), |p| p.message),
            levels: finding.verdict.levels.iter().map(level_view).collect(),
            approved: approved(&finding),
            rejected: rejected(&finding),
            missing: missing(&finding, governed),
            wait_until_ms: match &finding.verdict.outcome {
                Outcome::Wait { until, .. } => Some(until.0),
                _ => None,
            },
        })
    }
}

/// What an amendment waits for.
fn in_words(pending: &Pending) -> String {
    let Pending { weight, quorum, logs, log_quorum, .. } = pending;
    if weight < quorum {
        return format!("governors: weight {weight} of {quorum}");
    }
    if logs < log_quorum {
        return format!("spreading: acknowledged by {logs} of {log_quorum} logs");
    }
    match pending.effect_at {
        Some(at) => format!("in force from {} on", at.0),
        None => "waiting".to_owned(),
    }
}

fn level_view(verdict: &LevelVerdict) -> api::LevelView {
    let row = |row: &governance::policy::RowVerdict| {
        let effect = match row.effect {
            Effect::Allow => "allow",
            Effect::Forbid => "forbid",
        };
        format!("{effect} {}", row.rule)
    };
    api::LevelView {
        level: verdict.level.clone(),
        operation: u64::try_from(verdict.operation).unwrap_or(u64::MAX),
        rows: verdict.rows.iter().map(row).collect(),
    }
}

fn people_of(levels: BTreeMap<&String, Vec<String>>) -> Vec<api::LevelPeople> {
    let view =
        |(level, people): (&String, Vec<String>)| api::LevelPeople { level: level.clone(), people };
    levels.into_iter().map(view).collect()
}

fn approved(finding: &Finding) -> Vec<api::LevelPeople> {
    let approvals = finding.opinions.approvals.iter();
    people_of(approvals.map(|(level, who)| (level, who.keys().cloned().collect())).collect())
}

fn rejected(finding: &Finding) -> Vec<api::LevelPeople> {
    let rejections = finding.opinions.rejections.iter();
    people_of(rejections.map(|(level, who)| (level, who.iter().cloned().collect())).collect())
}

fn missing(finding: &Finding, governed: &Governed) -> Vec<api::MissingView> {
    let Outcome::NeedsApprovals(missing) = &finding.verdict.outcome else { return Vec::new() };
    let view = |missing: &Missing| {
        let groups = missing.parts.iter().flatten().map(|part| &part.group);
        let people: BTreeSet<String> =
            groups.filter_map(|group| governed.groups().get(group)).flatten().cloned().collect();
        api::MissingView {
            level: missing.level.clone(),
            rule: missing.rule.clone(),
            people: missing_text(missing),
            candidates: people.into_iter().filter(|one| !missing.have.contains(one)).collect(),
        }
    };
    missing.iter().map(view).collect()
}
