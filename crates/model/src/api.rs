//! JSON of the node's HTTP API: what `node` serves and `cli` reads. Never hashed, never signed.
//!
//! Byte strings are lower-case hex without `0x` unless a field says otherwise; amounts are decimal text in the smallest
//! unit; times are milliseconds since the Unix epoch.

mod clients;
mod governance;

pub use clients::*;
pub use governance::*;

use crate::amount::Amount;
use crate::ids::{CeremonyId, NodeId, RequestId, VaultId};
use crate::intent::{Intent, Network};
use crate::keys::Purpose;
use serde::{Deserialize, Serialize};

/// Body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Stable name of the refusal: `fee_over_ceiling`, `unknown_vault`, …
    pub code: String,
    /// What failed and why.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// `GET /v1/node`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeView {
    /// The node.
    pub node: NodeId,
    /// Operator as on the card.
    pub operator: String,
    /// The card, one line.
    pub card: String,
    /// Its six words.
    pub words: String,
    /// Version of the software.
    pub version: String,
    /// False while sealed.
    pub unsealed: bool,
    /// Trusted peers.
    pub peers: Vec<PeerView>,
    /// Vaults held.
    pub vaults: u64,
    /// Things the operator should know.
    pub warnings: Vec<WarningView>,
}

/// One trusted peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerView {
    /// The peer.
    pub node: NodeId,
    /// Operator as on its card.
    pub operator: String,
    /// Where it is dialled.
    pub endpoint: String,
    /// Link up and greeting exchanged.
    pub connected: bool,
    /// `absent`, `making`, `ready`, `stopped` (failed a check; `outlast node resume-pair`), `resumed`.
    pub pair: String,
    /// Version of the pair state.
    pub pair_epoch: u32,
    /// Why the peer is held, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// Its clock against this node's, while the link is up. For people: nothing is decided by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockView>,
}

/// A clock against this node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockView {
    /// Milliseconds that it is ahead; negative: behind.
    pub offset_ms: i64,
    /// The true offset is at most this far away, if the peer told the time on its clock.
    pub uncertainty_ms: u64,
    /// They differ beyond doubt by more than the bound at which a node warns.
    pub far: bool,
}

/// A warning: news for the operator, never what starts SOS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarningView {
    /// Stable name.
    pub code: String,
    /// In words.
    pub message: String,
    /// Since when.
    pub at_ms: u64,
}

/// `POST /v1/peers`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustPeer {
    /// The card, one line.
    pub card: String,
    /// The six words that the other operator read aloud.
    pub words: String,
}

/// `POST /v1/unseal`
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unseal {
    /// The passphrase.
    pub passphrase: String,
}

/// `POST /v1/ceremonies`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCeremony {
    /// `test` or `live`, for ever.
    pub purpose: Purpose,
    /// A name for people.
    pub name: String,
    /// Nodes of the signing set, this one included.
    pub members: Vec<NodeId>,
    /// How many sign together.
    pub threshold: u16,
}

/// `GET /v1/ceremonies`, `GET /v1/ceremonies/{id}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CeremonyView {
    /// The ceremony.
    pub id: CeremonyId,
    /// Six words of the plan: the same on every screen.
    pub words: String,
    /// `test` or `live`.
    pub purpose: Purpose,
    /// A name for people.
    pub name: String,
    /// How many sign together.
    pub threshold: u16,
    /// Members with their operators and whether they said yes.
    pub members: Vec<CeremonyMember>,
    /// The charter that the vault is born under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charter: Option<CeremonyCharter>,
    /// `waiting`, `running`, `done`, `failed`.
    pub state: String,
    /// The vault, once done.
    pub vault: Option<VaultId>,
    /// Why it failed, if it did.
    pub failure: Option<String>,
    /// The member that is proven to have broken the protocol: `GET /v1/ceremonies/{id}/evidence`.
    pub culprit: Option<NodeId>,
}

/// `GET /v1/vaults/{id}/ceremony`, `GET /v1/ceremonies/{id}/evidence`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordView {
    /// The ceremony.
    pub ceremony: CeremonyId,
    /// The vault that came of it.
    pub vault: Option<VaultId>,
    /// The member that broke the protocol.
    pub culprit: Option<NodeId>,
    /// SHA-256 of the record, hex.
    pub sha256: String,
    /// The record, hex: the file that `outlast verify` reads.
    pub record: String,
}

