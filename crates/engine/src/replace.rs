//! Speed-up and cancel: other bytes under the same nonce, inside the same ceiling.

use crate::command::{Caller, CommandId, Reply};
use crate::engine::Engine;
use crate::fill::Draft;
use crate::problem::{Class, Problem, refuse};
use model::api;
use model::entropy::Entropy;
use model::ids::RequestId;
use model::request::Fill;

impl Engine {
    /// Same request, other bytes under the same nonce: a higher fee, or nothing sent.
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
        let decided = state.decided.as_ref().map(|d| &d.fill);
        let Some(Fill::Evm { nonce, gas_limit, max_fee_per_gas, max_priority_fee_per_gas, .. }) =
            decided
        else {
            let text = "only an EVM transaction that was decided can be replaced under its nonce";
            return Err(refuse(Class::Refused, "not_replaceable", text).hint(
                "Bitcoin: send a request with the same coins and a higher fee once this expired",
            ));
        };
        let request = state.request.clone();
        let fill = Fill::Evm {
            nonce: *nonce,
            gas_limit: *gas_limit,
            max_fee_per_gas: raised(*max_fee_per_gas, how.max_fee_per_gas)?,
            max_priority_fee_per_gas: raised(
                *max_priority_fee_per_gas,
                how.max_priority_fee_per_gas,
            )?,
            cancel,
        };
        let number = state.attempt.saturating_add(1);
        // What this node would refuse changes nothing: the signed transaction stays as it is.
        let proposal = self.proposal(&request, fill.clone(), number)?;
        self.decide(&proposal)?;
        self.state.unsign(id);
        self.drafts.insert(id, Draft::ready(fill));
        self.broadcasts.insert(id);
        self.attempt(id, entropy);
        self.answer_or_wait(command, id, how.wait_ms)
    }
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
