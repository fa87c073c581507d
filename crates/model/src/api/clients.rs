//! JSON of service keys.

use crate::ids::VaultId;
use serde::{Deserialize, Serialize};

/// `POST /v1/clients` (operator): a service key for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewClient {
    /// A name for people.
    pub name: String,
    /// Vaults it may use; empty for none.
    pub vaults: Vec<VaultId>,
}

/// One service key, of `GET /v1/clients` (operator); its token is nowhere any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientView {
    /// Client id, hex.
    pub id: String,
    /// Its name for people; several may have the same.
    pub name: String,
    /// Vaults it may use.
    pub vaults: Vec<VaultId>,
    /// When it was made, in milliseconds since the epoch.
    pub created_at_ms: u64,
}

/// Answer to [`NewClient`]; the token is shown once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientToken {
    /// Client id, hex.
    pub id: String,
    /// Bearer token.
    pub token: String,
}
