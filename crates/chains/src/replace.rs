//! When other bytes may take the place of bytes that may be signed already: they pay what the chain's nodes ask for.

use crate::{Refusal, bitcoin, evm};
use model::amount::Amount;
use model::intent::Network;
use model::keys::VaultKeys;
use model::request::{Ask, Fill, RawKind, Request};

/// CHAIN-5: `next` may replace `last` of the same request: both use up the same, what was cancelled stays cancelled, and
/// the fee rises as the chain's relay rules demand. Every signer asks this, not the entry node alone.
pub fn check_replacement(
    keys: &VaultKeys,
    request: &Request,
    last: &Fill,
    next: &Fill,
) -> Result<(), Refusal> {
    if is_cancel(last) && !is_cancel(next) {
        let text = "it was cancelled, and a cancelled request pays nobody any more";
        return Err(Refusal::NotTheRequest(text.to_owned()));
    }
    match (request.network, last, next) {
        (
            Network::Evm(_),
            Fill::Evm { max_fee_per_gas: fee, max_priority_fee_per_gas: tip, .. },
            Fill::Evm { max_fee_per_gas, max_priority_fee_per_gas, .. },
        ) => {
            outbids(*fee, *max_fee_per_gas, "wei per gas")?;
            outbids(*tip, *max_priority_fee_per_gas, "wei per gas of priority")
        }
        (
            Network::Evm(_),
            Fill::Nothing,
            Fill::Evm { max_fee_per_gas, max_priority_fee_per_gas, cancel: true, .. },
        ) => {
            let Ask::Raw { kind: RawKind::EvmTransaction, bytes } = &request.ask else {
                return Err(not_replaceable());
            };
            let (_, fee, tip) = evm::nonce_and_prices(bytes)?;
            outbids(fee, *max_fee_per_gas, "wei per gas")?;
            outbids(tip, *max_priority_fee_per_gas, "wei per gas of priority")
        }
        (Network::Bitcoin(network), Fill::Bitcoin { .. }, Fill::Bitcoin { .. }) => {
            bitcoin::outbids(keys, network, request, last, next)
        }
        // No fee decides between messages over one nonce value: the first that is mined makes the other void.
        (Network::Solana(_), Fill::Solana { .. }, Fill::Solana { .. }) => Ok(()),
        _ => Err(not_replaceable()),
    }
}

fn not_replaceable() -> Refusal {
    Refusal::NotTheRequest("other bytes cannot take its place".to_owned())
}

/// True for bytes that take the place of the request and pay nobody.
pub fn is_cancel(fill: &Fill) -> bool {
    matches!(
        fill,
        Fill::Evm { cancel: true, .. }
            | Fill::Bitcoin { cancel: true, .. }
            | Fill::Solana { cancel: true, .. }
    )
}

/// Nodes of EVM chains (geth, reth, anvil) take a replacement from a tenth more on, in both prices.
fn outbids(last: u128, next: u128, unit: &'static str) -> Result<(), Refusal> {
    let least = last.saturating_add(last.div_ceil(10).max(1));
    match next < least {
        true => Err(Refusal::FeeTooLow {
            fee: Amount::from_u128(next),
            least: Amount::from_u128(least),
            unit,
        }),
        false => Ok(()),
    }
}
