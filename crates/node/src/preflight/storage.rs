//! The disk under the data directory.

use super::Check;
use crate::entropy::OsEntropy;
use crate::home::Home;
use crate::store::{StoreError, raw_fsync_probe};
use crate::sys;
use engine::{Entry, Record};
use model::card::NodeCard;
use model::entropy::Entropy;
use model::ids::NodeId;
use model::wire::Wire as _;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

const FREE_BYTES_WARN: u64 = 2 * 1024 * 1024 * 1024;
const FREE_BYTES_MIN: u64 = 128 * 1024 * 1024;
const FSYNC_SAMPLES: usize = 21;
/// Beyond this every signature is felt to wait for the disk.
const FSYNC_WARN: Duration = Duration::from_millis(10);

pub(super) fn writable(dir: &Path) -> Check {
    let name = format!(".preflight-{}", hex::encode(OsEntropy.bytes::<8>()));
    let path = dir.join(name);
    let probe = || -> io::Result<()> {
        fs::write(&path, [0x5a; 4096])?;
        fs::File::open(&path)?.sync_all()?;
        fs::remove_file(&path)
    };
    match probe() {
        Ok(()) => Check::ok("store", format!("{} takes durable writes", dir.display())),
        Err(error) => {
            let fix = "make the directory with `outlast node init`, on a disk with room";
            Check::fail("store", format!("{}: {error}", dir.display()), fix)
        }
    }
}

/// Reads the store whole, without its key, and collects the peers that its journal trusts.
pub(super) fn journal(home: &Home, peers: &mut BTreeMap<NodeId, NodeCard>) -> Check {
    let looked = home.inspect_store(|entry| {
        if let Ok(Record { entry: Entry::PeerTrusted(card), .. }) = Record::from_bytes(entry)
            && let Ok(card) = NodeCard::from_bytes(&card)
        {
            peers.insert(card.node, card);
        }
    });
    match looked {
        None => Check::ok("journal", "none yet; the node makes its store when it first opens"),
        Some(Ok(entries)) => {
            Check::ok("journal", format!("the store is whole; {entries} entries read"))
        }
        Some(Err(StoreError::Locked)) => {
            Check::warn("journal", "another process holds the store", "stop the node first")
        }
        Some(Err(error)) => Check::fail(
            "journal",
            error.to_string(),
            "do not start this node; see docs/operating/incident.md. Never put an older copy back",
        ),
    }
}

pub(super) fn free_space(dir: &Path) -> Check {
    let fix = "make room: a full disk stops all signing";
    match sys::free_bytes(dir) {
        Ok(bytes) => judge_space(bytes, fix),
        Err(error) => Check::fail("free_space", format!("{}: {error}", dir.display()), fix),
    }
}

pub(super) fn judge_space(bytes: u64, fix: &str) -> Check {
    let detail = format!("{} MiB free", bytes / (1024 * 1024));
    match bytes {
        0..FREE_BYTES_MIN => Check::fail("free_space", detail, fix),
        FREE_BYTES_MIN..FREE_BYTES_WARN => Check::warn("free_space", detail, fix),
        _ => Check::ok("free_space", detail),
    }
}

pub(super) fn fsync(dir: &Path) -> Check {
    let fix = "use a local disk with power-loss protection, no network file system";
    match raw_fsync_probe(dir, FSYNC_SAMPLES) {
        Ok(times) => judge_fsync(times, fix),
        Err(error) => Check::fail("fsync", format!("{}: {error}", dir.display()), fix),
    }
}

pub(super) fn judge_fsync(mut times: Vec<Duration>, fix: &str) -> Check {
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let worst = times.last().copied().unwrap_or_default();
    let detail = format!("4 KiB durable in {median:?} (median), {worst:?} (worst)");
    if median <= FSYNC_WARN {
        Check::ok("fsync", detail)
    } else {
        Check::warn("fsync", detail, fix)
    }
}
