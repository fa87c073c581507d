//! The Mail example of EIP-712, permits, and one defect at a time.

use super::*;

/// The example of EIP-712, with its published digest.
const MAIL: &str = r#"{
  "types": {
    "EIP712Domain": [
      {"name": "name", "type": "string"}, {"name": "version", "type": "string"},
      {"name": "chainId", "type": "uint256"}, {"name": "verifyingContract", "type": "address"}
    ],
    "Person": [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}],
    "Mail": [
      {"name": "from", "type": "Person"}, {"name": "to", "type": "Person"},
      {"name": "contents", "type": "string"}
    ]
  },
  "primaryType": "Mail",
  "domain": {"name": "Ether Mail", "version": "1", "chainId": 1,
    "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"},
  "message": {
    "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
    "to": {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
    "contents": "Hello, Bob!"
  }
}"#;

fn code(text: &str) -> &'static str {
    let read = TypedData::parse(text.as_bytes()).and_then(|document| document.reading());
    read.map_or_else(|refusal| refusal.code(), |_| "ok")
}

#[test]
fn the_mail_of_eip_712_has_its_published_digest_and_shows_every_leaf() {
    let mail = TypedData::parse(MAIL.as_bytes()).expect("the example");
    let digest = "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2";
    assert_eq!(hex::encode(mail.sighash()), digest);
    let reading = mail.reading().expect("the example");
    let [Operation::TypedData { fields, domain_name, .. }] = reading.intent.operations.as_slice()
    else {
        panic!("{reading:?}");
    };
    assert_eq!(domain_name.as_deref(), Some("Ether Mail"));
    let paths: Vec<_> = fields.iter().map(|(path, value)| format!("{path}={value}")).collect();
    assert_eq!(
        paths,
        [
            "from.name=Cow",
            "from.wallet=0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826",
            "to.name=Bob",
            "to.wallet=0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB",
            "contents=Hello, Bob!",
        ]
    );
}

#[test]
fn the_digest_is_that_of_the_library_read_on_its_own() {
    let theirs: alloy_dyn_abi::TypedData = serde_json::from_str(MAIL).expect("the example");
    let ours = TypedData::parse(MAIL.as_bytes()).expect("the example");
    assert_eq!(theirs.eip712_signing_hash().map(|hash| hash.0), Ok(ours.sighash()));
}

