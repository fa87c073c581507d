//! From rows to Cedar: the generated text is what is shown, what is parsed and what decides.
//!
//! A row becomes one policy with its name as id. Exact numbers never enter Cedar, whose integers have 64 bits: the context
//! names the rows whose amounts and limits hold (`within`), whose caps are exceeded (`exceeds`), whose hours it is
//! (`hours`) and whose approvals are there (`approved`).

use cedar_policy::{
    Effect as CedarEffect, EntityUid, Policy, PolicyId, PolicySet, ResourceConstraint, Schema,
    ValidationMode, Validator,
};
use model::charter::{Charter, Effect, Level, OperationClass, Recipients, Rule};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::str::FromStr as _;

/// Why a charter's rules cannot be evaluated: the charter is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFault {
    /// Cedar does not read a policy.
    #[error("level {level}: the Cedar text does not read: {text}")]
    Syntax {
        /// The level.
        level: String,
        /// Cedar's words.
        text: String,
    },
    /// A policy does not fit the schema.
    #[error("level {level}: {text}")]
    Schema {
        /// The level.
        level: String,
        /// Cedar's words.
        text: String,
    },
    /// An expert policy reaches beyond its level.
    #[error("level {level}: an expert policy must have the scope `resource in Level::\"{level}\"`")]
    Scope {
        /// The level.
        level: String,
    },
    /// A level with children allows something.
    #[error("level {level} has levels below it, so it may only forbid; `{rule}` allows")]
    Loosens {
        /// The level.
        level: String,
        /// The policy.
        rule: String,
    },
    /// Two policies bear one name.
    #[error("the rule `{0}` stands twice")]
    Twice(String),
}

/// The policies of one charter version, by level, parsed and validated once.
#[derive(Debug, Clone)]
pub struct Policies {
    pub(super) levels: BTreeMap<String, PolicySet>,
    texts: BTreeMap<String, String>,
}

impl Policies {
    /// Generates, parses and validates the policies of every level.
    pub fn compile(charter: &Charter) -> Result<Self, PolicyFault> {
        let schema = Schema::from_str(&schema_text()).map_err(|error| PolicyFault::Schema {
            level: String::new(),
            text: error.to_string(),
        })?;
        let validator = Validator::new(schema);
        let mut names = std::collections::BTreeSet::new();
        let (mut levels, mut texts) = (BTreeMap::new(), BTreeMap::new());
        for level in &charter.levels {
            let text = level_text(level);
            let set = parse_level(level, has_children(charter, level))?;
            for policy in set.policies() {
                let name: &str = policy.id().as_ref();
                if !names.insert(name.to_owned()) {
                    return Err(PolicyFault::Twice(name.to_owned()));
                }
            }
            let result = validator.validate(&set, ValidationMode::Strict);
            if let Some(error) = result.validation_errors().next() {
                let (level, text) = (level.id.clone(), error.to_string());
                return Err(PolicyFault::Schema { level, text });
            }
            texts.insert(level.id.clone(), text);
            levels.insert(level.id.clone(), set);
        }
        Ok(Self { levels, texts })
    }

    /// The generated Cedar of a level, expert policies included.
    pub fn text(&self, level: &str) -> Option<&str> {
        self.texts.get(level).map(String::as_str)
    }
}

fn has_children(charter: &Charter, level: &Level) -> bool {
    let prefix = format!("{}/", level.id);
    charter.levels.iter().any(|other| other.id.starts_with(&prefix))
}

fn parse_level(level: &Level, has_children: bool) -> Result<PolicySet, PolicyFault> {
    let syntax = |text: String| PolicyFault::Syntax { level: level.id.clone(), text };
    let mut set = PolicySet::new();
    let mut add = |policy: Policy| {
        if has_children && policy.effect() == CedarEffect::Permit {
            let (level, rule) = (level.id.clone(), policy.id().to_string());
            return Err(PolicyFault::Loosens { level, rule });
        }
        let name = policy.id().to_string();
        set.add(policy).map_err(|_| PolicyFault::Twice(name))
    };
    for rule in &level.rules {
        let id = PolicyId::new(&rule.name);
        let policy = Policy::parse(Some(id), rule_text(level, rule))
            .map_err(|error| syntax(error.to_string()))?;
        add(policy)?;
    }
    let expert = PolicySet::from_str(&level.cedar.0).map_err(|error| syntax(error.to_string()))?;
    for (number, policy) in (0u32..).zip(expert.policies()) {
        let name =
            policy.annotation("id").map_or_else(|| format!("{}#{number}", level.id), str::to_owned);
        if !stays_within(policy, &level.id) {
            return Err(PolicyFault::Scope { level: level.id.clone() });
        }
        add(policy.new_id(PolicyId::new(name)))?;
    }
    Ok(set)
}

