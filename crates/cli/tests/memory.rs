//! What a node's memory still holds of the secrets that passed through it: read from outside, by root, as an attacker with
//! the machine would. Where the kernel refuses that, the test says so and passes.

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

use model::secret::Secret;
use nodes::{Node, PASSPHRASE};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// Buffers are wiped when their last holder leaves, not at once.
const WIPED: Duration = Duration::from_secs(10);
/// A reused block of the allocator loses its first words: what is left of a secret is searched, too.
const PIECE: usize = 16;

/// Every readable page of a process, region by region; none where the kernel does not allow it.
fn memory_of(pid: u32) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let mut regions = Vec::new();
    for line in maps.lines().filter(|line| !line.contains("[v")) {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let address = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let (from, to) = (address(from), address(to));
        let mut bytes = vec![0u8; usize::try_from(to - from).unwrap()];
        // Guard pages and pages that went away meanwhile do not read.
        if memory.read_exact_at(&mut bytes, from).is_ok() {
            regions.push((line.to_owned(), bytes));
        }
    }
    match regions.is_empty() {
        true => Err(std::io::Error::other("no page can be read")),
        false => Ok(regions),
    }
}

/// Where any piece of `secret` stands, with what stands around it.
fn places(regions: &[(String, Vec<u8>)], secret: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for piece in [&secret[..PIECE], &secret[secret.len() - PIECE..]] {
        for (name, bytes) in regions {
            let hits = bytes.windows(PIECE).enumerate().filter(|(_, window)| *window == piece);
            found.extend(hits.map(|(at, _)| {
                let around = &bytes[at.saturating_sub(80)..(at + 80).min(bytes.len())];
                format!("{name} +{at:#x}: {}", around.escape_ascii())
            }));
        }
    }
    found
}

/// Goal: whoever reads the memory of a running node finds neither the passphrase that opened it nor a text of its keys.
/// Method: the connection that brought the passphrase stays open; a wrong passphrase came before. The key itself, which the
/// node signs with, must be found, or the search proves nothing.
#[test]
fn no_passphrase_stays_in_the_memory_of_a_node() {
    const WRONG: &str = "quite another passphrase, which opens nothing";
    let home = tempfile::tempdir().unwrap();
    let node = Node::create(&home.path().join("a"), "a", |_| {});
    let seed = {
        let home = node::home::Home::open(&node.dir).unwrap();
        let passphrase = Secret::new(PASSPHRASE.to_owned());
        home.unseal(Some(&passphrase)).unwrap().node_key.seed().duplicate()
    };
    node.start();
    let again = serde_json::json!({ "passphrase": WRONG });
    assert_eq!(node.post("/v1/unseal", &again).0, 409);
    if let Err(reason) = memory_of(node.pid()) {
        println!("SKIPPED memory: the memory of another process cannot be read: {reason}");
        return;
    }
    let hex = hex::encode(seed.expose());
    let secrets = [
        ("the passphrase", PASSPHRASE.as_bytes()),
        ("a passphrase that was not needed", WRONG.as_bytes()),
        ("the node key in hexadecimal", hex.as_bytes()),
    ];
    let end = Instant::now() + WIPED;
    loop {
        let regions = memory_of(node.pid()).unwrap();
        assert_ne!(places(&regions, seed.expose()).len(), 0, "the node's key is not found");
        let found: Vec<String> = secrets
            .iter()
            .flat_map(|(what, secret)| {
                places(&regions, secret).into_iter().map(move |place| format!("{what}: {place}"))
            })
            .collect();
        if found.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "still in memory:\n{}", found.join("\n"));
        std::thread::sleep(Duration::from_millis(200));
    }
}
