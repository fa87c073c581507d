//! Strict reading of PSBT version 0 (BIP-174, BIP-371) and version 2 (BIP-370).
//!
//! Both versions are read into maps by one reader and written again as version 0, so that everything behind this file
//! sees one form. Invariants: sizes are canonical, no key stands twice, version-2 fields never stand in version 0 (nor
//! the other way round), nothing follows the last map. Fields that this room does not know are left out and counted.
//! Absent on purpose: base64 (callers bring bytes).

use crate::Refusal;
use bitcoin::consensus::{Decodable, deserialize, serialize};
use bitcoin::locktime::absolute::LockTime;
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, Psbt, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness};
use model::limits;
use std::collections::BTreeMap;

const MAGIC: &[u8] = b"psbt\xff";
/// First value of a lock time that is seconds instead of a height.
const LOCK_SECONDS_MIN: u32 = 500_000_000;

/// A PSBT in the form of version 0.
pub(super) struct Read {
    pub psbt: Psbt,
    /// Version of the bytes: 0 or 2.
    pub version: u8,
    /// Fields left out because this room does not know them.
    pub ignored: usize,
}

type Map = BTreeMap<(u8, Vec<u8>), Vec<u8>>;

pub(super) fn malformed(reason: impl Into<String>) -> Refusal {
    Refusal::Malformed { format: "PSBT", reason: reason.into() }
}

/// Reads a PSBT of either version.
pub(super) fn read(bytes: &[u8]) -> Result<Read, Refusal> {
    if bytes.len() == 32 {
        return Err(Refusal::RawDigest);
    }
    if bytes.len() > limits::TRANSACTION_BYTES_MAX {
        return Err(Refusal::TooLong { found: bytes.len(), max: limits::TRANSACTION_BYTES_MAX });
    }
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| malformed("the magic bytes are missing"))?;
    let mut reader = Reader { rest };
    let global = reader.map()?;
    match version(&global)? {
        0 => read_v0(global, reader),
        2 => read_v2(&global, reader),
        other => Err(malformed(format!("version {other}; 0 and 2 are read"))),
    }
}

fn read_v0(global: Map, mut reader: Reader<'_>) -> Result<Read, Refusal> {
    // BIP-370: fields 0x02 to 0x06 must not stand in version 0.
    if let Some((kind, _)) = global.keys().find(|(kind, _)| (0x02..=0x06).contains(kind)) {
        return Err(malformed(format!("global field {kind:#04x} of version 2 in version 0")));
    }
    let unsigned = field(&global, 0x00)?.ok_or_else(|| malformed("no unsigned transaction"))?;
    let transaction = unsigned_transaction(unsigned)?;
    let inputs = reader.maps(transaction.input.len())?;
    let outputs = reader.maps(transaction.output.len())?;
    reader.end()?;
    if inputs.iter().any(|map| map.keys().any(|(kind, _)| (0x0e..=0x12).contains(kind)))
        || outputs.iter().any(|map| map.keys().any(|(kind, _)| matches!(kind, 0x03 | 0x04)))
    {
        return Err(malformed("a field of version 2 in version 0"));
    }
    into_v0(&transaction, 0, &global, &inputs, &outputs)
}

fn read_v2(global: &Map, mut reader: Reader<'_>) -> Result<Read, Refusal> {
    if field(global, 0x00)?.is_some() {
        return Err(malformed("an unsigned transaction in version 2"));
    }
    let inputs = reader.maps(count(global, 0x04, "input count")?)?;
    let outputs = reader.maps(count(global, 0x05, "output count")?)?;
    reader.end()?;
    let version = field(global, 0x02)?.ok_or_else(|| malformed("no transaction version"))?;
    let transaction = Transaction {
        version: Version(i32::from_le_bytes(exact(version, "transaction version")?)),
        lock_time: lock_time(global, &inputs)?,
        input: inputs.iter().map(input_v2).collect::<Result<_, _>>()?,
        output: outputs.iter().map(output_v2).collect::<Result<_, _>>()?,
    };
    into_v0(&transaction, 2, global, &inputs, &outputs)
}

