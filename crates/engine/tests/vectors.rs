//! Goal: the engine's bytes are the specified bytes, and bytes with one defect are refused by name. Method: files that
//! other implementations can follow, made and checked here; `OUTLAST_BLESS=1` writes them anew, for review.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use engine::{
    CeremonyPlan, ClockWord, Entry, Hello, JournalHead, Judged, Message, Proposal, Record,
};
use governance::policy::{Charge, LedgerKey};
use model::act::{Act, ActSignature, Author, Body, Opinion, SignedAct};
use model::amount::Amount;
use model::charter::SignedCharter;
use model::ids::{
    CeremonyId, CharterId, ClientId, Epoch, Incarnation, NodeId, PairEpoch, Seat, SessionId,
    VaultId,
};
use model::intent::Network;
use model::keys::Purpose;
use model::request::{Ask, Coin, Fill, RawKind, Request};
use model::signing::Signature;
use model::time::Timestamp;
use model::wire::Wire;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A value with its bytes; `hash` is the id or hash that the specification defines over them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Vector {
    name: String,
    bytes: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
}

/// Bytes with one defect, and what a reader says.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Bad {
    name: String,
    of: String,
    bytes: String,
    error: String,
}

fn journal_head() -> JournalHead {
    JournalHead { life: 0, length: 12, head: [0x66; 32], signature: [0x55; 64] }
}

/// Reads a vector file; writes `made` to it first when that was asked for.
fn stored<V: Serialize + for<'a> Deserialize<'a>>(file: &str, made: &[V]) -> Vec<V> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors/engine/1").join(file);
    if std::env::var_os("OUTLAST_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, serde_json::to_string_pretty(made).unwrap() + "\n").unwrap();
    }
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn vector(name: &str, value: &impl Wire, hash: Option<&[u8]>) -> Vector {
    let (bytes, hash) = (hex::encode(value.to_bytes()), hash.map(hex::encode));
    Vector { name: name.to_owned(), bytes, hash }
}

/// What is made is what the file holds, and what the file holds reads back to the same bytes.
fn check<T: Wire>(file: &str, made: &[Vector]) {
    let vectors = stored(file, made);
    assert_eq!(vectors, made, "{file}");
    for Vector { name, bytes, .. } in vectors {
        let read = T::from_bytes(&hex::decode(&bytes).unwrap()).unwrap();
        assert_eq!(hex::encode(read.to_bytes()), bytes, "{name}");
    }
}

fn plan() -> CeremonyPlan {
    CeremonyPlan {
        name: "treasury".to_owned(),
        purpose: Purpose::Test,
        threshold: 2,
        members: vec![NodeId([1; 32]), NodeId([2; 32]), NodeId([3; 32])],
        proposer: NodeId([2; 32]),
        at: Timestamp(1_767_225_600_000),
        nonce: [9; 32],
        charter: None,
    }
}

fn request(network: Network, path: &str, ask: Ask, fee_max: Option<Amount>, key: &str) -> Request {
    Request {
        vault: VaultId([0x11; 32]),
        network,
        path: path.parse().unwrap(),
        ask,
        fee_max,
        client: ClientId([0x22; 16]),
        idempotency_key: key.to_owned(),
        initiator: String::new(),
        entry: NodeId([1; 32]),
        created_at: Timestamp(1_767_225_600_000),
        expires_at: Timestamp(1_767_229_200_000),
    }
}

fn evm() -> Request {
    let ask = Ask::EvmCall {
        to: Some([0xaa; 20]),
        value: Amount::from_u64(1_000_000),
        data: vec![0xa9, 0x05, 0x9c, 0xbb],
        gas_limit: Some(60_000),
    };
    request("evm:1".parse().unwrap(), "m/44/60/0/0/0", ask, Some(Amount::from_u64(5)), "invoice 7")
}

