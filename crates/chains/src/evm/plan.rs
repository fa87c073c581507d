//! From a request to the bytes that are signed, and from a signature to what is broadcast.
//!
//! Spec: `docs/spec/chains.md`, EVM-PLAN. Bytes that this node wrote are read again like bytes of a stranger, so nothing
//! reaches a signature that the decoder would refuse.

use crate::evm::address::{self, EvmAddress, to_text};
use crate::evm::transaction::Transaction;
use crate::evm::typed_data::TypedData;
use crate::evm::{ceiling, message};
use crate::{Artefact, Plan, Refusal, SpendKey};
use alloy_consensus::TxEip1559;
use alloy_primitives::{TxKind, U256, keccak256};
use model::hd::DerivationPath;
use model::intent::{Intent, Network};
use model::keys::{KeyKind, VaultKeys};
use model::request::{Ask, Fill, RawKind, Request};
use model::signing::{KeyTweak, SignItem, Signature};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};

/// Account and nonce: two transactions that share it are rivals.
pub fn spend_key(chain_id: u64, from: &EvmAddress, nonce: u64) -> SpendKey {
    SpendKey(format!("evm:{chain_id}:{}:{nonce}", to_text(from)))
}

/// Bytes that were read, with what signing needs.
struct Read {
    intent: Intent,
    sighash: [u8; 32],
    nonce: Option<u64>,
    owner: Option<EvmAddress>,
}

/// EVM-PLAN-1: reads bytes of any of the three formats; `network` is checked where the bytes bind a chain.
fn read(kind: RawKind, network: Option<Network>, bytes: &[u8]) -> Result<Read, Refusal> {
    match kind {
        RawKind::EvmTransaction => {
            let transaction = Transaction::parse(bytes)?;
            let common = transaction.common();
            check_chain(network, common.chain_id)?;
            let (nonce, sighash) = (Some(common.nonce), transaction.sighash());
            Ok(Read { intent: transaction.intent()?, sighash, nonce, owner: None })
        }
        RawKind::EvmTypedData => {
            let document = TypedData::parse(bytes)?;
            check_chain(network, document.chain_id())?;
            let reading = document.reading()?;
            let (intent, owner) = (reading.intent, reading.owner);
            Ok(Read { intent, sighash: document.sighash(), nonce: None, owner })
        }
        RawKind::EvmMessage => {
            let network = network.ok_or(Refusal::Missing("network"))?;
            if !matches!(network, Network::Evm(_)) {
                return Err(wrong_network("evm_message", network));
            }
            let intent = message::intent(network, bytes)?;
            Ok(Read { intent, sighash: message::sighash(bytes), nonce: None, owner: None })
        }
        RawKind::Psbt | RawKind::SolanaMessage => Err(Refusal::Invalid {
            field: "format",
            reason: "not a format of an EVM chain".to_owned(),
        }),
    }
}

fn wrong_network(found: &str, wanted: Network) -> Refusal {
    Refusal::WrongNetwork { found: found.to_owned(), wanted: wanted.to_string() }
}

fn check_chain(network: Option<Network>, chain_id: u64) -> Result<(), Refusal> {
    let found = Network::Evm(chain_id);
    match network {
        Some(wanted) if wanted != found => Err(wrong_network(&found.to_string(), wanted)),
        _ => Ok(()),
    }
}

/// Decodes bytes without a vault. A personal message binds no chain, so it needs `network`.
pub fn decode(kind: RawKind, network: Option<Network>, bytes: &[u8]) -> Result<Intent, Refusal> {
    read(kind, network, bytes).map(|read| read.intent)
}

