//! Ceremonies.

use super::table;
use model::api::CeremonyView;
use model::keys::Purpose;

/// The plan as every operator sees it.
pub(crate) fn one(ceremony: &CeremonyView) -> String {
    let mut lines = vec![
        format!(
            "ceremony {}: {} vault \"{}\"{}, {} of {} sign together",
            ceremony.id.short(),
            ceremony.purpose,
            ceremony.name,
            super::unaudited(ceremony.purpose),
            ceremony.threshold,
            ceremony.members.len()
        ),
        format!("  six words of the plan: {}", ceremony.words),
    ];
    if ceremony.purpose == Purpose::Live {
        lines.push(
            "  warning: nobody audited this yet (SECURITY.md): put no real money into it"
                .to_owned(),
        );
    }
    lines.extend(ceremony.members.iter().map(|member| {
        let yes = if member.joined { "said yes" } else { "has not said yes yet" };
        format!("  {} (node {}) {yes}", member.operator, member.node.short())
    }));
    lines.push(format!("  {}", state(ceremony)));
    lines.extend(culprit(ceremony));
    lines.join("\n")
}

fn culprit(ceremony: &CeremonyView) -> Option<String> {
    let node = ceremony.culprit?;
    let member = ceremony.members.iter().find(|member| member.node == node)?;
    Some(format!(
        "  proven: {} broke the protocol; the proof: `outlast ceremony evidence {} --out FILE`",
        member.operator,
        ceremony.id.short()
    ))
}

fn state(ceremony: &CeremonyView) -> String {
    match (ceremony.state.as_str(), &ceremony.vault, &ceremony.failure) {
        ("done", Some(vault), _) => format!(
            "done: vault {vault} ({} vault{})",
            ceremony.purpose,
            super::purpose_warning(ceremony.purpose)
        ),
        ("failed", _, Some(why)) => format!("FAILED, no vault was made: {why}"),
        ("waiting", ..) => {
            format!("waiting: each operator runs `outlast ceremony join {}`", ceremony.id.short())
        }
        (other, ..) => other.to_owned(),
    }
}

/// All of them.
pub(crate) fn list(ceremonies: &[CeremonyView]) -> String {
    if ceremonies.is_empty() {
        return "no ceremonies: `outlast ceremony start` proposes one".to_owned();
    }
    let row = |c: &CeremonyView| {
        let signs = format!("{} of {}", c.threshold, c.members.len());
        vec![c.id.short(), c.name.clone(), c.purpose.to_string(), signs, c.state.clone()]
    };
    let rows: Vec<Vec<String>> = ceremonies.iter().map(row).collect();
    table::draw(&["CEREMONY", "NAME", "TEST/LIVE", "SIGN", "STATE"], &rows)
}
