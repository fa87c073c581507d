//! Sealed sub-shares: what a dealer sends to one receiver, inside its signed broadcast.
//!
//! Hashed ElGamal over secp256k1 to a key that the receiver makes for one ceremony: `R = r*G`, `S = r*P`, a key from
//! HKDF-SHA256 (RFC 5869) over `S`, `R`, `P` and the context, then ChaCha20-Poly1305 (RFC 8439) with a zero nonce (each
//! key seals once). `S` fixes the key, so a receiver can open one sub-share to everybody: it publishes `S` with a proof
//! that `log_G(P) = log_R(S)`.
//!
//! # Security
//! The dealer proves that it knows `r`. Without that a traitor could repeat an honest dealer's `R`, send garbage, and
//! have the honest receiver's complaint open the honest dealer's sub-share.

use crate::proof::{EqualityProof, KnowledgeProof, hedged_scalar, read_point, write_point};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use hkdf::Hkdf;
use model::curve::{Curve, Ed25519, Secp256k1};
use model::entropy::Entropy;
use model::hash::tagged;
use model::ids::{Epoch, Seat};
use model::secret::Secret;
use model::wire::{Reader, Wire, WireError, Writer};
use sha2::Sha256;
use zeroize::Zeroizing;

type Point = <Secp256k1 as Curve>::Point;
type Scalar = <Secp256k1 as Curve>::Scalar;

/// Three scalars and the AEAD's tag.
const CIPHERTEXT_BYTES: usize = 96 + 16;

/// Which sub-share: bound into key, associated data and proofs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context([u8; 32]);

impl Context {
    /// `ceremony` is the digest of the plan.
    pub(crate) fn new(ceremony: &[u8; 32], dealer: Seat, receiver: Seat, epoch: Epoch) -> Self {
        let (dealer, receiver) = (dealer.0.to_be_bytes(), receiver.0.to_be_bytes());
        let parts: [&[u8]; 4] = [ceremony, &dealer, &receiver, &epoch.0.to_be_bytes()];
        Self(tagged("outlast/subshare/v1", &parts))
    }
}

/// One receiver's sub-shares of the three root keys, as scalars in their curves' byte order.
#[derive(Debug)]
pub(crate) struct Subshares {
    pub(crate) ecdsa: Secret<[u8; 32]>,
    pub(crate) bip340: Secret<[u8; 32]>,
    pub(crate) ed25519: Secret<[u8; 32]>,
}

impl Subshares {
    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(96));
        for share in [&self.ecdsa, &self.bip340, &self.ed25519] {
            out.extend_from_slice(share.expose());
        }
        out
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut r = Reader::new(bytes);
        let shares = Self {
            ecdsa: Secret::new(r.fixed().ok()?),
            bip340: Secret::new(r.fixed().ok()?),
            ed25519: Secret::new(r.fixed().ok()?),
        };
        r.finish().ok()?;
        // A scalar at or above the order is no sub-share: every share has one spelling.
        Secp256k1::scalar_from_bytes(shares.ecdsa.expose())?;
        Secp256k1::scalar_from_bytes(shares.bip340.expose())?;
        Ed25519::scalar_from_bytes(shares.ed25519.expose())?;
        Some(shares)
    }
}

/// A receiver's key for one ceremony.
pub(crate) struct ReceiveKey {
    secret: Secret<Scalar>,
    public: Point,
}

impl ReceiveKey {
    pub(crate) fn new(entropy: &mut dyn Entropy) -> Self {
        let secret = Secret::new(Secp256k1::random_scalar(entropy));
        let public = Secp256k1::mul_base(secret.expose());
        Self { secret, public }
    }

    pub(crate) fn public(&self) -> Point {
        self.public
    }

    /// Opens what a dealer sealed; `None` when it does not open to three scalars.
    pub(crate) fn open(&self, sealed: &Sealed, context: Context) -> Option<Subshares> {
        let shared = Secp256k1::mul(&sealed.ephemeral, self.secret.expose());
        sealed.decrypt(&self.public, &shared, context)
    }

