//! Bodies of the three ECDSA messages: fixed fields of fixed size, so each value has one spelling.
//!
//! The engine's `parties` fields are not on the wire: they are rebuilt from the authenticated sender. Every dimension
//! the engine would index by is checked here, before the engine sees a value.

use super::error::Reason;
use super::frost::exact;
use dkls23_core::protocols::signing::{Broadcast3to4, TransmitPhase1to2, TransmitPhase2to3};
use dkls23_core::protocols::{PartiesMessage, PartyIndex};
use dkls23_core::utilities::multiplication::{L, MulDataToReceiver, OT_WIDTH};
use dkls23_core::utilities::ot::extension::{
    BATCH_SIZE, EXTENDED_BATCH_SIZE, KAPPA, OT_SECURITY, OTEDataToSender,
};
use k256::{AffinePoint, Scalar, Secp256k1 as K256};
use model::curve::{Curve, Secp256k1};
use model::wire::{Reader, WireError, Writer};
use size::{CHECK_BYTES, COLUMN_BYTES, COLUMNS, TAU_COLUMNS, TAU_ROWS, WIDTH};

/// The engine's dimensions.
#[expect(clippy::as_conversions, reason = "widening; `usize::from` is not const")]
mod size {
    use super::{BATCH_SIZE, EXTENDED_BATCH_SIZE, KAPPA, L, OT_SECURITY, OT_WIDTH};

    /// Columns of the extension: one for each base transfer.
    pub(super) const COLUMNS: usize = KAPPA as usize;
    /// Bytes of one column.
    pub(super) const COLUMN_BYTES: usize = (EXTENDED_BATCH_SIZE / 8) as usize;
    /// Bytes of one consistency value.
    pub(super) const CHECK_BYTES: usize = (OT_SECURITY / 8) as usize;
    /// Rows of corrections and entries of each.
    pub(super) const TAU_ROWS: usize = OT_WIDTH as usize;
    pub(super) const TAU_COLUMNS: usize = BATCH_SIZE as usize;
    /// Values of one multiplication.
    pub(super) const WIDTH: usize = L as usize;
}

/// Bytes of the salt of the engine's commitments.
const SALT_BYTES: usize = 64;

/// Bytes of the three bodies.
pub(super) const FIRST_BYTES: usize =
    32 + 32 + 32 + 32 + COLUMNS * COLUMN_BYTES + CHECK_BYTES + COLUMNS * CHECK_BYTES;
pub(super) const SECOND_BYTES: usize =
    32 + 4 * 33 + 32 + SALT_BYTES + 32 * TAU_ROWS * TAU_COLUMNS + 32 + 32 + 32 * WIDTH + 32 * WIDTH;
pub(super) const THIRD_BYTES: usize = 64;

type Read<T> = Result<T, Reason>;

/// The pair id, then the oblivious-transfer message.
pub(super) fn write_first(pair: &[u8; 32], message: &TransmitPhase1to2) -> Vec<u8> {
    let mut w = Writer::default();
    w.fixed(pair);
    w.fixed(&message.session_binding);
    w.fixed(&message.commitment);
    let transfer = &message.mul_transmit;
    w.fixed(&transfer.nonce);
    transfer.u.iter().for_each(|column| w.fixed(column));
    w.fixed(&transfer.verify_x);
    transfer.verify_t.iter().for_each(|value| w.fixed(value));
    w.into_bytes()
}

/// The id of the pair state that the sender used, and its message.
pub(super) fn read_first(
    body: &[u8],
    from: PartyIndex,
    to: PartyIndex,
) -> Read<([u8; 32], TransmitPhase1to2)> {
    exact(body, FIRST_BYTES)?;
    let mut r = Reader::new(body);
    let mut read = || {
        let (pair, session_binding, commitment) = (r.fixed()?, r.fixed()?, r.fixed()?);
        let nonce = r.fixed()?;
        let u = (0..COLUMNS).map(|_| r.fixed()).collect::<Result<_, _>>()?;
        let verify_x = r.fixed()?;
        let verify_t = (0..COLUMNS).map(|_| r.fixed()).collect::<Result<_, _>>()?;
        let mul_transmit = OTEDataToSender { nonce, u, verify_x, verify_t };
        let parties = PartiesMessage { sender: from, receiver: to };
        Ok((pair, TransmitPhase1to2 { parties, session_binding, commitment, mul_transmit }))
    };
    read().map_err(Reason::Malformed)
}

