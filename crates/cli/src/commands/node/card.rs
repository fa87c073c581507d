//! `outlast node card`

use crate::context::Context;
use crate::error::CommandError;

/// Print your node's card and its six words
///
/// Send the card by any way; read the words aloud over the telephone. The card holds no secret.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let node = ctx.node()?.node()?;
    let value = serde_json::json!({
        "node": node.node, "operator": node.operator, "card": node.card, "words": node.words,
    });
    // The card alone goes to the standard output, so that it can be piped into a file.
    ctx.note(&format!("six words, to be read aloud: {}", node.words));
    ctx.say(&value, &node.card)
}