    /// Shows everybody what one sealed sub-share holds.
    pub(crate) fn opening(
        &self,
        sealed: &Sealed,
        context: Context,
        entropy: &mut dyn Entropy,
    ) -> Opening {
        let secret = self.secret.expose();
        Opening {
            shared: Secp256k1::mul(&sealed.ephemeral, secret),
            proof: EqualityProof::prove(secret, &sealed.ephemeral, &context.0, entropy),
        }
    }
}

/// Sub-shares that one receiver can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sealed {
    ephemeral: Point,
    proof: KnowledgeProof<Secp256k1>,
    ciphertext: [u8; CIPHERTEXT_BYTES],
}

impl Sealed {
    /// Seals for `receiver`; `None` only if the AEAD refuses, which it does for no input of this size.
    pub(crate) fn seal(
        shares: &Subshares,
        receiver: &Point,
        context: Context,
        entropy: &mut dyn Entropy,
    ) -> Option<Self> {
        let plain = shares.to_bytes();
        let receiver_bytes = Secp256k1::point_to_bytes(receiver);
        let used_for: [&[u8]; 3] = [b"outlast/subshare/v1", &context.0, &receiver_bytes];
        let secret = hedged_scalar::<Secp256k1>(&plain, &used_for, entropy);
        let ephemeral = Secp256k1::mul_base(&secret);
        let proof = KnowledgeProof::<Secp256k1>::prove(&secret, &context.0, entropy);
        let shared = Secp256k1::mul(receiver, &secret);
        let key = derive_key(&shared, &ephemeral, receiver, context)?;
        let payload = Payload { msg: &plain, aad: &context.0 };
        let sealed = cipher(&key).encrypt(&Nonce::default(), payload).ok()?;
        Some(Self { ephemeral, proof, ciphertext: sealed.try_into().ok()? })
    }

    /// True when the dealer knew the ephemeral secret and made it for this receiver.
    pub(crate) fn is_well_made(&self, context: Context) -> bool {
        self.proof.verify(&self.ephemeral, &context.0)
    }

    /// What everybody reads once the receiver opened it. `Err` when the opening proves nothing, `Ok(None)` when the
    /// opening is right and there are no three scalars inside.
    pub(crate) fn open_publicly(
        &self,
        receiver: &Point,
        opening: &Opening,
        context: Context,
    ) -> Result<Option<Subshares>, BadOpening> {
        let Opening { shared, proof } = opening;
        if !proof.verify(receiver, &self.ephemeral, shared, &context.0) {
            return Err(BadOpening);
        }
        Ok(self.decrypt(receiver, shared, context))
    }

    fn decrypt(&self, receiver: &Point, shared: &Point, context: Context) -> Option<Subshares> {
        let key = derive_key(shared, &self.ephemeral, receiver, context)?;
        let payload = Payload { msg: &self.ciphertext, aad: &context.0 };
        let plain = Zeroizing::new(cipher(&key).decrypt(&Nonce::default(), payload).ok()?);
        Subshares::from_bytes(&plain)
    }
}

fn derive_key(
    shared: &Point,
    ephemeral: &Point,
    receiver: &Point,
    context: Context,
) -> Option<Zeroizing<[u8; 32]>> {
    let material = Zeroizing::new(Secp256k1::point_to_bytes(shared));
    let mut info = b"outlast/subshare/v1".to_vec();
    info.extend(Secp256k1::point_to_bytes(ephemeral));
    info.extend(Secp256k1::point_to_bytes(receiver));
    info.extend(context.0);
    let mut key = Zeroizing::new([0u8; 32]);
    Hkdf::<Sha256>::new(None, &material).expand(&info, &mut *key).ok()?;
    Some(key)
}

fn cipher(key: &[u8; 32]) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(&Key::from(*key))
}

impl Wire for Sealed {
    fn write(&self, w: &mut Writer) {
        write_point::<Secp256k1>(w, &self.ephemeral);
        self.proof.write(w);
        w.fixed(&self.ciphertext);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let (ephemeral, proof) = (read_point::<Secp256k1>(r)?, KnowledgeProof::read(r)?);
        Ok(Self { ephemeral, proof, ciphertext: r.fixed()? })
    }
}

/// The shared point of one sealed sub-share with the proof that it is the right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opening {
    shared: Point,
    proof: EqualityProof<Secp256k1>,
}

/// The opening's proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadOpening;

