//! Good acts of every kind of signature, and acts with one defect each; both are the vectors of `docs/spec/acts.md`.

use super::*;
use crate::approvals::sshsig::tests::{Keygen, openssh_accepts};
use crate::fixture::*;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use model::act::{Act, Opinion, SSH_NAMESPACE};
use model::charter::PasskeyKey;
use model::ids::RequestId;
use model::wire::Wire;
use p256::ecdsa::signature::Signer as _;
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};
use std::path::PathBuf;

const DOMAIN: &str = "approve.example";

fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [length.as_slice(), bytes].concat()
}

fn ssh_secret() -> SigningKey {
    SigningKey::from_bytes(&[0x51; 32])
}

fn p256_secret() -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&[0x52; 32]).unwrap()
}

fn ssh_blob(touch: bool) -> Vec<u8> {
    let point = ssh_secret().verifying_key().to_bytes();
    if touch {
        let parts: [&[u8]; 3] = [b"sk-ssh-ed25519@openssh.com", &point, b"ssh:"];
        return parts.map(string).concat();
    }
    [string(b"ssh-ed25519"), string(&point)].concat()
}

/// What `ssh-keygen -Y sign` makes, by hand: its own test is in `sshsig`.
fn ssh_signature(act: &Act, namespace: &str, touch: Option<u8>) -> ActSignature {
    let message = act.id().to_string();
    let hash = Sha512::digest(message.as_bytes());
    let parts = [namespace.as_bytes(), b"", b"sha512", hash.as_slice()];
    let mut signed = [b"SSHSIG".to_vec(), parts.map(string).concat()].concat();
    let tail = touch.map(|flags| vec![flags, 0, 0, 0, 1]).unwrap_or_default();
    if touch.is_some() {
        let (application, inner) = (Sha256::digest(b"ssh:"), Sha256::digest(&signed));
        signed = [application.as_slice(), &tail, inner.as_slice()].concat();
    }
    let kind: &[u8] = if touch.is_some() { b"sk-ssh-ed25519@openssh.com" } else { b"ssh-ed25519" };
    let made = ssh_secret().sign(&signed).to_bytes();
    let signature = [string(kind), string(&made), tail].concat();
    let key = string(&ssh_blob(touch.is_some()));
    let rest = [string(namespace.as_bytes()), string(b""), string(b"sha512"), string(&signature)];
    ActSignature::Ssh([b"SSHSIG".to_vec(), vec![0, 0, 0, 1], key, rest.concat()].concat())
}

fn passkey(kind: u8) -> Credential {
    let key = match kind {
        0 => {
            let point = p256_secret().verifying_key().to_sec1_point(true);
            PasskeyKey::Es256(point.as_bytes().try_into().unwrap())
        }
        _ => PasskeyKey::Ed25519(ssh_secret().verifying_key().to_bytes()),
    };
    Credential::Passkey { domain: DOMAIN.into(), id: vec![kind; 16], key }
}

fn passkey_signature(act: &Act, kind: u8, flags: u8, origin: &str) -> ActSignature {
    let challenge = URL_SAFE_NO_PAD.encode(act.id().as_bytes());
    let client_data = format!(
        r#"{{"type":"webauthn.get","challenge":"{challenge}","origin":"{origin}","crossOrigin":false}}"#
    );
    let mut authenticator_data = Sha256::digest(DOMAIN.as_bytes()).to_vec();
    authenticator_data.extend([flags, 0, 0, 0, 0]);
    let signed =
        [authenticator_data.as_slice(), Sha256::digest(client_data.as_bytes()).as_slice()].concat();
    let signature = match kind {
        0 => {
            let signature: p256::ecdsa::Signature = p256_secret().sign(&signed);
            signature.to_der().as_bytes().to_vec()
        }
        _ => ssh_secret().sign(&signed).to_bytes().to_vec(),
    };
    ActSignature::Passkey {
        credential: vec![kind; 16],
        authenticator_data,
        client_data: client_data.into_bytes(),
        signature,
    }
}

/// The fixture's vault, where `ann` has a credential of every kind and `old` was removed by version 2.
fn vault() -> (Known, CharterId, CharterId) {
    let mut birth = charter();
    let mut old = birth.people[3].clone();
    old.id = "old".into();
    old.credentials = vec![credential("old", 1)];
    birth.people.push(old);
    birth.people[3].credentials.extend([
        Credential::Ssh { blob: ssh_blob(false) },
        Credential::Ssh { blob: ssh_blob(true) },
        passkey(0),
        passkey(1),
    ]);
    let second = amended(&birth, |charter| charter.people.retain(|person| person.id != "old"));
    let (first_id, second_id) = (birth.id(), second.id());
    let mut known = Known::new(VAULT, birth);
    known.add_version(second);
    (known, first_id, second_id)
}

