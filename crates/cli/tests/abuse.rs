//! Strangers, careless callers and a trusted traitor against real processes: each abuse ends in a named refusal, changes
//! nothing, and the next signature works. Frames of a trusted key that break the framing itself are in the node's tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

#[path = "support/nodes.rs"]
mod nodes;

use model::card::NodeKey;
use model::secret::Secret;
use node::peers::{LinkEnd, PeerConfig, PeerEvent, PeerManager, Timing};
use nodes::{Answer, Cluster, Node, PATIENCE, message, metric, transfer, wait_for};
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const GROWTH_KIB_MAX: u64 = 64 * 1024;
/// A bound against hanging: the handshake's own time is shorter.
const PUT_OUT: Duration = Duration::from_secs(60);
/// The numbers of a node are fresh after this time, and what is to follow a signature has followed.
const QUIET: Duration = Duration::from_secs(1);
/// What a flood may leave in memory; 20 MiB when measured.
const FLOOD_GROWTH_KIB_MAX: u64 = 64 * 1024;

/// Records in a node's journal, once nothing is under way and it no longer grows.
fn journal_length(node: &Node) -> u64 {
    let mut last = (u64::MAX, Instant::now());
    wait_for("a quiet journal", || {
        let now = metric(node, "outlast_journal_records");
        let busy = metric(node, "outlast_sessions") > 0;
        if busy || now != last.0 {
            last = (now, Instant::now());
        }
        (last.1.elapsed() >= QUIET).then_some(now)
    })
}

fn check(what: &str, answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.0, &answer.1["code"]), (status, &Value::from(code)), "{what}: {answer:?}");
}

#[test]
fn invariant_e1_every_bad_call_has_its_name_and_changes_nothing() {
    let cluster = Cluster::start(|_| {});
    let node = &cluster.nodes[0];
    let before = journal_length(node);
    let submit = format!("/v1/vaults/{}/requests", cluster.vault);
    let body = message("x").to_string();
    let call = |token: Option<&str>, path: &str, body: &[u8]| node.call(token, path, Some(body));
    let token = Some(node.token.as_str());
    check("no key", &call(None, &submit, body.as_bytes()).unwrap(), 401, "unauthorized");
    let wrong = call(Some("nobody's"), &submit, body.as_bytes()).unwrap();
    check("a wrong key", &wrong, 401, "unknown_credential");
    check("not JSON", &call(token, &submit, b"{]").unwrap(), 400, "malformed_json");
    let half = &body.as_bytes()[..body.len() / 2];
    check("half a body", &call(token, &submit, half).unwrap(), 400, "malformed_json");
    let unknown = br#"{"surprise":1}"#;
    check("unknown field", &call(token, &submit, unknown).unwrap(), 400, "malformed_json");
    check("too long", &call(token, &submit, &vec![b' '; 600_000]).unwrap(), 413, "too_large");
    let mut hardened = transfer(1);
    hardened["path"] = "m/44'/60/0/0/0".into();
    check("hardened", &node.post(&submit, &hardened), 400, "path");
    let mut deep = transfer(1);
    deep["path"] = "m/44/60/0/0/0/0/0/0/0/0/0/0".into();
    check("too deep", &node.post(&submit, &deep), 400, "path");
    let mut digest = message("");
    digest["ask"]["bytes"] = "11".repeat(32).into();
    check("a digest", &node.post(&submit, &digest), 400, "raw_digest");
    let other = "00".repeat(32);
    let path = format!("/v1/vaults/{other}/requests");
    check("no such vault", &node.post(&path, &transfer(1)), 404, "unknown_vault");
    check("no such path", &node.try_get("/v2").unwrap(), 404, "unknown_path");
    // Bytes of another chain than the request names.
    let foreign = json!({
        "network": "evm:1", "path": "m/44/60/0/0/0",
        "ask": { "kind": "raw", "format": "evm_transaction", "bytes": FOR_CHAIN_31337 },
    });
    check("another chain", &node.post(&submit, &foreign), 400, "wrong_network");
    assert_eq!(journal_length(node), before, "a refusal left a record");
    cluster.signs();
}

/// An unsigned EIP-1559 transfer for chain 31337.
const FOR_CHAIN_31337: &str =
    "02ea827a6980843b9aca008506fc23ac008252089470997970c51812dc3a010c7d01b50e0d17dc79c80180c0";

