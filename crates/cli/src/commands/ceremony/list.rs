//! `outlast ceremony list`

use crate::context::Context;
use crate::error::CommandError;
use crate::view;

/// List ceremonies that your node knows
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let ceremonies = ctx.node()?.ceremonies()?;
    ctx.say(&ceremonies, &view::ceremony::list(&ceremonies))
}
