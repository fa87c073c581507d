//! A charter as sections of keys and values: what is written to TOML, and what two versions are compared by. Everything that
//! is hashed stands here once, so a difference that nobody is shown does not exist.

use super::approvals::to_words;
use super::forms::{amount_text, base64url_text, date_text, duration_text, hours_text, ssh_text};
use super::read_levels::{ANY, moves_value};
use super::sections_later;
use model::amount::Amount;
use model::charter::{
    Asset, BookEntry, Charter, Credential, Effect, Level, NodePlace, OperationClass, Operator,
    PasskeyKey, Person, Recipients, Rule,
};

/// A section with its name for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    /// `[owner]`, `[[level.rule]]`; empty for the top.
    pub(super) header: &'static str,
    /// `rule pay-small`; unique within the charter.
    pub(super) label: String,
    pub(super) fields: Vec<(&'static str, Field)>,
}

/// A value as TOML, whole or by its items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    One(String),
    Many(Vec<String>),
}

impl Section {
    pub(super) fn new(header: &'static str, label: impl Into<String>) -> Self {
        Self { header, label: label.into(), fields: Vec::new() }
    }
    pub(super) fn raw(mut self, key: &'static str, value: impl ToString) -> Self {
        self.fields.push((key, Field::One(value.to_string())));
        self
    }
    pub(super) fn text(self, key: &'static str, value: &str) -> Self {
        let value = quoted(value);
        self.raw(key, value)
    }
    /// Left out when empty.
    fn text_if(self, key: &'static str, value: &str) -> Self {
        if value.is_empty() { self } else { self.text(key, value) }
    }
    pub(super) fn duration(self, key: &'static str, ms: u64) -> Self {
        self.text(key, &duration_text(ms))
    }
    pub(super) fn many(mut self, key: &'static str, items: Vec<String>) -> Self {
        self.fields.push((key, Field::Many(items)));
        self
    }
    /// Left out when empty.
    fn many_if(self, key: &'static str, items: Vec<String>) -> Self {
        if items.is_empty() { self } else { self.many(key, items) }
    }
    fn flag_if(self, key: &'static str, flag: bool) -> Self {
        if flag { self.raw(key, true) } else { self }
    }
    /// A list, or the word `any` where silence is not allowed.
    fn condition(self, key: &'static str, items: Vec<String>, needed: bool) -> Self {
        match (items.is_empty(), needed) {
            (true, true) => self.text(key, ANY),
            (true, false) => self,
            (false, _) => self.many(key, items),
        }
    }
}

/// A TOML text; several lines become a literal block where that is possible.
pub(super) fn quoted(text: &str) -> String {
    if text.contains('\n') && !text.contains("'''") && !text.ends_with('\'') {
        return format!("'''\n{text}'''");
    }
    let mut out = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

pub(super) fn quoted_all(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| quoted(text)).collect()
}

/// The canonical text: [`super::parse`] gives the same charter back.
pub fn to_toml(charter: &Charter) -> String {
    let mut text = String::new();
    for section in sections(charter) {
        if !section.header.is_empty() {
            text.push_str(&format!("\n{}\n", section.header));
        }
        for (key, field) in &section.fields {
            match field {
                Field::One(value) => text.push_str(&format!("{key} = {value}\n")),
                Field::Many(items) => {
                    let one_line = format!("{key} = [{}]\n", items.join(", "));
                    if items.len() < 2 || one_line.len() <= 100 {
                        text.push_str(&one_line);
                    } else {
                        text.push_str(&format!("{key} = [\n    {},\n]\n", items.join(",\n    ")));
                    }
                }
            }
        }
    }
    text
}

/// Every section in the order of the file.
pub(super) fn sections(charter: &Charter) -> Vec<Section> {
    let owner = &charter.owner;
    let mut top = Section::new("", "charter").raw("version", charter.version);
    if let Some(previous) = charter.previous {
        top = top.text("previous", &previous.to_string());
    }
    let top = top
        .text("name", &charter.name)
        .text("purpose", &charter.purpose.to_string())
        .raw("threshold", charter.threshold);
    let owner = Section::new("[owner]", "owner")
        .text("name", &owner.name)
        .text_if("registry", &owner.registry)
        .many_if("related", quoted_all(&owner.related))
        .flag_if("may_hold_threshold", owner.may_hold_threshold)
        .flag_if("may_stop_signing", owner.may_stop_signing);
    let mut all = vec![top, owner];
    all.extend(charter.operators.iter().map(operator));
    all.extend(charter.people.iter().map(person));
    all.extend(charter.groups.iter().map(|group| {
        Section::new("[[group]]", format!("group {}", group.id))
            .text("id", &group.id)
            .many("members", quoted_all(&group.members))
    }));
    all.push(governors(charter));
    all.extend(charter.assets.iter().map(asset));
    for one in &charter.levels {
        all.push(level(one));
        all.extend(one.rules.iter().map(|row| rule(charter, one, row)));
    }
    all.push(
        Section::new("[log]", "log")
            .raw("traitors", charter.log.traitors)
            .raw("witness_traitors", charter.log.witness_traitors)
            .many("witnesses", quoted_all(&charter.log.witnesses)),
    );
    all.extend(charter.requirements.iter().map(|one| {
        Section::new("[[requirement]]", format!("requirement {}", one.dimension))
            .text("dimension", &one.dimension)
            .raw("least_to_sign", one.least_to_sign)
    }));
    all.extend(charter.sos.iter().flat_map(sections_later::sos));
    all.extend(charter.backups.iter().flat_map(sections_later::backups));
    all
}

