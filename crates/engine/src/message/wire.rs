//! Canonical bytes of the messages between nodes: a tag, then the fields.

use super::{CeremonyPlan, Message, Proposal};
use crate::clock::ClockWord;
use crate::hello::JournalHead;
use model::act::SignedAct;
use model::charter::SignedCharter;
use model::ids::{CeremonyId, PairEpoch, RequestId, SessionId, VaultId};
use model::limits;
use model::request::Request;
use model::wire::{Reader, Wire, WireError, Writer, tags};

impl Message {
    fn write_ceremony(&self, w: &mut Writer) {
        match self {
            Self::CeremonyPropose(plan) => {
                w.u8(8);
                plan.write(w);
            }
            Self::CeremonyUnder(plan, charter) => {
                w.u8(23);
                plan.write(w);
                charter.write(w);
            }
            Self::CeremonyJoin(id) => {
                w.u8(9);
                w.fixed(&id.0);
            }
            Self::CeremonyAgree(id, act) => {
                w.u8(24);
                w.fixed(&id.0);
                act.write(w);
            }
            Self::CeremonyFail(id, reason) => {
                w.u8(10);
                w.fixed(&id.0);
                w.text(reason);
            }
            Self::Dkg { ceremony, round, bytes } => {
                write_protocol(w, 11, &ceremony.0, *round, bytes);
            }
            Self::VaultStored { ceremony, vault } => {
                w.u8(12);
                w.fixed(&ceremony.0);
                w.fixed(&vault.0);
            }
            Self::CeremonyEvidence(ceremony, bytes) => {
                w.u8(22);
                w.fixed(&ceremony.0);
                w.bytes(bytes);
            }
            // `write` calls this for the messages of ceremonies only.
            _ => {}
        }
    }

    fn write_signing(&self, w: &mut Writer) {
        match self {
            Self::Propose(proposal) => {
                w.u8(13);
                proposal.write(w);
            }
            Self::Verdict { session, request, refusal } => {
                w.u8(14);
                w.fixed(&session.0);
                w.fixed(&request.0);
                w.option(refusal.as_ref(), |w, (code, reason)| {
                    w.text(code);
                    w.text(reason);
                });
            }
            Self::Round { session, item, round, bytes } => {
                write_protocol(w, 15, &session.0, *round, bytes);
                w.u16(*item);
            }
            Self::Abort { session, reason } => {
                w.u8(16);
                w.fixed(&session.0);
                w.text(reason);
            }
            // `write` calls this for the messages of sessions only.
            _ => {}
        }
    }

    fn write_rest(&self, w: &mut Writer) {
        match self {
            Self::ChallengeAsk { vault } => {
                w.u8(17);
                w.fixed(&vault.0);
            }
            Self::ChallengeTell { vault, challenge } => {
                w.u8(18);
                w.fixed(&vault.0);
                w.fixed(challenge);
            }
            Self::Proof { vault, bytes } => {
                w.u8(19);
                w.fixed(&vault.0);
                w.bytes(bytes);
            }
            Self::ProofValid { vault } => {
                w.u8(20);
                w.fixed(&vault.0);
            }
            Self::Act(act) => {
                w.u8(25);
                act.write(w);
            }
            Self::Asked(request, signature) => {
                w.u8(26);
                request.write(w);
                w.fixed(signature);
            }
            // `write` calls this for the rest of the table only.
            _ => {}
        }
    }
}

fn write_protocol(w: &mut Writer, tag: u8, id: &[u8], round: u8, bytes: &[u8]) {
    w.u8(tag);
    w.fixed(id);
    w.u8(round);
    w.bytes(bytes);
}

