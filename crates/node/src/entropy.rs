//! The operating system's randomness (`getrandom(2)`), the only source outside the simulator, and never the same twice.
//!
//! Where the system's generator repeats itself (a machine resumed twice from one image, a broken kernel), the clock and
//! a counter still part one draw from the next; together with the share and the session that every nonce is hedged over,
//! no one-time scalar serves twice. They add uniqueness, not secrecy.

use model::entropy::{Entropy, Lent};
use model::hash::tagged;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Draws of this process.
static DRAWS: AtomicU64 = AtomicU64::new(0);

/// Draws from the operating system.
#[derive(Debug, Default, Clone, Copy)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    /// # Security
    /// A kernel without randomness ends the process: a nonce from anything else would give the key away.
    fn fill(&mut self, out: &mut [u8]) {
        if let Err(error) = getrandom::fill(out) {
            tracing::error!(%error, "the operating system gives no randomness; the node stops");
            std::process::abort();
        }
        let draw = DRAWS.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let moment = since.as_nanos().to_be_bytes();
        let process = std::process::id().to_be_bytes();
        for (block, chunk) in (0u32..).zip(out.chunks_mut(32)) {
            let parts: [&[u8]; 4] = [&process, &moment, &draw, &block.to_be_bytes()];
            for (to, from) in chunk.iter_mut().zip(tagged("outlast/node/draw/v1", &parts)) {
                *to ^= from;
            }
        }
    }

    fn lend(&mut self, source: Lent) -> bool {
        osrandom::lend(source);
        true
    }

    fn take_back(&mut self) -> bool {
        osrandom::take_back()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ_even_when_the_system_repeats_itself() {
        assert_ne!(OsEntropy.bytes::<32>(), OsEntropy.bytes::<32>());
        osrandom::lend(Box::new(|out| out.fill(7)));
        let (one, two) = (OsEntropy.bytes::<64>(), OsEntropy.bytes::<64>());
        assert!(osrandom::take_back(), "the stuck generator was asked");
        assert_ne!(one, two, "another draw");
        assert_ne!(one[..32], one[32..], "another block");
    }

    #[test]
    fn the_ecdsa_engine_draws_what_this_source_lends() {
        assert!(threshold::sign::engine_draws_what_is_lent(&mut OsEntropy));
    }
}
