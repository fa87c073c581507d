//! What only operators bring back, with real processes: peers hold a copy or an old image of a node's directory, and a
//! failed check stops a pair. Nothing signs with it until they decide.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

#[path = "support/nodes.rs"]
mod nodes;

use bitcoin::hashes::Hash as _;
use node::home::{DebugSettings, TamperPair};
use nodes::{Cluster, Node, message, metric, outlast, solana, wait_for};
use serde_json::{Value, json};
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

/// Starts `node` again with the traitor's setting on or off.
fn restart_as(node: &Node, tamper_pair: Option<TamperPair>) {
    node.stop();
    let mut settings = node::home::read_settings(&node.dir).unwrap();
    settings.debug = DebugSettings { tamper_pair, ..DebugSettings::default() };
    std::fs::write(node.dir.join("node.toml"), settings.to_toml()).unwrap();
    node.start();
}

fn resume_pair(at: &Node, peer: &Node) -> std::process::Output {
    let mut resume = outlast();
    resume.args(["node", "resume-pair", &peer.id, "--node"]).arg(&at.dir);
    resume.output().unwrap()
}

/// A spend of a coin that nobody made before, from the taproot account.
fn taproot(cluster: &Cluster, at: usize) -> Value {
    const NETWORK: &str = "bitcoin:regtest";
    let address = cluster.address((NETWORK, "m/86/0/0/0/0"));
    let address: bitcoin::Address<_> = address.parse().unwrap();
    let output = bitcoin::TxOut {
        value: bitcoin::Amount::from_sat(100_000),
        script_pubkey: address.assume_checked().script_pubkey(),
    };
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).unwrap();
    let input = bitcoin::TxIn {
        previous_output: bitcoin::OutPoint { txid: bitcoin::Txid::from_byte_array(salt), vout: 0 },
        ..bitcoin::TxIn::default()
    };
    let coin = bitcoin::Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: vec![input],
        output: vec![output],
    };
    let coin = bitcoin::consensus::encode::serialize_hex(&coin);
    let coin = json!({ "transaction": coin, "vout": 0, "chain": 0, "number": 0 });
    let to = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
    let request = json!({
        "network": NETWORK, "path": "m/86/0/0", "wait_ms": 8_000,
        "ask": { "kind": "send", "to": to, "amount": "75000" },
        "fill": { "chain": "bitcoin", "inputs": [coin], "fee": 700, "change": at },
    });
    let (status, answer) = cluster.submit(at, &request);
    assert!([200, 503].contains(&status), "{status} {answer}");
    answer
}

/// An ECDSA request that must end by the name of the stopped pair, at a node that stopped it.
fn assert_stopped(cluster: &Cluster, victim: usize, text: &str) {
    let mut request = message(text);
    request["wait_ms"] = 500.into();
    let (_, answer) = cluster.submit(victim, &request);
    let named = |answer: &Value| answer.to_string().contains("pair_stopped");
    let id = answer["id"].as_str().map(str::to_owned);
    let answer = match id {
        Some(id) if !named(&answer) => wait_for("the name of its end", || {
            let now = cluster.nodes[victim].get(&format!("/v1/requests/{id}"));
            (named(&now) || now["state"] == "signed").then_some(now)
        }),
        _ => answer,
    };
    assert_ne!(answer["state"], "signed", "{answer}");
    assert!(named(&answer), "no name: {answer}");
}