fn opinion() -> Opinion {
    Opinion { request: RequestId([5; 32]), level: "treasury/desk".into(), intent: [6; 32] }
}

fn approve(version: CharterId) -> Act {
    act(Author::Person("ann".into()), version, 1_000, Body::Approve(opinion()))
}

fn signed(act: Act, signature: impl Fn(&Act) -> ActSignature) -> SignedAct {
    let signature = signature(&act);
    SignedAct { act, signature }
}

fn good(first: CharterId, second: CharterId) -> Vec<(&'static str, SignedAct)> {
    let ann = |signature: &dyn Fn(&Act) -> ActSignature| signed(approve(second), signature);
    let freeze = || Body::Freeze { level: "treasury".into() };
    let unseen = CharterId([0xee; 32]);
    vec![
        ("approve by a service key", by("ann", 1, second, 1_000, Body::Approve(opinion()))),
        ("approve by SSH", ann(&|act| ssh_signature(act, "act@outlast", None))),
        ("approve by SSH with a touch", ann(&|act| ssh_signature(act, "act@outlast", Some(1)))),
        (
            "approve by passkey, ES256",
            ann(&|act| passkey_signature(act, 0, 5, "https://approve.example")),
        ),
        (
            "approve by passkey, Ed25519",
            ann(&|act| passkey_signature(act, 1, 0x1d, "https://a.approve.example:8443")),
        ),
        ("reject", by("rob", 2, second, 1_000, Body::Reject(opinion()))),
        ("freeze", by("gil", 1, first, 1_000, freeze())),
        (
            "freeze by one who saw a version that is not known here",
            by("gil", 1, unseen, 1_000, freeze()),
        ),
        ("check-in", by("gus", 1, second, 1_000, Body::CheckIn)),
        ("amend", by("gus", 1, first, 1_000, Body::Amend { next: second })),
        (
            "acknowledge",
            by_node(2, first, 1_000, Body::Acknowledge { previous: first, next: second }),
        ),
        (
            "reserve",
            by_node(
                2,
                second,
                1_000,
                Body::Reserve { request: RequestId([5; 32]), intent: [6; 32] },
            ),
        ),
    ]
}

fn altered(mut signed: SignedAct, change: impl Fn(&mut Act)) -> SignedAct {
    change(&mut signed.act);
    signed
}

