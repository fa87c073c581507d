//! Every operation of the document against the router: each answer's status is named there and its body fits.

mod govern;

use super::testing::{CLIENT_TOKEN, OPERATOR_TOKEN, block_on, node, request, sealed_node};
use super::{OPENAPI, testing};
use crate::home::ChainRpc;
use engine::{Caller, Class, Command, Problem, Reply, refuse};
use model::amount::Amount;
use model::api::{
    AccountView, ActView, AddressView, CeremonyCharter, CeremonyMember, CeremonyView, ClientView,
    ClockView, KeyView, NodeView, PeerView, Problem as ApiProblem, RecordView, RequestView,
    SignedView, VaultView, VerdictView, WarningView,
};
use model::ids::{ActId, CeremonyId, CharterId, ClientId, NodeId, RequestId, VaultId};
use model::intent::{Fee, Intent, Network, Operation};
use model::keys::Purpose;
use serde_json::{Value, json};

fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

/// A small validator of the JSON Schema words that the document uses. Others fail the test.
fn fits(document: &Value, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).unwrap();
        return fits(document, target, value, place);
    }
    let fail = |why: &str| Err(format!("{place}: {why} in {value}"));
    for (word, rule) in schema.as_object().unwrap() {
        match word.as_str() {
            "description" | "properties" | "items" | "additionalProperties" => {}
            "type" => {
                let names = rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
                if !names.iter().any(|name| is_a(value, name.as_str().unwrap())) {
                    return fail(&format!("not of type {rule}"));
                }
            }
            "const" if rule != value => return fail(&format!("not {rule}")),
            "enum" if !rule.as_array().unwrap().contains(value) => return fail("not in the enum"),
            "minimum" if value.as_i64() < rule.as_i64() => return fail("too small"),
            "maximum" if value.as_i64() > rule.as_i64() => return fail("too large"),
            "pattern" if !matches(rule.as_str().unwrap(), value.as_str().unwrap_or("")) => {
                return fail("does not match the pattern");
            }
            "const" | "enum" | "minimum" | "maximum" | "pattern" => {}
            "oneOf" => {
                let cases = rule.as_array().unwrap();
                let results: Vec<_> =
                    cases.iter().map(|case| fits(document, case, value, place)).collect();
                let good = results.iter().filter(|result| result.is_ok()).count();
                if good != 1 {
                    return fail(&format!("fits {good} of oneOf ({results:?})"));
                }
            }
            "required" => {
                for name in rule.as_array().unwrap() {
                    if value.get(name.as_str().unwrap()).is_none() {
                        return fail(&format!("{name} is missing"));
                    }
                }
            }
            other => panic!("{place}: the validator does not know `{other}`"),
        }
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(name) {
            Some(rule) => fits(document, rule, inner, &format!("{place}.{name}"))?,
            None if schema["additionalProperties"] == false => {
                return fail(&format!("{name} is unknown"));
            }
            None => {}
        }
    }
    for (number, inner) in value.as_array().into_iter().flatten().enumerate() {
        if let Some(rule) = schema.get("items") {
            fits(document, rule, inner, &format!("{place}[{number}]"))?;
        }
    }
    Ok(())
}

fn is_a(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_u64() || value.is_i64(),
        other => panic!("type {other}"),
    }
}

/// The document's few patterns: `^[0-9]+$`, `^[0-9a-f]{N}$` and paths.
fn matches(pattern: &str, text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match pattern {
        "^[0-9]+$" => digits(text),
        "^m(/[0-9]+)*$" => {
            let mut parts = text.split('/');
            parts.next() == Some("m") && parts.all(digits)
        }
        hex => {
            let length = hex.strip_prefix("^[0-9a-f]{").unwrap().strip_suffix("}$").unwrap();
            let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            text.len() == length.parse::<usize>().unwrap() && text.bytes().all(lower)
        }
    }
}

fn amount() -> Amount {
    serde_json::from_value(json!("1000")).unwrap()
}