/// Writes the maps as version 0 and lets `rust-bitcoin` read every field's value.
fn into_v0(
    transaction: &Transaction,
    version: u8,
    global: &Map,
    inputs: &[Map],
    outputs: &[Map],
) -> Result<Read, Refusal> {
    if transaction.input.is_empty() || transaction.output.is_empty() {
        return Err(malformed("a transaction without inputs or without outputs"));
    }
    let mut ignored = global.keys().filter(|(kind, _)| !global_known(*kind)).count();
    let mut out = MAGIC.to_vec();
    // Written by hand: the serialisation of `rust-bitcoin` would add the segwit marker to a transaction of no inputs.
    write_pair(&mut out, &[0x00], &serialize(transaction));
    out.push(0);
    let v2_input = |kind: u8| (0x0e..=0x12).contains(&kind);
    let v2_output = |kind: u8| matches!(kind, 0x03 | 0x04);
    for map in inputs {
        ignored = ignored.saturating_add(write_map(&mut out, map, input_known, v2_input));
    }
    for map in outputs {
        ignored = ignored.saturating_add(write_map(&mut out, map, output_known, v2_output));
    }
    let psbt = Psbt::deserialize(&out).map_err(|e| malformed(e.to_string()))?;
    Ok(Read { psbt, version, ignored })
}

fn global_known(kind: u8) -> bool {
    matches!(kind, 0x00..=0x06 | 0xfb)
}

fn input_known(kind: u8) -> bool {
    matches!(kind, 0x00..=0x08 | 0x0a..=0x0d | 0x13..=0x18)
}

fn output_known(kind: u8) -> bool {
    matches!(kind, 0x00..=0x02 | 0x05..=0x07)
}

/// Writes the known fields; `carried` ones already stand in the transaction. Returns how many were left out.
fn write_map(
    out: &mut Vec<u8>,
    map: &Map,
    known: fn(u8) -> bool,
    carried: impl Fn(u8) -> bool,
) -> usize {
    let mut ignored = 0usize;
    for ((kind, key), value) in map {
        if known(*kind) {
            let key: Vec<u8> = [*kind].into_iter().chain(key.iter().copied()).collect();
            write_pair(out, &key, value);
        } else if !carried(*kind) {
            ignored = ignored.saturating_add(1);
        }
    }
    out.push(0);
    ignored
}

fn write_pair(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    out.extend(serialize(&key.to_vec()));
    out.extend(serialize(&value.to_vec()));
}

fn version(global: &Map) -> Result<u32, Refusal> {
    match field(global, 0xfb)? {
        None => Ok(0),
        Some(bytes) => exact(bytes, "version").map(u32::from_le_bytes),
    }
}

fn unsigned_transaction(mut bytes: &[u8]) -> Result<Transaction, Refusal> {
    let bad =
        |e: bitcoin::consensus::encode::Error| malformed(format!("unsigned transaction: {e}"));
    // Without witness marker: field by field, as BIP-174 wants it.
    let transaction = Transaction {
        version: Decodable::consensus_decode(&mut bytes).map_err(bad)?,
        input: Decodable::consensus_decode(&mut bytes).map_err(bad)?,
        output: Decodable::consensus_decode(&mut bytes).map_err(bad)?,
        lock_time: Decodable::consensus_decode(&mut bytes).map_err(bad)?,
    };
    match bytes.is_empty() {
        true => Ok(transaction),
        false => Err(Refusal::DirtyBytes { place: "the unsigned transaction".to_owned() }),
    }
}

fn input_v2(map: &Map) -> Result<TxIn, Refusal> {
    let txid = field(map, 0x0e)?.ok_or_else(|| malformed("an input without previous txid"))?;
    let vout = field(map, 0x0f)?.ok_or_else(|| malformed("an input without output index"))?;
    let sequence = match field(map, 0x10)? {
        None => Sequence::MAX,
        Some(bytes) => Sequence(u32::from_le_bytes(exact(bytes, "sequence")?)),
    };
    let txid = deserialize(txid).map_err(|_| malformed("a previous txid that is not 32 bytes"))?;
    let vout = u32::from_le_bytes(exact(vout, "output index")?);
    Ok(TxIn {
        previous_output: OutPoint { txid, vout },
        script_sig: ScriptBuf::new(),
        sequence,
        witness: Witness::new(),
    })
}

fn output_v2(map: &Map) -> Result<TxOut, Refusal> {
    let value = field(map, 0x03)?.ok_or_else(|| malformed("an output without amount"))?;
    let script = field(map, 0x04)?.ok_or_else(|| malformed("an output without script"))?;
    let value = u64::try_from(i64::from_le_bytes(exact(value, "amount")?))
        .map_err(|_| malformed("a negative amount"))?;
    Ok(TxOut { value: Amount::from_sat(value), script_pubkey: ScriptBuf::from(script.to_vec()) })
}

