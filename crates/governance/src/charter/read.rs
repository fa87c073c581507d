//! TOML to [`Charter`]: the sections on parties and people. Rules are in `read_levels`, rescue and backups in `read_later`.

use super::document::{Complaint, Log, Table, clip, one_of, short_text};
use super::fault::{Code, Fault};
use super::{approvals, forms, read_later, read_levels};
use model::card::NodeCard;
use model::charter::{
    Approvals, Asset, Charter, Credential, Governors, Group, LogRules, NodePlace, NodeRole,
    Operator, Owner, PasskeyKey, Person, Requirement, Weighted,
};
use model::ids::NodeId;
use model::intent::Network;
use model::keys::Purpose;
use model::time::Timestamp;
use toml::de::DeTable;

/// Bytes of a charter's text at most: canonical bytes are shorter than what people write.
pub(super) const TEXT_BYTES_MAX: usize = 512 * 1024;

/// Reads the whole text; the charter is to be used only when the log is clean.
pub(super) fn charter(text: &str, log: &Log<'_>) -> Option<Charter> {
    if text.len() > TEXT_BYTES_MAX {
        let what = format!("{} bytes of text, at most {TEXT_BYTES_MAX}", text.len());
        log.add(Fault::new(Code::TooLong, "", what), 0);
        return None;
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        log.add(Fault::new(Code::Syntax, "", clip(error.message())), at);
    }
    if !errors.is_empty() {
        return None;
    }
    // A log of its own lifetime: the values borrow the table, the faults go to the caller's.
    let inner = Log::new(text);
    let charter = top(Table::root(&inner, &table));
    log.absorb(inner);
    Some(charter)
}

fn top(mut root: Table<'_>) -> Charter {
    let assets: Vec<Asset> = root.tables("asset").into_iter().map(asset).collect();
    let charter = Charter {
        version: root.number("version"),
        previous: root.parsed_if("previous", forms::fixed_hex).map(model::ids::CharterId),
        name: root.text("name"),
        purpose: root.parsed("purpose", purpose).unwrap_or(Purpose::Live),
        owner: root.need_section("owner").map_or_else(no_owner, owner),
        operators: root.tables("operator").into_iter().map(operator).collect(),
        threshold: root.number("threshold"),
        people: root.tables("person").into_iter().map(person).collect(),
        groups: root.tables("group").into_iter().map(group).collect(),
        governors: root.need_section("governors").map_or_else(no_governors, governors),
        levels: read_levels::levels(root.tables("level"), &assets),
        assets,
        log: root.need_section("log").map_or_else(no_log, log_rules),
        requirements: root.tables("requirement").into_iter().map(requirement).collect(),
        sos: root.section("sos").map(read_later::sos),
        backups: root.section("backups").map(read_later::backups),
    };
    root.finish();
    charter
}

fn purpose(text: &str) -> Result<Purpose, Complaint> {
    [Purpose::Test, Purpose::Live]
        .into_iter()
        .find(|purpose| purpose.to_string() == text)
        .ok_or_else(|| Complaint::new("neither `test` nor `live`", "a vault is one for ever"))
}

/// The text itself, for lists.
pub(super) fn plain(text: &str) -> Result<String, Complaint> {
    short_text(text)
}

/// Words of an approval, which must be there.
pub(super) fn quorum(table: &mut Table<'_>, key: &'static str) -> Approvals {
    table.parsed(key, approvals::from_words).unwrap_or(Approvals { all: Vec::new() })
}

/// A chain; the fallback stands only in a charter that is refused.
pub(super) fn network(table: &mut Table<'_>) -> Network {
    table.parsed("network", forms::network).unwrap_or(Network::Evm(0))
}

fn no_owner() -> Owner {
    let (name, registry) = (String::new(), String::new());
    Owner {
        name,
        registry,
        related: Vec::new(),
        may_hold_threshold: false,
        may_stop_signing: false,
    }
}

fn owner(mut table: Table<'_>) -> Owner {
    let owner = Owner {
        name: table.text("name"),
        registry: table.text_or_empty("registry"),
        related: table.list("related", plain),
        may_hold_threshold: table.flag("may_hold_threshold"),
        may_stop_signing: table.flag("may_stop_signing"),
    };
    table.finish();
    owner
}

fn operator(mut table: Table<'_>) -> Operator {
    let name = table.text("name");
    let nodes = table.tables("nodes").into_iter().map(|node| node_place(node, &name)).collect();
    let operator = Operator {
        id: table.text("id"),
        name,
        registry: table.text_or_empty("registry"),
        country: table.text("country"),
        related: table.list("related", plain),
        nodes,
    };
    table.finish();
    operator
}

