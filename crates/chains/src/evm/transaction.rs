//! Unsigned transactions: legacy (EIP-155), EIP-2930 and EIP-1559, read strictly.
//!
//! Spec: `docs/spec/chains.md`, EVM-TX. One transaction has one spelling here: what was read is written again and must
//! give the same bytes, so the sighash is the hash of the bytes that were shown.
//! Absent on purpose: blobs (EIP-4844) and code delegation (EIP-7702).

use crate::Refusal;
use crate::evm::address::{EvmAddress, to_text};
use crate::evm::{ZERO_ADDRESS, calldata, ceiling};
use alloy_consensus::transaction::{RlpEcdsaDecodableTx, SignableTransaction};
use alloy_consensus::{TxEip1559, TxEip2930, TxLegacy};
use alloy_eips::eip2930::AccessList;
use alloy_primitives::{Bytes, TxKind, U256, keccak256};
use alloy_rlp::{Decodable, Header};
use model::amount::Amount;
use model::intent::{Fee, Intent, Network, Operation};
use model::limits::TRANSACTION_BYTES_MAX;

const FORMAT: &str = "an unsigned EVM transaction";
/// EIP-2294: the largest chain id whose `v` fits 64 bits.
const CHAIN_ID_MAX: u64 = u64::MAX / 2 - 36;

/// An unsigned transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transaction {
    /// EIP-155.
    Legacy(TxLegacy),
    /// With an access list.
    Eip2930(TxEip2930),
    /// With a fee cap and a tip.
    Eip1559(TxEip1559),
}

/// The fields that every type has.
#[derive(Debug, Clone, Copy)]
pub struct Common<'a> {
    /// EIP-155 chain id; zero when a legacy transaction has none.
    pub chain_id: u64,
    /// Account nonce.
    pub nonce: u64,
    /// Gas limit.
    pub gas_limit: u64,
    /// Wei per gas at most.
    pub price: u128,
    /// Wei per gas for the block's producer at most.
    pub tip: Option<u128>,
    /// Recipient; none creates a contract.
    pub to: Option<EvmAddress>,
    /// Wei.
    pub value: Amount,
    /// Calldata or init code.
    pub data: &'a Bytes,
    /// Access list.
    pub access_list: Option<&'a AccessList>,
}

