//! `outlast vault show`

use crate::context::Context;
use crate::error::CommandError;
use crate::view;

/// Show one vault: who signs, how many must, and its public keys
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The vault: name, id or first digits of it; needed only if there are several
    vault: Option<String>,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let client = ctx.node()?;
    let found = super::find(&client, args.vault.as_deref())?;
    let vault = client.vault(found.id)?;
    let node = client.node().ok();
    ctx.say(&vault, &view::vault::one(&vault, node.as_ref()))
}
