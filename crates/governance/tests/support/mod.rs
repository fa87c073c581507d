//! Made-up cards, keys and answers for charters.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by several tests, which fail by panicking"
)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use governance::charter::Template;
use model::card::{NodeCard, NodeKey};
use model::curve::{Curve, Secp256k1};
use model::secret::Secret;
use std::collections::BTreeMap;

pub fn cards(count: u8) -> Vec<NodeCard> {
    let card = |number: u8| {
        let key = NodeKey::new(Secret::new([number; 32]));
        // The two nodes of one institution are cards 3 apart in `three-companies`.
        let operator = if (7..=9).contains(&number) { number - 3 } else { number };
        NodeCard::sign(&key, &format!("Company {operator}"), "")
    };
    (1..=count).map(card).collect()
}

/// A public key that stands for `name`.
pub fn public_key(name: &str) -> [u8; 32] {
    let seed = model::hash::tagged("test", &[name.as_bytes()]);
    ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key().to_bytes()
}

pub fn ssh_line(name: &str) -> String {
    let field = |part: &[u8]| [&u32::try_from(part.len()).unwrap().to_be_bytes(), part].concat();
    let blob = [field(b"ssh-ed25519"), field(&public_key(name))].concat();
    format!("ssh-ed25519 {} {name}", STANDARD.encode(blob))
}

fn wallet(name: &str) -> String {
    let seed = model::hash::tagged("wallet", &[name.as_bytes()]);
    let scalar = Secp256k1::scalar_from_bytes(&seed).unwrap();
    hex::encode(Secp256k1::point_to_bytes(&Secp256k1::mul_base(&scalar)))
}

pub fn answers(template: Template, purpose: &str) -> BTreeMap<String, String> {
    let answer = |key: &str| match key.split_once(':') {
        None if key == "purpose" => purpose.to_owned(),
        None => key.to_owned(),
        Some(("ssh", name)) => ssh_line(name),
        Some(("service", name)) => hex::encode(public_key(name)),
        Some(("wallet", name)) => wallet(name),
        Some(("country", _)) => "FI".to_owned(),
        Some((kind, name)) => format!("{kind}-{name}"),
    };
    let open = |key: &str| !matches!(key, "chain" | "usdc");
    let questions = template.questions().into_iter().filter(|one| open(&one.key));
    questions.map(|one| (one.key.clone(), answer(&one.key))).collect()
}

pub fn filled(template: Template, purpose: &str) -> String {
    let all = cards(u8::try_from(template.cards()).unwrap());
    let expires = model::time::Timestamp(1_830_297_600_000);
    let filled = template.fill(&all, &answers(template, purpose), expires).unwrap();
    assert_eq!(filled.open, Vec::<String>::new());
    filled.text
}
