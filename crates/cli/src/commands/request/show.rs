//! `outlast request show ID`

use crate::context::Context;
use crate::error::CommandError;
use crate::view;

/// Show one request: what the nodes read, what each said, and the signed transaction
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The request: its id or the first digits of it
    #[arg(value_parser = super::request_name)]
    request: String,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let client = ctx.node()?;
    let request = client.request(super::find(&client, &args.request)?)?;
    ctx.say(&request, &view::request::one(&request))
}
