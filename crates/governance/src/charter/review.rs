//! A charter in words that a chief financial officer understands, and nothing promised that the charter does not do yet.

use super::approvals::to_words;
use super::entities::{counting_logs, entities, fewest_entities, log_quorum, owner_entity, seats};
use super::forms::{amount_text, date_text, duration_text, hours_text};
use super::requirements::meaning;
use super::review_later;
use model::charter::{
    Charter, Credential, Effect, Level, LimitPer, NodeRole, OperationClass, Person, Recipients,
    Rule,
};
use model::keys::Purpose;

/// Sentences, in the order in which somebody decides whether to sign.
pub fn review(charter: &Charter) -> Vec<String> {
    let mut lines = vec![headline(charter)];
    lines.extend(signing(charter));
    lines.extend(owner(charter));
    lines.extend(amending(charter));
    lines.extend(charter.people.iter().map(|one| person(charter, one)));
    for level in &charter.levels {
        lines.extend(one_level(charter, level));
    }
    lines.extend(record(charter));
    lines.extend(requirements(charter));
    lines.extend(review_later::lines(charter));
    lines
}

fn headline(charter: &Charter) -> String {
    let kind = match charter.purpose {
        Purpose::Test => "a TEST vault, for ever: never put real money into it",
        Purpose::Live => "a live vault, for ever",
    };
    let version = match charter.previous {
        None => "version 1, the first".to_owned(),
        Some(previous) => format!("version {}, after {}", charter.version, previous.short()),
    };
    format!("\"{}\" is {kind}. This is {version}.", charter.name)
}

