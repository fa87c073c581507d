//! `outlast charter check`

use super::file;
use crate::context::Context;
use crate::error::CommandError;
use governance::charter::{Fault, Severity};
use std::path::{Path, PathBuf};

/// Say everything that is wrong with a charter, each with its line
///
/// Exit code 0 when it holds, 1 when it does not. Warnings do not refuse it; somebody should look at them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The charter: TOML, or a signed charter
    file: PathBuf,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let loaded = file::load(&args.file, super::now())?;
    let refused = loaded.charter.is_none() || loaded.faults.iter().any(Fault::refuses);
    let id = loaded.charter.as_ref().filter(|_| !refused).map(model::charter::Charter::id);
    let value = serde_json::json!({
        "file": args.file,
        "holds": !refused,
        "charter": id,
        "words": id.map(|id| model::words::six_words(id.as_bytes())),
        "faults": loaded.faults.iter().map(json).collect::<Vec<_>>(),
    });
    let mut lines: Vec<String> =
        loaded.faults.iter().map(|fault| text(&args.file, fault)).collect();
    if let Some(id) = id {
        lines.push(format!("{} holds.", args.file.display()));
        lines.push(format!("charter  {id}"));
        lines.push(format!("words    {}", model::words::six_words(id.as_bytes())));
    }
    ctx.say(&value, &lines.join("\n"))?;
    if refused {
        let count = loaded.faults.iter().filter(|fault| fault.refuses()).count();
        let message = format!("the charter has {count} faults");
        return Err(CommandError::refused("charter_refused", message)
            .hint("each fault above says what to do; nothing was changed"));
    }
    Ok(())
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Fault => "fault",
        Severity::Warning => "warning",
    }
}

fn json(fault: &Fault) -> serde_json::Value {
    serde_json::json!({
        "severity": word(fault.severity),
        "code": fault.code.word(),
        "line": fault.at.map(|at| at.line),
        "column": fault.at.map(|at| at.column),
        "place": fault.place,
        "what": fault.what,
        "why": fault.code.why(),
        "hint": fault.hint,
    })
}

/// `file:line:column`, as editors and terminals jump to it.
fn text(path: &Path, fault: &Fault) -> String {
    let at = fault.at.map(|at| format!(":{}:{}", at.line, at.column)).unwrap_or_default();
    let place = match fault.place.as_str() {
        "" => String::new(),
        place => format!("{place}: "),
    };
    let hint = match fault.hint.as_str() {
        "" => String::new(),
        hint => format!("\n  next: {hint}"),
    };
    let (severity, code) = (word(fault.severity), fault.code.word());
    let why = fault.code.why();
    format!(
        "{}{at}: {severity}: {place}{} [{code}]\n  why: {why}{hint}",
        path.display(),
        fault.what
    )
}
