//! Many sessions at once through the same pairs: every one ends, none waits for its time-out; and what a traitor learns who
//! has 256 of them in flight.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test")]
#![allow(clippy::as_conversions, clippy::indexing_slicing, reason = "a test")]

#[path = "../../threshold/tests/common/traitor.rs"]
mod traitor;

use engine::{Caller, Command, CommandId, Entry, Message, Proposal, Record, Reply};
use model::api;
use model::curve::{Curve, Secp256k1};
use model::ids::{NodeId, SessionId, VaultId};
use model::keys::{KeyKind, Purpose};
use model::limits;
use model::wire::Wire;
use sim::random::Seeded;
use sim::run::request_of_kind;
use sim::{Faults, World, fixture};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use threshold::shares::VaultPublic;
use traitor::{COLUMNS, Place, Stored, stored};

/// Goal: a last message that a gate holds back still leaves after this node has its own signature. Method: 60 ECDSA
/// sessions in flight on every pair, frames overtaking one another; all are signed long before a session's time-out.
#[test]
fn parallel_sessions_of_one_pair_all_end() {
    let ready = fixture::three_of_three();
    let run = move || {
        let _seeded = Seeded::new(11);
        let calm = Faults { delay_ms_max: 40, ..Faults::NONE };
        let mut world = ready.world(11, calm);
        world.pass(3_000);
        let ids: Vec<_> = (0..60u64)
            .map(|number| {
                let new = request_of_kind(2, number, 15_000);
                world.ask((number % 3) as usize, Command::Submit { vault: ready.vault, new })
            })
            .collect();
        world.pass(10_000);
        for id in ids {
            let reply = world.reply(id);
            let Some(Ok(Reply::Request(view))) = reply else { panic!("waits: {reply:?}") };
            assert_eq!(view.state, "signed", "{view:?}");
        }
        assert_eq!(world.watch().pairs_stopped, 0);
    };
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}

/// The program that uses the second vault at every node.
const PROGRAM: Caller = Caller::Client([7; 32]);
/// Columns that a lucky traitor tries before it is caught.
const LUCK: usize = 3;

/// Node 0 betrays node 1: it bends each of its first messages in another column, holds them back until all sessions are in
/// flight, and is silent besides.
struct Hand {
    state: Stored,
    vaults: BTreeMap<VaultId, VaultPublic>,
    nodes: [NodeId; 2],
    /// Public key and digest that each session is about.
    about: BTreeMap<SessionId, (Vec<u8>, Vec<u8>)>,
    rows: Vec<usize>,
    /// Sessions in the order of their columns.
    order: Vec<SessionId>,
    held: VecDeque<Vec<u8>>,
    /// Held messages that leave with the next frame.
    release: usize,
    /// Sessions in which node 1 answered, in order.
    answered: Vec<SessionId>,
}

impl Hand {
    fn touch(&mut self, from: usize, to: usize, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        match Message::from_bytes(&bytes) {
            Ok(Message::Propose(proposal)) => self.note(&proposal),
            Ok(Message::Round { session, item, round, bytes: body }) => {
                match (from, to, round) {
                    (0, 1, 1) => self.bend(session, item, body),
                    (1, 0, 2) => self.answered.push(session),
                    (1, 2, _) | (2, 1, _) => return vec![bytes],
                    _ => {}
                }
                return Vec::new();
            }
            _ => {}
        }
        let mut out = vec![bytes];
        if (from, to) == (0, 1) {
            let leave = self.release.min(self.held.len());
            out.extend(self.held.drain(..leave));
            self.release -= leave;
        }
        out
    }

    fn note(&mut self, proposal: &Proposal) {
        let keys = &self.vaults[&proposal.request.vault].keys;
        let plan = chains::build(keys, &proposal.request, &proposal.fill).unwrap();
        let [item] = &plan.items[..] else { panic!("one item") };
        let key = keys.secp256k1_at(KeyKind::Ecdsa, &item.path).unwrap();
        let key = Secp256k1::point_to_bytes(&key.point).to_vec();
        self.about.insert(proposal.session(), (key, item.message.clone()));
    }

    fn bend(&mut self, session: SessionId, item: u16, mut bytes: Vec<u8>) {
        // A second attempt finds no column left to try.
        let Some(row) = self.rows.get(self.order.len()).copied() else { return };
        let (public_key, digest) = &self.about[&session];
        let seats = self.vaults.values().next().unwrap();
        let [traitor, honest] = self.nodes.map(|node| seats.seat_of(node).unwrap().0 as u8);
        let place = Place { public_key, digest, parties: &[1, 2, 3], traitor, honest };
        if self.order.is_empty() {
            self.state.bend(&place, &mut bytes.clone(), None);
        }
        self.state.bend(&place, &mut bytes, Some(row));
        self.order.push(session);
        self.held.push_back(Message::Round { session, item, round: 1, bytes }.to_bytes());
    }
}

/// The correlation of a node towards a peer, and all that the peer stores of it.
fn pair_of(world: &World, node: usize, peer: NodeId) -> Stored {
    stored(&world.disk(node).unwrap().secrets[&format!("pair/{peer}")])
}

fn public_of(world: &World, vault: VaultId) -> VaultPublic {
    let secrets = &world.disk(0).unwrap().secrets;
    VaultPublic::from_bytes(&secrets[&format!("vault/{vault}/public")]).unwrap()
}

