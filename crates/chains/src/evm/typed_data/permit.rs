//! Messages that move or release tokens: EIP-2612 and DAI permits, Permit2, EIP-3009.
//!
//! Spec: `docs/spec/chains.md`, EVM-TYPED-6. A permit is an approval that costs no gas and shows up on no chain until it is
//! used, so it is recognised by its exact type, and a type that only calls itself a permit is refused.

use crate::Refusal;
use crate::evm::address::{EvmAddress, to_text};
use crate::evm::calldata::{self, is_unlimited};
use alloy_dyn_abi::DynSolValue;
use model::amount::Amount;
use model::intent::Operation;
use std::collections::BTreeMap;

const EIP_2612: &str =
    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)";
const DAI: &str =
    "Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)";
const PERMIT2_SINGLE: &str = "PermitSingle(PermitDetails details,address spender,\
uint256 sigDeadline)PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)";
const PERMIT2_BATCH: &str = "PermitBatch(PermitDetails[] details,address spender,\
uint256 sigDeadline)PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)";
const PERMIT2_TRANSFER: &str = "PermitTransferFrom(TokenPermissions permitted,address spender,\
uint256 nonce,uint256 deadline)TokenPermissions(address token,uint256 amount)";
const PERMIT2_BATCH_TRANSFER: &str = "PermitBatchTransferFrom(TokenPermissions[] permitted,\
address spender,uint256 nonce,uint256 deadline)TokenPermissions(address token,uint256 amount)";
const EIP_3009_TRANSFER: &str = "TransferWithAuthorization(address from,address to,uint256 value,\
uint256 validAfter,uint256 validBefore,bytes32 nonce)";
const EIP_3009_RECEIVE: &str = "ReceiveWithAuthorization(address from,address to,uint256 value,\
uint256 validAfter,uint256 validBefore,bytes32 nonce)";

/// What a recognised message does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recognised {
    /// Approvals or a transfer.
    pub operations: Vec<Operation>,
    /// Whose tokens; must be the signer. Permit2 takes the signer itself.
    pub owner: Option<EvmAddress>,
    /// What makes the message single-use.
    pub single_use: String,
    /// What a reader should notice.
    pub notes: Vec<String>,
}

/// The leaves of a message by path.
struct Leaves<'a>(BTreeMap<&'a str, &'a DynSolValue>);

impl Leaves<'_> {
    fn address(&self, path: &'static str) -> Result<EvmAddress, Refusal> {
        self.address_at(path, path)
    }
    fn address_at(&self, path: &str, name: &'static str) -> Result<EvmAddress, Refusal> {
        match self.0.get(path) {
            Some(DynSolValue::Address(address)) => Ok(address.0.0),
            _ => Err(Refusal::Missing(name)),
        }
    }
    fn number(&self, path: &'static str) -> Result<Amount, Refusal> {
        self.number_at(path, path)
    }
    fn number_at(&self, path: &str, name: &'static str) -> Result<Amount, Refusal> {
        match self.0.get(path) {
            Some(DynSolValue::Uint(number, _)) => Ok(Amount(number.to_be_bytes())),
            _ => Err(Refusal::Missing(name)),
        }
    }
}

/// Recognises a message by the exact encoding of its type. `Ok(None)`: none of these.
pub(crate) fn recognise(
    encoded_type: &str,
    verifying_contract: Option<EvmAddress>,
    leaves: &[(String, &DynSolValue)],
) -> Result<Option<Recognised>, Refusal> {
    let leaves = Leaves(leaves.iter().map(|(path, value)| (path.as_str(), *value)).collect());
    let token = || verifying_contract.ok_or(Refusal::Missing("verifyingContract"));
    match encoded_type {
        EIP_2612 => eip2612(token()?, &leaves).map(Some),
        DAI => dai(token()?, &leaves).map(Some),
        PERMIT2_SINGLE => permit2_allowance(token()?, &leaves, Shape::Single).map(Some),
        PERMIT2_BATCH => permit2_allowance(token()?, &leaves, Shape::Batch).map(Some),
        PERMIT2_TRANSFER => permit2_transfer(token()?, &leaves, Shape::Single).map(Some),
        PERMIT2_BATCH_TRANSFER => permit2_transfer(token()?, &leaves, Shape::Batch).map(Some),
        EIP_3009_TRANSFER | EIP_3009_RECEIVE => eip3009(token()?, &leaves).map(Some),
        other => {
            let name = other.split('(').next().unwrap_or_default().to_ascii_lowercase();
            let claims = ["permit", "transferwithauth", "receivewithauth", "approve"];
            match claims.iter().any(|claim| name.contains(claim)) {
                true => Err(Refusal::Forbidden {
                    what: "typed data that calls itself a permit or a transfer",
                    why: "its type is none that this build knows, so what it releases is unknown",
                }),
                false => Ok(None),
            }
        }
    }
}

fn approval(
    token: &EvmAddress,
    spender: &EvmAddress,
    amount: Amount,
    deadline: Amount,
) -> Operation {
    Operation::TokenApprove {
        token: to_text(token),
        spender: to_text(spender),
        amount,
        unlimited: is_unlimited(amount),
        by_permit: true,
        deadline: deadline.to_u64(),
    }
}

