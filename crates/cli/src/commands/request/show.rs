//! `outlast request show ID`

use crate::context::Context;
use crate::error::CommandError;
use crate::view;
use model::ids::RequestId;

/// Show one request: what the nodes read, what each said, and the signed transaction
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The request's id
    #[arg(value_parser = super::request_id)]
    request: RequestId,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let request = ctx.node()?.request(args.request)?;
    ctx.say(&request, &view::request::one(&request))
}
