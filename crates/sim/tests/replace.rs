//! Speed-up and cancel on three engines: what takes the place of what, what is refused by name, and that a refusal
//! leaves the earlier signature in its place.

#![allow(clippy::panic, clippy::as_conversions, clippy::indexing_slicing, reason = "a test")]

use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::hashes::Hash;
use bitcoin::transaction::Version;
use bitcoin::{OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness, absolute};
use engine::{Caller, Command, Entry, Message, Proposal, Record, Reply};
use model::amount::Amount;
use model::api::{self, AskView, CoinView, FillView, RequestView};
use model::ids::{RequestId, VaultId};
use model::intent::{BitcoinNetwork, Network, Operation};
use model::request::Fill;
use model::wire::Wire;
use sim::random::Seeded;
use sim::run::request_of_kind;
use sim::{Faults, World, fixture};

type Answer = Result<Reply, engine::Problem>;

const BITCOIN: Network = Network::Bitcoin(BitcoinNetwork::Regtest);
const STRANGER: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
const ACCOUNTS: [&str; 2] = ["m/86/0/0", "m/84/0/0"];
const SAME: api::Replace = api::Replace {
    max_fee_per_gas: None,
    max_priority_fee_per_gas: None,
    fee_rate: None,
    wait_ms: 20_000,
};

/// Runs `test` in a world of its own on a thread of its own: three nodes, all three sign.
fn in_world(seed: u64, test: impl FnOnce(&mut World, VaultId) + Send + 'static) {
    let ready = fixture::three_of_three();
    let run = move || {
        let _seeded = Seeded::new(seed);
        let mut world = ready.world(seed, Faults::NONE);
        world.pass(3_000);
        test(&mut world, ready.vault);
    };
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}

fn ask_as(world: &mut World, caller: Caller, command: Command) -> Answer {
    let id = world.ask_as(0, caller, command);
    for _ in 0..200_000 {
        if let Some(reply) = world.reply(id) {
            return reply;
        }
        world.step();
    }
    panic!("no answer");
}

fn view(answer: Answer) -> RequestView {
    match answer {
        Ok(Reply::Request(view)) => *view,
        other => panic!("no request: {other:?}"),
    }
}

fn ask(world: &mut World, command: Command) -> RequestView {
    view(ask_as(world, Caller::Operator, command))
}

fn submit(world: &mut World, vault: VaultId, new: api::NewRequest) -> RequestView {
    let made = ask(world, Command::Submit { vault, new });
    assert_eq!(made.state, "signed", "{made:?}");
    made
}

/// A refusal at the entry node: by this name, without a record, and what was signed before stands.
fn check_refused(world: &mut World, caller: Caller, command: Command, id: RequestId, code: &str) {
    let before = ask(world, Command::Request(id));
    let length = world.disk(0).map(|disk| disk.records.len());
    let shown = format!("{command:?}");
    match ask_as(world, caller, command) {
        Err(problem) => assert_eq!(problem.code, code, "{shown}: {problem:?}"),
        Ok(reply) => panic!("{shown}: {reply:?}"),
    }
    assert_eq!(world.disk(0).map(|disk| disk.records.len()), length, "{shown} left a record");
    assert_eq!(ask(world, Command::Request(id)), before, "{shown}");
}

fn raw(view: &RequestView) -> String {
    view.signed.as_ref().map(|signed| signed.raw.clone()).unwrap_or_default()
}

fn fee(view: &RequestView) -> u64 {
    let fee = view.intent.as_ref().and_then(|intent| intent.fee.at_most.to_u64());
    fee.unwrap_or_else(|| panic!("no fee: {view:?}"))
}

fn operations(view: &RequestView) -> Vec<Operation> {
    view.intent.as_ref().map(|intent| intent.operations.clone()).unwrap_or_default()
}

fn single_use(view: &RequestView) -> String {
    view.intent.as_ref().map(|intent| intent.single_use.clone()).unwrap_or_default()
}

