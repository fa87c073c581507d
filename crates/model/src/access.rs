//! Access trees: who can use a key together. Leaves are seats, gates are AND, OR and t-of-n.
//!
//! A tree stands for a linear sharing of one secret: an AND gate splits its value into a sum, an OR gate hands it to
//! every child, a t-of-n gate evaluates a polynomial of degree t-1 at 1, 2, … n. Any satisfying set of seats then
//! has public coefficients whose weighted sum of shares is the secret; see [`AccessTree::coefficients`].

use crate::curve::Curve;
use crate::ids::Seat;
use crate::limits;
use crate::wire::{Reader, Wire, WireError, Writer};
use std::collections::{BTreeMap, BTreeSet};

/// One node of an access tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessTree {
    /// One seat.
    Leaf(Seat),
    /// Every child: the value is the sum of the children's.
    All(Vec<AccessTree>),
    /// Any child: each holds the value.
    Any(Vec<AccessTree>),
    /// Any `threshold` children: Shamir's polynomial over positions 1, 2, … n.
    Threshold {
        /// Children needed.
        threshold: u16,
        /// The children, by position.
        children: Vec<AccessTree>,
    },
}

/// Why a tree is not a valid access structure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// A gate without children.
    #[error("a gate has no children")]
    EmptyGate,
    /// A threshold of zero or above the number of children.
    #[error("threshold {threshold} of {children} children")]
    Threshold {
        /// Threshold asked for.
        threshold: u16,
        /// Children present.
        children: usize,
    },
    /// One seat on two leaves, or seat zero.
    #[error("seat {} is zero or stands twice", .0.0)]
    Seat(Seat),
    /// Too deep.
    #[error("deeper than {max} levels")]
    Depth {
        /// The bound.
        max: usize,
    },
    /// Too many seats.
    #[error("{found} seats, at most {max}")]
    TooManySeats {
        /// Seats found.
        found: usize,
        /// The bound.
        max: usize,
    },
}

impl AccessTree {
    /// A plain t-of-n committee over `seats`, in their order.
    pub fn committee(threshold: u16, seats: &[Seat]) -> Result<Self, TreeError> {
        let children = seats.iter().copied().map(Self::Leaf).collect();
        let tree = Self::Threshold { threshold, children };
        tree.validate()?;
        Ok(tree)
    }

    /// Refuses trees that no sharing can follow.
    pub fn validate(&self) -> Result<(), TreeError> {
        self.validate_at(1)?;
        let seats = self.seats();
        if seats.len() > limits::SEATS_MAX {
            return Err(TreeError::TooManySeats { found: seats.len(), max: limits::SEATS_MAX });
        }
        let mut seen = BTreeSet::new();
        match seats.into_iter().find(|seat| seat.0 == 0 || !seen.insert(*seat)) {
            Some(seat) => Err(TreeError::Seat(seat)),
            None => Ok(()),
        }
    }

    fn validate_at(&self, depth: usize) -> Result<(), TreeError> {
        if depth > limits::TREE_DEPTH_MAX {
            return Err(TreeError::Depth { max: limits::TREE_DEPTH_MAX });
        }
        let Some(children) = self.children() else { return Ok(()) };
        if children.is_empty() {
            return Err(TreeError::EmptyGate);
        }
        if let Self::Threshold { threshold, children } = self
            && (*threshold == 0 || usize::from(*threshold) > children.len())
        {
            let children = children.len();
            return Err(TreeError::Threshold { threshold: *threshold, children });
        }
        children.iter().try_for_each(|child| child.validate_at(depth.saturating_add(1)))
    }

    /// Children of a gate; `None` for a leaf.
    pub fn children(&self) -> Option<&[AccessTree]> {
        match self {
            Self::Leaf(_) => None,
            Self::All(c) | Self::Any(c) | Self::Threshold { children: c, .. } => Some(c),
        }
    }

