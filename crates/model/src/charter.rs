//! The charter: a vault's constitution. Who runs which node, who may ask, approve and amend, under which rules.
//!
//! Spec: `docs/spec/charter.md`. People write TOML (`governance::charter`); what is hashed and signed are the canonical
//! bytes of this type. A version names the hash of the version before it. Lists that name people, operators, groups and
//! levels do so by their ids, short words that are unique within the charter; `governance` refuses a charter with a
//! dangling or doubled id, so a [`Charter`] that merely read is not yet one that holds.

mod backups;
mod sos;
mod wire;

pub use backups::{Backups, RecoveryKey, Store};
pub use sos::{
    AlarmClass, AlarmTrigger, GovernorKey, LockUp, ManualTrigger, Remedy, SilenceTrigger, SosRules,
    VoteTrigger,
};

use crate::act::SignedAct;
use crate::amount::Amount;
use crate::hash;
use crate::hd::DerivationPath;
use crate::ids::{CharterId, NodeId};
use crate::intent::Network;
use crate::keys::Purpose;
use crate::time::Timestamp;
use crate::wire::Wire;
use crate::{wire_enum, wire_struct};

/// Bytes of a charter at most.
pub const CHARTER_BYTES_MAX: usize = 128 * 1024;

/// A charter, one version of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charter {
    /// 1 at birth, one more with each amendment.
    pub version: u32,
    /// The version before; `None` at birth only.
    pub previous: Option<CharterId>,
    /// Name of the vault.
    pub name: String,
    /// `test` or `live`, for ever.
    pub purpose: Purpose,
    /// Whose assets these are.
    pub owner: Owner,
    /// Legal entities that run nodes.
    pub operators: Vec<Operator>,
    /// How many regular nodes sign together.
    pub threshold: u16,
    /// People and services with credentials.
    pub people: Vec<Person>,
    /// Named sets of people.
    pub groups: Vec<Group>,
    /// Who amends the charter.
    pub governors: Governors,
    /// Assets that rules name by their symbols.
    pub assets: Vec<Asset>,
    /// The management tree, parents before children.
    pub levels: Vec<Level>,
    /// How many counting logs may lie, and whose cosignatures count.
    pub log: LogRules,
    /// Decentralization requirements.
    pub requirements: Vec<Requirement>,
    /// The rescue: who wakes it, who vetoes it, where assets rest.
    pub sos: Option<SosRules>,
    /// Where boxes with shares are kept.
    pub backups: Option<Backups>,
}

wire_struct! {
    /// The beneficial owner.
    pub struct Owner {
        /// Legal name.
        pub name: String,
        /// Number in a public register, with the register's country in front. Empty for none.
        pub registry: String,
        /// Operators that are the owner or related to it: they count with it as one entity.
        pub related: Vec<String>,
        /// The charter says in words that owner and related operators may hold a threshold of seats.
        pub may_hold_threshold: bool,
        /// The charter says in words that they may hold enough seats to stop signing for good.
        pub may_stop_signing: bool,
    }
}

wire_struct! {
    /// A legal entity that runs nodes.
    pub struct Operator {
        /// Id within the charter.
        pub id: String,
        /// Legal name.
        pub name: String,
        /// Number in a public register.
        pub registry: String,
        /// ISO 3166-1 code of its country.
        pub country: String,
        /// Operators with the same parent, director or interest: they count as one entity.
        pub related: Vec<String>,
        /// Its nodes of this vault.
        pub nodes: Vec<NodePlace>,
    }
}

wire_struct! {
    /// A node and what it does in this vault.
    pub struct NodePlace {
        /// The node, as its card says.
        pub node: NodeId,
        /// Its one role.
        pub role: NodeRole,
    }
}

wire_enum! {
    /// What a node does in a vault.
    pub enum NodeRole {
        /// Holds a share of the regular signing set.
        Regular = 1 "regular",
        /// Holds a share of the first half of the dormant sharing.
        Sos = 2 "sos",
        /// Holds a share of the second half.
        Guardian = 3 "guardian",
        /// Keeps a log, no share.
        Observer = 4 "observer",
    }
}

wire_struct! {
    /// A person or a service.
    pub struct Person {
        /// Id within the charter.
        pub id: String,
        /// Name or role, for people. Never in a public view.
        pub name: String,
        /// Operator that employs this person; empty for none.
        pub operator: String,
        /// What this person signs with.
        pub credentials: Vec<Credential>,
        /// Every delegation ends.
        pub expires_at: Timestamp,
    }
}

