//! The four rounds, each taking the state before it by value.

use super::bodies::{Commit, Complaint, Confirm, Reveal, Sharing, Verdict};
use super::broadcast::{Broadcast, Echo, Private, Round};
use super::error::{DkgError, Fault};
use super::evidence::{Evidence, blame};
use super::party::{Dealt, Party};
use super::plan::Plan;
use super::{Outcome, transcript};
use crate::shares::{VaultPublic, VaultShare};
use crate::subshare::{ReceiveKey, Sealed, Subshares};
use model::card::NodeKey;
use model::curve::{Curve, Ed25519, Secp256k1};
use model::entropy::Entropy;
use model::hash::tagged;
use model::hd::{ChainCode, ExtendedKey};
use model::ids::Seat;
use model::keys::{KeyKind, VaultKeys};
use model::secret::Secret;
use model::wire::Wire;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Waiting for round 1.
pub(super) struct Committed {
    pub(super) dealt: Dealt,
}

impl Committed {
    /// Takes everybody's round 1 and says round 2.
    pub(super) fn reveal(
        self,
        party: &Party,
        first: Round,
        key: &NodeKey,
        entropy: &mut dyn Entropy,
    ) -> Result<(Revealed, Broadcast), DkgError> {
        // DKG-3: round 1 carries a hash and a receive key, nothing else.
        let commits = party.parse::<Commit>(&first)?;
        let Dealt { offer, mut shares, receive, private } = self.dealt;
        let own = shares.remove(&party.me).ok_or(DkgError::Bug("no sub-share of our own"))?;
        // DKG-4: a sub-share for every other seat, sealed to the key that it named in round 1.
        let mut sealed = BTreeMap::new();
        for (seat, shares) in &shares {
            let commit = commits.get(seat).ok_or(DkgError::Bug("a seat without round 1"))?;
            let context = party.context(party.me, *seat);
            let one = Sealed::seal(shares, &commit.receive_key, context, entropy);
            sealed.insert(*seat, one.ok_or(DkgError::Bug("the AEAD refused a sub-share"))?);
        }
        let reveal = Reveal { echo: Echo::of(&first), offer, sealed };
        let sent = party.say(&reveal, key);
        Ok((Revealed { first, commits, receive, own, private }, sent))
    }
}

/// Waiting for round 2.
pub(super) struct Revealed {
    first: Round,
    commits: BTreeMap<Seat, Commit>,
    pub(super) receive: ReceiveKey,
    own: Subshares,
    pub(super) private: Private,
}

impl Revealed {
    /// Takes everybody's round 2 and says round 3.
    pub(super) fn judge(
        self,
        party: &Party,
        second: Round,
        mut privates: BTreeMap<Seat, Private>,
        key: &NodeKey,
        entropy: &mut dyn Entropy,
    ) -> Result<(Judged, Broadcast), DkgError> {
        let reveals = party.parse::<Reveal>(&second)?;
        let echoes = reveals.iter().map(|(seat, reveal)| (seat, &reveal.echo));
        party.check_echoes(echoes, &second, &self.first)?;
        self.check_offers(party, &second, &reveals)?;
        let opened = self.open(party, &reveals)?;
        let (share, complaint) = match opened {
            Ok(share) => (Some(share), None),
            Err(dealer) => (None, Some(self.complain(party, dealer, &reveals, entropy)?)),
        };
        // DKG-9: a contribution was fixed in round 1; nobody chooses it after seeing ours. What is wrong here was never
        // signed, so it is named without evidence, and only after everything that can be proven.
        if complaint.is_none() {
            check_contributions(party, &reveals, &privates)?;
        }
        privates.insert(party.me, self.private);
        let sent = party.say(&Verdict { echo: Echo::of(&second), complaint }, key);
        let Self { first, .. } = self;
        Ok((Judged { first, second, reveals, share, privates }, sent))
    }

