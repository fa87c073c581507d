//! The built-in fee ceiling: it stops fee bombs before any policy exists and cannot be raised by a request.
//!
//! Fees have been the loss more than once: a software error or a slipped digit put thousands of ether into one fee, and
//! a thief who may not move the money can still burn it. The table answers "what would nobody pay on purpose", not "what
//! is usual": on the main chain half an ether pays for 5,000,000 gas at 100 gwei, or 21,000 gas at 10,000 gwei.
//!
//! Absent on purpose: prices. A ceiling in native units needs no oracle that could be moved.

use crate::Refusal;
use model::amount::Amount;

/// Wei per gas at most, on every chain: above the thousands of gwei of the main chain's worst hours.
pub const PRICE_PER_GAS_MAX: u128 = 10_000 * GWEI;
/// Gas below which no transaction can be mined (intrinsic gas of a plain transfer).
pub const GAS_LIMIT_MIN: u64 = 21_000;
/// Gas limit at most: above the block limit of the main chain; the product with the price has its own ceiling.
pub const GAS_LIMIT_MAX: u64 = 100_000_000;

const GWEI: u128 = 1_000_000_000;
const MILLI: u128 = 1_000_000_000_000_000;

/// Chains whose coin is worth far less or whose fees are far lower than the main chain's; thousandths of the coin.
const PER_CHAIN: [(u64, u128); 15] = [
    // Second layers that pay in ether: a tenth, because their gas costs a small part of the main chain's.
    (10, 100),
    (130, 100),
    (324, 100),
    (8453, 100),
    (42161, 100),
    (59144, 100),
    (81457, 100),
    (534352, 100),
    // BNB.
    (56, 500),
    // AVAX, CELO.
    (43114, 10_000),
    (42220, 50_000),
    // xDAI.
    (100, 50_000),
    // POL, S, FTM.
    (137, 100_000),
    (146, 100_000),
    (250, 100_000),
];

/// Main chain, its test chains, local chains (1337, 31337) and every chain that the table does not know.
const DEFAULT_MILLI: u128 = 500;

/// The most that one transaction may cost on `chain_id`, wei.
pub fn fee_ceiling(chain_id: u64) -> Amount {
    let known = PER_CHAIN.iter().find(|(chain, _)| *chain == chain_id);
    let milli = known.map_or(DEFAULT_MILLI, |(_, milli)| *milli);
    Amount::from_u128(milli.saturating_mul(MILLI))
}

/// Chains that charge for their data on the first layer besides gas, outside every field that is signed.
const DATA_FEE_CHAINS: [u64; 10] = [10, 130, 252, 480, 8453, 34443, 60808, 81457, 534352, 7777777];

/// True where gas limit times price does not bound the whole fee.
pub fn has_data_fee(chain_id: u64) -> bool {
    DATA_FEE_CHAINS.contains(&chain_id)
}

/// EVM-FEE-1, EVM-FEE-2: gas limit times price, checked against the built-in ceilings.
pub fn checked_fee(chain_id: u64, gas_limit: u64, price: u128) -> Result<Amount, Refusal> {
    if !(GAS_LIMIT_MIN..=GAS_LIMIT_MAX).contains(&gas_limit) {
        let reason = format!("{gas_limit} is outside {GAS_LIMIT_MIN} to {GAS_LIMIT_MAX}");
        return Err(Refusal::Invalid { field: "gas limit", reason });
    }
    if price > PRICE_PER_GAS_MAX {
        let reason = format!("{price} wei, at most {PRICE_PER_GAS_MAX}");
        return Err(Refusal::Invalid { field: "price per gas", reason });
    }
    let fee = Amount::from_u128(price).checked_mul_u64(gas_limit).unwrap_or(Amount::MAX);
    within(fee, fee_ceiling(chain_id), "built-in")?;
    Ok(fee)
}

/// EVM-FEE-3: refuses a fee above `ceiling`.
pub fn within(fee: Amount, ceiling: Amount, which: &'static str) -> Result<(), Refusal> {
    match fee > ceiling {
        true => Err(Refusal::FeeOverCeiling { fee, ceiling, unit: "wei", which }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fee_bomb_is_refused_at_the_first_wei_above_the_ceiling() {
        let gwei = |n: u128| n * GWEI;
        let check = |chain, gas, price, code: &str| {
            let found = checked_fee(chain, gas, price).map_or_else(|e| e.code(), |_| "ok");
            assert_eq!(found, code, "{chain} {gas} {price}");
        };
        check(1, 5_000_000, gwei(100), "ok");
        check(1, 5_000_000, gwei(100) + 1, "fee_over_ceiling");
        check(1, 21_000, gwei(10_000), "ok");
        check(1, 21_000, gwei(10_000) + 1, "invalid_field");
        check(31337, 30_000_000, gwei(2), "ok");
        check(8453, 1_000_000, gwei(101), "fee_over_ceiling");
        check(137, 1_000_000, gwei(10_000), "ok");
        check(1, 20_999, gwei(1), "invalid_field");
        check(1, 100_000_001, 1, "invalid_field");
        check(1, u64::MAX, u128::MAX, "invalid_field");
        let (fee, ceiling) = (Amount::from_u64(9), Amount::from_u64(8));
        let says = within(fee, ceiling, "request").unwrap_err().to_string();
        assert_eq!(says, "the fee may reach 9 wei, the ceiling is 8 wei (request)");
    }
}
