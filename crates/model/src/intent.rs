//! The human-readable decoding of what will be signed. Each node makes it from the raw bytes by itself.
//!
//! Intents are views for people and JSON: they derive serde, and they are never what is signed. Part of a decision's
//! record is [`Intent::digest`], over canonical bytes.

use crate::amount::Amount;
use crate::hash;
use crate::wire::{Reader, Wire, WireError, Writer};
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// A chain, with the id that its signatures bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// An EVM chain by EIP-155 id.
    Evm(u64),
    /// Bitcoin and its test networks.
    Bitcoin(BitcoinNetwork),
    /// Solana and its test clusters; a Solana signature binds a blockhash, not a cluster.
    Solana(SolanaCluster),
}

/// Bitcoin's networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BitcoinNetwork {
    /// The main chain.
    Main,
    /// testnet3 and testnet4 (one address format).
    Test,
    /// Signet.
    Signet,
    /// A local chain.
    Regtest,
}

/// Solana's clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SolanaCluster {
    /// The main cluster.
    Mainnet,
    /// The developers' cluster.
    Devnet,
    /// The validators' test cluster.
    Testnet,
    /// A local validator.
    Local,
}

const NAMED: [(&str, Network); 8] = [
    ("bitcoin:main", Network::Bitcoin(BitcoinNetwork::Main)),
    ("bitcoin:test", Network::Bitcoin(BitcoinNetwork::Test)),
    ("bitcoin:signet", Network::Bitcoin(BitcoinNetwork::Signet)),
    ("bitcoin:regtest", Network::Bitcoin(BitcoinNetwork::Regtest)),
    ("solana:mainnet", Network::Solana(SolanaCluster::Mainnet)),
    ("solana:devnet", Network::Solana(SolanaCluster::Devnet)),
    ("solana:testnet", Network::Solana(SolanaCluster::Testnet)),
    ("solana:local", Network::Solana(SolanaCluster::Local)),
];

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evm(id) => write!(f, "evm:{id}"),
            other => {
                let name = NAMED.iter().find(|(_, network)| network == other);
                f.write_str(name.map_or("", |(name, _)| name))
            }
        }
    }
}

/// A text that names no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no network; write evm:CHAIN_ID, bitcoin:main|test|signet|regtest or solana:mainnet|devnet|testnet|local"
)]
pub struct NetworkError(pub String);

impl FromStr for Network {
    type Err = NetworkError;
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let error = || NetworkError(text.chars().take(80).collect());
        match text.strip_prefix("evm:") {
            Some(id) => id.parse().map(Self::Evm).map_err(|_| error()),
            None => NAMED.iter().find(|(name, _)| *name == text).map(|(_, n)| *n).ok_or_else(error),
        }
    }
}

