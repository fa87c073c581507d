//! FROST (RFC 9591) for BIP-340 and Ed25519: commit, then answer exactly one commitment list.
//!
//! The crates' key packages are built by hand from the quorum's additive shares, so access trees, child keys, taproot
//! tweaks and parity are ours and one code serves both. The message is known before a nonce is made; the nonce is
//! hedged, moves into round 2 by value and is dropped there (invariant K2, finding 38).
//!
//! Deviations from RFC 9591, see `docs/spec/signing.md`: every member aggregates, round 2 carries the hash of the
//! commitment list, and signature shares are checked one by one only when the whole does not verify.

use super::backend::{Backend, Progress};
use super::error::{Reason, SignError};
use super::hedge::Hedged;
use super::quorum::QuorumKey;
use crate::pair::guarded;
use frost_core::keys::{KeyPackage, PublicKeyPackage, SigningShare, VerifyingShare};
use frost_core::round1::{NonceCommitment, SigningCommitments, SigningNonces};
use frost_core::round2::{self, SignatureShare};
use frost_core::{
    CheaterDetection, Ciphersuite, Error, Identifier, SigningPackage, VerifyingKey,
    aggregate_custom, round1,
};
use frost_ed25519::Ed25519Sha512;
use frost_secp256k1_tr::Secp256K1Sha256TR;
use model::curve::{Curve, Ed25519, Secp256k1};
use model::entropy::Entropy;
use model::hash::tagged;
use model::ids::Seat;
use model::secret::Secret;
use model::signing::Signature;
use model::wire::WireError;
use std::collections::BTreeMap;

/// Rounds of messages.
pub(crate) const ROUNDS: u8 = 2;

/// A ciphersuite and the curve of ours that it runs on.
pub(crate) trait Suite: Ciphersuite + Send + Sync {
    /// Our curve; points and scalars of both have the same bytes.
    type Curve: Curve;
    /// The finished signature.
    fn signature(bytes: [u8; 64]) -> Signature;
}

impl Suite for Secp256K1Sha256TR {
    type Curve = Secp256k1;
    fn signature(bytes: [u8; 64]) -> Signature {
        Signature::Schnorr(bytes)
    }
}

impl Suite for Ed25519Sha512 {
    type Curve = Ed25519;
    fn signature(bytes: [u8; 64]) -> Signature {
        Signature::Ed25519(bytes)
    }
}

/// One run, seen from one seat.
pub(crate) struct Frost<S: Suite> {
    member: Member<S>,
    stage: Stage<S>,
}

/// What stays the same through the rounds.
struct Member<S: Suite> {
    key: QuorumKey<S::Curve>,
    /// The crate's view of our share; wiped by the crate when dropped.
    package: KeyPackage<S>,
    context: [u8; 32],
    message: Vec<u8>,
}

enum Stage<S: Suite> {
    /// Our commitment is out; the nonces wait for the one list they will answer.
    Committed(Box<SigningNonces<S>>),
    /// Our share is out; the nonces are gone.
    Answered(Box<Answered<S>>),
}

struct Answered<S: Suite> {
    package: SigningPackage<S>,
    hash: [u8; 32],
    share: SignatureShare<S>,
}

type Bodies = BTreeMap<Seat, Vec<u8>>;

impl<S: Suite> Frost<S> {
    /// Round 1: a nonce pair for exactly this context, and its commitment for everybody.
    pub(crate) fn start(
        key: QuorumKey<S::Curve>,
        context: [u8; 32],
        message: &[u8],
        entropy: &mut dyn Entropy,
    ) -> Result<(Self, Bodies), SignError> {
        let package = key_package::<S>(&key)?;
        let member = Member { key, package, context, message: message.to_vec() };
        // SIGN-5: the nonce is made after the message is known.
        let mine = Secret::new(S::Curve::scalar_to_bytes(member.key.mine.expose()));
        let mut hedged = Hedged::new(mine.expose(), &context, entropy);
        let (nonces, commitments) = round1::commit(member.package.signing_share(), &mut hedged);
        let bodies = member.for_others(&write_commitments(&commitments)?);
        Ok((Self { member, stage: Stage::Committed(Box::new(nonces)) }, bodies))
    }

    /// Hash of the commitment list that our share answered.
    pub(crate) fn package_hash(&self) -> Option<[u8; 32]> {
        match &self.stage {
            Stage::Committed(_) => None,
            Stage::Answered(answered) => Some(answered.hash),
        }
    }
}

