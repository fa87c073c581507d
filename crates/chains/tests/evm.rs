//! EVM requests from the ask to the raw signed bytes, with a plain key in place of a quorum.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod common;

use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Decodable2718;
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256, TxKind, U256};
use chains::{Artefact, Plan, Refusal, SpendKey};
use common::{SECRET, request, sign, vault};
use model::amount::Amount;
use model::api::{AskView, FillView};
use model::intent::{Network, Operation};
use model::request::{Ask, Fill, RawKind};
use model::signing::Signature;

const FROM: &str = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F";
const TO: &str = "0x3535353535353535353535353535353535353535";
const PATH: &str = "m/44/60/0/0/0";
const CHAIN: Network = Network::Evm(1);

fn fill(nonce: u64, gas_limit: u64, cancel: bool) -> Fill {
    let gwei = 1_000_000_000;
    Fill::Evm {
        nonce,
        gas_limit,
        max_fee_per_gas: 30 * gwei,
        max_priority_fee_per_gas: gwei,
        cancel,
    }
}

fn raw(kind: RawKind, bytes: Vec<u8>) -> Ask {
    Ask::Raw { kind, bytes }
}

fn send(amount: u64) -> Ask {
    let view = AskView::Send { to: TO.to_owned(), amount: Amount::from_u64(amount) };
    chains::parse_ask(CHAIN, &view).expect("a good ask")
}

/// Builds, signs with the plain key, and finishes.
fn run(path: &str, ask: Ask, fill: &Fill) -> Result<(Plan, Artefact), Refusal> {
    let (keys, request) = (vault(SECRET), request(CHAIN, path, ask, None));
    let plan = chains::build(&keys, &request, fill)?;
    let signatures: Vec<_> = plan.items.iter().map(|item| sign(SECRET, item)).collect();
    let artefact = chains::finish(&keys, &request, &plan, &signatures)?;
    Ok((plan, artefact))
}

fn envelope(artefact: &Artefact) -> TxEnvelope {
    let mut bytes = artefact.raw.as_slice();
    let envelope = TxEnvelope::decode_2718(&mut bytes).expect("an envelope");
    assert!(bytes.is_empty());
    let hash = format!("0x{}", hex::encode(envelope.tx_hash()));
    assert_eq!(Some(hash), artefact.txid);
    envelope
}

#[test]
fn the_example_of_eip_155_gives_its_published_bytes() {
    let unsigned = "ec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a\
        764000080018080";
    let ask = raw(RawKind::EvmTransaction, hex::decode(unsigned).expect("hex"));
    let (plan, artefact) = run("m", ask, &Fill::Nothing).expect("the example");
    let sighash = "daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53";
    assert_eq!(hex::encode(&plan.items[0].message), sighash);
    let signed = "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a7\
        6400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997\
        f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83";
    assert_eq!(hex::encode(&artefact.raw), signed);
    assert_eq!(plan.intent.from, [FROM]);
    assert_eq!(plan.spends, [SpendKey(format!("evm:1:{FROM}:9"))]);
}

#[test]
fn a_transfer_runs_from_the_ask_to_an_envelope_that_another_library_reads() {
    let (plan, artefact) = run(PATH, send(5), &fill(7, 21_000, false)).expect("a transfer");
    let TxEnvelope::Eip1559(signed) = envelope(&artefact) else { panic!("{artefact:?}") };
    let tx = signed.tx();
    assert_eq!((tx.chain_id, tx.nonce, tx.value), (1, 7, U256::from(5)));
    assert_eq!(signed.signature_hash().as_slice(), plan.items[0].message);
    assert_eq!(plan.fee_at_most, Amount::from_u64(21_000 * 30_000_000_000));
    let operation = Operation::NativeTransfer { to: TO.to_owned(), amount: Amount::from_u64(5) };
    assert_eq!(plan.intent.operations, [operation]);
    assert_eq!(plan.intent.single_use, "nonce 7");
    let again = chains::decode(plan.kind, None, &plan.unsigned).expect("decodes offline");
    assert_eq!((again.operations, again.fee), (plan.intent.operations, plan.intent.fee));
}

