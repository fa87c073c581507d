//! The key of one session as its quorum shares it: additive shares, child and taproot tweaks, parity.
//!
//! The sharing gives seat i the coefficient c_i, so that the sum of c_i times share_i is the root key. A tweak is added
//! once, by the first seat; a negation is done by all. The same steps run over secret and public shares, so each
//! member can check its own before a run, and name a wrong signature share after one.

use super::error::{Refusal, SignError};
use crate::shares::VaultPublic;
use model::commitment::Commitments;
use model::curve::{Curve, Secp256k1};
use model::hd::{Derive, ExtendedKey};
use model::ids::Seat;
use model::secret::Secret;
use model::signing::{KeyTweak, SignItem};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use zeroize::Zeroize;

/// What stands between the root key and the key that signs: `key = sign * root + add * G`.
struct Adjustment<C: Curve> {
    negated: bool,
    add: C::Scalar,
}

impl<C: Curve> Adjustment<C> {
    fn negate(&mut self) {
        self.negated = !self.negated;
        self.add = -self.add;
    }
}

/// The key of one session, seen from one seat.
pub(crate) struct QuorumKey<C: Curve> {
    public: Arc<VaultPublic>,
    commitments: fn(&VaultPublic) -> &Commitments<C>,
    coefficients: BTreeMap<Seat, C::Scalar>,
    adjustment: Adjustment<C>,
    /// Our seat.
    pub(crate) me: Seat,
    /// The key that signs.
    pub(crate) point: C::Point,
    /// Our additive share of it.
    pub(crate) mine: Secret<C::Scalar>,
}

impl<C: Curve> QuorumKey<C> {
    /// The seats, ascending; a member's number in an engine is its place here, from 1.
    pub(crate) fn seats(&self) -> impl Iterator<Item = Seat> + '_ {
        self.coefficients.keys().copied()
    }

    /// Everybody but us.
    pub(crate) fn others(&self) -> BTreeSet<Seat> {
        self.seats().filter(|seat| *seat != self.me).collect()
    }

    /// Number of a seat in the engines, from 1.
    pub(crate) fn number(&self, seat: Seat) -> Option<u8> {
        let at = self.seats().position(|found| found == seat)?;
        u8::try_from(at.checked_add(1)?).ok()
    }

    /// Seat of a number.
    pub(crate) fn seat(&self, number: u8) -> Option<Seat> {
        self.seats().nth(usize::from(number).checked_sub(1)?)
    }

    /// Members of the quorum.
    pub(crate) fn size(&self) -> u8 {
        u8::try_from(self.coefficients.len()).unwrap_or(u8::MAX)
    }

    /// Additive public share of a member, from the commitments alone.
    pub(crate) fn public_additive(&self, seat: Seat) -> Option<C::Point> {
        let coefficient = self.coefficients.get(&seat)?;
        let share = (self.commitments)(&self.public).public_share(&self.public.tree, seat)?;
        let root_part = C::mul(&share, coefficient);
        let signed = if self.adjustment.negated { -root_part } else { root_part };
        let first = self.coefficients.keys().next() == Some(&seat);
        Some(if first { signed + C::mul_base(&self.adjustment.add) } else { signed })
    }

    /// One over the Lagrange coefficient at zero of member `number` over the numbers 1, 2, … of the quorum.
    ///
    /// The engines multiply by the coefficient; our additive share times this makes the two agree.
    pub(crate) fn over_lagrange(&self, number: u8) -> Option<C::Scalar> {
        let x = C::scalar_from_u64(u64::from(number));
        let (mut above, mut below) = (C::one(), C::one());
        for other in (1..=self.size()).filter(|other| *other != number) {
            let o = C::scalar_from_u64(u64::from(other));
            above = above * o;
            below = below * (o - x);
        }
        C::invert(&above).map(|inverse| below * inverse)
    }

    /// Our additive share as the value of a polynomial at our number.
    pub(crate) fn polynomial_share(&self) -> Option<Secret<C::Scalar>> {
        let factor = self.over_lagrange(self.number(self.me)?)?;
        Some(Secret::new(*self.mine.expose() * factor))
    }
}

