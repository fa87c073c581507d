use super::*;
use crate::test_vault::{TestVault, request};
use solana_message::compiled_instruction::CompiledInstruction;
use solana_message::{Message, MessageHeader};

const PATH: &str = "m/44/501/0/0";
/// Both were written by the Python package solders: nonce advance, unit limit 30,000, price 1,000,001, transfer.
const LEGACY: &str = include_str!("../../../../vectors/chains-solana/1/nonce-priority-legacy.hex");
const V0: &str = include_str!("../../../../vectors/chains-solana/1/nonce-priority-v0.hex");

fn vault() -> TestVault {
    TestVault::new(crate::fuzz::CORPUS_SEED)
}

fn payer() -> Pubkey {
    key_at(&vault().keys, &PATH.parse().unwrap()).unwrap()
}

fn key(byte: u8) -> Pubkey {
    Pubkey::from([byte; 32])
}

fn build_with(ask: Ask, blockhash: [u8; 32], nonce_account: Option<[u8; 32]>) -> Plan {
    let fill = Fill::Solana { blockhash, nonce_account, cancel: false };
    let request = request("solana:local", PATH, ask);
    build(&vault().keys, &request, SolanaCluster::Local, &fill).unwrap()
}

fn raw_plan(bytes: Vec<u8>) -> Result<Plan, Refusal> {
    let ask = Ask::Raw { kind: RawKind::SolanaMessage, bytes };
    let request = request("solana:local", PATH, ask);
    build(&vault().keys, &request, SolanaCluster::Local, &Fill::Nothing)
}

/// A legacy message of one instruction: the payer is account 0, the program the last key.
fn one(program: Pubkey, others: &[Pubkey], accounts: &[u8], data: &[u8]) -> Message {
    many(program, others, &[(accounts, data)])
}

fn many(program: Pubkey, others: &[Pubkey], calls: &[(&[u8], &[u8])]) -> Message {
    let keys: Vec<Pubkey> =
        [payer()].into_iter().chain(others.iter().copied()).chain([program]).collect();
    let header = MessageHeader {
        num_required_signatures: 1,
        num_readonly_signed_accounts: 0,
        num_readonly_unsigned_accounts: 1,
    };
    let program_id_index = u8::try_from(keys.len() - 1).unwrap();
    let instructions = calls
        .iter()
        .map(|(accounts, data)| CompiledInstruction {
            program_id_index,
            accounts: accounts.to_vec(),
            data: data.to_vec(),
        })
        .collect();
    Message { header, account_keys: keys, recent_blockhash: [3; 32].into(), instructions }
}

fn transfer_message() -> Message {
    let data = [&2u32.to_le_bytes()[..], &7u64.to_le_bytes()].concat();
    one(programs::SYSTEM, &[key(9)], &[0, 1], &data)
}

#[test]
fn a_message_of_another_library_reads_as_it_was_meant_in_both_versions() {
    for (text, format) in [(LEGACY, "solana-legacy"), (V0, "solana-v0")] {
        let bytes = hex::decode(text.trim()).unwrap();
        let intent = decode("solana:devnet".parse().ok(), &bytes).unwrap();
        let from = "US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFr";
        assert_eq!((intent.format.as_str(), intent.from[0].as_str()), (format, from));
        let expected = [
            Operation::AdvanceNonce { account: key(5).to_string(), authority: from.to_owned() },
            Operation::NativeTransfer {
                to: key(9).to_string(),
                amount: Amount::from_u64(123_456_789),
            },
        ];
        assert_eq!(intent.operations, expected);
        // 30,000 units at 1,000,001 millionths: 30,000.03 lamports, rounded up.
        assert_eq!(intent.fee.at_most, Amount::from_u64(5_000 + 30_001));
        assert!(intent.single_use.contains("does not expire"));
        let refusal = raw_plan(bytes).unwrap_err();
        assert_eq!(refusal.code(), "not_ours");
    }
}

