//! `outlast bench …`

mod fsync;
mod sign;
mod vaults;

use crate::context::Context;
use crate::error::CommandError;

/// Measure.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Sign(sign::Args),
    Vaults(vaults::Args),
    Fsync(fsync::Args),
}

pub(crate) fn run(command: Command, ctx: &mut Context) -> Result<(), CommandError> {
    match command {
        Command::Sign(args) => sign::run(&args, ctx),
        Command::Vaults(args) => vaults::run(&args, ctx),
        Command::Fsync(args) => fsync::run(&args, ctx),
    }
}