/// Goal: a failed check between real processes stops one pair by name and nothing else, across restarts, until operators
/// decide. Method: node 0 spoils one message of an ECDSA transfer.
#[test]
fn a_spoiled_transfer_stops_its_pair_until_the_operator_resumes_it() {
    let cluster = Cluster::start(|_| {});
    let traitor = &cluster.nodes[0];
    restart_as(traitor, Some(TamperPair::Once));
    cluster.wait_ready();
    let mut spoiled = message("with a spoiled transfer");
    spoiled["wait_ms"] = 3_000.into();
    let (_, answer) = cluster.submit(1, &spoiled);
    assert_ne!(answer["state"], "signed", "{answer}");
    // Exactly one honest node saw the spoiled message; it names its sender and stops the pair with it alone.
    let victim = wait_for("a stopped pair", || {
        (1..3).find(|at| cluster.nodes[*at].peer(traitor)["pair"] == "stopped")
    });
    let (node, other) = (&cluster.nodes[victim], &cluster.nodes[3 - victim]);
    assert_eq!(node.peer(other)["pair"], "ready");
    assert_ne!(other.peer(traitor)["pair"], "stopped");
    let warnings = node.get("/v1/node")["warnings"].clone();
    let named = warnings.as_array().unwrap().iter().any(|warning| {
        let text = warning["message"].as_str().unwrap_or_default();
        warning["code"] == "pair_stopped" && text.starts_with("Operator a")
    });
    assert!(named, "{warnings}");
    wait_for("the pair in the metrics", || {
        (metric(node, "outlast_pairs_stopped") == 1).then_some(())
    });
    assert_eq!(metric(node, "outlast_warnings_total{code=\"pair_stopped\"}"), 1);
    // Linked, and not ready: a 3-of-3 cannot sign with it. Only the operator reads whom it is about.
    let readiness = wait_for("unreadiness", || {
        let (status, body) = node.try_get("/readyz").unwrap();
        let missing =
            body["missing"].as_array()?.iter().find(|one| one["code"] == "pairs")?.clone();
        assert_eq!(status, 503);
        missing["message"].as_str().map(str::to_owned)
    });
    assert!(readiness.contains(&format!("resume-pair {}", traitor.id)), "{readiness}");
    let public = node.call(None, "/readyz", None).unwrap().1.to_string();
    assert!(public.contains("pairs") && !public.contains(&traitor.id), "{public}");
    // The traitor hears of it by a message of its own.
    wait_for("the word to the traitor", || traitor.warned("pair_stopped_by_peer").then_some(()));
    let epoch_before = epoch(node, traitor);

    assert_stopped(&cluster, victim, "refused while the pair is stopped");
    // Both ends start again, the traitor without its setting: the stop is not forgotten.
    restart_as(traitor, None);
    node.stop();
    node.start();
    wait_for("links", || {
        let up = |a: &Node, b: &Node| a.peer(b)["connected"] == true;
        (up(node, traitor) && up(node, other) && up(other, traitor)).then_some(())
    });
    assert_eq!(node.peer(traitor)["pair"], "stopped");
    assert_stopped(&cluster, victim, "refused after the restart");
    // Keys that need no pair sign on, with the very same peers.
    for at in 0..3 {
        let at_byte = u8::try_from(at).unwrap();
        wait_for("an Ed25519 signature", || {
            let (status, answer) = cluster.submit(at, &solana([at_byte + 1; 32]));
            assert!([200, 503].contains(&status), "{status} {answer}");
            (answer["state"] == "signed").then_some(())
        });
        wait_for("a taproot signature", || {
            (taproot(&cluster, at)["state"] == "signed").then_some(())
        });
    }
    // An operator whose node stopped nothing has nothing to decide.
    let refused = resume_pair(traitor, node);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("not stopped"), "{told}");
    assert_eq!(node.peer(traitor)["pair"], "stopped");
    let done = resume_pair(node, traitor);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    cluster.wait_ready();
    assert!(epoch(node, traitor) > epoch_before, "the old pair state was taken up again");
    cluster.signs();
    wait_for("no stopped pair in the metrics", || {
        (metric(node, "outlast_pairs_stopped") == 0).then_some(())
    });
    cluster.nodes.iter().for_each(Node::stop);
    cluster.nodes.iter().for_each(|node| assert!(!node.journal().is_empty()));
}

/// Goal: 2 of 3 really sign without the third, and it comes back by itself. Method: the third stands still, so that its
/// links stay open and nobody is told.
#[test]
fn two_of_three_sign_while_the_third_stands_still_and_it_rejoins_and_signs() {
    let cluster = Cluster::start_of(2);
    let still = &cluster.nodes[2];
    let signed_by_the_two = |text: &str| {
        for at in [0, 1] {
            let text = format!("{text} {at}");
            wait_for("a signature of the two", || {
                let (status, answer) = cluster.submit(at, &message(&text));
                assert!([200, 503].contains(&status), "{status} {answer}");
                (answer["state"] == "signed").then_some(())
            });
        }
    };
    signed_by_the_two("all three are there");
    still.signal("STOP");
    for round in 0..3 {
        signed_by_the_two(&format!("one stands still, {round}"));
    }
    still.signal("CONT");
    cluster.wait_ready();
    cluster.signs();
    // With another one away no two are left but with it: it does sign again.
    cluster.nodes[1].signal("STOP");
    for at in [0, 2] {
        let text = format!("back again {at}");
        wait_for("a signature with the one that stood still", || {
            let (status, answer) = cluster.submit(at, &message(&text));
            assert!([200, 503].contains(&status), "{status} {answer}");
            (answer["state"] == "signed").then_some(())
        });
    }
    cluster.nodes[1].signal("CONT");
    cluster.wait_ready();
    cluster.signs();
    for node in &cluster.nodes {
        for peer in node.get("/v1/node")["peers"].as_array().unwrap() {
            assert_eq!(peer["held"], Value::Null, "{peer}");
        }
    }
}
