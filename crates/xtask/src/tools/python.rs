//! A Python environment with web3.py and python-fido2.

use super::is_current;
use crate::shell::{self, Failure, Workspace};
use std::path::PathBuf;

const REQUIREMENTS: &str = include_str!("../../python/requirements.txt");

pub(super) fn install(workspace: &Workspace) -> Result<(), Failure> {
    let dir = folder(workspace);
    let stamp = dir.join("installed.txt");
    if is_current(&stamp, REQUIREMENTS) {
        return Ok(());
    }
    std::fs::create_dir_all(&workspace.cache)?;
    let mut make = workspace.command("python3");
    shell::run(make.args(["-m", "venv", "--clear"]).arg(&dir))?;
    let list = dir.join("requirements.txt");
    std::fs::write(&list, REQUIREMENTS)?;
    let mut pip = workspace.command(interpreter(workspace));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(list);
    shell::run(&mut pip)?;
    std::fs::write(stamp, REQUIREMENTS)?;
    Ok(())
}

pub(super) fn interpreter(workspace: &Workspace) -> PathBuf {
    folder(workspace).join("bin").join("python")
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.cache.join("venv")
}
