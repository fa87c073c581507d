//! Private files: 0600 from their first moment, synced before they count, in a directory that appears whole.

use super::HomeError;
use crate::entropy::OsEntropy;
use model::entropy::Entropy;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Bytes of one small file of a home at most.
const FILE_BYTES_MAX: u64 = 256 * 1024;

fn failed<'a>(
    step: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> HomeError + use<'a> {
    move |source| match source.kind() {
        ErrorKind::NotFound => HomeError::Missing(path.to_owned()),
        _ => HomeError::Io { step, path: path.to_owned(), source },
    }
}

/// Refuses a path that is anything but absent or an empty directory.
pub(super) fn refuse_used(dir: &Path) -> Result<(), HomeError> {
    match fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Ok(false) => Err(HomeError::NotEmpty(dir.to_owned())),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            Err(HomeError::NotEmpty(dir.to_owned()))
        }
        Err(error) => Err(failed("reading", dir)(error)),
    }
}

/// A directory in the making; removed unless it is moved to its place.
pub(super) struct Draft {
    path: PathBuf,
    kept: bool,
}

impl Draft {
    pub(super) fn beside(dir: &Path) -> Result<Self, HomeError> {
        let parent = match dir.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent).map_err(failed("making", parent))?;
        let name = format!(".outlast-init-{}", hex::encode(OsEntropy.bytes::<8>()));
        let path = parent.join(name);
        DirBuilder::new().mode(DIR_MODE).create(&path).map_err(failed("making", &path))?;
        Ok(Self { path, kept: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn move_to(mut self, dir: &Path) -> Result<(), HomeError> {
        sync_dir(&self.path)?;
        // Over an empty directory this succeeds, over a filled one it fails: a race loses, it never overwrites.
        fs::rename(&self.path, dir).map_err(|error| match error.kind() {
            ErrorKind::DirectoryNotEmpty | ErrorKind::NotADirectory => {
                HomeError::NotEmpty(dir.to_owned())
            }
            _ => failed("moving to", dir)(error),
        })?;
        self.kept = true;
        sync_dir(self.path.parent().unwrap_or(Path::new(".")))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if let Err(error) = fs::remove_dir_all(&self.path) {
            let path = self.path.display();
            tracing::warn!(%error, %path, "an unfinished directory stays behind");
        }
    }
}

fn sync_dir(dir: &Path) -> Result<(), HomeError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("syncing", dir))
}

/// Writes a new private file durably.
pub(super) fn write_private(dir: &Path, name: &str, text: &str) -> Result<(), HomeError> {
    let path = dir.join(name);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(FILE_MODE);
    options
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .map_err(failed("writing", &path))
}

/// Replaces a private file in one step: a reader sees the old one or the new one.
pub(super) fn replace_private(dir: &Path, name: &str, text: &str) -> Result<(), HomeError> {
    let draft = format!(".{name}-{}", hex::encode(OsEntropy.bytes::<8>()));
    write_private(dir, &draft, text)?;
    let path = dir.join(name);
    fs::rename(dir.join(draft), &path).map_err(failed("replacing", &path))?;
    sync_dir(dir)
}

/// Reads a small file that only its owner may reach.
pub(super) fn read_private(path: &Path) -> Result<String, HomeError> {
    let file = File::open(path).map_err(failed("reading", path))?;
    check_mode(path, &file, FILE_MODE)?;
    let mut text = String::with_capacity(8192);
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed("reading", path))?;
    Ok(text)
}

/// Refuses a directory that others may enter.
pub(super) fn check_private_dir(dir: &Path) -> Result<(), HomeError> {
    let file = File::open(dir).map_err(failed("opening", dir))?;
    check_mode(dir, &file, DIR_MODE)
}

fn check_mode(path: &Path, file: &File, wanted: u32) -> Result<(), HomeError> {
    let mode = file.metadata().map_err(failed("reading", path))?.permissions().mode();
    let found = mode & 0o7777;
    if found & 0o077 == 0 {
        return Ok(());
    }
    Err(HomeError::Permissions { path: path.to_owned(), found, wanted })
}

/// Takes the lock (`flock`): it ends with the process, so a killed node leaves none behind.
pub(super) fn lock(path: &Path) -> Result<File, HomeError> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path)
        .map_err(failed("opening", path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(HomeError::Locked { pid: holder(&mut file) }),
        Err(TryLockError::Error(error)) => return Err(failed("locking", path)(error)),
    }
    // The number is a courtesy to whoever is refused; the lock itself is the kernel's.
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| write!(file, "{}", std::process::id()))
        .map_err(failed("writing", path))?;
    Ok(file)
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(16).read_to_string(&mut text) {
        Ok(_) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => text,
        _ => "unknown".to_owned(),
    }
}
