//! The operating system's randomness (`getrandom(2)`), the only source outside the simulator.

use model::entropy::Entropy;

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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(OsEntropy.bytes::<32>(), OsEntropy.bytes::<32>());
    }
}