fn with_fee_rate(rate: u64) -> api::Replace {
    api::Replace { fee_rate: Some(rate), ..SAME }
}

fn with_gas(fee: u64, priority: u64) -> api::Replace {
    let (fee, priority) = (Some(fee), Some(priority));
    api::Replace { max_fee_per_gas: fee, max_priority_fee_per_gas: priority, ..SAME }
}

#[test]
fn an_evm_speed_up_pays_more_under_the_same_nonce() {
    in_world(21, |world, vault| {
        let first = submit(world, vault, request_of_kind(0, 1, 20_000));
        let second = ask(world, Command::SpeedUp(first.id, SAME));
        assert_eq!(second.state, "signed", "{second:?}");
        assert_ne!(raw(&second), raw(&first));
        assert_eq!(single_use(&second), single_use(&first));
        assert_eq!(operations(&second), operations(&first));
        assert_eq!(fee(&second), fee(&first) / 4 * 5);
        // A price of one's own, a tenth more at least in both parts.
        let third = ask(world, Command::SpeedUp(first.id, with_gas(2_750_000_000, 1_375_000_000)));
        assert_eq!(fee(&third), 21_000 * 2_750_000_000);
        for how in [with_gas(3_024_999_999, 2_000_000_000), with_gas(4_000_000_000, 1_512_499_999)]
        {
            let command = Command::SpeedUp(first.id, how);
            let code = "fee_too_low_to_replace";
            check_refused(world, Caller::Operator, command, first.id, code);
        }
        let rate = Command::SpeedUp(first.id, with_fee_rate(9));
        check_refused(world, Caller::Operator, rate, first.id, "fee_of_another_chain");
    });
}

#[test]
fn an_evm_cancel_takes_the_nonce_and_a_cancelled_request_stays_cancelled() {
    in_world(22, |world, vault| {
        let first = submit(world, vault, request_of_kind(0, 1, 20_000));
        let check = |next: &RequestView| {
            assert_eq!(next.state, "signed", "{next:?}");
            assert_eq!(single_use(next), single_use(&first));
            let own = first.intent.as_ref().map(|intent| intent.from[0].clone());
            let to = own.unwrap_or_default();
            let nothing = Operation::NativeTransfer { to, amount: Amount::ZERO };
            assert_eq!(operations(next), [nothing]);
        };
        let second = ask(world, Command::Cancel(first.id, SAME));
        check(&second);
        let third = ask(world, Command::SpeedUp(first.id, SAME));
        check(&third);
        assert!(fee(&third) > fee(&second));
    });
}

/// A send of 70,000 of 100,000 satoshi in two coins, at a fee of 1,000.
fn bitcoin_send(world: &mut World, vault: VaultId, account: &str) -> api::NewRequest {
    let funding = funding(&own_address(world, vault, account), 7);
    let coin = |vout| CoinView { transaction: serialize_hex(&funding), vout, chain: 0, number: 0 };
    let inputs = vec![coin(0), coin(1)];
    api::NewRequest {
        network: BITCOIN,
        path: account.to_owned(),
        ask: AskView::Send { to: STRANGER.to_owned(), amount: Amount::from_u64(70_000) },
        fee_max: Some(Amount::from_u64(5_000)),
        idempotency_key: None,
        initiator: None,
        life_ms: None,
        fill: Some(FillView::Bitcoin { inputs, fee: 1_000, change: 4 }),
        broadcast: false,
        wait_ms: 20_000,
    }
}

fn own_address(world: &mut World, vault: VaultId, account: &str) -> String {
    let path = format!("{account}/0/0").parse().unwrap_or_else(|e| panic!("{e}"));
    let command = Command::Address { vault, network: BITCOIN, path };
    match ask_as(world, Caller::Operator, command) {
        Ok(Reply::Address(own)) => own.address,
        other => panic!("no address: {other:?}"),
    }
}

