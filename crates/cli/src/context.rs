//! What every command shares: the chosen output form, and the way to a node.

use crate::args::{Global, OutputFormat};
use crate::client::Client;
use crate::error::{CommandError, screen};
use crate::settings;
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// Global options, made usable.
pub(crate) struct Context {
    global: Global,
}

impl Context {
    /// From the command line.
    pub(crate) fn new(global: Global) -> Self {
        Self { global }
    }
    /// Text or JSON.
    pub(crate) fn output(&self) -> OutputFormat {
        self.global.output
    }
    /// True when answers are one JSON document.
    pub(crate) fn is_json(&self) -> bool {
        self.global.output == OutputFormat::Json
    }
    /// True when a person looks at the standard output.
    pub(crate) fn on_terminal(&self) -> bool {
        !self.is_json() && std::io::stdout().is_terminal()
    }
    /// Directory of `--node`, if one is given.
    pub(crate) fn node_dir(&self) -> Option<&std::path::Path> {
        self.global.node.as_deref()
    }
    /// The node that `--node`, `--url` or the surroundings name.
    pub(crate) fn node(&self) -> Result<Client, CommandError> {
        let access = settings::find(&self.global)?;
        if let Some(note) = &access.note {
            self.note(note);
        }
        Client::with_trust(&access.url, access.token, access.trust.as_ref())
    }
    /// Prints the answer: `text` for people, or `value` as JSON.
    pub(crate) fn say<T: Serialize>(&self, value: &T, text: &str) -> Result<(), CommandError> {
        let body = match self.global.output {
            OutputFormat::Text => text.trim_end().to_owned(),
            OutputFormat::Json => serde_json::to_string_pretty(value)
                .map_err(|e| CommandError::bug(format!("the answer is no JSON: {e}")))?,
        };
        writeln!(std::io::stdout(), "{body}").map_err(screen)
    }
    /// A line for people beside the answer; goes to the standard error so that pipes stay clean.
    pub(crate) fn note(&self, text: &str) {
        if !self.is_json() {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }
    /// A question to a person; refused when nobody can answer.
    pub(crate) fn ask(&self, question: &str) -> Result<String, CommandError> {
        let stdin = std::io::stdin();
        let _ = write!(std::io::stderr(), "{question} ");
        let _ = std::io::stderr().flush();
        let mut line = String::new();
        let read = stdin.read_line(&mut line).map_err(|e| {
            CommandError::unavailable("no_answer", format!("cannot read the answer: {e}"))
        })?;
        if read == 0 {
            return Err(CommandError::refused("no_answer", "nobody answered the question")
                .hint("run it at a terminal, or give the answer as an option (see --help)"));
        }
        Ok(line.trim().to_owned())
    }
}
