//! The software of others that tests talk to: fetched by package clients, found by path, named in variables.
//!
//! Nothing here fails a run. A tool that cannot be had leaves its variable unset and one line that says why;
//! the tests that need it then print SKIPPED and pass, and the summary repeats every such line.

mod apt;
pub(crate) mod bitcoind;
mod npm;
mod python;

use crate::shell::{Failure, Workspace};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

type Installer = fn(&Workspace) -> Result<(), Failure>;

const INSTALLERS: &[(&str, Installer)] =
    &[("apt", apt::install), ("npm", npm::install), ("pip", python::install)];

/// What was found, as the variables that tests read, and what was not, as SKIPPED lines.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    pub(crate) variables: BTreeMap<&'static str, PathBuf>,
    pub(crate) skipped: BTreeSet<String>,
}

impl Tools {
    /// Sets the variable when the file or folder is there.
    fn offer(&mut self, variable: &'static str, path: PathBuf) {
        if path.exists() {
            self.variables.insert(variable, path);
        }
    }

    fn skip(&mut self, what: &str, why: &str) {
        let line = format!("SKIPPED {what}: {why}");
        println!("{line}");
        self.skipped.insert(line);
    }
}

/// Installs what is missing, then looks at what is there.
pub(crate) fn fetch(workspace: &Workspace) -> Tools {
    let mut missing = Tools::default();
    for (name, install) in INSTALLERS {
        if let Err(failure) = install(workspace) {
            missing.skip(name, &failure.to_string());
        }
    }
    let mut tools = find(workspace);
    tools.skipped.extend(missing.skipped);
    tools
}

/// Looks at what is there already and installs nothing.
pub(crate) fn find(workspace: &Workspace) -> Tools {
    let mut tools = Tools::default();
    npm::offer(workspace, &mut tools);
    tools.offer("OUTLAST_PYTHON", python::interpreter(workspace));
    bitcoind::offer(workspace, &mut tools);
    tools
}

/// Whether `stamp` says that exactly `content` was installed beside it.
fn is_current(stamp: &Path, content: &str) -> bool {
    std::fs::read_to_string(stamp).is_ok_and(|found| found == content)
}
