//! Speed-up and cancel: other bytes that use up the same nonce or the same coins, inside the same ceiling.
//!
//! Spec: `docs/spec/requests.md`, Replace. Absent on purpose: Solana has no successor by a higher fee, and without a
//! durable nonce no cancel.

use crate::command::{Caller, CommandId, Reply};
use crate::engine::Engine;
use crate::fill::Draft;
use crate::problem::{Class, Problem, refuse};
use crate::sending::Sending;
use chains::bitcoin::{Wish, replacement};
use model::api;
use model::entropy::Entropy;
use model::ids::RequestId;
use model::intent::Network;
use model::request::{Ask, Fill, RawKind, Request};

/// Gas of a transfer that moves nothing.
const TRANSFER_GAS: u64 = 21_000;

impl Engine {
    /// Same request, other bytes under the same nonce or of the same coins: a higher fee, or nothing sent.
    pub(crate) fn replace(
        &mut self,
        command: CommandId,
        caller: Caller,
        id: RequestId,
        how: &api::Replace,
        cancel: bool,
        entropy: &mut dyn Entropy,
    ) -> Result<Option<Reply>, Problem> {
        let client = self.client_of(caller)?.map(|client| client.client);
        let state = self.request_for(caller, id)?;
        // Programs that share a vault see its requests; each replaces its own alone.
        if client.is_some_and(|client| client != state.request.client) {
            let text = format!("request {} is another client's", id.short());
            return Err(refuse(Class::Forbidden, "not_your_request", text));
        }
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
        self.broadcasts.insert(id, Sending::after_signing(false));
        self.attempt(id, entropy);
        self.answer_or_wait(command, id, how.wait_ms)
    }

    /// What takes the place of `last` on chain, or the reason why nothing can. That its fee suffices is for
    /// [`Engine::decide`] to judge, here as at every signer.
    fn replacement(
        &self,
        request: &Request,
        last: &Fill,
        how: &api::Replace,
        cancel: bool,
    ) -> Result<Fill, Problem> {
        check_chain_of_fee(request.network, how)?;
        // What was cancelled stays cancelled: a speed-up hurries the cancel then.
        let cancel = cancel || chains::is_cancel(last);
        match (&request.ask, request.network, last) {
            (
                _,
                _,
                Fill::Evm { nonce, gas_limit, max_fee_per_gas, max_priority_fee_per_gas, .. },
            ) => Ok(Fill::Evm {
                nonce: *nonce,
                gas_limit: *gas_limit,
                max_fee_per_gas: raised(*max_fee_per_gas, how.max_fee_per_gas),
                // A tip over the cap cannot be built; the cap that the caller named is what is judged then.
                max_priority_fee_per_gas: raised(
                    *max_priority_fee_per_gas,
                    how.max_priority_fee_per_gas.or(capped(*max_priority_fee_per_gas, how)),
                ),
                cancel,
            }),
            (Ask::Raw { kind: RawKind::EvmTransaction, bytes }, _, Fill::Nothing) if cancel => {
                let (nonce, fee, tip) = chains::evm::nonce_and_prices(bytes)?;
                Ok(Fill::Evm {
                    nonce,
                    gas_limit: TRANSFER_GAS,
                    max_fee_per_gas: raised(fee, how.max_fee_per_gas),
                    max_priority_fee_per_gas: raised(tip, how.max_priority_fee_per_gas),
                    cancel,
                })
            }
            (Ask::BitcoinSend { outputs }, Network::Bitcoin(network), Fill::Bitcoin { .. }) => {
                let keeping = self
                    .vaults
                    .get(&request.vault)
                    .ok_or_else(|| refuse(Class::NotFound, "unknown_vault", "no such vault"))?;
                let keys = &keeping.public.keys;
                let wish = Wish { cancel, fee_rate: how.fee_rate };
                Ok(replacement(keys, network, &request.path, outputs, last, wish)?)
            }
            (_, _, Fill::Solana { blockhash, nonce_account: nonce_account @ Some(_), .. })
                if cancel =>
            {
                let (blockhash, nonce_account) = (*blockhash, *nonce_account);
                Ok(Fill::Solana { blockhash, nonce_account, cancel })
            }
            (_, _, Fill::Solana { nonce_account, .. }) => Err(not_replaceable(
                "a Solana transaction has no successor under the same blockhash",
                match nonce_account {
                    None => "its blockhash expires within minutes; then send a new request",
                    Some(_) => "cancel it: that advances its durable nonce and makes it void",
                },
            )),
            _ => Err(not_replaceable(
                "bytes that a client brought ready-made are signed as they are or not at all",
                "an EVM transaction can be cancelled; it holds its nonce until then",
            )),
        }
    }
}

fn not_replaceable(text: &str, hint: &str) -> Problem {
    refuse(Class::Refused, "not_replaceable", text).hint(hint)
}

/// A fee in the unit of another chain is a mistake, not a wish to be passed over.
fn check_chain_of_fee(network: Network, how: &api::Replace) -> Result<(), Problem> {
    let per_gas = how.max_fee_per_gas.is_some() || how.max_priority_fee_per_gas.is_some();
    let rate = how.fee_rate.is_some();
    let text = match network {
        Network::Evm(_) if rate => "a fee rate in satoshi means nothing on an EVM chain",
        Network::Bitcoin(_) if per_gas => "a fee per gas means nothing on Bitcoin",
        Network::Solana(_) if rate || per_gas => "no fee hurries a Solana transaction",
        _ => return Ok(()),
    };
    Err(refuse(Class::Refused, "fee_of_another_chain", text))
}

/// The cap that the caller named, where a tip a quarter higher would be over it.
fn capped(tip: u128, how: &api::Replace) -> Option<u64> {
    how.max_fee_per_gas.filter(|cap| raised(tip, None) > u128::from(*cap))
}

/// The new price: as asked, else a quarter higher.
fn raised(last: u128, asked: Option<u64>) -> u128 {
    asked.map_or_else(|| last.saturating_add(last.div_ceil(4).max(1)), u128::from)
}
