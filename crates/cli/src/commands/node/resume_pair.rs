//! `outlast node resume-pair NODE`

use crate::commands::node::release::find_peer;
use crate::context::Context;
use crate::error::CommandError;

/// Work with a peer again after it failed a check
///
/// Your node stopped Ethereum-type signing with this peer because a message of it was wrong: a broken disk, or an attack. Ask the
/// other operator what happened first. Fresh secrets between the two nodes are made; the old ones are gone.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The peer: its id or the first digits of it, or its operator's name
    peer: String,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let client = ctx.node()?;
    let peer = find_peer(&client, &args.peer)?;
    client.resume_pair(peer)?;
    let value = serde_json::json!({"peer": peer, "resumed": true});
    ctx.say(
        &value,
        &format!(
            "resumed: {}; if its node stopped the pair too, its operator does the same",
            peer.short()
        ),
    )
}
