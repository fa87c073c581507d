//! Why a data directory was not made, opened or unsealed.

use crate::seal::SealError;
use model::card::CardError;
use model::ids::NodeId;
use std::path::PathBuf;

/// Why a data directory was not made, opened or unsealed.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Something is there already; nothing is ever overwritten.
    #[error("{} is not empty; choose a new directory", .0.display())]
    NotEmpty(PathBuf),
    /// No such directory or file.
    #[error("{} does not exist; make a node with `outlast node init`", .0.display())]
    Missing(PathBuf),
    /// Others than the owner may read or write it.
    #[error("{} has mode {found:04o}; others may reach it, wanted is {wanted:04o}", path.display())]
    Permissions {
        /// The file or directory.
        path: PathBuf,
        /// Mode found.
        found: u32,
        /// Mode wanted.
        wanted: u32,
    },
    /// Another process runs this node.
    #[error("another process (pid {pid}) uses this node's directory")]
    Locked {
        /// Its process id as it wrote it, or `unknown`.
        pid: String,
    },
    /// A setting is wrong.
    #[error("setting `{setting}`: {problem}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A file does not read.
    #[error("{0} does not read: {1}")]
    Malformed(&'static str, String),
    /// Written by another build.
    #[error("sealed.json has version {found}; this build reads {known}")]
    Version {
        /// Version found.
        found: u32,
        /// Version of this build.
        known: u32,
    },
    /// Files of two nodes in one directory.
    #[error("the card names node {card}, the sealed key node {sealed}")]
    OtherNode {
        /// Node of the card.
        card: NodeId,
        /// Node of the sealed key.
        sealed: NodeId,
    },
    /// The node's seed does not open under the data key, or is another node's.
    #[error("the node's key in sealed.json was changed")]
    SeedTampered,
    /// The card does not read.
    #[error("node.card does not read")]
    Card(#[from] CardError),
    /// The seal refused.
    #[error("the data key stays sealed")]
    Seal(#[from] SealError),
    /// A file operation failed.
    #[error("{step} {} failed", path.display())]
    Io {
        /// What was tried.
        step: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl HomeError {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotEmpty(_) => "home_not_empty",
            Self::Missing(_) => "home_missing",
            Self::Permissions { .. } => "home_permissions",
            Self::Locked { .. } => "home_locked",
            Self::Setting { .. } => "bad_setting",
            Self::Malformed(..) => "home_malformed",
            Self::Version { .. } => "home_version",
            Self::OtherNode { .. } => "home_other_node",
            Self::SeedTampered => "home_seed_tampered",
            Self::Card(_) => "home_card",
            Self::Seal(error) => error.code(),
            Self::Io { .. } => "home_io",
        }
    }
}
