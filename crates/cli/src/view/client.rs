//! Service keys.

use super::table;
use model::api::{ClientView, VaultView};
use model::ids::VaultId;
use model::time::Timestamp;

/// To the second.
fn made(key: &ClientView) -> String {
    let ms = key.created_at_ms;
    governance::charter::date_text(Timestamp(ms.saturating_sub(ms % 1000)))
}

/// All of them; `vaults` gives the names.
pub(crate) fn list(keys: &[ClientView], vaults: &[VaultView]) -> String {
    if keys.is_empty() {
        return "no service keys: `outlast client add` makes one".to_owned();
    }
    let name = |id: &VaultId| {
        let known = vaults.iter().find(|vault| vault.id == *id);
        known.map_or_else(|| id.short(), |vault| vault.name.clone())
    };
    let row = |key: &ClientView| {
        let names: Vec<String> = key.vaults.iter().map(name).collect();
        vec![key.name.clone(), key.id.clone(), made(key), names.join(", ")]
    };
    let rows: Vec<Vec<String>> = keys.iter().map(row).collect();
    table::draw(&["NAME", "KEY", "MADE", "VAULTS"], &rows)
}
