//! `outlast ceremony evidence`

use crate::commands::record;
use crate::context::Context;
use crate::error::CommandError;
use std::path::PathBuf;

/// Write the proof that a member broke the protocol, for `outlast verify`
///
/// Only a proven breach leaves one; silence and lost links prove nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The ceremony: its id or, until your node restarts, the first digits of it
    ceremony: String,
    /// The new file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let client = ctx.node()?;
    // A whole id also finds ceremonies of before the node's restart.
    let id = match args.ceremony.parse() {
        Ok(id) => id,
        Err(_) => super::find(&client, &args.ceremony)?.id,
    };
    record::export(&client.evidence(id)?, &args.out, ctx)
}
