//! How long this disk takes to make 4 KiB durable: the floor under every signature's latency.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Appends 4 KiB and syncs, `n` times, to a file of its own in `dir`; the file is removed.
pub fn raw_fsync_probe(dir: &Path, n: usize) -> io::Result<Vec<Duration>> {
    let path = dir.join(format!(".fsync-probe-{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let times = (0..n).map(|_| {
        let start = Instant::now();
        file.write_all(&[0x5a; 4096])?;
        file.sync_data()?;
        Ok(start.elapsed())
    });
    let times = times.collect();
    std::fs::remove_file(&path)?;
    times
}
