//! What a vault is to its nodes: the public half, and one seat's secret half.
//!
//! Invariants: the commitments' roots are the vault's public keys, and members sit exactly on the tree's seats; both
//! hold for every [`VaultPublic`] that was read from bytes. K4: a share carries its epoch and fits no other.

use crate::sharing::verify_share;
use model::access::AccessTree;
use model::commitment::{Commitments, points_of};
use model::curve::{Curve, Ed25519, Secp256k1};
use model::ids::{Epoch, NodeId, Seat};
use model::keys::{KeyKind, Purpose, VaultKeys};
use model::limits;
use model::secret::Secret;
use model::wire::{Reader, Wire, WireError, Writer, tags};
use std::collections::{BTreeMap, BTreeSet};

/// The public half of one committee's sharing of a vault's three root keys.
///
/// # Security
/// Holds the chain codes: confidential, given to nodes of the vault only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultPublic {
    /// Test or live, for ever.
    pub purpose: Purpose,
    /// Version of this sharing.
    pub epoch: Epoch,
    /// Who can use the keys together.
    pub tree: AccessTree,
    /// Which node sits where; exactly the tree's seats.
    pub members: BTreeMap<Seat, NodeId>,
    /// The root public keys with their chain codes.
    pub keys: VaultKeys,
    /// Sharing of the ECDSA root.
    pub ecdsa: Commitments<Secp256k1>,
    /// Sharing of the BIP-340 root.
    pub bip340: Commitments<Secp256k1>,
    /// Sharing of the Ed25519 root.
    pub ed25519: Commitments<Ed25519>,
}

/// One seat's shares of the three root keys, each a scalar in its curve's byte order.
#[derive(Debug)]
pub struct VaultShare {
    /// The seat.
    pub seat: Seat,
    /// Version of the sharing.
    pub epoch: Epoch,
    /// Share of the ECDSA root.
    pub ecdsa: Secret<[u8; 32]>,
    /// Share of the BIP-340 root.
    pub bip340: Secret<[u8; 32]>,
    /// Share of the Ed25519 root.
    pub ed25519: Secret<[u8; 32]>,
}

/// Why a share does not belong to a vault, or bytes are no share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// The bytes do not read.
    #[error("the bytes are not a share")]
    Wire(#[from] WireError),
    /// Share and public half are of two epochs.
    #[error("share of epoch {share} where the vault is at epoch {vault}")]
    Epoch {
        /// The share's.
        share: u32,
        /// The vault's.
        vault: u32,
    },
    /// The vault has no such seat.
    #[error("the vault has no seat {0}")]
    Seat(u16),
    /// The share is not the one that the commitments fix.
    #[error("the {key} share of seat {seat} does not match its public commitment")]
    Mismatch {
        /// The seat.
        seat: u16,
        /// The key.
        key: KeyKind,
    },
}

impl ShareError {
    /// Stable name for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Wire(_) => "share_malformed",
            Self::Epoch { .. } => "share_epoch",
            Self::Seat(_) => "share_seat",
            Self::Mismatch { .. } => "share_mismatch",
        }
    }
}

impl VaultPublic {
    /// Refuses a share that is not this sharing's: other epoch, unknown seat, or a scalar that was altered.
    pub fn check_share(&self, share: &VaultShare) -> Result<(), ShareError> {
        if share.epoch != self.epoch {
            return Err(ShareError::Epoch { share: share.epoch.0, vault: self.epoch.0 });
        }
        let seat = share.seat;
        if !self.members.contains_key(&seat) {
            return Err(ShareError::Seat(seat.0));
        }
        let tree = &self.tree;
        let good = [
            (KeyKind::Ecdsa, verify_share(tree, &self.ecdsa, seat, share.ecdsa.expose())),
            (KeyKind::Bip340, verify_share(tree, &self.bip340, seat, share.bip340.expose())),
            (KeyKind::Ed25519, verify_share(tree, &self.ed25519, seat, share.ed25519.expose())),
        ];
        match good.into_iter().find(|(_, good)| !good) {
            Some((key, _)) => Err(ShareError::Mismatch { seat: seat.0, key }),
            None => Ok(()),
        }
    }

    /// The seat of `node`.
    pub fn seat_of(&self, node: NodeId) -> Option<Seat> {
        self.members.iter().find(|(_, member)| **member == node).map(|(seat, _)| *seat)
    }

