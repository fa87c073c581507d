//! Hedged randomness: a nonce stays unpredictable when either the generator or the share is known, and differs between
//! two messages even when both the generator and the process were copied.

use super::error::SignError;
use dkls23_core::utilities::commits::commit;
use dkls23_core::utilities::rng::get_rng;
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

    /// SIGN-4: for everything that the ECDSA engine draws in one phase. `received` covers what the phase answers, so a
    /// rewound node does not answer two messages with the same masks.
    pub(crate) fn for_phase(
        share: &[u8; 32],
        context: &[u8],
        phase: &str,
        received: &[u8; 32],
        entropy: &mut dyn Entropy,
    ) -> Self {
        let mut fresh = [0u8; 32];
        entropy.fill(&mut fresh);
        let parts: [&[u8]; 5] = [share, context, phase.as_bytes(), received, &fresh];
        let seed = tagged("outlast/sign/engine/v1", &parts);
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

/// Runs `call` with the ECDSA engine's own generator seeded from `hedged`, where `entropy` can lend (ADR 0008).
///
/// # Security
/// The engine's generator lives as long as its thread. It is seeded anew before, so that nothing older serves, and
/// after, so that nothing of this call's one-time scalars stays behind in it (K2).
pub(crate) fn lending<T>(
    hedged: Hedged,
    entropy: &mut dyn Entropy,
    call: impl FnOnce() -> T,
) -> Result<T, SignError> {
    // Made before the source is lent: a thread's first use of its generator seeds it, too.
    let mut generator = get_rng();
    let mut source = hedged;
    if !entropy.lend(Box::new(move |out| source.fill_bytes(out))) {
        return Ok(call());
    }
    let seeded = generator.reseed();
    let value = seeded.is_ok().then(call);
    let asked = entropy.take_back();
    let wiped = generator.reseed();
    match value {
        Some(value) if asked && wiped.is_ok() => Ok(value),
        _ => Err(SignError::Bug("the ECDSA engine does not draw what is lent to it")),
    }
}

/// True when the ECDSA engine draws exactly what `entropy` lends: the hedge of its nonces is in force in this process.
pub fn engine_draws_what_is_lent(entropy: &mut dyn Entropy) -> bool {
    let mut draw = |seed: u8| {
        let hedged = Hedged { seed: [seed; 32], block: 0 };
        // The salt of a commitment is the one thing that the engine draws in the open.
        lending(hedged, entropy, || commit(&[]).1).ok()
    };
    let (one, again, other) = (draw(1), draw(1), draw(2));
    one.is_some() && one == again && one != other
}

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
