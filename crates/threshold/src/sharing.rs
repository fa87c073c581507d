//! Linear sharing over an access tree, once for both curves: deal, check, and turn shares into additive ones.
//!
//! Feldman's verifiable sharing (1987) for each gate: an AND gate splits its value into a sum whose last part is the
//! rest, an OR gate hands it to every child, a t-of-n gate evaluates a polynomial at 1, 2, … n. Commitments stand in
//! preorder; [`model::commitment`] fixes their number, so a dealer cannot raise a degree unseen.
//!
//! Trees are validated ([`AccessTree::validate`]); shares are scalars in the curve's own byte order.
//! Absent on purpose: putting a secret back together. Nothing here sums additive shares (invariant K5).

use model::access::AccessTree;
use model::commitment::Commitments;
use model::curve::Curve;
use model::entropy::Entropy;
use model::ids::Seat;
use model::secret::Secret;
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

/// One dealer's sharing of one scalar: public commitments, and each seat's share.
#[derive(Debug)]
pub struct Dealing<C: Curve> {
    /// What everybody checks shares against.
    pub commitments: Commitments<C>,
    /// Share by seat.
    pub shares: BTreeMap<Seat, Secret<[u8; 32]>>,
}

/// Shares `secret` over `tree`.
pub fn deal<C: Curve>(
    tree: &AccessTree,
    secret: &C::Scalar,
    entropy: &mut dyn Entropy,
) -> Dealing<C> {
    let mut points = vec![C::mul_base(secret)];
    let mut shares = BTreeMap::new();
    deal_below::<C>(tree, secret, entropy, &mut points, &mut shares);
    Dealing { commitments: collected(tree, points), shares }
}

#[expect(clippy::expect_used, reason = "the walk and `points_of` count by the same rule")]
fn collected<C: Curve>(tree: &AccessTree, points: Vec<C::Point>) -> Commitments<C> {
    Commitments::new(tree, points).expect("one point for each free coefficient")
}

/// Hands `value` down to the seats below `tree`, appending commitments in preorder.
fn deal_below<C: Curve>(
    tree: &AccessTree,
    value: &C::Scalar,
    entropy: &mut dyn Entropy,
    points: &mut Vec<C::Point>,
    shares: &mut BTreeMap<Seat, Secret<[u8; 32]>>,
) {
    let values: Zeroizing<Vec<C::Scalar>> = match tree {
        AccessTree::Leaf(seat) => {
            shares.insert(*seat, Secret::new(C::scalar_to_bytes(value)));
            return;
        }
        AccessTree::Any(children) => Zeroizing::new(vec![*value; children.len()]),
        AccessTree::All(children) => {
            let mut parts = random_committed::<C>(children.len(), entropy, points);
            let rest = parts.iter().fold(*value, |acc, part| acc - *part);
            parts.push(rest);
            parts
        }
        AccessTree::Threshold { threshold, children } => {
            let higher = random_committed::<C>(usize::from(*threshold), entropy, points);
            let at = |x| higher.iter().rev().fold(C::zero(), |acc, a| (acc + *a) * x) + *value;
            let positions = (1u64..).zip(children);
            Zeroizing::new(positions.map(|(x, _)| at(C::scalar_from_u64(x))).collect())
        }
    };
    for (child, value) in tree.children().unwrap_or_default().iter().zip(values.iter()) {
        deal_below::<C>(child, value, entropy, points, shares);
    }
}

/// Draws `count - 1` scalars and commits to them.
fn random_committed<C: Curve>(
    count: usize,
    entropy: &mut dyn Entropy,
    points: &mut Vec<C::Point>,
) -> Zeroizing<Vec<C::Scalar>> {
    // Room for the rest that an AND gate appends: growing would leave a copy behind.
    let mut drawn = Zeroizing::new(Vec::with_capacity(count.max(1)));
    for _ in 1..count {
        let scalar = C::random_scalar(entropy);
        points.push(C::mul_base(&scalar));
        drawn.push(scalar);
    }
    drawn
}

/// True when `share` is the share of `seat` that `commitments` fix.
pub fn verify_share<C: Curve>(
    tree: &AccessTree,
    commitments: &Commitments<C>,
    seat: Seat,
    share: &[u8; 32],
) -> bool {
    let Some(scalar) = C::scalar_from_bytes(share).map(Zeroizing::new) else { return false };
    commitments.public_share(tree, seat) == Some(C::mul_base(&scalar))
}