fn bad(first: CharterId, second: CharterId) -> Vec<(&'static str, SignedAct)> {
    let approve_by = |person: &str| by(person, 1, second, 1_000, Body::Approve(opinion()));
    let own = |change: &dyn Fn(&mut Act)| {
        let mut act = approve(second);
        change(&mut act);
        sign(act, &secret("ann", 1))
    };
    let ann = |signature: &dyn Fn(&Act) -> ActSignature| signed(approve(second), signature);
    let mut another_vault = approve(second);
    another_vault.vault = VaultId([0x22; 32]);
    let at_home = "https://approve.example";
    vec![
        ("for another vault", sign(another_vault, &secret("ann", 1))),
        ("naming a version that nobody knows", own(&|act| act.charter = CharterId([0xee; 32]))),
        ("by nobody of the charter", approve_by("eve")),
        ("by a removed person under the new version", approve_by("old")),
        ("by another's credential", sign(approve(second), &secret("bob", 1))),
        (
            "for another request than was signed",
            altered(approve_by("ann"), |act| {
                act.body = Body::Approve(Opinion { request: RequestId([9; 32]), ..opinion() });
            }),
        ),
        (
            "for another intent than was signed",
            altered(approve_by("ann"), |act| {
                act.body = Body::Approve(Opinion { intent: [9; 32], ..opinion() });
            }),
        ),
        (
            "a rejection turned to an approval",
            altered(by("ann", 1, second, 1_000, Body::Reject(opinion())), |act| {
                act.body = Body::Approve(opinion());
            }),
        ),
        (
            "under another version than was signed",
            altered(approve_by("ann"), |act| act.charter = first),
        ),
        (
            "living longer than was signed",
            altered(approve_by("ann"), |act| {
                act.expires_at = act.expires_at.saturating_add_ms(1);
            }),
        ),
        ("living for no time", own(&|act| act.expires_at = act.created_at)),
        (
            "living longer than an approval may",
            own(&|act| {
                act.expires_at = act.created_at.saturating_add_ms(limits::REQUEST_LIFE_MS_MAX + 1);
            }),
        ),
        ("SSH in another namespace", ann(&|act| ssh_signature(act, "file", None))),
        ("SSH without a touch", ann(&|act| ssh_signature(act, "act@outlast", Some(0)))),
        (
            "SSH over another act",
            ann(&|act| {
                let mut other = act.clone();
                other.salt = [8; 16];
                ssh_signature(&other, "act@outlast", None)
            }),
        ),
        (
            "passkey over another act",
            ann(&|act| {
                let mut other = act.clone();
                other.salt = [8; 16];
                passkey_signature(&other, 0, 5, at_home)
            }),
        ),
        ("passkey without its user verified", ann(&|act| passkey_signature(act, 0, 1, at_home))),
        ("passkey without its user present", ann(&|act| passkey_signature(act, 1, 4, at_home))),
        (
            "passkey on another site",
            ann(&|act| passkey_signature(act, 0, 5, "https://approve.example.evil")),
        ),
        (
            "passkey with another's credential id",
            ann(&|act| match passkey_signature(act, 0, 5, at_home) {
                ActSignature::Passkey { authenticator_data, client_data, signature, .. } => {
                    ActSignature::Passkey {
                        credential: vec![9; 16],
                        authenticator_data,
                        client_data,
                        signature,
                    }
                }
                other => other,
            }),
        ),
        (
            "a node's signature under a person's act",
            ann(&|act| ActSignature::Node(node(1).sign(SigningUse::Act, act.id().as_bytes()))),
        ),
        (
            "a service's signature under a node's act",
            sign(
                act(
                    Author::Node(node(1).id()),
                    second,
                    1_000,
                    Body::Reserve { request: RequestId([5; 32]), intent: [6; 32] },
                ),
                &secret("ann", 1),
            ),
        ),
        (
            "by a node of another vault",
            by_node(9, second, 1_000, Body::Acknowledge { previous: first, next: second }),
        ),
        (
            "a node's signature for another use",
            signed(
                act(
                    Author::Node(node(1).id()),
                    first,
                    1_000,
                    Body::Acknowledge { previous: first, next: second },
                ),
                |act| ActSignature::Node(node(1).sign(SigningUse::Request, act.id().as_bytes())),
            ),
        ),
        (
            "an unfreeze of more freezes than one act may lift",
            by(
                "tim",
                1,
                second,
                1_000,
                Body::Unfreeze { level: "treasury".into(), lifts: vec![ActId([1; 32]); 65] },
            ),
        ),
        ("an approval by a node", by_node(1, second, 1_000, Body::Approve(opinion()))),
        (
            "an acknowledgement by a person",
            by("gil", 1, second, 1_000, Body::Acknowledge { previous: first, next: second }),
        ),
    ]
}

fn refusal(signed: &SignedAct, known: &Known) -> ActRefusal {
    verify_act(signed, known).unwrap_err()
}

