//! A request under a durable nonce account: the node fetches the value and checks who may advance it.

use super::super::testing::{CLIENT_TOKEN, block_on, node, request};
use super::ID;
use crate::chain::testing::ChainNode;
use crate::home::ChainRpc;
use base64::Engine as _;
use engine::{Class, Command, Reply, refuse};
use model::api::{AddressView, FillView};
use model::keys::Purpose;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const PAYER: [u8; 32] = [5; 32];
const ACCOUNT: [u8; 32] = [7; 32];

fn base58(bytes: [u8; 32]) -> String {
    bs58::encode(bytes).into_string()
}

/// Status, code, and the fill that the engine was given.
fn submit(authority: [u8; 32], fill: &Value, rpc: bool) -> (u16, String, Option<FillView>) {
    let chain = ChainNode::start(move |method, _| {
        assert_eq!(method, "getAccountInfo");
        let data = [&[1, 0, 0, 0, 1, 0, 0, 0][..], &authority, &[0xcd; 32], &[0; 8]].concat();
        let data = base64::engine::general_purpose::STANDARD.encode(data);
        let owner = "11111111111111111111111111111111";
        Ok(json!({ "value": { "owner": owner, "data": [data, "base64"] } }))
    });
    let nodes = rpc.then(|| ("local".to_owned(), chain.url())).into_iter().collect();
    let given = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&given);
    let rpc = ChainRpc { solana: nodes, ..ChainRpc::default() };
    let fixture = node(&rpc, move |_, command| match command {
        Command::Address { network, path, .. } => Ok(Reply::Address(AddressView {
            network,
            path: path.to_string(),
            address: base58(PAYER),
            key: "ed25519".into(),
            public_key: "00".into(),
            purpose: Purpose::Test,
        })),
        Command::Submit { new, .. } => {
            *kept.lock().unwrap() = new.fill;
            Err(refuse(Class::Conflict, "asked", "the engine was asked"))
        }
        _ => Ok(Reply::Done),
    });
    let body = json!({ "network": "solana:local", "path": "m/44/501/0/0", "fill": fill,
        "ask": { "kind": "send", "to": base58([9; 32]), "amount": "5" } });
    let path = format!("/v1/vaults/{ID}/requests");
    let sent = request("POST", &path, CLIENT_TOKEN, &body.to_string());
    let (status, code) = block_on(fixture.code(sent));
    let fill = given.lock().unwrap().take();
    (status, code, fill)
}

#[test]
fn a_nonce_account_without_a_value_is_read_on_the_chain_and_belongs_to_the_payer() {
    let durable = json!({ "chain": "solana", "nonce_account": base58(ACCOUNT) });
    let filled =
        |value| FillView::Solana { blockhash: base58(value), nonce_account: Some(base58(ACCOUNT)) };
    let check = |authority, fill: &Value, rpc, status, code: &str, expected| {
        let found = submit(authority, fill, rpc);
        assert_eq!(found, (status, code.to_owned(), expected), "{fill}");
    };
    check(PAYER, &durable, true, 409, "asked", Some(filled([0xcd; 32])));
    check([6; 32], &durable, true, 400, "nonce_authority", None);
    check(PAYER, &durable, false, 503, "chain_not_configured", None);
    let bad = json!({ "chain": "solana", "nonce_account": "0OIl" });
    check(PAYER, &bad, true, 400, "invalid_field", None);
    // Chosen by the caller: nobody is asked.
    let chosen = json!({ "chain": "solana", "nonce_account": base58(ACCOUNT),
        "blockhash": base58([3; 32]) });
    check([6; 32], &chosen, false, 409, "asked", Some(filled([3; 32])));
}
