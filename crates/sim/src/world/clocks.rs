//! Clocks of simulated nodes: each is right unless a test sets it.

use super::World;
use model::time::Timestamp;

impl World {
    /// From here on a node's clock is so much ahead of the world's; negative: behind.
    pub fn set_clock(&mut self, node: usize, ahead_ms: i64) {
        if let Some(state) = self.nodes.get_mut(node) {
            state.skew_ms = ahead_ms;
        }
    }

    /// What a node's clock says.
    pub(super) fn clock_of(&self, node: usize) -> Timestamp {
        let skew = self.nodes.get(node).map_or(0, |state| state.skew_ms);
        Timestamp(self.now.0.saturating_add_signed(skew))
    }
}