fn stays_within(policy: &Policy, level: &str) -> bool {
    let Some(own) = level_uid(level) else { return false };
    match policy.resource_constraint() {
        ResourceConstraint::In(uid) | ResourceConstraint::Eq(uid) => uid == own,
        _ => false,
    }
}

/// The entity of a level.
pub(super) fn level_uid(level: &str) -> Option<EntityUid> {
    uid("Level", level)
}

/// An entity; `None` never happens for our own type names.
pub(super) fn uid(kind: &str, id: &str) -> Option<EntityUid> {
    EntityUid::from_str(&format!("{kind}::{}", quoted(id))).ok()
}

fn level_text(level: &Level) -> String {
    let mut text: String = level.rules.iter().map(|rule| rule_text(level, rule)).collect();
    text.push_str(&level.cedar.0);
    text
}

/// The policy of one row.
fn rule_text(level: &Level, rule: &Rule) -> String {
    let mut text = format!("@id({})\n", quoted(&rule.name));
    let effect = match rule.effect {
        Effect::Allow => "permit",
        Effect::Forbid => "forbid",
    };
    let actions = list(rule.operations.iter().map(|o| format!("Action::{}", quoted(o.word()))));
    let _ = write!(
        text,
        "{effect} (\n  principal,\n  action in [{actions}],\n  resource in Level::{}\n)",
        quoted(&level.id)
    );
    let conditions = conditions(rule);
    if !conditions.is_empty() {
        let _ = write!(text, " when {{\n  {}\n}}", conditions.join(" &&\n  "));
    }
    text.push_str(";\n\n");
    text
}

fn conditions(rule: &Rule) -> Vec<String> {
    let name = quoted(&rule.name);
    let mut all = Vec::new();
    let mut one_of = |values: Vec<String>, field: &str| {
        if !values.is_empty() {
            all.push(format!("[{}].contains(context.{field})", list(values.into_iter())));
        }
    };
    one_of(rule.networks.iter().map(|n| quoted(&n.to_string())).collect(), "network");
    let hex = |s: &[u8; 4]| format!("\"0x{:08x}\"", u32::from_be_bytes(*s));
    one_of(rule.selectors.iter().map(hex).collect(), "selector");
    if !rule.assets.is_empty() {
        let symbols = list(rule.assets.iter().map(|symbol| quoted(symbol)));
        all.push(format!("context.symbols.containsAny([{symbols}])"));
    }
    match rule.recipients {
        Recipients::Any => {}
        Recipients::Book => all.push("context.book".into()),
        Recipients::Own => all.push("context.own".into()),
    }
    if !rule.initiators.is_empty() {
        let groups = rule.initiators.iter().map(|g| format!("principal in Group::{}", quoted(g)));
        all.push(format!("({})", groups.collect::<Vec<_>>().join(" || ")));
    }
    if rule.hours.is_some() {
        all.push(format!("context.hours.contains({name})"));
    }
    let capped = rule.amount_max.is_some() || !rule.limits.is_empty();
    match (rule.effect, capped) {
        (Effect::Allow, true) => all.push(format!("context.within.contains({name})")),
        (Effect::Forbid, true) => all.push(format!("context.exceeds.contains({name})")),
        (_, false) => {}
    }
    // What a forbid row demands lifts it; an allow row's approvals are an outcome of their own.
    if rule.effect == Effect::Forbid && !rule.approvals.all.is_empty() {
        all.push(format!("!context.approved.contains({name})"));
    }
    all
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

/// A Cedar string literal. The charter check allows plain words only; this holds even if it did not.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn schema_text() -> String {
    let actions = list(OperationClass::ALL.iter().map(|class| quoted(class.word())));
    format!(
        "entity Group;\nentity Person in [Group];\nentity Level in [Level];\n\
         action {actions} appliesTo {{\n  principal: [Person],\n  resource: [Level],\n  context: {{\n\
         network: String, asset: String, to: String, selector: String, book: Bool, own: Bool, symbols: Set<String>,\n\
         within: Set<String>, exceeds: Set<String>, hours: Set<String>, approved: Set<String>\n  }}\n}};\n"
    )
}
