//! The record of a ceremony: one file that convinces a stranger, of a vault that was made or of who broke the protocol.
//!
//! Spec: `docs/spec/ceremony-record.md`. Everything that a record shows follows from signatures of the members' node keys;
//! nothing in it is taken on trust, and a changed byte is refused by name.
//! Absent on purpose: shares, chain codes and what opens their salted hash. A record is public.

use crate::message::CeremonyPlan;
use model::access::AccessTree;
use model::curve::{Curve, Ed25519, Secp256k1};
use model::hd::{ChainCode, DerivationPath, ExtendedKey, HdError};
use model::ids::{Epoch, NodeId, Seat, VaultId};
use model::keys::{KeyKind, VaultKeys};
use model::limits;
use model::wire::{Reader, Wire, WireError, Writer, tags};
use std::collections::BTreeMap;
use threshold::dkg::{self, Evidence, EvidenceError, TranscriptError};

/// Bytes of a transcript in a record at most.
const TRANSCRIPT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of one member's confirmation at most.
const CONFIRMATION_BYTES_MAX: usize = 33 * 1024;
/// Bytes of a record at most: a transcript and 32 confirmations at their bounds.
pub const RECORD_BYTES_MAX: usize = 6 * 1024 * 1024;

/// What a node keeps of a ceremony, and what `outlast verify` reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CeremonyRecord {
    /// A vault was made.
    Made {
        /// What the operators said yes to.
        plan: CeremonyPlan,
        /// Plan and broadcasts of rounds 1 to 3; the vault's id is its hash.
        transcript: Vec<u8>,
        /// Round 4 of each member: its node's signature over the outcome.
        confirmations: BTreeMap<Seat, Vec<u8>>,
    },
    /// A member broke the protocol.
    Broken {
        /// What the operators said yes to.
        plan: CeremonyPlan,
        /// The culprit's own signatures.
        evidence: Box<Evidence>,
    },
}

/// What a record proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRecord {
    /// What the operators said yes to.
    pub plan: CeremonyPlan,
    /// What came of it.
    pub finding: Finding,
}

/// The end of a ceremony.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Every member signed that this vault came to be.
    Made {
        /// The vault.
        vault: VaultId,
        /// Its root public keys.
        keys: Vec<(KeyKind, Vec<u8>)>,
        /// Public commitments of all shares of each key.
        commitments: Vec<(KeyKind, Vec<u8>)>,
    },
    /// This member broke the protocol.
    Broken {
        /// Where it sat.
        seat: Seat,
        /// Its node.
        culprit: NodeId,
        /// Stable name of the breach.
        breach: &'static str,
    },
}