    /// DKG-7: each offer opens its commitment, and the dealer knew what it offers.
    fn check_offers(
        &self,
        party: &Party,
        second: &Round,
        reveals: &BTreeMap<Seat, Reveal>,
    ) -> Result<(), DkgError> {
        for (seat, reveal) in reveals.iter().filter(|(seat, _)| **seat != party.me) {
            let broadcasts = (self.first.get(seat), second.get(seat), self.commits.get(seat));
            let (Some(first), Some(second), Some(commit)) = broadcasts else {
                return Err(DkgError::Bug("a seat without broadcasts"));
            };
            if reveal.offer.commitment(&party.digest, *seat) != commit.commitment {
                let (commit, reveal) = (first.clone(), second.clone());
                return Err(blame(&party.plan, Evidence::WrongReveal { commit, reveal }));
            }
            if !reveal.is_proven(&party.plan, &party.digest, *seat) {
                return Err(blame(&party.plan, Evidence::InvalidProof(second.clone())));
            }
        }
        Ok(())
    }

    /// DKG-8: our share is the sum of what all dealers sent; the first dealer of a bad part otherwise.
    ///
    /// The sum is checked against the summed commitments: one check instead of one for each dealer. Parts that are
    /// wrong and cancel out give the right share, and harm nobody.
    fn open(
        &self,
        party: &Party,
        reveals: &BTreeMap<Seat, Reveal>,
    ) -> Result<Result<Subshares, Seat>, DkgError> {
        let mut parts = BTreeMap::new();
        for (dealer, reveal) in reveals.iter().filter(|(seat, _)| **seat != party.me) {
            let sealed = reveal.sealed.get(&party.me);
            let sealed = sealed.ok_or(DkgError::Bug("no sub-share for our seat"))?;
            match self.receive.open(sealed, party.context(*dealer, party.me)) {
                Some(shares) => parts.insert(*dealer, shares),
                None => return Ok(Err(*dealer)),
            };
        }
        let sharing = transcript::sum(reveals.values().map(|reveal| &reveal.offer.sharing))
            .ok_or(DkgError::Bug("sharings over two trees"))?;
        let share = sum_shares(&self.own, parts.values())
            .ok_or(DkgError::Bug("a sub-share is no scalar"))?;
        if sharing.fits(&party.plan, party.me, &share) {
            return Ok(Ok(share));
        }
        let bad = |(dealer, shares): &(&Seat, &Subshares)| {
            reveals
                .get(dealer)
                .is_some_and(|reveal| !reveal.offer.sharing.fits(&party.plan, party.me, shares))
        };
        match parts.iter().find(bad) {
            Some((dealer, _)) => Ok(Err(*dealer)),
            None => Err(DkgError::Bug("the sum is wrong and every part is right")),
        }
    }

    /// DKG-10: opens one sub-share to everybody.
    fn complain(
        &self,
        party: &Party,
        dealer: Seat,
        reveals: &BTreeMap<Seat, Reveal>,
        entropy: &mut dyn Entropy,
    ) -> Result<Complaint, DkgError> {
        let sealed = reveals.get(&dealer).and_then(|reveal| reveal.sealed.get(&party.me));
        let sealed = sealed.ok_or(DkgError::Bug("no sub-share to complain of"))?;
        let context = party.context(dealer, party.me);
        Ok(Complaint { dealer, opening: self.receive.opening(sealed, context, entropy) })
    }
}

fn check_contributions(
    party: &Party,
    reveals: &BTreeMap<Seat, Reveal>,
    privates: &BTreeMap<Seat, Private>,
) -> Result<(), DkgError> {
    for (from, private) in privates {
        let committed = reveals.get(from).map(|reveal| reveal.offer.chain);
        if committed != Some(private.commitment(&party.digest, *from)) {
            return Err(DkgError::Unproven { from: *from, fault: Fault::ChainCode });
        }
    }
    Ok(())
}