fn notes_of(operations: &[Operation]) -> Vec<String> {
    let mut notes = Vec::new();
    for operation in operations {
        let Operation::TokenApprove { unlimited, deadline, .. } = operation else { continue };
        if *unlimited {
            notes.push(calldata::UNLIMITED_NOTE.to_owned());
        }
        if deadline.is_none() {
            notes.push("the approval has no deadline".to_owned());
        }
    }
    notes.dedup();
    notes
}

fn eip2612(token: EvmAddress, leaves: &Leaves<'_>) -> Result<Recognised, Refusal> {
    let (spender, amount) = (leaves.address("spender")?, leaves.number("value")?);
    let operations = vec![approval(&token, &spender, amount, leaves.number("deadline")?)];
    Ok(Recognised {
        owner: Some(leaves.address("owner")?),
        single_use: format!("permit nonce {} of the token", leaves.number("nonce")?),
        notes: notes_of(&operations),
        operations,
    })
}

fn dai(token: EvmAddress, leaves: &Leaves<'_>) -> Result<Recognised, Refusal> {
    let allowed = match leaves.0.get("allowed") {
        Some(DynSolValue::Bool(allowed)) => *allowed,
        _ => return Err(Refusal::Missing("allowed")),
    };
    let amount = if allowed { Amount::MAX } else { Amount::ZERO };
    // DAI: expiry 0 means never.
    let expiry = Some(leaves.number("expiry")?).filter(|expiry| *expiry != Amount::ZERO);
    let spender = leaves.address("spender")?;
    let operations = vec![approval(&token, &spender, amount, expiry.unwrap_or(Amount::MAX))];
    Ok(Recognised {
        owner: Some(leaves.address("holder")?),
        single_use: format!("permit nonce {} of the token", leaves.number("nonce")?),
        notes: notes_of(&operations),
        operations,
    })
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    Single,
    Batch,
}

impl Shape {
    /// Prefixes of the items: `details`, or `details[0]`, `details[1]`, …
    fn items(self, field: &str, leaves: &Leaves<'_>) -> Vec<String> {
        match self {
            Self::Single => vec![field.to_owned()],
            Self::Batch => (0usize..)
                .map(|index| format!("{field}[{index}]"))
                .take_while(|item| leaves.0.contains_key(format!("{item}.token").as_str()))
                .collect(),
        }
    }
}

fn permit2_allowance(
    verifier: EvmAddress,
    leaves: &Leaves<'_>,
    shape: Shape,
) -> Result<Recognised, Refusal> {
    let spender = leaves.address("spender")?;
    let mut operations = Vec::new();
    let mut nonces = Vec::new();
    for item in shape.items("details", leaves) {
        let token = leaves.address_at(&format!("{item}.token"), "token")?;
        let amount = leaves.number_at(&format!("{item}.amount"), "amount")?;
        let expiration = leaves.number_at(&format!("{item}.expiration"), "expiration")?;
        nonces.push(leaves.number_at(&format!("{item}.nonce"), "nonce")?.to_string());
        operations.push(approval(&token, &spender, amount, expiration));
    }
    permit2(verifier, operations, leaves.number("sigDeadline")?, &nonces.join(", "))
}

fn permit2_transfer(
    verifier: EvmAddress,
    leaves: &Leaves<'_>,
    shape: Shape,
) -> Result<Recognised, Refusal> {
    let (spender, deadline) = (leaves.address("spender")?, leaves.number("deadline")?);
    let mut operations = Vec::new();
    for item in shape.items("permitted", leaves) {
        let token = leaves.address_at(&format!("{item}.token"), "token")?;
        let amount = leaves.number_at(&format!("{item}.amount"), "amount")?;
        operations.push(approval(&token, &spender, amount, deadline));
    }
    permit2(verifier, operations, deadline, &leaves.number("nonce")?.to_string())
}

fn permit2(
    verifier: EvmAddress,
    operations: Vec<Operation>,
    signature_deadline: Amount,
    nonces: &str,
) -> Result<Recognised, Refusal> {
    if operations.is_empty() {
        return Err(Refusal::Invalid {
            field: "message",
            reason: "a permit for no token".to_owned(),
        });
    }
    let mut notes = notes_of(&operations);
    let verifier = to_text(&verifier);
    notes.push(format!("through the allowances of {verifier} (Permit2)"));
    notes.push(format!("the signature itself is valid until {signature_deadline} (seconds)"));
    Ok(Recognised { operations, owner: None, single_use: format!("Permit2 nonce {nonces}"), notes })
}

fn eip3009(token: EvmAddress, leaves: &Leaves<'_>) -> Result<Recognised, Refusal> {
    let to = leaves.address("to")?;
    let (after, before) = (leaves.number("validAfter")?, leaves.number("validBefore")?);
    let nonce = match leaves.0.get("nonce") {
        Some(DynSolValue::FixedBytes(word, 32)) => hex::encode(word),
        _ => return Err(Refusal::Missing("nonce")),
    };
    Ok(Recognised {
        operations: vec![Operation::TokenTransfer {
            token: to_text(&token),
            to: to_text(&to),
            amount: leaves.number("value")?,
            decimals: None,
        }],
        owner: Some(leaves.address("from")?),
        single_use: format!("authorization nonce 0x{nonce} of the token"),
        notes: vec![
            "a transfer by signature (EIP-3009): whoever holds it may submit it".to_owned(),
            format!("valid after {after} and before {before} (seconds)"),
        ],
    })
}
