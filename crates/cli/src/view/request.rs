//! Requests.

use super::{intent, table};
use model::api::{RequestView, VaultView};

/// One request: what the nodes read, what each said, what came of it.
pub(crate) fn one(request: &RequestView) -> String {
    let mut lines = vec![format!(
        "request {} ({} vault {}{}): {}",
        request.id,
        request.purpose,
        request.vault.short(),
        super::unaudited(request.purpose),
        state(request)
    )];
    lines.push(format!("  asked   {}", asked(request)));
    if let Some(decoded) = &request.intent {
        lines.extend(intent::full(decoded).lines().map(|line| format!("  {line}")));
    }
    lines.extend(verdicts(request).iter().map(|line| format!("  {line}")));
    if let Some(signed) = &request.signed {
        if let Some(txid) = &signed.txid {
            lines.push(format!("  id      {txid}"));
        }
        lines.push(format!("  signed  {}", signed.raw));
        lines.push(format!("  took    {}", super::duration_ms(signed.took_ms)));
    }
    if let Some(problem) = &request.problem {
        lines.push(format!("  why     {} [{}]", problem.message, problem.code));
        lines.extend(problem.hint.iter().map(|hint| format!("  next    {hint}")));
    }
    lines.join("\n")
}

/// Who wanted it: a program by its key, or a person.
fn asked(request: &RequestView) -> String {
    let node = request.entry.short();
    match &request.client {
        Some(client) => format!("by service key {client} of node {node}"),
        None => format!("by the operator of node {node}"),
    }
}

/// One line per node.
pub(crate) fn verdicts(request: &RequestView) -> Vec<String> {
    let said = request.verdicts.iter();
    said.map(|v| format!("{} says {}: {}", v.operator, v.verdict, v.reason)).collect()
}

fn state(request: &RequestView) -> &str {
    match request.state.as_str() {
        "refused" => "REFUSED, nothing was signed",
        "expired" => "expired, nobody signs it any more",
        other => other,
    }
}

/// All of a vault.
pub(crate) fn list(vault: &VaultView, requests: &[RequestView]) -> String {
    let mark = super::unaudited(vault.purpose);
    let head = format!("vault \"{}\" ({} vault{mark})", vault.name, vault.purpose);
    if requests.is_empty() {
        return format!("{head}: no requests yet");
    }
    let row = |r: &RequestView| {
        let does = r.intent.as_ref().map(|i| intent::sentences(i).join("; "));
        let why = r.problem.as_ref().map(|p| p.message.clone());
        let words = does.or(why).unwrap_or_default();
        vec![r.id.short(), r.state.clone(), words.lines().next().unwrap_or_default().to_owned()]
    };
    let rows: Vec<Vec<String>> = requests.iter().map(row).collect();
    format!("{head}\n{}", table::draw(&["REQUEST", "STATE", "WHAT"], &rows))
}
