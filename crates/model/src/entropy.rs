//! Randomness as an argument: the runner brings the operating system's, the simulator a seed's.
//!
//! A backend that draws for itself is reached the other way round: [`Entropy::lend`] puts a source under it (ADR 0008).

/// What answers for the operating system's generator while it is lent.
pub type Lent = Box<dyn FnMut(&mut [u8])>;

/// A source of uniformly random bytes.
pub trait Entropy {
    /// Fills `out`.
    fn fill(&mut self, out: &mut [u8]);

    /// Answers from `source` what foreign code on this thread asks of the operating system, until
    /// [`Entropy::take_back`]. False where that cannot be done, and then nothing is lent.
    fn lend(&mut self, source: Lent) -> bool {
        drop(source);
        false
    }

    /// Ends the last [`Entropy::lend`]; false when its source was never asked.
    fn take_back(&mut self) -> bool {
        false
    }

    /// `N` fresh bytes.
    fn bytes<const N: usize>(&mut self) -> [u8; N]
    where
        Self: Sized,
    {
        let mut out = [0u8; N];
        self.fill(&mut out);
        out
    }
}
