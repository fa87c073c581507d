//! `outlast charter review`

use super::file;
use crate::context::Context;
use crate::error::CommandError;
use governance::charter;
use std::path::PathBuf;

/// Say in words what a charter does, before you sign it
///
/// Read it aloud to the other governors; the six words at the end tell whether all of you read the same version.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The charter: TOML, or a signed charter
    file: PathBuf,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let (charter, _, _) = file::load_holding(&args.file, super::now())?;
    let id = charter.id();
    let words = model::words::six_words(id.as_bytes());
    let lines = charter::review(&charter);
    let value = serde_json::json!({"charter": id, "words": words, "lines": lines});
    let text = format!("{}\n\nsix words of this version: {words}\n{id}", lines.join("\n"));
    ctx.say(&value, &text)
}
