//! `outlast request list`

use crate::commands::vault;
use crate::context::Context;
use crate::error::CommandError;
use crate::view;

/// List requests, newest first
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The vault: name, id or first digits of it; needed only if there are several
    #[arg(long)]
    vault: Option<String>,
    /// How many at most
    #[arg(long, default_value_t = 20)]
    limit: u32,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let client = ctx.node()?;
    let vault = vault::find(&client, args.vault.as_deref())?;
    let requests = client.requests(vault.id, args.limit)?;
    ctx.say(&requests, &view::request::list(&vault, &requests))
}