/// A transaction that pays 60,000 and 40,000 satoshi to an address.
fn funding(address: &str, salt: u8) -> Transaction {
    let output =
        |sat| TxOut { value: bitcoin::Amount::from_sat(sat), script_pubkey: script(address) };
    Transaction {
        version: Version::TWO,
        lock_time: absolute::LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint { txid: Txid::from_byte_array([salt; 32]), vout: 0 },
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        }],
        output: vec![output(60_000), output(40_000)],
    }
}

fn script(address: &str) -> ScriptBuf {
    let address: bitcoin::Address<_> = address.parse().unwrap_or_else(|e| panic!("{e}"));
    address.assume_checked().script_pubkey()
}

fn transaction(view: &RequestView) -> Transaction {
    deserialize_hex(&raw(view)).unwrap_or_else(|e| panic!("{e}: {view:?}"))
}

fn coins_of(transaction: &Transaction) -> Vec<OutPoint> {
    transaction.input.iter().map(|input| input.previous_output).collect()
}

#[test]
fn a_bitcoin_speed_up_spends_the_same_coins_to_the_same_outputs_for_more() {
    in_world(23, |world, vault| {
        for account in ACCOUNTS {
            let new = bitcoin_send(world, vault, account);
            let first = submit(world, vault, new);
            let old = transaction(&first);
            let second = ask(world, Command::SpeedUp(first.id, SAME));
            assert_eq!(second.state, "signed", "{second:?}");
            let new = transaction(&second);
            assert_eq!(coins_of(&new), coins_of(&old));
            assert_eq!(new.output[0], old.output[0]);
            assert_eq!(new.output[1].script_pubkey, old.output[1].script_pubkey);
            assert!(new.is_explicitly_rbf());
            assert!(fee(&second) >= 1_000 + new.vsize() as u64, "{}", fee(&second));
            // A rate of one's own.
            let third = ask(world, Command::SpeedUp(first.id, with_fee_rate(12)));
            let size = transaction(&third).vsize() as u64;
            assert!((12 * size..=12 * (size + 3)).contains(&fee(&third)), "{}", fee(&third));
            for (how, code) in [
                (with_fee_rate(12), "fee_too_low_to_replace"),
                (with_fee_rate(100), "fee_over_ceiling"),
                (with_fee_rate(1_000_000), "invalid_field"),
                (with_gas(1, 1), "fee_of_another_chain"),
            ] {
                let command = Command::SpeedUp(first.id, how);
                check_refused(world, Caller::Operator, command, first.id, code);
            }
        }
    });
}

#[test]
fn a_bitcoin_cancel_brings_the_coins_back_to_the_change_address() {
    in_world(24, |world, vault| {
        for account in ACCOUNTS {
            let new = bitcoin_send(world, vault, account);
            let first = submit(world, vault, new);
            let old = transaction(&first);
            let second = ask(world, Command::Cancel(first.id, SAME));
            assert_eq!(second.state, "signed", "{second:?}");
            let [Operation::Change { path, amount, .. }] = &operations(&second)[..] else {
                panic!("{second:?}")
            };
            assert_eq!(*path, format!("{account}/1/4"));
            assert_eq!(amount.to_u64(), Some(100_000 - fee(&second)));
            let new = transaction(&second);
            assert_eq!(coins_of(&new), coins_of(&old));
            assert!(new.is_explicitly_rbf() && new.output.len() == 1);
            assert_eq!(new.output[0].script_pubkey, old.output[1].script_pubkey);
            assert!(fee(&second) >= 1_000 + new.vsize() as u64, "{}", fee(&second));
            // A speed-up afterwards hurries the cancel, and the ceiling holds for it too.
            let third = ask(world, Command::SpeedUp(first.id, with_fee_rate(20)));
            assert_eq!(transaction(&third).output.len(), 1, "{third:?}");
            assert!(fee(&third) > fee(&second));
            let dear = Command::Cancel(first.id, with_fee_rate(100));
            check_refused(world, Caller::Operator, dear, first.id, "fee_over_ceiling");
        }
    });
}

