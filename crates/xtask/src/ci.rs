//! `cargo xtask ci`: every gate, in the order in which a fault is cheapest to find.

use crate::shell::{Failure, Skips, Workspace};
use crate::{deny, purity, shell, test, tidy};
use std::time::{Duration, Instant};

type Gate = fn(&Workspace) -> Result<Skips, Failure>;

const GATES: &[(&str, Gate)] = &[
    ("fmt", fmt),
    ("tidy", tidy::run),
    ("clippy", clippy),
    ("doc", doc),
    ("purity", purity::run),
    ("deny", deny::run),
    ("test", tests),
    ("fuzz smoke", test::fuzz_smoke),
];

/// Runs the gates up to the first that fails, then says how long each took.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    let mut times: Vec<(&str, Duration)> = Vec::new();
    let mut skips = Skips::new();
    let mut failed = None;
    for (name, gate) in GATES {
        println!("\n== {name}");
        let started = Instant::now();
        let outcome = gate(workspace);
        times.push((name, started.elapsed()));
        match outcome {
            Ok(more) => skips.extend(more),
            Err(failure) => {
                failed = Some(Failure::new(format!("gate `{name}`: {failure}")));
                break;
            }
        }
    }
    println!("\n{}", table(&times, failed.is_some()));
    for line in shell::in_order(&skips) {
        println!("{line}");
    }
    failed.map_or(Ok(()), Err)
}

fn fmt(workspace: &Workspace) -> Result<Skips, Failure> {
    shell::run(&mut workspace.cargo(&["fmt", "--all", "--check"])).map(|()| Skips::new())
}

fn clippy(workspace: &Workspace) -> Result<Skips, Failure> {
    let arguments = ["clippy", "--release", "--locked", "--workspace", "--all-targets"];
    shell::run(workspace.cargo(&arguments).args(["--", "-D", "warnings"]))?;
    Ok(Skips::new())
}

fn doc(workspace: &Workspace) -> Result<Skips, Failure> {
    let arguments = ["doc", "--release", "--locked", "--workspace", "--no-deps"];
    let mut command = workspace.cargo(&arguments);
    shell::run(command.arg("--document-private-items").env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Skips::new())
}

fn tests(workspace: &Workspace) -> Result<Skips, Failure> {
    test::run(workspace, test::Extent::Full)
}

/// One line per gate; the last one failed if `failed` says so.
fn table(times: &[(&str, Duration)], failed: bool) -> String {
    let last = times.len().saturating_sub(1);
    let line = |(index, (name, time)): (usize, &(&str, Duration))| {
        let verdict = if failed && index == last { "FAILED" } else { "ok" };
        format!("{name:<12}{:>5} s  {verdict}", time.as_secs())
    };
    let mut lines: Vec<String> = times.iter().enumerate().map(line).collect();
    let total: u64 = times.iter().map(|(_, time)| time.as_secs()).sum();
    lines.push(format!("{:<12}{total:>5} s", "all"));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_gate_that_stopped_the_run_is_called_failed() {
        let times = [("fmt", Duration::from_secs(1)), ("clippy", Duration::from_secs(90))];
        let good = table(&times, false);
        assert!(!good.contains("FAILED"));
        assert!(good.ends_with("91 s"));
        let bad = table(&times, true);
        assert!(bad.contains("clippy         90 s  FAILED"));
        assert!(bad.contains("fmt             1 s  ok"));
    }
}
