//! Every message between nodes, spoiled in every way by one traitor: the code by which the honest nodes name it, or its
//! acceptance where it is harmless; and afterwards they sign: at once where no pair was stopped, else only once their
//! operators resumed it. The watch of the world asserts that nothing of a failed session leaves an honest node.

#![allow(clippy::panic, clippy::as_conversions, reason = "a test")]

use engine::{Command, Entry, JournalHead, Message, Record, Reply};
use model::api::{NewCeremony, RequestView};
use model::ids::{CeremonyId, NodeId, PairEpoch, SessionId, VaultId};
use model::keys::Purpose;
use model::wire::Wire;
use sim::random::Seeded;
use sim::run::request_in;
use sim::{Faults, World, fixture};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

/// What is done to every message of one kind that node 0 sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    /// A bit is flipped, at a place per mille behind the kind.
    Flip(usize),
    /// It comes twice.
    Twice,
    /// What was said in an earlier exercise is said again.
    Later,
    /// The step or round is one more or one less.
    Step(i8),
    /// The version of pair state is one more or one less.
    Epoch(i8),
    /// One byte follows.
    Trailing,
    /// Its bytes are more than anybody says.
    OverLong,
    /// It is said out of nothing.
    Unasked,
}

/// What makes node 0 say messages of some kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exercise {
    Link,
    Pair,
    /// The same, until what does not come is named.
    LatePair,
    Ceremony,
    /// The same, until what does not come is named.
    LateCeremony,
    /// The same, and node 1 proposes.
    Invited,
    Sign(u64),
    Idle,
}

fn kind_of(bytes: &[u8]) -> u8 {
    bytes.get(3).copied().unwrap_or_default()
}

fn moved(number: u8, by: i8) -> u8 {
    number.wrapping_add_signed(by)
}

fn spoiled(defect: Defect, mut frame: Vec<u8>) -> Vec<Vec<u8>> {
    match defect {
        Defect::Flip(per_mille) => {
            let at = 4 + (frame.len().saturating_sub(4)) * per_mille / 1000;
            if let Some(byte) = frame.get_mut(at) {
                *byte ^= 1;
            }
            vec![frame]
        }
        Defect::Twice => vec![frame.clone(), frame],
        Defect::Later | Defect::Unasked => vec![frame],
        Defect::Trailing => {
            frame.push(0);
            vec![frame]
        }
        Defect::Step(by) => {
            let message = match Message::from_bytes(&frame) {
                Ok(Message::Round { session, item, round, bytes }) => {
                    Message::Round { session, item, round: moved(round, by), bytes }
                }
                Ok(Message::Dkg { ceremony, round, bytes }) => {
                    Message::Dkg { ceremony, round: moved(round, by), bytes }
                }
                Ok(Message::PairStep { epoch, step, bytes }) => {
                    Message::PairStep { epoch, step: moved(step, by), bytes }
                }
                other => panic!("{other:?} has no step"),
            };
            vec![message.to_bytes()]
        }
        Defect::Epoch(by) => {
            let moved = |epoch: PairEpoch| PairEpoch(epoch.0.wrapping_add_signed(i32::from(by)));
            let message = match Message::from_bytes(&frame) {
                Ok(Message::PairOffer { epoch, nonce }) => {
                    Message::PairOffer { epoch: moved(epoch), nonce }
                }
                Ok(Message::PairStep { epoch, step, bytes }) => {
                    Message::PairStep { epoch: moved(epoch), step, bytes }
                }
                Ok(Message::PairReady { epoch, mesh, heard }) => {
                    Message::PairReady { epoch: moved(epoch), mesh, heard }
                }
                other => panic!("{other:?} has no version"),
            };
            vec![message.to_bytes()]
        }
        Defect::OverLong => {
            let long = |mut bytes: Vec<u8>| {
                bytes.resize(if kind_of(&frame) == 5 { 160_000 } else { 70_000 }, 0);
                bytes
            };
            let message = match Message::from_bytes(&frame) {
                Ok(Message::Round { session, item, round, bytes }) => {
                    Message::Round { session, item, round, bytes: long(bytes) }
                }
                Ok(Message::Dkg { ceremony, round, bytes }) => {
                    Message::Dkg { ceremony, round, bytes: long(bytes) }
                }
                Ok(Message::PairStep { epoch, step, bytes }) => {
                    Message::PairStep { epoch, step, bytes: long(bytes) }
                }
                Ok(Message::Proof { vault, bytes }) => Message::Proof { vault, bytes: long(bytes) },
                other => panic!("{other:?} has no bytes"),
            };
            vec![message.to_bytes()]
        }
    }
}

