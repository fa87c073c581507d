//! Calldata: ERC-20 transfer and approve are read, everything else is refused by name.
//!
//! Spec: `docs/spec/chains.md`, EVM-CALL. The Solidity decoder of a contract ignores dirty padding and trailing bytes;
//! we do not, because bytes that the chain ignores and a reader does not see can only carry a trick.

use crate::evm::address::{EvmAddress, to_text};
use crate::evm::refused_calls;
use crate::{Refusal, evm};
use model::amount::Amount;
use model::intent::Operation;

/// `transfer(address,uint256)`.
const TRANSFER: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];
/// `approve(address,uint256)`.
const APPROVE: [u8; 4] = [0x09, 0x5e, 0xa7, 0xb3];

/// From this amount on an approval counts as unlimited: no token has 2^128 of its smallest unit, and 2^256-2 must not
/// slip past a rule against 2^256-1.
const UNLIMITED_FROM: u128 = u128::MAX;

/// What a reader of an unlimited approval must know.
pub(crate) const UNLIMITED_NOTE: &str =
    "unlimited approval: the spender may take every token, now and later";

/// True for an approval that no balance can exhaust.
pub fn is_unlimited(amount: Amount) -> bool {
    amount > Amount::from_u128(UNLIMITED_FROM)
}

/// Calldata of an ERC-20 transfer.
pub fn transfer(to: &EvmAddress, amount: Amount) -> Vec<u8> {
    encode(TRANSFER, to, amount)
}

/// Calldata of an ERC-20 approval.
pub fn approve(spender: &EvmAddress, amount: Amount) -> Vec<u8> {
    encode(APPROVE, spender, amount)
}

fn encode(selector: [u8; 4], address: &EvmAddress, amount: Amount) -> Vec<u8> {
    let mut data = selector.to_vec();
    data.extend_from_slice(&[0; 12]);
    data.extend_from_slice(address);
    data.extend_from_slice(&amount.0);
    data
}

/// What a call of `to` with non-empty `data` does, and what a reader should notice.
pub fn decode(
    to: &EvmAddress,
    value: Amount,
    data: &[u8],
) -> Result<(Operation, Vec<String>), Refusal> {
    let unknown = || Refusal::UnknownCall {
        selector: format!("0x{}", hex::encode(data.get(..4).unwrap_or(data))),
        to: to_text(to),
    };
    let (selector, arguments) = data.split_first_chunk::<4>().ok_or_else(unknown)?;
    // EVM-CALL-1: two calls are read; EVM-CALL-3: the others are refused, by name where they have one.
    match *selector {
        TRANSFER => {
            let (recipient, amount) = address_and_amount("transfer", value, arguments)?;
            Ok(read_transfer(to, &recipient, amount))
        }
        APPROVE => {
            let (spender, amount) = address_and_amount("approve", value, arguments)?;
            Ok(read_approve(to, &spender, amount))
        }
        selector => Err(refused_calls::named(selector).unwrap_or_else(unknown)),
    }
}

fn read_transfer(
    token: &EvmAddress,
    recipient: &EvmAddress,
    amount: Amount,
) -> (Operation, Vec<String>) {
    let mut notes = Vec::new();
    if recipient == token {
        notes.push("the recipient is the token contract itself: tokens sent there are lost".into());
    }
    if *recipient == evm::ZERO_ADDRESS {
        notes.push("the recipient is the zero address: the tokens are destroyed".into());
    }
    let operation = Operation::TokenTransfer {
        token: to_text(token),
        to: to_text(recipient),
        amount,
        decimals: None,
    };
    (operation, notes)
}

fn read_approve(
    token: &EvmAddress,
    spender: &EvmAddress,
    amount: Amount,
) -> (Operation, Vec<String>) {
    let unlimited = is_unlimited(amount);
    let mut notes = vec!["if the token is an NFT contract, the amount is a token id".to_owned()];
    if unlimited {
        notes.push(UNLIMITED_NOTE.to_owned());
    }
    if amount == Amount::ZERO {
        notes.push("takes an earlier approval back".into());
    }
    let operation = Operation::TokenApprove {
        token: to_text(token),
        spender: to_text(spender),
        amount,
        unlimited,
        by_permit: false,
        deadline: None,
    };
    (operation, notes)
}

