//! `outlast node preflight`: is this machine fit to hold a share?
//!
//! Each check looks at one thing, says what it found and, unless it is fine, what to do. Nothing is changed but a
//! probe file that is removed again. A *fail* is what stops a node from working or from being safe; a *warning* is
//! what an operator should decide about.
//!
//! Ports are tried both ways: the node's own endpoint from outside, and every peer that the journal trusts or the caller
//! names. The clock is judged by the kernel's word on the time service; how far it is from the clocks of peers (of a running
//! node) or of chain nodes is shown and warned of, and never decides. Absent on purpose: any other outgoing connection
//! but to a cloud's metadata service.

mod clocks;
mod machine;
mod network;
mod storage;

use crate::home::Home;
use model::api::NodeView;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
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
    /// Metadata services of the clouds.
    pub metadata: Vec<SocketAddr>,
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
            metadata: vec![
                SocketAddr::from((Ipv4Addr::new(169, 254, 169, 254), 80)),
                SocketAddr::from((Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), 80)),
                SocketAddr::from((Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 80)),
            ],
            metadata_wait: Duration::from_millis(300),
            tpm_devices: vec!["/dev/tpmrm0".into(), "/dev/tpm0".into()],
            tcti: std::env::var("TPM2TOOLS_TCTI").ok(),
        }
    }
}

/// Runs every check; takes a few seconds and blocks. `named` are endpoints to dial besides those of trusted peers.
pub fn run(home: &Home, named: &[String], surroundings: &Surroundings) -> Vec<Check> {
    let (settings, dir) = (home.settings(), home.dir());
    let mut trusted = BTreeMap::new();
    let journal = storage::journal(home, &mut trusted);
    let cards = trusted.into_values().filter(|card| !card.endpoint.is_empty());
    let mut endpoints: BTreeMap<String, String> =
        named.iter().map(|endpoint| (endpoint.clone(), "--peer".to_owned())).collect();
    endpoints.extend(cards.map(|card| (card.endpoint, card.operator)));
    vec![
        machine::wall_clock(),
        machine::clock_steps(),
        machine::clock_sync(),
        clocks::chain_nodes(&settings.rpc),
        machine::core_dumps(),
        machine::locked_memory(),
        machine::tpm(home.seal_kind(), surroundings),
        storage::writable(dir),
        journal,
        storage::free_space(dir),
        storage::fsync(dir),
        network::ports(settings),
        network::peers(&endpoints),
        network::metadata(surroundings),
    ]
}

/// What can be tested beside the running node, whose directory is locked: not its ports, its journal and its seal. `running` is
/// what the node says of itself, or why it says nothing.
pub fn run_beside(
    dir: &Path,
    running: Result<&NodeView, &str>,
    named: &[String],
    surroundings: &Surroundings,
) -> Vec<Check> {
    let trusted = running.map(|view| view.peers.as_slice()).unwrap_or_default();
    let trusted = trusted.iter().filter(|peer| !peer.endpoint.is_empty());
    let mut endpoints: BTreeMap<String, String> =
        named.iter().map(|endpoint| (endpoint.clone(), "--peer".to_owned())).collect();
    endpoints.extend(trusted.map(|peer| (peer.endpoint.clone(), peer.operator.clone())));
    vec![
        machine::wall_clock(),
        machine::clock_steps(),
        machine::clock_sync(),
        clocks::peers(running),
        machine::core_dumps(),
        machine::locked_memory(),
        storage::writable(dir),
        storage::free_space(dir),
        storage::fsync(dir),
        network::peers(&endpoints),
        network::metadata(surroundings),
    ]
}

/// The worst verdict, for the exit code.
pub fn worst(checks: &[Check]) -> Verdict {
    checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Ok)
}

#[cfg(test)]
mod tests;
