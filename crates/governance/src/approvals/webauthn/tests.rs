//! Against the test vectors of the W3C's specification, and a signer of our own that errs in one thing at a time.

use super::*;
use crate::approvals::registration::credential_of;
use ed25519_dalek::{Signer as _, SigningKey};
use model::charter::Credential;
use serde_json::Value;
use std::path::PathBuf;

const DOMAIN: &str = "pay.example";
const CHALLENGE: [u8; 32] = [7; 32];

fn secret() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

/// What a test changes before it signs.
struct Draft {
    client_data: String,
    authenticator_data: Vec<u8>,
}

impl Draft {
    fn new() -> Self {
        let challenge = URL_SAFE_NO_PAD.encode(CHALLENGE);
        let client_data = format!(
            r#"{{"type":"webauthn.get","challenge":"{challenge}","origin":"https://pay.example","crossOrigin":false}}"#
        );
        let mut authenticator_data = Sha256::digest(DOMAIN.as_bytes()).to_vec();
        authenticator_data.extend([USER_PRESENT | USER_VERIFIED, 0, 0, 0, 1]);
        Self { client_data, authenticator_data }
    }
    fn edit(mut self, from: &str, to: &str) -> Self {
        assert!(self.client_data.contains(from), "{from}");
        self.client_data = self.client_data.replace(from, to);
        self
    }
    fn flags(mut self, flags: u8) -> Self {
        self.authenticator_data[32] = flags;
        self
    }
    fn more(mut self, bytes: &[u8]) -> Self {
        self.authenticator_data.extend(bytes);
        self
    }
    fn outcome(&self) -> Result<(), PasskeyError> {
        let hash = Sha256::digest(self.client_data.as_bytes());
        let signed = [self.authenticator_data.as_slice(), hash.as_slice()].concat();
        let signature = secret().sign(&signed).to_bytes();
        let assertion = Assertion {
            authenticator_data: &self.authenticator_data,
            client_data: self.client_data.as_bytes(),
            signature: &signature,
        };
        let key = PasskeyKey::Ed25519(secret().verifying_key().to_bytes());
        assertion.verify(DOMAIN, &key, &CHALLENGE)
    }
    fn code(&self) -> &'static str {
        self.outcome().map_or_else(|error| error.code(), |()| "ok")
    }
}

#[test]
fn an_assertion_with_one_defect_is_refused_for_it() {
    let check = |draft: Draft, code: &str| assert_eq!(draft.code(), code, "{}", draft.client_data);
    check(Draft::new(), "ok");
    check(Draft::new().edit("webauthn.get", "webauthn.create"), "passkey_type");
    check(Draft::new().edit(&URL_SAFE_NO_PAD.encode(CHALLENGE), "AAAA"), "passkey_challenge");
    check(
        Draft::new().edit("\"crossOrigin\":false", "\"crossOrigin\":true"),
        "passkey_cross_origin",
    );
    let framed = Draft::new().edit("}", ",\"topOrigin\":\"https://a.example\"}");
    check(framed, "passkey_cross_origin");
    check(Draft::new().edit("}", ",\"other\":1}"), "ok");
    check(Draft::new().edit("}", ",\"type\":\"webauthn.get\"}"), "passkey_format");
    check(Draft::new().edit("}", "} "), "ok");
    check(Draft::new().edit("}", "}}"), "passkey_format");
    check(Draft::new().flags(USER_VERIFIED), "passkey_not_present");
    check(Draft::new().flags(USER_PRESENT), "passkey_not_verified");
    check(Draft::new().flags(0x05 | BACKED_UP), "passkey_format");
    check(Draft::new().flags(0x05 | BACKED_UP | BACKUP_ELIGIBLE), "ok");
    check(Draft::new().flags(0x05 | ATTESTED), "passkey_format");
    check(Draft::new().more(&[0xa0]), "passkey_format");
    check(Draft::new().flags(0x05 | EXTENSIONS), "passkey_format");
    check(Draft::new().flags(0x05 | EXTENSIONS).more(&[0xa0]), "ok");
    let mut other = Draft::new();
    other.authenticator_data[0] ^= 1;
    check(other, "passkey_other_domain");
    let mut short = Draft::new();
    short.authenticator_data.truncate(36);
    check(short, "passkey_format");
}

#[test]
fn a_changed_byte_anywhere_is_found() {
    let draft = Draft::new();
    let hash = Sha256::digest(draft.client_data.as_bytes());
    let signed = [draft.authenticator_data.as_slice(), hash.as_slice()].concat();
    let signature = secret().sign(&signed).to_bytes();
    let key = PasskeyKey::Ed25519(secret().verifying_key().to_bytes());
    let parts = [draft.authenticator_data, draft.client_data.into_bytes(), signature.to_vec()];
    for part in 0..parts.len() {
        for at in 0..parts[part].len() {
            let mut changed = parts.clone();
            changed[part][at] ^= 0x20;
            let [authenticator_data, client_data, signature] = &changed;
            let assertion = Assertion { authenticator_data, client_data, signature };
            assert!(assertion.verify(DOMAIN, &key, &CHALLENGE).is_err(), "{part} {at}");
        }
    }
}

