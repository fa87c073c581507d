//! Made-up coins for demo and benches: payments to the vault that no chain has seen.

use crate::error::CommandError;
use bitcoin::hashes::Hash;
use bitcoin::{
    Address, Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness,
    absolute, transaction,
};

/// A coin and the transaction that pretends to have made it.
pub(crate) struct MadeUpCoin {
    /// The whole transaction, hex.
    pub(crate) transaction: String,
    /// Its only output.
    pub(crate) output: TxOut,
}

/// 32 random bytes, for what a chain would have told.
pub(crate) fn random_hash() -> Result<[u8; 32], CommandError> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes)
        .map_err(|e| CommandError::unavailable("entropy", format!("no random bytes: {e}")))?;
    Ok(bytes)
}

/// A coin of `satoshi` at `address`, different each time.
pub(crate) fn made_up_coin(address: &str, satoshi: u64) -> Result<MadeUpCoin, CommandError> {
    let address: Address<_> = address
        .parse()
        .map_err(|e| CommandError::bug(format!("`{address}` is no Bitcoin address: {e}")))?;
    let script_pubkey = address.assume_checked().script_pubkey();
    let output = TxOut { value: Amount::from_sat(satoshi), script_pubkey };
    let previous_output = OutPoint { txid: Txid::from_byte_array(random_hash()?), vout: 0 };
    let transaction = Transaction {
        version: transaction::Version::TWO,
        lock_time: absolute::LockTime::ZERO,
        input: vec![TxIn {
            previous_output,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        }],
        output: vec![output.clone()],
    };
    let transaction = bitcoin::consensus::encode::serialize_hex(&transaction);
    Ok(MadeUpCoin { transaction, output })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_coins_of_one_address_differ() {
        let address = "bcrt1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqvg32hk";
        let (one, two) = (made_up_coin(address, 5).unwrap(), made_up_coin(address, 5).unwrap());
        assert_ne!(one.transaction, two.transaction);
        assert_eq!(one.output, two.output);
    }
}
