//! `outlast node release NODE`

use crate::client::Client;
use crate::context::Context;
use crate::error::CommandError;
use model::ids::NodeId;

/// Accept a peer again that is on hold
///
/// A peer is put on hold when it looks cloned or restored from a copy. Find out with its operator which of the two
/// machines is the right one, and switch the other off, before you release it.
///
/// A node whose own journal went back signs nothing until every peer accepted it. Where a peer is lost for good, its own
/// operator accepts it here, with the node's own id.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The peer: its id or the first digits of it, or its operator's name; or this node's own id
    peer: String,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let client = ctx.node()?;
    let own = client.node()?.node;
    let peer = match own.to_string() == args.peer {
        true => own,
        false => find_peer(&client, &args.peer)?,
    };
    client.release(peer)?;
    let value = serde_json::json!({"peer": peer, "released": true});
    ctx.say(&value, &format!("released: {}", peer.short()))
}

/// A trusted peer by id, by the start of its id or by its operator's name.
pub(crate) fn find_peer(client: &Client, named: &str) -> Result<NodeId, CommandError> {
    let node = client.node()?;
    let fits = |id: NodeId, operator: &str| {
        operator == named || (named.len() >= 4 && id.to_string().starts_with(named))
    };
    let found: Vec<NodeId> =
        node.peers.iter().filter(|p| fits(p.node, &p.operator)).map(|p| p.node).collect();
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(CommandError::refused("unknown_peer", format!("no trusted peer is `{named}`"))
            .hint("`outlast node status` lists the peers")),
        many => {
            Err(CommandError::refused("ambiguous", format!("{} peers are `{named}`", many.len()))
                .hint("give the whole id"))
        }
    }
}
