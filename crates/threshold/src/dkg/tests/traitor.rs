//! One traitor departs from one round; every honest member ends with evidence against it.

use super::{TRAITOR, World, flip};
use crate::dkg::bodies::{Body, Commit, Complaint, Confirm, Reveal, Verdict};
use crate::dkg::broadcast::{Broadcast, Echo, Message};
use crate::dkg::party::Dealt;
use crate::dkg::{DkgError, Evidence, EvidenceError, State, verify_evidence};
use crate::proof::KnowledgeProof;
use crate::subshare::Context;
use crate::testing::{SeededEntropy, committee, halves};
use model::curve::{Curve, Secp256k1};
use model::ids::Seat;
use model::secret::Secret;
use std::collections::BTreeMap;

#[test]
fn two_broadcasts_in_one_round_are_found_by_every_peer() {
    let three = || World::new(committee(3, 1..=3));
    let mut world = three();
    world.resign_as::<Commit>(Some(Seat(1)), |body| body.commitment[0] ^= 1);
    world.finish();
    world.convicts("dkg_equivocation");

    let mut world = three().turns(1);
    world.resign_as::<Reveal>(Some(Seat(1)), |body| {
        flip(body.sealed.get_mut(&Seat(3)).unwrap(), |len| len - 1);
    });
    world.finish();
    world.convicts("dkg_equivocation");

    // Both say "no objection", and differ in the signature that they echo.
    let mut world = three().turns(2);
    world.resign_as::<Verdict>(Some(Seat(1)), |body| {
        body.echo.0.get_mut(&Seat(1)).unwrap().signature[0] ^= 1;
    });
    world.finish();
    world.convicts("dkg_equivocation");
}

#[test]
fn an_echo_of_what_nobody_signed_convicts_the_echoer() {
    for round in 2..=4u8 {
        let mut world = World::new(committee(2, 1..=3)).turns(round - 1);
        let lie = |echo: &mut Echo| {
            echo.0.get_mut(&Seat(1)).unwrap().digest[0] ^= 1;
        };
        match round {
            2 => world.resign_as::<Reveal>(None, |body| lie(&mut body.echo)),
            3 => world.resign_as::<Verdict>(None, |body| lie(&mut body.echo)),
            _ => world.resign_as::<Confirm>(None, |body| lie(&mut body.echo)),
        }
        world.finish();
        world.convicts("dkg_forged_echo");
    }
}

#[test]
fn a_reveal_that_does_not_open_its_commitment_convicts() {
    let mut world = World::new(committee(3, 1..=3));
    let State::Committed(state) = &mut world.running.get_mut(&TRAITOR).unwrap().state else {
        unreachable!()
    };
    state.dealt.offer.chain[0] ^= 1;
    world.finish();
    world.convicts("dkg_wrong_reveal");
}

#[test]
fn a_dealer_that_does_not_know_what_it_deals_is_convicted() {
    let two = Secp256k1::scalar_from_u64(2);
    let world = || {
        World::with(committee(3, 1..=3), |dealt| {
            let mut entropy = SeededEntropy::new(99);
            dealt.offer.bip340 = KnowledgeProof::<Secp256k1>::prove(&two, b"x", &mut entropy);
        })
    };
    let mut first = world();
    first.finish();
    first.convicts("dkg_invalid_proof");

    // A proof that holds for another key of the same dealer.
    let mut swapped = World::with(halves(), |dealt| dealt.offer.bip340 = dealt.offer.ecdsa.clone());
    swapped.finish();
    swapped.convicts("dkg_invalid_proof");
}

#[test]
fn a_repeated_ephemeral_key_of_an_honest_dealer_convicts() {
    let mut world = World::new(committee(3, 1..=3)).turns(1);
    let honest = Message::read(&world.mail[&(Seat(3), Seat(1))]).unwrap().broadcast;
    let honest = Reveal::parse(&world.plan, &honest).unwrap();
    let copied = honest.sealed[&Seat(3)].clone();
    world.resign_as::<Reveal>(None, |body| {
        body.sealed.insert(Seat(3), copied.clone());
    });
    world.finish();
    world.convicts("dkg_invalid_proof");
}

#[test]
fn bodies_that_do_not_read_convict() {
    for round in 1..=4u8 {
        let broken: [fn(&mut Vec<u8>); 3] =
            [|body| body.push(0), |body| body.truncate(body.len() - 1), |body| body.clear()];
        for alter in broken {
            let mut world = World::new(committee(2, 1..=3)).turns(round - 1);
            world.resign(None, alter);
            world.finish();
            world.convicts("dkg_malformed_broadcast");
        }
    }
    // A polynomial of higher degree: one commitment more, and the length says so.
    let mut world = World::new(committee(2, 1..=3)).turns(1);
    world.resign(None, |body| {
        let at = 3 * 96;
        assert_eq!(body[at..at + 4], 66u32.to_be_bytes());
        let extra = body[at + 4..at + 37].to_vec();
        body[at + 3] += 33;
        body.splice(at + 4..at + 4, extra);
    });
    world.finish();
    world.convicts("dkg_malformed_broadcast");
}

