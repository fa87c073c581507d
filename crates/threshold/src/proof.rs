//! Proofs over discrete logarithms: knowledge of one, equality of two, and that a share is alive.
//!
//! Schnorr (1989) and Chaum-Pedersen (1992) made non-interactive by Fiat-Shamir. A challenge is 64 bytes of tagged
//! SHA-256 over curve, context, statement and commitment, reduced modulo the order.
//!
//! Invariant K2: a proof's nonce is `H(secret, statement, context, fresh randomness)`, so it serves one statement even
//! if the randomness repeats, and cannot be foretold if only the secret is known.

use crate::shares::{VaultPublic, VaultShare};
use model::curve::{Curve, Ed25519, Secp256k1};
use model::entropy::Entropy;
use model::hash::tagged;
use model::ids::{Epoch, Seat, VaultId};
use model::keys::KeyKind;
use model::secret::Secret;
use model::wire::{Reader, Wire, WireError, Writer, tags};
use zeroize::Zeroizing;

/// Proof that somebody knows the discrete logarithm of a point, for one context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnowledgeProof<C: Curve> {
    commitment: C::Point,
    response: [u8; 32],
}

/// Proof that two points have one discrete logarithm over two bases, for one context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EqualityProof<C: Curve> {
    over_generator: C::Point,
    over_base: C::Point,
    response: [u8; 32],
}

/// Proof that one seat still holds its shares of all three root keys, for one challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareProof {
    ecdsa: KnowledgeProof<Secp256k1>,
    bip340: KnowledgeProof<Secp256k1>,
    ed25519: KnowledgeProof<Ed25519>,
}

/// 64 bytes for a scalar: two tagged hashes that differ in their first part.
fn wide(tag: &str, parts: &[&[u8]]) -> Zeroizing<[u8; 64]> {
    let mut out = Zeroizing::new([0u8; 64]);
    for (half, chunk) in [[0u8], [1u8]].iter().zip(out.chunks_mut(32)) {
        let list: Vec<&[u8]> = core::iter::once(&half[..]).chain(parts.iter().copied()).collect();
        chunk.copy_from_slice(&tagged(tag, &list));
    }
    out
}

/// A one-time scalar that depends on the secret, on what it is used for and on fresh randomness; never zero.
pub(crate) fn hedged_scalar<C: Curve>(
    secret: &[u8],
    used_for: &[&[u8]],
    entropy: &mut dyn Entropy,
) -> Zeroizing<C::Scalar> {
    loop {
        let mut fresh = Zeroizing::new([0u8; 32]);
        entropy.fill(&mut *fresh);
        let mut parts: Vec<&[u8]> = vec![C::NAME.as_bytes(), secret, &*fresh];
        parts.extend_from_slice(used_for);
        let scalar = Zeroizing::new(C::scalar_from_wide(&wide("outlast/hedged-nonce/v1", &parts)));
        if *scalar != C::zero() {
            return scalar;
        }
    }
}

impl<C: Curve> KnowledgeProof<C> {
    /// Proves knowledge of `secret`, the logarithm of `secret * G`.
    pub fn prove(secret: &C::Scalar, context: &[u8], entropy: &mut dyn Entropy) -> Self {
        let point = C::point_to_bytes(&C::mul_base(secret));
        let bytes = Zeroizing::new(C::scalar_to_bytes(secret));
        let nonce =
            hedged_scalar::<C>(&*bytes, &[b"outlast/knowledge/v1", context, &point], entropy);
        let commitment = C::mul_base(&nonce);
        let challenge = Self::challenge(context, &point, &commitment);
        let response = C::scalar_to_bytes(&(*nonce + challenge * *secret));
        Self { commitment, response }
    }

    /// True when the prover knew the logarithm of `point` and meant this context.
    pub fn verify(&self, point: &C::Point, context: &[u8]) -> bool {
        let Some(response) = C::scalar_from_bytes(&self.response) else { return false };
        let challenge = Self::challenge(context, &C::point_to_bytes(point), &self.commitment);
        !C::is_identity(point)
            && C::mul_base(&response) == self.commitment + C::mul(point, &challenge)
    }