#[test]
fn a_transfer_is_built_signed_and_finished_and_a_forged_signature_is_not() {
    let ask = Ask::SolanaTransfer { to: [9; 32], lamports: 7 };
    let plan = build_with(ask.clone(), [3; 32], None);
    assert_eq!(plan.unsigned, transfer_message().serialize());
    let transfer =
        Operation::NativeTransfer { to: key(9).to_string(), amount: Amount::from_u64(7) };
    assert_eq!(plan.intent.operations, [transfer]);
    let prefix = format!("sol:local:{}:", key(3));
    assert!(plan.spends[0].0.starts_with(&prefix), "{:?}", plan.spends);
    let request = request("solana:local", PATH, ask);
    let signature = vault().sign(&plan.items[0]);
    let artefact =
        finish(&vault().keys, &request, &plan, std::slice::from_ref(&signature)).unwrap();
    assert_eq!(artefact.raw[0], 1);
    assert_eq!(&artefact.raw[65..], plan.unsigned);
    assert_eq!(artefact.txid, Some(bs58::encode(&artefact.raw[1..65]).into_string()));
    let Signature::Ed25519(mut bytes) = signature else { panic!() };
    bytes[40] ^= 1;
    let forged = finish(&vault().keys, &request, &plan, &[Signature::Ed25519(bytes)]);
    assert_eq!(forged, Err(Refusal::Signature(0)));
    let wrong_kind = finish(&vault().keys, &request, &plan, &[Signature::Schnorr(bytes)]);
    assert_eq!(wrong_kind, Err(Refusal::Signature(0)));
    assert_eq!(finish(&vault().keys, &request, &plan, &[]), Err(Refusal::Signature(0)));
}

#[test]
fn a_durable_nonce_is_advanced_first_and_is_what_the_transaction_spends() {
    let ask = Ask::SolanaTransfer { to: [9; 32], lamports: 7 };
    let plan = build_with(ask.clone(), [4; 32], Some([5; 32]));
    let Operation::AdvanceNonce { account, authority } = &plan.intent.operations[0] else {
        panic!()
    };
    assert_eq!((account, authority), (&key(5).to_string(), &payer().to_string()));
    let spends = format!("sol:local:nonce:{}:{}", key(5), key(4));
    assert_eq!(plan.spends, [SpendKey(spends)]);
    // A payment to oneself keeps one key per account.
    let to = payer().to_bytes();
    let plan = build_with(Ask::SolanaTransfer { to, lamports: 7 }, [4; 32], None);
    assert_eq!(plan.intent.operations.len(), 1);
    let request = request("solana:local", PATH, ask);
    assert!(build(&vault().keys, &request, SolanaCluster::Local, &Fill::Nothing).is_err());
}

#[test]
fn a_token_transfer_names_mint_destination_and_decimals() {
    let ask = Ask::SolanaTokenTransfer {
        mint: [6; 32],
        source: [7; 32],
        destination: [8; 32],
        amount: 1_500_000,
        decimals: 6,
    };
    let plan = build_with(ask, [3; 32], Some([5; 32]));
    let expected = Operation::TokenTransfer {
        token: key(6).to_string(),
        to: key(8).to_string(),
        amount: Amount::from_u64(1_500_000),
        decimals: Some(6),
    };
    assert_eq!(plan.intent.operations[1], expected);
    assert!(plan.intent.notes[0].contains(&key(7).to_string()));
}

#[test]
fn approvals_token_accounts_and_memos_have_words() {
    let amount = u64::MAX.to_le_bytes();
    let approve =
        one(programs::TOKEN, &[key(7), key(8)], &[1, 2, 0], &[&[4][..], &amount].concat());
    let intent = raw_plan(approve.serialize()).unwrap().intent;
    let expected = Operation::TokenApprove {
        token: key(7).to_string(),
        spender: key(8).to_string(),
        amount: Amount::from_u64(u64::MAX),
        unlimited: true,
        by_permit: false,
        deadline: None,
    };
    assert_eq!(intent.operations, [expected]);
    let data = [&[13][..], &9u64.to_le_bytes(), &[6]].concat();
    let checked = one(programs::TOKEN_2022, &[key(7), key(6), key(8)], &[1, 2, 3, 0], &data);
    let intent = raw_plan(checked.serialize()).unwrap().intent;
    let Operation::TokenApprove { token, unlimited: false, .. } = &intent.operations[0] else {
        panic!()
    };
    assert_eq!(token, &key(6).to_string());
    assert!(intent.notes.iter().any(|note| note.contains("Token-2022")));
    let memo = solana_pubkey::pubkey!("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");
    let intent = raw_plan(one(memo, &[], &[0], b"hi").serialize()).unwrap().intent;
    assert_eq!(intent.operations, [Operation::Data { bytes: "6869".to_owned() }]);
}

