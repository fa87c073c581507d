//! `outlast charter show`

use super::{file, signers};
use crate::context::Context;
use crate::error::CommandError;
use governance::charter;
use model::charter::SignedCharter;
use std::path::PathBuf;

/// Print a charter's id, its six words and what it says in canonical form
///
/// Two files with the same id say the same. The text is a charter file itself; --output json has the same keys.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The charter: TOML, or a signed charter
    file: PathBuf,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let (charter, signatures, _) = file::load_holding(&args.file, super::now())?;
    let id = charter.id();
    let words = model::words::six_words(id.as_bytes());
    let toml = charter::to_toml(&charter);
    let table: toml::Table = toml::from_str(&toml)
        .map_err(|error| CommandError::bug(format!("the canonical text is no TOML: {error}")))?;
    let standing = signers::standing(&SignedCharter { charter, signatures });
    let value = serde_json::json!({
        "charter": id,
        "words": words,
        "signatures": standing.json(),
        "text": toml,
        "content": json(toml::Value::Table(table)),
    });
    let head = format!("# charter  {id}\n# words    {words}\n");
    let signed: Vec<String> = standing.lines().iter().map(|line| format!("# {line}\n")).collect();
    ctx.say(&value, &format!("{head}{}\n{toml}", signed.concat()))
}

/// TOML as JSON; dates become texts.
fn json(value: toml::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(flag) => Value::Bool(flag),
        toml::Value::Datetime(date) => Value::String(date.to_string()),
        toml::Value::Array(items) => Value::Array(items.into_iter().map(json).collect()),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, value)| (key, json(value))).collect())
        }
    }
}