impl Transaction {
    /// Reads unsigned bytes: RLP with `chainId, 0, 0` at the end, or an EIP-2718 envelope of type 1 or 2.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > TRANSACTION_BYTES_MAX {
            return Err(Refusal::TooLong { found: bytes.len(), max: TRANSACTION_BYTES_MAX });
        }
        // The smallest legacy transaction has 32 bytes too, so a digest is what does not decode.
        Self::parse_any(bytes).map_err(|refusal| match bytes.len() {
            32 => Refusal::RawDigest,
            _ => refusal,
        })
    }

    fn parse_any(bytes: &[u8]) -> Result<Self, Refusal> {
        let (first, rest) = bytes.split_first().ok_or_else(|| malformed("no bytes"))?;
        // EVM-TX-1: the three types, each other one refused by its name.
        let transaction = match first {
            0x01 => typed(rest).map(Self::Eip2930)?,
            0x02 => typed(rest).map(Self::Eip1559)?,
            0x03 => {
                return Err(Refusal::Forbidden {
                    what: "a blob transaction (EIP-4844)",
                    why: "its blobs are not in the bytes",
                });
            }
            0x04 => {
                return Err(Refusal::Forbidden {
                    what: "a code delegation (EIP-7702)",
                    why: "one signature hands the whole account to somebody's code",
                });
            }
            0xc0..=0xff => legacy(bytes).map(Self::Legacy)?,
            0x80..=0xbf => return Err(malformed("an RLP string where a list is wanted")),
            _ => {
                return Err(Refusal::Forbidden {
                    what: "a transaction type that this build does not know",
                    why: "nothing is signed blind",
                });
            }
        };
        // EVM-TX-3: one spelling.
        match transaction.to_bytes() == bytes {
            true => Ok(transaction),
            false => Err(malformed("not the canonical encoding")),
        }
    }

    /// The unsigned bytes; their keccak256 is the sighash.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Legacy(tx) => tx.encoded_for_signing(),
            Self::Eip2930(tx) => tx.encoded_for_signing(),
            Self::Eip1559(tx) => tx.encoded_for_signing(),
        }
    }

    /// What is signed.
    pub fn sighash(&self) -> [u8; 32] {
        keccak256(self.to_bytes()).0
    }

    /// The fields that every type has.
    pub fn common(&self) -> Common<'_> {
        match self {
            Self::Legacy(tx) => Common {
                chain_id: tx.chain_id.unwrap_or_default(),
                nonce: tx.nonce,
                gas_limit: tx.gas_limit,
                price: tx.gas_price,
                tip: None,
                to: recipient(&tx.to),
                value: amount(tx.value),
                data: &tx.input,
                access_list: None,
            },
            Self::Eip2930(tx) => Common {
                chain_id: tx.chain_id,
                nonce: tx.nonce,
                gas_limit: tx.gas_limit,
                price: tx.gas_price,
                tip: None,
                to: recipient(&tx.to),
                value: amount(tx.value),
                data: &tx.input,
                access_list: Some(&tx.access_list),
            },
            Self::Eip1559(tx) => Common {
                chain_id: tx.chain_id,
                nonce: tx.nonce,
                gas_limit: tx.gas_limit,
                price: tx.max_fee_per_gas,
                tip: Some(tx.max_priority_fee_per_gas),
                to: recipient(&tx.to),
                value: amount(tx.value),
                data: &tx.input,
                access_list: Some(&tx.access_list),
            },
        }
    }

    /// Raw signed bytes, ready to broadcast. `odd_y` is the recovery bit.
    pub fn signed(self, r: [u8; 32], s: [u8; 32], odd_y: bool) -> Vec<u8> {
        let number = U256::from_be_bytes::<32>;
        let signature = alloy_primitives::Signature::new(number(r), number(s), odd_y);
        let mut raw = Vec::new();
        match self {
            Self::Legacy(tx) => tx.into_signed(signature).eip2718_encode(&mut raw),
            Self::Eip2930(tx) => tx.into_signed(signature).eip2718_encode(&mut raw),
            Self::Eip1559(tx) => tx.into_signed(signature).eip2718_encode(&mut raw),
        }
        raw
    }

    fn format(&self) -> &'static str {
        match self {
            Self::Legacy(_) => "evm-legacy",
            Self::Eip2930(_) => "evm-2930",
            Self::Eip1559(_) => "evm-1559",
        }
    }

    /// What the transaction does, within the built-in ceilings. The signer is not in the bytes.
    pub fn intent(&self) -> Result<Intent, Refusal> {
        let common = self.common();
        let fee = check_fields(&common)?;
        let (operation, mut notes) = operation(&common)?;
        if let Some(list) = common.access_list.filter(|list| !list.0.is_empty()) {
            let keys = list.storage_keys_count();
            notes.push(format!("access list: {} addresses, {keys} storage keys", list.0.len()));
        }
        if ceiling::has_data_fee(common.chain_id) {
            notes.push(
                "this chain charges a data fee besides gas; no signed field bounds it".into(),
            );
        }
        Ok(Intent {
            network: Network::Evm(common.chain_id),
            format: self.format().to_owned(),
            from: Vec::new(),
            operations: vec![operation],
            fee: Fee { at_most: fee, detail: fee_detail(&common) },
            single_use: format!("nonce {}", common.nonce),
            notes,
        })
    }
}

/// EVM-TX-4: every field within its bounds; returns the most that gas can cost.
fn check_fields(common: &Common<'_>) -> Result<Amount, Refusal> {
    let invalid = |field, reason: String| Err(Refusal::Invalid { field, reason });
    if !(1..=CHAIN_ID_MAX).contains(&common.chain_id) {
        return invalid("chain id", format!("{} is outside EIP-2294", common.chain_id));
    }
    if common.nonce == u64::MAX {
        return invalid("nonce", "2^64-1 can never be used (EIP-2681)".to_owned());
    }
    if let Some(tip) = common.tip.filter(|tip| *tip > common.price) {
        return invalid("tip", format!("{tip} wei is over the fee cap of {}", common.price));
    }
    ceiling::checked_fee(common.chain_id, common.gas_limit, common.price)
}

