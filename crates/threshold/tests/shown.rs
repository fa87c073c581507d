//! What a message shows of its sender's one-time scalars is read from the right place, and differs in every session.

mod common;

use common::{Session, Vault, committee, root_item};
use model::curve::{Curve, Ed25519, Secp256k1};
use model::keys::KeyKind;
use std::collections::{BTreeMap, BTreeSet};
use threshold::sign::shown;

#[test]
fn every_session_shows_fresh_points_and_the_same_ones_to_every_peer() {
    let vault = Vault::deal(committee(3, 3), 71);
    for (key, round, count) in
        [(KeyKind::Ecdsa, 2, 1), (KeyKind::Bip340, 1, 2), (KeyKind::Ed25519, 1, 2)]
    {
        let mut seen = BTreeSet::new();
        for attempt in 1..=2 {
            let session = Session::new(&vault, &[1, 2, 3], root_item(key, 1), attempt);
            let mut told = BTreeMap::new();
            let mut packages = BTreeSet::new();
            session.run_with(|at, from, _, bytes| {
                let shown = shown(bytes).unwrap();
                assert_eq!((shown.head.round, shown.head.from), (at, from));
                assert_eq!(shown.package.is_some(), key != KeyKind::Ecdsa && at == 2);
                packages.extend(shown.package);
                if at != round {
                    return assert!(shown.points.is_empty());
                }
                assert_eq!(shown.points.len(), count);
                for point in &shown.points {
                    let sound = match key {
                        KeyKind::Ed25519 => Ed25519::point_from_bytes(point).is_some(),
                        _ => Secp256k1::point_from_bytes(point).is_some(),
                    };
                    assert!(sound, "{key:?}: these bytes are no point");
                }
                let first = told.entry(from).or_insert_with(|| shown.points.clone());
                assert_eq!(*first, shown.points, "another commitment for another peer");
            });
            assert_eq!(told.len(), 3);
            let lists = usize::from(key != KeyKind::Ecdsa);
            assert_eq!(packages.len(), lists, "FROST: all nonces answer one list");
            assert!(told.into_values().flatten().all(|point| seen.insert(point)));
        }
    }
    assert!(shown(b"garbage").is_none());
}
