//! `cargo xtask purity`: the pure rooms have no operating system below them.
//!
//! Two proofs beside tidy's reading of the sources: rooms without C code build for a target that has no clock,
//! files or sockets, and no pure room depends on a runtime, a socket or an HTTP crate.

use crate::shell::{self, Failure, Skips, Workspace};

const TARGET: &str = "wasm32-unknown-unknown";
/// Rooms that must build for [`TARGET`]. `threshold` and `chains` hold C code (libsecp256k1).
const WASM_ROOMS: &[&str] = &["model"];
/// Pure rooms that exist now.
const PURE_ROOMS: &[&str] = &["model", "threshold", "chains", "governance", "tlog", "engine"];
/// Crates that a pure room must not reach through any chain of normal dependencies.
const DENIED: &[&str] = &["tokio", "mio", "socket2", "ureq", "hyper", "reqwest", "async-io"];

pub(crate) fn run(workspace: &Workspace) -> Result<Skips, Failure> {
    let skips = check_wasm(workspace)?;
    check_trees(workspace)?;
    Ok(skips)
}

fn check_wasm(workspace: &Workspace) -> Result<Skips, Failure> {
    if !have_target(workspace)? {
        let why = format!("SKIPPED wasm: target {TARGET} is missing and could not be added");
        println!("{why}");
        return Ok(Skips::from([why]));
    }
    for room in WASM_ROOMS {
        let arguments = ["check", "--release", "--locked", "--target", TARGET, "-p", room];
        let mut command = workspace.cargo(&arguments);
        // A folder of its own: these flags would make cargo rebuild everything in the shared one.
        command.env("CARGO_TARGET_DIR", workspace.binaries.join("purity"));
        command.env("RUSTFLAGS", "--cfg getrandom_backend=\"unsupported\"");
        shell::run(&mut command)?;
    }
    Ok(Skips::new())
}

fn have_target(workspace: &Workspace) -> Result<bool, Failure> {
    let sysroot = shell::capture(workspace.command("rustc").args(["--print", "sysroot"]))?;
    let library = format!("{}/lib/rustlib/{TARGET}/lib", sysroot.stdout.trim());
    if std::path::Path::new(&library).is_dir() {
        return Ok(true);
    }
    let mut add = workspace.command("rustup");
    add.args(["target", "add", TARGET]);
    Ok(shell::run(&mut add).is_ok())
}

fn check_trees(workspace: &Workspace) -> Result<(), Failure> {
    let mut faults = Vec::new();
    for room in PURE_ROOMS {
        let arguments = ["tree", "--locked", "-e", "normal", "--prefix", "none", "-p", room];
        let tree = shell::capture(&mut workspace.cargo(&arguments))?;
        if !tree.success {
            return Err(Failure::new(format!("cargo tree -p {room}: {}", tree.stderr.trim())));
        }
        let names = package_names(&tree.stdout);
        if !names.contains(room) {
            return Err(Failure::new(format!("cargo tree -p {room} does not list {room} itself")));
        }
        faults.extend(denied(&names).map(|name| format!("{room} depends on {name}")));
        println!("  {room}: {} crates, none of {}", names.len(), DENIED.join(" "));
    }
    if faults.is_empty() { Ok(()) } else { Err(Failure::new(faults.join("; "))) }
}

/// The distinct names in the output of `cargo tree --prefix none`.
fn package_names(tree: &str) -> std::collections::BTreeSet<&str> {
    tree.lines().filter_map(|line| line.split_whitespace().next()).collect()
}

fn denied<'a>(
    names: &'a std::collections::BTreeSet<&'a str>,
) -> impl Iterator<Item = &'static str> + use<'a> {
    DENIED.iter().copied().filter(|name| names.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denied_crate_deep_in_the_tree_is_found() {
        let tree = "model v0.0.0 (crates/model)\nserde v1.0.0\ntokio v1.49.0\nserde v1.0.0 (*)\n";
        let names = package_names(tree);
        assert_eq!(names.len(), 3);
        assert_eq!(denied(&names).collect::<Vec<_>>(), ["tokio"]);
    }

    #[test]
    fn a_crate_whose_name_only_begins_alike_is_let_pass() {
        let names = package_names("model v0.0.0\ntokio-util v0.7.0\nhyperloglog v1.0.0\n");
        assert_eq!(denied(&names).count(), 0);
    }
}