#[test]
fn each_defect_of_a_document_has_its_refusal() {
    let check = |from: &str, to: &str, wanted: &str| {
        assert!(MAIL.contains(from), "{from}");
        assert_eq!(code(&MAIL.replacen(from, to, 1)), wanted, "{from} -> {to}");
    };
    check("Hello", "Hullo", "ok");
    check(r#""chainId": 1"#, r#""chainId": "0x1""#, "ok");
    check(r#""chainId": 1"#, r#""chainId": "1""#, "ok");
    check(r#""chainId": 1"#, r#""chainId": "01""#, "invalid_field");
    check(r#""chainId": 1"#, r#""chainId": "1_0""#, "invalid_field");
    check(r#""chainId": 1"#, r#""chainId": "0x10000000000000000""#, "invalid_field");
    check(r#""chainId": 1,"#, "", "invalid_field");
    check(r#"{"name": "chainId", "type": "uint256"}, "#, "", "invalid_field");
    check(r#""version": "1","#, r#""version": "1", "version": "2","#, "malformed");
    check(r#""version": "1","#, r#""version": "1", "extra": "2","#, "invalid_field");
    check(r#""name": "Ether Mail""#, r#""name": 5"#, "invalid_field");
    check(r#""contents": "Hello, Bob!""#, r#""contents": "x", "cc": "y""#, "invalid_field");
    check(r#""contents": "Hello, Bob!""#, r#""contents": 5"#, "invalid_field");
    check(r#""name": "Cow","#, "", "invalid_field");
    check("0xCD2a3d", "0xcd2a3d", "invalid_field");
    check(r#""Mail","#, r#""EIP712Domain","#, "forbidden");
    check(r#""Mail","#, r#""Person","#, "invalid_field");
    check(r#""primaryType": "Mail","#, "", "missing_field");
    check(r#""primaryType": "Mail","#, r#""primaryType": "Mail", "x": 1,"#, "invalid_field");
    check(r#""type": "Person""#, r#""type": "Robot""#, "invalid_field");
    assert_eq!(code(&format!("0x{}", "ab".repeat(32))), "raw_digest");
    assert_eq!(code(&"a".repeat(32)), "raw_digest");
    assert_eq!(code("[]"), "invalid_field");
    assert_eq!(code(&" ".repeat(TRANSACTION_BYTES_MAX + 1)), "too_long");
}

#[test]
fn a_domain_without_a_chain_is_refused() {
    let text = MAIL.replacen(r#""chainId": 1,"#, "", 1).replacen(
        r#"{"name": "chainId", "type": "uint256"}, "#,
        "",
        1,
    );
    assert_eq!(code(&text), "missing_field");
}

/// A document with one verifying contract and the given types, written compactly.
fn document(types: &str, primary: &str, message: &str) -> String {
    let mut out = String::new();
    for part in types.split(')').filter(|part| !part.is_empty()) {
        let (name, fields) = part.split_once('(').expect("type");
        let fields: Vec<_> = fields
            .split(',')
            .map(|field| field.split_once(' ').expect("field"))
            .map(|(kind, name)| format!(r#"{{"name":"{name}","type":"{kind}"}}"#))
            .collect();
        out.push_str(&format!(r#","{name}":[{}]"#, fields.join(",")));
    }
    let domain =
        r#"{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}"#;
    let contract = "0x1111111111111111111111111111111111111111";
    format!(
        r#"{{"types":{{"EIP712Domain":[{domain}]{out}}},"primaryType":"{primary}",
        "domain":{{"chainId":1,"verifyingContract":"{contract}"}},"message":{message}}}"#
    )
}

fn reading(text: &str) -> Reading {
    TypedData::parse(text.as_bytes()).and_then(|d| d.reading()).expect("a good document")
}

const OWNER: &str = "0x2222222222222222222222222222222222222222";
const SPENDER: &str = "0x3333333333333333333333333333333333333333";
const TOKEN: &str = "0x4444444444444444444444444444444444444444";

fn approves(text: &str, token: &str, unlimited: bool, deadline: Option<u64>) {
    let reading = reading(text);
    let Some(Operation::TokenApprove {
        token: found,
        spender,
        unlimited: flag,
        by_permit: true,
        deadline: until,
        ..
    }) = reading.intent.operations.first()
    else {
        panic!("{reading:?}");
    };
    assert_eq!((found.as_str(), spender.as_str()), (token, SPENDER));
    assert_eq!((*flag, *until), (unlimited, deadline));
}

#[test]
fn a_permit_is_an_approval() {
    let here = "0x1111111111111111111111111111111111111111";
    let max = format!("0x{}", "f".repeat(64));
    let permit =
        "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)";
    let message = |value: &str, deadline: &str| {
        format!(
            r#"{{"owner":"{OWNER}","spender":"{SPENDER}","value":"{value}","nonce":0,
            "deadline":"{deadline}"}}"#
        )
    };
    let good = document(permit, "Permit", &message("5", "1700000000"));
    approves(&good, here, false, Some(1_700_000_000));
    assert_eq!(reading(&good).owner, Some([0x22; 20]));
    approves(&document(permit, "Permit", &message(&max, &max)), here, true, None);

    let dai = "Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)";
    let message = format!(
        r#"{{"holder":"{OWNER}","spender":"{SPENDER}","nonce":1,"expiry":0,"allowed":true}}"#
    );
    approves(&document(dai, "Permit", &message), here, true, None);
}

#[test]
fn permit2_is_an_approval_of_the_token_that_it_names() {
    let single = "PermitSingle(PermitDetails details,address spender,uint256 sigDeadline)\
        PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)";
    let details = format!(r#"{{"token":"{TOKEN}","amount":"7","expiration":9,"nonce":0}}"#);
    let rest = format!(r#""spender":"{SPENDER}","sigDeadline":8"#);
    let message = format!(r#"{{"details":{details},{rest}}}"#);
    approves(&document(single, "PermitSingle", &message), TOKEN, false, Some(9));

    let batch = single.replace("PermitSingle", "PermitBatch").replace("s details", "s[] details");
    let message = format!(r#"{{"details":[{details},{details}],{rest}}}"#);
    let text = document(&batch, "PermitBatch", &message);
    approves(&text, TOKEN, false, Some(9));
    assert_eq!(reading(&text).intent.operations.len(), 2);
    let empty = format!(r#"{{"details":[],{rest}}}"#);
    assert_eq!(code(&document(&batch, "PermitBatch", &empty)), "invalid_field");

    let transfer = "PermitTransferFrom(TokenPermissions permitted,address spender,\
        uint256 nonce,uint256 deadline)\
        TokenPermissions(address token,uint256 amount)";
    let message = format!(
        r#"{{"permitted":{{"token":"{TOKEN}","amount":"7"}},"spender":"{SPENDER}","nonce":3,
        "deadline":9}}"#
    );
    approves(&document(transfer, "PermitTransferFrom", &message), TOKEN, false, Some(9));
}

#[test]
fn a_transfer_by_signature_is_a_transfer() {
    let types = "TransferWithAuthorization(address from,address to,uint256 value,\
        uint256 validAfter,uint256 validBefore,bytes32 nonce)";
    let nonce = format!("0x{}", "00".repeat(32));
    let message = format!(
        r#"{{"from":"{OWNER}","to":"{SPENDER}","value":"5","validAfter":0,"validBefore":9,
        "nonce":"{nonce}"}}"#
    );
    let reading = reading(&document(types, "TransferWithAuthorization", &message));
    assert_eq!(reading.owner, Some([0x22; 20]));
    let first = reading.intent.operations.first();
    assert!(matches!(first, Some(Operation::TokenTransfer { to, .. }) if to == SPENDER));
}

#[test]
fn a_message_that_only_calls_itself_a_permit_is_refused() {
    let shifted =
        "Permit(address owner,address spender,uint256 value,uint256 deadline,uint256 nonce)";
    let message =
        format!(r#"{{"owner":"{OWNER}","spender":"{SPENDER}","value":1,"nonce":0,"deadline":1}}"#);
    assert_eq!(code(&document(shifted, "Permit", &message)), "forbidden");
    let other = "PermitForAll(address owner,address spender)";
    let message = format!(r#"{{"owner":"{OWNER}","spender":"{SPENDER}"}}"#);
    assert_eq!(code(&document(other, "PermitForAll", &message)), "forbidden");
}

#[test]
fn values_at_the_ends_of_their_types_are_exact() {
    let check = |kind: &str, value: &str, wanted: &str| {
        let text = document(&format!("A({kind} x)"), "A", &format!(r#"{{"x":{value}}}"#));
        let found = match TypedData::parse(text.as_bytes()).and_then(|d| d.reading()) {
            Ok(reading) => match reading.intent.operations.first() {
                Some(Operation::TypedData { fields, .. }) => fields[0].1.clone(),
                other => panic!("{other:?}"),
            },
            Err(refusal) => refusal.code().to_owned(),
        };
        assert_eq!(found, wanted, "{kind} {value}");
    };
    check("uint8", "255", "255");
    check("uint8", "256", "malformed");
    check("uint8", "-1", "invalid_field");
    check("int8", "127", "127");
    check("int8", "128", "malformed");
    check("int8", "\"-128\"", "-128");
    check("int8", "\"-129\"", "malformed");
    check("int8", "\"-0\"", "invalid_field");
    check("uint256", "\"0xff\"", "255");
    check("uint256", "\"0xFF\"", "255");
    check("uint256", "\"ff\"", "invalid_field");
    check("uint256", "\"\"", "invalid_field");
    check("uint256", "1.0", "malformed");
    check("bool", "true", "true");
    check("bool", "\"true\"", "invalid_field");
    check("bytes2", "\"0xabcd\"", "0xabcd");
    check("bytes2", "\"abcd\"", "invalid_field");
    check("bytes2", "\"0xab\"", "invalid_field");
    check("bytes", "\"0x\"", "0x");
    check("bytes", "[1,2]", "invalid_field");
    check("bytes", "\"0xabc\"", "invalid_field");
    check("string", "\"a\\u202eb\"", "0x61e280ae62");
    check("uint256[]", "[]", "[]");
    check("uint256[2]", "[1,2]", "1");
    check("uint256[2]", "[1]", "invalid_field");
    check("uint256[2]", "[1,2,3]", "invalid_field");
    check("address", "\"0x22\"", "invalid_field");
    check("address", "null", "invalid_field");
}

#[test]
fn every_bound_of_a_document_refuses_one_more() {
    let list = |n: usize| {
        let items = vec!["1"; n].join(",");
        document("A(uint256[] x)", "A", &format!(r#"{{"x":[{items}]}}"#))
    };
    // The list itself counts as one value.
    assert_eq!(code(&list(4095)), "ok");
    assert_eq!(code(&list(4096)), "invalid_field");

    let deep = |levels: usize| {
        let name = "n".repeat(97);
        let types: Vec<_> = (0..levels)
            .map(|level| match level + 1 == levels {
                true => format!("T{level}(bool {name})"),
                false => format!("T{level}(T{} {name})", level + 1),
            })
            .collect();
        let open = format!(r#"{{"{name}":"#).repeat(levels);
        document(&types.concat(), "T0", &format!("{open}true{}", "}".repeat(levels)))
    };
    assert_eq!(code(&deep(5)), "ok");
    assert_eq!(code(&deep(6)), "too_long");

    let wide = |types: usize, fields: usize| {
        let field = |index| format!("bool {}{index:03}", "n".repeat(97));
        let list = |prefix: &str| {
            let fields: Vec<_> = (0..fields).map(field).collect();
            format!("{prefix}{}", fields.join(","))
        };
        let table: Vec<_> = (0..types)
            .map(|level| match level + 1 == types {
                true => format!("T{level}({})", list("")),
                false => format!("T{level}({})", list(&format!("T{}[] m,", level + 1))),
            })
            .collect();
        document(&table.concat(), "T0", "{}")
    };
    // Past the bounds of the table the empty message is what is wrong.
    assert_eq!(code(&wide(3, 100)), "invalid_field");
    assert_eq!(code(&wide(4, 100)), "too_long");
    assert_eq!(code(&wide(1, 129)), "too_long");
    assert_eq!(code(&wide(65, 1)), "too_long");
    assert_eq!(
        code(&document(&format!("A(bool {})", "n".repeat(101)), "A", "{}")),
        "invalid_field"
    );
}
