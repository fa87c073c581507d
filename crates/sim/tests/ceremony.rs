//! What a ceremony leaves behind: a record that convinces a stranger, at every honest node, whatever a traitor did.

#![allow(clippy::panic, clippy::as_conversions, clippy::unwrap_used, reason = "a test")]

use engine::record::{CeremonyRecord, Finding, RECORD_BYTES_MAX, RecordRefusal, verify_record};
use engine::{Command, Message, Reply};
use model::api::{NewCeremony, RecordView};
use model::card::SigningUse;
use model::hash::tagged;
use model::ids::{CeremonyId, NodeId, VaultId};
use model::keys::{KeyKind, Purpose};
use model::wire::{Reader, Wire, Writer, tags};
use sim::random::Seeded;
use sim::world::Tamper;
use sim::{World, fixture};
use threshold::shares::{VaultPublic, VaultShare};

/// Runs `test` on a thread of its own, so that the backends' generators are fresh.
fn alone(seed: u64, test: impl FnOnce() + Send + 'static) {
    let run = move || {
        let _seeded = Seeded::new(seed);
        test();
    };
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

fn record(world: &mut World, node: usize, command: Command) -> (RecordView, Vec<u8>) {
    let reply = world.ask_and_wait(node, command, 100);
    let Some(Ok(Reply::Record(view))) = reply else { panic!("node {node}: {reply:?}") };
    let bytes = unhex(&view.record);
    (*view, bytes)
}

/// What a traitor changes in the body of a broadcast.
type Change = fn(&mut Vec<u8>);

/// One way to cheat: the round, to whom (`None`: all), what is changed, and the breach that is proven.
struct Cheat(u8, Option<usize>, Change, &'static str);

/// The bytes of docs/spec/dkg.md, written again: opens a message of key generation, changes the body of its broadcast and
/// signs it anew with node 0's key, as a traitor would. Returns the message and the broadcast's mark.
fn resigned(bytes: &[u8], change: impl FnOnce(&mut Vec<u8>, u16)) -> (Vec<u8>, Vec<u8>) {
    let mut r = Reader::new(bytes);
    r.header(tags::DKG_MESSAGE, 1).unwrap();
    r.header(tags::DKG_BROADCAST, 1).unwrap();
    let (plan, round, seat): ([u8; 32], u8, u16) =
        (r.fixed().unwrap(), r.u8().unwrap(), r.u16().unwrap());
    let mut body = r.bytes(64 * 1024).unwrap();
    r.fixed::<64>().unwrap();
    let private = r.option(|r| r.fixed::<64>()).unwrap();
    change(&mut body, seat);
    let digest = tagged("outlast/dkg/broadcast/v1", &[&body]);
    let mut signed = Writer::default();
    signed.header(tags::DKG_MARK, 1);
    signed.fixed(&plan);
    signed.u8(round);
    signed.u16(seat);
    signed.fixed(&digest);
    let signature = fixture::key(0).sign(SigningUse::Ceremony, &signed.into_bytes());
    let mut w = Writer::default();
    w.header(tags::DKG_MESSAGE, 1);
    w.header(tags::DKG_BROADCAST, 1);
    w.fixed(&plan);
    w.u8(round);
    w.u16(seat);
    w.bytes(&body);
    w.fixed(&signature);
    w.option(private.as_ref(), |w, private| w.fixed(private));
    (w.into_bytes(), [&digest[..], &signature].concat())
}

fn cheating(cheat: Cheat) -> Tamper {
    let Cheat(wanted, victim, change, _) = cheat;
    let mut mark: Option<Vec<u8>> = None;
    Box::new(move |from, to, bytes| {
        let Ok(Message::Dkg { ceremony, round, bytes: body }) = Message::from_bytes(&bytes) else {
            return vec![bytes];
        };
        // The victims are the honest nodes: 1 and 2.
        let hit = from == 0 && round == wanted && victim.is_none_or(|victim| victim == to);
        let bytes = if hit {
            let (bytes, made) = resigned(&body, |body, _| change(body));
            mark = Some(made);
            bytes
        } else if let (0, Some(mark), None) = (from, &mark, victim) {
            // Who told all the same lie also echoes it as its own word.
            let echo = |body: &mut Vec<u8>, seat: u16| {
                let at = 96 * (usize::from(seat) - 1);
                body.splice(at..at + 96, mark.iter().copied());
            };
            if round == wanted + 1 { resigned(&body, echo).0 } else { body }
        } else {
            body
        };
        vec![Message::Dkg { ceremony, round, bytes }.to_bytes()]
    })
}

/// Runs a ceremony of three nodes in which node 0 cheats.
fn broken_ceremony(seed: u64, cheat: Cheat) -> (World, CeremonyId) {
    let mut world = fixture::strangers(seed, 3);
    world.set_tamper(Some(cheating(cheat)));
    let members = (0..3).filter_map(|node| world.id(node)).collect();
    let (purpose, name) = (Purpose::Test, "cheated".to_owned());
    let new = NewCeremony { purpose, name, members, threshold: 2 };
    let reply = world.ask_and_wait(1, Command::NewCeremony(new), 100);
    let Some(Ok(Reply::Ceremony(view))) = reply else { panic!("{reply:?}") };
    world.pass(20_000);
    (world, view.id)
}

/// Goal: whoever cheats in key generation is convicted by a file that every honest node holds, at once and after a restart.
/// Method: node 0 signs wrong broadcasts in each round, to one node or to all.
#[test]
fn every_honest_node_holds_evidence_that_names_the_traitor() {
    let cheats = || {
        let grow: Change = |body| body.push(0);
        let first: Change = |body| *body.first_mut().unwrap() ^= 1;
        let last: Change = |body| *body.last_mut().unwrap() ^= 1;
        // Past the echo of three broadcasts: the vault id.
        let vault: Change = |body| *body.get_mut(3 * 96).unwrap() ^= 1;
        [
            Cheat(1, Some(1), first, "dkg_equivocation"),
            Cheat(1, None, grow, "dkg_malformed_broadcast"),
            Cheat(1, None, first, "dkg_wrong_reveal"),
            Cheat(2, Some(2), last, "dkg_equivocation"),
            Cheat(2, None, last, "dkg_complaint"),
            Cheat(2, None, first, "dkg_forged_echo"),
            Cheat(3, None, grow, "dkg_malformed_broadcast"),
            Cheat(4, None, vault, "dkg_wrong_confirmation"),
            Cheat(4, Some(2), vault, "dkg_wrong_confirmation"),
        ]
    };
    for (number, cheat) in (0u64..).zip(cheats()) {
        alone(number, move || {
            let breach = cheat.3;
            let (mut world, id) = broken_ceremony(number, cheat);
            let culprit = world.id(0).unwrap();
            for restarted in [false, true] {
                for node in 1..3 {
                    let (view, bytes) = record(&mut world, node, Command::Evidence(id));
                    assert_eq!((view.ceremony, view.vault), (id, None));
                    assert_eq!(view.culprit, Some(culprit), "{breach} at node {node}");
                    convicts(&bytes, id, culprit, breach);
                }
                let reply = world.ask_and_wait(1, Command::Ceremony(id), 100);
                if let (Some(Ok(Reply::Ceremony(view))), false) = (reply, restarted) {
                    assert_eq!(view.culprit, Some(culprit));
                }
                (1..3).for_each(|node| world.crash(node));
                world.pass(10_000);
            }
            assert!(!world.warnings.iter().any(|(_, code, _)| *code == "bug"));
        });
    }
}

/// The hand signs other broadcasts than node 0 itself, whose own echoes may show that: a wrong reveal or a wrong
/// share of it may then be proven as equivocation, which is as true. Which comes first is for the order of messages to say;
/// either names the culprit to a stranger.
fn is_proven(found: &str, wanted: &str) -> bool {
    let told_all = ["dkg_wrong_reveal", "dkg_complaint"].contains(&wanted);
    found == wanted || (told_all && found == "dkg_equivocation")
}

fn convicts(bytes: &[u8], id: CeremonyId, wanted: NodeId, wanted_breach: &str) {
    let verified = verify_record(bytes).unwrap();
    assert_eq!(verified.plan.id(), id);
    let Finding::Broken { culprit, breach, .. } = verified.finding else { panic!("no breach") };
    assert_eq!(culprit, wanted);
    assert!(is_proven(breach, wanted_breach), "{breach}, not {wanted_breach}");
}

/// Goal: no byte of a proof can be changed. Method: every byte of short evidence, places all over long evidence.
#[test]
fn evidence_with_a_changed_byte_is_refused_by_name() {
    let last: Change = |body| *body.last_mut().unwrap() ^= 1;
    let first: Change = |body| *body.first_mut().unwrap() ^= 1;
    let cheats =
        [Cheat(1, Some(1), first, ""), Cheat(2, None, last, ""), Cheat(2, None, first, "")];
    for (number, cheat) in (50u64..).zip(cheats) {
        alone(number, move || {
            let (mut world, id) = broken_ceremony(number, cheat);
            let (_, bytes) = record(&mut world, 1, Command::Evidence(id));
            refuses_changes(&bytes, 400);
        });
    }
}

fn refuses_changes(bytes: &[u8], places: usize) {
    for at in (0..bytes.len()).step_by(1 + bytes.len() / places) {
        let mut changed = bytes.to_vec();
        *changed.get_mut(at).unwrap() ^= 1 << (at % 8);
        let refused = verify_record(&changed).map(|verified| verified.finding);
        let name = refused.as_ref().map_err(RecordRefusal::code).unwrap_err();
        assert!(!name.is_empty(), "byte {at}");
    }
    assert!(verify_record(bytes.split_last().unwrap().1).is_err(), "cut");
    assert!(verify_record(&[bytes, &[0]].concat()).is_err(), "longer");
    let long = vec![0; RECORD_BYTES_MAX + 1];
    assert_eq!(verify_record(&long).unwrap_err().code(), "record_too_long");
}

/// Goal: the record of a vault proves it, holds nothing confidential, and cannot be changed. Method: every member's record,
/// the sealed values of every member's disk, places all over the bytes.
#[test]
fn the_record_of_a_vault_proves_it_and_holds_no_secret() {
    let ready = fixture::two_of_three();
    alone(7, move || {
        let mut world = ready.world(7, sim::Faults::NONE);
        world.pass(3_000);
        let first = record(&mut world, 0, Command::VaultCeremony(ready.vault)).1;
        for node in 0..3 {
            let (view, bytes) = record(&mut world, node, Command::VaultCeremony(ready.vault));
            assert_eq!((view.vault, view.culprit), (Some(ready.vault), None));
            assert_eq!(bytes, first, "members hold one record");
            let disk = world.disk(node).unwrap();
            proves(&bytes, ready.vault, disk.secrets.get(&name(ready.vault, "public")).unwrap());
            let share = disk.secrets.get(&name(ready.vault, "share")).unwrap();
            let share = VaultShare::from_bytes(share).unwrap();
            let absent = |secret: &[u8; 32]| !bytes.windows(32).any(|found| found == secret);
            let shares = [share.ecdsa.expose(), share.bip340.expose(), share.ed25519.expose()];
            assert!(shares.into_iter().all(absent), "a share stands in the record");
            let public = disk.secrets.get(&name(ready.vault, "public")).unwrap();
            let keys = VaultPublic::from_bytes(public).unwrap().keys;
            let codes =
                [keys.ecdsa.chain_code.0, keys.bip340.chain_code.0, keys.ed25519.chain_code.0];
            assert!(codes.iter().all(absent), "a chain code stands in the record");
        }
        refuses_changes(&first, 300);
        // A record that says more than the rounds did: another name, another member's confirmation.
        let CeremonyRecord::Made { plan, transcript, confirmations } =
            CeremonyRecord::from_bytes(&first).unwrap()
        else {
            panic!("no vault")
        };
        let renamed = model::keys::Purpose::Live;
        let live = engine::CeremonyPlan { purpose: renamed, ..plan.clone() };
        let changed = CeremonyRecord::Made { plan: live, transcript, confirmations };
        assert_eq!(verify_record(&changed.to_bytes()), Err(RecordRefusal::Plan));
    });
}

fn name(vault: VaultId, what: &str) -> String {
    format!("vault/{vault}/{what}")
}

fn proves(bytes: &[u8], wanted: VaultId, public: &[u8]) {
    let public = VaultPublic::from_bytes(public).unwrap();
    let Finding::Made { vault, keys, commitments } = verify_record(bytes).unwrap().finding else {
        panic!("no vault")
    };
    assert_eq!(vault, wanted);
    let root = model::hd::DerivationPath::root();
    for kind in KeyKind::ALL {
        let key = public.keys.public_at(kind, &root).unwrap();
        assert!(keys.contains(&(kind, key)), "{kind}");
    }
    assert!(commitments.contains(&(KeyKind::Ecdsa, public.ecdsa.to_bytes())));
    assert!(commitments.contains(&(KeyKind::Ed25519, public.ed25519.to_bytes())));
}

/// Goal: a peer cannot make a node believe in evidence. Method: a member sends other members a real record of a vault, and
/// bytes that are none, under the id of a running ceremony.
#[test]
fn evidence_that_does_not_hold_is_refused_and_blames_nobody() {
    alone(9, || {
        let mut world = fixture::strangers(9, 3);
        let mut told = false;
        world.set_tamper(Some(Box::new(move |from, _to, bytes| {
            let Ok(Message::Dkg { ceremony, .. }) = Message::from_bytes(&bytes) else {
                return vec![bytes];
            };
            if from != 0 || core::mem::replace(&mut told, true) {
                return vec![bytes];
            }
            vec![bytes, Message::CeremonyEvidence(ceremony, vec![5, 4, 1, 2]).to_bytes()]
        })));
        fixture::make_vault(&mut world, 3);
        let refused = world.warnings.iter().filter(|(_, code, _)| *code == "evidence_refused");
        assert_eq!(refused.count(), 1, "{:?}", world.warnings);
    });
}
