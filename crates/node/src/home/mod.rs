//! The data directory of one node: made once, opened by one process at a time.
//!
//! ```text
//! node.toml        public settings, edited by the operator
//! node.card        the signed card, given to other operators
//! sealed.json      the wrapped data key, and the node's seed under that key
//! operator.token   bearer token of the operator's own command
//! state.sqlite     journal and sealed secrets (`store`)
//! lock             held while a process uses the directory
//! ```
//!
//! Invariants: directory 0700 and files 0600, checked at every open; no key lies here unsealed; a directory appears
//! whole or not at all. Absent on purpose: any passphrase, and any list of peers (those stand in the journal).

mod error;
mod files;
mod settings;

pub use error::HomeError;
pub use settings::{
    ApiTlsSettings, ChainRpc, DebugSettings, LogFormat, Logging, Settings, StoreSettings,
    TamperPair,
};

use crate::entropy::OsEntropy;
use crate::seal::{Bounds, SealKind, SealWith, Wrapped};
use crate::sealed_box;
use crate::store::{SqliteStore, StoreError, StoreOptions};
use model::card::{NodeCard, NodeKey};
use model::entropy::Entropy;
use model::ids::NodeId;
use model::secret::Secret;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::{Path, PathBuf};
use zeroize::Zeroize;

const SETTINGS: &str = "node.toml";
const CARD: &str = "node.card";
const SEALED: &str = "sealed.json";
const TOKEN: &str = "operator.token";
const STORE: &str = "state.sqlite";
const LOCK: &str = "lock";

/// What a new node is made of.
#[derive(Debug)]
pub struct InitOptions {
    /// What goes into `node.toml`.
    pub settings: Settings,
    /// The seal of the data key.
    pub seal: SealWith,
}

/// `sealed.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedFile {
    version: u32,
    node: NodeId,
    data_key: Wrapped,
    node_seed: String,
}

impl SealedFile {
    fn to_text(&self) -> Result<String, HomeError> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| HomeError::Malformed(SEALED, error.to_string()))?;
        Ok(line(&text))
    }
}

/// Settings that pass are written and read again as the same ones.
pub(crate) fn fuzz_settings(text: &str) {
    let Ok(settings) = Settings::parse(text) else { return };
    if settings.check().is_ok() {
        let again = Settings::parse(&settings.to_toml()).ok();
        assert_eq!(again, Some(settings), "settings that read back otherwise");
    }
}

/// A sealed file opens by no passphrase that was not its own, and is written and read again as the same one. A dear
/// derivation is left out.
pub(crate) fn fuzz_sealed(text: &str) {
    let Ok(sealed) = serde_json::from_str::<SealedFile>(text) else { return };
    let again = sealed.to_text().ok().and_then(|text| serde_json::from_str(&text).ok());
    assert_eq!(again.as_ref(), Some(&sealed), "a sealed file that reads back otherwise");
    if sealed.data_key.is_cheap() {
        let bounds = Bounds { node: sealed.node, scratch: Path::new("/"), test_home: true };
        let stranger = Secret::new("a stranger's guess".to_owned());
        let opened = sealed.data_key.unwrap_key(Some(&stranger), bounds);
        assert!(opened.is_err(), "a stranger opened a seal");
    }
}

/// The opened keys of a node.
#[derive(Debug)]
pub struct Unsealed {
    /// Names the node to its peers.
    pub node_key: NodeKey,
    /// Seals everything in the store.
    pub data_key: Secret<[u8; 32]>,
}

/// A data directory that this process holds alone.
#[derive(Debug)]
pub struct Home {
    dir: PathBuf,
    settings: Settings,
    sealed: SealedFile,
    card: NodeCard,
    _lock: File,
}

impl Home {
    /// Refuses settings or a place that [`Home::create`] would refuse.
    pub fn check_new(dir: &Path, settings: &Settings) -> Result<(), HomeError> {
        settings.check()?;
        files::refuse_used(dir)
    }

    /// Makes the directory and returns the new node's card.
    ///
    /// Everything is written beside `dir` first and moved there in one step; a failure leaves nothing behind.
    pub fn create(dir: &Path, options: &InitOptions) -> Result<NodeCard, HomeError> {
        Self::check_new(dir, &options.settings)?;
        let draft = files::Draft::beside(dir)?;
        let card = write_all(draft.path(), options)?;
        draft.move_to(dir)?;
        Ok(card)
    }

    /// Opens the directory and takes its lock.
    pub fn open(dir: &Path) -> Result<Self, HomeError> {
        files::check_private_dir(dir)?;
        let lock = files::lock(&dir.join(LOCK))?;
        let settings = Settings::parse(&files::read_private(&dir.join(SETTINGS))?)?;
        settings.check()?;
        let sealed: SealedFile = serde_json::from_str(&files::read_private(&dir.join(SEALED))?)
            .map_err(|error| HomeError::Malformed(SEALED, error.to_string()))?;
        if sealed.version != 1 {
            return Err(HomeError::Version { found: sealed.version, known: 1 });
        }
        let card = NodeCard::from_text(&files::read_private(&dir.join(CARD))?)?;
        if card.node != sealed.node {
            return Err(HomeError::OtherNode { card: card.node, sealed: sealed.node });
        }
        Ok(Self { dir: dir.to_owned(), settings, sealed, card, _lock: lock })
    }

