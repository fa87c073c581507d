//! Requests to sign, one after the other or many at once.

use crate::client::Client;
use crate::coins::{made_up_coin, random_hash};
use crate::error::CommandError;
use model::amount::Amount;
use model::api::{AskView, CoinView, FillView, NewRequest};
use model::ids::VaultId;
use model::intent::{BitcoinNetwork, Network, SolanaCluster};
use model::keys::KeyKind;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a request may wait for its signature.
const WAIT_MS: u64 = 20_000;

/// Where requests go and what they ask.
pub(crate) struct Load<'a> {
    /// APIs, one per node; clients spread over them.
    pub(crate) apis: Vec<&'a Client>,
    /// The vault.
    pub(crate) vault: VaultId,
    /// Which key signs.
    pub(crate) kind: KeyKind,
    /// Bitcoin: the address that made-up coins pay.
    pub(crate) address: String,
    /// Makes every request different.
    pub(crate) counter: AtomicU32,
}

/// What many clients saw.
#[derive(Default)]
pub(crate) struct Seen {
    /// Times of signed requests.
    pub(crate) times: Vec<Duration>,
    /// Requests that ended without a signature.
    pub(crate) failed: u32,
    /// Why the first of them did.
    pub(crate) failure: Option<String>,
}

/// Network and path of each key's requests.
pub(crate) fn place(kind: KeyKind) -> (Network, &'static str) {
    match kind {
        KeyKind::Ecdsa => (Network::Evm(31337), "m/44/60/0/0/0"),
        KeyKind::Bip340 => (Network::Bitcoin(BitcoinNetwork::Regtest), "m/86/0/0"),
        KeyKind::Ed25519 => (Network::Solana(SolanaCluster::Local), "m/44/501/0/0"),
    }
}

impl Load<'_> {
    /// One request, signed; the time is what a caller waits.
    fn one(&self, api: &Client) -> Result<Duration, CommandError> {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let new = self.request(number)?;
        let since = Instant::now();
        let request = api.submit(self.vault, &new)?;
        match request.signed {
            Some(_) => Ok(since.elapsed()),
            None => {
                let why = request.problem.map(|p| p.message).unwrap_or_default();
                let message = format!("a request is {}: {why}", request.state);
                Err(CommandError::unavailable("not_signed", message))
            }
        }
    }

    /// Requests one after the other at the first node.
    pub(crate) fn sequential(
        &self,
        count: u32,
        patience: Duration,
    ) -> Result<Vec<Duration>, CommandError> {
        let api = self.apis.first().ok_or_else(|| CommandError::bug("no node to ask"))?;
        let since = Instant::now();
        let mut times = Vec::new();
        for _ in 0..count {
            times.push(self.one(api)?);
            if since.elapsed() > patience {
                break;
            }
        }
        Ok(times)
    }

    /// `clients` callers at once for `time`, each sending its next request when the last is answered.
    pub(crate) fn parallel(&self, clients: usize, time: Duration) -> Seen {
        let since = Instant::now();
        let caller = |api: &Client| {
            let mut seen = Seen::default();
            while since.elapsed() < time {
                match self.one(api) {
                    Ok(time) => seen.times.push(time),
                    Err(error) => {
                        seen.failed = seen.failed.saturating_add(1);
                        seen.failure.get_or_insert(error.message);
                        // A refusal comes at once; do not turn the bench into a flood of them.
                        std::thread::sleep(Duration::from_millis(50));
                    }
                }
            }
            seen
        };
        std::thread::scope(|scope| {
            let apis = self.apis.iter().cycle().take(clients);
            let callers: Vec<_> = apis.map(|api| scope.spawn(move || caller(api))).collect();
            let mut all = Seen::default();
            for seen in callers.into_iter().filter_map(|caller| caller.join().ok()) {
                all.times.extend(seen.times);
                all.failed = all.failed.saturating_add(seen.failed);
                all.failure = all.failure.or(seen.failure);
            }
            all
        })
    }

    fn request(&self, number: u32) -> Result<NewRequest, CommandError> {
        let (network, path) = place(self.kind);
        let (ask, fill) = match self.kind {
            KeyKind::Ecdsa => (message(number), None),
            KeyKind::Bip340 => {
                let (ask, fill) = self.bitcoin()?;
                (ask, Some(fill))
            }
            KeyKind::Ed25519 => {
                let to = bs58::encode([7u8; 32]).into_string();
                let amount = Amount::from_u64(u64::from(number).saturating_add(1));
                let blockhash = bs58::encode(random_hash()?).into_string();
                let fill = FillView::Solana { blockhash, nonce_account: None };
                (AskView::Send { to, amount }, Some(fill))
            }
        };
        Ok(NewRequest {
            network,
            path: path.to_owned(),
            ask,
            fee_max: None,
            idempotency_key: None,
            initiator: None,
            life_ms: None,
            fill,
            broadcast: false,
            wait_ms: WAIT_MS,
        })
    }

    fn bitcoin(&self) -> Result<(AskView, FillView), CommandError> {
        let coin = made_up_coin(&self.address, 100_000)?;
        let input = CoinView { transaction: coin.transaction, vout: 0, chain: 0, number: 0 };
        let ask = AskView::Send { to: self.address.clone(), amount: Amount::from_u64(50_000) };
        Ok((ask, FillView::Bitcoin { inputs: vec![input], fee: 500, change: 0 }))
    }
}

fn message(number: u32) -> AskView {
    let bytes = format!("0x{}", hex::encode(format!("bench {number}")));
    AskView::Raw { format: "evm_message".to_owned(), bytes }
}
