//! The foreign software of `docs/testing.md`, found by its variables.

use super::run;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Loading a big JavaScript library on a busy machine takes its time.
const SCRIPT: Duration = Duration::from_secs(240);

/// What a variable names; without it the line that says what was skipped.
pub fn tool(word: &str, variable: &str) -> Option<PathBuf> {
    let found = std::env::var_os(variable).map(PathBuf::from);
    if found.is_none() {
        println!("SKIPPED {word}: {variable} is not set (cargo xtask test fetches it)");
    }
    found
}

/// `node SCRIPT ARGS` with the fetched modules; the JSON on its last line.
pub fn javascript(script: &str, args: &[&str]) -> Option<Value> {
    let modules = tool("npm", "OUTLAST_NODE_MODULES")?;
    let mut command = Command::new("node");
    command.env("NODE_PATH", &modules).env("OUTLAST_NODE_MODULES", &modules);
    command.arg(format!("{}/tests/js/{script}", env!("CARGO_MANIFEST_DIR"))).args(args);
    Some(last_line(&mut command))
}

/// The JSON on the last line that a script prints.
pub fn last_line(command: &mut Command) -> Value {
    let said = super::stdout_of(&run(command, SCRIPT));
    let line = said.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {said}"))
}
