//! Speed-up and cancel of a send: the same coins again, at a fee for which nodes give up the earlier transaction.
//!
//! Rules: BIP-125, 3 and 4. The new fee is above the old by at least one satoshi (Core's incremental relay fee) per
//! virtual byte of the new transaction. What others spent out of the earlier one is not known here and not paid for.

use super::check::{self, invalid};
use super::create::{assemble, fill_from_coins};
use crate::Refusal;
use bitcoin::TxOut;
use model::amount::Amount;
use model::hd::DerivationPath;
use model::intent::BitcoinNetwork;
use model::keys::VaultKeys;
use model::request::{Ask, Fill, Request};

/// Satoshi more per virtual byte that a replacement pays at least.
const INCREMENTAL_RATE: u64 = 1;
/// Change number of a cancel where the send had no change.
const CHANGE_NUMBER_DEFAULT: u32 = 0;

/// What a replacement is to be.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// Pay nobody: everything but the fee comes back.
    pub cancel: bool,
    /// Satoshi per virtual byte; `None`: a quarter above the last fee.
    pub fee_rate: Option<u64>,
}

/// What a fill costs.
struct Price {
    held: u64,
    fee: u64,
    vsize: u64,
}

fn price(
    keys: &VaultKeys,
    network: BitcoinNetwork,
    account: &DerivationPath,
    outputs: &[(String, u64)],
    fill: &Fill,
) -> Result<Price, Refusal> {
    let Fill::Bitcoin { inputs, change, cancel } = fill else {
        return Err(invalid("fill", "coins are needed".to_owned()));
    };
    let paid = if *cancel { &[] } else { outputs };
    let psbt = assemble(keys, network, account, paid, inputs, *change)?;
    let spent: Vec<TxOut> = psbt.inputs.iter().filter_map(|i| i.witness_utxo.clone()).collect();
    let held = check::total(spent.iter().map(|output| output.value))?;
    let paid = check::total(psbt.unsigned_tx.output.iter().map(|output| output.value))?;
    let vsize = check::signed_vsize(&psbt, &spent);
    Ok(Price { held, fee: held.saturating_sub(paid), vsize })
}

/// BTC-11: the same coins at a higher fee, for the same outputs out of the change, or (BTC-12, cancel) all of it back.
/// Change of a speed-up that becomes dust goes to the fee too.
pub fn replacement(
    keys: &VaultKeys,
    network: BitcoinNetwork,
    account: &DerivationPath,
    outputs: &[(String, u64)],
    last: &Fill,
    wish: Wish,
) -> Result<Fill, Refusal> {
    let Fill::Bitcoin { inputs, change, .. } = last else {
        return Err(invalid("fill", "coins are needed".to_owned()));
    };
    let number = match change {
        Some((number, _)) => *number,
        None if wish.cancel => CHANGE_NUMBER_DEFAULT,
        None => {
            let reason = "there is none that a higher fee could be paid from";
            return Err(invalid("change", reason.to_owned()));
        }
    };
    let before = price(keys, network, account, outputs, last)?;
    let (inputs, cancel) = (inputs.clone(), wish.cancel);
    let sized = Fill::Bitcoin { inputs: inputs.clone(), change: Some((number, 0)), cancel };
    let vsize = price(keys, network, account, outputs, &sized)?.vsize;
    let least = least(&before, vsize);
    let fee = match wish.fee_rate {
        Some(rate) => rate.saturating_mul(vsize),
        None => least.max(before.fee.saturating_add(before.fee.div_ceil(4))),
    };
    enough(fee, least)?;
    let paid = if cancel { &[] } else { outputs };
    let sum = check::total(paid.iter().map(|(_, sat)| bitcoin::Amount::from_sat(*sat)))?;
    let room = before.held.saturating_sub(sum);
    if fee > room {
        return Err(invalid("change", format!("{room} sat cannot pay a fee of {fee} sat")));
    }
    match fill_from_coins(keys, network, account, paid, inputs, fee, number)? {
        Fill::Bitcoin { change: None, .. } if cancel => {
            Err(invalid("change", format!("of {room} sat dust would be left to come back")))
        }
        Fill::Bitcoin { inputs, change, .. } => Ok(Fill::Bitcoin { inputs, change, cancel }),
        other => Ok(other),
    }
}

fn least(before: &Price, vsize: u64) -> u64 {
    before.fee.saturating_add(vsize.saturating_mul(INCREMENTAL_RATE))
}

fn enough(fee: u64, least: u64) -> Result<(), Refusal> {
    let (pays, needs) = (Amount::from_u64(fee), Amount::from_u64(least));
    match fee < least {
        true => Err(Refusal::FeeTooLow { fee: pays, least: needs, unit: super::UNIT }),
        false => Ok(()),
    }
}

/// `next` pays enough above `last` for nodes to take it in its place.
pub(crate) fn outbids(
    keys: &VaultKeys,
    network: BitcoinNetwork,
    request: &Request,
    last: &Fill,
    next: &Fill,
) -> Result<(), Refusal> {
    let Ask::BitcoinSend { outputs } = &request.ask else {
        return Err(invalid("ask", "not a send".to_owned()));
    };
    let before = price(keys, network, &request.path, outputs, last)?;
    let after = price(keys, network, &request.path, outputs, next)?;
    enough(after.fee, least(&before, after.vsize))
}