impl<S: Suite> Backend for Frost<S> {
    fn advance(
        self: Box<Self>,
        inbox: Bodies,
        _: &mut dyn Entropy,
    ) -> Result<Progress<Box<Self>>, SignError> {
        let Self { member, stage } = *self;
        match stage {
            Stage::Committed(nonces) => {
                let (answered, bodies) = member.answer(nonces, &inbox)?;
                let stage = Stage::Answered(Box::new(answered));
                Ok(Progress::Continue(Box::new(Self { member, stage }), bodies))
            }
            Stage::Answered(answered) => member.aggregate(*answered, &inbox).map(Progress::Done),
        }
    }
}

impl<S: Suite> Member<S> {
    /// Round 2: one package, one share. The nonces end here whatever happens.
    fn answer(
        &self,
        nonces: Box<SigningNonces<S>>,
        inbox: &Bodies,
    ) -> Result<(Answered<S>, Bodies), SignError> {
        let mut list = BTreeMap::from([(self.key.me, *nonces.commitments())]);
        for (seat, body) in inbox {
            let read = read_commitments::<S>(body);
            list.insert(*seat, read.map_err(|reason| SignError::by(*seat, reason))?);
        }
        let hash = self.package_hash(&list)?;
        let by_identifier = list
            .into_iter()
            .map(|(seat, commitments)| Ok((self.identifier(seat)?, commitments)))
            .collect::<Result<_, SignError>>()?;
        let package = SigningPackage::new(by_identifier, &self.message);
        // SIGN-6: the only use of these nonces; they are dropped with this call.
        let signed = guarded("frost sign", move || {
            round2::sign(&package, &nonces, &self.package).map(|share| (package, share))
        });
        let (package, share) = signed.map_err(panicked)?.map_err(|error| self.named(&error))?;
        let mut body = hash.to_vec();
        body.extend_from_slice(&share.serialize());
        Ok((Answered { package, hash, share }, self.for_others(&body)))
    }

    fn aggregate(&self, mine: Answered<S>, inbox: &Bodies) -> Result<Signature, SignError> {
        let mut shares = BTreeMap::from([(self.identifier(self.key.me)?, mine.share)]);
        let mut other_list = None;
        for (seat, body) in inbox {
            let (hash, share) =
                read_share::<S>(body).map_err(|reason| SignError::by(*seat, reason))?;
            if hash != mine.hash {
                other_list = Some(*seat);
            }
            shares.insert(self.identifier(*seat)?, share);
        }
        // SIGN-7: a sender of two commitments, or a liar about the list: nobody can tell which, so nobody is named.
        if other_list.is_some() {
            return Err(SignError::by_somebody(Reason::Package));
        }
        let package = &mine.package;
        let whole = PublicKeyPackage::new(BTreeMap::new(), *self.package.verifying_key(), None);
        let sum = guarded("frost aggregate", || {
            aggregate_custom(package, &shares, &whole, CheaterDetection::Disabled)
        });
        match sum.map_err(panicked)? {
            Ok(signature) => finished::<S>(&signature),
            // SIGN-8: only a bad sum costs the public shares of everybody.
            Err(_) => Err(self.find_cheater(package, &shares)?),
        }
    }

    fn find_cheater(
        &self,
        package: &SigningPackage<S>,
        shares: &BTreeMap<Identifier<S>, SignatureShare<S>>,
    ) -> Result<SignError, SignError> {
        let verifying = self
            .key
            .seats()
            .map(|seat| Ok((self.identifier(seat)?, self.verifying_share(seat)?)))
            .collect::<Result<_, SignError>>()?;
        let keys = PublicKeyPackage::new(verifying, *self.package.verifying_key(), None);
        let judged = guarded("frost cheater", || {
            aggregate_custom(package, shares, &keys, CheaterDetection::FirstCheater)
        });
        Ok(match judged.map_err(panicked)? {
            Ok(_) => SignError::by_somebody(Reason::Signature),
            Err(error) => self.named(&error),
        })
    }

    fn identifier(&self, seat: Seat) -> Result<Identifier<S>, SignError> {
        identifier::<S>(&self.key, seat)
    }

    /// Public value of a member's polynomial share, from the vault's commitments.
    fn verifying_share(&self, seat: Seat) -> Result<VerifyingShare<S>, SignError> {
        let point = self.key.public_additive(seat).and_then(|additive| {
            let factor = self.key.over_lagrange(self.key.number(seat)?)?;
            Some(S::Curve::mul(&additive, &factor))
        });
        let point = point.ok_or(SignError::Bug("a member has no public share"))?;
        VerifyingShare::deserialize(&S::Curve::point_to_bytes(&point))
            .map_err(|_| SignError::Bug("a public share is no point of the suite"))
    }