fn requests() -> Vec<(&'static str, Request, Fill)> {
    let bitcoin = Ask::BitcoinSend { outputs: vec![("bc1qexample".to_owned(), 50_000)] };
    let coin = Coin { transaction: vec![2, 0, 0, 0], vout: 1, child: (0, 4) };
    let transfer = Ask::SolanaTransfer { to: [0xbb; 32], lamports: 7 };
    let token = Ask::SolanaTokenTransfer {
        mint: [0xc1; 32],
        source: [0xc2; 32],
        destination: [0xc3; 32],
        amount: 8,
        decimals: 6,
    };
    let raw = Ask::Raw { kind: RawKind::EvmMessage, bytes: b"hello".to_vec() };
    let evm_fill = Fill::Evm {
        nonce: 3,
        gas_limit: 60_000,
        max_fee_per_gas: 2_000_000_000,
        max_priority_fee_per_gas: 1,
        cancel: false,
    };
    let (eth, btc, sol) = ("evm:1", "bitcoin:regtest", "solana:local");
    let parsed = |text: &str| text.parse::<Network>().unwrap();
    vec![
        ("evm call", evm(), evm_fill),
        (
            "bitcoin send",
            request(parsed(btc), "m/86/1/0", bitcoin.clone(), None, ""),
            Fill::Bitcoin { inputs: vec![coin.clone()], change: Some((2, 1_000)), cancel: false },
        ),
        (
            "solana transfer, durable nonce",
            request(parsed(sol), "m/44/501/0/0", transfer.clone(), None, ""),
            Fill::Solana { blockhash: [0xdd; 32], nonce_account: Some([0xee; 32]), cancel: false },
        ),
        (
            "solana token transfer",
            request(parsed(sol), "m/44/501/0/0", token, None, ""),
            Fill::Solana { blockhash: [0xdd; 32], nonce_account: None, cancel: false },
        ),
        (
            "bitcoin send, cancelled",
            request(parsed(btc), "m/86/1/0", bitcoin, None, "again"),
            Fill::Bitcoin { inputs: vec![coin], change: Some((2, 50_000)), cancel: true },
        ),
        (
            "solana transfer, cancelled",
            request(parsed(sol), "m/44/501/0/0", transfer, None, "again"),
            Fill::Solana { blockhash: [0xdd; 32], nonce_account: Some([0xee; 32]), cancel: true },
        ),
        ("raw message", request(parsed(eth), "m/44/60/0/0/0", raw, None, ""), Fill::Nothing),
    ]
}

fn proposal(request: Request, fill: Fill) -> Proposal {
    Proposal {
        request,
        entry_signature: [0x33; 64],
        attempt: 1,
        fill,
        quorum: BTreeSet::from([Seat(1), Seat(3)]),
        coordinator: NodeId([1; 32]),
    }
}