/// See [`crate::build`].
pub fn build(
    keys: &VaultKeys,
    request: &Request,
    chain_id: u64,
    fill: &Fill,
) -> Result<Plan, Refusal> {
    let from = address::at_path(keys, &request.path)?;
    let (kind, unsigned) = unsigned(request, chain_id, fill, &from)?;
    let Read { mut intent, sighash, nonce, owner } =
        read(kind, Some(Network::Evm(chain_id)), &unsigned)?;
    // EVM-PLAN-6: a permit of somebody else is worthless, so asking for it is a mistake or a trick.
    if let Some(owner) = owner.filter(|owner| *owner != from) {
        return Err(Refusal::NotOurs { what: to_text(&owner), path: request.path.to_string() });
    }
    // EVM-PLAN-4: the caller's own ceiling besides the built-in one.
    if let Some(fee_max) = request.fee_max {
        ceiling::within(intent.fee.at_most, fee_max, "request")?;
    }
    intent.from = vec![to_text(&from)];
    if let Fill::Evm { cancel: true, .. } = fill {
        intent.notes.push("cancels the request: takes its nonce and moves nothing".to_owned());
    }
    Ok(Plan {
        network: Network::Evm(chain_id),
        kind,
        fee_at_most: intent.fee.at_most,
        intent,
        unsigned,
        items: vec![item(&request.path, sighash)],
        spends: nonce.map(|nonce| spend_key(chain_id, &from, nonce)).into_iter().collect(),
    })
}

fn item(path: &DerivationPath, sighash: [u8; 32]) -> SignItem {
    let message = sighash.to_vec();
    SignItem { key: KeyKind::Ecdsa, path: path.clone(), tweak: KeyTweak::None, message }
}

/// EVM-PLAN-2: the bytes of `(request, fill)`.
fn unsigned(
    request: &Request,
    chain_id: u64,
    fill: &Fill,
    from: &EvmAddress,
) -> Result<(RawKind, Vec<u8>), Refusal> {
    match (&request.ask, fill) {
        (Ask::Raw { kind, bytes }, Fill::Nothing) => Ok((*kind, bytes.clone())),
        (Ask::Raw { kind: RawKind::EvmTransaction, .. }, fill @ Fill::Evm { cancel: true, .. }) => {
            let transaction = Transaction::Eip1559(cancelled(fill, chain_id, from)?);
            Ok((RawKind::EvmTransaction, transaction.to_bytes()))
        }
        (Ask::Raw { .. }, _) => Err(Refusal::Invalid {
            field: "fill",
            reason: "bytes that were brought ready-made are not filled".to_owned(),
        }),
        (Ask::EvmCall { .. }, Fill::Nothing) => Err(Refusal::Missing("fill")),
        (ask @ Ask::EvmCall { .. }, fill @ Fill::Evm { .. }) => {
            let transaction = Transaction::Eip1559(filled(ask, fill, chain_id, from)?);
            let bytes = transaction.to_bytes();
            // EVM-PLAN-3: what was written must read back as the same transaction.
            match Transaction::parse(&bytes)? == transaction {
                true => Ok((RawKind::EvmTransaction, bytes)),
                false => Err(Refusal::NotTheRequest("the bytes read back otherwise".to_owned())),
            }
        }
        (ask, fill) => {
            let evm_ask = matches!(ask, Ask::EvmCall { .. });
            let found = if evm_ask { family(fill) } else { "an ask for another chain" };
            Err(wrong_network(found, request.network))
        }
    }
}

fn family(fill: &Fill) -> &'static str {
    match fill {
        Fill::Nothing => "no fill",
        Fill::Evm { .. } => "an evm fill",
        Fill::Bitcoin { .. } => "a bitcoin fill",
        Fill::Solana { .. } => "a solana fill",
    }
}

/// A transfer of nothing to itself.
fn cancelled(fill: &Fill, chain_id: u64, from: &EvmAddress) -> Result<TxEip1559, Refusal> {
    let Fill::Evm { nonce, gas_limit, max_fee_per_gas, max_priority_fee_per_gas, .. } = fill else {
        return Err(Refusal::Missing("fill"));
    };
    Ok(TxEip1559 {
        chain_id,
        nonce: *nonce,
        gas_limit: *gas_limit,
        max_fee_per_gas: *max_fee_per_gas,
        max_priority_fee_per_gas: *max_priority_fee_per_gas,
        to: TxKind::Call((*from).into()),
        ..TxEip1559::default()
    })
}

