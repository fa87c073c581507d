//! `outlast node card`

use crate::context::Context;
use crate::error::{CommandError, Kind};

/// Print your node's card and its six words
///
/// Send the card by any way; read the words aloud over the telephone. The card holds no secret. While the node is stopped or
/// sealed, the card of its last start is read from the directory of --node.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let asked = ctx.node().and_then(|client| client.node());
    let (node, operator, card, words) = match (asked, ctx.node_dir()) {
        (Ok(view), _) => (view.node, view.operator, view.card, view.words),
        (Err(error), Some(dir)) if error.kind == Kind::Unavailable => {
            let card = node::home::read_card(dir).map_err(|e| super::home_error(&e))?;
            let (text, words) = (card.to_text(), card.words());
            (card.node, card.operator, text, words)
        }
        (Err(error), _) => return Err(error),
    };
    let value =
        serde_json::json!({ "node": node, "operator": operator, "card": card, "words": words });
    // The card alone goes to the standard output, so that it can be piped into a file.
    ctx.note(&format!("six words, to be read aloud: {words}"));
    ctx.say(&value, &card)
}
