//! `outlast bench sign`

use crate::bench::figures::{self, Latency, latency};
use crate::bench::load::{Load, place};
use crate::bench::{BenchCluster, process};
use crate::cluster::Cluster;
use crate::context::Context;
use crate::error::CommandError;
use crate::view::table;
use model::keys::KeyKind;
use node::entropy::OsEntropy;
use serde::Serialize;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};
use threshold::sign::probe::Probe;

/// Measure signatures per second on a real local cluster, and the limit of the same processor
///
/// Starts nodes as separate processes with TLS and a durable journal, and asks them for different signatures. The limit
/// is measured in the same run: cores divided by the CPU time that the bare protocol needs for one signature.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which key signs: ecdsa (Ethereum), taproot (Bitcoin) or ed25519 (Solana)
    #[arg(long)]
    scheme: KeyKind,
    /// Nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(2..=26))]
    nodes: u16,
    /// How many nodes sign together
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(2..=26))]
    threshold: u16,
    /// Seconds under load
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Callers at once; default: 16 for ecdsa, 32 for the others
    #[arg(long)]
    clients: Option<u16>,
}

#[derive(Serialize)]
struct Report {
    scheme: &'static str,
    nodes: u16,
    threshold: u16,
    cores: u16,
    clients: u16,
    seconds: f64,
    signatures: u32,
    failed: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    signatures_per_second: f64,
    idle: Latency,
    loaded: Latency,
    /// All nodes together.
    cpu_ms_per_signature: f64,
    /// The bench's own callers, on the same cores.
    caller_cpu_ms_per_signature: f64,
    bare_cpu_ms_per_signature: f64,
    limit_per_second: f64,
    ratio_to_limit: f64,
    /// Time to make a vault once the pairs are warm.
    vault_creation: Latency,
    /// Between nodes, before TLS, sent by one node for one signature; absent where nothing was signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_sent_per_node_per_signature: Option<f64>,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    if args.threshold > args.nodes {
        let message = format!("--threshold {} of --nodes {}", args.threshold, args.nodes);
        return Err(CommandError::usage(message));
    }
    ctx.note("measuring the bare protocol in this process…");
    let bare = bare(args.scheme, args.threshold)?;
    ctx.note(&format!("starting {} nodes…", args.nodes));
    let bench = BenchCluster::start(args.nodes)?;
    let cluster = bench.nodes()?;
    let mut creation = Vec::new();
    let mut vault = None;
    for number in 0..6 {
        let since = Instant::now();
        vault = Some(cluster.automatic_ceremony(&format!("bench {number}"), args.threshold)?);
        // The first one warms code and connections up.
        creation.extend((number > 0).then(|| since.elapsed()));
    }
    let vault = vault.ok_or_else(|| CommandError::bug("no vault"))?;
    let (network, path) = place(args.scheme);
    let receive = if args.scheme == KeyKind::Bip340 { format!("{path}/0/0") } else { path.into() };
    let load = Load {
        apis: cluster.members.iter().map(|member| &member.client).collect(),
        vault,
        kind: args.scheme,
        address: cluster.first()?.client.address(vault, network, &receive)?.address,
        counter: AtomicU32::new(1),
    };
    let report = measure(args, ctx, cluster, &load, bare, creation)?;
    ctx.say(&report, &draw(&report))
}

