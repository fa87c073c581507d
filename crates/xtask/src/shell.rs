//! Where the workspace is, and how other programs are run from it.

use crate::budget::Budget;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Why a task stopped, as the one line that the terminal shows.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// What a task left out, one `SKIPPED what: why` line each. The last lines of a run repeat them.
pub(crate) type Skips = BTreeSet<String>;

/// The lines as a run ends with them: bitcoind's is the very last, wherever the alphabet has it.
pub(crate) fn in_order(skips: &Skips) -> Vec<&str> {
    let is_last = |line: &&str| line.starts_with("SKIPPED bitcoind:");
    let (last, first): (Vec<&str>, Vec<&str>) = skips.iter().map(String::as_str).partition(is_last);
    [first, last].concat()
}

/// The checkout, the folder of fetched tools, and the folder of built binaries.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    /// The folder that holds the root `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// What tasks fetch or build for tests: `OUTLAST_CACHE`, else `.cache` in the checkout.
    pub(crate) cache: PathBuf,
    /// Where this very binary lies, and so where cargo puts its siblings.
    pub(crate) binaries: PathBuf,
    /// Counted from the start of this process, whatever ran before the task that asks.
    pub(crate) budget: Budget,
}

impl Workspace {
    /// Finds the checkout from the current folder upwards.
    pub(crate) fn find() -> Result<Self, Failure> {
        let budget = Budget::from_environment();
        let here = std::env::current_dir()?;
        let root = here
            .ancestors()
            .find(|dir| dir.join("Cargo.lock").is_file() && dir.join("crates").is_dir())
            .ok_or_else(|| Failure::new("run this inside the checkout"))?
            .to_path_buf();
        let cache = match std::env::var_os("OUTLAST_CACHE") {
            Some(path) => root.join(path),
            None => root.join(".cache"),
        };
        let binaries = std::env::current_exe()?
            .parent()
            .ok_or_else(|| Failure::new("this binary lies in no folder"))?
            .to_path_buf();
        Ok(Self { root, cache, binaries, budget })
    }

    /// A command that starts in the root of the checkout, without input.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).stdin(Stdio::null());
        command
    }

    /// A cargo command. The lock file is never changed by a task.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("cargo");
        command.args(arguments);
        command
    }
}

/// Runs a command with its output on the terminal; anything but exit code 0 is a failure.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    println!("  $ {}", spelled(command));
    let status = command
        .status()
        .map_err(|error| Failure::new(format!("cannot start `{}`: {error}", spelled(command))))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!("`{}` ended with {status}", spelled(command))))
    }
}

/// What a command printed, whether it succeeded or not.
pub(crate) struct Captured {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command and keeps its output.
pub(crate) fn capture(command: &mut Command) -> Result<Captured, Failure> {
    let output = command
        .output()
        .map_err(|error| Failure::new(format!("cannot start `{}`: {error}", spelled(command))))?;
    Ok(Captured {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Whether `program` starts and answers `--version` with success.
pub(crate) fn answers(program: impl AsRef<OsStr>) -> bool {
    Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The first existing file of this name in the folders of `PATH`.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

fn spelled(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skipped_bitcoind_is_the_very_last_line() {
        let check = |lines: &[&str], expected: &[&str]| {
            let skips: Skips = lines.iter().map(|line| (*line).to_owned()).collect();
            assert_eq!(in_order(&skips), expected);
        };
        let (apt, bitcoind) = ("SKIPPED apt: not root", "SKIPPED bitcoind: 20 minutes left");
        let wasm = "SKIPPED wasm: target is missing";
        check(&[bitcoind, wasm, apt], &[apt, wasm, bitcoind]);
        check(&[wasm, apt], &[apt, wasm]);
        check(&[], &[]);
    }
}
