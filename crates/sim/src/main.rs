//! `cargo xtask sim`: runs seeds and prints each failing one.

#![allow(clippy::print_stdout, clippy::as_conversions, reason = "a test tool's output")]

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|word| word == name)?;
        arguments.get(at + 1)?.parse::<u64>().ok()
    };
    let (first, count) = match (value("--seed"), value("--seeds"), value("--from")) {
        (Some(seed), _, _) => (seed, 1),
        (None, Some(count), from) => (from.unwrap_or(0), count),
        (None, None, _) => {
            println!("usage: sim --seeds N [--from N] | --seed N");
            return ExitCode::from(2);
        }
    };
    let begun = Instant::now();
    let (mut signed, mut sent, mut failed) = (0, 0, Vec::new());
    for seed in first..first.saturating_add(count) {
        match std::panic::catch_unwind(|| sim::run_seed(seed)) {
            Ok(outcome) => {
                signed += outcome.signed;
                sent += outcome.sent;
                if count == 1 {
                    println!("digest {:02x?}", outcome.digest);
                }
            }
            Err(_) => failed.push(seed),
        }
        if (seed - first + 1).is_multiple_of(50) {
            println!("{} of {count} seeds, {:.0?}", seed - first + 1, begun.elapsed());
        }
    }
    println!(
        "{count} seeds from {first}: {sent} requests under faults, {signed} signed, {:.1?}",
        begun.elapsed()
    );
    println!("{} passed, {} failed", count - failed.len() as u64, failed.len());
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("failing seeds: {failed:?}");
    ExitCode::FAILURE
}
