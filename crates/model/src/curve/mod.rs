//! Prime-order groups behind one trait: secp256k1 (SEC 2) and the prime-order subgroup of Ed25519 (RFC 8032).
//!
//! The sharing layer is written once over [`Curve`]. Points and scalars cross every edge as bytes, and decoding is
//! strict: canonical, on the curve, in the prime-order subgroup, never the identity.

mod ed25519;
mod secp256k1;

pub use ed25519::Ed25519;
pub use secp256k1::Secp256k1;

use crate::entropy::Entropy;
use core::fmt::Debug;
use core::ops::{Add, Mul, Neg, Sub};
use zeroize::Zeroize;

/// A prime-order group with its scalar field.
pub trait Curve: Copy + Clone + Debug + PartialEq + Eq + Send + Sync + 'static {
    /// Name in transcripts and vectors.
    const NAME: &'static str;
    /// Bytes of an encoded point: 33 (SEC 1 compressed) or 32.
    const POINT_BYTES: usize;
    /// An element of the scalar field.
    ///
    /// # Security
    /// Has no redaction of its own: secret scalars live in [`crate::secret::Secret`].
    type Scalar: Copy
        + PartialEq
        + Eq
        + Send
        + Sync
        + Zeroize
        + Add<Output = Self::Scalar>
        + Sub<Output = Self::Scalar>
        + Mul<Output = Self::Scalar>
        + Neg<Output = Self::Scalar>;
    /// An element of the group.
    type Point: Copy
        + Debug
        + PartialEq
        + Eq
        + Send
        + Sync
        + Add<Output = Self::Point>
        + Sub<Output = Self::Point>
        + Neg<Output = Self::Point>;

    /// Zero.
    fn zero() -> Self::Scalar;
    /// One.
    fn one() -> Self::Scalar;
    /// A small number.
    fn scalar_from_u64(v: u64) -> Self::Scalar;
    /// Canonical bytes of the curve's own byte order (secp256k1 big-endian, Ed25519 little-endian); `None` at or above the order.
    fn scalar_from_bytes(bytes: &[u8; 32]) -> Option<Self::Scalar>;
    /// Canonical bytes of the curve's own byte order.
    fn scalar_to_bytes(s: &Self::Scalar) -> [u8; 32];
    /// 64 uniformly random bytes reduced modulo the order (bias below 2^-250).
    fn scalar_from_wide(bytes: &[u8; 64]) -> Self::Scalar;
    /// Multiplicative inverse; `None` for zero.
    fn invert(s: &Self::Scalar) -> Option<Self::Scalar>;

    /// The identity element.
    fn identity() -> Self::Point;
    /// `s` times the generator, in constant time.
    fn mul_base(s: &Self::Scalar) -> Self::Point;
    /// `s` times `p`, in constant time.
    fn mul(p: &Self::Point, s: &Self::Scalar) -> Self::Point;
    /// Canonical bytes, [`Self::POINT_BYTES`] of them. The identity of secp256k1 has no such encoding and is written as zeros.
    fn point_to_bytes(p: &Self::Point) -> Vec<u8>;
    /// Strict decoding: canonical, in the prime-order subgroup, not the identity.
    fn point_from_bytes(bytes: &[u8]) -> Option<Self::Point>;
    /// True for the identity.
    fn is_identity(p: &Self::Point) -> bool {
        *p == Self::identity()
    }

    /// A uniformly random scalar, never zero.
    fn random_scalar(entropy: &mut dyn Entropy) -> Self::Scalar {
        loop {
            let mut wide = [0u8; 64];
            entropy.fill(&mut wide);
            let scalar = Self::scalar_from_wide(&wide);
            wide.zeroize();
            if scalar != Self::zero() {
                return scalar;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counter(u8);
    impl Entropy for Counter {
        fn fill(&mut self, out: &mut [u8]) {
            for byte in out {
                self.0 = self.0.wrapping_mul(29).wrapping_add(17);
                *byte = self.0;
            }
        }
    }

    fn laws<C: Curve>() {
        let mut rng = Counter(3);
        let (a, b) = (C::random_scalar(&mut rng), C::random_scalar(&mut rng));
        assert_eq!(C::mul_base(&a) + C::mul_base(&b), C::mul_base(&(a + b)));
        assert_eq!(C::mul(&C::mul_base(&a), &b), C::mul_base(&(a * b)));
        assert!(C::invert(&a).map(|i| i * a) == Some(C::one()));
        assert!(C::invert(&C::zero()).is_none());
        assert!(C::scalar_from_bytes(&C::scalar_to_bytes(&a)) == Some(a));
        assert!(C::scalar_from_bytes(&[0xff; 32]).is_none());
        let p = C::mul_base(&a);
        assert_eq!(C::point_to_bytes(&p).len(), C::POINT_BYTES);
        assert_eq!(C::point_from_bytes(&C::point_to_bytes(&p)), Some(p));
        assert_eq!(C::point_from_bytes(&C::point_to_bytes(&C::identity())), None);
        let mut wide = [0u8; 64];
        wide[63] = 5;
        let mut small = [0u8; 64];
        small[0] = 5;
        let five = C::scalar_from_u64(5);
        assert!(C::scalar_from_wide(&wide) == five || C::scalar_from_wide(&small) == five);
    }

    #[test]
    fn both_groups_obey_the_laws_that_sharing_rests_on() {
        laws::<Secp256k1>();
        laws::<Ed25519>();
    }

    #[test]
    fn a_torsion_point_or_a_second_spelling_is_no_point() {
        // The points of order 2, 4 and 8 of RFC 7748's companion list, and y = p + 1 (a second spelling of y = 1).
        for text in [
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0100000000000000000000000000000000000000000000000000000000000000",
        ] {
            let bytes = hex::decode(text).unwrap_or_default();
            assert_eq!(Ed25519::point_from_bytes(&bytes), None, "{text}");
        }
        assert_eq!(Secp256k1::point_from_bytes(&[0u8; 33]), None);
        assert_eq!(Secp256k1::point_from_bytes(&[2u8; 65]), None);
    }
}
