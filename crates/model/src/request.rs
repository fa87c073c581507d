//! A request: what somebody wants signed, before nonce, fee and blockhash are chosen.
//!
//! A request is identified by the hash of its canonical bytes. [`Fill`] adds what goes stale; every node builds the
//! bytes to sign from `(request, fill)` by itself, so a coordinator can choose a fee but not an amount or recipient.

use crate::amount::Amount;
use crate::hash;
use crate::hd::DerivationPath;
use crate::ids::{ClientId, NodeId, RequestId, VaultId};
use crate::intent::Network;
use crate::limits;
use crate::time::Timestamp;
use crate::wire::{Reader, Wire, WireError, Writer, tags};

/// Format of bytes that a client brings ready-made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RawKind {
    /// Unsigned EVM transaction: EIP-155 RLP or EIP-2718 envelope.
    EvmTransaction,
    /// EIP-712 JSON document.
    EvmTypedData,
    /// EIP-191 personal message.
    EvmMessage,
    /// PSBT, version 0 or 2.
    Psbt,
    /// Solana message, legacy or v0.
    SolanaMessage,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// An EVM transaction without nonce and fee. `to: None` creates a contract.
    EvmCall {
        /// Recipient or contract.
        to: Option<[u8; 20]>,
        /// Wei.
        value: Amount,
        /// Calldata or init code.
        data: Vec<u8>,
        /// Gas limit; `None` lets the filling node estimate.
        gas_limit: Option<u64>,
    },
    /// Bitcoin outputs; inputs and change are filled. The request's path is the account (`m/86/0/0`: receive
    /// addresses at `/0/k`, change at `/1/k`); purpose 86 spends taproot outputs, purpose 84 wpkh.
    BitcoinSend {
        /// Address and satoshi.
        outputs: Vec<(String, u64)>,
    },
    /// Lamports.
    SolanaTransfer {
        /// Recipient's account.
        to: [u8; 32],
        /// Lamports.
        lamports: u64,
    },
    /// SPL tokens between token accounts, with the mint's decimals checked by the chain.
    SolanaTokenTransfer {
        /// Mint.
        mint: [u8; 32],
        /// Token account that pays; its owner is the address at the request's path.
        source: [u8; 32],
        /// Token account that receives.
        destination: [u8; 32],
        /// Smallest units.
        amount: u64,
        /// Decimals of the mint.
        decimals: u8,
    },
    /// Bytes ready to sign; nothing is filled.
    Raw {
        /// Their format.
        kind: RawKind,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// What goes stale, chosen at signing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fill {
    /// Raw bytes and messages need nothing.
    Nothing,
    /// EIP-1559 fields.
    Evm {
        /// Account nonce.
        nonce: u64,
        /// Gas limit.
        gas_limit: u64,
        /// Wei per gas at most.
        max_fee_per_gas: u128,
        /// Wei per gas for the block's producer at most.
        max_priority_fee_per_gas: u128,
        /// True: instead of the call, a zero transfer to itself under the same nonce.
        cancel: bool,
    },
    /// Inputs and change.
    Bitcoin {
        /// Coins to spend, all of this account.
        inputs: Vec<Coin>,
        /// Change: child numbers below the account (`1/k`) and satoshi.
        change: Option<(u32, u64)>,
        /// True: instead of the outputs, everything but the fee comes back as change.
        cancel: bool,
    },
    /// A recent blockhash.
    Solana {
        /// The blockhash, or the nonce value of a durable nonce account.
        blockhash: [u8; 32],
        /// Durable nonce account and its authority (the address itself), if one is used.
        nonce_account: Option<[u8; 32]>,
        /// True: instead of the transfer, the nonce account is advanced and nothing moves.
        cancel: bool,
    },
}

/// One coin to spend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coin {
    /// The whole transaction that made it: its txid and amount are computed, not believed.
    pub transaction: Vec<u8>,
    /// Output number.
    pub vout: u32,
    /// Chain (0 receive, 1 change) and number below the account.
    pub child: (u32, u32),
}

