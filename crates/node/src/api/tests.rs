//! Refusals at the door, routes and what they ask the engine, sealed start, overload.

mod listener;
mod mutual_tls;
mod nonce;

use super::testing::{
    CLIENT_TOKEN, OPERATOR_TOKEN, block_on, node, request, running, sealed_node, stuck_node,
};
use crate::home::ChainRpc;
use engine::{Caller, Class, Command, Problem, Reply, Status, refuse};
use model::limits::BODY_BYTES_MAX;
use serde_json::json;
use std::sync::{Arc, Mutex};

const ID: &str = "1111111111111111111111111111111111111111111111111111111111111111";

fn refusing(_: Caller, _: Command) -> Result<Reply, Problem> {
    Err(refuse(Class::NotFound, "asked", "the engine was asked"))
}

/// Each row: method, path, token, body, status, code. `asked` means that the request got past every check.
#[test]
fn each_route_refuses_by_name_before_it_asks_the_engine() {
    let fixture = node(&ChainRpc::default(), refusing);
    let check = |method: &str, path: &str, token: &str, body: &str, status: u16, code: &str| {
        let path = path.replace("ID", ID);
        let answer = block_on(fixture.code(request(method, &path, token, body)));
        assert_eq!(answer, (status, code.to_owned()), "{method} {path} {token} {body}");
    };
    let vault = "/v1/vaults/ID";
    for (method, path, body) in [
        ("GET", "/v1/node", ""),
        ("POST", "/v1/peers", r#"{"card":"c","words":"w"}"#),
        ("POST", "/v1/peers/ID/resume-pair", ""),
        ("POST", "/v1/peers/ID/release", "{}"),
        ("GET", "/v1/ceremonies", ""),
        ("GET", "/v1/ceremonies/ID", ""),
        ("POST", "/v1/ceremonies/ID/join", ""),
        ("POST", "/v1/ceremonies", r#"{"purpose":"test","name":"n","members":[],"threshold":1}"#),
        ("POST", "/v1/clients", r#"{"name":"n","vaults":[]}"#),
        ("DELETE", "/v1/clients/11111111111111111111111111111111", ""),
    ] {
        check(method, path, "", body, 401, "unauthorized");
        check(method, path, CLIENT_TOKEN, body, 403, "operator_only");
        check(method, path, OPERATOR_TOKEN, body, 404, "asked");
    }
    let send =
        r#"{"network":"evm:1","path":"m/44/60/0/0/0","ask":{"kind":"send","to":"x","amount":"1"}}"#;
    for (method, path, body) in [
        ("GET", "/v1/vaults", ""),
        ("GET", vault, ""),
        ("GET", "/v1/vaults/ID/address?network=evm:1&path=m/44/60/0/0/0", ""),
        ("GET", "/v1/vaults/ID/account?network=bitcoin:main&path=m/86/0/0", ""),
        ("GET", "/v1/vaults/ID/requests?limit=3", ""),
        ("POST", "/v1/vaults/ID/requests", send),
        ("GET", "/v1/requests/ID", ""),
        ("POST", "/v1/requests/ID/speed-up", "{}"),
        ("POST", "/v1/requests/ID/cancel", "{}"),
        ("POST", "/v1/decode", r#"{"format":"evm_message","bytes":"0x00"}"#),
    ] {
        check(method, path, "", body, 401, "unauthorized");
        check(method, path, CLIENT_TOKEN, body, 404, "asked");
    }
    let operator = OPERATOR_TOKEN;
    check("GET", "/v1/vaults/zz", operator, "", 400, "malformed_id");
    check("GET", "/v1/vaults/1111", operator, "", 400, "malformed_id");
    check("GET", "/v1/vaults/ID/address?network=evm:1", operator, "", 400, "malformed_query");
    check("GET", "/v1/vaults/ID/address?network=eth&path=m", operator, "", 400, "malformed_query");
    check("GET", "/v1/vaults/ID/address?network=evm:1&path=m/44'", operator, "", 400, "path");
    check("GET", "/v1/vaults/ID/requests?limit=501", operator, "", 400, "malformed_query");
    check("GET", "/v1/vaults/ID/requests?x=1", operator, "", 400, "malformed_query");
    check("POST", "/v1/peers", operator, "{", 400, "malformed_json");
    check("POST", "/v1/peers", operator, "", 400, "malformed_json");
    check("POST", "/v1/peers", operator, r#"{"card":"c"}"#, 400, "malformed_json");
    let unknown = r#"{"card":"c","words":"w","x":1}"#;
    check("POST", "/v1/peers", operator, unknown, 400, "malformed_json");
    let long_wait = r#"{"wait_ms":60001}"#;
    check("POST", "/v1/requests/ID/cancel", operator, long_wait, 400, "invalid_field");
    let bad_key = r#"{"name":"n","vaults":[],"tls_key":"00"}"#;
    check("POST", "/v1/clients", operator, bad_key, 400, "invalid_field");
    let bad_format = r#"{"format":"digest","bytes":"0x00"}"#;
    check("POST", "/v1/decode", operator, bad_format, 400, "invalid_field");
    check("POST", "/v1/unseal", operator, r#"{"passphrase":"x"}"#, 409, "not_sealed");
    check("GET", "/v1/nothing", operator, "", 404, "unknown_path");
    check("PUT", "/v1/node", operator, "", 405, "wrong_method");
}

#[test]
fn a_body_over_its_bound_is_refused_and_one_at_its_bound_is_read() {
    let fixture = node(&ChainRpc::default(), refusing);
    for (extra, expected) in [(0, (400, "malformed_json")), (1, (413, "too_large"))] {
        let body = " ".repeat(BODY_BYTES_MAX + extra);
        let answer = block_on(fixture.code(request("POST", "/v1/peers", OPERATOR_TOKEN, &body)));
        assert_eq!(answer, (expected.0, expected.1.to_owned()));
    }
}

/// Goal: the door opens for the operator's token alone, and a program's token reaches the engine as its hash.
#[test]
fn tokens_tell_the_operator_from_programs() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seen_by_engine = Arc::clone(&seen);
    let fixture = node(&ChainRpc::default(), move |caller, _| {
        seen_by_engine.lock().unwrap().push(caller);
        Ok(Reply::Vaults(vec![]))
    });
    for (header, status) in [
        ("Bearer operator-token", 200),
        ("bearer client-token", 200),
        ("Bearer ", 401),
        ("Basic operator-token", 401),
        ("operator-token", 401),
    ] {
        let mut request = request("GET", "/v1/vaults", "", "");
        request.headers_mut().insert("authorization", header.parse().unwrap());
        assert_eq!(block_on(fixture.json(request)).0, status, "{header}");
    }
    let client = Caller::Client(super::token_credential("client-token"));
    assert_eq!(*seen.lock().unwrap(), [Caller::Operator, client]);
}

#[test]
fn a_sealed_node_answers_health_and_unseal_and_nothing_else() {
    let fixture = sealed_node(&ChainRpc::default(), |passphrase| {
        if passphrase.expose() == "correct horse" {
            Ok(running(Arc::new(|_, _| Ok(Reply::Vaults(vec![])))))
        } else {
            Err(refuse(Class::Forbidden, "wrong_passphrase", "wrong passphrase"))
        }
    });
    let get = |path: &str| block_on(fixture.json(request("GET", path, OPERATOR_TOKEN, "")));
    let unseal = |passphrase: &str| {
        let body = json!({ "passphrase": passphrase }).to_string();
        block_on(fixture.code(request("POST", "/v1/unseal", OPERATOR_TOKEN, &body)))
    };
    assert_eq!(get("/healthz").0, 200);
    let (status, body) = get("/readyz");
    assert_eq!((status, &body["missing"][0]["code"]), (503, &json!("sealed")));
    assert_eq!(get("/v1/vaults"), (503, get("/v1/node").1));
    assert_eq!(get("/v1/vaults").1["code"], "sealed");
    assert_eq!(unseal("wrong"), (403, "wrong_passphrase".into()));
    assert_eq!(get("/readyz").0, 503);
    assert_eq!(unseal("correct horse"), (204, String::new()));
    assert_eq!(get("/v1/vaults"), (200, json!([])));
    assert_eq!(get("/readyz"), (200, json!({ "ready": true, "missing": [] })));
    assert_eq!(unseal("correct horse"), (409, "not_sealed".into()));
}

#[test]
fn a_stopping_node_takes_nothing_new_and_says_so() {
    let fixture = node(&ChainRpc::default(), |_, _| Ok(Reply::Vaults(vec![])));
    fixture.state.stop();
    let get = |path: &str| block_on(fixture.json(request("GET", path, OPERATOR_TOKEN, "")));
    assert_eq!(get("/healthz").0, 200);
    let (status, body) = get("/readyz");
    assert_eq!((status, &body["missing"][0]["code"]), (503, &json!("stopping")));
    let (status, body) = get("/v1/vaults");
    assert_eq!((status, &body["code"]), (503, &json!("stopping")));
}

/// Goal: E1, overload sheds at the door. Method: an engine that never answers, until the places are gone.
#[test]
fn invariant_e1_overload_is_shed_with_429_and_retry_after() {
    let (fixture, inbox, handle) = stuck_node();
    block_on(async {
        let waiting: Vec<_> = (0..crate::runner::COMMANDS_MAX)
            .map(|_| {
                let handle = handle.clone();
                tokio::spawn(async move { handle.ask(Caller::Operator, Command::Node).await })
            })
            .collect();
        while handle.commands() < crate::runner::COMMANDS_MAX {
            tokio::task::yield_now().await;
        }
        let response = fixture.send(request("GET", "/v1/vaults", CLIENT_TOKEN, "")).await;
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "1");
        drop(inbox);
        for task in waiting {
            assert_eq!(task.await.unwrap().map_err(|p| p.code), Err("stopping"));
        }
    });
}

#[test]
fn readiness_names_an_engine_that_does_not_run_and_a_quorum_that_is_away() {
    let (fixture, inbox, _handle) = stuck_node();
    let served = std::thread::spawn(move || {
        inbox.publish(Some(Status { vaults: 2, vaults_reachable: 1, ..Status::default() }));
        while let Ok(input) = inbox.next(std::time::Duration::from_secs(60)) {
            if let crate::runner::Input::ProbeStore(answer) = input {
                answer.send(Err("the disk is full".into())).unwrap();
                return;
            }
        }
    });
    let (status, body) = block_on(async {
        while fixture.state.running.get().unwrap().handle.status().is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        fixture.json(request("GET", "/readyz", "", "")).await
    });
    served.join().unwrap();
    let codes: Vec<_> =
        body["missing"].as_array().unwrap().iter().map(|m| m["code"].as_str().unwrap()).collect();
    assert_eq!((status, codes), (503, vec!["peers", "proof", "store"]));
}

#[test]
fn a_new_client_gets_a_token_whose_hash_the_engine_keeps() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let fixture = node(&ChainRpc::default(), move |_, command| {
        if let Command::NewClient { token_hash, .. } = command {
            kept.lock().unwrap().push(token_hash);
        }
        Ok(Reply::Client(model::ids::ClientId([7; 16])))
    });
    let ask =
        |body: &str| block_on(fixture.json(request("POST", "/v1/clients", OPERATOR_TOKEN, body)));
    let (status, body) = ask(r#"{"name":"shop","vaults":[]}"#);
    let token = body["token"].as_str().unwrap().to_owned();
    assert_eq!((status, &body["id"]), (200, &json!("07".repeat(16))));
    assert_eq!(token.len(), 3 + 64);
    let key = "ab".repeat(32);
    let (_, body) = ask(&json!({ "name": "mtls", "vaults": [], "tls_key": key }).to_string());
    assert_eq!(body["token"], "");
    let expected = [super::token_credential(&token), super::tls_credential([0xab; 32])];
    assert_eq!(*seen.lock().unwrap(), expected);
}
