//! Derivation of child keys from public keys: BIP-32 non-hardened for secp256k1, an additive scheme for Ed25519.
//!
//! Spec: `docs/spec/derivation.md`. A child key is `parent + tweak * G`; the sum of the tweaks along a path is public to
//! whoever knows the chain code, so a quorum signs for a child by adding the sum once to its additive shares.
//! Absent on purpose: hardened derivation (nobody holds the private key that it needs).
//!
//! # Security
//! One leaked child private key plus the chain code gives the root private key, so chain codes are confidential.

use crate::curve::{Curve, Ed25519, Secp256k1};
use crate::limits;
use crate::wire::{Reader, Wire, WireError, Writer};
use core::fmt;
use core::str::FromStr;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};

/// A chain code: confidential, not in any public log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChainCode(pub [u8; 32]);

impl fmt::Debug for ChainCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainCode(..)")
    }
}

/// A path of non-hardened child numbers, `m/44/60/0/0/0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct DerivationPath(Vec<u32>);

/// Why a derivation was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HdError {
    /// Not `m` followed by `/number` parts.
    #[error("`{0}` is not a path like m/44/60/0/0/0")]
    Syntax(String),
    /// A hardened part: nobody holds the private key that it needs.
    #[error(
        "`{0}` is hardened; a threshold key has only non-hardened children (write it without ' or h)"
    )]
    Hardened(String),
    /// Too many parts.
    #[error("{found} levels, at most {max}")]
    Depth {
        /// Levels found.
        found: usize,
        /// The bound.
        max: usize,
    },
    /// Key bytes are no point.
    #[error("not a valid public key")]
    Key,
    /// BIP-32's case of probability below 2^-127: take the next number.
    #[error("child {0} does not exist for this key, use the next number")]
    NoChild(u32),
}

/// First child number that would be hardened.
const HARDENED: u32 = 0x8000_0000;

impl DerivationPath {
    /// The root itself.
    pub fn root() -> Self {
        Self::default()
    }
    /// Child numbers, each below 2^31.
    pub fn new(parts: Vec<u32>) -> Result<Self, HdError> {
        if parts.len() > limits::PATH_DEPTH_MAX {
            return Err(HdError::Depth { found: parts.len(), max: limits::PATH_DEPTH_MAX });
        }
        match parts.iter().find(|part| **part >= HARDENED) {
            Some(part) => Err(HdError::Hardened(part.to_string())),
            None => Ok(Self(parts)),
        }
    }
    /// The child numbers.
    pub fn parts(&self) -> &[u32] {
        &self.0
    }
    /// One level down.
    pub fn child(&self, number: u32) -> Result<Self, HdError> {
        Self::new(self.0.iter().copied().chain([number]).collect())
    }
    /// True when `self` is `other` or below it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for DerivationPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("m")?;
        self.0.iter().try_for_each(|part| write!(f, "/{part}"))
    }
}

impl FromStr for DerivationPath {
    type Err = HdError;
    fn from_str(text: &str) -> Result<Self, HdError> {
        let syntax = || HdError::Syntax(text.chars().take(80).collect());
        let mut parts = text.split('/');
        if parts.next() != Some("m") {
            return Err(syntax());
        }
        let numbers = parts
            .map(|part| match part.strip_suffix(['\'', 'h', 'H']) {
                Some(_) => Err(HdError::Hardened(text.to_owned())),
                // One spelling per number: no sign, no leading zero.
                None if part.len() > 1 && part.starts_with('0') => Err(syntax()),
                None if part.bytes().all(|b| b.is_ascii_digit()) => {
                    part.parse().map_err(|_| syntax())
                }
                None => Err(syntax()),
            })
            .collect::<Result<_, _>>()?;
        Self::new(numbers)
    }
}

impl Wire for DerivationPath {
    fn write(&self, w: &mut Writer) {
        w.list(&self.0, |w, part| w.u32(*part));
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let parts = r.list(limits::PATH_DEPTH_MAX, Reader::u32)?;
        Self::new(parts).map_err(|_| WireError::Range("derivation path"))
    }
}

/// A public key with its chain code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtendedKey<C: Curve> {
    /// The public key.
    pub point: C::Point,
    /// Its chain code.
    pub chain_code: ChainCode,
}

/// A child and the scalar that leads to it from the key the path began at.
#[derive(Debug, Clone, Copy)]
pub struct Child<C: Curve> {
    /// Public key and chain code of the child.
    pub key: ExtendedKey<C>,
    /// `child = start + tweak * G`; public to whoever knows the chain code.
    pub tweak: Tweak<C>,
}

/// A scalar added to a key. Not secret by itself; confidential like the chain code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tweak<C: Curve>(pub C::Scalar);

impl<C: Curve> fmt::Debug for Tweak<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tweak(..)")
    }
}