pub(super) fn write_second(message: &TransmitPhase2to3<K256>) -> Vec<u8> {
    let mut w = Writer::default();
    w.fixed(&message.session_binding);
    for point in
        [&message.gamma_u, &message.gamma_v, &message.public_share, &message.instance_point]
    {
        w.fixed(&Secp256k1::point_to_bytes(&(*point).into()));
    }
    write_scalar(&mut w, &message.psi);
    w.fixed(&message.salt);
    let product = &message.mul_transmit;
    product.vector_of_tau.iter().flatten().for_each(|value| write_scalar(&mut w, value));
    w.fixed(&product.ote_salt);
    w.fixed(&product.verify_r);
    product.verify_u.iter().for_each(|value| write_scalar(&mut w, value));
    product.gamma_sender.iter().for_each(|value| write_scalar(&mut w, value));
    w.into_bytes()
}

pub(super) fn read_second(
    body: &[u8],
    from: PartyIndex,
    to: PartyIndex,
) -> Read<TransmitPhase2to3<K256>> {
    exact(body, SECOND_BYTES)?;
    let mut r = Reader::new(body);
    let r = &mut r;
    let mut read = || {
        let session_binding = r.fixed()?;
        let (gamma_u, gamma_v) = (read_point(r)?, read_point(r)?);
        let (public_share, instance_point) = (read_point(r)?, read_point(r)?);
        let psi = read_scalar(r)?;
        let salt = r.fixed::<SALT_BYTES>()?.to_vec();
        let vector_of_tau =
            (0..TAU_ROWS).map(|_| read_scalars(r, TAU_COLUMNS)).collect::<Result<_, _>>()?;
        let (ote_salt, verify_r) = (r.fixed()?, r.fixed()?);
        let verify_u = read_scalars(r, WIDTH)?;
        let gamma_sender = read_scalars(r, WIDTH)?;
        let mul_transmit =
            MulDataToReceiver { vector_of_tau, ote_salt, verify_r, verify_u, gamma_sender };
        Ok(TransmitPhase2to3 {
            parties: PartiesMessage { sender: from, receiver: to },
            session_binding,
            gamma_u,
            gamma_v,
            psi,
            public_share,
            instance_point,
            salt,
            mul_transmit,
        })
    };
    read().map_err(Reason::Malformed)
}

/// Bodies of all rounds: what reads is written again to the same bytes.
pub(super) fn fuzz_bodies(body: &[u8]) {
    let ends = (PartyIndex::new(1), PartyIndex::new(2));
    let (Ok(from), Ok(to)) = ends else { return };
    if let Ok((pair, message)) = read_first(body, from, to) {
        assert_eq!(write_first(&pair, &message), body);
    }
    if let Ok(message) = read_second(body, from, to) {
        assert_eq!(write_second(&message), body);
    }
    if let Ok(message) = read_third(body) {
        assert_eq!(write_third(&message), body);
    }
}

pub(super) fn write_third(message: &Broadcast3to4<K256>) -> Vec<u8> {
    let mut w = Writer::default();
    write_scalar(&mut w, &message.u);
    write_scalar(&mut w, &message.w);
    w.into_bytes()
}

pub(super) fn read_third(body: &[u8]) -> Read<Broadcast3to4<K256>> {
    exact(body, THIRD_BYTES)?;
    let mut r = Reader::new(body);
    let mut read = || Ok(Broadcast3to4 { u: read_scalar(&mut r)?, w: read_scalar(&mut r)? });
    read().map_err(Reason::Malformed)
}

fn write_scalar(w: &mut Writer, scalar: &Scalar) {
    w.fixed(&Secp256k1::scalar_to_bytes(scalar));
}

fn read_scalar(r: &mut Reader<'_>) -> Result<Scalar, WireError> {
    Secp256k1::scalar_from_bytes(&r.fixed()?).ok_or(WireError::Range("scalar"))
}

fn read_scalars(r: &mut Reader<'_>, count: usize) -> Result<Vec<Scalar>, WireError> {
    (0..count).map(|_| read_scalar(r)).collect()
}

fn read_point(r: &mut Reader<'_>) -> Result<AffinePoint, WireError> {
    let point = Secp256k1::point_from_bytes(&r.fixed::<33>()?).ok_or(WireError::Range("point"))?;
    Ok(point.to_affine())
}
