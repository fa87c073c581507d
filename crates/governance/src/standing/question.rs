//! What acts ask for, so that acts of several people which ask for the same are counted together.

use super::set::Seen;
use model::act::{Act, Body, Change};
use model::charter::{BookEntry, Credential};
use model::ids::{ActId, CharterId};
use model::intent::Network;
use model::time::Timestamp;

/// An address of a book: what it is, not what it is called.
pub type Place = (Network, String);

/// One thing that acts ask for. Restraints come first in the order, so that at one instant they work first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Question {
    /// A credential signs nothing enabling any more.
    Revoke { person: String, credential: Credential },
    /// An address leaves a book. One act, one question: it may come back and leave again.
    Remove { act: ActId, level: String, place: Place },
    /// A person leaves a group.
    Leave { act: ActId, level: String, group: String, person: String },
    /// A freeze is lifted by people of a level.
    Lift { freeze: ActId, level: String },
    /// A credential follows a lost one.
    Replace { person: String, lost: Credential, new: Credential },
    /// An address joins a book.
    Add { level: String, place: Place, name: String },
    /// A person joins a group.
    Join { level: String, group: String, person: String, until: Timestamp },
    /// A version of the charter follows one that is in force.
    Amend { base: CharterId, next: CharterId },
}

/// What additions and removals are about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// An address in a level's book.
    Place { level: String, place: Place },
    /// A person in a group.
    Member { group: String, person: String },
}

/// Acts that ask for one thing, and since when they suffice.
#[derive(Debug, Clone, Default)]
pub(super) struct Proposal<'a> {
    pub(super) acts: Vec<&'a Seen>,
    pub(super) met_since: Option<Timestamp>,
    pub(super) done: bool,
}

fn place(entry: &BookEntry) -> Place {
    (entry.network, entry.address.clone())
}

impl Question {
    /// What an act asks for; nothing for freezes, acknowledgements and signs of life.
    pub(super) fn of(id: ActId, act: &Act) -> Vec<Self> {
        match &act.body {
            Body::Amend { next } => vec![Self::Amend { base: act.charter, next: *next }],
            Body::Revoke { person, credential } => {
                vec![Self::Revoke { person: person.clone(), credential: credential.clone() }]
            }
            Body::Replace { person, lost, new } => {
                vec![Self::Replace { person: person.clone(), lost: lost.clone(), new: new.clone() }]
            }
            Body::Unfreeze { level, lifts } => {
                let lift = |freeze: &ActId| Self::Lift { freeze: *freeze, level: level.clone() };
                lifts.iter().map(lift).collect()
            }
            Body::Register { level, change } => vec![Self::of_change(id, level, change)],
            Body::Approve(_)
            | Body::Ask(_)
            | Body::Reject(_)
            | Body::Freeze { .. }
            | Body::Reserve { .. }
            | Body::Acknowledge { .. }
            | Body::CheckIn => Vec::new(),
        }
    }

    /// The entry of a register that is added or removed.
    pub(super) fn subject(&self) -> Option<Subject> {
        match self {
            Self::Add { level, place, .. } | Self::Remove { level, place, .. } => {
                Some(Subject::Place { level: level.clone(), place: place.clone() })
            }
            Self::Join { group, person, .. } | Self::Leave { group, person, .. } => {
                Some(Subject::Member { group: group.clone(), person: person.clone() })
            }
            _ => None,
        }
    }

    /// True when its answer may change that of another question: who is who, and which version is in force.
    pub(super) fn bears_on_others(&self) -> bool {
        !matches!(self, Self::Add { .. } | Self::Remove { .. } | Self::Lift { .. })
    }

    /// True for the two that add.
    pub(super) fn adds(&self) -> bool {
        matches!(self, Self::Add { .. } | Self::Join { .. })
    }

    fn of_change(act: ActId, level: &str, change: &Change) -> Self {
        let level = level.to_owned();
        match change {
            Change::AddAddress(entry) => {
                Self::Add { level, place: place(entry), name: entry.name.clone() }
            }
            Change::RemoveAddress(entry) => Self::Remove { act, level, place: place(entry) },
            Change::AddMember { group, person, until } => {
                let (group, person) = (group.clone(), person.clone());
                Self::Join { level, group, person, until: *until }
            }
            Change::RemoveMember { group, person } => {
                Self::Leave { act, level, group: group.clone(), person: person.clone() }
            }
        }
    }
}
