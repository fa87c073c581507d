//! Which logs count, and how many of them settle a public question (DESIGN 1, "log quorum").

use model::charter::{Charter, NodeRole};
use model::ids::NodeId;
use std::collections::BTreeSet;

/// One log per legal entity, its first one in the charter's order: of SOS nodes, guardians and observers where the charter
/// has SOS nodes or guardians, else of regular nodes and observers.
pub fn counting_logs(charter: &Charter) -> BTreeSet<NodeId> {
    let has = |role| charter.nodes(role).next().is_some();
    let rescue = has(NodeRole::Sos) || has(NodeRole::Guardian);
    let counts = |role: NodeRole| match role {
        NodeRole::Regular => !rescue,
        NodeRole::Sos | NodeRole::Guardian | NodeRole::Observer => true,
    };
    let cold = charter.sos.iter().flat_map(|rules| &rules.cold).collect::<BTreeSet<_>>();
    let mut entities: BTreeSet<&str> = BTreeSet::new();
    let mut logs = BTreeSet::new();
    for operator in &charter.operators {
        let known = entities.contains(operator.id.as_str())
            || operator.related.iter().any(|other| entities.contains(other.as_str()));
        let mut places = operator.nodes.iter();
        let first = places.find(|place| counts(place.role) && !cold.contains(&place.node));
        if let (false, Some(first)) = (known, first) {
            logs.insert(first.node);
            entities.insert(&operator.id);
            entities.extend(operator.related.iter().map(String::as_str));
        }
    }
    logs
}

/// Of n counting logs with f possible traitors: q = ceil((n + f + 1) / 2), so that two quorums share an honest log.
pub fn log_quorum(charter: &Charter) -> usize {
    let n = counting_logs(charter).len();
    n.saturating_add(usize::from(charter.log.traitors)).saturating_add(2) / 2
}
