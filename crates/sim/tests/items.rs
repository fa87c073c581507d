//! Transactions that need many signatures: what is in flight is bounded by signatures, not by requests alone.

#![allow(clippy::panic, clippy::as_conversions, reason = "a test")]

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::hashes::Hash;
use bitcoin::transaction::Version;
use bitcoin::{OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness, absolute};
use engine::{Command, Reply};
use model::amount::Amount;
use model::api::{self, AskView, CoinView, FillView};
use model::ids::VaultId;
use model::intent::{BitcoinNetwork, Network};
use model::limits;
use sim::random::Seeded;
use sim::run::request_of_kind;
use sim::{Faults, World, fixture};

const BITCOIN: Network = Network::Bitcoin(BitcoinNetwork::Regtest);
const ACCOUNT: &str = "m/86/0/0";
const INPUTS: u32 = 32;

/// A send out of 32 coins of one transaction.
fn send(world: &mut World, vault: VaultId, salt: u8) -> api::NewRequest {
    let path = format!("{ACCOUNT}/0/0").parse().unwrap_or_else(|e| panic!("{e}"));
    let command = Command::Address { vault, network: BITCOIN, path };
    let Some(Ok(Reply::Address(own))) = world.ask_and_wait(0, command, 10) else {
        panic!("no address")
    };
    let own: bitcoin::Address<_> = own.address.parse().unwrap_or_else(|e| panic!("{e}"));
    let script_pubkey = own.assume_checked().script_pubkey();
    let output = TxOut { value: bitcoin::Amount::from_sat(10_000), script_pubkey };
    let funding = Transaction {
        version: Version::TWO,
        lock_time: absolute::LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint { txid: Txid::from_byte_array([salt; 32]), vout: 0 },
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        }],
        output: (0..INPUTS).map(|_| output.clone()).collect(),
    };
    let transaction = serialize_hex(&funding);
    let coin = |vout| CoinView { transaction: transaction.clone(), vout, chain: 0, number: 0 };
    let to = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080".to_owned();
    api::NewRequest {
        network: BITCOIN,
        path: ACCOUNT.to_owned(),
        ask: AskView::Send { to, amount: Amount::from_u64(300_000) },
        fee_max: Some(Amount::from_u64(15_000)),
        fill: Some(FillView::Bitcoin {
            inputs: (0..INPUTS).map(coin).collect(),
            fee: 10_000,
            change: 4,
        }),
        ..request_of_kind(1, 1, 60_000)
    }
}

/// Goal: one coordinator's large transactions do not fill the queue of another node's cores. Method: twelve transactions of 32
/// inputs in one moment; both signers are looked at after every step, and all twelve are signed in the end.
#[test]
fn large_transactions_of_one_coordinator_take_turns_by_their_signatures() {
    let ready = fixture::three_of_three();
    let run = move || {
        let _seeded = Seeded::new(60);
        let mut world = ready.world(60, Faults::NONE);
        world.pass(3_000);
        let vault = ready.vault;
        let mut asked: Vec<_> = (1..=12)
            .map(|salt| {
                let new = send(&mut world, vault, salt);
                world.ask(0, Command::Submit { vault, new })
            })
            .collect();
        let mut most = 0;
        let end = world.now().saturating_add_ms(120_000);
        while !asked.is_empty() && world.now() < end {
            world.step();
            for node in 0..2 {
                let items = world.engine(node).map_or(0, |engine| engine.status().items);
                most = most.max(items);
            }
            asked.retain(|id| match world.reply(*id) {
                None => true,
                Some(Ok(Reply::Request(view))) => {
                    assert_eq!(view.state, "signed", "{view:?}");
                    false
                }
                Some(other) => panic!("{other:?}"),
            });
        }
        assert!(asked.is_empty(), "not all were signed");
        let max = limits::ITEMS_OF_COORDINATOR_MAX as u64 + u64::from(INPUTS);
        assert!(most > u64::from(INPUTS) && most < max, "{most} signatures in flight");
    };
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}