/// One of each kind, in the order of their numbers. A new kind fails to compile in [`entry_name`] until it stands here.
fn entries() -> Vec<Entry> {
    let (peer, session) = (NodeId([2; 32]), SessionId([0x44; 32]));
    let (id, vault) = (evm().id(), VaultId([0x11; 32]));
    let (_, asked, fill) = requests().remove(0);
    vec![
        Entry::Started(Incarnation([0x55; 16])),
        Entry::PeerTrusted(vec![0xca, 0xfe]),
        Entry::PeerSeen(peer, journal_head()),
        Entry::PeerHeld(peer, "went back".to_owned()),
        Entry::PeerReleased(peer),
        Entry::PairMade(peer, PairEpoch(1), [0x77; 32]),
        Entry::PairStopped(peer, PairEpoch(1), "ot check".to_owned()),
        Entry::PairResumed(peer),
        Entry::CeremonyJoined(plan()),
        Entry::VaultStored { plan: plan(), vault, epoch: Epoch(1), hash: [0x88; 32] },
        Entry::VaultActive(vault, plan().id()),
        Entry::CeremonyRecorded(plan().id(), vault, [0x89; 32]),
        Entry::CeremonyBroken {
            ceremony: plan().id(),
            culprit: peer,
            breach: "dkg_wrong_reveal".to_owned(),
            hash: [0x8a; 32],
        },
        Entry::Resumed("the clock jumped by 3600 s".to_owned()),
        Entry::PeerSeen(peer, JournalHead { life: 2, ..journal_head() }),
        Entry::WentBack(1),
        Entry::RollbackAccepted(2),
        Entry::Requested(Box::new(evm())),
        Entry::Decided {
            proposal: Box::new(proposal(asked, fill)),
            intent: [0x99; 32],
            unsigned: [0xab; 32],
            spends: vec!["evm:1:0xaa:3".to_owned()],
            rule: "built-in: transfers within the fee ceiling".to_owned(),
        },
        Entry::Refused {
            request: id,
            session: Some(session),
            code: "expired".to_owned(),
            reason: "expired 5 ms ago".to_owned(),
        },
        Entry::Released(id, session),
        Entry::Aborted(id, session, "no answer".to_owned()),
        Entry::Signed {
            request: id,
            session,
            signatures: vec![
                Signature::Ecdsa { rs: [0xac; 64], recovery_id: 1 },
                Signature::Schnorr([0xad; 64]),
                Signature::Ed25519([0xae; 64]),
            ],
        },
        Entry::ClientAdded {
            client: ClientId([0x22; 16]),
            name: "billing".to_owned(),
            token_hash: [0xaf; 32],
            vaults: vec![vault],
        },
        Entry::ClientRemoved(ClientId([0x22; 16])),
        Entry::Answered { request: id, session, item: 1, package: [0xb0; 32] },
        Entry::Charter(Box::new(charter())),
        Entry::Act(Box::new(approval())),
        Entry::Heard(Box::new(Request { initiator: "treasurer".to_owned(), ..evm() })),
        Entry::Judged(Box::new(Judged {
            vault,
            request: id,
            charter: charter().charter.id(),
            acts: [0xb1; 32],
            wanted: [0xb2; 32],
            rules: vec!["pay".to_owned()],
            charges: vec![Charge {
                key: LedgerKey { rule: "pay".to_owned(), limit: 1, person: Some("clerk".into()) },
                amount: Amount::from_u64(9),
            }],
        })),
        Entry::Complete(vault, id, "pay".to_owned()),
    ]
}

/// The smallest charter of the charter vectors, with one agreement that nobody checked.
fn charter() -> SignedCharter {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/charter/v1/good/solo-team.toml");
    let charter = governance::charter::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
    let body = Body::Amend { next: charter.id() };
    let act = Act { vault: VaultId([0; 32]), charter: charter.id(), body, ..approval().act };
    SignedCharter { charter, signatures: vec![SignedAct { act, ..approval() }] }
}

fn approval() -> SignedAct {
    let opinion =
        Opinion { request: evm().id(), level: "treasury/desk".to_owned(), intent: [0xb2; 32] };
    SignedAct {
        act: Act {
            vault: VaultId([0x11; 32]),
            charter: CharterId([0xb3; 32]),
            author: Author::Person("treasurer".to_owned()),
            created_at: Timestamp(1_767_225_600_000),
            expires_at: Timestamp(1_767_229_200_000),
            salt: [0xb4; 16],
            body: Body::Approve(opinion),
        },
        signature: ActSignature::Service { key: [0xb5; 32], signature: [0xb6; 64] },
    }
}

fn entry_name(entry: &Entry) -> &'static str {
    match entry {
        Entry::Started(_) => "started",
        Entry::PeerTrusted(_) => "peer trusted",
        Entry::PeerSeen(_, JournalHead { life: 0, .. }) => "peer seen",
        Entry::PeerSeen(..) => "peer seen, later life",
        Entry::WentBack(_) => "went back",
        Entry::RollbackAccepted(_) => "rollback accepted",
        Entry::PeerHeld(..) => "peer held",
        Entry::PeerReleased(_) => "peer released",
        Entry::PairMade(..) => "pair made",
        Entry::PairStopped(..) => "pair stopped",
        Entry::PairResumed(_) => "pair resumed",
        Entry::CeremonyJoined(_) => "ceremony joined",
        Entry::VaultStored { .. } => "vault stored",
        Entry::VaultActive(..) => "vault active",
        Entry::CeremonyRecorded(..) => "ceremony recorded",
        Entry::CeremonyBroken { .. } => "ceremony broken",
        Entry::Resumed(_) => "resumed",
        Entry::Requested(_) => "requested",
        Entry::Decided { .. } => "decided",
        Entry::Refused { .. } => "refused",
        Entry::Released(..) => "released",
        Entry::Aborted(..) => "aborted",
        Entry::Answered { .. } => "answered",
        Entry::Signed { .. } => "signed",
        Entry::ClientAdded { .. } => "client added",
        Entry::ClientRemoved(_) => "client removed",
        Entry::Charter(_) => "charter",
        Entry::Act(_) => "act",
        Entry::Heard(_) => "heard",
        Entry::Judged(_) => "judged",
        Entry::Complete(..) => "complete",
    }
}

