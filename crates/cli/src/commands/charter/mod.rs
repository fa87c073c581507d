//! `outlast charter …`: everything here works on files alone; no node is asked.

mod check;
mod diff;
mod file;
mod new;
mod review;
mod show;
mod sign;
mod signers;

use crate::context::Context;
use crate::error::CommandError;
use model::time::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// Write, check and sign the constitution of a vault.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    New(new::Args),
    Check(check::Args),
    Show(show::Args),
    Diff(diff::Args),
    Review(review::Args),
    Sign(sign::Args),
}

pub(crate) fn run(command: Command, ctx: &mut Context) -> Result<(), CommandError> {
    match command {
        Command::New(args) => new::run(args, ctx),
        Command::Check(args) => check::run(&args, ctx),
        Command::Show(args) => show::run(&args, ctx),
        Command::Diff(args) => diff::run(&args, ctx),
        Command::Review(args) => review::run(&args, ctx),
        Command::Sign(args) => sign::run(&args, ctx),
    }
}

/// This machine's clock; before 1970 it counts as 1970.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