#[test]
fn vectors_of_acts_are_taken_or_refused_for_their_one_defect() {
    let (known, first, second) = vault();
    let bytes = |charter: &Charter| hex::encode(charter.to_bytes());
    let goods = good(first, second).into_iter().map(|(name, signed)| {
        assert!(verify_act(&signed, &known).is_ok(), "{name}: {:?}", verify_act(&signed, &known));
        json!({ "name": name, "act": hex::encode(signed.to_bytes()), "id": signed.act.id() })
    });
    let goods: Vec<Value> = goods.collect();
    let bads = bad(first, second).into_iter().map(|(name, signed)| {
        let refusal = refusal(&signed, &known);
        let says = refusal.to_string();
        json!({ "name": name, "act": hex::encode(signed.to_bytes()), "refusal": refusal.code(), "says": says })
    });
    let bads: Vec<Value> = bads.collect();
    let versions = [first, second].map(|id| bytes(known.version(&id).unwrap()));
    let made = json!({ "vault": VAULT, "versions": versions, "good": goods, "bad": bads });

    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors/acts/v1/acts.json");
    if std::env::var_os("OUTLAST_BLESS").is_some() {
        std::fs::write(&file, serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
    }
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(kept, made);
    for vector in kept["good"].as_array().unwrap() {
        let bytes = hex::decode(vector["act"].as_str().unwrap()).unwrap();
        let signed = SignedAct::from_bytes(&bytes).unwrap();
        assert_eq!(signed.to_bytes(), bytes);
        assert!(verify_act(&signed, &known).is_ok(), "{}", vector["name"]);
    }
}

#[test]
fn openssh_says_of_the_vectors_what_we_say() {
    let (_, _, second) = vault();
    for touch in [None, Some(1)] {
        let act = approve(second);
        let ActSignature::Ssh(bytes) = ssh_signature(&act, SSH_NAMESPACE, touch) else {
            unreachable!("an SSH signature")
        };
        let blob = ssh_blob(touch.is_some());
        let verdict =
            |message: &str| openssh_accepts(&blob, SSH_NAMESPACE, message.as_bytes(), &bytes);
        let Some(good) = verdict(&act.id().to_string()) else { return };
        assert!(good, "{touch:?}");
        assert_eq!(verdict(&ActId([1; 32]).to_string()), Some(false));
    }
}

#[test]
fn an_act_that_ssh_keygen_signs_is_verified() {
    let Some(keygen) = Keygen::new() else { return };
    let mut birth = charter();
    birth.people[3].credentials = vec![Credential::Ssh { blob: keygen.blob() }];
    let known = Known::new(VAULT, birth);
    let act = approve(known.birth());
    let sign = |namespace: &str| {
        let message = act.id().to_string();
        let signature = ActSignature::Ssh(keygen.sign(namespace, "sha512", message.as_bytes()));
        SignedAct { act: act.clone(), signature }
    };
    let verified = verify_act(&sign(SSH_NAMESPACE), &known).unwrap();
    let bytes = verified.signed().to_bytes();
    assert!(SignedAct::from_bytes(&bytes).is_ok_and(|read| verify_act(&read, &known).is_ok()));
    assert_eq!(refusal(&sign("git"), &known).code(), "ssh_namespace");
}

#[test]
fn an_act_read_from_any_changed_byte_is_another_or_refused() {
    let (known, first, second) = vault();
    for (name, signed) in good(first, second) {
        let bytes = signed.to_bytes();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let taken =
                SignedAct::from_bytes(&changed).is_ok_and(|act| verify_act(&act, &known).is_ok());
            assert!(!taken, "{name}: byte {at}");
        }
    }
}

#[test]
fn a_credential_that_an_act_of_replacement_offers_can_sign_from_then_on() {
    let mut known = known(&[]);
    let birth = known.birth();
    let freeze = by("ann", 3, birth, 1_000, Body::CheckIn);
    assert_eq!(refusal(&freeze, &known).code(), "unknown_credential");
    let (lost, new) = (credential("ann", 1), credential("ann", 3));
    let offer = by("gil", 1, birth, 1_000, Body::Replace { person: "ann".into(), lost, new });
    let offer = verify_act(&offer, &known).unwrap();
    known.add_act(&offer);
    assert!(verify_act(&freeze, &known).is_ok());
}

#[test]
fn a_charter_is_agreed_to_by_people_and_nodes_before_a_vault_exists() {
    let charter = charter();
    let id = charter.id();
    let yes = |signed: SignedAct, author: Option<&str>| {
        let mut act = signed.act;
        act.vault = VaultId([0; 32]);
        match author {
            Some(person) => sign(act, &secret(person, 1)),
            None => {
                let signature = node(2).sign(SigningUse::Act, act.id().as_bytes());
                SignedAct { act, signature: ActSignature::Node(signature) }
            }
        }
    };
    let amend = || Body::Amend { next: id };
    let gil = yes(by("gil", 1, id, 1, amend()), Some("gil"));
    let operator = yes(by_node(2, id, 1, amend()), None);
    let agree = |signatures: Vec<SignedAct>| {
        verify_birth(&SignedCharter { charter: charter.clone(), signatures })
    };
    assert_eq!(agree(vec![gil.clone(), operator.clone()]).map(|acts| acts.len()), Ok(2));
    let other = yes(by("gil", 1, id, 1, Body::Amend { next: CharterId([1; 32]) }), Some("gil"));
    assert_eq!(agree(vec![gil, other]).unwrap_err().code(), "unknown_version");
    let living = by("gil", 1, id, 1, amend());
    assert_eq!(agree(vec![living]).unwrap_err().code(), "wrong_vault");
    let forged = SignedAct { act: operator.act, signature: ActSignature::Node([1; 64]) };
    assert_eq!(agree(vec![forged]).unwrap_err().code(), "forged");
}