#[test]
fn an_origin_is_the_domain_or_below_it() {
    let check = |origin: &str, domain: &str, good: bool| {
        assert_eq!(is_origin_of(origin, domain), good, "{origin} for {domain}");
    };
    check("https://pay.example", "pay.example", true);
    check("https://pay.example:8443", "pay.example", true);
    check("https://a.pay.example", "pay.example", true);
    check("http://localhost:8080", "localhost", true);
    check("https://localhost", "localhost", true);
    check("http://pay.example", "pay.example", false);
    check("http://a.localhost", "localhost", false);
    check("https://evilpay.example", "pay.example", false);
    check("https://pay.example.evil", "pay.example", false);
    check("https://pay.example/", "pay.example", false);
    check("https://user@pay.example", "pay.example", false);
    check("https://evil/.pay.example", "pay.example", false);
    check("https://pay.example:", "pay.example", false);
    check("https://pay.example:1:2", "pay.example", false);
    check("https://PAY.example", "pay.example", false);
    check("ftp://pay.example", "pay.example", false);
    check("https://", "", false);
}

fn field(vector: &Value, name: &str) -> Vec<u8> {
    hex::decode(vector[name].as_str().unwrap()).unwrap()
}

/// What we say of a vector: of the registration, of the whole assertion, and of its signature alone.
fn judge(vector: &Value) -> [String; 3] {
    let domain = vector["domain"].as_str().unwrap();
    let code = |outcome: Result<(), PasskeyError>| {
        outcome.map_or_else(|error| error.code().to_owned(), |()| "ok".to_owned())
    };
    let (authenticator_data, client_data, signature) = (
        field(vector, "authenticator_data"),
        field(vector, "client_data"),
        field(vector, "signature"),
    );
    let assertion = Assertion {
        authenticator_data: &authenticator_data,
        client_data: &client_data,
        signature: &signature,
    };
    match credential_with_any_flags(domain, &field(vector, "attestation_object")) {
        Ok((Credential::Passkey { id, key, .. }, verified)) => {
            assert_eq!(id, field(vector, "credential_id"));
            [
                code(verified),
                code(assertion.verify(domain, &key, &field(vector, "challenge"))),
                code(assertion.check_signature(&key)),
            ]
        }
        Ok(_) => unreachable!("a passkey"),
        Err(error) => [error.code().to_owned(), String::new(), String::new()],
    }
}

/// Some vectors register a key without its user verified, which we refuse: their keys still check their signatures.
fn credential_with_any_flags(
    domain: &str,
    object: &[u8],
) -> Result<(Credential, Result<(), PasskeyError>), PasskeyError> {
    let refusal = credential_of(domain, object).map(|_| ());
    let hash = Sha256::digest(domain.as_bytes());
    let at = object.windows(32).rposition(|part| part == hash.as_slice()).unwrap() + 32;
    let mut verified = object.to_vec();
    verified[at] |= USER_VERIFIED | USER_PRESENT;
    Ok((credential_of(domain, &verified)?, refusal))
}

#[test]
fn the_test_vectors_of_the_specification_have_their_outcome() {
    let file =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors/acts/v1/passkeys-w3c.json");
    let mut vectors: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let bless = std::env::var_os("OUTLAST_BLESS").is_some();
    for vector in &mut vectors {
        let names = ["registration", "assertion", "signature_fits"];
        for (name, found) in names.into_iter().zip(judge(vector)) {
            if bless {
                vector[name] = Value::String(found);
            } else {
                assert_eq!(vector[name], found, "{} {name}", vector["name"]);
            }
        }
    }
    if bless {
        std::fs::write(&file, serde_json::to_string_pretty(&vectors).unwrap() + "\n").unwrap();
    }
    let fits = vectors.iter().filter(|vector| vector["signature_fits"] == "ok").count();
    assert_eq!(fits, 11, "every ES256 and Ed25519 signature of the specification fits its key");
}

#[test]
fn a_registration_with_one_defect_gives_no_key() {
    let key = secret().verifying_key().to_bytes();
    let build = |flags: u8, curve: u8, tail: &[u8]| {
        let mut data = Sha256::digest(DOMAIN.as_bytes()).to_vec();
        data.extend([flags, 0, 0, 0, 0]);
        data.extend([0; 16]);
        data.extend([0, 2, 0xab, 0xcd]);
        data.extend([0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, curve, 0x21, 0x58, 0x20]);
        data.extend(key);
        let mut object = vec![0xa1, 0x68];
        object.extend(b"authData");
        object.extend([0x58, u8::try_from(data.len()).unwrap()]);
        object.extend(data);
        object.extend(tail);
        object
    };
    let good = build(0x45, 6, &[]);
    let credential = Credential::Passkey {
        domain: DOMAIN.to_owned(),
        id: vec![0xab, 0xcd],
        key: PasskeyKey::Ed25519(key),
    };
    assert_eq!(credential_of(DOMAIN, &good), Ok(credential));
    for cut in 0..good.len() {
        assert!(credential_of(DOMAIN, &good[..cut]).is_err(), "{cut}");
    }
    let check = |object: &[u8], domain: &str, code: &str| {
        assert_eq!(credential_of(domain, object).unwrap_err().code(), code);
    };
    check(&good, "other.example", "passkey_other_domain");
    check(&build(0x41, 6, &[]), DOMAIN, "passkey_not_verified");
    check(&build(0x05, 6, &[]), DOMAIN, "passkey_format");
    check(&build(0x45, 7, &[]), DOMAIN, "passkey_format");
    check(&build(0x45, 6, &[0]), DOMAIN, "passkey_format");
}
