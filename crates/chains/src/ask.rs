//! From the API's JSON to a request: recipients, amounts and bytes are parsed here, once, and strictly.
//!
//! Absent on purpose: nonces, estimates and coins come from the engine and the configured chain node.

use crate::{Refusal, evm};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::amount::Amount;
use model::api::{AskView, CoinView, FillView};
use model::intent::Network;
use model::limits::{ITEMS_PER_REQUEST_MAX, TRANSACTION_BYTES_MAX};
use model::request::{Ask, Coin, Fill, RawKind};

/// What a caller gave of a [`Fill`]; the rest is chosen at signing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FillDraft {
    /// EIP-1559 fields.
    Evm {
        /// Account nonce; `None`: the engine takes the next one.
        nonce: Option<u64>,
        /// Gas limit.
        gas_limit: u64,
        /// Wei per gas at most.
        max_fee_per_gas: u128,
        /// Wei per gas for the producer at most.
        max_priority_fee_per_gas: u128,
    },
    /// Coins and fee; change is what is left over.
    Bitcoin {
        /// Coins to spend.
        coins: Vec<Coin>,
        /// Satoshi.
        fee: u64,
        /// Number of the change address below `account/1`.
        change: u32,
    },
    /// Complete as it stands.
    Solana {
        /// Recent blockhash, or the value of the durable nonce.
        blockhash: [u8; 32],
        /// Durable nonce account.
        nonce_account: Option<[u8; 32]>,
    },
}

impl FillDraft {
    /// The fill, where the draft and a nonce suffice; `None` for Bitcoin, whose change needs keys and outputs.
    pub fn with_nonce(&self, next: u64) -> Option<Fill> {
        match self {
            Self::Evm { nonce, gas_limit, max_fee_per_gas, max_priority_fee_per_gas } => {
                Some(Fill::Evm {
                    nonce: nonce.unwrap_or(next),
                    gas_limit: *gas_limit,
                    max_fee_per_gas: *max_fee_per_gas,
                    max_priority_fee_per_gas: *max_priority_fee_per_gas,
                    cancel: false,
                })
            }
            Self::Solana { blockhash, nonce_account } => {
                let (blockhash, nonce_account) = (*blockhash, *nonce_account);
                Some(Fill::Solana { blockhash, nonce_account, cancel: false })
            }
            Self::Bitcoin { .. } => None,
        }
    }
}

/// CHAIN-4: parses what is asked for on `network`.
pub fn parse_ask(network: Network, ask: &AskView) -> Result<Ask, Refusal> {
    match ask {
        AskView::Send { to, amount } => parse_send(network, to, *amount),
        AskView::SendToken { token, to, amount, source, decimals } => match network {
            Network::Evm(_) => {
                if source.is_some() || decimals.is_some() {
                    return Err(invalid("ask", "source and decimals are for Solana alone"));
                }
                let to = evm::address::parse("to", to)?;
                Ok(Ask::EvmCall {
                    to: Some(evm::address::parse("token", token)?),
                    value: Amount::ZERO,
                    data: evm::calldata::transfer(&to, *amount),
                    gas_limit: None,
                })
            }
            Network::Solana(_) => Ok(Ask::SolanaTokenTransfer {
                mint: base58_32("token", token)?,
                source: base58_32("source", source.as_deref().ok_or(Refusal::Missing("source"))?)?,
                destination: base58_32("to", to)?,
                amount: amount.to_u64().ok_or_else(|| invalid("amount", "over 64 bits"))?,
                decimals: decimals.ok_or(Refusal::Missing("decimals"))?,
            }),
            Network::Bitcoin(_) => Err(invalid("ask", "Bitcoin has no tokens here")),
        },
        AskView::Call { to, value, data, gas_limit } => match network {
            Network::Evm(_) => Ok(Ask::EvmCall {
                to: to.as_deref().map(|to| evm::address::parse("to", to)).transpose()?,
                value: *value,
                data: parse_hex("data", data)?,
                gas_limit: *gas_limit,
            }),
            _ => Err(invalid("ask", "a call is for EVM chains alone")),
        },
        AskView::Raw { format, bytes } => {
            let kind = raw_kind(format)?;
            check_family(network, kind)?;
            Ok(Ask::Raw { kind, bytes: parse_raw(kind, bytes)? })
        }
    }
}

fn parse_send(network: Network, to: &str, amount: Amount) -> Result<Ask, Refusal> {
    let units = || amount.to_u64().ok_or_else(|| invalid("amount", "over 64 bits"));
    match network {
        Network::Evm(_) => Ok(Ask::EvmCall {
            to: Some(evm::address::parse("to", to)?),
            value: amount,
            data: Vec::new(),
            gas_limit: None,
        }),
        Network::Bitcoin(_) => Ok(Ask::BitcoinSend { outputs: vec![(to.to_owned(), units()?)] }),
        Network::Solana(_) => {
            Ok(Ask::SolanaTransfer { to: base58_32("to", to)?, lamports: units()? })
        }
    }
}

