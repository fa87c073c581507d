//! `outlast bench fsync`

use crate::bench::figures::{Latency, latency};
use crate::context::Context;
use crate::error::{CommandError, io};
use serde::Serialize;
use std::path::PathBuf;

/// Measure how long the disk takes to make a small write durable
///
/// Every decision of a node waits for that before anything leaves the node.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory on the disk to measure
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Writes to measure
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
}

#[derive(Serialize)]
struct Report {
    dir: PathBuf,
    fsync: Latency,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let count = usize::try_from(args.count).unwrap_or(usize::MAX);
    let times = node::store::raw_fsync_probe(&args.dir, count)
        .map_err(io("write durably in", &args.dir))?;
    let fsync = latency(times).ok_or_else(|| CommandError::bug("nothing was measured"))?;
    let text = format!(
        "durable write in {}: p50 {} ms, p99 {} ms ({} writes)",
        args.dir.display(),
        fsync.p50_ms,
        fsync.p99_ms,
        fsync.count
    );
    ctx.say(&Report { dir: args.dir.clone(), fsync }, &text)
}
