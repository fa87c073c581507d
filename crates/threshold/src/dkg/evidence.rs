//! Evidence: what convinces whoever knows the plan that a member broke the protocol.
//!
//! Every piece is made of the culprit's own signatures, or of a complaint that anybody can open. Nobody is blamed by
//! this node for what [`verify_evidence`] would not also show to a stranger.

use super::bodies::{Body, Commit, Confirm, Reveal, Verdict};
use super::broadcast::{Broadcast, Mark};
use super::error::DkgError;
use super::plan::{Plan, PlanError};
use super::transcript::Record;
use model::ids::Seat;
use model::wire::{Reader, Wire, WireError, Writer, tags};

/// Bytes of a transcript inside evidence at most (32 seats, three rounds, every body at its bound).
const TRANSCRIPT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One proven breach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// One seat signed two broadcasts of one round.
    Equivocation {
        /// The seat.
        seat: Seat,
        /// The round.
        round: u8,
        /// One signed digest.
        first: Mark,
        /// Another.
        second: Mark,
    },
    /// A signed echo holds a signature that the echoed seat never made.
    ForgedEcho {
        /// The echo.
        echo: Broadcast,
        /// The seat it speaks of.
        about: Seat,
    },
    /// A signed body that does not read under the plan: wrong counts, points off the curve, bytes left over.
    Malformed(Broadcast),
    /// Round 2 does not open the commitment of round 1.
    WrongReveal {
        /// Round 1.
        commit: Broadcast,
        /// Round 2.
        reveal: Broadcast,
    },
    /// A proof in round 2 fails.
    InvalidProof(Broadcast),
    /// A complaint: it convicts the dealer of a bad sub-share, or the complainer about a good one.
    Complaint {
        /// Round 1 of the complainer: its receive key.
        receiver: Broadcast,
        /// Round 2 of the dealer.
        dealt: Broadcast,
        /// Round 3 of the complainer.
        complaint: Broadcast,
    },
    /// Round 4 confirms something else than what its signer saw.
    WrongConfirmation {
        /// The transcript.
        transcript: Vec<u8>,
        /// Round 4.
        confirm: Broadcast,
    },
}

/// Why evidence proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Nobody can follow this plan.
    #[error("the plan cannot be followed")]
    Plan(#[from] PlanError),
    /// A broadcast in it is not signed by its seat under this plan.
    #[error("a broadcast in the evidence is not signed under this plan")]
    Unsigned,
    /// The broadcasts do not belong together: other rounds, other seats, or not those that were answered.
    #[error("the broadcasts in the evidence do not belong together")]
    Unrelated,
    /// A body in it does not read.
    #[error("a broadcast in the evidence does not read")]
    Wire(#[from] WireError),
    /// All in it is as it must be.
    #[error("the evidence shows no breach")]
    NoBreach,
}

impl EvidenceError {
    /// Stable name for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Plan(_) => "evidence_plan",
            Self::Unsigned => "evidence_unsigned",
            Self::Unrelated => "evidence_unrelated",
            Self::Wire(_) => "evidence_malformed",
            Self::NoBreach => "evidence_no_breach",
        }
    }
}

/// The error for `evidence`, with the culprit that a stranger would find too.
pub(super) fn blame(plan: &Plan, evidence: Evidence) -> DkgError {
    match verify_evidence(plan, &evidence) {
        Ok(culprit) => DkgError::Misbehaved { culprit, evidence: Box::new(evidence) },
        Err(_) => DkgError::Bug("evidence of ours does not hold"),
    }
}

