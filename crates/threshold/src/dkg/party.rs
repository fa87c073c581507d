//! One member's place in a ceremony, and what it draws before round 1.

use super::bodies::{Body, Commit, Offer, Sharing, proof_context};
use super::broadcast::{Broadcast, Echo, Private, Round};
use super::error::{DkgError, Refusal};
use super::evidence::{Evidence, blame};
use super::plan::Plan;
use crate::proof::KnowledgeProof;
use crate::sharing::{Dealing, deal};
use crate::subshare::{Context, ReceiveKey, Subshares};
use model::card::NodeKey;
use model::curve::{Curve, Ed25519, Secp256k1};
use model::entropy::Entropy;
use model::hash::tagged;
use model::ids::Seat;
use model::keys::KeyKind;
use model::secret::Secret;
use std::collections::BTreeMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// One member's place in one ceremony.
pub(super) struct Party {
    pub(super) plan: Arc<Plan>,
    pub(super) digest: [u8; 32],
    pub(super) me: Seat,
}

impl Party {
    pub(super) fn new(plan: Arc<Plan>, me: Seat, key: &NodeKey) -> Result<Self, DkgError> {
        plan.check().map_err(Refusal::from)?;
        let party = Self { digest: plan.digest(), plan, me };
        party.check_key(key)?;
        Ok(party)
    }

    pub(super) fn check_key(&self, key: &NodeKey) -> Result<(), DkgError> {
        let node = self.plan.members.get(&self.me).ok_or(Refusal::Seat(self.me.0))?;
        if *node == key.id() { Ok(()) } else { Err(Refusal::Key(self.me.0).into()) }
    }

    pub(super) fn say<B: Body>(&self, body: &B, key: &NodeKey) -> Broadcast {
        Broadcast::sign(self.digest, B::ROUND, self.me, body.to_bytes(), key)
    }

    pub(super) fn context(&self, dealer: Seat, receiver: Seat) -> Context {
        Context::new(&self.digest, dealer, receiver, self.plan.epoch)
    }

    /// Reads every body of a round; the first that does not read convicts its signer.
    pub(super) fn parse<B: Body>(&self, round: &Round) -> Result<BTreeMap<Seat, B>, DkgError> {
        let one = |(seat, broadcast): (&Seat, &Broadcast)| match B::parse(&self.plan, broadcast) {
            Ok(body) => Ok((*seat, body)),
            Err(_) => Err(blame(&self.plan, Evidence::Malformed(broadcast.clone()))),
        };
        round.iter().map(one).collect()
    }

    /// Compares every member's echo of the last round with ours, before anything else is believed.
    pub(super) fn check_echoes<'a>(
        &self,
        echoes: impl Iterator<Item = (&'a Seat, &'a Echo)>,
        round: &Round,
        last: &Round,
    ) -> Result<(), DkgError> {
        for (seat, echo) in echoes {
            let echoer = round.get(seat).ok_or(DkgError::Bug("an echo without its broadcast"))?;
            echo.check(&self.plan, &self.digest, echoer, last)?;
        }
        Ok(())
    }
}

/// What a member draws before round 1.
pub(super) struct Dealt {
    pub(super) offer: Offer,
    pub(super) shares: BTreeMap<Seat, Subshares>,
    pub(super) receive: ReceiveKey,
    pub(super) private: Private,
}

impl Dealt {
    /// DKG-1: three sharings of three fresh scalars, proofs of knowledge, a chain-code contribution, a receive key.
    pub(super) fn new(party: &Party, entropy: &mut dyn Entropy) -> Self {
        let (ecdsa, ecdsa_proof) = deal_proven::<Secp256k1>(party, KeyKind::Ecdsa, entropy);
        let (bip340, bip340_proof) = deal_proven::<Secp256k1>(party, KeyKind::Bip340, entropy);
        let (ed25519, ed25519_proof) = deal_proven::<Ed25519>(party, KeyKind::Ed25519, entropy);
        let private = Private::new(entropy);
        let chain = private.commitment(&party.digest, party.me);
        let shares = ecdsa.shares.into_iter().zip(bip340.shares).zip(ed25519.shares);
        let shares = shares
            .map(|(((seat, ecdsa), (_, bip340)), (_, ed25519))| {
                (seat, Subshares { ecdsa, bip340, ed25519 })
            })
            .collect();
        let sharing = Sharing {
            ecdsa: ecdsa.commitments,
            bip340: bip340.commitments,
            ed25519: ed25519.commitments,
        };
        let offer = Offer {
            sharing,
            ecdsa: ecdsa_proof,
            bip340: bip340_proof,
            ed25519: ed25519_proof,
            chain,
        };
        Self { offer, shares, receive: ReceiveKey::new(entropy), private }
    }

    /// DKG-2: round 1 says only a hash of the offer, so that nobody chooses its own part after seeing another's.
    pub(super) fn commit(&self, party: &Party, key: &NodeKey) -> Broadcast {
        let commitment = self.offer.commitment(&party.digest, party.me);
        party.say(&Commit { commitment, receive_key: self.receive.public() }, key)
    }
}

fn deal_proven<C: Curve>(
    party: &Party,
    key: KeyKind,
    entropy: &mut dyn Entropy,
) -> (Dealing<C>, KnowledgeProof<C>) {
    let secret = Zeroizing::new(C::random_scalar(entropy));
    let context = proof_context(&party.digest, party.me, key);
    let proof = KnowledgeProof::<C>::prove(&secret, &context, entropy);
    (deal::<C>(&party.plan.tree, &secret, entropy), proof)
}

impl Private {
    fn new(entropy: &mut dyn Entropy) -> Self {
        let mut draw = || {
            let mut bytes = Zeroizing::new([0u8; 32]);
            entropy.fill(&mut *bytes);
            Secret::new(*bytes)
        };
        Self { contribution: draw(), salt: draw() }
    }

    pub(super) fn commitment(&self, plan: &[u8; 32], seat: Seat) -> [u8; 32] {
        let seat = seat.0.to_be_bytes();
        let parts: [&[u8]; 4] = [plan, &seat, self.contribution.expose(), self.salt.expose()];
        tagged("outlast/dkg/chain-code/v1", &parts)
    }

    pub(super) fn duplicate(&self) -> Self {
        Self { contribution: self.contribution.duplicate(), salt: self.salt.duplicate() }
    }
}