/// Parses what the caller chose of the fill; it must be of the request's chain.
pub fn parse_fill(network: Network, fill: &FillView) -> Result<FillDraft, Refusal> {
    match (network, fill) {
        (
            Network::Evm(_),
            FillView::Evm { nonce, gas_limit, max_fee_per_gas, max_priority_fee_per_gas },
        ) => Ok(FillDraft::Evm {
            nonce: *nonce,
            gas_limit: *gas_limit,
            max_fee_per_gas: u128::from(*max_fee_per_gas),
            max_priority_fee_per_gas: u128::from(*max_priority_fee_per_gas),
        }),
        (Network::Bitcoin(_), FillView::Bitcoin { inputs, fee, change }) => {
            if inputs.len() > ITEMS_PER_REQUEST_MAX {
                return Err(Refusal::TooLong { found: inputs.len(), max: ITEMS_PER_REQUEST_MAX });
            }
            let coins = inputs.iter().map(parse_coin).collect::<Result<_, _>>()?;
            Ok(FillDraft::Bitcoin { coins, fee: *fee, change: *change })
        }
        (Network::Solana(_), FillView::Solana { blockhash, nonce_account }) => {
            let account = nonce_account.as_deref();
            Ok(FillDraft::Solana {
                blockhash: base58_32("blockhash", blockhash)?,
                nonce_account: account.map(|a| base58_32("nonce_account", a)).transpose()?,
            })
        }
        (network, fill) => {
            let found = match fill {
                FillView::Evm { .. } => "evm",
                FillView::Bitcoin { .. } => "bitcoin",
                FillView::Solana { .. } => "solana",
            };
            Err(Refusal::WrongNetwork { found: found.to_owned(), wanted: network.to_string() })
        }
    }
}

fn parse_coin(coin: &CoinView) -> Result<Coin, Refusal> {
    Ok(Coin {
        transaction: parse_hex("transaction", &coin.transaction)?,
        vout: coin.vout,
        child: (coin.chain, coin.number),
    })
}

/// Names of the formats, as the API spells them.
const FORMATS: [(&str, RawKind); 5] = [
    ("evm_transaction", RawKind::EvmTransaction),
    ("evm_typed_data", RawKind::EvmTypedData),
    ("evm_message", RawKind::EvmMessage),
    ("psbt", RawKind::Psbt),
    ("solana_message", RawKind::SolanaMessage),
];

/// The format of that name.
pub fn raw_kind(text: &str) -> Result<RawKind, Refusal> {
    let found = FORMATS.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind);
    found.ok_or_else(|| {
        let names = FORMATS.map(|(name, _)| name).join(", ");
        let text: String = text.chars().take(40).collect();
        Refusal::Invalid { field: "format", reason: format!("`{text}` is not one of {names}") }
    })
}

/// Refuses a format of another family than the network's.
fn check_family(network: Network, kind: RawKind) -> Result<(), Refusal> {
    let fits = match kind {
        RawKind::EvmTransaction | RawKind::EvmTypedData | RawKind::EvmMessage => {
            matches!(network, Network::Evm(_))
        }
        RawKind::Psbt => matches!(network, Network::Bitcoin(_)),
        RawKind::SolanaMessage => matches!(network, Network::Solana(_)),
    };
    let name = FORMATS.iter().find(|(_, other)| *other == kind).map_or("", |(name, _)| name);
    match fits {
        true => Ok(()),
        false => Err(Refusal::WrongNetwork { found: name.into(), wanted: network.to_string() }),
    }
}

/// Reads bytes as text: hex with or without `0x`; PSBT and Solana messages also in base64; typed data as JSON text.
pub fn parse_raw(kind: RawKind, text: &str) -> Result<Vec<u8>, Refusal> {
    // Base64 is shorter than hex, and JSON is as it is: twice the bytes and `0x` bounds them all.
    let max = TRANSACTION_BYTES_MAX.saturating_mul(2).saturating_add(2);
    if text.len() > max {
        return Err(Refusal::TooLong { found: text.len(), max });
    }
    let bytes = match kind {
        RawKind::EvmTypedData => text.as_bytes().to_vec(),
        RawKind::EvmTransaction | RawKind::EvmMessage => parse_hex("bytes", text)?,
        RawKind::Psbt | RawKind::SolanaMessage => match parse_hex("bytes", text) {
            Ok(bytes) => bytes,
            Err(_) => STANDARD
                .decode(text)
                .map_err(|_| invalid("bytes", "neither hex nor standard base64"))?,
        },
    };
    match bytes.len() > TRANSACTION_BYTES_MAX {
        true => Err(Refusal::TooLong { found: bytes.len(), max: TRANSACTION_BYTES_MAX }),
        false => Ok(bytes),
    }
}

fn invalid(field: &'static str, reason: &str) -> Refusal {
    Refusal::Invalid { field, reason: reason.to_owned() }
}

fn parse_hex(field: &'static str, text: &str) -> Result<Vec<u8>, Refusal> {
    hex::decode(text.strip_prefix("0x").unwrap_or(text))
        .map_err(|error| Refusal::Invalid { field, reason: error.to_string() })
}