/// BIP-370, "Determining Lock Time": the largest height if every demand has one, else the largest time.
fn lock_time(global: &Map, inputs: &[Map]) -> Result<LockTime, Refusal> {
    let fallback = match field(global, 0x03)? {
        None => 0,
        Some(bytes) => u32::from_le_bytes(exact(bytes, "fallback lock time")?),
    };
    let mut demands = Vec::new();
    for map in inputs {
        let number =
            |kind, name| field(map, kind).and_then(|f| f.map(|b| exact(b, name)).transpose());
        let time = number(0x11, "lock time")?.map(u32::from_le_bytes);
        let height = number(0x12, "lock height")?.map(u32::from_le_bytes);
        let time_bad = time.is_some_and(|t| t < LOCK_SECONDS_MIN);
        let height_bad = height.is_some_and(|h| h == 0 || h >= LOCK_SECONDS_MIN);
        if time_bad || height_bad {
            return Err(malformed("a required lock time outside its range"));
        }
        if time.is_some() || height.is_some() {
            demands.push((height, time));
        }
    }
    let heights: Option<Vec<u32>> = demands.iter().map(|(height, _)| *height).collect();
    let times: Option<Vec<u32>> = demands.iter().map(|(_, time)| *time).collect();
    let chosen = match (demands.is_empty(), heights, times) {
        (true, _, _) => fallback,
        (false, Some(heights), _) => heights.into_iter().max().unwrap_or_default(),
        (false, None, Some(times)) => times.into_iter().max().unwrap_or_default(),
        (false, None, None) => return Err(malformed("inputs demand heights and times")),
    };
    Ok(LockTime::from_consensus(chosen))
}

fn count(global: &Map, kind: u8, name: &'static str) -> Result<usize, Refusal> {
    let bytes = field(global, kind)?.ok_or_else(|| malformed(format!("no {name}")))?;
    let mut reader = Reader { rest: bytes };
    let count = reader.size()?;
    reader.end()?;
    Ok(count)
}

/// The value of a field whose key has no data.
fn field(map: &Map, kind: u8) -> Result<Option<&[u8]>, Refusal> {
    if map.keys().any(|(k, data)| *k == kind && !data.is_empty()) {
        return Err(malformed(format!("field {kind:#04x} has key data")));
    }
    Ok(map.get(&(kind, Vec::new())).map(Vec::as_slice))
}

fn exact<const N: usize>(bytes: &[u8], name: &str) -> Result<[u8; N], Refusal> {
    bytes.try_into().map_err(|_| malformed(format!("{name} is {} bytes, not {N}", bytes.len())))
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Refusal> {
        let split = self.rest.split_at_checked(count);
        let (head, tail) = split.ok_or_else(|| malformed("the bytes end too early"))?;
        self.rest = tail;
        Ok(head)
    }

    /// A compact size in its shortest spelling.
    fn size(&mut self) -> Result<usize, Refusal> {
        let first = self.take(1)?.first().copied().unwrap_or_default();
        let (length, floor) = match first {
            0xfd => (2, 0xfd),
            0xfe => (4, 0x1_0000),
            0xff => return Err(malformed("a size over four bytes")),
            small => return Ok(usize::from(small)),
        };
        let value = self.take(length)?.iter().rev().fold(0u64, |acc, b| (acc << 8) | u64::from(*b));
        if value < floor {
            return Err(Refusal::DirtyBytes { place: "a size (not its shortest form)".to_owned() });
        }
        usize::try_from(value).map_err(|_| malformed("a size over this machine's"))
    }

    fn map(&mut self) -> Result<Map, Refusal> {
        let mut map = Map::new();
        loop {
            let length = self.size()?;
            let Some((kind, key)) = self.take(length)?.split_first() else { return Ok(map) };
            let length = self.size()?;
            let value = self.take(length)?.to_vec();
            if map.insert((*kind, key.to_vec()), value).is_some() {
                return Err(malformed(format!("field {kind:#04x} stands twice")));
            }
        }
    }

    fn maps(&mut self, count: usize) -> Result<Vec<Map>, Refusal> {
        // Every map takes a byte at least, so a lying count ends here and not in an allocation.
        if count > self.rest.len() {
            return Err(malformed("the bytes end too early"));
        }
        (0..count).map(|_| self.map()).collect()
    }

    fn end(&self) -> Result<(), Refusal> {
        match self.rest.is_empty() {
            true => Ok(()),
            false => Err(Refusal::DirtyBytes { place: "the end of the PSBT".to_owned() }),
        }
    }
}
