//! Goal: another implementation says of a passkey's assertion what we say. Method: the vectors, and each good one with one
//! byte changed, are judged by python-fido2 and by us. Without `OUTLAST_PYTHON` the test prints SKIPPED and passes.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use governance::approvals::credential_of;
use governance::approvals::webauthn::Assertion;
use model::act::{ActSignature, SignedAct};
use model::charter::{Charter, Credential, PasskeyKey};
use model::wire::Wire;
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

#[derive(Clone)]
struct Case {
    name: String,
    domain: String,
    id: Vec<u8>,
    key: PasskeyKey,
    challenge: Vec<u8>,
    authenticator_data: Vec<u8>,
    client_data: Vec<u8>,
    signature: Vec<u8>,
}

impl Case {
    fn ours(&self) -> bool {
        let assertion = Assertion {
            authenticator_data: &self.authenticator_data,
            client_data: &self.client_data,
            signature: &self.signature,
        };
        assertion.verify(&self.domain, &self.key, &self.challenge).is_ok()
    }
    fn to_json(&self) -> Value {
        let key = match &self.key {
            PasskeyKey::Es256(key) => key.to_vec(),
            PasskeyKey::Ed25519(key) => key.to_vec(),
        };
        json!({
            "domain": self.domain,
            "id": hex::encode(&self.id),
            "key": hex::encode(key),
            "challenge": hex::encode(&self.challenge),
            "authenticator_data": hex::encode(&self.authenticator_data),
            "client_data": hex::encode(&self.client_data),
            "signature": hex::encode(&self.signature),
        })
    }
    /// The case with one defect each.
    fn spoiled(&self) -> Vec<Self> {
        let spoil = |what: &str, change: &dyn Fn(&mut Self)| {
            let mut case = self.clone();
            case.name = format!("{}, {what}", case.name);
            change(&mut case);
            case
        };
        vec![
            spoil("another challenge", &|case| case.challenge[0] ^= 1),
            spoil("another domain", &|case| case.domain = "other.example".into()),
            spoil("user not verified", &|case| case.authenticator_data[32] &= !4),
            spoil("user not present", &|case| case.authenticator_data[32] &= !1),
            spoil("another counter", &|case| case.authenticator_data[36] ^= 1),
            spoil("another client data", &|case| case.client_data.push(b' ')),
            spoil("another signature", &|case| *case.signature.last_mut().unwrap() ^= 1),
        ]
    }
}

fn vectors(file: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors/acts/v1").join(file);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn field(vector: &Value, name: &str) -> Vec<u8> {
    hex::decode(vector[name].as_str().unwrap()).unwrap()
}

/// Vectors of the specification whose registration we take. Of the frames of other sites we are stricter, on purpose.
fn of_the_specification() -> Vec<Case> {
    let vectors = vectors("passkeys-w3c.json");
    let comparable = vectors.as_array().unwrap().iter().filter(|vector| {
        vector["registration"] == "ok" && vector["assertion"] != "passkey_cross_origin"
    });
    let case = |vector: &Value| {
        let domain = vector["domain"].as_str().unwrap().to_owned();
        let object = field(vector, "attestation_object");
        let Credential::Passkey { id, key, .. } = credential_of(&domain, &object).unwrap() else {
            unreachable!("a passkey")
        };
        Case {
            name: vector["name"].to_string(),
            domain,
            id,
            key,
            challenge: field(vector, "challenge"),
            authenticator_data: field(vector, "authenticator_data"),
            client_data: field(vector, "client_data"),
            signature: field(vector, "signature"),
        }
    };
    comparable.map(case).collect()
}

/// Acts of our own vectors, good and bad, that a passkey signed.
fn of_acts() -> Vec<Case> {
    let vectors = vectors("acts.json");
    let charter = hex::decode(vectors["versions"][1].as_str().unwrap()).unwrap();
    let charter = Charter::from_bytes(&charter).unwrap();
    let listed: Vec<&Credential> =
        charter.people.iter().flat_map(|person| &person.credentials).collect();
    let all = ["good", "bad"].into_iter().flat_map(|list| vectors[list].as_array().unwrap());
    let case = |vector: &Value| {
        let signed = SignedAct::from_bytes(&field(vector, "act")).unwrap();
        let ActSignature::Passkey { credential, authenticator_data, client_data, signature } =
            signed.signature
        else {
            return None;
        };
        let found = listed.iter().find_map(|listed| match listed {
            Credential::Passkey { domain, id, key } if *id == credential => {
                Some((domain.clone(), key.clone()))
            }
            _ => None,
        });
        let (domain, key) = found?;
        let (name, challenge) = (vector["name"].to_string(), signed.act.id().as_bytes().to_vec());
        let id = credential;
        Some(Case { name, domain, id, key, challenge, authenticator_data, client_data, signature })
    };
    all.filter_map(case).collect()
}

#[test]
fn python_fido2_says_of_every_assertion_what_we_say() {
    let Some(python) = std::env::var_os("OUTLAST_PYTHON") else {
        println!("SKIPPED pip: OUTLAST_PYTHON is not set (cargo xtask test fetches it)");
        return;
    };
    let mut cases = [of_the_specification(), of_acts()].concat();
    let good: Vec<Case> = cases.iter().filter(|case| case.ours()).cloned().collect();
    assert!(good.len() >= 4, "{} good ones", good.len());
    cases.extend(good.iter().flat_map(Case::spoiled));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/py/passkeys.py");
    let mut command = Command::new(python);
    command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let input: Vec<Value> = cases.iter().map(Case::to_json).collect();
    child.stdin.take().unwrap().write_all(Value::from(input).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let theirs: Vec<String> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(theirs.len(), cases.len());
    for (case, theirs) in cases.iter().zip(theirs) {
        assert_eq!(case.ours(), theirs == "ok", "{}: they say {theirs}", case.name);
    }
}
