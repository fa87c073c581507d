use super::*;
use crate::test_vault::{TestVault, request};
use ::bitcoin::consensus::{deserialize, serialize};
use ::bitcoin::hashes::Hash;
use ::bitcoin::locktime::absolute::LockTime;
use ::bitcoin::psbt::PsbtSighashType;
use ::bitcoin::transaction::Version;
use ::bitcoin::{OutPoint, Psbt, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness};
use model::curve::Curve;
use model::intent::Operation;
use model::request::Coin;

const TAPROOT: &str = "m/86/0/0";
const WPKH: &str = "m/84/0/0";
const STRANGER: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

fn vault() -> TestVault {
    TestVault::new(7001)
}

/// A transaction that pays `sats` to the account's receive addresses 0, 1, …
fn funding(vault: &TestVault, account: &str, sats: &[u64]) -> Transaction {
    let account: DerivationPath = account.parse().unwrap();
    let outpoint = OutPoint { txid: Txid::from_byte_array([9; 32]), vout: 3 };
    let output = |(number, sat): (usize, &u64)| {
        let path = account.child(0).unwrap().child(u32::try_from(number).unwrap()).unwrap();
        let script_pubkey = ours::script_at(&vault.keys, &path).unwrap();
        TxOut { value: ::bitcoin::Amount::from_sat(*sat), script_pubkey }
    };
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: outpoint,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: Witness::from_slice(&[[1u8; 64]]),
        }],
        output: sats.iter().enumerate().map(output).collect(),
    }
}

fn coins(funding: &Transaction) -> Vec<Coin> {
    let transaction = serialize(funding);
    (0..u32::try_from(funding.output.len()).unwrap())
        .map(|vout| Coin { transaction: transaction.clone(), vout, child: (0, vout) })
        .collect()
}

fn send(sat: u64) -> Vec<(String, u64)> {
    vec![(STRANGER.to_owned(), sat)]
}

fn planned(account: &str, sats: &[u64], sat: u64, fee: u64) -> Plan {
    let vault = vault();
    let request = request("bitcoin:regtest", account, Ask::BitcoinSend { outputs: send(sat) });
    let coins = coins(&funding(&vault, account, sats));
    let network = BitcoinNetwork::Regtest;
    let fill =
        fill_from_coins(&vault.keys, network, &request.path, &send(sat), coins, fee, 5).unwrap();
    build(&vault.keys, &request, network, &fill).unwrap()
}

/// The request that brings `bytes` ready-made.
fn raw_plan(account: &str, bytes: Vec<u8>) -> Result<Plan, Refusal> {
    let ask = Ask::Raw { kind: RawKind::Psbt, bytes };
    let request = request("bitcoin:regtest", account, ask);
    build(&vault().keys, &request, BitcoinNetwork::Regtest, &Fill::Nothing)
}

/// Bitcoin Core's consensus code over every input of a finished transaction.
fn consensus(raw: &[u8], spent: &[TxOut]) -> Result<(), bitcoinconsensus::Error> {
    let utxos: Vec<bitcoinconsensus::Utxo> = spent
        .iter()
        .map(|output| bitcoinconsensus::Utxo {
            script_pubkey: output.script_pubkey.as_bytes().as_ptr(),
            script_pubkey_len: u32::try_from(output.script_pubkey.len()).unwrap(),
            value: i64::try_from(output.value.to_sat()).unwrap(),
        })
        .collect();
    for (index, output) in spent.iter().enumerate() {
        let (script, sat) = (output.script_pubkey.as_bytes(), output.value.to_sat());
        bitcoinconsensus::verify(script, sat, raw, Some(&utxos), index)?;
    }
    Ok(())
}

fn signed(plan: &Plan) -> Vec<Signature> {
    plan.items.iter().map(|item| vault().sign(item)).collect()
}

#[test]
fn bitcoin_core_accepts_what_we_finish_and_refuses_a_flipped_bit() {
    for account in [TAPROOT, WPKH] {
        let plan = planned(account, &[60_000, 40_000], 70_000, 500);
        let artefact =
            finish(&vault().keys, BitcoinNetwork::Regtest, &plan, &signed(&plan)).unwrap();
        let spent = funding(&vault(), account, &[60_000, 40_000]).output;
        assert_eq!(consensus(&artefact.raw, &spent), Ok(()), "{account}");
        let transaction: Transaction = deserialize(&artefact.raw).unwrap();
        assert_eq!(artefact.txid, Some(transaction.compute_txid().to_string()));
        assert!(transaction.vsize() <= 2 + usize::try_from(planned_vsize(account)).unwrap());
        // Forged: another amount under the same signatures; and a flipped bit in a signature.
        let mut other = transaction.clone();
        other.output[0].value = ::bitcoin::Amount::from_sat(70_001);
        assert!(consensus(&serialize(&other), &spent).is_err(), "{account}");
        let mut flipped = transaction;
        let mut items = flipped.input[0].witness.to_vec();
        items[0][40] ^= 1;
        flipped.input[0].witness = Witness::from_slice(&items);
        assert!(consensus(&serialize(&flipped), &spent).is_err(), "{account}");
    }
}