/// The charter of a ceremony.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CeremonyCharter {
    /// Its hash.
    pub id: crate::ids::CharterId,
    /// Six words of it.
    pub words: String,
    /// In armor, with the agreements so far.
    pub signed: String,
}

/// One member of a ceremony.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CeremonyMember {
    /// The node.
    pub node: NodeId,
    /// Its operator.
    pub operator: String,
    /// Said yes.
    pub joined: bool,
}

/// `GET /v1/vaults`, `GET /v1/vaults/{id}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultView {
    /// The vault.
    pub id: VaultId,
    /// A name for people.
    pub name: String,
    /// `test` or `live`, for ever.
    pub purpose: Purpose,
    /// How many sign together.
    pub threshold: u16,
    /// The signing set.
    pub members: Vec<NodeId>,
    /// Version of the sharing.
    pub epoch: u32,
    /// The version of the charter in force; absent for a vault with the built-in rules alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charter: Option<crate::ids::CharterId>,
    /// Root public keys by kind (`ecdsa`, `taproot`, `ed25519`), hex.
    pub keys: Vec<KeyView>,
}

/// One root key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// `ecdsa`, `taproot`, `ed25519`.
    pub kind: String,
    /// Public key, hex.
    pub public_key: String,
}

/// `GET /v1/vaults/{id}/address?network=…&path=…`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressView {
    /// Chain.
    pub network: Network,
    /// Path below the root.
    pub path: String,
    /// Address.
    pub address: String,
    /// Which root key.
    pub key: String,
    /// Public key at the path, hex.
    pub public_key: String,
    /// `test` or `live`.
    pub purpose: Purpose,
}

/// `GET /v1/vaults/{id}/account?network=…&path=…`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    /// Account path.
    pub path: String,
    /// Extended public key of the account (BIP-32 text form).
    pub extended_key: String,
    /// Output descriptors with checksum: receive, change (Bitcoin only).
    pub descriptors: Vec<String>,
    /// `test` or `live`.
    pub purpose: Purpose,
}

/// What is asked for, in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum AskView {
    /// Native coin: EVM, Bitcoin, Solana.
    Send {
        /// Recipient in the chain's own spelling.
        to: String,
        /// Smallest units.
        amount: Amount,
    },
    /// ERC-20 or SPL token.
    SendToken {
        /// Contract or mint.
        token: String,
        /// Recipient (Solana: token account).
        to: String,
        /// Smallest units.
        amount: Amount,
        /// Solana: the paying token account.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
        /// Solana: decimals of the mint.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decimals: Option<u8>,
    },
    /// EVM call or (without `to`) contract creation.
    Call {
        /// Contract.
        #[serde(default)]
        to: Option<String>,
        /// Wei.
        value: Amount,
        /// `0x` hex.
        data: String,
        /// Gas limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gas_limit: Option<u64>,
    },
    /// Bytes ready to sign.
    Raw {
        /// `evm_transaction`, `evm_typed_data`, `evm_message`, `psbt`, `solana_message`.
        format: String,
        /// Hex with or without `0x`; a PSBT or a Solana message also in base64; typed data as JSON text.
        bytes: String,
    },
}

/// What is chosen at signing; given by the caller where no chain node is configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "chain", rename_all = "snake_case", deny_unknown_fields)]
pub enum FillView {
    /// EIP-1559 fields.
    Evm {
        /// Account nonce; `None`: the next one that the nodes know of.
        #[serde(default)]
        nonce: Option<u64>,
        /// Gas limit.
        gas_limit: u64,
        /// Wei per gas at most.
        max_fee_per_gas: u64,
        /// Wei per gas for the producer at most.
        max_priority_fee_per_gas: u64,
    },
    /// Coins and change.
    Bitcoin {
        /// Coins to spend.
        inputs: Vec<CoinView>,
        /// Fee in satoshi; the rest is change.
        fee: u64,
        /// Number of the change address below `account/1`.
        change: u32,
    },
    /// A recent blockhash or a durable nonce.
    Solana {
        /// Base58; left out beside a nonce account, whose value the node then asks its chain node for.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        blockhash: String,
        /// Durable nonce account, base58.
        #[serde(default)]
        nonce_account: Option<String>,
    },
}

