//! Room kept for the one write that must not fail: destroying the state of a stopped pair when the disk is full.
//!
//! Two files beside the store, made while there is room. The *marker* is written in place, before anything is deleted, and
//! names what must go; while it names something, the store does not open without destroying it first. The *reserve* is
//! nothing but room, given back to the disk when the deletion does not go through.
//! Absent on purpose: the names' secrets, and any trust in the deletion having worked.

use super::StoreError;
use crate::entropy::OsEntropy;
use model::entropy::Entropy as _;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Bytes of the marker: 64 names fit.
const MARKER_BYTES: usize = 8192;
/// Bytes of the reserve: deleting one pair's state writes about a tenth of it.
const RESERVE_BYTES: usize = 1024 * 1024;
/// Ends the list of names; a marker without it was torn.
const END: &str = ".";

/// Marker and reserve of one store.
#[derive(Debug)]
pub(super) struct Reserve {
    marker: File,
    room: PathBuf,
}

/// What the marker says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Doomed {
    /// These secrets.
    Names(Vec<String>),
    /// The list was torn: every pair's state.
    AllPairs,
}

fn beside(store: &Path, what: &str) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(what);
    name.into()
}

fn failed(error: std::io::Error) -> StoreError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::Full,
        _ => StoreError::Io(error.to_string()),
    }
}

impl Reserve {
    /// Opens or makes both files of the store at `store`.
    pub(super) fn open(store: &Path) -> Result<Self, StoreError> {
        let path = beside(store, "-doomed");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let marker = options.open(path).map_err(failed)?;
        let mut reserve = Self { marker, room: beside(store, "-reserve") };
        let length = reserve.marker.metadata().map_err(failed)?.len();
        if length < u64::try_from(MARKER_BYTES).unwrap_or(u64::MAX) && reserve.doomed()?.is_none() {
            reserve.write_marker(&[0; MARKER_BYTES]).map_err(failed)?;
        }
        reserve.fill();
        Ok(reserve)
    }

    /// Makes the reserve again. Without it the marker alone keeps a pair from being used.
    pub(super) fn fill(&self) {
        let there = std::fs::metadata(&self.room)
            .is_ok_and(|found| found.len() >= u64::try_from(RESERVE_BYTES).unwrap_or(u64::MAX));
        if there {
            return;
        }
        // Not zeros: some file systems give those no room.
        let mut bytes = vec![0; RESERVE_BYTES];
        OsEntropy.fill(&mut bytes);
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&self.room);
        let made = file.and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()));
        if let Err(error) = made {
            tracing::warn!(code = "no_reserve", %error, "no room for the store's reserve");
            self.release();
        }
    }

    /// Gives the room back to the disk.
    fn release(&self) {
        if let Err(error) = std::fs::remove_file(&self.room) {
            tracing::warn!(code = "no_reserve", %error, "the store's reserve is not released");
        }
    }

    /// What must be destroyed before the store is used.
    pub(super) fn doomed(&mut self) -> Result<Option<Doomed>, StoreError> {
        let mut bytes = Vec::new();
        self.marker.seek(SeekFrom::Start(0)).map_err(failed)?;
        let limit = u64::try_from(MARKER_BYTES).unwrap_or(u64::MAX);
        (&self.marker).take(limit).read_to_end(&mut bytes).map_err(failed)?;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end_matches('\0');
        if text.is_empty() {
            return Ok(None);
        }
        let mut names: Vec<String> = text.lines().map(str::to_owned).collect();
        if names.pop().as_deref() == Some(END) && names.iter().all(|name| !name.contains('\0')) {
            return Ok(Some(Doomed::Names(names)));
        }
        Ok(Some(Doomed::AllPairs))
    }

    /// Writes the names down, destroys them, and with room from the reserve once more when that fails.
    pub(super) fn destroy(
        &mut self,
        names: &[String],
        mut delete: impl FnMut(&[String]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if let Err(error) = self.mark(names) {
            tracing::error!(
                code = "pair_not_marked", %error,
                "which pair's state must not be used again could not be written down"
            );
        }
        let deleted = delete(names).or_else(|_| {
            self.release();
            delete(names)
        });
        deleted.map_err(|error| StoreError::PairNotDestroyed(error.to_string()))?;
        self.clear()
    }

    /// Nothing is doomed any more.
    pub(super) fn clear(&mut self) -> Result<(), StoreError> {
        self.write_marker(&[0; MARKER_BYTES]).map_err(failed)
    }

    fn mark(&mut self, names: &[String]) -> std::io::Result<()> {
        let mut text = names.join("\n");
        text.push('\n');
        text.push_str(END);
        let mut bytes = text.into_bytes();
        bytes.resize(MARKER_BYTES.max(bytes.len()), 0);
        self.write_marker(&bytes).or_else(|_| {
            // Copy-on-write file systems need room even to write in place.
            self.release();
            self.write_marker(&bytes)
        })
    }

    fn write_marker(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.marker.seek(SeekFrom::Start(0))?;
        self.marker.write_all(bytes)?;
        self.marker.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Goal: the room that was kept is what lets a deletion through. Method: a deletion that works only once the reserve is
    /// gone, as on a full disk.
    #[test]
    fn a_deletion_that_does_not_fit_gets_the_room_of_the_reserve() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("s");
        let mut reserve = Reserve::open(&store).unwrap();
        let room = dir.path().join("s-reserve");
        assert_eq!(std::fs::metadata(&room).unwrap().len(), 1024 * 1024);
        let doomed = names(&["pair/a", "pair/b"]);
        let mut tries = 0;
        let done = reserve.destroy(&doomed, |names| {
            tries += 1;
            assert_eq!(names, doomed);
            // What a power cut here leaves behind.
            let left = Reserve::open(&store.with_file_name("t")).unwrap().doomed().unwrap();
            assert_eq!(left, None);
            if room.exists() { Err(StoreError::Full) } else { Ok(()) }
        });
        assert!(done.is_ok() && tries == 2, "{done:?} after {tries}");
        assert_eq!(reserve.doomed().unwrap(), None);
        reserve.fill();
        assert!(room.exists());
    }

    #[test]
    fn what_was_not_destroyed_stays_marked_and_a_torn_mark_dooms_every_pair() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("s");
        let mut reserve = Reserve::open(&store).unwrap();
        let doomed = names(&["pair/a"]);
        let failed = reserve.destroy(&doomed, |_| Err(StoreError::Full));
        assert_eq!(failed.map_err(|error| error.code()), Err("pair_not_destroyed"));
        drop(reserve);
        let mut reserve = Reserve::open(&store).unwrap();
        assert_eq!(reserve.doomed().unwrap(), Some(Doomed::Names(doomed)));
        let marker = dir.path().join("s-doomed");
        let mut bytes = std::fs::read(&marker).unwrap();
        bytes[7] = 0;
        std::fs::write(&marker, &bytes).unwrap();
        assert_eq!(reserve.doomed().unwrap(), Some(Doomed::AllPairs));
        std::fs::write(&marker, b"pair/").unwrap();
        assert_eq!(Reserve::open(&store).unwrap().doomed().unwrap(), Some(Doomed::AllPairs));
    }
}