#[test]
fn an_associated_account_is_the_one_that_other_code_derives() {
    // Derived by the Python package solders; bumps 255 and 254.
    let mint = solana_pubkey::pubkey!("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v");
    let mut first = [7; 32];
    first[31] = 1;
    let check = |owner: [u8; 32], token, text: &str| {
        let found = programs::associated_account(Pubkey::from(owner), mint, token);
        assert_eq!(found.map(|key| key.to_string()), Some(text.to_owned()));
    };
    check(first, programs::TOKEN, "2Jz2bUhryDTxkpf8CDzJ1xrMZkx6HzgXrS1NefHFVoTA");
    check(first, programs::TOKEN_2022, "GYw29wca1cGX9ipWtSH9BHeZzANkqGqe7eNYKKde3PRj");
    check([9; 32], programs::TOKEN, "5NM2PTxoZG8edxvBeAPEHyvuTqXAkoBwfFNkfBjzrBQr");
    check([9; 32], programs::TOKEN_2022, "DozRma8JfgYN3RznJcZSgMFW3WzUJp5CkD1i2hLkHtMQ");
    let program = solana_pubkey::pubkey!("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");
    let create = |account: Pubkey| {
        let others = [account, key(9), mint, programs::SYSTEM, programs::TOKEN];
        raw_plan(one(program, &others, &[0, 1, 2, 3, 4, 5], &[1]).serialize())
    };
    let derived = programs::associated_account(key(9), mint, programs::TOKEN).unwrap();
    let expected = Operation::CreateTokenAccount {
        owner: key(9).to_string(),
        mint: mint.to_string(),
        account: derived.to_string(),
    };
    assert_eq!(create(derived).unwrap().intent.operations, [expected]);
    assert_eq!(create(key(2)).unwrap_err().code(), "invalid_field");
}

fn refused(message: &Message, code: &str, words: &str) {
    let refusal = raw_plan(message.serialize()).unwrap_err();
    assert_eq!(refusal.code(), code, "{words}: {refusal}");
    assert!(refusal.to_string().contains(words), "{words}: {refusal}");
}

#[test]
fn a_message_that_does_more_or_less_than_its_words_is_refused_by_name() {
    let amount = 7u64.to_le_bytes();
    let system = programs::SYSTEM;
    let transfer = [&2u32.to_le_bytes()[..], &amount].concat();
    let long = [&transfer[..], &[0]].concat();
    refused(&one(system, &[key(9)], &[0, 1], &long), "dirty_bytes", "data of an instruction");
    refused(&one(system, &[key(9)], &[0, 1], &transfer[..11]), "dirty_bytes", "data");
    refused(&one(system, &[key(9)], &[1, 0], &transfer), "invalid_field", "would have to sign");
    refused(&one(system, &[key(9)], &[0], &transfer), "invalid_field", "1 accounts, 2 are read");
    refused(&one(system, &[key(9)], &[0, 1], &[1, 0, 0, 0]), "unknown_call", "0x01000000");
    refused(&one(system, &[], &[0], &[]), "unknown_call", &system.to_string());
    refused(&one(key(77), &[key(9)], &[0, 1], &[9; 5]), "unknown_call", &key(77).to_string());
    let plain = [&[3][..], &amount].concat();
    let token = programs::TOKEN;
    refused(&one(token, &[key(7), key(8)], &[1, 2, 0], &plain), "forbidden", "names no mint");
    // SetAuthority and CloseAccount have no words.
    refused(&one(token, &[key(7)], &[1, 0], &[6, 2, 0]), "unknown_call", "0x060200");
    refused(&one(token, &[key(7), key(8)], &[1, 2, 0], &[9]), "unknown_call", "0x09");
    let checked = [&[12][..], &amount, &[6]].concat();
    let multisig = one(token, &[key(7), key(6), key(8), key(5)], &[1, 2, 3, 4, 0], &checked);
    refused(&multisig, "invalid_field", "5 accounts, 4 are read");
    let delegate = one(token, &[key(7), key(6), key(8), key(5)], &[1, 2, 3, 4], &checked);
    refused(&delegate, "invalid_field", "would have to sign");
    let advance = 4u32.to_le_bytes();
    let others = [key(9), key(5), programs::RECENT_BLOCKHASHES];
    let late = many(system, &others, &[(&[0, 1], &transfer), (&[2, 3, 0], &advance)]);
    refused(&late, "forbidden", "after the first instruction");
    let sysvar = one(system, &[key(5), key(6)], &[1, 2, 0], &advance);
    refused(&sysvar, "invalid_field", "sysvar");
    let budget = solana_pubkey::pubkey!("ComputeBudget111111111111111111111111111111");
    let price = [&[3][..], &amount].concat();
    refused(&many(budget, &[], &[(&[], &price), (&[], &price)]), "invalid_field", "twice");
    refused(&one(budget, &[], &[], &price), "missing_field", "does something");
    refused(&one(budget, &[], &[], &[0; 9]), "unknown_call", "0x00000000");
}

