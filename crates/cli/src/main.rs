//! `outlast`: node, operator tool and auditor tool in one binary.
//!
//! A command is one file in `commands`; its doc comment is its help. Commands talk to a node through [`client`] and
//! return what [`context::Context::say`] prints: words for people, or one JSON document with `--output json`.
//!
//! Exit codes: 0 done, 1 refused (nothing happened), 2 wrong usage, 3 unavailable, timed out, or signed but not sent, 4 a
//! fault of Outlast.
//!
//! Absent on purpose: private keys of any kind. Secrets that pass through here (passphrase, tokens) are never arguments.

mod args;
mod bench;
mod chain_check;
mod client;
mod cluster;
mod coins;
mod commands;
mod context;
mod demo;
mod error;
mod passphrase;
mod settings;
mod signals;
mod tls;
mod units;
mod view;

use clap::Parser;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers (0), everything else is wrong usage (2).
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let mut context = context::Context::new(cli.global);
    match commands::run(cli.command, &mut context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind == error::Kind::Closed => ExitCode::from(error.kind.exit_code()),
        Err(error) => {
            let text = match context.output() {
                args::OutputFormat::Text => error.to_string(),
                args::OutputFormat::Json => error.to_json(),
            };
            let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
            ExitCode::from(error.kind.exit_code())
        }
    }
}
