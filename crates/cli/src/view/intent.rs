//! An intent in sentences.

use crate::units;
use model::amount::Amount;
use model::intent::{Intent, Network, Operation};

/// One sentence per operation, then the fee.
pub(crate) fn sentences(intent: &Intent) -> Vec<String> {
    let mut lines: Vec<String> =
        intent.operations.iter().map(|op| operation(op, intent.network)).collect();
    if intent.fee.at_most != Amount::ZERO {
        lines.push(format!("fee at most {}", units::show(intent.fee.at_most, intent.network)));
    }
    lines
}

/// Everything a reader of raw bytes wants to see.
pub(crate) fn full(intent: &Intent) -> String {
    let mut lines = vec![format!("{} on {}", intent.format, intent.network)];
    if !intent.from.is_empty() {
        lines.push(format!("  from    {}", intent.from.join(", ")));
    }
    lines.extend(
        intent.operations.iter().map(|op| format!("  does    {}", operation(op, intent.network))),
    );
    if intent.fee.at_most != Amount::ZERO {
        let most = units::show(intent.fee.at_most, intent.network);
        lines.push(format!("  fee     at most {most} ({})", intent.fee.detail));
    }
    if !intent.single_use.is_empty() {
        lines.push(format!("  once    {}", intent.single_use));
    }
    lines.extend(intent.notes.iter().map(|note| format!("  note    {note}")));
    lines.join("\n")
}

fn operation(operation: &Operation, network: Network) -> String {
    match operation {
        Operation::NativeTransfer { to, amount } => {
            format!("send {} to {to}", units::show(*amount, network))
        }
        Operation::TokenTransfer { token, to, amount, decimals } => {
            format!("send {} of token {token} to {to}", tokens(*amount, *decimals))
        }
        Operation::TokenApprove { .. } => approve(operation),
        Operation::ContractCreation { init_code_hash, init_code_bytes, value } => {
            let sum = units::show(*value, network);
            format!("create a contract with {sum}: {init_code_bytes} bytes, hash {init_code_hash}")
        }
        Operation::TypedData { domain_name, verifying_contract, primary_type, fields } => {
            let whom = domain_name.as_deref().unwrap_or("an unnamed application");
            let place = verifying_contract.as_deref().unwrap_or("no contract named");
            let fields: String =
                fields.iter().map(|(k, v)| format!("\n            {k} = {v}")).collect();
            format!("sign a {primary_type} for {whom} ({place}){fields}")
        }
        Operation::Message { text } => format!("sign the message {text:?}; no money moves"),
        Operation::Change { to, amount, path } => {
            format!("{} come back to this vault, {to} at {path}", units::show(*amount, network))
        }
        Operation::Data { bytes } => format!("carry the data {bytes}; no money moves"),
        Operation::AdvanceNonce { account, .. } => {
            format!("use up the durable nonce {account}: stays valid until it is sent or cancelled")
        }
        Operation::CreateTokenAccount { owner, mint, account } => {
            format!("open token account {account} for {owner}, token {mint}")
        }
    }
}

fn approve(operation: &Operation) -> String {
    let Operation::TokenApprove { token, spender, amount, unlimited, by_permit, deadline } =
        operation
    else {
        return String::new();
    };
    let sum = if *unlimited { "ANY AMOUNT".to_owned() } else { tokens(*amount, None) };
    let way = if *by_permit { ", by a signed permit" } else { "" };
    let until = deadline.map(|d| format!(" until {d} (seconds since 1970)")).unwrap_or_default();
    format!("let {spender} take {sum} of token {token}{until}{way}")
}

fn tokens(amount: Amount, decimals: Option<u8>) -> String {
    match decimals {
        Some(decimals) => amount.with_decimals(decimals),
        None => format!("{amount} smallest units"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(op: Operation, network: &str) -> String {
        operation(&op, network.parse().unwrap())
    }

    #[test]
    fn operations_read_as_sentences() {
        let amount = Amount::parse_decimal("1.5", 18).unwrap();
        let send = Operation::NativeTransfer { to: "0x7099".into(), amount };
        assert_eq!(say(send, "evm:1"), "send 1.5 ETH to 0x7099");
        let approve = Operation::TokenApprove {
            token: "0xT".into(),
            spender: "0xS".into(),
            amount: Amount::MAX,
            unlimited: true,
            by_permit: true,
            deadline: None,
        };
        let words = "let 0xS take ANY AMOUNT of token 0xT, by a signed permit";
        assert_eq!(say(approve, "evm:1"), words);
    }

    #[test]
    fn a_message_cannot_draw_on_the_screen() {
        let message = Operation::Message { text: "a\u{1b}[2J\nb".into() };
        assert_eq!(say(message, "evm:1"), "sign the message \"a\\u{1b}[2J\\nb\"; no money moves");
    }
}
