//! An intent's operations in the words of rules.

use model::amount::Amount;
use model::charter::OperationClass;
use model::intent::{self, Intent};

/// What a rule sees of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its class.
    pub class: OperationClass,
    /// `native`, or the token's contract or mint as the intent spells it.
    pub asset: String,
    /// Who receives, may spend, or will verify; `None` for what has no counterpart.
    pub to: Option<String>,
    /// Smallest units; `None` for what moves nothing countable.
    pub amount: Option<Amount>,
    /// First four bytes of calldata.
    pub selector: Option<[u8; 4]>,
}

const NATIVE: &str = "native";

/// The operations that rules must allow. Change, memos and the advance of a durable nonce move nothing to anybody, so
/// they need no rule; an intent of nothing else is empty here and denied.
pub fn operations_of(intent: &Intent) -> Vec<Operation> {
    operations_in(&intent.operations)
}

/// See [`operations_of`].
pub fn operations_in(operations: &[intent::Operation]) -> Vec<Operation> {
    operations.iter().filter_map(operation_of).collect()
}

fn operation_of(operation: &intent::Operation) -> Option<Operation> {
    use intent::Operation as O;
    let row = |class, asset: &str, to: Option<&String>, amount| {
        Some(Operation { class, asset: asset.to_owned(), to: to.cloned(), amount, selector: None })
    };
    match operation {
        O::NativeTransfer { to, amount } => {
            row(OperationClass::NativeTransfer, NATIVE, Some(to), Some(*amount))
        }
        O::TokenTransfer { token, to, amount, .. } => {
            row(OperationClass::TokenTransfer, token, Some(to), Some(*amount))
        }
        O::TokenApprove { token, spender, amount, unlimited, by_permit, .. } => {
            let class = match (by_permit, unlimited) {
                (true, _) => OperationClass::Permit,
                (false, true) => OperationClass::TokenApproveUnlimited,
                (false, false) => OperationClass::TokenApprove,
            };
            row(class, token, Some(spender), Some(*amount))
        }
        O::ContractCreation { value, .. } => {
            row(OperationClass::ContractCreation, NATIVE, None, Some(*value))
        }
        O::TypedData { verifying_contract, .. } => {
            row(OperationClass::TypedData, "", verifying_contract.as_ref(), None)
        }
        O::Message { .. } => row(OperationClass::Message, "", None, None),
        O::CreateTokenAccount { owner, mint, .. } => {
            row(OperationClass::CreateTokenAccount, mint, Some(owner), None)
        }
        O::Change { .. } | O::Data { .. } | O::AdvanceNonce { .. } => None,
    }
}
