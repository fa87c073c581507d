//! Under a charter: may this request be signed now? Every node asks itself, from the acts that it holds.
//!
//! Spec: `docs/spec/policy.md`. A request that lacks people waits at its entry node, which tells the others of it, so that
//! each shows it decoded by itself; it is looked at again when an act comes in or a wait is over. Invariants: P2 whatever
//! cannot be evaluated denies; P1 what people approved is what is signed ([`chains::Wanted`]).

use crate::engine::Engine;
use crate::governed::Governed;
use crate::journal::{Entry, Judged, bounded};
use crate::message::{Message, Proposal};
use crate::problem::{Class, Problem, refuse};
use chains::{Plan, Wanted};
use governance::policy::{Missing, Outcome, Question, Verdict, operations_in};
use governance::standing::{MissingPart, Opinions};
use model::act::Body;
use model::card::{SigningUse, verify_node_signature};
use model::charter::NodeRole;
use model::entropy::Entropy;
use model::ids::{NodeId, RequestId, VaultId};
use model::intent::Network;
use model::request::Request;
use model::time::Timestamp;
use model::wire::Wire;
use std::collections::{BTreeMap, BTreeSet};

/// A peer that lacks acts which this node has gets them meanwhile, milliseconds.
const SPREADING_MS: u64 = 500;
/// Codes of refusals that people or time will end.
pub(crate) const WAITING: [&str; 3] = ["needs_approvals", "needs_initiator", "waiting_time"];

/// A request that waits for people or time, at its entry node.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    /// Which of [`WAITING`].
    pub code: &'static str,
    /// In words.
    pub reason: String,
    /// When to look again at the latest.
    pub again: Timestamp,
}

impl Pending {
    /// To be looked at at once.
    pub fn at(again: Timestamp) -> Self {
        Self { code: "needs_approvals", reason: String::new(), again }
    }
}

/// Everything that a node finds about a request under a charter.
pub(crate) struct Finding {
    pub wanted: Wanted,
    pub digest: [u8; 32],
    pub opinions: Opinions,
    pub verdict: Verdict,
    /// The initiator whom the request names has not signed for it.
    pub unproven: bool,
    /// When it was found.
    pub at: Timestamp,
}

impl Engine {
    /// This node's finding; `None` for a vault without a charter.
    pub(crate) fn find(&self, request: &Request) -> Option<Result<Finding, Problem>> {
        let governed = self.governance.vault(&request.vault)?;
        Some(self.find_under(governed, request))
    }

    fn find_under(&self, governed: &Governed, request: &Request) -> Result<Finding, Problem> {
        let keeping = self.vaults.get(&request.vault);
        let keeping = keeping.ok_or_else(|| crate::views::unknown_vault(request.vault))?;
        let keys = &keeping.public.keys;
        let id = request.id();
        let wanted = chains::wanted(keys, request)?;
        let digest = wanted.digest(request);
        let standing = governed.standing();
        let charter = standing.in_force();
        let Some(policies) = governed.policies() else {
            let text = "the policies of the version in force cannot be evaluated";
            return Err(refuse(Class::Refused, "policy_error", text));
        };
        let opinions = standing.opinions(&governed.acts, &id, &digest);
        let unproven =
            !request.initiator.is_empty() && !opinions.asked.contains(&request.initiator);
        let rejected: BTreeSet<String> = opinions.rejections.values().flatten().cloned().collect();
        let frozen = standing.freezes().values().map(|freeze| freeze.level.clone()).collect();
        let own: BTreeSet<String> = charter
            .levels
            .iter()
            .filter_map(|level| level.recall_to.as_ref())
            .filter_map(|path| Some(chains::address(keys, request.network, path).ok()?.text))
            .collect();
        let nothing = BTreeMap::new();
        let regular = charter.nodes(NodeRole::Regular).count();
        let verdict = Question {
            charter,
            policies,
            request: id,
            network: request.network,
            path: &request.path,
            operations: &operations_in(&wanted.operations),
            initiator: if unproven { "" } else { &request.initiator },
            groups: governed.groups(),
            book: &|level: &str, network: Network, address: &str| {
                governed.is_in_book(level, network, address)
            },
            own: &|address: &str| own.contains(address),
            frozen: &frozen,
            approved: &opinions.approvals,
            rejected: &rejected,
            complete_since: governed.complete.get(&id).unwrap_or(&nothing),
            ledger: &governed.ledger,
            nodes: (u16::try_from(regular).unwrap_or(u16::MAX), charter.threshold),
            reserved: self.reserved(governed, &id, &digest),
            now: self.now,
        }
        .decide();
        Ok(Finding { wanted, digest, opinions, verdict, unproven, at: self.now })
    }

