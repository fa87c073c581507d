//! Packages of the npm registry: anvil and cast (plain binaries inside packages), ethers, viem, hardhat, litesvm.

use super::{Tools, is_current};
use crate::shell::{self, Failure, Workspace};
use std::path::PathBuf;

const MANIFEST: &str = include_str!("../../npm/package.json");
const LOCK: &str = include_str!("../../npm/package-lock.json");

/// Installs the lock file, whose hashes npm checks. No package's install script is run.
///
/// `npm install`, not `npm ci`: the latter refuses a lock file that lacks the binaries of other platforms, which not
/// every registry offers; npm adds those of this platform in the exact version that their parent names.
pub(super) fn install(workspace: &Workspace) -> Result<(), Failure> {
    let dir = folder(workspace);
    if is_current(&dir.join("installed.json"), LOCK) {
        return Ok(());
    }
    if shell::on_path("npm").is_none() {
        return Err(Failure::new("npm is not installed; tests with anvil and JavaScript need it"));
    }
    std::fs::create_dir_all(&dir)?;
    std::fs::write(dir.join("package.json"), MANIFEST)?;
    std::fs::write(dir.join("package-lock.json"), LOCK)?;
    let mut command = workspace.command("npm");
    command.args(["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]);
    command.arg("--loglevel=error");
    shell::run(command.current_dir(&dir))?;
    std::fs::write(dir.join("installed.json"), LOCK)?;
    Ok(())
}

pub(super) fn offer(workspace: &Workspace, tools: &mut Tools) {
    let modules = folder(workspace).join("node_modules");
    let packages = modules.join("@foundry-rs");
    for (variable, name) in [("OUTLAST_ANVIL", "anvil"), ("OUTLAST_CAST", "cast")] {
        let binary = packages.join(format!("{name}-{}", platform())).join("bin").join(name);
        if shell::answers(&binary) {
            tools.offer(variable, binary);
        }
    }
    tools.offer("OUTLAST_NODE_MODULES", modules);
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.cache.join("npm")
}

/// This machine in the words of npm packages that carry binaries.
fn platform() -> String {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let processor = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{system}-{processor}")
}
