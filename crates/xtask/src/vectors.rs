//! `cargo xtask vectors`: writes vector and snapshot files anew and shows what changed, for review.

use crate::shell::{self, Failure, Workspace};

/// Tests that compare with a file write it instead when this variable is set.
const BLESS: &str = "OUTLAST_BLESS";

pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    let arguments = ["test", "--release", "--locked", "--workspace", "--tests", "--no-fail-fast"];
    shell::run(workspace.cargo(&arguments).env(BLESS, "1"))?;
    shell::run(workspace.command("git").args(["status", "--short"]))?;
    println!(
        "read each change before you commit it: a vector is a promise to other implementations"
    );
    Ok(())
}
