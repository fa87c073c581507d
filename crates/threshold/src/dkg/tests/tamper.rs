//! Altered, replayed and misplaced messages: each ends in a named error, none in a panic.

use super::{TRAITOR, World};
use crate::dkg::bodies::Confirm;
use crate::dkg::broadcast::{Message, write_message};
use crate::dkg::{DkgError, Fault, verify_evidence};
use crate::testing::committee;
use model::ids::Seat;
use model::limits;
use model::wire::WireError;

#[test]
fn what_cannot_be_proven_is_named_without_evidence() {
    let mut world = World::new(committee(2, 1..=3)).turns(1);
    for ((_, from), bytes) in &mut world.mail {
        if *from == TRAITOR {
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
        }
    }
    world.finish();
    for seat in world.honest() {
        let wanted = DkgError::Unproven { from: TRAITOR, fault: Fault::ChainCode };
        assert_eq!(world.failed[&seat], wanted);
    }
    let mut world = World::new(committee(2, 1..=3)).turns(3);
    world.resign_as::<Confirm>(None, |body| body.chain_codes[0] ^= 1);
    world.finish();
    for seat in world.honest() {
        let wanted = DkgError::Unproven { from: TRAITOR, fault: Fault::OtherChainCodes };
        assert_eq!(world.failed[&seat], wanted);
    }
}

#[test]
fn a_message_out_of_place_has_a_named_error() {
    let replaced = |turns, alter: &dyn Fn(&mut World, Vec<u8>) -> Vec<u8>| {
        let mut world = World::new(committee(2, 1..=3)).turns(turns);
        let bytes = world.mail[&(Seat(1), TRAITOR)].clone();
        let bytes = alter(&mut world, bytes);
        world.mail.insert((Seat(1), TRAITOR), bytes);
        world.turn();
        match world.failed.remove(&Seat(1)) {
            Some(DkgError::Unproven { from: TRAITOR, fault }) => fault,
            other => panic!("{other:?}"),
        }
    };
    let long = limits::MESSAGE_BYTES_MAX + 1;
    let max = limits::MESSAGE_BYTES_MAX;
    assert_eq!(replaced(0, &|_, _| vec![0; long]), Fault::TooLong { found: long, max });
    let truncated = |fault| matches!(fault, Fault::Wire(WireError::Truncated { .. }));
    assert!(truncated(replaced(1, &|_, bytes| bytes[..bytes.len() - 1].to_vec())));
    assert!(truncated(replaced(1, &|_, _| Vec::new())));
    let trailing = replaced(0, &|_, bytes| [bytes, vec![0]].concat());
    assert_eq!(trailing, Fault::Wire(WireError::Trailing(1)));
    let foreign = |w: &mut World, _| w.mail[&(Seat(1), Seat(3))].clone();
    assert_eq!(replaced(0, &foreign), Fault::Seat { found: 3 });
    let early = World::new(committee(2, 1..=3)).mail[&(Seat(1), TRAITOR)].clone();
    let replay = replaced(1, &|_, _| early.clone());
    assert_eq!(replay, Fault::Round { found: 1, wanted: 2 });
    let other = World::new(committee(3, 1..=3)).mail[&(Seat(1), TRAITOR)].clone();
    assert_eq!(replaced(0, &|_, _| other.clone()), Fault::Ceremony);
    let unsigned = replaced(0, &|_, mut bytes| {
        let at = bytes.len() - 2;
        bytes[at] ^= 1;
        bytes
    });
    assert_eq!(unsigned, Fault::Signature);
    let no_private =
        replaced(1, &|_, bytes| write_message(&Message::read(&bytes).unwrap().broadcast, None));
    assert_eq!(no_private, Fault::Private);
}

/// Goal: no byte of a message can be altered on its way without a named error. Method: each region, one run each.
#[test]
fn an_altered_byte_on_the_wire_ends_in_a_named_error() {
    for turns in 0..4u8 {
        let length = World::new(committee(2, 1..=3)).turns(turns).mail[&(Seat(1), TRAITOR)].len();
        for at in (0..length).step_by(1 + length / 40) {
            let mut world = World::new(committee(2, 1..=3)).turns(turns);
            world.mail.get_mut(&(Seat(1), TRAITOR)).unwrap()[at] ^= 1;
            world.turn();
            let error = &world.failed[&Seat(1)];
            assert!(
                matches!(error, DkgError::Unproven { from: TRAITOR, .. }),
                "round {} byte {at}: {error:?}",
                turns + 1
            );
        }
    }
}

/// Goal: whatever a traitor signs, honest members either all blame it or all finish with one vault.
#[test]
fn an_altered_byte_under_a_good_signature_blames_the_traitor_or_changes_nothing() {
    for turns in 0..4u8 {
        let mail = World::new(committee(2, 1..=3)).turns(turns).mail;
        let length = Message::read(&mail[&(Seat(1), TRAITOR)]).unwrap().broadcast.body.len();
        for at in (0..length).step_by(1 + length / 50) {
            let mut world = World::new(committee(2, 1..=3)).turns(turns);
            world.resign(None, |body| body[at] ^= 1);
            world.finish();
            let place = format!("round {} byte {at}", turns + 1);
            for seat in world.honest() {
                match world.failed.get(&seat) {
                    Some(DkgError::Misbehaved { culprit, evidence }) => {
                        assert_eq!(*culprit, TRAITOR, "{place}");
                        assert_eq!(verify_evidence(&world.plan, evidence), Ok(TRAITOR), "{place}");
                    }
                    Some(DkgError::Unproven { from: TRAITOR, .. }) => (),
                    None => assert_eq!(world.done[&seat].vault, world.done[&Seat(1)].vault),
                    other => panic!("{place}: {other:?}"),
                }
            }
        }
    }
}
