//! A node and its peers.

use super::table;
use model::api::{ClockView, NodeView, PeerView};

/// The whole status.
pub(crate) fn status(node: &NodeView) -> String {
    let seal = if node.unsealed {
        "unsealed"
    } else {
        "SEALED: it cannot sign until `outlast node unseal`"
    };
    let mut lines = vec![
        format!("{} (node {}): {seal}", node.operator, node.node.short()),
        format!("  version {}   vaults {}   six words: {}", node.version, node.vaults, node.words),
    ];
    if node.peers.is_empty() {
        lines.push("  no peers yet: `outlast node trust CARD` adds one".to_owned());
    } else {
        let rows: Vec<Vec<String>> = node.peers.iter().map(row).collect();
        lines.push(table::draw(
            &["PEER", "NODE", "ENDPOINT", "LINK", "CLOCK", "SIGNS WITH US"],
            &rows,
        ));
    }
    lines.extend(node.warnings.iter().map(|w| format!("warning: {} [{}]", w.message, w.code)));
    lines.join("\n")
}

fn row(peer: &PeerView) -> Vec<String> {
    let link = if peer.connected { "up" } else { "down" };
    let signs = match (&peer.held, peer.pair.as_str()) {
        (Some(why), _) => format!("on hold: {why} (`outlast node release`)"),
        (None, "ready") => "yes".to_owned(),
        (None, "absent" | "making") => "getting ready".to_owned(),
        (None, "stopped") => "stopped after a failed check (`outlast node resume-pair`)".to_owned(),
        (None, other) => other.to_owned(),
    };
    let endpoint = if peer.endpoint.is_empty() { "(dials us)" } else { &peer.endpoint };
    let clock = peer.clock.map_or_else(|| "?".to_owned(), clock);
    let (name, node) = (peer.operator.clone(), peer.node.short());
    vec![name, node, endpoint.to_owned(), link.to_owned(), clock, signs]
}

/// Against ours: `+12 ms ± 3`.
fn clock(clock: ClockView) -> String {
    format!("{:+} ms ± {}", clock.offset_ms, clock.uncertainty_ms)
}
