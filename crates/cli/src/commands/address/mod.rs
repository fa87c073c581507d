//! `outlast address …`

mod show;

pub(crate) use show::default_path;

use crate::context::Context;
use crate::error::CommandError;

/// Show addresses.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Show(show::Args),
}

pub(crate) fn run(command: Command, ctx: &mut Context) -> Result<(), CommandError> {
    match command {
        Command::Show(args) => show::run(&args, ctx),
    }
}