fn signing(charter: &Charter) -> Vec<String> {
    let (n, t) = (charter.nodes(NodeRole::Regular).count(), usize::from(charter.threshold));
    let to_stop = n.saturating_sub(t).saturating_add(1);
    let mut lines = vec![format!(
        "Signing set: {t} of {n} nodes sign together. Any {} can be down and signing goes on; \
         without {to_stop} nothing is signed.",
        n.saturating_sub(t)
    )];
    if let Some(fewest) = fewest_entities(charter, t) {
        lines.push(match fewest {
            1 => "One company alone holds enough nodes to sign. Nothing here is decentralized."
                .to_owned(),
            more => format!("At least {more} unrelated companies must take part to sign."),
        });
    }
    for operator in &charter.operators {
        let roles = |role: NodeRole, word: &str| {
            let count = operator.nodes.iter().filter(|place| place.role == role).count();
            (count > 0).then(|| format!("{count} {word}"))
        };
        let holds: Vec<String> = [
            roles(NodeRole::Regular, "in the signing set"),
            roles(NodeRole::Sos, "in the SOS set"),
            roles(NodeRole::Guardian, "as guardian"),
            roles(NodeRole::Observer, "as observer (keeps a record, holds no key)"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let holds = if holds.is_empty() { "no node".to_owned() } else { holds.join(", ") };
        let registry = match operator.registry.as_str() {
            "" => String::new(),
            number => format!(", {number}"),
        };
        lines.push(format!("{} ({}{registry}) runs: {holds}.", operator.name, operator.country));
    }
    let related = entities(charter).into_iter().filter(|entity| entity.len() > 1);
    lines.extend(related.map(|entity| {
        let names: Vec<&str> = entity.into_iter().collect();
        format!("{} are related and count as one.", names.join(" and "))
    }));
    lines
}

fn owner(charter: &Charter) -> Vec<String> {
    let owner = &charter.owner;
    let held = seats(charter, &owner_entity(charter), NodeRole::Regular);
    let mut lines = vec![match held {
        0 => format!("The assets belong to {}, which runs no node of the signing set.", owner.name),
        held => format!(
            "The assets belong to {}, which with related companies runs {held} of the signing \
             set's nodes.",
            owner.name
        ),
    }];
    if owner.may_hold_threshold {
        lines
            .push("The charter allows the owner's side to hold enough nodes to sign alone.".into());
    }
    if owner.may_stop_signing {
        lines.push("The charter allows the owner's side to stop signing for good.".into());
    }
    lines
}

fn amending(charter: &Charter) -> Vec<String> {
    let governors = &charter.governors;
    let names: Vec<String> = governors
        .members
        .iter()
        .map(|one| format!("{} (weight {})", name(charter, &one.person), one.weight))
        .collect();
    vec![
        format!(
            "Governors change this charter: {}. A change takes weight {}; one that makes anything \
             easier also waits {}.",
            names.join(", "),
            governors.quorum,
            duration_text(governors.loosening_ms)
        ),
        format!(
            "A lost credential is replaced with weight {} and a wait of {}.",
            governors.replacement_quorum,
            duration_text(governors.replacement_ms)
        ),
    ]
}

pub(super) fn name<'c>(charter: &'c Charter, id: &'c str) -> &'c str {
    charter.person(id).map_or(id, |person| person.name.as_str())
}

fn person(charter: &Charter, person: &Person) -> String {
    let kinds = |wanted: fn(&Credential) -> bool, word: &str| {
        let count = person.credentials.iter().filter(|one| wanted(one)).count();
        (count > 0).then(|| format!("{count} {word}"))
    };
    let keys: Vec<String> = [
        kinds(|one| matches!(one, Credential::Ssh { .. }), "SSH"),
        kinds(|one| matches!(one, Credential::Passkey { .. }), "passkey"),
        kinds(|one| matches!(one, Credential::Service { .. }), "service key"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let groups: Vec<&str> = charter
        .groups
        .iter()
        .filter(|group| group.members.contains(&person.id))
        .map(|group| group.id.as_str())
        .collect();
    let groups = match groups.as_slice() {
        [] => String::new(),
        groups => format!(", in {}", groups.join(", ")),
    };
    format!(
        "{} (`{}`) signs with {} until {}{groups}.",
        person.name,
        person.id,
        keys.join(" and "),
        date_text(person.expires_at)
    )
}

fn one_level(charter: &Charter, level: &Level) -> Vec<String> {
    let paths: Vec<String> = level.paths.iter().map(ToString::to_string).collect();
    let mut lines = vec![format!(
        "Level {} is the branch {} of the key tree. Its address book and people are changed by {}, \
         and a change that loosens waits {}.",
        level.id,
        paths.join(" and "),
        to_words(&level.quorum),
        duration_text(level.cool_off_ms)
    )];
    if !level.book.is_empty() {
        let names: Vec<&str> = level.book.iter().map(|entry| entry.name.as_str()).collect();
        lines.push(format!("  Address book: {}.", names.join(", ")));
    }
    if let Some(path) = &level.recall_to {
        lines.push(format!("  The level above may recall its assets to {path}, nowhere else."));
    }
    lines.extend(level.rules.iter().map(|row| format!("  {}", rule(charter, row))));
    if level.rules.is_empty() {
        lines.push("  It has no rules of its own.".to_owned());
    }
    if !level.cedar.0.is_empty() {
        lines
            .push("  It has expert policies, which no sentence here covers: read them.".to_owned());
    }
    lines
}

fn class(class: OperationClass) -> &'static str {
    match class {
        OperationClass::NativeTransfer => "pay coins",
        OperationClass::TokenTransfer => "pay tokens",
        OperationClass::TokenApprove => "let a contract take a bounded amount of tokens",
        OperationClass::TokenApproveUnlimited => "let a contract take ALL tokens of a kind",
        OperationClass::Permit => "sign a permit to take tokens",
        OperationClass::ContractCall => "call contracts",
        OperationClass::ContractCreation => "put new contracts on chain",
        OperationClass::TypedData => "sign typed data",
        OperationClass::Message => "sign messages",
        OperationClass::Raw => "sign bytes that NOBODY could read",
        OperationClass::CreateTokenAccount => "open token accounts for others",
    }
}

fn rule(charter: &Charter, rule: &Rule) -> String {
    let what: Vec<&str> = rule.operations.iter().map(|one| class(*one)).collect();
    let what = what.join(", ");
    let conditions = conditions(rule);
    let asset = match rule.assets.as_slice() {
        [one] => charter.asset(one),
        _ => None,
    };
    let amount = |amount| asset.map_or_else(String::new, |asset| amount_text(amount, asset));
    let mut bounds: Vec<String> =
        rule.amount_max.iter().map(|most| format!("{} at a time", amount(*most))).collect();
    bounds.extend(rule.limits.iter().map(|limit| {
        let whom = match limit.per {
            LimitPer::Level => "together",
            LimitPer::Person => "for each person",
        };
        format!("{} within {} {whom}", amount(limit.amount), duration_text(limit.window_ms))
    }));
    match rule.effect {
        Effect::Forbid if bounds.is_empty() => {
            format!("Rule {}: nobody may {what}{conditions}.", rule.name)
        }
        Effect::Forbid => {
            let bounds = bounds.join(" and over ");
            format!("Rule {}: nobody may {what}{conditions} over {bounds}.", rule.name)
        }
        Effect::Allow => {
            let bounds = match bounds.is_empty() {
                true => " without any limit".to_owned(),
                false => format!(" up to {}", bounds.join(" and up to ")),
            };
            let who = people(rule);
            format!("Rule {}: {who} may {what}{conditions}{bounds}; {}.", rule.name, consent(rule))
        }
    }
}

fn people(rule: &Rule) -> String {
    match rule.initiators.as_slice() {
        [] => "anybody with access to the vault".to_owned(),
        groups => groups.join(" or "),
    }
}

fn conditions(rule: &Rule) -> String {
    let mut text = String::new();
    if !rule.assets.is_empty() {
        text.push_str(&format!(" in {}", rule.assets.join(", ")));
    }
    if !rule.networks.is_empty() {
        let names: Vec<String> = rule.networks.iter().map(ToString::to_string).collect();
        text.push_str(&format!(" on {}", names.join(", ")));
    }
    match rule.recipients {
        Recipients::Any => {}
        Recipients::Book => text.push_str(" to addresses of the book"),
        Recipients::Own => text.push_str(" to the vault's own addresses"),
    }
    if !rule.selectors.is_empty() {
        let names: Vec<String> =
            rule.selectors.iter().map(|four| format!("0x{}", hex::encode(four))).collect();
        text.push_str(&format!(" of the kind {}", names.join(", ")));
    }
    if rule.effect == Effect::Forbid && !rule.initiators.is_empty() {
        text.push_str(&format!(" when asked by {}", rule.initiators.join(" or ")));
    }
    if let Some(hours) = &rule.hours {
        text.push_str(&format!(" during {} UTC", hours_text(hours)));
    }
    text
}

fn consent(rule: &Rule) -> String {
    let mut text = match rule.approvals.all.is_empty() {
        true => "nobody else need agree".to_owned(),
        false => format!("{} must agree", to_words(&rule.approvals)),
    };
    if rule.own_approval_counts {
        text.push_str(", whoever asks may be one of them");
    }
    if rule.wait_ms > 0 {
        text.push_str(&format!(", then {} pass", duration_text(rule.wait_ms)));
    }
    if !rule.stop_group.is_empty() {
        text.push_str(&format!(" in which anybody of {} may stop it", rule.stop_group));
    }
    text
}

fn record(charter: &Charter) -> Vec<String> {
    let (n, f) = (counting_logs(charter).len(), charter.log.traitors);
    let (w, bad) = (charter.log.witnesses.len(), charter.log.witness_traitors);
    vec![format!(
        "Public record: {n} independent logs, of which {f} may lie; {} must agree. {w} outside \
         witnesses, of which {bad} may lie.",
        log_quorum(charter)
    )]
}

fn requirements(charter: &Charter) -> Vec<String> {
    let one = |requirement: &model::charter::Requirement| {
        let dimension = &requirement.dimension;
        let what = meaning(dimension);
        let checked = match dimension.as_str() {
            super::requirements::OPERATOR => "held by this charter",
            _ => "needs evidence of where nodes run, which this version does not collect yet",
        };
        match requirement.least_to_sign {
            0 => format!("Requirement on {dimension} ({what}): SWITCHED OFF."),
            least => {
                format!("Requirement on {dimension} ({what}): at least {least} to sign; {checked}.")
            }
        }
    };
    charter.requirements.iter().map(one).collect()
}