fn planned_vsize(account: &str) -> u64 {
    let network = BitcoinNetwork::Regtest;
    vsize_at_most(&vault().keys, network, &account.parse().unwrap(), &send(70_000), 2).unwrap()
}

#[test]
fn a_signature_that_does_not_fit_is_named_and_nothing_is_finished() {
    for account in [TAPROOT, WPKH] {
        let plan = planned(account, &[60_000, 40_000], 70_000, 500);
        let good = signed(&plan);
        let finish = |signatures: &[Signature]| {
            finish(&vault().keys, BitcoinNetwork::Regtest, &plan, signatures).map(|_| ())
        };
        assert_eq!(finish(&good), Ok(()));
        let swapped = [good[1].clone(), good[0].clone()];
        assert_eq!(finish(&swapped), Err(Refusal::Signature(0)), "{account}");
        assert_eq!(finish(&good[..1]), Err(Refusal::Signature(1)), "{account}");
        let foreign = [good[0].clone(), Signature::Ed25519([1; 64])];
        assert_eq!(finish(&foreign), Err(Refusal::Signature(1)), "{account}");
    }
}

#[test]
fn the_intent_says_who_is_paid_what_comes_back_and_what_it_costs() {
    let plan = planned(TAPROOT, &[60_000, 40_000], 70_000, 500);
    let intent = &plan.intent;
    assert_eq!(intent.format, "psbt-v0");
    let amount = Amount::from_u64;
    let transfer = Operation::NativeTransfer { to: STRANGER.to_owned(), amount: amount(70_000) };
    assert_eq!(intent.operations[0], transfer);
    let Operation::Change { amount: change, path, .. } = &intent.operations[1] else {
        panic!("{:?}", intent.operations[1])
    };
    assert_eq!((*change, path.as_str()), (amount(29_500), "m/86/0/0/1/5"));
    assert_eq!((plan.fee_at_most, intent.fee.at_most), (amount(500), amount(500)));
    assert_eq!(intent.from.len(), 2);
    assert!(intent.notes.iter().any(|note| note.contains("BIP-125")));
    let txid = funding(&vault(), TAPROOT, &[60_000, 40_000]).compute_txid();
    assert_eq!(plan.spends[1], SpendKey(format!("btc:regtest:{txid}:1")));
    // Without the vault nothing is called change.
    let stranger = decode(Some(plan.network), &plan.unsigned).unwrap();
    assert!(stranger.operations.iter().all(|o| matches!(o, Operation::NativeTransfer { .. })));
    assert!(stranger.notes.iter().any(|note| note.contains("claimed as change")));
}

#[test]
fn dust_change_goes_to_the_fee_and_too_few_coins_are_refused() {
    let vault = vault();
    let account: DerivationPath = TAPROOT.parse().unwrap();
    let fill = |sat, fee| {
        let coins = coins(&funding(&vault, TAPROOT, &[10_000]));
        let network = BitcoinNetwork::Regtest;
        fill_from_coins(&vault.keys, network, &account, &send(sat), coins, fee, 0)
    };
    let change = |fill: Result<Fill, Refusal>| match fill {
        Ok(Fill::Bitcoin { change, .. }) => change,
        other => panic!("{other:?}"),
    };
    assert_eq!(change(fill(9_000, 500)), Some((0, 500)));
    assert_eq!(change(fill(9_300, 500)), None);
    assert_eq!(change(fill(9_500, 500)), None);
    assert!(matches!(fill(9_600, 500), Err(Refusal::Invalid { field: "coins", .. })));
    assert!(matches!(fill(u64::MAX, 500), Err(Refusal::Invalid { field: "amount", .. })));
}

const SPEED_UP: Wish = Wish { cancel: false, fee_rate: None };
const CANCEL: Wish = Wish { cancel: true, fee_rate: None };

/// A send of 70,000 of 100,000 satoshi, and what a wish makes of it.
fn replaced(account: &str, fee: u64, wish: Wish) -> (Fill, Result<Fill, Refusal>) {
    let path: DerivationPath = account.parse().unwrap();
    let inputs = coins(&funding(&vault(), account, &[60_000, 40_000]));
    let last = Fill::Bitcoin { inputs, change: Some((5, 30_000 - fee)), cancel: false };
    let (keys, network) = (vault().keys, BitcoinNetwork::Regtest);
    let next = replacement(&keys, network, &path, &send(70_000), &last, wish);
    (last, next)
}