#[test]
fn a_replacement_above_the_requests_ceiling_is_refused() {
    in_world(25, |world, vault| {
        let fee_max = Some(Amount::from_u64(21_000 * 2_400_000_000));
        let new = api::NewRequest { fee_max, ..request_of_kind(0, 1, 20_000) };
        let first = submit(world, vault, new);
        for command in [Command::SpeedUp(first.id, SAME), Command::Cancel(first.id, SAME)] {
            check_refused(world, Caller::Operator, command, first.id, "fee_over_ceiling");
        }
        // Below it there is room.
        let how = with_gas(2_300_000_000, 1_100_000_000);
        assert_eq!(ask(world, Command::SpeedUp(first.id, how)).state, "signed");
    });
}

#[test]
fn a_client_replaces_its_own_requests_alone() {
    in_world(26, |world, vault| {
        for (name, hash) in [("a", [1; 32]), ("b", [2; 32])] {
            let new = api::NewClient { name: name.to_owned(), vaults: vec![vault] };
            let command = Command::NewClient { new, token_hash: hash };
            assert!(ask_as(world, Caller::Operator, command).is_ok());
        }
        let (owner, other) = (Caller::Client([1; 32]), Caller::Client([2; 32]));
        let command = Command::Submit { vault, new: request_of_kind(0, 1, 20_000) };
        let first = view(ask_as(world, owner, command));
        for command in [Command::SpeedUp(first.id, SAME), Command::Cancel(first.id, SAME)] {
            check_refused(world, other, command, first.id, "not_your_request");
        }
        let second = view(ask_as(world, owner, Command::SpeedUp(first.id, SAME)));
        assert_eq!(second.state, "signed");
        // The operator may, for everybody.
        assert_eq!(ask(world, Command::Cancel(first.id, SAME)).state, "signed");
    });
}

/// Entries of node 1's journal from `from` on that are refusals.
fn refusals(world: &World, from: usize) -> Vec<String> {
    let records = world.disk(1).map(|disk| disk.records[from..].to_vec()).unwrap_or_default();
    let read = records.iter().map(|bytes| Record::from_bytes(bytes).map(|record| record.entry));
    let refused = read.filter_map(|entry| match entry {
        Ok(Entry::Refused { code, .. }) => Some(code),
        _ => None,
    });
    refused.collect()
}

/// Changes every proposal on its way, as a traitor at the entry node could.
fn forge(world: &mut World, change: impl Fn(&mut Proposal) + 'static) {
    world.set_tamper(Some(Box::new(move |_, _, bytes| match Message::from_bytes(&bytes) {
        Ok(Message::Propose(mut proposal)) => {
            change(&mut proposal);
            vec![Message::Propose(proposal).to_bytes()]
        }
        _ => vec![bytes],
    })));
}

/// Goal: the fee rule is each signer's own. Method: node 0 shows the others a replacement that pays hardly more.
#[test]
fn a_peer_refuses_a_replacement_that_pays_too_little_more() {
    in_world(27, |world, vault| {
        let evm = request_of_kind(0, 1, 20_000);
        let bitcoin = bitcoin_send(world, vault, ACCOUNTS[0]);
        let one_more = |proposal: &mut Proposal| match &mut proposal.fill {
            Fill::Evm { max_fee_per_gas, max_priority_fee_per_gas, .. } => {
                (*max_fee_per_gas, *max_priority_fee_per_gas) = (2_000_000_001, 1_000_000_001);
            }
            Fill::Bitcoin { change: Some((_, sat)), .. } => *sat = 28_999,
            other => panic!("{other:?}"),
        };
        for new in [evm, bitcoin] {
            let first = submit(world, vault, new);
            let from = world.disk(1).map_or(0, |disk| disk.records.len());
            forge(world, one_more);
            let how = api::Replace { wait_ms: 0, ..SAME };
            let waiting = ask(world, Command::SpeedUp(first.id, how));
            assert_ne!(waiting.state, "signed");
            world.pass(200);
            world.set_tamper(None);
            assert_eq!(refusals(world, from), ["fee_too_low_to_replace"]);
            // The honest attempt goes through by itself.
            world.pass(60_000);
            let done = ask(world, Command::Request(first.id));
            assert_eq!(done.state, "signed", "{done:?}");
            assert!(fee(&done) > fee(&first));
        }
    });
}

