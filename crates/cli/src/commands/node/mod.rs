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
use node::home::HomeError;
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
fn home_error(error: &HomeError) -> CommandError {
    let told = CommandError::refused(error.code(), crate::error::chain(error));
    match error {
        HomeError::Locked { .. } => told.hint("the node runs: stop it first"),
        HomeError::NotEmpty(_) => told.hint("a node that is there already is never written over"),
        _ => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_refuses_by_its_own_name() {
        let check = |error: HomeError, code: &str| {
            let told = home_error(&error);
            assert_eq!((told.code.as_str(), told.kind.exit_code()), (code, 1), "{told}");
        };
        check(HomeError::Locked { pid: "7".into() }, "home_locked");
        check(HomeError::Missing("/x".into()), "home_missing");
        check(HomeError::NotEmpty("/x".into()), "home_not_empty");
        check(HomeError::SeedTampered, "home_seed_tampered");
        let found = node::home::read_settings(std::path::Path::new("/nowhere/at/all"));
        check(found.err().unwrap(), "home_missing");
    }
}