#[test]
fn tokens_and_contracts_run_the_same_way() {
    let token = AskView::SendToken {
        token: TO.to_owned(),
        to: FROM.to_owned(),
        amount: Amount::from_u64(9),
        source: None,
        decimals: None,
    };
    let ask = chains::parse_ask(CHAIN, &token).expect("a good ask");
    let (plan, artefact) = run(PATH, ask, &fill(0, 60_000, false)).expect("a token transfer");
    assert!(matches!(&plan.intent.operations[..],
        [Operation::TokenTransfer { token, to, .. }] if token == TO && to == FROM));
    envelope(&artefact);

    let create = AskView::Call {
        to: None,
        value: Amount::ZERO,
        data: "0x6001600155".to_owned(),
        gas_limit: None,
    };
    let ask = chains::parse_ask(CHAIN, &create).expect("a good ask");
    let (plan, artefact) = run(PATH, ask, &fill(1, 90_000, false)).expect("a creation");
    let [Operation::ContractCreation { init_code_hash, init_code_bytes: 5, .. }] =
        &plan.intent.operations[..]
    else {
        panic!("{plan:?}");
    };
    let hash = alloy_primitives::keccak256([0x60, 1, 0x60, 1, 0x55]);
    assert_eq!(*init_code_hash, hex::encode(hash));
    envelope(&artefact);
}

fn samples() -> (TxLegacy, TxEip2930, TxEip1559) {
    let to = TxKind::Call(Address::repeat_byte(0x35));
    let access_list = AccessList(vec![AccessListItem {
        address: Address::repeat_byte(0x11),
        storage_keys: vec![B256::repeat_byte(0x22), B256::ZERO],
    }]);
    let value = U256::from(1u64);
    let legacy = TxLegacy {
        chain_id: Some(1),
        nonce: 3,
        gas_price: 20_000_000_000,
        gas_limit: 21_000,
        to,
        value,
        ..TxLegacy::default()
    };
    let eip2930 = TxEip2930 {
        chain_id: 1,
        nonce: 3,
        gas_price: 20_000_000_000,
        gas_limit: 30_000,
        to,
        value,
        access_list: access_list.clone(),
        ..TxEip2930::default()
    };
    let eip1559 = TxEip1559 {
        chain_id: 1,
        nonce: 3,
        gas_limit: 30_000,
        max_fee_per_gas: 20_000_000_000,
        max_priority_fee_per_gas: 1,
        to,
        value,
        access_list,
        ..TxEip1559::default()
    };
    (legacy, eip2930, eip1559)
}

#[test]
fn our_sighash_of_each_type_is_that_of_the_other_library() {
    fn check(tx: &impl SignableTransaction<alloy_primitives::Signature>, format: &str) {
        let ask = raw(RawKind::EvmTransaction, tx.encoded_for_signing());
        let (plan, artefact) = run(PATH, ask, &Fill::Nothing).expect(format);
        assert_eq!(plan.items[0].message, tx.signature_hash().as_slice(), "{format}");
        assert_eq!(plan.intent.format, format);
        let Signature::Ecdsa { rs, recovery_id } = sign(SECRET, &plan.items[0]) else {
            unreachable!()
        };
        let found = *envelope(&artefact).signature();
        assert_eq!(found.as_bytes()[..64], rs, "{format}");
        assert_eq!(found.v(), recovery_id == 1, "{format}");
    }
    let (legacy, eip2930, eip1559) = samples();
    check(&legacy, "evm-legacy");
    check(&eip2930, "evm-2930");
    check(&eip1559, "evm-1559");
}

#[test]
fn an_access_list_is_noted() {
    let bytes = samples().1.encoded_for_signing();
    let intent = chains::decode(RawKind::EvmTransaction, None, &bytes).expect("good");
    assert_eq!(intent.notes, ["access list: 1 addresses, 2 storage keys"]);
}