/// Goal: a cancel cannot be undone by the entry node. Method: it shows the others the payment at a higher fee.
#[test]
fn a_peer_refuses_to_bring_a_cancelled_payment_back() {
    in_world(28, |world, vault| {
        let first = submit(world, vault, request_of_kind(0, 1, 20_000));
        assert_eq!(ask(world, Command::Cancel(first.id, SAME)).state, "signed");
        let from = world.disk(1).map_or(0, |disk| disk.records.len());
        forge(world, |proposal| {
            let Fill::Evm { cancel, .. } = &mut proposal.fill else { panic!("another fill") };
            *cancel = false;
        });
        let how = api::Replace { wait_ms: 0, ..SAME };
        ask(world, Command::SpeedUp(first.id, how));
        world.pass(200);
        assert_eq!(refusals(world, from), ["not_the_request"]);
    });
}

/// Goal: a replacement that a peer refuses by name is given up, and what was signed before stands. Method: node 1's
/// verdict becomes a refusal on its way.
#[test]
fn a_replacement_that_a_peer_refuses_leaves_the_signature_before_it() {
    in_world(29, |world, vault| {
        let first = submit(world, vault, request_of_kind(0, 1, 20_000));
        world.set_tamper(Some(Box::new(|from, _, bytes| match Message::from_bytes(&bytes) {
            Ok(Message::Verdict { session, request, .. }) if from == 1 => {
                let refusal = Some(("not_allowed".to_owned(), "by a rule".to_owned()));
                vec![Message::Verdict { session, request, refusal }.to_bytes()]
            }
            _ => vec![bytes],
        })));
        let second = ask(world, Command::SpeedUp(first.id, SAME));
        assert_eq!((second.state.as_str(), raw(&second)), ("signed", raw(&first)));
        assert_eq!(operations(&second), operations(&first));
        assert_eq!(fee(&second), fee(&first));
        let problem = second.problem.map(|problem| problem.code);
        assert_eq!(problem.as_deref(), Some("not_allowed"));
        world.set_tamper(None);
        // Nothing goes on behind the caller's back, and the next try may be signed.
        world.pass(60_000);
        assert_eq!(raw(&ask(world, Command::Request(first.id))), raw(&first));
        let third = ask(world, Command::SpeedUp(first.id, SAME));
        assert_eq!(third.state, "signed", "{third:?}");
        assert!(fee(&third) > fee(&first) && third.problem.is_none());
    });
}

fn solana_send(nonce_account: Option<&str>) -> api::NewRequest {
    let mut new = request_of_kind(1, 1, 20_000);
    if let Some(FillView::Solana { nonce_account: account, .. }) = &mut new.fill {
        *account = nonce_account.map(str::to_owned);
    }
    new
}

#[test]
fn a_durable_solana_transaction_is_cancelled_by_advancing_its_nonce() {
    in_world(30, |world, vault| {
        let account = "CktRuQ2mttgRGkXJtyksdKHjUdc2C4TgDzyB98oEzy8";
        let first = submit(world, vault, solana_send(Some(account)));
        let hurry = Command::SpeedUp(first.id, SAME);
        check_refused(world, Caller::Operator, hurry, first.id, "not_replaceable");
        let fees = Command::Cancel(first.id, with_fee_rate(9));
        check_refused(world, Caller::Operator, fees, first.id, "fee_of_another_chain");
        let second = ask(world, Command::Cancel(first.id, SAME));
        assert_eq!(second.state, "signed", "{second:?}");
        assert_ne!(raw(&second), raw(&first));
        assert_eq!(single_use(&second), single_use(&first));
        let Operation::AdvanceNonce { account: advanced, .. } = &operations(&second)[0] else {
            panic!("{second:?}")
        };
        assert_eq!((advanced.as_str(), operations(&second).len()), (account, 1));
        let notes = second.intent.map(|intent| intent.notes).unwrap_or_default();
        assert!(notes.iter().any(|note| note.starts_with("cancel: advance durable nonce")));
        let plain = submit(world, vault, solana_send(None));
        for command in [Command::SpeedUp(plain.id, SAME), Command::Cancel(plain.id, SAME)] {
            check_refused(world, Caller::Operator, command, plain.id, "not_replaceable");
        }
    });
}

