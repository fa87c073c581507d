//! Signed broadcasts, their echo, and the message that carries one to one receiver.
//!
//! A signature covers the digest of a broadcast, so two signed digests of one round prove equivocation without the
//! bodies, and an echo hands every member the proof: it lists digest *and* signature of all broadcasts of the last round.

use super::error::{DkgError, Fault};
use super::evidence::{Evidence, blame};
use super::plan::Plan;
use model::card::{NodeKey, SigningUse, verify_node_signature};
use model::hash::tagged;
use model::ids::Seat;
use model::limits;
use model::secret::Secret;
use model::wire::{Reader, Wire, WireError, Writer, tags};
use std::collections::BTreeMap;

/// Bytes of one broadcast body at most; the largest honest one (32 seats) is about 13 KiB.
pub(super) const BODY_BYTES_MAX: usize = 32 * 1024;

/// All broadcasts of one round, by seat.
pub(super) type Round = BTreeMap<Seat, Broadcast>;

/// What one member says to all in one round, with its node's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broadcast {
    pub(super) plan: [u8; 32],
    pub(super) round: u8,
    pub(super) seat: Seat,
    pub(super) body: Vec<u8>,
    pub(super) mark: Mark,
}

/// Digest of a broadcast and the signature over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub(super) digest: [u8; 32],
    pub(super) signature: [u8; 64],
}

/// What is signed: plan, round, seat and the digest of the body.
fn signed_bytes(plan: &[u8; 32], round: u8, seat: Seat, digest: &[u8; 32]) -> Vec<u8> {
    let mut w = Writer::default();
    w.header(tags::DKG_MARK, 1);
    w.fixed(plan);
    w.u8(round);
    w.u16(seat.0);
    w.fixed(digest);
    w.into_bytes()
}

impl Mark {
    /// True when the seat's node signed this digest for this round.
    pub(super) fn holds(&self, plan: &Plan, digest: &[u8; 32], round: u8, seat: Seat) -> bool {
        let signed = signed_bytes(digest, round, seat, &self.digest);
        plan.members.get(&seat).is_some_and(|node| {
            verify_node_signature(*node, SigningUse::Ceremony, &signed, &self.signature)
        })
    }
}

impl Wire for Mark {
    fn write(&self, w: &mut Writer) {
        w.fixed(&self.digest);
        w.fixed(&self.signature);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self { digest: r.fixed()?, signature: r.fixed()? })
    }
}

impl Broadcast {
    /// What the signature covers of a body.
    pub(super) fn digest_of(body: &[u8]) -> [u8; 32] {
        tagged("outlast/dkg/broadcast/v1", &[body])
    }

    /// Signs `body` for one round.
    pub(super) fn sign(
        plan: [u8; 32],
        round: u8,
        seat: Seat,
        body: Vec<u8>,
        key: &NodeKey,
    ) -> Self {
        let digest = Self::digest_of(&body);
        let signature = key.sign(SigningUse::Ceremony, &signed_bytes(&plan, round, seat, &digest));
        Self { plan, round, seat, body, mark: Mark { digest, signature } }
    }

    /// True when it is of this plan and signed by the seat's node.
    pub(super) fn is_signed(&self, plan: &Plan, digest: &[u8; 32]) -> bool {
        self.plan == *digest && self.mark.holds(plan, digest, self.round, self.seat)
    }
}

impl Wire for Broadcast {
    fn write(&self, w: &mut Writer) {
        w.header(tags::DKG_BROADCAST, 1);
        w.fixed(&self.plan);
        w.u8(self.round);
        w.u16(self.seat.0);
        w.bytes(&self.body);
        w.fixed(&self.mark.signature);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.header(tags::DKG_BROADCAST, 1)?;
        let (plan, round, seat) = (r.fixed()?, r.u8()?, Seat(r.u16()?));
        let body = r.bytes(BODY_BYTES_MAX)?;
        let mark = Mark { digest: Self::digest_of(&body), signature: r.fixed()? };
        Ok(Self { plan, round, seat, body, mark })
    }
}

/// A dealer's chain-code contribution with its salt: to every member, and in no transcript.
#[derive(Debug)]
pub(super) struct Private {
    pub(super) contribution: Secret<[u8; 32]>,
    pub(super) salt: Secret<[u8; 32]>,
}

