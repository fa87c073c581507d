//! Charters: read from TOML with every fault at its line, checked, written back, compared, and put into words.
//!
//! Spec: `docs/spec/charter.md`. Invariants: `parse(to_toml(c)) == c` for every charter that holds; a section that nobody
//! knows is refused; what is left out never loosens. Absent on purpose: signatures (`approvals`), the clock (whether a
//! delegation has ended is for the caller), and whether an address is one of its chain (`chains`).

mod approvals;
mod armor;
mod check;
mod credentials;
mod diff;
mod document;
mod entities;
mod fault;
mod forms;
mod read;
mod read_later;
mod read_levels;
mod requirements;
mod review;
mod review_later;
mod sections;
mod sections_later;
mod template;

pub use approvals::to_words as approvals_in_words;
pub use armor::{ARMOR_BYTES_MAX, ArmorError, from_armor, is_armored, to_armor};
pub use check::check;
pub use diff::{Difference, diff};
pub use entities::{
    Entity, counting_logs, counting_nodes, entities, fewest_entities, log_quorum, owner_entity,
};
pub use fault::{Code, Fault, Position, Severity};
pub use forms::{amount_text, date_text, duration_text};
pub use requirements::{DIMENSIONS, meaning as dimension_in_words};
pub use review::review;
pub use sections::to_toml;
pub use template::{Filled, Question, Template, TemplateError};

use model::charter::Charter;

/// What a text says, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The charter; `None` when the text does not read.
    pub charter: Option<Charter>,
    /// Faults and warnings in the order of the text.
    pub faults: Vec<Fault>,
}

impl Reading {
    /// True when nothing refuses the charter.
    pub fn holds(&self) -> bool {
        self.charter.is_some() && !self.faults.iter().any(Fault::refuses)
    }
}

/// Reads and checks a text; every fault and warning has its line. Meaning is checked only once the whole text reads.
pub fn read(text: &str) -> Reading {
    let log = document::Log::new(text);
    let charter = read::charter(text, &log).filter(|_| log.is_clean());
    if let Some(charter) = &charter {
        log.locate(check::check(charter));
    }
    Reading { charter, faults: log.into_faults() }
}

/// Reads a charter that holds, or everything that speaks against it.
pub fn parse(text: &str) -> Result<Charter, Vec<Fault>> {
    let Reading { charter, faults } = read(text);
    match charter {
        Some(charter) if !faults.iter().any(Fault::refuses) => Ok(charter),
        _ => Err(faults),
    }
}
