//! `outlast node …`

mod card;
mod init;
mod preflight;
mod release;
mod resume_pair;
mod run;
mod status;
mod trust;
mod unseal;

use crate::context::Context;
use crate::error::CommandError;
pub(crate) use release::find_peer as release_find_peer;

/// Set up, run and look after your node.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Init(init::Args),
    Run(run::Args),
    Trust(trust::Args),
    Status(status::Args),
    Unseal(unseal::Args),
    ResumePair(resume_pair::Args),
    Release(release::Args),
    Preflight(preflight::Args),
    Card(card::Args),
}

pub(crate) fn run(command: Command, ctx: &mut Context) -> Result<(), CommandError> {
    match command {
        Command::Init(args) => init::run(args, ctx),
        Command::Run(args) => run::run(&args, ctx),
        Command::Trust(args) => trust::run(&args, ctx),
        Command::Status(args) => status::run(&args, ctx),
        Command::Unseal(args) => unseal::run(&args, ctx),
        Command::ResumePair(args) => resume_pair::run(&args, ctx),
        Command::Release(args) => release::run(&args, ctx),
        Command::Preflight(args) => preflight::run(&args, ctx),
        Command::Card(args) => card::run(&args, ctx),
    }
}

/// A data directory that refused, with its causes in order.
fn home_error(error: &node::home::HomeError) -> CommandError {
    CommandError::refused("home", crate::error::chain(error))
}