#[test]
fn a_replacement_spends_the_same_coins_and_pays_enough_more_to_be_relayed() {
    let network = BitcoinNetwork::Regtest;
    let keys = vault().keys;
    let check = |account: &str, fee: u64, wish: Wish| {
        let (last, next) = replaced(account, fee, wish);
        let next = next.unwrap();
        let ask = Ask::BitcoinSend { outputs: send(70_000) };
        let request = request("bitcoin:regtest", account, ask);
        let new = build(&keys, &request, network, &next).unwrap();
        let old = planned(account, &[60_000, 40_000], 70_000, fee);
        assert_eq!(new.spends, old.spends);
        match wish.cancel {
            false => assert_eq!(new.intent.operations[0], old.intent.operations[0]),
            true => {
                let [Operation::Change { amount, path, .. }] = &new.intent.operations[..] else {
                    panic!("{:?}", new.intent)
                };
                assert_eq!(*path, format!("{account}/1/5"));
                let back = amount.to_u64().unwrap();
                assert_eq!(back + new.fee_at_most.to_u64().unwrap(), 100_000);
                assert!(new.intent.notes.iter().any(|note| note.starts_with("cancels")));
            }
        }
        assert!(new.intent.notes.iter().any(|note| note.contains("BIP-125")));
        let artefact = finish(&keys, network, &new, &signed(&new)).unwrap();
        let spent = funding(&vault(), account, &[60_000, 40_000]).output;
        assert_eq!(consensus(&artefact.raw, &spent), Ok(()), "{account}");
        let size = deserialize::<Transaction>(&artefact.raw).unwrap().vsize();
        let size = u64::try_from(size).unwrap();
        let paid = new.fee_at_most.to_u64().unwrap();
        assert!(paid >= fee + size, "{account}: {paid} after {fee}");
        match wish.fee_rate {
            None => assert!(paid >= fee + fee.div_ceil(4), "{account}: {paid} after {fee}"),
            // The size is the longest that signatures can make it.
            Some(rate) => assert!((rate * size..=rate * (size + 3)).contains(&paid), "{paid}"),
        }
        // What this node makes, every other takes as its replacement, and not the other way round.
        assert_eq!(crate::check_replacement(&keys, &request, &last, &next), Ok(()));
        assert!(crate::check_replacement(&keys, &request, &next, &last).is_err());
    };
    for account in [TAPROOT, WPKH] {
        for fee in [500, 8_000] {
            check(account, fee, SPEED_UP);
            check(account, fee, CANCEL);
            check(account, fee, Wish { cancel: false, fee_rate: Some(60) });
            check(account, fee, Wish { cancel: true, fee_rate: Some(120) });
        }
        // A cancel has more to pay from than a speed-up.
        check(account, 29_000, CANCEL);
    }
}

#[test]
fn a_replacement_that_cannot_pay_or_pays_too_little_is_refused_by_name() {
    let (keys, network) = (vault().keys, BitcoinNetwork::Regtest);
    let code = |fee, wish| replaced(TAPROOT, fee, wish).1.map(|_| ()).map_err(|e| e.code());
    let rate = |cancel, rate| Wish { cancel, fee_rate: Some(rate) };
    assert_eq!(code(29_000, SPEED_UP), Err("invalid_field"));
    assert_eq!(code(500, rate(false, 3)), Err("fee_too_low_to_replace"));
    assert_eq!(code(500, rate(true, 3)), Err("fee_too_low_to_replace"));
    assert_eq!(code(500, rate(false, u64::MAX)), Err("invalid_field"));
    assert_eq!(code(500, rate(true, u64::MAX)), Err("invalid_field"));
    let path: DerivationPath = TAPROOT.parse().unwrap();
    let inputs = coins(&funding(&vault(), TAPROOT, &[10_000]));
    let last = Fill::Bitcoin { inputs, change: None, cancel: false };
    let next = |wish| replacement(&keys, network, &path, &send(9_000), &last, wish);
    assert!(matches!(next(SPEED_UP), Err(Refusal::Invalid { field: "change", .. })));
    // Without change of its own a cancel comes back at number 0.
    assert!(matches!(next(CANCEL), Ok(Fill::Bitcoin { change: Some((0, _)), cancel: true, .. })));
    let all = Wish { cancel: true, fee_rate: Some(89) };
    assert!(next(all).is_err(), "{:?}", next(all));
}

#[test]
fn a_cancel_pays_nobody_and_a_cancelled_request_stays_cancelled() {
    let (keys, network) = (vault().keys, BitcoinNetwork::Regtest);
    let ask = Ask::BitcoinSend { outputs: send(70_000) };
    let request = request("bitcoin:regtest", TAPROOT, ask);
    let (last, cancel) = replaced(TAPROOT, 500, CANCEL);
    let cancel = cancel.unwrap();
    let Fill::Bitcoin { inputs, change, .. } = &cancel else { panic!() };
    // The same change without the flag is the payment, and more than there is.
    let payment = Fill::Bitcoin { inputs: inputs.clone(), change: *change, cancel: false };
    assert!(build(&keys, &request, network, &payment).is_err());
    let nothing = Fill::Bitcoin { inputs: inputs.clone(), change: None, cancel: true };
    assert!(build(&keys, &request, network, &nothing).is_err());
    let dearer = Fill::Bitcoin { inputs: inputs.clone(), change: Some((5, 10_000)), cancel: false };
    let refusal = crate::check_replacement(&keys, &request, &cancel, &dearer).unwrap_err();
    assert!(refusal.to_string().contains("cancelled"), "{refusal}");
    assert_eq!(crate::check_replacement(&keys, &request, &last, &cancel), Ok(()));
    let Fill::Bitcoin { inputs, change: Some((number, sat)), .. } = &cancel else { panic!() };
    let cheaper = Some((*number, sat + 400));
    let cheaper = Fill::Bitcoin { inputs: inputs.clone(), change: cheaper, cancel: true };
    let refusal = crate::check_replacement(&keys, &request, &last, &cheaper).unwrap_err();
    assert_eq!(refusal.code(), "fee_too_low_to_replace");
}