fn intent() -> Intent {
    let text = || "text".to_owned();
    let operations = vec![
        Operation::NativeTransfer { to: text(), amount: amount() },
        Operation::TokenTransfer { token: text(), to: text(), amount: amount(), decimals: Some(6) },
        Operation::TokenApprove {
            token: text(),
            spender: text(),
            amount: amount(),
            unlimited: true,
            by_permit: false,
            deadline: None,
        },
        Operation::ContractCreation { init_code_hash: text(), init_code_bytes: 1, value: amount() },
        Operation::TypedData {
            domain_name: None,
            verifying_contract: Some(text()),
            primary_type: text(),
            fields: vec![(text(), text())],
        },
        Operation::Message { text: text() },
        Operation::Change { to: text(), amount: amount(), path: text() },
        Operation::Data { bytes: text() },
        Operation::AdvanceNonce { account: text(), authority: text() },
        Operation::CreateTokenAccount { owner: text(), mint: text(), account: text() },
    ];
    Intent {
        network: Network::Evm(1),
        format: text(),
        from: vec![text()],
        operations,
        fee: Fee { at_most: amount(), detail: text() },
        single_use: text(),
        notes: vec![text()],
    }
}

fn request_view(state: &str) -> RequestView {
    let signed = SignedView {
        raw: "0x".into(),
        txid: None,
        signatures: vec!["00".into()],
        psbt: Some("cHNidA==".into()),
        took_ms: 9,
    };
    let problem = ApiProblem { code: "c".into(), message: "m".into(), hint: None };
    let verdict = VerdictView {
        node: NodeId([1; 32]),
        operator: "A".into(),
        verdict: "allowed".into(),
        reason: "r".into(),
    };
    RequestView {
        id: RequestId([5; 32]),
        vault: VaultId([6; 32]),
        purpose: Purpose::Live,
        state: state.into(),
        intent: (state == "signed").then(intent),
        unsigned: (state == "signed").then(|| "00".into()),
        verdicts: vec![verdict],
        signed: (state == "signed").then_some(signed),
        problem: (state == "refused").then_some(problem),
        approval: (state == "refused").then(govern::approval_view),
        entry: NodeId([1; 32]),
        client: (state == "signed").then(|| "11".repeat(16)),
        created_at_ms: 1,
        expires_at_ms: 2,
    }
}