/// Messages that an honest node says only when something went wrong, or never to this one.
fn unasked(kind: u8, vault: VaultId) -> Vec<u8> {
    let (because, session) = ("because".to_owned(), SessionId([7; 32]));
    let ceremony = CeremonyId([7; 32]);
    let message = match kind {
        3 => Message::Held { reason: because },
        5 => Message::PairStep { epoch: PairEpoch(900), step: 1, bytes: vec![1] },
        7 => Message::PairStopped { epoch: PairEpoch(1) },
        9 => Message::CeremonyJoin(ceremony),
        10 => Message::CeremonyFail(ceremony, because),
        11 => Message::Dkg { ceremony, round: 1, bytes: vec![1] },
        12 => Message::VaultStored { ceremony, vault },
        14 => {
            let request = model::ids::RequestId([7; 32]);
            Message::Verdict { session, request, refusal: None }
        }
        15 => Message::Round { session, item: 0, round: 1, bytes: vec![1] },
        16 => Message::Abort { session, reason: because },
        18 => Message::ChallengeTell { vault, challenge: [7; 32] },
        19 => Message::Proof { vault, bytes: vec![7; 64] },
        20 => Message::ProofValid { vault },
        21 => Message::Journal(JournalHead::sign(&fixture::key(1), 0, 1_000_000, [7; 32])),
        22 => Message::CeremonyEvidence(ceremony, vec![7; 64]),
        _ => panic!("kind {kind} is said by itself"),
    };
    message.to_bytes()
}

/// Says what only a node says that has accepted the link; questions about clocks, which come with the time, aside.
fn speaks(frame: &[u8]) -> bool {
    !matches!(kind_of(frame), 1..=3 | 27 | 28)
}

/// Counts what was said otherwise than an honest node would: a case that spoils nothing shows nothing.
type Count = Rc<Cell<usize>>;

/// From here on node 0 spoils what it says of this kind; of pairs, whose making is dear, to node 1 alone.
fn spoil(world: &mut World, kind: u8, defect: Defect, vault: VaultId) -> Count {
    let spoilt = Count::default();
    let count = Rc::clone(&spoilt);
    let extra = (defect == Defect::Unasked).then(|| unasked(kind, vault));
    let mut said = 0;
    world.set_tamper(Some(Box::new(move |from, to, frame| {
        if from != 0 || to == 2 && (4..=7).contains(&kind) {
            return vec![frame];
        }
        // Once node 0 checked the link, and once more: the first may come before node 1 did, and is then not read.
        let ready = to == 1 && speaks(&frame);
        said += usize::from(ready);
        let more = extra.clone().filter(|_| ready && said <= 2);
        let hit = kind_of(&frame) == kind && defect != Defect::Unasked;
        count.set(count.get() + usize::from(hit || more.is_some()));
        let frames = if hit { spoiled(defect, frame) } else { vec![frame] };
        frames.into_iter().chain(more).collect()
    })));
    spoilt
}

/// From here on node 0 keeps what it says of this kind, to say it again in the next exercise.
fn replay(world: &mut World, kind: u8, exercise: Exercise, vault: VaultId) -> Count {
    let kept = Rc::new(RefCell::new(Vec::new()));
    let keep = Rc::clone(&kept);
    world.set_tamper(Some(Box::new(move |from, to, frame| {
        if (from, to) == (0, 1) && kind_of(&frame) == kind {
            keep.borrow_mut().push(frame.clone());
        }
        vec![frame]
    })));
    run(world, vault, exercise, 1);
    let mut kept: Vec<Vec<u8>> = kept.take();
    assert!(!kept.is_empty(), "kind {kind} was not said in {exercise:?}");
    kept.truncate(8);
    let said = Count::default();
    let count = Rc::clone(&said);
    world.set_tamper(Some(Box::new(move |from, to, frame| {
        let ready = (from, to) == (0, 1) && speaks(&frame);
        let old = if ready { std::mem::take(&mut kept) } else { Vec::new() };
        count.set(count.get() + old.len());
        [frame].into_iter().chain(old).collect()
    })));
    said
}

