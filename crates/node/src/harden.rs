//! Keeps the memory of the process to itself: no core files, no ptrace by siblings, no swap.
//!
//! Call it first, before any secret is read. Core files and ptrace must go, or the node does not start; locked
//! memory is best effort, because an unprivileged user may lock little: the report says what was reached.
//! Absent on purpose: protection against root of the same machine, which only a TEE can give.

use crate::sys;
use std::io;

/// What [`harden_process`] reached.
#[derive(Debug)]
pub struct Hardening {
    /// Why the memory may be swapped out, when it may.
    pub memory_unlocked: Option<io::Error>,
}

/// Why the process may not hold secrets.
#[derive(Debug, thiserror::Error)]
pub enum HardenError {
    /// `setrlimit(RLIMIT_CORE, 0)` was refused.
    #[error("core files cannot be switched off")]
    Core(#[source] io::Error),
    /// `prctl(PR_SET_DUMPABLE, 0)` was refused.
    #[error("the process stays dumpable")]
    Dumpable(#[source] io::Error),
}

impl HardenError {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Core(_) => "core_dumps_on",
            Self::Dumpable(_) => "process_dumpable",
        }
    }
}

/// Switches core files and ptrace off and tries to lock the memory.
pub fn harden_process() -> Result<Hardening, HardenError> {
    sys::limit_to_zero(sys::Limit::Core).map_err(HardenError::Core)?;
    sys::set_undumpable().map_err(HardenError::Dumpable)?;
    Ok(Hardening { memory_unlocked: lock_memory_when_unlimited() })
}

/// Locks only where no limit can bite later: under a small limit `MCL_FUTURE` would make a later allocation
/// fail in the middle of a signature, which is worse than a page in swap.
fn lock_memory_when_unlimited() -> Option<io::Error> {
    match sys::limit(sys::Limit::Memlock) {
        Ok(u64::MAX) => sys::lock_memory().err(),
        Ok(bytes) => Some(io::Error::other(format!("the limit on locked memory is {bytes} bytes"))),
        Err(error) => Some(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: after hardening the kernel itself says so. The memory lock depends on the machine's limit.
    #[test]
    fn a_hardened_process_leaves_no_core_file() {
        harden_process().unwrap();
        assert_eq!(sys::limit(sys::Limit::Core).unwrap(), 0);
        assert!(!sys::is_dumpable());
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    }
}