/// Goal: a ready-made EVM transaction does not hold its nonce for ever. Method: its cancel, and what it cannot do.
#[test]
fn a_ready_made_evm_transaction_is_cancelled_under_its_nonce() {
    in_world(31, |world, vault| {
        // A legacy transaction to 0xbb..bb, nonce 9, 2 gwei, 21000 gas, 5 wei, chain 31337.
        let legacy = "e509847735940082520894bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb0580827a698080";
        let ask_view =
            AskView::Raw { format: "evm_transaction".to_owned(), bytes: legacy.to_owned() };
        let new = api::NewRequest { ask: ask_view, fill: None, ..request_of_kind(0, 1, 20_000) };
        let first = submit(world, vault, new);
        let hurry = Command::SpeedUp(first.id, SAME);
        check_refused(world, Caller::Operator, hurry, first.id, "not_replaceable");
        let low = Command::Cancel(first.id, with_gas(2_199_999_999, 2_199_999_999));
        check_refused(world, Caller::Operator, low, first.id, "fee_too_low_to_replace");
        let second = ask(world, Command::Cancel(first.id, SAME));
        assert_eq!(second.state, "signed", "{second:?}");
        assert_eq!(single_use(&second), single_use(&first));
        assert!(matches!(
            &operations(&second)[..],
            [Operation::NativeTransfer { amount, .. }] if *amount == Amount::ZERO
        ));
        assert_eq!(fee(&second), 21_000 * 2_500_000_000);
    });
}

/// Goal: what the chain refused keeps its nonce, and no other send queues up behind it unnoticed. Method: the chain node
/// says no to a signed transaction, then another is asked for.
#[test]
fn a_nonce_whose_transaction_was_not_sent_is_neither_skipped_nor_used_twice() {
    in_world(32, |world, vault| {
        let first = submit(world, vault, request_of_kind(0, 1, 20_000));
        let no = Err(("chain_refused".to_owned(), "max fee per gas below base fee".to_owned()));
        world.tell_sent(0, first.id, no);
        let shown = ask(world, Command::Request(first.id));
        assert_eq!(shown.state, "signed");
        let problem = shown.problem.unwrap_or_else(|| panic!("no problem is shown"));
        assert_eq!(problem.code, "not_broadcast");
        assert!(problem.message.contains(&first.id.to_string()), "{problem:?}");
        assert!(problem.message.contains("below base fee"), "{problem:?}");
        let hint = problem.hint.unwrap_or_default();
        for verb in ["speed-up", "cancel"] {
            assert!(hint.contains(&format!("outlast request {verb} {}", first.id)), "{hint}");
        }
        let next = || Command::Submit { vault, new: request_of_kind(0, 2, 20_000) };
        check_refused(world, Caller::Operator, next(), first.id, "nonce_blocked");
        // Sped up and taken by the chain, it lets the next one through, under the next nonce.
        let second = ask(world, Command::SpeedUp(first.id, SAME));
        assert_eq!((second.state.as_str(), &second.problem), ("signed", &None));
        let third = view(ask_as(world, Caller::Operator, next()));
        assert_eq!(third.state, "signed", "{third:?}");
        assert_eq!((single_use(&first), single_use(&third)), ("nonce 0".into(), "nonce 1".into()));
    });
}