/// Names the culprit, or says why the evidence proves nothing.
pub fn verify_evidence(plan: &Plan, evidence: &Evidence) -> Result<Seat, EvidenceError> {
    plan.check()?;
    let judge = Judge { plan, digest: plan.digest() };
    match evidence {
        Evidence::Equivocation { seat, round, first, second } => {
            let signed = |mark: &Mark| mark.holds(plan, &judge.digest, *round, *seat);
            if !signed(first) || !signed(second) {
                return Err(EvidenceError::Unsigned);
            }
            breach(first.digest != second.digest, *seat)
        }
        Evidence::ForgedEcho { echo, about } => judge.forged_echo(echo, *about),
        Evidence::Malformed(broadcast) => judge.malformed(broadcast),
        Evidence::WrongReveal { commit, reveal } => judge.wrong_reveal(commit, reveal),
        Evidence::InvalidProof(broadcast) => {
            let reveal: Reveal = judge.body(broadcast)?;
            let seat = broadcast.seat;
            breach(!reveal.is_proven(plan, &judge.digest, seat), seat)
        }
        Evidence::Complaint { receiver, dealt, complaint } => {
            judge.complaint(receiver, dealt, complaint)
        }
        Evidence::WrongConfirmation { transcript, confirm } => {
            judge.wrong_confirmation(transcript, confirm)
        }
    }
}

fn breach(broken: bool, culprit: Seat) -> Result<Seat, EvidenceError> {
    if broken { Ok(culprit) } else { Err(EvidenceError::NoBreach) }
}

/// A stranger who knows the plan.
struct Judge<'a> {
    plan: &'a Plan,
    digest: [u8; 32],
}

impl Judge<'_> {
    fn signed(&self, broadcast: &Broadcast) -> Result<(), EvidenceError> {
        let signed = broadcast.is_signed(self.plan, &self.digest);
        if signed { Ok(()) } else { Err(EvidenceError::Unsigned) }
    }

    /// The body of a signed broadcast of its round.
    fn body<B: Body>(&self, broadcast: &Broadcast) -> Result<B, EvidenceError> {
        self.signed(broadcast)?;
        if broadcast.round != B::ROUND {
            return Err(EvidenceError::Unrelated);
        }
        Ok(B::parse(self.plan, broadcast)?)
    }

    fn malformed(&self, broadcast: &Broadcast) -> Result<Seat, EvidenceError> {
        self.signed(broadcast)?;
        let plan = self.plan;
        let reads = match broadcast.round {
            1 => Commit::parse(plan, broadcast).is_ok(),
            2 => Reveal::parse(plan, broadcast).is_ok(),
            3 => Verdict::parse(plan, broadcast).is_ok(),
            4 => Confirm::parse(plan, broadcast).is_ok(),
            _ => false,
        };
        breach(!reads, broadcast.seat)
    }

    fn forged_echo(&self, broadcast: &Broadcast, about: Seat) -> Result<Seat, EvidenceError> {
        let (echo, round) = match broadcast.round {
            2 => (self.body::<Reveal>(broadcast)?.echo, 1),
            3 => (self.body::<Verdict>(broadcast)?.echo, 2),
            4 => (self.body::<Confirm>(broadcast)?.echo, 3),
            _ => return Err(EvidenceError::Unrelated),
        };
        let mark = echo.0.get(&about).ok_or(EvidenceError::Unrelated)?;
        breach(!mark.holds(self.plan, &self.digest, round, about), broadcast.seat)
    }

    fn wrong_reveal(&self, commit: &Broadcast, reveal: &Broadcast) -> Result<Seat, EvidenceError> {
        let (first, second): (Commit, Reveal) = (self.body(commit)?, self.body(reveal)?);
        let seat = reveal.seat;
        if commit.seat != seat {
            return Err(EvidenceError::Unrelated);
        }
        breach(second.offer.commitment(&self.digest, seat) != first.commitment, seat)
    }

    fn complaint(
        &self,
        receiver: &Broadcast,
        dealt: &Broadcast,
        complaint: &Broadcast,
    ) -> Result<Seat, EvidenceError> {
        let commit: Commit = self.body(receiver)?;
        let reveal: Reveal = self.body(dealt)?;
        let verdict: Verdict = self.body(complaint)?;
        let words = verdict.complaint.as_ref().ok_or(EvidenceError::NoBreach)?;
        // The dealer sealed to this receive key and the complainer read this broadcast: otherwise either could swap in
        // a second one of its own and frame the other.
        let related = receiver.seat == complaint.seat
            && words.dealer == dealt.seat
            && reveal.echo.names(receiver)
            && verdict.echo.names(dealt);
        if !related {
            return Err(EvidenceError::Unrelated);
        }
        let complainer = (complaint.seat, &commit);
        words.judge(self.plan, &self.digest, complainer, &reveal).ok_or(EvidenceError::Unrelated)
    }

    fn wrong_confirmation(
        &self,
        transcript: &[u8],
        broadcast: &Broadcast,
    ) -> Result<Seat, EvidenceError> {
        let confirm: Confirm = self.body(broadcast)?;
        let record = Record::read(transcript)?;
        let seat = broadcast.seat;
        if record.plan != *self.plan || !record.was_seen_by(seat, &confirm) {
            return Err(EvidenceError::Unrelated);
        }
        let right = confirm.vault == record.vault && confirm.roots == record.sharing.roots();
        breach(!right, seat)
    }
}

