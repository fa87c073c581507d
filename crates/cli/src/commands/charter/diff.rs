//! `outlast charter diff`

use super::file;
use crate::context::Context;
use crate::error::CommandError;
use governance::charter::{self, Difference};
use std::path::PathBuf;

/// Say what one version changes in another, item by item
///
/// `+` is new, `-` is gone, `~` was one thing and becomes another. Nothing that is signed is left out: no line means that
/// both files say the same.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The version before
    old: PathBuf,
    /// The version after
    new: PathBuf,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let now = super::now();
    let (old, _, _) = file::load_holding(&args.old, now)?;
    let (new, _, _) = file::load_holding(&args.new, now)?;
    let differences = charter::diff(&old, &new);
    let follows = new.previous == Some(old.id());
    let value = serde_json::json!({
        "old": old.id(),
        "new": new.id(),
        "follows": follows,
        "differences": differences.iter().map(json).collect::<Vec<_>>(),
    });
    let mut lines: Vec<String> = differences.iter().map(ToString::to_string).collect();
    if differences.is_empty() {
        lines.push("no difference".to_owned());
    } else if !follows {
        ctx.note(&format!(
            "the second file does not name the first ({}) as its previous",
            old.id()
        ));
    }
    ctx.say(&value, &lines.join("\n"))
}

fn json(one: &Difference) -> serde_json::Value {
    serde_json::json!({"item": one.item, "key": one.key, "old": one.old, "new": one.new})
}