#[test]
fn messages_and_typed_data_give_65_bytes_that_recover_to_the_address() {
    let (plan, artefact) =
        run(PATH, raw(RawKind::EvmMessage, b"hello".to_vec()), &Fill::Nothing).expect("a message");
    assert_eq!((artefact.raw.len(), &artefact.txid), (65, &None));
    assert!(matches!(artefact.raw[64], 27 | 28));
    assert_eq!(artefact.text, format!("0x{}", hex::encode(&artefact.raw)));
    assert_eq!((plan.spends, plan.fee_at_most), (vec![], Amount::ZERO));

    let key = chains::address(&vault(SECRET), CHAIN, &PATH.parse().expect("path")).expect("key");
    let document = permit(&key.text, 1);
    let (plan, artefact) =
        run(PATH, raw(RawKind::EvmTypedData, document.into_bytes()), &Fill::Nothing)
            .expect("typed");
    assert!(matches!(
        plan.intent.operations[..],
        [Operation::TokenApprove { by_permit: true, .. }]
    ));
    let (rs, v) = artefact.raw.split_at(64);
    let id = secp256k1::ecdsa::RecoveryId::from_i32(i32::from(v[0]) - 27).expect("27 or 28");
    let signature = secp256k1::ecdsa::RecoverableSignature::from_compact(rs, id).expect("rs");
    let digest = plan.items[0].message.clone().try_into().expect("32 bytes");
    let signer = secp256k1::Secp256k1::new()
        .recover_ecdsa(&secp256k1::Message::from_digest(digest), &signature)
        .expect("a key");
    assert_eq!(signer.serialize().to_vec(), key.public_key);
}

fn permit(owner: &str, chain: u64) -> String {
    let field = |(kind, name): (&str, &str)| format!(r#"{{"name":"{name}","type":"{kind}"}}"#);
    let types = [
        ("address", "owner"),
        ("address", "spender"),
        ("uint256", "value"),
        ("uint256", "nonce"),
        ("uint256", "deadline"),
    ];
    let domain = [("uint256", "chainId"), ("address", "verifyingContract")];
    format!(
        r#"{{"types":{{"EIP712Domain":[{}],"Permit":[{}]}},"primaryType":"Permit","domain":
        {{"chainId":{chain},"verifyingContract":"{TO}"}},"message":{{"owner":"{owner}",
        "spender":"{TO}","value":"1","nonce":0,"deadline":9}}}}"#,
        domain.map(field).join(","),
        types.map(field).join(","),
    )
}

#[test]
fn rivals_share_what_they_spend_and_a_cancel_moves_nothing() {
    let (plan, _) = run(PATH, send(5), &fill(7, 21_000, false)).expect("a transfer");
    let (cancel, _) = run(PATH, send(5), &fill(7, 21_000, true)).expect("its cancel");
    assert_eq!(plan.spends, cancel.spends);
    let from = cancel.intent.from[0].clone();
    let wanted = Operation::NativeTransfer { to: from, amount: Amount::ZERO };
    assert_eq!(cancel.intent.operations, [wanted]);
    assert!(cancel.intent.notes.iter().any(|note| note.starts_with("cancels")));
}

