//! What may go wrong in a world, as probabilities per thousand and bounds in milliseconds.

/// Fault rates of one world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// Frames lost, per thousand.
    pub loss: u32,
    /// Frames delivered twice, per thousand.
    pub duplicate: u32,
    /// Longest delay of a frame; delays are drawn freely, so frames overtake one another.
    pub delay_ms_max: u64,
    /// Chance per second that a link goes down for a while, per thousand.
    pub partition: u32,
    /// Chance per second that a node crashes, per thousand.
    pub crash: u32,
    /// Of the crashes, those that hit between a durable write and what would have left after it, per thousand.
    pub crash_after_commit: u32,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        loss: 0,
        duplicate: 0,
        delay_ms_max: 5,
        partition: 0,
        crash: 0,
        crash_after_commit: 0,
    };

    /// Rates of a seed: every seventh world is calm, the others mix faults.
    pub fn of_seed(seed: u64) -> Self {
        let pick = |shift: u32, most: u32| {
            let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(shift);
            u32::try_from(mixed % u64::from(most.saturating_add(1))).unwrap_or(0)
        };
        if seed.is_multiple_of(7) {
            return Self::NONE;
        }
        Self {
            loss: pick(3, 30),
            duplicate: pick(11, 50),
            delay_ms_max: u64::from(pick(19, 200)).saturating_add(1),
            partition: pick(29, 60),
            crash: pick(37, 60),
            crash_after_commit: pick(47, 1000),
        }
    }
}
