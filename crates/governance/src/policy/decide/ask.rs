//! Asking Cedar for one level: what the question comes to in its words, and what the rows' numbers say.

use super::{Level, Question, Rule};
use crate::policy::cedar::{level_uid, uid};
use crate::policy::hours;
use crate::policy::limits::{Charge, LedgerKey, charge_of, share_of};
use crate::policy::operation::Operation;
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, Request as CedarRequest,
    RestrictedExpression,
};
use model::amount::Amount;
use model::charter::{Limit, LimitPer};
use model::intent::Network;

/// What is asked of a level.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// What it says.
    Verdict,
    /// Which caps count this operation: what it would forbid if every cap were exceeded and nobody had approved.
    Caps,
}

fn text_of(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

/// Rows of one level that fit.
pub(super) struct Fitting {
    pub(super) forbids: bool,
    pub(super) names: Vec<String>,
}

impl Question<'_> {
    /// Asks Cedar for one level's policies.
    pub(super) fn ask_level(
        &self,
        chain: &[&Level],
        level: &Level,
        operation: &Operation,
        before: &[Charge],
        ask: Ask,
    ) -> Result<Fitting, String> {
        let set = self.policies.levels.get(&level.id).ok_or("its policies are missing")?;
        let leaf = chain.first().ok_or("no level")?;
        let (principal, action, resource) = (
            uid("Person", self.initiator).ok_or("the initiator is no entity")?,
            uid("Action", operation.class.word()).ok_or("the operation is no action")?,
            level_uid(&leaf.id).ok_or("the level is no entity")?,
        );
        let context = self.context(chain, level, operation, before, ask)?;
        let request = CedarRequest::new(principal.clone(), action, resource, context, None)
            .map_err(|error| error.to_string())?;
        let entities = self.entities(chain, principal)?;
        let response = Authorizer::new().is_authorized(&request, set, &entities);
        // Cedar skips a policy that errs; a forbid that is skipped would permit (P2).
        if let Some(error) = response.diagnostics().errors().next() {
            return Err(error.to_string());
        }
        let mut names: Vec<String> =
            response.diagnostics().reason().map(ToString::to_string).collect();
        names.sort();
        let forbids = response.decision() == Decision::Deny && !names.is_empty();
        Ok(Fitting { forbids, names })
    }

    fn context(
        &self,
        chain: &[&Level],
        level: &Level,
        operation: &Operation,
        before: &[Charge],
        ask: Ask,
    ) -> Result<Context, String> {
        let capped = ask == Ask::Caps;
        let to = operation.to.as_deref().unwrap_or("");
        let at = chain.iter().position(|l| l.id == level.id).unwrap_or_default();
        // A level's book holds for the levels below it.
        let book = chain.get(at..).unwrap_or_default();
        let book = !to.is_empty() && book.iter().any(|l| (self.book)(&l.id, self.network, to));
        let names = |holds: &dyn Fn(&Rule) -> bool| {
            let held = level.rules.iter().filter(|rule| holds(rule));
            let held = held.map(|rule| RestrictedExpression::new_string(rule.name.clone()));
            RestrictedExpression::new_set(held)
        };
        let text = text_of;
        let selector = operation.selector.map(|s| format!("0x{:08x}", u32::from_be_bytes(s)));
        let pairs = [
            ("network", text(&self.network.to_string())),
            ("asset", text(&operation.asset)),
            ("symbols", RestrictedExpression::new_set(self.symbols_of(operation).map(text_of))),
            ("to", text(to)),
            ("selector", text(selector.as_deref().unwrap_or(""))),
            ("book", RestrictedExpression::new_bool(book)),
            ("own", RestrictedExpression::new_bool(!to.is_empty() && (self.own)(to))),
            ("within", names(&|rule| self.within(rule, operation, before))),
            ("exceeds", names(&|rule| capped || !self.within(rule, operation, before))),
            (
                "hours",
                names(&|rule| rule.hours.as_ref().is_some_and(|h| hours::within(h, self.now))),
            ),
            ("approved", names(&|rule| !capped && self.missing(level, rule).parts.is_empty())),
        ];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value));
        Context::from_pairs(pairs).map_err(|error| error.to_string())
    }

    /// Symbols of the charter's assets that the operation moves.
    fn symbols_of(&self, operation: &Operation) -> impl Iterator<Item = &str> {
        let same = |token: &str| match self.network {
            // Addresses of EVM chains differ in case by their checksum only.
            Network::Evm(_) => token.eq_ignore_ascii_case(&operation.asset),
            _ => token == operation.asset,
        };
        let assets = self.charter.assets.iter();
        assets
            .filter(move |a| a.network == self.network && same(&a.token))
            .map(|a| a.symbol.as_str())
    }

    fn entities(&self, chain: &[&Level], principal: EntityUid) -> Result<Entities, String> {
        let mut all = Vec::new();
        let mut parent = None;
        for level in chain.iter().rev() {
            let uid = level_uid(&level.id).ok_or("the level is no entity")?;
            all.push(Entity::new_no_attrs(uid.clone(), parent.into_iter().collect()));
            parent = Some(uid);
        }
        let mine = self.groups.iter().filter(|(_, members)| members.contains(self.initiator));
        let mine: Option<Vec<_>> = mine.map(|(group, _)| uid("Group", group)).collect();
        let mine = mine.ok_or("a group is no entity")?;
        let group = |uid: &EntityUid| Entity::new_no_attrs(uid.clone(), [].into_iter().collect());
        all.extend(mine.iter().map(group));
        all.push(Entity::new_no_attrs(principal, mine.into_iter().collect()));
        Entities::from_entities(all, None).map_err(|error| error.to_string())
    }

    /// True when the row's amount and every limit hold. What has no amount holds no bound.
    fn within(&self, rule: &Rule, operation: &Operation, before: &[Charge]) -> bool {
        if rule.amount_max.is_none() && rule.limits.is_empty() {
            return true;
        }
        let Some(amount) = operation.amount else { return false };
        if rule.amount_max.is_some_and(|max| amount > max) {
            return false;
        }
        let mine = self.charges(rule, operation);
        rule.limits.iter().zip(&mine).all(|(limit, charge)| {
            let (nodes, threshold) = self.nodes;
            let share = share_of(limit.amount, nodes, threshold);
            let earlier = before.iter().filter(|other| other.key == charge.key);
            let spent = self.ledger.spent(&charge.key, self.now, limit.window_ms, self.request);
            let sum = earlier
                .map(|other| other.amount)
                .try_fold(charge.amount, Amount::checked_add)
                .and_then(|sum| sum.checked_add(spent?));
            sum.is_some_and(|sum| sum <= share)
        })
    }

    /// What the operation would use of each limit of the row.
    pub(super) fn charges(&self, rule: &Rule, operation: &Operation) -> Vec<Charge> {
        let amount =
            charge_of(operation.amount.unwrap_or(Amount::MAX), self.reserved, self.nodes.1);
        let limits = rule.limits.iter().enumerate();
        let charge = |(number, limit): (usize, &Limit)| {
            let person = match limit.per {
                LimitPer::Level => None,
                LimitPer::Person => Some(self.initiator.to_owned()),
            };
            Charge { key: LedgerKey { rule: rule.name.clone(), limit: number, person }, amount }
        };
        limits.map(charge).collect()
    }
}