#[test]
fn each_way_to_ask_for_something_else_has_its_refusal() {
    let check = |network, path: &str, ask: Ask, fee_max, fill: &Fill, wanted: &str| {
        let built = chains::build(&vault(SECRET), &request(network, path, ask, fee_max), fill);
        assert_eq!(built.map_or_else(|e| e.code(), |_| "ok"), wanted);
    };
    let good = fill(7, 21_000, false);
    let legacy = || raw(RawKind::EvmTransaction, samples().0.encoded_for_signing());
    check(CHAIN, PATH, send(5), None, &good, "ok");
    check(CHAIN, PATH, send(5), Some(21_000 * 30_000_000_000), &good, "ok");
    check(CHAIN, PATH, send(5), Some(21_000 * 30_000_000_000 - 1), &good, "fee_over_ceiling");
    check(CHAIN, PATH, send(5), None, &Fill::Nothing, "missing_field");
    let solana = Fill::Solana { blockhash: [0; 32], nonce_account: None, cancel: false };
    check(CHAIN, PATH, send(5), None, &solana, "wrong_network");
    check(CHAIN, PATH, send(5), None, &fill(7, 20_999, false), "invalid_field");
    check(CHAIN, PATH, send(5), None, &fill(u64::MAX, 21_000, false), "invalid_field");
    check(CHAIN, PATH, send(5), None, &fill(7, 50_000_000, false), "fee_over_ceiling");
    check(CHAIN, PATH, legacy(), None, &Fill::Nothing, "ok");
    check(CHAIN, PATH, legacy(), None, &good, "invalid_field");
    check(Network::Evm(5), PATH, legacy(), None, &Fill::Nothing, "wrong_network");
    check(Network::Evm(0), PATH, send(5), None, &good, "invalid_field");
    check(Network::Evm(u64::MAX), PATH, send(5), None, &good, "invalid_field");
    let other = raw(RawKind::EvmTypedData, permit(TO, 1).into_bytes());
    check(CHAIN, PATH, other, None, &Fill::Nothing, "not_ours");
    let far = raw(RawKind::EvmTypedData, permit(TO, 2).into_bytes());
    check(CHAIN, PATH, far, None, &Fill::Nothing, "wrong_network");
    let digest = |kind| raw(kind, vec![9; 32]);
    check(CHAIN, PATH, digest(RawKind::EvmMessage), None, &Fill::Nothing, "raw_digest");
    check(CHAIN, PATH, digest(RawKind::EvmTransaction), None, &Fill::Nothing, "raw_digest");
    check(CHAIN, PATH, digest(RawKind::EvmTypedData), None, &Fill::Nothing, "raw_digest");
    check(CHAIN, PATH, raw(RawKind::Psbt, vec![1]), None, &Fill::Nothing, "invalid_field");
    let lamports = Ask::SolanaTransfer { to: [0; 32], lamports: 1 };
    check(CHAIN, PATH, lamports, None, &good, "wrong_network");

    let call = Ask::EvmCall {
        to: Some([0x35; 20]),
        value: Amount::ZERO,
        data: vec![],
        gas_limit: Some(40_000),
    };
    check(CHAIN, PATH, call.clone(), None, &good, "not_the_request");
    check(CHAIN, PATH, call, None, &fill(7, 40_000, false), "ok");
    let tip = Fill::Evm {
        nonce: 1,
        gas_limit: 21_000,
        max_fee_per_gas: 5,
        max_priority_fee_per_gas: 6,
        cancel: false,
    };
    check(CHAIN, PATH, send(5), None, &tip, "invalid_field");
}

