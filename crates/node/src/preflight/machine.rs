//! Clock, memory and TPM of the machine.

use super::{Check, Surroundings};
use crate::seal::SealKind;
use crate::sys;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const YEAR_SECS: u64 = 31_556_952;
/// This software did not exist before.
const YEAR_MIN: u64 = 2026;
const YEAR_MAX: u64 = 2100;
/// Locked memory that holds all secrets of a full node.
const MEMLOCK_BYTES_MIN: u64 = 512 * 1024 * 1024;

const CLOCK_FIX: &str = "set the clock and keep it: apt-get install chrony";

fn wall() -> Option<Duration> {
    SystemTime::now().duration_since(UNIX_EPOCH).ok()
}

pub(super) fn wall_clock() -> Check {
    let secs = wall().unwrap_or_default().as_secs();
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

pub(super) fn clock_sync() -> Check {
    match sys::clock_synchronised() {
        Ok(true) => Check::ok("clock_sync", "the kernel holds the clock to be synchronised"),
        Ok(false) => Check::warn("clock_sync", "the clock is not synchronised", CLOCK_FIX),
        Err(error) => Check::warn("clock_sync", format!("unknown: {error}"), CLOCK_FIX),
    }
}

/// Looks at this process, which hardened itself as the node does: see [`crate::harden`].
pub(super) fn core_dumps() -> Check {
    let fix = "let the service manager allow it: LimitCORE=0";
    match sys::limit(sys::Limit::Core) {
        Ok(0) if !sys::is_dumpable() => {
            Check::ok("core_dumps", "off, and other processes cannot attach")
        }
        Ok(bytes) => Check::fail(
            "core_dumps",
            format!("limit {bytes} bytes, dumpable: {}", sys::is_dumpable()),
            fix,
        ),
        Err(error) => Check::fail("core_dumps", format!("unknown: {error}"), fix),
    }
}

pub(super) fn locked_memory() -> Check {
    let fix = "LimitMEMLOCK=infinity in the service's unit, or switch swap off";
    match sys::limit(sys::Limit::Memlock) {
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
    match (found, seal) {
        (Some(found), _) => Check::ok("tpm", found),
        (None, SealKind::Tpm2) => Check::fail(
            "tpm",
            "the data key is sealed to a TPM and none is here",
            "give the service access to /dev/tpmrm0",
        ),
        (None, SealKind::Passphrase | SealKind::SystemdCreds) => {
            Check::ok("tpm", "none here, and this node's seal needs none")
        }
    }
}
