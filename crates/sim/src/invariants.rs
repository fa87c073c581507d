//! The invariants that hold after every step of every world. Each is a function named after the rule it guards.

use engine::{Commit, Entry, Message, Record};
use model::ids::{NodeId, RequestId, SessionId};
use model::keys::KeyKind;
use model::wire::Wire;
use std::collections::{BTreeMap, BTreeSet};
use threshold::sign::Shown;

/// What was seen so far.
#[derive(Debug, Default)]
pub struct Watch {
    /// Sessions that a node decided durably: K3.
    decided: BTreeSet<(usize, SessionId)>,
    /// What shows a one-time scalar, and the signature that it served: K2.
    commitments: BTreeMap<Vec<u8>, (usize, SessionId, u16)>,
    /// FROST: the one commitment list that the nonce of an item answers, as recorded.
    answered: BTreeMap<(usize, SessionId, u16), [u8; 32]>,
    /// FROST: nonce commitments that left, by the item they were made for.
    nonces: BTreeMap<(usize, SessionId, u16), Vec<Vec<u8>>>,
    /// FROST: the one commitment list that a nonce commitment served, across restarts.
    packages: BTreeMap<Vec<u8>, [u8; 32]>,
    /// What a request uses up on chain, by request, as decided.
    spends: BTreeMap<(RequestId, SessionId), Vec<String>>,
    /// Who was signed for what is used up.
    signed: BTreeMap<String, RequestId>,
    /// Signatures by request and bytes, to see that one request has one outcome.
    outcomes: BTreeMap<(RequestId, SessionId), Vec<Vec<u8>>>,
    /// Signed requests.
    pub signed_requests: BTreeSet<RequestId>,
    /// Pairs stopped so far.
    pub pairs_stopped: u64,
    /// Pairs that are stopped now: node and peer.
    stopped: BTreeSet<(usize, NodeId)>,
    /// Sessions that ended at a node without a signature.
    ended: BTreeSet<(usize, SessionId)>,
}

impl Watch {
    /// Takes a durable write in.
    pub fn check_commit(&mut self, node: usize, commit: &Commit) {
        for bytes in &commit.records {
            let record = Record::from_bytes(bytes)
                .unwrap_or_else(|error| panic!("node {node} wrote an unreadable record: {error}"));
            match record.entry {
                Entry::Decided { proposal, spends, .. } => {
                    let session = proposal.session();
                    let ended = self.ended.contains(&(node, session));
                    assert!(!ended, "K2: node {node} begins session {session} a second time");
                    self.decided.insert((node, session));
                    self.spends.insert((proposal.request.id(), session), spends);
                }
                Entry::Answered { session, item, package, .. } => {
                    self.invariant_k2_a_nonce_answers_one_package((node, session, item), package);
                }
                Entry::Signed { request, session, signatures } => {
                    self.one_signed_request_per_spend(request, session);
                    let bytes = signatures.iter().map(Wire::to_bytes).collect();
                    self.one_outcome_per_session(request, session, bytes);
                    self.signed_requests.insert(request);
                }
                Entry::Released(_, session) | Entry::Aborted(_, session, _) => {
                    self.ended.insert((node, session));
                }
                Entry::PairStopped(peer, ..) => {
                    self.pairs_stopped = self.pairs_stopped.saturating_add(1);
                    self.stopped.insert((node, peer));
                    let destroyed = commit.deletes.iter().any(|key| *key == format!("pair/{peer}"));
                    assert!(destroyed, "K6: node {node} stopped a pair and kept its state");
                }
                Entry::PairMade(peer, ..) => {
                    self.stopped.remove(&(node, peer));
                }
                _ => {}
            }
        }
    }

    /// Takes a frame in before it leaves.
    pub fn check_send(&mut self, node: usize, peer: NodeId, bytes: &[u8]) {
        let message = Message::from_bytes(bytes)
            .unwrap_or_else(|error| panic!("node {node} sends what nobody can read: {error}"));
        if let Message::Round { session, item, round, bytes } = message {
            let place = (node, session, item);
            let shown = threshold::sign::shown(&bytes)
                .unwrap_or_else(|| panic!("node {node} sends a round that nobody can read"));
            assert_eq!(shown.head.round, round, "node {node} sends a round under another's number");
            self.invariant_k6_nothing_leaves_to_a_stopped_pair(node, peer, &shown);
            self.invariant_k3_no_share_leaves_before_its_decision_is_durable(node, session);
            self.invariant_k2_nothing_leaves_of_a_session_that_failed(node, session);
            self.invariant_k2_a_package_is_recorded_before_its_share_leaves(place, &shown);
            self.invariant_k2_a_one_time_scalar_serves_one_message(place, &shown, &bytes);
        }
    }

