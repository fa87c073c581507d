//! Speed-up and cancel: other bytes that use up the same nonce or the same coins, inside the same ceiling.
//!
//! Absent: cancelling a Bitcoin send, and a fee chosen by the caller there; Solana has nothing to replace by.

use crate::command::{Caller, CommandId, Reply};
use crate::engine::Engine;
use crate::fill::Draft;
use crate::problem::{Class, Problem, refuse};
use model::api;
use model::entropy::Entropy;
use model::ids::RequestId;
use model::intent::Network;
use model::request::{Ask, Fill, Request};

impl Engine {
    /// Same request, other bytes under the same nonce or of the same coins: a higher fee, or (EVM) nothing sent.
    pub(crate) fn replace(
        &mut self,
        command: CommandId,
        caller: Caller,
        id: RequestId,
        how: &api::Replace,
        cancel: bool,
        entropy: &mut dyn Entropy,
    ) -> Result<Option<Reply>, Problem> {
        let state = self.request_for(caller, id)?;
        if !state.entered_here {
            let text =
                format!("ask {}, which took this request", self.name_of(state.request.entry));
            return Err(refuse(Class::Refused, "other_entry", text));
        }
        let Some(decided) = state.decided.as_ref().map(|d| d.fill.clone()) else {
            let text = "nothing was decided yet, so there is nothing to replace";
            return Err(refuse(Class::Refused, "not_replaceable", text));
        };
        let request = state.request.clone();
        let number = state.attempt.saturating_add(1);
        let fill = self.replacement(&request, &decided, how, cancel)?;
        // What this node would refuse changes nothing: the signed transaction stays as it is.
        let proposal = self.proposal(&request, fill.clone(), number)?;
        self.decide(&proposal)?;
        self.state.unsign(id);
        self.drafts.insert(id, Draft::ready(fill));
        self.broadcasts.insert(id);
        self.attempt(id, entropy);
        self.answer_or_wait(command, id, how.wait_ms)
    }

    /// What takes the place of `last` on chain, or the reason why nothing can.
    fn replacement(
        &self,
        request: &Request,
        last: &Fill,
        how: &api::Replace,
        cancel: bool,
    ) -> Result<Fill, Problem> {
        match (&request.ask, request.network, last) {
            (
                _,
                _,
                Fill::Evm { nonce, gas_limit, max_fee_per_gas, max_priority_fee_per_gas, .. },
            ) => Ok(Fill::Evm {
                nonce: *nonce,
                gas_limit: *gas_limit,
                max_fee_per_gas: raised(*max_fee_per_gas, how.max_fee_per_gas)?,
                max_priority_fee_per_gas: raised(
                    *max_priority_fee_per_gas,
                    how.max_priority_fee_per_gas,
                )?,
                cancel,
            }),
            (
                Ask::BitcoinSend { outputs },
                Network::Bitcoin(network),
                Fill::Bitcoin { inputs, change },
            ) => {
                if cancel {
                    return Err(not_replaceable(
                        "a Bitcoin send cannot be cancelled yet, only paid for better",
                        "speed it up, or send the same coins to yourself once this expired",
                    ));
                }
                if how.max_fee_per_gas.is_some() || how.max_priority_fee_per_gas.is_some() {
                    let text = "a fee per gas means nothing on Bitcoin";
                    return Err(refuse(Class::Refused, "fee_of_another_chain", text));
                }
                let keeping = self
                    .vaults
                    .get(&request.vault)
                    .ok_or_else(|| refuse(Class::NotFound, "unknown_vault", "no such vault"))?;
                let keys = &keeping.public.keys;
                let path = &request.path;
                Ok(chains::bitcoin::replacement(keys, network, path, outputs, inputs, *change)?)
            }
            (_, _, Fill::Solana { nonce_account, .. }) => Err(not_replaceable(
                "a Solana transaction has no successor under the same blockhash",
                match nonce_account {
                    None => "its blockhash expires within minutes; then send a new request",
                    Some(_) => "advance the durable nonce: that makes this transaction void",
                },
            )),
            _ => Err(not_replaceable(
                "bytes that a client brought ready-made are signed as they are or not at all",
                "bring the replacement as a request of its own",
            )),
        }
    }
}

fn not_replaceable(text: &str, hint: &str) -> Problem {
    refuse(Class::Refused, "not_replaceable", text).hint(hint)
}

/// The new price: as asked, else a quarter higher. A replacement below a tenth more is not relayed by EVM nodes.
fn raised(last: u128, asked: Option<u64>) -> Result<u128, Problem> {
    let least = last.saturating_add(last.div_ceil(10));
    let new = asked.map_or_else(|| last.saturating_add(last.div_ceil(4)), u128::from);
    if new < least {
        let text = format!("{new} wei per gas; a replacement needs at least {least}");
        return Err(refuse(Class::Refused, "fee_too_low_to_replace", text));
    }
    Ok(new)
}
