//! Plans of recent requests, kept so that one request is built and decoded once per node and not once per look.
//!
//! A plan is a pure function of keys, request and fill, so a kept one is the one that would be built again. The cache is
//! bounded, and an entry serves only the very fill that it was built from.

use chains::{Artefact, Plan, Refusal};
use model::ids::RequestId;
use model::keys::VaultKeys;
use model::request::{Fill, Request};
use model::signing::Signature;
use model::wire::Wire;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Plans kept at most.
const PLANS_MAX: usize = 512;
/// Bytes of plans kept at most, counted by what they grow from; the last one is always kept.
const PLANS_BYTES_MAX: usize = 32 * 1024 * 1024;

struct Kept {
    bytes: usize,
    fill: Fill,
    plan: Arc<Plan>,
    artefact: Option<(Vec<Signature>, Arc<Artefact>)>,
}

/// The plans.
#[derive(Default)]
pub(crate) struct Plans {
    kept: RefCell<BTreeMap<RequestId, Kept>>,
    order: RefCell<VecDeque<RequestId>>,
    bytes: Cell<usize>,
}

impl Plans {
    /// The plan of `(request, fill)`: kept, or built, decoded and checked now.
    pub fn plan(
        &self,
        keys: &VaultKeys,
        id: RequestId,
        request: &Request,
        fill: &Fill,
    ) -> Result<Arc<Plan>, Refusal> {
        if let Some(kept) = self.kept.borrow().get(&id).filter(|kept| kept.fill == *fill) {
            return Ok(Arc::clone(&kept.plan));
        }
        let plan = Arc::new(chains::build(keys, request, fill)?);
        self.keep(id, fill, Arc::clone(&plan));
        Ok(plan)
    }

    /// Unsigned bytes, what was decoded from them, and the finished artefact as bytes and as text: six times the first.
    fn keep(&self, id: RequestId, fill: &Fill, plan: Arc<Plan>) {
        let bytes = fill.to_bytes().len().saturating_add(plan.unsigned.len().saturating_mul(6));
        let kept = Kept { bytes, fill: fill.clone(), plan, artefact: None };
        self.bytes.set(self.bytes.get().saturating_add(bytes));
        match self.kept.borrow_mut().insert(id, kept) {
            Some(before) => self.bytes.set(self.bytes.get().saturating_sub(before.bytes)),
            None => self.order.borrow_mut().push_back(id),
        }
        self.trim();
    }

    /// The finished artefact of `(request, fill, signatures)`.
    pub fn artefact(
        &self,
        keys: &VaultKeys,
        id: RequestId,
        request: &Request,
        fill: &Fill,
        signatures: &[Signature],
    ) -> Result<Arc<Artefact>, Refusal> {
        let plan = self.plan(keys, id, request, fill)?;
        if let Some(kept) = self.kept.borrow().get(&id)
            && kept.fill == *fill
            && let Some((of, artefact)) = &kept.artefact
            && of == signatures
        {
            return Ok(Arc::clone(artefact));
        }
        let artefact = Arc::new(chains::finish(keys, request, &plan, signatures)?);
        if let Some(kept) = self.kept.borrow_mut().get_mut(&id) {
            kept.artefact = Some((signatures.to_vec(), Arc::clone(&artefact)));
        }
        Ok(artefact)
    }

    fn trim(&self) {
        let mut order = self.order.borrow_mut();
        let full =
            |plans: usize| plans > PLANS_MAX || (plans > 1 && self.bytes.get() > PLANS_BYTES_MAX);
        while full(order.len()) {
            let oldest = order.pop_front().and_then(|id| self.kept.borrow_mut().remove(&id));
            let bytes = oldest.map_or(0, |kept| kept.bytes);
            self.bytes.set(self.bytes.get().saturating_sub(bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::amount::Amount;
    use model::intent::{Fee, Intent, Network};
    use model::request::RawKind;

    fn plan(bytes: usize) -> Arc<Plan> {
        let fee = Fee { at_most: Amount::ZERO, detail: String::new() };
        Arc::new(Plan {
            network: Network::Evm(1),
            kind: RawKind::EvmMessage,
            intent: Intent {
                network: Network::Evm(1),
                format: String::new(),
                from: Vec::new(),
                operations: Vec::new(),
                fee,
                single_use: String::new(),
                notes: Vec::new(),
            },
            unsigned: vec![0; bytes],
            items: Vec::new(),
            spends: Vec::new(),
            fee_at_most: Amount::ZERO,
        })
    }

    /// Goal: what is kept is bounded in bytes and in number, and a plan that takes another's place is counted once.
    #[test]
    fn plans_are_kept_within_a_number_and_a_sum_of_bytes() {
        let check = |bytes: usize, rounds: u16, expected: usize| {
            let plans = Plans::default();
            for number in (0..rounds).chain(0..rounds) {
                let mut id = [0; 32];
                id[..2].copy_from_slice(&number.to_be_bytes());
                plans.keep(RequestId(id), &Fill::Nothing, plan(bytes));
            }
            assert_eq!(plans.kept.borrow().len(), expected, "{rounds} of {bytes} bytes");
            let sum: usize = plans.kept.borrow().values().map(|kept| kept.bytes).sum();
            assert_eq!(plans.bytes.get(), sum);
        };
        check(100, 1_000, PLANS_MAX);
        check(PLANS_BYTES_MAX / 6 / 10, 100, 10);
        check(PLANS_BYTES_MAX, 3, 1);
        check(1_000, 3, 3);
    }
}
