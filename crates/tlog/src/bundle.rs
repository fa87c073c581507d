//! Bundles: a whole log in one file, with the openings that its reader may see, checked offline as a stream.
//!
//! Spec: `docs/spec/bundle.md`. A bundle is [`MAGIC`], then frames of a 32-bit length and bytes: first the log's key and the
//! view, then every entry from 0 on, last the checkpoint with its cosignatures. Each entry stands beside its leaf hash, so
//! that a damaged entry is named; the root under the log's signature is what proves it.
//!
//! Absent on purpose: what an opened record means. The caller gets the record once it fits its commitment.

use crate::checkpoint::Checkpoint;
use crate::edge::Edge;
use crate::hash::{Hash, leaf as leaf_hash};
use crate::note::{Note, NoteError, NoteKey};
use crate::policy::{Policy, TrustError, Trusted};
use model::leaf::{Leaf, LeafKind, Salt, commitment};
use model::time::Timestamp;
use model::wire::{Reader, Wire, WireError, Writer};
use model::{limits, wire_enum};
use std::collections::BTreeMap;

/// First bytes of a bundle.
pub const MAGIC: &[u8] = b"outlast-bundle-v1\n";
/// Bytes of one frame at most: a leaf, and a record of the journal.
pub const FRAME_BYTES_MAX: usize = limits::FRAME_BYTES_MAX + crate::tile::ENTRY_BYTES_MAX;

wire_enum! {
    /// Who may read the bundle.
    pub enum View {
        /// Anybody: no openings.
        Public = 1 "public",
        /// Those with an interest in one vault: its openings.
        Stakeholder = 2 "stakeholder",
        /// The auditor of the node's operator: every opening.
        Auditor = 3 "auditor",
    }
}

/// A record with the salt of its commitment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The salt.
    pub salt: Salt,
    /// The journal record's bytes.
    pub record: Vec<u8>,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Whose log, in which view.
    Head {
        /// Text form of the log's key.
        log: String,
        /// The view.
        view: View,
    },
    /// One entry.
    Entry {
        /// Its leaf hash, to name a damaged entry.
        hash: Hash,
        /// Canonical bytes of the [`Leaf`].
        leaf: Vec<u8>,
        /// What the reader may see besides.
        opening: Option<Opening>,
    },
    /// The checkpoint over all entries, a signed note.
    Checkpoint(String),
}

impl Wire for Frame {
    fn write(&self, w: &mut Writer) {
        match self {
            Self::Head { log, view } => {
                w.u8(1);
                w.text(log);
                view.write(w);
            }
            Self::Entry { hash, leaf, opening } => {
                w.u8(2);
                w.fixed(hash);
                w.bytes(leaf);
                w.option(opening.as_ref(), |w, opening| {
                    w.fixed(&opening.salt.0);
                    w.bytes(&opening.record);
                });
            }
            Self::Checkpoint(note) => {
                w.u8(3);
                w.bytes(note.as_bytes());
            }
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        match r.u8()? {
            1 => Ok(Self::Head { log: r.text()?, view: Wire::read(r)? }),
            2 => Ok(Self::Entry {
                hash: r.fixed()?,
                leaf: r.bytes(crate::tile::ENTRY_BYTES_MAX)?,
                opening: r.option(|r| {
                    let salt = Salt(r.fixed()?);
                    Ok(Opening { salt, record: r.bytes(limits::FRAME_BYTES_MAX)? })
                })?,
            }),
            3 => {
                let note = r.bytes(crate::note::NOTE_BYTES_MAX)?;
                let note = String::from_utf8(note).map_err(|_| WireError::Range("checkpoint"))?;
                Ok(Self::Checkpoint(note))
            }
            _ => Err(WireError::Range("frame")),
        }
    }
}

impl Frame {
    /// An entry as a log writes it.
    pub fn entry(leaf: &Leaf, opening: Option<Opening>) -> Self {
        let bytes = leaf.to_bytes();
        Self::Entry { hash: leaf_hash(&bytes), leaf: bytes, opening }
    }
    /// Length and bytes, as they stand in the file.
    pub fn framed(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.bytes(&self.to_bytes());
        w.into_bytes()
    }
}

/// Why a bundle convinces nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// A frame does not read.
    #[error("record {0} does not read")]
    Frame(u64, #[source] WireError),
    /// The frames stand in another order than head, entries, checkpoint.
    #[error("the frames do not stand in their order")]
    Order,
    /// The log is not the one that was expected.
    #[error("the bundle is of log {found}")]
    Log {
        /// Whose it says it is.
        found: String,
    },
    /// An entry was changed.
    #[error("record {0} was changed: its bytes do not have the hash beside them")]
    Changed(u64),
    /// An entry stands in another's place.
    #[error("record {found} stands in place {place}")]
    Place {
        /// Place in the file.
        place: u64,
        /// What the entry says.
        found: u64,
    },
    /// An opening does not fit.
    #[error("record {0} was changed: it does not fit the commitment in the log")]
    Opening(u64),
    /// Time went back within the log.
    #[error("record {0} is older than the one before it")]
    Time(u64),
    /// The checkpoint is no note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The checkpoint does not meet the policy.
    #[error("the checkpoint does not meet the policy")]
    Trust(#[from] TrustError),
    /// The checkpoint is over another number of entries.
    #[error("{found} records, and a checkpoint over {wanted}")]
    Size {
        /// Entries in the file.
        found: u64,
        /// Entries under the checkpoint.
        wanted: u64,
    },
    /// The entries are not those that the log signed.
    #[error("the records are not those that the log signed: the root differs")]
    Root,
    /// The file ends before the checkpoint.
    #[error("the bundle ends after record {0}, without a checkpoint")]
    Unfinished(u64),
}

/// What a good bundle shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The log.
    pub log: NoteKey,
    /// In which view.
    pub view: View,
    /// Checkpoint and the times of the witnesses.
    pub trusted: Trusted,
    /// Entries by kind.
    pub kinds: BTreeMap<LeafKind, u64>,
    /// Entries that were opened.
    pub opened: u64,
    /// Times of the first and the last entry.
    pub span: Option<(Timestamp, Timestamp)>,
}

/// An entry, with its record where the bundle opens it.
pub type Opened = (Leaf, Option<Vec<u8>>);

/// Checks a bundle frame by frame, in memory that does not grow with it.
#[derive(Debug)]
pub struct Checker {
    /// Whom to trust; `None` takes the log that the bundle names, and no witnesses: the caller must compare the key.
    policy: Option<Policy>,
    head: Option<(NoteKey, View)>,
    edge: Edge,
    kinds: BTreeMap<LeafKind, u64>,
    opened: u64,
    span: Option<(Timestamp, Timestamp)>,
    trusted: Option<Trusted>,
}

impl Checker {
    /// Begins, with the policy that the checkpoint must meet.
    pub fn new(policy: Option<Policy>) -> Self {
        Self {
            policy,
            head: None,
            edge: Edge::default(),
            kinds: BTreeMap::new(),
            opened: 0,
            span: None,
            trusted: None,
        }
    }

