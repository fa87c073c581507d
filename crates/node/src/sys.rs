//! System calls that the standard library does not offer: the only unsafe code of this crate.
//!
//! Each function wraps one call, passes only values it owns and turns the result into `io::Result`.
#![expect(unsafe_code, reason = "thin wrappers over libc; each call states why it is sound")]

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
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

/// A clock of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// `CLOCK_REALTIME`.
    Wall,
    /// `CLOCK_BOOTTIME`: goes on while the machine sleeps.
    Boot,
    /// `CLOCK_MONOTONIC`.
    Steady,
}

/// A clock's milliseconds.
pub(crate) fn clock_ms(which: Clock) -> io::Result<i64> {
    let id = match which {
        Clock::Wall => libc::CLOCK_REALTIME,
        Clock::Boot => libc::CLOCK_BOOTTIME,
        Clock::Steady => libc::CLOCK_MONOTONIC,
    };
    let mut value = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `value` is a live, writable timespec.
    check(unsafe { libc::clock_gettime(id, &raw mut value) })?;
    Ok(value.tv_sec.saturating_mul(1000).saturating_add(value.tv_nsec / 1_000_000))
}

/// A socket that hears the kernel's uevents; reading it never waits.
pub(crate) fn uevent_socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: takes plain numbers.
    let raw = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_KOBJECT_UEVENT) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh descriptor that nobody else owns.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    // SAFETY: all-zero is a valid sockaddr_nl.
    let mut address = unsafe { MaybeUninit::<libc::sockaddr_nl>::zeroed().assume_init() };
    address.nl_family = libc::sa_family_t::try_from(libc::AF_NETLINK).unwrap_or_default();
    // The first group is the kernel's own word, before any daemon handled it.
    address.nl_groups = 1;
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_nl>()).unwrap_or_default();
    // SAFETY: the descriptor is open; `address` lives over the call and `length` is its size.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) })?;
    Ok(socket)
}

/// One datagram from the kernel, or `None` when nothing waits. What other processes sent counts as empty.
pub(crate) fn receive<'a>(
    socket: BorrowedFd<'_>,
    buffer: &'a mut [u8],
) -> io::Result<Option<&'a [u8]>> {
    // SAFETY: all-zero is a valid sockaddr_nl.
    let mut from = unsafe { MaybeUninit::<libc::sockaddr_nl>::zeroed().assume_init() };
    let mut length = libc::socklen_t::try_from(size_of::<libc::sockaddr_nl>()).unwrap_or_default();
    // SAFETY: the descriptor is open; buffer and address are writable for the lengths that are given.
    let read = unsafe {
        libc::recvfrom(
            socket.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            libc::MSG_DONTWAIT,
            (&raw mut from).cast(),
            &raw mut length,
        )
    };
    let Ok(read) = usize::try_from(read) else {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) };
    };
    let read = if from.nl_pid == 0 { read } else { 0 };
    Ok(Some(buffer.get(..read).unwrap_or_default()))
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

/// What the kernel knows of the wall clock's reference (`adjtimex`, nothing is changed).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClockState {
    /// A time service steers the clock by a reference.
    pub synchronised: bool,
    /// The clock is at most this far from its reference, as the time service reckons.
    pub error_max: Duration,
}

/// Asks the kernel.
pub(crate) fn clock_state() -> io::Result<ClockState> {
    let mut value = MaybeUninit::<libc::timex>::zeroed();
    // SAFETY: all-zero is a valid timex; `modes == 0` makes the call read-only.
    let state = unsafe { libc::adjtimex(value.as_mut_ptr()) };
    if state < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: initialised by zeroing and by the call.
    let value = unsafe { value.assume_init() };
    Ok(ClockState {
        synchronised: state != libc::TIME_ERROR && value.status & libc::STA_UNSYNC == 0,
        error_max: Duration::from_micros(u64::try_from(value.maxerror).unwrap_or(u64::MAX)),
    })
}