/// Codes of the answers to what the honest callers asked.
fn run(world: &mut World, vault: VaultId, exercise: Exercise, number: u64) -> Vec<String> {
    match exercise {
        Exercise::Link => {
            world.break_link(0, 1, 10);
            world.break_link(0, 2, 10);
            world.pass(8_000);
            Vec::new()
        }
        Exercise::Pair | Exercise::LatePair => {
            world.resume(0, "the clock jumped by 3600000 ms", None);
            world.pass(if exercise == Exercise::Pair { 1_500 } else { 16_500 });
            Vec::new()
        }
        Exercise::Ceremony | Exercise::LateCeremony | Exercise::Invited => {
            let members = (0..3).filter_map(|node| world.id(node)).collect();
            let (purpose, name) = (Purpose::Test, "spoiled".to_owned());
            let new = NewCeremony { purpose, name, members, threshold: 2 };
            // Node 0 proposes, so that it says all there is to say.
            let proposer = usize::from(exercise == Exercise::Invited);
            let reply = world.ask_and_wait(proposer, Command::NewCeremony(new), 100);
            assert!(matches!(reply, Some(Ok(_))), "{reply:?}");
            world.pass(if exercise == Exercise::Ceremony { 8_000 } else { 61 * 60_000 });
            Vec::new()
        }
        Exercise::Sign(kind) => {
            let mut codes = Vec::new();
            for node in [0, 1] {
                let view = sign(world, vault, node, kind, number * 10 + node as u64);
                codes.push(view.state);
                codes.extend(view.problem.map(|problem| problem.code));
            }
            // Journals are told once a second.
            world.pass(2_000);
            codes
        }
        Exercise::Idle => {
            // Long enough for every member's turn.
            world.pass(14 * 60_000);
            Vec::new()
        }
    }
}

fn sign(world: &mut World, vault: VaultId, node: usize, kind: u64, number: u64) -> RequestView {
    let new = request_in(world, vault, kind, number, 6_000);
    match world.ask_and_wait(node, Command::Submit { vault, new }, 30_000) {
        Some(Ok(Reply::Request(view))) => *view,
        other => panic!("{other:?}"),
    }
}

fn entries(world: &World, node: usize) -> Vec<Entry> {
    let records = world.disk(node).map(|disk| disk.records.as_slice()).unwrap_or_default();
    records.iter().filter_map(|bytes| Some(Record::from_bytes(bytes).ok()?.entry)).collect()
}

/// The pairs that a node's journal says are stopped.
fn stopped_pairs(world: &World, node: usize) -> BTreeSet<NodeId> {
    let mut stopped = BTreeSet::new();
    for entry in entries(world, node) {
        match entry {
            Entry::PairStopped(peer, ..) => stopped.insert(peer),
            Entry::PairResumed(peer) => stopped.remove(&peer),
            _ => false,
        };
    }
    stopped
}

/// Every node signs: with ECDSA only after the operators resumed the pairs that are stopped, and then with all.
fn assert_signs_on(world: &mut World, vault: VaultId, name: &str) -> bool {
    let stopped: Vec<(usize, NodeId)> = (0..3)
        .flat_map(|node| stopped_pairs(world, node).into_iter().map(move |peer| (node, peer)))
        .collect();
    if !stopped.is_empty() {
        let new = request_in(world, vault, 2, 900, 3_000);
        let reply = world.ask_and_wait(1, Command::Submit { vault, new }, 30_000);
        let signed = matches!(&reply, Some(Ok(Reply::Request(view))) if view.state == "signed");
        assert!(!signed, "{name}: a stopped pair signs");
        for (node, peer) in &stopped {
            let reply = world.ask_and_wait(*node, Command::ResumePair(*peer), 10);
            assert!(matches!(reply, Some(Ok(_))), "{name}: {reply:?}");
        }
        world.pass(8_000);
    }
    for (node, kind) in [(0, 4), (1, 1), (2, 2), (1, 3)] {
        let view = sign(world, vault, node, kind, 500 + kind);
        let warnings = &world.warnings;
        assert_eq!(view.state, "signed", "{name}: kind {kind} at {node}: {view:?} {warnings:?}");
    }
    !stopped.is_empty()
}

