//! Plans of recent requests, kept so that one request is built and decoded once per node and not once per look.
//!
//! A plan is a pure function of keys, request and fill, so a kept one is the one that would be built again. The cache is
//! bounded, and an entry serves only the very fill that it was built from.

use chains::{Artefact, Plan, Refusal};
use model::ids::RequestId;
use model::keys::VaultKeys;
use model::request::{Fill, Request};
use model::signing::Signature;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Plans kept at most.
const PLANS_MAX: usize = 512;

struct Kept {
    fill: Fill,
    plan: Arc<Plan>,
    artefact: Option<(Vec<Signature>, Arc<Artefact>)>,
}

/// The plans.
#[derive(Default)]
pub(crate) struct Plans {
    kept: RefCell<BTreeMap<RequestId, Kept>>,
    order: RefCell<VecDeque<RequestId>>,
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
        let kept = Kept { fill: fill.clone(), plan: Arc::clone(&plan), artefact: None };
        if self.kept.borrow_mut().insert(id, kept).is_none() {
            self.order.borrow_mut().push_back(id);
        }
        self.trim();
        Ok(plan)
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
        while order.len() > PLANS_MAX {
            if let Some(oldest) = order.pop_front() {
                self.kept.borrow_mut().remove(&oldest);
            }
        }
    }
}
