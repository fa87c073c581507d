//! Canonical bytes of journal entries: a tag, then the fields. A tag that was ever in use keeps its meaning.

use super::{Entry, Judged};
use crate::hello::JournalHead;
use crate::message::{CeremonyPlan, Proposal};
use governance::policy::{Charge, LedgerKey};
use model::act::SignedAct;
use model::amount::Amount;
use model::charter::SignedCharter;
use model::ids::{
    CeremonyId, CharterId, ClientId, Epoch, Incarnation, NodeId, PairEpoch, RequestId, SessionId,
    VaultId,
};
use model::limits;
use model::request::Request;
use model::signing::Signature;
use model::wire::{LIST_ITEMS_MAX, Reader, Wire, WireError, Writer};

impl Wire for Entry {
    fn write(&self, w: &mut Writer) {
        match self {
            Self::Started(incarnation) => {
                w.u8(1);
                w.fixed(&incarnation.0);
            }
            Self::PeerTrusted(card) => {
                w.u8(2);
                w.bytes(card);
            }
            // The first life has the form of before there were lives.
            Self::PeerSeen(peer, JournalHead { life: 0, length, head, signature }) => {
                w.u8(3);
                w.fixed(&peer.0);
                w.u64(*length);
                w.fixed(head);
                w.fixed(signature);
            }
            Self::PeerSeen(peer, seen) => {
                w.u8(15);
                w.fixed(&peer.0);
                seen.write(w);
            }
            Self::WentBack(life) => {
                w.u8(16);
                w.u32(*life);
            }
            Self::RollbackAccepted(life) => {
                w.u8(17);
                w.u32(*life);
            }
            Self::PeerHeld(peer, reason) => {
                w.u8(4);
                w.fixed(&peer.0);
                w.text(reason);
            }
            Self::PeerReleased(peer) => {
                w.u8(5);
                w.fixed(&peer.0);
            }
            Self::PairMade(peer, epoch, mesh) => {
                w.u8(6);
                w.fixed(&peer.0);
                w.u32(epoch.0);
                w.fixed(mesh);
            }
            Self::PairStopped(peer, epoch, reason) => {
                w.u8(7);
                w.fixed(&peer.0);
                w.u32(epoch.0);
                w.text(reason);
            }
            Self::PairResumed(peer) => {
                w.u8(8);
                w.fixed(&peer.0);
            }
            _ => self.write_ceremony(w),
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let tag = r.u8()?;
        match tag {
            1 => Ok(Self::Started(Incarnation(r.fixed()?))),
            2 => Ok(Self::PeerTrusted(r.bytes(limits::TEXT_BYTES_MAX.saturating_mul(4))?)),
            3 => {
                let peer = NodeId(r.fixed()?);
                let (length, head, signature) = (r.u64()?, r.fixed()?, r.fixed()?);
                Ok(Self::PeerSeen(peer, JournalHead { life: 0, length, head, signature }))
            }
            15 => match (NodeId(r.fixed()?), JournalHead::read(r)?) {
                (_, JournalHead { life: 0, .. }) => Err(WireError::Range("life")),
                (peer, seen) => Ok(Self::PeerSeen(peer, seen)),
            },
            16 => r.u32().map(Self::WentBack),
            17 => r.u32().map(Self::RollbackAccepted),
            4 => Ok(Self::PeerHeld(NodeId(r.fixed()?), r.text()?)),
            5 => Ok(Self::PeerReleased(NodeId(r.fixed()?))),
            6 => Ok(Self::PairMade(NodeId(r.fixed()?), PairEpoch(r.u32()?), r.fixed()?)),
            7 => Ok(Self::PairStopped(NodeId(r.fixed()?), PairEpoch(r.u32()?), r.text()?)),
            8 => Ok(Self::PairResumed(NodeId(r.fixed()?))),
            9 => CeremonyPlan::read(r).map(Self::CeremonyJoined),
            10 => Ok(Self::VaultStored {
                plan: CeremonyPlan::read(r)?,
                vault: VaultId(r.fixed()?),
                epoch: Epoch(r.u32()?),
                hash: r.fixed()?,
            }),
            11 => Ok(Self::VaultActive(VaultId(r.fixed()?), CeremonyId(r.fixed()?))),
            12 => {
                Ok(Self::CeremonyRecorded(CeremonyId(r.fixed()?), VaultId(r.fixed()?), r.fixed()?))
            }
            13 => Ok(Self::CeremonyBroken {
                ceremony: CeremonyId(r.fixed()?),
                culprit: NodeId(r.fixed()?),
                breach: r.text()?,
                hash: r.fixed()?,
            }),
            14 => r.text().map(Self::Resumed),
            _ => read_request(tag, r),
        }
    }
}

impl Entry {
    /// The middle of the table: ceremonies and vaults.
    fn write_ceremony(&self, w: &mut Writer) {
        match self {
            Self::CeremonyJoined(plan) => {
                w.u8(9);
                plan.write(w);
            }
            Self::VaultStored { plan, vault, epoch, hash } => {
                w.u8(10);
                plan.write(w);
                w.fixed(&vault.0);
                w.u32(epoch.0);
                w.fixed(hash);
            }
            Self::VaultActive(vault, ceremony) => {
                w.u8(11);
                w.fixed(&vault.0);
                w.fixed(&ceremony.0);
            }
            Self::CeremonyRecorded(ceremony, vault, hash) => {
                w.u8(12);
                w.fixed(&ceremony.0);
                w.fixed(&vault.0);
                w.fixed(hash);
            }
            Self::CeremonyBroken { ceremony, culprit, breach, hash } => {
                w.u8(13);
                w.fixed(&ceremony.0);
                w.fixed(&culprit.0);
                w.text(breach);
                w.fixed(hash);
            }
            Self::Resumed(reason) => {
                w.u8(14);
                w.text(reason);
            }
            _ => self.write_request(w),
        }
    }