/// A request as the nodes hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Vault.
    pub vault: VaultId,
    /// Chain.
    pub network: Network,
    /// Address that pays or signs (Bitcoin: the account).
    pub path: DerivationPath,
    /// What is asked for.
    pub ask: Ask,
    /// Fee ceiling in smallest units; the nodes' built-in ceiling holds besides.
    pub fee_max: Option<Amount>,
    /// Client credential at the entry node.
    pub client: ClientId,
    /// The client's own word for "this is the same request"; empty for none (then `created_at` tells two apart).
    pub idempotency_key: String,
    /// Person of the charter who asks; empty where nobody signed for asking. His `ask` act proves it.
    pub initiator: String,
    /// Node that took the request from the client.
    pub entry: NodeId,
    /// When the entry node took it.
    pub created_at: Timestamp,
    /// After this nobody starts to sign.
    pub expires_at: Timestamp,
}

/// Largest number of outputs or inputs that one request names.
const PARTS_MAX: usize = limits::ITEMS_PER_REQUEST_MAX;

impl Request {
    /// The request's id.
    pub fn id(&self) -> RequestId {
        RequestId(hash::tagged("outlast/request/v1", &[&self.to_bytes()]))
    }
}

fn read_initiator(r: &mut Reader<'_>) -> Result<String, WireError> {
    let initiator = r.text()?;
    if initiator.is_empty() { Err(WireError::Range("initiator")) } else { Ok(initiator) }
}

impl Wire for RawKind {
    fn write(&self, w: &mut Writer) {
        w.u8(match self {
            Self::EvmTransaction => 1,
            Self::EvmTypedData => 2,
            Self::EvmMessage => 3,
            Self::Psbt => 4,
            Self::SolanaMessage => 5,
        });
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        match r.u8()? {
            1 => Ok(Self::EvmTransaction),
            2 => Ok(Self::EvmTypedData),
            3 => Ok(Self::EvmMessage),
            4 => Ok(Self::Psbt),
            5 => Ok(Self::SolanaMessage),
            _ => Err(WireError::Range("raw kind")),
        }
    }
}

impl Wire for Ask {
    fn write(&self, w: &mut Writer) {
        match self {
            Self::EvmCall { to, value, data, gas_limit } => {
                w.u8(1);
                w.option(to.as_ref(), |w, to| w.fixed(to));
                value.write(w);
                w.bytes(data);
                w.option(gas_limit.as_ref(), |w, gas| w.u64(*gas));
            }
            Self::BitcoinSend { outputs } => {
                w.u8(2);
                w.list(outputs, |w, (address, sat)| {
                    w.text(address);
                    w.u64(*sat);
                });
            }
            Self::SolanaTransfer { to, lamports } => {
                w.u8(3);
                w.fixed(to);
                w.u64(*lamports);
            }
            Self::SolanaTokenTransfer { mint, source, destination, amount, decimals } => {
                w.u8(4);
                w.fixed(mint);
                w.fixed(source);
                w.fixed(destination);
                w.u64(*amount);
                w.u8(*decimals);
            }
            Self::Raw { kind, bytes } => {
                w.u8(5);
                kind.write(w);
                w.bytes(bytes);
            }
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        match r.u8()? {
            1 => Ok(Self::EvmCall {
                to: r.option(Reader::fixed)?,
                value: Amount::read(r)?,
                data: r.bytes(limits::TRANSACTION_BYTES_MAX)?,
                gas_limit: r.option(Reader::u64)?,
            }),
            2 => {
                Ok(Self::BitcoinSend { outputs: r.list(PARTS_MAX, |r| Ok((r.text()?, r.u64()?)))? })
            }
            3 => Ok(Self::SolanaTransfer { to: r.fixed()?, lamports: r.u64()? }),
            4 => Ok(Self::SolanaTokenTransfer {
                mint: r.fixed()?,
                source: r.fixed()?,
                destination: r.fixed()?,
                amount: r.u64()?,
                decimals: r.u8()?,
            }),
            5 => Ok(Self::Raw {
                kind: RawKind::read(r)?,
                bytes: r.bytes(limits::TRANSACTION_BYTES_MAX)?,
            }),
            _ => Err(WireError::Range("ask")),
        }
    }
}

impl Wire for Coin {
    fn write(&self, w: &mut Writer) {
        w.bytes(&self.transaction);
        w.u32(self.vout);
        w.u32(self.child.0);
        w.u32(self.child.1);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            transaction: r.bytes(limits::TRANSACTION_BYTES_MAX)?,
            vout: r.u32()?,
            child: (r.u32()?, r.u32()?),
        })
    }
}

