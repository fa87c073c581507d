//! Bitcoin sends of a simulated vault: coins that its own addresses were paid, in transactions that never were on a chain.

use crate::world::World;
use bitcoin::consensus::encode::serialize_hex;
use bitcoin::hashes::Hash;
use bitcoin::transaction::Version;
use bitcoin::{OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness, absolute};
use model::amount::Amount;
use model::api::{AskView, CoinView, FillView, NewRequest};
use model::ids::VaultId;
use model::intent::{BitcoinNetwork, Network};
use model::wire::Wire;
use threshold::shares::VaultPublic;

const NETWORK: Network = Network::Bitcoin(BitcoinNetwork::Regtest);
/// What each coin is worth, satoshi.
const COIN: u64 = 10_000;

/// Where a vault keeps its coins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// BIP-86: BIP-340 signatures, one for each input.
    Taproot,
    /// BIP-84: ECDSA signatures.
    Wpkh,
}

impl Account {
    fn path(self) -> &'static str {
        match self {
            Self::Taproot => "m/86/0/0",
            Self::Wpkh => "m/84/0/0",
        }
    }
}

/// A send out of `inputs` coins that only the request with this `number` spends.
pub fn send(
    world: &World,
    vault: VaultId,
    account: Account,
    inputs: u32,
    number: u64,
    wait_ms: u64,
) -> NewRequest {
    let output = TxOut {
        value: bitcoin::Amount::from_sat(COIN),
        script_pubkey: own_script(world, vault, account),
    };
    let salt: Vec<u8> = number.to_be_bytes().repeat(4);
    let salt = <[u8; 32]>::try_from(salt).unwrap_or_default();
    let funding = Transaction {
        version: Version::TWO,
        lock_time: absolute::LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint { txid: Txid::from_byte_array(salt), vout: 0 },
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        }],
        output: (0..inputs).map(|_| output.clone()).collect(),
    };
    let transaction = serialize_hex(&funding);
    let coin = |vout| CoinView { transaction: transaction.clone(), vout, chain: 0, number: 0 };
    NewRequest {
        network: NETWORK,
        path: account.path().to_owned(),
        ask: AskView::Send {
            to: "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080".to_owned(),
            amount: Amount::from_u64(u64::from(inputs).saturating_mul(COIN / 2)),
        },
        fee_max: Some(Amount::from_u64(2_000)),
        idempotency_key: None,
        initiator: None,
        life_ms: None,
        fill: Some(FillView::Bitcoin {
            inputs: (0..inputs).map(coin).collect(),
            fee: 1_000,
            change: 4,
        }),
        broadcast: false,
        wait_ms,
    }
}

/// Out of the public data on a disk, so that it is known whether or not a node is up.
fn own_script(world: &World, vault: VaultId, account: Account) -> ScriptBuf {
    let sealed = world.disk(0).and_then(|disk| disk.secrets.get(&format!("vault/{vault}/public")));
    let public = sealed.and_then(|bytes| VaultPublic::from_bytes(bytes).ok());
    let path = format!("{}/0/0", account.path()).parse().ok();
    let script = public.zip(path).and_then(|(public, path)| {
        let address = chains::address(&public.keys, NETWORK, &path).ok()?;
        let address: bitcoin::Address<_> = address.text.parse().ok()?;
        Some(address.assume_checked().script_pubkey())
    });
    script.unwrap_or_else(|| panic!("vault {vault} has no address"))
}