#[test]
fn each_defect_of_transaction_bytes_has_its_refusal() {
    let check = |bytes: &[u8], wanted: &str| {
        let found = chains::decode(RawKind::EvmTransaction, None, bytes);
        assert_eq!(found.map_or_else(|e| e.code(), |_| "ok"), wanted, "{}", hex::encode(bytes));
    };
    let (legacy, eip2930, eip1559) = samples();
    let good = eip1559.encoded_for_signing();
    for bytes in [legacy.encoded_for_signing(), eip2930.encoded_for_signing(), good.clone()] {
        check(&bytes, "ok");
        check(&[bytes.as_slice(), &[0]].concat(), "dirty_bytes");
        for end in [1, 2, bytes.len() / 2, bytes.len() - 1] {
            let code = if end == 32 { "raw_digest" } else { "malformed" };
            check(&bytes[..end], code);
        }
    }
    check(&[], "malformed");
    check(&[0x80], "malformed");
    check(&[&[0x03], &good[1..]].concat(), "forbidden");
    check(&[&[0x04], &good[1..]].concat(), "forbidden");
    check(&[&[0x05], &good[1..]].concat(), "forbidden");
    check(&[&[0x00], &good[1..]].concat(), "forbidden");
    check(&[&[0x01], &good[1..]].concat(), "malformed");
    let old = TxLegacy { chain_id: None, ..legacy.clone() };
    check(&old.encoded_for_signing(), "forbidden");
    let signature = alloy_primitives::Signature::test_signature();
    let mut signed = Vec::new();
    legacy.clone().into_signed(signature).eip2718_encode(&mut signed);
    check(&signed, "malformed");
    signed.clear();
    eip1559.clone().into_signed(signature).eip2718_encode(&mut signed);
    check(&signed, "malformed");
    // A nonce with a leading zero, and a list header that is longer than it must be.
    let mut dirty = eip1559.encoded_for_signing();
    let nonce = dirty.iter().position(|byte| *byte == 3).expect("the nonce");
    dirty.splice(nonce..=nonce, [0x82, 0, 3]);
    dirty[2] += 2;
    check(&dirty, "malformed");
    check(&vec![0xc0; model::limits::TRANSACTION_BYTES_MAX + 1], "too_long");

    let bomb = |tx: TxEip1559, wanted| check(&tx.encoded_for_signing(), wanted);
    let base = eip1559;
    bomb(TxEip1559 { max_fee_per_gas: u128::MAX, ..base.clone() }, "invalid_field");
    bomb(TxEip1559 { gas_limit: 80_000_000, ..base.clone() }, "fee_over_ceiling");
    bomb(TxEip1559 { gas_limit: 20_000, ..base.clone() }, "invalid_field");
    bomb(TxEip1559 { chain_id: 0, ..base.clone() }, "invalid_field");
    bomb(TxEip1559 { max_priority_fee_per_gas: u128::MAX, ..base.clone() }, "invalid_field");
    bomb(TxEip1559 { to: TxKind::Create, ..base.clone() }, "invalid_field");
    bomb(TxEip1559 { input: vec![1, 2, 3, 4, 5].into(), ..base }, "unknown_call");
}

#[test]
fn the_smallest_legacy_transaction_is_no_digest() {
    let tx = TxLegacy {
        chain_id: Some(1),
        gas_limit: 21_000,
        to: TxKind::Call(Address::repeat_byte(0x35)),
        ..TxLegacy::default()
    };
    let bytes = tx.encoded_for_signing();
    assert_eq!(bytes.len(), 32);
    assert!(chains::decode(RawKind::EvmTransaction, None, &bytes).is_ok());
}

#[test]
fn a_signature_that_does_not_fit_never_leaves() {
    let (keys, request) = (vault(SECRET), request(CHAIN, PATH, send(5), None));
    let plan = chains::build(&keys, &request, &fill(7, 21_000, false)).expect("a plan");
    let good = sign(SECRET, &plan.items[0]);
    let Signature::Ecdsa { rs, recovery_id } = good else { panic!("{good:?}") };
    let check = |signatures: &[Signature], wanted: &str| {
        let found = chains::finish(&keys, &request, &plan, signatures);
        assert_eq!(found.map_or_else(|e| e.code(), |_| "ok"), wanted);
    };
    let ecdsa = |rs, recovery_id| Signature::Ecdsa { rs, recovery_id };
    check(&[ecdsa(rs, recovery_id)], "ok");
    check(&[], "signature");
    check(&[ecdsa(rs, recovery_id), ecdsa(rs, recovery_id)], "signature");
    check(&[ecdsa(rs, 1 - recovery_id)], "signature");
    check(&[ecdsa(rs, 2)], "signature");
    check(&[ecdsa([0; 64], 0)], "signature");
    check(&[ecdsa([0xff; 64], 0)], "signature");
    check(&[Signature::Schnorr(rs)], "signature");
    check(&[sign([0x47; 32], &plan.items[0])], "signature");
    // The twin with a high s is as valid as a number, and chains refuse it.
    let order = U256::from_str_radix(
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        16,
    );
    let s = U256::from_be_slice(&rs[32..]);
    let mut high = rs;
    high[32..].copy_from_slice(&(order.expect("a number") - s).to_be_bytes::<32>());
    check(&[ecdsa(high, 1 - recovery_id)], "signature");
}