    fn invariant_k6_nothing_leaves_to_a_stopped_pair(
        &self,
        node: usize,
        peer: NodeId,
        shown: &Shown,
    ) {
        let stopped = shown.head.kind == KeyKind::Ecdsa && self.stopped.contains(&(node, peer));
        assert!(
            !stopped,
            "K6: node {node} sends ECDSA round {} to a stopped pair",
            shown.head.round
        );
    }

    /// The first failed round is the last word: no share follows it, whatever else arrives.
    fn invariant_k2_nothing_leaves_of_a_session_that_failed(
        &self,
        node: usize,
        session: SessionId,
    ) {
        let ended = self.ended.contains(&(node, session));
        assert!(!ended, "node {node} sends a round of session {session} after its end");
    }

    fn invariant_k3_no_share_leaves_before_its_decision_is_durable(
        &self,
        node: usize,
        session: SessionId,
    ) {
        assert!(
            self.decided.contains(&(node, session)),
            "K3: node {node} sends in session {session} without a durable decision"
        );
    }

    /// What shows a one-time scalar never serves two signatures: both nonce commitments together and each by itself (FROST),
    /// the instance point (ECDSA), and the end of every first message (ECDSA: the OT message, fresh as well).
    fn invariant_k2_a_one_time_scalar_serves_one_message(
        &mut self,
        place: (usize, SessionId, u16),
        shown: &Shown,
        bytes: &[u8],
    ) {
        let tail = bytes.len().saturating_sub(64);
        let tail = bytes.get(tail..).filter(|_| shown.head.round == 1).map(<[u8]>::to_vec);
        for one_time in shown.points.iter().cloned().chain(tail) {
            let before = self.commitments.entry(one_time).or_insert(place);
            assert_eq!(*before, place, "K2: a one-time commitment of {place:?} serves twice");
        }
    }

    /// A record says which list an item's nonce answers, and no nonce commitment is ever under two lists.
    fn invariant_k2_a_nonce_answers_one_package(
        &mut self,
        place: (usize, SessionId, u16),
        package: [u8; 32],
    ) {
        let before = *self.answered.entry(place).or_insert(package);
        assert_eq!(before, package, "K2: two packages are recorded for the nonce of {place:?}");
        for nonce in self.nonces.get(&place).into_iter().flatten() {
            let before = *self.packages.entry(nonce.clone()).or_insert(package);
            assert_eq!(
                before, package,
                "K2: a nonce commitment of {place:?} is under two packages"
            );
        }
    }

    /// FROST: round 1 shows the nonce commitments; a share of round 2 leaves only under the recorded package.
    fn invariant_k2_a_package_is_recorded_before_its_share_leaves(
        &mut self,
        place: (usize, SessionId, u16),
        shown: &Shown,
    ) {
        if let Some(package) = shown.package {
            let recorded = self.answered.get(&place);
            assert_eq!(recorded, Some(&package), "K2: a share of {place:?} left unrecorded");
        } else if shown.head.round == 1 && !shown.points.is_empty() {
            self.nonces.insert(place, shown.points.clone());
        }
    }

    fn one_signed_request_per_spend(&mut self, request: RequestId, session: SessionId) {
        for spend in self.spends.get(&(request, session)).into_iter().flatten() {
            let holder = self.signed.entry(spend.clone()).or_insert(request);
            assert_eq!(*holder, request, "two requests were signed for {spend}");
        }
    }

    fn one_outcome_per_session(
        &mut self,
        request: RequestId,
        session: SessionId,
        signatures: Vec<Vec<u8>>,
    ) {
        let before = self.outcomes.entry((request, session)).or_insert_with(|| signatures.clone());
        assert_eq!(*before, signatures, "nodes hold different signatures of one session");
    }
}
