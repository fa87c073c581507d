//! `cargo xtask deny`: licences, bans, sources and advisories of every dependency, by cargo-deny and `deny.toml`.

use crate::shell::{self, Failure, Skips, Workspace};

/// Pinned, so that a new release cannot turn main red.
const VERSION: &str = "0.20.2";

pub(crate) fn run(workspace: &Workspace) -> Result<Skips, Failure> {
    if !installed(workspace) {
        let arguments = ["install", "cargo-deny", "--locked", "--version", VERSION];
        shell::run(&mut workspace.cargo(&arguments))?;
    }
    // Duplicate versions are known (deny.toml); their long listing would hide what matters.
    let quiet = ["deny", "--locked", "check", "--allow", "duplicate"];
    let arguments: Vec<&str> = quiet.into_iter().chain(["bans", "licenses", "sources"]).collect();
    shell::run(&mut workspace.cargo(&arguments))?;
    check_advisories(workspace)
}

fn installed(workspace: &Workspace) -> bool {
    shell::capture(&mut workspace.cargo(&["deny", "--version"])).is_ok_and(|said| said.success)
}

/// A vulnerability fails the gate; a database that cannot be reached is said aloud and lets it pass.
fn check_advisories(workspace: &Workspace) -> Result<Skips, Failure> {
    let arguments = ["deny", "--locked", "check", "advisories"];
    let said = shell::capture(&mut workspace.cargo(&arguments))?;
    match judge(said.success, &said.stderr) {
        Advisories::Clean => {
            println!("  no advisory against a dependency");
            Ok(Skips::new())
        }
        Advisories::Unreachable => {
            let why = "SKIPPED advisories: the advisory database could not be fetched";
            println!("{why}");
            Ok(Skips::from([why.to_owned()]))
        }
        Advisories::Found => Err(Failure::new(format!("advisories:\n{}", said.stderr.trim()))),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Advisories {
    Clean,
    Unreachable,
    Found,
}

fn judge(success: bool, stderr: &str) -> Advisories {
    let unreachable = [
        "failed to fetch advisory database",
        "failed to load advisory database",
        "unable to fetch",
    ];
    if success {
        Advisories::Clean
    } else if unreachable.iter().any(|words| stderr.contains(words)) {
        Advisories::Unreachable
    } else {
        Advisories::Found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failed_fetch_is_forgiven() {
        let check = |success, stderr, expected| assert_eq!(judge(success, stderr), expected);
        check(true, "advisories ok", Advisories::Clean);
        check(false, "[ERROR] failed to fetch advisory database x", Advisories::Unreachable);
        check(false, "error[vulnerability]: nonce reuse in x", Advisories::Found);
        check(false, "", Advisories::Found);
    }
}
