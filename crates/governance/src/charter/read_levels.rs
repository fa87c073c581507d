//! TOML to the management tree and its rules.
//!
//! A row that permits writes out every condition, with the word `any` where there is none: silence never loosens. A row that
//! forbids may leave conditions out, for then it forbids more.

use super::document::{Complaint, Table, Value, one_of};
use super::fault::Code;
use super::forms;
use super::read::{network, plain, quorum};
use model::amount::Amount;
use model::charter::{
    Approvals, Asset, BookEntry, Effect, Level, Limit, LimitPer, OperationClass, PolicyText,
    Recipients, Rule,
};

/// The word for a condition that there is none.
pub(super) const ANY: &str = "any";

pub(super) fn levels(tables: Vec<Table<'_>>, assets: &[Asset]) -> Vec<Level> {
    tables.into_iter().map(|table| level(table, assets)).collect()
}

fn level(mut table: Table<'_>, assets: &[Asset]) -> Level {
    let level = Level {
        id: table.text("id"),
        paths: table.list("paths", forms::path),
        quorum: quorum(&mut table, "quorum"),
        cool_off_ms: table.duration("cool_off"),
        groups: table.list("groups", plain),
        book: table.tables("book").into_iter().map(book_entry).collect(),
        recall_to: table.parsed_if("recall_to", forms::path),
        rules: table.tables("rule").into_iter().map(|row| rule(row, assets)).collect(),
        cedar: table.parsed_if("cedar", policy).unwrap_or_default(),
    };
    table.finish();
    level
}

fn book_entry(mut table: Table<'_>) -> BookEntry {
    let entry = BookEntry {
        name: table.text("name"),
        network: network(&mut table),
        address: table.text("address"),
    };
    table.finish();
    entry
}

fn policy(text: &str) -> Result<PolicyText, Complaint> {
    match text.chars().position(|c| c.is_control() && c != '\n') {
        None => Ok(PolicyText(text.to_owned())),
        Some(offset) => {
            let complaint = Complaint::new("a control character in the policies", "take it out");
            Err(Complaint { offset, ..complaint })
        }
    }
}

fn rule(mut table: Table<'_>, table_of_assets: &[Asset]) -> Rule {
    let effect = table.word("effect", Effect::from_word).unwrap_or(Effect::Forbid);
    let permits = effect == Effect::Allow;
    let operations = table.need("operations").map(|value| value.items()).unwrap_or_default();
    let class = one_of(OperationClass::from_word);
    let operations: Vec<_> = operations.iter().filter_map(|item| item.parsed(&class)).collect();
    let names = condition(&mut table, "assets", permits, plain);
    let asset = match names.as_slice() {
        [one] => table_of_assets.iter().find(|asset| asset.symbol == *one),
        _ => None,
    };
    let needs_amount = permits && operations.iter().any(|class| moves_value(*class));
    let most = if needs_amount { table.need("amount_max") } else { table.take("amount_max") };
    let most = most.filter(|value| !(value.is_text() && value.text() == Some(ANY)));
    let amount_max = most.and_then(|value| amount(&value, asset));
    let limits = table.tables("limits").into_iter().filter_map(|row| limit(row, asset)).collect();
    let calls = permits && operations.contains(&OperationClass::ContractCall);
    let recipients = if permits || table.has("recipients") {
        table.word("recipients", Recipients::from_word).unwrap_or(Recipients::Own)
    } else {
        Recipients::Any
    };
    let approvals = if permits || table.has("approvals") {
        quorum(&mut table, "approvals")
    } else {
        Approvals { all: Vec::new() }
    };
    let rule = Rule {
        name: table.text("name"),
        effect,
        operations,
        networks: condition(&mut table, "networks", permits, forms::network),
        assets: names,
        recipients,
        selectors: condition(&mut table, "selectors", calls, forms::selector),
        amount_max,
        limits,
        initiators: condition(&mut table, "initiators", permits, plain),
        approvals,
        own_approval_counts: table.flag("own_approval_counts"),
        wait_ms: table.parsed_if("wait", forms::duration).unwrap_or_default(),
        stop_group: table.text_or_empty("stop_group"),
        hours: table.parsed_if("hours", forms::hours).flatten(),
    };
    table.finish();
    rule
}

/// Classes whose amount a permitting row must bound, or say `any`.
pub(super) fn moves_value(class: OperationClass) -> bool {
    match class {
        OperationClass::NativeTransfer
        | OperationClass::TokenTransfer
        | OperationClass::TokenApprove
        | OperationClass::Permit => true,
        OperationClass::TokenApproveUnlimited
        | OperationClass::ContractCall
        | OperationClass::ContractCreation
        | OperationClass::TypedData
        | OperationClass::Message
        | OperationClass::Raw
        | OperationClass::CreateTokenAccount => false,
    }
}

/// A list, or the word `any`; an empty list is neither.
fn condition<T>(
    table: &mut Table<'_>,
    key: &'static str,
    needed: bool,
    read: impl Fn(&str) -> Result<T, Complaint>,
) -> Vec<T> {
    let Some(value) = (if needed { table.need(key) } else { table.take(key) }) else {
        return Vec::new();
    };
    if value.is_text() {
        let any = |text: &str| match text {
            ANY => Ok(()),
            _ => Err(Complaint::new("neither a list nor `any`", "write [\"…\"] or \"any\"")),
        };
        value.parsed(any);
        return Vec::new();
    }
    let items = value.items();
    if items.is_empty() {
        value.complain(Complaint::new("an empty list", "name something, or write \"any\""));
    }
    items.iter().filter_map(|item| item.parsed(&read)).collect()
}

fn amount(value: &Value<'_>, asset: Option<&Asset>) -> Option<Amount> {
    let read = |text: &str| match asset {
        Some(asset) => forms::amount(text, asset),
        None => {
            let what = "an amount in a row that is not about one known asset";
            let complaint = Complaint::new(what, "name one symbol of [[asset]] in `assets`");
            Err(Complaint { code: Code::AmountAsset, ..complaint })
        }
    };
    value.parsed(read)
}

fn limit(mut table: Table<'_>, asset: Option<&Asset>) -> Option<Limit> {
    let amount = table.need("amount").and_then(|value| amount(&value, asset));
    let (window_ms, per) = (table.duration("window"), table.word("per", LimitPer::from_word));
    table.finish();
    Some(Limit { amount: amount?, window_ms, per: per? })
}
