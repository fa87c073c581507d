//! `outlast ceremony …`

mod evidence;
mod join;
mod list;
mod start;
mod status;

use crate::client::Client;
use crate::context::Context;
use crate::error::CommandError;
use model::api::CeremonyView;

/// Make a vault together with the other operators.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Start(start::Args),
    Join(join::Args),
    List(list::Args),
    Status(status::Args),
    Evidence(evidence::Args),
}

pub(crate) fn run(command: Command, ctx: &mut Context) -> Result<(), CommandError> {
    match command {
        Command::Start(args) => start::run(&args, ctx),
        Command::Join(args) => join::run(&args, ctx),
        Command::List(args) => list::run(&args, ctx),
        Command::Status(args) => status::run(&args, ctx),
        Command::Evidence(args) => evidence::run(&args, ctx),
    }
}

/// A ceremony by id or the start of it.
fn find(client: &Client, named: &str) -> Result<CeremonyView, CommandError> {
    let all = client.ceremonies()?;
    let fits = |c: &&CeremonyView| named.len() >= 4 && c.id.to_string().starts_with(named);
    let found: Vec<&CeremonyView> = all.iter().filter(fits).collect();
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(CommandError::refused("unknown_ceremony", format!("no ceremony is `{named}`"))
            .hint("`outlast ceremony list` shows them")),
        many => {
            let message = format!("{} ceremonies begin with `{named}`", many.len());
            Err(CommandError::refused("ambiguous", message).hint("give the whole id"))
        }
    }
}