/// What [`build`] takes of a vault: one of its three keys.
pub(crate) struct Root<'a, C: Curve> {
    pub(crate) public: &'a Arc<VaultPublic>,
    pub(crate) commitments: fn(&VaultPublic) -> &Commitments<C>,
    pub(crate) key: &'a ExtendedKey<C>,
    pub(crate) share: &'a Secret<[u8; 32]>,
}

/// SIGN-1: the key at the item's path, additive over exactly this quorum, and our share of it, checked.
pub(crate) fn build<C: Derive>(
    root: &Root<'_, C>,
    me: Seat,
    quorum: &BTreeSet<Seat>,
    item: &SignItem,
    finish: impl FnOnce(&mut Tweaking<C>) -> Result<(), SignError>,
) -> Result<QuorumKey<C>, SignError> {
    let coefficients = root.public.tree.coefficients::<C>(quorum).ok_or(Refusal::Quorum)?;
    if coefficients.len() != quorum.len() {
        return Err(Refusal::Quorum.into());
    }
    if coefficients.len() < 2 {
        return Err(Refusal::TooFew(coefficients.len()).into());
    }
    let child = C::derive(root.key, &item.path).map_err(Refusal::Path)?;
    let adjustment = Adjustment { negated: false, add: child.tweak.0 };
    let mut tweaking = Tweaking { point: child.key.point, adjustment };
    finish(&mut tweaking)?;
    let Tweaking { point, adjustment } = tweaking;
    let coefficient = coefficients.get(&me).ok_or(Refusal::NotMember(me))?;
    let mut share = C::scalar_from_bytes(root.share.expose()).ok_or(Refusal::Share)?;
    let mut mine = share * *coefficient;
    if adjustment.negated {
        mine = -mine;
    }
    if coefficients.keys().next() == Some(&me) {
        mine = mine + adjustment.add;
    }
    share.zeroize();
    let key = QuorumKey {
        public: Arc::clone(root.public),
        commitments: root.commitments,
        coefficients,
        adjustment,
        me,
        point,
        mine: Secret::new(mine),
    };
    mine.zeroize();
    // SIGN-2: a damaged share must not become our fault in front of the others. The coefficient is never zero, so
    // this holds exactly when the share matches the vault's commitments.
    if key.public_additive(me) != Some(C::mul_base(key.mine.expose())) {
        return Err(Refusal::Share.into());
    }
    Ok(key)
}

/// The key between its path and its last tweak.
pub(crate) struct Tweaking<C: Curve> {
    point: C::Point,
    adjustment: Adjustment<C>,
}

/// ECDSA and Ed25519 take no tweak above the path.
pub(crate) fn no_tweak(item: &SignItem) -> Result<(), SignError> {
    match item.tweak {
        KeyTweak::None => Ok(()),
        KeyTweak::Taproot(_) => Err(Refusal::Tweak.into()),
    }
}

/// BIP-340 and BIP-341: even root, taproot tweak, even result, so that the engine has nothing left to negate.
pub(crate) fn taproot(key: &mut Tweaking<Secp256k1>, tweak: KeyTweak) -> Result<(), SignError> {
    key.make_even();
    if let KeyTweak::Taproot(script_root) = tweak {
        // BIP-341: t = H_TapTweak(bytes(P) || script root), fail if t is not below the order.
        let x_only = Secp256k1::point_to_bytes(&key.point);
        let hash = tap_tweak(x_only.get(1..).unwrap_or_default(), script_root.as_ref());
        let t = Secp256k1::scalar_from_bytes(&hash).ok_or(Refusal::Tweak)?;
        key.point += Secp256k1::mul_base(&t);
        key.adjustment.add += t;
        if Secp256k1::is_identity(&key.point) {
            return Err(Refusal::Tweak.into());
        }
        key.make_even();
    }
    Ok(())
}

impl Tweaking<Secp256k1> {
    fn make_even(&mut self) {
        if Secp256k1::point_to_bytes(&self.point).first() == Some(&3) {
            self.point = -self.point;
            self.adjustment.negate();
        }
    }
}

pub(super) fn tap_tweak(x_only: &[u8], script_root: Option<&[u8; 32]>) -> [u8; 32] {
    let tag = Sha256::digest(b"TapTweak");
    let mut hasher = Sha256::new();
    hasher.update(tag);
    hasher.update(tag);
    hasher.update(x_only);
    hasher.update(script_root.map_or(&[][..], |root| &root[..]));
    hasher.finalize().into()
}
