//! `outlast bench vaults`

use crate::bench::figures::{Latency, latency};
use crate::bench::{BenchCluster, process};
use crate::context::Context;
use crate::error::CommandError;
use serde::Serialize;
use std::time::Instant;

/// Make many vaults on a real local cluster and measure creation time and memory
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Vaults to make
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    count: u32,
    /// Nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(2..=26))]
    nodes: u16,
}

#[derive(Serialize)]
struct Report {
    nodes: u16,
    vaults: u32,
    creation: Latency,
    resident_kib_before: Vec<u64>,
    resident_kib_after: Vec<u64>,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    ctx.note(&format!("starting {} nodes…", args.nodes));
    let bench = BenchCluster::start(args.nodes)?;
    let cluster = bench.nodes()?;
    let memory = || {
        let all = cluster.members.iter().map(|member| process::resident_kib(member.pid));
        all.collect::<Result<Vec<_>, _>>()
    };
    let before = memory()?;
    let mut times = Vec::new();
    for number in 1..=args.count {
        let since = Instant::now();
        cluster.automatic_ceremony(&format!("bench {number}"), args.nodes)?;
        times.push(since.elapsed());
        if number.is_multiple_of(100) {
            ctx.note(&format!("{number} vaults"));
        }
    }
    let after = memory()?;
    let creation = latency(times).ok_or_else(|| CommandError::bug("nothing was measured"))?;
    let mib = |kib: &[u64]| kib.iter().max().copied().unwrap_or_default() / 1024;
    let text = format!(
        "{} test vaults on {} nodes\n  creation        p50 {} ms, p99 {} ms\n  \
         memory per node {} MiB before, {} MiB after (largest)",
        args.count,
        args.nodes,
        creation.p50_ms,
        creation.p99_ms,
        mib(&before),
        mib(&after)
    );
    let report = Report {
        nodes: args.nodes,
        vaults: args.count,
        creation,
        resident_kib_before: before,
        resident_kib_after: after,
    };
    ctx.say(&report, &text)
}