/// A chain node that knows `coins` of the account, each enough for a send of 70,000, and gives the first that is free.
fn coins_chain(world: &mut World, coins: Vec<Transaction>) {
    world.set_chain(Box::new(move |_, query| {
        let name =
            |coin: &&Transaction| !query.held.contains(&format!("{}:0", coin.compute_txid()));
        match coins.iter().find(name) {
            None => Err("the account's confirmed coins are worth 0 satoshi".to_owned()),
            Some(coin) => Ok(engine::Facts::Bitcoin {
                coins: vec![model::request::Coin {
                    transaction: bitcoin::consensus::serialize(coin),
                    vout: 0,
                    child: (0, 0),
                }],
                fee: 1_000,
                change: 4,
            }),
        }
    }));
}

/// Goal: two entry nodes that choose one coin both come to an end by themselves. Method: all three ask for a send at
/// once, of three coins; a fourth send finds none.
#[test]
fn entry_nodes_that_chose_the_same_coin_part_and_the_last_is_told_why_there_is_none() {
    in_world(33, |world, vault| {
        let new = bitcoin_send(world, vault, ACCOUNTS[0]);
        let own = own_address(world, vault, ACCOUNTS[0]);
        let coin = |salt| {
            let mut coin = funding(&own, salt);
            coin.output[0].value = bitcoin::Amount::from_sat(90_000);
            coin
        };
        coins_chain(world, (1..=3).map(coin).collect());
        let new = || api::NewRequest { fill: None, wait_ms: 60_000, ..new.clone() };
        let asked: Vec<_> =
            (0..3).map(|node| world.ask(node, Command::Submit { vault, new: new() })).collect();
        let mut spent = Vec::new();
        for id in asked {
            let answer = (0..400_000).find_map(|_| {
                world.step();
                world.reply(id)
            });
            let done = view(answer.unwrap_or_else(|| panic!("no answer")));
            assert_eq!(done.state, "signed", "{done:?}");
            spent.extend(coins_of(&transaction(&done)));
        }
        spent.sort();
        spent.dedup();
        assert_eq!(spent.len(), 3);
        let none = ask(world, Command::Submit { vault, new: new() });
        assert_eq!(none.state, "refused", "{none:?}");
        let problem = none.problem.unwrap_or_else(|| panic!("no problem is shown"));
        assert_eq!(problem.code, "no_chain_facts");
        assert!(problem.message.contains("3 coins of the account are held"), "{problem:?}");
    });
}

/// Goal: what no frame can carry is refused at the entry node. Method: coins whose transactions have 130 KiB together with
/// others; each alone is within its bound.
#[test]
fn coins_of_transactions_too_long_for_a_frame_are_refused_before_anything_is_proposed() {
    in_world(34, |world, vault| {
        let own = own_address(world, vault, ACCOUNTS[0]);
        let long = |salt: u8, outputs: usize| {
            let mut made = funding(&own, salt);
            let filler = made.output[1].clone();
            made.output.extend(std::iter::repeat_n(filler, outputs));
            CoinView { transaction: serialize_hex(&made), vout: 0, chain: 0, number: 0 }
        };
        let good = bitcoin_send(world, vault, ACCOUNTS[0]);
        let send = |world: &mut World, inputs: Vec<CoinView>| {
            let fill = Some(FillView::Bitcoin { inputs, fee: 5_000, change: 4 });
            let command = Command::Submit { vault, new: api::NewRequest { fill, ..good.clone() } };
            ask_as(world, Caller::Operator, command)
        };
        let length = world.disk(0).map(|disk| disk.records.len());
        // 43 bytes an output: three times 92 KiB.
        let answer = send(world, vec![long(1, 2_200), long(2, 2_200), long(3, 2_200)]);
        let problem = answer.err().unwrap_or_else(|| panic!("not refused"));
        assert_eq!(problem.code, "proposal_too_long", "{problem:?}");
        assert_eq!(world.disk(0).map(|disk| disk.records.len()), length);
        let two = view(send(world, vec![long(1, 2_200), long(2, 2_200)]));
        assert_eq!(two.state, "signed", "{two:?}");
    });
}