fn base58_32(field: &'static str, text: &str) -> Result<[u8; 32], Refusal> {
    let reason = "not 32 bytes in base58";
    // 32 bytes take at most 44 digits; base58 is quadratic in its length.
    let text = Some(text).filter(|text| text.len() <= 44).ok_or_else(|| invalid(field, reason))?;
    let bytes = bs58::decode(text).into_vec().map_err(|_| invalid(field, reason))?;
    bytes.try_into().map_err(|_| invalid(field, reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::intent::{BitcoinNetwork, SolanaCluster};

    const EVM: Network = Network::Evm(1);
    const BITCOIN: Network = Network::Bitcoin(BitcoinNetwork::Regtest);
    const SOLANA: Network = Network::Solana(SolanaCluster::Local);
    const ADDRESS: &str = "0x3535353535353535353535353535353535353535";
    const MINT: &str = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";

    fn send(to: &str, amount: Amount) -> AskView {
        AskView::Send { to: to.to_owned(), amount }
    }

    fn token(source: Option<&str>, decimals: Option<u8>, place: &str) -> AskView {
        AskView::SendToken {
            token: place.to_owned(),
            to: place.to_owned(),
            amount: Amount::from_u64(5),
            source: source.map(str::to_owned),
            decimals,
        }
    }

    fn raw(format: &str, bytes: &str) -> AskView {
        AskView::Raw { format: format.to_owned(), bytes: bytes.to_owned() }
    }

    fn call(data: &str) -> AskView {
        let to = Some(ADDRESS.to_owned());
        AskView::Call { to, value: Amount::ZERO, data: data.to_owned(), gas_limit: None }
    }

    #[test]
    fn each_ask_is_for_its_own_chain() {
        let check = |network, ask: AskView, wanted: &str| {
            let found = parse_ask(network, &ask).map_or_else(|e| e.code(), |_| "ok");
            assert_eq!(found, wanted, "{network} {ask:?}");
        };
        let one = Amount::from_u64(1);
        check(EVM, send(ADDRESS, Amount::MAX), "ok");
        check(EVM, send(MINT, one), "invalid_field");
        check(BITCOIN, send("bcrt1", one), "ok");
        check(BITCOIN, send("bcrt1", Amount::MAX), "invalid_field");
        check(SOLANA, send(MINT, one), "ok");
        check(SOLANA, send(ADDRESS, one), "invalid_field");
        check(SOLANA, send(MINT, Amount::MAX), "invalid_field");
        check(SOLANA, send(&"1".repeat(100_000), one), "invalid_field");
        check(EVM, token(None, None, ADDRESS), "ok");
        check(EVM, token(Some(MINT), None, ADDRESS), "invalid_field");
        check(EVM, token(None, Some(6), ADDRESS), "invalid_field");
        check(SOLANA, token(Some(MINT), Some(6), MINT), "ok");
        check(SOLANA, token(None, Some(6), MINT), "missing_field");
        check(SOLANA, token(Some(MINT), None, MINT), "missing_field");
        check(BITCOIN, token(None, None, "x"), "invalid_field");
        check(EVM, call("0x00"), "ok");
        check(EVM, call("0x0"), "invalid_field");
        check(SOLANA, call("0x00"), "invalid_field");
        check(EVM, raw("evm_message", "0x00"), "ok");
        check(EVM, raw("psbt", "0x00"), "wrong_network");
        check(BITCOIN, raw("psbt", "00"), "ok");
        check(SOLANA, raw("evm_transaction", "00"), "wrong_network");
        check(SOLANA, raw("solana_message", "AAAA"), "ok");
        check(EVM, raw("digest", "00"), "invalid_field");
    }

    #[test]
    fn bytes_have_the_spellings_of_their_format() {
        let check = |kind, text: &str, wanted: Result<&[u8], &str>| {
            let found = parse_raw(kind, text).map_err(|refusal| refusal.code());
            assert_eq!(found.as_deref().map_err(|code| *code), wanted, "{text}");
        };
        check(RawKind::EvmTransaction, "0x0a0B", Ok(&[10, 11]));
        check(RawKind::EvmTransaction, "0a0b", Ok(&[10, 11]));
        check(RawKind::EvmTransaction, "CgsM", Err("invalid_field"));
        check(RawKind::EvmMessage, "hello", Err("invalid_field"));
        check(RawKind::Psbt, "cHNidP8=", Ok(b"psbt\xff"));
        check(RawKind::Psbt, "70736274ff", Ok(b"psbt\xff"));
        check(RawKind::Psbt, "cHNidP8", Err("invalid_field"));
        check(RawKind::SolanaMessage, "-_-_", Err("invalid_field"));
        check(RawKind::EvmTypedData, "{}", Ok(b"{}"));
        let long = "00".repeat(TRANSACTION_BYTES_MAX + 1);
        check(RawKind::EvmTransaction, &long, Err("too_long"));
        check(RawKind::EvmTypedData, &long, Err("too_long"));
        check(RawKind::Psbt, &"Q".repeat(TRANSACTION_BYTES_MAX * 2), Err("too_long"));
        check(RawKind::Psbt, &"Q".repeat(TRANSACTION_BYTES_MAX * 4), Err("too_long"));
    }
}
