//! `outlast client add`

use crate::commands::vault;
use crate::context::Context;
use crate::error::CommandError;
use crate::view;
use model::api::{NewClient, VaultView};

/// Make a service key, so that a program may ask for signatures
///
/// The key is shown once. It may ask only for the vaults that you name, and every node still judges each request by itself.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A name for people
    #[arg(long)]
    name: String,
    /// Vaults it may use: name, id or first digits of it
    #[arg(long = "vault", required = true)]
    vaults: Vec<String>,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let client = ctx.node()?;
    let vaults = args.vaults.iter().map(|name| vault::find(&client, Some(name)));
    let vaults = vaults.collect::<Result<Vec<_>, _>>()?;
    let ids = vaults.iter().map(|v| v.id).collect();
    let token = client.new_client(&NewClient { name: args.name.clone(), vaults: ids })?;
    let named = |v: &VaultView| {
        format!("\"{}\" ({} vault{})", v.name, v.purpose, view::unaudited(v.purpose))
    };
    let names: Vec<String> = vaults.iter().map(named).collect();
    let text = format!(
        "service key \"{}\" for {}\n  id     {}\n  token  {}   \
         (shown once: keep it as you would keep a password)",
        args.name,
        names.join(", "),
        token.id,
        token.token
    );
    ctx.say(&token, &text)
}
