//! `outlast ceremony join ID`

use crate::context::Context;
use crate::error::CommandError;
use crate::view;
use std::time::{Duration, Instant};

/// Say yes to a proposed vault
///
/// Read the plan and compare the six words with the other operators before you say yes. When everybody has, the nodes
/// make the key.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The ceremony: its id or the first digits of it
    ceremony: String,
    /// The six words that the proposer read aloud, instead of being asked
    #[arg(long)]
    words: Option<String>,
    /// Wait this many seconds for the others and the vault
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    wait: u64,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let client = ctx.node()?;
    let plan = super::find(&client, &args.ceremony)?;
    ctx.note(&view::ceremony::one(&plan));
    let typed = match &args.words {
        Some(words) => words.clone(),
        None => ctx.ask("Six words that the proposer reads to you:")?,
    };
    if typed.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ") != plan.words {
        return Err(CommandError::refused("words_differ", "the words are not this plan's").hint(
            "compare the plans line by line with the proposer; join nothing until they agree",
        ));
    }
    let mut ceremony = client.join(plan.id)?;
    let deadline = Instant::now().checked_add(Duration::from_secs(args.wait));
    while matches!(ceremony.state.as_str(), "waiting" | "running")
        && deadline.is_some_and(|end| Instant::now() < end)
    {
        std::thread::sleep(Duration::from_millis(100));
        ceremony = client.ceremony(plan.id)?;
    }
    ctx.say(&ceremony, &view::ceremony::one(&ceremony))
}
