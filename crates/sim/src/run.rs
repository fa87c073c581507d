//! One seed from start to end: a ready cluster, a workload under faults, calm weather, and a last signature.

use crate::coins::{self, Account};
use crate::faults::Faults;
use crate::fixture;
use crate::random::Seeded;
use crate::world::World;
use engine::{Command, CommandId, Reply};
use model::amount::Amount;
use model::api;
use model::ids::VaultId;
use model::intent::{Network, SolanaCluster};

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Hash over everything that happened.
    pub digest: [u8; 32],
    /// Requests sent.
    pub sent: u64,
    /// Requests signed.
    pub signed: u64,
}

/// Runs one seed on a thread of its own. Panics with the seed when an invariant breaks.
pub fn run_seed(seed: u64) -> Outcome {
    // Made before the seeded thread starts: the fixture is the same for every seed.
    let ready =
        if seed.is_multiple_of(3) { fixture::two_of_three() } else { fixture::three_of_three() };
    let run = move || {
        let _seeded = Seeded::new(seed);
        let mut world = ready.world(seed, Faults::of_seed(seed));
        drive(&mut world, ready.vault)
    };
    match std::thread::spawn(run).join() {
        Ok(outcome) => outcome,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_owned()));
            panic!(
                "seed {seed} failed ({}); replay: cargo xtask sim --seed {seed}",
                text.unwrap_or_default()
            );
        }
    }
}

fn drive(world: &mut World, vault: VaultId) -> Outcome {
    world.pass(3_000);
    let requests = 4 + world.dice().below(8);
    let mut open: Vec<CommandId> = Vec::new();
    for number in 0..requests {
        let size = u64::try_from(world.size()).unwrap_or(1);
        let node = usize::try_from(world.dice().below(size)).unwrap_or(0);
        let new = request(world, vault, number);
        open.push(world.ask(node, Command::Submit { vault, new }));
        let pause = world.dice().below(3_000);
        world.pass(pause);
    }
    world.pass(60_000);
    // The weather clears: whatever happened, the cluster signs again by itself.
    world.set_faults(Faults::NONE);
    world.pass(60_000);
    assert_eq!(world.watch().pairs_stopped, 0, "faults of the network were taken for treason");
    for node in 0..world.size() {
        for kind in kinds_at(node) {
            let new = request_in(world, vault, kind, 1_000 + kind * 10 + node as u64, 5_000);
            let reply = world.ask_and_wait(node, Command::Submit { vault, new }, 30_000);
            let Some(Ok(Reply::Request(view))) = reply else { panic!("no answer: {reply:?}") };
            assert_eq!(view.state, "signed", "after the storm: {view:?}");
        }
    }
    Outcome {
        digest: world.digest(),
        sent: requests,
        signed: u64::try_from(world.watch().signed_requests.len()).unwrap_or(0),
    }
}

fn request(world: &mut World, vault: VaultId, number: u64) -> api::NewRequest {
    let kind = world.dice().below(KINDS);
    let wait = world.dice().below(20_000);
    request_in(world, vault, kind, number, wait)
}

/// Kinds of requests that [`request_in`] makes.
pub const KINDS: u64 = 5;

/// Every scheme at every node, and over three nodes every kind: Ed25519, BIP-340, and one of the three that ECDSA signs.
pub fn kinds_at(node: usize) -> [u64; 3] {
    let ecdsa = match node % 3 {
        0 => 0,
        1 => 2,
        _ => 4,
    };
    [1, 3, ecdsa]
}

/// As [`request_of_kind`], and besides a taproot send out of two coins (3) and a wpkh send (4).
pub fn request_in(
    world: &World,
    vault: VaultId,
    kind: u64,
    number: u64,
    wait_ms: u64,
) -> api::NewRequest {
    match kind {
        3 => coins::send(world, vault, Account::Taproot, 2, number, wait_ms),
        4 => coins::send(world, vault, Account::Wpkh, 1, number, wait_ms),
        _ => request_of_kind(kind, number, wait_ms),
    }
}

/// A request that needs no coins: an Ethereum transfer (0), a Solana transfer (1), a personal message (2).
pub fn request_of_kind(kind: u64, number: u64, wait_ms: u64) -> api::NewRequest {
    let (network, path, ask, fill) = match kind {
        0 => (
            Network::Evm(31337),
            "m/44/60/0/0/0",
            api::AskView::Send {
                to: "0x00000000000000000000000000000000000000aa".to_owned(),
                amount: Amount::from_u64(number),
            },
            Some(api::FillView::Evm {
                nonce: None,
                gas_limit: 21_000,
                max_fee_per_gas: 2_000_000_000,
                max_priority_fee_per_gas: 1_000_000_000,
            }),
        ),
        1 => (
            Network::Solana(SolanaCluster::Local),
            "m/44/501/0/0",
            api::AskView::Send {
                to: "4uQeVj5tqViQh7yWWGStvkEG1Zmhx6uasJtWCJziofM".to_owned(),
                amount: Amount::from_u64(number.saturating_add(1)),
            },
            Some(api::FillView::Solana {
                blockhash: "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi".to_owned(),
                nonce_account: None,
            }),
        ),
        _ => (
            Network::Evm(1),
            "m/44/60/0/0/0",
            api::AskView::Raw {
                format: "evm_message".to_owned(),
                bytes: format!("0x{}", hex_of(&format!("message number {number}"))),
            },
            None,
        ),
    };
    api::NewRequest {
        network,
        path: path.to_owned(),
        ask,
        fee_max: None,
        idempotency_key: None,
        initiator: None,
        life_ms: None,
        fill,
        broadcast: false,
        wait_ms,
    }
}

fn hex_of(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}