impl Wire for Fill {
    fn write(&self, w: &mut Writer) {
        match self {
            Self::Nothing => w.u8(0),
            Self::Evm { nonce, gas_limit, max_fee_per_gas, max_priority_fee_per_gas, cancel } => {
                w.u8(1);
                w.u64(*nonce);
                w.u64(*gas_limit);
                w.fixed(&max_fee_per_gas.to_be_bytes());
                w.fixed(&max_priority_fee_per_gas.to_be_bytes());
                w.u8(u8::from(*cancel));
            }
            Self::Bitcoin { inputs, change, cancel } => {
                w.u8(if *cancel { 4 } else { 2 });
                w.list(inputs, |w, coin| coin.write(w));
                w.option(change.as_ref(), |w, (number, sat)| {
                    w.u32(*number);
                    w.u64(*sat);
                });
            }
            Self::Solana { blockhash, nonce_account, cancel } => {
                w.u8(if *cancel { 5 } else { 3 });
                w.fixed(blockhash);
                w.option(nonce_account.as_ref(), |w, account| w.fixed(account));
            }
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        match r.u8()? {
            0 => Ok(Self::Nothing),
            1 => Ok(Self::Evm {
                nonce: r.u64()?,
                gas_limit: r.u64()?,
                max_fee_per_gas: u128::from_be_bytes(r.fixed()?),
                max_priority_fee_per_gas: u128::from_be_bytes(r.fixed()?),
                cancel: r.flag("cancel")?,
            }),
            kind @ (2 | 4) => Ok(Self::Bitcoin {
                inputs: r.list(PARTS_MAX, Coin::read)?,
                change: r.option(|r| Ok((r.u32()?, r.u64()?)))?,
                cancel: kind == 4,
            }),
            kind @ (3 | 5) => Ok(Self::Solana {
                blockhash: r.fixed()?,
                nonce_account: r.option(Reader::fixed)?,
                cancel: kind == 5,
            }),
            _ => Err(WireError::Range("fill")),
        }
    }
}

impl Wire for Request {
    fn write(&self, w: &mut Writer) {
        // A request without an initiator keeps the form of before there were any.
        w.header(tags::REQUEST, if self.initiator.is_empty() { 1 } else { 2 });
        w.fixed(&self.vault.0);
        self.network.write(w);
        self.path.write(w);
        self.ask.write(w);
        w.option(self.fee_max.as_ref(), |w, fee| fee.write(w));
        w.fixed(&self.client.0);
        w.text(&self.idempotency_key);
        if !self.initiator.is_empty() {
            w.text(&self.initiator);
        }
        w.fixed(&self.entry.0);
        self.created_at.write(w);
        self.expires_at.write(w);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let form = r.header(tags::REQUEST, 2)?;
        Ok(Self {
            vault: VaultId(r.fixed()?),
            network: Network::read(r)?,
            path: DerivationPath::read(r)?,
            ask: Ask::read(r)?,
            fee_max: r.option(Amount::read)?,
            client: ClientId(r.fixed()?),
            idempotency_key: r.text()?,
            initiator: match form {
                1 => String::new(),
                _ => read_initiator(r)?,
            },
            entry: NodeId(r.fixed()?),
            created_at: Timestamp::read(r)?,
            expires_at: Timestamp::read(r)?,
        })
    }
}
