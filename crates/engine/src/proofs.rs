//! Proofs that a share is alive: an idle node proves one, so that readiness speaks of use and not of heartbeats.
//!
//! A peer of the vault sends fresh bytes, the node answers with a Schnorr proof under all three keys over them, and the peer
//! verifies it against the public commitments. Nonces of proofs are hedged and serve one challenge (K2). Vaults and members take
//! turns, so that no silent member makes this node unready, and every share is proven in time.

use crate::budgets::Costly;
use crate::engine::Engine;
use crate::message::Message;
use model::entropy::Entropy;
use model::ids::{NodeId, VaultId};
use model::wire::Wire;
use threshold::proof::{self, ShareProof};

/// A node that contributed nothing for this long proves a share, milliseconds (readiness demands ten minutes).
const IDLE_MS: u64 = 4 * 60 * 1000;
/// Pause between two attempts to prove, milliseconds.
const ASK_PAUSE_MS: u64 = 10_000;
/// A challenge that was not answered stands for this long, milliseconds.
const CHALLENGE_MS: u64 = 60_000;

impl Engine {
    pub(crate) fn prove_when_idle(&mut self) {
        let idle = self.now.0.saturating_sub(self.counters.last_proof_ms) >= IDLE_MS;
        if !idle || self.now.ms_since(self.proof_asked) < ASK_PAUSE_MS {
            return;
        }
        if let Some((vault, peer)) = self.next_to_ask() {
            self.proof_asked = self.now;
            self.proof_open = Some((peer, vault));
            self.send(peer, &Message::ChallengeAsk { vault });
        }
    }

    /// Each try asks about the next vault, and in each round over the vaults the next member of each: a member that does not
    /// answer costs one try, and a vault without a present member none.
    fn next_to_ask(&mut self) -> Option<(VaultId, NodeId)> {
        let present = self.present();
        let candidates: Vec<(VaultId, Vec<NodeId>)> = self
            .vaults
            .iter()
            // Of a vault that is not born a member may hold nothing.
            .filter(|(vault, _)| !self.state.unborn.contains(vault))
            .map(|(vault, keeping)| {
                let members = keeping.public.members.values().copied();
                let peers = members.filter(|node| *node != self.me && present.contains(node));
                (*vault, peers.collect::<Vec<_>>())
            })
            .filter(|(_, peers)| !peers.is_empty())
            .collect();
        let turn = self.proof_turn;
        let (round, place) =
            (turn.checked_div(candidates.len())?, turn.checked_rem(candidates.len())?);
        let (vault, peers) = candidates.get(place)?;
        let peer = peers.get(round.checked_add(place)?.checked_rem(peers.len())?)?;
        self.proof_turn = turn.wrapping_add(1);
        Some((*vault, *peer))
    }

    pub(crate) fn handle_proof_message(
        &mut self,
        peer: NodeId,
        message: Message,
        entropy: &mut dyn Entropy,
    ) {
        match message {
            Message::ChallengeAsk { vault } => self.challenge(peer, vault, entropy),
            Message::ChallengeTell { vault, challenge } => {
                self.answer_challenge(peer, vault, challenge, entropy);
            }
            Message::Proof { vault, bytes } => self.check_proof(peer, vault, &bytes),
            Message::ProofValid { vault } => self.note_proof_valid(peer, vault),
            _ => {}
        }
    }

    /// Only the answer of the peer that judged our own proof counts, and once.
    fn note_proof_valid(&mut self, peer: NodeId, vault: VaultId) {
        if self.proof_open.take_if(|open| *open == (peer, vault)).is_some() {
            self.counters.last_proof_ms = self.now.0;
        }
    }

    fn challenge(&mut self, peer: NodeId, vault: VaultId, entropy: &mut dyn Entropy) {
        let member = self.vaults.get(&vault).is_some_and(|k| k.public.seat_of(peer).is_some());
        if !member {
            let text =
                format!("{} asks about a vault that is not its and ours", self.name_of(peer));
            return self.warn_of(peer, "unknown_vault", text);
        }
        // A challenge is answered by one proof at most, so its budget is also that of the proofs to verify.
        if !self.within_budget(peer, Costly::Proof) {
            return;
        }
        // Asked again while the answer is under way, it is the same challenge, or an honest proof would not fit.
        let now = self.now;
        self.challenges.retain(|_, (_, since)| now.ms_since(*since) < CHALLENGE_MS);
        let (challenge, _) = *self.challenges.entry((peer, vault)).or_insert_with(|| {
            let mut fresh = [0u8; 32];
            entropy.fill(&mut fresh);
            (fresh, now)
        });
        self.send(peer, &Message::ChallengeTell { vault, challenge });
    }

    fn answer_challenge(
        &mut self,
        peer: NodeId,
        vault: VaultId,
        challenge: [u8; 32],
        entropy: &mut dyn Entropy,
    ) {
        let Some(keeping) = self.vaults.get(&vault) else { return };
        // A peer cannot make this node prove in a loop: one answer per question of ours, to the peer that was asked.
        if self.proof_open != Some((peer, vault)) || self.proof_answered == self.proof_asked {
            return;
        }
        self.proof_answered = self.proof_asked;
        let proof = proof::prove_share_alive(vault, &keeping.share, &challenge, entropy);
        if let Some(proof) = proof {
            self.send(peer, &Message::Proof { vault, bytes: proof.to_bytes() });
        }
    }

    fn check_proof(&mut self, peer: NodeId, vault: VaultId, bytes: &[u8]) {
        let Some((challenge, _)) = self.challenges.remove(&(peer, vault)) else {
            let text = format!("{} proves a share that it was not asked for", self.name_of(peer));
            return self.warn_of(peer, "unasked_proof", text);
        };
        let Some(keeping) = self.vaults.get(&vault) else { return };
        let Some(seat) = keeping.public.seat_of(peer) else { return };
        let valid = ShareProof::from_bytes(bytes).is_ok_and(|proof| {
            proof::verify_share_alive(vault, &keeping.public, seat, &challenge, &proof)
        });
        if valid {
            return self.send(peer, &Message::ProofValid { vault });
        }
        let text = format!("{} did not prove its share", self.name_of(peer));
        self.warn_of(peer, "proof_invalid", text);
    }
}
