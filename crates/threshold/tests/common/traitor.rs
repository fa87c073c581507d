//! A traitor's hand: his own stored pair state, and honest first messages bent in one column. Shared by the attack on
//! the bare library and by the one on whole nodes (`crates/sim/tests/parallel.rs`).

#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing, clippy::as_conversions)]

use dkls23_core::utilities::hashes::{HashOutput, tagged_hash};
use dkls23_core::utilities::multiplication::{MulReceiver, MulSender};
use dkls23_core::utilities::oracle_tags::{
    TAG_OTE_CHI, TAG_OTE_PRG, TAG_OTE_SESSION, TAG_SIGN_MUL_SESSION,
};
use dkls23_core::utilities::ot::extension::{
    KAPPA, OTEDataToSender, OTEReceiver, PRGOutput, field_mul,
};
use k256::Secp256k1 as K256;
use model::wire::{Reader, tags};
use threshold::sign::Head;

pub const COLUMNS: usize = KAPPA as usize;
/// Bytes of one element of the check.
const FIELD: usize = 26;
/// Bytes before the body of a signing message: its head and the body's length.
pub const HEAD: usize = 75 + 4;

/// What the traitor keeps of one session: enough to open its answer once the correlation is known.
pub struct Kept {
    pub extension: HashOutput,
    pub t: Vec<PRGOutput>,
    pub x: PRGOutput,
}

/// Rebuilds an honest first message with one flipped choice bit in column `row`, checks recomputed to fit.
pub fn bend(
    receiver: &OTEReceiver,
    session: &[u8],
    data: &mut OTEDataToSender,
    row: Option<usize>,
) -> Kept {
    let session = ["OT Extension protocol".as_bytes(), session].concat();
    let extension = tagged_hash(TAG_OTE_SESSION, &[&session, &data.nonce]);
    let stream = |at: usize, seed: &HashOutput| {
        let mut out = PRGOutput::from([0u8; 78]);
        let at = u16::try_from(at).unwrap().to_be_bytes();
        for (counter, chunk) in (0u16..).zip(out.chunks_mut(32)) {
            let parts: [&[u8]; 4] = [&extension, &at, &counter.to_be_bytes(), seed];
            chunk.copy_from_slice(&tagged_hash(TAG_OTE_PRG, &parts)[..chunk.len()]);
        }
        out
    };
    let t: Vec<_> = receiver.seeds0.iter().enumerate().map(|(at, s)| stream(at, s)).collect();
    // An honest column is t xor the other stream xor the choice bits.
    let other = stream(0, &receiver.seeds1[0]);
    let mut x = data.u[0];
    for ((x, t), o) in x.iter_mut().zip(&t[0]).zip(&other) {
        *x ^= t ^ o;
    }
    if let Some(row) = row {
        data.u[row][0] ^= 1;
    }
    let message = data.u.concat();
    let challenge = |name: &[u8]| {
        let hash = tagged_hash(TAG_OTE_CHI, &[&extension, name, &message]);
        hash[..FIELD].to_vec()
    };
    let (one, two) = (challenge(b"chi1"), challenge(b"chi2"));
    let fold = |v: &PRGOutput| {
        let a = field_mul(&v[..FIELD], &one).unwrap();
        let b = field_mul(&v[FIELD..2 * FIELD], &two).unwrap();
        let mut out = [0u8; FIELD];
        for (at, out) in out.iter_mut().enumerate() {
            *out = a[at] ^ b[at] ^ v[2 * FIELD + at];
        }
        out
    };
    data.verify_t = t.iter().map(&fold).collect();
    data.verify_x = fold(&x);
    Kept { extension, t, x }
}

/// What a node stores of a pair, as its owner can read it.
pub struct Stored {
    pub zero_seed: [u8; 32],
    pub sender: MulSender<K256>,
    pub receiver: MulReceiver<K256>,
}

pub fn stored(bytes: &[u8]) -> Stored {
    let mut r = Reader::new(bytes);
    r.header(tags::PAIR_STATE, 1).unwrap();
    let _: [u8; 32 + 32 + 4 + 32] = r.fixed().unwrap();
    let zero_seed = r.fixed().unwrap();
    let sender = postcard::from_bytes(&r.bytes(1 << 20).unwrap()).unwrap();
    let receiver = postcard::from_bytes(&r.bytes(1 << 20).unwrap()).unwrap();
    Stored { zero_seed, sender, receiver }
}

/// What an ECDSA session is about, as the engine's hashes see it.
pub struct Place<'a> {
    pub public_key: &'a [u8],
    pub digest: &'a [u8],
    /// Numbers of all members in order, of the traitor and of the one he attacks.
    pub parties: &'a [u8],
    pub traitor: u8,
    pub honest: u8,
}

impl Place<'_> {
    pub fn hash(&self, tag: &[u8], head: &Head, roles: &[u8]) -> HashOutput {
        let mut parts: Vec<&[u8]> = vec![
            &head.session.0,
            &head.context,
            &[0; 32],
            self.public_key,
            self.digest,
            self.parties,
        ];
        if !roles.is_empty() {
            parts.push(roles);
        }
        tagged_hash(tag, &parts)
    }
}

impl Stored {
    /// Bends the traitor's own honest first message of a session in column `row`; in none to see that the rebuilding is exact.
    pub fn bend(&self, place: &Place<'_>, bytes: &mut [u8], row: Option<usize>) -> Kept {
        let head = Head::peek(bytes).unwrap();
        let id = place.hash(TAG_SIGN_MUL_SESSION, &head, &[place.traitor, place.honest]);
        let mut body = Reader::new(&bytes[HEAD + 96..]);
        let nonce = body.fixed().unwrap();
        let u = (0..COLUMNS).map(|_| body.fixed().unwrap()).collect();
        let verify_x = body.fixed().unwrap();
        let verify_t = (0..COLUMNS).map(|_| body.fixed().unwrap()).collect();
        let mut data = OTEDataToSender { nonce, u, verify_x, verify_t };
        let before = (data.verify_x, data.verify_t.clone());
        let kept = bend(&self.receiver.ote_receiver, &id, &mut data, row);
        if row.is_none() {
            assert_eq!(before, (data.verify_x, data.verify_t.clone()), "the rebuilding is exact");
        }
        let flat = [data.u.concat(), data.verify_x.to_vec(), data.verify_t.concat()].concat();
        bytes[HEAD + 128..].copy_from_slice(&flat);
        kept
    }
}
