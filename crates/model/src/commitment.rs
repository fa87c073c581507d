//! Feldman commitments of a sharing over an access tree, and their evaluation at a seat.
//!
//! Points stand in preorder: first the root value, then for each gate its free coefficients: t-1 for a t-of-n gate
//! (degree 1 upward), n-1 child values for an AND gate (the last child is the rest of the sum), none for OR and leaves.
//! The number of points is fixed by the tree, so a commitment to a higher degree cannot be written (finding F18).

use crate::access::AccessTree;
use crate::curve::Curve;
use crate::ids::Seat;

/// Commitments to one sharing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commitments<C: Curve> {
    points: Vec<C::Point>,
}

/// Why bytes or points are no commitments for a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitmentError {
    /// The tree fixes another number of points.
    #[error("{found} points where the access tree fixes {wanted}")]
    Count {
        /// Points found.
        found: usize,
        /// Points wanted.
        wanted: usize,
    },
    /// A point that is not canonical, not in the prime-order group, or the identity.
    #[error("point {0} is not a valid group element")]
    Point(usize),
}

/// Number of points that a sharing over `tree` commits to.
pub fn points_of(tree: &AccessTree) -> usize {
    free_of(tree).saturating_add(1)
}

fn free_of(tree: &AccessTree) -> usize {
    let own = match tree {
        AccessTree::Leaf(_) | AccessTree::Any(_) => 0,
        AccessTree::All(c) => c.len().saturating_sub(1),
        AccessTree::Threshold { threshold, .. } => usize::from(*threshold).saturating_sub(1),
    };
    let below: usize = tree.children().unwrap_or_default().iter().map(free_of).sum();
    own.saturating_add(below)
}

impl<C: Curve> Commitments<C> {
    /// Takes points in preorder; their number must be the tree's.
    pub fn new(tree: &AccessTree, points: Vec<C::Point>) -> Result<Self, CommitmentError> {
        let (found, wanted) = (points.len(), points_of(tree));
        if found != wanted {
            return Err(CommitmentError::Count { found, wanted });
        }
        Ok(Self { points })
    }

    /// Reads points in preorder, strictly.
    pub fn from_bytes(tree: &AccessTree, bytes: &[u8]) -> Result<Self, CommitmentError> {
        let wanted = points_of(tree);
        let chunks = bytes.chunks_exact(C::POINT_BYTES);
        if !chunks.remainder().is_empty() || chunks.len() != wanted {
            return Err(CommitmentError::Count { found: chunks.len(), wanted });
        }
        let points = chunks
            .enumerate()
            .map(|(at, chunk)| C::point_from_bytes(chunk).ok_or(CommitmentError::Point(at)))
            .collect::<Result<_, _>>()?;
        Ok(Self { points })
    }

    /// The points in preorder, [`Curve::POINT_BYTES`] each.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.points.iter().flat_map(C::point_to_bytes).collect()
    }

    /// Commitment to the shared secret: the public key.
    pub fn root(&self) -> C::Point {
        self.points.first().copied().unwrap_or_else(C::identity)
    }

    /// Commitments to the sum of two sharings over one tree.
    pub fn sum(&self, other: &Self) -> Result<Self, CommitmentError> {
        if self.points.len() != other.points.len() {
            let (found, wanted) = (other.points.len(), self.points.len());
            return Err(CommitmentError::Count { found, wanted });
        }
        let points = self.points.iter().zip(&other.points).map(|(a, b)| *a + *b).collect();
        Ok(Self { points })
    }

    /// Commitment to the share of `seat`; `None` when the tree has no such seat.
    pub fn public_share(&self, tree: &AccessTree, seat: Seat) -> Option<C::Point> {
        let mut free = self.points.iter().skip(1).copied();
        evaluate::<C>(tree, self.root(), &mut free, seat)
    }
}

/// Walks the tree in preorder, taking each gate's coefficients from `free`; returns the seat's value if below.
fn evaluate<C: Curve>(
    tree: &AccessTree,
    value: C::Point,
    free: &mut dyn Iterator<Item = C::Point>,
    seat: Seat,
) -> Option<C::Point> {
    let children_values: Vec<C::Point> = match tree {
        AccessTree::Leaf(own) => return (*own == seat).then_some(value),
        AccessTree::Any(c) => vec![value; c.len()],
        AccessTree::All(c) => {
            let mut parts: Vec<_> = free.take(c.len().saturating_sub(1)).collect();
            let rest = parts.iter().fold(value, |acc, part| acc - *part);
            parts.push(rest);
            parts
        }
        AccessTree::Threshold { threshold, children } => {
            let higher: Vec<_> = free.take(usize::from(*threshold).saturating_sub(1)).collect();
            (1u64..)
                .zip(children)
                .map(|(at, _)| {
                    // Horner from the highest coefficient down to the gate's value.
                    let above = higher
                        .iter()
                        .rev()
                        .fold(C::identity(), |acc, coefficient| times::<C>(acc + *coefficient, at));
                    above + value
                })
                .collect()
        }
    };
    let mut found = None;
    for (child, value) in tree.children().unwrap_or_default().iter().zip(children_values) {
        // Every child is walked, found or not, so that `free` stays in step.
        let here = evaluate::<C>(child, value, free, seat);
        found = found.or(here);
    }
    found
}

/// `n` times `point` by doubling and adding: both are public, and `n` is a position, so a handful of steps.
fn times<C: Curve>(point: C::Point, n: u64) -> C::Point {
    let bits = u64::BITS.saturating_sub(n.leading_zeros());
    (0..bits).rev().fold(C::identity(), |acc, bit| {
        let doubled = acc + acc;
        if (n >> bit) & 1 == 1 { doubled + point } else { doubled }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curve::Secp256k1 as C;

    #[test]
    fn doubling_and_adding_is_multiplication_by_a_position() {
        let point = C::mul_base(&C::scalar_from_u64(11));
        for n in (0..70).chain([u64::MAX]) {
            assert_eq!(times::<C>(point, n), C::mul(&point, &C::scalar_from_u64(n)));
        }
    }

    #[test]
    fn a_commitment_to_a_higher_degree_cannot_be_written() {
        let tree = AccessTree::committee(2, &[Seat(1), Seat(2), Seat(3)]);
        let Ok(tree) = tree else { unreachable!() };
        let g = C::mul_base(&C::one());
        assert_eq!(
            Commitments::<C>::new(&tree, vec![g, g, g]),
            Err(CommitmentError::Count { found: 3, wanted: 2 })
        );
        let Ok(good) = Commitments::<C>::new(&tree, vec![g, g]) else { unreachable!() };
        // f(x) = 1 + x: the share at seat 3 is 4.
        assert_eq!(good.public_share(&tree, Seat(3)), Some(C::mul_base(&C::scalar_from_u64(4))));
        assert_eq!(good.public_share(&tree, Seat(9)), None);
        assert_eq!(Commitments::from_bytes(&tree, &good.to_bytes()), Ok(good));
    }
}