impl Wire for Message {
    fn write(&self, w: &mut Writer) {
        w.header(tags::PEER_MESSAGE, 2);
        match self {
            Self::HistoryAsk(seen) => {
                w.u8(1);
                w.option(seen.as_ref(), |w, seen| seen.write(w));
            }
            Self::HistoryTell { length, head, now } => {
                w.u8(2);
                w.u64(*length);
                w.option(head.as_ref(), |w, head| w.fixed(head));
                now.write(w);
            }
            Self::Journal(now) => {
                w.u8(21);
                now.write(w);
            }
            Self::Held { reason } => {
                w.u8(3);
                w.text(reason);
            }
            Self::PairOffer { epoch, nonce } => {
                w.u8(4);
                w.u32(epoch.0);
                w.fixed(nonce);
            }
            Self::PairStep { epoch, step, bytes } => {
                w.u8(5);
                w.u32(epoch.0);
                w.u8(*step);
                w.bytes(bytes);
            }
            Self::PairReady { epoch, mesh, heard } => {
                w.u8(6);
                w.u32(epoch.0);
                w.fixed(mesh);
                w.u8(u8::from(*heard));
            }
            Self::PairStopped { epoch } => {
                w.u8(7);
                w.u32(epoch.0);
            }
            Self::CeremonyPropose(_)
            | Self::CeremonyUnder(..)
            | Self::CeremonyJoin(_)
            | Self::CeremonyAgree(..)
            | Self::CeremonyFail(..)
            | Self::Dkg { .. }
            | Self::CeremonyEvidence(..)
            | Self::VaultStored { .. } => self.write_ceremony(w),
            Self::Propose(_) | Self::Verdict { .. } | Self::Round { .. } | Self::Abort { .. } => {
                self.write_signing(w);
            }
            Self::ChallengeAsk { .. }
            | Self::ChallengeTell { .. }
            | Self::Proof { .. }
            | Self::ProofValid { .. }
            | Self::Act(_)
            | Self::Asked(..) => self.write_rest(w),
            Self::Clock(word) => word.write(w),
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        // One spelling per message: what protocol 1 wrote is another message, not an older one.
        match r.header(tags::PEER_MESSAGE, 2)? {
            2 => {}
            version => return Err(WireError::Version(version)),
        }
        let tag = r.u8()?;
        match tag {
            1 => r.option(JournalHead::read).map(Self::HistoryAsk),
            2 => Ok(Self::HistoryTell {
                length: r.u64()?,
                head: r.option(Reader::fixed)?,
                now: JournalHead::read(r)?,
            }),
            21 => JournalHead::read(r).map(Self::Journal),
            3 => Ok(Self::Held { reason: r.text()? }),
            4 => Ok(Self::PairOffer { epoch: PairEpoch(r.u32()?), nonce: r.fixed()? }),
            5 => Ok(Self::PairStep {
                epoch: PairEpoch(r.u32()?),
                step: r.u8()?,
                bytes: r.bytes(limits::MESSAGE_BYTES_MAX)?,
            }),
            6 => Ok(Self::PairReady {
                epoch: PairEpoch(r.u32()?),
                mesh: r.fixed()?,
                heard: r.flag("heard")?,
            }),
            7 => Ok(Self::PairStopped { epoch: PairEpoch(r.u32()?) }),
            8..=12 | 22..=24 => read_ceremony(tag, r),
            13..=16 => read_signing(tag, r),
            17 => Ok(Self::ChallengeAsk { vault: VaultId(r.fixed()?) }),
            18 => Ok(Self::ChallengeTell { vault: VaultId(r.fixed()?), challenge: r.fixed()? }),
            19 => Ok(Self::Proof { vault: VaultId(r.fixed()?), bytes: r.bytes(4096)? }),
            20 => Ok(Self::ProofValid { vault: VaultId(r.fixed()?) }),
            25 => Ok(Self::Act(Box::new(SignedAct::read(r)?))),
            26 => Ok(Self::Asked(Box::new(Request::read(r)?), r.fixed()?)),
            ClockWord::ASK | ClockWord::TELL => ClockWord::read(tag, r).map(Self::Clock),
            _ => Err(WireError::Range("message")),
        }
    }
}

fn read_ceremony(tag: u8, r: &mut Reader<'_>) -> Result<Message, WireError> {
    match tag {
        8 => CeremonyPlan::read(r).map(Message::CeremonyPropose),
        9 => Ok(Message::CeremonyJoin(CeremonyId(r.fixed()?))),
        10 => Ok(Message::CeremonyFail(CeremonyId(r.fixed()?), r.text()?)),
        11 => Ok(Message::Dkg {
            ceremony: CeremonyId(r.fixed()?),
            round: r.u8()?,
            bytes: r.bytes(limits::MESSAGE_BYTES_MAX)?,
        }),
        23 => {
            let (plan, charter) = (CeremonyPlan::read(r)?, SignedCharter::read(r)?);
            match plan.charter == Some(charter.charter.id()) {
                true => Ok(Message::CeremonyUnder(plan, Box::new(charter))),
                false => Err(WireError::Range("charter of the plan")),
            }
        }
        24 => Ok(Message::CeremonyAgree(CeremonyId(r.fixed()?), Box::new(SignedAct::read(r)?))),
        22 => Ok(Message::CeremonyEvidence(
            CeremonyId(r.fixed()?),
            r.bytes(limits::MESSAGE_BYTES_MAX)?,
        )),
        _ => Ok(Message::VaultStored {
            ceremony: CeremonyId(r.fixed()?),
            vault: VaultId(r.fixed()?),
        }),
    }
}

fn read_signing(tag: u8, r: &mut Reader<'_>) -> Result<Message, WireError> {
    match tag {
        13 => Ok(Message::Propose(Box::new(Proposal::read(r)?))),
        14 => Ok(Message::Verdict {
            session: SessionId(r.fixed()?),
            request: RequestId(r.fixed()?),
            refusal: r.option(|r| Ok((r.text()?, r.text()?)))?,
        }),
        15 => {
            let session = SessionId(r.fixed()?);
            let round = r.u8()?;
            let bytes = r.bytes(limits::MESSAGE_BYTES_MAX)?;
            Ok(Message::Round { session, round, bytes, item: r.u16()? })
        }
        _ => Ok(Message::Abort { session: SessionId(r.fixed()?), reason: r.text()? }),
    }
}