#[test]
fn coins_and_addresses_of_others_are_refused_by_name() {
    let vault = vault();
    let build = |outputs: Vec<(String, u64)>, inputs: Vec<Coin>, change| {
        let request = request("bitcoin:regtest", TAPROOT, Ask::BitcoinSend { outputs });
        let fill = Fill::Bitcoin { inputs, change, cancel: false };
        build(&vault.keys, &request, BitcoinNetwork::Regtest, &fill).map_err(|e| e.code())
    };
    let good = coins(&funding(&vault, TAPROOT, &[10_000]));
    let foreign = coins(&funding(&TestVault::new(9), TAPROOT, &[10_000]));
    assert_eq!(build(send(9_000), foreign, None).map(|_| ()), Err("not_ours"));
    let main = vec![("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4".to_owned(), 9_000)];
    assert_eq!(build(main, good.clone(), None).map(|_| ()), Err("wrong_network"));
    let nonsense = vec![("bcrt1nonsense".to_owned(), 9_000)];
    assert_eq!(build(nonsense, good.clone(), None).map(|_| ()), Err("invalid_field"));
    let twice = [good.clone(), good.clone()].concat();
    assert_eq!(build(send(9_000), twice, None).map(|_| ()), Err("invalid_field"));
    assert_eq!(build(send(9_000), Vec::new(), None).map(|_| ()), Err("malformed"));
    assert_eq!(build(send(11_000), good.clone(), None).map(|_| ()), Err("invalid_field"));
    assert!(build(send(9_000), good, Some((0, 600))).is_ok());
}

type Spoil = fn(&mut Psbt);

