//! Removes what a demo made, and nothing else.

use crate::error::{CommandError, io};
use crate::settings::DEMO_MARKER;
use std::path::Path;

/// Deletes `dir` if it carries the demo's marker and none of its nodes runs. False: there was nothing.
pub(crate) fn clean(dir: &Path) -> Result<bool, CommandError> {
    if !dir.exists() {
        return Ok(false);
    }
    let name = dir.display();
    let is_link = dir.symlink_metadata().is_ok_and(|data| data.file_type().is_symlink());
    if is_link || !dir.join(DEMO_MARKER).is_file() {
        return Err(CommandError::refused("not_a_demo", format!("{name} was not made by a demo"))
            .hint("nothing was deleted; look into it and delete it by hand if you mean it"));
    }
    let entries = std::fs::read_dir(dir).map_err(io("read", dir))?;
    for entry in entries.flatten() {
        if is_alive(&entry.path()) {
            let message = format!("the node in {} is still running", entry.path().display());
            return Err(CommandError::refused("still_running", message)
                .hint("stop that demo with Ctrl-C first"));
        }
    }
    std::fs::remove_dir_all(dir).map_err(io("remove", dir))?;
    Ok(true)
}

/// True when a process holds the lock of the node's directory.
fn is_alive(dir: &Path) -> bool {
    let lock = std::fs::File::open(dir.join("lock"));
    lock.is_ok_and(|file| matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_marked_directory_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let mine = dir.path().join("mine");
        std::fs::create_dir(&mine).unwrap();
        std::fs::write(mine.join("letter.txt"), "dear").unwrap();
        assert_eq!(clean(&mine).unwrap_err().code, "not_a_demo");
        assert!(mine.join("letter.txt").is_file());
        std::fs::write(mine.join(DEMO_MARKER), "").unwrap();
        assert_eq!(clean(&mine), Ok(true));
        assert!(!mine.exists());
        assert_eq!(clean(&mine), Ok(false));
    }

    #[test]
    fn a_link_to_a_demo_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        std::fs::create_dir(&real).unwrap();
        std::fs::write(real.join(DEMO_MARKER), "").unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert_eq!(clean(&link).unwrap_err().code, "not_a_demo");
        assert!(real.exists());
    }

    #[test]
    fn a_demo_whose_node_runs_is_not_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let demo = dir.path().join("demo");
        std::fs::create_dir_all(demo.join("a")).unwrap();
        std::fs::write(demo.join(DEMO_MARKER), "").unwrap();
        let lock = std::fs::File::create(demo.join("a/lock")).unwrap();
        lock.lock().unwrap();
        assert_eq!(clean(&demo).unwrap_err().code, "still_running");
        lock.unlock().unwrap();
        assert_eq!(clean(&demo), Ok(true));
    }
}