/// Why bytes prove nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordRefusal {
    /// Longer than any record.
    #[error("{found} bytes, a record has at most {max}")]
    TooLong {
        /// Bytes found.
        found: usize,
        /// The bound.
        max: usize,
    },
    /// The bytes do not read.
    #[error("this is no ceremony record")]
    Wire(#[from] WireError),
    /// The rounds followed another plan than the one that the operators saw.
    #[error("the rounds followed another plan than the record's")]
    Plan,
    /// The transcript or a confirmation does not hold.
    #[error("the transcript does not hold")]
    Transcript(#[from] TranscriptError),
    /// The evidence proves nothing.
    #[error("the evidence proves nothing")]
    Evidence(#[from] EvidenceError),
    /// A root key is none.
    #[error("a root key of the transcript is not usable")]
    Key(#[from] HdError),
}

impl RecordRefusal {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "record_too_long",
            Self::Wire(_) => "record_malformed",
            Self::Plan => "record_plan",
            Self::Transcript(error) => error.code(),
            Self::Evidence(error) => error.code(),
            Self::Key(_) => "record_key",
        }
    }
}

impl CeremonyPlan {
    /// Seats are numbered from 1 in the order of the members.
    pub fn seats(&self) -> BTreeMap<Seat, NodeId> {
        (1u16..).map(Seat).zip(self.members.iter().copied()).collect()
    }

    /// The plan that key generation follows, as it derives from this one; `None` when nobody could.
    pub fn dkg_plan(&self) -> Option<dkg::Plan> {
        // RECORD-2: nothing in it is a choice of who wrote the record.
        let members = self.seats();
        let seats: Vec<Seat> = members.keys().copied().collect();
        let tree = AccessTree::committee(self.threshold, &seats).ok()?;
        let (ceremony, purpose) = (self.id(), self.purpose);
        Some(dkg::Plan { ceremony, purpose, epoch: Epoch(1), tree, members })
    }
}

/// Reads a record and checks all of it, as a stranger.
pub fn verify_record(bytes: &[u8]) -> Result<VerifiedRecord, RecordRefusal> {
    let (found, max) = (bytes.len(), RECORD_BYTES_MAX);
    if found > max {
        return Err(RecordRefusal::TooLong { found, max });
    }
    // RECORD-1: one spelling, nothing left over.
    match CeremonyRecord::from_bytes(bytes)? {
        CeremonyRecord::Made { plan, transcript, confirmations } => {
            let finding = verify_made(&plan, &transcript, &confirmations)?;
            Ok(VerifiedRecord { plan, finding })
        }
        CeremonyRecord::Broken { plan, evidence } => {
            let followed = plan.dkg_plan().ok_or(RecordRefusal::Plan)?;
            // RECORD-7: the culprit's own signatures show the breach.
            let seat = dkg::verify_evidence(&followed, &evidence)?;
            let culprit = *followed.members.get(&seat).ok_or(RecordRefusal::Plan)?;
            let finding = Finding::Broken { seat, culprit, breach: evidence.code() };
            Ok(VerifiedRecord { plan, finding })
        }
    }
}

fn verify_made(
    plan: &CeremonyPlan,
    transcript: &[u8],
    confirmations: &BTreeMap<Seat, Vec<u8>>,
) -> Result<Finding, RecordRefusal> {
    let verified = dkg::verify_transcript(transcript, confirmations)?;
    // RECORD-6: the rounds followed the plan that the operators saw.
    if plan.dkg_plan().as_ref() != Some(&verified.plan) {
        return Err(RecordRefusal::Plan);
    }
    // The empty path takes no chain code in: the record has none, and the root keys need none.
    let chain_code = ChainCode([0; 32]);
    let keys = VaultKeys {
        ecdsa: ExtendedKey { point: verified.ecdsa.root(), chain_code },
        bip340: ExtendedKey { point: verified.bip340.root(), chain_code },
        ed25519: ExtendedKey { point: verified.ed25519.root(), chain_code },
    };
    let identity = Secp256k1::is_identity(&keys.ecdsa.point)
        || Secp256k1::is_identity(&keys.bip340.point)
        || Ed25519::is_identity(&keys.ed25519.point);
    if identity {
        return Err(RecordRefusal::Key(HdError::Key));
    }
    let root = DerivationPath::root();
    let key = |kind: KeyKind| Ok((kind, keys.public_at(kind, &root)?));
    let commitments = vec![
        (KeyKind::Ecdsa, verified.ecdsa.to_bytes()),
        (KeyKind::Bip340, verified.bip340.to_bytes()),
        (KeyKind::Ed25519, verified.ed25519.to_bytes()),
    ];
    Ok(Finding::Made {
        vault: verified.vault,
        keys: KeyKind::ALL.into_iter().map(key).collect::<Result<_, HdError>>()?,
        commitments,
    })
}

impl Wire for CeremonyRecord {
    fn write(&self, w: &mut Writer) {
        w.header(tags::CEREMONY_RECORD, 1);
        match self {
            Self::Made { plan, transcript, confirmations } => {
                w.u8(1);
                plan.write(w);
                w.bytes(transcript);
                let confirmations: Vec<_> = confirmations.iter().collect();
                w.list(&confirmations, |w, (seat, bytes)| {
                    w.u16(seat.0);
                    w.bytes(bytes);
                });
            }
            Self::Broken { plan, evidence } => {
                w.u8(2);
                plan.write(w);
                evidence.write(w);
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.header(tags::CEREMONY_RECORD, 1)?;
        match r.u8()? {
            1 => {
                let plan = CeremonyPlan::read(r)?;
                let transcript = r.bytes(TRANSCRIPT_BYTES_MAX)?;
                let confirmations = r.list(limits::SEATS_MAX, |r| {
                    Ok((Seat(r.u16()?), r.bytes(CONFIRMATION_BYTES_MAX)?))
                })?;
                let seats = || confirmations.iter().map(|(seat, _)| *seat);
                if !seats().zip(seats().skip(1)).all(|(one, next)| one < next) {
                    return Err(WireError::Range("order of the confirmations"));
                }
                let confirmations = confirmations.into_iter().collect();
                Ok(Self::Made { plan, transcript, confirmations })
            }
            2 => {
                let plan = CeremonyPlan::read(r)?;
                Ok(Self::Broken { plan, evidence: Box::new(Evidence::read(r)?) })
            }
            _ => Err(WireError::Range("kind of record")),
        }
    }
}