/// One of each kind, in the order of their numbers.
fn messages() -> Vec<Message> {
    let (vault, session) = (VaultId([0x11; 32]), SessionId([0x44; 32]));
    let (ceremony, epoch, bytes): (CeremonyId, _, _) = (plan().id(), PairEpoch(2), vec![1, 2, 3]);
    let (_, asked, fill) = requests().remove(0);
    vec![
        Message::HistoryAsk(Some(journal_head())),
        Message::HistoryTell { length: 12, head: Some([0x66; 32]), now: journal_head() },
        Message::Journal(JournalHead { life: 3, ..journal_head() }),
        Message::Held { reason: "went back".to_owned() },
        Message::PairOffer { epoch, nonce: [9; 32] },
        Message::PairStep { epoch, step: 1, bytes: bytes.clone() },
        Message::PairReady { epoch, mesh: [0x77; 32], heard: true },
        Message::PairStopped { epoch },
        Message::CeremonyPropose(plan()),
        Message::CeremonyJoin(ceremony),
        Message::CeremonyFail(ceremony, "no answer".to_owned()),
        Message::Dkg { ceremony, round: 1, bytes: bytes.clone() },
        Message::CeremonyEvidence(ceremony, bytes.clone()),
        Message::VaultStored { ceremony, vault },
        Message::Propose(Box::new(proposal(asked, fill))),
        Message::Verdict {
            session,
            request: evm().id(),
            refusal: Some(("expired".to_owned(), "expired 5 ms ago".to_owned())),
        },
        Message::Round { session, item: 0, round: 2, bytes: bytes.clone() },
        Message::Abort { session, reason: "no answer".to_owned() },
        Message::ChallengeAsk { vault },
        Message::ChallengeTell { vault, challenge: [9; 32] },
        Message::Proof { vault, bytes },
        Message::ProofValid { vault },
        Message::CeremonyUnder(
            CeremonyPlan { charter: Some(charter().charter.id()), ..plan() },
            Box::new(charter()),
        ),
        Message::CeremonyAgree(ceremony, Box::new(approval())),
        Message::Act(Box::new(approval())),
        Message::Asked(Box::new(evm()), [0x33; 64]),
        Message::Clock(ClockWord::Ask { sent: Timestamp(1_767_225_600_000) }),
        Message::Clock(ClockWord::Tell {
            sent: Timestamp(1_767_225_600_000),
            told: Timestamp(1_767_225_600_020),
        }),
    ]
}

fn message_name(message: &Message) -> &'static str {
    match message {
        Message::HistoryAsk(_) => "history ask",
        Message::HistoryTell { .. } => "history tell",
        Message::Journal(_) => "journal",
        Message::Held { .. } => "held",
        Message::PairOffer { .. } => "pair offer",
        Message::PairStep { .. } => "pair step",
        Message::PairReady { .. } => "pair ready",
        Message::PairStopped { .. } => "pair stopped",
        Message::CeremonyPropose(_) => "ceremony propose",
        Message::CeremonyJoin(_) => "ceremony join",
        Message::CeremonyFail(..) => "ceremony fail",
        Message::Dkg { .. } => "dkg",
        Message::CeremonyEvidence(..) => "ceremony evidence",
        Message::VaultStored { .. } => "vault stored",
        Message::Propose(_) => "propose",
        Message::Verdict { .. } => "verdict",
        Message::Round { .. } => "round",
        Message::Abort { .. } => "abort",
        Message::ChallengeAsk { .. } => "challenge ask",
        Message::ChallengeTell { .. } => "challenge tell",
        Message::Proof { .. } => "proof",
        Message::ProofValid { .. } => "proof valid",
        Message::CeremonyUnder(..) => "ceremony under a charter",
        Message::CeremonyAgree(..) => "ceremony agree",
        Message::Act(_) => "act",
        Message::Asked(..) => "asked",
        Message::Clock(ClockWord::Ask { .. }) => "clock ask",
        Message::Clock(ClockWord::Tell { .. }) => "clock tell",
    }
}

