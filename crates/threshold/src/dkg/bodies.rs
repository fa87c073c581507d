//! What the four broadcasts say. A body's layout is fixed by the plan, so nothing can be said twice or left out.

use super::broadcast::{BODY_BYTES_MAX, Broadcast, Echo};
use super::plan::Plan;
use crate::proof::{KnowledgeProof, read_point, write_point};
use crate::shares::read_commitments;
use crate::sharing::verify_share;
use crate::subshare::{Context, Opening, Sealed, Subshares};
use model::commitment::{CommitmentError, Commitments};
use model::curve::{Curve, Ed25519, Secp256k1};
use model::hash::tagged;
use model::ids::{Seat, VaultId};
use model::keys::KeyKind;
use model::wire::{Reader, Wire, WireError, Writer};
use std::collections::BTreeMap;

/// A body that the plan, the sender and the round fix.
pub(super) trait Body: Sized {
    /// The round it belongs to.
    const ROUND: u8;
    fn write(&self, w: &mut Writer);
    fn read(r: &mut Reader<'_>, plan: &Plan, seat: Seat) -> Result<Self, WireError>;

    fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::default();
        self.write(&mut w);
        w.into_bytes()
    }

    /// Reads the whole body of `broadcast`.
    fn parse(plan: &Plan, broadcast: &Broadcast) -> Result<Self, WireError> {
        Self::from_body(plan, broadcast.seat, &broadcast.body)
    }

    fn from_body(plan: &Plan, seat: Seat, body: &[u8]) -> Result<Self, WireError> {
        if body.len() > BODY_BYTES_MAX {
            return Err(WireError::TooLong { found: body.len(), bound: BODY_BYTES_MAX });
        }
        let mut r = Reader::new(body);
        let value = Self::read(&mut r, plan, seat)?;
        r.finish()?;
        Ok(value)
    }
}

/// Commitments of one sharing of all three root keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sharing {
    pub(super) ecdsa: Commitments<Secp256k1>,
    pub(super) bip340: Commitments<Secp256k1>,
    pub(super) ed25519: Commitments<Ed25519>,
}

impl Sharing {
    pub(super) fn sum(&self, other: &Self) -> Result<Self, CommitmentError> {
        Ok(Self {
            ecdsa: self.ecdsa.sum(&other.ecdsa)?,
            bip340: self.bip340.sum(&other.bip340)?,
            ed25519: self.ed25519.sum(&other.ed25519)?,
        })
    }

    /// True when all three sub-shares are those of `seat`.
    pub(super) fn fits(&self, plan: &Plan, seat: Seat, shares: &Subshares) -> bool {
        let tree = &plan.tree;
        verify_share(tree, &self.ecdsa, seat, shares.ecdsa.expose())
            && verify_share(tree, &self.bip340, seat, shares.bip340.expose())
            && verify_share(tree, &self.ed25519, seat, shares.ed25519.expose())
    }

    /// Public keys in their order: 33, 33 and 32 bytes.
    pub(super) fn roots(&self) -> Vec<u8> {
        let mut out = Secp256k1::point_to_bytes(&self.ecdsa.root());
        out.extend(Secp256k1::point_to_bytes(&self.bip340.root()));
        out.extend(Ed25519::point_to_bytes(&self.ed25519.root()));
        out
    }

    pub(super) fn has_identity_root(&self) -> bool {
        Secp256k1::is_identity(&self.ecdsa.root())
            || Secp256k1::is_identity(&self.bip340.root())
            || Ed25519::is_identity(&self.ed25519.root())
    }
}

/// Round 1: hash of what round 2 reveals, and the key that sub-shares are sealed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Commit {
    pub(super) commitment: [u8; 32],
    pub(super) receive_key: <Secp256k1 as Curve>::Point,
}

impl Body for Commit {
    const ROUND: u8 = 1;
    fn write(&self, w: &mut Writer) {
        w.fixed(&self.commitment);
        write_point::<Secp256k1>(w, &self.receive_key);
    }
    fn read(r: &mut Reader<'_>, _: &Plan, _: Seat) -> Result<Self, WireError> {
        Ok(Self { commitment: r.fixed()?, receive_key: read_point::<Secp256k1>(r)? })
    }
}

/// What round 1 commits to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) sharing: Sharing,
    pub(super) ecdsa: KnowledgeProof<Secp256k1>,
    pub(super) bip340: KnowledgeProof<Secp256k1>,
    pub(super) ed25519: KnowledgeProof<Ed25519>,
    /// Salted hash of the chain-code contribution.
    pub(super) chain: [u8; 32],
}

/// Context of a proof of knowledge: plan, dealer and key.
pub(super) fn proof_context(plan: &[u8; 32], seat: Seat, key: KeyKind) -> [u8; 32] {
    tagged("outlast/dkg/proof/v1", &[plan, &seat.0.to_be_bytes(), key.name().as_bytes()])
}

impl Offer {
    fn write(&self, w: &mut Writer) {
        w.bytes(&self.sharing.ecdsa.to_bytes());
        w.bytes(&self.sharing.bip340.to_bytes());
        w.bytes(&self.sharing.ed25519.to_bytes());
        self.ecdsa.write(w);
        self.bip340.write(w);
        self.ed25519.write(w);
        w.fixed(&self.chain);
    }