/// An engine that answers every command with a full view, optional fields both ways where there are several.
fn full_engine(_: Caller, command: Command) -> Result<Reply, Problem> {
    let vault = VaultView {
        id: VaultId([6; 32]),
        name: "n".into(),
        purpose: Purpose::Test,
        threshold: 2,
        members: vec![NodeId([1; 32])],
        epoch: 1,
        charter: Some(CharterId([7; 32])),
        keys: vec![KeyView { kind: "ecdsa".into(), public_key: "02".into() }],
    };
    let ceremony = |vault: Option<VaultId>, failure| CeremonyView {
        id: CeremonyId([2; 32]),
        words: "w".into(),
        purpose: Purpose::Test,
        name: "n".into(),
        threshold: 2,
        members: vec![CeremonyMember { node: NodeId([1; 32]), operator: "A".into(), joined: true }],
        charter: vault.map(|_| CeremonyCharter {
            id: CharterId([7; 32]),
            words: "w".into(),
            signed: "s".into(),
        }),
        state: "done".into(),
        vault,
        failure,
        culprit: vault.is_none().then_some(NodeId([1; 32])),
    };
    let record = |vault: Option<VaultId>| {
        Reply::Record(Box::new(RecordView {
            ceremony: CeremonyId([2; 32]),
            vault,
            culprit: vault.is_none().then_some(NodeId([1; 32])),
            sha256: "ab".repeat(32),
            record: "0504".into(),
        }))
    };
    Ok(match command {
        Command::Node | Command::Trust(_) | Command::ResumePair(_) | Command::ReleasePeer(_) => {
            Reply::Node(node_view())
        }
        Command::NewCeremony(_)
        | Command::NewCeremonyUnder(_)
        | Command::JoinCeremony(_)
        | Command::Ceremony(_) => Reply::Ceremony(ceremony(Some(VaultId([6; 32])), None)),
        Command::Ceremonies => Reply::Ceremonies(vec![ceremony(None, Some("why".into()))]),
        Command::Evidence(_) => record(None),
        Command::VaultCeremony(id) => record(Some(id)),
        Command::Vaults => Reply::Vaults(vec![vault]),
        Command::Vault(_) => Reply::Vault(vault),
        Command::Address { network, path, .. } => Reply::Address(AddressView {
            network,
            path: path.to_string(),
            address: "a".into(),
            key: "ecdsa".into(),
            public_key: "02".into(),
            purpose: Purpose::Test,
        }),
        Command::Account { path, .. } => Reply::Account(AccountView {
            path: path.to_string(),
            extended_key: "xpub".into(),
            descriptors: vec!["tr()".into()],
            purpose: Purpose::Test,
        }),
        Command::Submit { .. } => Reply::Request(Box::new(request_view("signed"))),
        Command::SpeedUp(..) | Command::Cancel(..) => {
            Reply::Request(Box::new(request_view("waiting")))
        }
        Command::Request(_) => Reply::Request(Box::new(request_view("refused"))),
        Command::Keyed { .. } => Reply::Requests(vec![]),
        Command::Requests { .. } => {
            Reply::Requests(["signed", "refused", "expired"].map(request_view).to_vec())
        }
        Command::NewClient { .. } => Reply::Client(ClientId([3; 16])),
        Command::Clients => Reply::Clients(vec![ClientView {
            id: "11".repeat(16),
            name: "n".into(),
            vaults: vec![VaultId([6; 32])],
            created_at_ms: 1,
        }]),
        Command::RemoveClient(_) | Command::Known => Reply::Done,
        Command::EvmAccounts => Reply::EvmAccounts(vec![]),
        Command::AgreeToCharter(charter) => Reply::Charter(charter),
        Command::PostAct(_, act) => Reply::Act(act.act.id()),
        Command::Charter(_) => Reply::Governance(Box::new(govern::governance_view())),
        Command::Acts(_) => Reply::Acts(vec![ActView {
            act: ActId([9; 32]),
            word: "freeze".into(),
            author: "p".into(),
            request: None,
            at_ms: 1,
            expires_at_ms: 2,
            bytes: "00".into(),
        }]),
    })
}

fn node_view() -> NodeView {
    let peer = |held: Option<&str>| PeerView {
        node: NodeId([1; 32]),
        operator: "A".into(),
        endpoint: String::new(),
        connected: true,
        pair: "ready".into(),
        pair_epoch: 1,
        held: held.map(str::to_owned),
        clock: Some(ClockView { offset_ms: -3, uncertainty_ms: 2, far: false }),
    };
    NodeView {
        node: NodeId([1; 32]),
        operator: "A".into(),
        card: "c".into(),
        words: "w".into(),
        version: "0".into(),
        unsealed: true,
        peers: vec![peer(None), peer(Some("clone"))],
        vaults: 1,
        warnings: vec![WarningView { code: "c".into(), message: "m".into(), at_ms: 1 }],
    }
}

/// A body that the operation takes.
fn body_of(operation: &str) -> Value {
    match operation {
        "unseal" => json!({ "passphrase": "p" }),
        "trust" => json!({ "card": "c", "words": "w" }),
        "newCeremony" => json!({ "purpose": "test", "name": "n", "members": [], "threshold": 1 }),
        "submit" => json!({ "network": "evm:1", "path": "m/44/60/0/0/0", "wait_ms": 1,
            "ask": { "kind": "send", "to": "0x", "amount": "1" } }),
        "speedUp" | "cancel" => json!({ "wait_ms": 1 }),
        "decode" => json!({ "format": "evm_message", "bytes": "0x68656c6c6f",
            "network": "evm:1" }),
        "newClient" => json!({ "name": "n", "vaults": [] }),
        "newCeremonyUnder" | "agreeToCharter" => json!({ "charter": "c" }),
        "postAct" => json!({ "act": hex::encode(govern::act()) }),
        "rpc" => json!({ "id": 1, "method": "web3_clientVersion" }),
        other => panic!("no body for {other}"),
    }
}

