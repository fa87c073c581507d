//! What a simulated node keeps, and the world's only source of chance.

use engine::PersistentState;
use model::entropy::{Entropy, Lent};
use model::secret::Secret;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;
use std::collections::BTreeMap;

/// What survives a crash of a simulated node.
#[derive(Debug, Default, Clone)]
pub struct Disk {
    /// Journal records.
    pub records: Vec<Vec<u8>>,
    /// Secret values; in the simulator they lie open.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// Public records.
    pub public: BTreeMap<String, Vec<u8>>,
}

impl Disk {
    pub(crate) fn load(&self) -> PersistentState {
        let open = |(key, value): (&String, &Vec<u8>)| (key.clone(), Secret::new(value.clone()));
        PersistentState {
            records: self.records.clone(),
            secrets: self.secrets.iter().map(open).collect(),
        }
    }
}

/// The world's own generator.
pub struct Dice(pub(crate) ChaCha20Rng);

impl Entropy for Dice {
    fn fill(&mut self, out: &mut [u8]) {
        self.0.fill_bytes(out);
    }
    fn lend(&mut self, source: Lent) -> bool {
        osrandom::lend(source);
        true
    }
    fn take_back(&mut self) -> bool {
        osrandom::take_back()
    }
}

impl Dice {
    /// A number below `bound` (0 for a bound of 0).
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64().checked_rem(bound).unwrap_or(0)
    }
    /// True in so many of a thousand cases.
    pub(crate) fn chance(&mut self, per_thousand: u32) -> bool {
        self.below(1000) < u64::from(per_thousand)
    }
}
