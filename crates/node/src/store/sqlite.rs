//! The store in one SQLite file: WAL, `synchronous=FULL`, `secure_delete=ON`, one writer that holds the file alone.

use super::reserve::{Doomed, Reserve};
use super::{Batch, Loaded, SECRET_NAME_BYTES_MAX, Store, StoreError};
use crate::entropy::OsEntropy;
use crate::sealed_box;
use model::ids::NodeId;
use model::secret::Secret;
use rusqlite::{
    Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params,
};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

pub(super) const SCHEMA: i64 = 1;
/// "OLst": tells `file` and us that this database is ours.
pub(super) const APPLICATION_ID: i64 = 0x4f4c_7374;
const CHECK_NAME: &[u8] = b"outlast/store/key-check";
/// Entries read at once while the journal is loaded.
const LOAD_CHUNK: usize = 1024;
const SCHEMA_SQL: &str = "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE journal (sequence INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
    CREATE TABLE secrets (name TEXT PRIMARY KEY, sealed BLOB NOT NULL) STRICT;
";
/// Came after the first stores; a build that does not know it leaves it alone, so the schema keeps its number.
const RECORDS_SQL: &str = "
    CREATE TABLE IF NOT EXISTS records (name TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
";

/// How the file is used.
#[derive(Debug, Clone, Copy, Default)]
pub struct StoreOptions {
    /// Pages of 4 KiB that the file may grow to; none: the disk decides.
    pub pages_max: Option<u32>,
}

/// The store of one node in one SQLite file.
pub struct SqliteStore {
    connection: Connection,
    node: NodeId,
    data_key: Secret<[u8; 32]>,
    next_sequence: u64,
    probes: u64,
    poisoned: bool,
    reserve: Option<Reserve>,
}

impl core::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SqliteStore")
            .field("node", &self.node)
            .field("next_sequence", &self.next_sequence)
            .finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens or makes the store of `node` at `path` and takes it for this process alone.
    pub fn open(
        path: &Path,
        node: NodeId,
        data_key: Secret<[u8; 32]>,
        options: StoreOptions,
    ) -> Result<Self, StoreError> {
        // Made here so that it never exists with wider rights than the owner's; SQLite's side files inherit them.
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|error| StoreError::Io(error.to_string()))?;
        let mut connection = Connection::open(path).map_err(classify)?;
        configure(&connection, options).map_err(classify)?;
        let schema = pragma_number(&connection, "user_version")?;
        match schema {
            0 => create(&mut connection, node, &data_key)?,
            SCHEMA => check_identity(&connection, node, &data_key)?,
            found => return Err(StoreError::Schema { found, known: SCHEMA }),
        }
        connection.execute_batch(RECORDS_SQL).map_err(classify)?;
        let next_sequence = count_journal(&connection)?;
        let mut store = Self {
            connection,
            node,
            data_key,
            next_sequence,
            probes: 0,
            poisoned: false,
            reserve: None,
        };
        store.destroy_doomed(Reserve::open(path)?)?;
        Ok(store)
    }

    /// K6: what an earlier run could not destroy goes before anything is read, or the store stays closed.
    fn destroy_doomed(&mut self, mut reserve: Reserve) -> Result<(), StoreError> {
        let names = match reserve.doomed()? {
            None => None,
            Some(Doomed::Names(names)) => Some(names),
            Some(Doomed::AllPairs) => Some(self.pairs()?),
        };
        if let Some(names) = names {
            reserve.destroy(&names, |names| self.delete_alone(names))?;
            tracing::warn!(code = "pair_destroyed_late", ?names, "destroyed before the start");
            reserve.fill();
        }
        self.reserve = Some(reserve);
        Ok(())
    }

    fn pairs(&self) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT name FROM secrets WHERE name LIKE 'pair/%'";
        let mut statement = self.connection.prepare(sql).map_err(classify)?;
        let rows = statement.query_map([], |row| row.get(0)).map_err(classify)?;
        rows.collect::<Result<_, _>>().map_err(classify)
    }

    /// One at a time: the less is written at once, the less room it takes.
    fn delete_alone(&mut self, names: &[String]) -> Result<(), StoreError> {
        names.iter().try_for_each(|name| {
            let deletes = vec![name.clone()];
            self.commit(&Batch { deletes, destroy: true, ..Batch::default() })
        })
    }

    #[cfg(test)]
    pub(super) fn connection_for_tests(&self) -> &Connection {
        &self.connection
    }

    fn open_secret(&self, name: &str, sealed: &[u8]) -> Result<Secret<Vec<u8>>, StoreError> {
        let parts = secret_place(&self.node, name.as_bytes());
        sealed_box::open(self.data_key.expose(), &parts, sealed)
            .ok_or_else(|| StoreError::Tampered(name.to_owned()))
    }

    /// A full disk leaves a clean roll-back; after any other failed write the outcome is unknown (the kernel drops
    /// the dirty pages of a failed fsync), so nothing more is written on top of it.
    fn settle<T>(&mut self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Io(_) | StoreError::Corrupt(_)) = &outcome {
            self.poisoned = true;
        }
        outcome
    }

    fn write(&mut self, batch: &Batch) -> Result<u64, StoreError> {
        let transaction = begin(&mut self.connection)?;
        let next = insert_entries(&transaction, self.next_sequence, &batch.entries)?;
        delete_secrets(&transaction, &batch.deletes)?;
        put_secrets(&transaction, &self.node, &self.data_key, &batch.puts)?;
        write_records(&transaction, &batch.public)?;
        transaction.commit().map_err(classify)?;
        Ok(next)
    }

    /// `secure_delete` has overwritten the rows; this empties the write-ahead log, which still held the old pages.
    fn truncate_log(&mut self) -> Result<(), StoreError> {
        let busy = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
            .map_err(|error| StoreError::NotDestroyed(error.to_string()))?;
        if busy == 0 { Ok(()) } else { Err(StoreError::NotDestroyed("log in use".into())) }
    }
}