    fn challenge(context: &[u8], point: &[u8], commitment: &C::Point) -> C::Scalar {
        let commitment = C::point_to_bytes(commitment);
        let parts: [&[u8]; 4] = [C::NAME.as_bytes(), context, point, &commitment];
        C::scalar_from_wide(&wide("outlast/knowledge/v1", &parts))
    }
}

impl<C: Curve> Wire for KnowledgeProof<C> {
    fn write(&self, w: &mut Writer) {
        write_point::<C>(w, &self.commitment);
        w.fixed(&self.response);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self { commitment: read_point::<C>(r)?, response: read_scalar::<C>(r)? })
    }
}

impl<C: Curve> EqualityProof<C> {
    /// Proves that `secret * G` and `secret * base` have one logarithm.
    pub fn prove(
        secret: &C::Scalar,
        base: &C::Point,
        context: &[u8],
        entropy: &mut dyn Entropy,
    ) -> Self {
        let point = C::mul_base(secret);
        let image = C::mul(base, secret);
        let statement = [point, *base, image].map(|p| C::point_to_bytes(&p)).concat();
        let bytes = Zeroizing::new(C::scalar_to_bytes(secret));
        let nonce =
            hedged_scalar::<C>(&*bytes, &[b"outlast/equality/v1", context, &statement], entropy);
        let (over_generator, over_base) = (C::mul_base(&nonce), C::mul(base, &nonce));
        let challenge = Self::challenge(context, &statement, &over_generator, &over_base);
        let response = C::scalar_to_bytes(&(*nonce + challenge * *secret));
        Self { over_generator, over_base, response }
    }

    /// True when `log_G(point) = log_base(image)` and the prover meant this context.
    pub fn verify(
        &self,
        point: &C::Point,
        base: &C::Point,
        image: &C::Point,
        context: &[u8],
    ) -> bool {
        let Some(response) = C::scalar_from_bytes(&self.response) else { return false };
        let statement = [*point, *base, *image].map(|p| C::point_to_bytes(&p)).concat();
        let challenge = Self::challenge(context, &statement, &self.over_generator, &self.over_base);
        ![point, base, image].into_iter().any(C::is_identity)
            && C::mul_base(&response) == self.over_generator + C::mul(point, &challenge)
            && C::mul(base, &response) == self.over_base + C::mul(image, &challenge)
    }

    fn challenge(context: &[u8], statement: &[u8], a: &C::Point, b: &C::Point) -> C::Scalar {
        let (a, b) = (C::point_to_bytes(a), C::point_to_bytes(b));
        let parts: [&[u8]; 5] = [C::NAME.as_bytes(), context, statement, &a, &b];
        C::scalar_from_wide(&wide("outlast/equality/v1", &parts))
    }
}

impl<C: Curve> Wire for EqualityProof<C> {
    fn write(&self, w: &mut Writer) {
        write_point::<C>(w, &self.over_generator);
        write_point::<C>(w, &self.over_base);
        w.fixed(&self.response);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let (over_generator, over_base) = (read_point::<C>(r)?, read_point::<C>(r)?);
        Ok(Self { over_generator, over_base, response: read_scalar::<C>(r)? })
    }
}

/// What a share proof speaks of: vault, seat, epoch, key and the verifiers' challenge.
fn alive_context(
    vault: VaultId,
    seat: Seat,
    epoch: Epoch,
    key: KeyKind,
    challenge: &[u8; 32],
) -> [u8; 32] {
    let (seat, epoch) = (seat.0.to_be_bytes(), epoch.0.to_be_bytes());
    let parts: [&[u8]; 5] = [&vault.0, &seat, &epoch, key.name().as_bytes(), challenge];
    tagged("outlast/share-alive/v1", &parts)
}