    /// Opens the keys; only a passphrase seal reads `passphrase`.
    ///
    /// # Security
    /// Slow on purpose for a passphrase: run it off the async threads.
    pub fn unseal(&self, passphrase: Option<&Secret<String>>) -> Result<Unsealed, HomeError> {
        let node = self.sealed.node;
        let bounds = Bounds { node, scratch: &self.dir, test_home: self.settings.test_home };
        let data_key = self.sealed.data_key.unwrap_key(passphrase, bounds)?;
        let sealed_seed = hex::decode(&self.sealed.node_seed)
            .map_err(|error| HomeError::Malformed(SEALED, error.to_string()))?;
        let seed = sealed_box::open(data_key.expose(), &seed_place(&node), &sealed_seed)
            .ok_or(HomeError::SeedTampered)?;
        let seed =
            <[u8; 32]>::try_from(seed.expose().as_slice()).map_err(|_| HomeError::SeedTampered)?;
        let node_key = NodeKey::new(Secret::new(seed));
        if node_key.id() != node {
            return Err(HomeError::SeedTampered);
        }
        Ok(Unsealed { node_key, data_key })
    }

    /// Puts the data key under another seal. The key stays the same, so an old copy of `sealed.json` still opens with
    /// the old seal: destroy such copies.
    pub fn reseal(&mut self, unsealed: &Unsealed, seal: &SealWith) -> Result<(), HomeError> {
        let node = self.sealed.node;
        let bounds = Bounds { node, scratch: &self.dir, test_home: self.settings.test_home };
        let data_key = Wrapped::wrap(seal, bounds, &unsealed.data_key)?;
        let sealed = SealedFile { data_key, ..self.sealed.clone() };
        files::replace_private(&self.dir, SEALED, &sealed.to_text()?)?;
        self.sealed = sealed;
        Ok(())
    }

    /// Opens the store under the opened data key.
    pub fn open_store(&self, unsealed: &Unsealed) -> Result<SqliteStore, StoreError> {
        let options = StoreOptions { pages_max: self.settings.store.pages_max };
        let data_key = unsealed.data_key.duplicate();
        SqliteStore::open(&self.dir.join(STORE), self.sealed.node, data_key, options)
    }

    /// Looks into the store without opening the data key: see [`crate::store::inspect`]. None: it was never opened.
    pub fn inspect_store(&self, entry: impl FnMut(&[u8])) -> Option<Result<u64, StoreError>> {
        let path = self.dir.join(STORE);
        path.exists().then(|| crate::store::inspect(&path, self.sealed.node, entry))
    }

    /// Signs the card anew when operator or endpoint were changed in `node.toml`.
    pub fn refresh_card(&mut self, unsealed: &Unsealed) -> Result<&NodeCard, HomeError> {
        let card = sign_card(&unsealed.node_key, &self.settings);
        if card != self.card {
            files::replace_private(&self.dir, CARD, &line(&card.to_text()))?;
            self.card = card;
        }
        Ok(&self.card)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The settings of `node.toml`.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The node.
    pub fn node(&self) -> NodeId {
        self.sealed.node
    }

    /// The signed card.
    pub fn card(&self) -> &NodeCard {
        &self.card
    }

    /// Which seal keeps the data key; a passphrase means that the node starts sealed.
    pub fn seal_kind(&self) -> SealKind {
        self.sealed.data_key.kind()
    }

    /// The bearer token of the operator's own command.
    pub fn operator_token(&self) -> Result<Secret<String>, HomeError> {
        read_operator_token(&self.dir)
    }
}

/// The operator's token of a home that another process may be running.
pub fn read_operator_token(dir: &Path) -> Result<Secret<String>, HomeError> {
    let text = Secret::new(files::read_private(&dir.join(TOKEN))?);
    Ok(Secret::new(text.expose().trim().to_owned()))
}

/// The settings of a home that another process may be running.
pub fn read_settings(dir: &Path) -> Result<Settings, HomeError> {
    Settings::parse(&files::read_private(&dir.join(SETTINGS))?)
}

/// The card of a home that another process may be running.
pub fn read_card(dir: &Path) -> Result<NodeCard, HomeError> {
    Ok(NodeCard::from_text(&files::read_private(&dir.join(CARD))?)?)
}

fn write_all(dir: &Path, options: &InitOptions) -> Result<NodeCard, HomeError> {
    let settings = &options.settings;
    let node_key = NodeKey::new(fresh_key());
    let data_key = fresh_key();
    let node = node_key.id();
    let bounds = Bounds { node, scratch: dir, test_home: settings.test_home };
    let wrapped = Wrapped::wrap(&options.seal, bounds, &data_key)?;
    let seed = node_key.seed().expose();
    let node_seed = sealed_box::seal(data_key.expose(), &seed_place(&node), seed, &mut OsEntropy)
        .ok_or(HomeError::SeedTampered)?;
    let sealed =
        SealedFile { version: 1, node, data_key: wrapped, node_seed: hex::encode(node_seed) };
    let card = sign_card(&node_key, settings);
    let token = fresh_key();
    let token = Secret::new(line(&hex::encode(token.expose())));
    files::write_private(dir, SETTINGS, &settings.to_toml())?;
    files::write_private(dir, CARD, &line(&card.to_text()))?;
    files::write_private(dir, SEALED, &sealed.to_text()?)?;
    files::write_private(dir, TOKEN, token.expose())?;
    files::write_private(dir, LOCK, "")?;
    Ok(card)
}

fn fresh_key() -> Secret<[u8; 32]> {
    let mut bytes = OsEntropy.bytes::<32>();
    let key = Secret::new(bytes);
    bytes.zeroize();
    key
}

fn seed_place(node: &NodeId) -> [&[u8]; 2] {
    [b"node-seed/1", node.as_bytes()]
}

fn sign_card(key: &NodeKey, settings: &Settings) -> NodeCard {
    NodeCard::sign(key, &settings.operator, &settings.advertise)
}

fn line(text: &str) -> String {
    format!("{text}\n")
}

#[cfg(test)]
mod tests;