/// What `seat` adds to the sum when exactly `quorum` acts; `None` when the quorum does not satisfy the tree, or has
/// no use for this seat (see [`AccessTree::coefficients`]).
pub fn additive_share<C: Curve>(
    tree: &AccessTree,
    quorum: &BTreeSet<Seat>,
    seat: Seat,
    share: &Secret<[u8; 32]>,
) -> Option<Secret<[u8; 32]>> {
    let coefficient = tree.coefficients::<C>(quorum)?.get(&seat).copied()?;
    let scalar = Zeroizing::new(C::scalar_from_bytes(share.expose())?);
    let product = Zeroizing::new(coefficient * *scalar);
    Some(Secret::new(C::scalar_to_bytes(&product)))
}

/// The public counterparts of [`additive_share`], by seat; their sum is the public key.
pub fn public_additive_shares<C: Curve>(
    tree: &AccessTree,
    commitments: &Commitments<C>,
    quorum: &BTreeSet<Seat>,
) -> Option<BTreeMap<Seat, C::Point>> {
    let coefficients = tree.coefficients::<C>(quorum)?;
    let share = |(seat, coefficient): (Seat, C::Scalar)| {
        Some((seat, C::mul(&commitments.public_share(tree, seat)?, &coefficient)))
    };
    coefficients.into_iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{SeededEntropy, seats, trees};
    use model::curve::{Ed25519, Secp256k1};
    use proptest::prelude::*;

    fn sum<C: Curve>(tree: &AccessTree, dealing: &Dealing<C>, quorum: &BTreeSet<Seat>) -> bool {
        let Some(public) = public_additive_shares(tree, &dealing.commitments, quorum) else {
            return false;
        };
        let mut point_sum = C::identity();
        let mut scalar_sum = C::zero();
        for (seat, point) in &public {
            let share = additive_share::<C>(tree, quorum, *seat, &dealing.shares[seat]).unwrap();
            let scalar = C::scalar_from_bytes(share.expose()).unwrap();
            assert_eq!(C::mul_base(&scalar), *point, "the share of {seat:?} is not its public one");
            scalar_sum = scalar_sum + scalar;
            point_sum = point_sum + *point;
        }
        assert_eq!(point_sum, dealing.commitments.root());
        assert_eq!(C::mul_base(&scalar_sum), point_sum);
        true
    }

    fn law<C: Curve>(tree: &AccessTree, present: &BTreeSet<Seat>, seed: u64) {
        let mut entropy = SeededEntropy::new(seed);
        let secret = C::random_scalar(&mut entropy);
        let dealing = deal::<C>(tree, &secret, &mut entropy);
        assert_eq!(dealing.commitments.root(), C::mul_base(&secret));
        let all: BTreeSet<Seat> = tree.seats().into_iter().collect();
        assert_eq!(dealing.shares.keys().copied().collect::<BTreeSet<_>>(), all);
        for (seat, share) in &dealing.shares {
            assert!(verify_share(tree, &dealing.commitments, *seat, share.expose()));
            let other = all.iter().find(|other| dealing.shares[other].expose() != share.expose());
            if let Some(other) = other {
                assert!(!verify_share(tree, &dealing.commitments, *other, share.expose()));
            }
            let scalar = C::scalar_from_bytes(share.expose()).unwrap();
            let wrong = C::scalar_to_bytes(&(scalar + C::one()));
            assert!(!verify_share(tree, &dealing.commitments, *seat, &wrong));
        }
        assert!(sum(tree, &dealing, &all), "everybody together is a quorum");
        let satisfied = tree.satisfied_by(present);
        assert_eq!(sum(tree, &dealing, present), satisfied);
        if !satisfied {
            let seat = all.first().unwrap();
            let share = &dealing.shares[seat];
            assert!(additive_share::<C>(tree, present, *seat, share).is_none());
        }
        if let Some(minimal) = tree.minimal_quorum(present) {
            assert!(sum(tree, &dealing, &minimal));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn a_quorum_sums_to_the_secret_and_less_than_a_quorum_gets_nothing(
            tree in trees(),
            mask in any::<u32>(),
            seed in any::<u64>(),
        ) {
            let present = tree.seats().into_iter().filter(|s| (mask >> s.0) & 1 == 1).collect();
            law::<Secp256k1>(&tree, &present, seed);
            law::<Ed25519>(&tree, &present, seed);
        }
    }

    #[test]
    fn every_subset_of_a_committee_obeys_its_threshold() {
        for (threshold, n) in [(1, 1), (1, 3), (2, 3), (3, 3), (3, 5)] {
            let list: Vec<Seat> = (1..=n).map(Seat).collect();
            let tree = AccessTree::committee(threshold, &list).unwrap();
            for mask in 0u32..(1 << n) {
                let chosen: Vec<u16> = (1..=n).filter(|s| (mask >> (s - 1)) & 1 == 1).collect();
                assert_eq!(tree.satisfied_by(&seats(&chosen)), chosen.len() >= threshold.into());
                law::<Secp256k1>(&tree, &seats(&chosen), u64::from(mask));
                law::<Ed25519>(&tree, &seats(&chosen), u64::from(mask));
            }
        }
    }

    /// Shares under which the seats `known` hold what they held before and every quorum finds `secret`: the other seats'
    /// shares follow one by one, each from a quorum that lacks nothing else.
    fn explained<C: Curve>(
        tree: &AccessTree,
        known: &BTreeMap<Seat, C::Scalar>,
        quorums: &[&[u16]],
        secret: &C::Scalar,
    ) -> BTreeMap<Seat, C::Scalar> {
        let mut shares = known.clone();
        for quorum in quorums.iter().map(|list| seats(list)) {
            let coefficients = tree.coefficients::<C>(&quorum).unwrap();
            let missing: Vec<_> = quorum.iter().filter(|s| !shares.contains_key(s)).collect();
            if let [seat] = missing[..] {
                let held = quorum.iter().filter(|s| *s != seat);
                let sum = held.fold(C::zero(), |sum, s| sum + coefficients[s] * shares[s]);
                let rest = *secret - sum;
                shares.insert(*seat, rest * C::invert(&coefficients[seat]).unwrap());
            }
        }
        for quorum in quorums.iter().map(|list| seats(list)) {
            let coefficients = tree.coefficients::<C>(&quorum).unwrap();
            let sum = quorum.iter().fold(C::zero(), |sum, s| sum + coefficients[s] * shares[s]);
            assert!(sum == *secret, "{quorum:?} finds another secret");
        }
        shares
    }

    fn nothing_is_told<C: Curve>(tree: &AccessTree, known: &[u16], quorums: &[&[u16]]) {
        let mut entropy = SeededEntropy::new(4);
        let secret = C::random_scalar(&mut entropy);
        let dealing = deal::<C>(tree, &secret, &mut entropy);
        assert!(!tree.satisfied_by(&seats(known)));
        let scalar = |seat: &Seat| C::scalar_from_bytes(dealing.shares[seat].expose()).unwrap();
        let held: BTreeMap<_, _> =
            seats(known).into_iter().map(|seat| (seat, scalar(&seat))).collect();
        // The true secret is explained by the true shares, and any other one by others that fit as well.
        let true_shares = explained::<C>(tree, &held, quorums, &secret);
        assert!(true_shares.iter().all(|(seat, share)| *share == scalar(seat)));
        assert_eq!(true_shares.len(), tree.seats().len());
        let others = (0..8).map(|_| C::random_scalar(&mut entropy));
        for candidate in [C::zero(), C::one(), secret + C::one()].into_iter().chain(others) {
            let shares = explained::<C>(tree, &held, quorums, &candidate);
            assert!(held.iter().all(|(seat, share)| shares[seat] == *share));
            assert_eq!(shares.len(), tree.seats().len());
        }
    }

    /// Less than a quorum of shares fits every secret there is: for each candidate there are polynomials through them.
    #[test]
    fn invariant_k1_less_than_a_quorum_of_shares_fits_every_secret() {
        let committee = |threshold, n| crate::testing::committee(threshold, 1..=n);
        let of_three: [&[u16]; 3] = [&[1, 2], &[1, 3], &[2, 3]];
        let of_five: [&[u16]; 5] = [&[1, 2, 3], &[1, 2, 4], &[1, 2, 5], &[3, 4, 5], &[2, 3, 5]];
        let of_halves: [&[u16]; 4] = [&[1, 2, 4, 5], &[1, 3, 4, 5], &[2, 3, 4, 5], &[1, 2, 4, 5]];
        let check = |tree: AccessTree, known: &[u16], quorums: &[&[u16]]| {
            nothing_is_told::<Secp256k1>(&tree, known, quorums);
            nothing_is_told::<Ed25519>(&tree, known, quorums);
        };
        check(committee(2, 3), &[1], &of_three);
        check(committee(3, 3), &[1, 3], &[&[1, 2, 3]]);
        check(committee(3, 5), &[1, 2], &of_five);
        // A whole half is as blind as nobody: what it lacks is one seat of the other.
        check(crate::testing::halves(), &[1, 2, 3, 4], &of_halves);
    }

    #[test]
    fn a_share_at_or_above_the_order_is_no_share() {
        let tree = AccessTree::Leaf(Seat(1));
        let mut entropy = SeededEntropy::new(1);
        let dealing = deal::<Secp256k1>(&tree, &Secp256k1::one(), &mut entropy);
        assert!(!verify_share(&tree, &dealing.commitments, Seat(1), &[0xff; 32]));
        assert!(!verify_share(
            &tree,
            &dealing.commitments,
            Seat(2),
            &Secp256k1::scalar_to_bytes(&Secp256k1::one())
        ));
        assert!(verify_share(
            &tree,
            &dealing.commitments,
            Seat(1),
            &Secp256k1::scalar_to_bytes(&Secp256k1::one())
        ));
    }
}