    /// Takes the next frame; returns the entry, with its record if it was opened.
    pub fn frame(&mut self, bytes: &[u8]) -> Result<Option<Opened>, BundleError> {
        let place = self.edge.size();
        let frame = Frame::from_bytes(bytes).map_err(|error| BundleError::Frame(place, error))?;
        match (frame, self.head.is_some(), self.trusted.is_some()) {
            (Frame::Head { log, view }, false, false) => self.begin(&log, view).map(|()| None),
            (Frame::Entry { hash, leaf, opening }, true, false) => {
                self.entry(place, hash, &leaf, opening).map(Some)
            }
            (Frame::Checkpoint(note), true, false) => self.end(&note).map(|()| None),
            _ => Err(BundleError::Order),
        }
    }

    /// What the whole bundle shows.
    pub fn finish(self) -> Result<Report, BundleError> {
        match (self.head, self.trusted) {
            (Some((log, view)), Some(trusted)) => Ok(Report {
                log,
                view,
                trusted,
                kinds: self.kinds,
                opened: self.opened,
                span: self.span,
            }),
            _ => Err(BundleError::Unfinished(self.edge.size())),
        }
    }

    fn begin(&mut self, log: &str, view: View) -> Result<(), BundleError> {
        let key = NoteKey::from_text(log)?;
        if self.policy.as_ref().is_some_and(|policy| !policy.logs().contains(&key)) {
            return Err(BundleError::Log { found: key.name().to_owned() });
        }
        self.head = Some((key, view));
        Ok(())
    }

    fn entry(
        &mut self,
        place: u64,
        hash: Hash,
        bytes: &[u8],
        opening: Option<Opening>,
    ) -> Result<Opened, BundleError> {
        if leaf_hash(bytes) != hash {
            return Err(BundleError::Changed(place));
        }
        let leaf = Leaf::from_bytes(bytes).map_err(|error| BundleError::Frame(place, error))?;
        if leaf.sequence != place {
            return Err(BundleError::Place { place, found: leaf.sequence });
        }
        let first = match self.span {
            Some((_, last)) if leaf.at < last => return Err(BundleError::Time(place)),
            Some((first, _)) => first,
            None => leaf.at,
        };
        let fits = |o: &Opening| commitment(o.salt, &o.record) == leaf.commitment;
        if opening.as_ref().is_some_and(|opening| !fits(opening)) {
            return Err(BundleError::Opening(place));
        }
        self.span = Some((first, leaf.at));
        let count = self.kinds.entry(leaf.kind).or_default();
        *count = count.saturating_add(1);
        self.opened = self.opened.saturating_add(u64::from(opening.is_some()));
        self.edge.append(hash);
        Ok((leaf, opening.map(|opening| opening.record)))
    }