#[test]
fn slow_silent_and_garbled_connections_cost_bounded_memory_and_no_signature() {
    let cluster = Cluster::start(|_| {});
    let node = &cluster.nodes[0];
    cluster.signs();
    let memory = node.resident_kib();
    let mut held = Vec::new();
    for number in 0..200 {
        // Half a request head, and half a handshake: neither is ever finished.
        let mut http = TcpStream::connect(&node.api).unwrap();
        http.write_all(b"POST /v1/decode HTTP/1.1\r\nhost: a\r\nx").unwrap();
        let mut peer = TcpStream::connect(&node.endpoint).unwrap();
        // The node may have closed it already: that is the point.
        let _closed = peer.write_all(if number % 2 == 0 { b"\x16\x03\x01" } else { b"GARBAGE" });
        held.push((http, peer));
    }
    cluster.signs();
    let grown = node.resident_kib().saturating_sub(memory);
    assert!(grown < GROWTH_KIB_MAX, "{grown} KiB more");
    // Strangers who send nothing are put out within the handshake's time.
    for (_, silent) in held.iter_mut().step_by(2).take(10) {
        silent.set_read_timeout(Some(PUT_OUT)).unwrap();
        let end = silent.read_to_end(&mut Vec::new());
        let reset = |error: &std::io::Error| error.kind() == ErrorKind::ConnectionReset;
        assert!(
            end.is_ok() || end.as_ref().is_err_and(reset),
            "still held after a minute: {end:?}"
        );
    }
    // The other half of them still holds its half a request: it costs no signature.
    cluster.signs();
    drop(held);
}

#[test]
fn an_unknown_key_gets_no_link_and_a_trusted_one_that_sends_garbage_costs_nobody_a_signature() {
    let cluster = Cluster::start(|_| {});
    let node = &cluster.nodes[0];
    let key = NodeKey::new(Secret::new([7; 32]));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let hello = vec![9; 60];
    let start = PeerConfig { key: &key, listen: None, hello, timing: Timing::default() };
    let (links, mut events) = runtime.block_on(PeerManager::start(start)).unwrap();
    links.trust(node.card.node, &node.endpoint).unwrap();
    wait_for("refusal of the unknown key", || {
        let status = links.status();
        (status[&node.card.node].last_end == Some(LinkEnd::NotTrustedThere)).then_some(())
    });
    let before = journal_length(node);
    // The operator trusts it: now it has a link, and abuses it.
    let card = model::card::NodeCard::sign(&key, "Operator of a traitor", "");
    let body = json!({ "card": card.to_text(), "words": card.words() });
    assert_eq!(node.post("/v1/peers", &body).0, 200);
    let up = runtime
        .block_on(async { tokio::time::timeout(PATIENCE, events.recv()).await.unwrap().unwrap() });
    assert!(matches!(up, PeerEvent::Up { .. }), "{up:?}");
    let memory = node.resident_kib();
    for number in 0..500u32 {
        let mut bytes = vec![0xff; 4096];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        let _full_queue_ends_the_link = links.send(node.card.node, bytes);
    }
    cluster.signs();
    wait_for("the name of a greeting that does not read", || {
        node.warned("malformed_hello").then_some(())
    });
    wait_for("the end of its link by name", || {
        (metric(node, "outlast_link_ends_total{code=\"garbage\"}") > 0).then_some(())
    });
    let grown = node.resident_kib().saturating_sub(memory);
    assert!(grown < GROWTH_KIB_MAX, "{grown} KiB more");
    assert!(journal_length(node) > before);
}

#[test]
fn a_flood_is_shed_by_name_and_the_next_signature_works() {
    let cluster = Cluster::start(|_| {});
    let node = &cluster.nodes[0];
    let memory = node.resident_kib();
    // Too many of this caller, or too many of all.
    let by_name = ["client_under_way_max", "overloaded"];
    let [shed, answered, unheard] = [const { AtomicUsize::new(0) }; 3];
    std::thread::scope(|scope| {
        for worker in 0..2_000 {
            let (cluster, shed, answered, unheard) = (&cluster, &shed, &answered, &unheard);
            let flood = move || {
                let path = format!("/v1/vaults/{}/requests", cluster.vault);
                let mut request = message(&format!("flood {worker}"));
                request["wait_ms"] = 3_000.into();
                match cluster.nodes[0].try_post(&path, &request) {
                    Ok((200, _)) => answered.fetch_add(1, Ordering::Relaxed),
                    Ok((429, body)) if by_name.contains(&body["code"].as_str().unwrap()) => {
                        shed.fetch_add(1, Ordering::Relaxed)
                    }
                    // A connection that the kernel or the door would not take is no answer, and proves nothing.
                    Err(_) => unheard.fetch_add(1, Ordering::Relaxed),
                    Ok((status, body)) => panic!("{status} {body}"),
                };
            };
            std::thread::Builder::new().stack_size(256 * 1024).spawn_scoped(scope, flood).unwrap();
        }
    });
    println!("{answered:?} answered, {shed:?} shed by 429, {unheard:?} without an answer");
    assert!(answered.load(Ordering::Relaxed) > 0);
    assert!(shed.load(Ordering::Relaxed) > 0, "nothing was shed by name");
    let grown = node.resident_kib().saturating_sub(memory);
    println!("{grown} KiB more");
    assert!(grown < FLOOD_GROWTH_KIB_MAX, "{grown} KiB more");
    cluster.signs_after(&by_name);
    wait_for("the end of what was admitted", || {
        (metric(node, "outlast_requests_open") == 0).then_some(())
    });
    cluster.signs();
}