/// By its card, or by the id that a card proves.
fn node_place(mut table: Table<'_>, operator: &str) -> NodePlace {
    let card = table.take("card");
    let id = table.parsed_if("id", forms::fixed_hex);
    let from_card = card.as_ref().and_then(|value| value.parsed(read_card));
    if let (Some(value), Some(card)) = (&card, &from_card)
        && card.operator != operator
    {
        let what = format!("the card says `{}`, the charter `{operator}`", clip(&card.operator));
        let hint = "make sure that they are one legal entity";
        value.warn(Code::BadValue, what, hint);
    }
    if card.is_some() == id.is_some() {
        let what = "a node is named by its card or by its id, one of both";
        table.fault(Code::MissingKey, what, "write `card = \"outlast-card-v1 …\"`");
    }
    let node = from_card.map(|card| card.node).or(id.map(NodeId)).unwrap_or(NodeId([0; 32]));
    let role = table.word("role", NodeRole::from_word).unwrap_or(NodeRole::Observer);
    table.finish();
    NodePlace { node, role }
}

fn read_card(text: &str) -> Result<NodeCard, Complaint> {
    let hint = "paste the one line that `outlast node init` printed";
    NodeCard::from_text(text).map_err(|error| Complaint::new(error.to_string(), hint))
}

fn person(mut table: Table<'_>) -> Person {
    let mut credentials = table.list("ssh", forms::ssh_line);
    credentials.extend(table.tables("passkeys").into_iter().map(passkey));
    let service = |text: &str| forms::fixed_hex(text).map(|key| Credential::Service { key });
    credentials.extend(table.list("service", service));
    let expires = table.need("expires");
    let expires_at = expires.and_then(|value| {
        let date = value.date()?;
        forms::date(date).map_err(|complaint| value.complain(complaint)).ok()
    });
    let person = Person {
        id: table.text("id"),
        name: table.text("name"),
        operator: table.text_or_empty("operator"),
        credentials,
        expires_at: expires_at.unwrap_or(Timestamp(0)),
    };
    table.finish();
    person
}

fn passkey(mut table: Table<'_>) -> Credential {
    let (domain, id) = (table.text("domain"), table.parsed("id", forms::base64url));
    let es256 = table.parsed_if("es256", forms::fixed_hex).map(PasskeyKey::Es256);
    let ed25519 = table.parsed_if("ed25519", forms::fixed_hex).map(PasskeyKey::Ed25519);
    let key = match (es256, ed25519) {
        (Some(key), None) | (None, Some(key)) => key,
        _ => {
            let what = "a passkey has one key: `es256` or `ed25519`";
            table.fault(Code::MissingKey, what, "copy it from the registration");
            PasskeyKey::Ed25519([0; 32])
        }
    };
    table.finish();
    Credential::Passkey { domain, id: id.unwrap_or_default(), key }
}

fn group(mut table: Table<'_>) -> Group {
    let group = Group { id: table.text("id"), members: table.list("members", plain) };
    table.finish();
    group
}

fn no_governors() -> Governors {
    Governors {
        members: Vec::new(),
        quorum: 0,
        loosening_ms: 0,
        replacement_quorum: 0,
        replacement_ms: 0,
    }
}

fn governors(mut table: Table<'_>) -> Governors {
    let member = |mut table: Table<'_>| {
        let member = Weighted { person: table.text("person"), weight: table.number("weight") };
        table.finish();
        member
    };
    let governors = Governors {
        members: table.tables("members").into_iter().map(member).collect(),
        quorum: table.number("quorum"),
        loosening_ms: table.duration("loosening"),
        replacement_quorum: table.number("replacement_quorum"),
        replacement_ms: table.duration("replacement"),
    };
    table.finish();
    governors
}

fn asset(mut table: Table<'_>) -> Asset {
    let asset = Asset {
        symbol: table.text("symbol"),
        network: network(&mut table),
        token: table.text("token"),
        decimals: table.number("decimals"),
    };
    table.finish();
    asset
}

fn no_log() -> LogRules {
    LogRules { traitors: 0, witness_traitors: 0, witnesses: Vec::new() }
}

fn log_rules(mut table: Table<'_>) -> LogRules {
    let rules = LogRules {
        traitors: table.number("traitors"),
        witness_traitors: table.number("witness_traitors"),
        witnesses: table.list("witnesses", plain),
    };
    table.finish();
    rules
}

fn requirement(mut table: Table<'_>) -> Requirement {
    let known = |text: &str| {
        super::requirements::DIMENSIONS.iter().find(|(word, _)| *word == text).map(|(w, _)| *w)
    };
    let dimension = table.parsed("dimension", one_of(known)).unwrap_or_default().to_owned();
    let requirement = Requirement { dimension, least_to_sign: table.number("least_to_sign") };
    table.finish();
    requirement
}
