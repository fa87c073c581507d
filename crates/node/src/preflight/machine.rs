//! Clock, memory and TPM of the machine.

use super::{Check, Surroundings};
use crate::seal::{self, SealError, SealKind};
use crate::sys::{self, ClockState};
use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const YEAR_SECS: u64 = 31_556_952;
/// This software did not exist before.
const YEAR_MIN: u64 = 2026;
const YEAR_MAX: u64 = 2100;
/// Locked memory that holds all secrets of a full node.
const MEMLOCK_BYTES_MIN: u64 = 512 * 1024 * 1024;

/// Beyond this a time service is lost rather than coarse; deadlines are minutes.
const CLOCK_ERROR_MAX: Duration = Duration::from_secs(1);
const TPM_FIX: &str = "give the service access to /dev/tpmrm0, and install tpm2-tools";

pub(super) const CLOCK_FIX: &str = "set the clock and keep it: apt-get install chrony";

pub(super) fn wall() -> Option<Duration> {
    SystemTime::now().duration_since(UNIX_EPOCH).ok()
}

pub(super) fn wall_clock() -> Check {
    judge_wall_clock(wall().unwrap_or_default().as_secs())
}

pub(super) fn judge_wall_clock(secs: u64) -> Check {
    let year = (secs / YEAR_SECS).saturating_add(1970);
    let detail = format!("the wall clock says the year {year}");
    if (YEAR_MIN..YEAR_MAX).contains(&year) {
        Check::ok("clock", detail)
    } else {
        Check::fail("clock", detail, CLOCK_FIX)
    }
}

/// Deadlines and expiries need a wall clock that runs like the monotonic one.
pub(super) fn clock_steps() -> Check {
    let (before, start) = (wall(), Instant::now());
    std::thread::sleep(Duration::from_millis(100));
    let (after, elapsed) = (wall(), start.elapsed());
    let moved = after.zip(before).and_then(|(after, before)| after.checked_sub(before));
    judge_steps(moved, elapsed)
}

pub(super) fn judge_steps(moved: Option<Duration>, elapsed: Duration) -> Check {
    match moved.map(|moved| moved.abs_diff(elapsed)) {
        Some(gap) if gap < Duration::from_millis(20) => {
            Check::ok("clock_steps", "wall clock and monotonic clock run alike")
        }
        Some(gap) => Check::warn(
            "clock_steps",
            format!("the wall clock moved {gap:?} against the monotonic clock"),
            CLOCK_FIX,
        ),
        None => Check::fail("clock_steps", "the wall clock ran backwards", CLOCK_FIX),
    }
}

/// The reference is the one that the machine's time service steers by; other machines' clocks are looked at in `clocks`.
pub(super) fn clock_sync() -> Check {
    judge_clock(sys::clock_state())
}

pub(super) fn judge_clock(state: io::Result<ClockState>) -> Check {
    let used = "the kernel's word on its time service (adjtimex)";
    match state {
        Ok(ClockState { synchronised: true, error_max }) if error_max <= CLOCK_ERROR_MAX => {
            Check::ok("clock_sync", format!("{used}: synchronised, at most {error_max:?} off"))
        }
        Ok(ClockState { synchronised: true, error_max }) => {
            Check::warn("clock_sync", format!("{used}: perhaps {error_max:?} off"), CLOCK_FIX)
        }
        Ok(_) => Check::warn("clock_sync", format!("{used}: not synchronised"), CLOCK_FIX),
        Err(error) => Check::warn("clock_sync", format!("{used}: unknown, {error}"), CLOCK_FIX),
    }
}

/// Looks at this process, which hardened itself as the node does: see [`crate::harden`].
pub(super) fn core_dumps() -> Check {
    judge_core_dumps(sys::limit(sys::Limit::Core), sys::is_dumpable())
}

pub(super) fn judge_core_dumps(limit: io::Result<u64>, dumpable: bool) -> Check {
    let fix = "let the service manager allow it: LimitCORE=0";
    match limit {
        Ok(0) if !dumpable => Check::ok("core_dumps", "off, and other processes cannot attach"),
        Ok(bytes) => {
            let detail = format!("limit {bytes} bytes, dumpable: {dumpable}");
            Check::fail("core_dumps", detail, fix)
        }
        Err(error) => Check::fail("core_dumps", format!("unknown: {error}"), fix),
    }
}

pub(super) fn locked_memory() -> Check {
    judge_locked_memory(sys::limit(sys::Limit::Memlock))
}

pub(super) fn judge_locked_memory(limit: io::Result<u64>) -> Check {
    let fix = "LimitMEMLOCK=infinity in the service's unit, or switch swap off";
    match limit {
        Ok(u64::MAX) => Check::ok("memlock", "memory can be locked without a limit"),
        Ok(bytes) if bytes >= MEMLOCK_BYTES_MIN => Check::warn(
            "memlock",
            format!("{bytes} bytes may be locked; the node locks only without a limit"),
            fix,
        ),
        Ok(bytes) => Check::warn(
            "memlock",
            format!("only {bytes} bytes may be locked; secrets may reach the swap"),
            fix,
        ),
        Err(error) => Check::warn("memlock", format!("unknown: {error}"), fix),
    }
}

pub(super) fn tpm(seal: SealKind, surroundings: &Surroundings) -> Check {
    let found = match &surroundings.tcti {
        Some(tcti) => Some(format!("TPM2TOOLS_TCTI={tcti}")),
        None => {
            let mut devices = surroundings.tpm_devices.iter();
            devices.find(|device| device.exists()).map(|device| device.display().to_string())
        }
    };
    let Some(found) = found else {
        return match seal {
            SealKind::Tpm2 => {
                Check::fail("tpm", "the data key is sealed to a TPM and none is here", TPM_FIX)
            }
            SealKind::Passphrase | SealKind::SystemdCreds => {
                Check::ok("tpm", "none here, and this node's seal needs none")
            }
        };
    };
    // A device file and a variable prove nothing: the TPM itself must answer.
    match (seal::ask_tpm(surroundings.tcti.as_deref()), seal) {
        (Ok(()), _) => Check::ok("tpm", format!("{found}: it answers")),
        (Err(error), SealKind::Tpm2) => Check::fail("tpm", format!("{found}: {error}"), TPM_FIX),
        (Err(SealError::ToolMissing { .. }), _) => {
            let detail = format!("{found}: not asked, and this node's seal needs none");
            Check::ok("tpm", detail)
        }
        (Err(error), _) => Check::warn("tpm", format!("{found}: {error}"), TPM_FIX),
    }
}
