//! `outlast vault list`

use crate::context::Context;
use crate::error::CommandError;
use crate::view;

/// List the vaults of your node
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let vaults = ctx.node()?.vaults()?;
    ctx.say(&vaults, &view::vault::list(&vaults))
}
