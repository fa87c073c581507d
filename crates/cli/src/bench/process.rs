//! What processes used: CPU time and memory.

use crate::error::CommandError;
use std::time::Duration;

/// CPU time that this process used so far.
#[expect(unsafe_code, reason = "clock_gettime has no safe door for this clock")]
pub(crate) fn own_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a valid timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// CPU time that process `pid` used so far, user and system.
pub(crate) fn cpu_of(pid: u32) -> Result<Duration, CommandError> {
    let text = proc_file(pid, "stat")?;
    ticks(&text)
        .map(|ticks| Duration::from_millis(ticks.saturating_mul(1000) / ticks_per_second()))
        .ok_or_else(|| CommandError::bug(format!("/proc/{pid}/stat does not read")))
}

/// Fields 14 and 15; the name in field 2 may hold spaces and brackets.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

#[expect(unsafe_code, reason = "sysconf has no safe door in the standard library")]
fn ticks_per_second() -> u64 {
    // SAFETY: takes a number, returns a number.
    let found = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(found).unwrap_or_default().max(1)
}

/// Resident memory of process `pid`, KiB.
pub(crate) fn resident_kib(pid: u32) -> Result<u64, CommandError> {
    let text = proc_file(pid, "status")?;
    resident(&text).ok_or_else(|| CommandError::bug(format!("/proc/{pid}/status does not read")))
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn proc_file(pid: u32, name: &str) -> Result<String, CommandError> {
    std::fs::read_to_string(format!("/proc/{pid}/{name}")).map_err(|e| {
        CommandError::unavailable("no_proc", format!("cannot read /proc/{pid}/{name}: {e}"))
            .hint("benches of whole nodes need Linux")
    })
}

/// Processors that this process may use.
pub(crate) fn cores() -> u16 {
    let found = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u16::try_from(found).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_the_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 9 0 1 2 3";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("7 (a"), None);
        assert_eq!(resident("Name:\tx\nVmRSS:\t  12345 kB\n"), Some(12345));
    }

    #[test]
    fn this_process_has_used_time_and_memory() {
        let spin: u64 = (0..20_000_000u64).fold(0, |a, b| std::hint::black_box(a ^ b));
        std::hint::black_box(spin);
        assert!(own_cpu() > Duration::ZERO);
        assert!(resident_kib(std::process::id()).unwrap() > 100);
    }
}
