//! The tasks of this repository: `cargo xtask ci | test | tidy | purity | deny | sim | kills | fuzz | vectors`.
//!
//! Standard library only, so that it builds in seconds and cannot be the reason why a check did not run.
//! Invariants: a check that could not run says SKIPPED and why; a check that failed fails the command.
//! Absent on purpose: configuration. What is checked stands in the code, exceptions in `tidy/exceptions.rs`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a task runner talks to a terminal")]

mod budget;
mod ci;
mod deny;
mod output;
mod purity;
mod shell;
mod test;
mod tidy;
mod tools;
mod vectors;

use shell::{Failure, Workspace};
use std::process::ExitCode;

const HELP: &str = "\
usage: cargo xtask TASK

  ci               every gate in order: fmt tidy clippy doc purity deny test fuzz
  test [--quick]   install the tools that tests use (apt as root; npm, pip and cmake into the
                   cache), build, run tests and simulator seeds
                   (--quick: only tools that are already there, few seeds; installs nothing)
  tidy             sizes, room arrows, spec tags, words, dependency reasons, paths, documents
  purity           pure rooms build for wasm32 and pull in no runtime, socket or HTTP crate
  deny             licences, bans, sources and advisories of dependencies
  sim [ARGS]       simulated clusters: --seeds N runs many, --seed S replays one
  kills [--count N]    nodes killed with SIGKILL in the middle of signing, 200 times unless said
  fuzz [--seconds N]   the mutation tests of every decoder, each for 60 seconds unless said
  vectors          write the vector and snapshot files anew and show what changed
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<(), Failure> {
    let Some((task, rest)) = args.split_first() else {
        println!("{HELP}");
        return Ok(());
    };
    let workspace = Workspace::find()?;
    match (task.as_str(), rest) {
        ("ci", []) => ci::run(&workspace),
        ("test", []) => test::run(&workspace, test::Extent::Full).map(drop),
        ("test", [flag]) if flag == "--quick" => {
            test::run(&workspace, test::Extent::Quick).map(drop)
        }
        ("tidy", []) => tidy::run(&workspace).map(drop),
        ("purity", []) => purity::run(&workspace).map(drop),
        ("deny", []) => deny::run(&workspace).map(drop),
        ("sim", arguments) => test::sim(&workspace, arguments),
        ("kills", arguments) => test::kills(&workspace, option(arguments, "--count", "200")?),
        ("fuzz", arguments) => test::fuzz(&workspace, option(arguments, "--seconds", "60")?),
        ("vectors", []) => vectors::run(&workspace),
        ("help" | "--help" | "-h", _) => {
            println!("{HELP}");
            Ok(())
        }
        _ => Err(Failure::new(format!("no such task: `{}`\n\n{HELP}", args.join(" ")))),
    }
}

/// The number of `NAME NUMBER`; `default` where nothing is said.
fn option<'a>(arguments: &'a [String], name: &str, default: &'a str) -> Result<&'a str, Failure> {
    match arguments {
        [] => Ok(default),
        [found, number] if found == name && number.parse::<u32>().is_ok() => Ok(number),
        _ => Err(Failure::new(format!("write {name} NUMBER, not `{}`", arguments.join(" ")))),
    }
}
