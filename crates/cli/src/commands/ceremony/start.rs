//! `outlast ceremony start`

use crate::commands::node::release_find_peer;
use crate::context::Context;
use crate::error::CommandError;
use crate::view;
use model::api::NewCeremony;
use model::keys::Purpose;

/// Propose a new vault to the other operators
///
/// Each of them sees the same plan with the same six words and says yes with `outlast ceremony join`. A vault is made for
/// tests or for real money, for ever. The key is never whole: every node makes its own part of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// `test` or `live`, for ever
    #[arg(long, value_parser = purpose)]
    purpose: Purpose,
    /// A name for people
    #[arg(long)]
    name: String,
    /// The other nodes: id, first digits of it, or operator's name; without it all trusted peers
    #[arg(long = "with", value_name = "PEER")]
    with: Vec<String>,
    /// How many nodes must sign together; without it all
    #[arg(long)]
    threshold: Option<u16>,
}

pub(crate) fn purpose(text: &str) -> Result<Purpose, String> {
    match text {
        "test" => Ok(Purpose::Test),
        "live" => Ok(Purpose::Live),
        _ => Err("write `test` or `live`".to_owned()),
    }
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let client = ctx.node()?;
    let node = client.node()?;
    let others = if args.with.is_empty() {
        node.peers.iter().map(|peer| peer.node).collect()
    } else {
        let named = args.with.iter().map(|name| release_find_peer(&client, name));
        named.collect::<Result<Vec<_>, _>>()?
    };
    let members: Vec<_> = std::iter::once(node.node).chain(others).collect();
    let all = u16::try_from(members.len()).unwrap_or(u16::MAX);
    let threshold = args.threshold.unwrap_or(all);
    let new = NewCeremony { purpose: args.purpose, name: args.name.clone(), members, threshold };
    let ceremony = client.new_ceremony(&new)?;
    ctx.say(&ceremony, &view::ceremony::one(&ceremony))
}
