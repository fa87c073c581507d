//! What nodes say to one another inside frames. Every message is bounded, tagged and versioned.

mod wire;

use crate::clock::ClockWord;
use crate::hello::JournalHead;
use model::act::SignedAct;
use model::charter::SignedCharter;
use model::ids::{CeremonyId, CharterId, NodeId, PairEpoch, RequestId, Seat, SessionId, VaultId};
use model::keys::Purpose;
use model::limits;
use model::request::{Fill, Request};
use model::time::Timestamp;
use model::wire::{Reader, Wire, WireError, Writer, tags};
use std::collections::BTreeSet;

/// A proposed key ceremony, the same bytes for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CeremonyPlan {
    /// For people.
    pub name: String,
    /// `test` or `live`, for ever.
    pub purpose: Purpose,
    /// How many sign together.
    pub threshold: u16,
    /// Nodes of the signing set in ascending order; seats are 1, 2, … in this order.
    pub members: Vec<NodeId>,
    /// Who proposed it.
    pub proposer: NodeId,
    /// When.
    pub at: Timestamp,
    /// Fresh bytes.
    pub nonce: [u8; 32],
    /// The charter that the vault is born under; `None` for a vault with the built-in rules alone.
    pub charter: Option<CharterId>,
}

impl CeremonyPlan {
    /// The ceremony's id.
    pub fn id(&self) -> CeremonyId {
        CeremonyId(model::hash::tagged("outlast/ceremony-plan/v1", &[&self.to_bytes()]))
    }
}

impl Wire for CeremonyPlan {
    fn write(&self, w: &mut Writer) {
        // A plan without a charter keeps the form of before there were any.
        w.header(tags::CEREMONY_PLAN, if self.charter.is_some() { 2 } else { 1 });
        w.text(&self.name);
        self.purpose.write(w);
        w.u16(self.threshold);
        w.list(&self.members, |w, node| w.fixed(&node.0));
        w.fixed(&self.proposer.0);
        self.at.write(w);
        w.fixed(&self.nonce);
        if let Some(charter) = &self.charter {
            w.fixed(&charter.0);
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let form = r.header(tags::CEREMONY_PLAN, 2)?;
        let plan = Self {
            name: r.text()?,
            purpose: Purpose::read(r)?,
            threshold: r.u16()?,
            members: r.list(limits::SEATS_MAX, |r| r.fixed().map(NodeId))?,
            proposer: NodeId(r.fixed()?),
            at: Timestamp::read(r)?,
            nonce: r.fixed()?,
            charter: if form == 1 { None } else { Some(CharterId(r.fixed()?)) },
        };
        let ascending = plan.members.windows(2).all(|pair| pair.first() < pair.last());
        let seats = usize::from(plan.threshold);
        if !ascending || seats == 0 || seats > plan.members.len() {
            return Err(WireError::Range("ceremony plan"));
        }
        Ok(plan)
    }
}

/// Where a signing session is proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// What is asked for.
    pub request: Request,
    /// The entry node's signature over the request.
    pub entry_signature: [u8; 64],
    /// Counts the attempts for this request.
    pub attempt: u32,
    /// What was chosen at signing.
    pub fill: Fill,
    /// Who signs.
    pub quorum: BTreeSet<Seat>,
    /// Who proposes and routes.
    pub coordinator: NodeId,
}

impl Proposal {
    /// The session's id: every field is bound, so two sessions never share one.
    pub fn session(&self) -> SessionId {
        SessionId(model::hash::tagged("outlast/session/v1", &[&self.to_bytes()]))
    }
}

impl Wire for Proposal {
    fn write(&self, w: &mut Writer) {
        self.request.write(w);
        w.fixed(&self.entry_signature);
        w.u32(self.attempt);
        self.fill.write(w);
        let seats: Vec<Seat> = self.quorum.iter().copied().collect();
        w.list(&seats, |w, seat| w.u16(seat.0));
        w.fixed(&self.coordinator.0);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let request = Request::read(r)?;
        let entry_signature = r.fixed()?;
        let attempt = r.u32()?;
        let fill = Fill::read(r)?;
        let seats = r.list(limits::SEATS_MAX, |r| r.u16().map(Seat))?;
        if !seats.windows(2).all(|pair| pair.first() < pair.last()) {
            return Err(WireError::Range("quorum"));
        }
        let quorum = seats.into_iter().collect();
        let coordinator = NodeId(r.fixed()?);
        Ok(Self { request, entry_signature, attempt, fill, quorum, coordinator })
    }
}

