//! `outlast vault …`

mod account;
mod ceremony;
mod list;
mod show;

use crate::client::Client;
use crate::context::Context;
use crate::error::CommandError;
use model::api::VaultView;

/// Look at vaults.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    List(list::Args),
    Show(show::Args),
    Account(account::Args),
    Ceremony(ceremony::Args),
}

pub(crate) fn run(command: Command, ctx: &mut Context) -> Result<(), CommandError> {
    match command {
        Command::List(args) => list::run(&args, ctx),
        Command::Show(args) => show::run(&args, ctx),
        Command::Account(args) => account::run(&args, ctx),
        Command::Ceremony(args) => ceremony::run(&args, ctx),
    }
}

/// A vault by id, by the first digits of it or by name; without a name the only vault there is.
pub(crate) fn find(client: &Client, named: Option<&str>) -> Result<VaultView, CommandError> {
    let all = client.vaults()?;
    let fits = |vault: &&VaultView| match named {
        None => true,
        Some(name) => {
            vault.name == name || (name.len() >= 4 && vault.id.to_string().starts_with(name))
        }
    };
    let found: Vec<&VaultView> = all.iter().filter(fits).collect();
    let list = "`outlast vault list` shows them";
    match (found.as_slice(), named) {
        ([one], _) => Ok((*one).clone()),
        ([], Some(name)) => {
            Err(CommandError::refused("unknown_vault", format!("no vault is `{name}`")).hint(list))
        }
        ([], None) => Err(CommandError::refused("no_vault", "this node has no vault yet")
            .hint("`outlast ceremony start` makes one with the other operators")),
        (many, Some(name)) => {
            let message = format!("{} vaults are `{name}`", many.len());
            Err(CommandError::refused("ambiguous", message).hint("give the whole id"))
        }
        (many, None) => {
            let message = format!("which of the {} vaults? --vault is missing", many.len());
            Err(CommandError::usage(message).hint(list))
        }
    }
}