fn measure(
    args: &Args,
    ctx: &Context,
    cluster: &Cluster,
    load: &Load<'_>,
    bare: f64,
    creation: Vec<Duration>,
) -> Result<Report, CommandError> {
    let empty = || CommandError::unavailable("nothing_signed", "no request was signed");
    load.sequential(5, Duration::from_secs(5))?;
    ctx.note("idle: one request after the other…");
    let idle = load.sequential(200, Duration::from_secs(5))?;
    let clients = args.clients.unwrap_or(if args.scheme == KeyKind::Ecdsa { 16 } else { 32 });
    ctx.note(&format!("loaded: {clients} callers for {} s…", args.seconds));
    let (cpu, own, bytes) = (cpu(cluster)?, process::own_cpu(), bytes(cluster));
    let since = Instant::now();
    let seen = load.parallel(usize::from(clients), Duration::from_secs(args.seconds));
    let elapsed = since.elapsed();
    let cpu = self::cpu(cluster)?.saturating_sub(cpu);
    let own = process::own_cpu().saturating_sub(own);
    let sent = self::bytes(cluster).zip(bytes).map(|(after, before)| after.saturating_sub(before));
    let signatures = u32::try_from(seen.times.len()).unwrap_or(u32::MAX);
    let rate = figures::rate(signatures, elapsed);
    let limit = figures::limit(process::cores(), bare);
    let nodes_and_signatures = u32::from(args.nodes).saturating_mul(signatures);
    Ok(Report {
        scheme: args.scheme.name(),
        nodes: args.nodes,
        threshold: args.threshold,
        cores: process::cores(),
        clients,
        seconds: figures::round(elapsed.as_secs_f64()),
        signatures,
        failed: seen.failed,
        failure: seen.failure,
        signatures_per_second: rate,
        idle: latency(idle).ok_or_else(empty)?,
        loaded: latency(seen.times).ok_or_else(empty)?,
        cpu_ms_per_signature: figures::ms_each(cpu, signatures),
        caller_cpu_ms_per_signature: figures::ms_each(own, signatures),
        bare_cpu_ms_per_signature: bare,
        limit_per_second: limit,
        ratio_to_limit: figures::ratio(rate, limit),
        vault_creation: latency(creation).ok_or_else(empty)?,
        bytes_sent_per_node_per_signature: sent
            .and_then(|sent| u32::try_from(sent).ok())
            .filter(|_| signatures > 0)
            .map(|sent| figures::ratio(sent.into(), nodes_and_signatures.into())),
    })
}

/// CPU milliseconds of one bare signature, all signers together.
fn bare(kind: KeyKind, signers: u16) -> Result<f64, CommandError> {
    let failed = |e| CommandError::bug(format!("the bare protocol: {e}"));
    let mut entropy = OsEntropy;
    let mut probe = Probe::new(kind, signers, &mut entropy).map_err(failed)?;
    for _ in 0..3 {
        probe.sign(&mut entropy).map_err(failed)?;
    }
    let (cpu, since) = (process::own_cpu(), Instant::now());
    let mut count = 0u32;
    while since.elapsed() < Duration::from_secs(3) {
        probe.sign(&mut entropy).map_err(failed)?;
        count = count.saturating_add(1);
    }
    Ok(figures::ms_each(process::own_cpu().saturating_sub(cpu), count))
}

fn cpu(cluster: &Cluster) -> Result<Duration, CommandError> {
    let all = cluster.members.iter().map(|member| process::cpu_of(member.pid));
    all.sum()
}

/// Bytes that all nodes sent to one another, by their own count.
fn bytes(cluster: &Cluster) -> Option<u64> {
    let all = cluster.members.iter().map(|member| {
        let (_, text) = member.client.get_text("/metrics").ok()?;
        let line =
            text.lines().find_map(|line| line.strip_prefix("outlast_peer_bytes_sent_total "));
        line?.parse::<u64>().ok()
    });
    all.sum()
}

fn draw(report: &Report) -> String {
    let time = |l: &Latency| format!("p50 {} ms, p99 {} ms ({})", l.p50_ms, l.p99_ms, l.count);
    let mut rows = vec![
        ("signatures per second", format!("{}", report.signatures_per_second)),
        ("limit of this run", format!("{} per second", report.limit_per_second)),
        ("ratio to the limit", format!("{}", report.ratio_to_limit)),
        ("latency, idle", time(&report.idle)),
        ("latency, loaded", time(&report.loaded)),
        ("CPU per signature", format!("{} ms, all nodes", report.cpu_ms_per_signature)),
        ("  bare protocol", format!("{} ms", report.bare_cpu_ms_per_signature)),
        ("  the callers", format!("{} ms", report.caller_cpu_ms_per_signature)),
        ("vault creation", time(&report.vault_creation)),
    ];
    if let Some(bytes) = report.bytes_sent_per_node_per_signature {
        rows.push(("sent per node", format!("{bytes} bytes per signature")));
    }
    if let Some(why) = &report.failure {
        rows.push(("without signature", format!("{} ({why})", report.failed)));
    }
    let rows: Vec<Vec<String>> = rows.into_iter().map(|(k, v)| vec![k.to_owned(), v]).collect();
    let head = format!(
        "{} {} of {} on {} cores, {} callers, {} s",
        report.scheme, report.threshold, report.nodes, report.cores, report.clients, report.seconds
    );
    format!("{head}\n{}", table::draw(&["WHAT", "MEASURED"], &rows))
}
