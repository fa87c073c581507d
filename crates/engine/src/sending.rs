//! Signed transactions on their way to the chain, and those that the chain node did not take.
//!
//! What was signed holds its nonce or coins whether a chain node took it or not: whoever has the bytes may send them. So
//! a refusal by the chain node is shown with the request and what to do, and no later transaction queues up behind a
//! nonce that the chain has not seen. Kept in memory only: after a restart such a transaction is one that was signed and
//! not sent.

use crate::engine::Engine;
use crate::event::Effect;
use crate::journal::bounded;
use crate::problem::{Class, Problem, refuse};
use crate::state::RequestState;
use model::api;
use model::ids::RequestId;
use model::intent::Network;
use model::request::{Ask, Fill, RawKind};
use std::ops::Range;

/// A broadcast that is wanted or under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sending {
    /// The caller asked for it by name; replacements are sent where there is a chain node.
    asked: bool,
    /// It is with the chain node.
    under_way: bool,
}

impl Sending {
    /// Once it is signed.
    pub fn after_signing(asked: bool) -> Self {
        Self { asked, under_way: false }
    }
}

impl Engine {
    /// Hands a signed transaction over, where that is wanted; false where nobody has to wait for it.
    pub(crate) fn begin_sending(&mut self, id: RequestId) -> bool {
        self.unsent.remove(&id);
        if !self.broadcasts.contains_key(&id) {
            return false;
        }
        let Ok(Some((artefact, network))) = self.artefact(id) else {
            self.broadcasts.remove(&id);
            return false;
        };
        if let Some(sending) = self.broadcasts.get_mut(&id) {
            sending.under_way = true;
        }
        let text = artefact.text.clone();
        self.push(Effect::Broadcast { request: id, network, text });
        true
    }

    /// True while the chain node has not answered.
    pub(crate) fn is_being_sent(&self, id: RequestId) -> bool {
        self.broadcasts.get(&id).is_some_and(|sending| sending.under_way)
    }

    /// The chain node answered.
    pub(crate) fn handle_sent(&mut self, id: RequestId, result: Result<(), (String, String)>) {
        // An answer about bytes that are to be replaced says nothing about those that take their place.
        if self.broadcasts.get(&id).is_some_and(|sending| !sending.under_way) {
            return;
        }
        let sending = self.broadcasts.remove(&id);
        if self.state.requests.get(&id).is_none_or(|s| s.signed.is_none()) {
            return;
        }
        match result {
            Ok(()) => {
                self.unsent.remove(&id);
            }
            // Without a chain node a replacement goes out by whoever sent the first one.
            Err((code, _))
                if code == "chain_not_configured" && sending.is_some_and(|s| !s.asked) => {}
            Err((code, reason)) => {
                self.unsent.insert(id, (bounded(&code), bounded(&reason)));
            }
        }
        self.wake(id);
    }

    /// Signed, and not taken by the chain node: which request, why, and what to do.
    pub(crate) fn unsent_view(&self, id: RequestId, state: &RequestState) -> Option<api::Problem> {
        let (_, reason) = self.unsent.get(&id).filter(|_| state.signed.is_some())?;
        Some(api::Problem {
            code: "not_broadcast".to_owned(),
            message: format!("request {id} is signed but not sent: {reason}"),
            hint: Some(what_to_do(id, state)),
        })
    }

    /// Refuses to choose a nonce above one whose transaction the chain node did not take: it would wait for ever.
    pub(crate) fn check_nothing_unsent(
        &self,
        network: Network,
        from: &str,
        mut nonces: Range<u64>,
    ) -> Result<(), Problem> {
        // Few are unsent, and the range may be long.
        if self.unsent.is_empty() {
            return Ok(());
        }
        let held = nonces.find_map(|nonce| {
            let holder = self.state.spends.get(&format!("{network}:{from}:{nonce}"))?;
            let state = self.state.requests.get(holder)?;
            Some((nonce, self.unsent_view(*holder, state)?))
        });
        match held {
            None => Ok(()),
            Some((nonce, unsent)) => {
                let text = format!(
                    "nonce {nonce} is taken, and the chain has not seen it: {}",
                    unsent.message
                );
                let problem = refuse(Class::Conflict, "nonce_blocked", text);
                Err(problem.hint(unsent.hint.unwrap_or_default()))
            }
        }
    }
}

/// The next step for a signed transaction that the chain node did not take.
fn what_to_do(id: RequestId, state: &RequestState) -> String {
    let fill = state.signed.as_ref().map(|(_, fill, _)| fill);
    match (&state.request.ask, fill) {
        (_, Some(Fill::Solana { nonce_account: Some(_), .. })) => format!(
            "it holds its durable nonce: send the signed bytes again, or `outlast request cancel {id}`"
        ),
        (_, Some(Fill::Solana { .. })) => {
            "its blockhash expires within minutes; then send a new request".to_owned()
        }
        (_, Some(Fill::Evm { .. } | Fill::Bitcoin { .. })) => format!(
            "it holds its nonce or coins: `outlast request speed-up {id}` with a higher fee, or \
             `outlast request cancel {id}`; the signed bytes can also be sent elsewhere"
        ),
        (Ask::Raw { kind: RawKind::EvmTransaction, .. }, _) => format!(
            "it holds its nonce: `outlast request cancel {id}`; the signed bytes can also be sent \
             elsewhere"
        ),
        (_, _) => "the signed bytes can be sent elsewhere, or again".to_owned(),
    }
}
