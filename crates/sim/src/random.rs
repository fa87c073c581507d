//! Repeatable randomness for backends that draw their own.
//!
//! The signing engine dkls23-core asks the operating system and cannot be handed a generator. While a thread holds a
//! [`Seeded`] guard, `osrandom` answers from a ChaCha20 stream of the seed; on every other thread it asks the kernel.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// While this lives, the thread's operating-system randomness comes from a seed.
#[derive(Debug)]
pub struct Seeded(());

impl Seeded {
    /// Starts the stream of `seed` on this thread.
    pub fn new(seed: u64) -> Self {
        let mut stream = ChaCha20Rng::seed_from_u64(seed);
        osrandom::lend(Box::new(move |out| stream.fill_bytes(out)));
        Self(())
    }
}

impl Drop for Seeded {
    fn drop(&mut self) {
        osrandom::take_back();
    }
}
