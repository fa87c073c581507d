//! What everybody agreed to before round 1: the dealers are the members, all of them, and nobody else.

use crate::shares::{check_members, read_members, write_members};
use model::access::{AccessTree, TreeError};
use model::hash::tagged;
use model::ids::{CeremonyId, Epoch, NodeId, Seat};
use model::keys::Purpose;
use model::wire::{Reader, Wire, WireError, Writer, tags};
use std::collections::{BTreeMap, BTreeSet};

/// One key ceremony: every member deals over the whole tree and holds one seat of it.
///
/// # Security
/// A ceremony id is used once. A second run under the same plan would make honest members sign two broadcasts of one
/// round, which is evidence against them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Never used before.
    pub ceremony: CeremonyId,
    /// Test or live, for ever.
    pub purpose: Purpose,
    /// Epoch of the sharing that comes out.
    pub epoch: Epoch,
    /// Who can use the keys together.
    pub tree: AccessTree,
    /// Which node sits where; exactly the tree's seats.
    pub members: BTreeMap<Seat, NodeId>,
}

/// Why nobody can follow a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The access tree is none.
    #[error("the access tree is not valid")]
    Tree(#[from] TreeError),
    /// Seats without members, members without seats, or a node on two seats.
    #[error("the members do not fit the access tree")]
    Members(#[from] WireError),
    /// K5: a key that one node can use alone is a whole key.
    #[error("seat {0} alone could use the key")]
    Alone(u16),
}

impl Plan {
    /// Refuses plans that make no threshold key.
    pub fn check(&self) -> Result<(), PlanError> {
        self.tree.validate()?;
        check_members(&self.tree, &self.members)?;
        let alone = |seat: &&Seat| self.tree.satisfied_by(&BTreeSet::from([**seat]));
        match self.members.keys().find(alone) {
            Some(seat) => Err(PlanError::Alone(seat.0)),
            None => Ok(()),
        }
    }

    /// Stands in every signature, proof and hash of the ceremony: a message of another plan is none of ours.
    pub fn digest(&self) -> [u8; 32] {
        tagged("outlast/dkg/plan/v1", &[&self.to_bytes()])
    }

    pub(super) fn others(&self, me: Seat) -> BTreeSet<Seat> {
        self.members.keys().copied().filter(|seat| *seat != me).collect()
    }
}

impl Wire for Plan {
    fn write(&self, w: &mut Writer) {
        w.header(tags::DKG_PLAN, 1);
        w.fixed(&self.ceremony.0);
        self.purpose.write(w);
        w.u32(self.epoch.0);
        self.tree.write(w);
        write_members(w, &self.members);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.header(tags::DKG_PLAN, 1)?;
        let plan = Self {
            ceremony: CeremonyId(r.fixed()?),
            purpose: Purpose::read(r)?,
            epoch: Epoch(r.u32()?),
            tree: AccessTree::read(r)?,
            members: read_members(r)?,
        };
        plan.check().map_err(|_| WireError::Range("ceremony plan"))?;
        Ok(plan)
    }
}