impl Store for SqliteStore {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        let mut entries = Vec::new();
        loop {
            let next = u64::try_from(entries.len()).unwrap_or(u64::MAX);
            let chunk = self.entries_from(next, LOAD_CHUNK)?;
            if chunk.is_empty() {
                break;
            }
            entries.extend(chunk.into_iter().map(|(_, body)| body));
        }
        Ok(Loaded { entries, secrets: self.secrets()? })
    }

    fn secrets(&mut self) -> Result<BTreeMap<String, Secret<Vec<u8>>>, StoreError> {
        let mut statement =
            self.connection.prepare("SELECT name, sealed FROM secrets").map_err(classify)?;
        let mut rows = statement.query([]).map_err(classify)?;
        let mut secrets = BTreeMap::new();
        while let Some(row) = rows.next().map_err(classify)? {
            let name: String = row.get(0).map_err(classify)?;
            let sealed: Vec<u8> = row.get(1).map_err(classify)?;
            let value = self.open_secret(&name, &sealed)?;
            secrets.insert(name, value);
        }
        Ok(secrets)
    }

    fn entries_from(
        &mut self,
        sequence: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let sql = "SELECT sequence, body FROM journal WHERE sequence >= ?1 \
                   ORDER BY sequence LIMIT ?2";
        let from = i64::try_from(sequence).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.connection.prepare(sql).map_err(classify)?;
        let mut rows = statement.query([from, limit]).map_err(classify)?;
        let mut entries = Vec::new();
        let mut wanted = sequence;
        while let Some(row) = rows.next().map_err(classify)? {
            let found: i64 = row.get(0).map_err(classify)?;
            let found = u64::try_from(found).unwrap_or(u64::MAX);
            if found != wanted {
                return Err(StoreError::Gap { wanted, found });
            }
            entries.push((found, row.get(1).map_err(classify)?));
            wanted = wanted.saturating_add(1);
        }
        Ok(entries)
    }

    fn record(&mut self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.connection
            .query_row("SELECT body FROM records WHERE name = ?1", [name], |row| row.get(0))
            .optional()
            .map_err(classify)
    }

    fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        let written = self.write(batch);
        self.next_sequence = self.settle(written)?;
        if batch.destroy { self.truncate_log() } else { Ok(()) }
    }

    fn destroy(&mut self, names: &[String]) -> Result<(), StoreError> {
        let Some(mut reserve) = self.reserve.take() else {
            return self.delete_alone(names);
        };
        let destroyed = reserve.destroy(names, |names| self.delete_alone(names));
        self.reserve = Some(reserve);
        destroyed
    }

    fn probe_writable(&mut self) -> Result<(), StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        self.probes = self.probes.saturating_add(1);
        let value = self.probes.to_be_bytes();
        let written = begin(&mut self.connection).and_then(|transaction| {
            put_meta(&transaction, "probe", &value)?;
            transaction.commit().map_err(classify)
        });
        self.settle(written)
    }
}

