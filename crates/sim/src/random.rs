//! Repeatable randomness for backends that draw their own: `getrandom` is interposed in binaries that link this room.
//!
//! The signing engine dkls23-core asks the operating system and cannot be handed a generator. While a thread holds a
//! [`Seeded`] guard, this symbol answers from a ChaCha20 stream of the seed; on every other thread it asks the kernel.
//! Only the simulator's binaries link this; it is the one `unsafe` of the workspace.
#![expect(unsafe_code, reason = "the C symbol getrandom(2) has no safe spelling")]

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::cell::RefCell;

thread_local! {
    static STREAM: RefCell<Option<ChaCha20Rng>> = const { RefCell::new(None) };
}

/// While this lives, the thread's operating-system randomness comes from a seed.
#[derive(Debug)]
pub struct Seeded(());

impl Seeded {
    /// Starts the stream of `seed` on this thread.
    pub fn new(seed: u64) -> Self {
        STREAM.with_borrow_mut(|stream| *stream = Some(ChaCha20Rng::seed_from_u64(seed)));
        Self(())
    }
}

impl Drop for Seeded {
    fn drop(&mut self) {
        STREAM.with_borrow_mut(|stream| *stream = None);
    }
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
    // SAFETY: the caller promises `length` writable bytes at `buffer`.
    let out = unsafe { core::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
    let seeded = STREAM
        .try_with(|stream| {
            let mut stream = stream.try_borrow_mut().ok()?;
            stream.as_mut()?.fill_bytes(out);
            Some(())
        })
        .ok()
        .flatten();
    if seeded.is_some() {
        return libc::ssize_t::try_from(length).unwrap_or(libc::ssize_t::MAX);
    }
    // SAFETY: the arguments are the caller's own.
    let got = unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) };
    libc::ssize_t::try_from(got).unwrap_or(-1)
}