/// Every spoiled PSBT differs from a good one in one thing, and is refused for that thing.
#[test]
fn a_spoiled_psbt_is_refused_for_its_one_defect() {
    let check = |account: &str, defect: &str, spoil: Spoil, code: &str, words: &str| {
        let plan = planned(account, &[60_000, 40_000], 70_000, 500);
        let mut psbt = Psbt::deserialize(&plan.unsigned).unwrap();
        spoil(&mut psbt);
        let refusal = raw_plan(account, psbt.serialize()).err();
        let refusal = refusal.unwrap_or_else(|| panic!("{defect} was accepted"));
        assert_eq!(refusal.code(), code, "{defect}: {refusal}");
        assert!(refusal.to_string().contains(words), "{defect}: {refusal}");
    };
    check(WPKH, "an untrue amount", |p| amount_of(p, 0, 90_000), "invalid_field", "in truth");
    check(
        WPKH,
        "no whole transaction",
        |p| p.inputs[0].non_witness_utxo = None,
        "missing_field",
        "non_witness_utxo",
    );
    check(
        WPKH,
        "another transaction",
        |p| p.inputs[1].non_witness_utxo.as_mut().unwrap().lock_time = LockTime::from_consensus(9),
        "invalid_field",
        "input 1 spends",
    );
    check(TAPROOT, "no coin", |p| p.inputs[0].witness_utxo = None, "missing_field", "witness_utxo");
    check(
        TAPROOT,
        "a false change path",
        |p| {
            let origin = p.outputs[1].tap_key_origins.values_mut().next().unwrap();
            origin.1.1 = "m/86/0/0/1/6".parse().unwrap();
        },
        "not_ours",
        "output 1, claimed as change, does not belong to this vault at m/86/0/0/1/6",
    );
    check(
        TAPROOT,
        "change to a stranger",
        |p| p.unsigned_tx.output[1].script_pubkey = p.unsigned_tx.output[0].script_pubkey.clone(),
        "not_ours",
        "output 1, claimed as change",
    );
    check(TAPROOT, "no origin", |p| p.inputs[1].tap_key_origins.clear(), "not_ours", "input 1");
    check(WPKH, "no wpkh origin", |p| p.inputs[0].bip32_derivation.clear(), "not_ours", "input 0");
    check(
        TAPROOT,
        "a foreign input",
        |p| foreign_input(p, TAPROOT),
        "not_ours",
        "input 0 does not belong to this vault",
    );
    let single = |p: &mut Psbt| p.inputs[0].sighash_type = Some(PsbtSighashType::from_u32(3));
    check(TAPROOT, "SINGLE", single, "forbidden", "sighash type");
    check(WPKH, "SINGLE", single, "forbidden", "sighash type");
    let none = |p: &mut Psbt| p.inputs[0].sighash_type = Some(PsbtSighashType::from_u32(2));
    check(WPKH, "NONE", none, "forbidden", "sighash type");
    let anyone = |p: &mut Psbt| p.inputs[1].sighash_type = Some(PsbtSighashType::from_u32(0x81));
    check(TAPROOT, "ALL|ANYONECANPAY", anyone, "forbidden", "sighash type");
    let wild = |p: &mut Psbt| p.inputs[1].sighash_type = Some(PsbtSighashType::from_u32(0x1_0001));
    check(TAPROOT, "a wild sighash type", wild, "forbidden", "sighash type");
    check(
        TAPROOT,
        "a script tree",
        |p| p.inputs[0].tap_merkle_root = Some(::bitcoin::TapNodeHash::all_zeros()),
        "forbidden",
        "script path",
    );
    check(
        TAPROOT,
        "another internal key",
        |p| p.inputs[0].tap_internal_key = p.inputs[1].tap_internal_key,
        "not_ours",
        "internal key of input 0",
    );
    check(
        WPKH,
        "a redeem script",
        |p| p.inputs[0].redeem_script = Some(ScriptBuf::new()),
        "forbidden",
        "p2sh",
    );
    check(
        WPKH,
        "a witness script",
        |p| p.inputs[0].witness_script = Some(ScriptBuf::new()),
        "forbidden",
        "witness script",
    );
    check(
        TAPROOT,
        "a signature",
        |p| p.inputs[0].final_script_witness = Some(Witness::from_slice(&[[1u8; 64]])),
        "forbidden",
        "unsigned",
    );
    check(
        TAPROOT,
        "more out than in",
        |p| p.unsigned_tx.output[0].value = ::bitcoin::Amount::from_sat(80_000),
        "invalid_field",
        "outputs hold 109500 sat, inputs only 100000 sat",
    );
    check(
        TAPROOT,
        "an output without an address",
        |p| p.unsigned_tx.output[0].script_pubkey = ScriptBuf::from(vec![0x51]),
        "forbidden",
        "without an address",
    );
    check(
        TAPROOT,
        "a coin spent twice",
        |p| p.unsigned_tx.input[1].previous_output = p.unsigned_tx.input[0].previous_output,
        "invalid_field",
        "spent twice",
    );
    check(
        TAPROOT,
        "an odd version",
        |p| p.unsigned_tx.version = Version(4),
        "invalid_field",
        "transaction version",
    );
    check(WPKH, "a p2sh coin", |p| script_of_coin(p, "a914", 20, "87"), "forbidden", "p2sh");
    check(WPKH, "a p2wsh coin", |p| script_of_coin(p, "0020", 32, ""), "forbidden", "p2wsh");
    check(
        WPKH,
        "a legacy coin",
        |p| script_of_coin(p, "76a914", 20, "88ac"),
        "forbidden",
        "legacy",
    );
}

fn amount_of(psbt: &mut Psbt, index: usize, sat: u64) {
    psbt.inputs[index].witness_utxo.as_mut().unwrap().value = ::bitcoin::Amount::from_sat(sat);
}

fn foreign_input(psbt: &mut Psbt, account: &str) {
    let other = funding(&TestVault::new(9), account, &[60_000]);
    psbt.unsigned_tx.input[0].previous_output = OutPoint { txid: other.compute_txid(), vout: 0 };
    psbt.inputs[0].witness_utxo = Some(other.output[0].clone());
}

/// Makes input 0 spend a script of another form, in a whole transaction that agrees with it.
fn script_of_coin(psbt: &mut Psbt, head: &str, bytes: usize, tail: &str) {
    let script = format!("{head}{}{tail}", "11".repeat(bytes));
    let mut whole = psbt.inputs[0].non_witness_utxo.clone().unwrap();
    whole.output[0].script_pubkey = ScriptBuf::from(hex::decode(script).unwrap());
    psbt.unsigned_tx.input[0].previous_output.txid = whole.compute_txid();
    psbt.inputs[0].witness_utxo = Some(whole.output[0].clone());
    psbt.inputs[0].non_witness_utxo = Some(whole);
}