    /// The seats, left to right.
    pub fn seats(&self) -> Vec<Seat> {
        match self {
            Self::Leaf(seat) => vec![*seat],
            _ => self.children().unwrap_or_default().iter().flat_map(Self::seats).collect(),
        }
    }

    /// True when `present` may use the secret.
    pub fn satisfied_by(&self, present: &BTreeSet<Seat>) -> bool {
        match self {
            Self::Leaf(seat) => present.contains(seat),
            Self::All(c) => c.iter().all(|child| child.satisfied_by(present)),
            Self::Any(c) => c.iter().any(|child| child.satisfied_by(present)),
            Self::Threshold { threshold, children } => {
                children.iter().filter(|child| child.satisfied_by(present)).count()
                    >= usize::from(*threshold)
            }
        }
    }

    /// The first satisfying choice among `present`, left to right; `None` when there is none.
    pub fn minimal_quorum(&self, present: &BTreeSet<Seat>) -> Option<BTreeSet<Seat>> {
        match self {
            Self::Leaf(seat) => present.contains(seat).then(|| BTreeSet::from([*seat])),
            Self::All(c) => c
                .iter()
                .map(|child| child.minimal_quorum(present))
                .try_fold(BTreeSet::new(), |acc, q| q.map(|q| acc.into_iter().chain(q).collect())),
            Self::Any(c) => c.iter().find_map(|child| child.minimal_quorum(present)),
            Self::Threshold { threshold, children } => {
                let found: Vec<_> = children
                    .iter()
                    .filter_map(|child| child.minimal_quorum(present))
                    .take(usize::from(*threshold))
                    .collect();
                (found.len() == usize::from(*threshold))
                    .then(|| found.into_iter().flatten().collect())
            }
        }
    }

    /// Coefficients by seat such that the sum of coefficient times share is the secret.
    ///
    /// `quorum` must satisfy the tree; where it satisfies it in several ways the leftmost children count and the
    /// other seats are absent from the result. `None` when the quorum does not satisfy the tree.
    pub fn coefficients<C: Curve>(
        &self,
        quorum: &BTreeSet<Seat>,
    ) -> Option<BTreeMap<Seat, C::Scalar>> {
        let mut out = BTreeMap::new();
        self.collect_coefficients::<C>(quorum, C::one(), &mut out)?;
        Some(out)
    }

    fn collect_coefficients<C: Curve>(
        &self,
        quorum: &BTreeSet<Seat>,
        factor: C::Scalar,
        out: &mut BTreeMap<Seat, C::Scalar>,
    ) -> Option<()> {
        match self {
            Self::Leaf(seat) => quorum.contains(seat).then(|| {
                out.insert(*seat, factor);
            }),
            Self::All(c) => {
                c.iter().try_for_each(|child| child.collect_coefficients::<C>(quorum, factor, out))
            }
            Self::Any(c) => {
                let child = c.iter().find(|child| child.satisfied_by(quorum))?;
                child.collect_coefficients::<C>(quorum, factor, out)
            }
            Self::Threshold { threshold, children } => {
                let chosen: Vec<(u64, &AccessTree)> = (1u64..)
                    .zip(children)
                    .filter(|(_, child)| child.satisfied_by(quorum))
                    .take(usize::from(*threshold))
                    .collect();
                if chosen.len() < usize::from(*threshold) {
                    return None;
                }
                let positions: Vec<u64> = chosen.iter().map(|(at, _)| *at).collect();
                chosen.iter().try_for_each(|(at, child)| {
                    let lambda = lagrange_at_zero::<C>(*at, &positions)?;
                    child.collect_coefficients::<C>(quorum, factor * lambda, out)
                })
            }
        }
    }
}

/// Lagrange coefficient of position `at` for the value at zero over `positions`.
fn lagrange_at_zero<C: Curve>(at: u64, positions: &[u64]) -> Option<C::Scalar> {
    let x = C::scalar_from_u64(at);
    let (mut numerator, mut denominator) = (C::one(), C::one());
    for other in positions.iter().filter(|other| **other != at) {
        let o = C::scalar_from_u64(*other);
        numerator = numerator * o;
        denominator = denominator * (o - x);
    }
    C::invert(&denominator).map(|inverse| numerator * inverse)
}

