//! The prime-order subgroup of Ed25519 over `curve25519-dalek`; points as RFC 8032 bytes, scalars little-endian.
//!
//! Scalars of a sharing are never clamped: clamping is not linear, and these keys come from no seed.

use super::Curve;
use curve25519_dalek::constants::ED25519_BASEPOINT_TABLE;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{Identity, IsIdentity};

/// The curve of Solana.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ed25519;

impl Curve for Ed25519 {
    const NAME: &'static str = "ed25519";
    const POINT_BYTES: usize = 32;
    type Scalar = Scalar;
    type Point = EdwardsPoint;

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
        Option::from(Scalar::from_canonical_bytes(*bytes))
    }
    fn scalar_to_bytes(s: &Scalar) -> [u8; 32] {
        s.to_bytes()
    }
    fn scalar_from_wide(bytes: &[u8; 64]) -> Scalar {
        Scalar::from_bytes_mod_order_wide(bytes)
    }
    fn invert(s: &Scalar) -> Option<Scalar> {
        (*s != Scalar::ZERO).then(|| s.invert())
    }
    fn identity() -> EdwardsPoint {
        EdwardsPoint::identity()
    }
    fn mul_base(s: &Scalar) -> EdwardsPoint {
        ED25519_BASEPOINT_TABLE * s
    }
    fn mul(p: &EdwardsPoint, s: &Scalar) -> EdwardsPoint {
        p * s
    }
    fn point_to_bytes(p: &EdwardsPoint) -> Vec<u8> {
        p.compress().to_bytes().to_vec()
    }
    fn point_from_bytes(bytes: &[u8]) -> Option<EdwardsPoint> {
        let compressed = CompressedEdwardsY::from_slice(bytes).ok()?;
        let point = compressed.decompress()?;
        // Decompression takes y >= p and x = -0; both are second spellings.
        let canonical = point.compress() == compressed;
        (canonical && point.is_torsion_free() && !point.is_identity()).then_some(point)
    }
}
