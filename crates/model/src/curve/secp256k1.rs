//! secp256k1 over `k256`; points as SEC 1 compressed bytes, scalars big-endian.

use super::Curve;
use k256::elliptic_curve::ff::{Field, PrimeField};
use k256::elliptic_curve::ops::Reduce;
use k256::elliptic_curve::sec1::{FromSec1Point, ToSec1Point};
use k256::{AffinePoint, ProjectivePoint, Scalar, U256};

/// The curve of Bitcoin and Ethereum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Secp256k1;

impl Curve for Secp256k1 {
    const NAME: &'static str = "secp256k1";
    const POINT_BYTES: usize = 33;
    type Scalar = Scalar;
    type Point = ProjectivePoint;

    fn zero() -> Scalar {
        Scalar::ZERO
    }
    fn one() -> Scalar {
        Scalar::ONE
    }
    fn scalar_from_u64(v: u64) -> Scalar {
        Scalar::from(v)
    }
    fn scalar_from_bytes(bytes: &[u8; 32]) -> Option<Scalar> {
        Option::from(Scalar::from_repr((*bytes).into()))
    }
    fn scalar_to_bytes(s: &Scalar) -> [u8; 32] {
        s.to_repr().into()
    }
    fn scalar_from_wide(bytes: &[u8; 64]) -> Scalar {
        // hi * 2^256 + lo, each half reduced on its own.
        let (hi, lo) = bytes.split_at(32);
        let half = |part: &[u8]| {
            let mut buffer = [0u8; 32];
            buffer.copy_from_slice(part);
            <Scalar as Reduce<U256>>::reduce(&U256::from_be_slice(&buffer))
        };
        let two_128 = Scalar::from(u128::MAX) + Scalar::ONE;
        half(hi) * two_128 * two_128 + half(lo)
    }
    fn invert(s: &Scalar) -> Option<Scalar> {
        Option::from(Field::invert(s))
    }
    fn identity() -> ProjectivePoint {
        ProjectivePoint::IDENTITY
    }
    fn mul_base(s: &Scalar) -> ProjectivePoint {
        ProjectivePoint::mul_by_generator(s)
    }
    fn mul(p: &ProjectivePoint, s: &Scalar) -> ProjectivePoint {
        *p * *s
    }
    fn point_to_bytes(p: &ProjectivePoint) -> Vec<u8> {
        if *p == ProjectivePoint::IDENTITY {
            return vec![0; Self::POINT_BYTES];
        }
        p.to_affine().to_sec1_point(true).as_bytes().to_vec()
    }
    fn point_from_bytes(bytes: &[u8]) -> Option<ProjectivePoint> {
        // Only the compressed spelling: two spellings of one point would be two transcripts.
        if bytes.len() != Self::POINT_BYTES {
            return None;
        }
        let encoded = k256::Sec1Point::from_bytes(bytes).ok()?;
        let affine: Option<AffinePoint> = AffinePoint::from_sec1_point(&encoded).into();
        affine.map(ProjectivePoint::from).filter(|p| *p != ProjectivePoint::IDENTITY)
    }
}
