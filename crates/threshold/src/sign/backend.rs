//! The one interface of every signing protocol: bodies in, bodies out, one call a round.
//!
//! A backend sees an additive share of one quorum and message bodies whose heads were checked. It is built by its own
//! `start`, moves with each round, and is dropped by any error, its one-time scalars with it.

use super::error::SignError;
use model::entropy::Entropy;
use model::ids::Seat;
use model::signing::Signature;
use std::collections::BTreeMap;

/// A protocol run between two rounds, seen from one seat.
pub(crate) trait Backend: Sized + Send {
    /// Takes one body of each other member.
    ///
    /// `Box` because a run is large and moves through every round.
    fn advance(
        self: Box<Self>,
        inbox: BTreeMap<Seat, Vec<u8>>,
        entropy: &mut dyn Entropy,
    ) -> Result<Progress<Box<Self>>, SignError>;
}

/// What a round yields.
pub(crate) enum Progress<B> {
    /// The run after this round, and one body for each other member.
    Continue(B, BTreeMap<Seat, Vec<u8>>),
    /// A signature that is not verified yet.
    Done(Signature),
}

impl<B> Progress<B> {
    pub(crate) fn map<D>(self, f: impl FnOnce(B) -> D) -> Progress<D> {
        match self {
            Self::Continue(run, bodies) => Progress::Continue(f(run), bodies),
            Self::Done(signature) => Progress::Done(signature),
        }
    }
}