    /// The first quorum among the nodes present; every seat in it is needed.
    pub fn quorum_from(&self, present: &BTreeSet<NodeId>) -> Option<BTreeSet<Seat>> {
        let sits_here = |(seat, node): (&Seat, &NodeId)| present.contains(node).then_some(*seat);
        self.tree.minimal_quorum(&self.members.iter().filter_map(sits_here).collect())
    }

    fn consistent(&self) -> Result<(), WireError> {
        let roots = self.ecdsa.root() == self.keys.ecdsa.point
            && self.bip340.root() == self.keys.bip340.point
            && self.ed25519.root() == self.keys.ed25519.point;
        if !roots {
            return Err(WireError::Range("commitments of another key"));
        }
        check_members(&self.tree, &self.members)
    }
}

/// Members sit exactly on the tree's seats, each node once.
pub(crate) fn check_members(
    tree: &AccessTree,
    members: &BTreeMap<Seat, NodeId>,
) -> Result<(), WireError> {
    let seats: BTreeSet<Seat> = tree.seats().into_iter().collect();
    if !members.keys().eq(seats.iter()) {
        return Err(WireError::Range("members are not the seats of the tree"));
    }
    let nodes: BTreeSet<NodeId> = members.values().copied().collect();
    if nodes.len() != members.len() {
        return Err(WireError::Range("one node on two seats"));
    }
    Ok(())
}

pub(crate) fn write_members(w: &mut Writer, members: &BTreeMap<Seat, NodeId>) {
    let list: Vec<_> = members.iter().collect();
    w.list(&list, |w, (seat, node)| {
        w.u16(seat.0);
        w.fixed(&node.0);
    });
}

/// Reads members; seats strictly ascend, so that there is one spelling.
pub(crate) fn read_members(r: &mut Reader<'_>) -> Result<BTreeMap<Seat, NodeId>, WireError> {
    let list = r.list(limits::SEATS_MAX, |r| Ok((Seat(r.u16()?), NodeId(r.fixed()?))))?;
    if !list.is_sorted_by(|(a, _), (b, _)| a < b) {
        return Err(WireError::Range("order of members"));
    }
    Ok(list.into_iter().collect())
}

/// Reads commitments over `tree`: a length, then as many points as the tree fixes.
pub(crate) fn read_commitments<C: Curve>(
    r: &mut Reader<'_>,
    tree: &AccessTree,
) -> Result<Commitments<C>, WireError> {
    let bytes = r.bytes(points_of(tree).saturating_mul(C::POINT_BYTES))?;
    Commitments::from_bytes(tree, &bytes).map_err(|_| WireError::Range("commitments"))
}

impl Wire for VaultPublic {
    fn write(&self, w: &mut Writer) {
        w.header(tags::VAULT_PUBLIC, 1);
        self.purpose.write(w);
        w.u32(self.epoch.0);
        self.tree.write(w);
        write_members(w, &self.members);
        self.keys.write(w);
        w.bytes(&self.ecdsa.to_bytes());
        w.bytes(&self.bip340.to_bytes());
        w.bytes(&self.ed25519.to_bytes());
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.header(tags::VAULT_PUBLIC, 1)?;
        let (purpose, epoch) = (Purpose::read(r)?, Epoch(r.u32()?));
        let tree = AccessTree::read(r)?;
        let (members, keys) = (read_members(r)?, VaultKeys::read(r)?);
        let ecdsa = read_commitments(r, &tree)?;
        let bip340 = read_commitments(r, &tree)?;
        let ed25519 = read_commitments(r, &tree)?;
        let public = Self { purpose, epoch, tree, members, keys, ecdsa, bip340, ed25519 };
        public.consistent()?;
        Ok(public)
    }
}

/// Bytes of a written share: header, seat, epoch, three scalars.
const SHARE_BYTES: usize = 3 + 2 + 4 + 96;

impl VaultShare {
    /// The bytes, to be sealed.
    pub fn to_bytes(&self) -> Secret<Vec<u8>> {
        // One allocation of the final size: growing would leave copies of scalars behind.
        let mut out = Vec::with_capacity(SHARE_BYTES);
        out.extend_from_slice(&tags::VAULT_SHARE.to_be_bytes());
        out.push(1);
        out.extend_from_slice(&self.seat.0.to_be_bytes());
        out.extend_from_slice(&self.epoch.0.to_be_bytes());
        for share in [&self.ecdsa, &self.bip340, &self.ed25519] {
            out.extend_from_slice(share.expose());
        }
        Secret::new(out)
    }

