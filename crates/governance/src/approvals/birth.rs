//! Has everybody agreed to the first version? Every node of the charter, and governors by their quorum.

use super::verify::{ActRefusal, Signer, verify_birth};
use model::charter::SignedCharter;
use model::ids::NodeId;
use model::time::Timestamp;
use std::collections::BTreeSet;

/// What a birth still lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacks {
    /// Sum of the weights of the governors who agreed.
    pub weight: u32,
    /// What it takes.
    pub quorum: u32,
    /// Nodes that did not.
    pub nodes: BTreeSet<NodeId>,
}

impl Lacks {
    /// True when the governors' quorum agreed.
    pub fn governors_agree(&self) -> bool {
        self.weight >= self.quorum
    }
    /// True when nobody is missing.
    pub fn is_nothing(&self) -> bool {
        self.governors_agree() && self.nodes.is_empty()
    }
}

/// Checks every signature under a charter that no vault has yet, and counts whose agreement stands at `now`. One that does
/// not hold refuses the whole.
pub fn birth_lacks(signed: &SignedCharter, now: Timestamp) -> Result<Lacks, ActRefusal> {
    let charter = &signed.charter;
    let (mut people, mut agreed) = (BTreeSet::new(), BTreeSet::new());
    for act in verify_birth(signed)? {
        if act.signed().act.expires_at <= now {
            continue;
        }
        match act.signer() {
            Signer::Person { person, .. } => drop(people.insert(person.clone())),
            Signer::Node(node) => drop(agreed.insert(*node)),
        }
    }
    let governors = charter.governors.members.iter().filter(|one| people.contains(&one.person));
    let weight = governors.fold(0u32, |sum, one| sum.saturating_add(one.weight));
    let places = charter.operators.iter().flat_map(|operator| &operator.nodes);
    let nodes = places.map(|place| place.node).filter(|node| !agreed.contains(node)).collect();
    Ok(Lacks { weight, quorum: charter.governors.quorum, nodes })
}