    /// Regular nodes whose reservations for the request are held, this one counted.
    fn reserved(&self, governed: &Governed, id: &RequestId, digest: &[u8; 32]) -> u16 {
        let charter = governed.standing().in_force();
        let regular: BTreeSet<NodeId> =
            charter.nodes(NodeRole::Regular).map(|(_, node)| node).collect();
        let mut nodes = BTreeSet::from([self.me]);
        for seen in governed.acts.of_request(id) {
            if let Body::Reserve { intent, .. } = &seen.act().body
                && intent == digest
                && let governance::approvals::Signer::Node(node) = seen.act.signer()
                && regular.contains(node)
            {
                nodes.insert(*node);
            }
        }
        u16::try_from(nodes.len()).unwrap_or(u16::MAX)
    }

    /// True for a request of a vault under a charter.
    pub(crate) fn is_governed(&self, id: RequestId) -> bool {
        let state = self.state.requests.get(&id);
        state.is_some_and(|state| self.governance.vault(&state.request.vault).is_some())
    }

    /// The decision: what to write down, or why not now. `None` for a vault without a charter.
    pub(crate) fn judge(&self, request: &Request) -> Option<Result<Box<Judged>, Problem>> {
        let governed = self.governance.vault(&request.vault)?;
        let found = self.find_under(governed, request);
        Some(found.and_then(|finding| judged(governed, request, finding)))
    }

    /// Judges a proposal: people's words are about what is wanted, so the bytes must mean exactly that. Bytes that pay
    /// nobody and take the place of bytes that this node decided on before need nobody's word.
    pub(crate) fn judge_proposal(
        &self,
        proposal: &Proposal,
        plan: &Plan,
    ) -> Option<Result<Option<Box<Judged>>, Problem>> {
        let request = &proposal.request;
        let governed = self.governance.vault(&request.vault)?;
        let decided = self.state.requests.get(&request.id()).is_some_and(|s| s.decided.is_some());
        let cancels = chains::is_cancel(&proposal.fill);
        if cancels && decided {
            return Some(Ok(None));
        }
        let found = self.find_under(governed, request);
        Some(found.and_then(|finding| match finding.wanted.is_meant_by(&plan.intent) {
            true => judged(governed, request, finding).map(Some),
            false if cancels => {
                let text = "nothing was decided yet, so there is nothing to cancel";
                Err(refuse(Class::Refused, "not_replaceable", text))
            }
            false => {
                let text = "the bytes do not mean what was asked for and approved";
                Err(refuse(Class::Refused, "not_the_wanted", text))
            }
        }))
    }

    /// At the entry node: goes on with a request when everybody agrees, else lets it wait or refuses it.
    pub(crate) fn begin(&mut self, id: RequestId, entropy: &mut dyn Entropy) {
        let Some(state) = self.state.requests.get(&id) else { return };
        let over = state.signed.is_some() || state.refused.is_some();
        if over || !state.entered_here {
            self.pending.remove(&id);
            return;
        }
        let request = state.request.clone();
        self.governance.refresh(&request.vault, self.now);
        if self.now > request.expires_at {
            self.pending.remove(&id);
            let text = "the request expired before everybody agreed";
            return self.refuse_request(id, "expired", text);
        }
        match self.judge(&request) {
            Some(Err(problem)) if WAITING.contains(&problem.code) => {
                self.let_wait(id, &request, problem);
            }
            Some(Err(problem)) => {
                self.pending.remove(&id);
                self.refuse_request(id, problem.code, &problem.message);
            }
            None | Some(Ok(_)) => {
                self.pending.remove(&id);
                if self.drafts.contains_key(&id) {
                    return self.attempt(id, entropy);
                }
                if let Err(problem) = self.ask_chain(&request) {
                    self.refuse_request(id, problem.code, &problem.message);
                }
            }
        }
    }

