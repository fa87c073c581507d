//! Strict reading of a Solana message, legacy or version 0.
//!
//! Our own reader and `solana-message` check each other: what was read is written again by that crate and must be the
//! same bytes. Invariants: lengths are in their shortest form, every index points at a key, no key stands twice, one
//! signer, no lookup table. Absent on purpose: version 1 messages, off-chain messages, whole transactions.

use crate::Refusal;
use solana_message::compiled_instruction::CompiledInstruction;
use solana_message::{Message, MessageHeader, VersionedMessage, v0};
use solana_pubkey::Pubkey;
use std::collections::BTreeSet;

/// Bytes of a message at most: one packet of 1232 bytes, less the signature and its count.
pub(super) const MESSAGE_BYTES_MAX: usize = 1232 - 65;
/// First bit of a version prefix.
const VERSION_BIT: u8 = 0x80;
/// How an off-chain message begins.
const OFF_CHAIN: &[u8] = b"\xffsolana offchain";

/// Format of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Legacy,
    V0,
}

/// A message with one signer and known keys.
pub(super) struct Read {
    pub version: Version,
    /// The only signer; it pays the fee.
    pub payer: Pubkey,
    pub blockhash: [u8; 32],
    pub instructions: Vec<Call>,
}

/// One instruction, indexes resolved.
pub(super) struct Call {
    pub program: Pubkey,
    pub accounts: Vec<Pubkey>,
    pub data: Vec<u8>,
}

fn malformed(reason: impl Into<String>) -> Refusal {
    Refusal::Malformed { format: "Solana message", reason: reason.into() }
}

/// SOL-1: reads a message of either version, or names what is wrong.
pub(super) fn read(bytes: &[u8]) -> Result<Read, Refusal> {
    if bytes.len() == 32 {
        return Err(Refusal::RawDigest);
    }
    if bytes.starts_with(OFF_CHAIN) {
        let why = "it carries text that no decoder names";
        return Err(Refusal::Forbidden { what: "an off-chain message", why });
    }
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(Refusal::TooLong { found: bytes.len(), max: MESSAGE_BYTES_MAX });
    }
    let (version, body) = match bytes.split_first() {
        Some((first, rest)) if *first == VERSION_BIT => (Version::V0, rest),
        Some((first, _)) if *first > VERSION_BIT => {
            return Err(malformed(format!("version {}; legacy and 0 are read", first & 0x7f)));
        }
        _ => (Version::Legacy, bytes),
    };
    let parts = parts(version, body)?;
    written_again_is_the_same(version, &parts, bytes)?;
    resolve(version, parts)
}

struct Parts {
    header: MessageHeader,
    keys: Vec<Pubkey>,
    blockhash: [u8; 32],
    instructions: Vec<CompiledInstruction>,
}

fn parts(version: Version, body: &[u8]) -> Result<Parts, Refusal> {
    let mut reader = Reader { rest: body };
    let [signatures, readonly_signed, readonly_unsigned] = reader.array()?;
    let header = MessageHeader {
        num_required_signatures: signatures,
        num_readonly_signed_accounts: readonly_signed,
        num_readonly_unsigned_accounts: readonly_unsigned,
    };
    let count = reader.length()?;
    let keys =
        (0..count).map(|_| reader.array().map(Pubkey::from)).collect::<Result<Vec<_>, _>>()?;
    let blockhash = reader.array()?;
    let count = reader.length()?;
    let instructions = (0..count).map(|_| reader.instruction()).collect::<Result<Vec<_>, _>>()?;
    if version == Version::V0 && reader.length()? != 0 {
        let why = "the accounts they stand for are not in the bytes";
        return Err(Refusal::Forbidden { what: "an address lookup table", why });
    }
    match reader.rest.is_empty() {
        true => Ok(Parts { header, keys, blockhash, instructions }),
        false => Err(Refusal::DirtyBytes { place: "the end of the message".to_owned() }),
    }
}

fn written_again_is_the_same(version: Version, parts: &Parts, bytes: &[u8]) -> Result<(), Refusal> {
    let Parts { header, keys, blockhash, instructions } = parts;
    let (account_keys, instructions) = (keys.clone(), instructions.clone());
    let (header, recent_blockhash) = (*header, (*blockhash).into());
    let message = match version {
        Version::Legacy => VersionedMessage::Legacy(Message {
            header,
            account_keys,
            recent_blockhash,
            instructions,
        }),
        Version::V0 => VersionedMessage::V0(v0::Message {
            header,
            account_keys,
            recent_blockhash,
            instructions,
            address_table_lookups: Vec::new(),
        }),
    };
    message.sanitize().map_err(|e| malformed(e.to_string()))?;
    match message.serialize() == bytes {
        true => Ok(()),
        false => Err(Refusal::DirtyBytes { place: "the message (not its only form)".to_owned() }),
    }
}

fn resolve(version: Version, parts: Parts) -> Result<Read, Refusal> {
    // SOL-2: one signer, which pays; a second signer's part could not be judged here.
    if parts.header.num_required_signatures != 1 {
        let why = "every signer must be this address";
        return Err(Refusal::Forbidden { what: "a message with several signers", why });
    }
    let distinct: BTreeSet<[u8; 32]> = parts.keys.iter().map(Pubkey::to_bytes).collect();
    if distinct.len() != parts.keys.len() {
        return Err(malformed("an account key stands twice"));
    }
    let payer = *parts.keys.first().ok_or_else(|| malformed("no account keys"))?;
    let key = |index: &u8| {
        let found = parts.keys.get(usize::from(*index)).copied();
        found.ok_or_else(|| malformed(format!("account index {index} points nowhere")))
    };
    let instructions = parts
        .instructions
        .iter()
        .map(|instruction| {
            Ok(Call {
                program: key(&instruction.program_id_index)?,
                accounts: instruction.accounts.iter().map(key).collect::<Result<_, _>>()?,
                data: instruction.data.clone(),
            })
        })
        .collect::<Result<_, Refusal>>()?;
    Ok(Read { version, payer, blockhash: parts.blockhash, instructions })
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

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        self.take(N)?.try_into().map_err(|_| malformed("the bytes end too early"))
    }

    /// A compact-u16 in its shortest form.
    fn length(&mut self) -> Result<usize, Refusal> {
        let mut value = 0u32;
        for place in 0..3u32 {
            let [byte] = self.array()?;
            value |= u32::from(byte & 0x7f) << (place * 7);
            if byte < 0x80 {
                // A last byte of zero adds nothing: the same length has a shorter form.
                let shortest = byte != 0 || place == 0;
                let fits = u16::try_from(value).map(usize::from).ok();
                return fits.filter(|_| shortest).ok_or_else(|| Refusal::DirtyBytes {
                    place: "a length (not its shortest form)".to_owned(),
                });
            }
        }
        Err(malformed("a length over 16 bits"))
    }

    fn bytes(&mut self) -> Result<Vec<u8>, Refusal> {
        let length = self.length()?;
        self.take(length).map(<[u8]>::to_vec)
    }

    fn instruction(&mut self) -> Result<CompiledInstruction, Refusal> {
        let [program_id_index] = self.array()?;
        Ok(CompiledInstruction { program_id_index, accounts: self.bytes()?, data: self.bytes()? })
    }
}
