//! `outlast client list`

use crate::context::Context;
use crate::error::CommandError;
use crate::view;

/// List the service keys of your node, oldest first
///
/// A request names the key that asked for it (`outlast request show`); here stands whose key that is.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let client = ctx.node()?;
    let keys = client.clients()?;
    let vaults = client.vaults()?;
    ctx.say(&keys, &view::client::list(&keys, &vaults))
}