fn secret_place<'a>(node: &'a NodeId, name: &'a [u8]) -> [&'a [u8]; 3] {
    [b"store/1", node.as_bytes(), name]
}

fn configure(connection: &Connection, options: StoreOptions) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_millis(200))?;
    // Exclusive before WAL: the index of the log then lives in our memory and no second process can read along.
    for (name, value) in [
        ("locking_mode", "EXCLUSIVE"),
        ("secure_delete", "ON"),
        ("journal_mode", "WAL"),
        ("synchronous", "FULL"),
        ("trusted_schema", "OFF"),
        ("temp_store", "MEMORY"),
        ("cell_size_check", "ON"),
        ("wal_autocheckpoint", "2000"),
        ("journal_size_limit", "16777216"),
    ] {
        connection.execute_batch(&format!("PRAGMA {name}={value};"))?;
    }
    if let Some(pages) = options.pages_max {
        connection.execute_batch(&format!("PRAGMA max_page_count={pages};"))?;
    }
    // The first write lock is taken now, so that a second process learns of us at its start.
    connection.execute_batch("BEGIN IMMEDIATE; COMMIT;")
}

fn begin(connection: &mut Connection) -> Result<Transaction<'_>, StoreError> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(classify)
}

pub(super) fn pragma_number(connection: &Connection, name: &str) -> Result<i64, StoreError> {
    connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).map_err(classify)
}

fn create(
    connection: &mut Connection,
    node: NodeId,
    data_key: &Secret<[u8; 32]>,
) -> Result<(), StoreError> {
    let transaction = begin(connection)?;
    let tables: i64 = transaction
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(classify)?;
    if tables != 0 {
        return Err(StoreError::Corrupt("not a store of this program".into()));
    }
    transaction.execute_batch(SCHEMA_SQL).map_err(classify)?;
    put_meta(&transaction, "node", node.as_bytes())?;
    let check = sealed_box::seal(
        data_key.expose(),
        &secret_place(&node, CHECK_NAME),
        b"ok",
        &mut OsEntropy,
    );
    put_meta(&transaction, "check", &check.unwrap_or_default())?;
    transaction
        .execute_batch(&format!(
            "PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA};"
        ))
        .map_err(classify)?;
    transaction.commit().map_err(classify)
}

fn check_identity(
    connection: &Connection,
    node: NodeId,
    data_key: &Secret<[u8; 32]>,
) -> Result<(), StoreError> {
    if pragma_number(connection, "application_id")? != APPLICATION_ID {
        return Err(StoreError::Corrupt("not a store of this program".into()));
    }
    let found = meta(connection, "node")?;
    if found != node.as_bytes() {
        return Err(StoreError::OtherNode { found: hex::encode(found), wanted: node.to_string() });
    }
    let check = meta(connection, "check")?;
    sealed_box::open(data_key.expose(), &secret_place(&node, CHECK_NAME), &check)
        .map(|_| ())
        .ok_or(StoreError::WrongKey)
}

