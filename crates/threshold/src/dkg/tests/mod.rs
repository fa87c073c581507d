//! A world of members that exchange ceremony messages, one of them perhaps a traitor.

mod honest;
mod tamper;
mod traitor;

use super::bodies::Body;
use super::broadcast::{Broadcast, Message, write_message};
use super::party::{Dealt, Party};
use super::{DkgError, Evidence, Outcome, Outgoing, Plan, Running, Step, verify_evidence};
use crate::testing::{SeededEntropy, ceremony};
use model::access::AccessTree;
use model::card::NodeKey;
use model::ids::{CeremonyId, Seat};
use model::wire::Wire;
use std::collections::BTreeMap;
use std::sync::Arc;

const TRAITOR: Seat = Seat(2);

/// All members of one ceremony and the messages on their way.
struct World {
    plan: Arc<Plan>,
    keys: BTreeMap<Seat, NodeKey>,
    entropy: BTreeMap<Seat, SeededEntropy>,
    running: BTreeMap<Seat, Running>,
    /// By receiver and sender.
    mail: BTreeMap<(Seat, Seat), Vec<u8>>,
    failed: BTreeMap<Seat, DkgError>,
    done: BTreeMap<Seat, Outcome>,
}

impl World {
    fn new(tree: AccessTree) -> Self {
        Self::with(tree, |_| ())
    }

    /// A world whose traitor alters what it drew before it commits.
    fn with(tree: AccessTree, alter: impl Fn(&mut Dealt)) -> Self {
        let (plan, keys) = ceremony(tree, 1);
        let entropy = keys.keys().map(|seat| (*seat, SeededEntropy::new(seat.0.into()))).collect();
        let mut world = Self {
            plan: Arc::new(plan),
            keys,
            entropy,
            running: BTreeMap::new(),
            mail: BTreeMap::new(),
            failed: BTreeMap::new(),
            done: BTreeMap::new(),
        };
        for (seat, key) in &world.keys {
            let party = Party::new(world.plan.clone(), *seat, key).unwrap();
            let mut dealt = Dealt::new(&party, world.entropy.get_mut(seat).unwrap());
            if *seat == TRAITOR {
                alter(&mut dealt);
            }
            let (running, outgoing) = Running::begin(party, dealt, key);
            world.running.insert(*seat, running);
            post(&mut world.mail, *seat, outgoing);
        }
        world
    }

    /// Delivers every message of the round.
    fn turn(&mut self) {
        let mail = core::mem::take(&mut self.mail);
        for (seat, running) in core::mem::take(&mut self.running) {
            let mine = mail.iter().filter(|((to, _), _)| *to == seat);
            let inbox = mine.map(|((_, from), bytes)| (*from, bytes.clone())).collect();
            let entropy = self.entropy.get_mut(&seat).unwrap();
            match running.advance(inbox, &self.keys[&seat], entropy) {
                Ok(Step::Continue(next, outgoing)) => {
                    self.running.insert(seat, next);
                    post(&mut self.mail, seat, outgoing);
                }
                Ok(Step::Done(outcome)) => drop(self.done.insert(seat, *outcome)),
                Err(error) => drop(self.failed.insert(seat, error)),
            }
        }
    }

    /// Turns until the end, or until somebody failed.
    fn finish(&mut self) {
        while !self.running.is_empty() && self.failed.is_empty() {
            self.turn();
        }
    }

    fn turns(mut self, count: u8) -> Self {
        (0..count).for_each(|_| self.turn());
        self
    }

    /// The traitor signs another body: to everybody, or to one seat only.
    fn resign(&mut self, only: Option<Seat>, alter: impl Fn(&mut Vec<u8>)) {
        for ((to, from), bytes) in &mut self.mail {
            if *from != TRAITOR || only.is_some_and(|only| only != *to) {
                continue;
            }
            let message = Message::read(bytes).unwrap();
            let Broadcast { plan, round, seat, mut body, .. } = message.broadcast;
            alter(&mut body);
            let broadcast = Broadcast::sign(plan, round, seat, body, &self.keys[&TRAITOR]);
            *bytes = write_message(&broadcast, message.private.as_ref());
            if only.is_none() {
                *self.running.get_mut(&TRAITOR).unwrap().sent = broadcast;
            }
        }
    }

    fn resign_as<B: Body>(&mut self, only: Option<Seat>, alter: impl Fn(&mut B)) {
        let plan = self.plan.clone();
        self.resign(only, |bytes| {
            let mut body = B::from_body(&plan, TRAITOR, bytes).unwrap();
            alter(&mut body);
            *bytes = body.to_bytes();
        });
    }

    fn honest(&self) -> impl Iterator<Item = Seat> {
        self.plan.others(TRAITOR).into_iter()
    }

    /// Every honest member ends with evidence of this kind against the traitor; a stranger agrees.
    fn convicts(&self, code: &str) {
        for seat in self.honest() {
            let error = &self.failed[&seat];
            let DkgError::Misbehaved { culprit, evidence } = error else {
                panic!("seat {} ended with {error:?}", seat.0)
            };
            assert_eq!((*culprit, evidence.code()), (TRAITOR, code), "seat {}", seat.0);
            let read = Evidence::from_bytes(&evidence.to_bytes()).unwrap();
            assert_eq!(verify_evidence(&self.plan, &read), Ok(TRAITOR));
            self.frames_nobody(&read);
        }
    }

    /// Evidence with any byte altered convicts the traitor or nobody, and nobody under another plan.
    fn frames_nobody(&self, evidence: &Evidence) {
        let bytes = evidence.to_bytes();
        for at in (0..bytes.len()).step_by(1 + bytes.len() / 60) {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            let Ok(read) = Evidence::from_bytes(&bad) else { continue };
            let found = verify_evidence(&self.plan, &read);
            assert!(!found.is_ok_and(|seat| seat != TRAITOR), "byte {at} frames a seat");
        }
        let other = Plan { ceremony: CeremonyId([9; 32]), ..(*self.plan).clone() };
        assert!(verify_evidence(&other, evidence).is_err());
    }
}

fn post(mail: &mut BTreeMap<(Seat, Seat), Vec<u8>>, from: Seat, outgoing: Vec<Outgoing>) {
    mail.extend(outgoing.into_iter().map(|message| ((message.to, from), message.bytes)));
}

fn flip<W: Wire>(value: &mut W, at: impl Fn(usize) -> usize) {
    let mut bytes = value.to_bytes();
    let at = at(bytes.len());
    bytes[at] ^= 1;
    *value = W::from_bytes(&bytes).unwrap();
}