/// Proves that `share` is at hand now. `challenge` comes from the verifiers: a prover that may choose it could make
/// proofs for later. `None` when the share is no scalar.
pub fn prove_share_alive(
    vault: VaultId,
    share: &VaultShare,
    challenge: &[u8; 32],
    entropy: &mut dyn Entropy,
) -> Option<ShareProof> {
    let context = |key| alive_context(vault, share.seat, share.epoch, key, challenge);
    Some(ShareProof {
        ecdsa: prove_held(&share.ecdsa, &context(KeyKind::Ecdsa), entropy)?,
        bip340: prove_held(&share.bip340, &context(KeyKind::Bip340), entropy)?,
        ed25519: prove_held(&share.ed25519, &context(KeyKind::Ed25519), entropy)?,
    })
}

fn prove_held<C: Curve>(
    share: &Secret<[u8; 32]>,
    context: &[u8],
    entropy: &mut dyn Entropy,
) -> Option<KnowledgeProof<C>> {
    let scalar = Zeroizing::new(C::scalar_from_bytes(share.expose())?);
    Some(KnowledgeProof::<C>::prove(&scalar, context, entropy))
}

/// True when `seat` held its three shares of this vault and epoch and answered this challenge.
pub fn verify_share_alive(
    vault: VaultId,
    public: &VaultPublic,
    seat: Seat,
    challenge: &[u8; 32],
    proof: &ShareProof,
) -> bool {
    let context = |key| alive_context(vault, seat, public.epoch, key, challenge);
    let tree = &public.tree;
    let shares = (
        public.ecdsa.public_share(tree, seat),
        public.bip340.public_share(tree, seat),
        public.ed25519.public_share(tree, seat),
    );
    let (Some(ecdsa), Some(bip340), Some(ed25519)) = shares else { return false };
    proof.ecdsa.verify(&ecdsa, &context(KeyKind::Ecdsa))
        && proof.bip340.verify(&bip340, &context(KeyKind::Bip340))
        && proof.ed25519.verify(&ed25519, &context(KeyKind::Ed25519))
}

impl Wire for ShareProof {
    fn write(&self, w: &mut Writer) {
        w.header(tags::SHARE_PROOF, 1);
        self.ecdsa.write(w);
        self.bip340.write(w);
        self.ed25519.write(w);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.header(tags::SHARE_PROOF, 1)?;
        let (ecdsa, bip340) = (KnowledgeProof::read(r)?, KnowledgeProof::read(r)?);
        Ok(Self { ecdsa, bip340, ed25519: KnowledgeProof::read(r)? })
    }
}

pub(crate) fn write_point<C: Curve>(w: &mut Writer, point: &C::Point) {
    w.fixed(&C::point_to_bytes(point));
}

/// Reads one point: canonical, of prime order, not the identity.
pub(crate) fn read_point<C: Curve>(r: &mut Reader<'_>) -> Result<C::Point, WireError> {
    let bytes = (0..C::POINT_BYTES).map(|_| r.u8()).collect::<Result<Vec<_>, _>>()?;
    C::point_from_bytes(&bytes).ok_or(WireError::Range("point"))
}