/// A message between two nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// "This is how far your journal had come; what is its hash at this length?" The statement is the asked node's own, so
    /// that a node whose disk went back learns it beyond doubt.
    HistoryAsk(Option<JournalHead>),
    /// The answer; `None` when the journal is shorter.
    HistoryTell {
        /// Length asked about.
        length: u64,
        /// Hash there.
        head: Option<[u8; 32]>,
        /// Where the journal stands now.
        now: JournalHead,
    },
    /// The speaker's journal grew.
    Journal(JournalHead),
    /// "I hold you": the peer will get no sessions until an operator decides.
    Held {
        /// Why.
        reason: String,
    },
    /// Ready to make pair state; `nonce` is this end's half of the context.
    PairOffer {
        /// Version offered.
        epoch: PairEpoch,
        /// Fresh bytes.
        nonce: [u8; 32],
    },
    /// A step of making pair state.
    PairStep {
        /// Version.
        epoch: PairEpoch,
        /// Which step, from 1: a later one may overtake.
        step: u8,
        /// The step's bytes.
        bytes: Vec<u8>,
    },
    /// "My pair state with you is stored": public mesh id.
    PairReady {
        /// Version.
        epoch: PairEpoch,
        /// Both ends compute the same.
        mesh: [u8; 32],
        /// The speaker has heard the same of us; else it wants an answer.
        heard: bool,
    },
    /// "A check failed; our pair state is destroyed."
    PairStopped {
        /// Version.
        epoch: PairEpoch,
    },
    /// A ceremony is proposed.
    CeremonyPropose(CeremonyPlan),
    /// A ceremony is proposed for a vault under this charter, whose governors agreed.
    CeremonyUnder(CeremonyPlan, Box<SignedCharter>),
    /// The speaker's operator said yes.
    CeremonyJoin(CeremonyId),
    /// The speaker's operator said yes to plan and charter: its node's agreement.
    CeremonyAgree(CeremonyId, Box<SignedAct>),
    /// The speaker gave up.
    CeremonyFail(CeremonyId, String),
    /// A round of key generation.
    Dkg {
        /// Ceremony.
        ceremony: CeremonyId,
        /// Round, from 1.
        round: u8,
        /// Bytes.
        bytes: Vec<u8>,
    },
    /// A member broke the protocol: a record that convinces a stranger ([`crate::record`]).
    CeremonyEvidence(CeremonyId, Vec<u8>),
    /// "My share of this vault is durable."
    VaultStored {
        /// Ceremony.
        ceremony: CeremonyId,
        /// Vault.
        vault: VaultId,
    },
    /// A signing session is proposed.
    Propose(Box<Proposal>),
    /// The speaker's own decision.
    Verdict {
        /// Session.
        session: SessionId,
        /// Request.
        request: RequestId,
        /// `None`: allowed; else the refusal's code and sentence.
        refusal: Option<(String, String)>,
    },
    /// A round of signing.
    Round {
        /// Session.
        session: SessionId,
        /// Which signature of the request.
        item: u16,
        /// Round, from 1.
        round: u8,
        /// Bytes.
        bytes: Vec<u8>,
    },
    /// The speaker's session is over without a signature.
    Abort {
        /// Session.
        session: SessionId,
        /// Why.
        reason: String,
    },
    /// A signed act that the speaker accepted.
    Act(Box<SignedAct>),
    /// A request that waits for people, as its entry node signed it.
    Asked(Box<Request>, [u8; 64]),
    /// "Give me a challenge, I want to prove a share alive."
    ChallengeAsk {
        /// Vault.
        vault: VaultId,
    },
    /// The challenge.
    ChallengeTell {
        /// Vault.
        vault: VaultId,
        /// Fresh bytes.
        challenge: [u8; 32],
    },
    /// The proof.
    Proof {
        /// Vault.
        vault: VaultId,
        /// Proof bytes.
        bytes: Vec<u8>,
    },
    /// How late it is: a question and its answer.
    Clock(ClockWord),
    /// "Your proof is valid."
    ProofValid {
        /// Vault.
        vault: VaultId,
    },
}
