//! `outlast node status`

use crate::context::Context;
use crate::error::CommandError;
use crate::view;

/// Say how your node and its peers are
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let node = ctx.node()?.node()?;
    ctx.say(&node, &view::node::status(&node))
}
