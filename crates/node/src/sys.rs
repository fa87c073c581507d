//! System calls that the standard library does not offer: the only unsafe code of this crate.
//!
//! Each function wraps one call, passes only values it owns and turns the result into `io::Result`.
#![expect(unsafe_code, reason = "thin wrappers over libc; each call states why it is sound")]

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A limit of this process as the kernel holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Largest core file (`RLIMIT_CORE`), bytes.
    Core,
    /// Memory that may be locked (`RLIMIT_MEMLOCK`), bytes.
    Memlock,
}

impl Limit {
    fn raw(self) -> libc::__rlimit_resource_t {
        match self {
            Self::Core => libc::RLIMIT_CORE,
            Self::Memlock => libc::RLIMIT_MEMLOCK,
        }
    }
}

/// Soft limit in bytes; `u64::MAX` is no limit.
pub(crate) fn limit(which: Limit) -> io::Result<u64> {
    let mut value = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `value` is a live, writable rlimit.
    check(unsafe { libc::getrlimit(which.raw(), &raw mut value) })?;
    Ok(value.rlim_cur)
}

/// Sets soft and hard limit to zero.
pub(crate) fn limit_to_zero(which: Limit) -> io::Result<()> {
    let value = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `value` is a live rlimit that the kernel only reads.
    check(unsafe { libc::setrlimit(which.raw(), &raw const value) })
}

/// `PR_SET_DUMPABLE 0`: no core file and no ptrace by other processes of the same user.
pub(crate) fn set_undumpable() -> io::Result<()> {
    // SAFETY: takes plain numbers, touches no memory of ours.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) })
}

/// True while this process may be dumped.
pub(crate) fn is_dumpable() -> bool {
    // SAFETY: takes plain numbers, touches no memory of ours.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) != 0 }
}

/// Keeps all present and future pages out of swap.
pub(crate) fn lock_memory() -> io::Result<()> {
    // SAFETY: takes plain numbers; pages are pinned, not changed.
    check(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) })
}

/// How long sent bytes may stay unacknowledged before the kernel drops the connection.
pub(crate) fn set_tcp_user_timeout(socket: BorrowedFd<'_>, after: Duration) -> io::Result<()> {
    let millis = libc::c_uint::try_from(after.as_millis()).unwrap_or(libc::c_uint::MAX);
    let length = libc::socklen_t::try_from(size_of::<libc::c_uint>()).unwrap_or_default();
    // SAFETY: the borrowed descriptor is open; `millis` lives over the call and `length` is its size.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_USER_TIMEOUT,
            (&raw const millis).cast(),
            length,
        )
    })
}

/// Bytes that this user may still write on the file system of `path`.
pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)?;
    let mut value = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: `path` is NUL-terminated; `value` is writable and of the right type.
    check(unsafe { libc::statvfs(path.as_ptr(), value.as_mut_ptr()) })?;
    // SAFETY: zeroed is a valid statvfs, and the call succeeded.
    let value = unsafe { value.assume_init() };
    Ok(value.f_bavail.saturating_mul(value.f_frsize))
}

/// True when the kernel holds the wall clock to be synchronised (`adjtimex`, nothing is changed).
pub(crate) fn clock_synchronised() -> io::Result<bool> {
    let mut value = MaybeUninit::<libc::timex>::zeroed();
    // SAFETY: all-zero is a valid timex; `modes == 0` makes the call read-only.
    let state = unsafe { libc::adjtimex(value.as_mut_ptr()) };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: initialised by zeroing and by the call.
    let value = unsafe { value.assume_init() };
    Ok(state != libc::TIME_ERROR && value.status & libc::STA_UNSYNC == 0)
}
