//! `outlast client …`

mod add;
mod list;
mod remove;

use crate::context::Context;
use crate::error::CommandError;

/// Service keys for programs.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Add(add::Args),
    List(list::Args),
    Remove(remove::Args),
}

pub(crate) fn run(command: Command, ctx: &mut Context) -> Result<(), CommandError> {
    match command {
        Command::Add(args) => add::run(&args, ctx),
        Command::List(args) => list::run(&args, ctx),
        Command::Remove(args) => remove::run(&args, ctx),
    }
}
