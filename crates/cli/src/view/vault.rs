//! Vaults.

use super::table;
use model::api::{NodeView, VaultView};
use model::ids::NodeId;
use model::keys::Purpose;

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
    let table = table::draw(&["NAME", "TEST/LIVE", "SIGN", "VAULT"], &rows);
    match vaults.iter().any(|vault| vault.purpose == Purpose::Live) {
        true => format!("{table}\n(live vaults: not audited, see SECURITY.md)"),
        false => table,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{ceremony, request};
    use model::api::{CeremonyView, RequestView};
    use model::ids::{CeremonyId, RequestId, VaultId};

    fn screens(purpose: Purpose) -> [String; 6] {
        let vault = VaultView {
            id: VaultId([6; 32]),
            name: "v".into(),
            purpose,
            threshold: 2,
            members: vec![],
            epoch: 1,
            charter: None,
            keys: vec![],
        };
        let plan = |state: &str| CeremonyView {
            id: CeremonyId([2; 32]),
            words: "w".into(),
            purpose,
            name: "v".into(),
            threshold: 2,
            members: vec![],
            charter: None,
            state: state.into(),
            vault: Some(VaultId([6; 32])),
            failure: None,
            culprit: None,
        };
        let asked = RequestView {
            id: RequestId([5; 32]),
            vault: vault.id,
            purpose,
            state: "waiting".into(),
            intent: None,
            unsigned: None,
            verdicts: vec![],
            signed: None,
            problem: None,
            approval: None,
            entry: NodeId([1; 32]),
            client: None,
            created_at_ms: 1,
            expires_at_ms: 2,
        };
        [
            one(&vault, None),
            list(std::slice::from_ref(&vault)),
            ceremony::one(&plan("waiting")),
            ceremony::one(&plan("done")),
            request::one(&asked),
            request::list(&vault, &[]),
        ]
    }

    #[test]
    fn wherever_a_vault_is_named_live_it_is_said_that_nobody_audited_it() {
        for screen in screens(Purpose::Live) {
            assert!(
                screen.contains("live") && screen.contains("not audited, see SECURITY.md"),
                "{screen}"
            );
        }
        for screen in screens(Purpose::Test) {
            assert!(screen.contains("test") && !screen.contains("audited"), "{screen}");
        }
    }
}