/// Counts the journal and refuses one whose numbers are not `0..count`.
pub(super) fn count_journal(connection: &Connection) -> Result<u64, StoreError> {
    let sql = "SELECT count(*), coalesce(max(sequence), -1) FROM journal";
    let (count, last): (i64, i64) =
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).map_err(classify)?;
    let count = u64::try_from(count).unwrap_or_default();
    let after_last = u64::try_from(last.saturating_add(1)).unwrap_or_default();
    if count != after_last {
        return Err(StoreError::Gap { wanted: count, found: after_last.saturating_sub(1) });
    }
    Ok(count)
}

pub(super) fn meta(connection: &Connection, name: &str) -> Result<Vec<u8>, StoreError> {
    connection
        .query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0))
        .optional()
        .map_err(classify)?
        .ok_or_else(|| StoreError::Corrupt(format!("`{name}` is missing")))
}

fn put_meta(transaction: &Transaction<'_>, name: &str, value: &[u8]) -> Result<(), StoreError> {
    let sql = "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT(name) DO UPDATE SET value = ?2";
    transaction.execute(sql, params![name, value]).map(|_| ()).map_err(classify)
}

/// Returns the number after the last entry.
fn insert_entries(
    transaction: &Transaction<'_>,
    first: u64,
    entries: &[(u64, Vec<u8>)],
) -> Result<u64, StoreError> {
    let mut next = first;
    let sql = "INSERT INTO journal VALUES (?1, ?2)";
    let mut statement = transaction.prepare(sql).map_err(classify)?;
    for (found, body) in entries {
        if *found != next {
            return Err(StoreError::Gap { wanted: next, found: *found });
        }
        let number = i64::try_from(next).unwrap_or(i64::MAX);
        statement.execute(params![number, body]).map_err(classify)?;
        next = next.saturating_add(1);
    }
    Ok(next)
}

fn delete_secrets(transaction: &Transaction<'_>, names: &[String]) -> Result<(), StoreError> {
    if names.is_empty() {
        return Ok(());
    }
    let sql = "DELETE FROM secrets WHERE name = ?1";
    let mut statement = transaction.prepare(sql).map_err(classify)?;
    names.iter().try_for_each(|name| statement.execute([name]).map(|_| ())).map_err(classify)
}

fn put_secrets(
    transaction: &Transaction<'_>,
    node: &NodeId,
    data_key: &Secret<[u8; 32]>,
    puts: &[(String, Secret<Vec<u8>>)],
) -> Result<(), StoreError> {
    if puts.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO secrets VALUES (?1, ?2) ON CONFLICT(name) DO UPDATE SET sealed = ?2";
    let mut statement = transaction.prepare(sql).map_err(classify)?;
    for (name, value) in puts {
        if name.is_empty() || name.len() > SECRET_NAME_BYTES_MAX {
            return Err(StoreError::Name(name.len()));
        }
        let place = secret_place(node, name.as_bytes());
        let sealed = sealed_box::seal(data_key.expose(), &place, value.expose(), &mut OsEntropy)
            .ok_or_else(|| StoreError::Io(format!("`{name}` is too long to be sealed")))?;
        statement.execute(params![name, sealed]).map_err(classify)?;
    }
    Ok(())
}

fn write_records(
    transaction: &Transaction<'_>,
    records: &[(String, Option<Vec<u8>>)],
) -> Result<(), StoreError> {
    let put = "INSERT INTO records VALUES (?1, ?2) ON CONFLICT(name) DO UPDATE SET body = ?2";
    for (name, body) in records {
        match body {
            Some(body) => transaction.execute(put, params![name, body]),
            None => transaction.execute("DELETE FROM records WHERE name = ?1", [name]),
        }
        .map_err(classify)?;
    }
    Ok(())
}

pub(super) fn classify(error: rusqlite::Error) -> StoreError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Locked,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(text),
        _ => StoreError::Io(text),
    }
}
