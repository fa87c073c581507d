//! Distributed key generation of the three root keys of a vault at once, over any access tree.
//!
//! Four broadcast rounds: commit, reveal, verdict, confirm. Every member deals over the whole tree; all deals count
//! or the ceremony ends (no QUAL set: a fault is blamed, and a new ceremony runs without the culprit).
//!
//! Spec: `docs/spec/dkg.md`; comments tagged `DKG-n` are its steps. Invariants: K1, K2, K5.
//! Absent on purpose: sockets, timers, retries. Callers bring each round's messages over authenticated, encrypted
//! channels, name silent members by their own clock, and never run one ceremony id twice.

mod bodies;
mod broadcast;
mod error;
mod evidence;
mod party;
mod plan;
mod rounds;
#[cfg(test)]
mod tests;
mod transcript;

pub use broadcast::{Broadcast, Mark};
pub use error::{DkgError, Fault, Refusal};
pub use evidence::{Evidence, EvidenceError, verify_evidence};
pub use plan::{Plan, PlanError};
pub use transcript::{TranscriptError, Verified, verify_transcript};

use crate::shares::{VaultPublic, VaultShare};
use broadcast::{Broadcast as Sent, Message, Private, Round, write_message};
use model::card::NodeKey;
use model::entropy::Entropy;
use model::ids::{Seat, VaultId};
use party::{Dealt, Party};
use rounds::{Committed, Confirmed, Judged, Revealed};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One message to one seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Whose channel it goes over.
    pub to: Seat,
    /// The message.
    pub bytes: Vec<u8>,
}

/// A ceremony that waits for one round's messages.
pub struct Running {
    party: Party,
    /// Our own broadcast of the awaited round.
    sent: Box<Sent>,
    state: State,
}

/// What is known when the messages of a round arrive.
enum State {
    Committed(Box<Committed>),
    Revealed(Box<Revealed>),
    Judged(Box<Judged>),
    Confirmed(Box<Confirmed>),
}

/// What a round leads to.
#[derive(Debug)]
pub enum Step {
    /// Send these and wait for the next round.
    Continue(Running, Vec<Outgoing>),
    /// The keys exist, and every member confirmed them.
    Done(Box<Outcome>),
}

/// What a member holds at the end.
#[derive(Debug)]
pub struct Outcome {
    /// Tagged hash of the transcript.
    pub vault: VaultId,
    /// The public half.
    pub public: VaultPublic,
    /// Our secret half.
    pub share: VaultShare,
    /// The public record: plan and all broadcasts, no chain codes.
    pub transcript: Vec<u8>,
    /// Every member's signed round-4 broadcast: with the transcript, all that [`verify_transcript`] needs.
    pub confirmations: BTreeMap<Seat, Vec<u8>>,
}

impl core::fmt::Debug for Running {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Running(seat {}, round {})", self.party.me.0, self.round())
    }
}

/// A member's message: what reads is written again to the same bytes.
pub(crate) fn fuzz_message(data: &[u8]) {
    if let Ok(broadcast::Message { broadcast, private }) = broadcast::Message::read(data) {
        assert_eq!(broadcast::write_message(&broadcast, private.as_ref()), data);
    }
}

/// Begins a ceremony for the member at `me`.
pub fn start(
    plan: Arc<Plan>,
    me: Seat,
    key: &NodeKey,
    entropy: &mut dyn Entropy,
) -> Result<(Running, Vec<Outgoing>), DkgError> {
    let party = Party::new(plan, me, key)?;
    let dealt = Dealt::new(&party, entropy);
    Ok(Running::begin(party, dealt, key))
}

impl Running {
    fn begin(party: Party, dealt: Dealt, key: &NodeKey) -> (Self, Vec<Outgoing>) {
        let sent = Box::new(dealt.commit(&party, key));
        let state = State::Committed(Box::new(Committed { dealt }));
        let outgoing = party.to_others(&sent, None);
        (Self { party, sent, state }, outgoing)
    }

    /// The round whose messages are awaited, 1 to 4.
    pub fn round(&self) -> u8 {
        match self.state {
            State::Committed(_) => 1,
            State::Revealed(_) => 2,
            State::Judged(_) => 3,
            State::Confirmed(_) => 4,
        }
    }

    /// The seats whose messages are awaited: all others.
    pub fn expects(&self) -> BTreeSet<Seat> {
        self.party.plan.others(self.party.me)
    }

    /// Takes exactly the awaited messages, one of each seat in [`Self::expects`].
    ///
    /// An error ends the ceremony: the state is gone, and with it everything secret in it.
    pub fn advance(
        self,
        inbox: BTreeMap<Seat, Vec<u8>>,
        key: &NodeKey,
        entropy: &mut dyn Entropy,
    ) -> Result<Step, DkgError> {
        let round_number = self.round();
        let Self { party, sent, state } = self;
        party.check_key(key)?;
        let (mut round, privates) = party.receive(round_number, &inbox)?;
        round.insert(party.me, *sent);
        let (state, sent, private) = match state {
            State::Committed(state) => {
                let (next, sent) = state.reveal(&party, round, key, entropy)?;
                // DKG-5: contribution and salt go to members only, beside the broadcast.
                let private = next.private.duplicate();
                (State::Revealed(Box::new(next)), sent, Some(private))
            }
            State::Revealed(state) => {
                let (next, sent) = state.judge(&party, round, privates, key, entropy)?;
                (State::Judged(Box::new(next)), sent, None)
            }
            State::Judged(state) => {
                let (next, sent) = state.confirm(&party, round, key)?;
                (State::Confirmed(Box::new(next)), sent, None)
            }
            State::Confirmed(state) => {
                return state.finish(&party, &round).map(|outcome| Step::Done(Box::new(outcome)));
            }
        };
        let outgoing = party.to_others(&sent, private.as_ref());
        let sent = Box::new(sent);
        Ok(Step::Continue(Self { party, sent, state }, outgoing))
    }
}

impl Party {
    fn to_others(&self, sent: &Sent, private: Option<&Private>) -> Vec<Outgoing> {
        let bytes = write_message(sent, private);
        let to = |to| Outgoing { to, bytes: bytes.clone() };
        self.plan.others(self.me).into_iter().map(to).collect()
    }

    /// Reads one message of each other seat.
    fn receive(
        &self,
        round: u8,
        inbox: &BTreeMap<Seat, Vec<u8>>,
    ) -> Result<(Round, BTreeMap<Seat, Private>), DkgError> {
        let (found, wanted) = (inbox.keys().copied().collect(), self.plan.others(self.me));
        if found != wanted {
            return Err(Refusal::Inbox { found, wanted }.into());
        }
        let (mut broadcasts, mut privates) = (Round::new(), BTreeMap::new());
        for (from, bytes) in inbox {
            let message = Message::receive(&self.plan, &self.digest, *from, round, bytes)
                .map_err(|fault| DkgError::Unproven { from: *from, fault })?;
            broadcasts.insert(*from, message.broadcast);
            if let Some(private) = message.private {
                privates.insert(*from, private);
            }
        }
        Ok((broadcasts, privates))
    }
}
