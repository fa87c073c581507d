//! The one JSON document of a tour, and its table of times.

use crate::cluster::Cluster;
use crate::view::{duration_ms, table};
use model::api::{AddressView, Problem, RequestView, VaultView};
use model::ids::NodeId;
use serde::Serialize;
use std::collections::BTreeMap;

/// What the tour made.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Document {
    /// `test`: nothing of it is real money.
    pub(crate) purpose: &'static str,
    /// Who takes part.
    pub(crate) nodes: Vec<Node>,
    /// The vault with its root keys.
    pub(crate) vault: Option<VaultView>,
    /// By path.
    pub(crate) addresses: BTreeMap<String, AddressView>,
    /// The three signatures.
    pub(crate) requests: Vec<Signed>,
    /// What was refused.
    pub(crate) refusals: Vec<Refused>,
    /// Milliseconds by step, in order.
    times_ms: Vec<(String, u64)>,
}

/// One node of the tour.
#[derive(Debug, Serialize)]
pub(crate) struct Node {
    name: String,
    operator: String,
    node: NodeId,
    card: String,
    words: String,
    endpoint: String,
    api: String,
}

/// One signed request.
#[derive(Debug, Serialize)]
pub(crate) struct Signed {
    /// `ethereum`, `bitcoin`, `solana`.
    pub(crate) chain: &'static str,
    /// As node A tells it; `signed.raw` is the transaction.
    pub(crate) request: RequestView,
    /// What a second library said.
    pub(crate) check: String,
    /// Bitcoin: the made-up transaction whose output is spent, hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) funding: Option<String>,
}

/// One refused request.
#[derive(Debug, Serialize)]
pub(crate) struct Refused {
    /// What was asked.
    pub(crate) asked: &'static str,
    /// What the node answered.
    pub(crate) problem: Problem,
}

impl Document {
    /// Notes the time of a step.
    pub(crate) fn took(&mut self, step: &str, ms: u64) {
        self.times_ms.push((step.to_owned(), ms));
    }
    /// Notes who the nodes are.
    pub(crate) fn nodes(&mut self, cluster: &Cluster) {
        self.purpose = "test";
        self.nodes = cluster
            .members
            .iter()
            .map(|member| Node {
                name: member.name.clone(),
                operator: member.operator.clone(),
                node: member.card.node,
                card: member.card.to_text(),
                words: member.words.clone(),
                endpoint: member.endpoint.clone(),
                api: member.api.clone(),
            })
            .collect();
    }
    /// The table of times for people.
    pub(crate) fn times(&self) -> String {
        let name = |step: &str| step.replace('_', " ");
        let rows: Vec<Vec<String>> =
            self.times_ms.iter().map(|(step, ms)| vec![name(step), duration_ms(*ms)]).collect();
        format!("\n{}\n", table::draw(&["WHAT", "TIME"], &rows))
    }
}
