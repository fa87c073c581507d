//! `cargo xtask test`: fetches what the tests talk to, builds once, runs tests and simulator seeds, sums up.

use crate::output::{Reader, Totals};
use crate::shell::{self, Failure, Skips, Workspace};
use crate::tools::{self, Tools};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const SEEDS_FULL: &str = "300";
const SEEDS_QUICK: &str = "20";
/// How long each fuzz test goes on in the gate; by itself it takes a second.
const FUZZ_SMOKE_SECS: &str = "10";

/// How much a run fetches and tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Fetch every tool; the simulator's usual number of seeds.
    Full,
    /// Use the tools that are there already; few seeds.
    Quick,
}

/// Runs everything and prints the closing lines. A failed test fails the task after the summary.
pub(crate) fn run(workspace: &Workspace, extent: Extent) -> Result<Skips, Failure> {
    let mut tools = match extent {
        Extent::Full => tools::fetch(workspace),
        Extent::Quick => tools::find(workspace),
    };
    build(workspace)?;
    // After the build, so that the decision to build bitcoind knows what the rest will cost.
    if extent == Extent::Full {
        tools::bitcoind::build_when_time_allows(workspace, &mut tools);
    }
    let mut totals = run_tests(workspace, &tools, &[])?;
    let seeds = if extent == Extent::Full { SEEDS_FULL } else { SEEDS_QUICK };
    let simulated = simulate(workspace, seeds);
    totals.skipped.extend(tools.skipped);
    summary(&totals);
    simulated?;
    if totals.failed > 0 {
        return Err(Failure::new(totals.failed_line()));
    }
    Ok(totals.skipped)
}

/// `cargo xtask sim ARGS`: the simulator by hand.
pub(crate) fn sim(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let mut command = workspace.cargo(&["run", "--release", "--locked", "-p", "sim", "--"]);
    shell::run(command.args(arguments))
}

/// `cargo xtask kills --count N`: nodes of a live cluster are killed in the middle of signing.
pub(crate) fn kills(workspace: &Workspace, count: &str) -> Result<(), Failure> {
    let arguments = ["test", "--release", "--locked", "-p", "cli", "--test", "crash"];
    let mut command = workspace.cargo(&arguments);
    shell::run(command.args(["--", "--nocapture"]).env("OUTLAST_KILLS", count))
}

/// `cargo xtask fuzz --seconds N`: every mutation test for so long.
pub(crate) fn fuzz(workspace: &Workspace, seconds: &str) -> Result<(), Failure> {
    run_fuzz(workspace, seconds).map(drop)
}

/// The fuzz tests of every decoder once more, for longer than in the ordinary run.
pub(crate) fn fuzz_smoke(workspace: &Workspace) -> Result<Skips, Failure> {
    run_fuzz(workspace, FUZZ_SMOKE_SECS)
}

fn run_fuzz(workspace: &Workspace, seconds: &str) -> Result<Skips, Failure> {
    let tools = tools::find(workspace);
    let mut command = tests_command(workspace, &tools, &["fuzz_"]);
    command.env("OUTLAST_FUZZ_SECS", seconds);
    let totals = follow(command)?;
    println!("fuzz {}", totals.closing_line());
    if totals.passed == 0 {
        return Err(Failure::new("no test is named fuzz_*: nothing was fuzzed"));
    }
    if totals.failed > 0 {
        let what = totals.failed_line();
        return Err(Failure::new(format!("a decoder failed under mutated input: {what}")));
    }
    Ok(totals.skipped)
}

/// What a run builds and runs. Not benches, which clippy reads and nobody runs here; not examples in comments, of which there
/// are none (`tidy::words`): rustdoc would read every crate again to find that out.
const TARGETS: [&str; 7] =
    ["test", "--release", "--locked", "--workspace", "--lib", "--bins", "--tests"];

/// One build; with one selection and one profile nothing is compiled twice.
fn build(workspace: &Workspace) -> Result<(), Failure> {
    shell::run(workspace.cargo(&TARGETS).arg("--no-run"))
}

fn run_tests(workspace: &Workspace, tools: &Tools, names: &[&str]) -> Result<Totals, Failure> {
    follow(tests_command(workspace, tools, names))
}

fn tests_command(workspace: &Workspace, tools: &Tools, names: &[&str]) -> Command {
    let mut command = workspace.cargo(&TARGETS);
    command.args(["--no-fail-fast", "--"]).args(names).arg("--show-output");
    command.envs(tools.variables.iter().map(|(name, value)| (*name, value)));
    command
}

/// Runs the test command, shows what a person wants to see of it, and adds up its closing lines.
fn follow(mut command: Command) -> Result<Totals, Failure> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().ok_or_else(|| Failure::new("no output from cargo test"))?;
    let mut reader = Reader::new();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        if reader.line(&line) {
            println!("{line}");
        }
    }
    let status = child.wait()?;
    let totals = reader.finish();
    if !status.success() && totals.failed == 0 {
        return Err(Failure::new(format!("the tests did not run to their end: {status}")));
    }
    Ok(totals)
}

fn simulate(workspace: &Workspace, seeds: &str) -> Result<(), Failure> {
    let program = workspace.binaries.join("sim");
    shell::run(workspace.command(program).args(["--seeds", seeds]))
}

fn summary(totals: &Totals) {
    println!("\n== summary");
    println!("{}", totals.closing_line());
    for name in &totals.failures {
        println!("FAILED {name}");
    }
    for line in shell::in_order(&totals.skipped) {
        println!("{line}");
    }
}
