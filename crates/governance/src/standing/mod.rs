//! What a set of acts amounts to now.

mod count;
mod powers;
mod set;

pub use count::{Missing, MissingPart, Supporters, met};
pub use set::{ActKey, ActSet, Seen};
