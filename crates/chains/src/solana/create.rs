//! From an ask and its fill to a legacy message: one spelling, so that every node makes the same bytes.
//!
//! Keys stand in the order of first use within their class: payer, writable, read-only.

use super::programs::{
    RECENT_BLOCKHASHES, SYSTEM, SYSTEM_ADVANCE_NONCE, SYSTEM_TRANSFER, TOKEN,
    TOKEN_TRANSFER_CHECKED,
};
use crate::Refusal;
use model::amount::Amount;
use model::intent::{Intent, Operation};
use model::request::Ask;
use solana_message::compiled_instruction::CompiledInstruction;
use solana_message::{Message, MessageHeader};
use solana_pubkey::Pubkey;

/// An account of an instruction, and whether it is written.
struct Meta(Pubkey, bool);

struct Instruction {
    program: Pubkey,
    accounts: Vec<Meta>,
    data: Vec<u8>,
}

/// SOL-9: the unsigned message of a transfer; without `ask` (SOL-11) it advances the nonce and does nothing besides.
pub(super) fn message(
    payer: Pubkey,
    ask: Option<&Ask>,
    blockhash: [u8; 32],
    nonce_account: Option<[u8; 32]>,
) -> Result<Vec<u8>, Refusal> {
    let advance = nonce_account.map(|account| advance_nonce(payer, Pubkey::from(account)));
    let act = match ask {
        None if advance.is_none() => {
            return Err(Refusal::Forbidden {
                what: "a cancel without a durable nonce",
                why: "two messages over one blockhash can both be mined",
            });
        }
        None => None,
        Some(ask) => Some(act(payer, ask)?),
    };
    let instructions: Vec<Instruction> = advance.into_iter().chain(act).collect();
    compile(payer, &instructions, blockhash)
}

fn act(payer: Pubkey, ask: &Ask) -> Result<Instruction, Refusal> {
    match ask {
        Ask::SolanaTransfer { to, lamports } => Ok(transfer(payer, Pubkey::from(*to), *lamports)),
        Ask::SolanaTokenTransfer { mint, source, destination, amount, decimals } => {
            let [source, mint, destination] = [source, mint, destination].map(|k| Pubkey::from(*k));
            Ok(token_transfer(payer, [source, mint, destination], *amount, *decimals))
        }
        _ => {
            let reason = "not for Solana".to_owned();
            Err(Refusal::Invalid { field: "ask", reason })
        }
    }
}

fn transfer(payer: Pubkey, to: Pubkey, lamports: u64) -> Instruction {
    let data = [SYSTEM_TRANSFER.to_le_bytes().to_vec(), lamports.to_le_bytes().to_vec()].concat();
    Instruction { program: SYSTEM, accounts: vec![Meta(payer, true), Meta(to, true)], data }
}

fn token_transfer(
    payer: Pubkey,
    [source, mint, destination]: [Pubkey; 3],
    amount: u64,
    decimals: u8,
) -> Instruction {
    let accounts =
        vec![Meta(source, true), Meta(mint, false), Meta(destination, true), Meta(payer, false)];
    let data = [&[TOKEN_TRANSFER_CHECKED][..], &amount.to_le_bytes(), &[decimals]].concat();
    Instruction { program: TOKEN, accounts, data }
}

fn advance_nonce(payer: Pubkey, account: Pubkey) -> Instruction {
    let accounts = vec![Meta(account, true), Meta(RECENT_BLOCKHASHES, false), Meta(payer, false)];
    let data = SYSTEM_ADVANCE_NONCE.to_le_bytes().to_vec();
    Instruction { program: SYSTEM, accounts, data }
}

fn compile(
    payer: Pubkey,
    instructions: &[Instruction],
    blockhash: [u8; 32],
) -> Result<Vec<u8>, Refusal> {
    let metas = || {
        let programs = instructions.iter().map(|i| (i.program, false));
        let accounts = instructions.iter().flat_map(|i| i.accounts.iter().map(|m| (m.0, m.1)));
        accounts.chain(programs)
    };
    let mut keys = vec![payer];
    let writable: Vec<Pubkey> = metas().filter(|(_, written)| *written).map(|(k, _)| k).collect();
    for key in writable {
        add(&mut keys, key);
    }
    let written = keys.len();
    for (key, _) in metas() {
        add(&mut keys, key);
    }
    let too_many =
        || Refusal::Malformed { format: "Solana message", reason: "too many keys".into() };
    let read_only = u8::try_from(keys.len().saturating_sub(written)).map_err(|_| too_many())?;
    let index = |key: &Pubkey| {
        let found = keys.iter().position(|k| k == key);
        found.and_then(|index| u8::try_from(index).ok()).ok_or_else(too_many)
    };
    let instructions = instructions
        .iter()
        .map(|instruction| {
            Ok(CompiledInstruction {
                program_id_index: index(&instruction.program)?,
                accounts: instruction
                    .accounts
                    .iter()
                    .map(|Meta(key, _)| index(key))
                    .collect::<Result<_, _>>()?,
                data: instruction.data.clone(),
            })
        })
        .collect::<Result<_, Refusal>>()?;
    let header = MessageHeader {
        num_required_signatures: 1,
        num_readonly_signed_accounts: 0,
        num_readonly_unsigned_accounts: read_only,
    };
    let recent_blockhash = blockhash.into();
    let account_keys = keys.clone();
    Ok(Message { header, account_keys, recent_blockhash, instructions }.serialize())
}

fn add(keys: &mut Vec<Pubkey>, key: Pubkey) {
    if !keys.contains(&key) {
        keys.push(key);
    }
}

/// The decoded bytes must say what was asked, and nothing besides but the nonce's advance.
pub(super) fn is_the_request(
    intent: &Intent,
    ask: Option<&Ask>,
    nonce_account: Option<[u8; 32]>,
) -> Result<(), Refusal> {
    let text = |bytes: &[u8; 32]| Pubkey::from(*bytes).to_string();
    let (advances, acts): (Vec<&Operation>, Vec<&Operation>) =
        intent.operations.iter().partition(|o| matches!(o, Operation::AdvanceNonce { .. }));
    let advanced: Vec<&String> = advances
        .iter()
        .filter_map(|o| match o {
            Operation::AdvanceNonce { account, .. } => Some(account),
            _ => None,
        })
        .collect();
    let wanted_nonce = nonce_account.map(|account| text(&account));
    let wanted = match ask {
        None => None,
        Some(Ask::SolanaTransfer { to, lamports }) => {
            let amount = Amount::from_u64(*lamports);
            Some(Operation::NativeTransfer { to: text(to), amount })
        }
        Some(Ask::SolanaTokenTransfer { mint, destination, amount, decimals, .. }) => {
            Some(Operation::TokenTransfer {
                token: text(mint),
                to: text(destination),
                amount: Amount::from_u64(*amount),
                decimals: Some(*decimals),
            })
        }
        Some(_) => return Err(Refusal::NotTheRequest("another kind of ask".to_owned())),
    };
    let source_fits = match ask {
        Some(Ask::SolanaTokenTransfer { source, .. }) => {
            intent.notes.iter().any(|note| note.ends_with(&text(source)))
        }
        _ => true,
    };
    let nonce_fits = advanced == wanted_nonce.iter().collect::<Vec<_>>();
    match nonce_fits && source_fits && acts == wanted.iter().collect::<Vec<_>>() {
        true => Ok(()),
        false => Err(Refusal::NotTheRequest("the message does something else".to_owned())),
    }
}