/// EVM-CALL-2: exactly two words, the first an address with zero padding, and no coin sent along.
fn address_and_amount(
    name: &'static str,
    value: Amount,
    arguments: &[u8],
) -> Result<(EvmAddress, Amount), Refusal> {
    if arguments.len() < 64 {
        let reason = format!("{} bytes of arguments where {name} has 64", arguments.len());
        return Err(Refusal::Malformed { format: "erc-20 call", reason });
    }
    let dirty = |what: &str| Refusal::DirtyBytes { place: format!("{what} of {name}") };
    let (words, trailing) = arguments.split_first_chunk::<64>().ok_or_else(|| dirty("bytes"))?;
    if !trailing.is_empty() {
        return Err(dirty("what follows the arguments"));
    }
    let (first, amount) = words.split_at(32);
    let (padding, address) = first.split_at(12);
    if padding.iter().any(|byte| *byte != 0) {
        return Err(dirty("the padding of the address"));
    }
    if value != Amount::ZERO {
        let reason = format!("{name} takes no coin, but {value} wei are sent along");
        return Err(Refusal::Invalid { field: "value", reason });
    }
    let address = EvmAddress::try_from(address).map_err(|_| dirty("the address"))?;
    let amount = <[u8; 32]>::try_from(amount).map_err(|_| dirty("the amount"))?;
    Ok((address, Amount(amount)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: EvmAddress = [0x11; 20];
    const OTHER: EvmAddress = [0x22; 20];

    fn code(value: u64, data: &[u8]) -> String {
        match decode(&TOKEN, Amount::from_u64(value), data) {
            Ok((operation, _)) => format!("{operation:?}").chars().take(12).collect(),
            Err(refusal) => refusal.code().to_owned(),
        }
    }

    #[test]
    fn an_erc20_call_reads_back_what_was_encoded() {
        let data = transfer(&OTHER, Amount::from_u64(5));
        let Ok((operation, notes)) = decode(&TOKEN, Amount::ZERO, &data) else {
            panic!("{data:?}")
        };
        let wanted = Operation::TokenTransfer {
            token: to_text(&TOKEN),
            to: to_text(&OTHER),
            amount: Amount::from_u64(5),
            decimals: None,
        };
        assert_eq!((operation, notes), (wanted, vec![]));
    }

    #[test]
    fn each_defect_of_calldata_has_its_refusal() {
        let good = transfer(&OTHER, Amount::from_u64(5));
        let with = |index: usize, byte: u8| {
            let mut data = good.clone();
            data[index] = byte;
            data
        };
        let longer = [good.as_slice(), &[0]].concat();
        assert_eq!(code(0, &good), "TokenTransfe");
        assert_eq!(code(0, &good[..67]), "malformed");
        assert_eq!(code(0, &longer), "dirty_bytes");
        assert_eq!(code(0, &with(4, 1)), "dirty_bytes");
        assert_eq!(code(0, &with(15, 0x80)), "dirty_bytes");
        assert_eq!(code(1, &good), "invalid_field");
        assert_eq!(code(0, &with(0, 0xaa)), "unknown_call");
        assert_eq!(code(0, &good[..3]), "unknown_call");
        assert_eq!(code(0, &[0x23, 0xb8, 0x72, 0xdd]), "forbidden");
    }

    #[test]
    fn an_unlimited_approval_is_flagged_also_just_below_the_largest_number() {
        let unlimited = |amount| match decode(&TOKEN, Amount::ZERO, &approve(&OTHER, amount)) {
            Ok((Operation::TokenApprove { unlimited, .. }, _)) => unlimited,
            other => panic!("{other:?}"),
        };
        assert!(unlimited(Amount::MAX));
        let mut nearly = Amount::MAX;
        nearly.0[31] = 0xfe;
        assert!(unlimited(nearly));
        assert!(!unlimited(Amount::from_u128(u128::MAX)));
    }
}
