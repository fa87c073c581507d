//! What comes into a node and what goes out, as data.

use crate::Caller;
use crate::command::{Command, CommandId, Reply};
use crate::job::{Job, JobId, JobOutput};
use crate::problem::Problem;
use model::api::RecordView;
use model::ids::{NodeId, RequestId};
use model::intent::Network;
use model::request::Coin;
use model::secret::Secret;
use std::collections::BTreeSet;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// Time passed; sent at least twice a second.
    Tick,
    /// A link to a trusted peer is up; `hello` is the peer's greeting ([`crate::Hello`]).
    Up {
        /// The peer.
        peer: NodeId,
        /// Its greeting.
        hello: Vec<u8>,
    },
    /// The link is gone.
    Down {
        /// The peer.
        peer: NodeId,
    },
    /// A second live instance of a peer tried to connect and was turned away.
    CloneSeen {
        /// The peer.
        peer: NodeId,
    },
    /// A peer turned this node away because another instance of it is live.
    TurnedAway {
        /// The peer.
        peer: NodeId,
    },
    /// A frame from a peer.
    Frame {
        /// The peer.
        peer: NodeId,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// Somebody asks through the API.
    Command {
        /// Names the answer.
        id: CommandId,
        /// Who asks.
        caller: Caller,
        /// What.
        command: Command,
    },
    /// A job is done.
    Computed {
        /// Which.
        id: JobId,
        /// Its result.
        output: JobOutput,
    },
    /// The machine was paused, copied, restored or its clock was set. Only for an engine that [`crate::Engine::start`] has
    /// just made and that let nothing out yet: starting is what dropped every nonce and session.
    Resumed {
        /// What was noticed.
        reason: String,
    },
    /// A chain node answered [`Effect::AskChain`].
    Facts {
        /// Request that waits for it.
        request: RequestId,
        /// What it said, or why nothing came.
        result: Result<Facts, String>,
    },
    /// What became of [`Effect::Broadcast`], or of a broadcast by somebody beside the engine.
    Sent {
        /// Request it belongs to.
        request: RequestId,
        /// The chain node took it, or a stable name and why not.
        result: Result<(), (String, String)>,
    },
}

/// What a chain node says that goes stale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Facts {
    /// EVM.
    Evm {
        /// Next nonce of the account, pending transactions counted.
        nonce: u64,
        /// Estimated gas.
        gas_limit: u64,
        /// Wei per gas at most.
        max_fee_per_gas: u128,
        /// Wei per gas for the producer.
        max_priority_fee_per_gas: u128,
    },
    /// Bitcoin.
    Bitcoin {
        /// Coins of the account.
        coins: Vec<Coin>,
        /// Satoshi for the whole transaction.
        fee: u64,
        /// Next unused change number.
        change: u32,
    },
    /// Solana.
    Solana {
        /// A recent blockhash.
        blockhash: [u8; 32],
    },
}

/// What the engine wants to know from a chain node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactsQuery {
    /// Chain.
    pub network: Network,
    /// Paying address (Bitcoin: receive descriptor of the account).
    pub from: String,
    /// EVM recipient; `None` creates a contract.
    pub to: Option<[u8; 20]>,
    /// EVM value, wei, decimal.
    pub value: String,
    /// EVM calldata or init code.
    pub data: Vec<u8>,
    /// Sum of Bitcoin outputs, satoshi.
    pub satoshi: u64,
    /// Bitcoin coins that other requests of the vault hold, `TXID:VOUT`: not to be chosen.
    pub held: BTreeSet<String>,
}

/// What must be durable together before anything of the same [`Output`] leaves.
#[derive(Debug, Default)]
pub struct Commit {
    /// Journal records in order, canonical bytes; the first has the sequence `first`.
    pub records: Vec<Vec<u8>>,
    /// Sequence of the first record.
    pub first: u64,
    /// Secret values to write, by key.
    pub puts: Vec<(String, Secret<Vec<u8>>)>,
    /// Secret values to destroy, by key.
    pub deletes: Vec<String>,
    /// Public records to write or, without bytes, to drop, by name.
    pub public: Vec<(String, Option<Vec<u8>>)>,
}

impl Commit {
    /// True when nothing has to be written.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
            && self.puts.is_empty()
            && self.deletes.is_empty()
            && self.public.is_empty()
    }
}

/// Answer of [`crate::Engine::handle`]: write `commit` durably, then do `effects` in order. When the write fails, do
/// none of them, drop the engine and start it again from the store.
#[derive(Debug, Default)]
pub struct Output {
    /// First this, durably.
    pub commit: Commit,
    /// Then these.
    pub effects: Vec<Effect>,
}

/// Something to do once the commit is durable.
#[derive(Debug)]
pub enum Effect {
    /// Send a frame; when the link is gone or full, drop it (the session times out).
    Send {
        /// To whom.
        peer: NodeId,
        /// Bytes.
        bytes: Vec<u8>,
    },
    /// Trust this peer from now on: accept and dial it.
    Connect {
        /// The peer.
        peer: NodeId,
        /// Where to dial; empty: only accept.
        endpoint: String,
    },
    /// End the link with a peer that sends garbage; it may dial again.
    Disconnect {
        /// The peer.
        peer: NodeId,
    },
    /// Run a job on any thread and bring [`Event::Computed`].
    Compute {
        /// Names the result.
        id: JobId,
        /// The work.
        job: Job,
    },
    /// Answer a command.
    Reply {
        /// Which.
        id: CommandId,
        /// The answer.
        result: Result<Reply, Problem>,
    },
    /// Answer a command with a public record: read it, hold it against the hash in `view` and put it there.
    ReplyRecord {
        /// Which.
        id: CommandId,
        /// Name of the record.
        name: String,
        /// The answer without its bytes.
        view: Box<RecordView>,
    },
    /// Ask the configured chain node and bring [`Event::Facts`].
    AskChain {
        /// Request that waits.
        request: RequestId,
        /// What is asked.
        query: FactsQuery,
    },
    /// Hand a signed transaction to the configured chain node and bring [`Event::Sent`].
    Broadcast {
        /// Request it belongs to.
        request: RequestId,
        /// Chain.
        network: Network,
        /// In the chain's own spelling.
        text: String,
    },
    /// Tell the operator (log, metrics). Never what starts SOS.
    Warn {
        /// Stable name.
        code: &'static str,
        /// In words.
        message: String,
    },
}