#[test]
fn a_fee_bomb_is_refused_by_the_built_in_ceiling_and_by_the_requests() {
    let bomb = |sat: u64, outputs: usize, fee_max: Option<u64>| {
        let vault = vault();
        let coins = coins(&funding(&vault, TAPROOT, &[sat]));
        let outputs = vec![(STRANGER.to_owned(), 1_000); outputs];
        let mut request = request("bitcoin:regtest", TAPROOT, Ask::BitcoinSend { outputs });
        request.fee_max = fee_max.map(Amount::from_u64);
        let fill = Fill::Bitcoin { inputs: coins, change: None, cancel: false };
        match build(&vault.keys, &request, BitcoinNetwork::Regtest, &fill) {
            Ok(plan) => ("accepted", plan.fee_at_most.to_u64().unwrap()),
            Err(Refusal::FeeOverCeiling { which, ceiling, .. }) => {
                (which, ceiling.to_u64().unwrap())
            }
            Err(other) => panic!("{other:?}"),
        }
    };
    // 10.5 + 57.75 + 31 vB, rounded up, at the highest rate; 400 outputs reach the absolute ceiling.
    assert_eq!(bomb(201_001, 1, None), ("built-in", 100 * FEE_RATE_MAX));
    assert_eq!(bomb(201_000, 1, None), ("accepted", 200_000));
    assert_eq!(bomb(10_400_001, 400, None), ("built-in", FEE_SAT_MAX));
    assert_eq!(bomb(10_400_000, 400, None), ("accepted", FEE_SAT_MAX));
    assert_eq!(bomb(3_001, 1, Some(2_000)), ("request", 2_000));
    assert_eq!(bomb(3_000, 1, Some(2_000)), ("accepted", 2_000));
    let says = super::check::fee_ceiling(3, 0).unwrap_err().to_string();
    assert_eq!(says, "the fee may reach 3 satoshi, the ceiling is 0 satoshi (built-in)");
}

#[test]
fn a_path_outside_the_account_is_refused_even_if_it_is_the_vaults() {
    let plan = planned(TAPROOT, &[60_000], 20_000, 500);
    let refusal = raw_plan("m/86/0/1", plan.unsigned.clone()).unwrap_err();
    assert_eq!(refusal.code(), "not_ours");
    assert!(refusal.to_string().contains("outside the account"), "{refusal}");
    assert!(raw_plan("m/86", plan.unsigned.clone()).is_err());
    assert!(raw_plan(TAPROOT, plan.unsigned).is_ok());
}

#[test]
fn a_wallet_that_knows_only_the_account_key_may_name_paths_below_it() {
    let plan = planned(TAPROOT, &[60_000], 20_000, 500);
    let mut psbt = Psbt::deserialize(&plan.unsigned).unwrap();
    let sources = psbt.inputs.iter_mut().flat_map(|i| i.tap_key_origins.values_mut());
    for (_, source) in sources {
        *source = ([1, 2, 3, 4].into(), "m/0/0".parse().unwrap());
    }
    let plan = raw_plan(TAPROOT, psbt.serialize()).unwrap();
    assert_eq!(plan.items[0].path.to_string(), "m/86/0/0/0/0");
}

#[test]
fn bytes_that_are_no_psbt_are_refused_by_name() {
    let good = planned(TAPROOT, &[60_000], 20_000, 500).unsigned;
    let check = |bytes: &[u8], code: &str| {
        assert_eq!(decode(None, bytes).map(|_| ()).map_err(|e| e.code()), Err(code));
    };
    check(&[7; 32], "raw_digest");
    check(&[], "malformed");
    check(b"psbt", "malformed");
    check(&good[..good.len() - 1], "malformed");
    check(&[good.clone(), vec![0]].concat(), "dirty_bytes");
    check(&vec![0; model::limits::TRANSACTION_BYTES_MAX + 1], "too_long");
    // The first key's length in three bytes instead of one.
    check(&[&good[..5], &[0xfd, 1, 0], &good[6..]].concat(), "dirty_bytes");
    // The unsigned transaction stands twice.
    let first = usize::from(good[7]) + 3;
    check(&[&good[..5 + first], &good[5..]].concat(), "malformed");
    let network = "evm:1".parse().ok();
    assert_eq!(decode(network, &good).map_err(|e| e.code()).map(|_| ()), Err("wrong_network"));
}

type Origins<K> = std::collections::BTreeMap<K, ::bitcoin::bip32::KeySource>;

fn wide(origins: &Origins<::bitcoin::secp256k1::PublicKey>) -> Origins<::bitcoin::PublicKey> {
    origins.iter().map(|(key, source)| ((*key).into(), source.clone())).collect()
}

/// The same PSBT in version 2, written by another library.
fn as_v2(psbt: &Psbt) -> Vec<u8> {
    let mut constructor = psbt_v2::v2::Constructor::<psbt_v2::v2::Modifiable>::default();
    for (spends, map) in psbt.unsigned_tx.input.iter().zip(&psbt.inputs) {
        let mut input = psbt_v2::v2::Input::new(&spends.previous_output);
        input.sequence = Some(spends.sequence);
        input.witness_utxo = map.witness_utxo.clone();
        input.non_witness_utxo = map.non_witness_utxo.clone();
        input.bip32_derivations = wide(&map.bip32_derivation);
        input.tap_internal_key = map.tap_internal_key;
        input.tap_key_origins = map.tap_key_origins.clone();
        constructor = constructor.input(input);
    }
    for (paid, map) in psbt.unsigned_tx.output.iter().zip(&psbt.outputs) {
        let mut output = psbt_v2::v2::Output::new(paid.clone());
        output.bip32_derivations = wide(&map.bip32_derivation);
        output.tap_internal_key = map.tap_internal_key;
        output.tap_key_origins = map.tap_key_origins.clone();
        constructor = constructor.output(output);
    }
    constructor.psbt().unwrap().serialize()
}

