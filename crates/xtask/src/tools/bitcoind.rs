//! A real Bitcoin Core node, built from the source that the crate `libbitcoinkernel-sys` carries.
//!
//! No registry has the binary and nothing else may be downloaded, so the one published package that holds the whole
//! tree is taken for its source alone. It is Core's master branch of that day, not a release: a test tool, no wallet.

use super::Tools;
use crate::shell::{self, Failure, Workspace};
use std::path::{Path, PathBuf};
use std::time::Instant;

const VERSION: &str = "0.4.1";
/// SHA-256 of the published package, so that the source is the one that was tried.
const PACKAGE_SHA256: &str = "345d18a1ce19a1becfcaaa066e3a60e9c7813ef5c23ea8c20704ca4ba1a46339";
/// Minutes that must be left before a build starts: it takes 7 to 13, and the tests come after it.
const MINUTES_NEEDED: u64 = 25;

const CMAKE_OPTIONS: &[&str] = &[
    "-DCMAKE_BUILD_TYPE=Release",
    "-DENABLE_WALLET=OFF",
    "-DENABLE_IPC=OFF",
    "-DENABLE_EXTERNAL_SIGNER=OFF",
    "-DWITH_EMBEDDED_ASMAP=OFF",
    "-DBUILD_TX=ON",
    "-DBUILD_UTIL=OFF",
    "-DBUILD_TESTS=OFF",
    "-DBUILD_BENCH=OFF",
    "-DBUILD_GUI=OFF",
    "-DBUILD_FUZZ_BINARY=OFF",
    "-DBUILD_KERNEL_LIB=OFF",
    "-DBUILD_BITCOIN_BIN=OFF",
    "-DINSTALL_MAN=OFF",
];

/// A manifest whose only purpose is that cargo fetches and checks the package.
const MANIFEST: &str = r#"[package]
name = "bitcoind-source"
version = "0.0.0"
edition = "2024"
publish = false

[dependencies]
libbitcoinkernel-sys = "=0.4.1"

[workspace]
"#;

/// Builds it once per cache. Too little time, or a failure, is said and is no failure of the tests.
pub(crate) fn build_when_time_allows(workspace: &Workspace, tools: &mut Tools) {
    if is_built(workspace) {
        offer(workspace, tools);
        return;
    }
    let left = workspace.budget.minutes_left();
    if left < MINUTES_NEEDED {
        let why = format!("no cached copy and {left} of the {MINUTES_NEEDED} minutes needed left");
        tools.skip("bitcoind", &why);
        return;
    }
    let started = Instant::now();
    match build(workspace) {
        Ok(()) => println!("  bitcoind built in {} s", started.elapsed().as_secs()),
        Err(failure) => tools.skip("bitcoind", &failure.to_string()),
    }
    offer(workspace, tools);
}

pub(super) fn offer(workspace: &Workspace, tools: &mut Tools) {
    tools.offer("OUTLAST_BITCOIND", folder(workspace).join("bitcoind"));
    tools.offer("OUTLAST_BITCOIN_CLI", folder(workspace).join("bitcoin-cli"));
}

fn is_built(workspace: &Workspace) -> bool {
    ["bitcoind", "bitcoin-cli"].iter().all(|name| shell::answers(folder(workspace).join(name)))
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.cache.join(format!("bitcoind-{VERSION}"))
}

fn build(workspace: &Workspace) -> Result<(), Failure> {
    if shell::on_path("cmake").is_none() {
        return Err(Failure::new("cmake is not installed"));
    }
    let dir = folder(workspace);
    let work = dir.join("work");
    std::fs::create_dir_all(work.join("src"))?;
    let source = fetch_source(workspace, &work)?;
    let out = work.join("build");
    let mut configure = workspace.command("cmake");
    configure.arg("-S").arg(&source).arg("-B").arg(&out).args(CMAKE_OPTIONS);
    quiet(&mut configure, &work.join("configure.log"))?;
    let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut compile = workspace.command("cmake");
    compile.arg("--build").arg(&out).arg(format!("-j{jobs}"));
    compile.args(["--target", "bitcoind", "bitcoin-cli"]);
    quiet(&mut compile, &work.join("compile.log"))?;
    for name in ["bitcoind", "bitcoin-cli"] {
        std::fs::copy(out.join("bin").join(name), dir.join(name))?;
    }
    std::fs::remove_dir_all(work)?;
    Ok(())
}

/// Lets cargo vendor the package, compares its hash, and returns Core's tree inside it.
fn fetch_source(workspace: &Workspace, work: &Path) -> Result<PathBuf, Failure> {
    std::fs::write(work.join("Cargo.toml"), MANIFEST)?;
    std::fs::write(work.join("src/lib.rs"), "")?;
    let mut vendor = workspace.command("cargo");
    vendor.args(["vendor", "--quiet", "--versioned-dirs", "vendor"]).current_dir(work);
    let vendored = shell::capture(&mut vendor)?;
    if !vendored.success {
        return Err(Failure::new(format!("cargo vendor: {}", vendored.stderr.trim())));
    }
    let package = work.join("vendor").join(format!("libbitcoinkernel-sys-{VERSION}"));
    let checksum = std::fs::read_to_string(package.join(".cargo-checksum.json"))?;
    check_package(&checksum)?;
    Ok(package.join("bitcoin"))
}

fn check_package(checksum: &str) -> Result<(), Failure> {
    if checksum.contains(&format!("\"package\":\"{PACKAGE_SHA256}\"")) {
        Ok(())
    } else {
        Err(Failure::new(format!("the package is not the one with SHA-256 {PACKAGE_SHA256}")))
    }
}

/// Thousands of compiler lines help nobody: they go to a file, and a failure shows its end.
fn quiet(command: &mut std::process::Command, log: &Path) -> Result<(), Failure> {
    let said = shell::capture(command)?;
    std::fs::write(log, format!("{}{}", said.stdout, said.stderr))?;
    if said.success {
        return Ok(());
    }
    let lines: Vec<&str> = said.stderr.lines().rev().take(20).collect();
    let end: Vec<&str> = lines.into_iter().rev().collect();
    Err(Failure::new(format!("bitcoind does not build:\n{}", end.join("\n"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_with_another_hash_is_refused() {
        let good = format!("{{\"files\":{{}},\"package\":\"{PACKAGE_SHA256}\"}}");
        assert!(check_package(&good).is_ok());
        assert!(check_package(&good.replace(PACKAGE_SHA256, "00")).is_err());
        assert!(check_package("").is_err());
    }
}
