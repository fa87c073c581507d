//! The instructions that have words: a few of the System, SPL Token, Associated Token Account, Compute Budget and Memo
//! programs. Every other instruction is refused with its program's name.
//!
//! Data has an exact length, accounts an exact number, and whoever must consent is the message's only signer.

use super::message::Call;
use crate::Refusal;
use ed25519_dalek::VerifyingKey;
use model::amount::Amount;
use model::hash;
use model::intent::Operation;
use solana_pubkey::{Pubkey, pubkey};

pub(super) const SYSTEM: Pubkey = pubkey!("11111111111111111111111111111111");
pub(super) const TOKEN: Pubkey = pubkey!("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
pub(super) const TOKEN_2022: Pubkey = pubkey!("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");
const ASSOCIATED: Pubkey = pubkey!("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");
const COMPUTE_BUDGET: Pubkey = pubkey!("ComputeBudget111111111111111111111111111111");
const MEMO: Pubkey = pubkey!("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");
const MEMO_V1: Pubkey = pubkey!("Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo");
pub(super) const RECENT_BLOCKHASHES: Pubkey =
    pubkey!("SysvarRecentB1ockHashes11111111111111111111");

/// System program: `Transfer`.
pub(super) const SYSTEM_TRANSFER: u32 = 2;
/// System program: `AdvanceNonceAccount`.
pub(super) const SYSTEM_ADVANCE_NONCE: u32 = 4;
/// SPL Token: `TransferChecked`.
pub(super) const TOKEN_TRANSFER_CHECKED: u8 = 12;
const TOKEN_TRANSFER: u8 = 3;
const TOKEN_APPROVE: u8 = 4;
const TOKEN_APPROVE_CHECKED: u8 = 13;

/// Compute units that a transaction may use at most.
const UNITS_MAX: u32 = 1_400_000;
/// Compute units of an instruction where the message sets no limit.
const UNITS_DEFAULT: u32 = 200_000;

/// What the instructions come to.
#[derive(Default)]
pub(super) struct Decoded {
    pub operations: Vec<Operation>,
    pub notes: Vec<String>,
    pub unit_limit: Option<u32>,
    /// Millionths of a lamport per compute unit.
    pub unit_price: Option<u64>,
    heap: Option<u32>,
    loaded_bytes: Option<u32>,
    /// Instructions that use compute units.
    calls: u32,
}

impl Decoded {
    /// The most that priority can cost, lamports, rounded up. Saturates high: a refusal, never a low estimate.
    pub(super) fn priority_fee(&self) -> u64 {
        let default = UNITS_DEFAULT.saturating_mul(self.calls);
        let units = self.unit_limit.unwrap_or(default).min(UNITS_MAX);
        let price = u128::from(self.unit_price.unwrap_or_default());
        let micro = price.saturating_mul(u128::from(units));
        u64::try_from(micro.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }
}

/// Decodes every instruction.
pub(super) fn decode(payer: Pubkey, calls: &[Call]) -> Result<Decoded, Refusal> {
    let mut decoded = Decoded::default();
    for (index, call) in calls.iter().enumerate() {
        if call.program == COMPUTE_BUDGET {
            compute_budget(call, &mut decoded)?;
            continue;
        }
        decoded.calls = decoded.calls.saturating_add(1);
        let operation = match call.program {
            SYSTEM => system(payer, index, call)?,
            TOKEN | TOKEN_2022 => token(payer, call, &mut decoded.notes)?,
            ASSOCIATED => associated(payer, call, &mut decoded.notes)?,
            MEMO | MEMO_V1 => memo(payer, call)?,
            _ => return Err(unknown(call)),
        };
        decoded.operations.push(operation);
    }
    match decoded.operations.is_empty() {
        true => Err(Refusal::Missing("an instruction that does something")),
        false => Ok(decoded),
    }
}

fn unknown(call: &Call) -> Refusal {
    let selector = call.data.get(..4).unwrap_or(&call.data);
    let selector = format!("0x{}", hex::encode(selector));
    Refusal::UnknownCall { selector, to: call.program.to_string() }
}

fn accounts<const N: usize>(call: &Call, name: &'static str) -> Result<[Pubkey; N], Refusal> {
    <[Pubkey; N]>::try_from(call.accounts.as_slice()).map_err(|_| Refusal::Invalid {
        field: name,
        reason: format!("{} accounts, {N} are read", call.accounts.len()),
    })
}

/// The consenting account must be the signer, else the words would name an act that is not this vault's.
fn by_payer(payer: Pubkey, found: Pubkey, name: &'static str) -> Result<(), Refusal> {
    match found == payer {
        true => Ok(()),
        false => Err(Refusal::Invalid {
            field: name,
            reason: format!("{found} would have to sign, the signer is {payer}"),
        }),
    }
}

fn number<const N: usize>(call: &Call, bytes: &[u8]) -> Result<[u8; N], Refusal> {
    bytes.try_into().map_err(|_| Refusal::DirtyBytes {
        place: format!("the data of an instruction of {}", call.program),
    })
}

/// SOL-3: `Transfer` and, as the first instruction only, `AdvanceNonceAccount`.
fn system(payer: Pubkey, index: usize, call: &Call) -> Result<Operation, Refusal> {
    let (tag, rest) = call.data.split_first_chunk::<4>().ok_or_else(|| unknown(call))?;
    match u32::from_le_bytes(*tag) {
        SYSTEM_TRANSFER => {
            let lamports = u64::from_le_bytes(number(call, rest)?);
            let [from, to] = accounts(call, "system transfer")?;
            by_payer(payer, from, "system transfer")?;
            let amount = Amount::from_u64(lamports);
            Ok(Operation::NativeTransfer { to: to.to_string(), amount })
        }
        SYSTEM_ADVANCE_NONCE if index == 0 => {
            let [] = number(call, rest)?;
            let [nonce, sysvar, authority] = accounts(call, "nonce advance")?;
            by_payer(payer, authority, "nonce advance")?;
            if sysvar != RECENT_BLOCKHASHES {
                let reason = format!("{sysvar} is not the recent blockhashes sysvar");
                return Err(Refusal::Invalid { field: "nonce advance", reason });
            }
            let (account, authority) = (nonce.to_string(), authority.to_string());
            Ok(Operation::AdvanceNonce { account, authority })
        }
        SYSTEM_ADVANCE_NONCE => Err(Refusal::Forbidden {
            what: "a nonce advance after the first instruction",
            why: "the transaction would not be durable, but spoil one that is",
        }),
        _ => Err(unknown(call)),
    }
}

/// SOL-4: `TransferChecked`, `Approve` and `ApproveChecked` of both token programs.
fn token(payer: Pubkey, call: &Call, notes: &mut Vec<String>) -> Result<Operation, Refusal> {
    let (tag, rest) = call.data.split_first().ok_or_else(|| unknown(call))?;
    let operation = match *tag {
        TOKEN_TRANSFER_CHECKED => {
            let (units, decimals) = units_and_decimals(call, rest)?;
            let [source, mint, destination, owner] = accounts(call, "token transfer")?;
            by_payer(payer, owner, "token transfer")?;
            notes.push(format!("the tokens leave token account {source}"));
            Operation::TokenTransfer {
                token: mint.to_string(),
                to: destination.to_string(),
                amount: Amount::from_u64(units),
                decimals: Some(decimals),
            }
        }
        TOKEN_APPROVE_CHECKED => {
            let (units, _decimals) = units_and_decimals(call, rest)?;
            let [source, mint, delegate, owner] = accounts(call, "token approval")?;
            by_payer(payer, owner, "token approval")?;
            notes.push(format!("the approval is over token account {source}"));
            approval(mint.to_string(), delegate, units)
        }
        TOKEN_APPROVE => {
            let units = u64::from_le_bytes(number(call, rest)?);
            let [source, delegate, owner] = accounts(call, "token approval")?;
            by_payer(payer, owner, "token approval")?;
            notes.push(format!("the bytes do not name the mint; token account {source} stands"));
            approval(source.to_string(), delegate, units)
        }
        TOKEN_TRANSFER => {
            return Err(Refusal::Forbidden {
                what: "a token transfer that names no mint",
                why: "nobody can read which token moves; use TransferChecked",
            });
        }
        _ => return Err(unknown(call)),
    };
    if call.program == TOKEN_2022 {
        notes.push("Token-2022: extensions of the mint may take a fee or run a hook".to_owned());
    }
    Ok(operation)
}

fn units_and_decimals(call: &Call, rest: &[u8]) -> Result<(u64, u8), Refusal> {
    let bytes: [u8; 9] = number(call, rest)?;
    let [a, b, c, d, e, f, g, h, decimals] = bytes;
    Ok((u64::from_le_bytes([a, b, c, d, e, f, g, h]), decimals))
}

fn approval(token: String, delegate: Pubkey, units: u64) -> Operation {
    Operation::TokenApprove {
        token,
        spender: delegate.to_string(),
        amount: Amount::from_u64(units),
        unlimited: units == u64::MAX,
        by_permit: false,
        deadline: None,
    }
}

/// SOL-5: `Create` and `CreateIdempotent`, whose new account must be the derived one.
fn associated(payer: Pubkey, call: &Call, notes: &mut Vec<String>) -> Result<Operation, Refusal> {
    if !matches!(call.data.as_slice(), [] | [0] | [1]) {
        return Err(unknown(call));
    }
    let [funder, account, owner, mint, system, token] = accounts(call, "token account creation")?;
    by_payer(payer, funder, "token account creation")?;
    let invalid = |reason: String| Refusal::Invalid { field: "token account creation", reason };
    if system != SYSTEM || !matches!(token, TOKEN | TOKEN_2022) {
        return Err(invalid(format!("{system} and {token} are not the programs it needs")));
    }
    match associated_account(owner, mint, token) {
        Some(derived) if derived == account => {}
        _ => return Err(invalid(format!("{account} is not the account of {owner} for {mint}"))),
    }
    notes.push(format!("the rent of token account {account} is paid besides the fee"));
    Ok(Operation::CreateTokenAccount {
        owner: owner.to_string(),
        mint: mint.to_string(),
        account: account.to_string(),
    })
}

/// The associated token account: the first program-derived address, bump from 255 down, that is no curve point.
pub(super) fn associated_account(owner: Pubkey, mint: Pubkey, token: Pubkey) -> Option<Pubkey> {
    (0..=u8::MAX).rev().find_map(|bump| {
        let seeds = [owner.to_bytes(), token.to_bytes(), mint.to_bytes()].concat();
        let tail = [&[bump][..], &ASSOCIATED.to_bytes(), b"ProgramDerivedAddress"].concat();
        let address = hash::sha256(&[seeds, tail].concat());
        VerifyingKey::from_bytes(&address).is_err().then(|| Pubkey::from(address))
    })
}

/// SOL-6: each setting at most once, as the runtime demands.
fn compute_budget(call: &Call, decoded: &mut Decoded) -> Result<(), Refusal> {
    let [] = accounts(call, "compute budget")?;
    let (tag, rest) = call.data.split_first().ok_or_else(|| unknown(call))?;
    match *tag {
        1 => once(&mut decoded.heap, u32::from_le_bytes(number(call, rest)?)),
        2 => once(&mut decoded.unit_limit, u32::from_le_bytes(number(call, rest)?)),
        3 => once(&mut decoded.unit_price, u64::from_le_bytes(number(call, rest)?)),
        4 => once(&mut decoded.loaded_bytes, u32::from_le_bytes(number(call, rest)?)),
        _ => Err(unknown(call)),
    }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Refusal> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refusal::Invalid {
            field: "compute budget",
            reason: "a setting stands twice".to_owned(),
        }),
    }
}

/// SOL-7: a memo moves nothing; accounts it names must have signed, so only the payer may stand there.
fn memo(payer: Pubkey, call: &Call) -> Result<Operation, Refusal> {
    for account in &call.accounts {
        by_payer(payer, *account, "memo")?;
    }
    Ok(Operation::Data { bytes: hex::encode(&call.data) })
}
