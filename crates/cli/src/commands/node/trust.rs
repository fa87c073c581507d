//! `outlast node trust CARD…`

use crate::context::Context;
use crate::error::{CommandError, io};
use model::api::TrustPeer;
use model::card::NodeCard;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Trust another operator's node
///
/// Ask the other operator over the telephone for the six words of the card, and type what you hear: whoever changed the
/// card on its way cannot make the words fit. Nothing is trusted without the words.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files with node cards; `-` reads one card from the standard input
    #[arg(required = true, value_name = "CARD")]
    cards: Vec<PathBuf>,
    /// The six words, for scripts; one per card, in order
    #[arg(long, value_name = "WORDS")]
    words: Vec<String>,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    if !args.words.is_empty() && args.words.len() != args.cards.len() {
        let (words, cards) = (args.words.len(), args.cards.len());
        return Err(CommandError::usage(format!("{words} times --words for {cards} cards")));
    }
    let client = ctx.node()?;
    let mut trusted = Vec::new();
    for (at, path) in args.cards.iter().enumerate() {
        let card = read_card(path)?;
        let words = match args.words.get(at) {
            Some(words) => words.clone(),
            None => ctx.ask(&format!("Six words that {} reads to you:", card.operator))?,
        };
        compare(&card, &words)?;
        client.trust(&TrustPeer { card: card.to_text(), words: card.words() })?;
        trusted.push(card);
    }
    let value: Vec<_> = trusted
        .iter()
        .map(
            |c| serde_json::json!({"node": c.node, "operator": c.operator, "endpoint": c.endpoint}),
        )
        .collect();
    let lines: Vec<String> = trusted
        .iter()
        .map(|c| format!("trusted: {} ({}, node {})", c.operator, c.endpoint, c.node.short()))
        .collect();
    ctx.say(&value, &lines.join("\n"))
}

fn read_card(path: &Path) -> Result<NodeCard, CommandError> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().take(65_536).read_to_string(&mut text).map_err(io("read", path))?;
        text
    } else {
        std::fs::read_to_string(path).map_err(io("read", path))?
    };
    // A card file may carry the words for people above the card itself.
    let line = text.lines().find(|line| line.starts_with("outlast-card-")).unwrap_or(&text);
    NodeCard::from_text(line).map_err(|e| {
        CommandError::refused("card", format!("{}: {e}", path.display()))
            .hint("a card is the line that `outlast node card` prints at the other operator")
    })
}

/// The words as typed must be the card's; case and spaces do not matter.
fn compare(card: &NodeCard, typed: &str) -> Result<(), CommandError> {
    let typed = typed.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    if typed == card.words() {
        return Ok(());
    }
    let message =
        format!("the words do not fit the card of \"{}\"; it is not trusted", card.operator);
    Err(CommandError::refused("words_differ", message).hint(
        "listen again; if they still differ, the card was changed on its way: ask for a new one",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::card::NodeKey;
    use model::secret::Secret;

    #[test]
    fn only_the_cards_own_words_are_taken() {
        let card = NodeCard::sign(&NodeKey::new(Secret::new([1; 32])), "B", "127.0.0.1:1");
        let loud = card.words().to_uppercase().replace(' ', "  ");
        assert_eq!(compare(&card, &loud), Ok(()));
        let error = compare(&card, "one two three four five six").unwrap_err();
        assert_eq!((error.code.as_str(), error.kind.exit_code()), ("words_differ", 1));
    }

    #[test]
    fn a_card_file_may_carry_words_above_the_card() {
        let card = NodeCard::sign(&NodeKey::new(Secret::new([1; 32])), "B", "127.0.0.1:1");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b.card");
        std::fs::write(&path, format!("six words: {}\n{}\n", card.words(), card.to_text()))
            .unwrap();
        assert_eq!(read_card(&path), Ok(card));
    }
}