#[test]
fn addresses_follow_eip_55_and_accounts_bip_32() {
    let one = {
        let mut one = [0; 32];
        one[31] = 1;
        vault(one)
    };
    let root = "m".parse().expect("path");
    let address = chains::address(&one, CHAIN, &root).expect("an address");
    assert_eq!(address.text, "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf");

    let check = |text: &str, wanted: &str| {
        let view = AskView::Send { to: text.to_owned(), amount: Amount::ZERO };
        let found = chains::parse_ask(CHAIN, &view);
        assert_eq!(found.map_or_else(|e| e.code(), |_| "ok"), wanted, "{text}");
    };
    // The examples of EIP-55.
    check("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "ok");
    check("0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359", "ok");
    check("0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB", "ok");
    check("0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb", "ok");
    check("0xd1220a0cf47c7b9be7a2e6ba89f429762e7b9adb", "ok");
    check("0xd1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb", "invalid_field");
    check("0xD1220A0CF47C7B9BE7A2E6BA89F429762E7B9ADB", "invalid_field");
    check("D1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb", "invalid_field");
    check("0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aD", "invalid_field");
    check("vitalik.eth", "invalid_field");
}

#[test]
fn the_account_key_of_bip_32_vector_2_has_its_published_text() {
    use model::curve::{Curve, Secp256k1};
    let mut keys = vault(SECRET);
    let bytes = |text: &str| hex::decode(text).expect("hex");
    let point = "03cbcaa9c98c877a26977d00825c956a238e8dddfbd322cce4f74b0b5bd6ace4a7";
    let chain = "60499f801b896d83179a4374aeb7822aaeaceaa0db1f85ee3e904c4defbd9689";
    keys.ecdsa.point = Secp256k1::point_from_bytes(&bytes(point)).expect("a point");
    keys.ecdsa.chain_code.0 = bytes(chain).try_into().expect("32 bytes");
    let check = |path: &str, wanted: &str| {
        let account = chains::account(&keys, CHAIN, &path.parse().expect("path"));
        assert_eq!(account.map(|account| account.extended_key), Ok(wanted.to_owned()));
    };
    check(
        "m",
        "xpub661MyMwAqRbcFW31YEwpkMuc5THy2PSt5bDMsktWQcFF8syAmRUapSCGu8ED9W6oDMSgv6Zz8idoc4a6mr8BD\
         zTJY47LJhkJ8UB7WEGuduB",
    );
    check(
        "m/0",
        "xpub69H7F5d8KSRgmmdJg2KhpAK8SR3DjMwAdkxj3ZuxV27CprR9LgpeyGmXUbC6wb7ERfvrnKZjXoUmmDznezpbZ\
         b7ap6r1D3tgFxHmwMkQTPH",
    );
}

#[test]
fn a_fill_is_read_for_its_own_chain() {
    let view = FillView::Evm {
        nonce: None,
        gas_limit: 21_000,
        max_fee_per_gas: 2,
        max_priority_fee_per_gas: 1,
    };
    let draft = chains::parse_fill(CHAIN, &view).expect("a good fill");
    let wanted = Fill::Evm {
        nonce: 4,
        gas_limit: 21_000,
        max_fee_per_gas: 2,
        max_priority_fee_per_gas: 1,
        cancel: false,
    };
    assert_eq!(draft.with_nonce(4), Some(wanted));
    let solana = "solana:local".parse().expect("a network");
    assert_eq!(chains::parse_fill(solana, &view).map_err(|e| e.code()), Err("wrong_network"));
}