    /// The last part of the table: requests, sessions and clients.
    fn write_request(&self, w: &mut Writer) {
        match self {
            Self::Requested(request) => {
                w.u8(20);
                request.write(w);
            }
            Self::Decided { proposal, intent, unsigned, spends, rule } => {
                w.u8(21);
                proposal.write(w);
                w.fixed(intent);
                w.fixed(unsigned);
                w.list(spends, |w, spend| w.text(spend));
                w.text(rule);
            }
            Self::Refused { request, session, code, reason } => {
                w.u8(22);
                w.fixed(&request.0);
                w.option(session.as_ref(), |w, session| w.fixed(&session.0));
                w.text(code);
                w.text(reason);
            }
            Self::Released(request, session) => {
                w.u8(23);
                w.fixed(&request.0);
                w.fixed(&session.0);
            }
            Self::Aborted(request, session, reason) => {
                w.u8(24);
                w.fixed(&request.0);
                w.fixed(&session.0);
                w.text(reason);
            }
            Self::Signed { request, session, signatures } => {
                w.u8(25);
                w.fixed(&request.0);
                w.fixed(&session.0);
                w.list(signatures, |w, signature| signature.write(w));
            }
            Self::ClientAdded { client, name, token_hash, vaults } => {
                w.u8(26);
                w.fixed(&client.0);
                w.text(name);
                w.fixed(token_hash);
                w.list(vaults, |w, vault| w.fixed(&vault.0));
            }
            Self::ClientRemoved(client) => {
                w.u8(27);
                w.fixed(&client.0);
            }
            Self::Answered { request, session, item, package } => {
                w.u8(28);
                w.fixed(&request.0);
                w.fixed(&session.0);
                w.u16(*item);
                w.fixed(package);
            }
            _ => self.write_governance(w),
        }
    }
}

impl Entry {
    /// Charters and acts.
    fn write_governance(&self, w: &mut Writer) {
        match self {
            Self::Charter(charter) => {
                w.u8(29);
                charter.write(w);
            }
            Self::Act(act) => {
                w.u8(30);
                act.write(w);
            }
            Self::Heard(request) => {
                w.u8(31);
                request.write(w);
            }
            Self::Judged(judged) => {
                w.u8(32);
                judged.write(w);
            }
            Self::Complete(vault, request, rule) => {
                w.u8(33);
                w.fixed(&vault.0);
                w.fixed(&request.0);
                w.text(rule);
            }
            // The rest is written before: this is called for these only.
            _ => w.u8(0),
        }
    }
}

impl Wire for Judged {
    fn write(&self, w: &mut Writer) {
        w.fixed(&self.vault.0);
        w.fixed(&self.request.0);
        w.fixed(&self.charter.0);
        w.fixed(&self.acts);
        w.fixed(&self.wanted);
        w.list(&self.rules, |w, rule| w.text(rule));
        w.list(&self.charges, |w, Charge { key, amount }| {
            w.text(&key.rule);
            w.u16(u16::try_from(key.limit).unwrap_or(u16::MAX));
            w.option(key.person.as_ref(), |w, person| w.text(person));
            w.fixed(&amount.0);
        });
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            vault: VaultId(r.fixed()?),
            request: RequestId(r.fixed()?),
            charter: CharterId(r.fixed()?),
            acts: r.fixed()?,
            wanted: r.fixed()?,
            rules: r.list(LIST_ITEMS_MAX, Reader::text)?,
            charges: r.list(LIST_ITEMS_MAX, |r| {
                let (rule, limit) = (r.text()?, usize::from(r.u16()?));
                let person = r.option(Reader::text)?;
                let key = LedgerKey { rule, limit, person };
                Ok(Charge { key, amount: Amount(r.fixed()?) })
            })?,
        })
    }
}