fn hello() -> Hello {
    Hello {
        incarnation: Incarnation([0x55; 16]),
        protocol: 3,
        length: 12,
        head: [0x66; 32],
        software: "outlast 0.0.0".to_owned(),
    }
}

/// One journal: each record names the hash of the one before.
fn records() -> Vec<Record> {
    let mut previous = [0; 32];
    let mut records = Vec::new();
    for (sequence, entry) in (0u64..).zip(entries()) {
        let record = Record { sequence, previous, at: Timestamp(sequence * 1000), entry };
        previous = Record::hash(&record.to_bytes());
        records.push(record);
    }
    records
}

#[test]
fn journal_records_are_those_of_the_vectors() {
    let made: Vec<Vector> = records()
        .iter()
        .map(|r| vector(entry_name(&r.entry), r, Some(&Record::hash(&r.to_bytes()))))
        .collect();
    let names: BTreeSet<&str> = made.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names.len(), 31, "one record of each kind");
    check::<Record>("records.json", &made);
}

#[test]
fn messages_are_those_of_the_vectors() {
    let made: Vec<Vector> = messages().iter().map(|m| vector(message_name(m), m, None)).collect();
    let names: BTreeSet<&str> = made.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names.len(), 28, "one message of each kind");
    check::<Message>("messages.json", &made);
    check::<Hello>("hello.json", &[vector("hello", &hello(), None)]);
}

#[test]
fn ids_of_plans_requests_and_sessions_are_those_of_the_vectors() {
    check::<CeremonyPlan>("plans.json", &[vector("2-of-3", &plan(), Some(&plan().id().0))]);
    let all = requests();
    let made = all.iter().map(|(name, request, _)| vector(name, request, Some(&request.id().0)));
    check::<Request>("requests.json", &made.collect::<Vec<_>>());
    let made = all.into_iter().map(|(name, request, fill)| {
        let proposal = proposal(request, fill);
        vector(name, &proposal, Some(&proposal.session().0))
    });
    check::<Proposal>("proposals.json", &made.collect::<Vec<_>>());
}

fn bad<T: Wire>(name: &str, of: &str, bytes: Vec<u8>) -> Bad {
    let error = T::from_bytes(&bytes).err().unwrap().to_string();
    Bad { name: name.to_owned(), of: of.to_owned(), bytes: hex::encode(bytes), error }
}

