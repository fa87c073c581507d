//! The scenes, each with what a person should see.

use super::document::{Document, Refused, Signed};
use super::screen::Screen;
use crate::chain_check;
use crate::cluster::Cluster;
use crate::coins::{made_up_coin, random_hash};
use crate::error::CommandError;
use crate::view;
use model::amount::Amount;
use model::api::{AskView, CoinView, FillView, NewRequest, Problem, RequestView};
use model::ids::VaultId;
use model::intent::{BitcoinNetwork, Network, SolanaCluster};
use std::time::Duration;

/// EIP-155 id of local development chains.
pub(crate) const CHAIN: u64 = 31337;
/// Not the first address: its nonces stay free for whoever tries `cast send` afterwards.
const ETHEREUM: (Network, &str) = (Network::Evm(CHAIN), "m/44/60/0/0/1");
const BITCOIN: (Network, &str) = (Network::Bitcoin(BitcoinNetwork::Regtest), "m/86/0/0/0/0");
const SOLANA: (Network, &str) = (Network::Solana(SolanaCluster::Local), "m/44/501/0/0");
/// Account of the Bitcoin address.
const BITCOIN_ACCOUNT: &str = "m/86/0/0";
/// Second account of every local development chain.
pub(crate) const SUPPLIER: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
/// Taproot address of the key of BIP-86's first test vector, on a local chain.
const BITCOIN_SUPPLIER: &str = "bcrt1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqvg32hk";
/// Any account will do; this one has 32 bytes of 7.
const SOLANA_SUPPLIER: &str = "US517G5965aydkZ46HS38QLi7UQiSojurfbQfKCELFx";
const GWEI: u64 = 1_000_000_000;

/// The key ceremony.
pub(crate) fn ceremony(
    cluster: &Cluster,
    screen: &Screen,
    document: &mut Document,
) -> Result<VaultId, CommandError> {
    let step =
        screen.step("Key ceremony, 3 of 3: every node makes its own part, no node has the key");
    let vault = cluster.ceremony("treasury", 3)?;
    document.took("key_ceremony", step.done());
    screen
        .detail(&format!("test vault {} for ever: it can never become a live one", vault.short()));
    document.vault = Some(cluster.first()?.client.vault(vault)?);
    Ok(vault)
}

/// One address per chain, asked of every node.
pub(crate) fn addresses(
    cluster: &Cluster,
    vault: VaultId,
    screen: &Screen,
    document: &mut Document,
) -> Result<(), CommandError> {
    let step = screen.step("Addresses of the vault, computed by each node, all the same");
    for (name, (network, path)) in
        [("Ethereum", ETHEREUM), ("Bitcoin", BITCOIN), ("Solana", SOLANA)]
    {
        let address = cluster.first()?.client.address(vault, network, path)?;
        for member in &cluster.members {
            let theirs = member.client.address(vault, network, path)?;
            if theirs.address != address.address {
                let message = format!("{} computes another {name} address", member.operator);
                return Err(CommandError::bug(message));
            }
        }
        screen.detail(&format!("{name:<9} {}   ({network} {path})", address.address));
        if let Some(code) = view::qr::draw(&address.address).filter(|_| screen.on_terminal()) {
            screen.say(&code);
        }
        document.addresses.insert(path.to_owned(), address);
    }
    document.took("addresses", step.done());
    Ok(())
}

fn address<'a>(document: &'a Document, path: &str) -> &'a str {
    document.addresses.get(path).map_or("", |address| &address.address)
}

/// A transfer on a local Ethereum-type chain.
pub(crate) fn ethereum(
    cluster: &Cluster,
    vault: VaultId,
    screen: &Screen,
    document: &mut Document,
) -> Result<(), CommandError> {
    let step = screen.step("Ethereum: pay 1.5 ETH to a supplier");
    screen.detail("(no chain runs here: nonce and fee are given)");
    let signed = sign(cluster, vault, screen, &ethereum_transfer(21_000, 30 * GWEI))?;
    let raw = raw(&signed);
    let check = chain_check::evm(&raw, address(document, ETHEREUM.1));
    finish("ethereum", signed, check, None, screen, document)?;
    document.took("ethereum_signature", step.done());
    Ok(())
}

fn ethereum_transfer(gas_limit: u64, max_fee_per_gas: u64) -> NewRequest {
    let amount = Amount::from_u64(1_500_000_000).checked_mul_u64(GWEI).unwrap_or(Amount::ZERO);
    let ask = AskView::Send { to: SUPPLIER.to_owned(), amount };
    let fill = FillView::Evm {
        nonce: Some(0),
        gas_limit,
        max_fee_per_gas,
        max_priority_fee_per_gas: GWEI,
    };
    request(ETHEREUM.0, ETHEREUM.1, ask, fill)
}

fn request(network: Network, path: &str, ask: AskView, fill: FillView) -> NewRequest {
    NewRequest {
        network,
        path: path.to_owned(),
        ask,
        fee_max: None,
        idempotency_key: None,
        initiator: None,
        life_ms: None,
        fill: Some(fill),
        broadcast: false,
        wait_ms: 25_000,
    }
}

