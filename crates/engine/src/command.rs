//! What people and programs ask of a node, and the answers.

use model::act::SignedAct;
use model::api;
use model::hd::DerivationPath;
use model::ids::{ActId, CeremonyId, NodeId, RequestId, VaultId};
use model::intent::Network;

/// Names one command while its answer is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// Who asks. The runner checks the operator's token; the engine checks clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// The node's own operator.
    Operator,
    /// A program, by the tagged hash of its bearer token or TLS client key.
    Client([u8; 32]),
}

/// What is asked.
#[expect(clippy::large_enum_variant, reason = "one lives per call, and it is moved twice")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// About this node (operator).
    Node,
    /// Trust a peer (operator).
    Trust(api::TrustPeer),
    /// The operator's decision after a failed pair check: make fresh pair state (operator).
    ResumePair(NodeId),
    /// The operator's decision about a held peer: accept it again, with fresh pair state (operator).
    ReleasePeer(NodeId),
    /// Propose a ceremony (operator).
    NewCeremony(api::NewCeremony),
    /// Propose the ceremony of a signed charter, in armor (operator).
    NewCeremonyUnder(String),
    /// Add this node's agreement to a signed charter, in armor (operator).
    AgreeToCharter(String),
    /// A signed act for a vault.
    PostAct(VaultId, Box<SignedAct>),
    /// The charter of a vault, as it stands.
    Charter(VaultId),
    /// The acts of a vault.
    Acts(VaultId),
    /// Say yes to a ceremony (operator).
    JoinCeremony(CeremonyId),
    /// One ceremony (operator).
    Ceremony(CeremonyId),
    /// All ceremonies of this run (operator).
    Ceremonies,
    /// Is this caller known?
    Known,
    /// The evidence that a member of a ceremony broke the protocol (operator).
    Evidence(CeremonyId),
    /// The public record of the ceremony that made a vault.
    VaultCeremony(VaultId),
    /// Vaults the caller may see.
    Vaults,
    /// One vault.
    Vault(VaultId),
    /// Address at a path.
    Address {
        /// Vault.
        vault: VaultId,
        /// Chain.
        network: Network,
        /// Path.
        path: DerivationPath,
    },
    /// Account key and descriptors.
    Account {
        /// Vault.
        vault: VaultId,
        /// Chain.
        network: Network,
        /// Path.
        path: DerivationPath,
    },
    /// A new request.
    Submit {
        /// Vault.
        vault: VaultId,
        /// The request.
        new: api::NewRequest,
    },
    /// The request under the idempotency key `KEY/CALL`; no requests where there is none.
    Keyed {
        /// Vault.
        vault: VaultId,
        /// What the caller named or the node drew.
        key: String,
        /// What was called under it.
        call: String,
        /// As of a submission.
        wait_ms: u64,
    },
    /// One request; answers at once.
    Request(RequestId),
    /// Requests of a vault, newest first.
    Requests {
        /// Vault.
        vault: VaultId,
        /// How many at most.
        limit: usize,
    },
    /// Same request, higher fee.
    SpeedUp(RequestId, api::Replace),
    /// Same nonce, nothing sent.
    Cancel(RequestId, api::Replace),
    /// Make a service key for a program (operator). The runner draws the token and passes its hash.
    NewClient {
        /// Name and vaults.
        new: api::NewClient,
        /// Tagged hash of the token, or of the TLS client key.
        token_hash: [u8; 32],
    },
    /// The service keys of this node (operator).
    Clients,
    /// Forget a service key (operator).
    RemoveClient(model::ids::ClientId),
    /// Addresses that the caller may use on an EVM chain: vault, path and address (for `eth_accounts` and `from`).
    EvmAccounts,
}

/// The answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// To [`Command::Node`] and the operator's decisions.
    Node(api::NodeView),
    /// To the ceremony commands.
    Ceremony(api::CeremonyView),
    /// To [`Command::Ceremonies`].
    Ceremonies(Vec<api::CeremonyView>),
    /// To [`Command::Evidence`] and [`Command::VaultCeremony`].
    Record(Box<api::RecordView>),
    /// To [`Command::Vaults`].
    Vaults(Vec<api::VaultView>),
    /// To [`Command::Vault`].
    Vault(api::VaultView),
    /// To [`Command::Address`].
    Address(api::AddressView),
    /// To [`Command::Account`].
    Account(api::AccountView),
    /// To the request commands.
    Request(Box<api::RequestView>),
    /// To [`Command::Requests`].
    Requests(Vec<api::RequestView>),
    /// To [`Command::NewClient`]: the client's id.
    Client(model::ids::ClientId),
    /// To [`Command::AgreeToCharter`]: the charter in armor, with one more agreement.
    Charter(String),
    /// To [`Command::PostAct`].
    Act(ActId),
    /// To [`Command::Charter`].
    Governance(Box<api::GovernanceView>),
    /// To [`Command::Acts`].
    Acts(Vec<api::ActView>),
    /// To [`Command::Clients`].
    Clients(Vec<api::ClientView>),
    /// To [`Command::EvmAccounts`].
    EvmAccounts(Vec<(VaultId, DerivationPath, String)>),
    /// Done.
    Done,
}