/// Something that signs for a person. A person counts once, whatever signs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Credential {
    /// An OpenSSH public key: the base64 blob's bytes, `ssh-ed25519` or `sk-ssh-ed25519@openssh.com`.
    Ssh {
        /// RFC 4253 key blob.
        blob: Vec<u8>,
    },
    /// A passkey, bound to one web domain.
    Passkey {
        /// The relying party's id: the domain.
        domain: String,
        /// Credential id.
        id: Vec<u8>,
        /// COSE algorithm and key.
        key: PasskeyKey,
    },
    /// A service's plain Ed25519 key.
    Service {
        /// Public key.
        key: [u8; 32],
    },
}

/// Public key of a passkey.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PasskeyKey {
    /// ES256 (COSE -7): compressed SEC 1 point on P-256.
    Es256([u8; 33]),
    /// EdDSA (COSE -8) on Ed25519.
    Ed25519([u8; 32]),
}

wire_struct! {
    /// A named set of people.
    pub struct Group {
        /// Id within the charter.
        pub id: String,
        /// Its people.
        pub members: Vec<String>,
    }
}

wire_struct! {
    /// `least` people of a group.
    pub struct Part {
        /// How many.
        pub least: u16,
        /// Of which group.
        pub group: String,
    }
}

wire_struct! {
    /// All of `all`, each met by any one of its parts: `(1 of treasurers or 2 of desk) and 1 of risk`.
    pub struct Approvals {
        /// Every inner list must be met by one of its parts. Empty: nobody need approve.
        pub all: Vec<Vec<Part>>,
    }
}

wire_struct! {
    /// Who amends the charter.
    pub struct Governors {
        /// People with their weights.
        pub members: Vec<Weighted>,
        /// Sum of weights that makes an amendment.
        pub quorum: u32,
        /// How long a loosening waits, milliseconds.
        pub loosening_ms: u64,
        /// Sum of weights that replaces a lost governor's credential.
        pub replacement_quorum: u32,
        /// How long such a replacement waits, milliseconds.
        pub replacement_ms: u64,
    }
}

wire_struct! {
    /// A governor.
    pub struct Weighted {
        /// The person.
        pub person: String,
        /// Weight.
        pub weight: u32,
    }
}

wire_struct! {
    /// An asset under the symbol that this charter gives it.
    pub struct Asset {
        /// Unique within the charter: `ETH`, `USDC`.
        pub symbol: String,
        /// Chain.
        pub network: Network,
        /// `native`, or the token's contract or mint.
        pub token: String,
        /// Digits after the point of one whole unit.
        pub decimals: u8,
    }
}

/// Cedar policies of a level's expert field: UTF-8 in lines, without other control characters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicyText(pub String);

wire_struct! {
    /// A level of the management tree: prefixes of HD paths, its people, its rules.
    pub struct Level {
        /// Id with its ancestors: `treasury/desk`. The root level has no slash.
        pub id: String,
        /// Paths of this level and all below it, one for each layout in use. A child's extend its parent's.
        pub paths: Vec<DerivationPath>,
        /// Who changes the level's registers: address book, people of its groups, limits below the cap.
        pub quorum: Approvals,
        /// How long a loosening change of a register waits, milliseconds.
        pub cool_off_ms: u64,
        /// Groups that are this level's own: its quorum may change their members.
        pub groups: Vec<String>,
        /// The address book at this version.
        pub book: Vec<BookEntry>,
        /// Where a parent's quorum may recall this level's assets to: an address of the parent itself.
        pub recall_to: Option<DerivationPath>,
        /// Rules.
        pub rules: Vec<Rule>,
        /// Expert field: Cedar policies, `forbid` only at levels with children.
        pub cedar: PolicyText,
    }
}

wire_struct! {
    /// An address with a name.
    pub struct BookEntry {
        /// Name for people. Never in a public view.
        pub name: String,
        /// Chain.
        pub network: Network,
        /// Address in its canonical spelling.
        pub address: String,
    }
}

wire_struct! {
    /// One row of a level's table. Every condition must hold; an empty list of a condition means "any" except for
    /// `operations`, which are always named.
    pub struct Rule {
        /// Name, unique within the charter: refusals and verdicts cite it.
        pub name: String,
        /// What follows when the row fits.
        pub effect: Effect,
        /// Classes of operations.
        pub operations: Vec<OperationClass>,
        /// Chains.
        pub networks: Vec<Network>,
        /// Assets, by the symbols of the charter's table; each stands for its own network.
        pub assets: Vec<String>,
        /// Who may receive.
        pub recipients: Recipients,
        /// First four bytes of calldata, for contract calls.
        pub selectors: Vec<[u8; 4]>,
        /// Largest amount of one operation, smallest units of the (then single) asset. An allow row fits up to it; a forbid
        /// row is a cap: it forbids what is above, and with neither maximum nor limits all that fits its other conditions.
        pub amount_max: Option<Amount>,
        /// Rolling limits, for rows with a single asset. An allow row permits within them, a forbid row forbids beyond them.
        pub limits: Vec<Limit>,
        /// Groups that may ask; empty for anybody who may use the vault.
        pub initiators: Vec<String>,
        /// Who must approve.
        pub approvals: Approvals,
        /// True: who asked may also approve.
        pub own_approval_counts: bool,
        /// How long to wait after the approvals, milliseconds.
        pub wait_ms: u64,
        /// Group any member of which may stop the request during the wait; empty for none.
        pub stop_group: String,
        /// When the row fits; `None` for always.
        pub hours: Option<Hours>,
    }
}

