//! `outlast node preflight`: is this machine fit to hold a share?
//!
//! Each check looks at one thing, says what it found and, unless it is fine, what to do. Nothing is changed but a
//! probe file that is removed again. A *fail* is what stops a node from working or from being safe; a *warning* is
//! what an operator should decide about.
//!
//! Absent on purpose: a comparison of clocks with the peers (links are needed for that; the running node does it), and
//! any outgoing connection but to the node's own endpoint and to the metadata service of a cloud.

mod machine;
mod network;
mod storage;

use crate::home::Settings;
use crate::seal::SealKind;
use serde::Serialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Fine.
    Ok,
    /// The operator should decide.
    Warn,
    /// The node would not work, or not be safe.
    Fail,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Stable name.
    pub name: &'static str,
    /// How it ended.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
    /// What to do, unless all is fine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, detail: detail.into(), fix: None }
    }
    fn warn(name: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Warn, detail: detail.into(), fix: Some(fix.into()) }
    }
    fn fail(name: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Fail, detail: detail.into(), fix: Some(fix.into()) }
    }
}

/// Where the checks look; tests look elsewhere.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Metadata service of the clouds.
    pub metadata: SocketAddr,
    /// How long that service may take to answer.
    pub metadata_wait: Duration,
    /// Device files of a TPM.
    pub tpm_devices: Vec<PathBuf>,
    /// `TPM2TOOLS_TCTI`, when set.
    pub tcti: Option<String>,
}

impl Surroundings {
    /// The machine as it is.
    pub fn of_this_machine() -> Self {
        Self {
            metadata: SocketAddr::from((Ipv4Addr::new(169, 254, 169, 254), 80)),
            metadata_wait: Duration::from_millis(300),
            tpm_devices: vec!["/dev/tpmrm0".into(), "/dev/tpm0".into()],
            tcti: std::env::var("TPM2TOOLS_TCTI").ok(),
        }
    }
}

/// Runs every check; takes a second or two and blocks.
pub fn run(
    settings: &Settings,
    dir: &Path,
    seal: SealKind,
    surroundings: &Surroundings,
) -> Vec<Check> {
    vec![
        machine::wall_clock(),
        machine::clock_steps(),
        machine::clock_sync(),
        machine::core_dumps(),
        machine::locked_memory(),
        machine::tpm(seal, surroundings),
        storage::writable(dir),
        storage::free_space(dir),
        storage::fsync(dir),
        network::ports(settings),
        network::metadata(surroundings),
    ]
}

/// The worst verdict, for the exit code.
pub fn worst(checks: &[Check]) -> Verdict {
    checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Ok)
}

#[cfg(test)]
mod tests;
