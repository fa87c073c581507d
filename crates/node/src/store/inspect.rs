//! A look into a store without its key: is it whole, whose is it, and what does its public journal say? Nothing is written.

use super::StoreError;
use super::sqlite::{APPLICATION_ID, SCHEMA, classify, count_journal, meta, pragma_number};
use model::ids::NodeId;
use rusqlite::{Connection, OpenFlags};
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Checks the file at `path` and shows every entry of its journal; returns their number.
pub fn inspect(path: &Path, node: NodeId, mut entry: impl FnMut(&[u8])) -> Result<u64, StoreError> {
    let connection = open(path).map_err(classify)?;
    if pragma_number(&connection, "application_id")? != APPLICATION_ID {
        return Err(StoreError::Corrupt("not a store of this program".into()));
    }
    let schema = pragma_number(&connection, "user_version")?;
    if schema != SCHEMA {
        return Err(StoreError::Schema { found: schema, known: SCHEMA });
    }
    let sql = "PRAGMA quick_check(1)";
    let found: String = connection.query_row(sql, [], |row| row.get(0)).map_err(classify)?;
    if found != "ok" {
        return Err(StoreError::Corrupt(found));
    }
    let owner = meta(&connection, "node")?;
    if owner != node.as_bytes() {
        return Err(StoreError::OtherNode { found: hex::encode(owner), wanted: node.to_string() });
    }
    let count = count_journal(&connection)?;
    let sql = "SELECT body FROM journal ORDER BY sequence";
    let mut statement = connection.prepare(sql).map_err(classify)?;
    let mut rows = statement.query([]).map_err(classify)?;
    while let Some(row) = rows.next().map_err(classify)? {
        entry(row.get_ref(0).map_err(classify)?.as_blob().unwrap_or_default());
    }
    Ok(count)
}

/// After a clean stop there is no log beside the file, and it can be read without any lock or side file.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let log = path.with_extension("sqlite-wal");
    let clean = std::fs::metadata(log).map_or(true, |log| log.len() == 0);
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        // A path may hold what a URI gives a meaning to.
        let _in_memory = match byte {
            b'/' | b'.' | b'-' | b'_' => write!(uri, "{}", char::from(*byte)),
            letter if letter.is_ascii_alphanumeric() => write!(uri, "{}", char::from(*letter)),
            other => write!(uri, "%{other:02x}"),
        };
    }
    uri.push_str(if clean { "?immutable=1" } else { "?mode=ro" });
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri, flags)?;
    connection.execute_batch("PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;")?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Batch, SqliteStore, Store as _, StoreOptions};
    use model::secret::Secret;

    const NODE: NodeId = NodeId([1; 32]);

    fn make(path: &Path) -> SqliteStore {
        let key = Secret::new([9; 32]);
        let mut store = SqliteStore::open(path, NODE, key, StoreOptions::default()).unwrap();
        let entries = vec![(0, b"first".to_vec()), (1, b"second".to_vec())];
        store.commit(&Batch { entries, ..Batch::default() }).unwrap();
        store
    }

    fn look(path: &Path, node: NodeId) -> Result<Vec<Vec<u8>>, &'static str> {
        let mut seen = Vec::new();
        let count = inspect(path, node, |body| seen.push(body.to_vec())).map_err(|e| e.code())?;
        assert_eq!(count, u64::try_from(seen.len()).unwrap());
        Ok(seen)
    }

    #[test]
    fn a_store_is_read_without_its_key_and_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a ?#%41").with_extension("sqlite");
        drop(make(&path));
        let before = std::fs::read(&path).unwrap();
        assert_eq!(look(&path, NODE), Ok(vec![b"first".to_vec(), b"second".to_vec()]));
        assert_eq!(look(&path, NodeId([2; 32])), Err("store_other_node"));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    /// After a crash the newest entries stand in the log alone.
    #[test]
    fn a_store_that_was_not_closed_is_read_with_its_log_and_a_held_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (path, copy) = (dir.path().join("state.sqlite"), dir.path().join("copy.sqlite"));
        let held = make(&path);
        assert_eq!(look(&path, NODE), Err("store_locked"));
        for extension in ["sqlite", "sqlite-wal"] {
            std::fs::copy(path.with_extension(extension), copy.with_extension(extension)).unwrap();
        }
        drop(held);
        assert_eq!(look(&copy, NODE), Ok(vec![b"first".to_vec(), b"second".to_vec()]));
    }

    #[test]
    fn a_damaged_or_foreign_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.sqlite");
        std::fs::write(&path, b"no database at all, but long enough to be read as one".repeat(40))
            .unwrap();
        assert_eq!(look(&path, NODE), Err("store_corrupt"));
        std::fs::write(&path, b"").unwrap();
        assert_eq!(look(&path, NODE), Err("store_corrupt"));
        std::fs::remove_file(&path).unwrap();
        drop(make(&path));
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..].fill(0xa5);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(look(&path, NODE), Err("store_corrupt"));
        assert_eq!(look(&dir.path().join("none"), NODE), Err("store_io"));
    }
}