    fn end(&mut self, note: &str) -> Result<(), BundleError> {
        let note = Note::from_text(note)?;
        let own = || {
            let log = self.head.as_ref().map(|(log, _)| log.to_text()).unwrap_or_default();
            Policy::from_text(&format!("log {log}\nquorum none\n")).ok()
        };
        let policy = self.policy.clone().or_else(own).ok_or(BundleError::Order)?;
        let trusted = policy.verify(&note)?;
        let Checkpoint { size, root, origin } = &trusted.checkpoint;
        if self.head.as_ref().is_none_or(|(log, _)| log.name() != origin) {
            return Err(BundleError::Log { found: origin.clone() });
        }
        if *size != self.edge.size() {
            return Err(BundleError::Size { found: self.edge.size(), wanted: *size });
        }
        if *root != self.edge.root() {
            return Err(BundleError::Root);
        }
        self.trusted = Some(trusted);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::Algorithm;
    use ed25519_dalek::{Signer, SigningKey};

    fn bundle(change: impl Fn(u64, &mut Leaf, &mut Opening)) -> Vec<Vec<u8>> {
        let secret = SigningKey::from_bytes(&[1; 32]);
        let key =
            NoteKey::new("node.example", Algorithm::Ed25519, secret.verifying_key().to_bytes());
        let key = key.unwrap();
        let mut frames = vec![Frame::Head { log: key.to_text(), view: View::Auditor }.to_bytes()];
        let mut edge = Edge::default();
        for sequence in 0..300 {
            let mut opening = Opening { salt: Salt([9; 32]), record: vec![1, 2, 3] };
            let mut leaf = Leaf {
                sequence,
                at: Timestamp(1_000 + sequence),
                kind: LeafKind::Signed,
                vault: None,
                facts: vec![],
                commitment: commitment(opening.salt, &opening.record),
            };
            edge.append(leaf_hash(&leaf.to_bytes()));
            change(sequence, &mut leaf, &mut opening);
            frames.push(Frame::entry(&leaf, Some(opening)).to_bytes());
        }
        let origin = "node.example".to_owned();
        let checkpoint = Checkpoint { origin, size: edge.size(), root: edge.root() };
        let note = checkpoint.signed(&key, |m| secret.sign(m).to_bytes());
        frames.push(Frame::Checkpoint(note.to_text()).to_bytes());
        frames
    }

    fn check(frames: &[Vec<u8>]) -> Result<Report, BundleError> {
        let mut checker = Checker::new(None);
        for frame in frames {
            checker.frame(frame)?;
        }
        checker.finish()
    }

    #[test]
    fn a_whole_bundle_is_good() {
        let report = check(&bundle(|_, _, _| {})).unwrap();
        assert_eq!((report.trusted.checkpoint.size, report.opened), (300, 300));
        assert_eq!(report.kinds.get(&LeafKind::Signed), Some(&300));
        assert_eq!(report.span, Some((Timestamp(1_000), Timestamp(1_299))));
    }

    #[test]
    fn every_change_is_found_and_a_damaged_record_is_named() {
        let good = bundle(|_, _, _| {});
        let mut damaged = good.clone();
        damaged[208][60] ^= 1;
        assert_eq!(check(&damaged), Err(BundleError::Changed(207)));
        let opened = bundle(|n, _, opening| {
            if n == 207 {
                opening.record = vec![1, 2, 4]
            }
        });
        assert_eq!(check(&opened), Err(BundleError::Opening(207)));
        let rewritten = bundle(|n, leaf, _| {
            if n == 207 {
                leaf.kind = LeafKind::Refused
            }
        });
        assert_eq!(check(&rewritten), Err(BundleError::Root));
        let moved = bundle(|n, leaf, _| {
            if n == 207 {
                leaf.sequence = 208
            }
        });
        assert_eq!(check(&moved), Err(BundleError::Place { place: 207, found: 208 }));
        let back = bundle(|n, leaf, _| {
            if n == 207 {
                leaf.at = Timestamp(0)
            }
        });
        assert_eq!(check(&back), Err(BundleError::Time(207)));
        let mut missing = good.clone();
        missing.remove(300);
        assert_eq!(check(&missing), Err(BundleError::Size { found: 299, wanted: 300 }));
        assert_eq!(check(&good[..300]), Err(BundleError::Unfinished(299)));
        let mut after = good.clone();
        after.push(good[1].clone());
        assert_eq!(check(&after), Err(BundleError::Order));
    }

    #[test]
    fn a_bundle_of_another_log_is_refused_under_a_policy() {
        let other = SigningKey::from_bytes(&[2; 32]).verifying_key().to_bytes();
        let other = NoteKey::new("node.example", Algorithm::Ed25519, other).unwrap();
        let policy = Policy::from_text(&format!("log {}\nquorum none\n", other.to_text())).unwrap();
        let mut checker = Checker::new(Some(policy));
        let refused = checker.frame(&bundle(|_, _, _| {})[0]);
        assert_eq!(refused, Err(BundleError::Log { found: "node.example".into() }));
    }
}