#[test]
fn a_bad_subshare_convicts_its_dealer_by_complaint() {
    let wrong: [fn(&mut Dealt); 3] = [
        |dealt| dealt.shares.get_mut(&Seat(3)).unwrap().ecdsa = Secret::new([1; 32]),
        |dealt| dealt.shares.get_mut(&Seat(1)).unwrap().ed25519 = Secret::new([1; 32]),
        |dealt| dealt.shares.get_mut(&Seat(1)).unwrap().bip340 = Secret::new([0xff; 32]),
    ];
    for alter in wrong {
        for tree in [committee(3, 1..=3), committee(2, 1..=3), halves()] {
            let mut world = World::with(tree, alter);
            world.finish();
            world.convicts("dkg_complaint");
        }
    }
    let mut garbage = World::new(committee(3, 1..=3)).turns(1);
    garbage.resign_as::<Reveal>(None, |body| {
        flip(body.sealed.get_mut(&Seat(1)).unwrap(), |len| len - 1);
    });
    garbage.finish();
    garbage.convicts("dkg_complaint");
}

#[test]
fn crying_wolf_convicts_the_complainer() {
    let dealer = Seat(1);
    for honest_opening in [true, false] {
        let mut world = World::new(committee(3, 1..=3)).turns(1);
        let dealt = Message::read(&world.mail[&(TRAITOR, dealer)]).unwrap().broadcast;
        let sealed = Reveal::parse(&world.plan, &dealt).unwrap().sealed[&TRAITOR].clone();
        let State::Revealed(state) = &world.running[&TRAITOR].state else { unreachable!() };
        let claimed = if honest_opening { dealer } else { Seat(3) };
        let context = Context::new(&world.plan.digest(), claimed, TRAITOR, world.plan.epoch);
        let opening = state.receive.opening(&sealed, context, &mut SeededEntropy::new(7));
        world.turn();
        let complaint = Complaint { dealer, opening };
        world.resign_as::<Verdict>(None, |body| body.complaint = Some(complaint.clone()));
        world.finish();
        world.convicts("dkg_complaint");
    }
}

#[test]
fn a_complaint_about_swapped_broadcasts_frames_nobody() {
    let mut world = World::with(committee(3, 1..=3), |dealt| {
        dealt.shares.get_mut(&Seat(3)).unwrap().ecdsa = Secret::new([1; 32]);
    });
    world.finish();
    let DkgError::Misbehaved { evidence, .. } = &world.failed[&Seat(1)] else { unreachable!() };
    let Evidence::Complaint { receiver, dealt, complaint } = &**evidence else { unreachable!() };
    let sign = |of: &Broadcast, body: Vec<u8>| {
        Broadcast::sign(of.plan, of.round, of.seat, body, &world.keys[&of.seat])
    };
    // The complainer swaps its receive key.
    let mut commit = Commit::parse(&world.plan, receiver).unwrap();
    commit.receive_key += Secp256k1::mul_base(&Secp256k1::one());
    let swapped = Evidence::Complaint {
        receiver: sign(receiver, commit.to_bytes()),
        dealt: dealt.clone(),
        complaint: complaint.clone(),
    };
    assert_eq!(verify_evidence(&world.plan, &swapped), Err(EvidenceError::Unrelated));
    // The dealer swaps what it dealt.
    let mut reveal = Reveal::parse(&world.plan, dealt).unwrap();
    reveal.echo.0.get_mut(&Seat(1)).unwrap().signature[0] ^= 1;
    let swapped = Evidence::Complaint {
        receiver: receiver.clone(),
        dealt: sign(dealt, reveal.to_bytes()),
        complaint: complaint.clone(),
    };
    assert_eq!(verify_evidence(&world.plan, &swapped), Err(EvidenceError::Unrelated));
}

#[test]
fn confirming_another_vault_convicts() {
    let alters: [fn(&mut Confirm); 2] = [|body| body.vault.0[0] ^= 1, |body| body.roots[5] ^= 1];
    for alter in alters {
        let mut world = World::new(committee(2, 1..=3)).turns(3);
        world.resign_as::<Confirm>(None, alter);
        world.finish();
        world.convicts("dkg_wrong_confirmation");
    }
}

#[test]
fn evidence_made_of_honest_broadcasts_shows_no_breach() {
    let mut world = World::new(committee(2, 1..=3));
    let (plan, mut said) = (world.plan.clone(), BTreeMap::new());
    for round in 1..=4u8 {
        for ((_, from), bytes) in &world.mail {
            said.insert((round, *from), Message::read(bytes).unwrap().broadcast);
        }
        world.turn();
    }
    let get = |round: u8, seat| said[&(round, Seat(seat))].clone();
    let none =
        |evidence| assert_eq!(verify_evidence(&plan, &evidence), Err(EvidenceError::NoBreach));
    for round in 1..=4u8 {
        none(Evidence::Malformed(get(round, 1)));
        let (first, second) = (get(round, 1).mark, get(round, 1).mark);
        none(Evidence::Equivocation { seat: Seat(1), round, first, second });
        if round > 1 {
            none(Evidence::ForgedEcho { echo: get(round, 1), about: Seat(3) });
        }
    }
    none(Evidence::WrongReveal { commit: get(1, 1), reveal: get(2, 1) });
    none(Evidence::InvalidProof(get(2, 1)));
    none(Evidence::Complaint { receiver: get(1, 1), dealt: get(2, 2), complaint: get(3, 1) });
    let transcript = world.done[&Seat(1)].transcript.clone();
    none(Evidence::WrongConfirmation { transcript, confirm: get(4, 1) });
    let mixed = Evidence::WrongReveal { commit: get(1, 2), reveal: get(2, 1) };
    assert_eq!(verify_evidence(&plan, &mixed), Err(EvidenceError::Unrelated));
    let (first, second) = (get(1, 1).mark, get(2, 1).mark);
    let two_rounds = Evidence::Equivocation { seat: Seat(1), round: 1, first, second };
    assert_eq!(verify_evidence(&plan, &two_rounds), Err(EvidenceError::Unsigned));
}
