//! JSON of charters, acts and approvals.

use crate::ids::{ActId, CharterId, RequestId, VaultId};
use crate::intent::Operation;
use serde::{Deserialize, Serialize};

/// `POST /v1/ceremonies/under`, `POST /v1/charters/agree`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CharterText {
    /// A signed charter in armor (`outlast charter sign` writes it).
    pub charter: String,
}

/// `POST /v1/vaults/{id}/acts`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAct {
    /// Canonical bytes of the signed act, hex.
    pub act: String,
}

/// Answer to [`NewAct`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActAccepted {
    /// The act's id.
    pub act: ActId,
}

/// `GET /v1/vaults/{id}/charter`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GovernanceView {
    /// The vault.
    pub vault: VaultId,
    /// Hash of the version in force.
    pub charter: CharterId,
    /// Its number.
    pub version: u32,
    /// Six words of its hash.
    pub words: String,
    /// The version in force, TOML.
    pub toml: String,
    /// The charter at birth with everybody's agreement, in armor.
    pub birth: String,
    /// Amendments that governors signed and that are not in force.
    pub pending: Vec<PendingView>,
    /// Freezes that stand.
    pub freezes: Vec<FreezeView>,
    /// How many acts this node holds.
    pub acts: u64,
}

/// An amendment that is not in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingView {
    /// Hash of the version.
    pub charter: CharterId,
    /// What it waits for, in words.
    pub state: String,
}

/// A freeze.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreezeView {
    /// The act, which whoever lifts it names.
    pub act: ActId,
    /// The level, with all below it.
    pub level: String,
    /// Who froze it.
    pub person: String,
    /// The level whose quorum lifts it.
    pub lifted_by: String,
    /// When it ends by itself.
    pub expires_at_ms: u64,
}

/// `GET /v1/vaults/{id}/acts`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActView {
    /// The act.
    pub act: ActId,
    /// `approve`, `reject`, `freeze`, …
    pub word: String,
    /// Person of the charter, or node.
    pub author: String,
    /// The request that it is about.
    pub request: Option<RequestId>,
    /// When this node held it.
    pub at_ms: u64,
    /// From when on it says nothing any more.
    pub expires_at_ms: u64,
    /// Canonical bytes of the signed act, hex.
    pub bytes: String,
}

/// What a node finds about a request under a charter, by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalView {
    /// The version in force.
    pub charter: CharterId,
    /// The deepest level of the paying path.
    pub level: String,
    /// Hash of what is wanted, hex: what an approval names.
    pub intent: String,
    /// Address that pays or signs.
    pub from: String,
    /// What the request wants, decoded by this node.
    pub operations: Vec<Operation>,
    /// Canonical bytes of the request, hex.
    pub request: String,
    /// Person who asks, if one is named.
    pub initiator: Option<String>,
    /// `allow`, `deny`, `needs_approvals`, `needs_initiator` or `waiting_time`.
    pub outcome: String,
    /// In words, with the rule that decided.
    pub reason: String,
    /// What each level said of each operation.
    pub levels: Vec<LevelView>,
    /// Who approved, per level.
    pub approved: Vec<LevelPeople>,
    /// Who said no, per level.
    pub rejected: Vec<LevelPeople>,
    /// Who is missing.
    pub missing: Vec<MissingView>,
    /// End of a waiting time, milliseconds since the epoch.
    pub wait_until_ms: Option<u64>,
}

/// What a level said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelView {
    /// The level.
    pub level: String,
    /// Which operation, from 0.
    pub operation: u64,
    /// Rows that fit: `allow pay`, `forbid cap`.
    pub rows: Vec<String>,
}

/// People at a level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelPeople {
    /// The level.
    pub level: String,
    /// The people.
    pub people: Vec<String>,
}

/// Whom a row still wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingView {
    /// Level of the row, at which they speak.
    pub level: String,
    /// The row.
    pub rule: String,
    /// In words: `1 more of risk, and 1 more of desk or 2 more of board`.
    pub people: String,
    /// Members of the groups that are named.
    pub candidates: Vec<String>,
}
