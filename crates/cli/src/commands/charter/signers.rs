//! Who agreed to a version, as far as this computer can check it by itself.

use governance::approvals::{ActRefusal, Known, verify_act, verify_birth};
use model::act::{Author, SignedAct};
use model::charter::{Charter, SignedCharter};
use model::ids::{NodeId, VaultId};
use std::collections::BTreeMap;

/// The vault and the version that an amendment follows; `None` at birth.
pub(super) type Before<'c> = Option<(VaultId, &'c Charter)>;

/// Checks one signature under a version.
pub(super) fn check(
    charter: &Charter,
    before: Before<'_>,
    signed: &SignedAct,
) -> Result<(), ActRefusal> {
    match before {
        None => {
            let signatures = vec![signed.clone()];
            verify_birth(&SignedCharter { charter: charter.clone(), signatures }).map(drop)
        }
        Some((vault, previous)) => {
            if signed.act.body != (model::act::Body::Amend { next: charter.id() }) {
                return Err(ActRefusal::UnknownVersion(charter.id()));
            }
            verify_act(signed, &Known::new(vault, previous.clone())).map(drop)
        }
    }
}

/// Who has signed, who has not, and signatures that do not count.
#[derive(Debug)]
pub(super) struct Standing {
    governors: Vec<(String, u32, bool)>,
    quorum: u32,
    nodes: Vec<(String, NodeId, bool)>,
    refused: Vec<(String, String)>,
    /// Signatures that need the version before to be checked.
    unchecked: usize,
}

/// At birth everything can be checked here; later versions need the version before.
pub(super) fn standing(signed: &SignedCharter) -> Standing {
    if signed.charter.version == 1 {
        return count(signed, None);
    }
    let nothing = SignedCharter { charter: signed.charter.clone(), signatures: Vec::new() };
    let unchecked = signed.signatures.len();
    Standing { unchecked, nodes: Vec::new(), ..count(&nothing, None) }
}

/// Counts signatures; those of one author count once.
pub(super) fn count(signed: &SignedCharter, before: Before<'_>) -> Standing {
    let charter = &signed.charter;
    let mut authors: BTreeMap<Author, ()> = BTreeMap::new();
    let mut refused = Vec::new();
    for one in &signed.signatures {
        match check(charter, before, one) {
            Ok(()) => drop(authors.insert(one.act.author.clone(), ())),
            Err(why) => {
                refused.push((name(&one.act.author), crate::error::chain(&why)));
            }
        }
    }
    let governing = before.map_or(charter, |(_, previous)| previous);
    let governors = governing.governors.members.iter().map(|one| {
        let signed = authors.contains_key(&Author::Person(one.person.clone()));
        (one.person.clone(), one.weight, signed)
    });
    // Operators' nodes agree at birth; later versions are the governors' and the logs' affair.
    let places = charter
        .operators
        .iter()
        .flat_map(|operator| operator.nodes.iter().map(|place| (operator.id.clone(), place.node)));
    let nodes = places.filter(|_| before.is_none()).map(|(operator, node)| {
        let signed = authors.contains_key(&Author::Node(node));
        (operator, node, signed)
    });
    Standing {
        governors: governors.collect(),
        quorum: governing.governors.quorum,
        nodes: nodes.collect(),
        refused,
        unchecked: 0,
    }
}

/// The author for people.
pub(super) fn name(author: &Author) -> String {
    match author {
        Author::Person(person) => person.clone(),
        Author::Node(node) => format!("node {}", node.short()),
    }
}

impl Standing {
    fn weight(&self) -> u32 {
        let signed = self.governors.iter().filter(|(_, _, signed)| *signed);
        signed.fold(0, |sum, (_, weight, _)| sum.saturating_add(*weight))
    }
    /// True when the governors' quorum and, at birth, every node agreed.
    pub(super) fn complete(&self) -> bool {
        let nodes = self.nodes.iter().all(|(_, _, signed)| *signed);
        self.unchecked == 0 && nodes && self.weight() >= self.quorum
    }
    /// For people.
    pub(super) fn lines(&self) -> Vec<String> {
        if self.unchecked > 0 {
            let count = self.unchecked;
            return vec![format!("{count} signatures; the version before is needed to check them")];
        }
        let mark = |signed: bool| if signed { "signed " } else { "missing" };
        let weight = self.weight();
        let mut lines =
            vec![format!("governors: weight {weight} of the {} that is needed", self.quorum)];
        lines.extend(self.governors.iter().map(|(person, weight, signed)| {
            format!("  {} {person} (weight {weight})", mark(*signed))
        }));
        lines.extend(self.nodes.iter().map(|(operator, node, signed)| {
            format!("  {} node {} of {operator}", mark(*signed), node.short())
        }));
        lines.extend(self.refused.iter().map(|(who, why)| format!("  REFUSED {who}: {why}")));
        lines
    }
    /// For programs.
    pub(super) fn json(&self) -> serde_json::Value {
        let refused = |(who, why): &(String, String)| serde_json::json!({"who": who, "why": why});
        serde_json::json!({
            "complete": self.complete(),
            "weight": self.weight(),
            "quorum": self.quorum,
            "governors": self.governors.iter().map(governor_json).collect::<Vec<_>>(),
            "nodes": self.nodes.iter().map(node_json).collect::<Vec<_>>(),
            "refused": self.refused.iter().map(refused).collect::<Vec<_>>(),
            "unchecked": self.unchecked,
        })
    }
}

fn governor_json((person, weight, signed): &(String, u32, bool)) -> serde_json::Value {
    serde_json::json!({"person": person, "weight": weight, "signed": signed})
}

fn node_json((operator, node, signed): &(String, NodeId, bool)) -> serde_json::Value {
    serde_json::json!({"operator": operator, "node": node, "signed": signed})
}
