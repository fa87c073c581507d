//! The public record of a ceremony: plan and the bodies of rounds 1 to 3. Its tagged hash is the vault's id.
//!
//! Signatures are not hashed (a signer can make several over one digest); each round's stand in the echo of the next,
//! and those of round 4 ([`super::Outcome::confirmations`]) cover the vault id itself.
//! Absent on purpose: chain codes, of which only salted hashes stand here.

use super::bodies::{Body, Commit, Confirm, Reveal, Sharing, Verdict};
use super::broadcast::{BODY_BYTES_MAX, Broadcast, Round};
use super::plan::Plan;
use model::commitment::Commitments;
use model::curve::{Ed25519, Secp256k1};
use model::hash::tagged;
use model::ids::{Seat, VaultId};
use model::wire::{Reader, Wire, WireError, Writer, tags};
use std::collections::BTreeMap;

/// Rounds in a transcript.
const ROUNDS: u8 = 3;

/// Writes plan and bodies.
pub(super) fn write(plan: &Plan, rounds: [&Round; 3]) -> Vec<u8> {
    let mut w = Writer::default();
    w.header(tags::DKG_TRANSCRIPT, 1);
    plan.write(&mut w);
    for round in rounds {
        round.values().for_each(|broadcast| w.bytes(&broadcast.body));
    }
    w.into_bytes()
}

/// DKG-14: the vault's id.
pub(super) fn vault_id(transcript: &[u8]) -> VaultId {
    VaultId(tagged("outlast/vault/v1", &[transcript]))
}

/// A transcript that was read back, with what follows from it.
pub(super) struct Record {
    pub(super) plan: Plan,
    /// Digest by round (1 to 3) and seat.
    digests: BTreeMap<(u8, Seat), [u8; 32]>,
    commits: BTreeMap<Seat, Commit>,
    reveals: BTreeMap<Seat, Reveal>,
    verdicts: BTreeMap<Seat, Verdict>,
    pub(super) vault: VaultId,
    pub(super) sharing: Sharing,
}

/// What a stranger knows after [`verify_transcript`]: all of it follows from the transcript, nothing is taken on trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The plan that was followed.
    pub plan: Plan,
    /// The vault's id.
    pub vault: VaultId,
    /// Commitments of the ECDSA key; their root is the key.
    pub ecdsa: Commitments<Secp256k1>,
    /// Commitments of the BIP-340 key.
    pub bip340: Commitments<Secp256k1>,
    /// Commitments of the Ed25519 key.
    pub ed25519: Commitments<Ed25519>,
}

/// Why bytes are not the record of a finished ceremony.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TranscriptError {
    /// The bytes do not read.
    #[error("the transcript does not read")]
    Wire(#[from] WireError),
    /// A revealed offer is not the one committed to, or a proof in it fails.
    #[error("what seat {0} revealed does not hold")]
    Reveal(u16),
    /// The ceremony ended in a complaint.
    #[error("seat {0} complained")]
    Complaint(u16),
    /// An echo names another broadcast than the transcript.
    #[error("seat {0} echoes another broadcast")]
    Echo(u16),
    /// A seat has not signed this outcome.
    #[error("seat {0} did not confirm this transcript")]
    Confirmation(u16),
}

impl TranscriptError {
    /// Stable name for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Wire(_) => "transcript_malformed",
            Self::Reveal(_) => "transcript_reveal",
            Self::Complaint(_) => "transcript_complaint",
            Self::Echo(_) => "transcript_echo",
            Self::Confirmation(_) => "transcript_confirmation",
        }
    }
}