#[test]
fn version_2_of_another_library_means_the_same_and_is_finished_as_version_0() {
    for account in [TAPROOT, WPKH] {
        let v0 = planned(account, &[60_000, 40_000], 70_000, 500);
        let bytes = as_v2(&Psbt::deserialize(&v0.unsigned).unwrap());
        let v2 = raw_plan(account, bytes.clone()).unwrap();
        assert_eq!(v2.intent.format, "psbt-v2");
        assert_eq!(v2.intent.operations, v0.intent.operations);
        assert_eq!((&v2.items, &v2.spends), (&v0.items, &v0.spends));
        let artefact = finish(&vault().keys, BitcoinNetwork::Regtest, &v2, &signed(&v2)).unwrap();
        let spent = funding(&vault(), account, &[60_000, 40_000]).output;
        assert_eq!(consensus(&artefact.raw, &spent), Ok(()));
        let psbt: Psbt = artefact.psbt.unwrap().parse().unwrap();
        assert_eq!(serialize(&psbt.extract_tx().unwrap()), artefact.raw);
        let trailing = [bytes.clone(), vec![1]].concat();
        assert_eq!(raw_plan(account, trailing).unwrap_err().code(), "dirty_bytes");
    }
}

#[test]
fn data_dust_and_lock_times_are_said() {
    let plan = planned(TAPROOT, &[60_000], 20_000, 500);
    let mut psbt = Psbt::deserialize(&plan.unsigned).unwrap();
    let data = ScriptBuf::new_op_return(b"hello");
    psbt.unsigned_tx.output[0].script_pubkey = data;
    psbt.unsigned_tx.output[0].value = ::bitcoin::Amount::from_sat(5);
    psbt.unsigned_tx.lock_time = LockTime::from_consensus(800_000);
    psbt.unsigned_tx.input[0].sequence = Sequence::from_height(144);
    let intent = raw_plan(TAPROOT, psbt.serialize());
    // The freed satoshi would be a fee of 20,495 sat: under the ceiling.
    let intent = intent.unwrap().intent;
    assert_eq!(intent.operations[0], Operation::Data { bytes: hex::encode("hello") });
    for words in ["burns 5 sat", "not before block 800000", "BIP-68"] {
        assert!(intent.notes.iter().any(|note| note.contains(words)), "{:?}", intent.notes);
    }
}

#[test]
fn addresses_and_descriptors_agree_with_a_descriptor_wallet() {
    use miniscript::{Descriptor, DescriptorPublicKey};
    let vault = vault();
    for (path, head) in [(TAPROOT, "tr(["), (WPKH, "wpkh([")] {
        let path: DerivationPath = path.parse().unwrap();
        let account = account(&vault.keys, BitcoinNetwork::Test, &path).unwrap();
        assert!(account.extended_key.starts_with("tpub"));
        for (chain, text) in [0u32, 1].into_iter().zip(&account.descriptors) {
            assert!(text.starts_with(head) && text.rsplit_once('#').unwrap().1.len() == 8);
            let descriptor: Descriptor<DescriptorPublicKey> = text.parse().unwrap();
            let derived = descriptor.at_derivation_index(3).unwrap();
            let derived = derived.address(::bitcoin::Network::Testnet).unwrap().to_string();
            let at = path.child(chain).unwrap().child(3).unwrap();
            let ours = address(&vault.keys, BitcoinNetwork::Test, &at).unwrap();
            assert_eq!(derived, ours.text);
            assert_eq!(ours.public_key.len(), 33);
        }
    }
    let root = account(&vault.keys, BitcoinNetwork::Main, &DerivationPath::root()).unwrap();
    assert!(root.extended_key.starts_with("xpub"));
}

/// BIP-86, "Test vectors": the account's key is given, so its children need no hardened step.
#[test]
fn the_addresses_of_bip_86_come_out() {
    let xpub = "xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrLprQ3VCE\
                CoY49yfdDEHGCtMMj92pReUsQ";
    let xpub: ::bitcoin::bip32::Xpub = xpub.parse().unwrap();
    let mut keys = vault().keys;
    let point = model::curve::Secp256k1::point_from_bytes(&xpub.public_key.serialize()).unwrap();
    let chain_code = model::hd::ChainCode(xpub.chain_code.to_bytes());
    keys.bip340 = model::hd::ExtendedKey { point, chain_code };
    let check = |path: &str, expected: &str| {
        let found = address(&keys, BitcoinNetwork::Main, &path.parse().unwrap()).unwrap();
        assert_eq!(found.text, expected);
    };
    check("m/0/0", "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr");
    check("m/0/1", "bc1p4qhjn9zdvkux4e44uhx8tc55attvtyu358kutcqkudyccelu0was9fqzwh");
    check("m/1/0", "bc1p3qkhfews2uk44qtvauqyr2ttdsw7svhkl9nkm9s9c3x4ax5h60wqwruhk7");
}

