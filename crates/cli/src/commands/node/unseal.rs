//! `outlast node unseal`

use crate::context::Context;
use crate::error::CommandError;
use crate::passphrase;

/// Give a sealed node its passphrase
///
/// Typed without echo, or read from the file that OUTLAST_PASSPHRASE_FILE names.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let client = ctx.node()?;
    client.unseal(&passphrase::read()?)?;
    ctx.say(&serde_json::json!({"unsealed": true}), "unsealed: the node can sign again")
}
