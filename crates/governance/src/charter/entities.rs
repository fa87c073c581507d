//! Who counts as one: operators that are related, and the logs that count.
//!
//! Relatedness is symmetric and transitive: whoever names whom, one chain of names makes one entity.

use model::charter::{Charter, NodePlace, NodeRole, Operator, SosRules};
use model::ids::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// An entity: ids of related operators; at least one.
pub type Entity<'c> = BTreeSet<&'c str>;

/// Operators joined by relatedness. Those that the owner names are one entity with it.
pub fn entities(charter: &Charter) -> Vec<Entity<'_>> {
    let mut found: Vec<Entity<'_>> = Vec::new();
    let by_owner: Entity<'_> = charter.owner.related.iter().map(String::as_str).collect();
    let own =
        |operator: &Operator| operator.related.iter().any(|id| by_owner.contains(id.as_str()));
    for operator in &charter.operators {
        let mut joined: Entity<'_> = operator.related.iter().map(String::as_str).collect();
        joined.insert(&operator.id);
        if by_owner.contains(operator.id.as_str()) || own(operator) {
            joined.extend(by_owner.iter().copied());
        }
        let (touching, mut apart): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|entity| !entity.is_disjoint(&joined));
        joined.extend(touching.into_iter().flatten());
        apart.push(joined);
        found = apart;
    }
    found
}

/// The owner with all operators that are related to it; empty when none is.
pub fn owner_entity(charter: &Charter) -> Entity<'_> {
    let named: BTreeSet<&str> = charter.owner.related.iter().map(String::as_str).collect();
    let touches = |entity: &Entity<'_>| !entity.is_disjoint(&named);
    entities(charter).into_iter().find(touches).unwrap_or_default()
}

/// Nodes of an entity in one role.
pub fn seats(charter: &Charter, entity: &Entity<'_>, role: NodeRole) -> usize {
    charter.nodes(role).filter(|(operator, _)| entity.contains(operator.id.as_str())).count()
}

/// The fewest entities whose regular nodes reach `seats`; `None` when all together do not.
pub fn fewest_entities(charter: &Charter, seats_wanted: usize) -> Option<usize> {
    let mut sizes: Vec<usize> =
        entities(charter).iter().map(|entity| seats(charter, entity, NodeRole::Regular)).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let mut sum = 0usize;
    for (index, size) in sizes.iter().enumerate() {
        sum = sum.saturating_add(*size);
        if sum >= seats_wanted {
            return Some(index.saturating_add(1));
        }
    }
    None
}

/// Entities whose logs count: one log each, among SOS nodes, hot guardians and observers; a vault without rescue rules
/// counts its regular nodes and observers.
pub fn counting_logs(charter: &Charter) -> Vec<Entity<'_>> {
    let counts =
        |operator: &Operator| operator.nodes.iter().any(|place| keeps_counting_log(charter, place));
    let with: BTreeMap<&str, bool> =
        charter.operators.iter().map(|one| (one.id.as_str(), counts(one))).collect();
    let all = entities(charter).into_iter();
    all.filter(|entity| entity.iter().any(|id| with.get(id) == Some(&true))).collect()
}

/// True when the log of this node may stand for its entity. Cold guardians keep none.
fn keeps_counting_log(charter: &Charter, place: &NodePlace) -> bool {
    let cold = |rules: &SosRules| rules.cold.contains(&place.node);
    match place.role {
        NodeRole::Observer => true,
        NodeRole::Regular => charter.sos.is_none(),
        NodeRole::Sos => charter.sos.is_some(),
        NodeRole::Guardian => charter.sos.as_ref().is_some_and(|rules| !cold(rules)),
    }
}

/// The one node of each counting entity whose acknowledgements are the entity's: its first in the charter's order.
pub fn counting_nodes(charter: &Charter) -> BTreeSet<NodeId> {
    let first = |entity: Entity<'_>| {
        let own = charter.operators.iter().filter(|one| entity.contains(one.id.as_str()));
        let mut places = own.flat_map(|operator| &operator.nodes);
        places.find(|place| keeps_counting_log(charter, place)).map(|place| place.node)
    };
    counting_logs(charter).into_iter().filter_map(first).collect()
}

/// Acknowledgements that settle a question: q = ceil((n+f+1)/2).
pub fn log_quorum(charter: &Charter) -> usize {
    let n = counting_logs(charter).len();
    let sum = n.saturating_add(usize::from(charter.log.traitors)).saturating_add(1);
    sum.div_ceil(2)
}