/// Adds sub-shares key by key; `None` if one is no scalar.
fn sum_shares<'a>(
    own: &Subshares,
    others: impl Iterator<Item = &'a Subshares> + Clone,
) -> Option<Subshares> {
    fn sum<'a, C: Curve>(
        own: &Secret<[u8; 32]>,
        mut others: impl Iterator<Item = &'a Secret<[u8; 32]>>,
    ) -> Option<Secret<[u8; 32]>> {
        let first = Zeroizing::new(C::scalar_from_bytes(own.expose())?);
        let total = others.try_fold(first, |total, share| {
            let share = Zeroizing::new(C::scalar_from_bytes(share.expose())?);
            Some(Zeroizing::new(*total + *share))
        })?;
        Some(Secret::new(C::scalar_to_bytes(&total)))
    }
    Some(Subshares {
        ecdsa: sum::<Secp256k1>(&own.ecdsa, others.clone().map(|s| &s.ecdsa))?,
        bip340: sum::<Secp256k1>(&own.bip340, others.clone().map(|s| &s.bip340))?,
        ed25519: sum::<Ed25519>(&own.ed25519, others.map(|s| &s.ed25519))?,
    })
}

/// Waiting for round 3.
pub(super) struct Judged {
    first: Round,
    second: Round,
    reveals: BTreeMap<Seat, Reveal>,
    /// `None` when we complained.
    share: Option<Subshares>,
    privates: BTreeMap<Seat, Private>,
}

impl Judged {
    /// Takes everybody's round 3 and says round 4.
    pub(super) fn confirm(
        self,
        party: &Party,
        third: Round,
        key: &NodeKey,
    ) -> Result<(Confirmed, Broadcast), DkgError> {
        let verdicts = party.parse::<Verdict>(&third)?;
        let echoes = verdicts.iter().map(|(seat, verdict)| (seat, &verdict.echo));
        party.check_echoes(echoes, &third, &self.second)?;
        self.hear_complaints(party, &third, &verdicts)?;
        let share = self.share.ok_or(DkgError::Bug("no share and no complaint"))?;
        let sharing = transcript::sum(self.reveals.values().map(|reveal| &reveal.offer.sharing))
            .ok_or(DkgError::Bug("sharings over two trees"))?;
        // DKG-12: a root at infinity would be everybody's key. Committed parts cannot be aimed at it.
        if sharing.has_identity_root() {
            return Err(DkgError::Bug("a public key is the identity"));
        }
        let transcript = transcript::write(&party.plan, [&self.first, &self.second, &third]);
        let vault = transcript::vault_id(&transcript);
        let codes = ChainCodes::of(party, &self.privates);
        let roots = sharing.roots();
        let chain_codes = codes.commitment;
        let confirm = Confirm { echo: Echo::of(&third), vault, roots, chain_codes };
        let sent = party.say(&confirm, key);
        let outcome = outcome(party, sharing, share, codes, transcript);
        Ok((Confirmed { third, confirm, outcome }, sent))
    }

    /// A complaint of anybody, ours too, ends the ceremony with a culprit.
    fn hear_complaints(
        &self,
        party: &Party,
        third: &Round,
        verdicts: &BTreeMap<Seat, Verdict>,
    ) -> Result<(), DkgError> {
        for (seat, verdict) in verdicts {
            let Some(words) = &verdict.complaint else { continue };
            let pieces = (self.first.get(seat), self.second.get(&words.dealer), third.get(seat));
            let (Some(receiver), Some(dealt), Some(complaint)) = pieces else {
                return Err(DkgError::Bug("a complaint without its broadcasts"));
            };
            let evidence = Evidence::Complaint {
                receiver: receiver.clone(),
                dealt: dealt.clone(),
                complaint: complaint.clone(),
            };
            return Err(blame(&party.plan, evidence));
        }
        Ok(())
    }
}

/// The chain codes of the three keys, and a salted hash of them.
struct ChainCodes {
    codes: [ChainCode; 3],
    commitment: [u8; 32],
}