    /// The request waits for people or time; the other members hear of it.
    pub(crate) fn let_wait(&mut self, id: RequestId, request: &Request, problem: Problem) {
        let again = problem.retry_ms.unwrap_or(u64::from(u32::MAX));
        let again = self.now.saturating_add_ms(again);
        let pending = Pending { code: problem.code, reason: bounded(&problem.message), again };
        let is_new = self.pending.insert(id, pending).is_none();
        if is_new {
            let message = self.asked(request);
            let members = self.members_of_vault(request.vault);
            self.send_all(members, &message);
            self.note_complete(request);
        }
        self.wake(id);
    }

    /// A peer does not agree yet: it may lack acts that are on their way, or have a wait of its own.
    pub(crate) fn wait_for_peer(&mut self, id: RequestId, code: &'static str, reason: &str) {
        let again = self.now.saturating_add_ms(SPREADING_MS);
        self.pending.insert(id, Pending { code, reason: bounded(reason), again });
        self.retries.remove(&id);
    }

    /// What tells a member of a request that waits here.
    fn asked(&self, request: &Request) -> Message {
        let signature = self.key.sign(SigningUse::Request, &request.to_bytes());
        Message::Asked(Box::new(request.clone()), signature)
    }

    fn members_of_vault(&self, vault: VaultId) -> Vec<NodeId> {
        let state = self.state.vaults.get(&vault);
        state.map(|state| state.plan.members.clone()).unwrap_or_default()
    }

    /// A peer that was away hears of what waits for people.
    pub(crate) fn tell_pending(&mut self, peer: NodeId) {
        let waiting: Vec<Request> = self
            .pending
            .keys()
            .filter_map(|id| self.state.requests.get(id).map(|state| state.request.clone()))
            .filter(|request| self.members_of_vault(request.vault).contains(&peer))
            .collect();
        for request in waiting {
            let message = self.asked(&request);
            self.send(peer, &message);
        }
    }

    /// A member tells of a request that waits for people.
    pub(crate) fn handle_asked(&mut self, peer: NodeId, request: Request, signature: &[u8; 64]) {
        let id = request.id();
        if self.state.requests.contains_key(&id) {
            return;
        }
        let name = self.name_of(peer);
        if !self.within_budget(peer, crate::budgets::Costly::Asked) {
            return self.warn_of(peer, "asked_too_often", format!("{name}: too many requests"));
        }
        let member = self.governance.vault(&request.vault).is_some()
            && self.members_of_vault(request.vault).contains(&peer);
        let bytes = request.to_bytes();
        let signed = request.entry == peer
            && verify_node_signature(peer, SigningUse::Request, &bytes, signature);
        let checked = match member && signed {
            true => self
                .check_times(&request)
                .and_then(|()| self.check_room())
                .and_then(|()| self.check_vault_share(&request)),
            false => {
                let text = "a request that is not its own, or of no vault of both";
                Err(refuse(Class::Forbidden, "entry_signature", text))
            }
        };
        if let Err(problem) = checked {
            let text = format!("{name} told of a request: {}", problem.message);
            return self.warn_of(peer, problem.code, text);
        }
        self.commit(Entry::Heard(Box::new(request.clone())));
        self.note_complete(&request);
    }

    /// Writes down since when everything is held that a row demands of people: its waiting time runs from then.
    pub(crate) fn note_complete(&mut self, request: &Request) {
        let Some(Ok(finding)) = self.find(request) else { return };
        let id = request.id();
        let known = self.governance.vault(&request.vault).and_then(|g| g.complete.get(&id));
        let fresh: Vec<String> = finding
            .verdict
            .complete
            .into_iter()
            .filter(|rule| known.is_none_or(|known| !known.contains_key(rule)))
            .collect();
        for rule in fresh {
            self.commit(Entry::Complete(request.vault, id, rule));
        }
    }