impl Serialize for Network {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Wire for Network {
    fn write(&self, w: &mut Writer) {
        w.text(&self.to_string());
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let text = r.text()?;
        let network: Self = text.parse().map_err(|_| WireError::Range("network"))?;
        // `evm:01` names a chain to a person, but what is hashed has one spelling per meaning.
        if network.to_string() == text { Ok(network) } else { Err(WireError::Spelling("network")) }
    }
}

/// What a transaction or message does, in the words of the field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
pub enum Operation {
    /// The chain's own coin moves.
    NativeTransfer {
        /// Recipient.
        to: String,
        /// Smallest units.
        amount: Amount,
    },
    /// A token moves.
    TokenTransfer {
        /// Contract or mint.
        token: String,
        /// Recipient (on Solana the token account).
        to: String,
        /// Smallest units.
        amount: Amount,
        /// Decimals, where the bytes themselves bind them (SPL `TransferChecked`).
        decimals: Option<u8>,
    },
    /// Somebody may move a token later.
    TokenApprove {
        /// Contract or mint.
        token: String,
        /// Who may move it.
        spender: String,
        /// Smallest units.
        amount: Amount,
        /// True for 2^256-1 (or the type's largest value).
        unlimited: bool,
        /// True for an EIP-2612 style permit: a message, no transaction.
        by_permit: bool,
        /// Seconds since the epoch, where the permit names one.
        deadline: Option<u64>,
    },
    /// New code is put on chain.
    ContractCreation {
        /// keccak256 of the init code, hex.
        init_code_hash: String,
        /// Bytes of init code.
        init_code_bytes: u64,
        /// Coin sent along.
        value: Amount,
    },
    /// EIP-712 structured data that is no permit.
    TypedData {
        /// `name` of the domain, if any.
        domain_name: Option<String>,
        /// Contract that will verify it, if any.
        verifying_contract: Option<String>,
        /// The primary type.
        primary_type: String,
        /// Leaves in order, path and value.
        fields: Vec<(String, String)>,
    },
    /// EIP-191 personal message.
    Message {
        /// The text where it is UTF-8 without control characters, else hex with `0x`.
        text: String,
    },
    /// Coins that come back to this vault, recognised by derivation alone.
    Change {
        /// Address of this vault.
        to: String,
        /// Smallest units.
        amount: Amount,
        /// Its path.
        path: String,
    },
    /// Data carried on chain that moves nothing (`OP_RETURN`, Solana memo).
    Data {
        /// Hex.
        bytes: String,
    },
    /// Solana: the durable nonce account is advanced, so the transaction does not go stale.
    AdvanceNonce {
        /// Nonce account.
        account: String,
        /// Who may advance it.
        authority: String,
    },
    /// Solana: a token account is created for somebody.
    CreateTokenAccount {
        /// Owner.
        owner: String,
        /// Mint.
        mint: String,
        /// The new account.
        account: String,
    },
}

/// What the network takes for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fee {
    /// The most that can be taken, smallest units; zero for messages.
    pub at_most: Amount,
    /// Further words: gas and prices, size and rate.
    pub detail: String,
}

/// What will be signed, decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Chain.
    pub network: Network,
    /// Kind of bytes: `evm-legacy`, `evm-1559`, `psbt-v0`, `solana-v0`, `typed-data`, …
    pub format: String,
    /// Address that signs, or the addresses of the inputs.
    pub from: Vec<String>,
    /// What happens, in order.
    pub operations: Vec<Operation>,
    /// Fee.
    pub fee: Fee,
    /// Nonce, blockhash or inputs: what makes these bytes single-use on chain, in words.
    pub single_use: String,
    /// What a reader should notice.
    pub notes: Vec<String>,
}

impl Intent {
    /// Hash of the intent for the decision's record: over its canonical JSON (fixed field order, no maps, no floats).
    pub fn digest(&self) -> [u8; 32] {
        let text = serde_json::to_vec(self).unwrap_or_default();
        hash::tagged("outlast/intent/v1", &[&text])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_one_spelling() {
        for text in ["evm:1", "bitcoin:regtest", "solana:local"] {
            assert_eq!(text.parse::<Network>().map(|n| n.to_string()), Ok(text.to_owned()));
        }
        assert!("ethereum".parse::<Network>().is_err());
    }

    #[test]
    fn the_bytes_of_a_network_have_one_spelling_and_another_is_refused_by_name() {
        let read = |text: &str| {
            let mut w = Writer::default();
            w.text(text);
            let bytes = w.into_bytes();
            Network::from_bytes(&bytes).map(|network| assert_eq!(network.to_bytes(), bytes))
        };
        for (text, expected) in [
            ("evm:1", Ok(())),
            ("evm:18446744073709551615", Ok(())),
            ("bitcoin:regtest", Ok(())),
            ("evm:01", Err(WireError::Spelling("network"))),
            ("evm:+1", Err(WireError::Spelling("network"))),
            ("evm:", Err(WireError::Range("network"))),
            ("EVM:1", Err(WireError::Range("network"))),
            ("bitcoin:", Err(WireError::Range("network"))),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