fn read_scalar<C: Curve>(r: &mut Reader<'_>) -> Result<[u8; 32], WireError> {
    let bytes = r.fixed()?;
    C::scalar_from_bytes(&bytes).map(|_| bytes).ok_or(WireError::Range("scalar"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{SeededEntropy, vault};

    /// Entropy that has failed: always the same bytes.
    struct Stuck;
    impl Entropy for Stuck {
        fn fill(&mut self, out: &mut [u8]) {
            out.fill(7);
        }
    }

    fn knowledge<C: Curve>() {
        let mut entropy = SeededEntropy::new(1);
        let secret = C::random_scalar(&mut entropy);
        let (point, g) = (C::mul_base(&secret), C::mul_base(&C::one()));
        let proof = KnowledgeProof::<C>::prove(&secret, b"context", &mut entropy);
        assert!(proof.verify(&point, b"context"));
        assert!(!proof.verify(&point, b"context2"));
        assert!(!proof.verify(&(point + g), b"context"));
        assert!(!proof.verify(&C::identity(), b"context"));
        let bytes = proof.to_bytes();
        assert_eq!(KnowledgeProof::from_bytes(&bytes), Ok(proof));
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            let read = KnowledgeProof::<C>::from_bytes(&bad);
            assert!(!read.is_ok_and(|p| p.verify(&point, b"context")), "byte {at}");
        }
    }

    fn equality<C: Curve>() {
        let mut entropy = SeededEntropy::new(2);
        let secret = C::random_scalar(&mut entropy);
        let base = C::mul_base(&C::random_scalar(&mut entropy));
        let (point, image) = (C::mul_base(&secret), C::mul(&base, &secret));
        let proof = EqualityProof::<C>::prove(&secret, &base, b"c", &mut entropy);
        assert!(proof.verify(&point, &base, &image, b"c"));
        assert!(!proof.verify(&point, &base, &image, b"d"));
        assert!(!proof.verify(&point, &base, &(image + base), b"c"));
        assert!(!proof.verify(&(point + base), &base, &image, b"c"));
        assert!(!proof.verify(&point, &point, &image, b"c"));
        let bytes = proof.to_bytes();
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            let read = EqualityProof::<C>::from_bytes(&bad);
            assert!(!read.is_ok_and(|p| p.verify(&point, &base, &image, b"c")), "byte {at}");
        }
    }

    #[test]
    fn a_proof_holds_for_its_point_and_context_and_for_no_altered_byte() {
        knowledge::<Secp256k1>();
        knowledge::<Ed25519>();
        equality::<Secp256k1>();
        equality::<Ed25519>();
    }

    #[test]
    fn invariant_k2_a_proof_nonce_serves_one_context_even_when_randomness_repeats() {
        let secret = Secp256k1::scalar_from_u64(5);
        let prove = |context| KnowledgeProof::<Secp256k1>::prove(&secret, context, &mut Stuck);
        assert_ne!(prove(b"a").commitment, prove(b"b").commitment);
        assert_eq!(prove(b"a"), prove(b"a"));
        let six = Secp256k1::scalar_from_u64(6);
        let other = KnowledgeProof::<Secp256k1>::prove(&six, b"a", &mut Stuck);
        assert_ne!(prove(b"a").commitment, other.commitment);
    }

    #[test]
    fn a_share_proof_is_bound_to_vault_seat_epoch_and_challenge() {
        let mut entropy = SeededEntropy::new(3);
        let (public, shares) = vault(1);
        let (id, challenge) = (VaultId([1; 32]), [2; 32]);
        let share = &shares[0];
        let proof = prove_share_alive(id, share, &challenge, &mut entropy).unwrap();
        let verify = |id, public: &VaultPublic, seat, challenge, proof: &ShareProof| {
            verify_share_alive(id, public, seat, &challenge, proof)
        };
        assert!(verify(id, &public, share.seat, challenge, &proof));
        assert!(!verify(VaultId([9; 32]), &public, share.seat, challenge, &proof));
        assert!(!verify(id, &public, Seat(2), challenge, &proof));
        assert!(!verify(id, &public, Seat(99), challenge, &proof));
        assert!(!verify(id, &public, share.seat, [3; 32], &proof));
        let later = VaultPublic { epoch: Epoch(2), ..public.clone() };
        assert!(!verify(id, &later, share.seat, challenge, &proof));
        let swapped = ShareProof { ecdsa: proof.bip340.clone(), ..proof.clone() };
        assert!(!verify(id, &public, share.seat, challenge, &swapped));
        let bytes = proof.to_bytes();
        assert_eq!(ShareProof::from_bytes(&bytes), Ok(proof));
        for at in (0..bytes.len()).step_by(3) {
            let mut bad = bytes.clone();
            bad[at] ^= 0x10;
            let read = ShareProof::from_bytes(&bad);
            assert!(!read.is_ok_and(|p| verify(id, &public, share.seat, challenge, &p)));
        }
    }
}