/// `bytes` with `new` from `at` on.
fn put(mut bytes: Vec<u8>, at: usize, new: &[u8]) -> Vec<u8> {
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

/// A request on `evm:1` that calls it `evm:01`.
fn respelled() -> Vec<u8> {
    let bytes = evm().to_bytes();
    // Tag, version and vault stand before the network's text.
    let (head, rest) = bytes.split_at(3 + 32);
    let after = rest.strip_prefix(b"\0\0\0\x05evm:1").unwrap();
    [head, b"\0\0\0\x06evm:01", after].concat()
}

/// The defects that every top-level value can have; `at` is where its tag stands.
fn spoiled<T: Wire>(of: &str, value: &T, at: usize) -> Vec<Bad> {
    let bytes = value.to_bytes();
    let cut = bytes[..bytes.len() - 1].to_vec();
    vec![
        bad::<T>("truncated", of, cut),
        bad::<T>("trailing", of, [bytes.clone(), vec![0]].concat()),
        bad::<T>("unknown tag", of, put(bytes.clone(), at, &[0xff, 0xff])),
        bad::<T>("version 0", of, put(bytes.clone(), at + 2, &[0])),
        bad::<T>("unknown version", of, put(bytes, at + 2, &[3])),
    ]
}

#[test]
fn each_bad_vector_is_refused_for_its_one_defect() {
    let held = Message::Held { reason: "x".repeat(257) };
    let long = Entry::PeerHeld(NodeId([2; 32]), "x".repeat(257));
    let record = |entry| Record { sequence: 0, previous: [0; 32], at: Timestamp(0), entry };
    let started = record(Entry::Started(Incarnation([0x55; 16])));
    let backwards = CeremonyPlan { members: plan().members.into_iter().rev().collect(), ..plan() };
    let twice = CeremonyPlan { members: vec![NodeId([1; 32]); 2], ..plan() };
    let none = CeremonyPlan { threshold: 0, ..plan() };
    let many = CeremonyPlan { threshold: 4, ..plan() };
    let ready = Message::PairReady { epoch: PairEpoch(2), mesh: [0x77; 32], heard: true };
    let ready = ready.to_bytes();
    let last = ready.len() - 1;
    let (ask, key) =
        (Ask::EvmCall { to: None, value: Amount::ZERO, data: vec![], gas_limit: None }, "k");
    let wordy = request("evm:1".parse().unwrap(), "m/0", ask, None, &key.repeat(257));
    let made: Vec<Bad> = [
        spoiled("record", &started, 0),
        spoiled("message", &messages()[0], 0),
        spoiled("hello", &hello(), 16),
        spoiled("plan", &plan(), 0),
        spoiled("request", &evm(), 0),
        vec![
            // The entry's number follows tag, version, sequence, hash and time.
            bad::<Record>("unknown entry", "record", put(started.to_bytes(), 51, &[19])),
            bad::<Record>("over-long text", "record", record(long).to_bytes()),
            bad::<Message>("unknown message", "message", put(messages()[0].to_bytes(), 3, &[99])),
            bad::<Message>("over-long text", "message", held.to_bytes()),
            bad::<Message>("flag neither 0 nor 1", "message", put(ready, last, &[2])),
            bad::<CeremonyPlan>("members backwards", "plan", backwards.to_bytes()),
            bad::<CeremonyPlan>("member twice", "plan", twice.to_bytes()),
            bad::<CeremonyPlan>("threshold 0", "plan", none.to_bytes()),
            bad::<CeremonyPlan>("threshold over members", "plan", many.to_bytes()),
            bad::<Request>("over-long idempotency key", "request", wordy.to_bytes()),
            bad::<Request>("network in another spelling", "request", respelled()),
        ],
    ]
    .into_iter()
    .flatten()
    .collect();
    let vectors = stored("bad.json", &made);
    assert_eq!(vectors, made);
    for Bad { name, of, bytes, error } in vectors {
        let bytes = hex::decode(bytes).unwrap();
        let found = match of.as_str() {
            "record" => Record::from_bytes(&bytes).err(),
            "message" => Message::from_bytes(&bytes).err(),
            "hello" => Hello::from_bytes(&bytes).err(),
            "plan" => CeremonyPlan::from_bytes(&bytes).err(),
            _ => Request::from_bytes(&bytes).err(),
        };
        assert_eq!(found.map(|e| e.to_string()), Some(error), "{of}: {name}");
    }
}

/// Goal: two sessions never share an id. Method: each field of a proposal is changed alone.
#[test]
fn every_field_of_a_proposal_is_bound_in_the_session_id() {
    let (_, asked, fill) = requests().remove(0);
    let base = proposal(asked, fill);
    let changed = [
        Proposal { request: Request { path: "m/1".parse().unwrap(), ..evm() }, ..base.clone() },
        Proposal { entry_signature: [0x34; 64], ..base.clone() },
        Proposal { attempt: 2, ..base.clone() },
        Proposal { fill: Fill::Nothing, ..base.clone() },
        Proposal { quorum: BTreeSet::from([Seat(1), Seat(2)]), ..base.clone() },
        Proposal { coordinator: NodeId([3; 32]), ..base.clone() },
    ];
    let ids: BTreeSet<SessionId> = changed.iter().chain([&base]).map(Proposal::session).collect();
    assert_eq!(ids.len(), 7);
}