/// A second vault over the same nodes and pairs, and a program at every node that uses it: one vault's share of a node alone
/// would not let 256 sessions begin.
fn second_vault(world: &mut World) -> VaultId {
    let vault = fixture::make_vault(world, 3);
    let Caller::Client(token_hash) = PROGRAM else { panic!("no program") };
    for node in 0..world.size() {
        let new = api::NewClient { name: "program".to_owned(), vaults: vec![vault] };
        let made = world.ask_and_wait(node, Command::NewClient { new, token_hash }, 1_000);
        assert!(matches!(made, Some(Ok(Reply::Client(_)))), "{made:?}");
    }
    vault
}

/// 256 requests, spread over all entry nodes and both vaults.
fn ask_for_all(world: &mut World, first: VaultId, second: VaultId) -> Vec<CommandId> {
    let ask = |number: usize| {
        let (node, at_node) = (number % 3, number / 3);
        let (caller, vault) = if at_node < limits::REQUESTS_UNDER_WAY_MAX {
            (Caller::Operator, first)
        } else {
            (PROGRAM, second)
        };
        let new = request_of_kind(2, number as u64, 5_000);
        world.ask_as(node, caller, Command::Submit { vault, new })
    };
    (0..COLUMNS).map(ask).collect()
}

/// The traitor lets this many of its held messages go, behind a frame of its own that must be sent.
fn let_go(world: &mut World, hand: &Rc<RefCell<Hand>>, count: usize) {
    hand.borrow_mut().release = count;
    let new = api::NewCeremony {
        purpose: Purpose::Test,
        name: "a pretext".to_owned(),
        members: (0..world.size()).filter_map(|node| world.id(node)).collect(),
        threshold: 3,
    };
    let reply = world.ask_and_wait(0, Command::NewCeremony(new), 100);
    assert!(matches!(reply, Some(Ok(Reply::Ceremony(_)))), "{reply:?}");
    assert_eq!(hand.borrow().release, 0, "the messages are on their way");
}

fn hand_of(world: &World, vaults: [VaultId; 2], rows: Vec<usize>) -> Hand {
    let nodes = [world.id(0).unwrap(), world.id(1).unwrap()];
    Hand {
        state: pair_of(world, 0, nodes[1]),
        vaults: vaults.map(|vault| (vault, public_of(world, vault))).into(),
        nodes,
        about: BTreeMap::new(),
        rows,
        order: Vec::new(),
        held: VecDeque::new(),
        release: 0,
        answered: Vec::new(),
    }
}

/// Goal: K6 with whole nodes. Method: 256 sessions over two vaults are in flight on one pair before the first of the traitor's
/// bent messages arrives; with luck its first three columns are unset and the fourth is set. Node 1 answers a prefix of
/// these and nothing after the first failed check, whichever worker is done first; the stop is durable before anything else
/// leaves (the watch asserts it at every frame) and the state is gone.
fn attack(at_once: bool) {
    let ready = fixture::three_of_three();
    let run = move || {
        let _seeded = Seeded::new(12);
        let mut world = ready.world(12, Faults { delay_ms_max: 1, ..Faults::NONE });
        world.pass(3_000);
        let second = second_vault(&mut world);
        let traitor = world.id(0).unwrap();
        let truth = pair_of(&world, 1, traitor).sender.ote_sender.correlation.clone();
        let (unset, set): (Vec<usize>, Vec<usize>) = (0..COLUMNS).partition(|row| !truth[*row]);
        let rows = [&unset[..LUCK], &set[..1], &unset[LUCK..], &set[1..]].concat();
        let hand = Rc::new(RefCell::new(hand_of(&world, [ready.vault, second], rows)));
        let touched = Rc::clone(&hand);
        world.set_tamper(Some(Box::new(move |from, to, bytes| {
            touched.borrow_mut().touch(from, to, bytes)
        })));
        let asked = ask_for_all(&mut world, ready.vault, second);
        world.pass(2_000);
        assert_eq!(hand.borrow().held.len(), COLUMNS, "{:?}", world.warnings);
        let in_flight = world.engine(1).unwrap().status().sessions;
        assert_eq!(in_flight, COLUMNS as u64, "all sessions are in flight before any is judged");
        if !at_once {
            let_go(&mut world, &hand, LUCK);
            world.pass(1_000);
            assert_eq!(hand.borrow().answered.len(), LUCK, "{:?}", world.warnings);
            assert_eq!(world.watch().pairs_stopped, 0);
        }
        let rest = hand.borrow().held.len();
        let_go(&mut world, &hand, rest);
        world.pass(40_000);
        let hand = hand.borrow();
        assert!(hand.held.is_empty(), "every bent message was sent");
        // What left is a run of luck: the first sessions in their order, none at or behind the first set column.
        let left = hand.answered.len();
        assert!(left <= LUCK && (at_once || left == LUCK), "{left} answers");
        assert_eq!(hand.answered, hand.order[..left]);
        // Durable, with the state gone; and nothing was signed.
        let disk = world.disk(1).unwrap();
        assert!(!disk.secrets.contains_key(&format!("pair/{traitor}")), "{:?}", world.warnings);
        let stopped = |record: &Vec<u8>| {
            let entry = Record::from_bytes(record).unwrap().entry;
            matches!(entry, Entry::PairStopped(peer, ..) if peer == traitor)
        };
        assert_eq!(disk.records.iter().filter(|record| stopped(record)).count(), 1);
        assert!(world.watch().signed_requests.is_empty());
        for id in asked {
            let Some(reply) = world.reply(id) else { panic!("no answer") };
            let signed = matches!(&reply, Ok(Reply::Request(view)) if view.state == "signed");
            assert!(!signed, "{reply:?}");
        }
    };
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn invariant_k6_256_sessions_in_flight_give_a_traitor_one_run_of_luck() {
    attack(false);
}

#[test]
fn invariant_k6_256_bent_messages_at_once_give_a_traitor_no_more_than_a_prefix() {
    attack(true);
}