fn url_of(path: &str, operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    let mut url = path.to_owned();
    let mut query = Vec::new();
    for parameter in parameters.iter().filter(|parameter| parameter["in"] != "header") {
        let name = parameter["name"].as_str().unwrap();
        let value = match (name, parameter["schema"]["pattern"].as_str()) {
            ("id", Some("^[0-9a-f]{32}$")) => "11".repeat(16),
            ("id", _) => "11".repeat(32),
            ("network", _) => "evm:1".into(),
            ("path", _) => "m/44/60/0/0/0".into(),
            ("limit" | "chain_id", _) => "5".into(),
            other => panic!("{other:?}"),
        };
        match parameter["in"].as_str().unwrap() {
            "path" => url = url.replace(&format!("{{{name}}}"), &value),
            _ => query.push(format!("{name}={value}")),
        }
    }
    if query.is_empty() { url } else { format!("{url}?{}", query.join("&")) }
}

/// Holds what a running node answered to `path` (without host, with its query) against the document.
pub(crate) fn answers_as_documented(method: &str, path: &str, status: u16, body: &str) {
    let document = document();
    let path = path.split('?').next().unwrap();
    let matches = |pattern: &str| {
        let (found, wanted) = (path.split('/'), pattern.split('/'));
        found.clone().count() == wanted.clone().count()
            && found.zip(wanted).all(|(part, name)| part == name || name.starts_with('{'))
    };
    let paths = document["paths"].as_object().unwrap();
    let exact = paths.get_key_value(path);
    let (pattern, operations) = exact
        .or_else(|| paths.iter().find(|(pattern, _)| matches(pattern)))
        .unwrap_or_else(|| panic!("{path} is not in the document"));
    let operation = &operations[method.to_lowercase()];
    let place = format!("{method} {pattern} {status}");
    let named = &operation["responses"][status.to_string()];
    assert!(named.is_object(), "{place}: the document does not name this answer: {body}");
    let schema = &named["content"]["application/json"]["schema"];
    if schema.is_null() {
        assert!(named["content"]["text/plain"].is_object() || body.is_empty(), "{place}: {body}");
        return;
    }
    let value: Value = serde_json::from_str(body).unwrap();
    fits(&document, schema, &value, &place).unwrap();
}

/// Sends one request and holds the answer against the document.
fn hold(fixture: &testing::Fixture, path: &str, method: &str, token: &str, body: &str) -> u16 {
    let document = document();
    let operation = &document["paths"][path][method];
    let id = operation["operationId"].as_str().unwrap();
    let url = url_of(path, operation);
    let response = block_on(fixture.send(request(&method.to_uppercase(), &url, token, body)));
    let status = response.status().as_u16();
    let named = &operation["responses"][status.to_string()];
    assert!(named.is_object(), "{id} answers {status}, which the document does not name");
    let kind = response.headers().get("content-type").map(|v| v.to_str().unwrap().to_owned());
    let bytes = block_on(axum::body::to_bytes(response.into_body(), usize::MAX)).unwrap();
    let schema = &named["content"]["application/json"]["schema"];
    if schema.is_null() {
        let text = named["content"]["text/plain"].is_object();
        assert!(text || (bytes.is_empty() && status == 204), "{id}: a body that is not named");
        return status;
    }
    assert_eq!(kind.as_deref(), Some("application/json"), "{id}");
    let value: Value = serde_json::from_slice(&bytes).unwrap();
    fits(&document, schema, &value, id).unwrap();
    status
}