#[test]
fn a_taproot_input_may_ask_for_the_longer_all_signature() {
    let plan = planned(TAPROOT, &[60_000, 40_000], 70_000, 500);
    let mut psbt = Psbt::deserialize(&plan.unsigned).unwrap();
    psbt.inputs[1].sighash_type = Some(PsbtSighashType::from_u32(1));
    let plan = raw_plan(TAPROOT, psbt.serialize()).unwrap();
    let artefact = finish(&vault().keys, BitcoinNetwork::Regtest, &plan, &signed(&plan)).unwrap();
    let spent = funding(&vault(), TAPROOT, &[60_000, 40_000]).output;
    assert_eq!(consensus(&artefact.raw, &spent), Ok(()));
    let transaction: Transaction = deserialize(&artefact.raw).unwrap();
    let lengths: Vec<usize> = transaction.input.iter().map(|i| i.witness.size()).collect();
    assert_eq!(lengths, [66, 67]);
}

#[test]
fn an_origin_of_another_wallet_makes_no_change_and_no_lie() {
    let plan = planned(TAPROOT, &[60_000], 20_000, 500);
    let mut psbt = Psbt::deserialize(&plan.unsigned).unwrap();
    // The recipient's own wallet names its key: another fingerprint, a path that happens to be like ours.
    let key = *psbt.outputs[1].tap_key_origins.keys().next().unwrap();
    let origin = ([9, 9, 9, 9].into(), "m/86/0/0/1/5".parse().unwrap());
    psbt.outputs[0].tap_key_origins.insert(key, (Vec::new(), origin));
    let operations = raw_plan(TAPROOT, psbt.serialize()).unwrap().intent.operations;
    assert!(matches!(operations[0], Operation::NativeTransfer { .. }), "{operations:?}");
    // An own receive address is shown as paid, with a note; a number too far out is not called change.
    let pay = |path: &str| {
        let mut psbt = psbt.clone();
        let path: DerivationPath = path.parse().unwrap();
        let keys = vault().keys;
        psbt.unsigned_tx.output[1].script_pubkey = ours::script_at(&keys, &path).unwrap();
        let origin = (Vec::new(), ours::origin(&keys, &path));
        psbt.outputs[1].tap_key_origins = [(key, origin)].into();
        raw_plan(TAPROOT, psbt.serialize()).unwrap().intent
    };
    let own = pay("m/86/0/0/0/9");
    assert!(matches!(own.operations[1], Operation::NativeTransfer { .. }));
    assert!(own.notes.iter().any(|note| note.contains("own address at m/86/0/0/0/9")));
    for path in ["m/86/0/0/1/1000001", "m/86/0/1/1/0", "m/86/0/0/2/0"] {
        assert!(matches!(pay(path).operations[1], Operation::NativeTransfer { .. }), "{path}");
    }
    assert!(matches!(pay("m/86/0/0/1/1000000").operations[1], Operation::Change { .. }));
}

/// BIP-370, "Determining Lock Time", against the other library's choice.
#[test]
fn the_lock_time_of_version_2_is_chosen_as_another_library_chooses_it() {
    use ::bitcoin::absolute::{Height, Time};
    let plan = planned(TAPROOT, &[60_000, 40_000], 70_000, 500);
    let v2 = as_v2(&Psbt::deserialize(&plan.unsigned).unwrap());
    let v2 = psbt_v2::v2::Psbt::deserialize(&v2).unwrap();
    let height = |h: u32| Some(Height::from_consensus(h).unwrap());
    let time = |t: u32| Some(Time::from_consensus(500_000_000 + t).unwrap());
    let (none_h, none_t) = (None::<Height>, None::<Time>);
    for (first, second) in [
        ((none_h, none_t), (none_h, none_t)),
        ((height(7), none_t), (none_h, none_t)),
        ((height(7), none_t), (height(9), none_t)),
        ((none_h, time(5)), (none_h, none_t)),
        ((height(7), time(5)), (none_h, none_t)),
        ((height(7), time(5)), (height(9), time(6))),
        ((none_h, time(5)), (height(9), time(6))),
        ((height(7), time(5)), (height(9), none_t)),
        ((height(7), none_t), (none_h, time(6))),
    ] {
        let mut psbt = v2.clone();
        psbt.global.fallback_lock_time = Some(LockTime::from_consensus(3));
        (psbt.inputs[0].min_height, psbt.inputs[0].min_time) = first;
        (psbt.inputs[1].min_height, psbt.inputs[1].min_time) = second;
        let ours = psbt::read(&psbt.serialize()).map(|read| read.psbt.unsigned_tx.lock_time).ok();
        let expected = psbt.determine_lock_time().ok();
        assert_eq!(ours, expected, "{first:?} {second:?}");
    }
}
