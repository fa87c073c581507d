//! Vaults.

use super::table;
use model::api::{NodeView, VaultView};
use model::ids::NodeId;

/// One vault; `node` gives the operators' names, where it is known.
pub(crate) fn one(vault: &VaultView, node: Option<&NodeView>) -> String {
    let mut lines = vec![
        format!(
            "\"{}\" ({} vault{})",
            vault.name,
            vault.purpose,
            super::purpose_warning(vault.purpose)
        ),
        format!("  vault {}", vault.id),
        format!("  {} of {} sign together:", vault.threshold, vault.members.len()),
    ];
    lines.extend(vault.members.iter().map(|id| {
        format!("    {} (node {})", operator(*id, node).unwrap_or("another node"), id.short())
    }));
    lines.extend(
        vault
            .keys
            .iter()
            .map(|key| format!("  {:<8} root public key {}", key.kind, key.public_key)),
    );
    lines.join("\n")
}

fn operator(id: NodeId, node: Option<&NodeView>) -> Option<&str> {
    let node = node?;
    if node.node == id {
        return Some(&node.operator);
    }
    node.peers.iter().find(|peer| peer.node == id).map(|peer| peer.operator.as_str())
}

/// All of them.
pub(crate) fn list(vaults: &[VaultView]) -> String {
    if vaults.is_empty() {
        return "no vaults: `outlast ceremony start` makes one with the other operators".to_owned();
    }
    let row = |v: &VaultView| {
        let signs = format!("{} of {}", v.threshold, v.members.len());
        vec![v.name.clone(), v.purpose.to_string(), signs, v.id.to_string()]
    };
    let rows: Vec<Vec<String>> = vaults.iter().map(row).collect();
    table::draw(&["NAME", "TEST/LIVE", "SIGN", "VAULT"], &rows)
}
