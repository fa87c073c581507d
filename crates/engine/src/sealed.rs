//! Names of the sealed values beside the journal.

use model::ids::{NodeId, VaultId};

/// Where a vault's public data with its chain codes is sealed.
pub(crate) fn vault_public_key(vault: VaultId) -> String {
    format!("vault/{vault}/public")
}

/// Where this node's share is sealed.
pub(crate) fn vault_share_key(vault: VaultId) -> String {
    format!("vault/{vault}/share")
}

/// Where the state of a pair is sealed.
pub(crate) fn pair_key(peer: NodeId) -> String {
    format!("pair/{peer}")
}