/// Every operation with its body: path, method, whether it is secured, body.
fn operations() -> Vec<(String, String, bool, String)> {
    let mut all = Vec::new();
    for (path, methods) in document()["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let secured = operation.get("security").is_none();
            let body = operation.get("requestBody").map(|body| {
                let id = operation["operationId"].as_str().unwrap();
                let value = body_of(id);
                let schema = &body["content"]["application/json"]["schema"];
                fits(&document(), schema, &value, id).unwrap();
                value.to_string()
            });
            all.push((path.clone(), method.clone(), secured, body.unwrap_or_default()));
        }
    }
    assert!(all.len() > 25, "{}", all.len());
    all
}

#[test]
fn every_operation_succeeds_as_the_document_says() {
    let fixture = node(&ChainRpc::default(), full_engine);
    for (path, method, _, body) in operations() {
        let status = hold(&fixture, &path, &method, OPERATOR_TOKEN, &body);
        // The running fixture is not sealed.
        let expected = if path == "/v1/unseal" { 409..410 } else { 200..205 };
        assert!(expected.contains(&status), "{method} {path}: {status}");
    }
}

#[test]
fn every_operation_fails_as_the_document_says() {
    let classes = [
        Class::Refused,
        Class::NotFound,
        Class::Conflict,
        Class::Overloaded,
        Class::Unavailable,
        Class::Bug,
    ];
    for class in classes {
        let fixture = node(&ChainRpc::default(), move |_, command| match (class, &command) {
            // Lists and the node itself exist, and reading rivals nothing.
            (
                Class::NotFound | Class::Conflict,
                Command::Node
                | Command::Ceremonies
                | Command::Ceremony(_)
                | Command::Evidence(_)
                | Command::Vaults
                | Command::Vault(_)
                | Command::VaultCeremony(_)
                | Command::Address { .. }
                | Command::Account { .. }
                | Command::Request(_)
                | Command::Requests { .. }
                | Command::Clients
                | Command::RemoveClient(_),
            ) => full_engine(Caller::Operator, command),
            (Class::NotFound, Command::Trust(_)) => full_engine(Caller::Operator, command),
            _ => Err(refuse(class, "code", "message").hint("hint")),
        });
        for (path, method, _, body) in operations() {
            hold(&fixture, &path, &method, OPERATOR_TOKEN, &body);
        }
    }
    let fixture = sealed_node(&ChainRpc::default(), |_| Err(refuse(Class::Unavailable, "c", "m")));
    for (path, method, secured, body) in operations() {
        hold(&fixture, &path, &method, OPERATOR_TOKEN, &body);
        if secured {
            assert_eq!(hold(&fixture, &path, &method, "", &body), 401, "{method} {path}");
            if !body.is_empty() && path != "/rpc" {
                assert_eq!(hold(&fixture, &path, &method, OPERATOR_TOKEN, "{"), 400, "{path}");
            }
        }
    }
    let operators = operations().into_iter().filter(|(path, ..)| {
        ["/v1/node", "/v1/unseal", "/v1/peers", "/v1/ceremonies", "/v1/clients"]
            .iter()
            .any(|prefix| path.starts_with(prefix))
    });
    for (path, method, _, body) in operators {
        assert_eq!(hold(&fixture, &path, &method, CLIENT_TOKEN, &body), 403, "{path}");
    }
}

#[test]
fn every_route_stands_in_the_document() {
    let document = document();
    let routes = super::routes::all().into_iter().chain(crate::rpc::routes());
    for (path, _) in routes.filter(|(path, _)| !path.starts_with("/rpc/")) {
        assert!(document["paths"].get(path).is_some(), "{path}");
    }
}

#[test]
fn the_validator_refuses_what_does_not_fit() {
    let document = document();
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    let check = |value: Value, good: bool| {
        assert_eq!(fits(&document, &schema, &value, "problem").is_ok(), good, "{value}");
    };
    check(json!({ "code": "c", "message": "m" }), true);
    check(json!({ "code": "c" }), false);
    check(json!({ "code": 1, "message": "m" }), false);
    check(json!({ "code": "c", "message": "m", "x": 1 }), false);
}