/// A spend of a made-up taproot coin.
pub(crate) fn bitcoin(
    cluster: &Cluster,
    vault: VaultId,
    screen: &Screen,
    document: &mut Document,
) -> Result<(), CommandError> {
    let step = screen.step("Bitcoin: pay 0.4 BTC out of a taproot coin of 1 BTC");
    screen.detail("(the coin is made up: a payment to the vault's address that no chain has seen)");
    let coin = made_up_coin(address(document, BITCOIN.1), 100_000_000)?;
    let amount = Amount::from_u64(40_000_000);
    let ask = AskView::Send { to: BITCOIN_SUPPLIER.to_owned(), amount };
    let input = CoinView { transaction: coin.transaction.clone(), vout: 0, chain: 0, number: 0 };
    let fill = FillView::Bitcoin { inputs: vec![input], fee: 1_000, change: 0 };
    let new = request(BITCOIN.0, BITCOIN_ACCOUNT, ask, fill);
    let signed = sign(cluster, vault, screen, &new)?;
    let check = chain_check::taproot(&raw(&signed), std::slice::from_ref(&coin.output));
    finish("bitcoin", signed, check, Some(coin.transaction), screen, document)?;
    document.took("bitcoin_signature", step.done());
    Ok(())
}

/// A transfer on Solana.
pub(crate) fn solana(
    cluster: &Cluster,
    vault: VaultId,
    screen: &Screen,
    document: &mut Document,
) -> Result<(), CommandError> {
    let step = screen.step("Solana: pay 2.5 SOL");
    screen.detail("(no chain runs here: the blockhash is made up)");
    let amount = Amount::from_u64(2_500_000_000);
    let ask = AskView::Send { to: SOLANA_SUPPLIER.to_owned(), amount };
    let blockhash = bs58::encode(random_hash()?).into_string();
    let fill = FillView::Solana { blockhash, nonce_account: None };
    let new = request(SOLANA.0, SOLANA.1, ask, fill);
    let signed = sign(cluster, vault, screen, &new)?;
    let check = chain_check::solana(&raw(&signed), address(document, SOLANA.1));
    finish("solana", signed, check, None, screen, document)?;
    document.took("solana_signature", step.done());
    Ok(())
}

fn raw(request: &RequestView) -> String {
    request.signed.as_ref().map(|signed| signed.raw.clone()).unwrap_or_default()
}

/// Asks node A, shows what each node read by itself and what it said.
fn sign(
    cluster: &Cluster,
    vault: VaultId,
    screen: &Screen,
    new: &NewRequest,
) -> Result<RequestView, CommandError> {
    let first = cluster.first()?;
    let asked = first.client.submit(vault, new)?;
    let request = first.wait("the signature", Duration::from_secs(60), || {
        let now = first.client.request(asked.id)?;
        Ok((!matches!(now.state.as_str(), "waiting" | "signing")).then_some(now))
    })?;
    if request.signed.is_none() {
        let why = request.problem.as_ref().map_or("no reason given", |p| p.message.as_str());
        let message = format!("request {} is {}: {why}", request.id.short(), request.state);
        return Err(CommandError::unavailable("not_signed", message));
    }
    for (at, member) in cluster.members.iter().enumerate() {
        let theirs = member.wait("its own reading", Duration::from_secs(60), || {
            Ok(member.client.request(request.id)?.intent)
        })?;
        match (at, Some(&theirs) == request.intent.as_ref()) {
            (0, true) => {
                for sentence in view::intent::sentences(&theirs) {
                    screen.detail(&format!("{} reads: {sentence}", member.operator));
                }
            }
            (_, true) => screen.detail(&format!("{} reads the same", member.operator)),
            (_, false) => {
                let message = format!("{} reads something else", member.operator);
                return Err(CommandError::bug(message));
            }
        }
    }
    for verdict in view::request::verdicts(&request) {
        screen.detail(&verdict);
    }
    Ok(request)
}

/// Shows the result with the second opinion; a bad one ends the tour.
fn finish(
    chain: &'static str,
    request: RequestView,
    check: Result<String, String>,
    funding: Option<String>,
    screen: &Screen,
    document: &mut Document,
) -> Result<(), CommandError> {
    let check =
        check.map_err(|why| CommandError::bug(format!("{chain}: second opinion: {why}")))?;
    if let Some(signed) = &request.signed {
        screen.detail(&format!("signed in {}", view::duration_ms(signed.took_ms)));
        screen.detail(&format!("transaction {}", view::short(&signed.raw)));
        if let Some(txid) = &signed.txid {
            screen.detail(&format!("id          {txid}"));
        }
    }
    screen.detail(&check);
    document.requests.push(Signed { chain, request, check, funding });
    Ok(())
}

/// A transaction that would burn a fortune as fee.
pub(crate) fn fee_bomb(
    cluster: &Cluster,
    vault: VaultId,
    screen: &Screen,
    document: &mut Document,
) -> Result<(), CommandError> {
    let step = screen.step("A mistake: the same payment, but with a fee of up to 9 ETH");
    let bomb = ethereum_transfer(1_000_000, 9_000 * GWEI);
    let asked = "1.5 ETH with a fee of up to 9 ETH";
    let problem = match cluster.first()?.client.submit(vault, &bomb) {
        Err(error) if error.kind.exit_code() == 1 => {
            Problem { code: error.code, message: error.message, hint: error.hint }
        }
        Err(error) => return Err(error),
        Ok(RequestView { signed: None, problem: Some(problem), .. }) => problem,
        Ok(_) => return Err(CommandError::bug("a fee bomb was not refused")),
    };
    screen.detail(&format!("REFUSED, nothing was signed: {} [{}]", problem.message, problem.code));
    document.refusals.push(Refused { asked, problem });
    document.took("refusal", step.done());
    Ok(())
}

/// What the tour does not show yet.
pub(crate) fn announce(screen: &Screen) {
    screen.say("Next (arrives with a later release, not shown and not done yet):");
    screen.detail("people approve what the nodes read, by passkey or ssh key; rules and limits");
    screen.detail("one operator disappears and is replaced without his help, same addresses");
    screen.detail("everybody disappears: emergency contacts, countdown, veto, lock-up");
    screen.detail("proof for a stranger: one file that anybody verifies offline\n");
}