fn operation(common: &Common<'_>) -> Result<(Operation, Vec<String>), Refusal> {
    match common.to {
        // Without code, money sent to a creation is lost: a forgotten recipient, not a wish.
        None if common.data.is_empty() => Err(Refusal::Invalid {
            field: "to",
            reason: "no recipient and no init code".to_owned(),
        }),
        None => {
            let operation = Operation::ContractCreation {
                init_code_hash: hex::encode(keccak256(common.data)),
                init_code_bytes: u64::try_from(common.data.len()).unwrap_or(u64::MAX),
                value: common.value,
            };
            Ok((operation, vec!["new code is put on chain; what it does is not decoded".into()]))
        }
        Some(to) if common.data.is_empty() => {
            let mut notes = Vec::new();
            if to == ZERO_ADDRESS {
                notes.push("the recipient is the zero address: the coin is destroyed".to_owned());
            }
            Ok((Operation::NativeTransfer { to: to_text(&to), amount: common.value }, notes))
        }
        Some(to) => calldata::decode(&to, common.value, common.data),
    }
}

fn fee_detail(common: &Common<'_>) -> String {
    let gwei = |wei: u128| Amount::from_u128(wei).with_decimals(9);
    let (gas, price) = (common.gas_limit, gwei(common.price));
    match common.tip {
        None => format!("gas limit {gas}, {price} gwei per gas"),
        Some(tip) => {
            format!("gas limit {gas}, at most {price} gwei per gas, tip at most {} gwei", gwei(tip))
        }
    }
}

fn malformed(reason: &str) -> Refusal {
    Refusal::Malformed { format: FORMAT, reason: reason.to_owned() }
}

fn rlp(error: alloy_rlp::Error) -> Refusal {
    malformed(&error.to_string())
}

/// EVM-TX-2: the fields of the one list in `bytes`; nothing may follow it.
fn list(bytes: &[u8]) -> Result<&[u8], Refusal> {
    let mut rest = bytes;
    let fields = Header::decode_bytes(&mut rest, true).map_err(rlp)?;
    match rest.is_empty() {
        true => Ok(fields),
        false => Err(Refusal::DirtyBytes { place: "what follows the transaction".to_owned() }),
    }
}

fn typed<T: RlpEcdsaDecodableTx>(bytes: &[u8]) -> Result<T, Refusal> {
    let mut fields = list(bytes)?;
    let transaction = T::rlp_decode_fields(&mut fields).map_err(rlp)?;
    match fields.is_empty() {
        true => Ok(transaction),
        false => Err(malformed("more fields than an unsigned transaction has; is it signed?")),
    }
}

fn legacy(bytes: &[u8]) -> Result<TxLegacy, Refusal> {
    let mut fields = list(bytes)?;
    let mut transaction = TxLegacy::rlp_decode_fields(&mut fields).map_err(rlp)?;
    if fields.is_empty() {
        return Err(Refusal::Forbidden {
            what: "a transaction without chain id (before EIP-155)",
            why: "it could be mined on every EVM chain",
        });
    }
    transaction.chain_id = Some(u64::decode(&mut fields).map_err(rlp)?);
    for _ in ["r", "s"] {
        if U256::decode(&mut fields).map_err(rlp)? != U256::ZERO {
            return Err(malformed("a signature where EIP-155 wants zeros; is it signed?"));
        }
    }
    match fields.is_empty() {
        true => Ok(transaction),
        false => Err(malformed("more fields than a legacy transaction has")),
    }
}

fn recipient(to: &TxKind) -> Option<EvmAddress> {
    to.to().map(|address| address.0.0)
}

fn amount(value: U256) -> Amount {
    Amount(value.to_be_bytes())
}
