//! Heavy computation as data: the engine hands it out, any thread runs it, the result comes back as an event.
//!
//! A job holds secrets (shares, pair state) behind `Arc`s or owns them (running rounds with nonces); it is moved into
//! its thread and consumed there. Its result carries what may leave; whether it leaves is the engine's decision.

use crate::record::{RecordRefusal, VerifiedRecord, verify_record};
use model::card::NodeKey;
use model::entropy::Entropy;
use model::ids::{NodeId, PairEpoch, Seat, SessionId};
use model::signing::SignItem;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use threshold::pair::{PairError, PairSetup, PairState, PairStep};
use threshold::shares::{VaultPublic, VaultShare};
use threshold::{dkg, sign};

/// Names one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// Work to do.
pub enum Job {
    /// First round of a signature.
    SignStart {
        /// Session of this item.
        session: SessionId,
        /// Vault.
        public: Arc<VaultPublic>,
        /// This node's share.
        share: Arc<VaultShare>,
        /// Who signs.
        quorum: BTreeSet<Seat>,
        /// What.
        item: SignItem,
        /// Pair state by seat (ECDSA).
        pairs: BTreeMap<Seat, Arc<PairState>>,
    },
    /// A further round.
    SignAdvance {
        /// The rounds so far.
        running: Box<sign::Running>,
        /// One message of every other signer.
        inbox: BTreeMap<Seat, Vec<u8>>,
    },
    /// First round of key generation.
    DkgStart {
        /// The plan.
        plan: Arc<dkg::Plan>,
        /// This node's seat.
        me: Seat,
        /// Signs broadcasts.
        key: Arc<NodeKey>,
    },
    /// A further round of key generation.
    DkgAdvance {
        /// The rounds so far.
        running: Box<dkg::Running>,
        /// One message of every other member.
        inbox: BTreeMap<Seat, Vec<u8>>,
        /// Signs broadcasts.
        key: Arc<NodeKey>,
    },
    /// Check the record that a peer sent of a member's breach.
    JudgeRecord {
        /// The record.
        bytes: Vec<u8>,
    },
    /// Begin to make pair state.
    PairStart {
        /// This node.
        me: NodeId,
        /// The peer.
        peer: NodeId,
        /// Version.
        epoch: PairEpoch,
        /// Fresh bytes of both ends.
        context: [u8; 32],
    },
    /// Go on making pair state.
    PairReceive {
        /// The steps so far.
        setup: Box<PairSetup>,
        /// The peer's message.
        bytes: Vec<u8>,
    },
}

/// Results.
pub enum JobOutput {
    /// Of a signing round.
    Sign(Result<sign::Step, sign::SignError>),
    /// Of a key generation round.
    Dkg(Result<dkg::Step, dkg::DkgError>),
    /// Of a record of a breach, with its bytes.
    Judged(Vec<u8>, Result<VerifiedRecord, RecordRefusal>),
    /// Of a step of pair state.
    Pair(Result<PairStep, PairError>),
    /// The computation broke off without a result: nothing is known of what it saw.
    Lost,
}

impl core::fmt::Debug for Job {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::SignStart { .. } => "SignStart(..)",
            Self::SignAdvance { .. } => "SignAdvance(..)",
            Self::DkgStart { .. } => "DkgStart(..)",
            Self::DkgAdvance { .. } => "DkgAdvance(..)",
            Self::JudgeRecord { .. } => "JudgeRecord(..)",
            Self::PairStart { .. } => "PairStart(..)",
            Self::PairReceive { .. } => "PairReceive(..)",
        })
    }
}

impl core::fmt::Debug for JobOutput {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Sign(_) => "Sign(..)",
            Self::Dkg(_) => "Dkg(..)",
            Self::Judged(..) => "Judged(..)",
            Self::Pair(_) => "Pair(..)",
            Self::Lost => "Lost",
        })
    }
}

impl Job {
    /// True for the slow, rare kinds, which a runner may give a lower priority than signatures.
    pub fn is_background(&self) -> bool {
        matches!(self, Self::PairStart { .. } | Self::PairReceive { .. } | Self::JudgeRecord { .. })
    }

    /// Does the work.
    pub fn run(self, entropy: &mut dyn Entropy) -> JobOutput {
        match self {
            Self::SignStart { session, public, share, quorum, item, pairs } => {
                let input = sign::Input { session, public, share: &share, quorum, item, pairs };
                JobOutput::Sign(sign::start(input, entropy))
            }
            Self::SignAdvance { running, inbox } => {
                JobOutput::Sign(running.advance(inbox, entropy))
            }
            Self::DkgStart { plan, me, key } => {
                let started = dkg::start(plan, me, &key, entropy);
                JobOutput::Dkg(started.map(|(running, out)| dkg::Step::Continue(running, out)))
            }
            Self::DkgAdvance { running, inbox, key } => {
                JobOutput::Dkg(running.advance(inbox, &key, entropy))
            }
            Self::JudgeRecord { bytes } => {
                let judged = verify_record(&bytes);
                JobOutput::Judged(bytes, judged)
            }
            Self::PairStart { me, peer, epoch, context } => {
                let started = PairSetup::start(me, peer, epoch, context);
                JobOutput::Pair(started.map(|(setup, bytes)| PairStep::Continue(setup, bytes)))
            }
            Self::PairReceive { setup, bytes } => JobOutput::Pair(setup.receive(&bytes)),
        }
    }
}
