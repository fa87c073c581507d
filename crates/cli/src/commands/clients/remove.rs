//! `outlast client remove ID`

use crate::context::Context;
use crate::error::CommandError;

/// Take a service key back: its next request is refused
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id, as `outlast client add` printed it
    id: String,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    if !args.id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(CommandError::usage(format!("`{}` is no id of a service key", args.id)));
    }
    ctx.node()?.remove_client(&args.id)?;
    let value = serde_json::json!({"id": args.id, "removed": true});
    ctx.say(&value, &format!("removed: service key {}", args.id))
}