wire_enum! {
    /// What a rule does.
    pub enum Effect {
        /// Permits, once approvals and wait are met. Lower levels only.
        Allow = 1 "allow",
        /// Forbids, whatever permits. Any level.
        Forbid = 2 "forbid",
    }
}

wire_enum! {
    /// Class of an operation, as rules name it.
    pub enum OperationClass {
        /// The chain's own coin moves.
        NativeTransfer = 1 "native_transfer",
        /// A token moves.
        TokenTransfer = 2 "token_transfer",
        /// A bounded allowance.
        TokenApprove = 3 "token_approve",
        /// An unlimited allowance.
        TokenApproveUnlimited = 4 "token_approve_unlimited",
        /// An EIP-2612 style permit.
        Permit = 5 "permit",
        /// A contract call, by selector.
        ContractCall = 6 "contract_call",
        /// New code on chain.
        ContractCreation = 7 "contract_creation",
        /// EIP-712 data that is no permit.
        TypedData = 8 "typed_data",
        /// EIP-191 message.
        Message = 9 "message",
        /// Bytes that nobody could decode.
        Raw = 10 "raw",
        /// A token account for somebody (Solana).
        CreateTokenAccount = 11 "create_token_account",
    }
}

wire_enum! {
    /// Who may receive.
    pub enum Recipients {
        /// Anybody.
        Any = 1 "any",
        /// The address books of this level and of those above it.
        Book = 2 "book",
        /// Addresses of this vault.
        Own = 3 "own",
    }
}

wire_struct! {
    /// A rolling limit: at most `amount` within `window_ms`.
    pub struct Limit {
        /// Smallest units.
        pub amount: Amount,
        /// Length of the window, milliseconds.
        pub window_ms: u64,
        /// Counted for whom.
        pub per: LimitPer,
    }
}

wire_enum! {
    /// For whom a rolling limit counts.
    pub enum LimitPer {
        /// The level with all below it.
        Level = 1 "level",
        /// Each initiator.
        Person = 2 "person",
    }
}

wire_struct! {
    /// Hours of a week in UTC.
    pub struct Hours {
        /// Bit 0 is Monday.
        pub days: u8,
        /// First minute of the day.
        pub from_minute: u16,
        /// First minute after; over `from_minute`.
        pub to_minute: u16,
    }
}

wire_struct! {
    /// Logs and witnesses.
    pub struct LogRules {
        /// Counting logs that may lie, f.
        pub traitors: u16,
        /// Witnesses that may lie, w.
        pub witness_traitors: u16,
        /// C2SP tlog-policy lines: each witness with its key.
        pub witnesses: Vec<String>,
    }
}

wire_struct! {
    /// A requirement of decentralization, or its absence by name.
    pub struct Requirement {
        /// `operator`, `account`, `region`, …; `docs/spec/charter.md` lists them.
        pub dimension: String,
        /// Fewest entities that may sign together; 0 switches the requirement off.
        pub least_to_sign: u16,
    }
}

wire_struct! {
    /// A charter with the signatures of those who agreed to it; nobody checked them yet.
    pub struct SignedCharter {
        /// The charter.
        pub charter: Charter,
        /// Acts of the kind [`crate::act::Body::Amend`].
        pub signatures: Vec<SignedAct>,
    }
}

impl Charter {
    /// The hash that the next version, every signature and every approval name.
    pub fn id(&self) -> CharterId {
        CharterId(hash::tagged("outlast/charter/v1", &[&self.to_bytes()]))
    }
    /// A person by id.
    pub fn person(&self, id: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.id == id)
    }
    /// A group by id.
    pub fn group(&self, id: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.id == id)
    }
    /// A level by id.
    pub fn level(&self, id: &str) -> Option<&Level> {
        self.levels.iter().find(|level| level.id == id)
    }
    /// An asset by symbol.
    pub fn asset(&self, symbol: &str) -> Option<&Asset> {
        self.assets.iter().find(|asset| asset.symbol == symbol)
    }
    /// Nodes with a role, in the charter's order, with their operators.
    pub fn nodes(&self, role: NodeRole) -> impl Iterator<Item = (&Operator, NodeId)> {
        self.operators.iter().flat_map(move |operator| {
            let places = operator.nodes.iter().filter(move |place| place.role == role);
            places.map(move |place| (operator, place.node))
        })
    }
}