/// A coin to spend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoinView {
    /// The whole transaction that made it, hex.
    pub transaction: String,
    /// Output number.
    pub vout: u32,
    /// 0 receive, 1 change.
    pub chain: u32,
    /// Number below the chain.
    pub number: u32,
}

/// `POST /v1/vaults/{id}/requests`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRequest {
    /// Chain.
    pub network: Network,
    /// Address that pays or signs (Bitcoin: the account).
    pub path: String,
    /// What is asked for.
    pub ask: AskView,
    /// Fee ceiling in smallest units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee_max: Option<Amount>,
    /// The caller's own word for "this is the same request".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Person of the charter who asks, and will sign for it (`ask`). Left out: nobody signs for having asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initiator: Option<String>,
    /// Milliseconds from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life_ms: Option<u64>,
    /// Chosen by the caller instead of the configured chain node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill: Option<FillView>,
    /// Send the signed transaction to the configured chain node.
    #[serde(default)]
    pub broadcast: bool,
    /// Wait for the signature up to this many milliseconds before answering (0: answer at once).
    #[serde(default)]
    pub wait_ms: u64,
}

/// `POST /v1/requests/{id}/speed-up`, `POST /v1/requests/{id}/cancel`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replace {
    /// EVM: new fee per gas; `None`: a quarter above the last.
    #[serde(default)]
    pub max_fee_per_gas: Option<u64>,
    /// EVM: new priority fee per gas; `None`: a quarter above the last.
    #[serde(default)]
    pub max_priority_fee_per_gas: Option<u64>,
    /// Bitcoin: new fee in satoshi per virtual byte; `None`: a quarter above the last.
    #[serde(default)]
    pub fee_rate: Option<u64>,
    /// Wait for the signature up to this many milliseconds.
    #[serde(default)]
    pub wait_ms: u64,
}

/// `GET /v1/requests/{id}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestView {
    /// The request.
    pub id: RequestId,
    /// Its vault.
    pub vault: VaultId,
    /// `test` or `live`.
    pub purpose: Purpose,
    /// `waiting`, `signing`, `signed`, `refused`, `expired`.
    pub state: String,
    /// What this node decoded; absent until it was filled.
    pub intent: Option<Intent>,
    /// The unsigned bytes, hex.
    pub unsigned: Option<String>,
    /// What each node said so far.
    pub verdicts: Vec<VerdictView>,
    /// The finished artefact.
    pub signed: Option<SignedView>,
    /// Why it was refused or why the last attempt failed.
    pub problem: Option<Problem>,
    /// What this node finds under the vault's charter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalView>,
    /// Node that took the request.
    pub entry: NodeId,
    /// Service key of the entry node that asked, hex; none: its operator.
    pub client: Option<String>,
    /// Times in milliseconds since the epoch.
    pub created_at_ms: u64,
    /// After this nobody starts to sign.
    pub expires_at_ms: u64,
}

/// One node's decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictView {
    /// The node.
    pub node: NodeId,
    /// Its operator.
    pub operator: String,
    /// `allowed` or `refused`.
    pub verdict: String,
    /// The rule that decided, or the refusal.
    pub reason: String,
}

/// A signed artefact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedView {
    /// Raw signed transaction (EVM `0x…`, Bitcoin hex, Solana base64), or the signature of a message (`0x…`).
    pub raw: String,
    /// Transaction id in the chain's spelling; absent for messages.
    pub txid: Option<String>,
    /// Signatures, hex, in the order of the items.
    pub signatures: Vec<String>,
    /// Bitcoin: the signed PSBT, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psbt: Option<String>,
    /// Milliseconds from the first proposal to the verified signature.
    pub took_ms: u64,
}

/// `POST /v1/decode`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecodeRequest {
    /// As in [`AskView::Raw`].
    pub format: String,
    /// As in [`AskView::Raw`].
    pub bytes: String,
    /// Chain, where the bytes do not bind one.
    #[serde(default)]
    pub network: Option<Network>,
}
