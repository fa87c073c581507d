//! Rounds of key generation between the members of a ceremony whom everybody's yes has started.
//!
//! Spec: `docs/spec/dkg.md`. Invariants: the first message of a round counts; a proven breach is kept before anything else.

use crate::ceremony::Phase;
use crate::engine::Engine;
use crate::job::{Job, JobOutput};
use crate::message::Message;
use crate::problem::with_source;
use crate::sessions::Purpose as JobPurpose;
use model::ids::{CeremonyId, NodeId};
use std::sync::Arc;
use threshold::dkg;

/// Rounds of key generation, so that a message of a later one is garbage.
const DKG_ROUNDS_MAX: u8 = 4;
/// A message of key generation: at most 32 KiB of broadcast, its mark and one sealed sub-share.
const DKG_BYTES_MAX: usize = 40 * 1024;

impl Engine {
    pub(crate) fn handle_dkg(&mut self, peer: NodeId, id: CeremonyId, round: u8, bytes: Vec<u8>) {
        let name = self.name_of(peer);
        let known = self.ceremonies.get_mut(&id);
        let seat = known.as_ref().and_then(|c| c.seat_of(peer));
        let (Some(ceremony), Some(seat)) = (known, seat) else {
            let text = format!("{name} sent round {round} of a ceremony that is not its and ours");
            return self.warn_of(peer, "unknown_ceremony", text);
        };
        // Given up here: what was under way comes late, and says nothing about its sender.
        if matches!(ceremony.phase, Phase::Failed(_)) {
            return;
        }
        if bytes.len() > DKG_BYTES_MAX {
            let text = format!("{name} sent {} bytes in round {round}", bytes.len());
            return self.warn_of(peer, "over_long_message", format!("{text} of key generation"));
        }
        // Before this node's own yes nobody can have begun; and a peer can be one round ahead, not more.
        let open = ceremony.is_open() && ceremony.joined.contains(&self.me);
        let last = DKG_ROUNDS_MAX.min(ceremony.round.saturating_add(1));
        if !open || round < ceremony.round.max(1) || round > last {
            let text = format!("{name} sent round {round} of key generation");
            let text = format!("{text}; here it stands at round {}", ceremony.round);
            return self.warn_of(peer, "wrong_round", text);
        }
        // The first message of a round counts; a second one never replaces it.
        let taken = round == ceremony.round && matches!(ceremony.phase, Phase::Busy);
        if taken || ceremony.inbox.contains_key(&(round, seat)) {
            let text = format!("{name} sent round {round} of key generation twice");
            return self.warn_of(peer, "duplicate_message", text);
        }
        ceremony.inbox.insert((round, seat), bytes);
        self.advance_dkg(id);
    }

    fn advance_dkg(&mut self, id: CeremonyId) {
        let Some(ceremony) = self.ceremonies.get_mut(&id) else { return };
        let Phase::Running(running) = &ceremony.phase else { return };
        let round = ceremony.round;
        let expected = running.expects();
        if !expected.iter().all(|seat| ceremony.inbox.contains_key(&(round, *seat))) {
            return;
        }
        let inbox = expected
            .into_iter()
            .filter_map(|seat| Some((seat, ceremony.inbox.remove(&(round, seat))?)))
            .collect();
        let Phase::Running(running) = core::mem::replace(&mut ceremony.phase, Phase::Busy) else {
            return;
        };
        let job = Job::DkgAdvance { running, inbox, key: Arc::clone(&self.key) };
        self.compute(job, JobPurpose::Ceremony(id));
    }

    pub(crate) fn handle_ceremony_computed(&mut self, id: CeremonyId, output: JobOutput) {
        let busy = self.ceremonies.get(&id).is_some_and(|c| matches!(c.phase, Phase::Busy));
        if !busy {
            return;
        }
        let JobOutput::Dkg(result) = output else {
            return self.fail_ceremony(id, "a computation was lost".to_owned(), true);
        };
        match result {
            Ok(dkg::Step::Continue(running, outgoing)) => {
                let Some(ceremony) = self.ceremonies.get_mut(&id) else { return };
                ceremony.round = ceremony.round.saturating_add(1);
                ceremony.phase = Phase::Running(Box::new(running));
                let (round, seats) = (ceremony.round, ceremony.plan.seats());
                for message in outgoing {
                    let Some(peer) = seats.get(&message.to).copied() else { continue };
                    let bytes = message.bytes;
                    self.send(peer, &Message::Dkg { ceremony: id, round, bytes });
                }
                self.advance_dkg(id);
            }
            Ok(dkg::Step::Done(outcome)) => self.store_vault(id, *outcome),
            Err(error) => {
                let text = with_source(&error);
                if let dkg::DkgError::Misbehaved { culprit, evidence } = error {
                    self.found_breach(id, culprit, evidence);
                }
                self.fail_ceremony(id, text, true);
            }
        }
    }
}
