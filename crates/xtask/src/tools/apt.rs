//! Debian's packages: the TPM simulator and its tools, OpenSSH, and what bitcoind is built with.

use crate::shell::{self, Failure, Workspace};

/// A program that shows that the package is there, or for a library a file of it, and the package.
const PACKAGES: &[(&str, &str)] = &[
    ("swtpm", "swtpm"),
    ("tpm2_createprimary", "tpm2-tools"),
    ("ssh-keygen", "openssh-client"),
    ("cmake", "cmake"),
    ("make", "make"),
    ("c++", "g++"),
    ("/usr/include/boost/version.hpp", "libboost-dev"),
];

/// Installs what is missing. Without root nothing is tried, and the missing packages are named.
pub(super) fn install(workspace: &Workspace) -> Result<(), Failure> {
    let missing: Vec<&str> =
        PACKAGES.iter().filter(|(proof, _)| !present(proof)).map(|(_, name)| *name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root(workspace) || shell::on_path("apt-get").is_none() {
        let words = missing.join(" ");
        return Err(Failure::new(format!("not root on Debian; missing packages: {words}")));
    }
    let mut update = workspace.command("apt-get");
    shell::run(update.args(["update", "-qq"]))?;
    let mut install = workspace.command("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive");
    install.args(["install", "-qq", "-y", "--no-install-recommends"]).args(missing);
    shell::run(&mut install)
}

fn present(proof: &str) -> bool {
    if proof.starts_with('/') {
        std::path::Path::new(proof).is_file()
    } else {
        shell::on_path(proof).is_some()
    }
}

fn is_root(workspace: &Workspace) -> bool {
    shell::capture(workspace.command("id").arg("-u")).is_ok_and(|said| said.stdout.trim() == "0")
}