    /// Reads exactly one share; scalars are canonical.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ShareError> {
        let mut r = Reader::new(bytes);
        r.header(tags::VAULT_SHARE, 1)?;
        let (seat, epoch) = (Seat(r.u16()?), Epoch(r.u32()?));
        let ecdsa = read_scalar::<Secp256k1>(&mut r)?;
        let bip340 = read_scalar::<Secp256k1>(&mut r)?;
        let ed25519 = read_scalar::<Ed25519>(&mut r)?;
        r.finish()?;
        Ok(Self { seat, epoch, ecdsa, bip340, ed25519 })
    }
}

fn read_scalar<C: Curve>(r: &mut Reader<'_>) -> Result<Secret<[u8; 32]>, WireError> {
    let bytes = Secret::new(r.fixed()?);
    match C::scalar_from_bytes(bytes.expose()) {
        Some(_) => Ok(bytes),
        None => Err(WireError::Range("share scalar")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::vault;

    #[test]
    fn a_share_reads_back_and_fits_its_vault_only() {
        let (public, shares) = vault(1);
        let (other, _) = vault(2);
        for share in &shares {
            let back = VaultShare::from_bytes(share.to_bytes().expose()).unwrap();
            assert_eq!(public.check_share(&back), Ok(()));
            let seat = share.seat.0;
            let wanted = ShareError::Mismatch { seat, key: KeyKind::Ecdsa };
            assert_eq!(other.check_share(&back), Err(wanted));
        }
    }

    #[test]
    fn invariant_k4_a_share_of_another_epoch_seat_or_value_is_named() {
        let (public, mut shares) = vault(1);
        let mut share = shares.pop().unwrap();
        share.epoch = Epoch(2);
        assert_eq!(public.check_share(&share), Err(ShareError::Epoch { share: 2, vault: 1 }));
        share.epoch = Epoch(1);
        share.seat = Seat(9);
        assert_eq!(public.check_share(&share), Err(ShareError::Seat(9)));
        share.seat = Seat(3);
        share.ed25519 = Secret::new([1; 32]);
        let key = KeyKind::Ed25519;
        assert_eq!(public.check_share(&share), Err(ShareError::Mismatch { seat: 3, key }));
    }

    #[test]
    fn the_public_half_reads_back_and_every_flipped_byte_is_refused_or_another_vault() {
        let (public, shares) = vault(1);
        let bytes = public.to_bytes();
        assert_eq!(VaultPublic::from_bytes(&bytes), Ok(public.clone()));
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            if let Ok(read) = VaultPublic::from_bytes(&bad) {
                assert_ne!(read, public, "byte {at} has two spellings");
                assert_eq!(read.to_bytes(), bad);
            }
        }
        for cut in 0..bytes.len() {
            assert!(VaultPublic::from_bytes(&bytes[..cut]).is_err());
        }
        assert!(shares.iter().all(|share| public.check_share(share).is_ok()));
    }

    #[test]
    fn commitments_of_another_key_are_refused_on_reading() {
        let (mut public, _) = vault(1);
        let (other, _) = vault(2);
        public.bip340 = other.bip340;
        let wanted = Err(WireError::Range("commitments of another key"));
        assert_eq!(VaultPublic::from_bytes(&public.to_bytes()), wanted);
    }

    #[test]
    fn a_quorum_is_the_fewest_seats_among_those_present() {
        let (public, _) = vault(1);
        let node = |n| NodeId([n; 32]);
        assert_eq!(public.seat_of(node(12)), Some(Seat(2)));
        assert_eq!(public.seat_of(node(99)), None);
        assert_eq!(public.quorum_from(&[node(12)].into()), None);
        let all = [node(11), node(12), node(13)].into();
        assert_eq!(public.quorum_from(&all), Some([Seat(1), Seat(2)].into()));
    }

    #[test]
    fn a_share_of_wrong_length_or_range_is_refused() {
        let (_, shares) = vault(1);
        let bytes = shares[0].to_bytes().expose().clone();
        for cut in 0..bytes.len() {
            assert!(VaultShare::from_bytes(&bytes[..cut]).is_err());
        }
        let mut long = bytes.clone();
        long.push(0);
        assert_eq!(
            VaultShare::from_bytes(&long).unwrap_err(),
            ShareError::Wire(WireError::Trailing(1))
        );
        let mut high = bytes;
        high[9..41].fill(0xff);
        assert_eq!(
            VaultShare::from_bytes(&high).unwrap_err(),
            ShareError::Wire(WireError::Range("share scalar"))
        );
    }
}