    /// Looks again at what waits: what an act touched at once, what the end of a wait may have changed at each tick.
    pub(crate) fn look_again(&mut self, is_tick: bool, entropy: &mut dyn Entropy) {
        let now = self.now;
        let changed = match is_tick {
            true => self.governance.refresh_all(now),
            false => self.governance.refresh_grown(now),
        };
        let touched = core::mem::take(&mut self.touched);
        if !is_tick && changed.is_empty() && touched.is_empty() {
            return;
        }
        for id in &touched {
            let request = self.state.requests.get(id).map(|state| state.request.clone());
            if let Some(request) = request {
                self.note_complete(&request);
            }
        }
        let of_changed = |id: &RequestId| {
            let state = self.state.requests.get(id);
            state.is_none_or(|state| changed.contains(&state.request.vault))
        };
        let due = |(id, pending): &(&RequestId, &Pending)| {
            pending.again <= now || touched.contains(id) || of_changed(id)
        };
        let due: Vec<RequestId> = self.pending.iter().filter(due).map(|(id, _)| *id).collect();
        for id in due {
            self.begin(id, entropy);
        }
    }
}

/// What to write down of a finding that allows.
fn judged(
    governed: &Governed,
    request: &Request,
    finding: Finding,
) -> Result<Box<Judged>, Problem> {
    if let Some(problem) = refusal(request, &finding) {
        return Err(problem);
    }
    let id = request.id();
    Ok(Box::new(Judged {
        vault: request.vault,
        request: id,
        charter: governed.standing().in_force_id(),
        acts: governed.acts.digest(&id),
        wanted: finding.digest,
        rules: finding.verdict.allowed_by,
        charges: finding.verdict.charges,
    }))
}

/// Why the request cannot be signed now, if so.
pub(crate) fn refusal(request: &Request, finding: &Finding) -> Option<Problem> {
    // Denied is denied, whoever may still sign for it; a row that wants a known asker is not the last word before he signed.
    match &finding.verdict.outcome {
        Outcome::Deny { code, rule, reason } if !finding.unproven => {
            let rule = rule.as_ref().map(|rule| format!(" (rule {rule})")).unwrap_or_default();
            return Some(refuse(Class::Refused, code, format!("{reason}{rule}")));
        }
        _ => {}
    }
    if finding.unproven {
        let text = format!("{} has not signed that he asks for it", request.initiator);
        return Some(refuse(Class::Unavailable, "needs_initiator", text));
    }
    match &finding.verdict.outcome {
        Outcome::Allow | Outcome::Deny { .. } => None,
        Outcome::NeedsApprovals(missing) => {
            let text = missing.iter().map(missing_text).collect::<Vec<_>>().join("; ");
            Some(refuse(Class::Unavailable, "needs_approvals", text))
        }
        Outcome::Wait { until, rule, stop_group } => {
            let stop = match stop_group.is_empty() {
                true => String::new(),
                false => format!("; anybody of {stop_group} may stop it until then"),
            };
            let text = format!("rule {rule} waits until {}{stop}", until.0);
            let left = until.ms_since(finding.at);
            Some(refuse(Class::Unavailable, "waiting_time", text).retry_after_ms(left))
        }
    }
}

/// `rule pay of treasury/desk: 1 more of risk, and 1 more of desk or 1 of board`
pub(crate) fn missing_text(missing: &Missing) -> String {
    let part = |part: &MissingPart| format!("{} more of {}", part.more, part.group);
    let clause = |parts: &Vec<MissingPart>| parts.iter().map(part).collect::<Vec<_>>().join(" or ");
    let parts = missing.parts.iter().map(clause).collect::<Vec<_>>().join(", and ");
    format!("rule {} of {}: {parts}", missing.rule, missing.level)
}