impl Record {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        r.header(tags::DKG_TRANSCRIPT, 1)?;
        let plan = Plan::read(&mut r)?;
        let mut bodies = BTreeMap::new();
        for round in 1..=ROUNDS {
            for seat in plan.members.keys() {
                bodies.insert((round, *seat), r.bytes(BODY_BYTES_MAX)?);
            }
        }
        r.finish()?;
        let (mut commits, mut reveals) = (BTreeMap::new(), BTreeMap::new());
        let (mut verdicts, mut digests) = (BTreeMap::new(), BTreeMap::new());
        for ((round, seat), body) in &bodies {
            digests.insert((*round, *seat), Broadcast::digest_of(body));
            match round {
                1 => drop(commits.insert(*seat, Commit::from_body(&plan, *seat, body)?)),
                2 => drop(reveals.insert(*seat, Reveal::from_body(&plan, *seat, body)?)),
                _ => drop(verdicts.insert(*seat, Verdict::from_body(&plan, *seat, body)?)),
            }
        }
        let sharing = sum(reveals.values().map(|reveal| &reveal.offer.sharing))
            .ok_or(WireError::Range("commitments"))?;
        let vault = vault_id(bytes);
        Ok(Self { plan, digests, commits, reveals, verdicts, vault, sharing })
    }

    /// True when `seat` said, round by round up to `confirm`, that it saw exactly these broadcasts.
    pub(super) fn was_seen_by(&self, seat: Seat, confirm: &Confirm) -> bool {
        let (Some(reveal), Some(verdict)) = (self.reveals.get(&seat), self.verdicts.get(&seat))
        else {
            return false;
        };
        let echoes = [(1u8, &reveal.echo), (2, &verdict.echo), (3, &confirm.echo)];
        echoes.iter().all(|(round, echo)| {
            echo.0.iter().all(|(of, mark)| self.digests.get(&(*round, *of)) == Some(&mark.digest))
        })
    }
}

/// Sum of all members' commitments; `None` without members.
pub(super) fn sum<'a>(mut all: impl Iterator<Item = &'a Sharing>) -> Option<Sharing> {
    let first = all.next()?.clone();
    all.try_fold(first, |sum, sharing| sum.sum(sharing).ok())
}

/// Checks a ceremony's record as a stranger: every proof in the transcript, and that every member signed its outcome.
///
/// Every byte of both counts: the vault's id is a hash of the transcript, and each confirmation is a signature over it.
pub fn verify_transcript(
    transcript: &[u8],
    confirmations: &BTreeMap<Seat, Vec<u8>>,
) -> Result<Verified, TranscriptError> {
    let record = Record::read(transcript)?;
    let digest = record.plan.digest();
    // RECORD-3: what was offered was committed to, and is proven.
    for (seat, reveal) in &record.reveals {
        let offered = reveal.offer.commitment(&digest, *seat);
        let opened = record.commits.get(seat).is_some_and(|c| c.commitment == offered);
        if !opened || !reveal.is_proven(&record.plan, &digest, *seat) {
            return Err(TranscriptError::Reveal(seat.0));
        }
    }
    // RECORD-4: a complaint ends a ceremony.
    if let Some((seat, _)) = record.verdicts.iter().find(|(_, v)| v.complaint.is_some()) {
        return Err(TranscriptError::Complaint(seat.0));
    }
    // RECORD-5: every seat signed this outcome, and nobody else stands here.
    for seat in record.plan.members.keys() {
        let bytes = confirmations.get(seat).ok_or(TranscriptError::Confirmation(seat.0))?;
        let broadcast = Broadcast::from_bytes(bytes)?;
        let confirm = Confirm::parse(&record.plan, &broadcast)?;
        if !record.was_seen_by(*seat, &confirm) {
            return Err(TranscriptError::Echo(seat.0));
        }
        let signed = broadcast.is_signed(&record.plan, &digest);
        let place = (broadcast.seat, broadcast.round) == (*seat, Confirm::ROUND);
        let says = confirm.vault == record.vault && confirm.roots == record.sharing.roots();
        if !(signed && place && says) {
            return Err(TranscriptError::Confirmation(seat.0));
        }
    }
    if let Some(seat) = confirmations.keys().find(|seat| !record.plan.members.contains_key(seat)) {
        return Err(TranscriptError::Confirmation(seat.0));
    }
    let Sharing { ecdsa, bip340, ed25519 } = record.sharing;
    Ok(Verified { plan: record.plan, vault: record.vault, ecdsa, bip340, ed25519 })
}