#[test]
fn a_full_disk_is_named_and_with_room_again_the_node_signs() {
    let cluster = Cluster::start(|_| {});
    let node = &cluster.nodes[0];
    let settings = node.dir.join("node.toml");
    let before = std::fs::read_to_string(&settings).unwrap();
    node.stop();
    let pages = std::fs::metadata(node.dir.join("state.sqlite")).unwrap().len() / 4096 + 4;
    let full = before.replace("# pages_max = 1000000", &format!("pages_max = {pages}"));
    assert_ne!(full, before);
    std::fs::write(&settings, full).unwrap();
    node.start();
    // The nodes meet again first, and may fill the disk with that already: then there is no vault to be ready.
    let (mut number, mut taken) = (0, 0);
    let refused = wait_for("a full disk", || {
        number += 1;
        let (status, answer) = cluster.submit(0, &message(&format!("fill {number}")));
        taken += usize::from(status == 200);
        (status == 503 && answer["code"] == "store_full").then_some(answer)
    });
    assert!(refused["hint"].as_str().unwrap().contains("room"), "{refused}");
    node.stop();
    std::fs::write(&settings, before).unwrap();
    node.start();
    cluster.wait_ready();
    cluster.signs();
    node.stop();
    assert!(node.journal().len() > taken);
}

/// A real file system of a few MiB; unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Only root may mount; otherwise the reason.
    fn mount(size: &str) -> Result<Self, String> {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={size},mode=0700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "outlast-test"]).arg(dir.path());
        let done = mount.output().map_err(|error| format!("mount does not run: {error}"))?;
        let said = String::from_utf8_lossy(&done.stderr).trim().replace('\n', " ");
        done.status.success().then(|| Self(dir)).ok_or(said)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes every byte but `rest`.
    fn fill(&self, rest: u64) -> PathBuf {
        let path = self.path().join("ballast");
        let mut file = std::fs::File::create(&path).unwrap();
        let full = loop {
            if let Err(error) = file.write_all(&[7; 4096]) {
                break error;
            }
        };
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull, "{full}");
        file.set_len(file.metadata().unwrap().len() - rest).unwrap();
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _left_to_the_machine = Command::new("umount").arg(self.path()).status();
    }
}

/// Number of the kind of journal record that permits a signature.
const DECIDED: u8 = 21;

/// True when the journal has a decision about the message `text`.
fn is_decided(journal: &[Vec<u8>], text: &str) -> bool {
    // Tag and version, number, hash of the record before, time, then the kind.
    let decided = journal.iter().filter(|record| record[51] == DECIDED);
    decided.clone().any(|record| record.windows(text.len()).any(|found| found == text.as_bytes()))
}

/// Goal: a disk that is really full costs nothing but time. Method: node c lives on a tmpfs that is filled up while all
/// three sign, so that writes fail at whatever moment they come; then there is room again.
#[test]
fn a_really_full_disk_refuses_by_name_signs_nothing_unwritten_and_goes_on_with_room() {
    let disk = match SmallDisk::mount("8m") {
        Ok(disk) => disk,
        Err(reason) => {
            println!("SKIPPED tmpfs: a small file system cannot be mounted: {reason}");
            return;
        }
    };
    let place = |home: &Path, name: &str| match name {
        "c" => disk.path().join("c"),
        name => home.join(name),
    };
    let cluster = Cluster::start_in(place, |_| {});
    let node = &cluster.nodes[2];
    cluster.signs();
    let ballast = disk.fill(128 * 1024);
    let (mut full, mut signed) = (0, Vec::new());
    for number in 0.. {
        // Through the node that is full, and through one that is not but needs it.
        for at in [2, 0] {
            let text = format!("on a full disk, {number} at {at}.");
            let mut request = message(&text);
            request["wait_ms"] = if full == 0 { 3_000 } else { 300 }.into();
            let (status, answer) = cluster.submit(at, &request);
            match (status, answer["code"].as_str()) {
                (200, _) if answer["state"] == "signed" => signed.push(text),
                (200, _) => {}
                (503, Some("store_full")) if at == 2 => full += 1,
                // What waits for the full node at the other one fills its caller's share meanwhile.
                (429, Some("client_under_way_max")) if full > 0 => {}
                (503, Some(_)) => assert!(answer["message"].is_string(), "{answer}"),
                _ => panic!("{status} {answer}"),
            }
        }
        if full >= 5 {
            break;
        }
        assert!(number < 500, "the disk never became full");
    }
    println!("{} signed before and while the disk was full, {full} refused", signed.len());
    assert_eq!(node.try_get("/healthz").unwrap().0, 200, "{}", node.last_words());
    assert!(!node.missing().is_empty(), "ready without a disk to write to");
    std::fs::remove_file(ballast).unwrap();
    // By itself: nobody starts it again.
    cluster.wait_ready();
    cluster.signs();
    wait_for("readiness", || node.missing().is_empty().then_some(()));
    cluster.nodes.iter().for_each(Node::stop);
    for node in &cluster.nodes {
        let journal = node.journal();
        let unwritten = signed.iter().find(|text| !is_decided(&journal, text));
        assert_eq!(unwritten, None, "signed without its decision in the journal");
    }
    assert!(!is_decided(&node.journal(), "a text that nobody asked for"));
}