impl Wire for Opening {
    fn write(&self, w: &mut Writer) {
        write_point::<Secp256k1>(w, &self.shared);
        self.proof.write(w);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self { shared: read_point::<Secp256k1>(r)?, proof: EqualityProof::read(r)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SeededEntropy;

    fn shares(fill: u8) -> Subshares {
        let secret = || Secret::new([fill; 32]);
        Subshares { ecdsa: secret(), bip340: secret(), ed25519: secret() }
    }

    fn context(dealer: u16, receiver: u16, epoch: u32) -> Context {
        Context::new(&[5; 32], Seat(dealer), Seat(receiver), Epoch(epoch))
    }

    #[test]
    fn only_the_receiver_opens_and_only_in_the_context() {
        let mut entropy = SeededEntropy::new(1);
        let (key, other) = (ReceiveKey::new(&mut entropy), ReceiveKey::new(&mut entropy));
        let here = context(1, 2, 1);
        let sealed = Sealed::seal(&shares(3), &key.public(), here, &mut entropy).unwrap();
        let opened = key.open(&sealed, here).unwrap();
        assert_eq!(opened.ed25519.expose(), &[3; 32]);
        assert!(sealed.is_well_made(here));
        assert!(other.open(&sealed, here).is_none());
        for elsewhere in [context(3, 2, 1), context(1, 3, 1), context(1, 2, 2)] {
            assert!(key.open(&sealed, elsewhere).is_none());
            assert!(!sealed.is_well_made(elsewhere));
        }
    }

    #[test]
    fn an_opening_shows_one_subshare_to_everybody_and_cannot_be_forged() {
        let mut entropy = SeededEntropy::new(2);
        let (key, other) = (ReceiveKey::new(&mut entropy), ReceiveKey::new(&mut entropy));
        let here = context(1, 2, 1);
        let sealed = Sealed::seal(&shares(4), &key.public(), here, &mut entropy).unwrap();
        let opening = key.opening(&sealed, here, &mut entropy);
        let shown = sealed.open_publicly(&key.public(), &opening, here).unwrap().unwrap();
        assert_eq!(shown.ecdsa.expose(), &[4; 32]);
        let foreign = other.opening(&sealed, here, &mut entropy);
        assert!(sealed.open_publicly(&key.public(), &foreign, here).is_err());
        let second = Sealed::seal(&shares(4), &key.public(), here, &mut entropy).unwrap();
        assert!(second.open_publicly(&key.public(), &opening, here).is_err());
    }

    #[test]
    fn an_altered_byte_never_opens_to_another_share() {
        let mut entropy = SeededEntropy::new(3);
        let key = ReceiveKey::new(&mut entropy);
        let here = context(1, 2, 1);
        let sealed = Sealed::seal(&shares(4), &key.public(), here, &mut entropy).unwrap();
        let bytes = sealed.to_bytes();
        assert_eq!(Sealed::from_bytes(&bytes), Ok(sealed));
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            let Ok(read) = Sealed::from_bytes(&bad) else { continue };
            assert!(!read.is_well_made(here) || key.open(&read, here).is_none(), "byte {at}");
        }
    }

    #[test]
    fn scalars_at_or_above_the_order_are_no_subshares() {
        let mut entropy = SeededEntropy::new(4);
        let key = ReceiveKey::new(&mut entropy);
        let here = context(1, 2, 1);
        let sealed = Sealed::seal(&shares(0xff), &key.public(), here, &mut entropy).unwrap();
        assert!(sealed.is_well_made(here));
        assert!(key.open(&sealed, here).is_none());
    }

    #[test]
    fn invariant_k2_a_stuck_generator_does_not_seal_two_messages_under_one_key() {
        struct Stuck;
        impl Entropy for Stuck {
            fn fill(&mut self, out: &mut [u8]) {
                out.fill(7);
            }
        }
        let key = ReceiveKey::new(&mut SeededEntropy::new(5));
        let seal = |fill, c| Sealed::seal(&shares(fill), &key.public(), c, &mut Stuck).unwrap();
        let first = seal(1, context(1, 2, 1)).ephemeral;
        assert_ne!(first, seal(2, context(1, 2, 1)).ephemeral);
        assert_ne!(first, seal(1, context(1, 2, 2)).ephemeral);
    }
}