    fn read(r: &mut Reader<'_>, plan: &Plan) -> Result<Self, WireError> {
        let sharing = Sharing {
            ecdsa: read_commitments(r, &plan.tree)?,
            bip340: read_commitments(r, &plan.tree)?,
            ed25519: read_commitments(r, &plan.tree)?,
        };
        let (ecdsa, bip340) = (KnowledgeProof::read(r)?, KnowledgeProof::read(r)?);
        let ed25519 = KnowledgeProof::read(r)?;
        Ok(Self { sharing, ecdsa, bip340, ed25519, chain: r.fixed()? })
    }

    /// The commitment of round 1.
    pub(super) fn commitment(&self, plan: &[u8; 32], seat: Seat) -> [u8; 32] {
        let mut w = Writer::default();
        self.write(&mut w);
        tagged("outlast/dkg/commit/v1", &[plan, &seat.0.to_be_bytes(), &w.into_bytes()])
    }

    /// True when the dealer knew all three constant terms.
    pub(super) fn is_proven(&self, plan: &[u8; 32], seat: Seat) -> bool {
        let context = |key| proof_context(plan, seat, key);
        let Sharing { ecdsa, bip340, ed25519 } = &self.sharing;
        self.ecdsa.verify(&ecdsa.root(), &context(KeyKind::Ecdsa))
            && self.bip340.verify(&bip340.root(), &context(KeyKind::Bip340))
            && self.ed25519.verify(&ed25519.root(), &context(KeyKind::Ed25519))
    }
}

/// Round 2: the offer, and a sealed sub-share for every other seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reveal {
    pub(super) echo: Echo,
    pub(super) offer: Offer,
    pub(super) sealed: BTreeMap<Seat, Sealed>,
}

impl Reveal {
    /// True when every proof in it holds.
    pub(super) fn is_proven(&self, plan: &Plan, digest: &[u8; 32], seat: Seat) -> bool {
        let made = |(receiver, sealed): (&Seat, &Sealed)| {
            sealed.is_well_made(Context::new(digest, seat, *receiver, plan.epoch))
        };
        self.offer.is_proven(digest, seat) && self.sealed.iter().all(made)
    }
}

impl Body for Reveal {
    const ROUND: u8 = 2;
    fn write(&self, w: &mut Writer) {
        self.echo.write(w);
        self.offer.write(w);
        self.sealed.values().for_each(|sealed| sealed.write(w));
    }
    fn read(r: &mut Reader<'_>, plan: &Plan, seat: Seat) -> Result<Self, WireError> {
        let (echo, offer) = (Echo::read(r, plan)?, Offer::read(r, plan)?);
        let one = |receiver| Ok((receiver, Sealed::read(r)?));
        let sealed = plan.others(seat).into_iter().map(one).collect::<Result<_, WireError>>()?;
        Ok(Self { echo, offer, sealed })
    }
}

/// Round 3: no objection, or one dealer's sub-share opened to everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) echo: Echo,
    pub(super) complaint: Option<Complaint>,
}

/// A sub-share that its receiver cannot use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) dealer: Seat,
    pub(super) opening: Opening,
}

impl Complaint {
    /// DKG-11: opens the sub-share as the receiver did. The culprit is the dealer of a bad one or the complainer about
    /// a good one.
    pub(super) fn judge(
        &self,
        plan: &Plan,
        digest: &[u8; 32],
        complainer: (Seat, &Commit),
        dealt: &Reveal,
    ) -> Option<Seat> {
        let (seat, commit) = complainer;
        let context = Context::new(digest, self.dealer, seat, plan.epoch);
        let sealed = dealt.sealed.get(&seat)?;
        let opened = sealed.open_publicly(&commit.receive_key, &self.opening, context);
        let Ok(shares) = opened else { return Some(seat) };
        let good = shares.is_some_and(|shares| dealt.offer.sharing.fits(plan, seat, &shares));
        Some(if good { seat } else { self.dealer })
    }
}

impl Body for Verdict {
    const ROUND: u8 = 3;
    fn write(&self, w: &mut Writer) {
        self.echo.write(w);
        w.option(self.complaint.as_ref(), |w, complaint| {
            w.u16(complaint.dealer.0);
            complaint.opening.write(w);
        });
    }
    fn read(r: &mut Reader<'_>, plan: &Plan, seat: Seat) -> Result<Self, WireError> {
        let echo = Echo::read(r, plan)?;
        let complaint = r.option(|r| {
            let dealer = Seat(r.u16()?);
            if dealer == seat || !plan.members.contains_key(&dealer) {
                return Err(WireError::Range("dealer complained of"));
            }
            Ok(Complaint { dealer, opening: Opening::read(r)? })
        })?;
        Ok(Self { echo, complaint })
    }
}

/// Round 4: what came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Confirm {
    pub(super) echo: Echo,
    pub(super) vault: VaultId,
    /// The three public keys.
    pub(super) roots: Vec<u8>,
    /// Salted hash of the three chain codes.
    pub(super) chain_codes: [u8; 32],
}

/// Bytes of the three public keys.
const ROOT_BYTES: usize = 33 + 33 + 32;

impl Body for Confirm {
    const ROUND: u8 = 4;
    fn write(&self, w: &mut Writer) {
        self.echo.write(w);
        w.fixed(&self.vault.0);
        w.fixed(&self.roots);
        w.fixed(&self.chain_codes);
    }
    fn read(r: &mut Reader<'_>, plan: &Plan, _: Seat) -> Result<Self, WireError> {
        Ok(Self {
            echo: Echo::read(r, plan)?,
            vault: VaultId(r.fixed()?),
            roots: r.fixed::<ROOT_BYTES>()?.to_vec(),
            chain_codes: r.fixed()?,
        })
    }
}