fn read_request(tag: u8, r: &mut Reader<'_>) -> Result<Entry, WireError> {
    match tag {
        20 => Ok(Entry::Requested(Box::new(Request::read(r)?))),
        21 => Ok(Entry::Decided {
            proposal: Box::new(Proposal::read(r)?),
            intent: r.fixed()?,
            unsigned: r.fixed()?,
            spends: r.list(limits::ITEMS_PER_REQUEST_MAX, Reader::text)?,
            rule: r.text()?,
        }),
        22 => Ok(Entry::Refused {
            request: RequestId(r.fixed()?),
            session: r.option(|r| r.fixed().map(SessionId))?,
            code: r.text()?,
            reason: r.text()?,
        }),
        23 => Ok(Entry::Released(RequestId(r.fixed()?), SessionId(r.fixed()?))),
        24 => Ok(Entry::Aborted(RequestId(r.fixed()?), SessionId(r.fixed()?), r.text()?)),
        25 => Ok(Entry::Signed {
            request: RequestId(r.fixed()?),
            session: SessionId(r.fixed()?),
            signatures: r.list(limits::ITEMS_PER_REQUEST_MAX, Signature::read)?,
        }),
        26 => Ok(Entry::ClientAdded {
            client: ClientId(r.fixed()?),
            name: r.text()?,
            token_hash: r.fixed()?,
            vaults: r.list(limits::VAULTS_MAX, |r| r.fixed().map(VaultId))?,
        }),
        27 => Ok(Entry::ClientRemoved(ClientId(r.fixed()?))),
        28 => Ok(Entry::Answered {
            request: RequestId(r.fixed()?),
            session: SessionId(r.fixed()?),
            item: r.u16()?,
            package: r.fixed()?,
        }),
        29 => Ok(Entry::Charter(Box::new(SignedCharter::read(r)?))),
        30 => Ok(Entry::Act(Box::new(SignedAct::read(r)?))),
        31 => Ok(Entry::Heard(Box::new(Request::read(r)?))),
        32 => Ok(Entry::Judged(Box::new(Judged::read(r)?))),
        33 => Ok(Entry::Complete(VaultId(r.fixed()?), RequestId(r.fixed()?), r.text()?)),
        _ => Err(WireError::Range("journal entry")),
    }
}