#[test]
fn a_message_of_another_shape_is_refused_by_name() {
    let good = transfer_message();
    let mut signers = good.clone();
    signers.header.num_required_signatures = 2;
    refused(&signers, "forbidden", "several signers");
    let mut twice = good.clone();
    twice.account_keys[1] = twice.account_keys[0];
    refused(&twice, "malformed", "stands twice");
    let mut nowhere = good.clone();
    nowhere.instructions[0].accounts[1] = 9;
    refused(&nowhere, "malformed", "Solana message");
    let mut nothing = good.clone();
    nothing.instructions.clear();
    refused(&nothing, "missing_field", "does something");
    let bytes = good.serialize();
    let check = |bytes: &[u8], code: &str| {
        assert_eq!(decode(None, bytes).map(|_| ()).map_err(|e| e.code()), Err(code));
    };
    assert!(decode(None, &bytes).is_ok());
    check(&[7; 32], "raw_digest");
    check(&[], "malformed");
    check(&bytes[..bytes.len() - 1], "malformed");
    check(&[&bytes[..], &[0]].concat(), "dirty_bytes");
    // The number of keys in two bytes instead of one.
    check(&[&bytes[..3], &[0x83, 0], &bytes[4..]].concat(), "dirty_bytes");
    check(&[0; message::MESSAGE_BYTES_MAX + 1], "too_long");
    check(b"\xffsolana offchain\x00 sign in", "forbidden");
    check(&[&[0x81][..], &bytes].concat(), "malformed");
    check(&[&[0x80][..], &bytes, &[1]].concat(), "forbidden");
    assert!(decode(None, &[&[0x80][..], &bytes, &[0]].concat()).is_ok());
    let network = "bitcoin:main".parse().ok();
    assert_eq!(decode(network, &bytes).map(|_| ()).map_err(|e| e.code()), Err("wrong_network"));
}

#[test]
fn a_priority_fee_bomb_is_refused() {
    let check = |limit: Option<u32>, price: u64, expected: Result<u64, &str>| {
        let mut decoded = programs::decode(payer(), &[transfer_call()]).unwrap();
        (decoded.unit_limit, decoded.unit_price) = (limit, Some(price));
        let found = fee(&decoded).map(|fee| fee.at_most.to_u64().unwrap());
        assert_eq!(found.map_err(|e| e.code()), expected);
    };
    check(Some(1_000_000), 19_995_000, Ok(FEE_LAMPORTS_MAX));
    check(Some(1_000_000), 19_995_001, Err("fee_over_ceiling"));
    // Without a limit one call may use 200,000 units; a limit over the runtime's counts as the runtime's.
    check(None, 5_000_000, Ok(1_005_000));
    check(Some(u32::MAX), 1_000_000, Ok(1_405_000));
    check(Some(u32::MAX), u64::MAX, Err("fee_over_ceiling"));
    let mut request =
        request("solana:local", PATH, Ask::SolanaTransfer { to: [9; 32], lamports: 7 });
    request.fee_max = Some(Amount::from_u64(4_999));
    let fill = Fill::Solana { blockhash: [3; 32], nonce_account: None, cancel: false };
    let refusal = build(&vault().keys, &request, SolanaCluster::Local, &fill).unwrap_err();
    let says = "the fee may reach 5000 lamports, the ceiling is 4999 lamports (request)";
    assert_eq!((refusal.code(), refusal.to_string().as_str()), ("fee_over_ceiling", says));
}

fn transfer_call() -> message::Call {
    let read = message::read(&transfer_message().serialize()).unwrap();
    read.instructions.into_iter().next().unwrap()
}

#[test]
fn an_address_is_the_derived_key_and_the_account_hides_the_chain_code() {
    let vault = vault();
    let path = PATH.parse().unwrap();
    let found = address(&vault.keys, &path).unwrap();
    assert_eq!(found.text, bs58::encode(&found.public_key).into_string());
    let account = account(&vault.keys, &path).unwrap();
    assert_eq!(account.extended_key, hex::encode(&found.public_key));
}

/// Whoever approves must see that the signature may come too late, and what to do about it.
#[test]
fn a_transfer_under_a_recent_blockhash_notes_that_it_goes_stale() {
    let ask = || Ask::SolanaTransfer { to: [9; 32], lamports: 7 };
    let notes = |account| build_with(ask(), [3; 32], account).intent.notes;
    assert_eq!(notes(None), [STALE]);
    assert!(STALE.contains("about a minute") && STALE.contains("durable nonce"));
    assert_eq!(notes(Some([5; 32])), [""; 0]);
    let read = crate::decode(RawKind::SolanaMessage, None, &transfer_message().serialize());
    assert!(read.unwrap().notes.iter().any(|note| note == STALE));
    let durable = hex::decode(LEGACY.trim()).unwrap();
    let read = crate::decode(RawKind::SolanaMessage, None, &durable);
    assert!(read.unwrap().notes.iter().all(|note| note != STALE));
}