fn operator(operator: &Operator) -> Section {
    let node = |place: &NodePlace| {
        format!("{{ id = \"{}\", role = \"{}\" }}", place.node, place.role.word())
    };
    Section::new("[[operator]]", format!("operator {}", operator.id))
        .text("id", &operator.id)
        .text("name", &operator.name)
        .text_if("registry", &operator.registry)
        .text("country", &operator.country)
        .many_if("related", quoted_all(&operator.related))
        .many_if("nodes", operator.nodes.iter().map(node).collect())
}

fn person(person: &Person) -> Section {
    let (mut ssh, mut passkeys, mut service) = (Vec::new(), Vec::new(), Vec::new());
    for credential in &person.credentials {
        match credential {
            Credential::Ssh { blob } => ssh.push(quoted(&ssh_text(blob))),
            Credential::Passkey { domain, id, key } => {
                let (kind, key) = match key {
                    PasskeyKey::Es256(key) => ("es256", hex::encode(key)),
                    PasskeyKey::Ed25519(key) => ("ed25519", hex::encode(key)),
                };
                let (domain, id) = (quoted(domain), base64url_text(id));
                passkeys
                    .push(format!("{{ domain = {domain}, id = \"{id}\", {kind} = \"{key}\" }}"));
            }
            Credential::Service { key } => service.push(quoted(&hex::encode(key))),
        }
    }
    Section::new("[[person]]", format!("person {}", person.id))
        .text("id", &person.id)
        .text("name", &person.name)
        .text_if("operator", &person.operator)
        .raw("expires", date_text(person.expires_at))
        .many_if("ssh", ssh)
        .many_if("passkeys", passkeys)
        .many_if("service", service)
}

fn governors(charter: &Charter) -> Section {
    let governors = &charter.governors;
    let member = |one: &model::charter::Weighted| {
        format!("{{ person = {}, weight = {} }}", quoted(&one.person), one.weight)
    };
    Section::new("[governors]", "governors")
        .many("members", governors.members.iter().map(member).collect())
        .raw("quorum", governors.quorum)
        .duration("loosening", governors.loosening_ms)
        .raw("replacement_quorum", governors.replacement_quorum)
        .duration("replacement", governors.replacement_ms)
}

fn asset(asset: &Asset) -> Section {
    Section::new("[[asset]]", format!("asset {}", asset.symbol))
        .text("symbol", &asset.symbol)
        .text("network", &asset.network.to_string())
        .text("token", &asset.token)
        .raw("decimals", asset.decimals)
}

fn level(level: &Level) -> Section {
    let entry = |entry: &BookEntry| {
        let (name, address) = (quoted(&entry.name), quoted(&entry.address));
        format!("{{ name = {name}, network = \"{}\", address = {address} }}", entry.network)
    };
    let paths = level.paths.iter().map(|path| format!("\"{path}\"")).collect();
    let mut section = Section::new("[[level]]", format!("level {}", level.id))
        .text("id", &level.id)
        .many("paths", paths)
        .text("quorum", &to_words(&level.quorum))
        .duration("cool_off", level.cool_off_ms)
        .many_if("groups", quoted_all(&level.groups))
        .many_if("book", level.book.iter().map(entry).collect());
    if let Some(path) = &level.recall_to {
        section = section.text("recall_to", &path.to_string());
    }
    section.text_if("cedar", &level.cedar.0)
}

fn rule(charter: &Charter, level: &Level, rule: &Rule) -> Section {
    let permits = rule.effect == Effect::Allow;
    let words = |classes: &[OperationClass]| {
        classes.iter().map(|class| format!("\"{}\"", class.word())).collect()
    };
    let amount = |amount: Amount| {
        let one = rule.assets.first().and_then(|symbol| charter.asset(symbol));
        // Without its asset the charter does not hold; the smallest units still show what stands there.
        one.map_or_else(|| amount.to_string(), |asset| amount_text(amount, asset))
    };
    let calls = rule.operations.contains(&OperationClass::ContractCall);
    let networks = rule.networks.iter().map(|network| format!("\"{network}\"")).collect();
    let selectors = rule.selectors.iter().map(|four| format!("\"0x{}\"", hex::encode(four)));
    let mut section =
        Section::new("[[level.rule]]", format!("rule {} of level {}", rule.name, level.id))
            .text("name", &rule.name)
            .text("effect", rule.effect.word())
            .many("operations", words(&rule.operations))
            .condition("networks", networks, permits)
            .condition("assets", quoted_all(&rule.assets), permits);
    if permits || rule.recipients != Recipients::Any {
        section = section.text("recipients", rule.recipients.word());
    }
    section = section.condition("selectors", selectors.collect(), permits && calls);
    section = match rule.amount_max {
        Some(most) => section.text("amount_max", &amount(most)),
        None if permits && rule.operations.iter().any(|class| moves_value(*class)) => {
            section.text("amount_max", ANY)
        }
        None => section,
    };
    let limit = |limit: &model::charter::Limit| {
        let (amount, window) = (quoted(&amount(limit.amount)), duration_text(limit.window_ms));
        let per = limit.per.word();
        format!("{{ amount = {amount}, window = \"{window}\", per = \"{per}\" }}")
    };
    section = section.many_if("limits", rule.limits.iter().map(limit).collect()).condition(
        "initiators",
        quoted_all(&rule.initiators),
        permits,
    );
    if permits || !rule.approvals.all.is_empty() {
        section = section.text("approvals", &to_words(&rule.approvals));
    }
    section = section.flag_if("own_approval_counts", rule.own_approval_counts);
    if rule.wait_ms > 0 {
        section = section.duration("wait", rule.wait_ms);
    }
    section = section.text_if("stop_group", &rule.stop_group);
    match &rule.hours {
        Some(hours) => section.text("hours", &hours_text(hours)),
        None => section,
    }
}
