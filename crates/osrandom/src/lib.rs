//! What this process answers when foreign code asks the operating system for randomness: `getrandom` is interposed.
//!
//! The ECDSA engine draws from a generator that seeds itself with `getrandom(2)` and takes no other. While a thread has
//! lent a [`Source`] with [`lend`], that source answers for this thread; on every other thread, and after [`take_back`],
//! the kernel does. Sources stack: the simulator lends a seed's stream, and a signing step its hedge over that.
//!
//! ADR 0008. Only binaries that link this room have the symbol; that it is the one in force is tested by who needs it
//! (`threshold::sign::engine_draws_what_is_lent`). Linux only. Absent on purpose: a generator; sources bring theirs.
#![expect(unsafe_code, reason = "the C symbol getrandom(2) has no safe spelling")]

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
compile_error!(
    "Outlast builds and runs on Linux with glibc only: getrandom(2) is interposed so that nonces of the ECDSA \
     engine are hedged (docs/adr/0008)"
);

use std::cell::RefCell;

/// Fills a buffer; must not ask the operating system itself.
pub type Source = Box<dyn FnMut(&mut [u8])>;

struct Lent {
    source: Source,
    asked: bool,
}

thread_local! {
    static LENT: RefCell<Vec<Lent>> = const { RefCell::new(Vec::new()) };
}

/// From now on `source` answers on this thread, until it is taken back.
pub fn lend(source: Source) {
    LENT.with_borrow_mut(|lent| lent.push(Lent { source, asked: false }));
}

/// Drops the source that was lent last; true when it was asked for at least one byte.
pub fn take_back() -> bool {
    LENT.with_borrow_mut(Vec::pop).is_some_and(|lent| lent.asked)
}

/// Answers from this thread's source; false when there is none.
fn answer(out: &mut [u8]) -> bool {
    let answered = LENT.try_with(|lent| {
        let mut lent = lent.try_borrow_mut().ok()?;
        let top = lent.last_mut()?;
        (top.source)(out);
        top.asked |= !out.is_empty();
        Some(())
    });
    answered.ok().flatten().is_some()
}

/// Stands before libc's `getrandom`.
///
/// # Safety
/// `buffer` points to `length` writable bytes, as for the system call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(
    buffer: *mut libc::c_void,
    length: libc::size_t,
    flags: libc::c_uint,
) -> libc::ssize_t {
    if !buffer.is_null() {
        // SAFETY: the caller promises `length` writable bytes at `buffer`, which is not null.
        let out = unsafe { core::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
        if answer(out) {
            return libc::ssize_t::try_from(length).unwrap_or(libc::ssize_t::MAX);
        }
    }
    // SAFETY: the arguments are the caller's own.
    let got = unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) };
    libc::ssize_t::try_from(got).unwrap_or(-1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw() -> [u8; 8] {
        let mut out = [0u8; 8];
        ::getrandom::fill(&mut out).unwrap();
        out
    }

    #[test]
    fn the_source_lent_last_answers_until_it_is_taken_back() {
        lend(Box::new(|out| out.fill(1)));
        lend(Box::new(|out| out.fill(2)));
        assert_eq!(draw(), [2; 8]);
        assert!(take_back(), "the upper source was asked");
        assert_eq!(draw(), [1; 8]);
        assert!(take_back(), "the lower source was asked");
        assert_ne!(draw(), draw(), "the kernel again");
    }

    #[test]
    fn a_source_that_nobody_asked_says_so_and_other_threads_have_none() {
        lend(Box::new(|out| out.fill(3)));
        let other = std::thread::spawn(draw).join().unwrap();
        assert_ne!(other, [3; 8], "a source serves its own thread only");
        assert!(!take_back(), "nobody asked on this thread");
        assert!(!take_back(), "nothing is lent");
    }
}
