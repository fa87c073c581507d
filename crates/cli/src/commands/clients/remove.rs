//! `outlast client remove KEY`

use crate::client::Client;
use crate::context::Context;
use crate::error::CommandError;
use model::api::ClientView;

/// Take a service key back: its next request is refused
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The key: its name, its id or the first digits of it (`outlast client list` shows them)
    key: String,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let client = ctx.node()?;
    let key = find(&client, &args.key)?;
    client.remove_client(&key.id)?;
    let value = serde_json::json!({"id": key.id, "name": key.name, "removed": true});
    ctx.say(&value, &format!("removed: service key \"{}\", {}", key.name, key.id))
}

/// A service key by id, by the first digits of it or by name.
fn find(client: &Client, named: &str) -> Result<ClientView, CommandError> {
    let all = client.clients()?;
    let fits =
        |key: &&ClientView| key.name == named || (named.len() >= 4 && key.id.starts_with(named));
    let found: Vec<&ClientView> = all.iter().filter(fits).collect();
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(CommandError::refused("unknown_client", format!("no service key is `{named}`"))
            .hint("`outlast client list` shows them")),
        many => {
            let ids: Vec<&str> = many.iter().map(|key| key.id.as_str()).collect();
            let message = format!("{} service keys are `{named}`: {}", many.len(), ids.join(", "));
            Err(CommandError::refused("ambiguous", message)
                .hint("none was removed; give the id of the one"))
        }
    }
}