impl ChainCodes {
    /// DKG-13: a hash of all contributions for each key; one honest contribution makes it unpredictable.
    fn of(party: &Party, privates: &BTreeMap<Seat, Private>) -> Self {
        let codes = KeyKind::ALL.map(|key| {
            let mut parts: Vec<&[u8]> = vec![&party.digest, key.name().as_bytes()];
            parts.extend(privates.values().map(|private| &private.contribution.expose()[..]));
            ChainCode(tagged("outlast/dkg/chain-codes/v1", &parts))
        });
        let mut parts: Vec<&[u8]> = vec![&party.digest];
        parts.extend(codes.iter().map(|code| &code.0[..]));
        parts.extend(privates.values().map(|private| &private.salt.expose()[..]));
        let commitment = tagged("outlast/dkg/chain-confirm/v1", &parts);
        Self { codes, commitment }
    }
}

fn outcome(
    party: &Party,
    sharing: Sharing,
    share: Subshares,
    codes: ChainCodes,
    transcript: Vec<u8>,
) -> Outcome {
    let Plan { purpose, epoch, tree, members, .. } = &*party.plan;
    let Sharing { ecdsa, bip340, ed25519 } = sharing;
    let [code_ecdsa, code_bip340, code_ed25519] = codes.codes;
    let keys = VaultKeys {
        ecdsa: ExtendedKey { point: ecdsa.root(), chain_code: code_ecdsa },
        bip340: ExtendedKey { point: bip340.root(), chain_code: code_bip340 },
        ed25519: ExtendedKey { point: ed25519.root(), chain_code: code_ed25519 },
    };
    let public = VaultPublic {
        purpose: *purpose,
        epoch: *epoch,
        tree: tree.clone(),
        members: members.clone(),
        keys,
        ecdsa,
        bip340,
        ed25519,
    };
    let share = VaultShare {
        seat: party.me,
        epoch: *epoch,
        ecdsa: share.ecdsa,
        bip340: share.bip340,
        ed25519: share.ed25519,
    };
    let vault = transcript::vault_id(&transcript);
    Outcome { vault, public, share, transcript, confirmations: BTreeMap::new() }
}

/// Waiting for round 4.
pub(super) struct Confirmed {
    third: Round,
    confirm: Confirm,
    outcome: Outcome,
}

impl Confirmed {
    /// DKG-15: everybody confirms the same transcript, keys and chain codes, or there is no vault.
    pub(super) fn finish(mut self, party: &Party, fourth: &Round) -> Result<Outcome, DkgError> {
        let confirms = party.parse::<Confirm>(fourth)?;
        let echoes = confirms.iter().map(|(seat, confirm)| (seat, &confirm.echo));
        party.check_echoes(echoes, fourth, &self.third)?;
        for (seat, confirm) in &confirms {
            let ours = &self.confirm;
            if confirm.vault != ours.vault || confirm.roots != ours.roots {
                let broadcast = fourth.get(seat).ok_or(DkgError::Bug("a seat without round 4"))?;
                let transcript = self.outcome.transcript;
                let confirm = broadcast.clone();
                let evidence = Evidence::WrongConfirmation { transcript, confirm };
                return Err(blame(&party.plan, evidence));
            }
            // Whoever would judge this must know the chain codes: named, not proven.
            if confirm.chain_codes != ours.chain_codes {
                return Err(DkgError::Unproven { from: *seat, fault: Fault::OtherChainCodes });
            }
        }
        // The share was checked when it was opened; what leaves here is checked as it will be stored.
        if self.outcome.public.check_share(&self.outcome.share).is_err() {
            return Err(DkgError::Bug("the share does not fit the summed commitments"));
        }
        let signed = |(seat, broadcast): (&Seat, &Broadcast)| (*seat, broadcast.to_bytes());
        self.outcome.confirmations = fourth.iter().map(signed).collect();
        Ok(self.outcome)
    }
}