/// One broadcast on its way to one receiver.
pub(super) struct Message {
    pub(super) broadcast: Broadcast,
    pub(super) private: Option<Private>,
}

/// Writes the message of `broadcast` for one receiver.
pub(super) fn write_message(broadcast: &Broadcast, private: Option<&Private>) -> Vec<u8> {
    let mut w = Writer::default();
    w.header(tags::DKG_MESSAGE, 1);
    broadcast.write(&mut w);
    w.option(private, |w, private| {
        w.fixed(private.contribution.expose());
        w.fixed(private.salt.expose());
    });
    w.into_bytes()
}

impl Message {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        r.header(tags::DKG_MESSAGE, 1)?;
        let broadcast = Broadcast::read(&mut r)?;
        let private = r.option(|r| {
            let contribution = Secret::new(r.fixed()?);
            Ok(Private { contribution, salt: Secret::new(r.fixed()?) })
        })?;
        r.finish()?;
        Ok(Self { broadcast, private })
    }

    /// Reads what came over the channel of `from`; it must be that seat's signed broadcast of this round.
    pub(super) fn receive(
        plan: &Plan,
        digest: &[u8; 32],
        from: Seat,
        round: u8,
        bytes: &[u8],
    ) -> Result<Self, Fault> {
        let (found, max) = (bytes.len(), limits::MESSAGE_BYTES_MAX);
        if found > max {
            return Err(Fault::TooLong { found, max });
        }
        let message = Self::read(bytes)?;
        let broadcast = &message.broadcast;
        if broadcast.plan != *digest {
            return Err(Fault::Ceremony);
        }
        if broadcast.round != round {
            return Err(Fault::Round { found: broadcast.round, wanted: round });
        }
        if broadcast.seat != from {
            return Err(Fault::Seat { found: broadcast.seat.0 });
        }
        if !broadcast.mark.holds(plan, digest, round, from) {
            return Err(Fault::Signature);
        }
        if message.private.is_some() != (round == 2) {
            return Err(Fault::Private);
        }
        Ok(message)
    }
}

/// What a member saw of the last round: one mark for each seat, its own too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Echo(pub(super) BTreeMap<Seat, Mark>);

impl Echo {
    pub(super) fn of(round: &Round) -> Self {
        Self(round.iter().map(|(seat, b)| (*seat, b.mark.clone())).collect())
    }

    /// True when it names this broadcast.
    pub(super) fn names(&self, broadcast: &Broadcast) -> bool {
        self.0.get(&broadcast.seat).is_some_and(|mark| mark.digest == broadcast.mark.digest)
    }

    pub(super) fn write(&self, w: &mut Writer) {
        self.0.values().for_each(|mark| mark.write(w));
    }

    /// One mark for each seat of the plan, in their order.
    pub(super) fn read(r: &mut Reader<'_>, plan: &Plan) -> Result<Self, WireError> {
        let mark = |seat: &Seat| Ok((*seat, Mark::read(r)?));
        plan.members.keys().map(mark).collect::<Result<_, _>>().map(Self)
    }

    /// Compares what `echoer` saw of the last round with what we saw.
    pub(super) fn check(
        &self,
        plan: &Plan,
        digest: &[u8; 32],
        echoer: &Broadcast,
        ours: &Round,
    ) -> Result<(), DkgError> {
        for (seat, broadcast) in ours {
            let Some(mark) = self.0.get(seat) else {
                return Err(DkgError::Bug("an echo misses a seat of the plan"));
            };
            if mark.digest == broadcast.mark.digest {
                continue;
            }
            // DKG-6: either the seat signed two broadcasts, or the echoer signed a signature that is none.
            let round = broadcast.round;
            let evidence = if mark.holds(plan, digest, round, *seat) {
                let (first, second) = (broadcast.mark.clone(), mark.clone());
                Evidence::Equivocation { seat: *seat, round, first, second }
            } else {
                Evidence::ForgedEcho { echo: echoer.clone(), about: *seat }
            };
            return Err(blame(plan, evidence));
        }
        Ok(())
    }
}