impl Evidence {
    /// Stable name for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Equivocation { .. } => "dkg_equivocation",
            Self::ForgedEcho { .. } => "dkg_forged_echo",
            Self::Malformed(_) => "dkg_malformed_broadcast",
            Self::WrongReveal { .. } => "dkg_wrong_reveal",
            Self::InvalidProof(_) => "dkg_invalid_proof",
            Self::Complaint { .. } => "dkg_complaint",
            Self::WrongConfirmation { .. } => "dkg_wrong_confirmation",
        }
    }
}

impl Wire for Evidence {
    fn write(&self, w: &mut Writer) {
        w.header(tags::DKG_EVIDENCE, 1);
        match self {
            Self::Equivocation { seat, round, first, second } => {
                w.u8(1);
                w.u16(seat.0);
                w.u8(*round);
                first.write(w);
                second.write(w);
            }
            Self::ForgedEcho { echo, about } => {
                w.u8(2);
                echo.write(w);
                w.u16(about.0);
            }
            Self::Malformed(broadcast) => {
                w.u8(3);
                broadcast.write(w);
            }
            Self::WrongReveal { commit, reveal } => {
                w.u8(4);
                commit.write(w);
                reveal.write(w);
            }
            Self::InvalidProof(broadcast) => {
                w.u8(5);
                broadcast.write(w);
            }
            Self::Complaint { receiver, dealt, complaint } => {
                w.u8(6);
                [receiver, dealt, complaint].into_iter().for_each(|b| b.write(w));
            }
            Self::WrongConfirmation { transcript, confirm } => {
                w.u8(7);
                w.bytes(transcript);
                confirm.write(w);
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.header(tags::DKG_EVIDENCE, 1)?;
        Ok(match r.u8()? {
            1 => Self::Equivocation {
                seat: Seat(r.u16()?),
                round: r.u8()?,
                first: Mark::read(r)?,
                second: Mark::read(r)?,
            },
            2 => Self::ForgedEcho { echo: Broadcast::read(r)?, about: Seat(r.u16()?) },
            3 => Self::Malformed(Broadcast::read(r)?),
            4 => Self::WrongReveal { commit: Broadcast::read(r)?, reveal: Broadcast::read(r)? },
            5 => Self::InvalidProof(Broadcast::read(r)?),
            6 => Self::Complaint {
                receiver: Broadcast::read(r)?,
                dealt: Broadcast::read(r)?,
                complaint: Broadcast::read(r)?,
            },
            7 => Self::WrongConfirmation {
                transcript: r.bytes(TRANSCRIPT_BYTES_MAX)?,
                confirm: Broadcast::read(r)?,
            },
            _ => return Err(WireError::Range("evidence kind")),
        })
    }
}
