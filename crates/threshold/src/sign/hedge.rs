//! Hedged randomness: a nonce stays unpredictable when either the generator or the share is known, and differs between
//! two messages even when both the generator and the process were copied.

use model::entropy::Entropy;
use model::hash::tagged;
use rand_core::{CryptoRng, Error, RngCore};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A generator for one nonce pair: SHA-256 over share, session context and fresh bytes, in counter mode.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Hedged {
    seed: [u8; 32],
    block: u64,
}

impl Hedged {
    /// SIGN-5: `context` covers message, set, session, key, path and tweak, so one nonce never serves two of them.
    pub(crate) fn new(share: &[u8; 32], context: &[u8; 32], entropy: &mut dyn Entropy) -> Self {
        let mut fresh = [0u8; 32];
        entropy.fill(&mut fresh);
        let seed = tagged("outlast/sign/nonce/v1", &[share, context, &fresh]);
        fresh.zeroize();
        Self { seed, block: 0 }
    }
}

impl RngCore for Hedged {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0u8; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }
    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0u8; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }
    fn fill_bytes(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let block = self.block.to_be_bytes();
            let mut bytes = tagged("outlast/sign/nonce/block/v1", &[&self.seed, &block]);
            self.block = self.block.wrapping_add(1);
            for (to, from) in chunk.iter_mut().zip(bytes) {
                *to = from;
            }
            bytes.zeroize();
        }
    }
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(out);
        Ok(())
    }
}

impl CryptoRng for Hedged {}

#[cfg(test)]
mod tests {
    use super::*;

    struct Stuck;
    impl Entropy for Stuck {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(7);
        }
    }

    #[test]
    fn invariant_k2_a_stuck_generator_still_gives_each_message_and_share_its_own_nonce() {
        let draw = |share: u8, context: u8| {
            let mut bytes = [0u8; 64];
            Hedged::new(&[share; 32], &[context; 32], &mut Stuck).fill_bytes(&mut bytes);
            bytes
        };
        assert_ne!(draw(1, 1), draw(1, 2), "another message, another nonce");
        assert_ne!(draw(1, 1), draw(2, 1), "another share, another nonce");
        assert_ne!(draw(1, 1)[..32], draw(1, 1)[32..], "the two nonces of a pair differ");
    }
}
