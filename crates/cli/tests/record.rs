//! Records of ceremonies with real processes: exported from a node, checked by a stranger without one.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "support/nodes.rs"]
mod nodes;

use nodes::{Cluster, outlast};
use serde_json::Value;
use std::path::Path;

/// `outlast verify`, on a machine without a node.
fn verify(file: &Path, more: &[&str]) -> (i32, Value) {
    let out = outlast()
        .args(["verify", "--output", "json"])
        .arg(file)
        .args(more)
        .env_remove("HOME")
        .current_dir(file.parent().unwrap())
        .output()
        .unwrap();
    let answer = if out.status.success() { out.stdout } else { out.stderr };
    let text = String::from_utf8_lossy(&answer).into_owned();
    (out.status.code().unwrap(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn refused(file: &Path, bytes: &[u8]) -> String {
    std::fs::write(file, bytes).unwrap();
    let (code, answer) = verify(file, &[]);
    assert_eq!(code, 1, "{answer}");
    answer["error"]["code"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn the_record_of_a_vault_is_exported_by_every_node_and_checked_without_one() {
    let cluster = Cluster::start(|_| {});
    let away = tempfile::tempdir().unwrap();
    let view = cluster.nodes[0].get(&format!("/v1/vaults/{}", cluster.vault));
    let mut records = Vec::new();
    for (number, node) in cluster.nodes.iter().enumerate() {
        let file = away.path().join(format!("record-{number}"));
        let mut export = outlast();
        export.args(["vault", "ceremony", &cluster.vault, "--node"]).arg(&node.dir);
        let out = export.arg("--out").arg(&file).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        records.push(std::fs::read(&file).unwrap());
        let again = export.output().unwrap();
        assert_eq!(again.status.code(), Some(1), "a file was written over");
    }
    assert!(records.iter().all(|record| *record == records[0]));
    // Also after a restart, from the disk.
    let node = &cluster.nodes[1];
    node.stop();
    node.start();
    let path = format!("/v1/vaults/{}/ceremony", cluster.vault);
    assert_eq!(node.get(&path)["record"].as_str().unwrap(), hex::encode(&records[0]));
    cluster.nodes.iter().for_each(nodes::Node::stop);

    let file = away.path().join("record-0");
    let (code, found) = verify(&file, &["--vault", &cluster.vault]);
    assert_eq!(code, 0, "{found}");
    assert_eq!(found["made"]["vault"], cluster.vault.as_str());
    assert_eq!(found["threshold"], view["threshold"]);
    assert_eq!(found["members"], view["members"]);
    for key in view["keys"].as_array().unwrap() {
        let kind = key["kind"].as_str().unwrap();
        assert_eq!(found["made"]["keys"][kind], key["public_key"], "{kind}");
    }
    let (code, other) = verify(&file, &["--vault", &"ab".repeat(32)]);
    assert_eq!((code, &other["error"]["code"]), (1, &"other_vault".into()));
    let spoiled = away.path().join("spoiled");
    for at in [0, 3, 10, records[0].len() / 2, records[0].len() - 1] {
        let mut bytes = records[0].clone();
        bytes[at] ^= 1;
        assert!(!refused(&spoiled, &bytes).is_empty(), "byte {at}");
    }
    assert_eq!(refused(&spoiled, b""), "record_malformed");
}

/// The breach itself is provoked in `crates/sim/tests/ceremony.rs`; an honest process cannot be brought to cheat.
#[test]
fn evidence_names_the_node_and_a_ceremony_without_a_breach_has_none() {
    let away = tempfile::tempdir().unwrap();
    let vectors =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/ceremony-record/1/records.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(vectors).unwrap()).unwrap();
    let bytes = |at: usize| hex::decode(vectors[at]["bytes"].as_str().unwrap()).unwrap();
    let file = away.path().join("evidence");
    std::fs::write(&file, bytes(1)).unwrap();
    let (code, found) = verify(&file, &[]);
    assert_eq!((code, &found["kind"]), (0, &"broken".into()), "{found}");
    let culprit = found["broken"]["culprit"].as_str().unwrap();
    assert!(vectors[1]["finding"].as_str().unwrap().contains(culprit));
    assert_eq!(found["broken"]["breach"], "dkg_equivocation");
    assert_eq!(refused(&file, &bytes(7)), "evidence_no_breach");

    let cluster = Cluster::start(|_| {});
    let mut export = outlast();
    export.args(["ceremony", "evidence", &"ab".repeat(32), "--output", "json", "--node"]);
    let out = export.arg(&cluster.nodes[0].dir).arg("--out").arg(&file).output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("no_evidence"));
}