    fn for_others(&self, body: &[u8]) -> Bodies {
        self.key.others().into_iter().map(|seat| (seat, body.to_vec())).collect()
    }

    fn package_hash(
        &self,
        list: &BTreeMap<Seat, SigningCommitments<S>>,
    ) -> Result<[u8; 32], SignError> {
        let written = list.values().map(write_commitments).collect::<Result<Vec<_>, _>>()?;
        let mut parts: Vec<&[u8]> = vec![&self.context];
        parts.extend(written.iter().map(Vec::as_slice));
        Ok(tagged("outlast/frost/package/v1", &parts))
    }

    fn named(&self, error: &Error<S>) -> SignError {
        let culprit = error.culprits().into_iter().find_map(|found| {
            self.key.seats().find(|seat| self.identifier(*seat).ok() == Some(found))
        });
        match culprit {
            Some(seat) => SignError::by(seat, Reason::SignatureShare),
            None => SignError::by_somebody(Reason::Check(error.to_string())),
        }
    }
}

fn identifier<S: Suite>(key: &QuorumKey<S::Curve>, seat: Seat) -> Result<Identifier<S>, SignError> {
    let number = key.number(seat).ok_or(SignError::Bug("a member has no number"))?;
    Identifier::try_from(u16::from(number))
        .map_err(|_| SignError::Bug("a member's number is no identifier"))
}

/// Our additive share as the crate wants it: a point of a polynomial over the quorum's numbers.
fn key_package<S: Suite>(key: &QuorumKey<S::Curve>) -> Result<KeyPackage<S>, SignError> {
    let value = key.polynomial_share().ok_or(SignError::Bug("a member has no number"))?;
    let bytes = Secret::new(S::Curve::scalar_to_bytes(value.expose()));
    let share = SigningShare::deserialize(bytes.expose())
        .map_err(|_| SignError::Bug("an additive share is no scalar of the suite"))?;
    let verifying_key = VerifyingKey::deserialize(&S::Curve::point_to_bytes(&key.point))
        .map_err(|_| SignError::Bug("the key is no point of the suite"))?;
    Ok(KeyPackage::new(
        identifier::<S>(key, key.me)?,
        share,
        VerifyingShare::from(share),
        verifying_key,
        u16::from(key.size()),
    ))
}

fn panicked(step: &'static str) -> SignError {
    SignError::by_somebody(Reason::Panicked(step))
}

fn finished<S: Suite>(signature: &frost_core::Signature<S>) -> Result<Signature, SignError> {
    let bytes = signature.serialize().ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
    bytes.map(S::signature).ok_or(SignError::Bug("a signature of another length"))
}

/// Hiding, then binding commitment.
fn write_commitments<S: Suite>(list: &SigningCommitments<S>) -> Result<Vec<u8>, SignError> {
    let bug = |_| SignError::Bug("a commitment that cannot be written");
    let mut body = list.hiding().serialize().map_err(bug)?;
    body.extend_from_slice(&list.binding().serialize().map_err(bug)?);
    Ok(body)
}

fn read_commitments<S: Suite>(body: &[u8]) -> Result<SigningCommitments<S>, Reason> {
    let point = S::Curve::POINT_BYTES;
    exact(body, point.saturating_mul(2))?;
    let (hiding, binding) = body.split_at(point);
    // Both crates decode strictly: canonical, in the prime-order group, not the identity (tested in negative.rs).
    let read = |bytes: &[u8]| {
        NonceCommitment::<S>::deserialize(bytes)
            .map_err(|_| Reason::Malformed(WireError::Range("nonce commitment")))
    };
    Ok(SigningCommitments::new(read(hiding)?, read(binding)?))
}

/// Package hash, then signature share.
fn read_share<S: Suite>(body: &[u8]) -> Result<([u8; 32], SignatureShare<S>), Reason> {
    exact(body, 64)?;
    let (hash, share) = body.split_at(32);
    let range = || Reason::Malformed(WireError::Range("signature share"));
    let hash = <[u8; 32]>::try_from(hash).map_err(|_| range())?;
    let bytes = <[u8; 32]>::try_from(share).map_err(|_| range())?;
    S::Curve::scalar_from_bytes(&bytes).ok_or_else(range)?;
    Ok((hash, SignatureShare::deserialize(share).map_err(|_| range())?))
}

/// Refuses a body of another length than the round's.
pub(super) fn exact(body: &[u8], wanted: usize) -> Result<(), Reason> {
    match body.len() {
        found if found == wanted => Ok(()),
        found if found > wanted => {
            Err(Reason::Malformed(WireError::TooLong { found, bound: wanted }))
        }
        left => Err(Reason::Malformed(WireError::Truncated { wanted, left })),
    }
}