/// A curve with a rule for one step down.
pub trait Derive: Curve {
    /// The tweak and the chain code of child `number`.
    fn step(key: &ExtendedKey<Self>, number: u32) -> Result<(Self::Scalar, ChainCode), HdError>;

    /// Walks `path` down from `root`.
    fn derive(root: &ExtendedKey<Self>, path: &DerivationPath) -> Result<Child<Self>, HdError> {
        let start = Child { key: *root, tweak: Tweak(Self::zero()) };
        path.parts().iter().try_fold(start, |at, number| {
            let (tweak, chain_code) = Self::step(&at.key, *number)?;
            let point = at.key.point + Self::mul_base(&tweak);
            if Self::is_identity(&point) {
                return Err(HdError::NoChild(*number));
            }
            let key = ExtendedKey { point, chain_code };
            Ok(Child { key, tweak: Tweak(at.tweak.0 + tweak) })
        })
    }
}

impl Derive for Secp256k1 {
    fn step(key: &ExtendedKey<Self>, number: u32) -> Result<(Self::Scalar, ChainCode), HdError> {
        // BIP-32 CKDpub: I = HMAC-SHA512(Key = c_par, Data = ser_P(K_par) || ser_32(i)).
        let data = Self::point_to_bytes(&key.point);
        let digest = hmac_sha512(&key.chain_code, &[&data, &number.to_be_bytes()]);
        let (left, right) = digest.split_at(32);
        // BIP-32: a left half at or above the order has no child.
        let left = <&[u8; 32]>::try_from(left).map_err(|_| HdError::Key)?;
        let right = <[u8; 32]>::try_from(right).map_err(|_| HdError::Key)?;
        let tweak = Self::scalar_from_bytes(left).ok_or(HdError::NoChild(number))?;
        Ok((tweak, ChainCode(right)))
    }
}

impl Derive for Ed25519 {
    fn step(key: &ExtendedKey<Self>, number: u32) -> Result<(Self::Scalar, ChainCode), HdError> {
        // ED-DERIVE-1: all 64 bytes reduced, so the tweak is uniform; ED-DERIVE-2: the chain code from its own tag.
        let data = Self::point_to_bytes(&key.point);
        let number = number.to_be_bytes();
        let wide = hmac_sha512(&key.chain_code, &[b"outlast/ed25519/tweak/v1", &data, &number]);
        let mut mac = keyed::<Hmac<Sha256>>(&key.chain_code);
        for part in [&b"outlast/ed25519/chain/v1"[..], &data, &number] {
            mac.update(part);
        }
        let chain_code = ChainCode(mac.finalize().into_bytes().into());
        Ok((Self::scalar_from_wide(&wide), chain_code))
    }
}

fn hmac_sha512(key: &ChainCode, parts: &[&[u8]]) -> [u8; 64] {
    let mut mac = keyed::<Hmac<Sha512>>(key);
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of every length (RFC 2104)")]
fn keyed<M: KeyInit>(key: &ChainCode) -> M {
    M::new_from_slice(&key.0).expect("any key length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_spelling() {
        assert_eq!(
            "m/44/60/0".parse::<DerivationPath>().map(|p| p.to_string()),
            Ok("m/44/60/0".into())
        );
        for bad in ["", "44/60", "m/", "m/044", "m/-1", "m/+1", "m/4294967296"] {
            assert!(bad.parse::<DerivationPath>().is_err(), "{bad}");
        }
        for hard in ["m/44'", "m/44h", "m/2147483648"] {
            assert!(matches!(hard.parse::<DerivationPath>(), Err(HdError::Hardened(_))), "{hard}");
        }
    }

    #[test]
    fn bip32_test_vector_2_chain_m_0_public_step() {
        // BIP-32 test vector 2, chain m -> m/0 (the non-hardened step).
        let bytes = |t: &str| hex::decode(t).unwrap_or_default();
        let point = Secp256k1::point_from_bytes(&bytes(
            "03cbcaa9c98c877a26977d00825c956a238e8dddfbd322cce4f74b0b5bd6ace4a7",
        ));
        let chain = <[u8; 32]>::try_from(bytes(
            "60499f801b896d83179a4374aeb7822aaeaceaa0db1f85ee3e904c4defbd9689",
        ));
        let (Some(point), Ok(chain)) = (point, chain) else { unreachable!() };
        let root = ExtendedKey { point, chain_code: ChainCode(chain) };
        let path = DerivationPath::new(vec![0]);
        let child = path.and_then(|p| Secp256k1::derive(&root, &p)).map(|c| c.key);
        let wanted = "02fc9e5af0ac8d9b3cecfe2a888e2117ba3d089d8585886c9c826b6b22a98d12ea";
        assert_eq!(
            child.map(|k| hex::encode(Secp256k1::point_to_bytes(&k.point))),
            Ok(wanted.into())
        );
    }
}
