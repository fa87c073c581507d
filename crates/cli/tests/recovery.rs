//! Copies and old images of a node's directory, with real processes: peers hold what is not the one living node with
//! its whole history, and nothing signs with it until operators decide.
//!
//! Not here: a pair that stops after a failed check, and `outlast node resume-pair`. An honest process cannot be brought
//! to fail a check; `threshold/tests/negative.rs` and the engine's own tests drive that path with a traitor.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

#[path = "support/nodes.rs"]
mod nodes;

use nodes::{Cluster, Node, message, outlast, wait_for};
use std::path::{Path, PathBuf};

/// A copy of a stopped node's directory, private as the original.
fn copy(from: &Path, name: &str) -> PathBuf {
    let to = from.with_file_name(name);
    let copied = std::process::Command::new("cp").arg("-a").arg(from).arg(&to).status().unwrap();
    assert!(copied.success());
    to
}

/// Gives a copied directory ports of its own; the card, and so the endpoint that peers dial, stays.
fn move_ports(original: &Node, dir: &Path) -> Node {
    let path = dir.join("node.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let listen = format!("listen = \"{}\"", original.endpoint);
    let api = format!("api_listen = \"{}\"", original.api);
    assert!(text.contains(&listen) && text.contains(&api), "{text}");
    let ports = nodes::free_ports(2);
    let text = text
        .replace(&api, &format!("api_listen = \"127.0.0.1:{}\"", ports[0]))
        .replace(&format!("\n{listen}"), &format!("\nlisten = \"127.0.0.1:{}\"", ports[1]));
    std::fs::write(&path, text).unwrap();
    Node::at(dir, original.card.clone())
}

#[test]
fn a_copied_directory_beside_its_original_is_turned_away_and_the_original_signs() {
    let cluster = Cluster::start(|_| {});
    let original = &cluster.nodes[2];
    original.stop();
    let clone = move_ports(original, &copy(&original.dir, "clone"));
    original.start();
    cluster.wait_ready();
    cluster.signs();
    clone.start();
    wait_for("word that the copy is held", || {
        clone.missing().contains(&"held".to_owned()).then_some(())
    });
    // Nothing comes out of the copy, and the original goes on.
    let path = format!("/v1/vaults/{}/requests", cluster.vault);
    for round in 0..3 {
        let mut request = message(&format!("from the copy {round}"));
        request["wait_ms"] = 300.into();
        let (_, answer) = clone.post(&path, &request);
        assert_ne!(answer["state"], "signed", "{answer}");
        cluster.signs();
    }
    assert!(!original.missing().contains(&"held".to_owned()), "{:?}", original.missing());
    // The peers say that they saw it.
    let warned = cluster.nodes[..2].iter().any(|node| node.warned("clone_seen"));
    assert!(warned, "nobody warned of the second instance");
}

#[test]
fn a_restored_directory_is_held_until_the_peers_operators_release_it() {
    let cluster = Cluster::start(|_| {});
    let restored = &cluster.nodes[2];
    restored.stop();
    let image = copy(&restored.dir, "image");
    restored.start();
    cluster.wait_ready();
    cluster.signs();
    restored.stop();
    // The peers write down what they saw of its journal when the link goes.
    std::fs::remove_dir_all(&restored.dir).unwrap();
    std::fs::rename(&image, &restored.dir).unwrap();
    restored.start();
    wait_for("word that the restored node is held", || {
        let held = cluster.nodes[..2].iter().all(|peer| peer.peer(restored)["held"].is_string());
        (held && restored.missing().contains(&"held".to_owned())).then_some(())
    });
    assert!(cluster.nodes[..2].iter().all(|peer| peer.warned("peer_held")));
    let mut request = message("not with a restored node");
    request["wait_ms"] = 1_000.into();
    let (_, answer) = cluster.submit(0, &request);
    assert_ne!(answer["state"], "signed", "{answer}");
    let epochs: Vec<_> = cluster.nodes[..2].iter().map(|n| epoch(n, restored)).collect();
    for peer in &cluster.nodes[..2] {
        let mut release = outlast();
        release.args(["node", "release", &restored.id, "--node"]).arg(&peer.dir);
        let done = release.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    cluster.wait_ready();
    for (peer, before) in cluster.nodes[..2].iter().zip(epochs) {
        assert!(epoch(peer, restored) > before, "the old pair state was taken up again");
    }
    wait_for("readiness after the release", || {
        (!restored.missing().contains(&"held".to_owned())).then_some(())
    });
    cluster.signs();
    cluster.nodes.iter().for_each(Node::stop);
    cluster.nodes.iter().for_each(|node| assert!(!node.journal().is_empty()));
}

fn epoch(node: &Node, peer: &Node) -> u64 {
    node.peer(peer)["pair_epoch"].as_u64().unwrap()
}
