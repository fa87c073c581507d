//! A cluster that is ready to sign, made once per process: trust, pair state and one vault. Making pair state costs about
//! two seconds for three nodes, so worlds start from copies of these disks.

use crate::faults::Faults;
use crate::random::Seeded;
use crate::world::{Disk, World};
use engine::{Command, Reply};
use model::api;
use model::card::{NodeCard, NodeKey};
use model::hash;
use model::ids::VaultId;
use model::keys::Purpose;
use model::secret::Secret;
use std::sync::OnceLock;

/// Disks of a ready cluster.
#[derive(Debug, Clone)]
pub struct Ready {
    /// One per node.
    pub disks: Vec<Disk>,
    /// A test vault over all of them.
    pub vault: VaultId,
}

/// The key of simulated node `number`.
pub fn key(number: usize) -> NodeKey {
    let number = u64::try_from(number).unwrap_or(0).to_be_bytes();
    NodeKey::new(Secret::new(hash::tagged("outlast/sim-node/v1", &[&number])))
}

/// A world of `nodes` nodes that trust one another and nothing more.
pub fn strangers(seed: u64, nodes: usize) -> World {
    let fresh = (0..nodes).map(|number| (key(number), Disk::default())).collect();
    let mut world = World::new(seed, Faults::NONE, fresh);
    world.pass(10);
    for node in 0..nodes {
        for other in (0..nodes).filter(|other| *other != node) {
            let card = NodeCard::sign(&key(other), &format!("operator {other}"), "");
            let trust = api::TrustPeer { card: card.to_text(), words: card.words() };
            let reply = world.ask_and_wait(node, Command::Trust(trust), 10);
            assert!(matches!(reply, Some(Ok(_))), "trust failed: {reply:?}");
        }
    }
    world.pass(20_000);
    world
}

/// Runs a ceremony for a test vault over all nodes.
pub fn make_vault(world: &mut World, threshold: u16) -> VaultId {
    let members = (0..world.size()).filter_map(|node| world.id(node)).collect();
    let new =
        api::NewCeremony { purpose: Purpose::Test, name: "sim".to_owned(), members, threshold };
    let reply = world.ask_and_wait(0, Command::NewCeremony(new), 100);
    let Some(Ok(Reply::Ceremony(view))) = reply else { panic!("no ceremony: {reply:?}") };
    world.pass(20_000);
    let reply = world.ask_and_wait(0, Command::Ceremony(view.id), 100);
    let Some(Ok(Reply::Ceremony(view))) = reply else { panic!("no ceremony: {reply:?}") };
    assert_eq!(view.state, "done", "{:?} {:?}", view.failure, world.warnings);
    view.vault.unwrap_or_else(|| panic!("done without a vault"))
}

/// Three nodes, 3-of-3.
pub fn three_of_three() -> &'static Ready {
    static READY: OnceLock<Ready> = OnceLock::new();
    READY.get_or_init(|| ready(3))
}

/// Three nodes, 2-of-3.
pub fn two_of_three() -> &'static Ready {
    static READY: OnceLock<Ready> = OnceLock::new();
    READY.get_or_init(|| ready(2))
}

/// On a thread of its own, so that the backends' thread-local generators are fresh and the fixture is the same in every run.
fn ready(threshold: u16) -> Ready {
    let make = move || {
        let _seeded = Seeded::new(u64::from(threshold));
        let mut world = strangers(1, 3);
        let vault = make_vault(&mut world, threshold);
        let disks = (0..3).filter_map(|node| world.disk(node).cloned()).collect();
        Ready { disks, vault }
    };
    let made = std::thread::spawn(make).join();
    made.unwrap_or_else(|_| panic!("the fixture could not be made"))
}

impl Ready {
    /// A world that starts from copies of the disks.
    pub fn world(&self, seed: u64, faults: Faults) -> World {
        let nodes = self.disks.iter().enumerate();
        World::new(seed, faults, nodes.map(|(n, disk)| (key(n), disk.clone())).collect())
    }
}