/// Nonce, price and priority price of a ready-made transaction: what its cancel must outbid. Chain nodes count the price
/// of the older types as both.
pub fn nonce_and_prices(bytes: &[u8]) -> Result<(u64, u128, u128), Refusal> {
    let transaction = Transaction::parse(bytes)?;
    let common = transaction.common();
    Ok((common.nonce, common.price, common.tip.unwrap_or(common.price)))
}

fn filled(ask: &Ask, fill: &Fill, chain_id: u64, from: &EvmAddress) -> Result<TxEip1559, Refusal> {
    let (Ask::EvmCall { to, value, data, gas_limit: wanted }, Fill::Evm { gas_limit, cancel, .. }) =
        (ask, fill)
    else {
        return Err(Refusal::Missing("fill"));
    };
    let mut transaction = cancelled(fill, chain_id, from)?;
    if *cancel {
        return Ok(transaction);
    }
    if let Some(wanted) = wanted.filter(|wanted| wanted != gas_limit) {
        let found = format!("gas limit {gas_limit}, the request names {wanted}");
        return Err(Refusal::NotTheRequest(found));
    }
    transaction.to = to.map_or(TxKind::Create, |to| TxKind::Call(to.into()));
    transaction.value = U256::from_be_bytes(value.0);
    transaction.input = data.clone().into();
    Ok(transaction)
}

/// See [`crate::finish`].
pub fn finish(
    keys: &VaultKeys,
    request: &Request,
    plan: &Plan,
    signatures: &[Signature],
) -> Result<Artefact, Refusal> {
    let [Signature::Ecdsa { rs, recovery_id }] = signatures else {
        return Err(Refusal::Signature(0));
    };
    let from = address::at_path(keys, &request.path)?;
    let sighash = read(plan.kind, Some(plan.network), &plan.unsigned)?.sighash;
    // EVM-PLAN-5: only a signature that the chain will trace back to this address leaves.
    match recover(sighash, rs, *recovery_id) {
        Some(signer) if signer == from => {}
        _ => return Err(Refusal::Signature(0)),
    }
    let (r, s) = rs.split_at(32);
    let word = |half: &[u8]| <[u8; 32]>::try_from(half).map_err(|_| Refusal::Signature(0));
    let (r, s) = (word(r)?, word(s)?);
    match plan.kind {
        RawKind::EvmTransaction => {
            let raw = Transaction::parse(&plan.unsigned)?.signed(r, s, *recovery_id == 1);
            let txid = Some(format!("0x{}", hex::encode(keccak256(&raw))));
            Ok(Artefact { text: format!("0x{}", hex::encode(&raw)), raw, txid, psbt: None })
        }
        _ => {
            let v = recovery_id.saturating_add(27);
            let raw = [&r[..], &s, &[v]].concat();
            Ok(Artefact { text: format!("0x{}", hex::encode(&raw)), raw, txid: None, psbt: None })
        }
    }
}

/// The address whose key made the signature; none for a high s, which chains refuse (EIP-2).
fn recover(sighash: [u8; 32], rs: &[u8; 64], recovery_id: u8) -> Option<EvmAddress> {
    let mut low = secp256k1::ecdsa::Signature::from_compact(rs).ok()?;
    low.normalize_s();
    if low.serialize_compact() != *rs {
        return None;
    }
    let id = Some(recovery_id).filter(|id| *id <= 1)?;
    let id = RecoveryId::from_i32(i32::from(id)).ok()?;
    let signature = RecoverableSignature::from_compact(rs, id).ok()?;
    let message = secp256k1::Message::from_digest(sighash);
    let context = secp256k1::Secp256k1::verification_only();
    let key = context.recover_ecdsa(&message, &signature).ok()?;
    Some(address::of_public_key(&key))
}