impl Wire for AccessTree {
    fn write(&self, w: &mut Writer) {
        match self {
            Self::Leaf(seat) => {
                w.u8(0);
                w.u16(seat.0);
            }
            Self::All(c) => {
                w.u8(1);
                w.list(c, |w, child| child.write(w));
            }
            Self::Any(c) => {
                w.u8(2);
                w.list(c, |w, child| child.write(w));
            }
            Self::Threshold { threshold, children } => {
                w.u8(3);
                w.u16(*threshold);
                w.list(children, |w, child| child.write(w));
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let tree = read_tree(r, 1)?;
        tree.validate().map_err(|_| WireError::Range("access tree"))?;
        Ok(tree)
    }
}

fn read_tree(r: &mut Reader<'_>, depth: usize) -> Result<AccessTree, WireError> {
    if depth > limits::TREE_DEPTH_MAX {
        return Err(WireError::Range("access tree depth"));
    }
    let kind = r.u8()?;
    let below = depth.saturating_add(1);
    match kind {
        0 => Ok(AccessTree::Leaf(Seat(r.u16()?))),
        1 => Ok(AccessTree::All(r.list(limits::SEATS_MAX, |r| read_tree(r, below))?)),
        2 => Ok(AccessTree::Any(r.list(limits::SEATS_MAX, |r| read_tree(r, below))?)),
        3 => {
            let threshold = r.u16()?;
            let children = r.list(limits::SEATS_MAX, |r| read_tree(r, below))?;
            Ok(AccessTree::Threshold { threshold, children })
        }
        _ => Err(WireError::Range("access tree gate")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curve::Secp256k1;

    fn seats(list: &[u16]) -> BTreeSet<Seat> {
        list.iter().copied().map(Seat).collect()
    }

    fn two_halves() -> AccessTree {
        let half = |t, list: &[u16]| AccessTree::Threshold {
            threshold: t,
            children: list.iter().map(|s| AccessTree::Leaf(Seat(*s))).collect(),
        };
        AccessTree::All(vec![half(2, &[1, 2, 3]), half(2, &[4, 5, 6])])
    }

    #[test]
    fn an_and_tree_needs_a_quorum_of_both_halves() {
        let tree = two_halves();
        assert!(tree.satisfied_by(&seats(&[1, 3, 4, 6])));
        assert!(!tree.satisfied_by(&seats(&[1, 2, 3, 4])));
        assert_eq!(tree.coefficients::<Secp256k1>(&seats(&[1, 2, 3, 4])), None);
        assert_eq!(tree.minimal_quorum(&seats(&[1, 2, 3, 4, 5, 6])), Some(seats(&[1, 2, 4, 5])));
    }

    #[test]
    fn a_bad_tree_is_refused_by_name() {
        let leaf = |s| AccessTree::Leaf(Seat(s));
        assert_eq!(AccessTree::All(vec![]).validate(), Err(TreeError::EmptyGate));
        assert_eq!(
            AccessTree::All(vec![leaf(1), leaf(1)]).validate(),
            Err(TreeError::Seat(Seat(1)))
        );
        assert_eq!(leaf(0).validate(), Err(TreeError::Seat(Seat(0))));
        assert_eq!(
            AccessTree::committee(3, &[Seat(1), Seat(2)]),
            Err(TreeError::Threshold { threshold: 3, children: 2 })
        );
        let deep = (0..8).fold(leaf(1), |t, _| AccessTree::Any(vec![t]));
        assert_eq!(deep.validate(), Err(TreeError::Depth { max: 6 }));
    }

    #[test]
    fn a_tree_reads_back_from_its_bytes() {
        let tree = two_halves();
        assert_eq!(AccessTree::from_bytes(&tree.to_bytes()), Ok(tree));
    }
}