/// What is expected of one spoiled message: a code among those named by the honest nodes, and whether a pair was stopped.
/// Empty: it changes nothing, or is waited for in vain like what a lost link took, and nothing is named. `signing`: it went to
/// a session, signature or request that is not there, and as after silence the session ends by time.
type Case = (u8, Defect, Exercise, &'static str, bool);

/// Runs a case; what was found instead of what it expects, if that differs.
fn mismatch(case: Case) -> Option<String> {
    let (kind, defect, exercise, expected, stops) = case;
    let ready = fixture::three_of_three();
    let run_case = move || {
        let _seeded = Seeded::new(u64::from(kind));
        let mut world = ready.world(u64::from(kind), Faults::NONE);
        let vault = ready.vault;
        world.pass(3_000);
        let spoilt = if defect == Defect::Later {
            replay(&mut world, kind, exercise, vault)
        } else {
            spoil(&mut world, kind, defect, vault)
        };
        world.warnings.clear();
        let mut codes: BTreeSet<String> = run(&mut world, vault, exercise, 2).into_iter().collect();
        codes.extend(world.warnings.iter().filter(|w| w.0 != 0).map(|w| w.1.to_owned()));
        assert!(spoilt.get() > 0, "{case:?}: nothing was spoiled");
        // A refused proposal is named in the journal and to its proposer.
        codes.extend([1, 2].iter().flat_map(|node| entries(&world, *node)).filter_map(|entry| {
            if let Entry::Refused { code, .. } = entry { Some(code) } else { None }
        }));
        world.set_tamper(None);
        // Links that the garbage ended come back, and the traitor's own requests end.
        world.pass(25_000);
        if codes.contains("peer_held") {
            for node in [1, 2] {
                let Some(traitor) = world.id(0) else { panic!("no node 0") };
                let reply = world.ask_and_wait(node, Command::ReleasePeer(traitor), 10);
                assert!(matches!(reply, Some(Ok(_))), "{reply:?}");
            }
            world.pass(60_000);
        }
        let stopped = assert_signs_on(&mut world, vault, &format!("{case:?}"));
        assert!(!codes.contains("bug"), "{case:?}: {:?}", world.warnings);
        (codes, stopped)
    };
    let outcome = std::thread::spawn(run_case).join();
    let Ok((mut codes, stopped)) = outcome else { return Some(format!("{case:?}: failed")) };
    codes.remove("signed");
    // Node 0's own run: it was told to resume.
    codes.remove("resumed");
    let named = if expected.is_empty() { codes.is_empty() } else { codes.contains(expected) };
    (!named || stopped != stops).then(|| format!("{case:?}: {codes:?}, stopped: {stopped}"))
}

fn check(cases: impl IntoIterator<Item = Case>) {
    let wrong: Vec<String> = cases.into_iter().filter_map(mismatch).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

use Defect::{Epoch, Flip, Later, OverLong, Step, Trailing, Twice, Unasked};
use Exercise::{Ceremony, Idle, Invited, LateCeremony, LatePair, Link, Pair, Sign};

#[test]
fn what_is_wrong_with_a_word_about_journals_is_named() {
    check([
        (1, Flip(0), Link, "malformed_message", false),
        (1, Flip(500), Link, "forged_head", false),
        (1, Flip(990), Link, "forged_head", false),
        (1, Twice, Link, "", false),
        (1, Later, Link, "", false),
        (1, Trailing, Link, "malformed_message", false),
        (2, Flip(0), Link, "wrong_history", false),
        (2, Flip(150), Link, "peer_held", false),
        (2, Flip(990), Link, "forged_head", false),
        (2, Twice, Link, "", false),
        (2, Later, Link, "", false),
        (2, Trailing, Link, "malformed_message", false),
        (3, Unasked, Link, "held_by_peer", false),
        (21, Flip(500), Sign(2), "forged_head", false),
        (21, Flip(990), Sign(2), "forged_head", false),
        (21, Twice, Sign(2), "", false),
        (21, Later, Sign(2), "", false),
        (21, Trailing, Sign(2), "malformed_message", false),
        (21, Unasked, Link, "forged_head", false),
    ]);
}

#[test]
fn what_is_wrong_with_a_word_about_pairs_is_named() {
    check([
        (4, Flip(0), Pair, "pair_version", false),
        (4, Flip(500), Pair, "pair_setup_failed", false),
        (4, Twice, Pair, "", false),
        (4, Later, Pair, "", false),
        (4, Epoch(1), Pair, "wrong_epoch", false),
        (4, Epoch(-1), LatePair, "pair_setup_late", false),
        (4, Trailing, Pair, "malformed_message", false),
        (6, Flip(500), Pair, "pair_mismatch", false),
        (6, Twice, Pair, "", false),
        (6, Later, Pair, "", false),
        (6, Epoch(1), Pair, "pair_mismatch", false),
        (6, Epoch(-1), Pair, "pair_mismatch", false),
        (6, Trailing, Pair, "malformed_message", false),
        (7, Unasked, Link, "pair_stopped_by_peer", false),
    ]);
}

#[test]
fn what_is_wrong_with_a_step_of_pair_state_is_named() {
    check([
        (5, Flip(500), Pair, "pair_setup_failed", false),
        (5, Twice, Pair, "duplicate_message", false),
        (5, Later, Pair, "wrong_round", false),
        (5, Step(1), Pair, "wrong_round", false),
        (5, Step(1), LatePair, "pair_setup_late", false),
        (5, Step(-1), Pair, "wrong_round", false),
        (5, Epoch(1), Pair, "wrong_epoch", false),
        (5, Epoch(-1), Pair, "wrong_epoch", false),
        (5, Trailing, Pair, "malformed_message", false),
        (5, OverLong, Pair, "over_long_message", false),
        (5, Unasked, Link, "wrong_epoch", false),
    ]);
}

#[test]
fn what_is_wrong_with_a_word_about_ceremonies_is_named() {
    check([
        (8, Flip(0), Ceremony, "malformed_message", false),
        (8, Flip(990), LateCeremony, "ceremony_failed", false),
        (8, Twice, Ceremony, "", false),
        (8, Later, Ceremony, "", false),
        (8, Trailing, Ceremony, "malformed_message", false),
        (9, Flip(500), Ceremony, "", false),
        (9, Flip(500), Invited, "ceremony_failed", false),
        (9, Twice, Ceremony, "", false),
        (9, Later, Ceremony, "", false),
        (9, Trailing, Ceremony, "malformed_message", false),
        (9, Unasked, Link, "", false),
        (10, Unasked, Link, "", false),
        (11, Flip(10), Ceremony, "unknown_ceremony", false),
        (11, Flip(500), Ceremony, "ceremony_failed", false),
        (11, Flip(990), Ceremony, "ceremony_failed", false),
        (11, Twice, Ceremony, "duplicate_message", false),
        (11, Later, Ceremony, "wrong_round", false),
        (11, Step(1), Ceremony, "wrong_round", false),
        (11, Step(-1), Ceremony, "wrong_round", false),
        (11, Trailing, Ceremony, "malformed_message", false),
        (11, OverLong, Ceremony, "over_long_message", false),
        (11, Unasked, Link, "unknown_ceremony", false),
        (12, Flip(990), Ceremony, "vault_mismatch", false),
        (12, Twice, Ceremony, "", false),
        (12, Later, Ceremony, "", false),
        (12, Trailing, Ceremony, "malformed_message", false),
        (12, Unasked, Link, "unknown_ceremony", false),
        (22, Unasked, Link, "unknown_ceremony", false),
    ]);
}

#[test]
fn what_is_wrong_with_a_word_about_sessions_is_named() {
    check([
        (13, Flip(0), Sign(2), "malformed_message", false),
        (13, Flip(100), Sign(2), "unknown_vault", false),
        (13, Flip(500), Sign(2), "invalid_coordinator", false),
        (13, Flip(740), Sign(2), "entry_signature", false),
        (13, Flip(990), Sign(2), "invalid_coordinator", false),
        (13, Twice, Sign(2), "duplicate_message", false),
        (13, Later, Sign(2), "duplicate_message", false),
        (13, Trailing, Sign(2), "malformed_message", false),
        (14, Flip(300), Sign(2), "", false),
        (14, Flip(700), Sign(2), "unasked_verdict", false),
        (14, Flip(990), Sign(2), "malformed_message", false),
        (14, Twice, Sign(2), "duplicate_message", false),
        (14, Later, Sign(2), "", false),
        (14, Trailing, Sign(2), "malformed_message", false),
        (14, Unasked, Link, "", false),
        (16, Unasked, Link, "", false),
    ]);
}

#[test]
fn what_is_wrong_with_a_round_of_ecdsa_is_named() {
    check([
        (15, Flip(1), Sign(4), "unknown_session", false),
        (15, Flip(500), Sign(4), "pair_stopped", true),
        (15, Flip(900), Sign(4), "pair_stopped", true),
        (15, Flip(999), Sign(4), "pair_stopped", true),
        (15, Twice, Sign(4), "duplicate_message", false),
        (15, Later, Sign(4), "", false),
        (15, Step(1), Sign(4), "wrong_round", false),
        (15, Step(-1), Sign(4), "wrong_round", false),
        (15, Trailing, Sign(4), "malformed_message", false),
        (15, OverLong, Sign(4), "over_long_message", false),
        (15, Unasked, Link, "unknown_session", false),
    ]);
}

#[test]
fn what_is_wrong_with_a_round_of_frost_is_named() {
    // The last byte says which signature: of a taproot send out of two coins it is the other one.
    for (kind, other) in [(1, "unknown_item"), (3, "misbehaved")] {
        check([
            (15, Flip(1), Sign(kind), "unknown_session", false),
            (15, Flip(500), Sign(kind), "misbehaved", false),
            (15, Flip(900), Sign(kind), "misbehaved", false),
            (15, Flip(999), Sign(kind), other, false),
            (15, Twice, Sign(kind), "duplicate_message", false),
            (15, Later, Sign(kind), "", false),
            (15, Step(1), Sign(kind), "wrong_round", false),
            (15, Step(-1), Sign(kind), "wrong_round", false),
            (15, Trailing, Sign(kind), "malformed_message", false),
            (15, OverLong, Sign(kind), "over_long_message", false),
        ]);
    }
}

#[test]
fn what_is_wrong_with_a_proof_is_named() {
    check([
        (17, Flip(500), Idle, "unknown_vault", false),
        (17, Twice, Idle, "", false),
        (17, Later, Idle, "", false),
        (17, Trailing, Idle, "malformed_message", false),
        (18, Flip(500), Idle, "", false),
        (18, Twice, Idle, "", false),
        (18, Trailing, Idle, "malformed_message", false),
        (18, Unasked, Link, "", false),
        (19, Flip(300), Idle, "proof_invalid", false),
        (19, Flip(900), Idle, "proof_invalid", false),
        (19, Twice, Idle, "unasked_proof", false),
        (19, Later, Idle, "unasked_proof", false),
        (19, Trailing, Idle, "malformed_message", false),
        (19, OverLong, Idle, "malformed_message", false),
        (19, Unasked, Link, "unasked_proof", false),
        (20, Flip(500), Idle, "", false),
        (20, Twice, Idle, "", false),
        (20, Trailing, Idle, "malformed_message", false),
        (20, Unasked, Link, "", false),
    ]);
}

/// Goal: in 3-of-3 the blame falls on the traitor and nobody else. Method: node 0 spoils the OT messages and answers of one
/// ECDSA signature; every pair that an honest node stopped is its pair with node 0.
#[test]
fn the_node_that_is_blamed_for_a_spoiled_ecdsa_message_is_the_traitor() {
    for per_mille in [300, 900] {
        let ready = fixture::three_of_three();
        let run = move || {
            let _seeded = Seeded::new(per_mille);
            let mut world = ready.world(per_mille, Faults::NONE);
            world.pass(3_000);
            let at = usize::try_from(per_mille).unwrap_or(0);
            spoil(&mut world, 15, Flip(at), ready.vault);
            let view = sign(&mut world, ready.vault, 1, 4, 1);
            assert_ne!(view.state, "signed");
            world.pass(5_000);
            let traitor: BTreeSet<NodeId> = world.id(0).into_iter().collect();
            let blamed: Vec<_> = [1, 2].map(|node| stopped_pairs(&world, node)).to_vec();
            assert!(blamed.contains(&traitor), "nobody is blamed: {:?}", world.warnings);
            assert!(blamed.iter().all(|peers| peers.is_subset(&traitor)), "{blamed:?}");
            let words = world.warnings.iter().filter(|w| w.0 != 0 && w.1 == "pair_stopped");
            let words: Vec<&String> = words.map(|w| &w.2).collect();
            assert!(words.iter().all(|w| w.contains("pair with operator 0 failed")), "{words:?}");
            assert!(!words.is_empty());
        };
        if let Err(panic) = std::thread::spawn(run).join() {
            std::panic::resume_unwind(panic);
        }
    }
}
