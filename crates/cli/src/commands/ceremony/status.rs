//! `outlast ceremony status ID`

use crate::context::Context;
use crate::error::CommandError;
use crate::view;

/// Show one ceremony: the plan, who said yes, and the vault once it is made
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The ceremony: its id or the first digits of it
    ceremony: String,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let ceremony = super::find(&ctx.node()?, &args.ceremony)?;
    ctx.say(&ceremony, &view::ceremony::one(&ceremony))
}
